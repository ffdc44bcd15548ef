"""The tables of the project's targets: every engine's rates, and Mayfly's ratios to the best peer beside what they should be."""
from . import report

RATIOS = {"or": 0.70, "and": 0.70, "phrase": 0.35, "count": 0.50}  # of mode: Mayfly's time at most, to the best peer's
WITH_P99 = ("or", "and")  # the others are held to their mean
RATE_MODES = ("or", "and")
RATE_K = 10


def query_sets(results):
    return list(dict.fromkeys(r["queries"] for r in results))


def milliseconds(microseconds):
    return f"{microseconds / 1000:.2g}"


# --------------------------------------------------------------------------------------------------------------- rates


def rate_cell(figures):
    return f"{1e6 / figures['mean']:.0f}, {milliseconds(figures['p50'])}/{milliseconds(figures['p99'])}"


def rates_row(name, found, sets, index):
    """`found`: (queries, mode) -> summary."""
    cells = [rate_cell(found[s, mode]) if (s, mode) in found else "-" for s in sets for mode in RATE_MODES]
    built = [f"{index[part]:.0f}" if part in index else "-" for part in ("cpu_s", "rss_mb", "index_mb")]
    return [name, *cells, *built]


def rates(raw):
    """Queries per second, p50/p99 in ms, of the top 10; Mayfly's are those beside the first peer."""
    here = [r for r in raw["results"] if r["shape"] == "one" and r["mode"] in RATE_MODES and r["k"] == RATE_K]
    sets, peers = query_sets(here), list(dict.fromkeys(r["peer"] for r in here))

    def side_of(peer, side):
        return {(r["queries"], r["mode"]): r["classes"]["all"][side] for r in here if r["peer"] == peer}

    def index_of(name):
        return raw["indexes"].get(f"{name}-one", {})

    rows = [rates_row("Mayfly", side_of(peers[0], "mayfly"), sets, index_of("mayfly"))]
    rows += [rates_row(peer, side_of(peer, "peer"), sets, index_of(peer)) for peer in peers]
    header = ["engine", *(f"{s} {mode.upper()}" for s in sets for mode in RATE_MODES), "index CPU s", "peak RSS MB", "index MB"]
    return report.markdown(header, rows)


# -------------------------------------------------------------------------------------------------------------- ratios


def worst(results, name, figure):
    """Mayfly's ratio to the best peer, for a class of queries."""
    return max(r["classes"][name]["mayfly"][figure] / r["classes"][name]["peer"][figure] for r in results)


def ratio_cell(values, limit):
    return ", ".join(f"{v:.2f}" if v <= limit else f"**{v:.2f}**" for v in values)


def ratios_row(mode, k, results, sets):
    limit = RATIOS[mode.split("-")[0]]
    figures = ("mean", "p99") if mode in WITH_P99 else ("mean",)
    cells, met, count = [], 0, 0
    for s in sets:
        for name in report.CLASSES:
            here = [r for r in results if r["queries"] == s and report.is_shown(r, name)]
            values = [worst(here, name, figure) for figure in figures] if here else []
            cells.append(ratio_cell(values, limit) or "-")
            met, count = met + sum(v <= limit for v in values), count + len(values)
    return [report.label(mode, k), f"{limit:.2f}", *cells, f"{met} of {count}"]


def ratios(raw):
    """By mode, k and number of words: mean, and p99 where it counts; what misses is bold."""
    here = [r for r in raw["results"] if r["shape"] == "one"]
    sets = query_sets(here)
    rows = [ratios_row(mode, k, [r for r in here if (r["mode"], r["k"]) == (mode, k)], sets)
            for mode, k in dict.fromkeys((r["mode"], r["k"]) for r in here)]
    header = ["mode, k", "target", *(f"{s} {name}" for s in sets for name in report.CLASSES), "met"]
    return report.markdown(header, rows)


def document(raw):
    parts = ["Queries per second, p50/p99 in ms, one thread, top 10:", rates(raw)]
    parts += ["Mayfly's time divided by that of the best peer of each cell, all queries and by their number of words (mean, p99):",
              ratios(raw)]
    return "\n\n".join(parts) + "\n"
