"""Pruned and exhaustive evaluation agree, on users' queries over real documents in several segments with deletions, in all
kernels: mayfly-pruning compares, this makes the index through a server.

MAYFLY_LONG=1 takes all 10,362 queries in place of 300, and shows the table; sanitizers get by with fewer.
"""
import contextlib
import gzip
import os
import random
import re
import subprocess

import pytest

from conftest import BIN, has_hooks, ndjson, note, shared

LONG = os.environ.get("MAYFLY_LONG", "") not in ("", "0")
SANITIZED = bool(os.environ.get("MAYFLY_SANITIZE"))
DOCUMENTS, QUERIES = (None, None) if LONG else (4000, 80) if SANITIZED else (None, 300)
INDEX = "documents"
SETTINGS = {"fields": {"title": {"type": "text", "weight": 3}}, "searchable": ["title", "body"]}
SHARES = [0.8, 0.07, 0.05, 0.03, 0.02, 0.015, 0.01, 0.005]  # of the documents in each batch; the first is one segment


def queries(path):
    """Writes them in a fixed random order, so that any part of them is like the whole; how many."""
    lines = shared("data/queries/aol-sbg.tsv").read_text(encoding="utf-8").splitlines()
    with gzip.open(shared("data/queries/trec-mq-10k.tsv.gz"), "rt", encoding="utf-8") as more:
        lines += more.read().splitlines()
    random.Random(7).shuffle(lines)
    chosen = lines[:QUERIES]
    path.write_text("\n".join(chosen) + "\n", encoding="utf-8")
    return len(chosen)


def batches(documents):
    at = 0
    for share in SHARES:
        size = max(1, round(share * len(documents)))
        yield documents[at:at + size]
        at += size


def fill(client, documents):
    """In batches, and between them new versions of some documents and deletions of others, from all segments so far."""
    dice = random.Random(8)
    there = []
    for batch in batches(documents):
        client.add(INDEX, batch, wait="searchable")
        if not there:
            client.optimize(INDEX)
        there += [document["id"] for document in batch]
        changed = [{**dice.choice(documents), "id": key} for key in dice.sample(there, len(there) // 40)]
        client.add(INDEX, changed, wait="searchable")
        gone = set(dice.sample(there, len(there) // 30))
        client.delete(INDEX, sorted(gone), wait="searchable")
        there = [key for key in there if key not in gone]
    return len(there)


@pytest.fixture
def index(make_server):
    """(directory of the only shard, documents, segments), its server stopped."""
    fewer = {"MAYFLY_TEST_PAIRS": "1000"} if DOCUMENTS else {}  # else the merged segment is too small for lists of pairs
    server = make_server(shards=1, readers=1, config={"merge": "manual"}, environment=fewer)
    with server.client() as client:
        client.create_index(INDEX)
        client.set_settings(INDEX, SETTINGS)
        documents = fill(client, ndjson("data/text/debdocs-mini.ndjson.gz", DOCUMENTS))
        segments = next(index.segments for index in client.stats().indexes if index.uid == INDEX)
    server.stop()
    [core] = (server.data / "indexes").glob("*/*/*/core.mdb")
    return core.parent, documents, segments


def test_pruned_equals_exhaustive(index, tmp_path, capsys):
    place, documents, segments = index
    assert segments >= len(SHARES)
    asked = queries(tmp_path / "queries.tsv")
    done = subprocess.run([BIN / "mayfly-pruning", place, tmp_path / "queries.tsv", "title=3"], capture_output=True,
                          text=True)
    with capsys.disabled() if LONG else contextlib.nullcontext():
        print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    head, *lines = done.stdout.splitlines()
    found = re.fullmatch(r"(\d+) documents in (\d+) segments, (\d+) with pairs, (\d+) deleted", head)
    assert (int(found[1]), int(found[2])) == (documents, segments) and int(found[4]) > documents // 10
    assert int(found[3]) == (DOCUMENTS is None or has_hooks())  # the largest, which was merged
    compared = [line for line in lines if ": skipped: " not in line]
    assert compared
    for line in compared:
        tally = re.fullmatch(r"\S+ \S+: (\d+) queries, (\d+) comparisons, (\d+) hits, 0 differences", line)
        assert tally and int(tally[1]) == asked and int(tally[2]) >= 5 * asked and int(tally[3]) > 0, line
    if SANITIZED and not LONG:
        note(f"pruned and exhaustive evaluation are compared on {asked} queries over {documents} documents under sanitizers")
    for line in lines:
        if ": skipped: " in line:
            note(f"pruned and exhaustive evaluation are not compared with kernel {line.replace(': skipped: ', ': ')}")
