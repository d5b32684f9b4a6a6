#!/usr/bin/python3
"""Locks: redis-py's Lock, dogpile.cache's distributed lock, django-redis's lock and incr, each with threads that count up a number."""
import sys
import threading

port, mode = int(sys.argv[1]), sys.argv[2]
try:
    import redis
    if mode == "dogpile":
        from dogpile.cache import make_region
    if mode == "django_redis":
        import django_redis
        from django.conf import settings
except ImportError as error:
    print(f"not installed: {error}")
    sys.exit(77)

client = redis.Redis(port=port)


def count(make_lock, rounds=20, threads=6):
    """Each takes the lock, reads the number and writes one more: none is lost."""
    client.set("sum", 0)
    errors = []

    def work():
        try:
            for _ in range(rounds):
                lock = make_lock()
                assert lock.acquire()
                client.set("sum", int(client.get("sum")) + 1)
                lock.release()
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors, errors
    assert int(client.get("sum")) == rounds * threads


def redis_py():
    count(lambda: client.lock("one", timeout=20, sleep=0.001))
    lock = client.lock("two", timeout=20)
    assert lock.acquire() and lock.locked() and lock.owned()
    other = client.lock("two", timeout=20, blocking_timeout=0.01)
    assert not other.acquire() and not other.owned()
    assert lock.extend(30) and 20 < client.ttl("two") <= 50 and lock.extend(10, replace_ttl=True) and client.ttl("two") <= 10
    assert lock.reacquire() and 10 < client.ttl("two") <= 20
    client.set("two", "another")
    for what in (lock.release, lambda: lock.extend(5)):
        try:
            what()
            raise AssertionError("a lock that was lost")
        except redis.exceptions.LockError:
            pass
    assert client.get("two") == b"another"


def dogpile():
    region = make_region().configure("dogpile.cache.redis", expiration_time=3600, arguments={
        "host": "127.0.0.1", "port": port, "distributed_lock": True, "lock_timeout": 20, "lock_sleep": 0.001,
        "thread_local_lock": False})
    made = []

    @region.cache_on_arguments()
    def expensive(number):
        made.append(number)
        client.incr("made")
        return number * number

    results = []
    workers = [threading.Thread(target=lambda: results.append(expensive(12))) for _ in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert results == [144] * 16 and made == [12] and client.get("made") == b"1", (results, made)
    expensive.invalidate(12)
    assert expensive(12) == 144 and made == [12, 12]
    region.set_multi({"a": 1, "b": 2})
    assert region.get_multi(["a", "b", "c"])[:2] == [1, 2]
    region.delete_multi(["a", "b"])
    assert not region.get("a")
    count(lambda: region.actual_backend.get_mutex("mutex"))


def django():
    settings.configure(CACHES={"default": {"BACKEND": "django_redis.cache.RedisCache",
                                           "LOCATION": f"redis://127.0.0.1:{port}/1"}})
    from django.core.cache import cache
    count(lambda: cache.lock("lock", timeout=20, sleep=0.001))
    cache.set("n", 0)
    workers = [threading.Thread(target=lambda: [cache.incr("n") for _ in range(50)]) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert cache.get("n") == 300 and cache.incr("n", 10) == 310 and cache.decr("n", 11) == 299
    cache.set("seconds", 5, timeout=50)
    assert cache.incr("seconds") == 6 and 0 < cache.ttl("seconds") <= 50
    try:
        cache.incr("nothing")
        raise AssertionError("a key that is not there")
    except ValueError:
        pass
    assert redis.Redis(port=port, db=1).dbsize() >= 2 and client.exists("n") == 0


{"redis_py": redis_py, "dogpile": dogpile, "django_redis": django}[mode]()
