"""From medians per query to markdown: means, percentiles, ratios, agreement."""
import statistics

CLASSES = ("all", "1", "2", "3", "4+")


def medians(rounds):
    """Of each query over its rounds."""
    return [statistics.median(times) for times in zip(*rounds)]


def percentile(times, share):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(times):
    return {"n": len(times), "mean": statistics.fmean(times), "p50": percentile(times, 0.5), "p95": percentile(times, 0.95),
            "p99": percentile(times, 0.99)}


def by_class(times, classes, name):
    return [t for t, c in zip(times, classes) if name in ("all", c)]


def agreement(ours, theirs):
    """How far apart two engines' numbers of matches are: median and 90th percentile of the relative difference."""
    differences = sorted(abs(a - b) / max(a, b) for a, b in zip(ours, theirs) if a or b)
    if not differences:
        return {"n": 0, "median": 0, "p90": 0, "ours": 0, "theirs": 0}
    return {"n": len(differences), "median": statistics.median(differences), "p90": percentile(differences, 0.9),
            "ours": sum(ours), "theirs": sum(theirs)}


# ------------------------------------------------------------------------------------------------------------ markdown


def microseconds(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def ratio(ours, theirs):
    value = ours / theirs
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def markdown_row(cells):
    return "| " + " | ".join(cells) + " |"


def markdown(header, rows):
    return "\n".join([markdown_row(header), markdown_row(["---"] * len(header)), *map(markdown_row, rows)])


def is_shown(result, name):
    """A phrase of one word is a word: in no class but its own."""
    return name in result["classes"] and not (result["mode"].endswith("phrase") and name == "1")


def cell(result, name):
    ours, theirs = result["classes"][name]["mayfly"], result["classes"][name]["peer"]
    return (f"{microseconds(theirs['mean'])} / {microseconds(theirs['p99'])} "
            f"({ratio(ours['mean'], theirs['mean'])}, {ratio(ours['p99'], theirs['p99'])})")


def best(results, name):
    """Mayfly's worst ratio: that against the best peer, of mean and of p99."""
    pairs = [r["classes"][name] for r in results]
    return (f"**{max(p['mayfly']['mean'] / p['peer']['mean'] for p in pairs):.2f}**, "
            f"{max(p['mayfly']['p99'] / p['peer']['p99'] for p in pairs):.2f}")


def mayfly_cell(results, name):
    """Of rounds with all queries: some peers are asked only the first."""
    most = max(r["classes"][name]["mayfly"]["n"] for r in results)
    results = [r for r in results if r["classes"][name]["mayfly"]["n"] == most]
    ours = [r["classes"][name]["mayfly"] for r in results]
    return " / ".join(microseconds(statistics.median(o[f] for o in ours)) for f in ("mean", "p99"))


def label(mode, k):
    return mode if mode.startswith("count") else f"{mode}, {k}"


def table(results, peers, classes):
    """Rows of mode, k and class; a column per peer that has any."""
    rows = []
    for mode, k in dict.fromkeys((r["mode"], r["k"]) for r in results):
        here = {r["peer"]: r for r in results if (r["mode"], r["k"]) == (mode, k)}
        for name in classes:
            shown = [r for r in here.values() if is_shown(r, name)]
            if not shown:
                continue
            count = max(r["classes"][name]["peer"]["n"] for r in shown)
            rows.append([label(mode, k), f"{name} ({count})", mayfly_cell(shown, name),
                         *(cell(here[p], name) if p in here and is_shown(here[p], name) else "-" for p in peers),
                         best(shown, name)])
    return markdown(["mode, k", "words (queries)", "Mayfly", *peers, "to the best"], rows)


def agreement_table(results, peers):
    rows = []
    for mode in dict.fromkeys(r["mode"] for r in results if r["mode"].startswith("count")):
        here = {r["peer"]: r["agreement"] for r in results if r["mode"] == mode}
        rows.append([mode, *(f"{100 * here[p]['median']:.2f} % / {100 * here[p]['p90']:.1f} %" if p in here else "-" for p in peers)])
    return markdown(["matches", *peers], rows)


def index_table(indexes):
    rows = [[name, f"{i['wall_s']:.1f}", f"{i['cpu_s']:.1f}", f"{i['rss_mb']:.0f}", f"{i['index_mb']:.0f}"] for name, i in indexes.items()]
    return markdown(["index", "wall s", "CPU s", "peak RSS MB", "index MB"], rows)


def notes(raw):
    """What makes a peer's figures differ in kind: what it says of itself, fewer queries, fewer rounds."""
    for peer in dict.fromkeys(r["peer"] for r in raw["results"]):
        here = [r for r in raw["results"] if r["peer"] == peer]
        asked = "/".join(dict.fromkeys(str(r["classes"]["all"]["peer"]["n"]) for r in here))
        least, most = (f(r["rounds"] for r in here) for f in (min, max))
        said = [f"{asked} queries", f"{least} to {most} rounds" if least < most else f"{most} rounds", raw.get("notes", {}).get(peer)]
        yield f"- {peer}: " + "; ".join(filter(None, said)) + "."


def groups(raw):
    """(query set, Mayfly's shape) -> results."""
    found = {}
    for result in raw["results"]:
        found.setdefault((result["queries"], result["shape"]), []).append(result)
    return found


SHAPES = {"one": "one segment each", "default": "segments as each engine leaves them"}


def least_k(results):
    """Classes are shown for the least k of each mode: the others are in the JSON."""
    least = min(r["k"] for r in results)
    return [r for r in results if r["k"] == least or r["mode"].startswith("count")]


def document(raw, full=False):
    """The whole report; with classes for every k if it is full."""
    parts = [f"Machine: {raw['machine']}.", f"Corpus: {raw['corpus']}.", "Engines: " + "; ".join(dict.fromkeys(raw["versions"].values())) + "."]
    parts += [f"Not here: {name} ({why})." for name, why in raw["skipped"].items()]
    parts.append("Cells: mean / p99 in microseconds, in brackets Mayfly's mean and p99 divided by the peer's, both of the "
                 "same rounds; `to the best`: the worst of these ratios.")
    parts.append("\n".join(notes(raw)))
    for (queries, shape), results in groups(raw).items():
        peers = list(dict.fromkeys(r["peer"] for r in results))
        parts += [f"**{queries}**, {SHAPES[shape]}:", table(results, peers, ("all",))]
        parts += ["By number of words that are no stop words:", table(results if full else least_k(results), peers, CLASSES[1:])]
        if any(r["mode"].startswith("count") for r in results):
            parts += ["How far the numbers of matches are apart, median / 90th percentile over queries:",
                      agreement_table(results, peers)]
    if raw["indexes"]:
        parts += ["What building the indexes took (the peers read TSV, and keep no documents but their ids; Mayfly reads NDJSON through "
                  "a server, and keeps the documents):",
                  index_table(raw["indexes"])]
    return "\n\n".join(parts) + "\n"
