"""What a service manager hears and hands over: readiness, reload, stop, the watchdog, listening sockets."""
import contextlib
import os
import select
import signal
import socket
import subprocess
import threading
import time

import mayfly
from conftest import BIN, START_LIMIT


class Manager:
    """A service manager: its NOTIFY_SOCKET, and sockets that it passes as descriptors 3 and on."""

    def __init__(self, directory, watchdog_us=None):
        self.directory, self.watchdog_us = directory, watchdog_us
        self.heard = []
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(directory / "manager"))
        self.passed = []  # (name, socket)
        self.process = None

    def listen(self, name, family, address):
        passing = socket.socket(family, socket.SOCK_STREAM)
        passing.bind(address)
        passing.listen(100)
        self.passed.append((name, passing))
        return passing

    def start(self, *arguments):
        environment = {**os.environ, "NOTIFY_SOCKET": str(self.directory / "manager")}
        if self.watchdog_us:
            environment["WATCHDOG_USEC"] = str(self.watchdog_us)
        command = [str(BIN / "mayflyd"), "--deadline-ms", "60000", *map(str, arguments)]  # the machine may be busy
        if self.passed:
            environment["LISTEN_FDS"] = str(len(self.passed))
            environment["LISTEN_FDNAMES"] = ":".join(name for name, _ in self.passed)
            fds = [passing.fileno() for _, passing in self.passed]
            # The shell puts the descriptors where they belong and is the process that LISTEN_PID names.
            moves = " ".join(f"{3 + i}<&{100 + i}" for i in range(len(fds)))
            for i, fd in enumerate(fds):
                os.dup2(fd, 100 + i)
            closes = " ".join(f"{100 + i}<&-" for i in range(len(fds)))
            command = ["/bin/bash", "-c", f'export LISTEN_PID=$$; exec "$@" {moves} {closes}', "sh", *command]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            pass_fds=range(100, 100 + len(self.passed)))
        for i in range(len(self.passed)):
            os.close(100 + i)

    def await_line(self, start, limit=START_LIMIT):
        """Until a line that begins so is heard; the lines before it stay in `heard`."""
        end = time.monotonic() + limit
        while True:
            ready, _, _ = select.select([self.notify], [], [], max(0, end - time.monotonic()))
            assert ready, f"{start} was not heard within {limit} s, but {self.heard}\n{self.log()}"
            lines = self.notify.recv(4096).decode().splitlines()
            self.heard += lines
            for line in lines:
                if line.startswith(start):
                    return line

    def log(self):
        return (self.directory / "log").read_text()[-4000:]

    def end(self):
        self.notify.close()
        for _, passing in self.passed:
            passing.close()
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def managed(directory, **options):
    manager = Manager(directory, **options)
    try:
        yield manager
    finally:
        manager.end()


def documents(count):
    return [{"id": n, "text": f"a bridge over water {n}"} for n in range(count)]


def test_a_life_as_the_manager_hears_it(directory):
    with managed(directory, watchdog_us=1000000) as m:
        m.start("--data", directory / "data", "--socket", directory / "sock", "--shards", 1)
        m.await_line("READY=1")
        assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in m.heard)
        m.await_line("STATUS=ready")
        m.await_line("WATCHDOG=1")
        m.process.send_signal(signal.SIGHUP)
        m.await_line("RELOADING=1")
        at = int(m.heard[-1].removeprefix("MONOTONIC_USEC="))  # of the same datagram
        assert 0 < time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6 - at < 600e6
        m.await_line("READY=1")
        m.process.send_signal(signal.SIGTERM)
        m.await_line("STOPPING=1")
        m.await_line("EXTEND_TIMEOUT_USEC=25000000")
        assert m.process.wait(60) == 0


def test_passed_sockets_are_served_and_outlive_the_server(directory):
    path = str(directory / "passed")
    with managed(directory) as m:
        m.listen("unix", socket.AF_UNIX, path)
        tcp = m.listen("tcp", socket.AF_INET, ("127.0.0.1", 0))
        m.start("--data", directory / "data", "--socket", directory / "own", "--shards", 1)
        m.await_line("READY=1")
        assert not (directory / "own").exists()  # it was not needed
        with mayfly.connect(path) as one, mayfly.connect(tcp.getsockname()) as two:
            one.add("films", documents(10), wait="searchable")
            assert len(two.search("films", "bridge").hits) == 10
            environment = open(f"/proc/{one.stats().processes[1].pid}/environ", "rb").read()
            assert b"LISTEN_FDS" not in environment
        m.process.send_signal(signal.SIGTERM)
        assert m.process.wait(60) == 0
        assert os.path.exists(path)
        waiting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        waiting.connect(path)  # in the backlog, until the next life takes it
        waiting.close()
        m.start("--data", directory / "data", "--shards", 1)
        with mayfly.connect(path) as again:  # it waits until everything can be answered
            assert len(again.search("films", "bridge").hits) == 10
        m.await_line("READY=1")


def test_a_passed_descriptor_that_is_no_socket_is_named(directory):
    with managed(directory) as m:
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        m.passed.append(("odd", plain))
        m.start("--data", directory / "data", "--shards", 1)
        assert m.process.wait(60) == 1
        assert "(odd)" in m.log()


def test_a_restart_loses_no_query(directory):
    """Every connection that was made is answered, by this life or the next."""
    path = str(directory / "passed")
    stop, failures, answered = threading.Event(), [], [0, 0, 0]

    def ask(me):
        while not stop.is_set():
            try:
                with mayfly.connect(path) as client:
                    assert len(client.search("films", "bridge").hits) == 10
                    answered[me] += 1
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(repr(failure))

    with managed(directory) as m:
        m.listen("unix", socket.AF_UNIX, path)
        m.start("--data", directory / "data", "--shards", 1)
        with mayfly.connect(path) as client:
            client.add("films", documents(10), wait="searchable")
        m.await_line("READY=1")
        threads = [threading.Thread(target=ask, args=(me,)) for me in range(len(answered))]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                m.process.send_signal(signal.SIGTERM)
                assert m.process.wait(60) == 0
                m.start("--data", directory / "data", "--shards", 1)
                before = list(answered)
                m.await_line("READY=1")
                with mayfly.connect(path) as client:
                    client.ping()
                assert all(a >= b for a, b in zip(answered, before))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert not failures, failures[:5]
        assert all(answered)
