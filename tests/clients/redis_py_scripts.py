#!/usr/bin/python3
"""redis-py's scripts: register_script, its Lock over many connections, pipelines with scripts; a rate limit, a semaphore."""
import sys
import threading
import time

try:
    import redis
except ImportError:
    print("redis-py is not installed")
    sys.exit(77)

port = int(sys.argv[1])
r = redis.Redis(port=port, decode_responses=True)

# EVALSHA, NOSCRIPT, and the load that follows it.
add = r.register_script("local n = redis.call('INCRBY', KEYS[1], ARGV[1]) return {n, ARGV[2]}")
assert add(keys=["sum"], args=[5, "x"]) == [5, "x"]
r.script_flush()
assert add(keys=["sum"], args=[2, "y"]) == [7, "y"]
assert r.script_exists(add.sha) == [True]
with r.pipeline() as pipe:
    add(keys=["sum"], args=[1, "p"], client=pipe)
    pipe.get("sum")
    assert pipe.execute() == [[8, "p"], "8"]
try:
    r.eval("return redis.call('INCR', KEYS[1])", 1, "text" if r.set("text", "abc") else "")
    assert False
except redis.ResponseError as error:
    assert "not an integer" in str(error), error
try:
    r.script_kill()
    assert False
except redis.ResponseError as error:
    assert "No scripts in execution" in str(error), error

# The lock: one holder at a time, extended, released only by its holder, over as many connections as threads.
held, most, total = 0, 0, 0
def work():
    global held, most, total
    client = redis.Redis(port=port)
    for _ in range(20):
        with client.lock("the-lock", timeout=10, sleep=0.001):
            held += 1
            most = max(most, held)
            total += 1
            held -= 1
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert (most, total) == (1, 160), (most, total)
lock = r.lock("own", timeout=5)
assert lock.acquire() and lock.owned() and lock.extend(10) and 5_000 < r.pttl("own") <= 15_000
assert lock.reacquire() and r.pttl("own") <= 5_000
r.set("own", "stolen")
try:
    lock.release()
    assert False
except redis.exceptions.LockNotOwnedError:
    pass

# A fixed window, as rate limiters have it.
limit = r.register_script("""
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('PTTL', KEYS[1])}""")
for i in range(1, 6):
    count, left = limit(keys=["window"], args=[60000])
    assert count == i and 0 < left <= 60000

# redlock's unlock and extend.
unlock = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
extend = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) else return 0 end"
assert r.set("red", "token", nx=True, px=10_000) and not r.set("red", "other", nx=True, px=10_000)
assert r.eval(extend, 1, "red", "token", 20_000) == 1 and r.pttl("red") > 10_000
assert r.eval(unlock, 1, "red", "other") == 0 and r.eval(unlock, 1, "red", "token") == 1
