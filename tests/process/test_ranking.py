"""Worker and shard without a coordinator: ranks equal the exhaustive reference to the last bit, whatever the segments."""
import json

import pytest

import nursery as harness
import ranking
from ranking import story  # noqa: F401, a fixture
from test_shard import Shard, hits_of

PLACE = (1, 1, 0)


class Index:
    """One shard's index: operations through workers, queries through a shard."""

    def __init__(self, internal, directory, settings):
        self.internal, self.settings = internal, settings
        self.nursery = harness.Nursery(internal, directory)
        self.nursery.await_ready()
        self.shard = Shard(internal, directory)
        self.shard.receive()
        self.next, self.segment = 1, 1
        self.segments = []

    def apply(self, kind, pairs):
        """One job: (id, body) with the next sequence numbers and stamps."""
        first = self.next
        packed = [harness.operation(kind, key, body, first + i, i) for i, (key, body) in enumerate(pairs)]
        self.next += len(packed)
        self.segment += 1
        worker = self.nursery.build([harness.region(packed, first, PLACE)], [(first, self.next)], self.segment, PLACE,
                                    self.settings)
        words = self.nursery.run(worker)
        assert words["reason"] == "done" and not worker.refused(), (words, worker.refused())
        self.segments.append(self.segment)

    def put(self, documents):
        self.apply(harness.PUT, [(document["id"], document) for document in documents])

    def delete(self, ids):
        self.apply(harness.DELETE, [(key, b"") for key in ids])

    def merge(self):
        answer = self.nursery.run(self.nursery.survey(PLACE))
        assert answer["reason"] == "done"
        inputs = self.live_segments()
        self.segment += 1
        assert self.nursery.run(self.nursery.merge(inputs, self.segment, PLACE))["reason"] == "done"
        assert self.live_segments() == [self.segment]

    def live_segments(self):
        worker = self.nursery.survey(PLACE)
        self.nursery.run(worker)
        return sorted(s.id for report in worker.reports for found in report.surveyed for s in found.segments)

    def search(self, text, form):
        match = {"last": 0, "all": 1, "frequency": 2, "any": 3}[form.match]
        i = self.internal
        query = i.QueryText(place=i.Place(index=1, edition=1, shard=0), settings=json.dumps(self.settings).encode(),
                            settings_id=1, query=text, match=match, no_prefix=form.no_prefix, no_typos=form.no_typos,
                            plain_words=form.plain_words)
        answer, _ = self.shard.ask(execute=i.Execute(text=query, own_statistics=True, limit=ranking.LIMIT))
        return [(hit.id.decode(), hit.score, hit.dropped) for hit in hits_of(answer)]

    def close(self):
        assert self.shard.close() == 0
        self.nursery.close()


@pytest.mark.parametrize("name", ["defaults", "weights"])
@pytest.mark.parametrize("batches", [1, 40])
def test_one_shard_equals_the_reference(internal, directory, story, name, batches):  # noqa: F811
    told = story(name)
    index = Index(internal, directory, {**harness.SETTINGS, **told.settings})

    def check(expected, when):
        found = {qid: index.search(text, form) for qid, text, form in told.asked}
        ranking.expect_same(told.asked, found, expected, when)

    for part in ranking.parts(told.documents, batches):
        index.put(part)
    check(told.after_adding, "after adding")
    index.put(told.updated)
    index.delete(told.gone)
    index.put(told.back)
    check(told.after_changes, "after updates and deletes")
    index.merge()
    check(told.after_changes, "after merging")
    index.close()
