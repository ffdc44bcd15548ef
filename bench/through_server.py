#!/usr/bin/python3
"""Queries through the server, pipelined: queries per second, and per query the CPU time and system calls of each process.

    bench/through_server.py [--bin build/release/bin] [--shards 1,2] [--readers 2] [--depth 16] [--runs 5] [--stream same]
                            DOCUMENTS QUERIES

DOCUMENTS is NDJSON (.gz too), QUERIES lines of `id TAB text` (.gz too). Needs strace; prints a table for RESULTS.md. The
coordinator remembers what it counted for a query over several shards, so it matters how often one comes again. --stream:
  same   every run has all queries: after the first each is a repetition
  new    no text comes twice: each run puts one more space before every query
  zipf   as many queries as the file has are drawn from it, the n-th with a probability of 1/n, others in each run
"""
import argparse
import gzip
import itertools
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
TICK = os.sysconf("SC_CLK_TCK")
INDEX = "bench"


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=ROOT / "build/release/bin")
    parser.add_argument("--shards", default="1,2")
    parser.add_argument("--readers", default=2, type=int)
    parser.add_argument("--depth", default=16, type=int)
    parser.add_argument("--runs", default=5, type=int)
    parser.add_argument("--stream", default="same", choices=["same", "new", "zipf"])
    parser.add_argument("documents")
    parser.add_argument("queries")
    return parser.parse_args()


def plain(path, place):
    """The path of the file, unpacked below `place` if need be."""
    if not path.endswith(".gz"):
        return path
    to = place / pathlib.Path(path).stem
    with gzip.open(path, "rb") as packed, open(to, "wb") as out:
        shutil.copyfileobj(packed, out)
    return to


class Stream:
    """The queries of one run after the other, in a file."""

    def __init__(self, kind, queries, place):
        self.kind, self.file = kind, place / "stream"
        self.lines = pathlib.Path(queries).read_text().splitlines()
        self.random = random.Random(1)
        self.random.shuffle(self.lines)
        self.weights = list(itertools.accumulate(1 / n for n in range(1, len(self.lines) + 1)))
        self.runs = 0

    def next(self):
        lines = self.lines
        self.runs += 1
        if self.kind == "zipf":
            lines = self.random.choices(lines, cum_weights=self.weights, k=len(lines))
        elif self.kind == "new":
            lines = [line.replace("\t", "\t" + " " * self.runs, 1) for line in lines]
        self.file.write_text("\n".join(lines) + "\n")
        return self.file


def processes(server):
    """Name -> pid of coordinator and shards."""
    found = {}
    for p in server.json("stats")["processes"]:
        if p["role"] in ("coordinator", "shard"):
            reader = sum(name.startswith(f"shard {p['shard']}.") for name in found)
            found[f"shard {p['shard']}.{reader}" if p["role"] == "shard" else p["role"]] = p["pid"]
    return found


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def run(server, queries, depth):
    """Queries, queries per second and p50 in ms, from the summary of `mayfly search --batch`."""
    done = server.run("search", INDEX, "--batch", queries, "--limit", "10", "--depth", depth, "--match", "any", "--typo", "off",
                      "--prefix", "off", timeout=3600)
    count, rate, p50 = re.search(r"(\d+) queries, .* ([\d.]+) q/s, p50 ([\d.]+) ms", done.stderr).groups()
    return int(count), float(rate), float(p50)


def system_calls(server, pids, queries, depth, place):
    """Name -> calls per query, under strace, which slows everything down but changes the batches little."""
    tracers = {}
    for name, pid in pids.items():
        tracers[name] = subprocess.Popen(["strace", "-c", "-f", "-o", place / name, "-p", str(pid)], stderr=subprocess.PIPE)
        tracers[name].stderr.readline()  # attached
    count, _, _ = run(server, queries, depth)
    for tracer in tracers.values():
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    calls = {}
    for name in tracers:
        total = [line for line in (place / name).read_text().splitlines() if line.endswith(" total")]
        calls[name] = int(total[0].split()[3]) / count if total else 0
    return calls


def measure(o, shards, place, documents, queries):
    from conftest import Server
    (place / str(shards)).mkdir()
    server = Server(place / str(shards), shards=shards, readers=o.readers).start()
    try:
        server.run("add", INDEX, documents, "--wait", "searchable", timeout=3600)
        server.run("index", "optimize", INDEX, timeout=3600)
        pids = processes(server)
        stream = Stream(o.stream, queries, place)
        run(server, stream.next(), o.depth)  # warm
        before = {name: cpu_seconds(pid) for name, pid in pids.items()}
        hits = server.json("stats").get("weights_hits", 0)
        runs = [run(server, stream.next(), o.depth) for _ in range(o.runs)]
        hits = server.json("stats").get("weights_hits", 0) - hits
        total = sum(count for count, _, _ in runs)
        cpu = {name: (cpu_seconds(pid) - before[name]) / total * 1e6 for name, pid in pids.items()}
        calls = system_calls(server, pids, stream.next(), o.depth, place / str(shards))
    finally:
        server.stop()
    rate, p50 = (statistics.median(values) for values in list(zip(*runs))[1:])
    for name in pids:
        print(f"| {shards} | {name} | {cpu[name]:.1f} | {calls[name]:.2f} |", flush=True)
    print(f"| {shards} | all: {rate:.0f} q/s, p50 {p50:.3f} ms, {100 * hits / total:.0f} % remembered | {sum(cpu.values()):.1f} | |", flush=True)


def main():
    o = options()
    os.environ["MAYFLY_BIN"] = str(o.bin)
    sys.path[:0] = [str(ROOT / "tests")]
    place = pathlib.Path(tempfile.mkdtemp(prefix="mayfly-", dir="/tmp"))
    try:
        documents, queries = plain(o.documents, place), plain(o.queries, place)
        print(f"stream {o.stream}, {o.readers} readers a shard, {o.depth} deep, median of {o.runs}; load {os.getloadavg()[0]:.1f}\n")
        print("| shards | process | CPU us/query | system calls/query |\n|---|---|---|---|")
        for shards in map(int, o.shards.split(",")):
            measure(o, shards, place, documents, queries)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
