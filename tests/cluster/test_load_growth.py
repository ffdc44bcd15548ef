"""bench/load-growth in short: that it looks at what there is, and tells a broken promise."""
import copy
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import BIN

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/load"))

import verdict  # noqa: E402


def rows(done, written, memory):
    return [{"time": float(t + 1), "done": d, "written": w, "disk": 10, "memory": {"shards": memory}}
            for t, (d, w) in enumerate(zip(done, written))]


EVEN = [0, 25, 50, 75, 100]
GOOD = {"bulk": {"rows": rows(EVEN, [0, 100, 200, 300, 400], 50), "begin": 0.0, "seconds": 5.0, "bytes": 100},
        "updates": {"rows": rows(EVEN, [0, 1000, 2000, 2500, 3000], 50), "begin": 0.0, "seconds": 5.0, "bytes": 100, "times": [0.1]},
        "budget": 50, "documents": 100, "load": 0.0}


def test_both_phases_are_looked_at(tmp_path):
    path, out = tmp_path / "docs.ndjson", tmp_path / "seen.json"
    path.write_text("".join(json.dumps({"id": n, "title": f"word{n} stone", "body": "river lamp " * 100}) + "\n" for n in range(500)))
    done = subprocess.run([str(ROOT / "bench/load-growth"), str(path), "--updates", "20", "--clients", "2", "--worker-memory", "32M",
                           "--period", "0.05", "--place", str(tmp_path), "--out", str(out)],
                          env={**os.environ, "MAYFLY_BIN": str(BIN)}, capture_output=True, text=True, check=False)
    assert re.search(r"bulk: 0\.6 MB in .*MB/s", done.stdout), done.stdout + done.stderr
    seen = json.loads(out.read_text())
    assert seen["documents"] == 500 and len(seen["updates"]["times"]) == 20 and all(t > 0 for t in seen["updates"]["times"])
    assert seen["bulk"]["rows"][-1]["done"] == 500 and seen["updates"]["rows"][-1]["done"] == 20
    assert all(row["memory"]["shards"] > 0 and row["disk"] > 0 for row in seen["bulk"]["rows"] + seen["updates"]["rows"])
    assert 20 * 1000 < seen["updates"]["bytes"] < 20 * 1300


@pytest.mark.parametrize("broken", [
    None,
    lambda seen: seen["bulk"]["rows"][-1].update(written=401),
    lambda seen: seen["updates"]["rows"][-1].update(written=3001),
    lambda seen: seen["bulk"]["rows"][-1].update(time=15.0),
    lambda seen: seen["updates"]["rows"][2]["memory"].update(workers=1),
])
def test_a_broken_promise_is_told(broken, capsys):
    seen = copy.deepcopy(GOOD)
    if broken:
        broken(seen)
    assert verdict.say(seen) is (broken is None)
    assert ("FAILS" in capsys.readouterr().out) is (broken is not None)
