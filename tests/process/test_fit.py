"""The budget follows the limit of the server's own control group: settings are cut at start and at a reload."""
import pathlib
import signal
import tempfile

import mayfly
import pytest
from watch import Watch

MIB = 1 << 20


class Group:
    """A control group that counts memory, below the one that the tests are in."""

    def __init__(self, directory, limit_file):
        self.directory, self.limit_file = directory, directory / limit_file

    def limit(self, bytes):
        self.limit_file.write_text(str(bytes))

    def enter(self, server):
        arguments = server.arguments
        server.arguments = lambda: ["/bin/sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(self.directory),
                                    *arguments()]


def places():
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            yield pathlib.Path("/sys/fs/cgroup/memory") / path[1:], "memory.limit_in_bytes"
        elif number == "0":
            yield pathlib.Path("/sys/fs/cgroup") / path[1:], "memory.max"


@pytest.fixture
def group():
    for place, limit_file in places():
        try:
            made = pathlib.Path(tempfile.mkdtemp(prefix="mayfly-fit-", dir=place))
        except OSError:
            continue
        if (made / limit_file).exists():
            yield Group(made, limit_file)
            for below in sorted(made.rglob("*"), reverse=True):
                if below.is_dir():
                    below.rmdir()
            made.rmdir()
            return
        made.rmdir()
    pytest.skip("no control group that counts memory can be made here")


def test_settings_are_cut_to_the_limit_and_given_back(group, make_server):
    group.limit(2000 * MIB)
    server = make_server(start=False, config={"worker-cap": "rlimit", "workers": 6})
    group.enter(server)
    server.start()
    with server.client() as m:
        budget = m.budget()
        assert budget.limit == 2000 * MIB and budget.total <= budget.limit
        cuts = {cut.key: (cut.wanted, cut.given) for cut in budget.cuts}
        assert cuts["workers"] == ("6", "2") and cuts["heap of a shard"] == ("512M", "128M")
        shard = next(p for p in m.stats().processes if p.role == "shard")
        assert shard.heap.limit in (0, 128 * MIB)  # 0: not our malloc
        m.add("books", [{"id": n, "title": "water"} for n in range(100)], wait="searchable")
        assert m.search("books", "water").estimated_total == 100
        assert "workers is 2 instead of 6" in server.log()
        assert "workers is 2 instead of 6" in server.run("budget").stdout
        assert {"key": "workers", "wanted": "6", "given": "2"} in server.json("budget")["cuts"]
        group.limit(8000 * MIB)
        with Watch(server.log_path) as watch:
            server.process.send_signal(signal.SIGHUP)
            watch.wait(lambda: "the configuration was reloaded" in server.log())
        after = m.budget()
        assert after.limit == 8000 * MIB
        assert [cut.key for cut in after.cuts] == ["heap of a shard"]  # of processes that run
        assert next(line.count for line in after.lines if line.what == "worker-memory") == 6


def test_too_little_is_refused_at_the_start_by_name(group, make_server):
    group.limit(300 * MIB)
    server = make_server(start=False, config={"worker-cap": "rlimit"})
    group.enter(server)
    with pytest.raises(AssertionError, match="may have 300M of memory, and with shards = 2 it takes .* at the least"):
        server.start()


def test_a_limit_above_ours_counts_too(group, make_server):
    group.limit(2000 * MIB)
    inner = group.directory / "inner"
    inner.mkdir()
    server = make_server(start=False, config={"worker-cap": "rlimit"})
    if group.limit_file.name == "memory.max":  # a group that hands memory down holds no process
        (group.directory / "cgroup.subtree_control").write_text("+memory")
    Group(inner, group.limit_file.name).enter(server)
    server.start()
    with server.client() as m:
        assert m.budget().limit == 2000 * MIB
    server.stop()


def test_more_shards_than_fit_are_refused_by_name(group, make_server):
    """While both numbers are there, their processes count; once the limit is higher they are let in."""
    group.limit(2000 * MIB)
    server = make_server(start=False, readers=1, config={"worker-cap": "rlimit"})
    group.enter(server)
    server.start()
    with server.client() as m:
        m.add("books", [{"id": n, "title": "water"} for n in range(100)], wait="searchable")
        with pytest.raises(mayfly.Failure, match="its control group may have 2000M") as failure:
            m.reshard(40)
        assert failure.value.code == "budget" and m.stats().shards == 2
        shards = next(line.count for line in m.budget().lines if line.what == "heap")
        assert m.wait_task(m.reshard(1, wait=False).task).status == "succeeded"  # fewer always fit
        group.limit(8000 * MIB)
        assert m.wait_task(m.reshard(4, wait=False).task).status == "succeeded"
        after = next(line.count for line in m.budget().lines if line.what == "heap")
        assert (shards, after) == (2, 4) and m.search("books", "water").estimated_total == 100
