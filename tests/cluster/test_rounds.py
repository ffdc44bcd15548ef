"""Searches over several shards that are asked again and again, some of them with remembered weights, while documents change: each
answer is what it would be if nothing were remembered.
"""
import contextlib
import itertools
import random
import threading

import pytest

QUERIES = ["common", "common rare", "common v*", "common -odd", '"common v"']
ROUNDS = 60
fresh = itertools.count(1)


@pytest.fixture
def client(make_server):
    with make_server(shards=3).client() as m:
        m.add("books", [{"id": i, "title": "common " + ("odd" if i % 2 else "even")} for i in range(50)], wait="searchable")
        yield m


def found(client, query, **options):
    result = client.search("books", query, limit=100, match="any", documents=False, deadline_ms=60000, **options)
    assert not result.partial
    return [(hit.id, hit.score, hit.stamp) for hit in result.hits]


def unremembered(query):
    """The same words in a text that nobody asked for before, with more than is looked up one by one."""
    return " " * next(fresh) + "! " * 65 + query


@contextlib.contextmanager
def askers(connect, queries, count=2):
    """Others who ask the same all the time, so that weights are there of whatever generation can be seen."""
    stop, failures = threading.Event(), []

    def ask():
        try:
            with connect() as m:
                while not stop.is_set():
                    for query in queries:
                        found(m, query)
        except Exception as failure:  # told below
            failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures


def test_answers_are_those_of_a_first_search_while_documents_change(make_server):
    server = make_server(shards=3)
    with server.client() as m:
        m.add("books", [{"id": i, "title": "common " + ("odd" if i % 2 else "even")} for i in range(50)], wait="searchable")
        with askers(server.client, QUERIES):
            for v in range(ROUNDS):
                m.add("books", [{"id": f"own{v % 7}", "title": f"common v v{v}" + " rare" * (v % 3)}], wait="searchable")
                if v % 5 == 4:
                    m.delete("books", [f"own{(v - 2) % 7}", v], wait="searchable")
                for query in QUERIES:
                    again, once = found(m, query), found(m, unremembered(query))
                    assert again == once, f"{query}, version {v}"
        stats = m.stats()
        assert stats.weights_hits > ROUNDS
        assert 0 < stats.weights_bytes <= stats.weights_budget


def test_answers_of_known_words_are_those_of_a_first_search_while_documents_change(make_server):
    """Words stand beside each other as they never did before: some repeated, misspelt, stop words, prefixes."""
    words = ["common", "Commons", "rare", "odd", "even", "v3", "v", "rrare", "evven", "nowhere", "odd-even", "the", "!", "x"]
    ordered = random.Random(7)
    server = make_server(shards=3)
    with server.client() as m:
        m.create_index("books")
        m.set_settings("books", {"language": "en"})
        m.add("books", [{"id": i, "title": "the commons " + ("odd" if i % 2 else "even")} for i in range(50)], wait="searchable")
        with askers(server.client, ["common rare odd", "the odd v3 even "], count=1):
            for v in range(ROUNDS):
                m.add("books", [{"id": f"own{v % 7}", "title": f"common v v{v}" + " rare" * (v % 3)}], wait="searchable")
                if v % 5 == 4:
                    m.delete("books", [f"own{(v - 2) % 7}", v], wait="searchable")
                for _ in range(12):
                    query = " ".join(ordered.choices(words, k=ordered.randint(1, 5))) + ordered.choice(["", " "])
                    options = {"plain_words": ordered.random() < 0.5, "no_typos": ordered.random() < 0.3}
                    again, once = found(m, query, **options), found(m, unremembered(query), **options)
                    assert again == once, f"{query!r}, {options}, version {v}"
        stats = m.stats()
        assert stats.weights_hits > ROUNDS
        assert 0 < stats.words_bytes <= stats.words_budget and stats.words_cached > 0


def test_who_was_told_searchable_finds_what_he_wrote(make_server):
    server = make_server(shards=3)
    with server.client() as m:
        for v in range(ROUNDS):
            m.add("books", [{"id": i, "title": f"common v{v}"} for i in range(4)], wait="searchable")
            for _ in range(3):
                result = m.search("books", "common", limit=10)
                assert [hit.document["title"] for hit in result.hits] == [f"common v{v}"] * 4
                assert len(found(m, "common")) == 4
            m.delete("books", [v % 4], wait="searchable")
            for _ in range(2):
                assert sorted(hit.id for hit in m.search("books", "common").hits) == [str(i) for i in range(4) if i != v % 4]
        assert m.stats().weights_hits >= ROUNDS * 3


def test_merged_and_unmerged_are_asked_alike(client):
    for part in range(4):
        client.add("books", [{"id": f"{part}.{i}", "title": "common rare"} for i in range(5)], wait="searchable")
    before = [found(client, query) for query in QUERIES]
    assert [found(client, query) for query in QUERIES] == before
    client.optimize("books")
    assert [found(client, query) for query in QUERIES] == before == [found(client, query) for query in QUERIES]


@pytest.mark.parametrize("shards", [1, 2])
def test_only_what_is_displayed_comes_back(make_server, shards):
    with make_server(shards=shards).client() as m:
        m.add("books", [{"id": i, "title": "common", "secret": i} for i in range(8)], wait="searchable")
        assert all("secret" in hit.document for hit in m.search("books", "common").hits)
        m.set_settings("books", {"displayed": ["id", "title"]})
        for _ in range(2):
            hits = m.search("books", "common").hits
            assert len(hits) == 8 and all(set(hit.document) == {"id", "title"} for hit in hits)
            hits = m.search("books", "common", fields=["secret", "title"]).hits
            assert all(set(hit.document) == {"title"} for hit in hits)
