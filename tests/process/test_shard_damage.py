"""What a damaged index costs a shard, and the worker that comes next: an answer that names the place."""
import os
import re

import pytest

import nursery as harness
from conftest import START_LIMIT
from shard_index import PAD, PLACE, Index, home, ids, index, index_at_home, shard
from test_shard import failure


CORRUPT = 6  # EXIT_REASON_CORRUPT


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
