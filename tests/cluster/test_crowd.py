"""bench/crowd in short: many clients at once, nobody gets an error; and that it tells a broken promise."""
import argparse
import collections
import copy
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess

import pytest
from conftest import BIN

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "bench/crowd"
loader = importlib.machinery.SourceFileLoader("crowd", str(PROGRAM))
crowd = importlib.util.module_from_spec(importlib.util.spec_from_loader("crowd", loader))
loader.exec_module(crowd)

Task = collections.namedtuple("Task", "uid status refused")
Index = collections.namedtuple("Index", "uid documents")
Stats = collections.namedtuple("Stats", "indexes")
GOOD = {"added": [{"bytes": 3000, "documents": 3}, {"bytes": 1200, "documents": 1}],
        "searched": [{"answers": 3, "times": [0.1] * 3}, {"answers": 2, "times": [0.2] * 2}],
        "tasks": [Task(1, "succeeded", 0)], "stats": Stats([Index("crowd-0", 4)]), "drained": 0.5, "budget": 100, "most": 100}


def test_twelve_clients_wait_for_room_and_get_no_error(tmp_path):
    path = tmp_path / "docs.ndjson"
    path.write_text("".join(json.dumps({"id": n, "title": f"word{n} stone", "body": "river lamp " * 200}) + "\n" for n in range(300)))
    done = subprocess.run([str(PROGRAM), str(path), "--adding", "10", "--searching", "2", "--seconds", "2", "--indexes", "2",
                           "--log-quota", "16M", "--worker-memory", "32M", "--region-memory", "32M"],
                          env={**os.environ, "MAYFLY_BIN": str(BIN)}, capture_output=True, text=True, check=False)
    assert "holds  0 errors of 10 adding and 2 searching clients" in done.stdout, done.stdout + done.stderr
    accepted, live = map(int, re.search(r"(\d+) documents accepted, (\d+) live in 2 indexes", done.stdout).groups())
    assert 0 < live <= accepted
    assert re.search(r"holds  all processes together: at most [\d.]+ MB, budget", done.stdout)
    assert done.stdout.count("shares of") == 2  # whether they hold is for a machine that does nothing else


@pytest.mark.parametrize("broken", [
    None,
    lambda seen: seen["added"].append("Failure: busy"),
    lambda seen: seen["searched"].append("RuntimeError: partial"),
    lambda seen: seen["added"].append({"bytes": 100, "documents": 1}),
    lambda seen: seen["searched"].append({"answers": 0, "times": []}),
    lambda seen: seen["tasks"].append(Task(2, "failed", 0)),
    lambda seen: seen["tasks"].append(Task(2, "succeeded", 1)),
    lambda seen: seen.update(most=101),
])
def test_a_broken_promise_is_told(broken, capsys):
    seen = copy.deepcopy(GOOD)
    if broken:
        broken(seen)
    assert crowd.verdict(argparse.Namespace(adding=2, searching=2, seconds=1), seen) is (broken is None)
    assert ("FAILS" in capsys.readouterr().out) is (broken is not None)
