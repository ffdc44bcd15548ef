"""Memory by phase over time: all of it, and below what stays, closer."""
import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "mayfly"  # the same figures give the same file

from matplotlib import pyplot  # noqa: E402

COLOURS = {"shards": "#1f77b4", "coordinator": "#ff7f0e", "nursery": "#8c564b", "batches": "#2ca02c", "workers": "#d62728"}
STAYING = ["shards", "coordinator", "nursery"]
MB = 1e6


def shade(axes, phases, start):
    for i, (_, begin, end) in enumerate(phases):
        if i % 2:
            axes.axvspan(begin - start, end - start, color="#f2f2f2", linewidth=0, zorder=0)


def name_phases(axes, phases, start):
    for i, (name, begin, end) in enumerate(phases):  # at two heights: some are short
        axes.annotate(name, ((begin + end) / 2 - start, 1.02 + i % 2 * 0.06), xycoords=("data", "axes fraction"), ha="center", fontsize=9)


def draw_all(axes, seen, times):
    series = {phase: [row[1][phase] / MB for row in seen["samples"]] for phase in COLOURS}
    axes.stackplot(times, *series.values(), labels=list(series), colors=list(COLOURS.values()), linewidth=0)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper center", ncols=len(labels), fontsize=9)
    axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
    axes.set_ylabel("own memory, MB")


def draw_staying(axes, seen, times, start):
    for phase in STAYING:
        axes.plot(times, [row[1][phase] / MB for row in seen["samples"]], color=COLOURS[phase], label=phase, linewidth=1.5)
    for phase in ("shards", "coordinator"):
        axes.plot([at - start for at, _ in seen["declared"]], [declared[phase] / MB for _, declared in seen["declared"]],
                  color=COLOURS[phase], linestyle=":", linewidth=1.5, label=f"declared, {phase}")
    axes.set(ylabel="what stays, MB", xlabel="seconds", ylim=(0, None))
    axes.legend(loc="center left", fontsize=8, ncols=2)


def draw(seen, path):
    start = seen["samples"][0][0]
    times = [row[0] - start for row in seen["samples"]]
    figure, (above, below) = pyplot.subplots(2, 1, figsize=(10, 6.5), sharex=True, height_ratios=[3, 2], constrained_layout=True)
    draw_all(above, seen, times)
    draw_staying(below, seen, times, start)
    for axes in (above, below):
        shade(axes, seen["phases"], start)
        axes.grid(True, axis="y", alpha=0.3)
    name_phases(above, seen["phases"], start)
    above.set_xlim(0, times[-1])
    figure.savefig(path + ".svg", metadata={"Date": None})
    figure.savefig(path + ".png", dpi=110)
    pyplot.close(figure)
