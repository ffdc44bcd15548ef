"""The program mayfly against a real server: what its forms and JSON shapes promise."""
import json
import re

import mayfly
import pytest
from conftest import ndjson, shared

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
BOOKS = [{"id": 1, "title": "Water music", "body": "for the king"}, {"id": 2, "title": "Fire and water"},
         {"id": "drei", "title": "Feuer", "tags": ["fire", "king"]}]


def lines(documents):
    return "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)


@pytest.fixture
def books(server):
    server.run("add", "books", "-", "--wait", "searchable", input=lines(BOOKS))
    return server


def ids(server, *arguments):
    return [hit["id"] for hit in server.json("search", *arguments)["hits"]]


def test_an_index_is_made_listed_swapped_and_dropped(server):
    assert server.run("ping").stdout == "ready\n"
    server.run("index", "create", "a")
    server.run("index", "create", "b", "--primary-key", "isbn")
    listed = server.json("index", "list")["indexes"]
    assert [(i["uid"], i["primary_key"], i["documents"]) for i in listed] == [("a", "id", 0), ("b", "isbn", 0)]
    assert RFC3339.fullmatch(listed[0]["created_at"])
    server.run("add", "b", "-", "--wait", "searchable", input='{"isbn": 7, "t": "water"}')
    server.run("index", "swap", "a", "b")
    assert ids(server, "a", "water") == ["7"] and ids(server, "b", "water") == []
    server.run("index", "drop", "a")
    assert [i["uid"] for i in server.json("index", "list")["indexes"]] == ["b"]


def test_refusals_have_stable_codes_and_status_1(books):
    for code, arguments in [("index_not_found", ["search", "none", "x"]), ("index_not_found", ["index", "drop", "none"]),
                            ("index_exists", ["index", "create", "books"]),
                            ("invalid_index_name", ["index", "create", "no/slash"]),
                            ("document_not_found", ["get", "books", "none"]),
                            ("index_not_found", ["settings", "get", "none"]),
                            ("index_not_found", ["delete", "none", "1"]),
                            ("not_supported", ["search", "books", "x", "--filter", "a = 1"]),
                            ("not_supported", ["search", "books", "x", "--facets", "a"]),
                            ("not_supported", ["search", "books", "x", "--sort", "a:asc"]),
                            ("not_supported", ["search", "books", "x", "--highlight", "a"]),
                            ("index_not_found", ["tasks", "--index", "none"]),
                            ("task_not_found", ["tasks", "--wait", "999"])]:
        done = books.run("--json", *arguments, check=False)
        assert done.returncode == 1, arguments
        assert json.loads(done.stdout)["error"]["code"] == code, arguments
        plain = books.run(*arguments, check=False)
        assert plain.returncode == 1 and f"({code})" in plain.stderr and plain.stdout == ""


def test_a_document_comes_back_as_it_was_sent(server):
    body = '{ "id" : "x y" , "n":1.50, "t":"\\u00e9" }'
    server.run("add", "books", "-", "--wait", "searchable", input=body)
    assert server.run("get", "books", "x y").stdout == body + "\n"
    assert server.json("search", "books", "\u00e9")["hits"][0]["document"] == json.loads(body)


def test_adding_replaces_and_deleting_takes_away(books):
    books.run("add", "books", "-", "--wait", "searchable", input='{"id": 1, "title": "Wine"}')
    assert ids(books, "books", "water") == ["2"] and ids(books, "books", "wine") == ["1"]
    books.run("delete", "books", "2", "none", "--wait", "searchable")
    assert ids(books, "books", "water") == []
    books.run("get", "books", "2", check=False)
    assert books.json("index", "list")["indexes"][0]["documents"] == 2


def test_search_has_its_json_shape(books):
    found = books.json("search", "books", "water", "--limit", "1")
    assert set(found) == {"hits", "estimated_total", "facets", "partial", "took_us"}
    hit = found["hits"][0]
    assert {"id", "score", "document"} <= set(hit) and hit["document"]["id"] in (1, 2)
    assert hit["score"] > 0 and (hit["score"] * 65536).is_integer()
    assert found["partial"] is False and found["took_us"] > 0


def test_search_options_do_what_they_say(books):
    assert ids(books, "books", "fire king", "--match", "all") == ["drei"]
    assert set(ids(books, "books", "fire king", "--match", "any")) == {"1", "2", "drei"}
    assert ids(books, "books", "fire king", "--match", "last")[0] == "drei"
    assert ids(books, "books", "wat") and not ids(books, "books", "wat", "--prefix", "off")
    both = ids(books, "books", "water")
    assert ids(books, "books", "water", "--limit", "1") == both[:1]
    assert ids(books, "books", "water", "--limit", "1", "--offset", "1") == both[1:]
    assert ids(books, "books", "water", "--limit", "0") == []
    document = books.json("search", "books", "music", "--fields", "id,title")["hits"][0]["document"]
    assert document == {"id": 1, "title": "Water music"}
    text = books.run("search", "books", "music", "--typo", "off").stdout
    assert "Water music" in text and "1 of about 1" in text


def test_misspelt_words_are_found_unless_typos_are_off(books):
    assert set(ids(books, "books", "watre")) == set(ids(books, "books", "wqter ")) == {"1", "2"}
    assert ids(books, "books", "muisc king ") == ["1"]
    assert ids(books, "books", "musik", "--match", "any") == ["1"]
    assert ids(books, "books", "watre", "--typo", "off") == []
    assert ids(books, "books", "fier") == []  # too short
    assert ids(books, "books", '"watre"') == ids(books, "books", "title:watre") == []
    assert set(ids(books, "books", "-watre")) == {"1", "2", "drei"}
    # a word that somebody has is not misspelt
    books.run("add", "books", "-", "--wait", "searchable", input='{"id": 4, "title": "Watre"}')
    assert ids(books, "books", "watre") == ["4"]
    books.run("delete", "books", "4", "--wait", "searchable")
    assert set(ids(books, "books", "watre")) == {"1", "2"}
    # what was typed right counts more, and the first word may be the misspelt one
    books.run("add", "books", "-", "--wait", "searchable", input='{"id": 5, "title": "Fire and earth"}')
    right, guessed = (books.json("search", "books", text)["hits"][0]["score"] for text in ("earth ", "eatrh "))
    assert abs(right - 2 * guessed) < 0.001
    assert ids(books, "books", "eatrh fire")[0] == "5"


def test_refused_documents_do_not_stop_the_others(server):
    text = lines(BOOKS) + "no json\n" + '{"title": "no id"}\n' + '{"id": {}}\n' + '{"id": 9, "title": "water"}\n'
    done = server.run("add", "books", "-", "--wait", "searchable", input=text, check=False)
    assert done.returncode == 1
    assert [int(n) for n in re.findall(r"standard input:(\d+): refused", done.stderr)] == [4, 5, 6]
    assert set(ids(server, "books", "water")) == {"1", "2", "9"}


def test_what_a_worker_refuses_is_in_the_task_and_with_searchable_in_the_status(server):
    text = '{"id": 1, "t": "good"}\n{"id": 2, "t": nonsense}\n'
    done = server.run("--json", "add", "books", "-", "--wait", "searchable", input=text, check=False)
    result = json.loads(done.stdout)
    assert done.returncode == 1 and result["refused"] == 1
    error = result["errors"][0]
    assert (error["id"], error["code"], error["place"]) == ("2", "invalid_document", "standard input:2")
    task = server.json("tasks", "--wait", result["task"])["tasks"][0]
    assert task["status"] == "succeeded" and task["details"]["refused"] == 1
    assert task["errors"][0]["id"] == "2" and task["errors"][0]["position"] == 1
    assert ids(server, "books", "good") == ["1"]


def test_a_document_too_large_is_refused_by_its_id(server):
    with server.client() as m:
        most = m.welcome.max_document_size
    text = '{"id": "big", "t": "' + "x " * (most // 2) + '"}\n{"id": 2, "t": "small"}\n'
    done = server.run("add", "books", "-", "--wait", "searchable", input=text, check=False)
    assert done.returncode == 1 and '"big"' in done.stderr and "document_too_large" in done.stderr
    assert ids(server, "books", "small") == ["2"]


def test_arrays_and_tables_are_read_too(server, directory):
    array, table = directory / "a.json", directory / "b.csv"
    array.write_text(json.dumps(BOOKS, indent=2))
    table.write_text('id,title,year:number\n10,"Water, ""deep""",1717\n11,Dry,\n')
    server.run("add", "books", array, table, "--wait", "searchable")
    assert set(ids(server, "books", "water")) == {"1", "2", "10"}
    assert json.loads(server.run("get", "books", "10").stdout) == {"id": "10", "title": 'Water, "deep"', "year": 1717}


def test_settings_are_set_before_the_first_document(server):
    server.run("index", "create", "books")
    before = server.json("settings", "get", "books")
    assert before["language"] == "en" and before["searchable"] == []
    server.run("settings", "set", "books", "-", input='{"searchable": ["title"]}')
    assert server.json("settings", "get", "books") == {**before, "searchable": ["title"]}
    server.run("add", "books", "-", "--wait", "searchable", input=lines(BOOKS))
    assert ids(server, "books", "king") == []
    bad = server.run("--json", "settings", "set", "books", "-", input='{"no_such_setting": 1}', check=False)
    assert bad.returncode == 1 and json.loads(bad.stdout)["error"]["code"] == "invalid_settings"
    for change, why in [('{"no_such_setting": 1}', "no_such_setting is not a setting (invalid_settings)"),
                        ('{"fields": {"title": {"weight": 0}}}', "fields.title must have a weight that is a whole number"),
                        ('{"synonyms": {"a": ["b"]}}', "synonyms is not supported yet")]:
        assert why in server.run("settings", "set", "books", "-", input=change, check=False).stderr


def test_tasks_and_stats_have_their_json_shapes(books):
    tasks = books.json("tasks", "--index", "books")["tasks"]
    assert {"uid", "index", "type", "status", "enqueued_at", "started_at", "finished_at", "details",
            "errors"} <= set(tasks[0])
    assert tasks[0]["type"] == "add" and tasks[0]["status"] == "succeeded"
    assert RFC3339.fullmatch(tasks[0]["enqueued_at"]) and RFC3339.fullmatch(tasks[0]["finished_at"])
    stats = books.json("stats")
    roles = [process["role"] for process in stats["processes"]]
    assert roles.count("coordinator") == 1 and roles.count("shard") == 4 and "nursery" in roles
    assert all({"pid", "shard", "rss_anon", "rss_shmem", "rss_file"} <= set(p) for p in stats["processes"])
    assert stats["worker_exits"]["done"] >= 1
    assert stats["indexes"][0]["uid"] == "books" and stats["indexes"][0]["documents"] == 3
    exposition = books.run("stats", "--prometheus").stdout
    assert 'mayfly_index_documents{index="books"} 3\n' in exposition
    for line in exposition.splitlines():
        assert line.startswith("#") or re.fullmatch(r"mayfly_\w+(\{[^}]*\})? \d+(\.\d+)?", line), line


def test_optimize_leaves_one_segment_per_shard_and_the_same_hits(books):
    for i in range(5):
        books.run("add", "books", "-", "--wait", "searchable", input=lines([{"id": f"w{i}", "t": "water"}]))
    before = books.json("search", "books", "water")["hits"]
    books.run("index", "optimize", "books")
    assert books.json("search", "books", "water")["hits"] == before
    assert books.json("stats")["indexes"][0]["segments"] <= 2


def test_a_batch_ranks_as_single_searches_do(server, directory):
    server.run("add", "cranfield", "-", "--wait", "searchable",
               input=lines(ndjson("data/judged/cranfield/docs.ndjson.gz")))
    queries = shared("data/judged/cranfield/queries.tsv")
    done = server.run("search", "cranfield", "--batch", queries, "--limit", "10", "--match", "any", "--typo", "off",
                      "--prefix", "off")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert all(len(row) == 6 and row[1] == "Q0" and row[5] == "mayfly" for row in rows)
    assert re.search(r"162 queries, 0 failed, .* q/s, p50 .* p99 ", done.stderr)
    by_query = {}
    for qid, _, key, rank, score, _ in rows:
        by_query.setdefault(qid, []).append((int(rank), key, float(score)))
    assert all([rank for rank, *_ in hits] == list(range(1, len(hits) + 1)) for hits in by_query.values())
    with server.client() as m:
        for line in queries.read_text().splitlines()[:20]:
            qid, text = line.split("\t")
            single = m.search("cranfield", text, limit=10, match="any", plain_words=True, no_typos=True,
                              no_prefix=True, documents=False)
            assert [(hit.id, hit.score / 65536) for hit in single.hits] == [hit[1:] for hit in by_query[qid]]


def test_tcp_speaks_the_same(make_server, port):
    server = make_server(listen=f"127.0.0.1:{port}")
    server.run("add", "books", "-", "--wait", "searchable", input=lines(BOOKS))
    for host in [f"127.0.0.1:{port}", f"localhost:{port}"]:
        assert len(server.json("--host", host, "search", "books", "water")["hits"]) == 2


def test_the_socket_of_another_server_is_left_to_it(make_server):
    first = make_server()
    second = make_server(start=False, socket=first.socket)
    second.start(wait=False)
    assert second.process.wait(60) == 1
    assert f"cannot listen on {first.socket}: another server does" in second.log()
    first.run("ping", "--ready")


def test_what_was_accepted_outlives_a_kill(server):
    accepted = []

    def kill_soon(message):
        accepted.append(message.accepted)
        if message.accepted > 1000 and server.is_running():
            server.kill()

    with server.client() as m, pytest.raises((mayfly.Closed, OSError)):
        m.add("books", ({"id": i, "t": "water " + "x" * 200} for i in range(500000)), on_written=kill_soon)
    assert accepted[-1] > 1000
    assert server.run("ping", check=False).returncode == 3
    server.start()
    server.run("tasks", "--wait", "1")  # what the log held is applied
    with server.client() as m:
        for key in range(0, accepted[-1], accepted[-1] // 100):
            assert m.get("books", key)["id"] == key
