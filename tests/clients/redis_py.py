#!/usr/bin/python3
"""redis-py: commands, pipelines, optimistic locking, scanning, errors, statistics, over a pool of connections."""
import sys

try:
    import redis
except ImportError:
    print("redis-py is not installed")
    sys.exit(77)

r = redis.Redis(port=int(sys.argv[1]), decode_responses=True, client_name="tests")
assert r.ping()
assert r.client_getname() == "tests"
assert r.set("a", "1") is True and r.get("a") == "1" and r.get("nothing") is None
assert r.set("a", "2", nx=True) is None and r.set("a", "2", get=True) == "1"
assert r.set("b", "x", ex=100) and 0 < r.ttl("b") <= 100 and r.pttl("b") <= 100_000
assert r.expire("a", 50) and r.expire("a", 60, nx=True) == 0 and r.persist("a")
assert r.incrby("n", 5) == 5 and r.decr("n") == 4 and r.incrbyfloat("f", 0.5) == 0.5
assert r.mset({"m1": "1", "m2": "2"}) and r.mget("m1", "nothing", "m2") == ["1", None, "2"]
assert r.append("a", "!") == 2 and r.getrange("a", 0, 0) == "2" and r.setrange("a", 1, "?") == 2
assert r.setbit("bits", 7, 1) == 0 and r.bitcount("bits") == 1
assert r.exists("a", "b", "nothing") == 2 and r.delete("a", "b") == 2

binary = redis.Redis(port=int(sys.argv[1]))
value = bytes(range(256)) * 1000
assert binary.set(b"\x00\r\n", value) and binary.get(b"\x00\r\n") == value
assert binary.delete(b"\x00\r\n") == 1

with r.pipeline(transaction=False) as pipe:
    for i in range(1000):
        pipe.set(f"k:{i}", i)
    assert all(pipe.execute())
assert len(set(r.scan_iter("k:*", count=50))) == 1000

with r.pipeline() as pipe:
    pipe.watch("n")
    current = int(pipe.get("n"))
    pipe.multi()
    pipe.set("n", current + 1)
    assert pipe.execute() == [True]
    pipe.watch("n")
    r.set("n", 0)
    pipe.multi()
    pipe.incr("n")
    try:
        pipe.execute()
        raise AssertionError("a changed key was not noticed")
    except redis.WatchError:
        pass

try:
    r.incr("k:x" if r.set("k:x", "text") else "")
    raise AssertionError("text was incremented")
except redis.ResponseError as error:
    assert "not an integer" in str(error), error

info = r.info()
assert info["redis_version"] == "7.2.4" and info["db0"]["keys"] >= 1000
assert info["role"] == "master" and info["used_memory_rss"] > 0
stats = r.info("commandstats")
assert stats["cmdstat_incrby"]["failed_calls"] == 1 and stats["cmdstat_set"]["calls"] >= 1000, stats
assert r.info("errorstats")["errorstat_ERR"] == "count=1"
assert r.config_set("slowlog-log-slower-than", 0) and r.get("n") == "0"
slow = r.slowlog_get(128)
assert any(entry["command"] == b"GET n" or entry["command"] == "GET n" for entry in slow), slow
assert r.slowlog_len() > 0 and r.slowlog_reset()
assert r.config_get("max*")["maxclients"] and r.time()[0] > 0 and r.dbsize() > 1000
one = redis.Redis.from_url(f"redis://127.0.0.1:{sys.argv[1]}/1", decode_responses=True)
assert one.set("n", "one") and one.dbsize() == 1 and r.get("n") == "0" and list(one.scan_iter()) == ["n"]
assert one.move("n", 2) and one.get("n") is None and one.dbsize() == 0 and one.swapdb(1, 2) and one.get("n") == "one"
assert one.copy("n", "copied", destination_db=3) and r.info("keyspace")["db3"]["keys"] == 1
with one.pipeline() as pipe:
    pipe.watch("n")
    r.set("n", r.get("n"))
    pipe.multi()
    pipe.set("n", "changed")
    assert pipe.execute() == [True]
assert any(client["db"] == "1" for client in r.client_list()) and one.flushdb() and one.dbsize() == 0
assert r.config_get("databases") == {"databases": "16"} and r.config_resetstat() and r.flushdb() and r.dbsize() == 0
