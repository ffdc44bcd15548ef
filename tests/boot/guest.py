#!/usr/bin/python3
"""Runs in the guest, as root, when it has booted: what only a real systemd can show of the installed package.

Each function below whose name begins with try_ is tried in this order, and is passed, failed or skipped. They build on each
other: the first installs, the last purges. With a list of files in /boot-tests/files, pytest runs those instead.
"""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import traceback

PLACE = pathlib.Path("/boot-tests")
UNIT = "mayfly.service"
CONFIG = pathlib.Path("/etc/mayfly/mayfly.conf")
DROP_INS = pathlib.Path("/run/systemd/system/mayfly.service.d")
GROUP = pathlib.Path("/sys/fs/cgroup/mayfly.slice/mayfly.service")
LIMIT = 120  # seconds: a virtual machine without KVM is slow
DOCUMENTS = 2000


class Skip(Exception):
    """Why something cannot be tried here."""


# ------------------------------------------------------------------------------------------------------------ tools

def run(*command, check=True, input=None, limit=LIMIT):
    done = subprocess.run(command, capture_output=True, text=True, input=input, timeout=limit, check=False,
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
    return len(json.loads(run("mayfly", "--json", "search", "films", "city", "--no-partial", **how).stdout)["hits"])


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
    """Searches without a pause, each over a connection of its own, as programs of people do. All are to be answered."""

    def __init__(self, askers=2):
        self.stop, self.answered, self.failures = threading.Event(), 0, []
        self.threads = [threading.Thread(target=self._ask) for _ in range(askers)]

    def _ask(self):
        while not self.stop.is_set():
            done = run("mayfly", "--json", "search", "films", "city", "--no-partial", check=False)
            if done.returncode == 0 and json.loads(done.stdout)["hits"]:
                self.answered += 1
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


# ------------------------------------------------------------------------------------------------------- what is tried

def try_install():
    run("apt-get", "install", "-y", "--no-install-recommends", str(PLACE / "mayfly.deb"), limit=300)
    assert run("systemctl", "is-enabled", UNIT, "mayfly.socket").stdout.split() == ["enabled", "enabled"]
    assert property_of("ActiveState", "mayfly-tcp.socket") == "inactive"


def try_readiness():
    """READY=1 was awaited by whoever started it: at once it answers."""
    run("systemctl", "restart", UNIT)
    assert run("mayfly", "ping").stdout.strip().startswith("ready")
    assert property_of("ActiveState") == "active"
    until(lambda: property_of("StatusText") == "ready", "the status")
    assert property_of("WatchdogUSec") == "30s"
    owner = pathlib.Path("/var/lib/mayfly").stat()
    assert owner.st_uid == pathlib.Path(f"/proc/{main_pid()}").stat().st_uid != 0
    assert pathlib.Path("/run/mayfly.sock").stat().st_mode & 0o777 == 0o660


def try_main_job():
    """A document goes in and is found, by the first commands that the manual has."""
    run("mayfly", "add", "films", "-", "--wait", "searchable", input=documents(0, DOCUMENTS))
    assert hits() == 20
    assert json.loads(run("mayfly", "--json", "get", "films", "7").stdout)["title"] == "film 7"


def try_hardening():
    """Inside of the unit everything works that reads /proc: each process's memory is known."""
    found = stats()["processes"]
    assert {p["role"] for p in found} >= {"coordinator", "nursery", "shard"}
    assert all(p["rss_anon"] > 0 for p in found), found
    status = pathlib.Path(f"/proc/{main_pid()}/status").read_text()
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status and "CapEff:\t0000000000000000" in status


def try_journal():
    """Entries have fields, and belong to the unit."""
    found = run("journalctl", "-o", "json", "-n", "1", "--no-pager", "MAYFLY_SOCKET=/run/mayfly.sock").stdout
    entry = json.loads(found.splitlines()[-1])
    assert entry["_SYSTEMD_UNIT"] == UNIT and entry["SYSLOG_IDENTIFIER"] == "mayflyd" and entry["PRIORITY"] == "6", entry
    assert entry["MESSAGE"].startswith("ready socket="), entry


def try_socket_activation():
    run("systemctl", "stop", UNIT)
    assert property_of("ActiveState") == "inactive"
    assert hits() == 20  # its connection started the server
    assert property_of("ActiveState") == "active"
    assert "passed name=unix kind=unix" in journal("-n", "50")


def try_tcp_socket():
    refused = run("mayfly", "--host", "127.0.0.1:6359", "ping", check=False)
    assert refused.returncode == 3
    run("systemctl", "enable", "mayfly-tcp.socket")
    run("systemctl", "restart", UNIT)
    run("mayfly", "--host", "127.0.0.1:6359", "ping")
    assert hits() == 20
    run("systemctl", "disable", "--now", "mayfly-tcp.socket")
    run("systemctl", "restart", UNIT)
    assert run("mayfly", "--host", "127.0.0.1:6359", "ping", check=False).returncode == 3


def try_reload():
    before = CONFIG.read_text()
    pid = main_pid()
    CONFIG.write_text(before + "\ndeadline-ms = 9000\n")
    run("systemctl", "reload", UNIT)
    until(lambda: "deadline-ms has changed" in journal("-n", "50"), "the reload")
    CONFIG.write_text(before + "\ncolour = red\n")
    assert run("systemctl", "reload", UNIT, check=False).returncode != 0  # it is checked before
    CONFIG.write_text(before)
    run("systemctl", "reload", UNIT)
    assert main_pid() == pid and property_of("ActiveState") == "active" and hits() == 20


def try_watchdog():
    """A coordinator that hangs is ended and started again."""
    with drop_in("WatchdogSec=8\n"):
        pid = main_pid()
        os.kill(pid, signal.SIGSTOP)
        until(lambda: main_pid() not in (0, pid) and property_of("ActiveState") == "active", "the restart")
        assert int(property_of("NRestarts")) >= 1
        assert hits() == 20


def crash(role):
    (pid, *_) = pids(role)
    os.kill(pid, signal.SIGKILL)
    until(lambda: pid not in pids(role) and pids(role), f"another {role}")


def try_crash_of_the_coordinator():
    pid = main_pid()
    os.kill(pid, signal.SIGKILL)
    assert hits() == 20  # it waits at the socket
    until(lambda: main_pid() not in (0, pid), "another coordinator")


def try_crash_of_the_nursery():
    crash("nursery")
    run("mayfly", "add", "films", "-", "--wait", "searchable", input=documents(DOCUMENTS, 10))
    assert hits() == 20


def try_crash_of_a_shard():
    crash("shard")
    until(lambda: hits() == 20, "answers without a gap")


def while_adding(strike):
    """Adds documents until strike() has hit a worker, which may be gone before it is seen; all are to be added."""
    for first in range(10000, 110000, 10000):
        adding = subprocess.Popen(["mayfly", "add", "films", "-", "--wait", "searchable"], stdin=subprocess.PIPE, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        feeder = threading.Thread(target=adding.communicate, args=(documents(first, 10000),))
        feeder.start()
        struck = False
        while not struck and adding.poll() is None:
            struck = strike()
        feeder.join(LIMIT)
        assert adding.returncode == 0, adding.returncode
        if struck:
            return
    raise AssertionError("no worker was seen")


def children(pid):
    with contextlib.suppress(OSError):
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def kill_one(nursery):
    for pid in children(nursery):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def try_crash_of_a_worker():
    (nursery,) = pids("nursery")
    while_adding(lambda: kill_one(nursery))
    assert stats()["worker_exits"]["killed"] > 0
    assert hits() == 20


def worker_groups():
    """Control groups of workers, from the moment that they are made."""
    with os.scandir(GROUP) as entries:
        return [GROUP / entry.name for entry in entries if entry.name.startswith("mayfly-")]


def try_memory_limit():
    """MemoryMax= of the unit is the kernel's limit of the service's group."""
    need_memory_controller()
    with drop_in("MemoryMax=700M\n"):
        assert (GROUP / "memory.max").read_text().strip() == str(700 << 20)
        assert (GROUP / "memory.high").read_text().strip() == "max"
        assert hits() == 20


def need_memory_controller():
    if "memory" not in pathlib.Path("/sys/fs/cgroup/cgroup.controllers").read_text().split():
        raise Skip("the host gives this guest no memory controller (cgroup v2)")


def oom_kills():
    return int(dict(line.split() for line in (GROUP / "memory.events").read_text().splitlines())["oom_kill"])


def squeeze(before):
    """Takes room from workers that are in their groups already; the server has set its own limit by then."""
    for group in worker_groups():
        with contextlib.suppress(OSError):
            if (group / "cgroup.procs").read_text():
                (group / "memory.max").write_text("1M")
    return oom_kills() > before


def try_oom_kill_of_a_worker():
    """The kernel ends a worker at the limit of its own group; searches are answered, the service does not restart."""
    need_memory_controller()
    if stats().get("cap_enforced_by") == "rlimit":
        raise Skip("this mayflyd caps workers by rlimit, not by control groups")
    restarts, pid = property_of("NRestarts"), main_pid()
    with Stream(1) as stream:
        before = oom_kills()
        while_adding(lambda: squeeze(before))
        stream.moves()
    assert property_of("NRestarts") == restarts and main_pid() == pid
    assert hits() == 20


def try_restart_under_queries():
    """None is refused or lost."""
    with Stream() as stream:
        stream.moves()
        for _ in range(3):
            pid = main_pid()
            run("systemctl", "restart", UNIT)
            assert main_pid() != pid
            stream.moves()


def try_upgrade_under_queries():
    """The package's own scripts: here it is replaced by itself."""
    pid = main_pid()
    with Stream() as stream:
        stream.moves()
        run("apt-get", "install", "-y", "--reinstall", str(PLACE / "mayfly.deb"), limit=300)
        until(lambda: main_pid() not in (0, pid), "another coordinator")
        stream.moves()


DATA = pathlib.Path("/var/lib/mayfly")


def try_backup_and_restore():
    """As docs/OPERATING.md has it: copied while it stands still, lost, and put back."""
    run("systemctl", "stop", "mayfly.socket", UNIT)
    run("cp", "-a", str(DATA), "/var/backups/mayfly")
    for path in DATA.iterdir():
        run("rm", "-rf", str(path))
    run("systemctl", "start", UNIT)
    assert run("mayfly", "search", "films", "city", check=False).returncode == 1  # it is all gone
    run("systemctl", "stop", "mayfly.socket", UNIT)
    run("rm", "-rf", str(DATA))
    run("cp", "-a", "/var/backups/mayfly", str(DATA))
    run("systemctl", "start", UNIT)
    assert hits() == 20


def try_moved_data():
    """As docs/OPERATING.md has it: another directory, which the unit must be let write to."""
    before = CONFIG.read_text()
    run("systemctl", "stop", "mayfly.socket", UNIT)
    run("cp", "-a", str(DATA), "/srv/mayfly")
    CONFIG.write_text(before + "\ndata = /srv/mayfly\n")
    with drop_in("ReadWritePaths=/srv/mayfly\n"):
        assert hits() == 20
        run("mayfly", "add", "films", "-", "--wait", "searchable", input=documents(DOCUMENTS, 10))
        CONFIG.write_text(before)
    assert hits() == 20


def try_another_instance():
    pathlib.Path("/etc/mayfly/two.conf").write_text("shards = 1\nreaders = 1\n")
    run("systemctl", "start", "mayfly@two.service")
    socket = ("--socket", "/run/mayfly-two.sock")
    assert run("mayfly", *socket, "ping").stdout.startswith("ready")
    assert run("mayfly", *socket, "search", "films", "city", check=False).returncode == 1  # it has data of its own
    assert pathlib.Path("/var/lib/mayfly-two/catalog.mdb").exists()
    run("systemctl", "stop", "mayfly@two.socket", "mayfly@two.service")
    pathlib.Path("/etc/mayfly/two.conf").unlink()


def try_remove():
    run("apt-get", "remove", "-y", "mayfly")
    assert property_of("ActiveState") == "inactive"
    assert CONFIG.exists() and pathlib.Path("/var/lib/mayfly/catalog.mdb").exists()
    run("apt-get", "install", "-y", str(PLACE / "mayfly.deb"), limit=300)
    assert hits() == 20


def try_purge():
    run("apt-get", "purge", "-y", "mayfly")
    left = [path for path in ("/etc/mayfly", "/var/lib/mayfly", "/run/mayfly.sock", "/usr/sbin/mayflyd",
                              "/etc/systemd/system/multi-user.target.wants/mayfly.service") if os.path.lexists(path)]
    assert not left, left
    assert property_of("LoadState") in ("not-found", "masked")


# ---------------------------------------------------------------------------------------------------------------- all

def try_all():
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, tried in list(globals().items()):
        if not name.startswith("try_") or tried is try_all:
            continue
        began, what = time.monotonic(), name.removeprefix("try_").replace("_", " ")
        try:
            tried()
            outcome, why = "passed", ""
        except Skip as reason:
            outcome, why = "skipped", f": {reason}"
        except Exception as failure:  # pylint: disable=broad-except
            outcome, why = "failed", f": {failure!r}\n{traceback.format_exc(limit=-2)}{journal('-n', '20')}"
        counts[outcome] += 1
        print(f"{outcome} {what}{why} ({time.monotonic() - began:.1f} s)", flush=True)
        if name == "try_install" and outcome == "failed":
            break
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), flush=True)
    return 1 if counts["failed"] or not counts["passed"] else 0


def run_files():
    files = (PLACE / "files").read_text().split()
    environment = {**os.environ, "MAYFLY_BIN": str(PLACE / "bin"), "MAYFLY_SHARED": "/nowhere",
                   "MAYFLY_BUILD_TYPE": "RelWithDebInfo", "PYTHONPATH": str(PLACE / "python"), "HOME": "/root"}
    return subprocess.run([sys.executable, "-B", "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *files],
                          cwd=PLACE, env=environment, check=False).returncode


def main():
    print(f"booted after {time.clock_gettime(time.CLOCK_BOOTTIME):.0f} s: {' '.join(os.uname())}", flush=True)
    status = run_files() if (PLACE / "files").exists() else try_all()
    print(f"boot-exit {status}", flush=True)
    in_container = subprocess.run(["systemd-detect-virt", "--container", "--quiet"], check=False).returncode == 0
    subprocess.run(["systemctl", "exit", str(status)] if in_container else ["systemctl", "poweroff", "--force"], check=False)


if __name__ == "__main__":
    main()
