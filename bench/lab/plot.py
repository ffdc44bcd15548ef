"""Memory over time, a panel per discipline."""
import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "mayfly"  # the same figures give the same file
matplotlib.rcParams["font.size"] = 9

from matplotlib import pyplot  # noqa: E402

COLUMNS = 5
OWN, KEPT, BUSY = "#1f77b4", "#d62728", "#eeeeee"
PHASES = [("burst begins", "burst"), ("bursts begin", "bursts"), ("huge begins", "huge")]


def say(size):
    return f"{size / 1e6:+.1f}" if abs(size) < 1e7 else f"{size / 1e6:+.0f}"


def draw_panel(axes, name, run, figures):
    start = run["samples"][0][0]
    times = [at - start for at, _ in run["samples"]]
    sizes = [size / 1e6 for _, size in run["samples"]]
    for begin, end in PHASES:
        if end in run["events"]:
            axes.axvspan(*(run["events"][e]["ns"] / 1e9 - start for e in (begin, end)), color=BUSY, linewidth=0)
    axes.fill_between(times, sizes, 1, color=OWN, alpha=0.35, linewidth=0)
    axes.plot(times, sizes, color=OWN, linewidth=1)
    axes.axhline(figures["base"] / 1e6, color=KEPT, linewidth=0.8, linestyle="--")
    deltas = figures["deltas"]
    axes.set_title(f"{name}\n{say(deltas[4])} MB, then {say(deltas[5])} MB", fontsize=9)
    axes.grid(True, axis="y", alpha=0.3)


def draw(results, figures, path):
    runs = results["runs"]
    rows = -(-len(runs) // COLUMNS)
    figure, panels = pyplot.subplots(rows, min(COLUMNS, len(runs)), figsize=(13, 2.9 * rows), sharex=True, sharey=True,
                                     squeeze=False, constrained_layout=True)
    flat = list(panels.flat)
    for axes, (name, run) in zip(flat, runs.items()):
        draw_panel(axes, name, run, figures[name])
    for axes in flat[len(runs):]:
        axes.set_axis_off()
    flat[0].set(yscale="log", ylim=(10, 1500))
    flat[0].set_yticks([10, 30, 100, 300, 1000], ["10", "30", "100", "300", "1000"])
    flat[0].minorticks_off()
    figure.supylabel("own memory of all its processes, MB")
    figure.supxlabel(f"seconds; grey: a burst of {results['burst']:,} documents, {results['bursts']} more, one document of "
                     f"{results['huge_mb']:g} MB; dashed: what was held before.\n"
                     "Above each: what it held more, for good, after the bursts, and after the large document")
    figure.savefig(path + ".svg", metadata={"Date": None})
    figure.savefig(path + ".png", dpi=110)
    pyplot.close(figure)
