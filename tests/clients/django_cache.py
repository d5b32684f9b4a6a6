#!/usr/bin/python3
"""Django's cache over its own Redis backend, or over django-redis."""
import sys

port, mode = int(sys.argv[1]), sys.argv[2]
try:
    if mode == "django":
        import django.core.cache.backends.redis
        import redis
    else:
        import django_redis
    from django.conf import settings
except ImportError as error:
    print(f"not installed: {error}")
    sys.exit(77)

settings.configure(CACHES={"default": {
    "BACKEND": "django.core.cache.backends.redis.RedisCache" if mode == "django" else "django_redis.cache.RedisCache",
    "LOCATION": f"redis://127.0.0.1:{port}/0"}})
from django.core.cache import cache

cache.set("a", {"x": [1, 2]}, 100)
assert cache.get("a") == {"x": [1, 2]} and cache.get("nothing") is None and cache.get("nothing", 3) == 3
assert cache.add("a", 1) is False and cache.add("b", 1, 50) is True
assert cache.get_or_set("c", lambda: 7, 100) == 7 and cache.get("c") == 7
cache.set("n", 1, 100)
assert cache.incr("n") == 2 and cache.decr("n") == 1
assert not cache.set_many({"m1": "1", "m2": "2"}, 100)
assert cache.get_many(["m1", "m2", "m3"]) == {"m1": "1", "m2": "2"}
assert cache.touch("m1", 200) and not cache.touch("m3", 200)
assert cache.has_key("m1") and "m3" not in cache
cache.delete_many(["m1", "m2"])
assert cache.get("m1") is None and cache.delete("a") and cache.get("a") is None
assert cache.set("v", "one", version=1) is not False and cache.incr_version("v") == 2 and cache.get("v", version=2) == "one"
if mode == "django_redis":
    assert 0 < cache.ttl("b") <= 50 and cache.persist("b") and cache.ttl("b") is None
    cache.set_many({f"p:{i}": i for i in range(100)})
    assert len(cache.keys("p:*")) == 100 and cache.delete_pattern("p:*") == 100
    assert cache.set("lock", 1, nx=True) and not cache.set("lock", 1, nx=True)
cache.clear()
assert cache.get("b") is None
