"""Another mayflyd takes the place of one: SIGUSR2, without a service manager. Nobody is refused, nothing is lost."""
import os
import select
import shutil
import signal
import socket
import threading

import mayfly
import pytest
from conftest import BIN, START_LIMIT, await_ends, await_tasks
from watch import Watch


def coordinator(server):
    with server.client() as m:
        return next(p.pid for p in m.stats().processes if p.role == "coordinator")


class Stream(threading.Thread):
    """Searches and gets, each on a connection of its own, and writes that are acknowledged, until it is told to end."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ending, self.failures, self.searches, self.written = server, False, [], 0, 0

    def run(self):
        while not self.ending:
            try:
                with self.server.client() as m:
                    assert m.search("films", "bridge", deadline_ms=30000).estimated_total >= 50
                self.searches += 1
                self.write()
            except Exception as failure:  # the test says so
                self.failures.append(repr(failure))

    def write(self):
        """Who is on the old one's last connections is told that it stops, and that nothing was written."""
        try:
            with self.server.client() as m:
                m.add("films", [{"id": f"w{self.written}", "title": "bridge"}])
            self.written += 1
        except mayfly.Failure as failure:
            if failure.code != "stopping":
                raise


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
    if made.is_running():
        return
    pid = coordinator(made)
    os.kill(pid, signal.SIGTERM)
    await_ends([pid], 60)
    assert not made.socket.exists()


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
