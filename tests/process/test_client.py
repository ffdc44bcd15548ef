"""The program mayfly and the Python client against a server that only speaks the protocol."""
import gzip
import json
import os
import pathlib
import pty
import select
import struct
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import mayfly  # noqa: E402
import mayfly_pb2 as pb  # noqa: E402
from conftest import BIN  # noqa: E402
from fake_server import FakeServer  # noqa: E402


@pytest.fixture
def fake(directory):
    server = FakeServer(directory / "sock")
    yield server
    server.close()


@pytest.fixture
def run(fake):
    def run_mayfly(*arguments, input=None, status=0):
        done = subprocess.run([str(BIN / "mayfly"), "--socket", fake.path, *map(str, arguments)], input=input,
                              capture_output=True, timeout=60)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout.decode(), done.stderr.decode()
    return run_mayfly


def documents(fake, index="books"):
    return {key: json.loads(text) for key, text in fake.indexes[index][1].items()}


# ---------------------------------------------------------------------------------------------------------- frames


def test_a_document_may_be_larger_than_a_frame_to_the_server(fake, run):
    large = b'{"id":"a","t":"' + b"x" * mayfly.MAX_TOTAL + b'"}'
    fake.indexes["books"] = ("id", {"a": large})
    assert run("get", "books", "a")[0].encode() == large + b"\n"
    with mayfly.connect(fake.path) as m:
        assert m.call(get=pb.Get(index="books", id="a"))[1] == large


@pytest.mark.parametrize("total, envelope", [(mayfly.MAX_ANSWER + 1, 10), (2 << 20, mayfly.MAX_ENVELOPE + 1), (8, 5),
                                             (3, 0)])
def test_lengths_of_an_answer_are_checked_before_anything_is_kept_for_it(fake, run, total, envelope):
    fake.raw["get"] = struct.pack("<II", total, envelope)
    _, errors = run("get", "books", "a", status=3)
    assert "not a frame" in errors
    with mayfly.connect(fake.path) as m, pytest.raises(ValueError):
        m.call(get=pb.Get(index="books", id="a"))


# ---------------------------------------------------------------------------------------------------- command line


def test_usage_errors_have_status_2(run):
    for arguments in [[], ["frob"], ["index", "frob"], ["add", "books"], ["search", "books"], ["ping", "x"],
                      ["--frob", "ping"], ["search", "books", "q", "--limit", "many"], ["delete", "books"],
                      ["search", "books", "q", "--limit", "10001"], ["search", "books", "q", "--match", "some"],
                      ["backup"], ["backup", "x", "y"], ["restore"], ["check"], ["check", "x", "y"], ["top", "x"], ["trim", "a", "b"], ["budget", "x"],
                      ["delete", "books", "--filter", ""],
                      ["delete", "books", "1", "--filter", "a = 1"], ["tasks", "--wait", "x"]]:
        _, errors = run(*arguments, status=2)
        assert errors.startswith("mayfly: "), arguments


def test_help_shows_only_what_there_is(run):
    text, _ = run("--help")
    assert "search NAME QUERY" in text
    for command in ["ping", "index create", "index list", "index drop", "index swap", "index optimize", "settings get",
                    "settings set", "add", "get", "delete", "search", "tasks", "stats",
                    "top", "trim", "budget", "backup", "restore", "check"]:
        text, _ = run(*command.split(), "--help")
        assert text.startswith(f"Usage: mayfly [OPTION]... {command}")


def test_help_may_be_asked_for_as_a_command(run):
    assert run("help") == run("--help")
    assert run("help", "index", "create") == run("index", "create", "--help")


def test_a_query_of_two_words_without_quotes_is_told_of_them(run):
    assert "with quotes around what has spaces" in run("search", "books", "two", "words", status=2)[1]


def test_a_group_of_commands_shows_its_own(run):
    text, _ = run("index")
    assert text.startswith("Usage: mayfly [OPTION]... index COMMAND") and "index optimize NAME" in text
    assert "search NAME QUERY" not in text


def test_no_server_has_status_3(directory):
    for arguments in [["ping"], ["add", "books", "-"], ["search", "books", "x"]]:
        done = subprocess.run([str(BIN / "mayfly"), "--json", "--socket", str(directory / "none"), *arguments],
                              capture_output=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 3
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "cannot_connect" and error["message"].endswith("No such file or directory: is mayflyd running?")


def test_what_the_server_refuses_has_status_1(fake, run):
    _, errors = run("index", "drop", "none", status=1)
    assert errors == "mayfly: there is no such index [none] (index_not_found)\n"
    text, _ = run("index", "drop", "none", "--json", status=1)
    assert json.loads(text) == {"error": {"code": "index_not_found", "message": "there is no such index",
                                          "field": "none"}}
    fake.errors["hello"] = pb.Error(code="unauthorized", message="which key?")
    _, errors = run("ping", status=1)
    assert "unauthorized" in errors


def test_ping_waits_for_a_server_that_is_just_started(make_server):
    server = make_server(start=False, shards=1)
    command = [str(BIN / "mayfly"), "--socket", str(server.socket), "ping", "--wait"]
    assert subprocess.run([*command, "1"], capture_output=True, timeout=60, check=False).returncode == 3
    assert subprocess.run([*command, "0"], capture_output=True, timeout=60, check=False).returncode == 2
    with subprocess.Popen([*command, "60"], stdout=subprocess.PIPE, text=True) as waiting:
        server.start(wait=False)
        assert waiting.communicate(timeout=90)[0] == "ready\n" and waiting.returncode == 0


def test_ping_says_the_state(run):
    assert run("ping")[0] == "ready\n"
    assert json.loads(run("--json", "ping")[0])["state"] == "ready"


def test_ping_ready_has_a_status_for_each_state(fake, run):
    for state, status in [("ready", 0), ("starting", 4), ("degraded", 5), ("stopping", 6), ("dreaming", 1)]:
        fake.state = state
        assert run("ping", "--ready", status=status)[0] == f"{state}\n"
        assert json.loads(run("ping", "--ready", "--json", status=status)[0])["state"] == state
        assert run("ping")[0] == f"{state}\n"


# -------------------------------------------------------------------------------------------------------------- add


def test_lines_become_documents(fake, run, directory):
    first, second = directory / "a.ndjson", directory / "b"
    first.write_bytes(b'{"id": 1, "t": "one"}\r\n\n{"t": "two", "id": "z"}\n')
    second.write_bytes(b'\xef\xbb\xbf{"id":"3"}')
    text, _ = run("add", "books", first, second)
    assert text.startswith("3 accepted, 0 refused, task 7")
    assert documents(fake) == {"1": {"id": 1, "t": "one"}, "z": {"t": "two", "id": "z"}, "3": {"id": "3"}}
    write = next(message for kind, message in fake.seen if kind == "write")
    assert (write.create, write.wait, write.kind) == (True, pb.Write.ACCEPTED, pb.Write.PUT)


def test_bodies_are_sent_as_they_are(fake, run):
    body = b'{ "id" : 1 ,  "t":"\\u00e9\\n" }'
    run("add", "books", "-", input=body + b"\n")
    assert fake.indexes["books"][1]["1"] == body


def test_an_array_becomes_documents(fake, run, directory):
    file = directory / "a.json"
    file.write_text('\n[ {"id": 1, "a": [1, {"b": "]"}]},\n {"id": 2, "s": "\\"}{"}\n]\n')
    run("add", "books", file)
    assert set(documents(fake)) == {"1", "2"}
    run("add", "books", "-", input=b'[{"id":3}]')
    run("add", "books", "-", "--format", "json", input=b'{\n"id":4\n}\n{"id":5}')
    run("add", "books", "-", "--format", "json", input=b'[]')
    assert set(documents(fake)) == {"1", "2", "3", "4", "5"}


def test_a_broken_array_says_where(fake, run):
    _, errors = run("add", "books", "-", "--format", "json", input=b'[{"id":1}\n{"id":2}]', status=1)
    assert "standard input:2" in errors
    _, errors = run("add", "books", "-", "--format", "json", input=b'[{"id":3},\n{"id":4}', status=1)
    assert "ends within" in errors
    _, errors = run("add", "books", "-", "--format", "json", input=b'[{"id":5},\n 17, {"id":6}]', status=1)
    assert "standard input:2" in errors and "not a JSON object" in errors
    assert set(documents(fake)) == {"1", "3", "4", "5", "6"}


def test_a_table_becomes_documents(fake, run, directory):
    file = directory / "a.csv"
    file.write_bytes(b'id,title,price:number,sold:boolean\r\n'
                     b'1,"a ""quoted"", title\nof two lines",1.5,true\r\n'
                     b'2,plain,,\r\n'
                     b'3,short\r\n'
                     b'4,bad,x,\r\n'
                     b'"5",last,-2e3,false')
    _, errors = run("add", "books", file, status=1)
    assert documents(fake) == {
        "1": {"id": "1", "title": 'a "quoted", title\nof two lines', "price": 1.5, "sold": True},
        "2": {"id": "2", "title": "plain"},
        "5": {"id": "5", "title": "last", "price": -2000, "sold": False}}
    assert "a.csv:5: refused: fewer fields" in errors and "a.csv:6: refused: not a number" in errors


def test_lines_that_are_no_documents_are_named_and_the_rest_goes_on(fake, run):
    lines = [b'{"id": 1}', b'not json', b'{"t": "no id"}', b'{"id": null}', b'{"id": 1.5}', b'[1]', b'{"id": ""}',
             b'{"id": "a\\u0000b"}', b'{"id": "' + b"x" * 257 + b'"}', b'{"id": 2', b'{"i\\u0064": "escaped"}',
             b'{"id": "\\ud83d\\ude00"}', b'{"id": "\xff"}', b'{"id": 9}']
    text, errors = run("--json", "add", "books", "-", input=b"\n".join(lines), status=1)
    assert set(documents(fake)) == {"1", "9", "escaped", "\U0001F600"}
    result = json.loads(text)
    assert result["refused"] == 10 and result["received"] == 14 and result["accepted"] == 4
    assert [int(e["place"].split(":")[1]) for e in result["errors"]] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 13]
    assert {e["code"] for e in result["errors"]} == {"invalid_document", "invalid_id"}
    assert errors.count("refused") == 10


def test_what_the_server_refuses_is_in_the_status(fake, run):
    text, errors = run("add", "books", "-", input=b'{"id":1}\n{"id":2,"x":"REFUSE"}\n', status=1)
    assert 'standard input:2: refused "2": it says so (invalid_document)' in errors
    assert text.startswith("1 accepted, 1 refused")


def test_a_document_too_large_is_refused_by_its_name_and_never_held(fake, run):
    fake.max_document_size = 1000
    big = b'{"id": "big", "t": "' + b"x" * 3000000 + b'"}'
    for format, text in [("ndjson", big + b'\n{"id": 2}\n'), ("json", b"[" + big + b', {"id": 2}]')]:
        _, errors = run("add", format, "-", "--format", format, input=text, status=1)
        assert 'refused "big": larger than 1000 bytes (document_too_large)' in errors
        assert set(documents(fake, format)) == {"2"}


def test_many_documents_cross_frames_within_a_window(fake, run):
    lines = [json.dumps({"id": i, "t": "x" * (i % 5000)}) for i in range(20000)]
    lines.append(json.dumps({"id": "big", "t": "y" * 900000}))
    text, _ = run("--json", "add", "books", "-", input="\n".join(lines).encode())
    assert json.loads(text)["accepted"] == 20001
    assert len(fake.indexes["books"][1]) == 20001
    assert len(fake.indexes["books"][1]["big"]) > 900000


def test_a_document_larger_than_the_window_crosses_frames(fake, run):
    fake.max_document_size = 16 << 20
    body = b'{"id": 1, "t": "' + b"x" * (14 << 20) + b'"}'
    run("add", "books", "-", input=b'{"id": 0}\n' + body + b'\n{"id": 2}')
    assert fake.indexes["books"][1]["1"] == body and set(fake.indexes["books"][1]) == {"0", "1", "2"}


def test_a_dropped_connection_says_what_is_safe(fake, run):
    fake.drop_after = 5000
    lines = [json.dumps({"id": i, "t": "x" * 500}) for i in range(50000)]
    _, errors = run("add", "books", "-", input="\n".join(lines).encode(), status=3)
    assert "5000 of " in errors and "are accepted and safe (task 7)" in errors
    assert "connection_lost" in errors


def test_the_index_says_what_names_a_document(fake, run):
    run("index", "create", "books", "--primary-key", "isbn")
    run("add", "books", "-", input=b'{"id": 1, "isbn": "x"}')
    assert set(documents(fake)) == {"x"}
    run("add", "books", "-", "--primary-key", "id", input=b'{"id": 1}', status=1)
    run("add", "others", "-", "--primary-key", "key", input=b'{"key": 1}')
    assert set(documents(fake, "others")) == {"1"}


@pytest.mark.parametrize("name, why", [("none", "no such file"), (".", "is a directory")])
def test_a_file_that_cannot_be_read_changes_nothing(fake, run, directory, name, why):
    """Not even where it is the last one: the index is not made, and the server is not asked."""
    file = directory / "a.ndjson"
    file.write_text('{"id":1}')
    _, errors = run("add", "books", file, directory / name, status=1)
    assert f"{directory / name}: {why}" in errors.lower() and "(cannot_read)" in errors
    assert not fake.indexes and not fake.seen


def test_what_is_packed_is_named_and_changes_nothing(fake, run, directory):
    file = directory / "a.ndjson.gz"
    file.write_bytes(gzip.compress(b'{"id":1}'))
    _, errors = run("add", "books", file, status=1)
    assert f"{file} is packed: zcat {file} | mayfly add books -" in errors and "(cannot_read)" in errors
    assert not fake.indexes and not fake.seen
    _, errors = run("add", "books", "-", input=file.read_bytes(), status=1)
    assert errors.count("packed: unpack it first") == 1 and not documents(fake)


def test_a_pipe_is_opened_once(fake, run, directory):
    """Who writes to it would see it closed if it were opened to be looked at."""
    pipe = directory / "pipe.ndjson"
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", 'echo \'{"id": 1}\' >"$0"', str(pipe)]) as writing:
        run("add", "books", pipe)
        assert writing.wait(60) == 0
    assert set(documents(fake)) == {"1"}


def test_what_the_server_refuses_is_named_by_its_place(fake, run, directory):
    """Across blank lines, files and steps; what is refused here is no operation."""
    lines, array = directory / "a.ndjson", directory / "b.json"
    lines.write_text('{"id": 1}\n\n{"id": 2}\nno json\n{"id": 3, "x": "REFUSE"}\n')
    array.write_text('[{"id": 4},\n\n {"id": 5},\n\n {"id": 6, "x":\n "REFUSE"},\n {"id": 7, "x": "REFUSE"}]')
    text, errors = run("--json", "add", "books", lines, array, status=1)
    places = {e["id"]: e["place"] for e in json.loads(text)["errors"]}
    assert places == {"": f"{lines}:4", "3": f"{lines}:5", "6": f"{array}:5", "7": f"{array}:7"}
    assert f'{array}:7: refused "7": it says so (invalid_document)' in errors


# ------------------------------------------------------------------------------------------------------------ the rest


def test_get_and_delete(fake, run):
    run("add", "books", "-", input=b'{"id":1,"t":"a"}\n{"id":2}\n{"id":3}')
    assert run("get", "books", "1")[0] == '{"id":1,"t":"a"}\n'
    run("get", "books", "4", status=1)
    run("delete", "books", "1", "2", "--wait", "searchable")
    assert set(documents(fake)) == {"3"}


def test_search_shows_hits_for_people_and_programs(fake, run):
    run("add", "books", "-", input='{"id":1,"t":"water\\nand w\u00e4ter"}\n{"id":2,"t":"wine"}\n'.encode())
    text, _ = run("search", "books", "water", "--fields", "id,t", "--prefix", "off", "--typo", "off", "--match", "all")
    assert "1.5000" in text and "water and w\u00e4ter" in text and "1 of about 1 in 1.5 ms" in text
    message = fake.seen[-1][1]
    assert (message.limit, message.match, message.no_prefix, message.no_typos) == (20, pb.ALL, True, True)
    assert list(message.fields) == ["id", "t"]
    result = json.loads(run("--json", "search", "books", "water", "--limit", "5")[0])
    assert result["hits"] == [{"id": "1", "score": 1.5, "document": {"id": 1, "t": "water\nand w\u00e4ter"},
                               "dropped": 0}]
    assert (result["estimated_total"], result["partial"], result["took_us"], result["facets"]) == (1, False, 1500, {})


def test_a_query_may_begin_with_a_dash(fake, run):
    run("add", "books", "-", input=b'{"id":1,"t":"-water"}')
    assert "no hits" not in run("search", "books", "-water")[0]
    assert "no hits" in run("search", "books", "--", "--wine")[0]


def test_a_batch_is_printed_in_order_however_answers_come(fake, run, directory):
    run("add", "books", "-", input=b"\n".join(b'{"id":%d,"t":"w%d"}' % (i, i % 3) for i in range(9)))
    queries = directory / "queries.tsv"
    queries.write_text("".join(f"q{i}\tw{i % 3}\n" for i in range(40)))
    fake.hold_searches = 4
    text, errors = run("search", "books", "--batch", queries, "--limit", "2", "--match", "any", "--depth", "4")
    lines = text.splitlines()
    assert len(lines) == 80
    for i in range(40):
        assert lines[2 * i].split() == [f"q{i}", "Q0", str(i % 3), "1", "1.5", "mayfly"]
        assert lines[2 * i + 1].split() == [f"q{i}", "Q0", str(i % 3 + 3), "2", "1.5", "mayfly"]
    assert errors.startswith("40 queries, 0 failed, ") and "p99" in errors
    message = fake.seen[-1][1]
    assert message.plain_words and message.no_documents and message.limit == 2
    fake.hold_searches = 0
    result = json.loads(run("--json", "search", "books", "--batch", queries, "--limit", "1")[0])
    assert len(result["results"]) == 40 and result["queries"] == 40
    assert result["results"][1] == {"qid": "q1", "hits": [{"id": "1", "score": 1.5}], "took_us": 1500}


def test_a_failed_query_does_not_end_its_batch(fake, run):
    fake.errors["search"] = pb.Error(code="query_too_large", message="too many words")
    fake.indexes["books"] = ("id", {})
    text, errors = run("search", "books", "--batch", "-", input=b"1\ta\n2\tb\nno tab\n", status=1)
    assert text == "" and "query 1: too many words (query_too_large)" in errors and "3 failed" in errors


def test_tables_and_json_of_the_server(fake, run):
    run("add", "books", "-", input=b'{"id":1}')
    assert "books" in run("index", "list")[0]
    assert json.loads(run("--json", "index", "list")[0])["indexes"][0] == {
        "uid": "books", "primary_key": "id", "created_at": "2023-11-14T22:13:20.000000Z", "documents": 1}
    assert json.loads(run("settings", "get", "books")[0]) == {"language": "en"}
    task = json.loads(run("--json", "tasks")[0])["tasks"][0]
    assert task["finished_at"] is None and task["details"]["refused"] == 1
    assert task["errors"] == [{"id": "x", "position": 1, "code": "invalid_document", "message": "no"}]
    assert "succeeded" in run("tasks", "--index", "books")[0]
    run("tasks", "--wait", "7")
    run("tasks", "--wait", "9", status=1)
    stats = json.loads(run("--json", "stats")[0])
    assert stats["worker_exits"] == {"done": 3} and stats["indexes"][0]["segments"] == 1
    assert stats["processes"][0]["shard"] is None and stats["processes"][1]["arena_peak"] == 20
    assert "coordinator" in run("stats")[0]
    text, _ = run("stats", "--prometheus")
    assert 'mayfly_process_resident_bytes{pid="1",role="coordinator",kind="anon"} 5242880\n' in text
    assert 'mayfly_worker_exits_total{reason="done"} 3\n' in text


def test_tasks_show_what_workers_have_in_hand(fake, run):
    assert json.loads(run("--json", "tasks")[0])["jobs"] == [] and "stage" not in run("tasks")[0]
    row = {"role": "worker", "shard": 1, "job": "build", "index": "books", "state": "indexing"}
    fake.stats = lambda: pb.Stats(processes=[pb.Stats.Process(role="coordinator", shard=-1),
                                             pb.Stats.Process(documents_done=57, documents_total=228, **row),
                                             pb.Stats.Process(**{**row, "job": "merge", "index": "others", "state": "reading"})])
    assert json.loads(run("--json", "tasks")[0])["jobs"] == [
        {"job": "build", "index": "books", "shard": 1, "stage": "indexing", "documents": 57, "documents_total": 228, "percent": 25},
        {"job": "merge", "index": "others", "shard": 1, "stage": "reading", "documents": 0, "documents_total": 0, "percent": None}]
    rows = [line.split() for line in run("tasks")[0].splitlines()]
    assert ["build", "books", "1", "indexing", "25%", "57", "228"] in rows
    assert ["merge", "others", "1", "reading", "-", "0", "0"] in rows
    of_one = json.loads(run("--json", "tasks", "--index", "others")[0])["jobs"]
    assert [job["index"] for job in of_one] == ["others"]


def read_until(terminal, wanted):
    """What a pseudo terminal is given, until all that is wanted stands in one line of it."""
    seen, end = b"", time.monotonic() + 60
    while not any(all(w in line for w in wanted) for line in seen.split(b"\r")):
        ready, _, _ = select.select([terminal], [], [], max(0, end - time.monotonic()))
        assert ready, seen
        seen += os.read(terminal, 65536)


def test_progress_on_a_terminal(fake, tmp_path):
    """Everything was sent, a quarter of it is searchable."""
    fake.hold_writes = threading.Event()
    (tmp_path / "docs").write_text("".join(f'{{"id": {n}}}\n' for n in range(8)))
    main, side = pty.openpty()
    with subprocess.Popen([str(BIN / "mayfly"), "--socket", fake.path, "add", "books", str(tmp_path / "docs"), "--wait", "searchable"],
                          stdout=subprocess.DEVNULL, stderr=side) as adding:
        try:
            read_until(main, [b"8 documents", b"MB/s", b"8 accepted", b"2 searchable", b" left"])
        finally:
            fake.hold_writes.set()
        assert adding.wait(60) == 0
    os.close(side)
    os.close(main)


def test_the_python_client(fake):
    with mayfly.connect(fake.path) as m:
        assert m.ping() == "ready"
        m.create_index("books")
        result = m.add("books", ({"id": i, "t": "x" * 3000} for i in range(5000)), wait="searchable")
        assert (result.accepted, result.searchable, result.done) == (5000, 5000, True)
        assert m.get("books", 17)["id"] == 17 and m.get("books", "none") is None
        assert m.search("books", "xxx", limit=3).hits[0].document["id"] == 0
        assert m.delete("books", [0]).accepted == 1
        assert m.tasks()[0].uid == 7 and m.stats().state == "ready"
        with pytest.raises(mayfly.Failure) as failure:
            m.drop_index("none")
        assert failure.value.code == "index_not_found"
