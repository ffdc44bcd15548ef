"""Indexes of one corpus, built once below the work directory and kept with what building them took."""
import ctypes
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def tree_bytes(directory):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(directory) for name in names)


def adopt_orphans():
    """What a command leaves behind becomes this process's child, so that it is counted: Mayfly's server is a daemon."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def reap_all():
    """Use and exit status of every process that this one has; waits for their ends."""
    while True:
        try:
            _, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return
        yield os.waitstatus_to_exitcode(status), used


def run_measured(command, **options):
    """Output; wall and CPU seconds and the largest process's peak memory, with all that the command started."""
    begin = time.monotonic()
    adopt_orphans()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, **options)
        ended = list(reap_all())  # as they end, since the command may wait for what it started to be gone
        process.returncode = max(code for code, _ in ended)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(f"{command[0]} index: exit status {process.returncode}")
    return text, {"wall_s": time.monotonic() - begin, "cpu_s": sum(u.ru_utime + u.ru_stime for _, u in ended),
                  "rss_mb": max(u.ru_maxrss for _, u in ended) / 1024}


def keep(path, value):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(value, out)
    return value


def kept(path):
    if not os.path.exists(path):
        return None
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def peer_index(driver, tsv, directory, shape):
    """Figures of the peer's index."""
    if figures := kept(directory + ".json"):
        return figures
    for old in (directory, directory + ".grown"):
        shutil.rmtree(old, ignore_errors=True)
    _, figures = run_measured([*driver.command, "index", tsv, directory, shape])
    shutil.rmtree(directory + ".grown", ignore_errors=True)
    return keep(directory + ".json", {**figures, "index_mb": tree_bytes(directory) / 1e6})


def mayfly_bytes(shard, shape):
    """Without segments that were merged: those stay until readers have had time to leave them."""
    segments = sorted(glob.glob(os.path.join(shard, "seg-*.mdb")), key=lambda path: int(re.search(r"seg-(\d+)", path).group(1)))
    return sum(map(os.path.getsize, segments[-1:] if shape == "one" else segments))


def mayfly_index(binaries, ndjson, directory, shape):
    """The shard's directory and figures; built by a server of these binaries (`sources_of` is in the directory's name)."""
    if figures := kept(directory + ".json"):
        return figures["shard"], figures
    shutil.rmtree(directory, ignore_errors=True)
    command = [os.path.join(ROOT, "bench/build_index"), ndjson, directory, shape]
    shard, figures = run_measured(command, env={**os.environ, "MAYFLY_BIN": os.path.join(binaries, "bin")})
    figures = {**figures, "index_mb": mayfly_bytes(shard.strip(), shape) / 1e6, "shard": shard.strip()}
    return figures["shard"], keep(directory + ".json", figures)


def sources_of(binaries):
    """What an index of ours was built by: it is built again by other programs, whose format may differ."""
    identity = subprocess.run(["sha256sum", *(os.path.join(binaries, "bin", name) for name in ("mayfly-worker", "mayfly-shard"))],
                              capture_output=True, text=True, check=True).stdout
    return "".join(re.findall(r"^[0-9a-f]{8}", identity, re.M))
