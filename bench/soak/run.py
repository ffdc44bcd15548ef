"""The work that a server is given, phase after phase, and what it held before and after each."""
import gzip
import itertools
import json
import struct
import time

import mayfly_pb2 as pb
from conftest import Server, await_ends

import processes

INDEX = "soak"
MIB = 1 << 20
WORKERS = 2
SHARDS, READERS = 2, 2
SETTLE = 1.0  # seconds after the last worker's end; shards count themselves once a second
WARM_UP = 1000  # queries before the first look, beside
WARM_BURSTS = 5
SETTINGS_EVERY = 10  # bursts
DISPLAYED = [["*"], ["id", "title"]]
BACK_WITHIN = 0.1  # seconds
LIMIT = 300  # seconds for anything that is waited for


def read_documents(path, limit):
    """(id, JSON) of each."""
    opener = gzip.open if str(path).endswith(".gz") else open
    documents = []
    with opener(path, "rb") as lines:
        for line in itertools.islice(lines, limit):
            documents.append((str(json.loads(line)["id"]), line.rstrip(b"\n")))
    return documents


def make_queries(documents, count):
    """Words of the documents themselves, two or three a query, none twice as far as there are enough."""
    words = [word for _, text in documents[:2000] for word in json.loads(text).get("title", "").split() if word.isalnum()]
    words = words or ["nothing"]
    return [" ".join(words[(i * 7 + k * 31 + i // len(words)) % len(words)] for k in range(2 + i % 2)) for i in range(count)]


def document(key, size):
    """A JSON object of exactly `size` bytes, all of it words."""
    head, words = json.dumps({"id": key, "title": key, "body": ""})[:-2].encode(), b"river stone lamp cloud bridge "
    text = words * (size // len(words) + 1)
    return head + text[:size - len(head) - 2] + b'"}'


class Soak:
    def __init__(self, o, place):
        self.o = o
        self.server = Server(place, shards=SHARDS, readers=READERS, workers=WORKERS, log_level="warn", deadline_ms=60000,
                             worker_memory=f"{o.worker_memory}M", max_document_size=f"{o.worker_memory // 2}M").start()
        self.pid = self.server.process.pid
        self.writer, self.reader = self.server.client(timeout=LIMIT), self.server.client(timeout=LIMIT)
        self.documents = read_documents(o.corpus, o.documents)
        self.queries = itertools.cycle(make_queries(self.documents, o.queries + WARM_UP))
        self.at = 0
        self.looks, self.phases, self.declared, self.back, self.counts = {}, [], [], [], {}

    # -------------------------------------------------------------------------------------------------- looking

    def rest(self):
        """Until no worker is left, merges included."""
        quiet = 0
        while quiet < 3:
            busy = processes.workers(self.pid)
            quiet = 0 if busy else quiet + 1
            await_ends(busy, LIMIT)
            time.sleep(0.05)

    def note_declared(self):
        """Bytes that the server says it holds because of what it was given and asked."""
        stats = self.reader.stats()
        declared = {"coordinator": stats.weights_bytes + stats.words_bytes + stats.tasks_bytes, "shards": sum(index.heap for index in stats.indexes)}
        self.declared.append([time.monotonic(), declared])
        return declared

    def look(self, name):
        self.rest()
        time.sleep(2 * SETTLE)  # shards count what they hold once a second
        held = processes.own_by_pid(self.pid)
        self.looks[name] = {"held": [[pid, phase, size] for pid, (phase, size) in held.items()],
                            "declared": self.note_declared()}

    def phase(self, name, work):
        begin = time.monotonic()
        work()
        self.look(name)
        self.phases.append([name, begin, time.monotonic()])

    # -------------------------------------------------------------------------------------------------- the work

    def search(self, count):
        for query in itertools.islice(self.queries, count):
            self.reader.search(INDEX, query)
        self.counts["queries"] = self.counts.get("queries", 0) + count

    def next_documents(self):
        batch = [self.documents[(self.at + i) % len(self.documents)] for i in range(self.o.burst)]
        self.at += self.o.burst
        return batch

    def load(self):
        self.writer.add(INDEX, self.documents, wait="searchable")
        for n in range(WARM_BURSTS):  # so that all has happened once for which memory is kept
            self.burst(WARM_UP // WARM_BURSTS)
            self.change_settings(n)
        self.counts = {}

    def burst(self, queries):
        written = self.writer.add(INDEX, self.next_documents())
        self.search(queries)
        task = self.writer.wait_task(written.task)
        assert task.status == "succeeded" and task.refused == 0, f"a burst was not taken: {task}"
        self.counts["bursts"] = self.counts.get("bursts", 0) + 1

    def change_settings(self, number):
        self.writer.set_settings(INDEX, {"displayed": DISPLAYED[number % 2]})
        self.counts["settings changes"] = self.counts.get("settings changes", 0) + 1

    def bursts(self):
        end = time.monotonic() + self.o.seconds
        done = 0
        while done < self.o.bursts or time.monotonic() < end:
            self.burst(self.o.queries // max(1, self.o.bursts))
            done += 1
            if done % SETTINGS_EVERY == 0:
                self.change_settings(done // SETTINGS_EVERY)
            self.note_declared()

    def largest(self):
        size = self.writer.welcome.max_document_size - 1
        for n in range(self.o.oversize):
            written = self.writer.add(INDEX, [(f"large-{n}", document(f"large-{n}", size))], wait="searchable")
            self.count_refused("largest", written)

    def count_refused(self, kind, written):
        counts = self.counts.setdefault(kind, {"indexed": 0, "refused by id": 0})
        counts["refused by id" if written.refused else "indexed"] += 1

    def send_huge(self, key, size):
        """As one stream of 4 MiB frames, so that this program does not hold it either."""
        request, name, part = self.writer.new_request(), key.encode(), b"x" * (4 * MIB)
        head = struct.pack("<I", len(name)) + name + struct.pack("<I", size)
        self.writer.send(head, request, write=pb.Write(index=INDEX, kind=pb.Write.PUT, wait=pb.Write.SEARCHABLE))
        for at in range(0, size, len(part)):
            self.writer.send(part[:size - at], request, write=pb.Write(last=at + len(part) >= size))
        while True:
            message, _ = self.writer.answer(request)
            if message.done:
                return message

    def refused(self):
        for n in range(self.o.oversize):
            self.count_refused("refused", self.send_huge(f"huge-{n}", 10 * self.o.worker_memory * MIB))

    def back_once(self):
        """What all processes hold 100 ms after the last worker's end, over what they held before the burst."""
        self.rest()
        before = sum(size for _, size in processes.own_by_pid(self.pid).values())
        self.burst(0)
        ended = time.monotonic()
        while True:
            busy = processes.workers(self.pid)
            if busy:
                await_ends(busy, LIMIT)
                ended = time.monotonic()
            time.sleep(max(0, ended + BACK_WITHIN - time.monotonic()))
            held = processes.own_by_pid(self.pid)
            if not processes.workers(self.pid):
                break
        self.back.append(sum(size for _, size in held.values()) - before)

    def bring_back(self):
        for _ in range(self.o.back):
            self.back_once()


def ceiling(server, o, stats):
    """Bytes of all processes together: what `mayfly budget` says."""
    said = server.run("--json", "budget", check=False)
    if said.returncode == 0:
        return json.loads(said.stdout), "mayfly budget"
    fixed = stats.region_budget + WORKERS * o.worker_memory * MIB + SHARDS * READERS * 64 * MIB + stats.weights_budget + stats.words_budget
    return {"total": fixed}, "workers, regions, query memory, weights, words"


def soak(o, place):
    s = Soak(o, place)
    sampler = processes.Sampler(s.pid, o.period, place / "samples")
    try:
        s.phase("load", s.load)
        s.phase("bursts", s.bursts)
        s.phase("largest", s.largest)
        s.phase("refused", s.refused)
        s.phase("back", s.bring_back)
        stats = s.reader.stats()
        total, source = ceiling(s.server, o, stats)
    finally:
        samples = sampler.stop()
        s.server.stop()
    return {"samples": samples, "looks": s.looks, "phases": s.phases, "declared": s.declared, "back": s.back, "counts": s.counts,
            "ceiling": total, "ceiling_source": source, "worker_memory": o.worker_memory * MIB,
            "exits": {e.reason: e.count for e in stats.worker_exits if e.count}}
