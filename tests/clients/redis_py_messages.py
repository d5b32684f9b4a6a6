#!/usr/bin/python3
"""redis-py: messages, MONITOR, CLIENT LIST and KILL between connections that different workers serve."""
import re
import sys

try:
    import redis
except ImportError:
    print("redis-py is not installed")
    sys.exit(77)

PORT = int(sys.argv[1])


def client(**options):
    return redis.Redis(port=PORT, decode_responses=True, single_connection_client=True, **options)


def subscriber(is_far):
    """A connection to another worker than the publisher's, or to the same one."""
    while True:
        pubsub = redis.Redis(port=PORT, decode_responses=True).pubsub()
        pubsub.execute_command("INFO", "server")
        served_by = re.search(r"worker_index:(\d+)", str(pubsub.parse_response())).group(1)
        if (int(served_by) != publisher.info("server")["worker_index"]) == is_far:
            return pubsub
        pubsub.close()


def next_message(pubsub):
    message = pubsub.get_message(timeout=30)
    return (message["type"], message["pattern"], message["channel"], message["data"])


publisher = client(client_name="publisher")
near, far = subscriber(False), subscriber(True)
for pubsub in (near, far):
    pubsub.subscribe("news", "other")
    pubsub.psubscribe("n*")
    assert next_message(pubsub) == ("subscribe", None, "news", 1)
    assert next_message(pubsub) == ("subscribe", None, "other", 2)
    assert next_message(pubsub) == ("psubscribe", None, "n*", 3)
assert publisher.pubsub_numsub("news", "none") == [("news", 2), ("none", 0)]
assert sorted(publisher.pubsub_channels()) == ["news", "other"] and publisher.pubsub_numpat() == 1
assert publisher.publish("news", "hello") == 4 and publisher.publish("silent", "x") == 0
for pubsub in (near, far):
    assert next_message(pubsub) == ("message", None, "news", "hello")
    assert next_message(pubsub) == ("pmessage", "n*", "news", "hello")
with publisher.pipeline() as pipe:
    for i in range(100):
        pipe.publish("other", i)
    assert pipe.execute() == [2] * 100
for pubsub in (near, far):
    assert [next_message(pubsub)[3] for _ in range(100)] == [str(i) for i in range(100)]
    pubsub.unsubscribe("news")
    assert next_message(pubsub)[:3] == ("unsubscribe", None, "news")
assert publisher.publish("news", "again") == 2
assert next_message(far) == ("pmessage", "n*", "news", "again")

far.execute_command("SSUBSCRIBE", "shard")
assert far.parse_response() == ["ssubscribe", "shard", 1]
assert publisher.execute_command("SPUBLISH", "shard", "to one") == 1
assert far.parse_response() == ["smessage", "shard", "to one"]
assert publisher.execute_command("PUBSUB", "SHARDCHANNELS") == ["shard"]
assert publisher.execute_command("PUBSUB", "SHARDNUMSUB", "shard") == ["shard", 1]

with redis.Redis(port=PORT, decode_responses=True).monitor() as monitor:
    address = next(c["addr"] for c in publisher.client_list() if c["name"] == "publisher")
    publisher.set("k", "two words")
    while True:
        shown = monitor.next_command()
        if shown["command"].startswith("SET"):
            break
    assert shown["command"] == "SET k two words" and f"{shown['client_address']}:{shown['client_port']}" == address, shown
    assert shown["db"] == 0 and shown["time"] > 1_000_000_000

victims = [client(client_name=f"victim-{i}") for i in range(8)]  # over all workers
for victim in victims:
    assert victim.ping()
listed = {c["name"]: c for c in publisher.client_list()}
assert {f"victim-{i}" for i in range(8)} <= set(listed)
assert len(publisher.client_list(_type="pubsub")) == 2
assert publisher.client_kill_filter(_id=listed["victim-0"]["id"]) == 1
assert publisher.client_kill(listed["victim-1"]["addr"])
for victim in victims[:2]:
    try:
        victim.connection.send_command("PING")
        victim.connection.read_response()
        raise AssertionError("a killed client was answered")
    except redis.ConnectionError:
        pass
assert victims[2].ping() and publisher.client_kill_filter(_type="pubsub") == 2
try:
    while near.get_message(timeout=30):
        pass
    raise AssertionError("a killed subscriber goes on")
except redis.ConnectionError:
    pass
