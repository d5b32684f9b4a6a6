"""What `make bench` measures: groups of cases that share a set of keys, and how much of each."""
from dataclasses import dataclass, field

ZIPF = "zipf:0.99"


@dataclass(frozen=True)
class Case:
    """One load. The keys and the size of values come from its group."""
    pipeline: int
    get_percent: int = 50
    key_dist: str = "uniform"
    connections: int = 50

    def name(self):
        dist = "zipf" if self.key_dist == ZIPF else self.key_dist
        return f"P{self.pipeline} c{self.connections} GET{self.get_percent} {dist}"


@dataclass(frozen=True)
class Group:
    """Cases that run against the same filled servers."""
    name: str
    keys: int
    value_bytes: int
    cases: list = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    rounds: int
    warmup_s: float
    duration_s: float
    groups: list
    latency_duration_s: float
    memory_keys: int = 1_000_000


def mixes(pipelines):
    return [Case(pipeline, get, dist) for dist in ("uniform", ZIPF) for get in (50, 90) for pipeline in pipelines]


FULL = Plan(
    rounds=5, warmup_s=0.1, duration_s=0.7, latency_duration_s=3,
    groups=[
        Group("100 k keys, 32 B", 100_000, 32,
              mixes((1, 10, 50)) + [Case(p, connections=c) for c in (1, 1000) for p in (1, 10, 50)]),
        Group("3 M keys, 32 B", 3_000_000, 32, mixes((1, 10, 50))),
        Group("100 k keys, 1 KiB", 100_000, 1024, [Case(1), Case(10)]),
        Group("1000 keys, 64 KiB", 1000, 65536, [Case(1), Case(10)]),
    ])

QUICK = Plan(
    rounds=3, warmup_s=0.1, duration_s=0.5, latency_duration_s=1,
    groups=[
        Group("100 k keys, 32 B", 100_000, 32,
              [Case(1), Case(10), Case(50), Case(1, connections=1), Case(1, connections=1000)]),
        Group("3 M keys, 32 B", 3_000_000, 32, [Case(50, 90)]),
        Group("100 k keys, 1 KiB", 100_000, 1024, [Case(1)]),
        Group("1000 keys, 64 KiB", 1000, 65536, [Case(1)]),
    ])
