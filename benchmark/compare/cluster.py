"""What a cluster costs: a GET that another node answers against one answered where it was asked, in CPU time of all processes
of all nodes; the latter against a server that is no cluster's node; and latencies at a tenth of the greatest rate.

Two nodes with one worker each: node 0, which the client asks, owns the slots 0-4095, node 1 the others."""
import contextlib
import signal
import socket
import statistics
import subprocess
import tempfile
import time

from compare import measure, servers, tables

KEYS = 100_000
HERE, THERE = "0-4095", "4096-8191"
FIELD = "server_cpu_ns_per_op"


def free_ports(count):
    """Listen ports whose bus and MOVED ports are free too."""
    ports = []
    while len(ports) < count:
        port = servers.free_port()
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            if port > 65335 or any(abs(port - other) <= 200 for other in ports):
                continue
            for offset in (0, 100, 200):
                stack.enter_context(socket.socket()).bind((servers.HOST, port + offset))
            ports.append(port)
    return ports


@contextlib.contextmanager
def nodes(bin_folder):
    """(port of node 0, process ids of both masters)."""
    ports = free_ports(2)
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="memento-bench-") as folder:
        running = []
        try:
            for i in range(2):
                with open(f"{folder}/{i}.conf", "w", encoding="ascii") as file:
                    file.writelines(f"{servers.HOST} {port + 100} node{j} {int(i == j)}\n" for j, port in enumerate(ports))
                with open(f"{folder}/{i}.log", "w", encoding="utf-8") as log:
                    running.append(subprocess.Popen(
                        ["taskset", "-c", str(servers.cores()[0]), f"{bin_folder}/memento", "-c", "-f", f"{folder}/{i}.conf", "-w",
                         "1", "-m", "256MiB", "--dir", f"{folder}/{i}"], stderr=log))
            limit = time.monotonic() + servers.START_LIMIT_S
            while time.monotonic() < limit:
                texts = [open(f"{folder}/{i}.log", encoding="utf-8").read() for i in range(2)]
                if all("successfully formed" in text for text in texts):
                    break
                time.sleep(0.02)
            else:
                raise RuntimeError("the cluster has not formed; its logs:\n" + "\n".join(texts))
            yield ports[0], [process.pid for process in running]
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait(timeout=20)


def one_run(bin_folder, port, pids, slots, pipeline, plan, more=()):
    arguments = ["--protocol", "resp2", "-c", 50, "-P", pipeline, "--mix", 100, "--keys", KEYS, "--slots", slots, "--warmup",
                 plan.warmup_s, "--duration", plan.duration_s, *more]
    for pid in pids:
        arguments += ["--server-pid", pid]
    return measure.client(bin_folder, port, arguments)


def median_ratio(over, under, field):
    return statistics.median(float(a[field]) / float(b[field]) for a, b in zip(over, under))


def print_costs(bin_folder, plan):
    with nodes(bin_folder) as (port, pids), servers.started(["memento"], bin_folder) as running:
        alone = running["memento"]
        for filled in (port, alone.port):
            measure.client(bin_folder, filled, ["--fill", "-r", KEYS, "-d", 32, "-P", 50])
        rows = []
        for pipeline in (1, 50):
            runs = {"alone": [], "here": [], "there": []}
            for _ in range(plan.rounds):
                runs["alone"].append(one_run(bin_folder, alone.port, [alone.process.pid], HERE, pipeline, plan))
                runs["here"].append(one_run(bin_folder, port, pids, HERE, pipeline, plan))
                runs["there"].append(one_run(bin_folder, port, pids, THERE, pipeline, plan))
            figures = [f"{statistics.median(float(run[FIELD]) for run in runs[name]):.0f}" for name in runs]
            ratios = [f"{median_ratio(runs['here'], runs['alone'], FIELD):.3f}",
                      f"{median_ratio(runs['there'], runs['here'], FIELD):.2f}"]
            rows.append([f"GET, pipeline {pipeline}"] + figures + ratios)
            if pipeline == 1:
                rate = statistics.median(float(run["ops_per_s"]) for run in runs["there"]) / 10
        tables.print_grid(["cluster: CPU of all nodes, ns an operation", "no cluster", "local", "forwarded", "local/no cluster",
                           "forwarded/local"], rows)
        print()
        more = ["--rate", round(rate)]
        samples = {slots: [one_run(bin_folder, port, pids, slots, 1, plan, more) for _ in range(plan.rounds)]
                   for slots in (HERE, THERE)}
        rows = [[name] + [f"{statistics.median(float(run[field]) for run in samples[slots]):.1f}" for field in ("p50_us", "p99_us")]
                for name, slots in (("local", HERE), ("forwarded", THERE))]
        rows.append(["forwarded/local", "", f"{median_ratio(samples[THERE], samples[HERE], 'p99_us'):.2f}"])
        tables.print_grid([f"cluster: open loop, {rate:.0f} op/s, us from when due", "p50", "p99"], rows)
