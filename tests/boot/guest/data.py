"""The data as docs/OPERATING.md handles it: backup, another place, another instance."""
import pathlib

from tools import CONFIG, DOCUMENTS, UNIT, documents, drop_in, hits, run

DATA = pathlib.Path("/var/lib/mayfly")


def try_backup_and_restore():
    """As docs/OPERATING.md has it: backed up while it runs, lost, and put back."""
    run("mayfly", "backup", "/var/backups/mayfly/today")
    run("mayfly", "check", "/var/backups/mayfly/today")
    run("systemctl", "stop", "mayfly.socket", UNIT)
    for path in DATA.iterdir():
        run("rm", "-rf", str(path))
    run("systemctl", "start", UNIT)
    assert run("mayfly", "search", "films", "city", check=False).returncode == 1  # it is all gone
    run("systemctl", "stop", "mayfly.socket", UNIT)
    run("mv", str(DATA), f"{DATA}.old")
    run("install", "-d", "-o", "mayfly", "-g", "mayfly", "-m", "0750", str(DATA))
    run("mayfly", "restore", "/var/backups/mayfly/today")
    run("mayfly", "check", str(DATA))
    run("systemctl", "start", "mayfly.socket", UNIT)
    assert hits() == 20
    run("rm", "-rf", "/var/backups/mayfly/today", f"{DATA}.old")


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
    run("rm", "-rf", "/srv/mayfly")


def try_another_instance():
    pathlib.Path("/etc/mayfly/two.conf").write_text("shards = 1\nreaders = 1\n")
    run("systemctl", "start", "mayfly@two.service")
    socket = ("--socket", "/run/mayfly-two.sock")
    assert run("mayfly", *socket, "ping").stdout.startswith("ready")
    assert run("mayfly", *socket, "search", "films", "city", check=False).returncode == 1  # it has data of its own
    assert pathlib.Path("/var/lib/mayfly-two/catalog.mdb").exists()
    run("systemctl", "stop", "mayfly@two.socket", "mayfly@two.service")
    pathlib.Path("/etc/mayfly/two.conf").unlink()



def try_links():
    """As docs/OPERATING.md has it: data and backups in one place that the unit may write to; a backup is links, and costs nothing."""
    before = CONFIG.read_text()
    run("systemctl", "stop", "mayfly.socket", UNIT)
    CONFIG.write_text(before + f"\ndata = {DATA}/data\n")
    run("systemctl", "start", UNIT)
    run("mayfly", "add", "films", "-", "--wait", "searchable", input=documents(0, 5000))
    run("mayfly", "backup", f"{DATA}/today")
    assert {path.stat().st_nlink for path in (DATA / "today").rglob("seg-*")} == {2}
    CONFIG.write_text(before)
    run("systemctl", "restart", UNIT)
    run("rm", "-rf", f"{DATA}/today", f"{DATA}/data")
