"""Runs in the guest, as root, when it has booted: what only a real systemd can show of the installed package.

Each function below ROWS whose name begins with try_ is tried, in this order, and is passed, failed or skipped. They build on
each other: the first installs, and before the last ones it is purged. With a list of files in /boot-tests/files, pytest runs those instead.
"""
import os
import subprocess
import sys
import time
import traceback

import crashes
import data
import installing
import packages
import removal
import service
import suite
import watching
from tools import APT, IN_CONTAINER, PLACE, Skip, journal, run

ROWS = (installing, service, crashes, packages, data, removal, suite, watching)
NEEDED = "three_commands"  # without what it installs nothing else can be tried


def rows():
    """Name and function of each, in the order of the files; or of those alone that were asked for."""
    asked = (PLACE / "rows").read_text().split() if (PLACE / "rows").exists() else None
    return [(name.removeprefix("try_"), tried) for module in ROWS for name, tried in vars(module).items()
            if name.startswith("try_") and (not asked or name.removeprefix("try_") in asked)]


def try_one(tried):
    try:
        tried()
    except Skip as reason:
        return "skipped", f": {reason}"
    except Exception as failure:  # pylint: disable=broad-except
        return "failed", f": {failure!r}\n{traceback.format_exc(limit=-3)}{journal('-n', '20')}"
    return "passed", ""


def said(name, outcome, why, seconds):
    """A skip is said as tests/skips.py counts it."""
    name = name.replace("_", " ")
    return f"skipped: booted: {name}{why}" if outcome == "skipped" else f"{outcome} {name}{why} ({seconds:.1f} s)"


def try_all():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, tried in rows():
        began = time.monotonic()
        outcome, why = try_one(tried)
        counts[outcome] += 1
        print(said(name, outcome, why, time.monotonic() - began), flush=True)
        if name == NEEDED and outcome == "failed":
            break
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), flush=True)
    return 1 if counts["failed"] or not counts["passed"] else 0


def run_files():
    run("apt-get", "install", "-y", "--no-install-recommends", *(PLACE / "needs").read_text().split(), limit=APT)
    files = (PLACE / "files").read_text().split()
    environment = {**os.environ, "MAYFLY_BIN": str(PLACE / "bin"), "MAYFLY_SHARED": "/nowhere",
                   "MAYFLY_BUILD_TYPE": "RelWithDebInfo", "PYTHONPATH": str(PLACE / "python"), "HOME": "/root"}
    return subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *files],
                          cwd=PLACE, env=environment, check=False).returncode


def main():
    print(f"booted after {time.clock_gettime(time.CLOCK_BOOTTIME):.0f} s: {' '.join(os.uname())}", flush=True)
    status = run_files() if (PLACE / "files").exists() else try_all()
    print(f"boot-exit {status}", flush=True)
    subprocess.run(["systemctl", "exit", str(status)] if IN_CONTAINER else ["systemctl", "poweroff", "--force"], check=False)


if __name__ == "__main__":
    main()
