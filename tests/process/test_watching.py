"""What is given to watchers: the textfile, the alert rules, the dashboard. All that they name is told by a running server, and
each alert has its paragraph in docs/OPERATING.md."""
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml

from conftest import BIN, Server

ROOT = pathlib.Path(__file__).parents[2]
WATCHING = ROOT / "deploy" / "watching"
NODE_EXPORTER = {"node_textfile_mtime_seconds"}


def textfile(place, server, active):
    """What the script writes with this server and what systemctl would say of its unit."""
    (place / "systemctl").write_text(f"#!/bin/sh\nexit {0 if active else 3}\n")
    (place / "mayfly").write_text(f'#!/bin/sh\nMAYFLY_SOCKET={server.socket} exec {BIN.resolve()}/mayfly "$@"\n')
    script = place / "mayfly-textfile"
    script.write_text((WATCHING / "mayfly-textfile.in").read_text().replace("@BINDIR@", str(place)))
    for program in (place / "systemctl", place / "mayfly", script):
        program.chmod(0o755)
    out = place / "out"
    out.mkdir(exist_ok=True)
    subprocess.run([script, out], check=True, timeout=60, stdin=subprocess.DEVNULL,
                   env={**os.environ, "PATH": f"{place}:{os.environ['PATH']}"})
    assert [path.name for path in out.iterdir()] == ["mayfly.prom"], "nothing half written is left"
    return (out / "mayfly.prom").read_text()


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The textfile of a server with an index."""
    place = tmp_path_factory.mktemp("watching")
    server = Server(place, shards=1, readers=1)
    server.start()
    try:
        (place / "film.json").write_text('{"id": 1, "text": "a city of the future"}')
        server.run("add", "films", str(place / "film.json"), "--wait", "searchable")
        server.run("search", "films", "city")
        yield textfile(place, server, active=True)
    finally:
        server.stop()


@pytest.fixture(scope="module")
def series(told):
    """metric -> label -> values that it has."""
    found = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", told, re.M):
        seen = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            seen.setdefault(label, set()).add(value)
    return found


def alerts():
    rules = yaml.safe_load((WATCHING / "mayfly.rules.yml").read_text())
    return [rule for group in rules["groups"] for rule in group["rules"]]


def dashboard():
    return json.loads((WATCHING / "mayfly.dashboard.json").read_text())


def expressions():
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())
    yield from ((panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel["targets"])


def test_the_textfile_says_that_it_is_up(told):
    assert "\nmayfly_up 1\n" in told and "\nmayfly_ready 1\n" in told
    assert told.count("# TYPE mayfly_searches_total counter") == 1


def test_a_server_that_does_not_run_is_not_asked(told, tmp_path):
    class Nobody:
        socket = "/nowhere"
    said = textfile(tmp_path, Nobody, active=False)
    assert [line for line in said.splitlines() if not line.startswith("#")] == ["mayfly_up 0", "mayfly_ready 0"]


def test_a_server_that_does_not_answer_is_down(tmp_path):
    class Nobody:
        socket = "/nowhere"
    assert "\nmayfly_up 0\n" in "\n" + textfile(tmp_path, Nobody, active=True)


@pytest.mark.parametrize("where, expression", expressions(), ids=lambda text: text[:40])
def test_what_is_asked_for_is_told(series, where, expression):
    asked = set(re.findall(r"\b(?:mayfly|node)_\w+", expression)) - NODE_EXPORTER
    assert asked or "node_textfile" in expression
    assert asked <= set(series), asked - set(series)
    for name, labels in re.findall(r"\b(mayfly_\w+)\{(.*?)\}", expression):
        for label, value in re.findall(r'(\w+)!?=~?"([^"]*)"', labels):
            if label != "instance":
                assert set(value.split("|")) <= series[name].get(label, set()), (where, label, value)


def test_alerts_are_whole():
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) >= 10
    for rule in alerts():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule
        assert rule["labels"]["severity"] in ("page", "ticket") and rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
    tried = (WATCHING / "mayfly.rules.test.yml").read_text()
    assert [name for name in names if f'alertname="{name}"' not in tried] == []


def test_each_alert_has_its_paragraph():
    text = (ROOT / "docs" / "OPERATING.md").read_text()
    explained = dict(re.findall(r"^### (Mayfly\w+)\n\n(.*?)(?=^#)", text, re.M | re.S))
    assert set(explained) == {rule["alert"] for rule in alerts()}
    assert all(len(said) > 100 for said in explained.values())


def test_the_dashboard_is_whole():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) >= 15
    taken = [[panel["gridPos"][key] for key in "xywh"] for panel in panels]
    cells = [(x + dx, y + dy) for x, y, w, h in taken for dx in range(w) for dy in range(h)]
    assert len(cells) == len(set(cells)), "panels overlap"
    assert all(x < 24 for x, _ in cells)
