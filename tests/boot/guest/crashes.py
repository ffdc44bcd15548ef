"""Each process is killed, and the kernel kills one for its memory: what is asked meanwhile is answered."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import threading

from tools import (CONFIG, DOCUMENTS, LIMIT, UNIT, Skip, Stream, documents, drop_in, hits, main_pid, pids, property_of, run, stats, until)

GROUP = pathlib.Path("/sys/fs/cgroup/mayfly.slice/mayfly.service")


def crash(role):
    (pid, *_) = pids(role)
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in pids(role) and pids(role), f"another {role}")


def try_crash_of_the_coordinator():
    pid = main_pid()
    os.kill(pid, signal.SIGKILL)
    assert hits() == 20  # it waits at the socket
    until(lambda: main_pid() not in (0, pid), "another coordinator")


def try_crash_of_the_nursery():
    crash("nursery")
    run("mayfly", "add", "films", "-", "--wait", "searchable", input=documents(DOCUMENTS, 10))
    assert hits() == 20


def try_crash_of_a_shard():
    crash("shard")
    until(lambda: hits() == 20, "answers without a gap")


def answered_at_once():
    """A whole answer within the deadline that people have; what a process that stands still was given just before is not."""
    assert json.loads(run("mayfly", "--json", "search", "films", "city", "--no-partial").stdout)["hits"]


def try_hang_of_a_shard():
    """Its other reader answers, and it is ended and followed by another."""
    before = CONFIG.read_text()
    CONFIG.write_text(before + "\nanswer-timeout = 5\n")
    run("systemctl", "reload", UNIT)
    CONFIG.write_text(before)
    (pid, *_) = pids("shard")
    hangs = stats()["hangs"]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: [answered_at_once() for _ in range(5)], "answers of the other reader")
    until(lambda: stats()["hangs"] > hangs and len(pids("shard")) == 4 and pid not in pids("shard"), "another shard process")
    run("systemctl", "reload", UNIT)
    assert hits() == 20


def while_adding(strike, was_hit):
    """Adds documents and strikes at their workers until one was hit, which may end before it is; all are to be added."""
    for first in range(10000, 110000, 10000):
        adding = subprocess.Popen(["mayfly", "add", "films", "-", "--wait", "searchable"], stdin=subprocess.PIPE, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        feeder = threading.Thread(target=adding.communicate, args=(documents(first, 10000),))
        feeder.start()
        while adding.poll() is None and not was_hit():
            strike()
        feeder.join(LIMIT)
        assert adding.returncode == 0, adding.returncode
        if was_hit():
            return
    raise AssertionError("no worker was hit")


def children(pid):
    with contextlib.suppress(OSError):
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill_workers(nursery):
    """Those that are there within a moment; one that has just ended may be among them."""
    for _ in range(200):
        for pid in children(nursery):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return


def try_crash_of_a_worker():
    (nursery,) = pids("nursery")
    killed = stats()["worker_exits"]["killed"]
    while_adding(lambda: kill_workers(nursery), lambda: stats()["worker_exits"]["killed"] > killed)
    assert hits() == 20


def worker_groups():
    """Control groups of workers, from the moment that they are made."""
    with os.scandir(GROUP) as entries:
        return [GROUP / entry.name for entry in entries if entry.name.startswith("mayfly-")]


def try_memory_limit():
    """MemoryMax= of the unit is the kernel's limit of the service's group, and the settings follow."""
    need_memory_controller()
    with drop_in("MemoryMax=900M\n"):
        assert (GROUP / "memory.max").read_text().strip() == str(900 << 20)
        budget = json.loads(run("mayfly", "--json", "budget").stdout)
        assert budget["total"] <= budget["limit"] == 900 << 20 and budget["cuts"], budget
        assert (GROUP / "memory.high").read_text().strip() == "max"
        assert hits() == 20


def need_memory_controller():
    if "memory" not in pathlib.Path("/sys/fs/cgroup/cgroup.controllers").read_text().split():
        raise Skip("the host gives this guest no memory controller (cgroup v2)")


def oom_kills():
    return int(dict(line.split() for line in (GROUP / "memory.events").read_text().splitlines())["oom_kill"])


def squeeze_workers():
    """Takes room from workers that are in their groups already; the server has set its own limit by then."""
    for group in worker_groups():
        with contextlib.suppress(OSError):
            if (group / "cgroup.procs").read_text():
                (group / "memory.max").write_text("1M")


def try_oom_kill_of_a_worker():
    """The kernel ends a worker at the limit of its own group; searches are answered, the service does not restart."""
    need_memory_controller()
    if stats().get("cap_enforced_by") == "rlimit":
        raise Skip("this mayflyd caps workers by rlimit, not by control groups")
    restarts, pid = property_of("NRestarts"), main_pid()
    with Stream(1) as stream:
        before = oom_kills()
        while_adding(squeeze_workers, lambda: oom_kills() > before)
        stream.moves()
    assert property_of("NRestarts") == restarts and main_pid() == pid
    assert hits() == 20
