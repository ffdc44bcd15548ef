#!/usr/bin/python3
"""Queries through the server, pipelined: queries per second, and per query the CPU time and system calls of each process.

    bench/through_server.py [--bin build/release/bin] [--shards 1,2] [--readers 2] [--match any] [--depth 16] [--runs 5]
                            [--stream same] [--searchable title,body] [--in-process] [--no-calls] DOCUMENTS QUERIES

DOCUMENTS is NDJSON (.gz too), QUERIES lines of `id TAB text` (.gz too); --match and --depth take several, with commas.
Prints a table for RESULTS.md; system calls need strace. --in-process tells the median of the engine alone over the first
shard, too: with one shard, what the server's has to be seen beside. The coordinator remembers what it counted for the words of a query over several shards, so it matters how often they come again. --stream:
  same   every run has all queries: after the first each is a repetition
  new    no text comes twice, but its words do: each run puts one more space before every query
  zipf   as many queries as the file has are drawn from it, the n-th with a probability of 1/n, others in each run
"""
import argparse
import gzip
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import resource
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
    parser.add_argument("--match", default="any")
    parser.add_argument("--depth", default="16")
    parser.add_argument("--runs", default=5, type=int)
    parser.add_argument("--stream", default="same", choices=["same", "new", "zipf"])
    parser.add_argument("--searchable", help="fields, with commas; all without it")
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--no-calls", action="store_true", help="count no system calls")
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


def run(server, queries, match, depth):
    """Queries, queries per second and p50 in ms, from the summary of `mayfly search --batch`."""
    done = server.run("search", INDEX, "--batch", queries, "--limit", "10", "--depth", depth, "--match", match, "--typo", "off",
                      "--prefix", "off", timeout=3600)
    count, rate, p50 = re.search(r"(\d+) queries, .* ([\d.]+) q/s, p50 ([\d.]+) ms", done.stderr).groups()
    return int(count), float(rate), float(p50)


def client_seconds():
    """CPU time of the commands that have ended; the server has not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def system_calls(server, pids, queries, match, depth, place):
    """Name -> calls per query, under strace, which slows everything down but changes the batches little."""
    tracers = {}
    for name, pid in pids.items():
        tracers[name] = subprocess.Popen(["strace", "-c", "-f", "-o", place / name, "-p", str(pid)], stderr=subprocess.PIPE)
        tracers[name].stderr.readline()  # attached
    count, _, _ = run(server, queries, match, depth)
    for tracer in tracers.values():
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    calls = {}
    for name in tracers:
        total = [line for line in (place / name).read_text().splitlines() if line.endswith(" total")]
        calls[name] = int(total[0].split()[3]) / count if total else 0
    return calls


def measure(o, server, pids, stream, what):
    """Rows of one way to ask. `what` is the shards, the match and the depth."""
    _, match, depth = what
    run(server, stream.next(), match, depth)  # warm
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    client, hits = client_seconds(), server.json("stats").get("weights_hits", 0)
    runs = [run(server, stream.next(), match, depth) for _ in range(o.runs)]
    client = client_seconds() - client
    hits = server.json("stats").get("weights_hits", 0) - hits
    total = sum(count for count, _, _ in runs)
    cpu = {name: (cpu_seconds(pid) - before[name]) / total * 1e6 for name, pid in pids.items()}
    calls = {} if o.no_calls else system_calls(server, pids, stream.next(), match, depth, server.directory)
    rate, p50 = (statistics.median(values) for values in list(zip(*runs))[1:])
    row = " | ".join(map(str, what))
    for name in pids:
        print(f"| {row} | {name} | {cpu[name]:.1f} | {f'{calls[name]:.2f}' if calls else ''} |")
    print(f"| {row} | client | {client / total * 1e6:.1f} | |")
    print(f"| {row} | all of the server: {rate:.0f} q/s, p50 {p50:.3f} ms, {100 * hits / total:.0f} % remembered "
          f"| {sum(cpu.values()):.1f} | |", flush=True)


def measure_in_process(o, server, what, queries):
    """The engine's median over the first shard, without a server; `what` is the shards and the match."""
    shard = min(path.parent for path in server.data.glob("indexes/*/*/*/core.mdb"))
    mode = {"any": "or", "all": "and"}[what[1]]
    program = pathlib.Path(o.bin).parent / "bench/query_bench"
    done = subprocess.run([program, shard, queries, "--mode", mode], capture_output=True, text=True, check=True)
    figures = dict(pair.split("=") for pair in done.stdout.split())
    print(f"| {what[0]} | {what[1]} | | the engine in process, first shard: {figures['qps']} q/s, p50 {figures['p50_us']} us "
          f"| {figures['mean_us']} | |", flush=True)


def build(o, shards, place, documents):
    from conftest import Server
    place.mkdir()
    server = Server(place, shards=shards, readers=o.readers).start()
    server.run("index", "create", INDEX)
    if o.searchable:
        server.run("settings", "set", INDEX, "-", input=json.dumps({"searchable": o.searchable.split(",")}))
    server.run("add", INDEX, documents, "--wait", "searchable", timeout=3600)
    server.run("index", "optimize", INDEX, timeout=3600)
    return server


def measure_shards(o, shards, place, documents, queries):
    server = build(o, shards, place / str(shards), documents)
    matches = o.match.split(",")
    try:
        pids = processes(server)
        stream = Stream(o.stream, queries, place)
        for match, depth in itertools.product(matches, o.depth.split(",")):
            measure(o, server, pids, stream, (shards, match, depth))
    finally:
        server.stop()
    for match in matches if o.in_process else []:
        measure_in_process(o, server, (shards, match), queries)


def main():
    o = options()
    os.environ["MAYFLY_BIN"] = str(o.bin)
    sys.path[:0] = [str(ROOT / "tests")]
    place = pathlib.Path(tempfile.mkdtemp(prefix="mayfly-", dir="/tmp"))
    try:
        documents, queries = plain(o.documents, place), plain(o.queries, place)
        print(f"stream {o.stream}, {o.readers} readers a shard, median of {o.runs}; load {os.getloadavg()[0]:.1f}\n")
        print("| shards | match | depth | process | CPU us/query | system calls/query |\n|---|---|---|---|---|---|")
        for shards in map(int, o.shards.split(",")):
            measure_shards(o, shards, place, documents, queries)
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
