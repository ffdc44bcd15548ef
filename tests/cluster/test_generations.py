"""What a search makes its shards hold between its rounds is let go when the search ends, not at its deadline."""
import time
import zlib

import pytest

import kill_leaks as leaks

NEVER = 600_000  # ms: a deadline that no test lives to see
WORDS = 50
PAD = [zlib.crc32(b"%d" % n) for n in range(9000)]  # stored, and as good as random: a segment with it is a file


@pytest.fixture
def server(make_server):
    return make_server(shards=3, merge="manual")  # what is merged is merged when a test says so


@pytest.fixture
def client(server):
    with server.client() as m:
        for part in range(4):  # segments that merge later
            documents = [{"id": f"{part}.{n}", "text": f"bridge only{n}"} for n in range(WORDS)]
            for n in range(12):  # some to each shard
                documents[n]["pad"] = PAD
            m.add("films", documents, wait="searchable")
        yield m


def segments_open(server):
    """Pid -> how many segment files it has open."""
    return {pid: sum(n for name, n in leaks.descriptors(pid).items() if name.startswith("seg-") or name == "deleted file")
            for pid in leaks.family(server)["shard"]}


def await_only_merged(server):
    """Merged, each reader needs one file. It lets go as a message reaches it, which nothing tells: so this looks."""
    end = time.monotonic() + 120
    while max(segments_open(server).values()) > 1:
        assert time.monotonic() < end, f"segment files are held: {segments_open(server)}"
        time.sleep(0.02)


@pytest.mark.parametrize("query, hits, documents", [
    ("nowhere", 0, True),
    ("bridge", 20, True),
    ("bridge", 20, False),
    ("only7", 4, True),
    ("only7 only7x", 0, True),
])
def test_a_search_that_is_answered_holds_nothing(server, client, query, hits, documents):
    for _ in range(12):  # both readers of each shard
        found = client.search("films", query, match="all", documents=documents, no_prefix=True, deadline_ms=NEVER)
        assert len(found.hits) == hits
    assert max(segments_open(server).values()) > 1
    client.optimize("films")
    await_only_merged(server)


def test_a_page_beyond_the_last_hit_holds_nothing(server, client):
    for _ in range(12):
        assert client.search("films", "bridge", offset=1000, deadline_ms=NEVER).hits == []
    client.optimize("films")
    await_only_merged(server)
