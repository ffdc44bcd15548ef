"""A shard with an index under it, which a nursery's workers build: rounds, generations, documents, damage."""
import errno
import json
import os
import pathlib
import re
import shutil
import struct
import time
import zlib

import pytest

import nursery as harness
from conftest import START_LIMIT, built_with_allocators, note
from watch import Watch
from test_shard import Shard, failure, hits_of

PLACE = (1, 1, 0)
# Numbers are stored and not indexed, and these do not compress: a segment with a document that has them is a file.
PAD = [int(zlib.crc32(b"%d" % n)) for n in range(9000)]
CORRUPT = 6  # EXIT_REASON_CORRUPT
WEIGHT = 100_000


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


def weighted(prepared):
    """What the second round is told of the first one's words."""
    terms = [c.term for word in prepared.words for c in word.candidates]
    return {"word_terms": [len(word.candidates) for word in prepared.words],
            "word_frequencies": [max((c.frequency for c in word.candidates), default=0) for word in prepared.words],
            "terms": b"".join(terms), "term_lengths": [len(t) for t in terms], "term_weights": [WEIGHT + i for i in range(len(terms))]}


def keyed(prepared):
    keys = [word.key or word.candidates[0].term for word in prepared.words]
    return {"keys": b"".join(keys), "key_lengths": [len(key) for key in keys]}


def test_a_second_round_sees_what_the_first_saw(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats"), deadline_us=60_000_000))
    first, prepared = answer.request, answer.prepared
    assert (prepared.documents, prepared.total_length) == (20, 20 * 3)
    assert [(c.term, c.distance, c.frequency) for c in prepared.words[0].candidates] == [(b"scat", 0, 20)]

    index.put({"id": "new", "title": "cats cats"})
    index.delete("00")
    execute = internal.Execute(text=index.text("cats"), generation=prepared.generation, documents=20, total_length=60,
                               **weighted(prepared), limit=100, fetch_follows=True, prepared_by=first)
    answer, body = shard.ask(execute=execute)
    assert ids(answer) == [f"{n:02}" for n in range(20)] and body == b""
    assert answer.executed.estimated_total == 20

    items = [internal.Fetch.Item(segment=hit.segment, document=hit.document) for hit in hits_of(answer)[2:4]]
    answer, body = shard.ask(fetch=internal.Fetch(place=index.place(), prepared_by=first, items=items, **index.rules()))
    assert [json.loads(d)["n"] for d in documents(answer, body)] == [2, 3]

    answer, _ = shard.ask(execute=execute)  # the generation went with the fetch
    assert answer.WhichOneof("message") == "moved"
    answer, _ = shard.ask(execute=index.search("cats", limit=100))
    assert ids(answer) == ["new"] + [f"{n:02}" for n in range(1, 20)]


def test_a_second_round_needs_no_first_while_its_generation_is_the_newest(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats")))
    shard.send(request=answer.request, abandon=internal.Abandon())
    execute = internal.Execute(text=index.text("cats"), generation=answer.prepared.generation, documents=20, total_length=60,
                               **weighted(answer.prepared), limit=100, fetch_follows=True)
    first, _ = shard.ask(execute=execute)
    second, _ = shard.ask(execute=execute)
    assert ids(first) == ids(second) == [f"{n:02}" for n in range(20)]
    index.put({"id": "more", "title": "birds"})
    for n in range(20):
        index.delete(f"{n:02}")
    # Nothing but what is held has them any more.
    assert index.nursery.run(index.nursery.merge([1, 2], index.segment))["reason"] == "done"
    assert shard.ask(execute=execute)[0].WhichOneof("message") == "moved"
    items = [internal.Fetch.Item(segment=hit.segment, document=hit.document) for hit in hits_of(first)[2:4]]
    for request in (first.request, second.request):  # each holds its own
        fetch = internal.Fetch(place=index.place(), prepared_by=request, items=items, **index.rules())
        answer, body = shard.ask(fetch=fetch)
        assert [json.loads(d)["n"] for d in documents(answer, body)] == [2, 3]
        assert shard.ask(fetch=fetch)[0].WhichOneof("message") == "moved"


@pytest.mark.parametrize("match", range(4))
@pytest.mark.parametrize("query", ["cats 7", "7 nowhere cats", "11", "nowhere"])
def test_words_that_are_given_are_those_of_the_text(shard, index, internal, query, match):  # noqa: F811
    text = index.text(query)
    text.match = match
    answer, _ = shard.ask(prepare=internal.Prepare(text=text))
    told = {"generation": answer.prepared.generation, "documents": 20, "total_length": 60, "limit": 100, **weighted(answer.prepared)}
    parsed, _ = shard.ask(execute=internal.Execute(text=text, **told))
    text.query = "not looked at"
    given, _ = shard.ask(execute=internal.Execute(text=text, **told, **keyed(answer.prepared)))
    assert hits_of(given) == hits_of(parsed) and given.executed.estimated_total == parsed.executed.estimated_total
    assert hits_of(given) or "nowhere" in query


@pytest.mark.parametrize("damage", [{"word_terms": [2]}, {"word_terms": [0]}, {"word_frequencies": []}, {"term_weights": []},
                                    {"terms": b""}, {"terms": b"scats"}, {"term_lengths": [9]}, {"word_terms": []},
                                    {"keys": b"cat", "key_lengths": [9]}, {"keys": b"scat", "key_lengths": [4, 0]}])
def test_columns_that_do_not_fit_are_refused(shard, index, internal, damage):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats")))
    told = {"generation": answer.prepared.generation, "limit": 100, **weighted(answer.prepared), **damage}
    answer, _ = shard.ask(execute=internal.Execute(text=index.text("cats"), **told))
    assert answer.failed.code == "internal"
    assert ids(shard.ask(execute=index.search("cats", limit=1))[0])  # and the shard goes on


def test_an_abandoned_generation_is_gone(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats")))
    index.delete("00")
    shard.send(request=answer.request, abandon=internal.Abandon())
    again, _ = shard.ask(execute=internal.Execute(text=index.text("cats"), generation=answer.prepared.generation,
                                                  **weighted(answer.prepared), limit=1,
                                                  prepared_by=answer.request))
    assert again.WhichOneof("message") == "moved"


def test_documents_come_whole_or_by_their_fields(shard, index, internal):  # noqa: F811
    answer, body = shard.ask(execute=index.search("cats 7", with_documents=True))
    assert ids(answer)[0] == "07"
    whole = documents(answer, body)[0]
    assert json.loads(whole) == {"id": "07", "title": "cats 7", "n": 7, "a b": ["x", {"é\\": "}\""}]}

    answer, body = shard.ask(execute=index.search("cats 7", with_documents=True, fields=["a b", "n", "none"]))
    assert json.loads(documents(answer, body)[0]) == {"n": 7, "a b": ["x", {"é\\": "}\""}]}
    answer, body = shard.ask(execute=index.search("cats 7", limit=3, with_documents=True, skip_documents=1, fields=["x"]))
    assert documents(answer, body) == [b"", b"{}", b"{}"]

    shown = {"displayed": ["n", "title"]}
    answer, body = shard.ask(execute=index.search("cats 7", settings=shown, with_documents=True))
    assert json.loads(documents(answer, body)[0]) == {"title": "cats 7", "n": 7}
    answer, body = shard.ask(execute=index.search("cats 7", settings=shown, with_documents=True, fields=["id", "n"]))
    assert json.loads(documents(answer, body)[0]) == {"n": 7}
    answer, body = shard.ask(execute=index.search("cats 7", settings=shown, with_documents=True, fields=["id"]))
    assert json.loads(documents(answer, body)[0]) == {}
    hit = hits_of(answer)[0]
    fetch = internal.Fetch(place=index.place(), items=[internal.Fetch.Item(segment=hit.segment, document=hit.document)],
                           fields=["id", "n"], **index.rules(shown))
    assert json.loads(documents(*shard.ask(fetch=fetch))[0]) == {"n": 7}


def test_an_index_has_one_set_of_rules(shard, index, internal):  # noqa: F811
    text = index.rules()
    for settings in (None, {"displayed": ["n"]}):
        shard.ask(execute=index.search("cats 7", settings=settings))
        known = {**index.rules(settings), "settings": b""}
        query = internal.QueryText(place=index.place(), query="cats 7", no_prefix=True, **known)
        answer, _ = shard.ask(execute=internal.Execute(text=query, own_statistics=True, limit=1))
        assert len(hits_of(answer)) == 1
    former = internal.QueryText(place=index.place(), query="cats 7", no_prefix=True, settings_id=text["settings_id"])
    answer, _ = shard.ask(execute=internal.Execute(text=former, own_statistics=True, limit=1))
    assert answer.WhichOneof("message") == "settings_wanted"  # let go of when the newer came


def test_lookup_finds_the_live_version(shard, index, internal):  # noqa: F811
    index.put({"id": "03", "title": "newer"})
    index.delete("04")

    def look(key):
        answer, body = shard.ask(lookup=internal.Lookup(place=index.place(), id=key))
        return [json.loads(d)["title"] for d in documents(answer, body)] if answer.fetched.found else None

    assert look(b"03") == ["newer"]
    assert look(b"04") is None
    assert look(b"05") == ["cats 5"]
    assert look(b"five") is None


def test_a_page_that_no_frame_carries_is_refused(shard, index, internal):  # noqa: F811
    for n in range(16):
        index.put({"id": f"large {n}", "title": "large", "body": "x" * (1 << 20)})
    answer, body = shard.ask(execute=index.search("large", limit=100, with_documents=True))
    assert failure(answer) == "query_too_large" and "ask for fewer" in answer.failed.message and body == b""
    answer, body = shard.ask(execute=index.search("large", limit=10, with_documents=True))
    assert len(documents(answer, body)) == 10 and len(body) > 10 << 20
    answer, body = shard.ask(execute=index.search("large", limit=100, with_documents=True, fields=["id"]))
    assert [json.loads(d)["id"] for d in documents(answer, body)] == [f"large {n}" for n in range(16)]


def test_a_deadline_that_has_passed_is_said(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats"), deadline_us=1))
    assert failure(answer) == "deadline"
    answer, _ = shard.ask(execute=index.search("cats", deadline_us=1))
    assert failure(answer) == "deadline"


def open_files(shard, path):
    found = []
    for fd in os.listdir(f"/proc/{shard.process.pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{shard.process.pid}/fd/{fd}"))
        except OSError:
            pass
    return [name for name in found if name.startswith(str(path))]


def wait_until(claim):
    """For what nothing tells: that another process has come to a system call."""
    end = time.monotonic() + START_LIMIT
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_forgotten_index_is_closed(shard, index, internal):  # noqa: F811
    shard.ask(execute=index.search("cats"))
    assert len(open_files(shard, index.path())) >= 2
    shard.send(forget=internal.Forget(index=1, edition=1))
    shard.ask(lookup=internal.Lookup(place=internal.Place(index=99, edition=1), id=b"x"))
    assert open_files(shard, index.path()) == []
    answer, _ = shard.ask(execute=index.search("cats"))
    assert len(ids(answer)) == 10


def test_an_idle_shard_lets_go_of_an_index_that_is_removed(shard, index):
    shard.ask(execute=index.search("cats"))
    with Watch(*open_files(shard, index.path())) as watch:
        shutil.rmtree(index.path())
        watch.wait(lambda: open_files(shard, index.path()) == [])
    answer, _ = shard.ask(execute=index.search("cats"))
    assert ids(answer) == []


def test_the_least_used_are_closed_before_descriptors_run_out(index, internal, directory):  # noqa: F811
    small = Shard(internal, directory, files=128)
    small.receive()
    for number in range(2, 102):
        shutil.copytree(index.path(), directory / f"indexes/{number}/1/0")
    for number in [*range(1, 102), *range(1, 102)]:
        index.number = number
        assert len(ids(small.ask(execute=index.search("cats", limit=20))[0])) == 20
    assert len(os.listdir(f"/proc/{small.process.pid}/fd")) < 100
    assert open_files(small, directory / "indexes/101") and not open_files(small, directory / "indexes/50")
    assert small.close() == 0


def test_a_nudge_lets_go_of_merged_segments(shard, index, internal):  # noqa: F811
    index.put({"id": "more", "title": "cats", "pad": PAD})
    shard.ask(execute=index.search("cats"))
    assert len([f for f in open_files(shard, index.path()) if "seg-" in f]) == 2
    worker = index.nursery.merge([1, 2], 3)
    assert index.nursery.run(worker)["reason"] == "done"
    shard.send(nudge=internal.Nudge(place=index.place(), generation=3))
    shard.ask(lookup=internal.Lookup(place=internal.Place(index=99, edition=1), id=b"x"))
    assert [os.path.basename(f) for f in open_files(shard, index.path()) if "seg-" in f] == ["seg-3.mdb"]


def stall_at(path, apart):
    """Whoever opens `path` from now on waits there; a function that puts the real file back behind the waiting one's
    back, and one that lets it go on (false as long as nobody waits)."""
    os.rename(path, apart)
    os.mkfifo(path)
    fifo = apart.with_suffix(".fifo")

    def put_back():
        os.rename(path, fifo)
        os.rename(apart, path)

    def let_go():
        try:
            os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as failure:
            assert failure.errno == errno.ENXIO, failure
            return False
        return True

    return put_back, let_go


def test_a_shard_that_stalls_until_its_segments_are_gone_reads_the_newest_view(shard, index, internal, directory):  # noqa: F811
    index.put({"id": "more", "title": "cats", "pad": PAD})
    put_back, let_go = stall_at(index.path() / "seg-2.mdb", directory / "apart")
    shard.send(execute=index.search("cats", limit=100))
    wait_until(lambda: any("seg-1.mdb" in f for f in open_files(shard, index.path())))  # the view has been read
    put_back()
    assert index.nursery.run(index.nursery.merge([1, 2], 3))["reason"] == "done"
    for segment in (1, 2):  # as the coordinator does after its grace
        os.unlink(index.path() / f"seg-{segment}.mdb")
    wait_until(let_go)
    answer, _ = shard.receive()
    assert len(ids(answer)) == 21


def test_a_segment_that_is_missing_is_damage(shard, index, internal):  # noqa: F811
    os.unlink(index.path() / "seg-1.mdb")
    answer, _ = shard.ask(execute=index.search("cats"))
    assert failure(answer) == "index_damaged" and "seg-1.mdb" in answer.failed.message


def test_a_damaged_segment_is_named_and_other_indexes_go_on(shard, index, internal, directory):  # noqa: F811
    other = Index(internal, directory, 2)
    other.put({"id": "1", "title": "cats"})
    path = index.path() / "seg-1.mdb"
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)
    answer, _ = shard.ask(execute=index.search("cats", with_documents=True))
    assert failure(answer) == "index_damaged" and "seg-1.mdb" in answer.failed.message
    answer, _ = shard.ask(execute=other.search("cats"))
    assert ids(answer) == ["1"]
    assert other.nursery.close() == 0


# Of each section (index/format.h): its number, what an answer that needs it calls it, and what needs it.
SECTIONS = [
    (0x01, "TOC", {"opening"}),
    (0x10, "dictionary", {"words", "phrase", "documents"}),
    (0x11, "block index", {"opening"}),
    (0x20, "postings", {"words", "phrase", "documents"}),
    (0x21, "positions", {"phrase"}),
    (0x30, "length codes", {"opening"}),
    (0x31, "stamps", {"opening"}),
    (0x40, "records", {"words", "phrase", "documents", "lookup"}),
    (0x41, "id places", {"words", "phrase", "documents", "lookup"}),
    (0x42, "id hashes", {"lookup"}),
    (0x43, "hash documents", {"lookup"}),
    (0x50, "stored bodies", {"documents", "lookup"}),
    (0x51, "body blocks", {"documents", "lookup"}),
    (0x52, "body ends", {"documents", "lookup"}),
]
MERGE_PASSES = {"id hashes", "hash documents"}  # written anew
UPDATE_READS = {"id hashes", "hash documents", "records", "id places"}
ENDS_EVERYTHING = {name for _, name, needs in SECTIONS if "opening" in needs}
UPDATE_CHECKS = {"file": ENDS_EVERYTHING - {"block index"}, "image": ENDS_EVERYTHING}


def flip_a_bit(index, home, section):
    """In the middle of the payload of a section's first extent, which is in the file, or in the image in core.mdb."""
    path = index.path() / ("seg-1.mdb" if home == "file" else "core.mdb")
    data = bytearray(path.read_bytes())
    extents = [m.start() for m in re.finditer(b"MFS1", data) if data[m.start() + 8] == section]
    assert extents
    for at in extents[:1] if home == "file" else extents:  # of core.mdb there may be an older page
        size = int.from_bytes(data[at + 4:at + 8], "little")
        data[at + 16 + size // 2] ^= 4
    with open(path, "r+b") as file:
        file.write(data)


NAMES = {"file": "seg-1.mdb", "image": "core.mdb, image of segment 1"}


def questions(index):
    every = [f"{n:02}" for n in range(20)]
    return {
        "words": ({"execute": index.search("cats", limit=20)}, every),
        "phrase": ({"execute": index.search('"cats 7"')}, ["07"]),
        "documents": ({"execute": index.search("cats", limit=20, with_documents=True)}, every),
        "lookup": ({"lookup": index.internal.Lookup(place=index.place(), id=b"07")}, b'"cats 7"'),
    }


@pytest.mark.parametrize("section, name, needs", SECTIONS, ids=[name.replace(" ", "-") for _, name, _ in SECTIONS])
def test_a_flipped_bit_is_named_by_home_and_section(shard, index_at_home, home, internal, directory, section, name, needs):  # noqa: F811
    index = index_at_home
    other = Index(internal, directory, 2)
    other.put({"id": "1", "title": "cats"})
    flip_a_bit(index, home, section)
    failed = set()
    for question, (asked, right) in questions(index).items():
        answer, body = shard.ask(**asked)
        if answer.WhichOneof("message") == "failed":
            failed.add(question)
            assert failure(answer) == "index_damaged" and f"{NAMES[home]}, {name}: " in answer.failed.message
        elif question == "lookup":
            assert right in body
        else:
            assert ids(answer) == right
        assert ids(shard.ask(execute=other.search("cats"))[0]) == ["1"]
    assert failed == (needs if "opening" not in needs else set(questions(index)))
    assert other.nursery.close() == 0


@pytest.mark.parametrize("section, name", [s[:2] for s in SECTIONS], ids=[s[1].replace(" ", "-") for s in SECTIONS])
def test_a_worker_names_home_and_section(index_at_home, home, section, name):
    index = index_at_home
    index.put({"id": "more", "title": "cats", "pad": PAD})
    flip_a_bit(index, home, section)

    def outcome(worker):
        words = index.nursery.run(worker)
        assert words["reason"] == "done" or (words["reason"] == "corrupt" and f"{NAMES[home]}, {name}: " in words["text"])
        return words["reason"]

    fd = harness.region([harness.operation(harness.PUT, "07", {"id": "07"}, 900, 0)], index.next, PLACE)
    updated = outcome(index.nursery.build([fd], [(index.next, index.next + 1)], 3, PLACE))
    os.close(fd)
    assert updated == ("corrupt" if name in UPDATE_READS | UPDATE_CHECKS[home] else "done")
    assert outcome(index.nursery.merge([1, 2], 4)) == ("done" if name in MERGE_PASSES else "corrupt")


def test_a_file_cut_under_its_map_ends_the_shard_with_a_reason(shard, index):
    assert len(ids(shard.ask(execute=index.search("cats"))[0])) == 10
    os.truncate(index.path() / "seg-1.mdb", 4096)
    shard.send(execute=index.search("cats 7 8 9", with_documents=True))
    assert shard.process.wait(START_LIMIT) == 1
    assert shard.reason() == CORRUPT and b"SIGBUS" in shard.words[:4096]


FIGURES = struct.Struct("<20Q")  # proto/memory_figures.h
FIGURES_AT = 1024


def figures(shard):
    """Counts, bytes that it has of malloc, and those that it declares for indexes; counted after this was called."""
    end, before = time.monotonic() + START_LIMIT, FIGURES.unpack_from(shard.words, FIGURES_AT)[0]
    while (found := FIGURES.unpack_from(shard.words, FIGURES_AT))[0] < before + 2:  # one may have been under way
        assert time.monotonic() < end, "it does not count any more"
        time.sleep(0.05)
    return found[1], found[19]


def own_memory(shard):
    text = pathlib.Path(f"/proc/{shard.process.pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB$", text, re.M)[1]) * 1024


@pytest.mark.skipif(not built_with_allocators(), reason="malloc is the sanitizer's")
def test_row_8_own_memory_is_little_more_than_what_is_allocated(shard, index, internal, directory):  # noqa: F811
    segments, live = 12, 64 << 20
    for n in range(1, segments):
        index.put({"id": f"s{n}", "title": f"cats {n}"}, {"id": f"d{n}", "title": "dogs"})
    index.delete(*(f"d{n}" for n in range(1, segments)))  # so that there are deletions to hold
    last, rules = 1, index.rules()

    def search(number):
        place = internal.Place(index=number, edition=1, shard=0)
        text = internal.QueryText(place=place, query="cats", no_prefix=True, **rules)
        assert ids(shard.ask(execute=internal.Execute(text=text, own_statistics=True, limit=1))[0])

    search(1)
    while own_memory(shard) < live + (12 << 20):
        last += 1
        assert last < 1200, "so many indexes, and no 64 MiB"
        copy = directory / f"indexes/{last}/1/0"
        copy.mkdir(parents=True)
        for file in index.path().glob("*.mdb"):
            os.link(file, copy / file.name)
        search(last)
    allocated, declared = figures(shard)
    before = own_memory(shard) / allocated
    for n in range(5000):
        search(1 + n * 7919 % last)
    after = own_memory(shard) / figures(shard)[0]
    note(f"row 8: own memory to what is allocated, {allocated >> 20} MiB in {last} indexes: {before:.3f}, promised 1.25; "
         f"{after - before:+.3f} after 5,000 searches, promised 0.02")
    assert allocated >= live and before <= 1.25 and abs(after - before) <= 0.02
    assert 0.9 <= declared / allocated <= 1.1, (declared, allocated)
