"""A Prometheus with node-exporter beside the server, set up as docs/OPERATING.md has it."""
import json
import pathlib
import urllib.parse
import urllib.request

from tools import PLACE, UNIT, block_of, for_container, main_pid, property_of, run, until

EXAMPLES = pathlib.Path("/usr/share/doc/mayfly/examples")
METRICS = pathlib.Path("/var/lib/prometheus/node-exporter/mayfly.prom")
RULES = "/etc/prometheus/mayfly.rules.yml"
API = "http://127.0.0.1:9090/api/v1/"
# What the manual has, at a pace at which nobody waits.
SETTINGS = f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{RULES}]
scrape_configs: [{{job_name: node, static_configs: [{{targets: ['127.0.0.1:9100']}}]}}]
"""


def asked(path, **words):
    try:
        with urllib.request.urlopen(API + path + "?" + urllib.parse.urlencode(words), timeout=10) as answer:
            return json.load(answer)["data"]
    except OSError:
        return {}


def value_of(metric):
    found = asked("query", query=metric).get("result", [])
    return found[0]["value"][1] if len(found) == 1 else None


def known(metric, value):
    """Until Prometheus says so; else what it says of whom it asks."""
    try:
        until(lambda: value_of(metric) == value, f"Prometheus says that {metric} is {value}", limit=40)
    except AssertionError as late:
        targets = [(t["lastError"], t["health"], t["scrapeUrl"]) for t in asked("targets").get("activeTargets", [])]
        raise AssertionError(f"{late} {targets} {asked('query', query=metric)} {METRICS.exists()}") from late


def collect():
    run("systemctl", "start", "mayfly-textfile.service")


def try_watching():
    for_container("of Prometheus a machine would show nothing else")
    run("apt-get", "install", "-y", "--no-install-recommends", str(PLACE / "mayfly.deb"), "prometheus")
    for command in block_of((PLACE / "OPERATING.md").read_text(), "## Watching").splitlines():
        run("/bin/bash", "-c", command.replace("apt install", "apt install -y --no-install-recommends"))
    run("cp", str(EXAMPLES / "mayfly.rules.yml"), RULES)
    pathlib.Path("/etc/prometheus/prometheus.yml").write_text(SETTINGS)
    run("systemctl", "restart", "prometheus")
    known("mayfly_ready", "1")
    names = {rule["name"] for group in asked("rules").get("groups", []) for rule in group["rules"]}
    assert {"MayflyDown", "MayflyLogFills"} <= names, names


def try_alerts():
    """By Prometheus' own tool: the rules, when they ring and when they do not, and how the metrics are written."""
    for_container("it has been tried in a container")
    run("promtool", "check", "rules", RULES)
    run("promtool", "test", "rules", str(PLACE / "watching/mayfly.rules.test.yml"))
    run("promtool", "check", "metrics", input=METRICS.read_text())


def try_watching_a_server_that_stands_still():
    """The question does not start it."""
    for_container("it has been tried in a container")
    run("systemctl", "stop", UNIT)
    collect()
    assert property_of("ActiveState") == "inactive" and main_pid() == 0
    known("mayfly_up", "0")
    run("systemctl", "start", UNIT)
    collect()
    known("mayfly_up", "1")
