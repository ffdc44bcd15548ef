"""Processes that stand still: they are left for others, ended, and replaced; clients get an answer in time."""
import os
import signal
import time

import mayfly
import pytest
from conftest import await_ends, await_figures

LIMIT = 4  # answer-timeout, seconds: who is only busy answers by then


def pids(client, role):
    return sorted(p.pid for p in client.stats().processes if p.role == role)


def replaced(role, pid):
    """Of stats: another process is there, and ready, for the one that stood still."""
    def holds(stats):
        there = [p for p in stats.processes if p.role == role]
        return stats.hangs and stats.state == "ready" and pid not in [p.pid for p in there]
    return holds


def stand_still(client, server, role, during=lambda: None):
    pid = pids(client, role)[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        during()
        await_ends([pid], 60)
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    stats = await_figures(client, replaced(role, pid))
    assert stats.hangs == 1
    assert "has not answered for" in server.log()
    return stats


def test_who_answers_is_left_alone(make_server):
    server = make_server(shards=1, readers=2, config={"answer-timeout": LIMIT})
    with server.client() as m:
        first = m.stats()

        def counted(stats):  # once a second, as they are asked
            return min(p.counted for p in stats.processes if p.role == "shard")

        last = await_figures(m, lambda stats: counted(stats) >= counted(first) + LIMIT + 3)
    assert last.hangs == 0
    assert {(p.role, p.pid) for p in last.processes} == {(p.role, p.pid) for p in first.processes}
    assert "restarting" not in server.log()


def test_a_shard_that_stands_still_is_replaced(make_server):
    server = make_server(shards=1, readers=1, config={"answer-timeout": LIMIT})
    with server.client() as m:
        m.add("films", [{"id": n, "title": "bridge"} for n in range(50)], wait="searchable")
        stand_still(m, server, "shard")  # which no search has given time
        assert len(m.search("films", "bridge").hits) == 20
    assert server.json("stats")["hangs"] == 1
    assert "mayfly_hangs_total 1\n" in server.run("stats", "--prometheus").stdout


def test_a_nursery_that_stands_still_is_replaced(make_server):
    server = make_server(shards=1, readers=1, config={"answer-timeout": LIMIT})
    with server.client() as m:
        stand_still(m, server, "nursery")
        m.add("films", [{"id": n, "title": "bridge"} for n in range(50)], wait="searchable")
        assert m.search("films", "bridge").estimated_total == 50


def test_without_a_limit_it_is_waited_for(make_server):
    server = make_server(shards=1, readers=1, config={"answer-timeout": 0})
    with server.client() as m:
        m.add("films", [{"id": 1, "title": "bridge"}], wait="searchable")
        (pid,) = pids(m, "shard")
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(mayfly.Failure):
            m.search("films", "bridge", deadline_ms=1000 * (LIMIT + 2))  # longer than the limit of the other tests
        os.kill(pid, signal.SIGCONT)
        assert len(m.search("films", "bridge").hits) == 1 and m.stats().hangs == 0


def test_get_has_a_deadline(make_server):
    """Without one a document of a shard that stands still was waited for until that shard went on."""
    server = make_server(shards=1, readers=1, deadline_ms=2000)
    with server.client() as m:
        m.add("films", [{"id": 1, "title": "bridge"}], wait="searchable")
        (pid,) = pids(m, "shard")
        os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(3):
                with pytest.raises(mayfly.Failure) as refused:
                    m.get("films", 1)
                assert refused.value.code == "deadline"
        finally:
            os.kill(pid, signal.SIGCONT)
        await_document(m)


def await_document(client):
    end = time.monotonic() + 60
    while True:
        try:
            assert client.get("films", 1)["title"] == "bridge"
            return
        except mayfly.Failure:  # within its deadline nobody gave it a processor
            assert time.monotonic() < end


def test_get_goes_to_another_reader(make_server):
    server = make_server(shards=1, readers=2, deadline_ms=8000)  # the other one is asked in the middle
    with server.client() as m:
        m.add("films", [{"id": 1, "title": "bridge"}], wait="searchable")
        for pid in pids(m, "shard"):
            os.kill(pid, signal.SIGSTOP)
            try:
                for _ in range(3):  # whichever is asked first
                    assert m.get("films", 1)["title"] == "bridge"
            finally:
                os.kill(pid, signal.SIGCONT)
