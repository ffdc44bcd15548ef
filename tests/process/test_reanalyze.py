"""Workers that analyze stored documents again, without a coordinator: what one edition has and the other one lacks."""

import pytest

from nursery import (DELETE, HAS_ARENA, MIB, PUT, SETTINGS, documents, make_nursery, nursery, operation, puts, region, segment_files,
                     slot, surveyed)

TO = (1, 2, 0)
GERMAN = {**SETTINGS, "language": "de"}


def add(nursery, found, first, segment, place=(1, 1, 0)):
    worker = nursery.build([region([operation(PUT, str(d["id"]), d, 1000 + first + i, i) for i, d in enumerate(found)],
                                   first, place)], [(first, first + len(found))], segment=segment, place=place)
    assert nursery.run(worker)["reason"] == "done"


def delete(nursery, ids, first, segment, place=(1, 1, 0)):
    worker = nursery.build([region([operation(DELETE, str(key), b"", 1000 + first + i, i) for i, key in enumerate(ids)],
                                   first, place)], [(first, first + len(ids))], segment=segment, place=place)
    assert nursery.run(worker)["reason"] == "done"


def reanalyze(nursery, segment, expect="done", stop=1 << 40, **fields):
    worker = nursery.reanalyze(segment, stop, settings=GERMAN, **fields)
    words = nursery.run(worker)
    assert words["reason"] == expect, words
    return worker, words


def counts(state):
    return [(s.id, s.documents, s.deleted) for s in state.segments]


def test_copies_what_is_missing_and_no_more(nursery, directory):
    add(nursery, documents(100), 1, 1)
    add(nursery, documents(30, first=90), 101, 2)
    worker, words = reanalyze(nursery, 7)
    outcome = worker.outcome()
    assert outcome.committed and (outcome.applied.first, outcome.applied.end) == (1, 1 << 40)
    assert counts(outcome.state) == [(7, 120, 0)] and outcome.state.watermark == 1
    assert (words["documents"], words["documents_total"]) == (120, 120)
    assert segment_files(directory, "1/2/0") == ["seg-7.mdb"]
    # Again: nothing is to be done, and no file is written.
    worker, words = reanalyze(nursery, 8)
    assert worker.outcome().committed and words["documents"] == 0 and counts(worker.outcome().state) == [(7, 120, 0)]
    assert segment_files(directory, "1/2/0") == ["seg-7.mdb"]


def test_catches_up_and_takes_the_position_over(nursery):
    add(nursery, documents(100), 1, 1)
    reanalyze(nursery, 7)
    add(nursery, documents(10, first=50), 101, 2)      # other versions of ten
    delete(nursery, range(5), 113, 3)                  # above a gap: kept as tombstones
    assert nursery.run(nursery.merge([1, 2], 4))["reason"] == "done"
    worker, _ = reanalyze(nursery, 8)
    assert counts(worker.outcome().state) == [(7, 100, 15), (8, 10, 0)] and worker.outcome().state.watermark == 1
    worker, words = reanalyze(nursery, 9, last=True)
    state, old = worker.outcome().state, surveyed(nursery)[-1]
    assert words["documents"] == 0 and state.generation > old.generation
    assert (state.watermark, [(r.first, r.end) for r in state.applied]) == (111, [(113, 118)])
    assert (old.watermark, old.documents) == (state.watermark, state.documents) == (111, 95)
    # What comes late has lost against a deletion that was taken over; the next one is a document.
    late = [{"id": 3, "title": "late"}, {"id": 500, "title": "new"}]
    add(nursery, late, 111, 10, place=TO)
    state = surveyed(nursery, TO)[-1]
    assert (state.watermark, state.documents) == (118, 96)
    assert counts(state)[-1] == (10, 2, 1)


def test_a_range_of_stamps_and_what_is_quarantined(nursery, internal):
    add(nursery, documents(100), 1, 1)
    worker, _ = reanalyze(nursery, 7, resume=1001, stop=1041)
    assert counts(worker.outcome().state) == [(7, 40, 0)]
    skip = internal.Skip(sequence=1061, code="quarantined", message="it ended every worker")
    worker, _ = reanalyze(nursery, 8, resume=1041, skip=[skip])
    assert counts(worker.outcome().state) == [(7, 40, 0), (8, 59, 0)]
    refused = worker.refused()
    assert {key: (r.sequence, r.code) for key, r in refused.items()} == {"60": (1061, "quarantined")}


@pytest.mark.skipif(not HAS_ARENA, reason="the worker's arena is not used under sanitizers")
def test_retires_at_the_soft_mark_and_a_successor_goes_on(nursery):
    add(nursery, documents(15000, words=150), 1, 1)
    resume, segment, jobs = 1, 10, 0
    while resume < 1 << 40:
        worker = nursery.reanalyze(segment, 1 << 40, resume=resume, cap=32 * MIB, settings=GERMAN)
        words = nursery.run(worker, limit=120)
        assert words["reason"] in ("done", "retired") and words["peak"] <= 32 * MIB, words
        applied = worker.outcome().applied
        assert applied.first == resume < applied.end
        resume, segment, jobs = applied.end, segment + 1, jobs + 1
    state = surveyed(nursery, TO)[-1]
    assert state.documents == 15000 and len(state.segments) == jobs > 1


def test_an_edition_of_a_later_life_is_left_alone(nursery, directory):
    add(nursery, documents(10), 1, 1)
    reanalyze(nursery, 7, epoch=5)
    add(nursery, documents(5, first=20), 11, 2)
    worker, _ = reanalyze(nursery, 8, epoch=4, expect="superseded")
    assert not worker.outcome().committed
    assert counts(surveyed(nursery, TO)[-1]) == [(7, 10, 0)] and segment_files(directory, "1/2/0") == ["seg-7.mdb"]


@pytest.mark.parametrize("fields", [{"from_edition": 2}, {"resume": 9, "stop": 9}])
def test_a_job_of_nothing_is_refused(nursery, fields):
    worker = nursery.reanalyze(7, **{"stop": 1 << 40, **fields})
    assert nursery.run(worker)["reason"] == "corrupt"


def test_damage_is_named(nursery, directory):
    add(nursery, documents(3000), 1, 1)
    path = directory / "indexes/1/1/0/seg-1.mdb"
    with open(path, "r+b") as file:
        for at in range(8 * 4096, path.stat().st_size - 2 * 4096, 4096):
            file.seek(at + 100)
            file.write(b"damage")
    _, words = reanalyze(nursery, 7, expect="corrupt")
    assert "seg-1.mdb" in words["text"] and words["stage"] != "indexing"


def test_takes_its_slots_from_several_shards(nursery, directory):
    """Of two shards what is in a third's slots, and no more; then what has changed there meanwhile."""
    def is_ours(d):
        return 300 <= slot(d["id"]) < 700

    ours = {"from_shards": [0, 1], "first_slot": 300, "end_slot": 700}
    first, second = documents(300), documents(300, first=1000)
    add(nursery, first, 1, 1)
    add(nursery, second, 5001, 2, place=(1, 1, 1))  # stamps are those of nobody else
    mine = list(filter(is_ours, first + second))
    worker, words = reanalyze(nursery, 7, place=(1, 2, 5), **ours)
    assert counts(worker.outcome().state) == [(7, len(mine), 0)] and words["documents"] == len(mine)
    gone = next(d["id"] for d in first if is_ours(d))
    other = next(d["id"] for d in second if not is_ours(d))
    delete(nursery, [gone, other], 301, 3)
    late = documents(100, first=2000)
    add(nursery, late, 5301, 4, place=(1, 1, 1))
    worker, words = reanalyze(nursery, 8, place=(1, 2, 5), **ours)
    assert counts(worker.outcome().state) == [(7, len(mine), 1), (8, len(list(filter(is_ours, late))), 0)]
    assert worker.outcome().state.watermark == 1
    worker, words = reanalyze(nursery, 9, place=(1, 2, 5), **ours)
    assert words["documents"] == 0


@pytest.mark.parametrize("fields", [{"first_slot": 9, "end_slot": 9}, {"first_slot": 0, "end_slot": 1025},
                                    {"first_slot": 0, "end_slot": 10, "last": True}])
def test_slots_that_make_no_sense_are_refused(nursery, fields):
    add(nursery, documents(10), 1, 1)
    reanalyze(nursery, 7, expect="corrupt", from_shards=[0], **fields)
