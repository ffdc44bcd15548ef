"""One connection to mayflyd: requests as methods, and the frames below them for tests."""
import collections
import dataclasses
import json
import socket
import struct

import mayfly_pb2 as pb

from .wire import Closed, frame, read_frame  # noqa: F401  (Closed is passed on)

FRAME_BODY = 512 << 10  # bytes of operations in one frame
WINDOW = 16  # frames that may be unanswered


class Failure(Exception):
    """The server said no: `code` is for programs, `str(e)` for people."""

    def __init__(self, error):
        super().__init__(f"{error.code}: {error.message}" + (f" ({error.field})" if error.field else ""))
        self.code, self.message, self.field = error.code, error.message, error.field


@dataclasses.dataclass
class Hit:
    id: str
    score: int  # in 1/65536
    dropped: int
    stamp: int
    document: object  # None unless asked for
    explanation: str = ""


def hits_of(columns):
    """Hits that came in columns, as the messages that they are elsewhere."""
    at = 0
    for i, length in enumerate(columns.id_lengths):
        yield pb.Found.Hit(id=columns.ids[at:at + length].decode(), score=columns.scores[i], stamp=columns.stamps[i],
                           dropped=columns.dropped[i] if columns.dropped else 0,
                           document_length=columns.document_lengths[i] if columns.document_lengths else 0)
        at += length


@dataclasses.dataclass
class Result:
    hits: list
    estimated_total: int
    partial: bool
    took_us: int
    reason: object = None  # why it is partial: code and message

    @property
    def ids(self):
        return [hit.id for hit in self.hits]


@dataclasses.dataclass
class Written:
    """How a stream of operations ended."""
    task: int = 0
    accepted: int = 0
    searchable: int = 0
    refused: int = 0
    deleted: int = 0  # by filter
    done: bool = False
    refusals: list = dataclasses.field(default_factory=list)

    def take(self, message):
        self.task = message.task or self.task
        self.accepted, self.searchable, self.refused = message.accepted, message.searchable, message.refused
        self.deleted = message.deleted
        self.refusals.extend(message.refusals)
        self.done = message.done


def pack_operations(operations):
    """The body of a stream: (id, bytes) after (id, bytes). An id may be bytes, for what must go wrong."""
    parts = []
    for key, body in operations:
        name = key if isinstance(key, bytes) else str(key).encode()
        parts += [struct.pack("<I", len(name)), name, struct.pack("<I", len(body)), body]
    return b"".join(parts)


def connect(address, timeout=60.0, key="", client="mayfly-python", hello=True):
    """A Client at a Unix socket's path, or at (host, port). With hello=False nothing has been sent yet."""
    if isinstance(address, tuple):
        sock = socket.create_connection(address, timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(str(address))
        except OSError:
            sock.close()
            raise
    connection = Client(sock)
    if hello:
        try:
            connection.hello(key=key, client=client)
        except BaseException:
            sock.close()
            raise
    return connection


class Client:
    def __init__(self, sock):
        self.sock = sock
        self.welcome = None
        self._next = 1
        self._waiting = collections.defaultdict(collections.deque)  # answers to requests nobody asked for yet

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    # ------------------------------------------------------------------------------------------------- frames

    def new_request(self):
        number, self._next = self._next, self._next + 1
        return number

    def send(self, body=b"", request=None, **message):
        """Sends one Envelope, for example send(ping=pb.Ping()); the request number."""
        number = self.new_request() if request is None else request
        self.sock.sendall(frame(pb.Envelope(request=number, **message), body))
        return number

    def send_raw(self, data):
        self.sock.sendall(data)

    def receive(self):
        """The next (Envelope, body), whatever it answers."""
        return read_frame(self.sock)

    def answer(self, request):
        """The next answer to that request; Failure if it is an Error. An Error with request 0 is for everybody."""
        while not self._waiting[request]:
            envelope, body = self.receive()
            if envelope.request == 0 and envelope.WhichOneof("message") == "error":
                raise Failure(envelope.error)
            self._waiting[envelope.request].append((envelope, body))
        envelope, body = self._waiting[request].popleft()
        if not self._waiting[request]:
            del self._waiting[request]
        kind = envelope.WhichOneof("message")
        if kind == "error":
            raise Failure(envelope.error)
        return getattr(envelope, kind), body

    def call(self, body=b"", **message):
        """(answer, body) of one request."""
        return self.answer(self.send(body=body, **message))

    # ----------------------------------------------------------------------------------------------- requests

    def hello(self, version=1, key="", client="mayfly-python"):
        self.welcome, _ = self.call(hello=pb.Hello(version=version, key=key, client=client))
        return self.welcome

    def ping(self):
        return self.call(ping=pb.Ping())[0].state

    def create_index(self, index, primary_key=""):
        return self.call(index_create=pb.IndexCreate(index=index, primary_key=primary_key))[0]

    def list_indexes(self):
        return list(self.call(index_list=pb.IndexList())[0].indexes)

    def drop_index(self, index):
        return self.call(index_drop=pb.IndexDrop(index=index))[0]

    def swap_indexes(self, a, b):
        return self.call(index_swap=pb.IndexSwap(a=a, b=b))[0]

    def optimize(self, index, wait=True):
        return self.call(index_optimize=pb.IndexOptimize(index=index, wait=wait))[0]

    def reshard(self, shards, wait=True):
        """Every index gets so many shards, and new ones have as many. Task 0: there is nothing to be done."""
        return self.call(reshard=pb.Reshard(shards=shards, wait=wait))[0]

    def backup(self, directory, wait=True):
        return self.call(backup=pb.Backup(directory=str(directory), wait=wait))[0]

    def settings(self, index):
        return json.loads(self.call(settings_get=pb.SettingsGet(index=index))[0].json)

    def set_settings(self, index, change, reanalyze=False):
        """The Settings message: `json` are those that act; with a `task`, `coming` will once that has succeeded."""
        packed = change if isinstance(change, bytes) else json.dumps(change).encode()
        return self.call(settings_set=pb.SettingsSet(index=index, json=packed, reanalyze=reanalyze))[0]

    def add(self, index, documents, wait="accepted", primary_key="id", create=True, on_written=None,
            partial=False):
        """Adds dicts (or (id, bytes) pairs, sent as they are); a Written with everything that was refused. With `partial`
        their fields replace those of documents that are there, which keep the others."""
        def operations():
            for document in documents:
                if isinstance(document, tuple):
                    yield document
                else:
                    yield document[primary_key], json.dumps(document, ensure_ascii=False).encode()
        kind = pb.Write.PATCH if partial else pb.Write.PUT
        first = pb.Write(index=index, kind=kind, wait=pb.Write.Wait.Value(wait.upper()), create=create,
                         primary_key=primary_key)
        return self.write(first, operations(), on_written)

    def delete(self, index, ids, wait="accepted"):
        first = pb.Write(index=index, kind=pb.Write.DELETE, wait=pb.Write.Wait.Value(wait.upper()))
        return self.write(first, ((key, b"") for key in ids))

    def delete_matching(self, index, filter, wait="searchable"):
        """A Written whose `deleted` says how many documents matched."""
        first = pb.Write(index=index, kind=pb.Write.DELETE, wait=pb.Write.Wait.Value(wait.upper()), filter=filter)
        return self.write(first, ())

    def write(self, first, operations, on_written=None):
        """One stream of (id, bytes); answers are read when the stream is out, or as they come between frames."""
        request = self.new_request()
        result = Written()

        def take():
            message, _ = self.answer(request)
            result.take(message)
            if on_written:
                on_written(message)

        message, batch, size, count = first, [], 0, 0
        in_flight = collections.deque()  # operations up to the end of each frame that is not known to be safe
        for key, body in operations:
            batch.append((key, body))
            count += 1
            size += len(body) + 32
            if size >= FRAME_BODY:
                self._send_write(request, message, batch)
                message, batch, size = pb.Write(), [], 0
                in_flight.append(count)
                # Answers are read on the way, else both sides would block on full sockets; with NONE there are none.
                while first.wait != pb.Write.NONE and len(in_flight) > WINDOW:
                    if result.accepted < in_flight[0]:
                        take()
                    else:
                        in_flight.popleft()
        message.last = True
        self._send_write(request, message, batch)
        while not result.done:
            take()
        return result

    def _send_write(self, request, message, batch):
        body = pack_operations(batch)
        for at in range(0, max(len(body), 1), 8 << 20):
            part = body[at:at + (8 << 20)]
            head = pb.Write()
            head.CopyFrom(message if at == 0 else pb.Write())
            head.last = message.last and at + len(part) >= len(body)
            self.send(body=part, request=request, write=head)

    def get(self, index, key):
        """The document as stored, or None."""
        try:
            _, body = self.call(get=pb.Get(index=index, id=str(key)))
        except Failure as failure:
            if failure.code == "document_not_found":
                return None
            raise
        return json.loads(body)

    def search(self, index, query, limit=20, match="last", documents=True, **options):
        """`options` are further fields of the Search message."""
        return self.search_answer(self.send_search(index, query, limit, match, documents, **options))

    def send_search(self, index, query, limit=20, match="last", documents=True, **options):
        message = pb.Search(index=index, query=query, limit=limit, match=pb.Match.Value(match.upper()),
                            no_documents=not documents, **options)
        return self.send(search=message)

    def search_answer(self, request):
        found, body = self.answer(request)
        hits, at = [], 0
        for hit in found.hits or hits_of(found.columns):
            text = body[at:at + hit.document_length]
            at += hit.document_length
            hits.append(Hit(hit.id, hit.score, hit.dropped, hit.stamp, json.loads(text) if text else None,
                            hit.explanation))
        return Result(hits, found.estimated_total, found.partial, found.took_us,
                      found.partial_reason if found.partial else None)

    def cancel(self, request):
        self.send(request=request, cancel=pb.Cancel())

    def tasks(self, index="", uid=0, limit=0):
        return list(self.call(task_list=pb.TaskList(index=index, uid=uid, limit=limit))[0].tasks)

    def wait_task(self, uid):
        return self.call(task_wait=pb.TaskWait(uid=uid))[0].tasks[0]

    def stats(self):
        return self.call(stats_get=pb.StatsGet())[0]

    def budget(self):
        return self.call(budget_get=pb.BudgetGet())[0]

    def trim(self, index=""):
        return self.call(trim=pb.Trim(index=index))[0]
