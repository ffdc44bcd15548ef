"""A corpus as each side reads it: NDJSON of id, title and body for Mayfly, TSV of id and text for the peers."""
import gzip
import json

# What the English analysis of every engine leaves out.
STOP_WORDS = frozenset(
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to "
    "was will with".split())


def one_line(text):
    return " ".join(str(text).split())


def evenly(lines, share):
    """Of all lines that share, spread over the whole."""
    credit = 0.0
    for line in lines:
        credit += share
        if credit >= 1:
            credit -= 1
            yield line


def convert(source, ndjson, tsv, share=1.0):
    """Writes both files with this share of the source's documents. Returns documents and bytes taken."""
    documents = taken = 0
    with open(source, "rb") as lines, open(ndjson, "w", encoding="utf-8") as ours, open(tsv, "w", encoding="utf-8") as theirs:
        for line in evenly(lines, share):
            taken += len(line)
            documents += 1
            parsed = json.loads(line)
            document = {"id": str(parsed["id"]), "title": parsed.get("title", ""), "body": parsed.get("body", "")}
            ours.write(json.dumps(document, ensure_ascii=False) + "\n")
            text = one_line(f"{document['title']} {document['body']}")
            theirs.write(f"{one_line(document['id'])}\t{text}\n")
    return documents, taken


def read_queries(path):
    """[(id, text)] of a file or a .gz, the id being the line's number where there is none."""
    with (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8") as lines:
        parts = [line.rstrip("\n").split("\t", 1) for line in lines]
    return [(p[0], p[1]) if len(p) == 2 else (str(i), p[0]) for i, p in enumerate(parts, 1)]


def word_class(text):
    """"1", "2", "3" or "4+" words, not counting stop words."""
    words = sum(word not in STOP_WORDS for word in text.lower().split())
    return "4+" if words >= 4 else str(max(words, 1))
