"""The systemd units as systemd-analyze reads them, and what must never stand in them. No systemd needs to run."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

UNITS = pathlib.Path(__file__).parents[2] / "deploy" / "systemd"
SBINDIR = pathlib.Path(os.environ["MAYFLY_BIN"]).resolve()  # where ExecStart= is found
SERVICES = ["mayfly.service", "mayfly@one.service", "mayfly-textfile.service"]
THRESHOLD = 15  # tenths


@pytest.fixture
def units(tmp_path):
    """Every unit as it is installed, the template once with an instance."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (package systemd)")
    for source in UNITS.iterdir():
        name = source.name.removesuffix(".in")
        if name.endswith((".service", ".socket", ".slice", ".timer")):
            text = source.read_text().replace("@SBINDIR@", str(SBINDIR)).replace("@INSTANCE@", "")
            text = text.replace("@LIBEXECDIR@/mayfly/mayfly-textfile", shutil.which("true"))  # made when it is installed
            for written in {name, name.replace("@.", "@one.")}:
                (tmp_path / written).write_text(text)
    return tmp_path


def analyze(directory, *arguments):
    done = subprocess.run(["systemd-analyze", *map(str, arguments)], cwd=directory, capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_closed_up(units, service):
    status, said = analyze(units, "security", "--offline=yes", f"--threshold={THRESHOLD}", f"./{service}")
    assert status == 0 and "Overall exposure level" in said, said[-2000:]


def test_the_score_can_fail(units):
    open_one = units / "open.service"
    open_one.write_text(re.sub(r"SystemCallFilter=.*\n|PrivateUsers=.*\n", "", (units / SERVICES[0]).read_text()))
    status, said = analyze(units, "security", "--offline=yes", f"--threshold={THRESHOLD}", "./open.service")
    assert status == 1, said[-500:]


def test_units_are_understood(units):
    names = sorted(f"./{unit.name}" for unit in units.iterdir() if "@." not in unit.name)
    assert len(names) == 8
    status, said = analyze(units, "verify", "--man=no", *names)
    assert status == 0 and not said.strip(), said


def test_what_hurts_is_left_out():
    for name in ("mayfly.service.in", "mayfly@.service.in"):
        lines = (UNITS / name).read_text().splitlines()
        assert not [line for line in lines if line.startswith("MemoryHigh")]
        for needed in ("Type=notify", "OOMPolicy=continue", "Delegate=memory pids", "ProtectControlGroups=no"):
            assert needed in lines
    tcp = (UNITS / "mayfly-tcp.socket").read_text()
    assert "ListenStream=127.0.0.1:" in tcp
