"""The running service: readiness, what it is given by systemd, and what it does when systemd tells it."""
import json
import os
import pathlib
import signal

from tools import (CONFIG, DOCUMENTS, UNIT, documents, drop_in, hits, journal, main_pid, property_of, run, stats, until)


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
