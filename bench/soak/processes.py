"""What the processes of a server hold, from /proc, and a process that writes it down at short intervals.

Own memory is anonymous and shared memory: what only the server can give back. The mapped index is page cache and is not
counted. A worker is a fork of the nursery, so what both still share is split between them (Pss), and the memfds of batches
are counted once, however many have them mapped: so the sum over all phases is what the machine has less.
"""
import json
import os
import pathlib
import select
import subprocess
import sys
import time

PHASES = ["coordinator", "nursery", "shards", "workers", "batches"]
PROGRAMS = {"mayfly-shard": "shards", "mayfly-worker": "nursery"}  # children of the coordinator


def children(pid):
    try:  # it may end while it is looked at
        tasks = [task.read_text() for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [int(child) for text in tasks for child in text.split()]


def program(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def phases(server):
    """{pid: phase} now."""
    found = {server: "coordinator"}
    for pid in children(server):
        phase = PROGRAMS.get(program(pid))
        if phase:
            found[pid] = phase
        if phase == "nursery":
            found.update({worker: "workers" for worker in children(pid)})
    return found


def rollup(pid):
    """{field: bytes} of smaps_rollup: exact, where the counters of `status` may be off by some hundred KB."""
    fields = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            next(file)
            for line in file:
                name, kb, *_ = line.split()
                fields[name[:-1]] = int(kb) * 1024
    except (OSError, StopIteration):
        pass
    return fields


def anonymous(pid):
    return rollup(pid).get("Pss_Anon", 0)


def memfds(pids):
    """Bytes of all memfds that these processes have, each counted once."""
    found = {}
    for pid in pids:
        try:
            for name in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{name}"
                if os.readlink(path).startswith("/memfd:"):
                    info = os.stat(path)
                    found[info.st_ino] = info.st_blocks * 512
        except OSError:
            pass
    return sum(found.values())


def own_by_pid(server):
    """{pid: (phase, bytes)}; the batches, which are nobody's alone, as pid 0."""
    where = phases(server)
    held = {pid: (phase, anonymous(pid)) for pid, phase in where.items()}
    held[0] = ("batches", memfds(where))
    return held


def by_phase(held):
    totals = dict.fromkeys(PHASES, 0)
    for phase, size in held.values():
        totals[phase] += size
    return totals


def disk(directory):
    """Bytes that the files below it take."""
    taken = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                taken += os.stat(os.path.join(path, name)).st_blocks * 512
            except OSError:  # it was removed meanwhile
                pass
    return taken


def workers(server):
    return [pid for pid, phase in phases(server).items() if phase == "workers"]


class Sampler:
    """Samples in a process of its own until it is stopped; `rows` of (time, {phase: bytes}, most of one worker)."""

    def __init__(self, server, period, path):
        self.path = path
        self.process = subprocess.Popen([sys.executable, "-B", __file__, str(server), str(period), str(path)],
                                        stdin=subprocess.PIPE)

    def stop(self):
        self.process.stdin.close()
        if self.process.wait() != 0:
            raise RuntimeError("the sampler failed")
        with open(self.path, encoding="ascii") as file:
            return [json.loads(line) for line in file]


def sample_until_told(server, period, path):
    with open(path, "w", encoding="ascii") as out:
        while not select.select([sys.stdin], [], [], period)[0]:
            held = own_by_pid(server)
            largest = max([size for phase, size in held.values() if phase == "workers"], default=0)
            out.write(json.dumps([time.monotonic(), by_phase(held), largest]) + "\n")


if __name__ == "__main__":
    sample_until_told(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3])
