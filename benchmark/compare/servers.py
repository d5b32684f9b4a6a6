"""The servers that `make bench` compares: how each is started, pinned, measured and ended.

A Server is started by `with`, on a port of its own and one core, and ended by its process id when the block is left.
"""
import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HOST = "127.0.0.1"
START_LIMIT_S = 15
MEMORY_MIB = 4096
MEMCACHED_CONNECTIONS = 4096


def allow_descriptors():
    """A thousand connections for the client, and for each server that it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def cores():
    """The server's core and the client's; the same one when there is no other."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]


def speaks_resp(port):
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"*1\r\n$4\r\nPING\r\n")
        with contextlib.suppress(OSError):
            return connection.recv(64).startswith(b"+PONG")
    return False


def descendants(pid):
    """The process and all that come from it."""
    found = [pid]
    for process in found:
        for thread in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{thread}/children", encoding="ascii") as file:
                found.extend(int(child) for child in file.read().split())
    return found


def status_kib(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


class Server:
    """One running server. `version` is what its program says of itself."""

    def __init__(self, name, bin_folder):
        self.name = name
        self.bin_folder = bin_folder
        self.folder = None
        self.process = None
        self.port = None

    def arguments(self):
        raise NotImplementedError

    @classmethod
    def version(cls, bin_folder):
        return ""

    def __enter__(self):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="memento-bench-", dir="/dev/shm")
        with open(os.path.join(self.folder, "log"), "wb") as log:
            command = ["taskset", "-c", str(cores()[0])] + self.arguments()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_it_answers(self):
        limit = time.monotonic() + START_LIMIT_S
        while time.monotonic() < limit and self.process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            time.sleep(0.02)
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as log:
            raise RuntimeError(f"{self.name} does not answer on port {self.port}; its last words:\n{log.read()[-2000:]}")

    def memory_bytes(self):
        """What it takes of the machine's memory: resident pages of all its processes."""
        return 1024 * sum(status_kib(pid, "VmRSS") for pid in descendants(self.process.pid))


class Floor(Server):
    value_bytes = 0

    def arguments(self):
        return [f"{self.bin_folder}/floor", str(self.port)] + ([str(self.value_bytes)] if self.value_bytes else [])


class Memento(Server):
    def arguments(self):
        return [f"{self.bin_folder}/memento", "--workers", "1", "--port", str(self.port), "--dir",
                f"{self.folder}/data", "--memory", f"{MEMORY_MIB}MiB"]

    @classmethod
    def version(cls, bin_folder):
        commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
        program = subprocess.run([f"{bin_folder}/memento", "--version"], capture_output=True, text=True, check=False)
        return f"{program.stdout.strip()}, commit {commit.stdout.strip() or 'unknown'}"

    def memory_bytes(self):
        """Allocated blocks of the segment's file, and what its processes hold beside it."""
        blocks = os.stat(f"{self.folder}/data/segment").st_blocks * 512
        return blocks + 1024 * sum(status_kib(pid, "RssAnon") for pid in descendants(self.process.pid))


class Redis(Server):
    def arguments(self):
        return ["redis-server", "--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no", "--dir",
                self.folder, "--daemonize", "no"]

    @classmethod
    def version(cls, bin_folder):
        return subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.split(" sha=")[0]


class Memcached(Server):
    def arguments(self):
        as_user = ["-u", "root"] if os.geteuid() == 0 else []
        return ["memcached", "-l", HOST, "-p", str(self.port), "-U", "0", "-t", "1", "-R", "200", "-c", str(MEMCACHED_CONNECTIONS), "-m",
                str(MEMORY_MIB)] + as_user

    @classmethod
    def version(cls, bin_folder):
        return subprocess.run(["memcached", "-V"], capture_output=True, text=True, check=True).stdout.strip()


KINDS = {"floor": Floor, "memento": Memento, "redis": Redis, "memcached": Memcached}


@contextlib.contextmanager
def started(names, bin_folder, value_bytes=0):
    """All of these servers, running at once, by name. value_bytes: what the floor answers a GET with; 0: OK."""
    with contextlib.ExitStack() as stack:
        running = {}
        for name in names:
            server = KINDS[name](name, bin_folder)
            if name == "floor":
                server.value_bytes = value_bytes
            running[name] = stack.enter_context(server)
        yield running
