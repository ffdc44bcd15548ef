"""The package is removed, and purged."""
import os
import pathlib
import re

from tools import APT, CONFIG, PLACE, hits, property_of, run, what_has_changed


def try_remove():
    said = run("apt-get", "remove", "-y", "mayfly", limit=APT)
    assert "can still be activated" not in said.stdout + said.stderr, "its sockets stop first"
    assert property_of("ActiveState") == "inactive"
    assert CONFIG.exists() and pathlib.Path("/var/lib/mayfly/catalog.mdb").exists()
    run("apt-get", "install", "-y", str(PLACE / "mayfly.deb"), limit=APT)
    assert hits() == 20


OTHER = pathlib.Path("/var/lib/mayfly-two")
# The user stays, so that no later one gets files that are left somewhere.
MAY_STAY = re.compile(rf"/etc/(passwd|group|shadow|gshadow)-?$|/etc/ld\.so\.cache$|{OTHER}")


def try_purge():
    """With what it needed, and nothing is left of it; the data is gone too, which its description says."""
    run("apt-get", "purge", "-y", "--autoremove", "mayfly", limit=APT)
    left = [path for path in what_has_changed() if not MAY_STAY.match(path)]
    assert not left, left[:20]
    assert property_of("LoadState") in ("not-found", "masked") and not os.path.lexists("/run/mayfly.sock")
    assert list(OTHER.iterdir()), "the data of another instance is its administrator's"
