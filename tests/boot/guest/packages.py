"""The Debian package under queries: a restart, an upgrade, a downgrade."""
from tools import (APT, CONFIG, DOCUMENTS, PLACE, UNIT, Stream, for_container, hits, main_pid, property_of, run, stats, until)


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


def installed_version():
    return run("dpkg-query", "-W", "-f", "${Version}", "mayfly").stdout


def documents_in_films():
    return sum(index["documents"] for index in stats()["indexes"] if index["uid"] == "films")


def replace_under_queries(package, *options):
    """By the package's own scripts; nobody is refused, nothing is lost."""
    pid, kept = main_pid(), documents_in_films()
    with Stream() as stream:
        stream.moves()
        run("apt-get", "install", "-y", *options, str(PLACE / package), limit=APT)
        until(lambda: main_pid() not in (0, pid), "another coordinator")
        stream.moves()
    assert documents_in_films() == kept >= DOCUMENTS
    assert hits() == 20 and property_of("ActiveState") == "active"


def try_upgrade_under_queries():
    """To the next version, whose configuration file is another one: nobody had changed the old one, so it is taken."""
    before = installed_version()
    replace_under_queries("raised.deb")
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


def try_downgrade_under_queries():
    raised = installed_version()
    replace_under_queries("mayfly.deb", "--allow-downgrades")
    assert installed_version() != raised and "Of version" not in CONFIG.read_text()
