"""What depends on what was before it: partial updates, deletions by filter."""
import pytest

from nursery import DELETE, FILTER, PATCH, PUT, documents, make_nursery, nursery, operation, puts, region, surveyed


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


def test_what_was_overtaken_in_the_log_is_for_the_next_worker(nursery):
    """Stamps of a segment rise. After a restart small operations of several clients come back as one batch, in the log's order."""
    later = [operation(PUT, "0", {"id": 0, "later": 1}, 2000), operation(PUT, "1", {"id": 1}, 2001)]
    earlier = [operation(PUT, "0", {"id": 0, "earlier": 1}, 1000), operation(PUT, "2", {"id": 2}, 1001)]
    regions = [region(later, 1), region(earlier, 3)]
    worker = nursery.build(regions, [(1, 3), (3, 5)])
    assert nursery.run(worker)["reason"] == "retired"
    assert (worker.outcome().state.documents, worker.outcome().state.watermark) == (2, 3)
    worker = nursery.build([region(earlier, 3)], [(3, 5)], segment=2)
    assert nursery.run(worker)["reason"] == "done"
    state = worker.outcome().state
    assert (state.documents, state.watermark) == (3, 5)
    assert [(s.id, s.documents, s.deleted) for s in state.segments] == [(1, 2, 0), (2, 2, 1)]
