"""Another number of shards while the server runs: `mayfly reshard`."""
import collections
import contextlib
import json
import os
import random
import signal
import threading
import time

import pytest

import mayfly
from conftest import STOP_LIMIT, Server, await_figures, await_tasks, fill_disk, held_up, needs_hooks, stopped
from test_settings import (HANGS, HOG, Traffic, answers, documents, editions, ended_by_a_full_disk,
                           everything, expect_equal_to_fresh)


def shards_of(client):
    """index -> how many shards it has; None -> how many a new one would have."""
    stats = client.stats()
    return {**{i.uid: i.shards for i in stats.indexes}, None: stats.shards}


def processes(client):
    """Shard numbers that have processes."""
    return sorted({p.shard for p in client.stats().processes if p.role == "shard"})


def expect_done(client, number):
    task = client.wait_task(client.reshard(number, wait=False).task)
    assert (task.type, task.status, task.stage, task.index) == ("reshard", "succeeded", "", ""), task
    assert task.received == task.searchable
    assert set(shards_of(client).values()) == {number}
    return task


def fill(client, index="books"):
    client.add(index, documents(1500), wait="searchable")
    client.add(index, documents(400, first=100, version=1), wait="searchable")
    client.delete(index, [f"d{n}" for n in range(300, 900, 3)], wait="searchable")


@pytest.mark.parametrize("before, after", [(2, 3), (1, 4), (4, 2), (3, 1), (2, 64)])
def test_answers_stay_the_same(make_server, before, after):
    server = make_server(shards=before, readers=1)
    with server.client() as m:
        fill(m)
        found = answers(m, "books")
        task = expect_done(m, after)
        assert task.received == 1300 == m.stats().indexes[0].documents
        assert answers(m, "books") == found
        m.add("books", documents(50, first=5000), wait="searchable")
        m.add("books", [{"id": "d7", "version": 77}], partial=True, wait="searchable")
        m.delete("books", ["d1"], wait="searchable")
        m.delete_matching("books", "version = 1 AND title STARTS WITH red")
        expect_equal_to_fresh(m, "books", {})
        await_figures(m, lambda s: sorted({p.shard for p in s.processes if p.role == "shard"}) == list(range(after)))
        found = answers(m, "books")
    server.stop()
    with server.start().client() as m:
        assert set(shards_of(m).values()) == {after} and answers(m, "books") == found
        expect_equal_to_fresh(m, "books", {})
    assert f"shards = {before} is not what the data has: that is {after} and counts" in server.log()


class Writes:
    """What clients do to an index, and the documents that it must then have."""

    def __init__(self, seed):
        self.dice, self.model = random.Random(seed), {}

    def __call__(self, m, turn):
        first, kind, wait = self.dice.randrange(3000), turn % 4, self.dice.choice(["searchable", "accepted"])
        if kind == 0:
            gone = [f"d{n}" for n in range(first, first + 40)]
            m.delete("books", gone, wait=wait)
            for key in gone:
                self.model.pop(key, None)
        elif kind == 1:
            change = [{"id": f"d{n}", "title": "green wire", "turn": turn} for n in range(first, first + 20)]
            m.add("books", change, partial=True, wait=wait)
            for d in change:
                self.model[d["id"]] = {**self.model.get(d["id"], {}), **d}
        elif turn % 8 == 2:
            m.delete_matching("books", f"turn > 0 AND turn < {turn}")
            self.model = {k: d for k, d in self.model.items() if not d.get("turn")}
        else:
            batch = documents(1 + self.dice.randrange(150), first=first, version=turn)
            m.add("books", batch, wait=wait)
            self.model.update({d["id"]: d for d in batch})


LONE = {"id": "lone", "title": "walking quagga", "body": "quagga"}


def search_lone(m, _):
    result = m.search("books", "quagga", match="all", no_typos=True)
    assert [h.id for h in result.hits] == ["lone"] and not result.partial
    assert m.get("books", "lone") == LONE


def load(m, turn):
    """Megabytes, in regions and workers of their own."""
    m.add("books", [{"id": f"bulk{n}", "turn": -turn, "filling": "x" * 4000} for n in range(1500)])


def expect_model(client, model):
    assert all(task.status == "succeeded" for task in await_tasks(client) if task.type != "reshard")
    live = {h.id: h.document for h in everything(client, "books") if h.id != "lone"}
    assert live == model


def test_under_writes_and_searches(make_server):
    """Nothing is lost or doubled, and every answer is whole."""
    server = make_server(shards=2, readers=1)
    writes = Writes(11)
    with server.client() as m:
        m.add("books", [*documents(3000), LONE], wait="searchable")
        writes.model.update({d["id"]: d for d in documents(3000)})
        with Traffic(server, writes) as traffic, Traffic(server, load) as loads, Traffic(server, search_lone) as searches:
            for number in (3, 1, 4, 2):
                expect_done(m, number)
                traffic.go_on(3)
                searches.go_on(1)
        expect_model(m, writes.model)
        assert {m.get("books", f"bulk{n}")["turn"] for n in range(1500)} == {1 - loads.rounds}
        m.delete("books", [f"bulk{n}" for n in range(1500)], wait="searchable")
        expect_equal_to_fresh(m, "books", {})
    server.stop()
    assert "all whole" in server.run("check", server.data).stdout
    with server.start().client() as m:
        expect_model(m, writes.model)


def test_who_is_in_the_middle_of_a_document_goes_on(make_server):
    """Its first half came before the index changed, its second half after: it goes where it belongs by then."""
    server = make_server(shards=1, readers=1)
    body = json.dumps({"id": "slow", "title": "red quagga " * 2000}).encode()
    with server.client() as m, server.client() as slow:
        m.add("books", documents(200), wait="searchable")
        first = mayfly.pack_operations([(f"s{n}", b'{"id":"s%d","title":"red quagga"}' % n) for n in range(20)])
        whole = first + mayfly.pack_operations([("slow", body)])
        half = len(first) + len(body) // 2
        write = {"index": "books", "wait": "SEARCHABLE"}
        request = slow.send(body=whole[:half], write=write)
        expect_done(m, 3)
        assert len(m.search("books", "quagga", limit=50).hits) == 20
        slow.send(body=whole[half:], request=request, write={"last": True})
        while not (answer := slow.answer(request)[0]).done:
            pass
        assert answer.refused == 0 and answer.searchable == 21
        assert m.get("books", "slow") == json.loads(body)
        expect_equal_to_fresh(m, "books", {})


def test_many_small_writes_in_flight(make_server):
    """One connection has hundreds of streams under way; what waits for the index goes on in its order."""
    def read(request):
        while not (answer := other.answer(request)[0]).done:
            pass
        assert answer.accepted == 3 and not answer.refused

    server = make_server(shards=2, readers=1)
    with server.client() as m, server.client() as other:
        m.add("books", documents(2000), wait="searchable")
        task = m.reshard(3, wait=False).task
        version, requests = 0, collections.deque()
        while m.tasks(uid=task)[0].status == "processing":
            for _ in range(20):
                version += 1
                body = mayfly.pack_operations([(key, b'{"id":"%s","n":%d}' % (key.encode(), version)) for key in "abc"])
                requests.append(other.send(body=body, write={"index": "books", "last": True}))
            while len(requests) > 300:  # answers that nobody reads would hold it up
                read(requests.popleft())
        while requests:
            read(requests.popleft())
        await_tasks(m)
        assert [m.get("books", key)["n"] for key in "abc"] == [version] * 3


def test_goes_on_after_kills(make_server):
    """Of the server at any moment of it, and of workers and shards."""
    server = make_server(shards=2, readers=1)
    dice, model = random.Random(3), {d["id"]: d for d in documents(3000)}
    with server.client() as m:
        for index in ("books", "films"):
            m.add(index, documents(3000), wait="searchable")
        found = answers(m, "books")
    for turn, number in enumerate((5, 3, 4, 1, 2, 6)):
        with server.client() as m:
            task = m.reshard(number, wait=False).task
            more = documents(30, first=100 * turn, version=turn + 1)
            m.add("books", more)
            model.update({d["id"]: d for d in more})
            time.sleep(dice.random() * 1.5)
            children = server.children()
            server.kill()
        with server.start().client() as m:
            while m.tasks(uid=task)[0].status == "processing":
                roles = [p.pid for p in m.stats().processes if p.role in ("worker", "shard")]
                with contextlib.suppress(ProcessLookupError):
                    if roles:  # else all that were there have just been killed
                        os.kill(dice.choice(roles), signal.SIGKILL)
                time.sleep(dice.random() / 2)
            task = m.tasks(uid=task)[0]
            assert (task.type, task.status) == ("reshard", "succeeded"), task
            assert set(shards_of(m).values()) == {number}
    with server.client() as m:
        await_figures(m, lambda s: s.state == "ready")
        await_tasks(m)
        assert answers(m, "films") == found
        assert {h.id: h.document for h in everything(m, "books")} == model
        expect_equal_to_fresh(m, "books", {})
        await_figures(m, lambda s: not s.removals)
    server.stop()
    assert "all whole" in server.run("check", server.data).stdout
    for number in (1, 2):
        assert len(list((server.data / "indexes" / str(number)).iterdir())) == 1


def test_an_orderly_stop_does_not_wait_for_it(make_server):
    server = make_server(shards=1, readers=1, stop_timeout=5 * STOP_LIMIT)
    with server.client() as m:
        m.add("books", documents(2000), wait="searchable")
        with held_up(m):
            task = m.reshard(2, wait=False).task
            assert m.tasks(uid=task)[0].status == "processing"
            with server.client() as m2:
                m2.add("books", documents(10, first=9000))
    server.stop()
    with server.start().client() as m:
        assert m.wait_task(task).status == "succeeded"
        expect_equal_to_fresh(m, "books", {})


def test_another_one_takes_its_place(make_server):
    server = make_server(shards=2, readers=1)
    with server.client() as m:
        fill(m)
        m.create_index("empty")
        with held_up(m):
            first = m.reshard(5, wait=False).task
            m.create_index("late")
            await_figures(m, lambda s: max(p.shard for p in s.processes) == 4)
            assert (shards_of(m)["books"], shards_of(m)["late"]) == (2, 5)
            second = m.reshard(2, wait=False).task
            task = m.wait_task(first)
            assert (task.status, task.failure.code) == ("canceled", "replaced") and str(second) in task.failure.message
        assert m.wait_task(second).status == "succeeded"
        assert shards_of(m) == {"books": 2, "empty": 2, "late": 2, None: 2}
        await_figures(m, lambda s: max(p.shard for p in s.processes) == 1)
        assert m.reshard(2).task == 0
        expect_equal_to_fresh(m, "books", {})


def test_beside_changes_of_settings_and_of_indexes(make_server):
    """A change of settings that is under way, or comes meanwhile; an index that is dropped; two that change names."""
    server = make_server(shards=2, readers=1)
    with server.client() as m:
        for index in ("books", "films", "gone"):
            m.add(index, documents(1500), wait="searchable")
        with held_up(m):
            before = m.set_settings("films", {"language": "de"}).task
            task = m.reshard(3, wait=False).task
            after = m.set_settings("books", {"language": "de"}).task
            m.set_settings("gone", {"displayed": ["title"]})
            m.drop_index("gone")
            m.swap_indexes("books", "films")
        for uid in (before, task, after):
            assert m.wait_task(uid).status == "succeeded", m.tasks(uid=uid)
        assert shards_of(m) == {"books": 3, "films": 3, None: 3}
        for index in ("books", "films"):
            expect_equal_to_fresh(m, index, {"language": "de"})


def test_settings_that_act_at_once_are_not_lost(make_server):
    server = make_server(shards=2, readers=1)
    with server.client() as m:
        m.add("books", documents(1500), wait="searchable")
        with held_up(m):
            task = m.reshard(3, wait=False).task
            m.set_settings("books", {"displayed": ["title"]})
        assert m.wait_task(task).status == "succeeded"
        assert m.settings("books")["displayed"] == ["title"] and shards_of(m)["books"] == 3
        assert m.search("books", "red").hits[0].document.keys() == {"title"}


def test_what_is_refused(make_server):
    server = make_server(shards=2, readers=1)
    with server.client() as m:
        fill(m)
        for number in (0, 65, 4000000000):
            with pytest.raises(mayfly.Failure) as failure:
                m.reshard(number)
            assert (failure.value.code, failure.value.field) == ("bad_request", "shards")
    for words in (["reshard"], ["reshard", "two"], ["reshard", "-1"], ["reshard", "2", "3"]):
        assert server.run(*words, check=False).returncode == 2
    done = server.run("reshard", "99", check=False)
    assert done.returncode == 1 and "1 to 64" in done.stderr
    server.stop()
    core = next((server.data / "indexes/1/1/1").glob("core.mdb"))
    core.write_bytes(b"damaged" * 3000)
    with server.start().client() as m:
        with pytest.raises(mayfly.Failure) as failure:
            m.reshard(3)
        assert failure.value.code == "index_damaged" and "books" in str(failure.value)


def test_a_disk_without_room_is_said_before_it_begins(directory, small_disk):
    with stopped(Server(directory / "0", shards=1, readers=1)) as server, server.start().client() as m:
        m.add("books", documents(500), wait="searchable")
        fill_disk(small_disk, 64 << 20)  # the reserve
        with pytest.raises(mayfly.Failure) as failure:
            m.reshard(2)
        assert failure.value.code == "disk_full" and "reserve" in str(failure.value)
        done = server.run("reshard", 2, check=False)
        assert done.returncode == 1 and "disk_full" in done.stderr, done.stderr
        assert [task.type for task in m.tasks()] == ["add"]
        assert shards_of(m) == {"books": 1, None: 1} and processes(m) == [0] and editions(server) == [1]
        (small_disk / "filler").unlink()
        expect_done(m, 2)
        assert len(everything(m, "books")) == 500


def test_it_ends_where_the_disk_comes_to_its_reserve(directory, small_disk):
    with ended_by_a_full_disk(directory, small_disk, lambda m: m.reshard(2, wait=False).task) as (m, ended):
        assert "books stays with 1 shards" in ended.failure.message
        assert shards_of(m)["books"] == 1


def test_writes_do_not_wait_for_ever(make_server):
    """What was accepted is not applied in time: the index opens again, and is closed again later."""
    needs_hooks()
    hasty = {**HANGS, "MAYFLY_TEST_CLOSED_MOST_MS": "200", "MAYFLY_TEST_OPEN_LEAST_MS": "200"}
    server = make_server(shards=1, readers=1, environment=hasty, workers=4)
    with server.client() as m:
        m.add("books", documents(500), wait="searchable")
        m.add("books", [HOG])  # its worker comes to no end
        task = m.reshard(2, wait=False).task
        while server.log().count("writes to an index wait too long") < 3:
            m.add("books", documents(1, first=9000))  # each is accepted, at the latest when the index is open again
            assert m.tasks(uid=task)[0].status == "processing" and shards_of(m)["books"] == 1
        assert m.search("books", "red").hits
    server.kill()
    server.environment = {}
    with server.start().client() as m:
        assert m.wait_task(task).status == "succeeded" and shards_of(m)["books"] == 2
        assert m.get("books", "d9000") and m.get("books", "hog")
        expect_equal_to_fresh(m, "books", {})


def test_command_and_configuration(make_server):
    server = make_server(readers=1, config={"shards": 2})
    with server.client() as m:
        fill(m)
    assert "has 3 shards, task" in server.run("reshard", 3).stdout
    assert "already" in server.run("reshard", 3).stdout
    said = server.json("reshard", 4, "--no-wait")
    assert (said["done"], said["shards"]) == (False, 4)
    assert server.json("tasks", "--wait", said["task"])["tasks"][0]["status"] == "succeeded"
    assert server.json("reshard", 4) == {"done": True, "task": 0, "shards": 4}
    stats = server.json("stats")
    assert (stats["shards"], stats["indexes"][0]["shards"]) == (4, 4)
    server.stop()
    for options in ({"shards": 2}, {"shards": 4}, {}):
        server.config = options
        server.log_path.unlink()
        with server.start().client() as m:
            assert m.welcome.shards == 4 and m.stats().state == "ready"
        warned = "shards = 2 is not what the data has: that is 4 and counts" in server.log()
        assert warned == (options == {"shards": 2})
        server.stop()


def back_up(server, to):
    """Again where the index just changes over."""
    while (done := server.run("backup", to, check=False)).returncode:
        assert "at this moment (busy)" in done.stderr, done.stderr


def test_backups_while_it_goes_on(make_server, directory):
    """Each is one or the other, and goes on where it is restored, whatever number is given there."""
    server = make_server(shards=2, readers=1)
    with server.client() as m:
        fill(m)
        found = answers(m, "books")
        task = m.reshard(3, wait=False).task
        count = 0
        while count == 0 or m.tasks(uid=task)[0].status == "processing":
            back_up(server, directory / f"b{count}")
            count += 1
        back_up(server, directory / f"b{count}")
        assert m.wait_task(task).status == "succeeded"
    for number in {0, count // 2, count}:
        other = Server(directory, readers=1, shards=1)
        other.data, other.socket, other.log_path = (directory / f"{name}{number}" for name in ("data", "sock", "log"))
        other.run("restore", directory / f"b{number}", "--data", other.data)
        with other.start().client() as m:
            await_tasks(m)
            assert shards_of(m)["books"] == shards_of(m)[None] and answers(m, "books") == found
            assert shards_of(m)["books"] == 3 or number == 0
        other.stop()
