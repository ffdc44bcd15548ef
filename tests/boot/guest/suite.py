"""The package's own tests, as Debian's machines run them; they install it again."""
import re
import shutil

from tools import PLACE, for_container, run


def try_autopkgtest():
    for_container("it takes minutes without KVM")
    run("apt-get", "install", "-y", "--no-install-recommends", "autopkgtest")
    source = PLACE / "source"
    shutil.copytree(PLACE / "debian", source / "debian")
    done = run("autopkgtest", "-B", "--no-built-binaries", str(PLACE / "mayfly.deb"), str(PLACE / "libmayfly-dev.deb"),
               str(source), "--", "null", check=False)
    told = dict(re.findall(r"^(\S+) +(PASS|FAIL|SKIP|FLAKY)\b", done.stdout + done.stderr, re.M))
    assert done.returncode == 0 and told == {"smoke": "PASS", "libmayfly": "PASS"}, (told, done.stdout[-2000:], done.stderr[-2000:])
