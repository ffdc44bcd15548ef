"""Partial updates: what was there before them counts, in the order of the log, whatever is applied when."""
import concurrent.futures
import json
import random

from conftest import await_tasks, built_with_allocators, held_up


SHARDS = [1, 3]


def update(client, *documents, wait="searchable", **options):
    return client.add("books", documents, wait=wait, partial=True, **options)


def stored(client, key):
    return client.get("books", key)


def test_given_fields_replace_and_others_stay(client):
    client.add("books", [{"id": 1, "title": "water", "tags": ["a", "b"], "at": {"x": 1, "y": 2}, "n": 1}], wait="searchable")
    result = update(client, {"id": 1, "title": "fire", "at": {"x": 3}, "n": None, "new": True})
    assert (result.searchable, result.refused) == (1, 0)
    assert stored(client, 1) == {"id": 1, "title": "fire", "tags": ["a", "b"], "at": {"x": 3}, "n": None, "new": True}
    assert client.search("books", "fire").ids == ["1"] and client.search("books", "water", no_prefix=True).ids == []
    assert client.search("books", "b", no_prefix=True).ids == ["1"]  # of a field that was kept
    assert client.list_indexes()[0].documents == 1


def test_what_is_not_there_is_made_of_the_fields_given(client):
    assert update(client, {"id": "new", "title": "water"}).refused == 0
    assert stored(client, "new") == {"id": "new", "title": "water"}
    client.delete("books", ["new"], wait="searchable")
    update(client, {"id": "new", "other": 1})
    assert stored(client, "new") == {"id": "new", "other": 1}


def test_the_primary_key_may_be_left_out_where_the_document_is_there(client):
    client.add("books", [{"id": "a", "title": "water"}], wait="searchable")
    result = client.add("books", [("a", b'{"title":"fire"}'), ("b", b'{"title":"fire"}')], wait="searchable", partial=True)
    assert stored(client, "a") == {"id": "a", "title": "fire"}
    assert [(r.id, r.code) for r in result.refusals] == [("b", "invalid_id")]


def test_several_in_one_stream_see_each_other(client):
    client.add("books", [{"id": "x", "kept": 0, "a": 0}], wait="searchable")
    update(client, *({"id": "x", f"f{i % 7}": i, "last": i} for i in range(500)))
    assert stored(client, "x") == {"id": "x", "kept": 0, "a": 0, "last": 499, **{f"f{i % 7}": i for i in range(500)}}
    assert client.list_indexes()[0].documents == 1


def test_puts_deletes_and_partial_updates_apply_in_order(client):
    """Held up, so that one job has them all; then one after the other."""
    def run(key):
        client.add("books", [{"id": key, "put": 1}])
        update(client, {"id": key, "a": 1}, wait="accepted")
        client.delete("books", [key])
        update(client, {"id": key, "b": 2}, {"id": key, "c": 3}, wait="accepted")
        client.add("books", [{"id": key, "put": 2, "c": 0}])
        update(client, {"id": key, "d": 4}, wait="accepted")

    client.add("books", [{"id": 0}], wait="searchable")
    with held_up(client):
        run("held")
    run("free")
    await_tasks(client)
    for key in ("held", "free"):
        assert stored(client, key) == {"id": key, "put": 2, "c": 0, "d": 4}
    update(client, {"id": "held", "put": None})
    assert stored(client, "held") == {"id": "held", "put": None, "c": 0, "d": 4}


def test_refusals_are_for_one_operation(make_server):
    server = make_server(shards=1, config={"max-document-size": "1M"})
    with server.client() as m:
        half = {"id": "big", "a": "x" * 600_000}
        m.add("books", [half, {"id": "good", "n": 1}], wait="searchable")
        wrong = [("good", b"{", "invalid_document"), ("good", b"[1]", "invalid_document"), ("good", b"{} {}", "invalid_document"),
                 ("good", b'{"id":"bad"}', "id_mismatch"), ("good", b'{"a":1}}', "invalid_document"),
                 ("big", json.dumps({"b": "y" * 600_000}).encode(), "document_too_large")]
        result = m.add("books", [(i, b) for i, b, _ in wrong] + [("good", b'{"id":"good","m":2}')], wait="searchable",
                       partial=True)
        assert [(r.id, r.code) for r in sorted(result.refusals, key=lambda r: r.position)] == [(i, c) for i, _, c in wrong]
        assert "1200" in result.refusals[-1].message
        assert m.get("books", "good") == {"id": "good", "n": 1, "m": 2} and m.get("books", "big") == half


def test_clients_that_change_their_own_fields_lose_nothing(server):
    """Each has fields of its own of the same documents; a bulk load of others goes on meanwhile."""
    fields, rounds, keys = 4, 40, 5
    with server.client() as m:
        m.add("books", [{"id": k, "base": k} for k in range(keys)], wait="searchable")

    def change(field):
        with server.client() as m:
            rng = random.Random(field)
            for n in range(rounds):
                update(m, {"id": rng.randrange(keys) if n < rounds - keys else rounds - 1 - n, f"f{field}": n},
                       wait=rng.choice(["accepted", "searchable"]))

    def load():
        with server.client() as m:
            m.add("books", ({"id": f"bulk{i}", "text": "filler " * 50} for i in range(8000)))

    with concurrent.futures.ThreadPoolExecutor(fields + 1) as pool:
        for one in [pool.submit(load)] + [pool.submit(change, f) for f in range(fields)]:
            one.result()
    with server.client() as m:
        await_tasks(m)
        for k in range(keys):
            last = rounds - 1 - k
            assert m.get("books", k) == {"id": k, "base": k, **{f"f{f}": last for f in range(fields)}}
        assert m.list_indexes()[0].documents == keys + 8000


def test_accepted_ones_survive_kills(server):
    with server.client() as m:
        m.add("books", [{"id": i, "base": i, "n": 0} for i in range(300)])
        for n in range(1, 4):
            update(m, *({"id": i, "n": n, f"n{n}": i} for i in range(0, 300, n)), wait="accepted")
            server.kill()
            server.start()
            m = server.client()
        assert all(task.status == "succeeded" and not task.refused for task in await_tasks(m))
        for i in range(300):
            done = [n for n in range(1, 4) if i % n == 0]
            assert stored(m, i) == {"id": i, "base": i, "n": done[-1], **{f"n{n}": i for n in done}}
        m.close()


def test_many_large_results_of_small_changes_stay_within_the_cap(make_server):
    """The documents are a hundred times larger than what changes them: workers write more than one segment."""
    server = make_server(shards=1, worker_memory="32M", config={"max-document-size": "1M"})
    words = [f"word{n}" for n in range(5000)]
    with server.client() as m:
        rng = random.Random(1)
        documents = [{"id": i, "text": " ".join(rng.choices(words, k=2000))} for i in range(600)]
        m.add("books", documents, wait="searchable")
        result = update(m, *({"id": i, "n": n} for n in range(3) for i in range(600)))
        assert (result.searchable, result.refused) == (1800, 0)
        for i in range(0, 600, 50):
            assert m.get("books", i) == {**documents[i], "n": 2}
        exits = {e.reason: e.count for e in m.stats().worker_exits}
        assert exits.get("retired") or not built_with_allocators()  # there a worker has no cap
        assert not exits.get("cap") and m.list_indexes()[0].documents == 600
