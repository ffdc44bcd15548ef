"""The same documents and queries give identical ids, order and scores for any number of shards and segments, before and
after optimizing, with updates and deletes in between; and what they give equals the exhaustive reference to the last bit.
"""
import pytest

import ranking
from ranking import story  # noqa: F401, a fixture

INDEX = "packages"


def ask(client, asked, **options):
    """{qid: hits} of all queries, pipelined."""
    waiting = []
    found = {}

    def take():
        qid, request = waiting.pop(0)
        result = client.search_answer(request)
        assert not result.partial
        found[qid] = [(hit.id, hit.score, hit.dropped) for hit in result.hits]

    for qid, text, form in asked:
        request = client.send_search(INDEX, text, match=form.match, documents=False, no_prefix=form.no_prefix,
                                     no_typos=form.no_typos, plain_words=form.plain_words, deadline_ms=60000,
                                     **{"limit": ranking.LIMIT, **options})
        waiting.append((qid, request))
        if len(waiting) == 16:
            take()
    while waiting:
        take()
    return found


def expect_twice(client, asked, right, when):
    """The second time several shards are asked with the weights that the first has left."""
    ranking.expect_same(asked, ask(client, asked), right, when)
    ranking.expect_same(asked, ask(client, asked), right, when + ", again")


def put(client, documents, batches):
    for part in ranking.parts(documents, batches):
        written = client.add(INDEX, part, wait="searchable")
        assert (written.searchable, written.refused) == (len(part), 0)


def segments(client):
    return next(index.segments for index in client.stats().indexes if index.uid == INDEX)


def tell_and_check(make_server, story, shards, batches):
    # What is optimized has lists of pairs at the end, as in earnest only larger indexes have.
    server = make_server(shards=shards, readers=1, config={"merge": "manual"}, environment={"MAYFLY_TEST_PAIRS": "1"})
    with server.client() as client:
        client.create_index(INDEX)
        if story.settings:
            client.set_settings(INDEX, story.settings)
        put(client, story.documents, batches)
        expect_twice(client, story.asked, story.after_adding, "after adding")

        put(client, story.updated, max(1, batches // 5))
        assert client.delete(INDEX, story.gone, wait="searchable").searchable == len(story.gone)
        put(client, story.back, 1)
        expect_twice(client, story.asked, story.after_changes, "after updates and deletes")
        if batches > 1:
            assert segments(client) > shards

        client.optimize(INDEX)
        assert segments(client) == shards
        expect_twice(client, story.asked, story.after_changes, "after optimizing")

        pages = [ask(client, story.asked[:60], limit=ranking.LIMIT // 3, offset=at)
                 for at in range(0, ranking.LIMIT, ranking.LIMIT // 3)]
        joined = {qid: sum((page[qid] for page in pages), []) for qid, _, _ in story.asked[:60]}
        ranking.expect_same(story.asked[:60], joined, story.after_changes, "by pages")


@pytest.mark.parametrize("batches", [1, 40])
@pytest.mark.parametrize("shards", [1, 2, 3, 8])
def test_ranks_equal_the_reference(make_server, story, shards, batches):
    tell_and_check(make_server, story("defaults"), shards, batches)


@pytest.mark.parametrize("shards", [1, 3])
def test_ranks_equal_the_reference_in_images_that_are_folded_meanwhile(make_server, story, shards):
    tell_and_check(make_server, story("defaults"), shards, 250)


@pytest.mark.parametrize("name", ["weights", "german"])
def test_ranks_equal_the_reference_with_settings(make_server, story, name):
    tell_and_check(make_server, story(name), 3, 5)
