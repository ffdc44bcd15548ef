"""What was seen against what is promised."""
MOST_WRITTEN = {"bulk": 4, "updates": 30}  # bytes for each of input
LEAST_LAST = 0.5  # of the first quarter's rate, the last one's
MB = 1e6


def charged(phase):
    """To its processes, for each byte of input."""
    rows = phase["rows"]
    return (rows[-1]["written"] - rows[0]["written"]) / max(1, phase["bytes"])


def given(phase):
    """To the disk, by whoever it was."""
    return None if phase.get("device") is None else phase["device"] / max(1, phase["bytes"])


def written(phase):
    """Both are at least what it wrote of its files (device.py)."""
    return min(charged(phase), given(phase) if given(phase) is not None else charged(phase))


def how_written(phase):
    disk = "unknown" if given(phase) is None else f"{given(phase):.2f}"
    return f"{disk} that the disk had, {charged(phase):.2f} that processes are charged with"


def rate_between(phase, begin, end):
    """Documents per second between two shares of all that were done."""
    rows = [{"time": phase["begin"], "done": phase["rows"][0]["done"]}] + phase["rows"]
    first, last = rows[0]["done"], rows[-1]["done"]
    at = [next(row for row in rows if row["done"] >= first + share * (last - first)) for share in (begin, end)]
    return (at[1]["done"] - at[0]["done"]) / max(1e-9, at[1]["time"] - at[0]["time"])


def peak(phase):
    return max(sum(row["memory"].values()) for row in phase["rows"])


def line(holds, text):
    print(f"{'holds' if holds else 'FAILS'}  {text}", flush=True)
    return holds


def say_phase(name, phase, seen):
    rate = phase["bytes"] / MB / phase["seconds"]
    first, last = rate_between(phase, 0, 0.25), rate_between(phase, 0.75, 1)
    print(f"{name}: {phase['bytes'] / MB:.1f} MB in {phase['seconds']:.1f} s, {rate:.1f} MB/s; on the disk at the end "
          f"{phase['rows'][-1]['disk'] / MB:.1f} MB, at most {max(row['disk'] for row in phase['rows']) / MB:.1f}")
    good = line(written(phase) <= MOST_WRITTEN[name], f"{name}: {written(phase):.2f} bytes written for each of input, merges included "
                f"({how_written(phase)}); promised at most {MOST_WRITTEN[name]}")
    good &= line(last >= LEAST_LAST * first, f"{name}: documents per second {first:.0f} in the first quarter, {last:.0f} in the last")
    return good & line(peak(phase) <= seen["budget"], f"{name}: own memory of all processes at most {peak(phase) / MB:.1f} MB, budget "
                       f"{seen['budget'] / MB:.1f} MB")


def say(seen):
    good = say_phase("bulk", seen["bulk"], seen)
    if seen["updates"]:
        times = sorted(seen["updates"]["times"])
        good &= say_phase("updates", seen["updates"], seen)
        print(f"updates: {len(times)}, searchable after p50 {1000 * times[len(times) // 2]:.1f} ms, "
              f"p99 {1000 * times[len(times) * 99 // 100]:.1f} ms")
    print(f"{seen['documents']} documents at the end; load {seen['load']:.1f}")
    return good
