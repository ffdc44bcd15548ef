"""The disk is full: who asks is told which it is, what could not be written and how much is missing; the log says it once, and once
that it is over; what was accepted is there, and all goes on by itself when there is room."""
import os
import re
import threading
import time

from conftest import Server, await_figures, await_tasks, fill_disk, held_up, stopped

KIB, MIB = 1 << 10, 1 << 20
LIMIT = 120  # seconds: tries follow each other in up to 10


def document(number, size=200):
    return {"id": number, "text": f"film {number} " + " ".join(f"word{(number * k) % 997}" for k in range(size // 8))}


def lines(server, sentence):
    return [line for line in server.log_path.read_text().splitlines() if sentence in line]


def figure(line, name):
    return int(re.search(rf"\b{name}=(\d+)", line)[1])


def await_free(place, bytes):
    """Each try takes it for a moment."""
    end = time.monotonic() + LIMIT
    while (disk := os.statvfs(place)).f_bavail * disk.f_frsize < bytes:
        assert time.monotonic() < end
        time.sleep(0.01)


class Load(threading.Thread):
    """Adds so many documents in one stream, each larger than what is left of the disk."""

    def __init__(self, server, first, count):
        super().__init__(daemon=True)
        self.server, self.numbers, self.written, self.failure = server, range(first, first + count), None, None
        self.start()

    def run(self):
        try:
            with self.server.client(timeout=600) as m:
                self.written = m.add("films", [document(n, 8 * MIB) for n in self.numbers])
        except Exception as error:  # it is the test that fails
            self.failure = error

    def end(self):
        """The ids that were accepted."""
        self.join(600)
        assert self.failure is None and not self.is_alive()
        refused = {r.id for r in self.written.refusals}
        return {str(n) for n in self.numbers} - refused


def test_who_writes_is_told_and_all_goes_on_when_there_is_room(directory, small_disk):
    with stopped(Server(directory / "0", shards=1, readers=1)) as server:
        server.start()
        with server.client() as m:
            m.add("films", [document(n) for n in range(100)], wait="searchable")
            fill_disk(small_disk, 1 * MIB)
            load = Load(server, 1000, 3)
            disk = await_figures(m, lambda stats: stats.disk.failures >= 3, LIMIT).disk
            assert disk.full and disk.mount == str(small_disk.resolve()) and disk.missing > 0
            await_free(small_disk, 500 * KIB)  # what could not be written whole is taken back
            before = m.stats().disk.refusals
            for n in range(50):
                refused = m.add("films", [document(5000 + n)]).refusals
                assert [r.code for r in refused] == ["disk_full"], refused
                sentence = rf"the disk at {disk.mount} is full: {server.data}/log/\d+\.log lacks [1-9]\d* bytes"
                assert re.match(sentence, refused[0].message), refused
                assert m.search("films", "film", limit=1).hits
            done = server.run("add", "films", "-", input='{"id": 6000}\n', check=False)
            assert done.returncode == 1 and f"the disk at {disk.mount} is full" in done.stdout + done.stderr
            refusals = m.stats().disk.refusals
            assert refusals >= before + 51
            assert "THE DISK IS FULL: " in server.run("stats").stdout
            assert "mayfly_disk_full 1" in server.run("stats", "--prometheus").stdout
            assert len(lines(server, "the disk is full")) == 1 and not lines(server, "the disk has room again")
            (small_disk / "filler").unlink()
            accepted = load.end()
            await_figures(m, lambda stats: not stats.disk.full, LIMIT)
            over = lines(server, "the disk has room again")
            assert len(over) == 1 and figure(over[0], "refused") >= 51 and figure(over[0], "failed") >= 3
            assert len(lines(server, "the disk is full")) == 1
            assert len(lines(server, "error")) + len(lines(server, "warn")) < 10, server.log()
            m.add("films", [document(7000)], wait="searchable")
            await_tasks(m)
        server.stop()
        assert len(list((small_disk / "log").iterdir())) < 5
        server.start()
        with server.client() as m:
            await_tasks(m)
            for id in accepted | {str(n) for n in range(100)} | {"7000"}:
                assert m.get("films", id), id


def test_what_was_accepted_is_searchable_when_there_is_room(directory, small_disk):
    """Workers find none, one after the other, and their index none for its directory."""
    with stopped(Server(directory / "0", shards=1, readers=1)) as server:
        server.start()
        with server.client(timeout=600) as m:
            m.add("films", [document(n) for n in range(100)], wait="searchable")
            with held_up(m):
                task = m.add("films", [document(n, 8 * KIB) for n in range(1000, 2000)]).task
                fill_disk(small_disk, 0)
            stats = await_figures(m, lambda stats: any(e.count >= 3 for e in stats.worker_exits if e.reason == "disk_full"), LIMIT)
            assert stats.disk.full and stats.disk.lacking == "indexes/1/1/0" and stats.disk.missing > MIB
            assert not any(e.count for e in stats.worker_exits if e.reason == "write_failed")
            assert m.search("films", "film", limit=1).hits
            assert len(lines(server, "the disk is full")) == 1 and len(lines(server, "worker died")) <= 1, server.log()
            (small_disk / "filler").unlink()
            assert m.wait_task(task).status == "succeeded"
            await_figures(m, lambda stats: not stats.disk.full, LIMIT)
            assert len(lines(server, "the disk has room again")) == 1
            assert m.list_indexes()[0].documents == 1100
