"""Counts a server's instructions in user space with valgrind's callgrind: exactly those of some requests.

The server runs under callgrind from its start; its counters are set to zero when it is warm and written out when the requests
were answered (valgrind manual, "Callgrind: a call-graph generating cache and branch prediction profiler", monitor commands).
"""
import contextlib
import glob
import re
import subprocess

from compare import servers

CONNECTIONS = 50
NAME = re.compile(r"^(fl|fi|fe|cfl|cfi)=(?:\((\d+)\))?\s*(.*)$")
COST = re.compile(r"^(?:[+-]?\d+|\*) (\d+)")


@contextlib.contextmanager
def started(name, bin_folder):
    """A server of that kind whose processes all run under callgrind."""
    server = servers.KINDS[name](name, bin_folder)
    plain = server.arguments
    # memcached sets its limit of descriptors to that of its connections, which valgrind, who takes twelve for itself, allows
    # only where it is what it was.
    limit = servers.MEMCACHED_CONNECTIONS + 12
    server.arguments = lambda: ["prlimit", f"--nofile={limit}:{limit}", "valgrind", "--quiet", "--tool=callgrind", "--trace-children=yes",
                                f"--callgrind-out-file={server.folder}/callgrind.%p"] + plain()
    with server:
        yield server


def monitor(pid, command):
    subprocess.run(["vgdb", f"--pid={pid}", command], check=True, capture_output=True, timeout=60)


def cpu_ticks(server):
    """Of each of its processes."""
    ticks = {}
    for pid in servers.descendants(server.process.pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            ticks[pid] = sum(int(number) for number in file.read().rsplit(")", 1)[1].split()[11:13])
    return ticks


def costs_by_file(path):
    """Instructions by source file, of inlined functions too, as callgrind's file format has them."""
    costs, names, current, skips = {}, {}, None, False
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if found := NAME.match(line):
                number, name = found.group(2), found.group(3).strip()
                if number and name:  # said once, later the number stands for it
                    names[number] = name
                if not found.group(1).startswith("c"):  # those name a callee's file
                    current = names.get(number, name) if number else name
            elif line.startswith("calls="):
                skips = True  # the next line is what the call cost, which the callee's lines say already
            elif found := COST.match(line):
                if not skips:
                    costs[current] = costs.get(current, 0) + int(found.group(1))
                skips = False
    return costs


def count(server, load, warm_count, request_count):
    """Instructions by source file of `request_count` requests. `load(count)` sends so many and awaits the replies."""
    before = cpu_ticks(server)
    load(warm_count)
    after = cpu_ticks(server)
    pid = max(after, key=lambda process: after[process] - before.get(process, 0))  # the one that serves
    monitor(pid, "zero")
    load(request_count)
    monitor(pid, "dump")
    dumps = glob.glob(f"{server.folder}/callgrind.{pid}.*")
    return costs_by_file(max(dumps, key=lambda path: int(path.rsplit(".", 1)[1])))
