"""Searches while a shard's process is held up or gone: those that answer are answered with."""
import concurrent.futures
import json
import os
import signal

import mayfly
import pytest

COUNT = 40
DEADLINE = 10000  # ms: they all run into it at the same time


@pytest.fixture
def server(make_server):
    made = make_server(shards=2, readers=1)
    with made.client() as m:
        m.add("books", [{"id": n, "title": "water"} for n in range(COUNT)], wait="searchable")
    return made


def pid_of(client, shard):
    return next(p.pid for p in client.stats().processes if p.role == "shard" and p.shard == shard)


def search_with_the_program(server, pool):
    """For people, for programs, and all or nothing: what will have become of them."""
    words = ["search", "books", "water", "--deadline", DEADLINE]
    return [pool.submit(server.run, *arguments, check=False)
            for arguments in (words, ["--json", *words], [*words, "--no-partial"])]


def test_a_shard_that_is_held_up_is_left_out_in_time(server):
    with server.client() as m, concurrent.futures.ThreadPoolExecutor(3) as pool:
        whole = m.search("books", "water", limit=COUNT)
        assert len(whole.ids) == COUNT and not whole.partial
        held_up = pid_of(m, 1)
        os.kill(held_up, signal.SIGSTOP)
        try:
            programs = search_with_the_program(server, pool)
            # Whose words are remembered has one round, and its shards the whole deadline; who needs two, as a phrase does, half for the first.
            limits = {"water": 10 * DEADLINE, '"water"': DEADLINE}
            requests = {query: m.send_search("books", query, limit=COUNT, deadline_ms=DEADLINE) for query in limits}
            whole_only = m.send_search("books", "water", deadline_ms=DEADLINE, no_partial=True)
            for query, request in requests.items():
                part = m.search_answer(request)
                assert part.partial and part.reason.code == "deadline" and part.took_us < limits[query] * 1000
                assert 0 < len(part.ids) < COUNT and all(hit.document["title"] == "water" for hit in part.hits)
            with pytest.raises(mayfly.Failure) as refused:
                m.search_answer(whole_only)
            assert refused.value.code == "deadline"
            text, found, refused = (program.result() for program in programs)
            assert "partial: shard 1 did not answer within the deadline" in text.stdout
            found = json.loads(found.stdout)
            assert found["partial"] is True and found["partial_reason"]["code"] == "deadline"
            assert refused.returncode == 1 and "(deadline)" in refused.stderr
        finally:
            os.kill(held_up, signal.SIGCONT)
        again = m.search("books", "water", limit=COUNT, deadline_ms=60000)
        assert again.ids == whole.ids and not again.partial


def test_a_shard_that_is_killed_meanwhile_is_left_out(server):
    with server.client() as m:
        dying = pid_of(m, 1)
        os.kill(dying, signal.SIGSTOP)  # so that the searches are with it when it ends
        requests = [m.send_search("books", "water", limit=COUNT, deadline_ms=60000) for _ in range(5)]
        m.ping()
        os.kill(dying, signal.SIGKILL)
        for request in requests:
            part = m.search_answer(request)
            assert part.partial and part.reason.code == "unavailable" and 0 < len(part.ids) < COUNT
