"""The protocol as hostile, broken and merely slow clients see it: an Error and an end, never a crash, never silence."""
import random
import shutil
import socket
import struct
import tempfile
import time

import pytest

import mayfly
import mayfly_pb2 as pb
from conftest import Server

MIB = 1 << 20
PATIENT = 60000  # ms, where the deadline is not what is tested and the machine may be busy


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    """One server for all of this file: whatever a test does to it, the next one must find it well."""
    place = tempfile.mkdtemp(prefix="mayfly-", dir="/tmp")
    made = Server(place, shards=2).start()
    with made.client() as m:
        m.add("books", [{"id": i, "title": f"water number {i}"} for i in range(20)], wait="searchable")
    yield made
    try:
        made.stop()
    finally:
        if made.is_running():
            made.kill()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def server(one_server):
    yield one_server
    with one_server.client() as m:  # it lives, and has not forgotten anything
        assert m.ping() == "ready"
        assert m.search("books", "water", limit=3, deadline_ms=PATIENT).estimated_total >= 3


def ends_with(connection, code):
    """What is left to read is an Error with request 0, then the end."""
    last = None
    try:
        while True:
            last, _ = connection.receive()
    except (mayfly.Closed, ConnectionResetError):
        pass
    assert last is not None and last.request == 0, last
    assert last.error.code == code and last.error.message
    return last.error


def refusal(connection, request):
    with pytest.raises(mayfly.Failure) as caught:
        connection.answer(request)
    return caught.value


# ------------------------------------------------------------------------------------------------------------ hello


def test_hello_tells_what_the_client_must_know(client):
    assert client.welcome.version == 1
    assert client.welcome.server.startswith("mayflyd ")
    assert client.welcome.shards == 2
    assert client.welcome.max_document_size == 16 * MIB


def test_nothing_comes_before_hello(server):
    with server.client(hello=False) as m:
        m.send(ping=pb.Ping())
        ends_with(m, "bad_request")


@pytest.mark.parametrize("version", [0, 2, 0xffffffff])
def test_another_version_is_refused(server, version):
    with server.client(hello=False) as m:
        m.send(hello=pb.Hello(version=version))
        ends_with(m, "bad_version")


def test_a_key_is_asked_for(make_server):
    locked = make_server(config={"key": "open sesame"})
    for key in ("", "open", "open sesame and more", "open sesamf"):
        with locked.client(hello=False) as m:
            m.send(hello=pb.Hello(version=1, key=key))
            ends_with(m, "unauthorized")
    with locked.client(key="open sesame") as m:
        assert m.ping() == "ready"


# ----------------------------------------------------------------------------------------------------------- frames


@pytest.mark.parametrize("total, envelope", [
    (16 * MIB + 5, 10), (0xffffffff, 10), (0xffffffff, 0xffffffff),  # a frame too large
    (2 * MIB, MIB + 1), (10, 0xffffffff),  # an envelope too large, or larger than its frame
    (8, 5), (0, 0), (3, 0),  # lengths that contradict each other
])
def test_lengths_that_make_no_sense_end_the_connection(client, total, envelope):
    client.send_raw(struct.pack("<II", total, envelope))
    ends_with(client, "bad_frame")


@pytest.mark.parametrize("envelope", [b"\xff", b"\x08", b"\x12\xff\xff\xff\xff\x0f", b"\x5a\x05abc", b"\x0b" * 100])
def test_an_envelope_that_is_not_protobuf_ends_the_connection(client, envelope):
    client.send_raw(mayfly.frame(envelope))
    ends_with(client, "bad_frame")


def test_frames_may_come_byte_by_byte(server):
    with server.client(hello=False) as m:
        for byte in mayfly.frame(pb.Envelope(request=1, hello=pb.Hello(version=1))):
            m.send_raw(bytes([byte]))
        assert m.answer(1)[0].version == 1
        for byte in mayfly.frame(pb.Envelope(request=2, search=pb.Search(index="books", query="water", limit=5))):
            m.send_raw(bytes([byte]))
        assert len(m.search_answer(2).hits) == 5


def test_a_truncated_frame_is_nobodys_harm(server):
    whole = mayfly.frame(pb.Envelope(request=2, search=pb.Search(index="books", query="water", limit=5)))
    for cut in range(len(whole)):
        with server.client() as m:
            m.send_raw(whole[:cut])


def test_random_bytes(server):
    chance = random.Random(1)
    for i in range(150):
        with server.client(hello=i % 2 == 0) as m:
            try:
                m.send_raw(chance.randbytes(chance.choice([1, 7, 8, 9, 64, 1000, 100000])))
                m.sock.shutdown(socket.SHUT_WR)
                while True:
                    answer, _ = m.receive()
                    assert answer.WhichOneof("message") == "error"
            except (mayfly.Closed, OSError):
                pass


def valid_envelopes():
    yield pb.Envelope(request=5, ping=pb.Ping())
    yield pb.Envelope(request=5, search=pb.Search(index="books", query='water -"number 1" (a OR b*)', limit=10, fields=["title"]))
    yield pb.Envelope(request=5, get=pb.Get(index="books", id="3"))
    yield pb.Envelope(request=5, write=pb.Write(index="scratch", create=True, last=True, wait=1))
    yield pb.Envelope(request=5, index_create=pb.IndexCreate(index="scratch2", primary_key="key"))
    yield pb.Envelope(request=5, settings_set=pb.SettingsSet(index="scratch2", json=b'{"language":"en"}'))
    yield pb.Envelope(request=5, task_list=pb.TaskList(limit=3))


def test_valid_messages_with_wrong_bytes(server):
    chance = random.Random(2)
    body = mayfly.pack_operations([("one", b'{"id":"one"}'), ("two", b'{"id":"two"}')])
    for envelope in valid_envelopes():
        packed = envelope.SerializeToString()
        for _ in range(40):
            wrong = bytearray(mayfly.frame(packed, body if envelope.HasField("write") else b""))
            for _ in range(chance.randint(1, 4)):
                wrong[chance.randrange(8, len(wrong))] = chance.randrange(256)
            with server.client() as m:
                try:
                    m.send_raw(bytes(wrong))
                    m.send_raw(mayfly.frame(pb.Envelope(request=99, ping=pb.Ping())))
                    m.sock.shutdown(socket.SHUT_WR)
                    while m.receive()[0].request != 99:
                        pass
                except (mayfly.Closed, OSError):
                    pass


def test_a_body_nobody_asked_for_is_skipped(client):
    request = client.send(body=b"x" * 100000, ping=pb.Ping())
    assert client.answer(request)[0].state == "ready"
    assert client.ping() == "ready"


# --------------------------------------------------------------------------------------------------------- requests


def test_an_unknown_message_is_an_error_for_that_request(client):
    unknown = b"\x08\x07" + b"\xa2\x3f\x02hi"  # request 7, field 1012
    client.send_raw(mayfly.frame(unknown))
    assert refusal(client, 7).code == "bad_request"
    assert client.ping() == "ready"


def test_a_message_of_the_server_is_no_request(client):
    assert refusal(client, client.send(pong=pb.Pong(state="ready"))).code == "bad_request"
    assert client.ping() == "ready"


def test_unknown_fields_are_ignored(client):
    ping = pb.Envelope(request=77, ping=pb.Ping()).SerializeToString() + b"\xa2\x3f\x02hi"
    client.send_raw(mayfly.frame(ping))
    assert client.answer(77)[0].state == "ready"


def test_a_number_that_is_in_flight_is_refused(client):
    request = client.send(body=mayfly.pack_operations([("a", b'{"id":"a"}')]), write=pb.Write(index="twice", create=True))
    client.send(request=request, ping=pb.Ping())
    codes, state = [], None
    for _ in range(3):
        answer, _ = client.receive()
        assert answer.request == request
        if answer.WhichOneof("message") == "error":
            codes.append(answer.error.code)
            break
    assert codes == ["bad_request"]
    assert client.ping() == "ready", state


def test_many_requests_in_flight_are_all_answered(client):
    requests = {}
    for i in range(500):
        requests[client.send_search("books", "water", limit=1 + i % 20, deadline_ms=PATIENT)] = 1 + i % 20
        requests[client.send(ping=pb.Ping())] = None
    for request, limit in requests.items():
        if limit is None:
            assert client.answer(request)[0].state == "ready"
        else:
            assert len(client.search_answer(request).hits) == limit


def test_a_cancelled_request_leaves_the_connection_well(client):
    for _ in range(50):
        client.cancel(client.send_search("books", "water number", limit=20))
    client.cancel(123456)  # nobody's
    assert client.ping() == "ready"


@pytest.mark.parametrize("search, code", [
    (dict(index="absent", query="x"), "index_not_found"),
    (dict(index="", query="x"), "index_not_found"),
    (dict(index="books", query="x", limit=10001), "bad_request"),
    (dict(index="books", query="x", limit=1, offset=10000), "bad_request"),
    (dict(index="books", query="x", limit=0xffffffff, offset=1), "bad_request"),
    (dict(index="books", query="x", filter="a = 1"), "not_supported"),
    (dict(index="books", query="x", sort=["a:asc"]), "not_supported"),
    (dict(index="books", query="x", facets=["a"]), "not_supported"),
    (dict(index="books", query="x", highlight=["title"]), "not_supported"),
    (dict(index="books", query="x", explain=True), "not_supported"),
])
def test_a_search_that_cannot_be_done_says_so(client, search, code):
    assert refusal(client, client.send(search=pb.Search(**search))).code == code
    assert client.ping() == "ready"


@pytest.mark.parametrize("query", ["", " ", '"', "((((", ")" * 1000, "-", "+", "OR AND NOT", "a" * 100000, "\U0001f600" * 1000,
                                   "word " * 5000, ":", "title:", '"a b', "*", "\x00\x01"])
def test_any_text_is_a_query(client, query):
    request = client.send(search=pb.Search(index="books", query=query, limit=10))
    try:
        client.search_answer(request)
    except mayfly.Failure as failure:
        assert failure.code in ("query_too_large", "bad_request")
    assert client.ping() == "ready"


@pytest.mark.parametrize("name", ["", "a" * 129, "a b", "../x", "a/b", "é", "a.b"])
def test_names_of_indexes_are_checked(client, name):
    assert refusal(client, client.send(index_create=pb.IndexCreate(index=name))).code == "invalid_index_name"
    request = client.send(write=pb.Write(index=name, create=True, last=True))
    assert refusal(client, request).code == "invalid_index_name"


def test_requests_about_what_is_not_there(client):
    for message, code in [(dict(get=pb.Get(index="absent", id="1")), "index_not_found"),
                          (dict(get=pb.Get(index="books", id="absent")), "document_not_found"),
                          (dict(index_drop=pb.IndexDrop(index="absent")), "index_not_found"),
                          (dict(index_swap=pb.IndexSwap(a="absent", b="books")), "index_not_found"),
                          (dict(index_optimize=pb.IndexOptimize(index="absent")), "index_not_found"),
                          (dict(settings_get=pb.SettingsGet(index="absent")), "index_not_found"),
                          (dict(settings_set=pb.SettingsSet(index="books", json=b"{")), "invalid_settings"),
                          (dict(settings_set=pb.SettingsSet(index="books", json=b'{"nonsense":1}')), "invalid_settings"),
                          (dict(task_wait=pb.TaskWait(uid=1 << 40)), "task_not_found"),
                          (dict(index_create=pb.IndexCreate(index="books")), "index_exists"),
                          (dict(write=pb.Write(index="absent", last=True)), "index_not_found"),
                          (dict(write=pb.Write(index="books", kind=9, last=True)), "not_supported")]:
        assert refusal(client, client.send(**message)).code == code, message


# ------------------------------------------------------------------------------------------------------ connections


def test_slow_and_silent_clients_hold_up_nobody(server, client):
    silent = [server.client(hello=False) for _ in range(100)]
    half = mayfly.frame(pb.Envelope(request=9, search=pb.Search(index="books", query="water")))
    for m in silent[:50]:
        m.send_raw(half[:len(half) // 2])  # an envelope that does not come to its end
    writers = [server.client() for _ in range(20)]
    head = pb.Envelope(request=9, write=pb.Write(index="books")).SerializeToString()
    for m in writers:  # a document of which only the length comes
        m.send_raw(struct.pack("<II", 4 + len(head) + 1000, len(head)) + head + struct.pack("<I4sI", 4, b"slow", 900))
    assert client.ping() == "ready"
    assert len(client.search("books", "water", limit=5).hits) == 5
    client.add("books", [{"id": "new", "title": "fire"}], wait="searchable")
    assert client.search("books", "fire").ids == ["new"]
    for m in silent + writers:
        m.close()


def test_half_a_document_holds_up_nobody(server, client):
    with server.client() as slow:
        body = mayfly.pack_operations([(f"h{i}", b'{"id":"h%d","title":"half"}' % i) for i in range(3)])
        head = pb.Envelope(request=9, write=pb.Write(index="books")).SerializeToString()
        slow.send_raw(struct.pack("<II", 4 + len(head) + len(body), len(head)) + head + body[:-5])
        result = client.add("books", [{"id": f"h{i}", "title": "whole"} for i in range(3)], wait="searchable")
        assert result.searchable == 3
    # The half one is dropped with its client, what was whole before it stays.
    client.add("books", [{"id": "h9", "title": "later"}], wait="searchable")
    assert client.get("books", "h2")["title"] == "whole"


def test_answers_that_nobody_reads_hold_up_nobody(server, client):
    client.add("large", [{"id": i, "text": "filler " + "x" * 100000} for i in range(50)], wait="searchable")
    with server.client() as deaf:
        deaf.sock.settimeout(2)
        try:
            for _ in range(400):
                deaf.send_search("large", "filler", limit=50)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass
        assert client.ping() == "ready"
        assert len(client.search("large", "filler", limit=50, deadline_ms=PATIENT).hits) == 50
    client.drop_index("large")


def test_connections_are_limited(make_server):
    small = make_server(config={"max-connections": 5})
    kept = [small.client() for _ in range(5)]
    with small.client(hello=False) as m:
        ends_with(m, "busy")
    for m in kept:
        assert m.ping() == "ready"
    kept.pop().close()
    end = time.monotonic() + 30
    while True:  # the server sees the hang-up in a moment
        try:
            with small.client() as m:
                assert m.ping() == "ready"
                break
        except (mayfly.Failure, mayfly.Closed, OSError):
            assert time.monotonic() < end, "no connection after one was closed"
            time.sleep(0.01)
    for m in kept:
        m.close()


def test_a_large_answer_that_tcp_takes_at_once_does_not_end_the_reading(make_server, port):
    make_server(listen=f"127.0.0.1:{port}")
    with mayfly.connect(("127.0.0.1", port)) as m:
        m.add("books", [{"id": i, "title": "water", "pad": "x" * 100000} for i in range(10)], wait="searchable")
        for limit in range(1, 11):
            assert len(m.search("books", "water", limit=limit).hits) == limit


def test_tcp_speaks_the_same(make_server, port):
    make_server(listen=f"127.0.0.1:{port}")
    with mayfly.connect(("127.0.0.1", port)) as m:
        m.add("books", [{"id": 1, "title": "water"}], wait="searchable")
        assert m.search("books", "water").ids == ["1"]


def test_a_stopping_server_finishes_what_it_was_asked(make_server):
    server = make_server()
    with server.client() as m:
        m.add("books", [{"id": 1, "title": "water"}], wait="searchable")
        requests = [m.send_search("books", "water") for _ in range(20)]
        server.stop()
        answered = 0
        try:
            for request in requests:
                assert m.search_answer(request).ids == ["1"]
                answered += 1
        except (mayfly.Closed, mayfly.Failure, ConnectionResetError):
            pass
        assert answered in range(21)
