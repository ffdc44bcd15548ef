"""Processes that die are replaced, processes that should not start say why, and an orderly stop is one."""
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

import mayfly
from conftest import BIN, Server, await_ends, await_figures, await_tasks
from forks import kill_at_fork
from watch import Watch

AGAIN = 60  # seconds until search answers again, however busy the machine is


def documents(first, count):
    return [{"id": n, "title": f"film number {n}", "text": "water under the old bridge " * 3}
            for n in range(first, first + count)]


def pids(server, role):
    with server.client() as m:
        return [p.pid for p in m.stats().processes if p.role == role]


def shards_of(stats):
    return [p.pid for p in stats.processes if p.role == "shard"]


def deaths(client):
    """How many workers ended for each reason."""
    return {e.reason: e.count for e in client.stats().worker_exits}


def descriptors(pid):
    """What each of a process's descriptors is."""
    found = []
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(fd))
        except OSError:  # closed meanwhile
            pass
    return sorted(found)


def await_hits(client, count):
    """Until a search finds them again; it fails, or finds fewer, while processes are being replaced."""
    end = time.monotonic() + AGAIN
    while True:
        with contextlib.suppress(mayfly.Failure):
            if len(client.search("films", "bridge", no_partial=True).hits) == count:
                return
        assert time.monotonic() < end, "searches do not answer again"
        time.sleep(0.02)


def ended(*arguments, limit=60):
    """Runs mayflyd to its end: exit status and everything it said."""
    done = subprocess.run([str(BIN / "mayflyd"), *map(str, arguments)], capture_output=True, text=True, timeout=limit,
                          stdin=subprocess.DEVNULL, env={**os.environ, "MAYFLY_WORKERS": "2"})
    return done.returncode, done.stdout + done.stderr


def test_configuration_errors_name_their_line(directory):
    file = directory / "mayfly.conf"
    file.write_text("shards = 2\ncolour = red\n")
    status, said = ended("--config", file, "--check-config")
    assert status != 0 and f"{file}:2" in said and "colour" in said
    file.write_text("worker-memory = 1M\n")
    status, said = ended("--config", file, "--check-config")
    assert status != 0 and f"{file}:1" in said and "32M" in said
    file.write_text("[mayfly]\nshards = 3\n")
    status, said = ended("--config", file, "--check-config")
    assert status == 0, said
    status, said = ended("--config", file, "--print-config", "--readers", 5)
    assert status == 0 and "shards = 3" in said and "readers = 5" in said and "workers = 2" in said
    status, said = ended("--nonsense")
    assert status != 0 and "--nonsense" in said
    status, said = ended("--help")
    assert status == 0 and "--worker-memory" in said and "--data" in said


def test_the_number_of_shards_that_the_data_has_counts(make_server):
    """Nobody is woken up for a line of the configuration: it is said, and the server starts."""
    said = "shards = 3 is not what the data has: that is 2 and counts; write shards = 2"
    server = make_server(shards=2)
    beside = ended("--data", server.data, "--shards", 3, "--check-config")
    server.stop()
    alone = ended("--data", server.data, "--shards", 3, "--check-config")
    for status, text in (beside, alone):
        assert status == 0 and "valid" in text and said in text
    status, text = ended("--data", server.data, "--shards", 2, "--check-config")
    assert status == 0 and "the data has" not in text
    server.options["shards"] = 3
    with server.start().client() as m:
        assert m.welcome.shards == 2 and {p.shard for p in m.stats().processes if p.role == "shard"} == {0, 1}
    assert said in server.log()


def test_a_second_server_on_the_same_data_waits_then_refuses(make_server, directory):
    first = make_server()
    status, said = ended("--data", first.data, "--socket", directory / "other", "--lock-timeout", 1)
    assert status != 0 and "LOCK" in said
    assert first.is_running()
    second = Server(directory / "0", lock_timeout=60)
    second.data, second.socket, second.log_path = first.data, directory / "other", directory / "log2"
    starting = threading.Thread(target=second.start)
    with Watch(directory) as watch:
        starting.start()
        watch.wait(lambda: "waiting for a former life" in second.log())
    assert second.process.poll() is None
    first.stop()
    starting.join()
    assert second.is_running()
    second.stop()


def test_a_killed_shard_is_replaced(server):
    with server.client() as m:
        m.add("films", documents(0, 200), wait="searchable")
        before = pids(server, "shard")
        os.kill(before[0], signal.SIGKILL)
        await_hits(m, 20)
        await_figures(m, lambda stats: len(now := shards_of(stats)) == len(before) and before[0] not in now)
        for pid in pids(server, "shard"):  # all of them at once
            os.kill(pid, signal.SIGKILL)
        await_hits(m, 20)
        m.add("films", documents(200, 10), wait="searchable")
        assert m.search("films", "bridge", limit=1000).estimated_total >= 200


def test_a_killed_nursery_is_replaced(server):
    with server.client() as m:
        m.add("films", documents(0, 50), wait="searchable")
        (before,) = pids(server, "nursery")
        os.kill(before, signal.SIGKILL)
        m.add("films", documents(50, 50), wait="searchable")
        (after,) = pids(server, "nursery")
        assert after != before
        assert len(m.search("films", "bridge", limit=1000).hits) == 100


def test_killed_workers_are_followed_by_others(server):
    stop = threading.Event()

    def kill_workers():
        with server.client() as other:
            while not stop.is_set() and deaths(other)["killed"] < 10:
                for p in other.stats().processes:
                    if p.role == "worker":
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(p.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_workers)
    killer.start()
    with server.client() as m:
        for turn in range(200):
            written = m.add("films", documents(turn * 100, 100), wait="searchable")
            assert written.refused == 0 and written.searchable == 100
            if turn >= 5 and deaths(m)["killed"]:  # who was killed may have been done already
                break
        stop.set()
        killer.join()
        found = m.search("films", "bridge", limit=10000)
        assert len(found.hits) == min(10000, (turn + 1) * 100)
        assert deaths(m)["killed"] > 0


@pytest.fixture
def broken_shards(directory):
    """A libexec whose shards end at once."""
    libexec = directory / "libexec"
    libexec.mkdir()
    (libexec / "mayfly-worker").symlink_to((BIN / "mayfly-worker").resolve())
    shard = libexec / "mayfly-shard"
    shard.write_text("#!/bin/sh\nexit 3\n")
    shard.chmod(0o755)
    return libexec


def test_a_crash_loop_is_cut_off(directory, broken_shards):
    server = Server(directory, libexec=broken_shards, shards=1, readers=1)
    server.start(wait=False)
    assert server.process.wait(120) != 0
    assert "not started again" in server.log() and "do not start" in server.log()


def test_sigterm_during_load_ends_in_order(make_server):
    server = make_server()
    accepted = []
    many = threading.Event()

    def load():
        try:
            with server.client() as m:
                for turn in range(10000):
                    m.add("films", documents(turn * 20, 20), wait="accepted")
                    accepted.append(turn)
                    if turn == 20:
                        many.set()
        except (mayfly.Failure, mayfly.Closed, OSError):
            pass

    loader = threading.Thread(target=load)
    loader.start()
    assert many.wait(60)
    family = server.children()
    assert family
    server.stop(expect=0)
    loader.join()
    await_ends(family, 60)
    server.start()
    with server.client() as m:
        await_tasks(m)
        assert len(m.search("films", "bridge", limit=10000).hits) >= min(10000, len(accepted) * 20)


def test_children_end_with_a_killed_coordinator(make_server):
    server = make_server()
    with server.client() as m:
        m.add("films", documents(0, 10), wait="searchable")
    family = server.children()
    server.kill()
    await_ends(family, 60)
    server.start()
    with server.client() as m:
        assert len(m.search("films", "bridge").hits) == 10


def test_an_orphan_segment_is_removed_at_start(make_server):
    server = make_server(shards=1)
    with server.client() as m:
        m.add("films", documents(0, 10), wait="searchable")
    server.stop()
    (core,) = server.data.glob("indexes/*/*/0/core.mdb")
    orphan = core.parent / "seg-987654321.mdb"
    orphan.write_bytes(b"left over")
    lost = server.data / "indexes" / "4242"
    lost.mkdir()
    server.start()
    assert not orphan.exists() and not lost.exists()
    with server.client() as m:
        assert len(m.search("films", "bridge").hits) == 10


def test_refusals_are_told_once(make_server):
    server = make_server(shards=1)
    with server.client() as m:
        good = m.add("films", documents(0, 5), wait="searchable")
        bad = m.add("films", [("7", b"[7]"), ("8", b'{"id":9}'), ("10", b'{"id":10}')], wait="searchable")
        assert (good.refused, bad.refused) == (0, 2)
    for end in (server.stop, server.kill, server.stop):
        end()
        server.start()
        with server.client() as m:
            (task,) = [t for t in m.tasks() if t.uid == bad.task]
            assert task.refused == 2 and len(task.errors) == 2
            assert sorted(e.id for e in task.errors) == ["7", "8"]
            m.add("films", documents(20, 1), wait="searchable")


def test_reload_takes_what_may_change(make_server):
    server = make_server(config={"log-level": "info", "deadline-ms": 1000})
    server.config = {"log-level": "info", "deadline-ms": 1200, "max-connections": 7}
    with Watch(server.log_path) as watch:
        server.arguments() # writes the file
        server.process.send_signal(signal.SIGHUP)
        watch.wait(lambda: "deadline-ms" in server.log() and "max-connections" in server.log())
        server.config["colour"] = "red"
        server.arguments()
        server.process.send_signal(signal.SIGHUP)
        watch.wait(lambda: "colour" in server.log())
    assert server.is_running()


def test_slow_searches_are_logged_as_long_as_that_is_wanted(make_server):
    server = make_server(config={"slow-query-ms": 200}, shards=1, readers=1)
    with server.client() as m:
        m.add("films", documents(0, 100), wait="searchable")
        (shard,) = pids(server, "shard")
        os.kill(shard, signal.SIGSTOP)
        try:
            with pytest.raises(mayfly.Failure):
                m.search("films", 'bridge "old\nriver"', deadline_ms=300)
            line = next(line for line in server.log().splitlines() if "slow search" in line)
            assert "outcome=deadline index=films" in line and line.endswith('query=bridge "old river"')
            server.config["slow-query-ms"] = 0
            with Watch(server.log_path) as watch:
                server.arguments()  # writes the file
                server.process.send_signal(signal.SIGHUP)
                watch.wait(lambda: "slow-query-ms has changed" in server.log())
            with pytest.raises(mayfly.Failure):
                m.search("films", "bridge", deadline_ms=300)
        finally:
            os.kill(shard, signal.SIGCONT)
        assert server.log().count("slow search") == 1


def test_no_zombies_and_no_leaked_descriptors(server):
    with server.client() as m:
        for turn in range(5):
            m.add("films", documents(turn * 10, 10), wait="searchable")
        before = descriptors(server.process.pid)
        for turn in range(30):
            m.add("films", documents(turn * 10, 10), wait="searchable")
            if turn % 10 == 5:
                os.kill(pids(server, "nursery")[0], signal.SIGKILL)

    def settled():
        states = []
        for pid in server.children():
            try:
                states.append(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0])
            except OSError:
                pass
        now = descriptors(server.process.pid)
        return ("Z" not in states and len(now) <= len(before)), states, now

    end = time.monotonic() + 60
    while not settled()[0]:  # nothing tells when another process closes a descriptor
        assert time.monotonic() < end, f"before {before}, now {settled()}\n{server.log()}"
        time.sleep(0.02)


def test_a_worker_that_its_killed_nursery_never_told_of_is_reaped(make_server):
    server = make_server(shards=1, readers=1)
    with server.client() as m:
        m.add("films", documents(0, 10), wait="searchable")
        (nursery,) = pids(server, "nursery")
        worker = kill_at_fork(nursery, lambda: m.add("films", documents(10, 10), wait="accepted"))
        await_tasks(m)  # the job was done again by another
        assert len(m.search("films", "bridge").hits) == 20
        end = time.monotonic() + 60
        while pathlib.Path(f"/proc/{worker}").exists():  # it may have to wait for a processor to end on
            assert time.monotonic() < end, "nobody reaps it"
            time.sleep(0.02)


def test_a_search_in_flight_is_answered_before_the_stop(make_server):
    server = make_server()
    with server.client() as m:
        m.add("films", documents(0, 100), wait="searchable")
        shards = pids(server, "shard")
        for pid in shards:
            os.kill(pid, signal.SIGSTOP)
        requests = [m.send_search("films", "bridge") for _ in range(20)]
        m.ping() # so that they all have been taken
        with Watch(server.log_path) as watch:
            server.process.send_signal(signal.SIGTERM)
            watch.wait(lambda: "stopping" in server.log())
        assert server.is_running()
        for pid in shards:
            os.kill(pid, signal.SIGCONT)
        for request in requests:
            assert len(m.search_answer(request).hits) == 20
        assert server.process.wait(60) == 0


def test_what_does_not_end_is_ended_within_the_limit(make_server):
    server = make_server(deadline_ms=600000, stop_timeout=2)  # without a limit it would take ten minutes
    with server.client() as m:
        m.add("films", documents(0, 100), wait="searchable")
        for pid in pids(server, "shard"):
            os.kill(pid, signal.SIGSTOP)
        m.send_search("films", "bridge")
        m.ping()
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert time.monotonic() - began > 1


def test_the_manual_knows_every_key():
    status, said = ended("--print-config")
    assert status == 0
    manual = (pathlib.Path(__file__).parents[2] / "docs" / "mayfly.conf.5").read_text()
    keys = [line.split(" = ")[0] for line in said.splitlines() if " = " in line and not line.startswith(";")]
    assert len(keys) >= 20
    missing = [key for key in keys if f".B {key}\n" not in manual.replace("\\-", "-")]
    assert not missing
