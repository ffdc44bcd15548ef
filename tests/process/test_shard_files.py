"""The files that a shard has open: as few and as long as somebody needs them; and its memory for them."""
import errno
import os
import pathlib
import re
import shutil
import struct
import time

import pytest

from conftest import START_LIMIT, built_with_allocators, note
from watch import Watch
from shard_index import PAD, ids, index, shard
from test_shard import Shard


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
