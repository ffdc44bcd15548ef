"""Memory and disk over the rounds; dots are what was looked at, at rest."""
import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "mayfly"  # the same figures give the same file

from matplotlib import pyplot  # noqa: E402

COLOURS = {"shards": "#1f77b4", "coordinator": "#ff7f0e", "nursery": "#8c564b", "batches": "#2ca02c", "workers": "#d62728"}
MB = 1e6


def draw_memory(axes, seen, start):
    times = [row[0] - start for row in seen["samples"]]
    series = {phase: [row[1][phase] / MB for row in seen["samples"]] for phase in COLOURS}
    axes.stackplot(times, *series.values(), labels=list(series), colors=list(COLOURS.values()), linewidth=0)
    axes.set(ylabel="own memory, MB", ylim=(0, None))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.16), ncols=len(series), fontsize=9)


def draw_rest(axes, seen, start):
    times = [row[0] - start for row in seen["samples"]]
    axes.plot(times, [row[2] / MB for row in seen["samples"]], color="#9467bd", linewidth=0.8, label="index files, MB")
    ends = [look["begun"] for look in seen["looks"][1:]] + [seen["samples"][-1][0]]
    at = [end - start for end in ends]
    for what, colour, label in (("disk", "#9467bd", "the same, at rest"), ("memory", "black", "own memory at rest, MB")):
        axes.plot(at, [look[what] / MB for look in seen["looks"]], "o", color=colour, markersize=4, label=label)
    axes.set(ylabel="MB", xlabel="seconds", ylim=(0, None))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=3, fontsize=9)


def draw(seen, path):
    start = seen["samples"][0][0]
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(10, 6), sharex=True, constrained_layout=True)
    draw_memory(above, seen, start)
    draw_rest(below, seen, start)
    for axes in (above, below):
        axes.grid(True, axis="y", alpha=0.3)
    above.set_xlim(0, seen["samples"][-1][0] - start)
    figure.savefig(path + ".svg", metadata={"Date": None})
    figure.savefig(path + ".png", dpi=110)
    pyplot.close(figure)
