"""The rounds of a search when shards hang, die or move on between them: the coordinator with shards of the test's own."""
import os
import pathlib
import shutil
import time

import mayfly
import pytest

from conftest import BIN

HERE = pathlib.Path(__file__).parent
DEADLINE = 4000  # ms; of searches that are to run into it, and in half of which others answer
NEVER = 600_000


@pytest.fixture
def make_client(internal, directory, make_server):  # noqa: F811
    """make_client(shards=2, readers=1) -> a connection to a coordinator with fake shards, and an index."""
    libexec = directory / "libexec"
    libexec.mkdir()
    shutil.copy(HERE / "fake_shard.py", libexec / "mayfly-shard")
    os.chmod(libexec / "mayfly-shard", 0o755)
    (libexec / "mayfly-worker").symlink_to(BIN.resolve() / "mayfly-worker")
    path = f"{pathlib.Path(internal.__file__).parent}:{os.environ.get('PYTHONPATH', '')}"
    clients = []

    def make(shards=2, readers=1):
        server = make_server(environment={"PYTHONPATH": path}, config={"libexec": libexec}, shards=shards, readers=readers)
        clients.append(server.client())
        clients[-1].create_index("books")
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def search(client, query, **options):
    result = client.search("books", query, **{"limit": 4, "deadline_ms": NEVER, **options})
    for hit in result.hits:
        assert hit.document is None or hit.document == {"from": hit.id}
    return result


def refusal(client, query, **options):
    with pytest.raises(mayfly.Failure) as refused:
        search(client, query, **options)
    return refused.value.code


def test_all_answer(make_client):
    client = make_client()
    result = search(client, "a")
    assert result.ids == ["0-0", "1-0", "0-1", "1-1"] and not result.partial and result.reason is None
    assert result.estimated_total == 6
    assert [hit.score for hit in result.hits] == [20000, 19999, 19990, 19989]  # both shards' documents count
    assert search(client, "a", offset=3).ids == ["1-1", "0-2", "1-2"]


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("documents", [False, True])
def test_hits_in_columns_are_those_in_messages(make_client, shards, documents):
    client = make_client(shards=shards)
    for query, offset in (("a", 0), ("a", 1), ("dropped", 0), ("nothing", 0)):
        asked = {"documents": documents, "offset": offset}
        result = search(client, query, **asked)
        assert search(client, query, columns=True, **asked).hits == result.hits
        found, _ = client.answer(client.send_search("books", query, 4, documents=documents, offset=offset, columns=True))
        assert not found.hits and len(found.columns.scores) == len(result.hits)


@pytest.mark.parametrize("documents", [True, False])
@pytest.mark.parametrize("round", ["prepare", "execute"])
def test_who_is_late_is_left_out(make_client, round, documents):
    result = search(make_client(), f"hang@{round}@1", deadline_ms=DEADLINE, documents=documents)
    assert result.ids == ["0-0", "0-1", "0-2"] and result.partial and result.estimated_total == 3
    assert result.reason.code == "deadline" and "shard 1" in result.reason.message
    if round == "prepare":  # in time for the second round, and with the weights of those who answered
        assert result.took_us < DEADLINE * 1000
        assert result.hits[0].score == 10000


def test_who_is_late_with_its_documents_is_left_out(make_client):
    result = search(make_client(), "hang@fetch@0", deadline_ms=DEADLINE)
    assert result.ids == ["1-0", "1-1", "1-2"] and result.partial
    assert [hit.document for hit in result.hits] == [{"from": f"1-{i}"} for i in range(3)]


@pytest.mark.parametrize("round", ["prepare", "execute", "fetch"])
def test_when_nobody_answers_it_is_the_deadline(make_client, round):
    assert refusal(make_client(), f"hang@{round}@0 hang@{round}@1", deadline_ms=DEADLINE) == "deadline"


@pytest.mark.parametrize("round", ["prepare", "execute", "fetch"])
def test_who_dies_and_is_alone_is_left_out(make_client, round):
    result = search(make_client(), f"die@{round}@0")
    assert result.ids == ["1-0", "1-1", "1-2"] and result.partial and result.reason.code == "unavailable"


def reader_at_work(client):
    """One of shard 0 that does not stand by, where there are fewer processors than readers (reader_choice.h)."""
    froms = (client.get("books", str(i))["from"] for i in range(1000))
    return next(reader for reader in froms if reader.startswith("0."))


@pytest.mark.parametrize("round", ["prepare", "execute", "fetch"])
def test_who_dies_is_replaced_by_its_other_reader(make_client, round):
    client = make_client(readers=2)
    reader = reader_at_work(client)
    results = [search(client, f"die@{round}@{reader}") for _ in range(2)]  # one of them goes to that reader
    for result in results:
        assert result.ids == ["0-0", "1-0", "0-1", "1-1"] and not result.partial


@pytest.mark.parametrize("round", ["prepare", "execute", "fetch"])
def test_when_all_die_it_is_said(make_client, round):
    assert refusal(make_client(), f"die@{round}@0 die@{round}@1") == "unavailable"


@pytest.mark.parametrize("query, code", [("hang@prepare@1", "deadline"), ("hang@prepare@0 hang@prepare@1", "deadline"),
                                         ("hang@execute@1", "deadline"),
                                         ("hang@fetch@1", "deadline"), ("die@prepare@1", "unavailable"),
                                         ("die@fetch@1", "unavailable"), ("late@execute@1", "deadline")])
def test_a_client_may_want_all_or_nothing(make_client, query, code):
    assert refusal(make_client(), query, deadline_ms=DEADLINE, no_partial=True) == code


def test_who_wants_all_waits_for_all(make_client):
    client = make_client()
    began = time.monotonic()
    assert refusal(client, "hang@prepare@1", deadline_ms=DEADLINE, no_partial=True) == "deadline"
    assert time.monotonic() - began >= DEADLINE / 1000


def test_what_a_shard_cut_off_by_itself_is_said(make_client):
    result = search(make_client(), "late@execute@1")
    assert len(result.hits) == 4 and result.partial and result.reason.code == "deadline"


def test_hits_that_make_no_sense_are_refused(make_client):
    assert refusal(make_client(), "garbled@execute@1") == "internal"


MISSPELT = "misspelt@prepare@0 misspelt@prepare@1 total"


def test_only_what_no_shard_has_is_guessed(make_client):
    client = make_client()
    assert search(client, "total misspelt@prepare@1").estimated_total == 0
    assert search(client, "total misspelt@prepare@0").estimated_total == 0
    result = search(client, MISSPELT)
    assert result.estimated_total == 2 and not result.partial  # once each
    assert result.ids == ["0-0", "1-0", "0-1", "1-1"]


@pytest.mark.parametrize("what, code", [("hang", "deadline"), ("die", "unavailable")])
def test_who_fails_to_guess_is_left_out(make_client, what, code):
    result = search(make_client(), f"{what}@guess@1 {MISSPELT}", deadline_ms=DEADLINE)
    assert result.ids == ["0-0", "0-1", "0-2"] and result.partial and result.reason.code == code


def test_who_dies_guessing_is_replaced_by_its_other_reader(make_client):
    client = make_client(readers=2)
    reader = reader_at_work(client)
    for _ in range(2):
        result = search(client, f"die@guess@{reader} newest {MISSPELT}", documents=False)
        assert result.ids == ["0-0", "1-0", "0-1", "1-1"] and not result.partial


@pytest.mark.parametrize("round", ["guess", "execute", "fetch"])
def test_generations_that_move_for_ever_end_the_search(make_client, round):
    assert refusal(make_client(), f"moved@{round}@1 {MISSPELT if round == 'guess' else ''}") == "unavailable"


def test_the_only_shard(make_client):
    client = make_client(shards=1)
    assert refusal(client, "hang@execute@0", deadline_ms=DEADLINE) == "deadline"
    assert refusal(client, "die@execute@0") == "unavailable"


def test_a_document_is_asked_for_again_where_a_reader_died(make_client):
    client = make_client(shards=1, readers=2)
    assert [client.get("books", "die@lookup@0.0")["from"] for _ in range(2)] == ["0.1", "0.1"]


@pytest.mark.parametrize("shards, readers", [(1, 1), (1, 2), (2, 2)])
def test_every_reader_asks_for_settings_once(make_client, shards, readers):
    client = make_client(shards=shards, readers=readers)
    for _ in range(2):
        for i in range(12):  # each reader knows how often it has asked for the settings that there are
            assert search(client, f"asks {i // 2}", documents=False).estimated_total == shards
        client.set_settings("books", {"displayed": ["from"]})


# ---------------------------------------------------------------------------------------------------- remembered weights


def weights(client):
    stats = client.stats()
    return stats.weights_hits, stats.weights_misses


def test_an_equal_search_needs_no_first_round(make_client):
    client = make_client(readers=2)
    first = search(client, "newest")
    assert weights(client) == (0, 1)
    for _ in range(4):
        again = search(client, "newest")
        assert (again.ids, [hit.score for hit in again.hits]) == (first.ids, [hit.score for hit in first.hits])
        assert not again.partial and again.estimated_total == 6
    assert weights(client) == (4, 1)
    for options in ({"match": "any"}, {"no_prefix": True}, {"no_typos": True}, {"plain_words": True}):
        search(client, "newest", **options)  # are other words, or may be
    assert weights(client) == (4, 5)
    assert search(client, "newest", offset=3, documents=False).ids == ["1-1", "0-2", "1-2"]
    assert weights(client) == (5, 5)


def test_other_settings_are_another_search(make_client):
    client = make_client()
    search(client, "newest")
    client.set_settings("books", {"displayed": ["from"]})
    search(client, "newest")
    assert weights(client) == (0, 2)


def test_a_generation_that_has_moved_on_is_counted_anew(make_client):
    client = make_client()
    for _ in range(3):
        assert search(client, "newest moved@again@1").ids == ["0-0", "1-0", "0-1", "1-1"]
    assert weights(client) == (2, 1)


def test_of_a_generation_that_is_not_known_yet_nothing_is_remembered(make_client):
    client = make_client()
    for _ in range(3):
        search(client, "a")
    assert weights(client) == (0, 3)


def test_a_partial_count_is_not_remembered(make_client):
    client = make_client()
    for _ in range(2):
        assert search(client, "newest hang@prepare@1", deadline_ms=DEADLINE).partial
    assert weights(client) == (0, 2)


def test_a_search_of_known_words_needs_no_first_round(make_client):
    client = make_client(readers=2)
    plain = {"no_prefix": True}
    first = search(client, "newest each a b", **plain)
    assert weights(client) == (0, 1)
    for query in ("newest each b", "b each newest a", " newest  each a"):
        again = search(client, query, **plain)
        assert again.ids == first.ids and not again.partial
    assert weights(client) == (3, 1)
    for options in ({"no_typos": True}, {"plain_words": True}, {"no_prefix": False}):
        search(client, "newest each b", **{**plain, **options})  # are other words, or may be
    assert weights(client) == (3, 4)
    search(client, "b each newest", **plain)
    search(client, "b each newest", match="all", offset=1, **plain)  # all else is no matter of words
    search(client, "newest each c", **plain)
    search(client, "newest each b \"a\"", **plain)
    assert weights(client) == (5, 6)
    search(client, "c each newest", **plain)
    assert weights(client) == (6, 6)
    stats = client.stats()
    assert 0 < stats.words_cached < 20 and 0 < stats.words_bytes < stats.words_budget and stats.weights_cached == 1


def test_a_prefix_is_known_as_such(make_client):
    client = make_client()
    search(client, "newest each a")
    search(client, "each newest a")
    assert weights(client) == (1, 1)
    search(client, "each newest a ")  # a word
    search(client, "newest each a ")
    assert weights(client) == (2, 2)
    search(client, "each a newest ")  # all of them words
    assert weights(client) == (3, 2)


def test_words_that_moved_on_are_counted_anew(make_client):
    client = make_client()
    for query in ("newest each moved@again@1 ", "each newest moved@again@1 ", "each moved@again@1 newest "):
        assert search(client, query).ids == ["0-0", "1-0", "0-1", "1-1"]
    assert weights(client) == (2, 1)
    client.set_settings("books", {"displayed": ["from"]})
    search(client, "newest each ")
    assert weights(client) == (2, 2)


@pytest.mark.parametrize("what, code", [("hang", "deadline"), ("die", "unavailable")])
def test_who_fails_in_the_only_round_is_left_out(make_client, what, code):
    client = make_client()
    assert not search(client, f"newest {what}@again@1").partial
    result = search(client, f"newest {what}@again@1", deadline_ms=DEADLINE)
    assert result.ids == ["0-0", "0-1", "0-2"] and result.partial and result.reason.code == code


def test_who_dies_in_the_only_round_is_replaced_by_its_other_reader(make_client):
    client = make_client(readers=2)
    for _ in range(3):
        result = search(client, "newest die@again@0.0")
        assert result.ids == ["0-0", "1-0", "0-1", "1-1"] and not result.partial
