"""Documents as large as the server accepts come back: by id, as a hit, through both clients."""
import json

import mayfly
import mayfly_pb2 as pb
import pytest

MIB = 1 << 20


def document(key, size, word="needle"):
    """A JSON object of exactly `size` bytes."""
    head = json.dumps({"id": key, "title": word, "body": ""})[:-2]
    return head.encode() + b"x" * (size - len(head) - 2) + b'"}'


def body_of(client, **message):
    return client.call(**message)[1]


SHARDS = [1, 2]


def test_a_document_of_the_largest_size_comes_back(server):
    with server.client() as m:
        most = m.welcome.max_document_size
        sent = {str(n): document(str(n), most - n, f"needle{n}") for n in range(3)}
        assert m.add("large", sent.items(), wait="searchable").refused == 0
        for key, text in sent.items():
            assert body_of(m, get=pb.Get(index="large", id=key)) == text
            search = pb.Search(index="large", query=f"needle{key}", limit=1)
            assert body_of(m, search=search) == text
        found = server.json("search", "large", "needle1", "--limit", "1")
        assert [hit["document"]["id"] for hit in found["hits"]] == ["1"]
        assert server.run("get", "large", "2").stdout.encode() == sent["2"] + b"\n"


def test_documents_that_no_answer_holds_together_are_refused_by_the_limit(server):
    with server.client() as m:
        sent = {str(n): document(str(n), 6 * MIB) for n in range(4)}
        m.add("large", sent.items(), wait="searchable")
        assert len(m.search("large", "needle", limit=2).hits) == 2
        with pytest.raises(mayfly.Failure) as refused:
            m.search("large", "needle", limit=4)
        assert refused.value.code == "query_too_large"
        assert all(word in str(refused.value) for word in ("16 MiB", "limit", "fields")), str(refused.value)
        assert len(m.search("large", "needle", limit=4, fields=["id", "title"]).hits) == 4
        found = m.search("large", "needle", limit=4, documents=False)
        assert sorted(found.ids) == sorted(sent)
        assert m.ping() == "ready"


def test_a_limit_that_was_lowered_hides_nothing(make_server):
    server = make_server(shards=2, config={"max-document-size": "24M"})
    large = document("a", 24 * MIB)
    with server.client() as m:
        assert m.add("large", [("a", large), ("b", document("b", 100))], wait="searchable").refused == 0
    server.stop()
    server.config = {"max-document-size": "1M"}
    server.start()
    with server.client() as m:
        assert body_of(m, get=pb.Get(index="large", id="a")) == large
        assert body_of(m, search=pb.Search(index="large", query="needle", limit=1, offset=m.search(
            "large", "needle", documents=False).ids.index("a"))) == large


def test_hits_that_no_envelope_holds_are_refused_by_the_limit(server):
    with server.client() as m:
        m.add("long", [{"id": f"{n:0250}", "title": "needle"} for n in range(5000)], wait="searchable")
        with pytest.raises(mayfly.Failure) as refused:
            m.search("long", "needle", limit=5000, documents=False)
        assert (refused.value.code, refused.value.field) == ("query_too_large", "limit")
        assert len(m.search("long", "needle", limit=3000, documents=False).hits) == 3000
