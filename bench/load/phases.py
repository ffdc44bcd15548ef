"""A bulk load, and single updates on top of it, while somebody looks at what both cost."""
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import threading
import time

from conftest import BIN, Server, await_tasks

import device
import processes

INDEX = "growth"
LIMIT = 3600  # seconds for anything that is waited for


def written_by(pid):
    """Bytes that a process, and its children that were waited for, had written to the disk, as the kernel counts: device.py."""
    try:
        text = pathlib.Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return 0
    return int(dict(line.split(": ") for line in text.splitlines())["write_bytes"])


class Watch:
    """Rows of {time, done (documents), written, disk, memory by phase} until it is stopped."""

    def __init__(self, server, period, done):
        self.server, self.period, self.done = server, period, done
        self.rows, self.ending, self.failure = [], threading.Event(), None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def look(self):
        pid = self.server.process.pid
        where = processes.phases(pid)
        held = processes.by_phase(processes.own_by_pid(pid))
        written = sum(written_by(p) for p, phase in where.items() if phase != "shards")
        self.rows.append({"time": time.monotonic(), "done": self.done(), "written": written,
                          "disk": processes.disk(self.server.data), "memory": held})

    def run(self):
        try:
            while not self.ending.wait(self.period):
                self.look()
        except Exception as failure:  # told by stop()
            self.failure = failure

    def stop(self):
        self.ending.set()
        self.thread.join(LIMIT)
        if self.failure:
            raise self.failure
        self.look()
        return self.rows


def await_rest(client):
    """No worker is at work, merges included."""
    quiet = 0
    while quiet < 10:
        quiet = 0 if any(p.role == "worker" for p in client.stats().processes) else quiet + 1
        time.sleep(0.1)


def bulk(server, client, o):
    def live():
        return sum(index.documents for index in client.stats().indexes)
    before = device.written_to(server.data)
    watch = Watch(server, o.period, live)
    begin = time.monotonic()
    try:
        subprocess.run([str(BIN / "mayfly"), "--socket", str(server.socket), "add", INDEX, str(o.corpus), "--wait", "searchable"],
                       check=True, stdout=subprocess.DEVNULL, timeout=LIMIT)
        searchable = time.monotonic() - begin
        with server.client(timeout=LIMIT) as own:
            await_tasks(own)
            await_rest(own)
    finally:
        rows = watch.stop()
    return {"rows": rows, "begin": begin, "seconds": searchable, "bytes": o.corpus.stat().st_size,
            "device": device.between(before, device.written_to(server.data))}


def line_places(path):
    """Where each document begins."""
    places, at = [], 0
    with open(path, "rb") as file:
        for line in file:
            places.append(at)
            at += len(line)
    return places


def update(server, path, places, count, seed, done, bytes_sent, times):
    chance = random.Random(seed)
    with server.client(timeout=LIMIT) as client, open(path, "rb") as file:
        for n in range(count):
            file.seek(places[chance.randrange(len(places))])
            text = file.readline().rstrip(b"\n")
            begin = time.monotonic()
            written = client.add(INDEX, [(str(json.loads(text)["id"]), text)], wait="searchable")
            times[n] = time.monotonic() - begin
            if written.refused or written.searchable != 1:
                raise SystemExit(f"an update was not taken: {written}")
            with done.get_lock(), bytes_sent.get_lock():
                done.value += 1
                bytes_sent.value += len(text)


def updates(server, client, o):
    done, sent = multiprocessing.Value("Q", 0), multiprocessing.Value("Q", 0)
    share = o.updates // o.clients
    times = [multiprocessing.Array("d", share, lock=False) for _ in range(o.clients)]
    places = line_places(o.corpus)
    started = [multiprocessing.Process(target=update, args=(server, o.corpus, places, share, n, done, sent, times[n]))
               for n in range(o.clients)]
    for process in started:  # before there is a thread
        process.start()
    before = device.written_to(server.data)
    watch = Watch(server, o.period, lambda: done.value)
    begin = time.monotonic()
    try:
        for process in started:
            process.join()
        seconds = time.monotonic() - begin
        if any(process.exitcode for process in started):
            raise RuntimeError("a client that updates has failed")
        await_rest(client)
    finally:
        rows = watch.stop()
    return {"rows": rows, "begin": begin, "seconds": seconds, "bytes": sent.value, "times": [t for part in times for t in part],
            "device": device.between(before, device.written_to(server.data))}


def measure(o, place):
    server = Server(place, shards=o.shards, readers=1, log_level="warn", worker_memory=o.worker_memory).start()
    try:
        with server.client(timeout=LIMIT) as client:
            client.create_index(INDEX, "id")
            first = bulk(server, client, o)
            second = updates(server, client, o) if o.updates else None
            budget = json.loads(server.run("--json", "budget").stdout)["total"]
            documents = client.stats().indexes[0].documents
    finally:
        server.stop()
    return {"bulk": first, "updates": second, "budget": budget, "documents": documents, "load": os.getloadavg()[0]}
