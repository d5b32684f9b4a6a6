#!/usr/bin/python3
"""redis-py's RedisCluster: finds all nodes by one, sends keys to their owners, follows nothing but a fresh map; by the ordinary
port and by the one that answers MOVED."""
import sys

try:
    from redis.cluster import RedisCluster
except ImportError:
    print("redis-py with RedisCluster is not installed")
    sys.exit(77)

port = int(sys.argv[1])
for first in (port, port + 200):
    r = RedisCluster(host="127.0.0.1", port=first, decode_responses=True)
    assert len(r.get_nodes()) == 3, r.get_nodes()
    assert {node.port - 200 for node in r.get_nodes()} >= {port}
    for i in range(500):
        assert r.set(f"k{i}", i)
    assert [int(r.get(f"k{i}")) for i in range(500)] == list(range(500))
    assert r.mget_nonatomic(["k1", "k2", "nothing"]) == ["1", "2", None]
    assert r.exists("k1", "k2", "nothing") == 2
    assert len(set(r.scan_iter(count=50))) == 500
    pipeline = r.pipeline()
    for i in range(500):
        pipeline.incr(f"k{i}")
    assert pipeline.execute() == list(range(1, 501))
    assert r.cluster_keyslot("foo") == 12182
    for i in range(20):
        node = r.get_node_from_key(f"k{i}")
        assert r.cluster_countkeysinslot(r.keyslot(f"k{i}")) >= 1, node
    assert r.flushall() and sum(r.dbsize(target_nodes=node) for node in r.get_nodes() if node.port > port + 100) == 0
    r.close()
