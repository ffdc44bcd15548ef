"""The nursery and the workers it forks, without a coordinator."""
import os
import pathlib
import random
import select
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import BIN, START_LIMIT, needs_hooks
from nursery import DELETE, FILTER, PATCH, PUT, Nursery, operation, puts, region

HAS_ARENA = not os.environ.get("MAYFLY_SANITIZE")
MIB = 1 << 20


@pytest.fixture
def make_nursery(internal, directory):
    made = []

    def make(environment=None):
        nursery = Nursery(internal, directory, environment)
        made.append(nursery)
        nursery.await_ready()
        return nursery

    yield make
    for nursery in made:
        if nursery.process.poll() is None:
            assert nursery.close() == 0


@pytest.fixture
def nursery(make_nursery):
    return make_nursery()


def documents(count, first=0, words=12):
    return [{"id": i, "title": f"title {i}", "body": " ".join(f"w{(i * 7 + k * k) % 5000}" for k in range(words))}
            for i in range(first, first + count)]


def segments(worker):
    """(id, is an image) of each live one."""
    return [(s.id, s.image) for s in worker.outcome().state.segments]


def segment_files(directory, place="1/1/0"):
    return sorted(p.name for p in (directory / "indexes" / place).glob("seg-*.mdb"))


def surveyed(nursery, place=(1, 1, 0)):
    worker = nursery.survey(place)
    assert nursery.run(worker)["reason"] == "done"
    assert worker.reports[-1].last
    states = [s for r in worker.reports for s in r.surveyed]
    assert states and not states[-1].more and not states[-1].failed, states
    return states


def test_is_ready_and_ends_when_the_coordinator_is_gone(nursery):
    assert nursery.words.read()["stage"] == "serving"
    assert nursery.close() == 0
    assert nursery.words.read()["reason"] == "done"


def test_builds_a_segment(nursery, directory):
    worker = nursery.build([puts(documents(2000))], [(1, 2001)], segment=5)
    words = nursery.run(worker)
    assert (words["reason"], os.waitstatus_to_exitcode(worker.status)) == ("done", 0), words
    assert (words["documents"], words["documents_total"], words["sequence"]) == (2000, 2000, 0)
    outcome = worker.outcome()
    assert outcome.committed and (outcome.applied.first, outcome.applied.end) == (1, 2001)
    assert outcome.state.watermark == 2001 and outcome.state.documents == 2000
    assert [(s.id, s.documents, s.deleted) for s in outcome.state.segments] == [(5, 2000, 0)]
    assert words["generation"] == outcome.state.generation == 1
    assert segments(worker) == [(5, False)] and segment_files(directory) == ["seg-5.mdb"]
    state = surveyed(nursery)[-1]
    assert (state.watermark, state.documents, state.epoch) == (2001, 2000, 1)


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


def test_a_small_segment_is_an_image_and_no_file(nursery, directory):
    worker = nursery.build([puts(documents(20))], [(1, 21)], segment=5)
    assert nursery.run(worker)["reason"] == "done"
    state = worker.outcome().state
    assert [(s.id, s.documents, s.image) for s in state.segments] == [(5, 20, True)]
    assert 0 < state.segments[0].bytes <= 64 << 10
    assert segment_files(directory) == []
    found = surveyed(nursery)[-1]
    assert [(s.id, s.documents, s.image) for s in found.segments] == [(5, 20, True)]


IMAGES_MOST = 40  # index/core.h


def test_where_there_is_no_room_for_an_image_there_is_a_file(nursery, directory):
    """Until images are folded; versions that stand in one are replaced as in a file."""
    for n in range(IMAGES_MOST + 2):
        worker = nursery.build([region([operation(PUT, str(n // 2), {"id": n // 2, "n": n}, 100 + n)], n + 1)], [(n + 1, n + 2)],
                               segment=n + 1)
        assert nursery.run(worker)["reason"] == "done"
    assert segments(worker) == [(n + 1, n < IMAGES_MOST) for n in range(IMAGES_MOST + 2)]
    assert segment_files(directory) == [f"seg-{IMAGES_MOST + 1}.mdb", f"seg-{IMAGES_MOST + 2}.mdb"]
    assert worker.outcome().state.documents == IMAGES_MOST // 2 + 1
    fold = nursery.merge(list(range(1, IMAGES_MOST + 1)), 90)
    assert nursery.run(fold)["reason"] == "done"
    assert segments(fold) == [(IMAGES_MOST + 1, False), (IMAGES_MOST + 2, False), (90, False)]
    assert fold.outcome().state.documents == IMAGES_MOST // 2 + 1
    again = nursery.build([puts(documents(1, 1000), 900)], [(900, 901)], segment=91)
    assert nursery.run(again)["reason"] == "done"
    assert segments(again)[-1] == (91, True)


def test_small_images_become_one_image(nursery, directory):
    for n in range(3):
        assert nursery.run(nursery.build([puts(documents(5, n * 5), n * 5 + 1)], [(n * 5 + 1, n * 5 + 6)], segment=n + 1))["reason"] == "done"
    fold = nursery.merge([1, 3], 9, fold=True)
    assert nursery.run(fold)["reason"] == "done"
    assert segments(fold) == [(2, True), (9, True)] and segment_files(directory) == []
    assert fold.outcome().state.documents == 15
    whole = nursery.merge([2, 9], 10)
    assert nursery.run(whole)["reason"] == "done"
    assert segments(whole) == [(10, False)] and segment_files(directory) == ["seg-10.mdb"]


def test_a_fold_to_more_than_an_image_is_a_file(nursery, directory):
    large = [{"id": n, "text": " ".join(f"w{n * 100000 + i}" for i in range(3000))} for n in range(4)]
    for n, document in enumerate(large):
        assert nursery.run(nursery.build([puts([document], n + 1)], [(n + 1, n + 2)], segment=n + 1))["reason"] == "done"
    fold = nursery.merge([1, 2, 3, 4], 9, fold=True)
    assert nursery.run(fold)["reason"] == "done"
    assert segments(fold) == [(9, False)] and fold.outcome().state.documents == 4


@pytest.mark.parametrize("fold", [False, True])
def test_what_is_deleted_in_an_image_while_it_is_folded_is_deleted(nursery, directory, fold):
    for n in range(3):
        assert nursery.run(nursery.build([puts(documents(5, n * 5), n * 5 + 1)], [(n * 5 + 1, n * 5 + 6)], segment=n + 1))["reason"] == "done"
    fold = nursery.merge([1, 2, 3], 9, fold=fold)  # not waited for: either may be first
    deletions = nursery.build([region([operation(DELETE, str(i), b"", 9000 + i) for i in (0, 6, 14)], 16)], [(16, 19)], segment=4)
    assert nursery.run(deletions)["reason"] == "done"
    assert nursery.run(fold)["reason"] == "done"
    assert surveyed(nursery)[-1].documents == 12


def test_surveys_an_index_without_a_commit(nursery):
    state = surveyed(nursery, (3, 1, 0))[-1]
    assert (state.watermark, state.generation, len(state.segments)) == (1, 0, 0)


def test_a_survey_names_a_damaged_core(nursery, directory):
    place = directory / "indexes/1/1/0"
    place.mkdir(parents=True)
    (place / "core.mdb").write_bytes(b"not a database" * 1000)
    worker = nursery.survey((1, 1, 0))
    assert nursery.run(worker)["reason"] == "done"
    assert worker.reports[0].surveyed[0].failed


REFUSED = {
    "text": ("this is not json", "invalid_document"),
    "cut": ('{"id":"cut","a":', "invalid_document"),
    "array": ("[1,2]", "invalid_document"),
    "scalar": ("17", "invalid_document"),
    "empty": ("", "invalid_document"),
    "more": ('{"id":"more"} {}', "invalid_document"),
    "missing": ('{"name":"x"}', "invalid_id"),
    "other": ('{"id":"another"}', "id_mismatch"),
    "1.5": ('{"id":1.5}', "invalid_id"),
    "null": ('{"id":null}', "invalid_id"),
    "object": ('{"id":{"id":"object"}}', "invalid_id"),
    "twice": ('{"id":"twice","id":"once"}', "id_mismatch"),
    "utf8": (b'{"id":"utf8","a":"\xff\xfe"}', "invalid_document"),
    "nul": (b'{"id":"nul","a":"x\0y"}', "invalid_document"),
    "behind": (b'{"id":"behind"}\0', "invalid_document"),
    "deep": ('{"id":"deep","a":' + "[" * 200 + "]" * 200 + "}", "invalid_document"),
    "path": ('{"id":"path","' + "k" * 5000 + '":"x"}', "invalid_document"),
}


def test_refuses_by_id_and_goes_on(nursery, directory):
    operations = [operation(PUT, name, body, 100 + i, i) for i, (name, (body, _)) in enumerate(REFUSED.items())]
    good = [{"id": "fine", "a": "text"}, {"id": 12, "b": ["x", {"c": "y"}]}, {"id": "deepest"}]
    good[2]["a"] = eval("[" * 126 + "]" * 126)  # 127 levels below the document's own
    operations += [operation(PUT, str(d["id"]), d, 500 + i, 50 + i) for i, d in enumerate(good)]
    operations.append(operation(PATCH, "patched", "[1]", 900, 90))
    last = len(operations) + 1
    worker = nursery.build([region(operations, 1, task=77)], [(1, last)])
    assert nursery.run(worker)["reason"] == "done"
    refused = worker.refused()
    assert {k: v.code for k, v in refused.items()} == {**{k: v[1] for k, v in REFUSED.items()},
                                                       "patched": "invalid_document"}
    assert all(r.task == 77 and r.message and r.generation == 1 for r in refused.values())
    assert refused["patched"].position == 90
    outcome = worker.outcome()
    assert outcome.state.documents == 3 and outcome.state.watermark == last
    states = surveyed(nursery)
    assert {r.id for s in states for r in s.refused} == set(refused)
    # What the catalog has is forgotten with the next commit.
    worker = nursery.build([puts(documents(1), last)], [(last, last + 1)], segment=2, refusals_saved=1)
    assert nursery.run(worker)["reason"] == "done"
    assert not [r for s in surveyed(nursery) for r in s.refused]


def test_nothing_but_refusals_writes_no_segment(nursery, directory):
    worker = nursery.build([region([operation(PUT, "x", "nope", 5)], 1)], [(1, 2)])
    assert nursery.run(worker)["reason"] == "done"
    assert worker.outcome().committed and segment_files(directory) == []


def test_many_refusals_come_in_several_reports(nursery):
    names = [f"{i:04}" + "x" * 250 for i in range(500)]
    worker = nursery.build([region([operation(PUT, n, "nope", i + 1) for i, n in enumerate(names)], 1)], [(1, 501)])
    assert nursery.run(worker)["reason"] == "done"
    assert set(worker.refused()) == set(names)
    assert {r.id for s in surveyed(nursery) for r in s.refused} == set(names)


def test_a_long_state_comes_in_several_reports(nursery):
    count = 520
    for n in range(count):  # every other sequence number, so that no two ranges touch; deletions write no segment
        first = 2 + 2 * n
        fd = region([operation(DELETE, "x", b"", 10 + n)], first) if n else puts(documents(1), first)
        worker = nursery.build([fd], [(first, first + 1)], segment=n + 1)
        assert nursery.run(worker)["reason"] == "done"
        os.close(fd)
    for states in ([r.state for r in worker.reports], surveyed(nursery)):
        assert [s.more for s in states] == [True, False]
        assert [s.id for state in states for s in state.segments] == [1]
        assert [r.first for s in states for r in s.applied] == [2 + 2 * n for n in range(count)]
        assert {s.documents for s in states} == {1}


def test_skips_what_is_quarantined(nursery, internal):
    skip = [internal.Skip(sequence=2, code="too_much_memory", message="too big for it")]
    worker = nursery.build([puts(documents(3))], [(1, 4)], skip=skip)
    assert nursery.run(worker)["reason"] == "done"
    assert [(r.sequence, r.code, r.message) for r in worker.refused().values()] == [
        (2, "too_much_memory", "too big for it")]
    assert worker.outcome().state.documents == 2


def test_resumes_and_stops_within_regions(nursery):
    fds = [puts(documents(10, 0), 1), puts(documents(10, 10), 11)]
    worker = nursery.build(fds, [(1, 11), (11, 21)], resume=5, stop=14)
    assert nursery.run(worker)["reason"] == "done"
    outcome = worker.outcome()
    assert (outcome.applied.first, outcome.applied.end, outcome.state.documents) == (5, 14, 9)
    assert outcome.state.watermark == 1 and [(r.first, r.end) for r in outcome.state.applied] == [(5, 14)]
    again = nursery.build(fds, [(1, 11), (11, 21)], resume=13, segment=2)
    assert nursery.run(again)["reason"] == "superseded"
    assert again.outcome().superseded and not again.outcome().committed
    assert os.waitstatus_to_exitcode(again.status) == 0


def test_a_later_version_wins_and_deletions_delete(nursery, directory):
    worker = nursery.build([puts(documents(10))], [(1, 11)])
    assert nursery.run(worker)["reason"] == "done"
    operations = [operation(PUT, "3", {"id": 3, "t": "new"}, 5000), operation(DELETE, "4", b"", 5001),
                  operation(DELETE, "unknown", b"", 5002)]
    worker = nursery.build([region(operations, 11)], [(11, 14)], segment=2)
    assert nursery.run(worker)["reason"] == "done"
    state = worker.outcome().state
    assert state.documents == 9
    assert [(s.id, s.documents, s.deleted) for s in state.segments] == [(1, 10, 2), (2, 1, 0)]
    worker = nursery.build([region([operation(DELETE, "5", b"", 6000)], 14)], [(14, 15)], segment=3)
    assert nursery.run(worker)["reason"] == "done"
    assert worker.outcome().state.documents == 8
    assert segments(worker) == [(1, True), (2, True)] and segment_files(directory) == []


def test_merges(nursery, directory):
    for n in range(4):
        worker = nursery.build([puts(documents(50, n * 40), 1 + n * 50)], [(1 + n * 50, 51 + n * 50)], segment=n + 1)
        assert nursery.run(worker)["reason"] == "done"
    live = worker.outcome().state.documents
    assert live == 170
    worker = nursery.merge([1, 2, 3], 9)
    words = nursery.run(worker)
    assert words["reason"] == "done", words
    state = worker.outcome().state
    assert worker.outcome().committed and state.documents == live
    assert [s.id for s in state.segments] == [4, 9]
    late = nursery.merge([1, 4], 10)
    assert nursery.run(late)["reason"] == "superseded" and late.outcome().superseded


def test_a_merge_of_what_is_all_deleted_leaves_nothing(nursery, directory):
    nursery.run(nursery.build([puts(documents(2000))], [(1, 2001)]))
    nursery.run(nursery.build([region([operation(DELETE, str(i), b"", 9000 + i) for i in range(2000)], 2001)], [(2001, 4001)],
                              segment=2))
    worker = nursery.merge([1], 3)
    assert nursery.run(worker)["reason"] == "done"
    assert len(worker.outcome().state.segments) == 0
    assert segment_files(directory) == ["seg-1.mdb"]  # the coordinator unlinks it


def test_a_lower_epoch_changes_nothing(nursery):
    assert nursery.run(nursery.build([puts(documents(3))], [(1, 4)], epoch=7))["reason"] == "done"
    late = nursery.build([puts(documents(3, 10), 4)], [(4, 7)], epoch=6, segment=2)
    assert nursery.run(late)["reason"] == "superseded"
    assert surveyed(nursery)[-1].epoch == 7


def damaged_region(change):
    whole = bytearray(os.pread(puts(documents(5)), 1 << 20, 0))
    change(whole)
    from nursery import sealed
    return sealed(bytes(whole))


@pytest.mark.parametrize("what", ["magic", "checksum", "cut", "range", "place", "count", "job"])
def test_what_does_not_decode_ends_the_worker_with_words(nursery, internal, what):
    def change(b):
        if what == "magic":
            b[0] ^= 1
        elif what == "checksum":
            b[90] ^= 1
        elif what == "cut":
            del b[200:]
        elif what == "count":
            b[4] += 1

    ranges = [(1, 9)] if what == "range" else [(1, 6)]
    place = (2, 1, 0) if what == "place" else (1, 1, 0)
    if what == "job":
        worker = nursery.start((), kind=internal.Job.BUILD)
    else:
        worker = nursery.build([damaged_region(change)], ranges, place=place)
    words = nursery.run(worker)
    assert (words["reason"], os.waitstatus_to_exitcode(worker.status)) == ("corrupt", 65) and words["text"]
    assert worker.outcome() is None


def test_a_malformed_ticket_is_refused(nursery, internal):
    nursery.socket.send(b"\xff\xff\xff")
    event, _ = nursery.event()
    assert event.kind == internal.NurseryEvent.REFUSED and event.status > 0
    nursery.socket.send(internal.JobTicket(job=5).SerializeToString())  # no descriptors
    event, _ = nursery.event()
    assert (event.kind, event.job) == (internal.NurseryEvent.REFUSED, 5)
    assert nursery.run(nursery.build([puts(documents(1))], [(1, 2)]))["reason"] == "done"


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
    """A worker that has begun its job, stopped; a short one may be done before that, then another is tried."""
    for attempt in range(20):
        worker = nursery.build([puts(documents(3000, words=60))], [(1, 3001)], segment=attempt + 1, **how)
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
        while not has_pending(worker.pid, signal.SIGALRM):  # it looks before it goes on, and has had nothing
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


@pytest.mark.skipif(not HAS_ARENA, reason="no arena under sanitizers")
def test_exports_the_whole_malloc_family():
    out = subprocess.run(["nm", "-D", "--defined-only", str(BIN / "mayfly-worker")], capture_output=True, text=True,
                         check=True).stdout
    exported = {line.split()[-1].split("@")[0] for line in out.splitlines() if " T " in line}
    assert {"malloc", "calloc", "realloc", "reallocarray", "free", "cfree", "posix_memalign", "aligned_alloc", "memalign",
            "valloc", "pvalloc", "malloc_usable_size"} <= exported


def run_to_the_end(nursery, fd, count, cap_of):
    """As the coordinator would: successors after a retirement, halves after a death at the cap, at last a quarantine."""
    first, segment, deaths, stop, skip = 1, 0, 0, 0, []
    while first <= count:
        segment += 1
        worker = nursery.build([fd], [(1, count + 1)], segment=segment, resume=first, stop=stop, cap=cap_of(), skip=skip)
        words = nursery.run(worker)
        if words["reason"] in ("done", "retired"):
            outcome = worker.outcome()
            assert outcome.committed and outcome.applied.first == first
            assert outcome.applied.end == (stop or count + 1) or words["reason"] == "retired"
            first, stop = outcome.applied.end, 0
            continue
        assert words["reason"] in ("cap", "kernel_cap") and words["text"], words
        assert os.waitstatus_to_exitcode(worker.status) == 75 and worker.outcome() is None
        assert words["peak"] <= words["cap"]
        deaths += 1
        assert surveyed(nursery)[-1].watermark == first  # nothing of it is committed, and core.mdb is whole
        left = (stop or count + 1) - first
        if left == 1:
            skip.append(nursery.internal.Skip(sequence=first, code="too_much_memory", message="it needs more"))
        else:
            stop = first + left // 2
    return deaths, [s.sequence for s in skip]


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
@pytest.mark.parametrize("cap", [32, 33, 37, 41, 48, 64])
def test_small_caps_commit_everything(nursery, directory, cap):
    many = documents(12000, words=40)
    deaths, skipped = run_to_the_end(nursery, puts(many), len(many), lambda: cap * MIB)
    state = surveyed(nursery)[-1]
    assert (state.documents, state.watermark) == (len(many), len(many) + 1)
    assert deaths == 0 and not skipped


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
@pytest.mark.parametrize("seed", range(3))
def test_random_caps_and_sizes_lose_nothing_but_what_is_too_large(nursery, seed):
    rng = random.Random(seed)
    many = [{"id": i, "t": " ".join(f"{rng.getrandbits(20):05x}" for _ in range(rng.choice((3, 50, 2000, 30000)) +
                                                                            250000 * (rng.random() < 0.06)))}
            for i in range(60)]
    deaths, skipped = run_to_the_end(nursery, puts(many), len(many), lambda: rng.randrange(32 * MIB, 80 * MIB))
    state = surveyed(nursery)[-1]
    assert (state.documents, state.watermark) == (len(many) - len(skipped), len(many) + 1)
    assert all(len(many[n - 1]["t"]) > 1000000 for n in skipped), (deaths, skipped)


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
def test_a_document_too_large_for_the_cap_is_named(nursery, directory):
    big = {"id": "big", "body": " ".join(f"x{i:x}" for i in range(1500000))}
    fd = puts([{"id": "before"}, big, {"id": "after"}])
    worker = nursery.build([fd], [(1, 4)], cap=32 * MIB)
    words = nursery.run(worker)
    if words["reason"] == "retired":  # with the first document alone
        worker = nursery.build([fd], [(1, 4)], cap=32 * MIB, resume=2, segment=2)
        words = nursery.run(worker)
    assert words["reason"] in ("cap", "kernel_cap") and words["sequence"] == 2 and words["text"]
    assert os.waitstatus_to_exitcode(worker.status) == 75
    assert words["peak"] <= 32 * MIB


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
@pytest.mark.parametrize("cap", [1 * MIB, 8 * MIB, 14 * MIB, 17 * MIB, 20 * MIB, 23 * MIB, 26 * MIB])
def test_below_the_smallest_cap_it_dies_with_words_and_core_is_whole(nursery, cap):
    assert nursery.run(nursery.build([puts(documents(10))], [(1, 11)]))["reason"] == "done"
    many = documents(3000, 100, words=40)
    worker = nursery.build([puts(many, 11)], [(11, 3011)], segment=2, cap=cap)
    words = nursery.run(worker)
    assert words["reason"] in ("cap", "kernel_cap", "done", "retired") and words["text"], words
    state = surveyed(nursery)[-1]
    assert state.documents >= 10 and (state.documents > 10) == (words["reason"] in ("done", "retired"))


# ----------------------------------------------------------------------------------- what depends on what was before it


def test_partial_updates_see_the_index_and_the_job_they_are_in(nursery):
    assert nursery.run(nursery.build([puts(documents(3))], [(1, 4)]))["reason"] == "done"
    operations = [operation(PATCH, "0", {"a": 1}, 5000), operation(PUT, "1", {"id": 1, "b": 1}, 5001),
                  operation(PATCH, "1", {"c": 2}, 5002), operation(DELETE, "2", b"", 5003),
                  operation(PATCH, "2", {"id": 2, "d": 3}, 5004), operation(PATCH, "9", {"e": 4}, 5005, 7)]
    worker = nursery.build([region(operations, 4)], [(4, 10)], segment=2)
    assert nursery.run(worker)["reason"] == "done"
    assert [(r.id, r.code, r.position) for r in worker.refused().values()] == [("9", "invalid_id", 7)]
    state = worker.outcome().state
    assert (state.documents, state.watermark) == (3, 10)
    assert [(s.id, s.documents, s.deleted) for s in state.segments] == [(1, 3, 3), (2, 4, 1)]


def test_a_partial_update_below_a_later_version_is_dead_from_birth(nursery):
    assert nursery.run(nursery.build([puts(documents(3))], [(1, 4)]))["reason"] == "done"
    later = nursery.build([region([operation(PUT, "0", {"id": 0, "later": 1}, 6000)], 5)], [(5, 6)], segment=2)
    assert nursery.run(later)["reason"] == "done"
    worker = nursery.build([region([operation(PATCH, "0", {"id": 0, "a": 1}, 5000)], 4)], [(4, 5)], segment=3)
    assert nursery.run(worker)["reason"] == "done"
    state = worker.outcome().state
    assert (state.documents, state.watermark) == (3, 6)
    assert [(s.id, s.deleted) for s in state.segments] == [(1, 1), (2, 0), (3, 1)]


def by_filter(text, stamp):
    return operation(FILTER, "filter", text, stamp)


def test_a_deletion_by_filter_says_how_many(nursery):
    place = (1, 1, 3)
    worker = nursery.build([region([operation(PUT, str(d["id"]), d, 1000 + d["id"]) for d in documents(100)], 1, place)],
                           [(1, 101)], place=place)
    assert nursery.run(worker)["reason"] == "done"
    worker = nursery.build([region([by_filter("id < 40", 1050)], 101, place, task=9)], [(101, 102)], segment=2, place=place)
    assert nursery.run(worker)["reason"] == "done"
    state = worker.outcome().state
    assert (state.documents, state.watermark, len(state.segments)) == (60, 102, 1)
    told = worker.refused()["filter"]
    assert (told.code, told.message, told.position, told.task, told.sequence) == ("deleted", "40", 3, 9, 101)
    assert [(r.code, r.message, r.generation) for s in surveyed(nursery, place) for r in s.refused] == [
        ("deleted", "40", told.generation)]


def test_a_deletion_by_filter_sees_no_later_stamp(nursery):
    assert nursery.run(nursery.build([puts(documents(10))], [(1, 11)]))["reason"] == "done"  # stamps 1001..1010
    worker = nursery.build([region([by_filter("id EXISTS", 1006)], 11)], [(11, 12)], segment=2)
    assert nursery.run(worker)["reason"] == "done"
    assert worker.outcome().state.documents == 5 and worker.refused()["filter"].message == "5"


def test_a_filter_that_got_into_the_log_wrong_is_refused(nursery):
    assert nursery.run(nursery.build([puts(documents(10))], [(1, 11)]))["reason"] == "done"
    worker = nursery.build([region([by_filter("id <", 2000)], 11)], [(11, 12)], segment=2)
    assert nursery.run(worker)["reason"] == "done"
    refused = worker.refused()["filter"]
    assert refused.code == "invalid_filter" and "character 5" in refused.message
    assert worker.outcome().state.documents == 10 and worker.outcome().state.watermark == 12


@pytest.mark.parametrize("early", [operation(PATCH, "0", {"id": 0}, 5000), by_filter("id = 0", 5000)], ids=["partial", "filter"])
def test_what_comes_before_it_may_is_not_applied(nursery, early):
    assert nursery.run(nursery.build([puts(documents(3))], [(1, 4)]))["reason"] == "done"
    worker = nursery.build([region([early], 6)], [(6, 7)], segment=2)
    words = nursery.run(worker)
    assert (words["reason"], words["text"]) == ("corrupt", "the job came before what it depends on was applied")
    assert not worker.outcome() and [s.documents for s in surveyed(nursery)] == [3]
