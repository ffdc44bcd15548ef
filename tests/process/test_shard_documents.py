"""A shard with an index under it: rounds, generations, documents."""
import json

import pytest

from shard_index import documents, ids, index, shard
from test_shard import failure, hits_of


WEIGHT = 100_000


def weighted(prepared):
    """What the second round is told of the first one's words."""
    terms = [c.term for word in prepared.words for c in word.candidates]
    return {"word_terms": [len(word.candidates) for word in prepared.words],
            "word_frequencies": [max((c.frequency for c in word.candidates), default=0) for word in prepared.words],
            "terms": b"".join(terms), "term_lengths": [len(t) for t in terms], "term_weights": [WEIGHT + i for i in range(len(terms))]}


def keyed(prepared):
    keys = [word.key or word.candidates[0].term for word in prepared.words]
    return {"keys": b"".join(keys), "key_lengths": [len(key) for key in keys]}


def test_a_second_round_sees_what_the_first_saw(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats"), deadline_us=60_000_000))
    first, prepared = answer.request, answer.prepared
    assert (prepared.documents, prepared.total_length) == (20, 20 * 3)
    assert [(c.term, c.distance, c.frequency) for c in prepared.words[0].candidates] == [(b"scat", 0, 20)]

    index.put({"id": "new", "title": "cats cats"})
    index.delete("00")
    execute = internal.Execute(text=index.text("cats"), generation=prepared.generation, documents=20, total_length=60,
                               **weighted(prepared), limit=100, fetch_follows=True, prepared_by=first)
    answer, body = shard.ask(execute=execute)
    assert ids(answer) == [f"{n:02}" for n in range(20)] and body == b""
    assert answer.executed.estimated_total == 20

    items = [internal.Fetch.Item(segment=hit.segment, document=hit.document) for hit in hits_of(answer)[2:4]]
    answer, body = shard.ask(fetch=internal.Fetch(place=index.place(), prepared_by=first, items=items, **index.rules()))
    assert [json.loads(d)["n"] for d in documents(answer, body)] == [2, 3]

    answer, _ = shard.ask(execute=execute)  # the generation went with the fetch
    assert answer.WhichOneof("message") == "moved"
    answer, _ = shard.ask(execute=index.search("cats", limit=100))
    assert ids(answer) == ["new"] + [f"{n:02}" for n in range(1, 20)]


def test_a_second_round_needs_no_first_while_its_generation_is_the_newest(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats")))
    shard.send(request=answer.request, abandon=internal.Abandon())
    execute = internal.Execute(text=index.text("cats"), generation=answer.prepared.generation, documents=20, total_length=60,
                               **weighted(answer.prepared), limit=100, fetch_follows=True)
    first, _ = shard.ask(execute=execute)
    second, _ = shard.ask(execute=execute)
    assert ids(first) == ids(second) == [f"{n:02}" for n in range(20)]
    index.put({"id": "more", "title": "birds"})
    for n in range(20):
        index.delete(f"{n:02}")
    # Nothing but what is held has them any more.
    assert index.nursery.run(index.nursery.merge([1, 2], index.segment))["reason"] == "done"
    assert shard.ask(execute=execute)[0].WhichOneof("message") == "moved"
    items = [internal.Fetch.Item(segment=hit.segment, document=hit.document) for hit in hits_of(first)[2:4]]
    for request in (first.request, second.request):  # each holds its own
        fetch = internal.Fetch(place=index.place(), prepared_by=request, items=items, **index.rules())
        answer, body = shard.ask(fetch=fetch)
        assert [json.loads(d)["n"] for d in documents(answer, body)] == [2, 3]
        assert shard.ask(fetch=fetch)[0].WhichOneof("message") == "moved"


@pytest.mark.parametrize("match", range(4))
@pytest.mark.parametrize("query", ["cats 7", "7 nowhere cats", "11", "nowhere"])
def test_words_that_are_given_are_those_of_the_text(shard, index, internal, query, match):  # noqa: F811
    text = index.text(query)
    text.match = match
    answer, _ = shard.ask(prepare=internal.Prepare(text=text))
    told = {"generation": answer.prepared.generation, "documents": 20, "total_length": 60, "limit": 100, **weighted(answer.prepared)}
    parsed, _ = shard.ask(execute=internal.Execute(text=text, **told))
    text.query = "not looked at"
    given, _ = shard.ask(execute=internal.Execute(text=text, **told, **keyed(answer.prepared)))
    assert hits_of(given) == hits_of(parsed) and given.executed.estimated_total == parsed.executed.estimated_total
    assert hits_of(given) or "nowhere" in query
    if all(len(word.candidates) == 1 and not word.key for word in answer.prepared.words):
        told.pop("word_terms")
        alone, _ = shard.ask(execute=internal.Execute(text=text, **told, terms_are_keys=True))
        assert hits_of(alone) == hits_of(parsed)


@pytest.mark.parametrize("damage", [{"word_terms": [2]}, {"word_terms": [0]}, {"word_frequencies": []}, {"term_weights": []},
                                    {"terms": b""}, {"terms": b"scats"}, {"term_lengths": [9]}, {"word_terms": []},
                                    {"terms_are_keys": True, "terms": b"scats"}, {"terms_are_keys": True, "word_frequencies": []},
                                    {"terms_are_keys": True, "term_weights": []},
                                    {"keys": b"cat", "key_lengths": [9]}, {"keys": b"scat", "key_lengths": [4, 0]}])
def test_columns_that_do_not_fit_are_refused(shard, index, internal, damage):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats")))
    told = {"generation": answer.prepared.generation, "limit": 100, **weighted(answer.prepared), **damage}
    answer, _ = shard.ask(execute=internal.Execute(text=index.text("cats"), **told))
    assert answer.failed.code == "internal"
    assert ids(shard.ask(execute=index.search("cats", limit=1))[0])  # and the shard goes on


def test_an_abandoned_generation_is_gone(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats")))
    index.delete("00")
    shard.send(request=answer.request, abandon=internal.Abandon())
    again, _ = shard.ask(execute=internal.Execute(text=index.text("cats"), generation=answer.prepared.generation,
                                                  **weighted(answer.prepared), limit=1,
                                                  prepared_by=answer.request))
    assert again.WhichOneof("message") == "moved"


def test_documents_come_whole_or_by_their_fields(shard, index, internal):  # noqa: F811
    answer, body = shard.ask(execute=index.search("cats 7", with_documents=True))
    assert ids(answer)[0] == "07"
    whole = documents(answer, body)[0]
    assert json.loads(whole) == {"id": "07", "title": "cats 7", "n": 7, "a b": ["x", {"é\\": "}\""}]}

    answer, body = shard.ask(execute=index.search("cats 7", with_documents=True, fields=["a b", "n", "none"]))
    assert json.loads(documents(answer, body)[0]) == {"n": 7, "a b": ["x", {"é\\": "}\""}]}
    answer, body = shard.ask(execute=index.search("cats 7", limit=3, with_documents=True, skip_documents=1, fields=["x"]))
    assert documents(answer, body) == [b"", b"{}", b"{}"]

    shown = {"displayed": ["n", "title"]}
    answer, body = shard.ask(execute=index.search("cats 7", settings=shown, with_documents=True))
    assert json.loads(documents(answer, body)[0]) == {"title": "cats 7", "n": 7}
    answer, body = shard.ask(execute=index.search("cats 7", settings=shown, with_documents=True, fields=["id", "n"]))
    assert json.loads(documents(answer, body)[0]) == {"n": 7}
    answer, body = shard.ask(execute=index.search("cats 7", settings=shown, with_documents=True, fields=["id"]))
    assert json.loads(documents(answer, body)[0]) == {}
    hit = hits_of(answer)[0]
    fetch = internal.Fetch(place=index.place(), items=[internal.Fetch.Item(segment=hit.segment, document=hit.document)],
                           fields=["id", "n"], **index.rules(shown))
    assert json.loads(documents(*shard.ask(fetch=fetch))[0]) == {"n": 7}


def test_an_index_has_one_set_of_rules(shard, index, internal):  # noqa: F811
    text = index.rules()
    for settings in (None, {"displayed": ["n"]}):
        shard.ask(execute=index.search("cats 7", settings=settings))
        known = {**index.rules(settings), "settings": b""}
        query = internal.QueryText(place=index.place(), query="cats 7", no_prefix=True, **known)
        answer, _ = shard.ask(execute=internal.Execute(text=query, own_statistics=True, limit=1))
        assert len(hits_of(answer)) == 1
    former = internal.QueryText(place=index.place(), query="cats 7", no_prefix=True, settings_id=text["settings_id"])
    answer, _ = shard.ask(execute=internal.Execute(text=former, own_statistics=True, limit=1))
    assert answer.WhichOneof("message") == "settings_wanted"  # let go of when the newer came


def test_lookup_finds_the_live_version(shard, index, internal):  # noqa: F811
    index.put({"id": "03", "title": "newer"})
    index.delete("04")

    def look(key):
        answer, body = shard.ask(lookup=internal.Lookup(place=index.place(), id=key))
        return [json.loads(d)["title"] for d in documents(answer, body)] if answer.fetched.found else None

    assert look(b"03") == ["newer"]
    assert look(b"04") is None
    assert look(b"05") == ["cats 5"]
    assert look(b"five") is None


def test_a_page_that_no_frame_carries_is_refused(shard, index, internal):  # noqa: F811
    for n in range(16):
        index.put({"id": f"large {n}", "title": "large", "body": "x" * (1 << 20)})
    answer, body = shard.ask(execute=index.search("large", limit=100, with_documents=True))
    assert failure(answer) == "query_too_large" and "ask for fewer" in answer.failed.message and body == b""
    answer, body = shard.ask(execute=index.search("large", limit=10, with_documents=True))
    assert len(documents(answer, body)) == 10 and len(body) > 10 << 20
    answer, body = shard.ask(execute=index.search("large", limit=100, with_documents=True, fields=["id"]))
    assert [json.loads(d)["id"] for d in documents(answer, body)] == [f"large {n}" for n in range(16)]


def test_a_deadline_that_has_passed_is_said(shard, index, internal):  # noqa: F811
    answer, _ = shard.ask(prepare=internal.Prepare(text=index.text("cats"), deadline_us=1))
    assert failure(answer) == "deadline"
    answer, _ = shard.ask(execute=index.search("cats", deadline_us=1))
    assert failure(answer) == "deadline"
