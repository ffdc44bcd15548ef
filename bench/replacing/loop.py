"""Create, fill, swap, drop; who asks meanwhile; and what the server holds after each round."""
import itertools
import json
import pathlib
import threading
import time

import mayfly
from conftest import Server, await_ends

import processes
from run import read_documents

INDEX, NEXT = "shop", "shop-next"
LIMIT = 300  # seconds for anything that is waited for
MB = 1e6
PERIOD = 0.1  # seconds between samples
SETTLE = 2.0  # seconds: shards count themselves, and give back, once a second


class Searcher(threading.Thread):
    """Asks until it is told to end; what was wrong with an answer stays in `wrong`."""

    def __init__(self, server, queries, pause, number):
        super().__init__(daemon=True)
        self.server, self.pause = server, pause
        self.queries = itertools.islice(itertools.cycle(queries), number * 17, None)
        self.ending = threading.Event()
        self.wrong, self.answers, self.took = [], 0, []

    def ask(self, client):
        begun = time.monotonic()
        result = client.search(INDEX, next(self.queries), limit=10, match="any", deadline_ms=60000, fields=["round"])
        self.took.append(time.monotonic() - begun)
        self.answers += 1
        rounds = {hit.document["round"] for hit in result.hits}
        if result.partial or len(rounds) != 1:
            self.wrong.append(f"an answer of {len(result.hits)} hits has documents of rounds {sorted(rounds)}, "
                              f"{'partial' if result.partial else 'whole'}")

    def run(self):
        try:
            with self.server.client(timeout=LIMIT) as client:
                while not self.ending.is_set() and len(self.wrong) < 10:
                    self.ask(client)
                    time.sleep(self.pause)
        except (OSError, mayfly.Closed, mayfly.Failure) as failure:
            self.wrong.append(f"a search ended with {type(failure).__name__}: {failure}")


class Sampler(threading.Thread):
    """Memory by phase and disk, over time."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ending, self.rows = server, threading.Event(), []

    def run(self):
        while not self.ending.wait(PERIOD):
            held = processes.by_phase(processes.own_by_pid(self.server.process.pid))
            self.rows.append([time.monotonic(), held, processes.disk(self.server.data / "indexes")])


def rest(server, client):
    """Until no worker is left and no file waits for its removal."""
    quiet = 0
    while quiet < 3:
        busy = processes.workers(server.process.pid)
        stats = client.stats()
        quiet = 0 if busy or stats.removals else quiet + 1
        await_ends(busy, LIMIT)
        time.sleep(max(0.05, min(1, stats.removals_due_ms / 1000)) if stats.removals else 0.05)
    time.sleep(SETTLE)


def look(server):
    held = processes.by_phase(processes.own_by_pid(server.process.pid))
    indexes, log = processes.disk(server.data / "indexes"), processes.disk(server.data / "log")
    return {"memory": sum(held.values()), "by_phase": held, "disk": indexes, "log": log,
            "catalog": processes.disk(server.data) - indexes - log}


def fill(client, index, documents, number):
    """The same documents, and of which round they are."""
    changed = ((key, b'{"round":%d,' % number + text[1:]) for key, text in documents)
    written = client.add(index, changed, wait="searchable")
    if written.refused:
        raise RuntimeError(f"documents were refused: {written.refusals[:3]}")


def one_round(client, documents, number, merges):
    client.create_index(NEXT)
    fill(client, NEXT, documents, number)
    if merges:
        client.optimize(NEXT)
    client.swap_indexes(INDEX, NEXT)
    client.drop_index(NEXT)


def replace(o, place):
    documents = read_documents(o.corpus, o.documents)
    words = [json.loads(text).get("title", "") for _, text in documents[:500]]
    server = Server(pathlib.Path(place), log_level="warn").start()
    searchers = [Searcher(server, [w for w in words if w.strip()] or ["the"], o.pause, n) for n in range(o.clients)]
    sampler, looks = Sampler(server), []
    try:
        with server.client(timeout=LIMIT) as client:
            fill(client, INDEX, documents, 0)
            for thread in [sampler, *searchers]:
                thread.start()
            for number in range(1, o.rounds + 1):
                begun = time.monotonic()
                one_round(client, documents, number, not o.as_it_comes)
                done = time.monotonic()
                rest(server, client)
                looks.append({"round": number, "begun": begun, "done": done, **look(server)})
    finally:
        for thread in [sampler, *searchers]:
            thread.ending.set()
        for thread in [sampler, *searchers]:
            if thread.ident:
                thread.join(LIMIT)
        server.stop()
    took = sorted(t for s in searchers for t in s.took)
    return {"looks": looks, "samples": sampler.rows, "documents": len(documents), "answers": len(took),
            "wrong": [w for s in searchers for w in s.wrong],
            "milliseconds": {p: 1000 * took[int(len(took) * p / 100)] for p in (50, 99)} if took else {}}


def deviation(looks, what):
    """Per cent from the first round, at most and at the end."""
    first = looks[0][what]
    return [100 * (look[what] / first - 1) for look in looks]


def report(seen, within):
    """Prints the table; whether all holds."""
    looks, holds = seen["looks"], not seen["wrong"]
    print("| round | own memory, MB | index files, MB | log, MB | catalog, MB |\n|---|---|---|---|---|")
    for row in looks:
        if row["round"] in (1, 2, 3) or row["round"] % 5 == 0 or row is looks[-1]:
            print(f"| {row['round']} | {row['memory'] / MB:.2f} | {row['disk'] / MB:.2f} | {row['log'] / MB:.1f} | "
                  f"{row['catalog'] / MB:.2f} |")
    print()
    for what, name in (("memory", "own memory"), ("disk", "index files")):
        moves = deviation(looks, what)
        good = max(map(abs, moves)) <= within
        holds = holds and good
        print(f"{name}: from {min(moves):+.2f} to {max(moves):+.2f} % of the first round, {moves[-1]:+.2f} % after the last"
              f"{'' if good else f': more than {within} %'}")
    print(f"{seen['answers']} answers, {len(seen['wrong'])} wrong; "
          + ", ".join(f"p{p} {ms:.2f} ms" for p, ms in seen["milliseconds"].items()))
    for text in seen["wrong"][:5]:
        print("WRONG:", text)
    return holds
