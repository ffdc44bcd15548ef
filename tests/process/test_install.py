"""What `cmake --install` puts below a prefix, without root or systemd: it runs from there, and other programs build with it."""
import os
import pathlib
import shutil
import subprocess

import pytest

from conftest import BIN, Server

ROOT = pathlib.Path(__file__).parents[2]


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False,
                          stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    place = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", BIN.parent, "--prefix", place)
    return place


def test_a_server_runs_from_its_prefix(prefix, directory):
    moved = directory / "moved"  # as a tarball would be
    shutil.copytree(prefix, moved)
    said = run(moved / "sbin/mayflyd", "--print-config")
    assert f"libexec = {moved}/libexec/mayfly" in said
    server = Server(directory, shards=1)
    command = [str(moved / "sbin/mayflyd"), *server.arguments()[1:]]
    server.arguments = lambda: command
    server.start()
    try:
        socket = ("--socket", server.socket)
        (directory / "film.json").write_text('{"id": 1, "text": "a city of the future"}')
        run(moved / "bin/mayfly", *socket, "add", "films", directory / "film.json", "--wait", "searchable")
        assert "future" in run(moved / "bin/mayfly", *socket, "search", "films", "city")
    finally:
        server.stop()


def test_units_name_the_prefix(prefix):
    text = (prefix / "lib/systemd/system/mayfly.service").read_text()
    assert f"ExecStart={prefix}/sbin/mayflyd\n" in text and "@SBINDIR@" not in text
    watch = (prefix / "lib/systemd/system/mayfly-textfile@.service").read_text()
    script = prefix / "libexec/mayfly/mayfly-textfile"
    assert f"ExecStart={script} /var/lib/prometheus/node-exporter %i\n" in watch and os.access(script, os.X_OK)
    assert f"{prefix}/bin/mayfly stats" in script.read_text()
    assert (prefix / "lib/sysusers.d/mayfly.conf").exists() and (prefix / "lib/tmpfiles.d/mayfly.conf").exists()


def test_the_configuration_is_valid_and_so_is_what_it_proposes(prefix, directory):
    text = (prefix / "etc/mayfly/mayfly.conf").read_text()
    proposed = directory / "mayfly.conf"
    proposed.write_text("".join(line.removeprefix(";") if line.startswith(";") and line[1:2] != " " else line
                                for line in text.splitlines(keepends=True)))
    assert "worker-memory = 256M" in proposed.read_text().splitlines()
    for file in (prefix / "etc/mayfly/mayfly.conf", proposed):
        run(prefix / "sbin/mayflyd", "--config", file, "--check-config")
    assert run(prefix / "sbin/mayflyd", "--config", proposed, "--print-config") == run(
        prefix / "sbin/mayflyd", "--config", "/dev/null", "--print-config")  # it says the defaults


@pytest.mark.parametrize("page", ["man1/mayfly.1", "man5/mayfly.conf.5", "man7/mayfly-protocol.7", "man7/mayfly-operating.7", "man8/mayflyd.8"])
def test_manual_pages_are_there(prefix, page):
    text = (prefix / "share/man" / page).read_text()
    assert text.startswith(".TH ") and ".SH NAME" in text
    if page.startswith("man7"):
        assert "query_too_large" in text and "`" not in text.replace("\\(ga", "")


def test_a_program_of_somebody_else_builds_with_libmayfly(prefix, directory):
    if os.environ.get("MAYFLY_SANITIZE"):
        pytest.skip("libmayfly of this build needs the sanitizers' libraries")
    # The program of the package's own test, which is not in Debian's place here.
    (pkgconfig,) = prefix.glob("lib*/**/pkgconfig")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(pkgconfig), "AUTOPKGTEST_TMP": str(directory)}
    run("/bin/sh", ROOT / "deploy/debian/tests/libmayfly", env=environment)
    names = run("nm", "-g", "--defined-only", next(prefix.glob("lib*/**/libmayfly.a")))
    exported = [line.split()[2] for line in names.splitlines() if len(line.split()) == 3]
    assert "mayfly_connect" in exported
    assert not [name for name in exported if not name.startswith("mayfly_")]
