"""How much memory workers have changes how long a load takes and how many segments it leaves, but no answer."""
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import BIN, shared

SANITIZED = bool(os.environ.get("MAYFLY_SANITIZE"))

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "bench/equal_answers"


@pytest.mark.skipif(SANITIZED, reason="the worker's cap is not enforced under sanitizers")
def test_answers_are_equal_with_little_and_much_memory(tmp_path):
    done = subprocess.run([sys.executable, PROGRAM, shared("data/text/debdocs-mini.ndjson.gz"), shared("data/queries/trec-mq-10k.tsv.gz"),
                           "--place", tmp_path / "place", "--at-once"], capture_output=True, text=True,
                          env={"MAYFLY_BIN": str(BIN), "PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ["PYTHONPATH"]})
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()[2:]]
    assert [row[0] for row in rows] == ["32M", "64M", "256M"]
    assert int(rows[0][4]) > 10000, "too few hits to tell anything"
    assert int(rows[0][2]) > int(rows[2][2]), "little memory should have taken more workers"
