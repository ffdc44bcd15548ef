"""Writes from the client's side: what is said to be safe is safe, once, in order, and what is refused is named."""
import concurrent.futures
import fcntl
import json
import os
import random
import struct

import pytest

import mayfly
import mayfly_pb2 as pb
from conftest import held_up


SHARDS = [1, 3]


def documents(first, end, text="water"):
    return [{"id": i, "title": f"{text} number {i}"} for i in range(first, end)]


def count(client, index, query="water"):
    return len(client.search(index, query, limit=10000, documents=False).hits)


# ----------------------------------------------------------------------------------------------- one index, one client


def test_what_is_added_is_found_and_returned_as_sent(client):
    body = b'{ "title":"caf\\u00e9 \xc3\xa9t\xc3\xa9",\n "id" : "a b/\xc3\xa9", "n": [1, {"deep": "word"}] }'
    result = client.add("books", [("a b/é", body)], wait="searchable")
    assert (result.accepted, result.searchable, result.refused, result.done) == (1, 1, 0, True)
    request = client.send(get=pb.Get(index="books", id="a b/é"))
    assert client.answer(request)[1] == body
    assert client.search("books", "word").ids == ["a b/é"]
    assert client.search("books", "cafe").ids == ["a b/é"]


def test_updates_replace_and_deletes_remove(client):
    client.add("books", documents(0, 100), wait="searchable")
    client.add("books", documents(0, 50, "fire"), wait="searchable")
    assert count(client, "books") == 50 and count(client, "books", "fire") == 50
    result = client.delete("books", range(25, 75), wait="searchable")
    assert (result.searchable, result.refused) == (50, 0)
    assert count(client, "books") == 25 and count(client, "books", "fire") == 25
    assert client.get("books", 30) is None and client.get("books", 10)["title"] == "fire number 10"
    client.add("books", documents(30, 31), wait="searchable")
    assert client.get("books", 30)["title"] == "water number 30"
    assert client.list_indexes()[0].documents == 51


def test_deleting_what_is_not_there_is_no_error(client):
    client.add("books", documents(0, 1), wait="searchable")
    result = client.delete("books", ["absent", "0", "absent"], wait="searchable")
    assert (result.searchable, result.refused) == (3, 0)
    assert client.list_indexes()[0].documents == 0


def test_operations_on_one_id_apply_in_order(client):
    versions = [("x", json.dumps({"id": "x", "title": f"version {i} v{i}"}).encode()) for i in range(300)]
    client.add("books", versions, wait="searchable")
    assert client.get("books", "x")["title"] == "version 299 v299"
    assert client.search("books", "version").ids == ["x"]
    assert client.search("books", "v298", match="all", no_prefix=True).ids == []


def test_the_last_of_many_small_updates_wins(client):
    for i in range(60):
        client.add("books", [{"id": "x", "title": f"version v{i}"}], wait="accepted" if i < 59 else "searchable")
    assert client.get("books", "x")["title"] == "version v59"
    # Every one of them must be applied before the last word is spoken.
    tasks = client.tasks("books")
    for task in tasks:
        client.wait_task(task.uid)
    assert client.get("books", "x")["title"] == "version v59"
    assert client.list_indexes()[0].documents == 1


def test_an_empty_stream_is_a_task_that_is_done(client):
    for wait in ("accepted", "searchable", "none"):
        result = client.add("books", [], wait=wait)
        assert result.done and result.accepted == result.searchable == result.refused == 0 and result.task
        assert client.wait_task(result.task).status == "succeeded"


def test_wait_none_answers_once_at_the_end(client):
    seen = []
    result = client.add("books", documents(0, 500), wait="none", on_written=seen.append)
    assert len(seen) == 1 and seen[0].done and result.task
    task = client.wait_task(result.task)
    assert task.status == "succeeded" and task.searchable == task.received == 500
    assert count(client, "books") == 500


def test_progress_only_grows(client):
    seen = []
    text = "filler " * 200
    result = client.add("books", [{"id": i, "title": f"water {text}"} for i in range(3000)], wait="searchable",
                        on_written=seen.append)
    assert [w.accepted for w in seen] == sorted(w.accepted for w in seen)
    assert [w.searchable for w in seen] == sorted(w.searchable for w in seen)
    assert all(w.searchable <= w.accepted for w in seen)
    assert [w.done for w in seen] == [False] * (len(seen) - 1) + [True]
    assert result.accepted == result.searchable == 3000
    assert count(client, "books") == 3000


def test_accepted_is_said_before_the_stream_ends(client):
    request = client.send(body=mayfly.pack_operations([("a", b'{"id":"a","title":"water"}')]),
                          write=pb.Write(index="books", create=True))
    assert client.answer(request)[0].accepted == 1
    client.send(request=request, body=mayfly.pack_operations([("b", b'{"id":"b","title":"water"}')]),
                write=pb.Write(last=True))
    while not (last := client.answer(request)[0]).done:
        pass
    assert last.accepted == 2


def test_operations_may_be_cut_anywhere_between_frames(client):
    body = mayfly.pack_operations([(i, b'{"id":%d,"title":"water"}' % i) for i in range(20)])
    request = client.new_request()
    client.send(request=request, write=pb.Write(index="books", create=True, wait=pb.Write.SEARCHABLE))
    for byte in body:
        client.send(request=request, body=bytes([byte]), write=pb.Write())
    client.send(request=request, write=pb.Write(last=True))
    while not (last := client.answer(request)[0]).done:
        pass
    assert (last.searchable, last.refused) == (20, 0)
    assert count(client, "books") == 20


def test_a_stream_that_ends_within_an_operation_keeps_what_was_whole(client):
    body = mayfly.pack_operations([(i, b'{"id":%d,"title":"water"}' % i) for i in range(20)])
    with pytest.raises(mayfly.Failure) as caught:
        request = client.send(body=body[:-4], write=pb.Write(index="books", create=True, last=True))
        while True:
            client.answer(request)
    assert caught.value.code == "bad_request"
    for task in client.tasks("books"):
        client.wait_task(task.uid)
    assert count(client, "books") == 19 and client.get("books", 19) is None


def test_a_hang_up_keeps_what_was_accepted(server, client):
    body = mayfly.pack_operations([(i, b'{"id":%d,"title":"water"}' % i) for i in range(20)])
    with server.client() as short:
        request = short.send(body=body[:-4], write=pb.Write(index="books", create=True))
        while short.answer(request)[0].accepted < 19:
            pass
    tasks = client.tasks("books")
    while not tasks:
        tasks = client.tasks("books")
    task = client.wait_task(tasks[0].uid)
    assert (task.searchable, task.refused) == (19, 0)
    assert count(client, "books") == 19
    assert client.add("books", documents(19, 21), wait="searchable").searchable == 2
    assert count(client, "books") == 21


def test_several_streams_at_once_on_one_connection(client):
    streams = {}
    for name in ("a", "b", "c"):
        streams[name] = client.send(write=pb.Write(index=name, create=True, wait=pb.Write.SEARCHABLE))
    for i in range(200):
        for name, request in streams.items():
            body = mayfly.pack_operations([(f"{name}{i}", b'{"id":"%s%d","title":"water"}' % (name.encode(), i))])
            client.send(request=request, body=body, write=pb.Write(last=i == 199))
    for name, request in streams.items():
        while not (last := client.answer(request)[0]).done:
            pass
        assert (last.searchable, last.refused) == (200, 0)
        assert count(client, name) == 200


def test_many_clients_write_to_one_index(server, client):
    client.create_index("books")

    def write(who):
        with server.client() as m:
            for part in range(5):
                first = who * 1000 + part * 40
                result = m.add("books", documents(first, first + 40), wait="searchable" if part == 4 else "accepted")
                assert result.refused == 0
            return m.tasks("books", limit=1)[0].uid

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    for task in client.tasks("books"):
        assert client.wait_task(task.uid).status == "succeeded"
    assert count(client, "books") == 8 * 200
    assert client.list_indexes()[0].documents == 8 * 200


def test_concurrent_updates_of_the_same_ids_leave_one_version_each(server, client):
    client.create_index("books")

    def write(who):
        chance = random.Random(who)
        with server.client() as m:
            for part in range(20):
                ids = chance.sample(range(30), 10)
                m.add("books", [{"id": i, "title": f"water by{who} part{part}"} for i in ids])
                m.delete("books", chance.sample(range(30), 3))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    for task in client.tasks("books"):
        client.wait_task(task.uid)
    hits = client.search("books", "water", limit=1000).hits
    assert len({hit.id for hit in hits}) == len(hits) == client.list_indexes()[0].documents
    for hit in hits:
        assert client.get("books", hit.id) == hit.document


# -------------------------------------------------------------------------------------------------------- refusals


def test_bad_ids_are_refused_and_the_rest_goes_on(client):
    bad = [b"", b"x" * 257, b"a\nb", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\x7f"]
    operations = [("good1", b'{"id":"good1","title":"water"}')]
    operations += [(key, b'{"id":"x"}') for key in bad]
    operations += [("x" * 256, b'{"id":"%s","title":"water"}' % (b"x" * 256))]
    result = client.add("books", operations, wait="searchable")
    assert result.refused == len(bad) == len(result.refusals)
    assert {r.code for r in result.refusals} == {"invalid_id"}
    assert [r.position for r in result.refusals] == list(range(1, 1 + len(bad)))
    assert result.accepted == result.searchable == len(operations)
    assert count(client, "books") == 2
    errors = client.tasks(uid=result.task)[0].errors
    assert [e.position for e in errors] == [r.position for r in result.refusals]


def test_bad_documents_are_refused_by_name(client):
    wrong = {"not json": b"{", "array": b"[1]", "number": b"7", "empty": b"", "no id": b'{"title":"x"}',
             "two": b'{"id":"two"}{"id":"two"}', "utf8": b'{"id":"utf8","t":"\xff"}', "nul": b'{"id":"nul","t":"\x00"}'}
    operations = [("first", b'{"id":"first","title":"water"}'), *wrong.items(), ("last", b'{"id":"last","title":"water"}')]
    result = client.add("books", operations, wait="searchable")
    assert sorted(r.id for r in result.refusals) == sorted(wrong)
    assert {r.code for r in result.refusals} <= {"invalid_document", "invalid_id"}
    assert all(r.message for r in result.refusals)
    assert sorted(client.search("books", "water").ids) == ["first", "last"]
    task = client.wait_task(result.task)
    assert task.status == "succeeded" and task.refused == len(wrong) and len(task.errors) == len(wrong)


def test_an_id_that_is_not_the_documents_is_refused(client):
    result = client.add("books", [("a", b'{"id":"b"}'), ("1", b'{"id":1}'), ("1", b'{"id":"1"}'), ("c", b'{"id":"\\u0063"}'),
                                  ("01", b'{"id":1}'), ("d", b'{"id":["d"]}')], wait="searchable")
    assert [(r.id, r.code) for r in sorted(result.refusals, key=lambda r: r.position)][0] == ("a", "id_mismatch")
    assert sorted(r.position for r in result.refusals) == [0, 4, 5]


def test_another_primary_key(client):
    client.create_index("films", primary_key="key")
    result = client.add("films", [{"key": "k1", "id": "other", "title": "water"}], primary_key="key", wait="searchable")
    assert result.refused == 0
    assert client.search("films", "water").ids == ["k1"]
    assert client.add("films", [("k2", b'{"id":"k2"}')], wait="searchable").refusals[0].id == "k2"


def test_thousands_of_refusals_are_counted_and_the_first_kept(client):
    result = client.add("books", [(f"d{i}", b"{") for i in range(2500)], wait="searchable")
    assert result.refused == 2500 and len(result.refusals) == 2500
    assert {r.position for r in result.refusals} == set(range(2500))
    task = client.wait_task(result.task)
    assert task.refused == 2500 and len(task.errors) == 1000


# --------------------------------------------------------------------------------------------------- life and death


def test_everything_is_there_after_a_restart(server):
    with server.client() as m:
        m.add("books", documents(0, 300), wait="searchable")
        m.delete("books", range(0, 100), wait="searchable")
        m.add("films", [{"id": 1, "title": "fire"}], wait="searchable")
        before = m.search("books", "water number", limit=1000)
    server.stop()
    server.start()
    with server.client() as m:
        after = m.search("books", "water number", limit=1000)
        assert [(h.id, h.score, h.stamp) for h in after.hits] == [(h.id, h.score, h.stamp) for h in before.hits]
        assert m.get("books", 50) is None and m.get("films", 1)["title"] == "fire"
        assert {i.uid: i.documents for i in m.list_indexes()} == {"books": 200, "films": 1}
        m.add("books", documents(0, 10), wait="searchable")
        assert count(m, "books") == 210


def test_what_was_accepted_survives_a_kill(server):
    with server.client() as m:
        result = m.add("books", documents(0, 2000), wait="accepted")
        m.delete("books", range(0, 500), wait="accepted")
        m.add("books", documents(400, 600, "fire"), wait="accepted")
        assert result.accepted == 2000
    server.kill()
    server.start()
    with server.client() as m:
        for task in m.tasks("books"):
            assert m.wait_task(task.uid).status == "succeeded"
        assert count(m, "books") == 1400 and count(m, "books", "fire") == 200
        assert m.list_indexes()[0].documents == 1600
        # Numbers go on where they were: the new version wins.
        m.add("books", documents(599, 601, "earth"), wait="searchable")
        assert m.get("books", 599)["title"] == "earth number 599"


def test_killed_again_and_again_while_recovering(server):
    accepted = 0
    with server.client() as m:
        for part in range(10):
            accepted += m.add("books", documents(part * 300, part * 300 + 300)).accepted
    for _ in range(4):
        server.kill()
        server.start()
    with server.client() as m:
        for task in m.tasks("books"):
            assert m.wait_task(task.uid).status == "succeeded"
        assert count(m, "books") == accepted == 3000
        assert m.list_indexes()[0].documents == 3000


def test_tasks_and_their_errors_survive(server):
    with server.client() as m:
        bad = m.add("books", [("x", b"{"), ("y", b'{"id":"y","title":"water"}')], wait="searchable")
        before = m.tasks(uid=bad.task)[0]
    server.kill()
    server.start()
    with server.client() as m:
        after = m.wait_task(bad.task)
        assert after.status == before.status == "succeeded"
        assert (after.received, after.searchable, after.refused) == (2, before.searchable, 1)
        assert [(e.id, e.code, e.position) for e in after.errors] == [("x", "invalid_document", 0)]
        again = m.add("books", documents(0, 1))
        assert again.task > bad.task


def test_an_index_that_was_dropped_stays_away(server):
    with server.client() as m:
        m.add("books", documents(0, 500), wait="accepted")
        m.drop_index("books")
        assert m.list_indexes() == []
        assert m.add("books", documents(0, 3, "fire"), wait="searchable").searchable == 3
        assert count(m, "books") == 0 and count(m, "books", "fire") == 3
    server.kill()
    server.start()
    with server.client() as m:
        for task in m.tasks("books"):
            m.wait_task(task.uid)
        assert count(m, "books") == 0 and count(m, "books", "fire") == 3


def test_dropped_again_and_again_under_load(server):
    """Every stream comes to its end, whatever became of its index, and the last index made is whole."""
    def load(who):
        with server.client() as m:
            return [m.add("bulk", ({"id": f"{who}-{i}", "text": "filler " * 50} for i in range(1000)),
                          wait=("accepted", "searchable", "none")[part % 3]) for part in range(9)]

    with concurrent.futures.ThreadPoolExecutor(3) as pool, server.client() as m:
        loading = [pool.submit(load, who) for who in range(3)]
        while not all(one.done() for one in loading):
            try:
                m.drop_index("bulk")
            except mayfly.Failure as failure:
                assert failure.code == "index_not_found"
        for one in loading:
            assert all(r.done and {x.code for x in r.refusals} <= {"index_not_found"} for r in one.result())
        for task in m.tasks():
            m.wait_task(task.uid)
        m.add("bulk", documents(0, 3), wait="searchable")
        assert count(m, "bulk") == 3
    server.stop()
    server.start()
    with server.client() as m:
        assert count(m, "bulk") == 3


def test_swapped_indexes_are_swapped_for_good(server):
    with server.client() as m:
        m.add("a", documents(0, 3), wait="searchable")
        m.add("b", documents(0, 5, "fire"), wait="searchable")
        m.swap_indexes("a", "b")
        assert count(m, "a", "fire") == 5 and count(m, "b") == 3
    server.kill()
    server.start()
    with server.client() as m:
        assert count(m, "a", "fire") == 5 and count(m, "b") == 3


# ------------------------------------------------------------------------------------------------------ back-pressure


def test_more_than_the_region_budget_goes_through(make_server):
    server = make_server(shards=2, config={"region-memory": "16M", "max-document-size": "4M", "workers": 2})
    text = "x" * 1000
    with server.client() as m:
        def many():
            for i in range(60000):
                yield {"id": i, "title": f"water {i % 97}", "pad": f"{text[i % 500:]} {i}"}
        result = m.add("books", many(), wait="searchable")
        assert (result.searchable, result.refused) == (60000, 0)
        assert m.list_indexes()[0].documents == 60000
        stats = m.stats()
        assert stats.region_budget == 16 << 20 and stats.region_bytes <= stats.region_budget


def test_searches_are_answered_while_writes_are_held_back(make_server):
    server = make_server(shards=2, config={"region-memory": "16M", "max-document-size": "4M"})
    with server.client() as m:
        m.add("books", documents(0, 10), wait="searchable")

    def load():
        with server.client() as w:
            return w.add("bulk", ({"id": i, "text": "filler " * 300} for i in range(20000)), wait="searchable")

    with concurrent.futures.ThreadPoolExecutor(1) as pool, server.client() as m:
        loading = pool.submit(load)
        rounds = 0
        while not loading.done() or rounds == 0:
            assert count(m, "books") == 10
            assert m.add("books", documents(rounds % 10, rounds % 10 + 1), wait="searchable").searchable == 1
            rounds += 1
        assert loading.result().searchable == 20000


def test_a_full_log_refuses_and_loses_nothing(make_server):
    """While nothing is applied (the nursery stands still) the log fills to its quota; then it goes on as before."""
    server = make_server(shards=1, config={"log-quota": "16M"})
    pad = "x" * (1 << 20)
    with server.client() as m:
        m.add("books", documents(0, 1), wait="searchable")
        with held_up(m):
            result = m.add("books", ({"id": f"d{i}", "title": "water", "pad": pad} for i in range(30)))
            assert result.accepted == 30 and 0 < result.refused < 30
            assert {r.code for r in result.refusals} == {"busy"}
            again = m.add("books", documents(1, 2))
            assert [r.code for r in again.refusals] == ["busy"]
        m.wait_task(result.task)
        refused = {r.id for r in result.refusals}
        found = {h.id for h in m.search("books", "water", limit=1000, documents=False).hits}
        assert found == {"0"} | {f"d{i}" for i in range(30)} - refused
        assert m.add("books", documents(1, 2), wait="searchable").refused == 0
        assert m.stats().log_bytes < 16 << 20


def test_a_large_document_fits_a_region_of_its_own(make_server):
    server = make_server(shards=2)
    body = json.dumps({"id": "large", "title": "water", "pad": "word " * (2 << 20)}).encode()
    assert 8 << 20 < len(body) < 16 << 20
    with server.client() as m:
        result = m.add("books", [("before", b'{"id":"before"}'), ("large", body), ("after", b'{"id":"after"}')],
                       wait="searchable")
        assert (result.searchable, result.refused) == (3, 0)
        assert m.answer(m.send(get=pb.Get(index="books", id="large")))[1] == body


def test_lengths_beyond_reason_end_the_stream_only(make_server):
    server = make_server()
    with server.client() as m:
        for body in (struct.pack("<I", 0xffffffff) + b"x" * 100, struct.pack("<I", 1 << 20) + b"x" * 100):
            request = m.send(body=body, write=pb.Write(index="books", create=True, last=True))
            with pytest.raises(mayfly.Failure) as caught:
                while True:
                    m.answer(request)
            assert caught.value.code == "bad_request"
        assert m.ping() == "ready"


# ------------------------------------------------------------------------------------------------------------ regions

F_GET_SEALS, F_SEAL_WRITE = 1034, 8  # of linux/fcntl.h
SMALL = 64 << 10  # coordinator/ingest_state.h, SMALL_BUNDLE


def regions(pid):
    """(bytes, seals) of each batch that the process holds."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{number}"
        try:
            if not os.readlink(path).startswith("/memfd:mayfly-batch"):
                continue
            with open(path, "rb") as file:
                found.append((os.fstat(file.fileno()).st_size, fcntl.fcntl(file, F_GET_SEALS)))
        except FileNotFoundError:  # it was closed meanwhile
            pass
    return found


def test_the_coordinator_seals_no_region_that_another_thread_has_written(make_server):
    """Sealing such a one waits for other processors, and searches with it. Workers do it, who could not begin without."""
    server = make_server(shards=1)
    bulk = [{"id": n, "text": f"water{n} " * 1000} for n in range(400)]
    large = [{"id": "large", "text": "water " * 500000}]
    with server.client() as m:
        m.create_index("books")
        with held_up(m):
            tasks = [m.add("books", part).task for part in (bulk, large, documents(1000, 1001))]
            sealed = {bool(seals & F_SEAL_WRITE): size for size, seals in sorted(regions(server.process.pid))}
            assert sealed[True] <= SMALL < sealed[False], sealed
            assert all((seals & F_SEAL_WRITE != 0) == (size <= SMALL) for size, seals in regions(server.process.pid))
        assert all(m.wait_task(task).status == "succeeded" for task in tasks)
        assert m.list_indexes()[0].documents == 402
