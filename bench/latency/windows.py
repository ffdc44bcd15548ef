"""Searches at an even rate, in windows in which documents are indexed and in windows in which nothing else is done."""
import itertools
import os
import subprocess
import threading
import time

from conftest import BIN, Server

from run import make_queries, read_documents

INDEX = "docs"
LIMIT = 300  # seconds for anything that is waited for


class Load:
    """A program that adds the same documents again and again, until it is told to stop."""

    def __init__(self, server, path, cpus):
        """On these CPUs."""
        self.command = ["taskset", "-c", ",".join(map(str, sorted(cpus))), str(BIN / "mayfly"), "--socket", str(server.socket),
                        "add", INDEX, str(path), "--wait", "searchable"]
        self.added = 0
        self.ending = False
        self.failure = None
        self.program = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ending and not self.failure:
            self.program = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            _, errors = self.program.communicate()
            self.added += 1
            self.failure = None if self.program.returncode == 0 else errors or self.program.returncode

    def stop(self):
        """When all that it has sent is searchable."""
        self.ending = True
        self.thread.join(LIMIT)
        assert not self.thread.is_alive() and not self.failure, f"adding failed: {self.failure}"


def pace(client, queries, rate, seconds):
    """Seconds of each search, from the moment it was due."""
    begin, times = time.monotonic(), []
    for n in range(int(rate * seconds)):
        due = begin + n / rate
        time.sleep(max(0, due - time.monotonic()))
        client.search(INDEX, next(queries), limit=10, documents=False)
        times.append(time.monotonic() - due)
    return times


def await_rest(client):
    """No worker is at work, merges included."""
    quiet = 0
    while quiet < 5:
        quiet = 0 if any(p.role == "worker" for p in client.stats().processes) else quiet + 1
        time.sleep(0.1)


def write_copy(documents, path):
    with open(path, "wb") as file:
        file.writelines(text + b"\n" for _, text in documents)
    return sum(len(text) + 1 for _, text in documents)


def window(server, client, queries, o, path):
    """(times, documents' rounds added) of one window; `path` of the documents to add, or None."""
    load = Load(server, path, cpus_of_indexing(o)) if path else None
    times = pace(client, queries, o.rate, o.seconds)
    if load:
        load.stop()
        await_rest(client)
    return times, load.added if load else 0


def cpus_of_indexing(o):
    """All, or all but one."""
    all_there = sorted(os.sched_getaffinity(0))
    return set(all_there[:-1] if o.spare else all_there)


def bind_workers(client, o):
    """They are forked by the nursery, and have what it has."""
    nursery, = (p for p in client.stats().processes if p.role == "nursery")
    os.sched_setaffinity(nursery.pid, cpus_of_indexing(o))


def measure(o, place):
    documents = read_documents(o.corpus, o.documents)
    path = place / "documents.ndjson"
    size = write_copy(documents, path)
    queries = itertools.cycle(make_queries(documents, 5000))
    server = Server(place, shards=o.shards, readers=2, workers=o.workers, log_level="warn").start()
    seen = {"idle": [], "indexing": [], "added": 0, "bytes": size, "documents": len(documents),
            "cpus": len(os.sched_getaffinity(0)), "workers": o.workers, "rate": o.rate, "spare": o.spare}
    try:
        with server.client(timeout=LIMIT) as client:
            bind_workers(client, o)
            server.run("add", INDEX, path, "--wait", "searchable", timeout=LIMIT)
            await_rest(client)
            pace(client, queries, o.rate, o.seconds / 2)  # to warm up
            for _ in range(o.windows):
                seen["idle"].append(window(server, client, queries, o, None)[0])
                times, added = window(server, client, queries, o, path)
                seen["indexing"].append(times)
                seen["added"] += added
    finally:
        server.stop()
    return seen
