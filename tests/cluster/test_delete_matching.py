"""Deletions by filter: what matched when everything before them was applied is gone, what came after them stays."""
import concurrent.futures
import json

import pytest

import mayfly
import mayfly_pb2 as pb
from conftest import await_tasks, built_with_allocators, held_up


SHARDS = [1, 3]


def documents(first, end, **fields):
    return [{"id": i, "n": i, "parity": ["even", "odd"][i % 2], "text": "water", **fields} for i in range(first, end)]


def left(client, index="books"):
    return {int(hit.id) for hit in client.search(index, "water", limit=10000, documents=False).hits}


def nothing_died(client):
    """Not even to be tried again: a job that begins too early ends as if the index were damaged."""
    return {e.reason for e in client.stats().worker_exits if e.count} <= {"done", "retired", "superseded"}


def refusal(client, text, **fields):
    with pytest.raises(mayfly.Failure) as caught:
        client.write(pb.Write(**{"index": "books", "kind": pb.Write.DELETE, "last": True, "filter": text, **fields}), ())
    return caught.value


def test_what_matches_is_deleted_and_counted(client):
    client.add("books", documents(0, 1000), wait="searchable")
    result = client.delete_matching("books", "n < 100 AND parity = odd OR n 500 TO 509")
    assert (result.accepted, result.searchable, result.refused, result.deleted) == (1, 1, 0, 60)
    expected = {i for i in range(1000) if not (i < 100 and i % 2) and not 500 <= i <= 509}
    assert left(client) == expected and client.list_indexes()[0].documents == 940
    assert client.get("books", 501) is None and client.get("books", 100)["n"] == 100
    task = client.wait_task(result.task)
    assert (task.type, task.status, task.received, task.searchable, task.deleted) == ("delete", "succeeded", 1, 1, 60)
    again = client.delete_matching("books", "n < 100 AND parity = odd OR n 500 TO 509")
    assert again.deleted == 0 and client.wait_task(again.task).status == "succeeded"
    assert client.delete_matching("books", "n EXISTS").deleted == 940 and left(client) == set()


def test_an_index_of_nothing_has_nothing_to_delete(client):
    client.create_index("books")
    assert client.delete_matching("books", "n EXISTS").deleted == 0
    assert client.delete_matching("books", "n EXISTS", wait="accepted").accepted == 1


def test_what_cannot_be_understood_is_refused_before_it_is_written(client):
    client.add("books", documents(0, 10), wait="searchable")
    tasks = len(client.tasks())
    for text, code, message in [("n <", "invalid_filter", "character 4 of the filter: expected a value"),
                                ("n = 1 AND", "invalid_filter", "character 10"), ("(" * 100, "invalid_filter", "nested"),
                                ("x" * 70000, "invalid_filter", "at most 65536 bytes"),
                                ("_geoRadius(1, 2, 3)", "not_supported", "_geoRadius")]:
        failure = refusal(client, text)
        assert failure.code == code and message in failure.message and failure.field == "filter"
    assert refusal(client, "n = 1", index="absent").code == "index_not_found"
    assert refusal(client, "n = 1", kind=pb.Write.PUT).code == "bad_request"
    assert len(client.tasks()) == tasks and len(left(client)) == 10


def test_it_sees_what_came_before_it_and_nothing_after(client):
    """Held up, everything is in the log before anything is applied; then one after the other."""
    def run(index):
        client.add(index, documents(0, 100))
        client.add(index, [{"id": i, "n": 1000 + i} for i in range(20)], partial=True)  # no longer below 50
        client.add(index, documents(90, 95, n=5))  # now they are
        client.delete(index, [30])
        task = client.delete_matching(index, "n < 50", wait="accepted").task
        client.add(index, documents(40, 45))  # made again
        client.add(index, [{"id": i, "n": 1, "text": "water"} for i in (45, 60)], partial=True)
        return task

    expected = set(range(100)) - set(range(20, 50)) - set(range(90, 95)) | set(range(40, 46))
    client.add("held", [{"id": 0}], wait="searchable")
    with held_up(client):
        tasks = {"held": run("held")}
    tasks["free"] = run("free")
    await_tasks(client)
    for index, task in tasks.items():
        assert left(client, index) == expected, index
        assert client.get(index, 45) == {"id": 45, "n": 1, "text": "water"}
        assert nothing_died(client)
        # What was written again already when it looked was not there for it to delete.
        assert 29 + 5 - 6 <= client.wait_task(task).deleted <= 29 + 5


def test_it_waits_for_a_bulk_load_that_was_accepted_before(make_server):
    server = make_server(shards=1, config={"workers": 6})
    with server.client() as m:
        for part in range(3):
            first = part * 5000
            m.add("books", documents(first, first + 5000, pad="filler " * 40))
            m.add("books", documents(0, 1, pad=part))
            task = m.delete_matching("books", f"n < {first + 4990}", wait="accepted").task
            m.add("books", documents(0, 1, pad="small"), wait="searchable")  # held up by nobody
            assert m.wait_task(task).deleted >= 4989
            kept = set(range(first + 4990, first + 5000))
            assert left(m) == {0} | kept and nothing_died(m)


def test_two_clients_never_lose_what_is_written_after_a_deletion(server):
    """One adds documents of a round and then deletes those of the round before, while another loads the same index."""
    rounds, size = 12, 200

    def turn(who):
        with server.client() as m:
            for r in range(rounds):
                m.add("books", [{"id": f"{who}-{i}", "round": r, "who": who, "text": "water"} for i in range(r % 3, size)])
                m.delete_matching("books", f"who = '{who}' AND round != {r}", wait=["accepted", "searchable"][r % 2])

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for one in [pool.submit(turn, who) for who in ("a", "b", "c")]:
            one.result()
    with server.client() as m:
        assert all(t.status == "succeeded" for t in await_tasks(m))
        last = (rounds - 1) % 3
        found = m.search("books", "water", limit=10000).hits
        assert {h.id for h in found} == {f"{who}-{i}" for who in "abc" for i in range(last, size)}
        assert {h.document["round"] for h in found} == {rounds - 1}
        assert m.list_indexes()[0].documents == 3 * (size - last) and nothing_died(m)


def test_merges_meanwhile_change_nothing(server):
    """Documents move to other segments while filters are evaluated."""
    with server.client() as m, server.client() as other, concurrent.futures.ThreadPoolExecutor(1) as pool:
        for part in range(10):
            m.add("books", documents(part * 300, part * 300 + 300), wait="searchable")
        merging = pool.submit(other.optimize, "books")
        deleted = sum(m.delete_matching("books", f"n {low} TO {low + 99}").deleted for low in range(0, 3000, 200))
        merging.result()
        assert deleted == 1500 and left(m) == {i for i in range(3000) if i // 100 % 2}
        m.optimize("books")
        assert len(left(m)) == 1500


def test_accepted_ones_survive_kills_and_are_counted_once(server):
    with server.client() as m:
        m.add("books", documents(0, 600))
        tasks = [m.delete_matching("books", f"n {low} TO {low + 49}", wait="accepted").task for low in (0, 100, 200)]
    for _ in range(2):
        server.kill()
        server.start()
    with server.client() as m:
        for task in tasks:
            assert m.wait_task(task).status == "succeeded"
        assert len(left(m)) == 450
        assert [m.tasks(uid=task)[0].deleted for task in tasks] == [50, 50, 50]
    server.stop()
    server.start()
    with server.client() as m:
        assert [m.tasks(uid=task)[0].deleted for task in tasks] == [50, 50, 50] and len(left(m)) == 450


def test_more_than_there_is_memory_for_goes_in_parts(make_server):
    server = make_server(shards=1, worker_memory="32M", config={"max-document-size": "1M"})
    with server.client() as m:
        m.add("books", ({"id": i, "n": i, "text": "water"} for i in range(90_000)), wait="searchable")
        result = m.delete_matching("books", "n < 89990")
        task = m.wait_task(result.task)
        assert result.deleted == task.deleted == sum(d.documents for d in task.deletions) == 89_990
        assert len(task.deletions) > 1 or not built_with_allocators()  # there a worker has no cap
        assert left(m) == set(range(89_990, 90_000))
        assert nothing_died(m)


def test_the_command_line_says_how_many(server):
    with server.client() as m:
        m.add("books", documents(0, 100), wait="searchable")
    assert server.run("delete", "books", "--filter", "n < 10", "--wait", "searchable").stdout.startswith("10 deleted, task ")
    done = server.json("delete", "books", "--filter", "n < 20", "--wait", "searchable")
    assert (done["deleted"], done["refused"]) == (10, 0)
    wrong = server.run("--json", "delete", "books", "--filter", "n <", check=False)
    assert wrong.returncode == 1 and json.loads(wrong.stdout)["error"]["code"] == "invalid_filter"
    task = server.json("tasks", "--wait", done["task"])["tasks"][0]
    assert task["details"]["deleted"] == 10 and task["status"] == "succeeded"
