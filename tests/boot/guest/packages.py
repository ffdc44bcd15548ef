"""The Debian package under queries: a restart, an upgrade, a downgrade."""
import pathlib

from tools import (APT, CONFIG, DOCUMENTS, IN_CONTAINER, PLACE, UNIT, Stream, for_container, hits, journal, main_pid, property_of, run,
                   stats, until)

SERVICE = pathlib.Path("/lib/systemd/system/mayfly.service")


def try_restart_under_queries():
    """None is refused or lost."""
    with Stream() as stream:
        stream.moves()
        for _ in range(3):
            pid = main_pid()
            run("systemctl", "restart", UNIT)
            assert main_pid() != pid
            stream.moves()


def try_handover_under_queries():
    """The program at mayflyd's path takes its place, and systemd's word for it is the other's process."""
    pid, restarts = main_pid(), property_of("NRestarts")
    with Stream() as stream:
        stream.moves()
        run("systemctl", "kill", "-s", "USR2", "--kill-whom=main", UNIT)
        until(lambda: main_pid() not in (0, pid), "another coordinator")
        stream.moves()
    assert property_of("NRestarts") == restarts and property_of("ActiveState") == "active"
    assert hits() == 20


def try_handover_by_its_command():
    """As docs/OPERATING.md has it; it waits for the outcome, and says when there is none."""
    pid = main_pid()
    before = CONFIG.read_text()
    with Stream() as stream:
        stream.moves()
        run("/usr/libexec/mayfly/mayfly-handover", UNIT)
        assert main_pid() not in (0, pid)
        stream.moves()
        pid = main_pid()
        CONFIG.write_text(before + "\ncolour = red\n")
        refused = run("/usr/libexec/mayfly/mayfly-handover", UNIT, check=False)
        CONFIG.write_text(before)
        assert refused.returncode == 1 and "still runs what it ran before" in refused.stderr, refused.stderr
        assert main_pid() == pid
        stream.moves()


def installed_version():
    return run("dpkg-query", "-W", "-f", "${Version}", "mayfly").stdout


def documents_in_films():
    return sum(index["documents"] for index in stats()["indexes"] if index["uid"] == "films")


LONGEST = 20  # seconds of a search, which elsewhere take milliseconds: a busy machine is no fault


def replace_under_queries(package, *options):
    """By the package's own scripts; nobody is refused, nothing is lost, and it is over when they are."""
    pid, kept = main_pid(), documents_in_films()
    with Stream() as stream:
        stream.moves()
        run("apt-get", "install", "-y", *options, str(PLACE / package), limit=APT)
        assert main_pid() not in (0, pid)
        stream.moves()
    assert not IN_CONTAINER or stream.longest < LONGEST, stream.longest
    assert documents_in_films() == kept >= DOCUMENTS
    assert hits() == 20 and property_of("ActiveState") == "active"


def try_upgrade_under_queries():
    """To the next version, whose configuration file is another one: nobody had changed the old one, so it is taken."""
    before, restarts, taken_over = installed_version(), property_of("NRestarts"), handovers()
    replace_under_queries("raised.deb")
    assert handovers() == taken_over + 1 and property_of("NRestarts") == restarts  # it was not restarted
    raised = installed_version()
    assert raised != before and f"Of version {raised}" in CONFIG.read_text()


def try_a_changed_configuration_stays():
    """What the administrator has written survives the same version again, and what it says is in force."""
    for_container("it has the same files")
    CONFIG.write_text(CONFIG.read_text() + "\ndeadline-ms = 9000\n")
    changed = CONFIG.read_text()
    replace_under_queries("raised.deb", "--reinstall")
    assert CONFIG.read_text() == changed and "deadline-ms = 9000" in run("mayflyd", "--print-config").stdout
    CONFIG.write_text(changed.replace("\ndeadline-ms = 9000\n", ""))


def handovers():
    return journal().count("another mayflyd takes over pid=")


def try_downgrade_under_queries():
    """From a package whose unit is another one: then systemd has to start the service."""
    raised, taken_over = installed_version(), handovers()
    with SERVICE.open("a") as unit:
        unit.write("# another one\n")
    replace_under_queries("mayfly.deb", "--allow-downgrades")
    assert handovers() == taken_over and "another one" not in SERVICE.read_text()
    assert installed_version() != raised and "Of version" not in CONFIG.read_text()
