"""A shard with an index under it, which a nursery's workers build: what tests of the two together share."""
import json
import os
import zlib

import pytest

import nursery as harness
from test_shard import Shard, hits_of

PLACE = (1, 1, 0)
# Numbers are stored and not indexed, and these do not compress: a segment with a document that has them is a file.
PAD = [int(zlib.crc32(b"%d" % n)) for n in range(9000)]


class Index:
    def __init__(self, internal, directory, number=1):
        self.internal, self.directory, self.number = internal, directory, number
        self.nursery = harness.Nursery(internal, directory)
        self.nursery.await_ready()
        self.next = self.segment = 1

    def apply(self, operations):
        place = (self.number, 1, 0)
        fd = harness.region(operations, self.next, place)
        worker = self.nursery.build([fd], [(self.next, self.next + len(operations))], self.segment, place)
        os.close(fd)
        assert self.nursery.run(worker)["reason"] == "done" and not worker.refused()
        self.next += len(operations)
        self.segment += 1

    def put(self, *documents):
        self.apply([harness.operation(harness.PUT, d["id"], d, 100 + self.next + i, i) for i, d in enumerate(documents)])

    def delete(self, *ids):
        self.apply([harness.operation(harness.DELETE, i, b"", 100 + self.next + n, n) for n, i in enumerate(ids)])

    def path(self):
        return self.directory / f"indexes/{self.number}/1/0"

    def place(self):
        return self.internal.Place(index=self.number, edition=1, shard=0)

    def text(self, query, settings=None):
        return self.internal.QueryText(place=self.place(), query=query, no_prefix=True, **self.rules(settings))

    @staticmethod
    def rules(settings=None):
        text = json.dumps({**harness.SETTINGS, **(settings or {})}).encode()
        return {"settings": text, "settings_id": zlib.crc32(text)}

    def search(self, query, limit=10, settings=None, **options):
        return self.internal.Execute(text=self.text(query, settings), own_statistics=True, limit=limit, **options)


def cats(pad):
    made = [{"id": f"{n:02}", "title": f"cats {n}", "n": n, "a b": ["x", {"é\\": "}\""}]} for n in range(20)]
    made[-1].update({"pad": pad} if pad else {})
    return made


@pytest.fixture
def index(internal, directory):  # noqa: F811
    made = Index(internal, directory)
    made.put(*cats(PAD))
    yield made
    assert made.nursery.close() == 0


@pytest.fixture(params=["file", "image"])
def home(request):
    return request.param


@pytest.fixture
def index_at_home(internal, directory, home):  # noqa: F811
    made = Index(internal, directory)
    made.put(*cats(PAD if home == "file" else None))
    assert made.path().joinpath("seg-1.mdb").exists() == (home == "file")
    yield made
    assert made.nursery.close() == 0


@pytest.fixture
def shard(internal, directory):  # noqa: F811
    made = Shard(internal, directory)
    made.receive()
    yield made
    if made.process.poll() is None:
        assert made.close() == 0


def ids(answer):
    return [hit.id.decode() for hit in hits_of(answer)]


def documents(answer, body):
    lengths = answer.fetched.document_length
    if answer.WhichOneof("message") == "executed":
        lengths = [hit.document_length for hit in hits_of(answer)]
    cut = []
    for length in lengths:
        cut.append(body[:length])
        body = body[length:]
    assert body == b""
    return cut
