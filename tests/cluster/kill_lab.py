#!/usr/bin/python3
"""Kills processes of a server at random moments while clients add, update, delete and search, and change settings so
that all documents are analyzed again, and checks that nothing acknowledged is lost or doubled, that no answer is wrong,
that search comes back, and that nothing is left behind.

  MAYFLY_BIN=build/dev/bin PYTHONPATH=client/python:build/dev/client/python tests/cluster/kill_lab.py --kills 200
"""
import argparse
import collections
import json
import pathlib
import random
import re
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import kill_leaks as leaks  # noqa: E402
import mayfly  # noqa: E402
import mayfly_pb2 as pb  # noqa: E402
from conftest import Server, await_ends, await_tasks  # noqa: E402
from kill_model import Model  # noqa: E402

INDEX = "kills"
INDEX_NUMBER = 1  # it is the first that is made
UNEXPECTED = re.compile(r"Sanitizer|runtime error:|require|assert|signal (?!9\b)\d|reason=(crash|corrupt)|damaged")
KINDS = ["coordinator", "nursery", "worker", "shard"]
WRITERS, IDS_EACH, GROUPS, BULK_IDS = 3, 40, 5, 3000
SETTLE = 120  # seconds until everything accepted is applied
LEAK_LIMIT = 30  # seconds until everything is given back


def changed(name, number):
    """What a partial update gives: enough to be found by, where there was nothing."""
    owner, _, place = name.partition("x")
    return {"id": name, "number": number, "owner": owner, "group": int(place or 0) % GROUPS, "text": f"common u{name} n{number % 7} words that stand in every document"}


def document(name, number):
    return {"origin": number, **changed(name, number)}


class Lab:
    def __init__(self, server, seed, limit, say):
        self.server, self.limit, self.say = server, limit, say
        self.random = random.Random(seed)
        self.model = Model()
        self.ending = threading.Event()
        self.slowest = collections.defaultdict(float)
        self.kills = collections.Counter()
        self.changes = collections.Counter()  # of settings, by how their tasks ended

    # ------------------------------------------------------------------------------------------------- clients

    def connected(self, work):
        """Calls work(client) again and again, on new connections, until the end. As clients do, it tries again after a
        moment where the server is not there."""
        while not self.ending.is_set():
            try:
                with self.server.client(timeout=30) as client:
                    while not self.ending.is_set():
                        work(client)
            except (OSError, mayfly.Closed):
                time.sleep(0.02)
            except mayfly.Failure as failure:
                if failure.code not in ("busy", "unavailable", "stopping", "shard_unavailable", "timeout", "cancelled"):
                    self.model.blame(f"the server said {failure}")
                time.sleep(0.02)
            except Exception as other:  # a client that dies is a failed test, not a quiet one
                self.model.blame(f"a client ended: {type(other).__name__}: {other}")
                raise

    def write(self, client, chosen, kind, wait):
        """One stream; what of it is acknowledged goes into the model as it is said."""
        done = [(entry, self.model.send(entry, kind)) for entry in chosen]
        self.model.operations += len(done)

        def on_written(message):
            self.model.acknowledge(done, message.accepted, message.searchable)

        first = pb.Write(index=INDEX, kind=pb.Write.Kind.Value(kind.upper()), create=kind != "delete", primary_key="id",
                         wait=pb.Write.Wait.Value(wait.upper()))
        if kind == "delete":
            operations = [(e.name, b"") for e, n in done]
        else:
            body = document if kind == "put" else changed
            operations = [(e.name, json.dumps(body(e.name, n)).encode()) for e, n in done]
        written = client.write(first, operations, on_written)
        if written.refused:
            self.model.blame(f"refused: {written.refusals[:3]}")

    def delete_group(self, client, mine, group, wait):
        """By filter: one operation, of which each document of the group has its own in the model."""
        done = [(entry, self.model.send(entry, "delete")) for i, entry in enumerate(mine) if i % GROUPS == group]
        self.model.operations += len(done)

        def on_written(message):
            self.model.acknowledge(done, len(done) * message.accepted, len(done) * message.searchable)

        first = pb.Write(index=INDEX, kind=pb.Write.DELETE, wait=pb.Write.Wait.Value(wait.upper()),
                         filter=f"owner = {mine[0].name.partition('x')[0]} AND group = {group}")
        written = client.write(first, (), on_written)
        if written.refused or written.deleted > len(done):
            self.model.blame(f"of {len(done)} documents {written.deleted} were deleted by filter: {written.refusals[:3]}")

    def writer(self, number):
        rng = random.Random(self.random.random())
        mine = [self.model.new(f"w{number}x{i}") for i in range(IDS_EACH)]

        def work(client):
            chosen = [rng.choice(mine) for _ in range(rng.choice([1, 1, 2, 5, 30]))]
            kind = rng.choices(["put", "patch", "delete", "filter"], [4, 4, 2, 1])[0]
            wait = "searchable" if rng.random() < 0.3 else "accepted"
            if kind == "filter":
                self.delete_group(client, mine, rng.randrange(GROUPS), wait)
            else:
                self.write(client, chosen, kind, wait)

        return lambda: self.connected(work)

    def loader(self):
        rng = random.Random(self.random.random())
        mine = [self.model.new(f"b{i}") for i in range(BULK_IDS)]

        def work(client):
            begin = rng.randrange(BULK_IDS)
            self.write(client, mine[begin:begin + rng.choice([200, 600, 1500])], rng.choice(["put", "put", "patch"]),
                       "searchable")

        return lambda: self.connected(work)

    def ask(self, client, entry):
        seen = self.model.before(entry)
        result = client.search(INDEX, f"u{entry.name}", limit=5, match="all", no_prefix=True)
        for hit in result.hits:
            if hit.id != entry.name:
                self.model.blame(f"u{entry.name} found {hit.id}")
        documents = [hit.document for hit in result.hits if hit.document]
        if len(documents) < len(result.hits) and not result.partial:
            self.model.blame(f"a whole answer has {len(result.hits)} hits and {len(documents)} documents")
        self.model.check(entry, seen, documents, not result.partial, "search")
        return result

    def searcher(self):
        rng = random.Random(self.random.random())

        def work(client):
            entry = self.model.ids[rng.choice(names)]
            if rng.random() < 0.8:
                self.ask(client, entry)
                return
            seen = self.model.before(entry)
            found = client.get(INDEX, entry.name)
            self.model.check(entry, seen, [found] if found else [], True, "get")

        names = sorted(self.model.ids)
        return lambda: self.connected(work)

    def churner(self):
        """Indexes that come and go."""
        rng = random.Random(self.random.random())
        names = [f"churn{n}" for n in range(3)]

        def work(client):
            name = rng.choice(names)
            documents = [document(f"c{n}", 1) for n in range(rng.choice([1, 20, 200]))]
            client.add(name, documents, wait=rng.choice(["accepted", "searchable"]))
            drop(client, name)

        def drop(client, name):
            try:
                client.drop_index(name)
            except mayfly.Failure as failure:
                if failure.code != "index_not_found":
                    raise

        return lambda: self.connected(work)

    def changer(self):
        """Settings that have the documents analyzed again; every other change does not wait for the one before."""
        rng = random.Random(self.random.random())

        def work(client):
            weight = {"text": {"type": "text", "weight": rng.choice([1, 2, 3])}}
            answer = client.set_settings(INDEX, {"language": rng.choice(["en", "de", "none"]), "fields": weight})
            if answer.task and rng.random() < 0.7:
                self.changes[client.wait_task(answer.task).status] += 1
            self.ending.wait(rng.uniform(0, 0.3))

        return lambda: self.connected(work)

    # --------------------------------------------------------------------------------------------------- kills

    def victim(self, kind):
        """A pid of that kind; workers come and go, so they are waited for."""
        limit = time.monotonic() + 2
        while time.monotonic() < limit:
            pids = leaks.family(self.server)[kind]
            if pids:
                return self.random.choice(pids)
            time.sleep(0.001)  # nothing tells when another process forks
        return None

    def kill(self, kind, alone=False):
        pid = self.victim(kind)
        if pid is None:
            return False
        if kind == "worker":
            time.sleep(self.random.choice([0, 0, 0.001, 0.003, 0.01, 0.05]))
        if kind == "coordinator":
            self.server.kill()
            begun = time.monotonic()
            self.server.start(wait=self.random.random() < 0.7)
        else:
            try:
                leaks.os.kill(pid, 9)
            except ProcessLookupError:
                return False
            begun = time.monotonic()
        self.kills[kind] += 1
        if not alone and self.random.random() < 0.25:  # another one, while this death is being dealt with
            if self.kill(self.random.choice(KINDS[1:]), alone=True):
                return True
            begun = time.monotonic()  # it was waited for in vain
        self.await_search(kind, begun)
        return True

    def await_search(self, kind, begun):
        """Until an answer is whole again: that is measured by asking."""
        entry = self.model.ids["w0x0"]
        why = "nothing was answered"
        while time.monotonic() < begun + max(30, self.limit):
            try:
                with self.server.client(timeout=5) as client:
                    if not self.ask(client, entry).partial:
                        break
                    why = "the answers are partial"
            except (OSError, mayfly.Closed, mayfly.Failure) as failure:
                why = f"{type(failure).__name__} {failure}"
            time.sleep(0.01)
        took = time.monotonic() - begun
        self.slowest[kind] = max(self.slowest[kind], took)
        if took > self.limit:
            self.model.blame(f"{took:.2f} s after the kill of a {kind} search did not answer: {why}")

    # ------------------------------------------------------------------------------------------------- the end

    def settle(self):
        """Until every task has ended."""
        try:
            with self.server.client(timeout=SETTLE) as client:
                for task in await_tasks(client):
                    if task.index == INDEX and (task.status == "failed" or task.refused):
                        self.model.blame(f"a task failed: {task}")
        except (OSError, mayfly.Closed) as failure:
            self.model.blame(f"{SETTLE} s after the last kill tasks have not ended: {failure}")

    def check_documents(self):
        with self.server.client() as client:
            found = client.search(INDEX, "common", limit=10000, match="all", documents=False)
            listed = {i.uid: i for i in client.stats().indexes}[INDEX]
            ids = collections.Counter(h.id for h in found.hits)
            twice = [i for i, n in ids.items() if n > 1]
            if twice:
                self.model.blame(f"found twice: {twice[:5]}")
            live = 0
            for entry in self.model.ids.values():
                stored = client.get(INDEX, entry.name)
                number = stored["number"] if stored else 0
                live += stored is not None
                self.model.check_origin(entry, [stored] if stored else [], "at the end")
                if number not in self.model.final_states(entry):
                    self.model.blame(f"at the end {entry.name} is {number}, not {self.model.final_states(entry)}; "
                                     f"acked={entry.acked} seen={entry.seen} sent={entry.sent}")
                if (entry.name in ids) != (stored is not None):
                    self.model.blame(f"at the end {entry.name} is stored and searched differently")
            if listed.documents != live:
                self.model.blame(f"the index counts {listed.documents} documents, {live} are there")

    def drop_others(self):
        """Of indexes that are gone no file stays: the following checks tell."""
        with self.server.client() as client:
            for index in client.list_indexes():
                if index.uid != INDEX:
                    client.drop_index(index.uid)

    def left_behind(self, before):
        """What a server at rest would not have. The coordinator says of how many files it will remove when their grace
        for readers is over: they are not leaks, all others are."""
        with self.server.client() as client:
            stats = client.stats()
        named = {i.uid: i.segments - i.images for i in stats.indexes}[INDEX]
        files, directories = leaks.segment_files(self.server, INDEX_NUMBER), leaks.index_directories(self.server)
        editions = leaks.editions(self.server, INDEX_NUMBER)
        now = leaks.table(self.server)
        found = [f"descriptors or processes differ:\n  before {before}\n  now    {now}"] if now != before else []
        if files + len(directories) - 1 + len(editions) - 1 > named + stats.removals:
            found.append(f"{files} segment files in {directories}, editions {editions}: the index has {named}, "
                         f"{stats.removals} will go")
        for what, which in [("zombies", leaks.zombies(self.server)), ("strays", leaks.strays(self.server)),
                            ("reader slots", leaks.stale_slots(self.server, INDEX_NUMBER)),
                            ("unknown files", leaks.unknown_files(self.server)),
                            ("control groups", leaks.groups(self.server, stats))]:
            if which:
                found.append(f"{what}: {which}")
        return found

    def look_for_leaks(self, before):
        try:
            return self.left_behind(before)
        except FileNotFoundError as gone:  # an edition, whose grace was over while it was looked at
            return [f"went while it was looked at: {gone}"]

    def check_leaks(self, before):
        """In a while after the last restart, or the last worker's end if that comes later, nothing is left. Nothing tells when
        another process closes a descriptor, so this looks."""
        end = time.monotonic() + LEAK_LIMIT
        while left := self.look_for_leaks(before):
            workers = leaks.family(self.server)["worker"]
            if workers:  # what was accepted is still being merged
                await_ends(workers, SETTLE)
                end = time.monotonic() + LEAK_LIMIT
            elif time.monotonic() > end:
                self.model.blame("left behind: " + "; ".join(left))
                return
            time.sleep(0.02)

    def check_removals(self):
        """What has its grace goes when the coordinator says; then only what the index names is there."""
        with self.server.client() as client:
            stats = client.stats()
            end = time.monotonic() + stats.removals_due_ms / 1000 + LEAK_LIMIT
            while stats.removals and time.monotonic() < end:
                time.sleep(max(0.01, min(stats.removals_due_ms / 1000, 0.1)))
                stats = client.stats()
        named = {i.uid: i.segments - i.images for i in stats.indexes}[INDEX]
        files, directories = leaks.segment_files(self.server, INDEX_NUMBER), leaks.index_directories(self.server)
        editions = leaks.editions(self.server, INDEX_NUMBER)
        if stats.removals or files != named or len(directories) != 1 or len(editions) != 1:
            self.model.blame(f"{files} segment files in {directories}, editions {editions}, are there, the index has "
                             f"{named} segments, {stats.removals} are still to go")

    def check_log(self):
        """Nothing died but by our hand."""
        with open(self.server.log_path, errors="replace") as log:
            bad = [line.strip() for line in log if UNEXPECTED.search(line)]
        if bad:
            self.model.blame(f"the log says: {bad[:5]}")

    def quiet_table(self):
        """The descriptors of a server that has just indexed something and has nothing to do."""
        limit = time.monotonic() + 30
        while True:
            first = leaks.table(self.server)
            time.sleep(0.5)  # that nothing changes is seen by looking twice
            if leaks.table(self.server) == first and "worker" not in first:
                return first
            if time.monotonic() > limit:
                raise AssertionError(f"the server does not come to rest: {first}")

    def run(self, kills):
        clients = [self.writer(i) for i in range(WRITERS)] + [self.loader()]
        with self.server.client() as client:
            self.write(client, list(self.model.ids.values()), "put", "searchable")
            for entry in list(self.model.ids.values())[:20]:
                self.ask(client, entry)
        before = self.quiet_table()
        clients += [self.searcher(), self.searcher(), self.churner(), self.changer()]
        threads = [threading.Thread(target=c, daemon=True) for c in clients]
        for thread in threads:
            thread.start()
        while sum(self.kills.values()) < kills and not self.model.wrong:
            time.sleep(self.random.uniform(0.02, 0.6))
            kind = KINDS[self.random.randrange(len(KINDS))]
            if self.kill(kind):
                self.say(f"kill {sum(self.kills.values())}: {kind}")
        self.ending.set()
        for thread in threads:
            thread.join(60)
        if not self.server.is_running():
            self.server.start()
        self.settle()
        self.check_documents()
        self.drop_others()
        self.check_leaks(before)
        self.check_removals()
        self.server.stop()
        self.check_log()
        if not leaks.lock_is_free(self.server):
            self.model.blame("LOCK is held after the stop")
        return self.model.wrong

    def report(self):
        slowest = ", ".join(f"{kind} {took:.2f} s" for kind, took in sorted(self.slowest.items()))
        return (f"kills {dict(self.kills)}; settings changed {dict(self.changes)}; {self.model.operations} operations, {self.model.answers} answers checked; "
                f"search was back after at most: {slowest}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--limit", type=float, default=2.0, help="seconds until search answers again")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--worker-memory", default="256M")
    parser.add_argument("--keep", action="store_true", help="keep the data directory")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    directory = tempfile.mkdtemp(prefix="mayfly-", dir="/tmp")
    server = Server(directory, shards=arguments.shards, worker_memory=arguments.worker_memory).start()
    lab = Lab(server, arguments.seed, arguments.limit, lambda text: print(text, flush=True))
    try:
        wrong = lab.run(arguments.kills)
    finally:
        if server.is_running():
            server.kill()
    print(lab.report())
    for text in wrong[:20]:
        print("WRONG:", text)
    if wrong or arguments.keep:
        print(f"kept: {directory}; seed {arguments.seed}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
