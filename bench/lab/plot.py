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


def thin(samples):
    """Without those in whose neighbourhood nothing moves: a tenth of the file."""
    kept = samples[:1]
    for before, here in zip(samples, samples[1:]):
        if abs(here[1] - kept[-1][1]) > 0.03 * kept[-1][1]:
            kept += [before, here] if kept[-1] != before else [here]
    return kept + samples[-1:]


def draw_panel(axes, name, run, figures):
    start = run["samples"][0][0]
    samples = thin(run["samples"])
    times, sizes = [at - start for at, _ in samples], [size / 1e6 for _, size in samples]
    for begin, end in PHASES:
        if end in run["events"]:
            axes.axvspan(*(run["events"][e]["ns"] / 1e9 - start for e in (begin, end)), color=BUSY, linewidth=0)
    axes.fill_between(times, sizes, 1, color=OWN, alpha=0.35, linewidth=0)
    axes.plot(times, sizes, color=OWN, linewidth=1)
    axes.axhline(figures["base"] / 1e6, color=KEPT, linewidth=0.8, linestyle="--")
    deltas = figures["deltas"]
    axes.set_title(f"{name}\n{say(deltas[4])} MB, then {say(deltas[5])} MB", fontsize=9)
    axes.set_xlim(0, times[-1])
    axes.grid(True, axis="y", alpha=0.3)


def draw(results, figures, path):
    runs = results["runs"]
    rows = -(-len(runs) // COLUMNS)
    figure, panels = pyplot.subplots(rows, min(COLUMNS, len(runs)), figsize=(13, 2.9 * rows), sharey=True,
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
                     f"Above each: what it held more {results['settle'][1]:g} s after the bursts, and as long after the large document")
    figure.savefig(path + ".svg", metadata={"Date": None})
    figure.savefig(path + ".png", dpi=110)
    pyplot.close(figure)
