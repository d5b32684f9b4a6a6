#!/usr/bin/python3
"""redis-py: a listener for keys that expire, as sessions and schedulers have one, in a thread of its own."""
import queue
import sys
import threading

try:
    import redis
except ImportError:
    print("redis-py is not installed")
    sys.exit(77)

PORT = int(sys.argv[1])

client = redis.Redis(port=PORT, decode_responses=True)
client.config_set("notify-keyspace-events", "KEA")
assert client.config_get("notify-keyspace-events") == {"notify-keyspace-events": "AKE"}

expired, events = queue.Queue(), queue.Queue()
pubsub = client.pubsub(ignore_subscribe_messages=True)
pubsub.psubscribe(**{"__keyevent@0__:expired": lambda message: expired.put(message["data"])})
pubsub.psubscribe(**{"__keyspace@0__:watched:*": lambda message: events.put((message["channel"], message["data"]))})
while pubsub.get_message(timeout=30) is not None or not pubsub.subscribed:
    if pubsub.connection is not None and not pubsub.connection.can_read(timeout=0.2):
        break
thread = pubsub.run_in_thread(sleep_time=0.1, daemon=True)

with client.pipeline() as pipe:
    for i in range(100):
        pipe.set(f"session:{i}", "data", px=50 + i)
    pipe.set("stays", "data", ex=1000)
    pipe.execute()
got = {expired.get(timeout=30) for _ in range(100)}
assert got == {f"session:{i}" for i in range(100)}, got

client.set("watched:1", "v", ex=100)
client.rename("watched:1", "watched:2")
client.delete("watched:2")
expected = [("1", "set"), ("1", "expire"), ("1", "rename_from"), ("2", "rename_to"), ("2", "del")]
for name, event in expected:
    assert events.get(timeout=30) == (f"__keyspace@0__:watched:{name}", event), event
assert expired.empty() and client.get("stays") == "data"
thread.stop()
threading.Thread.join(thread, timeout=30)
