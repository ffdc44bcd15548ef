"""What the rows of all files here use: commands, the unit's state, searches."""
import contextlib
import json
import os
import pathlib
import re
import stat
import subprocess
import threading
import time

PLACE = pathlib.Path("/boot-tests")
UNIT = "mayfly.service"
CONFIG = pathlib.Path("/etc/mayfly/mayfly.conf")
DROP_INS = pathlib.Path("/run/systemd/system/mayfly.service.d")
LIMIT = 120  # seconds: a virtual machine without KVM is slow
APT = 900
DOCUMENTS = 2000
IN_CONTAINER = subprocess.run(["systemd-detect-virt", "--container", "--quiet"], check=False).returncode == 0
PAUSE = 0 if IN_CONTAINER else 0.2  # seconds between searches: one processor without KVM is to do something else, too
PATIENCE = ("--deadline", str(LIMIT * 500))  # whether searches are answered is asked, not how fast


class Skip(Exception):
    """Why something cannot be tried here."""


def for_container(why):
    """What needs no machine of its own is not tried in one, which is slow without KVM."""
    if not IN_CONTAINER:
        raise Skip(f"it is for the container: {why}")


def run(*command, check=True, input=None, limit=LIMIT, cwd=None):
    done = subprocess.run(command, capture_output=True, text=True, input=input, timeout=limit, check=False, cwd=cwd,
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} gave {done.returncode}: {done.stdout[-400:]}{done.stderr[-400:]}")
    return done


def property_of(name, unit=UNIT):
    return run("systemctl", "show", "--value", "-p", name, unit).stdout.strip()


def journal(*arguments):
    return run("journalctl", "-u", UNIT, "-o", "cat", "--no-pager", *arguments).stdout


def until(claim, what, limit=LIMIT):
    end = time.monotonic() + limit
    while True:
        try:
            if claim():
                return
        except AssertionError:
            pass
        assert time.monotonic() < end, f"not within {limit} s: {what}; {property_of('StatusText')}; {journal('-n', '8')}"
        time.sleep(0.2)


def documents(first, count):
    return "".join(json.dumps({"id": n, "title": f"film {n}", "text": "a city of the future, its workers below " * 5}) + "\n"
                   for n in range(first, first + count))


def hits(**how):
    return len(json.loads(run("mayfly", "--json", "search", "films", "city", "--no-partial", *PATIENCE, **how).stdout)["hits"])


def stats():
    return json.loads(run("mayfly", "--json", "stats").stdout)


def pids(role):
    return [p["pid"] for p in stats()["processes"] if p["role"] == role]


def main_pid():
    return int(property_of("MainPID"))


@contextlib.contextmanager
def drop_in(text):
    """The service, restarted with these settings."""
    DROP_INS.mkdir(parents=True, exist_ok=True)
    (DROP_INS / "test.conf").write_text("[Service]\n" + text)
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", UNIT)
    try:
        yield
    finally:
        (DROP_INS / "test.conf").unlink()
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", UNIT)


class Stream:
    """Searches one after the other, each over a connection of its own, as programs of people do. All are to be answered."""

    def __init__(self, askers=2):
        self.stop, self.answered, self.failures, self.longest = threading.Event(), 0, [], 0.0
        self.threads = [threading.Thread(target=self._ask) for _ in range(askers)]

    def _ask(self):
        while not self.stop.wait(PAUSE):
            began = time.monotonic()
            done = run("mayfly", "--json", "search", "films", "city", "--no-partial", *PATIENCE, check=False)
            if done.returncode == 0 and json.loads(done.stdout)["hits"]:
                self.answered += 1
                self.longest = max(self.longest, time.monotonic() - began)
            else:
                self.failures.append(f"{done.returncode}: {done.stdout[-200:]}{done.stderr[-200:]}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def moves(self, count=5):
        """Until so many more were answered."""
        goal = self.answered + count
        until(lambda: self.answered >= goal or self.failures, f"{count} more answers")
        assert not self.failures, self.failures[:3]


def block_of(text, heading):
    """The first block of commands below a heading of a page."""
    return re.search(rf"^{re.escape(heading)}\n.*?^```\n(.*?)^```", text, re.M | re.S)[1]


# ------------------------------------------------------------------------------------- what a purge may leave behind

REMEMBERED = PLACE / "before.json"
OUTSIDE = ("/proc", "/sys", "/dev", "/run", "/tmp", "/boot-tests", "/var/tmp", "/var/log", "/var/cache", "/var/lib/apt",
           "/var/lib/dpkg", "/var/lib/systemd")


def files_of_the_system():
    """path -> mode, and size of a file."""
    found = {}
    for folder, folders, names in os.walk("/"):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in OUTSIDE]
        for path in (os.path.join(folder, name) for name in [*folders, *names]):
            about = os.lstat(path)
            found[path] = [about.st_mode, about.st_size if stat.S_ISREG(about.st_mode) else 0]
    return found


def remember(files):
    REMEMBERED.write_text(json.dumps(files))


def what_has_changed():
    before, now = json.loads(REMEMBERED.read_text()), files_of_the_system()
    return sorted(path for path in {*before, *now} if before.get(path) != now.get(path))
