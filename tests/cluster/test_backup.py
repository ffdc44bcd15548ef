"""Backups of a running server, restoring them elsewhere, and finding damage: `mayfly backup`, `restore` and `check`."""
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import threading
import time

import mayfly
import mayfly_pb2 as pb
import pytest
from conftest import await_ends, await_figures, await_tasks, BIN, held_up, make_one_file, Server
from crc import crc32c

WORDS = "amber birch cedar delta ember fjord grove heath inlet jetty knoll larch marsh north ocean pines".split()


def document(number, version=0):
    return {"id": number, "title": f"{WORDS[number % 16]} {WORDS[number // 16 % 16]}", "n": version,
            "text": " ".join(WORDS[(number * k + version) % 16] for k in range(1, 30))}


def run(*arguments, status=0, **options):
    done = subprocess.run([str(BIN / "mayfly"), *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == status, f"{arguments} gave {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


class Writer(threading.Thread):
    """Adds and replaces documents until it is told to end; `acknowledged` is what was accepted, by id."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.acknowledged, self.ending, self.failure = server, {}, False, None
        self.some = threading.Event()

    def run(self):
        try:
            with self.server.client() as client:
                number = 0
                while not self.ending:
                    batch = {number % 4000 + k: number for k in range(50)}
                    client.add("busy", [document(i, version) for i, version in batch.items()])
                    self.acknowledged.update(batch)
                    number += 37
                    if number > 2000:
                        self.some.set()
        except Exception as error:  # it is the test that fails
            self.failure = error
            self.some.set()


@contextlib.contextmanager
def writing(server):
    writer = Writer(server)
    writer.start()
    assert writer.some.wait(60)
    try:
        yield writer
    finally:
        writer.ending = True
        writer.join(60)
    assert writer.failure is None


@contextlib.contextmanager
def restored(backup, place, **options):
    """A server of its own on what `mayfly restore` makes of it."""
    place.mkdir()
    other = Server(place, **options)
    assert "restored" in run("restore", backup, "--data", other.data)
    other.start()
    try:
        yield other
    finally:
        other.stop()


def test_what_was_acknowledged_before_a_backup_is_in_it(make_server, directory):
    server = make_server(shards=2)
    with server.client() as client:
        client.add("still", [document(i) for i in range(300)], wait="searchable")
        client.delete("still", [str(i) for i in range(0, 300, 3)], wait="searchable")
    with writing(server) as writer:
        for number in range(3):
            before = dict(writer.acknowledged)
            backup = directory / f"backup{number}"
            assert "backed up to" in server.run("backup", backup).stdout
            assert "all whole" in run("check", backup)
            with restored(backup, directory / f"restored{number}", shards=2) as other, other.client() as client:
                await_tasks(client)
                assert [i.documents for i in client.list_indexes() if i.uid == "still"] == [200]
                for id, version in before.items():
                    assert client.get("busy", str(id))["n"] >= version
                assert other.json("search", "still", "amber", "--limit", "0")["partial"] is False
                client.add("busy", [document(1, 10**6)], wait="searchable")  # numbers go on where they were
                assert client.get("busy", "1")["n"] == 10**6
            assert "all whole" in run("check", directory / f"restored{number}" / "data")
    with server.client() as client:
        assert [t.status for t in client.tasks(limit=100000) if t.type == "backup"] == ["succeeded"] * 3
        await_tasks(client)
        for id, version in writer.acknowledged.items():
            assert client.get("busy", str(id))["n"] >= version


def test_what_is_accepted_and_not_applied_is_in_a_backup(make_server, directory):
    """No worker can be had while it is accepted, and then the backup's has it to do with others."""
    server = make_server(shards=1)
    with server.client() as client:
        client.add("books", [document(i) for i in range(20)], wait="searchable")
        with held_up(client):
            for i in range(20, 40):
                client.add("books", [document(i)])
            request = client.send(backup=pb.Backup(directory=str(directory / "b"), wait=True))
        client.answer(request)
    assert "all whole" in run("check", directory / "b")
    with restored(directory / "b", directory / "other", shards=1) as other, other.client() as client:
        await_tasks(client)
        assert [client.get("books", str(i))["n"] for i in range(40)] == [0] * 40


def copied(backup, *indexes):
    return all((backup / f"indexes/{i}/1/0/core.mdb").exists() for i in indexes)


def stop_among_the_cores(client, backup, last):
    """The worker of a backup that is beginning, stopped when it is through with core.mdb of the first two indexes, of which it
    holds LMDB's locks meanwhile: by steps, so that it has not come to the last one. None: it has."""
    while not (workers := [p.pid for p in client.stats().processes if p.job == "backup"]):
        if copied(backup, last):
            return None
    os.kill(workers[0], signal.SIGSTOP)
    while not copied(backup, 3):
        os.kill(workers[0], signal.SIGCONT)
        time.sleep(0.0002)
        os.kill(workers[0], signal.SIGSTOP)
    if not copied(backup, last):
        return workers[0]
    os.kill(workers[0], signal.SIGCONT)
    return None


@contextlib.contextmanager
def held_among_the_cores(client, directory, last):
    """The directory of a backup that stands still within it: it has copied core.mdb of the first two indexes, and not of index `last`."""
    for attempt in range(100):
        backup = directory / f"b{attempt}"
        task = client.backup(backup, wait=False).task
        if worker := stop_among_the_cores(client, backup, last):
            try:
                yield backup
            finally:
                os.kill(worker, signal.SIGCONT)
            assert client.wait_task(task).status == "succeeded"
            return
        client.wait_task(task)
    raise AssertionError("each was over before it was stopped")


def await_flush(server):
    """Until what tasks have come to by now is in the catalog."""
    catalog, now, end = server.data / "catalog.mdb", time.time_ns(), time.monotonic() + 30
    while catalog.stat().st_mtime_ns <= now:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_task_of_a_backup_has_ended_only_where_it_is_applied(make_server, directory):
    """What ends while a backup is made has not ended in it, where core.mdb was copied before: a server on it has that to do yet, and
    says so from its first answer on, also while it has read only a part of the log."""
    server = make_server(shards=1, config={"region-memory": "16M", "max-document-size": "1M"})
    indexes = 24
    with server.client() as client:
        for name in ["bulk", "books", *(f"more{n}" for n in range(indexes - 2))]:
            client.add(name, [document(1)])
        await_tasks(client)
        before = client.add("books", [document(2)], wait="searchable").task
        with held_among_the_cores(client, directory, indexes) as backup:
            filler = " ".join(WORDS) * 100
            for first in range(0, 2400, 400):
                client.add("bulk", [{"id": i, "text": f"{i} {filler}"} for i in range(first, first + 400)], wait="searchable")
            task = client.add("books", [document(1, 7), document(2, 7)], wait="searchable").task
            deletion = client.delete("books", ["2"], wait="searchable").task
            await_flush(server)
    with restored(backup, directory / "other", shards=1, region_memory="16M", max_document_size="1M") as other, other.client() as client:
        tasks = {t.uid: t for t in client.tasks(limit=100000)}
        book = client.get("books", "1")
        assert tasks[before].status == "succeeded" and tasks[before].searchable == 1
        assert book["n"] == 7 or {tasks[uid].status for uid in (task, deletion) if uid in tasks} <= {"enqueued", "processing"}
        assert all(t.searchable <= max(t.received, 1) for t in tasks.values())
        await_figures(client, lambda stats: stats.regions == 0)
        await_tasks(client)
        tasks = {t.uid: t for t in client.tasks(limit=100000)}
        assert [(tasks[uid].status, tasks[uid].received, tasks[uid].searchable) for uid in (task, deletion)] == [
            ("succeeded", 2, 2), ("succeeded", 1, 1)]
        assert client.get("books", "1")["n"] == 7
        assert client.get("books", "2") is None


@contextlib.contextmanager
def killed_before_it_is_applied(server):
    """What is accepted within it stays in the log alone."""
    children = server.children()
    with server.client() as client, held_up(client):
        yield client
        server.kill()
    await_ends(children, 30)  # they have LOCK too


@pytest.fixture
def stopped(make_server, directory):
    """Data with one of each kind of file, of a server that has stopped, and a backup of it."""
    server = make_server(shards=1, config={"merge": "manual"})
    with server.client() as client:
        client.add("books", [document(i) for i in range(2000)], wait="searchable")
        make_one_file(client, "books")
        client.add("books", [document(i, 1) for i in range(500)], wait="searchable")
    server.run("backup", directory / "backup")
    with killed_before_it_is_applied(server) as client:
        client.add("books", [document(i, 2) for i in range(100)])
        client.add("books", [document(i, 3) for i in range(100)])  # which says that the others were durable
    return server


def flip(path, *places):
    content = bytearray(path.read_bytes())
    for at in places:
        content[at] ^= 0x10
    with open(path, "r+b") as file:  # the same file, whatever names it has
        file.write(content)


def newest_log(place):
    return max(place.glob("log/*.log"), key=lambda p: int(p.stem))


def kinds(place):
    """A file of each kind that there is."""
    return {"catalog": place / "catalog.mdb", "core": next(place.glob("indexes/*/*/*/core.mdb")),
            "segment": next(place.glob("indexes/*/*/*/seg-*.mdb")),
            "log": newest_log(place)}


def places_in(kind, path):
    """Where flipped bits matter: LMDB has pages that nobody reads any more, and what was never durable may be torn."""
    content = path.read_bytes()
    if kind == "segment":
        return [(at,) for at in [*range(100, len(content) - 4096, len(content) // 23), len(content) - 5]]
    if kind == "log":
        return [(3,), (24 + 30,), (24 + 72 + 40,)]
    return [[found.start() + 2 for found in re.finditer({"catalog": b"books", "core": b"MFCV"}[kind], content)]]


def test_damage_in_any_file_of_data_is_found_and_named(stopped, directory):
    assert "all whole" in run("check", stopped.data)
    for kind, path in kinds(stopped.data).items():
        for at in places_in(kind, path):
            original = path.read_bytes()
            flip(path, *at)
            name = str(path.relative_to(stopped.data))
            said = run("check", stopped.data, status=1)
            assert said.startswith(name + ": ") and "damaged" in said, (kind, at, said)
            path.write_bytes(original)
        for size in (0, 10, 8192):  # LMDB has never written some of its last pages
            original = path.read_bytes()
            if kind == "log":
                continue  # a torn end, as a kill leaves it
            path.write_bytes(original[:size])
            said = run("check", stopped.data, status=1)
            assert str(path.relative_to(stopped.data)) in said, (kind, size, said)
            path.write_bytes(original)
        if kind == "log":
            flip(path, -20)
            said = run("check", stopped.data)
            assert f"{name}: its end is torn" in said and "all whole" in said
            for size, words in [(8, "no whole header"), (len(original) - 8, "its end is torn")]:
                path.write_bytes(original[:size])
                assert words in run("check", stopped.data)
            path.write_bytes(original)
        path.rename(directory / "moved")
        said = run("check", stopped.data, status=0 if kind == "log" else 1)
        assert kind == "log" or str(path.relative_to(stopped.data)) in said, (kind, said)
        (directory / "moved").rename(path)
    assert "all whole" in run("check", stopped.data)


def test_damage_in_a_small_segment_is_named(make_server):
    """Which has no file of its own."""
    server = make_server(shards=1)
    with server.client() as client:
        client.add("books", [document(i) for i in range(3)], wait="searchable")
    server.stop()
    assert "all whole" in run("check", server.data)
    core = next(server.data.glob("indexes/*/*/*/core.mdb"))
    assert not list(core.parent.glob("seg-*"))
    for place in [found.start() + 20 for found in re.finditer(b"MFS1", core.read_bytes())]:
        flip(core, place)
        said = run("check", server.data, status=1)
        assert said.startswith("indexes/1/1/0/core.mdb: image of segment "), (place, said)
        flip(core, place)
    assert "all whole" in run("check", server.data)


def test_operations_that_are_neither_applied_nor_in_the_log_are_missed(make_server):
    """A record in the middle is damaged, header and all: nothing says whose it was but those around it."""
    server = make_server(shards=1)
    with killed_before_it_is_applied(server) as client:
        for i in range(3):
            client.add("books", [document(i)])
    log = newest_log(server.data)
    assert "all whole" in run("check", server.data)
    content = log.read_bytes()
    second = [found.start() for found in re.finditer(b"MFR2", content)][1]
    flip(log, second + 40)
    said = run("check", server.data, status=1)
    assert "indexes/1/1/0: operations 2 to 2 are neither applied nor in the log" in said
    assert f"{log.relative_to(server.data)}: bytes {second} to" in said


def test_damage_in_any_file_of_a_backup_is_found_and_it_is_not_restored(stopped, directory):
    backup = directory / "backup"
    files = {**kinds(backup), "manifest": backup / "MANIFEST"}
    for kind, path in files.items():
        original = path.read_bytes()
        for at in (5, len(original) // 2, -1):
            flip(path, at)
            name = str(path.relative_to(backup))
            assert name in run("check", backup, status=1), (kind, at)
            said = run("restore", backup, "--data", directory / "target", status=1)
            assert name in said and not (directory / "target").exists(), (kind, at, said)
            path.unlink()  # it may be a link of the data
            path.write_bytes(original)
    assert "all whole" in run("check", backup)
    for kind, path in files.items():
        moved = path.with_suffix(".moved")
        path.rename(moved)
        run("check", backup, status=1)
        run("restore", backup, "--data", directory / "target", status=1)
        moved.rename(path)
    assert not (directory / "target").exists()


def test_a_manifest_of_a_newer_version_is_refused_by_name(stopped, directory):
    manifest = directory / "backup" / "MANIFEST"
    manifest.write_text(manifest.read_text().replace("mayfly-backup 2", "mayfly-backup 3"))
    said = run("restore", directory / "backup", "--data", directory / "target", status=1)
    assert "format 3, this program reads 2" in said


def test_a_restore_that_was_killed_leaves_nothing_that_starts(stopped, directory):
    backup, place = directory / "backup", directory / "other"
    place.mkdir()
    other = Server(place, shards=1)
    smaller = max(p.stat().st_size for p in backup.rglob("*") if p.is_file()) - 1

    def limit():  # the kernel ends it in the middle of that file
        resource.setrlimit(resource.RLIMIT_FSIZE, (smaller, smaller))

    done = subprocess.run([str(BIN / "mayfly"), "restore", str(backup), "--data", str(other.data)], preexec_fn=limit,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and (other.data / "catalog.mdb").exists()
    with pytest.raises(AssertionError, match="has not come to its end"):
        other.start()
    assert "has not come to its end" in run("check", other.data, status=1)
    said = run("restore", backup, "--data", other.data, status=1)
    assert "is not empty" in said
    shutil.rmtree(other.data)
    run("restore", backup, "--data", other.data)
    other.start()
    with other.client() as client:
        assert client.get("books", "7")["n"] == 1
    other.stop()


def test_what_does_not_go_is_refused_with_a_sentence(server, directory):
    server.run("index", "create", "books")
    full = directory / "full"
    full.mkdir()
    (full / "file").write_text("x")
    for target, sentence in [(full, "an empty directory"), (server.data / "b", "does not go into the data directory"),
                             (directory / "none" / "b", "No such file"), (full / "file", "Not a directory")]:
        done = server.run("backup", target, check=False)
        assert done.returncode == 1 and sentence in done.stderr and "backup_failed" in done.stderr, target
    with server.client() as client, pytest.raises(mayfly.Failure, match="absolute path"):
        client.call(backup=pb.Backup(directory="relative"))
    assert [path.name for path in full.iterdir()] == ["file"]
    assert "a server uses it" in run("check", server.data, status=1)
    assert "no backup" in run("restore", full, "--data", directory / "t", status=1)
    assert "neither" in run("check", full, status=1)
    run("check", status=2)
    run("restore", status=2)
    server.run("backup", directory / "empty")  # an index without documents
    assert "all whole" in run("check", directory / "empty")
    run("restore", directory / "empty", "--data", directory / "t")  # of a log without a file, too, there is a directory
    assert "all whole" in run("check", directory / "t")


def test_a_backup_to_another_file_system_is_a_copy(make_server, directory):
    memory = pathlib.Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == directory.stat().st_dev or not os.access(memory, os.W_OK):
        pytest.skip("no second file system")
    server = make_server(shards=1)
    with server.client() as client:
        client.add("books", [document(i) for i in range(500)], wait="searchable")
    target = memory / f"mayfly-{os.getpid()}-{directory.name}"
    try:
        server.run("backup", target)
        assert "all whole" in run("check", target)
        assert all(p.stat().st_nlink == 1 for p in target.rglob("*") if p.is_file())
    finally:
        shutil.rmtree(target, ignore_errors=True)
    here = directory / "here"
    server.run("backup", here)
    assert all(p.stat().st_nlink == 2 for p in here.rglob("seg-*.mdb"))


def test_nothing_is_unlinked_while_a_backup_holds_it(make_server, directory):
    """Merges and drops under way do not take away what the backup has copied the names of."""
    server = make_server(shards=2)
    with server.client() as client:
        for number in range(6):
            client.add("books", [document(i, number) for i in range(200)], wait="searchable")
        client.add("dropped", [document(i) for i in range(200)], wait="searchable")
        optimizing = threading.Thread(target=lambda: server.run("index", "optimize", "books"))
        optimizing.start()
        task = client.backup(directory / "b", wait=False).task
        client.drop_index("dropped")
        assert client.wait_task(task).status == "succeeded"
        optimizing.join()
    assert "all whole" in run("check", directory / "b")


def test_a_backup_has_one_edition_of_an_index_whole(make_server, directory):
    """Settings that need every document anew: before, while, and when the edition of them takes the place of the other."""
    server = make_server(shards=2)
    with server.client() as client:
        client.add("books", [document(i) for i in range(1500)], wait="searchable")
        languages, number, status = ["de", "fr", "en"], 0, "succeeded"
        for language in languages:
            client.set_settings("books", {"language": language})
            status = "processing"
            while status in ("enqueued", "processing"):
                try:
                    client.backup(directory / f"b{number}")
                    number += 1
                except mayfly.Failure as failure:
                    assert failure.code == "busy"
                status = next(t for t in client.tasks(index="books", limit=100) if t.type == "settings").status
            assert status == "succeeded"
    for k in range(number):
        assert "all whole" in run("check", directory / f"b{k}")
    for k in {0, number // 2, number - 1}:
        with restored(directory / f"b{k}", directory / f"r{k}", shards=2) as other, other.client() as client:
            assert [i.documents for i in client.list_indexes()] == [1500]
            assert client.search("books", "amber", match="any").estimated_total > 0


# ------------------------------------------------------------------------------------------- of data that is damaged already


@pytest.fixture
def two(make_server):
    """A server of two indexes of which one has a segment file in each shard."""
    server = make_server(shards=2, config={"merge": "manual"})
    with server.client() as client:
        for index in ("books", "films"):
            client.add(index, [document(i) for i in range(3000)], wait="searchable")
        make_one_file(client, "books", "films")
    return server


def damaged_backup(server, backup, *words):
    """It is made, and says at every place that it is not of whole data."""
    done = server.run("backup", backup, check=False)
    assert done.returncode == 1 and "backup_damaged" in done.stderr, (done.stderr, server.log())
    last = server.json("tasks")["tasks"]
    task = next(t for t in last if t["type"] == "backup")
    assert task["status"] == "failed"
    manifest = (backup / "MANIFEST").read_text()
    for word in ("index books, shard ", *words):
        assert word in done.stderr and word in manifest and word in server.log() and word in json.dumps(task), (word, done.stderr)
    assert "films" not in "".join(line for line in manifest.splitlines() if line.startswith("damaged "))
    said = run("check", backup, status=1)
    assert "it was damaged when it was backed up" in said and "index books, shard " in said


@contextlib.contextmanager
def restored_with_damage(backup, place):
    place.mkdir()
    other = Server(place, shards=2)
    done = subprocess.run([str(BIN / "mayfly"), "--json", "restore", str(backup), "--data", str(other.data)], capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 1 and any("index books, shard " in text for text in json.loads(done.stdout)["damaged"]), done.stdout
    other.start()
    try:
        with other.client() as client:
            assert client.search("films", "amber", match="any", no_partial=True).estimated_total > 0
            assert client.get("films", "7")["n"] == 0
            yield client
    finally:
        other.stop()


def test_an_index_that_is_refused_is_backed_up_as_it_is(two, directory):
    two.stop()
    core = two.data / "indexes/1/1/0/core.mdb"
    flip(core, *[at for place in places_in("core", core) for at in place])
    two.start()
    damaged_backup(two, directory / "backup", "shard 0: it is refused since the start")
    assert (directory / "backup/indexes/1/1/0/core.mdb").read_bytes() == core.read_bytes()
    assert {p.name for p in (directory / "backup/indexes/1/1/0").glob("seg-*")} == {p.name for p in core.parent.glob("seg-*")}
    with restored_with_damage(directory / "backup", directory / "other") as client:
        with pytest.raises(mayfly.Failure) as failure:
            client.search("books", "amber", no_partial=True)
        assert failure.value.code == "index_damaged"


def test_a_damaged_segment_is_found_and_named(two, directory):
    segment = next(two.data.glob("indexes/1/1/1/seg-*.mdb"))
    flip(segment, *range(200, segment.stat().st_size - 200, 997))
    with two.client() as client, pytest.raises(mayfly.Failure) as failure:
        client.search("books", "amber", no_partial=True)
    name = f"index books: indexes/1/1/1/{segment.name}, "
    assert failure.value.code == "index_damaged" and name in str(failure.value) and name in two.log()
    damaged_backup(two, directory / "backup", f"shard 1: {segment.name}: ")
    with restored_with_damage(directory / "backup", directory / "other"):
        pass


def test_a_core_that_ends_who_reads_it_costs_that_index_only(two, directory):
    """LMDB believes its files: one that was cut ends the process that has mapped it."""
    core = two.data / "indexes/1/1/0/core.mdb"
    os.truncate(core, 8192)
    damaged_backup(two, directory / "backup", "shard 0: ")
    with restored_with_damage(directory / "backup", directory / "other"):
        pass


def test_a_manifest_of_before_is_read(stopped, directory):
    """Of version 1, which has no line of what is damaged."""
    manifest = directory / "backup" / "MANIFEST"
    body = manifest.read_text().replace("mayfly-backup 2", "mayfly-backup 1").rsplit("end ", 1)[0]
    manifest.write_text(f"{body}end {crc32c(body.encode()):08x}\n")
    assert "all whole" in run("check", directory / "backup")
