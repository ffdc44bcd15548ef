"""What holds a worker to its memory, on this machine's kernel: groups, limits, kills, and that nothing is lost by them.

Needs no more than MAYFLY_BIN and the right to make control groups; where there are none of a version, its cases skip. With
cgroup v2: tests/boot/run machine tests/cluster/test_caps.py
"""
import contextlib
import mmap
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import STOP_LIMIT, needs_hooks

SANITIZED = bool(os.environ.get("MAYFLY_SANITIZE"))
MIB = 1 << 20
NAMES = {"cgroup1": "cgroup v1", "cgroup2": "cgroup v2", "rlimit": "rlimit"}
MEMORY = 256 * MIB if SANITIZED else 64 * MIB  # shadow memory counts too
COUNT = 800 if SANITIZED else 3000
HALF = COUNT // 2
LIMIT = 60
# In its second life the server is put where the first one went, as by systemd's DelegateSubgroup=core.
ENTER = 'group=$0; if [ -d "$0/core" ]; then group=$0/core; fi; echo 0 >"$group/cgroup.procs" && exec "$@"'
WORDS = [f"{n:x}word" for n in range(40000)]


def batch(first, count=COUNT, words=200, seed=1):
    """Documents that keep a worker busy for a while."""
    chosen = random.Random(seed + first)
    return [(f"d{n}", f'{{"id":"d{n}","t":"common {" ".join(chosen.choices(WORDS, k=words))}"}}'.encode())
            for n in range(first, first + count)]


@pytest.fixture(scope="session")
def delegated():
    """A directory of cgroup v2 in which groups with a memory controller can be made, as systemd would delegate it: the
    group that the tests were started in, which they leave. None: it cannot be."""
    lines = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
    own = next((line[4:] for line in lines if line.startswith("0::/")), None)
    place = pathlib.Path("/sys/fs/cgroup") / (own or "")
    try:
        assert "memory" in (place / "cgroup.controllers").read_text().split()
        assert {"trusted.delegate", "user.delegate"} & set(os.listxattr(place))  # systemd says so: nobody's session
        rest = place / "rest"
        rest.mkdir(exist_ok=True)
        for pid in (place / "cgroup.procs").read_text().split():
            (rest / "cgroup.procs").write_text(pid)
        (place / "cgroup.subtree_control").write_text("+memory")
        return place
    except (AssertionError, OSError):
        return None


@pytest.fixture
def make_delegated(make_server, delegated):
    """As make_server, the server being alone in a group of its own where there is cgroup v2."""
    def make(**options):
        server = make_server(start=False, **options)
        if delegated:
            group = pathlib.Path(tempfile.mkdtemp(prefix="server-", dir=delegated))
            arguments = server.arguments
            server.arguments = lambda: ["/bin/sh", "-c", ENTER, str(group), *arguments()]
        return server
    return make


@pytest.fixture
def make_capped(make_delegated):
    """make_capped("cgroup1", ...): a server whose workers are held so, or the test is skipped."""
    def make(kind, worker_memory=MEMORY, environment=None, **config):
        server = make_delegated(shards=1, environment=environment,
                                config={"worker-cap": kind, "worker-memory": worker_memory, **config})
        try:
            return server.start()
        except AssertionError:
            if "worker-cap cannot be had" not in server.log():
                raise
            pytest.skip(f"workers cannot be held by {NAMES[kind]} here")
    return make


class Groups:
    """The directories of a server's workers."""

    def __init__(self, server):
        with server.client() as client:
            stats = client.stats()
        data = server.data.stat()
        self.directory, self.limit = pathlib.Path(stats.worker_groups), stats.group_limit
        self.prefix = f"mayfly-{data.st_dev:x}-{data.st_ino:x}-"
        is_first = stats.cap_enforced_by == "cgroup v1"
        self.entrance = "tasks" if is_first else "cgroup.procs"
        self.limit_file = "memory.limit_in_bytes" if is_first else "memory.max"

    def now(self):
        return sorted(path for path in self.directory.iterdir() if path.name.startswith(self.prefix))

    def of(self, pid):
        """The one that the process is in; None: in none of ours."""
        own = [line.rsplit(":", 1)[1].strip() for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        return next((self.directory / os.path.basename(path) for path in own if self.prefix in path), None)

    def overfill(self, worker):
        """Processes enter the group and take memory until the kernel puts an end to that: to the worker first, whose
        oom_score_adj counts as much as the whole group. So none of them may take all."""
        group = self.of(worker)
        assert group in self.now()
        pids = [self.fill(group, self.limit // 3, worker) for _ in range(6)]
        for pid in pids:
            os.waitpid(pid, 0)

    def fill(self, group, size, worker):
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                with open(group / self.entrance, "wb", buffering=0) as entrance:
                    entrance.write(b"0")
                taken = [mmap.mmap(-1, MIB) for _ in range(size // MIB)]
                for one in taken:
                    one.write(b"x" * MIB)
                end = time.monotonic() + LIMIT
                while str(worker) in (group / self.entrance).read_text().split() and time.monotonic() < end:
                    time.sleep(0.01)
            os._exit(0)
        return pid


def stopped_worker(client, job="build", limit=LIMIT, groups=None):
    """The pid of a worker that stands still in the middle of such a job, in its group if `groups` are given; None: they were
    all too fast."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        for p in client.stats().processes:
            if p.role != "worker" or p.job != job:
                continue
            with contextlib.suppress(OSError):
                os.kill(p.pid, signal.SIGSTOP)
                while (state := pathlib.Path(f"/proc/{p.pid}/stat").read_text().rsplit(") ", 1)[1][0]) not in "TZX":
                    pass
                if state == "T" and (groups is None or groups.of(p.pid)):
                    return p.pid
                os.kill(p.pid, signal.SIGCONT)
    return None


@contextlib.contextmanager
def writing(server, documents):
    """Adds them meanwhile, to the end."""
    results, failures = [], []

    def write():
        try:
            with server.client(timeout=100) as client:
                results.append(client.add("books", documents, wait="searchable"))
        except Exception as failure:  # the test tells
            failures.append(failure)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield results
    finally:
        thread.join(120)
        assert not thread.is_alive() and not failures, failures


def in_memory(place):
    """Where files are memory, a group may have more, for what its worker may write: here less than so much."""
    kind = subprocess.run(["stat", "--file-system", "--format=%T", place], capture_output=True, text=True, check=True).stdout.strip()
    return 64 * MIB if kind in ("tmpfs", "ramfs") else 0


def exits(client):
    return {e.reason: e.count for e in client.stats().worker_exits if e.count}


@pytest.mark.parametrize("kind", ["auto", *NAMES])
def test_the_start_says_what_holds_workers(make_delegated, kind):
    server = make_delegated(config={"worker-cap": kind})
    try:
        server.start()
    except AssertionError:
        assert kind in ("cgroup1", "cgroup2") and server.process.wait(STOP_LIMIT) == 1
        assert f"worker-cap cannot be had: {NAMES[kind]}: " in server.log()
        return
    with server.client() as client:
        stats = client.stats()
    found = {name: key for key, name in NAMES.items()}[stats.cap_enforced_by]
    assert kind in ("auto", found)
    assert bool(stats.worker_groups) == (found != "rlimit") == (stats.group_limit > 256 * MIB)
    assert "worker-memory is enforced by " in server.log()
    assert f"workers capped by {stats.cap_enforced_by}" in server.run("stats").stdout


@pytest.mark.parametrize("kind", ["cgroup1", "cgroup2"])
def test_each_worker_has_a_group_as_long_as_it_lives(make_capped, kind):
    server = make_capped(kind)
    groups = Groups(server)
    with server.client() as client, writing(server, batch(0)):
        pid = stopped_worker(client, groups=groups)
        assert pid, "no worker was seen"
        group = groups.of(pid)
        assert group in groups.now()
        assert groups.limit <= int((group / groups.limit_file).read_text()) <= groups.limit + MIB + in_memory(server.data)
        for other in server.children() + [server.process.pid]:
            assert other == pid or groups.of(other) != group
        os.kill(pid, signal.SIGCONT)
    with server.client() as client:
        client.wait_task(1)
        assert client.list_indexes()[0].documents == COUNT
        assert 0 < client.stats().group_peak <= groups.limit + MIB + in_memory(server.data) or kind == "cgroup2"  # 6.0 and older do not say
    server.stop()
    assert groups.now() == []


@pytest.mark.parametrize("kind", ["cgroup1", "cgroup2"])
def test_what_the_kernel_kills_is_done_by_another(make_capped, kind):
    """A build is killed at its group's limit, which somebody else fills; queries go on, and nothing is lost."""
    server = make_capped(kind)
    groups = Groups(server)
    with server.client() as client:
        client.add("books", [("first", b'{"id":"first","t":"earlier common"}')], wait="searchable")
        with writing(server, batch(0)) as results:
            pid = stopped_worker(client, groups=groups)
            assert pid, "no worker was seen"
            groups.overfill(pid)
            for _ in range(20):
                assert client.search("books", "earlier").ids == ["first"]
        assert results[0].refused == 0 and results[0].searchable == COUNT
        assert exits(client)["oom_killed"] >= 1
        assert {p.role for p in client.stats().processes} >= {"coordinator", "nursery", "shard"}
        assert client.list_indexes()[0].documents == COUNT + 1
        assert [t.status for t in client.tasks("books")] == ["succeeded"] * 2
        assert client.get("books", f"d{COUNT - 1}") is not None
    server.stop()
    assert groups.now() == []


@pytest.mark.parametrize("kind", ["cgroup1", "cgroup2"])
def test_a_merge_that_the_kernel_kills_is_done_with_less(make_capped, kind):
    server = make_capped(kind, merge="manual")
    groups = Groups(server)
    with server.client() as client, server.client(timeout=300) as waiting:
        for n in range(4):
            client.add("books", batch(n * HALF, HALF), wait="searchable")
        assert client.stats().indexes[0].segments >= 4
        optimizing = threading.Thread(target=waiting.optimize, args=("books",))
        optimizing.start()
        pid = stopped_worker(client, "merge", groups=groups)
        assert pid, "no merge was seen"
        groups.overfill(pid)
        optimizing.join(120)
        assert not optimizing.is_alive()
        assert exits(client)["oom_killed"] >= 1
        index = client.stats().indexes[0]
        assert (index.segments, index.documents) == (1, 4 * HALF)
        assert client.search("books", "common", limit=1).estimated_total == 4 * HALF
    server.stop()
    assert groups.now() == []


@pytest.mark.parametrize("kind", ["cgroup1", "cgroup2"])
def test_groups_of_a_killed_server_go_with_its_next_start(make_capped, kind):
    server = make_capped(kind)
    groups = Groups(server)
    with server.client() as client:
        with contextlib.suppress(Exception):
            client.add("books", batch(0), wait="accepted")
        pid = stopped_worker(client, groups=groups)
        assert pid, "no worker was seen"
        group = groups.of(pid)
    server.kill()
    assert group in groups.now()
    server.start()
    with server.client() as client:
        client.wait_task(1)
        assert client.list_indexes()[0].documents == COUNT
        assert client.stats().worker_groups == str(groups.directory)
    server.stop()
    assert groups.now() == []


HOGS = [("rlimit", "heap", "cap"), ("rlimit", "private", "kernel_cap"), ("cgroup1", "heap", "cap"),
        ("cgroup1", "private", "kernel_cap"), ("cgroup1", "shared", "oom_killed"), ("cgroup2", "heap", "cap"),
        ("cgroup2", "private", "kernel_cap"), ("cgroup2", "shared", "oom_killed")]


@pytest.mark.parametrize("kind,how,reason", HOGS)
def test_a_document_that_takes_all_memory_is_refused_and_the_cap_holds(make_capped, kind, how, reason):
    if SANITIZED and how != "shared":
        pytest.skip("the worker's own cap is not enforced under sanitizers")
    needs_hooks()
    server = make_capped(kind, environment={"MAYFLY_TEST_HOG_ID": "hog", "MAYFLY_TEST_HOG": how})
    with server.client() as client:
        client.add("books", [("old", b'{"id":"old","t":"common"}')], wait="searchable")
        documents = batch(0, 200, 20)
        result = client.add("books", documents[:100] + [("hog", b'{"id":"hog","t":"common"}')] + documents[100:],
                            wait="searchable")
        assert [(r.id, r.code) for r in result.refusals] == [("hog", "too_much_memory")]
        stats = client.stats()
        assert exits(client)[reason] >= 1
        assert stats.group_peak <= stats.group_limit + MIB
        assert client.search("books", "common", limit=1000).estimated_total == 201
        error = client.tasks("books")[0].errors[0]
        assert (error.id, error.code, error.position) == ("hog", "too_much_memory", 100)
        assert "more memory than worker-memory allows" in error.message
    server.kill()  # recovery does not try it again
    server.start()
    with server.client() as client:
        assert client.list_indexes()[0].documents == 201 and "hog" not in client.search("books", "common", limit=999).ids


def test_a_document_that_hangs_every_worker_is_refused(make_server):
    needs_hooks()
    server = make_server(shards=1, config={"worker-timeout": 5},
                         environment={"MAYFLY_TEST_HOG_ID": "hog", "MAYFLY_TEST_HOG": "none"})
    with server.client() as client:
        documents = batch(0, 200, 20)
        result = client.add("books", documents[:100] + [("hog", b'{"id":"hog"}')] + documents[100:], wait="searchable")
        assert [(r.id, r.code) for r in result.refusals] == [("hog", "quarantined")]
        assert exits(client)["timeout"] >= 2
        assert client.list_indexes()[0].documents == 200
        assert client.tasks("books")[0].errors[0].message == "it ended every worker that tried it: timeout"


# Roles whose own memory is bounded by lines of the budget: each process by one of each.
def allowed(budget, role):
    return sum(line.each for line in budget.lines if line.process == role and line.what != "page cache, tables")


@pytest.mark.parametrize("kind", ["auto", "rlimit"])
def test_the_budget_is_declared_and_kept(make_capped, kind):
    server = make_capped(kind, workers=3)
    with server.client() as client:
        client.create_index("books")
    with server.client() as client, writing(server, batch(0)):
        budget, stats = client.budget(), client.stats()
        assert budget.total == sum(line.count * line.each for line in budget.lines)
        assert (budget.cap_enforced_by, budget.worker_groups) == (stats.cap_enforced_by, stats.worker_groups)
        assert budget.room <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        workers = {line.what: line for line in budget.lines if line.process == "worker"}
        assert (workers["worker-memory"].count, workers["worker-memory"].each) == (3, MEMORY)
        cache = workers["page cache, tables"].each if kind != "rlimit" and stats.worker_groups else 0
        assert stats.group_limit == MEMORY + cache
        if not SANITIZED:
            for _ in range(50):
                client.search("books", "common")
                for p in client.stats().processes:
                    assert p.rss_anon + p.rss_shmem <= allowed(budget, p.role), p
    shown = server.json("budget")
    assert shown["total"] == budget.total and len(shown["lines"]) == len(budget.lines)
    text = server.run("budget").stdout
    assert f"worker-memory is enforced by: {stats.cap_enforced_by}" in text
    assert all(len(line) <= 80 for line in text.splitlines() if "control groups" not in line)
    assert "budget: at most " in server.log() and "process=worker: worker-memory 3 x " in server.log()
