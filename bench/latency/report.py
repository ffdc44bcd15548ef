"""The distributions side by side, and the promise."""
import statistics

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
KINDS = ["idle", "indexing"]
FACTOR, MORE = 1.2, 0.001  # of what p99 idle is; seconds


def percentile(times, share):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def medians(seen, kind):
    """{name: median over the windows}"""
    return {name: statistics.median(percentile(times, share) for times in seen[kind]) for name, share in SHARES.items()}


def say(seen):
    """Prints the table; whether the promise holds."""
    idle, indexing = medians(seen, "idle"), medians(seen, "indexing")
    most = FACTOR * idle["p99"] + MORE
    spare = ", one of them kept from what indexes" if seen["spare"] else ""
    print(f"{seen['rate']:.0f} searches a second over {seen['documents']} documents, {len(seen['idle'])} windows of each kind, "
          f"{seen['workers']} worker, {seen['cpus']} CPUs{spare}; {seen['added'] * seen['bytes'] / 1e6:.0f} MB were indexed\n")
    print("| ms | idle | indexing | ratio |\n|---|---|---|---|")
    for name in SHARES:
        print(f"| {name} | {idle[name] * 1e3:.2f} | {indexing[name] * 1e3:.2f} | {indexing[name] / idle[name]:.2f} |")
    holds = indexing["p99"] <= most
    print(f"\np99 while indexing: promised at most {most * 1e3:.2f} ms, seen {indexing['p99'] * 1e3:.2f} ms: "
          f"{'holds' if holds else 'DOES NOT HOLD'}")
    return holds
