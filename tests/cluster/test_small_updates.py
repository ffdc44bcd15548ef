"""Documents that come one at a time: images in core.mdb, which are folded into files while more come."""
import contextlib
import itertools
import os
import pathlib
import signal
import statistics
import threading

import mayfly
import mayfly_pb2 as pb
import pytest

from conftest import await_ends, await_figures, await_tasks, built_with_allocators, held_up, needs_hooks

INDEX = "notes"
IMAGES_MOST, FOLD_AT = 40, 12  # in a shard's core.mdb, see index/core.h and coordinator/merge_policy.h


def note(n, text="a note", **more):
    return {"id": f"n{n}", "text": f"{text} number{n}", **more}


def files(server):
    return sorted(path.name for path in server.data.glob("indexes/*/*/*/seg-*.mdb"))


def index_stats(client):
    return next(index for index in client.stats().indexes if index.uid == INDEX)


def put(client, document):
    assert client.add(INDEX, [document], wait="searchable").searchable == 1


def found(client, query):
    return {hit.id for hit in client.search(INDEX, query, no_prefix=True, no_typos=True).hits}


def test_each_is_searchable_when_it_is_said_and_there_is_no_file(make_server):
    server = make_server(shards=1)
    with server.client() as client:
        for n in range(FOLD_AT - 1):
            put(client, note(n))
            assert found(client, f"number{n}") == {f"n{n}"}
        assert files(server) == []
        stats = index_stats(client)
        assert (stats.documents, stats.segments) == (FOLD_AT - 1, FOLD_AT - 1)
        assert 0 < stats.bytes < (FOLD_AT - 1) << 16
        assert client.get(INDEX, "n7") == note(7)


def test_versions_and_deletions_meet_in_images(make_server):
    server = make_server(shards=1)
    with server.client() as client:
        for n in range(5):
            put(client, note(n))
        put(client, note(2, "another text"))
        client.delete(INDEX, ["n3"], wait="searchable")
        assert found(client, "note") == {"n0", "n1", "n4"}
        assert found(client, "another") == {"n2"}
        assert client.get(INDEX, "n3") is None
        client.optimize(INDEX)
        assert (index_stats(client).segments, len(files(server))) == (1, 1)
        assert found(client, "number2") == {"n2"} and found(client, "note") == {"n0", "n1", "n4"}


@pytest.mark.parametrize("merge", ["auto", "manual"])
def test_images_are_folded_while_more_come(make_server, merge):
    server = make_server(shards=1, config={"merge": merge})
    with server.client() as client:
        for n in range(400):
            put(client, note(n % 70))
        stats = index_stats(client)
        assert stats.documents == 70
        # Folds come behind where others have the processors: 43 were seen; without any there would be 360.
        assert len(files(server)) < 180 and stats.segments < 220
        for n in range(70):
            assert found(client, f"number{n}") == {f"n{n}"}
        client.optimize(INDEX)
        assert index_stats(client).segments == 1


def test_images_are_folded_while_a_bulk_load_has_its_slots(make_server):
    """There is one, and its worker comes to no end; what is small has the other."""
    needs_hooks()
    server = make_server(shards=1, config={"workers": 2},
                         environment={"MAYFLY_TEST_HOG_ID": "hog", "MAYFLY_TEST_HOG": "none"})
    with server.client() as client:
        client.add("bulk", [{"id": "hog", "text": "filler " * 20000}])
        for n in range(2 * IMAGES_MOST):
            put(client, note(n))
        assert files(server) == [] and index_stats(client).segments < IMAGES_MOST
        client.drop_index("bulk")


def waiting(client):
    """The process that was forked ahead, in a list."""
    return [p for p in client.stats().processes if p.role == "worker" and p.job == "standby"]


def test_the_worker_that_is_forked_ahead_is_shown_and_counted(make_server):
    server = make_server(shards=1)
    with server.client() as client:
        numbers = itertools.count()
        while not (there := waiting(client)):
            put(client, note(next(numbers)))
        [line] = [line for line in client.budget().lines if line.what == "forked ahead"]
        assert line.count == 1
        assert there[0].rss_anon < line.each or not built_with_allocators()
        with contextlib.suppress(ProcessLookupError):  # it may have got a job, or ended, since
            os.kill(there[0].pid, signal.SIGKILL)
        put(client, note(next(numbers)))
        await_figures(client, lambda s: not any(p.role == "worker" for p in s.processes))
        assert index_stats(client).documents == next(numbers)


def handed_over(client):
    """Bytes that workers of the past gave to the kernel to be written: whole pages, but for the heads of files."""
    [nursery] = [p.pid for p in client.stats().processes if p.role == "nursery"]
    fields = dict(line.split(": ") for line in pathlib.Path(f"/proc/{nursery}/io").read_text().splitlines())
    return int(fields["wchar"])


@pytest.mark.parametrize("documents", [200, 40], ids=["added", "replaced"])
def test_an_update_writes_a_few_pages(make_server, documents):
    """The short form of what bench/updates and bench/load-growth measure. Folds are in it, and other counts would be of the file
    system, or of what others do."""
    server = make_server(shards=1)
    with server.client() as client:
        for n in range(40):
            put(client, note(n))
        before = handed_over(client)
        for n in range(200):
            put(client, note(n % documents + 40 * (documents > 40)))
        client.optimize(INDEX)
        written = handed_over(client) - before
        assert written < 200 * 5 * 4096


def test_shards_declare_the_images_that_they_hold(make_server):
    server = make_server(shards=1, readers=1)
    with server.client() as client:
        put(client, note(0, "word " + " ".join(f"w{n}" for n in range(2000))))
        assert files(server) == []
        bytes_of = index_stats(client).bytes
        client.search(INDEX, "word")
        held = await_figures(client, lambda stats: any(i.uid == INDEX and i.heap for i in stats.indexes))
        index = next(i for i in held.indexes if i.uid == INDEX)
        assert index.heap >= bytes_of and index.mapped == 0


class BulkLoad:
    """One stream that sends as fast as it is read, until it is told to stop. `accepted`: bytes that the log has."""

    PIECE = mayfly.pack_operations([(n, b'{"id":%d,"text":"%s"}' % (n, b"filler " * 300)) for n in range(256)])

    def __init__(self, server, index):
        self.client, self.accepted, self.is_over = server.client(), 0, threading.Event()
        self.request = self.client.send(write=pb.Write(index=index, create=True, primary_key="id"))
        self.threads = [threading.Thread(target=run) for run in (self.send, self.listen)]

    def send(self):
        while not self.is_over.is_set():
            self.client.send(request=self.request, body=self.PIECE, write=pb.Write())
        self.client.send(request=self.request, write=pb.Write(last=True))

    def listen(self):
        done = False
        while not done:
            written, _ = self.client.answer(self.request)
            self.accepted, done = written.accepted * len(self.PIECE) // 256, written.done

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join()
        self.client.close()


@pytest.mark.parametrize("index", ["bulk", INDEX])
def test_an_update_is_accepted_before_much_more_of_a_bulk_load(make_server, index):
    """Counted in bytes of the bulk load, not in time: what one writes to the log the other waits for. While no worker runs there is
    an append in flight all the time."""
    server = make_server(shards=1)
    with server.client() as client:
        put(client, note(0))
        with held_up(client), BulkLoad(server, index) as bulk:
            meanwhile = []
            for n in range(40):
                before = bulk.accepted
                assert client.add(INDEX, [note(n)]).accepted == 1
                meanwhile.append(bulk.accepted - before)
        assert statistics.median(meanwhile) < 24 << 20  # what more there is, this process had no processor
        await_tasks(client)
        assert client.search(INDEX, "note", limit=100).estimated_total == 40


def test_what_came_last_counts_though_it_overtakes(make_server):
    """On one connection, which says what came first: documents of a bulk load that waits for the log are put and deleted again."""
    server = make_server(shards=1)
    write = {"index": INDEX, "wait": pb.Write.SEARCHABLE, "last": True}
    with server.client() as client:
        put(client, note(0))

        def send(kind, ids, body):
            operations = mayfly.pack_operations([(n, body and b'{"id":%d,"text":"%s"}' % (n, body)) for n in ids])
            return client.send(write=pb.Write(kind=kind, **write), body=operations)

        client.sock.settimeout(300)
        request = client.send(write=pb.Write(index=INDEX, wait=pb.Write.SEARCHABLE))
        for _ in range(40):
            client.send(request=request, body=BulkLoad.PIECE, write=pb.Write())
        client.send(request=request, write=pb.Write(last=True))
        single = [send(pb.Write.PUT, [n], b"mine") for n in range(10)]
        requests = [request, *single, send(pb.Write.DELETE, range(10, 20), b""), send(pb.Write.PUT, [19], b"mine")]
        for request in requests:
            while not client.answer(request)[0].done:
                pass
        assert found(client, "mine") == {str(n) for n in (*range(10), 19)}
        assert index_stats(client).documents == 256 - 9 + 1


def add_until_killed(server, accepted, begun):
    """Single documents, until the connection ends; the numbers of those that were accepted."""
    try:
        with server.client() as client:
            for n in itertools.count():
                written = client.add(INDEX, [note(n)], wait="searchable" if n % 2 else "accepted")
                assert written.accepted == 1
                accepted.append(n)
                if n == 40:
                    begun.set()
    except (OSError, mayfly.Closed):
        begun.set()


def test_what_was_accepted_is_there_once_after_everything_was_killed(make_server):
    server, most = make_server(shards=2), 0
    for _ in range(2):
        accepted, begun = [], threading.Event()
        client = threading.Thread(target=add_until_killed, args=(server, accepted, begun))
        client.start()
        assert begun.wait(120)
        pids = [server.process.pid, *server.children()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.process.wait()
        client.join()
        await_ends(pids, 60)
        server.start()
        with server.client() as client:
            await_tasks(client)
            for n in accepted:
                assert found(client, f"number{n}") == {f"n{n}"}
            most = max(most, len(accepted))
            assert index_stats(client).documents in (most, most + 1)  # one may be applied and not said
