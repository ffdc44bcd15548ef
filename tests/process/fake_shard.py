#!/usr/bin/python3
"""Stands in for mayfly-shard: three hits a query, and what the query's text says goes wrong.

A query is words; `WHAT@ROUND@SHARD` or `WHAT@ROUND@SHARD.READER` acts there: `hang` never answers, `die` ends the
process, `moved` has lost the generation, `late` answers in part. Rounds are prepare, guess, execute, fetch, and again: an execute
that nothing was prepared for; of a document that is looked up, lookup, and the id is the text. `misspelt@prepare@SHARD`: that
shard has not the word. With `newest` in it, the generation is the one that the coordinator knows of; with `asks`, the total is
how often its settings were asked for, with `total`, how often it was asked to guess.
"""
import argparse
import collections
import itertools
import json
import os
import socket
import struct

import internal_pb2 as pb

SOCKET_FD = 3


def read_exactly(sock, size):
    parts = b""
    while len(parts) < size:
        part = sock.recv(size - len(parts))
        if not part:
            raise SystemExit(0)
        parts += part
    return parts


def cut(column, lengths):
    """Its strings, which stand one behind the other."""
    ends = list(itertools.accumulate(lengths))
    assert ends[-1] == len(column)
    return [column[end - length:end].decode() for end, length in zip(ends, lengths)]


class Shard:
    def __init__(self, shard, reader):
        self.shard, self.names = shard, (str(shard), f"{shard}.{reader}")
        self.socket = socket.socket(fileno=SOCKET_FD)
        self.settings, self.asked, self.guessed = set(), collections.Counter(), 0
        self.texts = {}  # of queries whose generation is held

    def serve(self):
        self.send(pb.ShardEnvelope(ready=pb.Ready()))
        while True:
            total, length = struct.unpack("<II", read_exactly(self.socket, 8))
            envelope = pb.ShardEnvelope.FromString(read_exactly(self.socket, length))
            kind = envelope.WhichOneof("message")
            if hasattr(self, kind):
                getattr(self, kind)(envelope.request, getattr(envelope, kind))

    def send(self, envelope, body=b""):
        packed = envelope.SerializeToString()
        self.socket.sendall(struct.pack("<II", 4 + len(packed) + len(body), len(packed)) + packed + body)

    def told(self, text, round):
        """What goes wrong here; None: nothing."""
        for word in text.split():
            what, _, rest = word.partition("@")
            where, _, who = rest.partition("@")
            if where == round and who in self.names:
                return what
        return None

    def goes_wrong(self, request, text, round):
        what = self.told(text, round)
        if what == "die":
            os._exit(1)
        if what == "moved":
            self.send(pb.ShardEnvelope(request=request, moved=pb.Moved()))
        return what in ("hang", "moved")

    def wants_settings(self, request, text):
        if text.settings:
            self.settings.add(text.settings_id)
        if text.settings_id in self.settings:
            return False
        self.asked[text.settings_id] += 1
        self.send(pb.ShardEnvelope(request=request, settings_wanted=pb.SettingsWanted()))
        return True

    def beat(self, request, message):
        self.send(pb.ShardEnvelope(beat=message))

    def prepare(self, request, message):
        if self.wants_settings(request, message.text):
            return
        text = message.text.query
        self.texts[request] = text
        if self.goes_wrong(request, text, "prepare"):
            return
        generation = 0 if "newest" in text else 1
        words = [pb.Word(candidates=[pb.Candidate(term=b"a", frequency=5)], count=1)]
        if self.told(text, "prepare") == "misspelt":
            words = [pb.Word(count=1, misspelt=True)]
        tokens = []
        if "each" in text.split():  # every token is a word of its own
            tokens = [1] * len(text.split())
            words = [pb.Word(candidates=[pb.Candidate(term=token.encode(), frequency=5)], count=1) for token in text.split()]
        self.send(pb.ShardEnvelope(request=request, prepared=pb.Prepared(generation=generation, documents=10, total_length=100,
                                                                         words=words, token_words=tokens)))

    def guess(self, request, message):
        if self.goes_wrong(request, message.text.query, "guess"):
            return
        assert self.texts.get(message.prepared_by, message.text.query) == message.text.query  # or another reader's
        self.guessed += 1
        words = [pb.Word(candidates=[pb.Candidate(term=b"b", frequency=5, edits=1)]) for _ in message.words]
        self.send(pb.ShardEnvelope(request=request, guessed=pb.Guessed(words=words)))

    def hits(self, message):
        documents = 1 if message.own_statistics else len(message.word_frequencies) and message.documents  # scores tell whom the weights came from
        count = min(3, message.limit)
        ids = [f"{self.shard}-{i}".encode() for i in range(count)]
        if self.told(message.text.query, "execute") == "garbled":
            ids = ids[1:]
        numbers = [(1000 * documents - 10 * i - self.shard, 10 * i + self.shard, 1, i, 3) for i in range(count)]  # proto/hit_numbers.h
        return {"ids": b"".join(i + b"\0" for i in ids), "hits": itertools.chain(*numbers)}

    def execute(self, request, message):
        if self.wants_settings(request, message.text):
            return
        if self.goes_wrong(request, message.text.query, "execute"):
            return
        if not message.prepared_by:
            self.texts[request] = message.text.query
            if self.goes_wrong(request, message.text.query, "again"):
                return
        if "each" in message.text.query.split():
            words = message.text.query.split()
            assert cut(message.terms, message.term_lengths) == words
            assert message.terms_are_keys or list(message.word_terms) == [1] * len(words)
            assert all(message.term_weights) and list(message.word_frequencies) == [10] * len(words)  # of both shards
            assert not (message.terms_are_keys and message.prepared_by)  # they are words that are known
            assert not (message.terms_are_keys and message.key_lengths)
        total = self.asked[message.text.settings_id] if "asks" in message.text.query else self.guessed if "total" in message.text.query else 3
        if "total" in message.text.query and not message.terms:
            total = 1000  # a word that stands for nothing
        late = self.told(message.text.query, "execute") == "late"
        self.send(pb.ShardEnvelope(request=request, executed=pb.Executed(**self.hits(message), estimated_total=total,
                                                                         partial=late)))

    def fetch(self, request, message):
        if self.goes_wrong(request, self.texts.get(message.prepared_by, ""), "fetch"):
            return
        bodies = [json.dumps({"from": f"{self.shard}-{item.document}"}).encode() for item in message.items]
        self.send(pb.ShardEnvelope(request=request, fetched=pb.Fetched(document_length=[len(b) for b in bodies])),
                  b"".join(bodies))

    def lookup(self, request, message):
        if self.goes_wrong(request, message.id.decode(), "lookup"):
            return
        body = b'{"from":"%s"}' % self.names[1].encode()
        self.send(pb.ShardEnvelope(request=request, fetched=pb.Fetched(found=True, document_length=[len(body)])), body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--shard", type=int)
    parser.add_argument("--reader", type=int)
    parser.add_argument("--query-memory")
    options, _ = parser.parse_known_args()  # others are of no use here
    Shard(options.shard, options.reader).serve()
