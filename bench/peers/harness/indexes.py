"""Indexes of one corpus, built once below the work directory and kept with what building them took."""
import json
import os
import re
import shutil
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def tree_bytes(directory):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(directory) for name in names)


def run_measured(command):
    """Wall and CPU seconds and peak memory of a command; its children's count only where it waits for them."""
    begin = time.monotonic()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        process = subprocess.Popen(command, stdout=nowhere)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} index: exit status {process.returncode}")
    return {"wall_s": time.monotonic() - begin, "cpu_s": used.ru_utime + used.ru_stime, "rss_mb": used.ru_maxrss / 1024}


def peer_index(driver, tsv, directory, shape):
    """Directory and figures of the peer's index."""
    kept = directory + ".json"
    if not os.path.exists(kept):
        for old in (directory, directory + ".grown"):
            shutil.rmtree(old, ignore_errors=True)
        figures = run_measured([*driver.command, "index", tsv, directory, shape])
        shutil.rmtree(directory + ".grown", ignore_errors=True)
        figures["index_mb"] = tree_bytes(directory) / 1e6
        with open(kept, "w", encoding="utf-8") as out:
            json.dump(figures, out)
    with open(kept, encoding="utf-8") as figures:
        return json.load(figures)


def mayfly_index(binaries, ndjson, directory, shape):
    """The shard's directory, built by a server. An index of an older format is built anew: see `is_readable`."""
    kept = directory + ".shard"
    if not os.path.exists(kept):
        shutil.rmtree(directory, ignore_errors=True)
        command = [os.path.join(ROOT, "bench/build_index"), ndjson, directory, shape]
        shard = subprocess.run(command, env={**os.environ, "MAYFLY_BIN": os.path.join(binaries, "bin")}, text=True,
                               stdout=subprocess.PIPE, check=True).stdout.strip()
        with open(kept, "w", encoding="utf-8") as out:
            out.write(shard)
    with open(kept, encoding="utf-8") as shard:
        return shard.read()


def sources_of(binaries):
    """What an index of ours was built by: it is built again by other programs, whose format may differ."""
    identity = subprocess.run(["sha256sum", *(os.path.join(binaries, "bin", name) for name in ("mayfly-worker", "mayfly-shard"))],
                              capture_output=True, text=True, check=True).stdout
    return "".join(re.findall(r"^[0-9a-f]{8}", identity, re.M))
