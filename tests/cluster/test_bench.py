"""What measures is right: bench/build_index, query_bench and the harness beside peers, against counts made here."""
import itertools
import json
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import BIN

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench/peers"))

from harness import corpus, report, rounds  # noqa: E402

QUERY_BENCH = BIN.parent / "bench/query_bench"
WORDS = ["red", "green", "blue", "stone", "river", "lamp", "cloud"]
QUERIES = {"one": "lamp", "two": "red river", "three": "stone blue cloud", "none": "absent", "stop": "the lamp"}


def documents():
    """Every pair of different words, the first as title."""
    return [{"id": f"{a}-{b}", "title": a, "body": f"{b} {b}"} for a, b in itertools.permutations(WORDS, 2)]


def expected(operator, text):
    words = [word for word in text.split() if word != "the"]
    test = all if operator == "and" else any
    return sum(test(word in (d["title"], d["body"].split()[0]) for word in words) for d in documents())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with the shard's path in `shard` and queries in `queries`."""
    directory = tmp_path_factory.mktemp("bench")
    lines = "".join(json.dumps(d) + "\n" for d in documents())
    (directory / "docs.ndjson").write_text(lines)
    (directory / "queries").write_text("".join(f"{name}\t{text}\n" for name, text in QUERIES.items()))
    built = subprocess.run([ROOT / "bench/build_index", directory / "docs.ndjson", directory / "data"], check=True, text=True,
                           stdout=subprocess.PIPE, env={**os.environ, "MAYFLY_BIN": str(BIN)})
    (directory / "shard").write_text(built.stdout.strip())
    return directory


def command(place, *options):
    return [str(QUERY_BENCH), (place / "shard").read_text(), str(place / "queries"), *options]


@pytest.fixture
def engine(place):
    made = rounds.Engine(command(place, "--serve"))
    yield made
    made.close()


@pytest.mark.parametrize("operator", ["or", "and"])
def test_all_matches_are_counted(place, operator):
    out = subprocess.run(command(place, "--mode", f"count-{operator}", "--times"), capture_output=True, text=True, check=True).stdout
    found = [line.split("\t") for line in out.splitlines()]
    assert [(name, int(count)) for name, _, count in found] == [(n, expected(operator, t)) for n, t in QUERIES.items()]
    assert all(float(microseconds) > 0 for _, microseconds, _ in found)


def test_requests_are_answered_in_order(engine):
    wanted = [expected("or", text) for text in QUERIES.values()]
    assert [found for _, found in engine.ask("count-or", 10, 2)] == wanted
    assert [found for _, found in engine.ask("or", 5, 1)] == [min(5, n) for n in wanted]
    assert [found for _, found in engine.ask("or", 1000, 1)] == wanted


def test_a_phrase_is_its_words_in_order(place):
    (place / "queries").write_text("p\tlamp cloud cloud\nq\tcloud cloud lamp\n" + (place / "queries").read_text())
    try:
        engine = rounds.Engine(command(place, "--serve"))
        assert [found for _, found in engine.ask("count-phrase", 10, 1)][:2] == [0, 0]  # not across fields
        engine.close()
        (place / "queries").write_text("p\tcloud cloud\n")
        engine = rounds.Engine(command(place, "--serve"))
        assert [found for _, found in engine.ask("count-phrase", 10, 1)] == [len(WORDS) - 1]
        engine.close()
    finally:
        (place / "queries").write_text("".join(f"{name}\t{text}\n" for name, text in QUERIES.items()))


@pytest.mark.parametrize("request_line", ["or 10", "nor 10 1", "or 10 0", ""])
def test_what_is_no_request_is_refused(place, request_line):
    done = subprocess.run(command(place, "--serve"), input=request_line + "\n", capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "not a request" in done.stderr


def test_the_summary_is_over_all_queries(place):
    out = subprocess.run(command(place, "--mode", "count"), capture_output=True, text=True, check=True).stdout
    fields = dict(field.split("=") for field in out.split())
    assert int(fields["queries"]) == len(QUERIES) and int(fields["empty"]) == 1
    assert int(fields["found"]) == sum(expected("or", text) for text in QUERIES.values())
    assert 0 < float(fields["p50_us"]) <= float(fields["p95_us"]) <= float(fields["p99_us"]) <= float(fields["max_us"])


def test_rounds_pair_both_sides(place, engine):
    other = rounds.Engine(command(place, "--serve"))
    rounds.warm_up(other, "or", 10, 3, 0)
    ours, theirs, found = rounds.measure(engine, other, "or", 10, 4, 1000)
    other.close()
    assert len(ours) == len(theirs) == 4 and all(len(times) == len(QUERIES) for times in ours + theirs)
    assert found[0] == found[1] == [min(10, expected("or", text)) for text in QUERIES.values()]


def test_figures_of_the_report():
    assert report.medians([[1, 9], [3, 7], [2, 100]]) == [2, 9]
    assert report.percentile(list(range(500)), 0.99) == 495 and report.percentile([4], 0.99) == 4
    assert report.agreement([10, 0, 4], [5, 0, 4]) == {"n": 2, "median": 0.25, "p90": 0.5, "ours": 14, "theirs": 9}
    assert [corpus.word_class(t) for t in ("the lamp", "of the", "red river lamp", "a b c d e f")] == ["1", "1", "3", "4+"]


def test_a_sample_is_spread_over_the_whole():
    assert list(corpus.evenly(range(12), 0.25)) == [3, 7, 11]
    assert list(corpus.evenly(range(4), 1)) == [0, 1, 2, 3]
