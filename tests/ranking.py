"""Documents, operations and queries for comparing ranks with mayfly-reference. Used by process and cluster tests.

MAYFLY_LONG=1 takes 9,600 documents and 1,500 queries in place of 2,320 and 300; sanitizers get by with fewer.
"""
import collections
import functools
import gzip
import json
import os
import random
import re
import subprocess

import pytest

from conftest import BIN, ndjson, note, shared

LONG = os.environ.get("MAYFLY_LONG", "") not in ("", "0")
SANITIZED = bool(os.environ.get("MAYFLY_SANITIZE"))
DOCUMENTS, QUERIES, FOREIGN = (8000, 1500, 200) if LONG else (600, 100, 20) if SANITIZED else (2000, 300, 40)
LIMIT = 60
SETTINGS = {
    "defaults": {},
    "weights": {"fields": {"title": {"type": "text", "weight": 3}}, "searchable": ["title", "body"]},
    "german": {"language": "de", "stop_words": ["und", "für", "der"], "fields": {"body": {"type": "text", "weight": 2}}},
}
LANGUAGES = ("de", "fr", "ja", "ru", "ko", "es", "zh_CN", "pl")

# How a query is asked; the reference is run once for each.
Form = collections.namedtuple("Form", "match no_prefix no_typos plain_words")
FORMS = [Form("last", False, False, False), Form("all", False, False, False), Form("frequency", False, False, False),
         Form("any", False, False, False), Form("last", True, True, False), Form("any", True, True, True),
         Form("frequency", True, False, True)]


def parts(documents, count):
    """All of them in so many parts, in order."""
    return [documents[i * len(documents) // count:(i + 1) * len(documents) // count] for i in range(count)]


@functools.cache
def documents():
    """Package descriptions, and some text in other languages with ids of their own."""
    note(f"ranks are compared over {DOCUMENTS + len(LANGUAGES) * FOREIGN} documents and {QUERIES} queries"
         + (": fewer under sanitizers" if SANITIZED and not LONG else ""))
    chosen = random.Random(1).sample(ndjson("data/facets/debian-packages.ndjson.gz"), DOCUMENTS)
    for language in LANGUAGES:
        for document in ndjson(f"data/text/debian-descriptions-{language}.ndjson.gz", FOREIGN):
            chosen.append({**document, "id": f"{language}-{document['id']}"})
    random.Random(2).shuffle(chosen)
    return list({document["id"]: document for document in chosen}.values())


class Operations:
    """Puts and deletes in the order in which the server gets them."""

    def __init__(self):
        self.lines = []

    def put(self, documents):
        self.lines += [{"put": document} for document in documents]

    def delete(self, ids):
        self.lines += [{"delete": key} for key in ids]

    def write(self, path):
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in self.lines))
        return path


def changes(documents):
    """(updated documents, ids to delete, documents that come back): later versions are other documents' text."""
    dice = random.Random(3)
    updated = [{**dice.choice(documents), "id": document["id"]} for document in dice.sample(documents, len(documents) // 6)]
    gone = [document["id"] for document in dice.sample(documents, len(documents) // 8)]
    back = [document for document in documents if document["id"] in set(gone[::5])]
    return updated, gone, back


def words_of(document):
    return re.findall(r"\w+", document.get("title", "") + " " + document.get("body", "")[:400])


def made_queries(documents, count):
    """Phrases, prefixes and operators over words that stand in documents."""
    dice = random.Random(4)
    kinds = [
        lambda w: f'"{w[0]} {w[1]}"',
        lambda w: f'"{w[0]} {w[1]} {w[2]}" {w[4]}',
        lambda w: f"{w[0]} {w[1][:3]}",
        lambda w: w[0][:2],
        lambda w: f"{w[0]} {w[1]} {w[2]} {w[3]} {w[4]}",
        lambda w: f"+{w[0]} {w[1]} {w[2]}",
        lambda w: f"{w[0]} {w[1]} -{w[2]}",
        lambda w: f"{w[0]} OR {w[1]} {w[2]}",
        lambda w: f"({w[0]} OR {w[1]}) AND ({w[2]} OR {w[3]})",
        lambda w: f"{w[0]} NOT {w[1]}",
        lambda w: f"title:{w[0]} {w[1]}",
        lambda w: f'body:"{w[0]} {w[1]}" {w[2]}',
        lambda w: f"({w[0]} -{w[1]}) OR (title:{w[2]} {w[3]})",
        lambda w: f"-{w[0]} -{w[1]}",
        lambda w: f"{w[0]} {w[0]} {w[1]}",
        lambda w: f"{w[0]}-{w[1]} +{w[2]}.{w[3]}",
        lambda w: f"the of {w[0]}",
        lambda w: f'"the {w[0]}',
        lambda w: f"{w[0]}) ({w[1]} OR",
    ]
    made = []
    while len(made) < count:
        document = dice.choice(documents)
        words = words_of(document)
        if len(words) < 8:
            continue
        at = dice.randrange(len(words) - 5)
        made.append(kinds[len(made) % len(kinds)](words[at:at + 5]))
    return made


def misspelt(dice, word):
    """With one or two letters inserted, lost, replaced or swapped, as may be by its length and one more."""
    letters = list(word)
    for _ in range(dice.randint(1, 2 if len(word) < 9 else 3)):
        at = dice.randrange(len(letters) - 1)
        letters[at:at + 2] = dice.choice([
            [dice.choice("etaoinsé"), *letters[at:at + 2]],
            letters[at + 1:at + 2],
            [dice.choice("etaoinsü"), letters[at + 1]],
            [letters[at + 1], letters[at]],
        ])
        if len(letters) < 2:
            break
    return "".join(letters)


def misspelt_queries(documents, count):
    """Words that stand in documents, misspelt, where they may be and where they may not."""
    dice = random.Random(6)
    kinds = [
        lambda w, x: x,
        lambda w, x: f"{x} ",
        lambda w, x: f"{x} {w}",
        lambda w, x: f"{w} {x}",
        lambda w, x: f"{x} {x} {w}",
        lambda w, x: f"+{x} {w}",
        lambda w, x: f"{w} -{x}",
        lambda w, x: f"{w} OR {x} ",
        lambda w, x: f"({w} {x}) OR title:{x}",
        lambda w, x: f'"{x}" {w}',
        lambda w, x: f'"{w} {x}" {x} ',
        lambda w, x: f'{x} {w} "{x}"',
    ]
    made = []
    while len(made) < count:
        words = [word for word in words_of(dice.choice(documents)) if len(word) >= 5]
        if len(words) >= 2:
            made.append(kinds[len(made) % len(kinds)](dice.choice(words), misspelt(dice, dice.choice(words))))
    return made


def queries(documents):
    """[(qid, text, form)]: users' queries, and made ones."""
    with open(shared("data/queries/aol-sbg.tsv"), encoding="utf-8") as lines:
        real = [line.rstrip("\n").split("\t", 1)[1] for line in lines]
    with gzip.open(shared("data/queries/trec-mq-10k.tsv.gz"), "rt", encoding="utf-8") as lines:
        real += [line.rstrip("\n").split("\t", 1)[1] for line in lines]
    dice = random.Random(5)
    texts = dice.sample(real, QUERIES // 2) + made_queries(documents, QUERIES - QUERIES // 2 - 3) + ["the", "", "to be"]
    texts += misspelt_queries(documents, QUERIES // 3)
    return [(str(i), text, FORMS[i % len(FORMS)]) for i, text in enumerate(texts)]


def reference(place, operations, asked, settings=None, limit=LIMIT):
    """{qid: [(id, score, dropped), ...]} by mayfly-reference."""
    found = {qid: [] for qid, _, _ in asked}
    path = operations.write(place / "operations")
    for form in FORMS:
        tsv = place / "queries"
        tsv.write_text("".join(f"{qid}\t{text}\n" for qid, text, f in asked if f == form))
        command = [BIN / "mayfly-reference", "--match", form.match, "--limit", str(limit)]
        command += ["--no-prefix"] * form.no_prefix + ["--no-typos"] * form.no_typos
        command += ["--plain-words"] * form.plain_words
        if settings:
            (place / "settings").write_text(json.dumps(settings))
            command += ["--settings", place / "settings"]
        done = subprocess.run([*command, path, tsv], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            qid, _, key, score, dropped = line.split("\t")
            found[qid].append((key, int(score), int(dropped)))
    return found


class Story:
    """What happens to an index, and what the reference says after each chapter, however the documents come."""

    def __init__(self, place, settings):
        self.settings = settings
        self.documents = documents()
        self.asked = queries(self.documents)
        self.updated, self.gone, self.back = changes(self.documents)
        operations = Operations()
        operations.put(self.documents)
        self.after_adding = reference(place, operations, self.asked, settings)
        operations.put(self.updated)
        operations.delete(self.gone)
        operations.put(self.back)
        self.after_changes = reference(place, operations, self.asked, settings)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """story(NAME) -> the one with these of SETTINGS."""
    return functools.cache(lambda name: Story(tmp_path_factory.mktemp("story"), SETTINGS[name]))


def expect_same(asked, found, expected, when):
    """`found` {qid: [(id, score, dropped)]}; a failure names the first query that differs."""
    for qid, text, form in asked:
        if found[qid] == expected[qid]:
            continue
        for rank, (ours, theirs) in enumerate(zip(found[qid] + [None] * LIMIT, expected[qid] + [None])):
            assert ours == theirs, f"{when}: query {qid} '{text}' {form} at rank {rank + 1}: {ours}, not {theirs}"
        raise AssertionError(f"{when}: query {qid} '{text}' {form} has {len(found[qid])} hits, not {len(expected[qid])}")
