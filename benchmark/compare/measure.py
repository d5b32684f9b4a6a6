"""Runs the cases: rounds in which each contender is measured in turn, so that a change of the machine's speed meets all."""
import csv
import io
import subprocess
import time
from dataclasses import dataclass

from compare import servers

SETTLE_S = 12  # jemalloc, redis's allocator, returns free pages over ten seconds


@dataclass(frozen=True)
class Contender:
    """A server spoken to in one protocol: a column of the table."""
    name: str
    server: str
    protocol: str


FLOOR = Contender("floor", "floor", "text")
MEMENTO = Contender("memento", "memento", "text")
MEMENTO_RESP = Contender("memento-resp", "memento", "resp2")
REDIS = Contender("redis", "redis", "resp2")
MEMCACHED = Contender("memcached", "memcached", "memcached")


@dataclass(frozen=True)
class Sample:
    """One contender in one round."""
    group: str
    case: str
    contender: str
    round: int
    figures: dict

    def number(self, field):
        return float(self.figures[field]) if self.figures[field] else 0.0


def client(bin_folder, port, arguments):
    """Runs memento-benchmark on the client's core; its one line of figures."""
    command = ["taskset", "-c", str(servers.cores()[1]), f"{bin_folder}/memento-benchmark", servers.HOST, str(port), "--csv"]
    done = subprocess.run(command + [str(argument) for argument in arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} {arguments}: status {done.returncode}\n{done.stderr}")
    return next(csv.DictReader(io.StringIO(done.stdout)))


def fill(bin_folder, server, protocol, keys, value_bytes):
    pipeline = 50 if value_bytes < 4096 else 1
    client(bin_folder, server.port,
           ["--fill", "--protocol", protocol, "-r", keys, "-d", value_bytes, "-c", min(50, keys), "-P", pipeline])


def fill_all(bin_folder, running, contenders, group):
    filled = {"floor"}  # it keeps nothing
    for contender in contenders:
        if contender.server not in filled:
            fill(bin_folder, running[contender.server], contender.protocol, group.keys, group.value_bytes)
            filled.add(contender.server)


def run_case(bin_folder, running, contenders, plan, group, case):
    samples = []
    for round_number in range(plan.rounds):
        # The order turns, so that no contender always follows the same one.
        turn = round_number % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            server = running[contender.server]
            figures = client(bin_folder, server.port, [
                "--protocol", contender.protocol, "-c", case.connections, "-P", case.pipeline, "--mix", case.get_percent,
                "--key-dist", case.key_dist, "--keys", group.keys, "--data-size", group.value_bytes, "--warmup",
                plan.warmup_s, "--duration", plan.duration_s, "--server-pid", server.process.pid])
            samples.append(Sample(group.name, case.name(), contender.name, round_number, figures))
    return samples


def run_open_loop(bin_folder, running, contenders, plan, group, rate):
    """50 connections, half GET, requests due at the same rate for all."""
    samples = []
    for round_number in range(plan.rounds):
        for contender in contenders:
            server = running[contender.server]
            figures = client(bin_folder, server.port, [
                "--protocol", contender.protocol, "-c", 50, "--mix", 50, "--keys", group.keys, "--data-size",
                group.value_bytes, "--rate", round(rate), "--warmup", plan.warmup_s, "--duration",
                plan.latency_duration_s, "--server-pid", server.process.pid])
            samples.append(Sample(group.name, f"open loop, {rate:.0f} op/s", contender.name, round_number, figures))
    return samples


def memory_per_key(bin_folder, contender, keys, value_bytes):
    """Growth of a fresh server by so many keys, divided by them, once allocators have given back what they will."""
    with servers.started([contender.server], bin_folder) as running:
        server = running[contender.server]
        before = server.memory_bytes()
        fill(bin_folder, server, contender.protocol, keys, value_bytes)
        time.sleep(SETTLE_S)
        return (server.memory_bytes() - before) / keys
