"""Both distributions: which share of searches takes longer than that."""
import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "mayfly"  # the same figures give the same file

from matplotlib import pyplot  # noqa: E402

COLOURS = {"idle": "#1f77b4", "indexing": "#d62728"}


def curve(times):
    ordered = sorted(times)
    return [t * 1e3 for t in ordered], [1 - i / len(ordered) for i in range(len(ordered))]


def draw(seen, path):
    figure, axes = pyplot.subplots(figsize=(10, 4.5), constrained_layout=True)
    for kind, colour in COLOURS.items():
        for times in seen[kind]:
            axes.plot(*curve(times), color=colour, alpha=0.25, linewidth=0.8)
        axes.plot(*curve([t for times in seen[kind] for t in times]), color=colour, linewidth=2, label=f"{kind}, all windows")
    for share, name in ((0.5, "p50"), (0.1, "p90"), (0.01, "p99")):
        axes.axhline(share, color="#999999", linewidth=0.6, linestyle=":")
        axes.annotate(name, (1.005, share), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set(xscale="log", yscale="log", ylim=(0.0005, 1), xlabel="milliseconds", ylabel="share of searches that take longer")
    axes.legend(loc="lower left", fontsize=9)
    axes.grid(True, alpha=0.3)
    figure.savefig(path + ".svg", metadata={"Date": None})
    figure.savefig(path + ".png", dpi=110)
    pyplot.close(figure)
