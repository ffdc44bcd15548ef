"""Documents, bytes written and memory over time, of the bulk load and of the updates beside it."""
import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "mayfly"  # the same figures give the same file

from matplotlib import pyplot  # noqa: E402

import processes  # noqa: E402
from verdict import MOST_WRITTEN  # noqa: E402

COLOURS = {"shards": "#1f77b4", "coordinator": "#ff7f0e", "nursery": "#8c564b", "batches": "#2ca02c", "workers": "#d62728"}
MB = 1e6


def draw_done(axes, times, rows):
    axes.plot(times, [row["done"] / 1000 for row in rows], color="#333333")
    axes.set(ylabel="thousand documents\nsearchable", ylim=(0, None))


def draw_written(axes, times, phase, name):
    """Bytes for each byte of input so far, input taken as even over documents."""
    rows = phase["rows"]
    first, whole = rows[0], max(1, rows[-1]["done"] - rows[0]["done"])
    points = [(t, (row["written"] - first["written"]) / (phase["bytes"] * (row["done"] - first["done"]) / whole))
              for t, row in zip(times, rows) if row["done"] - first["done"] > whole / 50]
    axes.plot(*zip(*points), color="#9467bd")
    axes.axhline(MOST_WRITTEN[name], color="#999999", linestyle=":", label="promised")
    axes.set(ylabel="bytes written for\neach of input", ylim=(0, None))
    axes.legend(loc="lower right", fontsize=8)


def draw_memory(axes, times, rows):
    series = {phase: [row["memory"][phase] / MB for row in rows] for phase in processes.PHASES}
    axes.stackplot(times, *series.values(), labels=list(series), colors=[COLOURS[phase] for phase in series], linewidth=0)
    axes.set(ylabel="own memory, MB", xlabel="seconds", ylim=(0, 1.25 * axes.get_ylim()[1]))
    axes.legend(loc="upper center", fontsize=7, ncols=len(series))


def draw(seen, path):
    names = [name for name in ("bulk", "updates") if seen[name]]
    figure, grid = pyplot.subplots(3, len(names), figsize=(6 * len(names), 7), sharex="col", squeeze=False, constrained_layout=True)
    for column, name in enumerate(names):
        phase = seen[name]
        times = [row["time"] - phase["begin"] for row in phase["rows"]]
        draw_done(grid[0][column], times, phase["rows"])
        draw_written(grid[1][column], times, phase, name)
        draw_memory(grid[2][column], times, phase["rows"])
        grid[0][column].set_title(f"{name}: {phase['bytes'] / MB:.0f} MB")
        for row in range(3):
            grid[row][column].grid(True, alpha=0.3)
            grid[row][column].set_xlim(0, times[-1])
    figure.savefig(path + ".svg", metadata={"Date": None})
    figure.savefig(path + ".png", dpi=110)
    pyplot.close(figure)
