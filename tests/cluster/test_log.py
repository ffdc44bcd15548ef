"""The durable log from outside: what it holds while nothing is applied, what damage costs, and what memory it saves."""
import contextlib
import os
import pathlib
import signal
import struct
import time

import pytest

import mayfly
import mayfly_pb2
from conftest import START_LIMIT, held_up, nursery_of

HEADER, FILE_HEADER = 72, 24  # coordinator/oplog_record.h


def documents(first, end, text="water"):
    return [{"id": i, "title": f"{text} number {i}"} for i in range(first, end)]


def count(client, index="books", query="water"):
    return len(client.search(index, query, limit=10000, documents=False).hits)


def die_with_a_full_log(server, write, create=True):
    """What `write` does with a client is accepted, nothing is applied, and the server is killed."""
    with server.client() as m:
        if create:
            m.create_index("books")
        pid = nursery_of(m)
        os.kill(pid, signal.SIGSTOP)
        result = write(m)
    server.kill()
    os.kill(pid, signal.SIGKILL)
    return result


def ended(client, uid):
    """The task at its end; None if the server was killed before the catalog heard of it, and the log lost its trace."""
    try:
        return client.wait_task(uid)
    except mayfly.Failure as failure:
        assert failure.code == "task_not_found"
        return None


def log_files(server):
    return sorted((server.data / "log").glob("*.log"), key=lambda path: int(path.stem))


def await_gone(path):
    """Until the log has removed it, which it may once the catalog has what it told."""
    limit = time.monotonic() + START_LIMIT
    while path.exists():
        assert time.monotonic() < limit, f"{path} is still there"
        time.sleep(0.02)


def await_smaller_log(client, size):
    """What is applied leaves it a moment later."""
    limit = time.monotonic() + START_LIMIT
    while (left := client.stats().log_bytes) >= size:
        assert time.monotonic() < limit, f"{left} bytes are still in the log"
        time.sleep(0.02)


def records(path):
    """(offset, length, first sequence number, count) of each record; a kill leaves zero bytes behind the last one."""
    data, at = path.read_bytes(), FILE_HEADER
    while data[at:].strip(b"\0"):
        assert data[at:at + 4] == b"MFR2"
        size = HEADER + struct.unpack_from("<I", data, at + 12)[0]
        yield at, size, struct.unpack_from("<Q", data, at + 56)[0], struct.unpack_from("<I", data, at + 32)[0]
        at += size


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


# --------------------------------------------------------------------------------------------------------------- tasks


def test_a_task_is_known_from_log_or_catalog_however_soon_the_kill(make_server):
    """Its end is written to the catalog a moment later; until then the log must keep the file that speaks of it."""
    server = make_server(shards=1, config={"log-quota": "64M"})
    full = 8 << 20  # an eighth of it: then the next file begins
    for life in range(4):
        with server.client() as m:
            m.add("books", documents(0, 1), wait="searchable")
            path = log_files(server)[-1]
            pad = "x" * 30000
            m.add("books", ({"id": i, "pad": pad} for i in range(240)), wait="searchable")
            while path.stat().st_size < full - (200 << 10):
                m.add("books", [{"id": i, "pad": pad} for i in range(5)], wait="searchable")
            tasks = [m.add("books", [{"id": i, "pad": "y" * (300 << 10)}], wait="searchable").task for i in range(2)]
            tasks.append(m.add("books", documents(0, 1), wait="searchable").task)
        server.kill()
        server.start()
        with server.client() as m:
            assert [m.wait_task(task).status for task in tasks] == ["succeeded"] * 3, f"life {life}"


# -------------------------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("where", ["payload", "header"])
def test_damage_in_the_middle_costs_that_record_and_says_so(make_server, where):
    server = make_server(shards=1)
    tasks = die_with_a_full_log(server, lambda m: [m.add("books", documents(i * 10, i * 10 + 10)).task for i in range(5)])
    [path] = log_files(server)
    at, size, first, number = list(records(path))[2]
    flip(path, at + (HEADER + 100 if where == "payload" else 60))
    server.start()
    with server.client() as m:
        after = [ended(m, task) for task in tasks]
        lost = {i for i in range(50)} - {int(h.id) for h in m.search("books", "water", limit=100).hits}
        assert lost == set(range(first - 1, first - 1 + number)) and number == 10
        if where == "payload":
            assert [t.status for t in after] == ["succeeded"] * 2 + ["failed"] + ["succeeded"] * 2
            errors = after[2].errors
            assert {e.code for e in errors} == {"lost"} and len(errors) == after[2].refused == 10
            assert errors[0].id == f"shard 0 sequence {first}" and errors[0].position == 2**64 - 1
        else:  # whose they were nobody knows: no task of then may call itself whole
            assert all(t.status == "failed" and t.failure.code == "lost" for t in after if t)
            assert all(after[:2] + after[3:])
        m.add("books", documents(0, 50), wait="searchable")
        assert count(m) == 50
        await_gone(path)  # nobody needs it
    log = server.log()
    assert f"offset={at} bytes={size}" in log and "error mayflyd: a log file is damaged" in log
    assert f"error mayflyd: operations are lost: they were accepted, but the log is damaged index=books shard=0 first={first} end={first + number}" in log
    server.stop()
    server.start()
    with server.client() as m:
        assert [m.wait_task(t.uid).status for t in after if t] == [t.status for t in after if t]
        assert count(m) == 50
        assert m.add("books", documents(0, 1, "fire"), wait="searchable").refused == 0


def test_damage_within_one_bulk_load_is_told_to_its_task(make_server):
    """Even if the damage is in the header: what stands on both sides is of one task."""
    server = make_server(shards=1)
    pad = "x" * 30000
    load = [{"id": i, "title": "water", "pad": pad} for i in range(200)]
    result = die_with_a_full_log(server, lambda m: m.add("books", load))
    assert result.accepted == 200
    [path] = log_files(server)
    at, size, first, number = list(records(path))[3]
    flip(path, at + 30)
    server.start()
    with server.client() as m:
        task = m.wait_task(result.task)
        assert task.refused == number == len(task.errors) and {e.code for e in task.errors} == {"lost"}
        assert count(m) == 200 - number


def test_a_torn_tail_is_no_damage(make_server):
    server = make_server(shards=1)
    tasks = die_with_a_full_log(server, lambda m: [m.add("books", documents(i * 10, i * 10 + 10)).task for i in range(3)])
    [path] = log_files(server)
    *_, (at, size, _, _) = records(path)
    os.truncate(path, at + size - 5)
    server.start()
    with server.client() as m:
        for task in tasks[:2]:
            assert m.wait_task(task).status == "succeeded"
        assert count(m) == 20
    assert "cut a torn tail" in server.log() and "error" not in server.log()


# ---------------------------------------------------------------------------------------------------------- carry-over


def test_a_damaged_index_does_not_fill_the_log(make_server):
    """What is accepted for it stays in the log, a little in every file, while another's come and go: four times the quota.

    The first of them come into a log that is almost full, and nothing but what the log carries over can make room: no
    worker begins."""
    server = make_server(shards=1, config={"log-quota": "16M"})
    pad = "x" * 25000

    def films(first, end):
        return [{"id": i, "title": "fire", "pad": pad} for i in range(first, end)]

    def write(m):
        for i in range(64):  # a little of one index among a lot of the other, in every file of the log
            assert m.add("books", documents(i * 5, i * 5 + 5)).refused == 0
            assert m.add("films", films(i * 8, i * 8 + 8)).refused == 0

    with server.client() as m:
        m.add("books", documents(10000, 10001), wait="searchable")
    die_with_a_full_log(server, write, create=False)
    [core] = (server.data / "indexes").glob("*/*/*/core.mdb")
    whole = core.read_bytes()
    core.write_bytes(b"\0" * len(whole))
    server.start()
    with server.client() as m:
        for task in m.tasks("films", limit=1000):
            m.wait_task(task.uid)
        assert [r.code for r in m.add("books", documents(0, 1)).refusals] == ["index_damaged"]
        assert m.stats().log_bytes > 12 << 20
        with held_up(m):
            assert m.add("films", films(0, 200)).refused == 0
        for i in range(25):
            assert m.add("films", films(i * 100, i * 100 + 100), wait="searchable").refused == 0
        await_smaller_log(m, 8 << 20)
    assert "carried over" in server.log()
    server.kill()
    core.write_bytes(whole)
    server.start()
    with server.client() as m:
        for task in m.tasks("books", limit=1000):
            m.wait_task(task.uid)
        assert count(m) == 321


# ---------------------------------------------------------------------------------------------------------- back-pressure


def test_a_client_that_is_faster_than_the_workers_waits_for_room(make_server):
    """Four times the quota at once: with room for all of it in memory, only the log can slow it down."""
    server = make_server(shards=1, config={"log-quota": "16M"})
    pad = "x" * 250000
    with server.client() as m:
        result = m.add("books", ({"id": i, "title": "water", "pad": pad} for i in range(256)))
        assert (result.accepted, result.refused) == (256, 0)
        m.wait_task(result.task)
        assert count(m) == 256
        assert m.stats().log_bytes < 16 << 20


# -------------------------------------------------------------------------------------------------------------- memory


@contextlib.contextmanager
def standing_still(pid):
    """A child of ours."""
    os.kill(pid, signal.SIGSTOP)
    try:
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def region_memory(server):
    """(what mayflyd has mapped, what its memfds hold) of shared memory, in bytes: the kernel's count.

    Of one moment: descriptors that come and go between two looks would be counted together."""
    pid = server.process.pid
    with standing_still(pid):
        return region_memory_of(pid)


def region_memory_of(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    mapped = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssShmem"))
    held = 0
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if "memfd:mayfly-batch" in os.readlink(fd):
                held += os.stat(fd).st_blocks * 512
    return mapped, held


def test_what_waits_for_workers_stays_within_the_budget(make_server):
    """Four times the budget is accepted while no job begins; then everything is found."""
    budget = 16 << 20
    server = make_server(shards=2, config={"region-memory": "16M", "max-document-size": "4M"})
    pad = "x" * 20000
    with server.client() as m, held_up(m):
        seen = []
        result = m.add("books", ({"id": i, "title": "water", "pad": pad} for i in range(3200)),
                       on_written=lambda w: seen.append(region_memory(server)))
        assert (result.accepted, result.refused) == (3200, 0)
        small = [m.add("books", [{"id": f"s{i}", "title": "fire"}]).task for i in range(100)]
        large = m.add("books", [{"id": f"l{i}", "title": "earth", "pad": "y" * (3 << 20)} for i in range(10)]).task
        seen.append(region_memory(server))
        assert m.stats().region_bytes <= budget
    assert len(seen) > 10 and max(mapped for mapped, _ in seen) <= budget and max(held for _, held in seen) <= budget
    with server.client() as m:
        for task in (result.task, *small, large):
            while (after := m.tasks(uid=task)[0]).status not in ("succeeded", "failed"):
                assert region_memory(server)[1] <= budget
            assert after.status == "succeeded"
        assert (count(m), count(m, query="fire"), count(m, query="earth")) == (3200, 100, 10)
        assert m.stats().region_bytes == 0


@pytest.mark.parametrize("files", [300, 140])
def test_the_next_life_stays_within_the_budget_too(make_server, files):
    """Of memory, and of descriptors: there are more writes than those. With 140 they run out: half of them and what a server has
    open anyway are more."""
    budget = 16 << 20
    server = make_server(start=False, shards=2, config={"region-memory": "16M", "max-document-size": "4M"})
    arguments = server.arguments
    server.arguments = lambda: ["prlimit", f"--nofile={files}:{files}", *arguments()]
    server.start()
    pad = "x" * 20000

    def write(m):
        load = ({"id": i, "title": "water", "pad": pad} for i in range(3000))
        return [m.add("books", load).task] + [m.add("books", [{"id": f"s{i}", "title": "fire"}]).task for i in range(600)]

    tasks = die_with_a_full_log(server, write)
    for _ in range(2):
        server.start()
        with server.client() as m:  # into the middle of it
            while m.tasks(uid=tasks[0])[0].searchable == 0:
                pass
        server.kill()
    server.start()
    with server.client() as m:
        assert not any(task.refused for task in m.tasks(limit=1000))
        while (after := m.tasks(uid=tasks[0])[0]).status not in ("succeeded", "failed"):
            assert region_memory(server)[1] <= budget
        assert after.status == "succeeded"
        for task in tasks[1:]:
            assert m.wait_task(task).status == "succeeded"
        assert (count(m), count(m, query="fire")) == (3000, 600)


def test_half_a_document_is_younger_than_what_came_while_it_waited(make_server):
    """Both in one segment, whose stamps rise with the numbers: it was called damaged."""
    server = make_server(shards=1, config={"workers": 2})
    body = mayfly.pack_operations([("half", b'{"id":"half","title":"water"}')])
    with server.client() as m, server.client() as other:
        m.create_index("books")
        with held_up(m):
            for i in range(2):  # every worker has something to do: what comes now will be one batch
                other.add("books", documents(10 + i, 11 + i, "fire"))
            request = m.send(body=body[:-5], write=mayfly_pb2.Write(index="books", wait=mayfly_pb2.Write.SEARCHABLE))
            m.ping()  # the half has arrived
            other.add("books", documents(0, 3))
            m.send(request=request, body=body[-5:], write=mayfly_pb2.Write(last=True))
        while not (last := m.answer(request)[0]).done:
            pass
        assert (last.searchable, last.refused) == (1, 0)
        hits = m.search("books", "water", limit=10).hits
        assert len(hits) == 4 and max(hits, key=lambda h: h.stamp).id == "half"
    assert "damaged" not in server.log()


def test_an_index_dropped_while_its_regions_are_in_the_log_only(make_server):
    server = make_server(shards=1, config={"region-memory": "16M", "max-document-size": "4M"})
    pad = "x" * 20000
    with server.client() as m:
        with held_up(m):
            for name in ("books", "films"):
                m.add(name, ({"id": i, "title": "water", "pad": pad} for i in range(2000)))
            m.drop_index("books")
        for task in m.tasks("films"):
            assert m.wait_task(task.uid).status == "succeeded"
        assert count(m, "films") == 2000
        assert m.stats().region_bytes == 0
        m.add("books", documents(0, 3), wait="searchable")
        assert count(m) == 3


def fill_and_drop(client, documents):
    client.add("films", ({"id": i, "title": "fire", "pad": "x" * 20000} for i in range(documents)))
    client.drop_index("films")


def test_a_dropped_index_leaves_nothing_in_the_log(make_server):
    server = make_server(shards=1, config={"log-quota": "16M"})
    with server.client() as m:
        with held_up(m):
            fill_and_drop(m, 300)
        for path in log_files(server)[:-1]:  # all but what is written
            await_gone(path)
        m.add("books", documents(0, 3), wait="searchable")
        assert count(m) == 3


def test_an_index_dropped_just_before_a_kill_leaves_nothing_in_the_log(make_server):
    server = make_server(shards=1)
    die_with_a_full_log(server, lambda m: fill_and_drop(m, 20))
    [path] = log_files(server)
    assert len(list(records(path))) > 0
    server.start()
    with server.client() as m:
        await_gone(path)
        m.add("books", documents(0, 3), wait="searchable")
        assert count(m) == 3
    assert "error" not in server.log()


def test_half_received_documents_count_and_hold_up_nobody(make_server):
    """Ten clients stop in the middle of 3 MB each: more than the budget. Some are refused, and others get through."""
    budget = 16 << 20
    server = make_server(shards=1, config={"region-memory": "16M", "max-document-size": "4M"})
    with contextlib.ExitStack() as stack:
        silent = []
        for i in range(10):
            m = stack.enter_context(server.client())
            body = mayfly.pack_operations([(f"half{i}", b'{"id":"half%d","title":"water","pad":"%s"}' % (i, b"z" * (3 << 20)))])
            request = m.send(body=body[:-20], write=mayfly_pb2.Write(index="books", create=True))
            silent.append((m, request, body))
        with server.client() as m:
            assert m.add("books", documents(0, 100), wait="searchable").refused == 0
            assert 6 << 20 < m.stats().region_bytes <= budget and region_memory(server)[1] <= budget
        refused = 0
        for m, request, body in silent:
            m.send(request=request, body=body[-20:], write=mayfly_pb2.Write(last=True))
            while not (last := m.answer(request)[0]).done:
                refused += len(last.refusals)
            refused += len(last.refusals)
        assert 0 < refused < 10
    with server.client() as m:
        for task in m.tasks("books", limit=100):
            m.wait_task(task.uid)
        assert count(m) == 100 + 10 - refused
