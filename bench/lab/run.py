#!/usr/bin/python3
"""The memory lab: one workload under one discipline of memory after the other, and what each left behind.

A burst is 20,000 documents: copied and cut into tokens of one malloc each, posting lists that grow by doubling, a global
dictionary; sorted, serialised, written. One search per four documents allocates scratch and replaces one of 16,384 cache
entries. Then light traffic (250 searches a second), eight more bursts, light traffic, one document of 60 MB, light traffic.
Memory is RssAnon + RssShmem of all processes of the discipline together, sampled from outside; figures of the table are
exact (smaps_rollup) and over what the same processes held before the first burst.

Light traffic lasts 10 s after the first burst and 5 s after the others: --settle 10,10 takes a minute longer.
"""
import argparse
import gzip
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
PERIOD = 0.02  # seconds between samples
AFTER_BURST = [0.001, 0.1, 1.0]  # seconds, and at the end of the light traffic
TCMALLOC = ("libtcmalloc_minimal.so.4", {})

# Name in table and plot -> discipline of memory_lab, (library that is malloc, environment). Where an arena has the indexing,
# searches have tcmalloc, as in Mayfly's shards.
DISCIPLINES = {
    "glibc": ("malloc", (None, {})),
    "glibc, malloc_trim": ("malloc-trim", (None, {})),
    "jemalloc": ("malloc", ("libjemalloc.so.2", {})),
    "jemalloc, tuned": ("malloc", ("libjemalloc.so.2",
                                   {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0"})),
    "mimalloc": ("malloc", ("libmimalloc.so.2", {})),
    "tcmalloc": ("malloc", TCMALLOC),
    "bump arena, reset": ("bump", TCMALLOC),
    "arena pool, discard > 8 MB": ("pool", TCMALLOC),
    "arena, discarded": ("discard", TCMALLOC),
    "worker process": ("worker", TCMALLOC),
}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = os.environ.get("MAYFLY_SHARED", ROOT.parent / "shared")
    parser.add_argument("corpus", nargs="?", default=os.path.join(shared, "data/text/debdocs-mini.ndjson.gz"),
                        help="NDJSON, .gz too [%(default)s]")
    parser.add_argument("--program", default=ROOT / "build/release/bench/memory_lab")
    parser.add_argument("--disciplines", nargs="+", default=list(DISCIPLINES), choices=list(DISCIPLINES), metavar="NAME",
                        help="of " + "; ".join(DISCIPLINES))
    parser.add_argument("--burst", type=int, default=20000, help="documents [%(default)s]")
    parser.add_argument("--bursts", type=int, default=8, help="after the first [%(default)s]")
    parser.add_argument("--cache", type=int, default=16384, help="entries [%(default)s]")
    parser.add_argument("--huge-mb", type=float, default=60, help="size of the one large document [%(default)s]")
    parser.add_argument("--settle", default="10,5", metavar="A,B", help="seconds of light traffic [%(default)s]")
    parser.add_argument("--out", default="build/memory-lab.json", help="raw results [%(default)s]")
    parser.add_argument("--plot", help="where plots go, without .svg and .png: docs/memory-lab")
    parser.add_argument("--plot-only", action="store_true", help="table and plots from --out, as it is")
    o = parser.parse_args()
    o.settle_s = [float(part) for part in o.settle.split(",")]
    return o


# --------------------------------------------------------------------------------------------------------------- memory


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def family(pid):
    return [pid] + [p for child in children(pid) for p in family(child)]


def read_kilobytes(path, wanted):
    """Sum of the fields; 0 of a process that has just ended."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(wanted))
    except OSError:
        return 0


def exact(pids):
    """Bytes; what a worker and the process that it was forked from still share is counted once."""
    return 1024 * sum(read_kilobytes(f"/proc/{p}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) for p in pids)


def quick(pids):
    """Of a single process the counters will do, which may be off by some hundred KB but hold nobody up."""
    if len(pids) > 1:
        return exact(pids)
    return 1024 * read_kilobytes(f"/proc/{pids[0]}/status", ("RssAnon:", "RssShmem:"))


# ------------------------------------------------------------------------------------------------------------------ run


def library(name):
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    paths = [line.split(" => ")[1] for line in known.splitlines() if line.split() and line.split()[0] == name]
    if not paths:
        sys.exit(f"{name} is not installed: bench/memory-lab installs it")
    return paths[0]


class Run:
    """One discipline: its process, its events, and samples all the while."""

    def __init__(self, o, name, corpus, huge):
        discipline, (preload, environment) = DISCIPLINES[name]
        settle = ",".join(str(int(1000 * seconds)) for seconds in o.settle_s)
        command = [str(o.program), "--burst", str(o.burst), "--bursts", str(o.bursts), "--cache", str(o.cache), "--settle", settle,
                   "--huge", str(huge), discipline, str(corpus)]
        self.preload = library(preload) if preload else None
        preloaded = {"LD_PRELOAD": self.preload} if preload else {}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **environment, **preloaded})
        self.events, self.samples, self.points = {}, [], {}
        self.due = []  # (time, name) of exact figures that are wanted
        self.pending = b""

    def is_preloaded(self):
        maps = pathlib.Path(f"/proc/{self.process.pid}/maps").read_text()
        return self.preload is None or os.path.realpath(self.preload) in maps

    def take_event(self, line):
        event = json.loads(line)
        name, now = event["event"], event["ns"] / 1e9
        self.events[name] = event
        if name == "ready":
            assert self.is_preloaded(), f"{self.preload} was not loaded"
            self.due.append((now + 0.1, "baseline"))
        if name == "burst":
            self.due += [(now + after, f"burst + {after:g}") for after in AFTER_BURST]
        if name.endswith("settled"):
            self.due.append((now + 0.05, name))

    def take_output(self):
        data = os.read(self.process.stdout.fileno(), 65536)
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            self.take_event(line)
        return bool(data)

    def sample(self):
        now = time.monotonic()
        pids = family(self.process.pid)
        self.samples.append([now, quick(pids)])
        for point in [p for p in self.due if p[0] <= now]:
            self.due.remove(point)
            self.points[point[1]] = exact(pids)

    def follow(self):
        going = True
        while going:
            soonest = min([PERIOD] + [max(0, at - time.monotonic()) for at, _ in self.due])
            if select.select([self.process.stdout], [], [], soonest)[0]:
                going = self.take_output()
            if going:
                self.sample()
        if self.process.wait() != 0:
            sys.exit(f"memory_lab ended with {self.process.returncode}")
        return {"events": self.events, "samples": self.samples, "points": self.points}


def unpack(path, place):
    """The corpus as a plain file."""
    if not str(path).endswith(".gz"):
        return pathlib.Path(path)
    to = place / "corpus.ndjson"
    with gzip.open(path, "rb") as packed, open(to, "wb") as out:
        shutil.copyfileobj(packed, out)
    return to


def make_huge(corpus, place, size):
    """The corpus over and over, as one document of `size` bytes."""
    text, to = corpus.read_bytes(), place / "huge"
    with open(to, "wb") as out:
        while out.tell() < size:
            out.write(text[:size - out.tell()])
    return to


def describe():
    thp = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {"kernel": os.uname().release, "cpus": os.cpu_count(), "load": os.getloadavg()[0],
            "huge_pages": thp.read_text().strip() if thp.exists() else "none"}


def measure(o):
    results = {"machine": describe(), "settle": o.settle_s, "burst": o.burst, "bursts": o.bursts, "huge_mb": o.huge_mb, "runs": {}}
    with tempfile.TemporaryDirectory(prefix="memory-lab-") as place:
        corpus = unpack(o.corpus, pathlib.Path(place))
        huge = make_huge(corpus, pathlib.Path(place), int(o.huge_mb * 1e6))
        for name in o.disciplines:
            print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
            results["runs"][name] = Run(o, name, corpus, huge).follow()
    pathlib.Path(o.out).parent.mkdir(parents=True, exist_ok=True)
    with open(o.out, "w", encoding="ascii") as out:
        json.dump(results, out)
    return results


# ---------------------------------------------------------------------------------------------------------------- table


def figures(run):
    """What the table says of a run; bytes, seconds."""
    points, events = run["points"], run["events"]
    base = points["baseline"]
    first_end, huge_begins = (events[e]["ns"] / 1e9 for e in ("burst", "huge begins"))
    deltas = [points[f"burst + {after:g}"] - base for after in AFTER_BURST]
    return {
        "base": base,
        "peak": max(size for at, size in run["samples"] if at <= first_end),
        "deltas": deltas + [points[p] - base for p in ("burst settled", "bursts settled", "huge settled")],
        "peak huge": max(size for at, size in run["samples"] if at >= huge_begins),
        "ratio": points["bursts settled"] / events["bursts settled"]["live"],
        "cpu": (events["bursts"]["cpu_us"] - events["bursts begin"]["cpu_us"]) / 1e6,
        "arena": [events[e] for e in ("burst", "bursts", "huge")],
    }


def mb(size):
    return f"{size / 1e6:.1f}"


def print_memory(results):
    a, b = results["settle"]
    print(f"| discipline | before | peak | Δ 1 ms | Δ 0.1 s | Δ 1 s | Δ {a:g} s | Δ {results['bursts'] + 1} bursts, {b:g} s | own/live | "
          f"peak of {results['huge_mb']:g} MB | Δ {b:g} s after it | CPU s |")
    print("|---|" + "---:|" * 11)
    for name, run in results["runs"].items():
        f = figures(run)
        deltas = [f"{size / 1e6:+.1f}" for size in f["deltas"]]
        print(f"| {name} | {mb(f['base'])} | {mb(f['peak'])} | " + " | ".join(deltas[:5]) +
              f" | {f['ratio']:.2f} | {mb(f['peak huge'])} | {deltas[5]} | {f['cpu']:.2f} |")


def print_arenas(results):
    """What a bump arena should be able to say of itself."""
    print("\n| arenas | most used, first burst | committed after it | after all bursts | after the large document | commits | discards |")
    print("|---|" + "---:|" * 6)
    for name, run in results["runs"].items():
        first, bursts, huge = figures(run)["arena"]
        if huge["arena_peak"]:
            print(f"| {name} | {mb(first['arena_peak'])} | {mb(first['committed'])} | {mb(bursts['committed'])} | "
                  f"{mb(huge['committed'])} | {huge['commits']} | {huge['discards']} |")


def main():
    o = options()
    if o.plot_only:
        with open(o.out, encoding="ascii") as file:
            results = json.load(file)
    else:
        results = measure(o)
    print_memory(results)
    print_arenas(results)
    if o.plot:
        import plot
        plot.draw(results, {name: figures(run) for name, run in results["runs"].items()}, o.plot)


if __name__ == "__main__":
    main()
