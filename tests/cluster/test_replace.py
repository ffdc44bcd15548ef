"""bench/replace in short: an index replaced by create, fill, swap, drop under queries, and nothing of the old ones stays."""
import json
import os
import pathlib
import random
import subprocess

import pytest

import kill_leaks as leaks
from conftest import BIN, built_with_allocators

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS, ROUNDS = 400, 3
MIB = 1 << 20


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng, path = random.Random(1), tmp_path_factory.mktemp("corpus") / "docs.ndjson"
    words = [f"word{n}" for n in range(500)]
    path.write_text("".join(json.dumps({"id": n, "title": " ".join(rng.sample(words, 2)), "body": " ".join(rng.choices(words, k=100))})
                            + "\n" for n in range(DOCUMENTS)))
    return path


def test_every_answer_is_of_one_round_and_memory_and_disk_come_back(tmp_path, corpus):
    out = tmp_path / "seen.json"
    done = subprocess.run([ROOT / "bench/replace", corpus, "--rounds", str(ROUNDS), "--clients", "3", "--within", "1000", "--out", out],
                          capture_output=True, text=True, timeout=250, env={**os.environ, "MAYFLY_BIN": str(BIN)}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(out.read_text())
    assert not seen["wrong"] and seen["answers"] > 100 and len(seen["looks"]) == ROUNDS
    first, last = seen["looks"][0], seen["looks"][-1]
    assert all(look["disk"] < 1.5 * first["disk"] for look in seen["looks"])  # of two indexes it would be twice that
    if built_with_allocators():
        assert last["memory"] - first["memory"] < MIB, seen["looks"]


def documents(number, count):
    return [{"id": i, "round": number, "text": "water"} for i in range(count)]


def test_a_document_of_the_old_index_never_comes_back(make_server):
    """Each round has fewer documents; a restart in between changes nothing."""
    server = make_server(shards=3)
    with server.client() as m:
        m.add("shop", documents(0, 50), wait="searchable")
    for number in range(1, 5):
        with server.client() as m:
            m.create_index("next")
            m.add("next", documents(number, 50 - 10 * number), wait="searchable" if number % 2 else "accepted")
            m.swap_indexes("shop", "next")
            m.drop_index("next")
            for task in m.tasks("shop") + m.tasks("next"):
                m.wait_task(task.uid)
            found = m.search("shop", "water", limit=100).hits
            assert [i.uid for i in m.list_indexes()] == ["shop"]
            assert {h.document["round"] for h in found} == {number} and len(found) == 50 - 10 * number
        if number == 2:
            server.kill()
            server.start()
    server.stop()
    server.start()
    with server.client() as m:
        assert len(m.search("shop", "water", limit=100).hits) == 10
        assert len(leaks.index_directories(server)) == 1
