"""Quality on judged collections: batch search scores as an exhaustive BM25 of other people's making does."""
import gzip
import importlib.util
import json
import subprocess

import pytest

from conftest import shared

SETS = ["cranfield", "cacm", "npl", "cysticfibrosis", "xquad-en"]
TOLERANCE = 0.003  # of nDCG@10


def tool(name):
    """A module of the shared tools."""
    spec = importlib.util.spec_from_file_location(name, shared(f"tools/{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def judge(place, qrels, run):
    path = place / "run"
    path.write_text(run)
    evaluate = tool("evaluate")
    return evaluate.evaluate(*evaluate.load(qrels, path))


def reference_run(place, documents, queries):
    """The TREC-like run of the shared reference."""
    tsv = place / "documents.tsv"
    with open(tsv, "w", encoding="utf-8") as out:
        for document in documents:
            fields = (document["id"], document.get("title", ""), document.get("body", ""))
            out.write("\t".join(" ".join(str(field).split()) for field in fields) + "\n")
    command = ["/usr/bin/python3", shared("tools/bm25_reference.py"), tsv, queries, "1000"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", SETS)
def test_batch_search_is_as_good_as_the_reference(server, directory, capsys, name):
    pytest.importorskip("xapian", reason="the reference needs python3-xapian")
    packed = shared(f"data/judged/{name}/docs.ndjson.gz")
    queries = shared(f"data/judged/{name}/queries.tsv")
    qrels = shared(f"data/judged/{name}/qrels.tsv")
    text = gzip.decompress(packed.read_bytes()).decode()
    server.run("index", "create", name)
    server.run("settings", "set", name, "-", input=json.dumps({"searchable": ["title", "body"]}))
    server.run("add", name, "-", "--wait", "searchable", input=text)
    run = server.run("search", name, "--batch", queries, "--match", "any", "--typo", "off", "--prefix", "off", "--limit",
                     "1000", timeout=300).stdout
    ours = judge(directory, qrels, run)
    documents = [json.loads(line) for line in text.splitlines()]
    theirs = judge(directory, qrels, reference_run(directory, documents, queries))
    with capsys.disabled():
        print(f"\n{name}: nDCG@10 {ours['ndcg10']:.4f} ({theirs['ndcg10']:.4f}), MAP {ours['map']:.4f} ({theirs['map']:.4f}), "
              f"Recall@100 {ours['r100']:.4f} ({theirs['r100']:.4f}) on {ours['n']} queries")
    assert abs(ours["ndcg10"] - theirs["ndcg10"]) <= TOLERANCE
