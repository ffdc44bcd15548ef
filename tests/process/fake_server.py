"""A server that only speaks the protocol: documents in a dict, every document with a word of the query is a hit.

What a test wants to go wrong it says by attributes: `drop_after` (operations), `errors` (message kind -> Error), `raw`
(message kind -> bytes) and `hold_searches` (answer so many together, the last one first).
"""
import json
import socket
import struct
import threading

import mayfly_pb2 as pb
from mayfly.wire import Closed, frame, read_frame


class FakeServer:
    def __init__(self, path):
        self.path = str(path)
        self.indexes = {}  # name -> (primary key, {id: bytes})
        self.max_document_size = 1 << 20
        self.state = "ready"
        self.drop_after = None
        self.errors = {}
        self.raw = {}  # message kind -> bytes to say instead of an answer
        self.stats = None  # a function that gives a Stats, instead of those below
        self.hold_writes = None  # an Event: until then a stream's end is a quarter searchable, which is said again and again
        self.hold_searches = 0  # answer so many searches at once, the last one first
        self.seen = []  # messages as they came
        self.frames = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()
        self.threads = []
        self.acceptor = threading.Thread(target=self._accept)
        self.acceptor.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join()
        for thread in self.threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,))
            thread.start()
            self.threads.append(thread)

    def _serve(self, sock):
        streams, held = {}, []
        with sock:
            try:
                while self._answer(sock, *read_frame(sock), streams, held):
                    pass
            except (Closed, OSError):
                pass

    def _answer(self, sock, envelope, body, streams, held):
        kind = envelope.WhichOneof("message")
        message = getattr(envelope, kind)
        self.seen.append((kind, message))

        def reply(answer_body=b"", **answer):
            return frame(pb.Envelope(request=envelope.request, **answer), answer_body)

        if kind in self.errors:
            sock.sendall(reply(error=self.errors[kind]))
            return True
        if kind in self.raw:
            sock.sendall(self.raw[kind])
            return True
        if kind == "write":
            return self._write(sock, reply, message, body, streams, envelope.request)
        if kind == "search" and self.hold_searches:
            held.append(reply(*self._found(message)[:1], found=self._found(message)[1]))
            if len(held) >= self.hold_searches:
                sock.sendall(b"".join(reversed(held)))
                held.clear()
            return True
        answer = getattr(self, "_on_" + kind)(message)
        data, answer = answer if isinstance(answer, tuple) else (b"", answer)
        names = {"Welcome": "welcome", "Pong": "pong", "Done": "done", "Error": "error", "Indexes": "indexes",
                 "Settings": "settings", "Document": "document", "Found": "found", "Tasks": "tasks", "Stats": "stats"}
        sock.sendall(reply(data, **{names[type(answer).__name__]: answer}))
        return True

    # ------------------------------------------------------------------------------------------------- writes

    def _write(self, sock, reply, message, body, streams, request):
        stream = streams.setdefault(request, {"first": message, "rest": b"", "count": 0})
        first = stream["first"]
        key, documents = self.indexes.setdefault(first.index, (first.primary_key or "id", {}))
        stream["rest"] += body
        before = stream["count"]
        refusals = []
        while (operation := self._take(stream)) is not None:
            name, text = operation
            if first.kind == pb.Write.DELETE:
                documents.pop(name.decode(), None)
            elif b"REFUSE" in text:
                refusals.append(pb.Refusal(id=name.decode(), position=stream["count"], code="invalid_document",
                                           message="it says so"))
            else:
                documents[name.decode()] = text
            stream["count"] += 1
            if self.drop_after is not None and stream["count"] >= self.drop_after:
                sock.sendall(reply(written=pb.Written(task=7, accepted=stream["count"])))
                return False
        stream["refused"] = stream.get("refused", 0) + len(refusals)
        if stream["count"] == before and not message.last:
            return True  # nothing that could be said to be safe
        while message.last and self.hold_writes and not self.hold_writes.wait(0.05):
            sock.sendall(reply(written=pb.Written(task=7, accepted=stream["count"], searchable=stream["count"] // 4)))
        sock.sendall(reply(written=pb.Written(task=7, accepted=stream["count"], searchable=stream["count"],
                                              refusals=refusals, refused=stream["refused"], done=message.last)))
        return True

    @staticmethod
    def _take(stream):
        rest = stream["rest"]
        if len(rest) < 4:
            return None
        id_length, = struct.unpack_from("<I", rest)
        if len(rest) < 8 + id_length:
            return None
        length, = struct.unpack_from("<I", rest, 4 + id_length)
        end = 8 + id_length + length
        if len(rest) < end:
            return None
        stream["rest"] = rest[end:]
        return rest[4:4 + id_length], rest[8 + id_length:end]

    # ----------------------------------------------------------------------------------------------- requests

    def _on_hello(self, _):
        return pb.Welcome(version=1, server="fake 1", max_document_size=self.max_document_size, shards=1)

    def _on_ping(self, _):
        return pb.Pong(state=self.state)

    def _on_index_create(self, message):
        self.indexes[message.index] = (message.primary_key or "id", {})
        return pb.Done()

    def _on_index_list(self, _):
        return pb.Indexes(indexes=[pb.Indexes.Index(uid=uid, primary_key=key, documents=len(documents),
                                                    created_at=1700000000000000)
                                   for uid, (key, documents) in sorted(self.indexes.items())])

    def _on_index_drop(self, message):
        if message.index not in self.indexes:
            return pb.Error(code="index_not_found", message="there is no such index", field=message.index)
        del self.indexes[message.index]
        return pb.Done()

    def _on_settings_get(self, _):
        return pb.Settings(json=b'{"language":"en"}')

    def _on_get(self, message):
        document = self.indexes[message.index][1].get(message.id)
        if document is None:
            return pb.Error(code="document_not_found", message="there is no such document", field="id")
        return document, pb.Document(id=message.id)

    def _found(self, message):
        words = message.query.encode().split()
        hits, body = [], b""
        for name, text in sorted(self.indexes[message.index][1].items()):
            if len(hits) < message.limit and any(word in text for word in words):
                shown = b"" if message.no_documents else text
                hits.append(pb.Found.Hit(id=name, score=65536 * 3 // 2, document_length=len(shown)))
                body += shown
        return body, pb.Found(hits=hits, estimated_total=len(hits), took_us=1500)

    def _on_search(self, message):
        return self._found(message)

    def _on_task_list(self, _):
        return pb.Tasks(tasks=[self._task()])

    def _on_task_wait(self, message):
        return pb.Tasks(tasks=[self._task("failed" if message.uid == 9 else "succeeded")])

    @staticmethod
    def _task(status="succeeded"):
        return pb.Task(uid=7, index="books", type="add", status=status, enqueued_at=1700000000000000, received=2,
                       accepted=2, searchable=2, refused=1,
                       errors=[pb.Refusal(id="x", position=1, code="invalid_document", message="no")])

    def _on_stats_get(self, _):
        if self.stats:
            return self.stats()
        process = pb.Stats.Process
        return pb.Stats(processes=[process(pid=1, role="coordinator", shard=-1, rss_anon=5 << 20, state=self.state),
                                   process(pid=2, role="worker", shard=0, arena_used=10, arena_peak=20, cap=30)],
                        worker_exits=[pb.Stats.Exit(reason="done", count=3)],
                        indexes=[pb.Stats.Index(uid="books", documents=2, segments=1, bytes=4096)],
                        started_at=1700000000000000, version="0", state=self.state, cap_enforced_by="rlimit")
