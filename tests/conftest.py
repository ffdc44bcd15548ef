"""Fixtures of the process and cluster tests: a server of one's own in a temporary directory.

MAYFLY_BIN is the build's bin directory, MAYFLY_SHARED where corpora and queries are; CMake sets both.
"""
import contextlib
import gzip
import importlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
BIN = pathlib.Path(os.environ.get("MAYFLY_BIN", "build/dev/bin"))
SHARED = pathlib.Path(os.environ.get("MAYFLY_SHARED", "../shared"))
START_LIMIT = 120  # seconds until ready: sanitizers and a loaded machine are slow
STOP_LIMIT = 60
# Searches are answered in part, and processes ended, where a machine is too busy: only for tests that say so.
PATIENT = {"deadline-ms": 60000, "answer-timeout": 300}


def shared(path):
    """A file of the shared test data, or the test is skipped."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"test data is absent: {path}")
    return found


def ndjson(path, limit=None):
    """Documents of a (gzipped) NDJSON file of the shared data."""
    opener = gzip.open if str(path).endswith(".gz") else open
    documents = []
    with opener(shared(path), "rt", encoding="utf-8") as lines:
        for line in lines:
            if limit is not None and len(documents) >= limit:
                break
            documents.append(json.loads(line))
    return documents


NOTES = []


def note(text):
    """For the reader of a run that passes: what it tried less of than others. ./check shows it."""
    if text not in NOTES:
        NOTES.append(text)


def pytest_terminal_summary(terminalreporter):
    for text in NOTES:
        terminalreporter.write_line(f"note: {text}")


def await_ends(pids, limit):
    """Until all of these processes, anybody's children, have ended."""
    end = time.monotonic() + limit
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([pidfd], [], [], max(0, end - time.monotonic()))
        finally:
            os.close(pidfd)
        assert ready, f"process {pid} has not ended within {limit} s"


def has_hooks():
    """Workers of this build obey worker/hooks.h; asked of the build, never of what a worker does."""
    return os.environ.get("MAYFLY_TEST_HOOKS", "").upper() in ("ON", "1", "TRUE", "YES")


def needs_hooks():
    if not has_hooks():
        pytest.skip("built without MAYFLY_TEST_HOOKS")


def built_with_allocators():
    """Under a sanitizer malloc is its own, and memory is not what it is."""
    return not os.environ.get("MAYFLY_SANITIZE")


def await_figures(client, holds, limit=START_LIMIT):
    """Stats of which `holds` is true. Shards count once a second, and nothing tells that they have: so this looks."""
    end = time.monotonic() + limit
    while not holds(stats := client.stats()):
        assert time.monotonic() < end, stats
        time.sleep(0.1)
    return stats


def reach_all_readers(client, index, query):
    """Stats when each shard process has answered. Those that stand by have their turn within a second or two, if somebody
    searches (coordinator/reader_choice.h)."""
    def all_have_it_open(stats):
        assert client.search(index, query).hits
        return all(p.indexes_open == 1 for p in stats.processes if p.role == "shard")
    return await_figures(client, all_have_it_open)


def make_one_file(client, *indexes):
    """Of each of their shards, however many segments and images they came as; and no other one is left."""
    for index in indexes:
        client.optimize(index)
    await_figures(client, lambda stats: not stats.removals)


def nursery_of(client):
    return next(p.pid for p in client.stats().processes if p.role == "nursery")


def stop_process(pid):
    """Until it stands still: the signal alone is only on its way."""
    os.kill(pid, signal.SIGSTOP)
    while pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "Tt":
        time.sleep(0.001)


def has_workers(client, nursery):
    """Also one that it has forked and not told of."""
    born = pathlib.Path(f"/proc/{nursery}/task/{nursery}/children").read_text().split()
    return born or any(p.role == "worker" for p in client.stats().processes)


@contextlib.contextmanager
def held_up(client):
    """No job runs or begins: the nursery stands still, and its last worker has ended."""
    pid = nursery_of(client)
    try:
        stop_process(pid)
        while has_workers(client, pid):
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)
            stop_process(pid)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def await_tasks(client):
    """Until every task that there is now has ended; all of them."""
    return [client.wait_task(task.uid) if task.status in ("enqueued", "processing") else task
            for task in client.tasks(limit=100000)]


class Server:
    """One mayflyd with its data below `directory`; options are those of the command line, without the dashes."""

    def __init__(self, directory, **options):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.socket = self.directory / "sock"
        self.log_path = self.directory / "log"
        self.options = options
        self.environment = {}
        self.config = {}
        self.process = None

    def arguments(self):
        config = self.directory / "mayfly.conf"
        config.write_text("".join(f"{key} = {value}\n" for key, value in {**PATIENT, **self.config}.items()))
        options = {"config": config, "data": self.data, "socket": self.socket, **self.options}
        return [str(BIN / "mayflyd")] + [f"--{k.replace('_', '-')}={v}" for k, v in options.items()]

    def start(self, wait=True):
        """Starts it and waits for READY=1 on the notification socket, as systemd would."""
        assert self.process is None or self.process.poll() is not None
        notify_path = self.directory / "notify"
        notify_path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log_path, "ab") as log:
            notify.bind(str(notify_path))
            environment = {**os.environ, **self.environment, "NOTIFY_SOCKET": str(notify_path)}
            self.process = subprocess.Popen(self.arguments(), env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
            if wait:
                self._await_ready(notify)
        return self

    def _await_ready(self, notify):
        limit = time.monotonic() + START_LIMIT
        pidfd = os.pidfd_open(self.process.pid)
        try:
            while time.monotonic() < limit:
                ready, _, _ = select.select([notify, pidfd], [], [], max(0, limit - time.monotonic()))
                if notify in ready and b"READY=1" in notify.recv(4096):
                    return
                if pidfd in ready:
                    raise AssertionError(f"mayflyd ended with {self.process.wait()}:\n{self.log()}")
        finally:
            os.close(pidfd)
        raise AssertionError(f"mayflyd was not ready within {START_LIMIT} s:\n{self.log()}")

    def stop(self, expect=0):
        """SIGTERM, and the exit status that an orderly stop promises."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_LIMIT)
        assert status == expect, f"mayflyd ended with {status}:\n{self.log()}"

    def kill(self):
        self.process.kill()
        self.process.wait(STOP_LIMIT)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")[-8000:] if self.log_path.exists() else ""

    def run(self, *arguments, input=None, check=True, timeout=300):
        """The mayfly program against this server; its CompletedProcess with text output."""
        done = subprocess.run([str(BIN / "mayfly"), "--socket", str(self.socket), *map(str, arguments)], input=input,
                              capture_output=True, text=True, timeout=timeout)
        if check:
            assert done.returncode == 0, f"mayfly {arguments} gave {done.returncode}: {done.stderr}\n{self.log()}"
        return done

    def json(self, *arguments, **options):
        return json.loads(self.run("--json", *arguments, **options).stdout)

    def client(self, **options):
        """A connection of the Python client."""
        import mayfly
        return mayfly.connect(str(self.socket), **{"timeout": 300, **options})

    def children(self):
        """Pids of all descendants."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            try:  # it may end while it is looked at
                tasks = [task.read_text() for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
            except OSError:
                continue
            born = [int(child) for text in tasks for child in text.split()]
            found += born
            todo += born
        return found


@pytest.fixture
def directory():
    """A short temporary path: Unix socket names hold 107 bytes."""
    path = tempfile.mkdtemp(prefix="mayfly-", dir="/tmp")
    yield pathlib.Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def make_server(directory):
    """make_server(shards=3, ...) -> a Server that is ready; stopped at the end, which must succeed."""
    servers = []

    def make(start=True, environment=None, config=None, **options):
        place = directory / str(len(servers))
        place.mkdir()
        server = Server(place, **options)
        server.environment = environment or {}
        server.config = config or {}
        servers.append(server)
        return server.start() if start else server

    yield make
    for server in servers:
        if server.process:  # pytest shows it where the test has failed
            print(f"{server.directory.name}: status {server.process.poll()}, its log's end:\n{server.log()[-3000:]}")
        if server.is_running():
            server.stop()


@pytest.fixture
def small_disk(directory):
    """A file system of 200 MB for the data."""
    place = directory / "0" / "data"
    place.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200M", "none", place], capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
def port():
    """Of 127.0.0.1: it is kept from all others, but for a server that listens there."""
    with socket.socket() as keeping:
        keeping.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeping.bind(("127.0.0.1", 0))
        yield keeping.getsockname()[1]


@contextlib.contextmanager
def stopped(server):
    """At the end, however that comes: nothing must be open on a file system that is taken away."""
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()


def fill_disk(place, left):
    """Until so many bytes are left."""
    disk = os.statvfs(place)
    with open(place / "filler", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - left)


def pytest_generate_tests(metafunc):
    """A file whose SHARDS are [1, 3] has its servers with one shard, and with three."""
    counts = getattr(metafunc.module, "SHARDS", None)
    if counts and "server" in metafunc.fixturenames:
        metafunc.parametrize("server", counts, indirect=True, ids=lambda n: f"{n} shard{'s' if n > 1 else ''}")


@pytest.fixture
def server(request, make_server):
    return make_server(shards=request.param) if hasattr(request, "param") else make_server()


@pytest.fixture
def client(server):
    with server.client() as m:
        yield m


@pytest.fixture(scope="session")
def internal(tmp_path_factory):
    """The messages between coordinator and children, generated for Python."""
    place = tmp_path_factory.mktemp("proto")
    subprocess.run(["protoc", f"--proto_path={ROOT}/proto", f"--python_out={place}", "internal.proto"], check=True)
    sys.path.insert(0, str(place))
    yield importlib.import_module("internal_pb2")
    sys.path.remove(str(place))
