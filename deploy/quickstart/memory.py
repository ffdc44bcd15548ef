#!/usr/bin/python3
"""What each process of a server holds for itself while a command runs.

    memory.py OUT.json MAYFLY SOCKET PID -- COMMAND...      samples /proc every 20 ms before, during and after COMMAND
    memory.py --table OUT.json                              prints what was seen

Own memory is RssAnon + RssShmem of /proc/PID/status: what only this process can give back. The mapped index (RssFile)
is page cache.
"""
import json
import os
import pathlib
import select
import subprocess
import sys
import time

PERIOD = 0.02  # seconds
REST = 60  # seconds at most until merges have ended


def descendants(pid):
    found, todo = [pid], [pid]
    while todo:
        parent = todo.pop()
        try:  # it may end while it is looked at
            tasks = [task.read_text() for task in pathlib.Path(f"/proc/{parent}/task").glob("*/children")]
        except OSError:
            continue
        born = [int(child) for text in tasks for child in text.split()]
        found += born
        todo += born
    return found


def own_memory(pid):
    """Kilobytes, or None if the process is gone."""
    total = 0
    try:
        for line in open(f"/proc/{pid}/status", encoding="ascii", errors="replace"):
            if line.startswith(("RssAnon:", "RssShmem:")):
                total += int(line.split()[1])
    except OSError:
        return None
    return total


def sample(server):
    """{pid: kilobytes} now."""
    seen = {pid: own_memory(pid) for pid in descendants(server)}
    return {pid: kb for pid, kb in seen.items() if kb is not None}


def roles(mayfly, socket):
    """{pid: what it is called} of the processes that stay."""
    stats = json.loads(subprocess.run([mayfly, "--socket", socket, "--json", "stats"], check=True, capture_output=True,
                                      text=True).stdout)
    names = {}
    for process in stats["processes"]:
        if process["role"] != "worker":
            shard = process.get("shard")
            number = f" {shard}" if isinstance(shard, int) and shard >= 0 else ""
            names[process["pid"]] = process["role"] + number
    return names


def await_rest(names, server):
    """Until the workers have ended that merge what was indexed. One may begin after another: so two looks find none."""
    quiet, end = 0, time.monotonic() + REST
    while quiet < 2 and time.monotonic() < end:
        workers = [pid for pid in descendants(server) if pid not in names]
        quiet = 0 if workers else quiet + 1
        for pid in workers:
            try:
                pidfd = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            select.select([pidfd], [], [], max(0, end - time.monotonic()))
            os.close(pidfd)
        time.sleep(0.1)


def watch(out_path, mayfly, socket, server, command):
    names = roles(mayfly, socket)
    before = sample(server)
    peak, workers, worker_peak, total_peak = dict(before), set(), 0, 0
    with subprocess.Popen(command) as run:
        while run.poll() is None:
            now = sample(server)
            for pid, kb in now.items():
                peak[pid] = max(peak.get(pid, 0), kb)
            busy = {pid: kb for pid, kb in now.items() if pid not in names}
            workers |= set(busy)
            worker_peak = max(worker_peak, sum(busy.values()))
            total_peak = max(total_peak, sum(now.values()))
            time.sleep(PERIOD)
    await_rest(names, server)
    after = sample(server)
    rows = [[names[pid], before.get(pid, 0), peak[pid], after.get(pid, 0)] for pid in sorted(names)]
    remaining = sum(kb for pid, kb in after.items() if pid not in names)
    rows.append([f"workers ({len(workers)} were seen)", 0, worker_peak, remaining])
    rows.append(["all", sum(before.values()), total_peak, sum(after.values())])
    with open(out_path, "w", encoding="ascii") as out:
        json.dump(rows, out)
    return run.returncode


def table(path):
    print(f"  {'process':<24}{'before':>10}{'peak':>10}{'after':>10}")
    for name, *kilobytes in json.load(open(path, encoding="ascii")):
        print(f"  {name:<24}" + "".join(f"{kb / 1024:>10.1f}" for kb in kilobytes))


if __name__ == "__main__":
    if sys.argv[1] == "--table":
        table(sys.argv[2])
    else:
        out, mayfly, socket, server, dashes, *command = sys.argv[1:]
        assert dashes == "--"
        sys.exit(watch(out, mayfly, socket, int(server), command))
