"""Another mayflyd takes the place of one: SIGUSR2, without a service manager. Nobody is refused, nothing is lost."""
import contextlib
import fcntl
import os
import re
import select
import shutil
import signal
import socket
import threading
import time

import mayfly
import mayfly_pb2 as pb
import pytest
from conftest import BIN, START_LIMIT, await_ends, await_tasks, has_workers, nursery_of
from mayfly.wire import frame
from watch import Watch


def coordinator(server):
    with server.client() as m:
        return next(p.pid for p in m.stats().processes if p.role == "coordinator")


class Stream(threading.Thread):
    """Searches, each on a connection of its own, beside searches on one that is kept, and writes that are acknowledged, until
    it is told to end. None may fail, and the connection that is kept stays."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ending, self.failures, self.searches, self.written = server, False, [], 0, 0

    def run(self):
        try:
            with self.server.client() as kept:
                while not self.ending:
                    self.search(kept)
                    with self.server.client() as m:
                        self.search(m)
                    self.write()
        except Exception as failure:  # the test says so
            self.failures.append(repr(failure))

    def search(self, m):
        assert m.search("films", "bridge", deadline_ms=30000).estimated_total >= 50
        self.searches += 1

    def write(self):
        with self.server.client() as m:
            m.add("films", [{"id": f"w{self.written}", "title": "bridge"}])
        self.written += 1


class Notified:
    """What the service manager of a server hears."""

    def __init__(self, server):
        self.path = server.directory / "manager"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.heard = []

    def wait(self, word):
        while not any(word in one for one in self.heard):
            assert select.select([self.socket], [], [], START_LIMIT)[0], self.heard
            self.heard.append(self.socket.recv(4096).decode())
        return next(one for one in self.heard if word in one)


@pytest.fixture
def server(make_server):
    made = make_server(shards=2, readers=1)
    with made.client() as m:
        m.add("films", [{"id": n, "title": "bridge"} for n in range(50)], wait="searchable")
    yield made
    if not made.is_running():
        end_of_another(made)


def end_of_another(server):
    """Who is there now is no child of the tests."""
    pid = coordinator(server)
    os.kill(pid, signal.SIGTERM)
    await_ends([pid], 60)
    assert not server.socket.exists()


def hand_over(server):
    """To another: its pid."""
    old = coordinator(server)
    os.kill(old, signal.SIGUSR2)
    if old == server.process.pid:
        assert server.process.wait(60) == 0, server.log()
    else:
        await_ends([old], 60)
    new = coordinator(server)
    assert new != old
    return new


def test_none_of_a_stream_of_requests_is_lost(server):
    stream = Stream(server)
    stream.start()
    try:
        for _ in range(3):
            before = stream.searches
            hand_over(server)
            while stream.searches < before + 5 and not stream.failures:
                stream.join(0.05)
    finally:
        stream.ending = True
        stream.join(60)
    assert stream.failures == []
    with server.client() as m:
        await_tasks(m)  # what was accepted last may have been left to this life
        for number in range(stream.written):
            assert m.get("films", f"w{number}")["title"] == "bridge"


def test_a_search_in_flight_is_answered_by_the_old_one(server):
    with server.client() as m:
        shards = [p.pid for p in m.stats().processes if p.role == "shard"]
        for pid in shards:
            os.kill(pid, signal.SIGSTOP)
        request = m.send_search("films", "bridge", deadline_ms=20000)
        m.ping()
        with Watch(server.log_path) as watch:
            server.process.send_signal(signal.SIGUSR2)
            watch.wait(lambda: "takes over" in server.log())
        for pid in shards:
            os.kill(pid, signal.SIGCONT)
        assert len(m.search_answer(request).hits) == 20
    assert server.process.wait(60) == 0
    assert coordinator(server) != server.process.pid


SHARD = """#!/bin/sh
exec 9<{gate}
flock -s 9
exec 9<&- {bin}/mayfly-shard "$@"
"""


@pytest.fixture
def gated(make_server, directory):
    """A server whose shards start only while nobody has the file `gate` to himself."""
    libexec = directory / "libexec"
    libexec.mkdir()
    (directory / "gate").touch()
    (libexec / "mayfly-worker").symlink_to(BIN.absolute() / "mayfly-worker")
    (libexec / "mayfly-shard").write_text(SHARD.format(gate=directory / "gate", bin=BIN.absolute()))
    (libexec / "mayfly-shard").chmod(0o755)
    made = make_server(shards=2, readers=1, libexec=libexec)
    with made.client() as m:
        m.add("films", [{"id": n, "title": "bridge"} for n in range(50)], wait="searchable")
    yield made
    if not made.is_running():
        end_of_another(made)


@contextlib.contextmanager
def heir_held_up(server, directory):
    """Another one is started, has the data, and is not ready before the end of this; its pid, and what lets it go on at once."""
    with open(directory / "gate", "rb") as gate, Watch(server.log_path) as watch:
        fcntl.flock(gate, fcntl.LOCK_EX)
        server.process.send_signal(signal.SIGUSR2)
        watch.wait(lambda: "the data is given up" in server.log(), START_LIMIT)
        yield int(re.findall(r"takes over pid=(\d+)", server.log())[-1]), lambda: fcntl.flock(gate, fcntl.LOCK_UN)


def searches(m, index="films"):
    assert m.search(index, "bridge", deadline_ms=30000).estimated_total >= 50
    assert m.get(index, "7")["title"] == "bridge"


def tower(key):
    return {"body": mayfly.pack_operations([(key, b'{"id":"%s","title":"tower"}' % key.encode())]),
            "write": pb.Write(index="films", last=True)}


def test_searches_are_answered_until_the_other_is_ready(gated, directory):
    """On connections of before and on new ones; what writes waits, and is done by the other, on the same connection."""
    with gated.client() as kept, gated.client() as writer, gated.client() as idle, gated.client() as new:
        idle.ping()
        with heir_held_up(gated, directory) as (_, let_go):
            searches(kept)
            written = writer.send(**tower("x1"))
            behind = writer.send(index_list=pb.IndexList())
            created = new.send(index_create=pb.IndexCreate(index="other"))
            with gated.client() as last:
                searches(last)
                assert last.ping() == "ready"
                assert [i.uid for i in last.list_indexes()] == ["films"]
            let_go()
            assert writer.answer(written)[0].accepted == 1
            assert {i.uid for i in writer.answer(behind)[0].indexes} >= {"films"}
            new.answer(created)
        assert gated.process.wait(60) == 0
        await_tasks(kept)
        for client in (kept, writer, idle, new):  # none was closed
            searches(client)
            assert client.get("films", "x1")["title"] == "tower"


def test_half_a_request_is_read_on_by_the_other(server):
    """Cut anywhere: in the header, in the envelope."""
    whole = frame(pb.Envelope(request=7, search=pb.Search(index="films", query="bridge", limit=1)))
    cuts = [3, 8, 12]
    clients = [server.client() for _ in cuts]
    for client, cut in zip(clients, cuts):
        client.ping()
        client.send_raw(whole[:cut])
    hand_over(server)
    for client, cut in zip(clients, cuts):
        client.send_raw(whole[cut:])
        assert client.answer(7)[0].estimated_total >= 50
        client.close()


def hold_up(client, nursery):
    """What is accepted from now on is for the other to apply, and not for a worker that was forked ahead of it."""
    while has_workers(client, nursery):
        time.sleep(0.02)  # nothing tells that the last one has ended
    os.kill(nursery, signal.SIGSTOP)


def test_who_waits_for_a_task_is_told_by_the_other(server):
    with server.client() as waiter, server.client() as m:
        nursery = nursery_of(m)
        hold_up(m, nursery)
        task = m.add("films", [{"id": "late", "title": "bridge"}]).task
        waits = waiter.send(task_wait=pb.TaskWait(uid=task))
        waiter.ping()
        hand_over(server)
        assert waiter.answer(waits)[0].tasks[0].status == "succeeded"
        assert waiter.get("films", "late")["title"] == "bridge"


def test_a_stream_under_way_is_told_what_is_safe(server):
    """What it has sent to the end is accepted and told so, then it is cut; nobody could go on in the middle of it."""
    with server.client() as m:
        first = m.send(mayfly.pack_operations([(f"s{n}", b'{"id":"s%d","title":"tower"}' % n) for n in range(3)]) + b"\5\0",
                       write=pb.Write(index="films"))
        while m.answer(first)[0].accepted < 3:
            pass
        server.process.send_signal(signal.SIGUSR2)
        with pytest.raises(mayfly.Failure) as failure:
            while True:
                m.answer(first)
        assert failure.value.code == "stopping"
        with pytest.raises((mayfly.Closed, ConnectionError)):
            m.receive()
    assert server.process.wait(60) == 0
    with server.client() as m:
        await_tasks(m)
        assert [m.get("films", f"s{n}")["title"] for n in range(3)] == ["tower"] * 3


def test_who_waits_for_a_whole_stream_is_told_that_it_is_safe(server):
    """The heir knows its task, not its request: so its client is told at once, and may wait for the task on the same connection."""
    with server.client() as m:
        nursery = nursery_of(m)
        hold_up(m, nursery)
        body = mayfly.pack_operations([(f"s{n}", b'{"id":"s%d","title":"tower"}' % n) for n in range(3)])
        written = m.send(body, write=pb.Write(index="films", wait="SEARCHABLE", last=True))
        while (told := m.answer(written)[0]).accepted < 3:
            pass
        assert not told.done and told.task
        server.process.send_signal(signal.SIGUSR2)
        with pytest.raises(mayfly.Failure) as failure:
            m.answer(written)
        assert failure.value.code == "stopping" and "all is accepted and safe" in str(failure.value)
        task = m.wait_task(told.task)
        assert (task.status, task.searchable, task.refused) == ("succeeded", 3, 0)
        assert m.search("films", "tower").estimated_total == 3
    assert server.process.wait(60) == 0


def test_one_that_dies_before_it_is_ready_leaves_an_error(gated, directory):
    """It had the data: the old one has nothing to go on with, and says so to whoever starts it again."""
    with gated.client() as m:
        with heir_held_up(gated, directory) as (heir, _):
            written = m.send(**tower("x1"))
            os.kill(heir, signal.SIGKILL)
            with pytest.raises((mayfly.Failure, mayfly.Closed, ConnectionError)):
                m.answer(written)
            assert gated.process.wait(60) == 1
    assert "has ended before it was ready" in gated.log()
    gated.start()
    with gated.client() as m:
        searches(m)


def test_one_that_does_not_start_takes_nothing_over(make_server, directory):
    program = directory / "bin"
    program.mkdir()
    for name in ("mayflyd", "mayfly-worker", "mayfly-shard"):
        shutil.copy2(BIN / name, program / name)
    server = make_server(start=False, shards=1)
    arguments = server.arguments
    server.arguments = lambda: [str(program / "mayflyd"), *arguments()[1:]]
    server.start()
    with server.client() as m:
        m.add("films", [{"id": 1, "title": "bridge"}], wait="searchable")
    (program / "mayflyd").unlink()
    for what in (None, "#!/bin/sh\nexit 1\n"):  # the program is gone; it ends at once
        if what:
            (program / "mayflyd").write_text(what)
            (program / "mayflyd").chmod(0o755)
        seen = server.log().count("does not take over")
        with Watch(server.log_path) as watch:
            server.process.send_signal(signal.SIGUSR2)
            watch.wait(lambda: server.log().count("does not take over") > seen)
        assert server.is_running() and coordinator(server) == server.process.pid
    with server.client() as m:
        assert m.search("films", "bridge").estimated_total == 1


def test_the_service_manager_is_told_who_is_there_now(make_server):
    server = make_server(start=False, shards=1)
    notified = Notified(server)
    start, environment = server.start, {"NOTIFY_SOCKET": str(notified.path)}
    arguments = server.arguments
    server.arguments = lambda: ["/usr/bin/env", f"NOTIFY_SOCKET={notified.path}", *arguments()]
    start(wait=False)
    notified.wait("READY=1")
    assert environment
    notified.heard.clear()
    server.process.send_signal(signal.SIGUSR2)
    told = int(notified.wait("MAINPID=").split("MAINPID=")[1].split()[0])
    notified.wait("READY=1")
    assert server.process.wait(60) == 0
    assert coordinator(server) == told
    assert not any("STOPPING=1" in one for one in notified.heard)
    os.kill(told, signal.SIGTERM)
    await_ends([told], 60)
    notified.socket.close()
    with pytest.raises(OSError):
        mayfly.connect(str(server.socket))
