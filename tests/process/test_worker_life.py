"""How workers live beside others: killed, ended with their nursery, behind whoever searches, forked ahead."""
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import START_LIMIT, needs_hooks
from nursery import HAS_ARENA, documents, make_nursery, nursery, puts, surveyed


def test_a_killed_worker_is_reaped_and_the_next_one_works(make_nursery, internal):
    needs_hooks()
    nursery = make_nursery({"MAYFLY_TEST_KILL_ID": "57"})
    worker = nursery.build([puts(documents(100))], [(1, 101)])
    words = nursery.run(worker)
    assert os.waitstatus_to_exitcode(worker.status) == -signal.SIGABRT
    assert (words["reason"], words["sequence"], words["documents"]) == ("killed", 58, 57)
    assert surveyed(nursery)[-1].generation == 0
    skip = [internal.Skip(sequence=58, code="quarantined", message="it ended every worker")]
    worker = nursery.build([puts(documents(100))], [(1, 101)], segment=2, skip=skip)
    assert nursery.run(worker)["reason"] == "done"
    assert worker.outcome().state.documents == 99


def stop_in_the_middle(nursery, **how):
    """A worker that has begun its job, stopped; a short one may be done before that, then another is tried, with more."""
    for attempt in range(20):
        first = 1 + 3000 * attempt
        worker = nursery.build([puts(documents(3000, words=60), first)], [(first, first + 3000)], segment=attempt + 1, **how)
        while worker.pid is None:
            nursery.take_event(START_LIMIT)
        while worker.words.read()["stage"] in ("none", "born"):
            os.sched_yield()
        os.kill(worker.pid, signal.SIGSTOP)
        if worker.words.read()["stage"] in ("reading", "indexing"):
            return worker
        os.kill(worker.pid, signal.SIGCONT)
        nursery.run(worker)
    pytest.fail("no worker could be stopped at its work")


def test_workers_die_with_their_nursery(nursery):
    worker = stop_in_the_middle(nursery)
    nursery.process.kill()
    nursery.process.wait(START_LIMIT)
    assert select.select([worker.pidfd], [], [], START_LIMIT)[0], "the worker outlived its nursery"
    os.close(worker.pidfd)


def may_leave_idle():
    """Whether a process of ours may lower its nice value again, as it must to leave SCHED_IDLE."""
    return subprocess.run([sys.executable, "-c", "import os; os.nice(10); os.nice(-1)"], stderr=subprocess.DEVNULL).returncode == 0


def has_pending(pid, which):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    masks = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd:", "ShdPnd:")))
    return any(mask >> which - 1 & 1 for mask in masks)


def policy_of(pid):
    try:
        return os.sched_getscheduler(pid)
    except ProcessLookupError:
        return None  # it has ended


@pytest.mark.skipif(not may_leave_idle(), reason="who has left the processor to others could not come back")
def test_a_worker_that_gets_no_processor_asks_for_its_share(nursery):
    worker = stop_in_the_middle(nursery)
    try:
        # It looks before it goes on, and has had nothing; where the machine is busy it may have asked already.
        while policy_of(worker.pid) == os.SCHED_IDLE and not has_pending(worker.pid, signal.SIGALRM):
            time.sleep(0.01)
        time.sleep(0.3)  # however much it had before
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    while policy_of(worker.pid) == os.SCHED_IDLE:
        os.sched_yield()
    assert policy_of(worker.pid) in (os.SCHED_BATCH, None)
    assert nursery.run(worker)["reason"] == "done"


def test_a_worker_is_killed_before_search_and_runs_behind_it(nursery):
    worker = stop_in_the_middle(nursery)
    try:
        assert pathlib.Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "1000"
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) >= 10
        assert os.sched_getscheduler(worker.pid) in ((os.SCHED_IDLE, os.SCHED_BATCH) if may_leave_idle() else (os.SCHED_BATCH,))
        assert subprocess.run(["ionice", "-p", str(worker.pid)], capture_output=True, text=True, check=True).stdout.startswith("idle")
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert nursery.run(worker)["reason"] == "done"


def test_an_urgent_worker_does_not_step_back(nursery):
    worker = stop_in_the_middle(nursery, urgent=True)
    try:
        assert pathlib.Path(f"/proc/{worker.pid}/oom_score_adj").read_text().strip() == "1000"
        assert os.getpriority(os.PRIO_PROCESS, worker.pid) == os.getpriority(os.PRIO_PROCESS, nursery.process.pid)
        assert os.sched_getscheduler(worker.pid) == os.sched_getscheduler(nursery.process.pid)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert nursery.run(worker)["reason"] == "done"


def await_waiting(nursery, worker):
    """Nothing tells when a process writes to its last words."""
    end = time.monotonic() + START_LIMIT
    while worker.words.read()["stage"] != "waiting":
        assert time.monotonic() < end, worker.words.read()
        time.sleep(0.005)


def test_one_that_is_forked_ahead_waits_for_its_job(nursery):
    workers = [nursery.ahead(), nursery.ahead()]
    for n, worker in enumerate(workers):
        await_waiting(nursery, worker)
        nursery.give(worker, documents(20, 20 * n), 1 + 20 * n)
        words = nursery.run(worker)
        assert (words["reason"], words["documents"], os.waitstatus_to_exitcode(worker.status)) == ("done", 20, 0), words
        assert worker.outcome().committed and worker.outcome().state.documents == 20 * (n + 1)
        assert words["cap"] == (256 << 20 if HAS_ARENA else 0)


def test_one_that_is_forked_ahead_ends_when_it_is_not_needed(nursery):
    worker = nursery.ahead()
    worker.lifeline.shutdown(socket.SHUT_WR)
    words = nursery.run(worker)
    assert (words["reason"], words["text"], os.waitstatus_to_exitcode(worker.status)) == ("done", "no job came", 0)


@pytest.mark.parametrize("what", ["bytes", "cap"])
def test_one_that_is_forked_ahead_takes_no_other_job(nursery, what):
    worker = nursery.ahead()
    if what == "bytes":
        worker.lifeline.send(b"\xff" * 100)
    else:
        nursery.give(worker, documents(1), 1, cap=128 << 20)
    words = nursery.run(worker)
    assert words["reason"] == "corrupt" and os.waitstatus_to_exitcode(worker.status) == 65, words
    assert surveyed(nursery)[-1].documents == 0


def test_a_ticket_ahead_has_no_regions(nursery):
    worker = nursery.ahead(more_fds=[0])
    event, _ = nursery.event()
    assert (event.kind, event.job) == (nursery.internal.NurseryEvent.REFUSED, worker.job)
