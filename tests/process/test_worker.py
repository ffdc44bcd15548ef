"""The nursery and the workers it forks, without a coordinator: segments, refusals, merges, surveys, what is damaged."""
import os

import pytest

from nursery import (DELETE, PATCH, PUT, documents, make_nursery, nursery, operation, puts, region, sealed, segment_files, segments,
                     surveyed)


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
