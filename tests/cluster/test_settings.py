"""Settings that change how documents are analyzed: the index is analyzed again beside itself, and answers meanwhile."""
import contextlib
import json
import os
import random
import signal
import threading
import time

import pytest

import mayfly
from conftest import START_LIMIT, STOP_LIMIT, Server, await_figures, await_tasks, fill_disk, held_up, ndjson, needs_hooks, stopped

WEIGHTS = {"fields": {"title": {"type": "text", "weight": 7}}}
GERMAN = {"language": "de", "stop_words": ["der", "running"]}
QUERIES = ["running cats", "red", "the cat", "title", "runs house cats", "\"red house\"", "wire net", "ru", "huose"]
WORDS = "red house cats running runs the title wire net dog walked walking green blue tree".split()
HANGS = {"MAYFLY_TEST_HOG_ID": "hog", "MAYFLY_TEST_HOG": "none"}  # whoever has it in hand comes to no end
HOG = {"id": "hog", "title": "red hog", "body": "tree"}


def document(number, version=0):
    dice = random.Random(number * 1000 + version)
    return {"id": f"d{number}", "title": " ".join(dice.choices(WORDS, k=4)),
            "body": " ".join(dice.choices(WORDS, k=dice.randrange(5, 40))), "version": version}


def documents(count, first=0, version=0):
    return [document(n, version) for n in range(first, first + count)]


def answers(client, index):
    found = {}
    for query in QUERIES:
        result = client.search(index, query, limit=50)
        assert not result.partial
        found[query] = [(h.id, h.score, h.dropped, h.document) for h in result.hits]
    return found


def change(client, index, settings):
    before = client.settings(index)
    answer = client.set_settings(index, settings)
    assert answer.task and json.loads(answer.coming) != json.loads(answer.json) == before
    return answer.task


def expect_success(client, task):
    task = client.wait_task(task)
    assert (task.type, task.status) == ("settings", "succeeded"), task
    return task


def expect_equal_to_fresh(client, index, settings):
    """To one that had the settings from the beginning and was given what is live now, in the order of its stamps."""
    live = sorted(everything(client, index), key=lambda hit: hit.stamp)
    client.create_index("fresh")
    client.set_settings("fresh", settings)
    assert not client.add("fresh", [h.document for h in live], wait="searchable").refused
    assert client.settings("fresh") == client.settings(index)
    assert answers(client, index) == answers(client, "fresh")
    client.drop_index("fresh")


def everything(client, index):
    """Every live document: each has one of these words at least."""
    return client.search(index, " ".join(WORDS), limit=10000, match="any", no_typos=True, no_prefix=True).hits


def editions(server, number=1):
    return sorted(int(p.name) for p in (server.data / "indexes" / str(number)).iterdir())


def await_editions(server, expected, number=1):
    end = time.monotonic() + START_LIMIT
    while editions(server, number) != expected:
        assert time.monotonic() < end, editions(server, number)
        time.sleep(0.05)


@pytest.mark.parametrize("shards, settings", [(1, WEIGHTS), (3, GERMAN), (3, {"searchable": ["title"]}),
                                              (1, {"language": "none"})])
def test_answers_equal_those_of_a_new_index(make_server, shards, settings):
    server = make_server(shards=shards)
    with server.client() as m:
        m.add("books", documents(1500), wait="searchable")
        m.add("books", documents(400, first=100, version=1), wait="searchable")
        m.delete("books", [f"d{n}" for n in range(300, 900, 3)], wait="searchable")
        before = answers(m, "books")
        task = expect_success(m, change(m, "books", settings))
        assert (task.received, task.searchable, task.refused, task.stage) == (1300, 1300, 0, "")
        assert answers(m, "books") != before
        await_editions(server, [2])
        m.add("books", documents(50, first=5000), wait="searchable")
        m.delete("books", ["d1"], wait="searchable")
        expect_equal_to_fresh(m, "books", settings)
    server.stop()
    with server.start().client() as m:
        expect_equal_to_fresh(m, "books", settings)


def test_what_needs_no_analysis_acts_at_once(server):
    with server.client() as m:
        m.add("books", documents(100), wait="searchable")
        for settings in ({"displayed": ["title"]}, {"language": "en"}, {"searchable": []}, {"fields": {}}):
            answer = m.set_settings("books", settings)
            assert not answer.task and not answer.coming
        assert m.search("books", "red").hits[0].document.keys() == {"title"}
        assert editions(server) == [1]


class Traffic(threading.Thread):
    """Writes and deletes, and what it came to; or searches, until it is told to stop."""

    def __init__(self, server, work):
        super().__init__()
        self.server, self.work, self.failure = server, work, None
        self.stopping = threading.Event()
        self.rounds = 0

    def run(self):
        try:
            with self.server.client() as m:
                while not self.stopping.is_set():
                    self.work(m, self.rounds)
                    self.rounds += 1
        except Exception as failure:
            self.failure = failure

    def go_on(self, rounds):
        """Until there were so many more."""
        wanted = self.rounds + rounds
        while self.rounds < wanted and self.is_alive():
            time.sleep(0.01)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()
        if self.failure:
            raise self.failure


def test_under_writes_deletes_and_searches(make_server):
    """Nothing is lost or doubled, and no answer is of both kinds."""
    server = make_server(shards=2)
    model = {}
    dice = random.Random(5)
    lone = {"id": "lone", "title": "walking quagga", "body": "quagga"}

    def write(m, turn):
        first = dice.randrange(4000)
        if turn % 3 == 2:
            gone = [f"d{n}" for n in range(first, first + 40)]
            m.delete("books", gone, wait="searchable" if turn % 2 else "accepted")
            for key in gone:
                model.pop(key, None)
        else:
            batch = documents(1 + dice.randrange(150), first=first, version=turn)
            m.add("books", batch, wait="searchable" if turn % 2 else "accepted")
            model.update({d["id"]: d for d in batch})

    seen = []

    def search(m, _):
        result = m.search("books", "quagga", match="all", no_typos=True)
        assert [h.id for h in result.hits] == ["lone"] and not result.partial
        assert m.get("books", "lone") == lone
        stemmed = [h.id for h in m.search("books", "walks quagga", match="all", no_typos=True, no_prefix=True).hits]
        assert stemmed in ([], ["lone"])
        seen.append(bool(stemmed))

    with server.client() as m:
        batch = documents(4000)
        model.update({d["id"]: d for d in batch})
        m.add("books", [*batch, lone], wait="searchable")
        with Traffic(server, write) as writes, Traffic(server, search) as searches:
            searches.go_on(1)
            for settings in ({"language": "none"}, {"language": "en", **WEIGHTS}, {"language": "none", "fields": {}}):
                task = expect_success(m, change(m, "books", settings))
                assert not task.errors
                searches.go_on(2)  # the first may have begun before
            writes.go_on(3)
        assert searches.rounds > 10
        switches = sum(a != b for a, b in zip(seen, seen[1:]))
        assert seen[0] and switches == 3, "each change shows at one moment, and stays"
        assert all(task.status == "succeeded" for task in await_tasks(m))
        live = {h.id: h.document for h in everything(m, "books") if h.id != "lone"}
        assert live == model
        expect_equal_to_fresh(m, "books", {"language": "none"})
        await_editions(server, [4])


def workers(client):
    return [p for p in client.stats().processes if p.role == "worker" and p.job == "reanalyze"]


@contextlib.contextmanager
def hanging(make_server, count=2000, **options):
    """A server whose re-analysis comes to a document and no further, and a client."""
    needs_hooks()
    server = make_server(**options)
    with server.client() as m:
        m.add("books", [*documents(count), HOG], wait="searchable")
    server.stop()
    server.environment = HANGS
    with server.start().client() as m:
        yield server, m


@contextlib.contextmanager
def ended_by_a_full_disk(directory, small_disk, begin):
    """A server with one shard, where the disk has come to its reserve when the workers of the task that `begin` gives end."""
    needs_hooks()
    with stopped(Server(directory / "0", shards=1, readers=1)) as server:
        with server.start().client() as m:
            m.add("books", [*documents(500), HOG], wait="searchable")
        server.stop()
        server.environment = HANGS
        with server.start().client() as m:
            task = begin(m)
            await_hanging(m, task)
            fill_disk(small_disk, 60 << 20)
            for worker in workers(m):
                os.kill(worker.pid, signal.SIGKILL)
            ended = m.wait_task(task)
            assert (ended.status, ended.failure.code) == ("failed", "disk_full"), ended
            assert len(everything(m, "books")) == 501
            yield m, ended
            await_editions(server, [1])


def await_hanging(client, task):
    """Its worker is at the document, and stays there."""
    end, last = time.monotonic() + START_LIMIT, None
    while time.monotonic() < end:
        assert client.tasks(uid=task)[0].status == "processing"
        now = {p.pid: p.documents_done for p in workers(client) if p.documents_done}
        if now and now == last:
            return
        last = now
        time.sleep(0.1)
    raise AssertionError(client.stats())


def test_goes_on_after_kills(make_server):
    """Of the server, with a half-made edition; then of workers at any stage."""
    with hanging(make_server, shards=2) as (server, m):
        before = answers(m, "books")
        task = change(m, "books", GERMAN)
        await_hanging(m, task)
        state = m.tasks(uid=task)[0]
        assert (state.status, state.stage) == ("processing", "analyzing") and state.searchable < state.received == 2001
        assert answers(m, "books") == before and m.settings("books")["language"] == "en"
        m.add("books", documents(10, first=9000), wait="searchable")
        assert m.get("books", "d9001") == document(9001)
        server.kill()
    server.environment = {}
    with server.start().client() as m:
        while m.tasks(uid=task)[0].status == "processing":
            for process in workers(m)[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.02)
            if server.log().count("worker died") > 4:
                break
        expect_success(m, task)
        assert m.get("books", "d9001") == document(9001)
        expect_equal_to_fresh(m, "books", GERMAN)
        await_editions(server, [max(editions(server))])


def test_an_orderly_stop_does_not_wait_for_it(make_server):
    with hanging(make_server, shards=1, stop_timeout=5 * STOP_LIMIT) as (server, m):
        task = change(m, "books", GERMAN)
        await_hanging(m, task)
    server.stop()
    server.environment = {}
    with server.start().client() as m:
        expect_success(m, task)
        expect_equal_to_fresh(m, "books", GERMAN)


def test_drop_and_swap_while_it_goes_on(make_server):
    with hanging(make_server, shards=2) as (server, m):
        m.add("films", documents(5), wait="searchable")
        task = change(m, "books", GERMAN)
        await_hanging(m, task)
        m.swap_indexes("books", "films")
        assert len(everything(m, "books")) == 5 and m.tasks(uid=task)[0].status == "processing"
        assert m.set_settings("films", {"displayed": ["title"]}).task == task, "films is what books was"
        m.drop_index("films")
        ended = m.wait_task(task)
        assert (ended.status, ended.failure.code) == ("canceled", "index_not_found")
        assert len(everything(m, "books")) == 5
        end = time.monotonic() + START_LIMIT
        while (server.data / "indexes/1").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        expect_success(m, change(m, "books", WEIGHTS))


def test_later_changes(make_server):
    with hanging(make_server, shards=1) as (server, m):
        german = change(m, "books", GERMAN)
        await_hanging(m, german)
        # What acts at once does so, and is not lost with the switch.
        answer = m.set_settings("books", {"displayed": ["id", "title"]})
        assert answer.task == german and json.loads(answer.json)["displayed"] == ["id", "title"]
        assert json.loads(answer.coming) == {**json.loads(answer.json), **GERMAN}
        # Of both kinds: none of it before the switch.
        answer = m.set_settings("books", {"displayed": ["id"], "language": "de"})
        assert answer.task == german and json.loads(answer.json)["displayed"] == ["id", "title"]
        assert json.loads(answer.coming)["displayed"] == ["id"]
        # One more that needs analysis takes the first one over.
        both = m.set_settings("books", WEIGHTS).task
        assert both != german and m.wait_task(german).failure.code == "replaced"
        assert json.loads(m.set_settings("books", {}).coming) == {
            **m.settings("books"), **GERMAN, "displayed": ["id"], "fields": WEIGHTS["fields"]}
        # All taken back: nothing is coming any more.
        answer = m.set_settings("books", {"language": "en", "stop_words": None, "fields": None})
        assert not answer.task and not answer.coming and m.settings("books")["displayed"] == ["id"]
        assert m.wait_task(both).status == "canceled"
        m.add("books", documents(1, first=7000), wait="searchable")
    server.stop()
    server.environment = {}
    with server.start().client() as m:
        assert m.settings("books")["language"] == "en" and m.get("books", "d7000")
        await_editions(server, [1])
        task = expect_success(m, change(m, "books", GERMAN))
        assert m.tasks(uid=task.uid)[0].status == "succeeded"


def test_no_edition_has_the_number_of_another_one(make_server):
    """One that was given up is removed after a grace, also if nothing of it was there yet: not the one after it."""
    server = make_server(shards=1, workers=2)
    with server.client() as m:
        for index in ("films", "books"):
            m.add(index, documents(50), wait="searchable")
        with held_up(m):
            films = change(m, "films", GERMAN)  # has the only place for large jobs
            given_up = change(m, "books", GERMAN)
            assert editions(server, 2) == [1]
            assert not m.set_settings("books", {"language": "en", "stop_words": None}).task
        expect_success(m, films)
        assert m.wait_task(given_up).failure.code == "replaced"
        expect_success(m, change(m, "books", WEIGHTS))
        await_figures(m, lambda stats: not stats.removals)
        assert len(editions(server, 2)) == 1 and len(everything(m, "books")) == 50
    server.stop()
    with server.start().client() as m:
        assert len(everything(m, "books")) == 50


def test_a_document_that_ends_workers_is_named_and_left_out(make_server):
    needs_hooks()
    server = make_server(shards=1)
    with server.client() as m:
        m.add("books", [*documents(500), {"id": "killer", "title": "red"}], wait="searchable")
    server.stop()
    server.environment = {"MAYFLY_TEST_KILL_ID": "killer"}
    with server.start().client() as m:
        task = m.wait_task(change(m, "books", GERMAN))
        assert task.status == "succeeded" and (task.refused, task.searchable) == (1, 500)
        assert [(e.id, e.code) for e in task.errors] == [("killer", "quarantined")]
        assert m.get("books", "killer") is None
        expect_equal_to_fresh(m, "books", GERMAN)


def test_a_damaged_index_keeps_its_settings(make_server):
    server = make_server(shards=1)
    with server.client() as m:
        m.add("books", documents(2000), wait="searchable")
        m.optimize("books")
    server.stop()
    path = max(server.data.glob("indexes/1/1/0/seg-*.mdb"), key=lambda p: p.stat().st_size)
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for at in range(8 * 4096, size - 2 * 4096, 4096):
            file.seek(at + 100)
            file.write(b"damage")
    with server.start().client() as m:
        task = m.wait_task(change(m, "books", GERMAN))
        assert (task.status, task.failure.code) == ("failed", "index_damaged"), task
        assert path.name in task.failure.message
        assert m.settings("books")["language"] == "en"
        await_editions(server, [1])
    server.stop()
    with server.start().client() as m:
        assert m.tasks(uid=task.uid)[0].failure.code == "index_damaged"


def test_a_disk_without_room_for_it_is_said_before_it_begins(directory, small_disk):
    with stopped(Server(directory / "0", shards=1)) as server, server.start().client() as m:
        m.add("books", documents(500), wait="searchable")
        fill_disk(small_disk, 64 << 20)  # the reserve
        with pytest.raises(mayfly.Failure) as failure:
            m.set_settings("books", GERMAN)
        assert failure.value.code == "disk_full"
        assert [task.type for task in m.tasks(index="books")] == ["add"]
        assert m.settings("books")["language"] == "en" and editions(server) == [1]
        (small_disk / "filler").unlink()
        expect_success(m, change(m, "books", GERMAN))


def test_it_ends_where_the_disk_comes_to_its_reserve(directory, small_disk):
    with ended_by_a_full_disk(directory, small_disk, lambda m: change(m, "books", GERMAN)) as (m, _):
        assert m.settings("books")["language"] == "en"


def test_partial_updates_and_bulk_loads_go_on(make_server):
    """With little memory for a worker, so that each pass takes several."""
    server = make_server(shards=1, worker_memory="32M")
    some = ndjson("data/text/debdocs-mini.ndjson.gz", limit=1500)
    with server.client() as m:
        m.add("books", some, wait="searchable")
        task = change(m, "books", {"language": "none"})
        m.add("books", [{"id": d["id"], "extra": f"zebra{n}"} for n, d in enumerate(some[:300])], partial=True,
              wait="searchable")
        m.delete("books", [some[400]["id"]], wait="searchable")
        expect_success(m, task)
        assert not any(t.refused for t in await_tasks(m))
        assert m.get("books", some[7]["id"]) == {**some[7], "extra": "zebra7"}
        assert [h.id for h in m.search("books", "zebra7", no_typos=True, no_prefix=True).hits][:1] == [some[7]["id"]]
        assert m.get("books", some[400]["id"]) is None
        assert sum(i.documents for i in m.list_indexes()) == len(some) - 1


def test_the_program_tells_of_it(server):
    with server.client() as m:
        m.add("books", documents(300), wait="searchable")
    done = server.run("settings", "set", "books", "-", input='{"language": "de"}')
    assert json.loads(done.stdout)["language"] == "en" and "task" in done.stderr
    task = server.json("tasks", "--index", "books")["tasks"][0]
    assert task["type"] == "settings" and task["details"]["received"] == 300
    assert server.json("tasks", "--wait", task["uid"])["tasks"][0]["status"] == "succeeded"
    assert server.json("settings", "get", "books")["language"] == "de"
    again = server.run("settings", "set", "books", "-", "--reanalyze", input="{}")
    assert "task" in again.stderr
    uid = server.json("tasks", "--index", "books")["tasks"][0]["uid"]
    assert server.json("tasks", "--wait", uid)["tasks"][0]["status"] == "succeeded"
