"""What was seen, beside what was promised."""
MB = 1e6
MOVES_MOST = 1 << 20  # bytes
STAYING = ["coordinator", "nursery", "shards"]


def undeclared(look):
    """{phase: bytes} of the processes that stay, less what the server itself says it holds for what it was given."""
    held = dict.fromkeys(STAYING, 0)
    for _, phase, size in look["held"]:
        if phase in held:
            held[phase] += size
    return {phase: size - look["declared"].get(phase, 0) for phase, size in held.items()}


def moved(seen, before, after):
    """(sum, the same by phase in words)"""
    a, b = undeclared(seen["looks"][before]), undeclared(seen["looks"][after])
    declared = sum(seen["looks"][after]["declared"].values()) - sum(seen["looks"][before]["declared"].values())
    parts = ", ".join(f"{phase} {(b[phase] - a[phase]) / MB:+.2f}" for phase in STAYING)
    return sum(b.values()) - sum(a.values()), f"{parts}; declared {declared / MB:+.2f}"


def rows(seen):
    """(number, promise, figure, whether it holds)"""
    counts = seen["counts"]
    for before, after, number, what in [
            ("load", "bursts", 1, f"{counts['bursts'] - len(seen['back'])} bursts, {counts['queries']} queries, "
             f"{counts.get('settings changes', 0)} settings changes"),
            ("bursts", "largest", 2, f"documents just under max-document-size: {counts['largest']}"),
            ("largest", "refused", 2, f"documents of ten times a worker's memory: {counts['refused']}")]:
        move, parts = moved(seen, before, after)
        yield number, f"own memory moves by at most 1.05 MB; {what}", f"{move / MB:+.2f} MB ({parts})", move <= MOVES_MOST
    yield (2, "each of ten times a worker's memory is refused by id", f"{counts['refused']['refused by id']}",
           counts["refused"]["indexed"] == 0)
    worst = max(seen["back"])
    yield (3, "100 ms after a worker's end within 1.05 MB of before", f"at worst {worst / MB:+.2f} MB of {len(seen['back'])} times",
           worst <= MOVES_MOST)
    largest = max(row[2] for row in seen["samples"])
    yield (4, f"no worker above its {seen['worker_memory'] / MB:.1f} MB", f"{largest / MB:.1f} MB",
           largest <= seen["worker_memory"])
    most, total = max(sum(row[1].values()) for row in seen["samples"]), seen["ceiling"]["total"]
    yield (5, f"all together below {total / MB:.0f} MB ({seen['ceiling_source']})", f"{most / MB:.1f} MB", most <= total)


def report(seen):
    """Prints the table; whether all hold."""
    found = list(rows(seen))
    print("| | promise | seen | |\n|---|---|---|---|")
    for number, promise, figure, holds in found:
        print(f"| {number} | {promise} | {figure} | {'holds' if holds else '**does not hold**'} |")
    print(f"\nworkers: {seen['exits']}; {len(seen['samples'])} samples in {seen['samples'][-1][0] - seen['samples'][0][0]:.0f} s")
    return all(holds for *_, holds in found)
