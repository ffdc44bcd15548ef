"""The promises about memory that a short test can hold the server to; each says the figure that it found.

Own memory is the anonymous memory of the coordinator and of the shards, without what stats declares that a shard holds for
indexes, and the coordinator for searches that it remembers, and tasks. It is read from smaps_rollup: RssAnon is off by some
hundred KiB on kernels before 6.17, which count in each thread first.
"""
import pathlib
import random
import re
import resource
import struct
import sys

import mayfly_pb2 as pb
import pytest
from mayfly.wire import frame

from conftest import await_figures, built_with_allocators, ndjson, note, reach_all_readers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench/soak"))

import processes  # noqa: E402

pytestmark = pytest.mark.skipif(not built_with_allocators(), reason="memory under a sanitizer is not what it is")

MIB = 1 << 20
LIVED = ("coordinator", "shard")


def own_memory(stats):
    """Pid -> own bytes of the processes that last."""
    remembered = stats.weights_bytes + stats.words_bytes + stats.tasks_bytes
    declared = {p.pid: remembered if p.role == "coordinator" else p.indexes_heap for p in stats.processes if p.role in LIVED}
    return {pid: processes.rollup(pid)["Anonymous"] - size for pid, size in declared.items()}


def moved(before, after):
    """What the coordinator and the shard process that did most have grown by; none may have died."""
    assert set(before) == set(after)
    grown = {pid: after[pid] - before[pid] for pid in before}
    coordinator, *_ = before  # the first that stats tells of
    print("grown:", grown, "from", before)
    return grown[coordinator], max(grown[pid] for pid in grown if pid != coordinator)


def settled(client):
    """Stats when nothing is at work any more, and shards have counted since."""
    idle = await_figures(client, lambda stats: not any(p.role == "worker" for p in stats.processes) and stats.regions == 0)
    counted = {p.pid: p.counted for p in idle.processes}
    return await_figures(client, lambda stats: all(
        p.counted >= counted[p.pid] + 2 for p in stats.processes if p.role == "shard"))


def mib(size):
    return f"{size / MIB:.2f} MiB"


def words_of(documents):
    return sorted({word for document in documents for word in re.findall(r"[a-z]{4,12}", document["body"][:2000])})


def test_row_1_bursts_and_queries_leave_the_baseline_where_it_was(make_server):
    server = make_server(shards=2, worker_memory="64M")
    documents = ndjson("data/text/debdocs-mini.ndjson.gz", 4000)
    chance = random.Random(1)
    words = words_of(documents)

    def burst(m, n):
        some = chance.sample(documents, 400)
        m.add("docs", ({**d, "id": f"{n % 3}-{d['id']}"} for d in some), wait="searchable")
        for _ in range(50):
            m.search("docs", " ".join(chance.sample(words, 2)), match="any", limit=10)

    with server.client() as m:
        burst(m, 0)
        reach_all_readers(m, "docs", "the")
        before = own_memory(settled(m))
        for n in range(20):
            burst(m, n)
        stats = settled(m)
        coordinator, shard = moved(before, own_memory(stats))
        note(f"row 1: 20 bursts of 400 documents and 1,000 queries: own memory moved by {mib(coordinator)} in the coordinator, "
             f"{mib(shard)} in a shard; promised 1 MiB together ({stats.workers_started} workers; "
             f"{mib(sum(p.indexes_heap for p in stats.processes))} are declared for indexes)")
        assert coordinator + shard <= MIB


def test_row_1_many_searches_at_once_leave_nothing_behind(make_server):
    server = make_server(shards=2, deadline_ms=60000)
    with server.client() as m:
        m.add("docs", ({"id": n, "text": f"bridge water{n % 100} " + "word " * 100} for n in range(5000)), wait="searchable")
        for n in range(8):
            m.search("docs", f"bridge water{n}", limit=1000)
        reach_all_readers(m, "docs", "bridge")
        before = own_memory(settled(m))
        requests = [m.send_search("docs", f"bridge water{n}", limit=1000) for n in range(64)]
        for request in requests:
            assert m.search_answer(request).hits
        coordinator, shard = moved(before, own_memory(settled(m)))
        note(f"row 1: 64 searches at once for 1,000 documents: own memory moved by {mib(coordinator)} in the coordinator, "
             f"{mib(shard)} in a shard; promised 1 MiB together")
        assert coordinator + shard <= MIB


def text_document(key, size, chance):
    """A JSON object of about `size` bytes, never more, of different words."""
    parts, left = [], size - 64
    while left > 0:
        word = "%x" % chance.getrandbits(32)
        parts.append(word)
        left -= len(word) + 1
    text = " ".join(parts)[:size - 64]
    return f'{{"id": "{key}", "text": "{text}"}}'.encode()


FRAME = 8 * MIB


def send_oversize(client, count, size):
    """The codes by which documents of `size` bytes are refused. Their middle is the same frame, again and again."""
    assert size % FRAME == 0
    codes = []
    for n in range(count):
        name = f"over-{n}".encode()
        head = struct.pack("<I", len(name)) + name + struct.pack("<I", size)
        first = pb.Write(index="docs", kind=pb.Write.PUT, wait=pb.Write.ACCEPTED)
        request = client.send(write=first, body=head + b"x" * (FRAME - len(head)))
        middle = frame(pb.Envelope(request=request, write=pb.Write()), b"x" * FRAME)
        for _ in range(size // FRAME - 1):
            client.send_raw(middle)
        client.send(request=request, write=pb.Write(last=True), body=b"x" * len(head))
        done = False
        while not done:
            written, _ = client.answer(request)
            codes += [refusal.code for refusal in written.refusals]
            done = written.done
    return codes


@pytest.mark.parametrize("worker_memory", [32])
def test_row_2_documents_just_under_and_far_over_the_largest_size(make_server, worker_memory):
    largest = worker_memory // 2
    server = make_server(shards=2, worker_memory=f"{worker_memory}M", config={"max-document-size": f"{largest}M"})
    chance = random.Random(2)
    with server.client() as m:
        m.add("docs", [{"id": n, "text": "bridge"} for n in range(100)], wait="searchable")
        reach_all_readers(m, "docs", "bridge")
        before = own_memory(settled(m))
        sent = [(f"under-{n}", text_document(f"under-{n}", largest * MIB - 1, chance)) for n in range(20)]
        written = m.add("docs", sent, wait="searchable")
        refused = {r.id: r.code for r in written.refusals}
        assert set(refused.values()) <= {"too_much_memory", "quarantined"}, refused
        for key, _ in sent:
            assert (m.get("docs", key) is None) == (key in refused)
        between = sum(moved(before, own_memory(settled(m))))
        read = m.stats().log_bytes
        assert send_oversize(m, 20, worker_memory * 10 * MIB) == ["document_too_large"] * 20
        stats = settled(m)
        assert stats.log_bytes - read < MIB  # unread: nothing of them came to the log
        after = sum(moved(before, own_memory(stats)))
        note(f"row 2: 20 documents just under {largest} MiB at --worker-memory {worker_memory}M, {len(refused)} refused by id: "
             f"own memory moved by {mib(between)}, and by {mib(after)} after 20 more of {worker_memory * 10} MiB, refused unread; "
             f"promised 1 MiB")
        assert between <= MIB and after <= MIB
        assert m.search("docs", "bridge").estimated_total == 100


IDLE = 1000


def test_row_11_idle_connections_cost_little(make_server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + 200:
        pytest.skip("too few descriptors are allowed here")
    server = make_server(config={"max-connections": str(IDLE + 100)})
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    connections = []
    try:
        with server.client() as m:
            m.add("docs", [{"id": 1, "text": "bridge"}], wait="searchable")
            before = own_memory(settled(m))[server.process.pid]
            for _ in range(IDLE):
                connections.append(server.client())  # greeted, and answered
                assert connections[-1].ping() == "ready"
            assert m.stats().connections == IDLE + 1
            cost = own_memory(m.stats())[server.process.pid] - before
            note(f"row 11: {IDLE} idle connections cost the coordinator {mib(cost)}; promised 1 MiB")
            assert cost <= MIB
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
