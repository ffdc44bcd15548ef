"""A bare Debian to the first search result: what the README says, word for word."""
import shutil

from tools import APT, PLACE, UNIT, block_of, files_of_the_system, property_of, remember, run

HOME = PLACE / "home"  # where the newcomer stands, with the package


def try_bare_system():
    """Nothing that Mayfly needs is there; what there is is held against what a purge leaves."""
    assert not list((PLACE / "/usr/lib").glob("*/liblmdb*")) and not shutil.which("mayfly")
    remember(files_of_the_system())


def try_three_commands():
    """As a newcomer types them, who says yes to apt."""
    commands = block_of((PLACE / "README.md").read_text(), "## Three commands").splitlines()
    assert 1 <= len(commands) <= 3 and commands[0].startswith("apt install "), commands
    package = HOME / commands[0].split()[-1]
    package.parent.mkdir(parents=True)
    shutil.copy(PLACE / "mayfly.deb", package)
    for command in commands:
        said = run("/bin/bash", "-e", "-c", command, input="y\n", cwd=HOME, limit=APT).stdout
    assert said.splitlines()[0].endswith("metropolis"), said
    run("mayfly", "index", "drop", "films")


def ping_as(*groups):
    return run("setpriv", "--reuid", "nobody", "--regid", "nogroup", *groups, "mayfly", "ping", check=False)


def try_who_may_connect():
    """Root, and the group; others are told so."""
    assert ping_as("--groups", "mayfly").stdout.startswith("ready")
    refused = ping_as("--clear-groups")
    assert refused.returncode == 3 and "its owner and the group mayfly" in refused.stderr, refused.stderr


def try_installed():
    assert run("systemctl", "is-enabled", UNIT, "mayfly.socket").stdout.split() == ["enabled", "enabled"]
    assert property_of("ActiveState") == "active" and property_of("ActiveState", "mayfly-tcp.socket") == "inactive"
