#!/usr/bin/python3
"""prometheus-redis-exporter: one scrape, which asks for CONFIG GET *, INFO ALL, LATENCY and SLOWLOG."""
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

if shutil.which("prometheus-redis-exporter") is None:
    print("prometheus-redis-exporter is not installed")
    sys.exit(77)


def request(port, line):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(line)
        return connection.recv(4096)


def scrape(port):
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise


port = int(sys.argv[1])
for i in range(10):
    request(port, b"*3\r\n$3\r\nSET\r\n$3\r\nk:%d\r\n$1\r\nv\r\n" % i)
request(port, b"*2\r\n$3\r\nGET\r\n$3\r\nk:1\r\n")
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    web_port = probe.getsockname()[1]
exporter = subprocess.Popen(["prometheus-redis-exporter", "-redis.addr", f"redis://127.0.0.1:{port}",
                             "-web.listen-address", f"127.0.0.1:{web_port}"], stderr=subprocess.PIPE, text=True)
try:
    metrics = scrape(web_port)
finally:
    exporter.terminate()
    errors = exporter.communicate()[1]
values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith("redis_"))


def value(name):
    found = [float(text) for key, text in values.items() if key == name or key.startswith(name + "{")]
    assert found, f"no {name} in {metrics}\n{errors}"
    return found[0]


assert value("redis_up") == 1, errors
assert not any(key.startswith("redis_exporter_last_scrape_error") and float(text) != 0 for key, text in values.items()), metrics
assert value('redis_db_keys{db="db0"}') == 10
assert value('redis_commands_total{cmd="set"}') == 10 and value('redis_commands_total{cmd="get"}') == 1
assert value('redis_commands_duration_seconds_total{cmd="set"}') >= 0
for name in ("redis_connected_clients", "redis_memory_used_bytes", "redis_memory_used_rss_bytes", "redis_memory_max_bytes",
             "redis_config_maxclients", "redis_instance_info"):
    assert value(name) > 0, name
for name in ("redis_uptime_in_seconds", "redis_cpu_sys_seconds_total", "redis_evicted_keys_total", "redis_expired_keys_total", "redis_rejected_connections_total",
             "redis_slowlog_length", "redis_keyspace_hits_total", "redis_mem_fragmentation_ratio", "redis_memory_used_dataset_bytes",
             "redis_memory_used_overhead_bytes", "redis_memory_used_startup_bytes", "redis_memory_used_peak_bytes", "redis_net_input_bytes_total",
             "redis_rdb_bgsave_in_progress", "redis_rdb_changes_since_last_save", "redis_rdb_last_save_timestamp_seconds",
             "redis_rdb_last_bgsave_status", "redis_aof_enabled", "redis_aof_last_write_status", "redis_latest_fork_seconds",
             "redis_replication_backlog_bytes", "redis_repl_backlog_is_active", "redis_master_repl_offset",
             "redis_replica_partial_resync_accepted", "redis_defrag_hits", "redis_active_defrag_running",
             "redis_number_of_cached_scripts", "redis_memory_used_scripts_bytes", "redis_clients_in_timeout_table",
             "redis_config_maxmemory", "redis_cpu_sys_children_seconds_total", "redis_target_scrape_request_errors_total"):
    assert value(name) >= 0, name
