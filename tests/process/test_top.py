"""mayfly top, on a terminal and elsewhere, against a server whose figures are made up."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import pathlib
import termios
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import mayfly_pb2 as pb  # noqa: E402
from conftest import BIN  # noqa: E402
from fake_server import FakeServer  # noqa: E402

LIMIT = 30  # seconds
MIB = 1 << 20
TAKEN, LEFT = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"
HOME = b"\x1b[H"


class Figures:
    """Each reading counts on: 100 searches of 8 ms, one of them of 1 s, and 50 operations."""

    def __init__(self):
        self.readings = 0

    def __call__(self):
        process, self.readings = pb.Stats.Process, self.readings + 1
        latency = [0] * 160
        latency[88] = 99 * self.readings   # up to 9.2 ms: proto/latency.h
        latency[143] = self.readings       # up to 1.05 s
        shards = [process(pid=100 + n, role="shard", shard=n // 2, reader=n % 2, rss_anon=5 * MIB, rss_file=20 * MIB,
                          arena_used=48 * MIB, cap=64 * MIB, indexes_mapped=30 * MIB) for n in range(4)]
        workers = [process(pid=1000 + n, role="worker", state="indexing", job="build", index="books", shard=n,
                           rss_anon=60 * MIB, arena_used=240 * MIB, cap=256 * MIB, documents_done=25, documents_total=100,
                           bytes_done=3 * MIB) for n in range(2)]
        return pb.Stats(
            processes=[process(pid=1, role="coordinator", shard=-1, rss_anon=MIB, rss_shmem=MIB),
                       process(pid=2, role="nursery", shard=-1, rss_anon=MIB)] + shards + workers,
            worker_exits=[pb.Stats.Exit(reason="done", count=7), pb.Stats.Exit(reason="cap")],
            indexes=[pb.Stats.Index(uid="books", documents=12345, segments=7, bytes=33 * MIB, mapped=66 * MIB, heap=MIB,
                                    open_in=4)] + [pb.Stats.Index(uid=f"index-{n}" * 12) for n in range(30)],
            started_at=1700000000000000, version="9.9", state="ready", cap_enforced_by="cgroup v2",
            searches=100 * self.readings, operations=50 * self.readings, latency=latency, latency_sum_us=1,
            region_bytes=200 * MIB, region_budget=256 * MIB, regions=17, log_bytes=MIB, log_quota=1024 * MIB, connections=3,
            clients_waiting=2, workers_started=9, worker_peak_last=50 * MIB, worker_peak_most=60 * MIB,
            worker_teardown_last_us=12345, worker_teardown_most_us=20000)


@pytest.fixture
def fake(directory):
    server = FakeServer(directory / "sock")
    server.stats = Figures()
    yield server
    server.close()


def command(fake, *arguments):
    return [str(BIN / "mayfly"), "--socket", fake.path, "top", *map(str, arguments)]


def run(fake, *arguments, status=0, **options):
    done = subprocess.run(command(fake, *arguments), capture_output=True, timeout=60, **options)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return done.stdout.decode(), done.stderr.decode()


def blocks(text):
    return [block.splitlines() for block in text.strip().split("\n\n")]


# ------------------------------------------------------------------------------------------------------ elsewhere

def test_elsewhere_it_prints_a_block_of_plain_lines_for_each_interval(fake):
    text, _ = run(fake, "--interval", 0.1, "--count", 3)
    assert len(blocks(text)) == 3 and fake.stats.readings == 4
    assert not re.search(r"[^\n -~]", text), "neither colours nor anything else that is not text"
    assert all(len(line) <= 80 for block in blocks(text) for line in block if "index-" not in line)
    lines = blocks(text)[0]
    assert lines[0].startswith("mayflyd 9.9 ready, up ") and "capped by cgroup v2" in lines[0]
    rate, p50, p99 = re.match(r"searches +([\d.]+)/s +p50 +(.+?) +p99 +(.+?) +of 200$", lines[1]).groups()
    assert float(rate) > 0 and (p50, p99) == ("9.22 ms", "9.22 ms")
    assert re.match(r"writes +[\d.]+/s +clients 3, waiting for room 2$", lines[2])
    assert "[########..] 200.0M of 256.0M in 17" in lines[3] and "[..........] 1.0M of 1.0G" in lines[3]


def test_memory_is_summed_by_phase_and_told_by_process(fake):
    lines = blocks(run(fake, "--interval", 0.1, "--count", 1)[0])[0]
    rows = [line.split() for line in lines]
    assert ["receiving", "2.0M", "-", "-", "-", "-"] in rows
    assert ["coordinator", "1", "2.0M", "-", "-", "-", "-"] in rows
    assert ["searching", "20.0M", "80.0M", "120.0M", "192.0M", "256.0M"] in rows
    assert ["shard", "1.0", "102", "5.0M", "20.0M", "30.0M", "48.0M", "64.0M", "[######..]"] in rows
    assert ["indexing", "121.0M", "-", "-", "480.0M", "512.0M"] in rows
    assert ["worker", "1001", "60.0M", "-", "-", "240.0M", "256.0M", "[########]"] in rows
    assert ["build", "books.1", "indexing", "[#####...............]", "25", "of", "100,", "3.0M"] in rows
    assert "workers 9, arena last 50.0M, most 60.0M, memory back in 12.35 ms, most 20.00 ms" in lines
    assert "ended: done 7" in lines
    assert ["books", "12345", "7", "33.0M", "66.0M", "1.0M", "4"] in rows


def test_a_quantile_of_rare_long_searches_is_of_the_interval(fake):
    figures, before = fake.stats, fake.stats()
    long_ones = pb.Stats()
    long_ones.CopyFrom(before)
    long_ones.latency[143] += 10
    long_ones.searches += 10
    answers = [before, long_ones]
    fake.stats = lambda: answers.pop(0) if answers else figures()
    assert re.search(r"p50 +1.05 s +p99 +1.05 s", run(fake, "--interval", 0.1, "--count", 1)[0])


def test_a_server_that_was_started_anew_has_no_rates_at_first(fake):
    figures = fake.stats
    answers = [figures(), figures(), pb.Stats(version="9.9", state="ready"), pb.Stats(version="9.9", state="ready")]
    fake.stats = lambda: answers.pop(0)
    first, anew, idle = blocks(run(fake, "--interval", 0.1, "--count", 3)[0])
    assert re.match(r"searches +[\d.]+/s ", first[1]) and re.match(r"searches +- +p50 +- +p99 +- ", anew[1])
    assert re.match(r"searches +0.0/s +p50 +- +p99 +- ", idle[1])


def test_json_is_one_document(fake):
    found = json.loads(run(fake, "--json", "--interval", 0.1)[0])
    assert found["p99_us"] == 9216 and found["clients_waiting"] == 2 and found["searches_per_second"] > 0


def test_what_makes_no_sense_is_refused(fake):
    for arguments in (["--interval", "0"], ["--interval", "x"], ["--interval", "nan"], ["--count", "0"], ["more"]):
        run(fake, *arguments, status=2)


def test_a_server_that_ends_ends_it(fake, directory):
    fake.errors["stats_get"] = pb.Error(code="internal", message="no figures")
    _, errors = run(fake, "--interval", 0.1, status=1)
    assert "no figures (internal)" in errors
    subprocess_status = subprocess.run([str(BIN / "mayfly"), "--socket", str(directory / "none"), "top"], timeout=60,
                                       capture_output=True).returncode
    assert subprocess_status == 3


# ------------------------------------------------------------------------------------------------------ a terminal

class Terminal:
    """A pseudo terminal with top in it, as its own session."""

    def __init__(self, fake, *arguments, columns=80, rows=24, **environment):
        self.main, side = pty.openpty()
        self.before = termios.tcgetattr(side)
        self.side = side
        self.resize(columns, rows)
        env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}

        def own_terminal():
            os.setsid()
            fcntl.ioctl(side, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(command(fake, *arguments), stdin=side, stdout=side, stderr=side,
                                        preexec_fn=own_terminal, env={**env, "TERM": "xterm", **environment})
        self.seen = b""

    def resize(self, columns, rows):
        fcntl.ioctl(self.main, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, holds):
        """What has come since, until it is enough."""
        end, seen = time.monotonic() + LIMIT, b""
        while not holds(seen):
            ready, _, _ = select.select([self.main], [], [], max(0, end - time.monotonic()))
            assert ready, (seen, self.seen)
            try:
                part = os.read(self.main, 65536)
            except OSError:  # nobody has the other side any more
                part = b""
            assert part, (seen, self.seen)
            seen += part
        self.seen += seen
        return seen

    def frame(self):
        """The lines of the next picture that is drawn whole."""
        found = self.read_until(lambda seen: HOME in seen and b"\x1b[J" in seen.split(HOME, 1)[1])
        return found.split(HOME, 1)[1].split(b"\x1b[J", 1)[0].decode().split("\r\n")

    def type(self, keys):
        os.write(self.main, keys)

    def ends(self):
        self.read_until(lambda seen: LEFT in seen)
        assert self.process.wait(LIMIT) == 0
        assert termios.tcgetattr(self.side) == self.before
        assert self.seen.count(TAKEN) == self.seen.count(LEFT)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.side)
        os.close(self.main)


@pytest.fixture
def terminal(fake):
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(contextlib.closing(Terminal(fake, *arguments, **options)))


def plain(line):
    return re.sub(r"\x1b\[[\d;]*[mK]|\r", "", line)


def test_on_a_terminal_it_takes_the_screen_and_fits_it(terminal):
    top = terminal("--interval", 0.2)
    lines = top.frame()
    assert top.seen.startswith(TAKEN)
    assert len(lines) == 24 and all(len(plain(line)) <= 80 for line in lines)
    assert plain(lines[0]).startswith("mayflyd 9.9 ready") and "-" in plain(lines[1])
    assert "\x1b[31;1m" in "".join(lines), "what is near its cap stands out"
    assert re.match(r"searches +[\d.]+/s", plain(top.frame()[1]))
    changed = termios.tcgetattr(top.side)[3]
    assert not changed & termios.ICANON and not changed & termios.ECHO
    top.type(b"q")
    top.ends()


def test_keys_draw_and_only_q_ends(terminal):
    top = terminal("--interval", 3600)
    first = top.frame()
    top.type(b"x")
    assert top.frame() == first
    assert top.process.poll() is None
    top.type(b"Q")
    top.ends()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_and_leave_the_terminal_as_it_was(terminal, number):
    top = terminal("--interval", 3600)
    top.frame()
    if number == signal.SIGINT:
        top.type(b"\x03")  # Ctrl-C, which the terminal makes a signal of
    else:
        top.process.send_signal(number)
    top.ends()


def test_a_resized_terminal_is_drawn_anew(terminal):
    top = terminal("--interval", 3600)
    assert len(top.frame()) == 24
    top.resize(50, 10)
    lines = top.frame()
    assert len(lines) == 10 and max(len(plain(line)) for line in lines) == 50
    top.resize(100, 40)
    assert len(top.frame()) == 40
    top.type(b"q")
    top.ends()


def test_it_can_be_stopped_and_goes_on(terminal):
    top = terminal("--interval", 3600)
    top.frame()
    top.type(b"\x1a")  # Ctrl-Z
    top.read_until(lambda seen: LEFT in seen)
    _, status = os.waitpid(top.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status) and termios.tcgetattr(top.side) == top.before
    top.process.send_signal(signal.SIGCONT)
    top.read_until(lambda seen: TAKEN in seen and b"\x1b[J" in seen)
    top.type(b"q")
    top.ends()


def test_colours_only_where_they_are_wanted(terminal):
    for environment in ({"NO_COLOR": "1"}, {"TERM": "vt100"}):
        top = terminal("--interval", 3600, **environment)
        assert not re.search(r"\x1b\[[\d;]*m", "".join(top.frame()))
        top.type(b"q")
        top.ends()


def test_a_terminal_that_can_nothing_gets_plain_lines(terminal):
    top = terminal("--interval", 0.1, "--count", 2, TERM="dumb")
    text = top.read_until(lambda seen: seen.count(b"mayflyd 9.9") == 2 and seen.endswith(b"\r\n\r\n"))
    assert top.process.wait(LIMIT) == 0
    assert b"\x1b" not in text and b"\r\n\r\nmayflyd 9.9" in text


def test_a_count_ends_it_on_a_terminal_too(terminal):
    top = terminal("--interval", 0.1, "--count", 1)
    top.ends()


def test_a_lost_server_is_told_of_below_the_screen_that_was_left(terminal, fake):
    top = terminal("--interval", 0.2)
    top.frame()
    fake.errors["stats_get"] = pb.Error(code="stopping", message="the server is stopping")
    top.read_until(lambda seen: b"(stopping)" in seen)
    assert top.process.wait(LIMIT) == 1
    assert top.seen.index(LEFT) < top.seen.index(b"the server is stopping")
    assert termios.tcgetattr(top.side) == top.before
