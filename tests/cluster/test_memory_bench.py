"""bench/memory-lab, memory-soak and search-latency in short: that they look at what there is, and tell a broken promise."""
import copy
import json
import pathlib
import random
import subprocess
import sys

import pytest
from conftest import BIN, built_with_allocators

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/soak"))

import promises  # noqa: E402

MIB = 1 << 20
ARENAS = ["bump arena, reset", "arena pool, discard > 8 MB", "arena, discarded", "worker process"]
needs_allocators = pytest.mark.skipif(not built_with_allocators(), reason="malloc is the sanitizer's")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """600 documents of 200 words each."""
    numbers, path = random.Random(1), tmp_path_factory.mktemp("corpus") / "docs.ndjson"
    words = [f"word{n}" for n in range(3000)]
    path.write_text("".join(json.dumps({"id": n, "title": " ".join(numbers.sample(words, 3)),
                                        "body": " ".join(numbers.choices(words, k=200))}) + "\n" for n in range(600)))
    return path


@pytest.fixture(scope="module")
def lab_of_glibc(tmp_path_factory, corpus):
    """Where its results are, the results, and what was printed."""
    place = tmp_path_factory.mktemp("lab")
    return place, *run_lab(place, corpus, ["glibc"])


def run_lab(place, corpus, disciplines):
    """What it found, and printed."""
    out = place / "lab.json"
    command = [ROOT / "bench/lab/run.py", corpus, "--program", BIN.parent / "bench/memory_lab", "--burst", "1000", "--bursts", "1",
               "--cache", "1000", "--huge-mb", "3", "--settle", "1.1,0.2", "--out", out, "--disciplines", *disciplines]
    done = subprocess.run([sys.executable, "-B", *map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text())["runs"], done.stdout


def test_the_lab_looks_at_every_point(lab_of_glibc):
    _, runs, printed = lab_of_glibc
    run = runs["glibc"]
    assert sorted(run["points"]) == ["baseline", "burst + 0.001", "burst + 0.1", "burst + 1", "burst settled", "bursts settled",
                                     "huge settled"]
    assert all(size > 0 for size in run["points"].values()) and len(run["samples"]) > 50
    assert run["events"]["bursts"]["searches"] >= 500 and run["events"]["bursts"]["cpu_us"] > run["events"]["burst"]["cpu_us"]
    assert "| glibc | " in printed


@needs_allocators
def test_what_stays_after_a_burst_is_the_discipline_s(tmp_path, corpus):
    runs, printed = run_lab(tmp_path, corpus, ARENAS)
    ratchet, pool, discarded, worker = (runs[name] for name in ARENAS)

    def stays(run, point):
        return run["points"][point] - run["points"]["baseline"]
    for point in ("burst + 0.1", "bursts settled", "huge settled"):
        assert stays(worker, point) <= MIB and stays(pool, point) <= MIB and stays(discarded, point) <= 2 * MIB
        assert stays(ratchet, point) > 8 * MIB
    assert stays(ratchet, "huge settled") >= ratchet["events"]["huge"]["arena_peak"] * 0.9
    assert worker["events"]["burst"]["arena_peak"] > 4 * MIB  # and yet it had worked
    assert pool["events"]["huge"]["discards"] == 3 and pool["events"]["huge"]["committed"] == 0
    assert discarded["events"]["huge"]["committed"] == 512 << 10 and ratchet["events"]["huge"]["discards"] == 0
    assert pool["events"]["huge"]["commits"] < discarded["events"]["huge"]["commits"]  # it was presized
    assert all(printed.count(f"| {name} | ") == 2 for name in ARENAS)


@needs_allocators
def test_the_soak_sees_every_phase(tmp_path, corpus):
    out = tmp_path / "soak.json"
    command = [ROOT / "bench/memory-soak", corpus, "--bin", BIN, "--burst", "50", "--bursts", "2", "--queries", "20", "--oversize",
               "1", "--back", "1", "--period", "0.01", "--out", out]
    done = subprocess.run([sys.executable, "-B", *map(str, command)], capture_output=True, text=True, check=False)
    assert out.exists(), done.stderr
    seen = json.loads(out.read_text())
    assert [name for name, *_ in seen["phases"]] == ["load", "bursts", "largest", "refused", "back"]
    most = {phase: max(row[1][phase] for row in seen["samples"]) for phase in seen["samples"][0][1]}
    assert all(most.values()), most
    assert most["batches"] >= 15 * MIB  # the largest document was in one
    assert sum(seen["counts"]["largest"].values()) == 1 and seen["counts"]["refused"] == {"indexed": 0, "refused by id": 1}
    held = [phase for _, phase, _ in seen["looks"]["load"]["held"]]
    assert (held.count("coordinator"), held.count("nursery"), held.count("shards"), held.count("workers")) == (1, 1, 4, 0)
    assert done.returncode == ("does not hold" in done.stdout)


SEEN = {
    "looks": {name: {"held": [[1, "coordinator", 2 * MIB], [2, "shards", 5 * MIB], [3, "nursery", MIB], [0, "batches", 9 * MIB]],
                     "declared": {"coordinator": MIB, "shards": 0}} for name in ("load", "bursts", "largest", "refused")},
    "samples": [[0.0, {"coordinator": 2 * MIB, "workers": 0}, 0], [1.0, {"coordinator": 2 * MIB, "workers": 9 * MIB}, 9 * MIB]],
    "counts": {"bursts": 3, "queries": 20, "largest": {"indexed": 1, "refused by id": 0}, "refused": {"indexed": 0, "refused by id": 1}},
    "back": [100, -5], "worker_memory": 32 * MIB, "ceiling": {"total": 40 * MIB}, "ceiling_source": "a test", "exits": {},
}


def broken(change):
    seen = copy.deepcopy(SEEN)
    change(seen)
    return [number for number, _, _, holds in promises.rows(seen) if not holds]


def test_promises_are_told_from_broken_ones(capsys):
    assert promises.report(SEEN) and "does not hold" not in capsys.readouterr().out

    def grow(look, which, size):
        return lambda seen: seen["looks"][look]["held"][which].__setitem__(2, seen["looks"][look]["held"][which][2] + size)

    def grow_as_declared(seen):
        for look in ("bursts", "largest", "refused"):
            grow(look, 0, 2 * MIB)(seen)
            seen["looks"][look]["declared"]["coordinator"] += 2 * MIB
    assert broken(grow("refused", 1, MIB + 1)) == [2]
    assert broken(grow("refused", 3, 9 * MIB)) == []  # batches come and go
    assert broken(grow_as_declared) == []
    assert broken(lambda seen: grow("bursts", 0, 2 * MIB)(seen)) == [1]
    assert broken(lambda seen: seen["back"].append(MIB + 1)) == [3]
    assert broken(lambda seen: seen["samples"].append([2.0, {"workers": 33 * MIB}, 33 * MIB])) == [4]
    assert broken(lambda seen: seen["samples"].append([2.0, {"shards": 41 * MIB}, 0])) == [5]
    assert broken(lambda seen: seen["counts"]["refused"].update(indexed=1)) == [2]


def test_searches_are_timed_while_documents_are_indexed_and_while_not(tmp_path, corpus):
    out = tmp_path / "latency.json"
    command = [ROOT / "bench/search-latency", corpus, "--bin", BIN, "--windows", "2", "--seconds", "1", "--rate", "50", "--out", out]
    done = subprocess.run([sys.executable, "-B", *map(str, command)], capture_output=True, text=True, check=False)
    assert out.exists(), done.stderr
    seen = json.loads(out.read_text())
    assert [len(times) for times in seen["idle"] + seen["indexing"]] == [50] * 4 and min(map(min, seen["idle"])) > 0
    assert seen["documents"] == 600 and seen["added"] >= 2
    assert "| p99 | " in done.stdout and done.returncode == ("DOES NOT HOLD" in done.stdout)


def test_a_promise_of_latency_is_told_from_a_broken_one(capsys):
    sys.path.insert(0, str(ROOT / "bench/latency"))
    import report
    seen = {"idle": [[0.001] * 99 + [0.010]] * 3, "indexing": [[0.002] * 99 + [0.0129]] * 2 + [[1.0] * 100], "added": 1, "bytes": 1,
            "documents": 1, "cpus": 2, "workers": 1, "rate": 100, "spare": False}
    assert report.say(seen) and "| p99 | 10.00 | 12.90 | 1.29 |" in capsys.readouterr().out
    seen["indexing"][0] = [0.0131] * 100
    assert not report.say(seen)


def test_the_plots_are_drawn(tmp_path, lab_of_glibc):
    pytest.importorskip("matplotlib")
    lab = [sys.executable, "-B", ROOT / "bench/lab/run.py", "--plot-only", "--out", lab_of_glibc[0] / "lab.json", "--plot",
           tmp_path / "lab"]
    subprocess.run([str(part) for part in lab], check=True, capture_output=True)
    seen = {**SEEN, "phases": [["load", 0.0, 0.5], ["bursts", 0.5, 1.0]], "declared": [[0.2, {"coordinator": MIB, "shards": 0}]],
            "samples": [[at, {phase: MIB for phase in ("coordinator", "nursery", "shards", "workers", "batches")}, 0] for at in (0.0, 1.0)]}
    script = f"import sys, json; sys.path.insert(0, {str(ROOT / 'bench/soak')!r}); import plot; plot.draw(json.load(sys.stdin), sys.argv[1])"
    subprocess.run([sys.executable, "-B", "-c", script, str(tmp_path / "soak")], input=json.dumps(seen), text=True, check=True)
    for name in ("lab", "soak"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG") and "</svg>" in (tmp_path / f"{name}.svg").read_text()
