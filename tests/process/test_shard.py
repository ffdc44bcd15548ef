"""A shard alone: the test is its coordinator."""
import collections
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import subprocess
import threading

import pytest

from conftest import BIN, START_LIMIT, built_with_allocators
from watch import Watch

SOCKET_FD, WORDS_FD, WORDS_SIZE = 3, 4, 4096
DONE = 1  # EXIT_REASON_DONE
SETTINGS = b'{"fields":{},"searchable":[],"filterable":[],"sortable":[],"language":"en","stop_words":null,' \
           b'"synonyms":{},"displayed":[],"distinct":null}'


LOW = 0xffffffff
Hit = collections.namedtuple("Hit", "id score dropped stamp segment document document_length")


def hits_of(answer):
    """The numbers of an answer as hits (proto/hit_numbers.h)."""
    assert answer.WhichOneof("message") == "executed", answer
    hits, rest = [], answer.executed.ids
    for score, stamp, segment, document, lengths in zip(*[iter(answer.executed.hits)] * 5, strict=True):
        length = lengths & LOW
        assert rest[length] == 0
        hits.append(Hit(rest[:length], score, document >> 32, stamp, segment, document & LOW, lengths >> 32))
        rest = rest[length + 1:]
    assert rest == b""
    return hits


class Shard:
    def __init__(self, internal, data, *options, files=None):
        self.internal = internal
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(START_LIMIT)
        words = os.memfd_create("words")
        os.ftruncate(words, WORDS_SIZE)
        self.words = mmap.mmap(words, WORDS_SIZE)
        self.process = self.spawn(data, theirs.fileno(), words, options, files)
        theirs.close()
        os.close(words)
        self.last_request = 0
        self.holdings = []

    @staticmethod
    def spawn(data, sock, words, options, files):
        def place_descriptors():
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            # Beyond both targets first, and where nothing is, so that neither is overwritten before it is placed.
            spare = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (sock, words)]
            os.dup2(spare[0], SOCKET_FD)
            os.dup2(spare[1], WORDS_FD)

        return subprocess.Popen([str(BIN.resolve() / "mayfly-shard"), "--shard", "0", "--reader", "1", *options], cwd=data,
                                preexec_fn=place_descriptors, pass_fds=(SOCKET_FD, WORDS_FD), stdin=subprocess.DEVNULL)

    def receive_exactly(self, size):
        parts = b""
        while len(parts) < size:
            part = self.socket.recv(size - len(parts))
            assert part, "the shard closed its socket"
            parts += part
        return parts

    def receive(self):
        total, length = struct.unpack("<II", self.receive_exactly(8))
        envelope = self.internal.ShardEnvelope.FromString(self.receive_exactly(length))
        body = self.receive_exactly(total - 4 - length)
        if envelope.WhichOneof("message") == "holdings":  # comes unasked
            self.holdings = list(envelope.holdings.holdings)
            return self.receive()
        return envelope, body

    def send(self, request=None, **message):
        self.last_request += 1
        envelope = self.internal.ShardEnvelope(request=request or self.last_request, **message).SerializeToString()
        self.socket.sendall(struct.pack("<II", 4 + len(envelope), len(envelope)) + envelope)
        return request or self.last_request

    def ask(self, **message):
        request = self.send(**message)
        answer, body = self.receive()
        assert answer.request == request
        return answer, body

    def reason(self):
        return struct.unpack_from("<I", self.words, 8)[0]

    def close(self):
        self.socket.close()
        return self.process.wait(START_LIMIT)


@pytest.fixture
def shard(internal, directory):
    made = Shard(internal, directory)
    answer, body = made.receive()
    assert answer.WhichOneof("message") == "ready" and body == b""
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def text(internal, query, index=7, settings=SETTINGS, settings_id=1, **options):
    return internal.QueryText(place=internal.Place(index=index, edition=1, shard=0), settings=settings, settings_id=settings_id,
                              query=query, **options)


def test_it_exits_at_the_end_of_its_socket(shard):
    assert shard.close() == 0
    assert shard.reason() == DONE


def test_only_the_coordinator_ends_it(shard, internal):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        shard.process.send_signal(number)
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "cats")))
    assert answer.WhichOneof("message") == "prepared"


def test_an_index_without_files_is_empty(shard, internal):
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "the Cats \"and dogs\" -birds")))
    prepared = answer.prepared
    assert (prepared.generation, prepared.documents, prepared.total_length) == (0, 0, 0)
    assert [(word.count, list(word.candidates)) for word in prepared.words] == [(1, []), (1, []), (1, [])]

    answer, body = shard.ask(execute=internal.Execute(
        text=text(internal, "the Cats \"and dogs\" -birds"), generation=0, word_terms=[0] * 3, word_frequencies=[0] * 3, limit=10,
        with_documents=True, prepared_by=answer.request))
    assert answer.WhichOneof("message") == "executed" and body == b""
    assert hits_of(answer) == [] and answer.executed.estimated_total == 0

    answer, _ = shard.ask(execute=internal.Execute(text=text(internal, "cats"), own_statistics=True, limit=10))
    assert hits_of(answer) == []
    answer, _ = shard.ask(lookup=internal.Lookup(place=internal.Place(index=7, edition=1), id=b"1"))
    assert not answer.fetched.found


def test_a_generation_that_it_has_not_is_moved(shard, internal):
    answer, _ = shard.ask(execute=internal.Execute(text=text(internal, ""), generation=5, limit=10))
    assert answer.WhichOneof("message") == "moved"
    item = internal.Fetch.Item(segment=3, document=0)
    answer, _ = shard.ask(fetch=internal.Fetch(place=internal.Place(index=7, edition=1), items=[item], settings_id=1))
    assert answer.WhichOneof("message") == "moved"


def test_settings_are_told_once(shard, internal):
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "cats", settings=b"")))
    assert answer.WhichOneof("message") == "settings_wanted"
    prepared, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "the cats")))
    assert len(prepared.prepared.words) == 1
    own = text(internal, "the cats", settings=SETTINGS.replace(b'"stop_words":null', b'"stop_words":[]'), settings_id=2, index=8)
    assert len(shard.ask(prepare=internal.Prepare(text=own))[0].prepared.words) == 2
    for index, settings_id, words in ((7, 1, 1), (8, 2, 2)):
        told = text(internal, "the cats", settings=b"", settings_id=settings_id, index=index)
        answer, _ = shard.ask(prepare=internal.Prepare(text=told))
        assert len(answer.prepared.words) == words
    for index in range(10, 40):  # more than it keeps
        shard.ask(prepare=internal.Prepare(text=text(internal, "cats", settings_id=index, index=index)))
    execute = internal.Execute(text=text(internal, "cats", settings=b""), prepared_by=prepared.request, limit=10,
                               word_terms=[0], word_frequencies=[0])
    assert shard.ask(execute=execute)[0].WhichOneof("message") == "settings_wanted"
    fetch = internal.Fetch(place=internal.Place(index=7, edition=1), settings_id=1)
    assert shard.ask(fetch=fetch)[0].WhichOneof("message") == "settings_wanted"
    execute.text.settings = SETTINGS
    assert shard.ask(execute=execute)[0].WhichOneof("message") == "executed"


def failure(answer):
    assert answer.WhichOneof("message") == "failed", answer
    return answer.failed.code


def test_what_makes_no_sense_fails_by_its_code(shard, internal):
    answer, _ = shard.ask(prepare=internal.Prepare())
    assert failure(answer) == "bad_request"
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "a", match=99)))
    assert failure(answer) == "bad_request"
    other = text(internal, "a")
    other.place.shard = 1
    answer, _ = shard.ask(prepare=internal.Prepare(text=other))
    assert failure(answer) == "internal"
    broken = text(internal, "a", settings=b"{", settings_id=2)
    answer, _ = shard.ask(prepare=internal.Prepare(text=broken))
    assert failure(answer) == "invalid_settings"
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "word " * 5000)))
    assert failure(answer) == "query_too_large"
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "(" * 900_000)))
    assert answer.WhichOneof("message") == "prepared"


def test_query_memory_is_a_limit(internal, directory):
    small = Shard(internal, directory, "--query-memory", "1048576")
    small.receive()
    answer, _ = small.ask(prepare=internal.Prepare(text=text(internal, "( " * 200_000)))
    assert failure(answer) == "query_too_large"
    answer, _ = small.ask(prepare=internal.Prepare(text=text(internal, "a " * 520_000)))  # more than the arena by itself
    assert failure(answer) == "query_too_large"
    answer, _ = small.ask(prepare=internal.Prepare(text=text(internal, "a")))
    assert answer.WhichOneof("message") == "prepared"
    small.send(configure=internal.Configure(query_memory=64 << 20))
    small.ask(prepare=internal.Prepare(text=text(internal, "a")))
    answer, _ = small.ask(prepare=internal.Prepare(text=text(internal, "( " * 200_000)))
    assert answer.WhichOneof("message") == "prepared"
    assert small.close() == 0


def test_a_damaged_index_is_named_and_others_go_on(shard, internal, directory):
    place = directory / "indexes/9/1/0"
    place.mkdir(parents=True)
    (place / "core.mdb").write_bytes(b"this is no database" * 1000)
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "a", index=9)))
    assert failure(answer) == "index_damaged"
    assert "indexes/9/1/0/core.mdb" in answer.failed.message
    answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "a")))
    assert answer.WhichOneof("message") == "prepared"


def test_requests_are_answered_in_order_and_abandoned_ones_not(shard, internal):
    prepare = internal.Prepare(text=text(internal, "a"))
    frames = b""
    for request in range(1, 101):
        envelope = internal.ShardEnvelope(request=request, prepare=prepare).SerializeToString()
        frames += struct.pack("<II", 4 + len(envelope), len(envelope)) + envelope
    for request in (50, 100):
        envelope = internal.ShardEnvelope(request=request, abandon=internal.Abandon()).SerializeToString()
        frames += struct.pack("<II", 4 + len(envelope), len(envelope)) + envelope
    shard.process.send_signal(signal.SIGSTOP)  # so that all of them have arrived when it reads
    shard.socket.sendall(frames)
    shard.process.send_signal(signal.SIGCONT)
    answered = [shard.receive()[0].request for _ in range(98)]
    assert answered == [n for n in range(1, 101) if n not in (50, 100)]


def test_a_malformed_request_fails_alone(shard, internal):
    inner = b"\x0a\xff"  # a length beyond its end
    for kind in (2, 3, 4, 5):
        envelope = b"\x08\x63" + bytes([kind << 3 | 2, len(inner)]) + inner
        shard.socket.sendall(struct.pack("<II", 4 + len(envelope), len(envelope)) + envelope)
        answer, _ = shard.receive()
        assert answer.request == 0x63 and failure(answer) == "internal"


def test_a_malformed_frame_ends_it(shard):
    shard.socket.sendall(struct.pack("<II", 3, 900))
    assert shard.process.wait(START_LIMIT) == 1


def send_until_closed(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass


@pytest.mark.skipif(not built_with_allocators(), reason="malloc is the sanitizer's")
def test_a_heap_that_grows_without_bound_ends_at_its_limit(internal, directory):
    small = Shard(internal, directory, "--heap-memory", str(10 << 20))  # for a start it takes 8, and 16 may wait
    small.receive()
    assert small.ask(prepare=internal.Prepare(text=text(internal, "a")))[0].WhichOneof("message") == "prepared"
    wide = internal.Prepare(text=text(internal, "a " * 250_000))  # half a MB each, as it waits for its turn
    envelope = internal.ShardEnvelope(request=1000, prepare=wide).SerializeToString()
    frame = struct.pack("<II", 4 + len(envelope), len(envelope)) + envelope
    small.process.send_signal(signal.SIGSTOP)
    sender = threading.Thread(target=send_until_closed, args=(small.socket, frame * 80))
    sender.start()
    small.process.send_signal(signal.SIGCONT)
    assert small.process.wait(START_LIMIT) == 1  # and is started again
    sender.join()


def test_frozen_it_answers_from_what_it_has_whatever_becomes_of_the_files(internal, make_server):
    """Another server, which it knows nothing of, has the data by then: it commits, merges, drops."""
    server = make_server(shards=1, config={"merge": "manual"})
    with server.client() as client:
        client.add("kept", [{"id": n, "title": "cats"} for n in range(2000)], wait="searchable")
        client.add("later", [{"id": n, "title": "cats"} for n in range(5)], wait="searchable")
        shard = Shard(internal, server.data)
        shard.receive()

        def documents(index):
            answer, _ = shard.ask(prepare=internal.Prepare(text=text(internal, "cats", index=index)))
            return answer.prepared.documents

        assert documents(1) == 2000
        shard.send(freeze=internal.Freeze())
        client.add("kept", [{"id": n, "title": "dogs"} for n in range(3000)], wait="searchable")
        client.optimize("kept")
        client.add("later", [{"id": n, "title": "cats"} for n in range(8)], wait="searchable")
        assert documents(1) == 2000
        assert documents(2) == 8  # which was not open
        client.drop_index("kept")
        place = server.data / "indexes/1"
        with Watch(place.parent, events=0x200) as watch:  # IN_DELETE
            watch.wait(lambda: not place.exists())
        assert documents(1) == 2000
        assert shard.close() == 0
