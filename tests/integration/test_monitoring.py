# SPDX-License-Identifier: Apache-2.0
"""Alerts and dashboard speak of metrics that programs have, and each alert of a line of the run book."""

import json
import re
import shutil
import subprocess

import pytest

from support import ROOT

MONITORING = ROOT / "deploy/monitoring"
PORTS = {"loom-api": "api.external", "loom-scheduler": "scheduler", "loom-ui-gateway": "gateway",
         "loom-provisioner": "provisioner"}
NAME = re.compile(r"\bloom_[a-z0-9_]+")
BY_TLS = {"loom_tls_certificate_seconds_left", "loom_tls_certificates_stale"}  # where it is spoken: test_tls.py
LABELS = re.compile(r"\{[^}]*\}")


def promtool(*words):
    """What Debian's promtool says; it must be content."""
    program = shutil.which("promtool")
    if not program:
        pytest.skip("promtool is not installed (scripts/bootstrap test)")
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts():
    """[{name, expr, runbook}] of the rules, without a reader of YAML: each value is on a line of its own."""
    found = []
    for line in (MONITORING / "alerts.yml").read_text(encoding="utf-8").splitlines():
        key, _, value = line.strip().removeprefix("- ").partition(": ")
        if key == "alert":
            found.append({"name": value})
        elif key in ("expr", "runbook"):
            found[-1][key] = json.loads(value) if key == "runbook" else value
    return found


def panels():
    """[(title, expression)] of the dashboard."""
    board = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    return [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel["targets"]]


def exported(text):
    """Names of the samples in an answer of /metrics."""
    return {re.split(r"[{ ]", line, maxsplit=1)[0] for line in text.splitlines() if line and not line.startswith("#")}


def unknown(expression, names):
    """Metrics that an expression speaks of and nobody has."""
    return set(NAME.findall(LABELS.sub("", expression))) - names


@pytest.fixture(scope="module")
def names(stack):
    """All that the four programs have at /metrics."""
    found = {job: exported(stack.client(stack_port(stack, part), user=None).get("/metrics").text)
             for job, part in PORTS.items()}
    assert all(found.values()), {job: len(has) for job, has in found.items()}
    return set().union(BY_TLS, *found.values())


def stack_port(stack, part):
    """The name of a part's port in a stack, with or without its kind."""
    return part if part in stack.ports else next(name for name in sorted(stack.ports) if name.startswith(part))


def test_every_metric_exists(names):
    wrong = {alert["name"]: unknown(alert["expr"], names) for alert in alerts()}
    wrong |= {title: unknown(expr, names) for title, expr in panels()}
    assert not any(wrong.values()), {where: what for where, what in wrong.items() if what}


def test_a_metric_that_does_not_exist_is_found(names):
    assert unknown('rate(loom_no_such_total{job="loom_x"}[1m]) + sum by (job) (loom_build_info)', names) == {"loom_no_such_total"}


def test_every_alert_leads_to_a_line_of_the_run_book():
    text = (ROOT / "deploy/README.md").read_text(encoding="utf-8").partition("## What an alarm means")[2]
    rows = {line.split(" | ")[0].removeprefix("| ") for line in text.splitlines() if line.startswith("| ")}
    assert len(alerts()) > 10
    assert {alert["runbook"] for alert in alerts()} - rows == set()


def test_prometheus_takes_rules_and_configuration(tmp_path):
    promtool("check", "rules", MONITORING / "alerts.yml")
    for name, host in (("inventory.example", "a"), ("compose/inventory", "loom"), ("debian/inventory", "localhost")):
        subprocess.run([ROOT / "scripts/loom-datacenter", "render", "--inventory", ROOT / "deploy" / name, "--host", host,
                        "--out", tmp_path / host], check=True, capture_output=True)
        promtool("check", "config", "--syntax-only", tmp_path / host / "monitoring/prometheus.yml")


# Each alert with samples that raise it after two minutes; the same with nothing wrong raise none.
SWEPT = 'loom_scheduler_sweeps_total{result="finished",instance="a"}'
RAISED = {
    "LoomServiceDown": {'up{job="loom-ui-gateway",instance="b"}': "0x8"},
    "LoomNoApi": {'up{job="loom-api",instance="a"}': "0x8", 'up{job="loom-api",instance="b"}': "0x8"},
    "LoomNoProvisioner": {'up{job="loom-provisioner",instance="a"}': "0x8"},
    "LoomZooKeeperAway": {'loom_coord_connected{instance="a"}': "0x8"},
    "LoomNobodySweeps": {'loom_coord_leading{instance="a"}': "0x8"},
    "LoomNobodySweeps: its sweeps fail": {SWEPT: "9x8"},
    "LoomSchedulersUnheard": {'loom_api_schedulers_heard{instance="a"}': "0x8"},
    "LoomClocksDiffer": {'loom_bus_clock_skew_milliseconds{instance="a"}': "9000x8"},
    "LoomQuarantine": {'loom_scheduler_provisioners_quarantined{instance="a"}': "2x8"},
    "LoomDatabaseAway": {'loom_db_connect_errors_total{instance="a"}': "0+60x8"},
    "LoomErrors": {'loom_http_responses_5xx_total{instance="a"}': "0+600x8"},
    "LoomReplays": {'loom_bus_replayed_total{instance="a"}': "0+1x8", 'loom_bus_astray_total{instance="a"}': "0x8"},
}
WELL = {
    'up{job="loom-api",instance="a"}': "1x8", 'up{job="loom-api",instance="b"}': "1x8",
    'up{job="loom-provisioner",instance="a"}': "1x8", 'up{job="loom-ui-gateway",instance="b"}': "1x8",
    'loom_coord_connected{instance="a"}': "1x8", 'loom_coord_leading{instance="a"}': "1x8",
    SWEPT: "0+30x8", 'loom_api_schedulers_heard{instance="a"}': "3x8", 'loom_bus_clock_skew_milliseconds{instance="a"}': "20x8",
    'loom_scheduler_provisioners_quarantined{instance="a"}': "0x8", 'loom_db_connect_errors_total{instance="a"}': "7x8",
    'loom_http_responses_5xx_total{instance="a"}': "7x8", 'loom_bus_replayed_total{instance="a"}': "7x8",
    'loom_bus_astray_total{instance="a"}': "7x8",
}


def case(samples, raised):
    """One case of promtool's: what is raised by the samples after six minutes. Counts stand for whole alerts,
    whose labels are the samples' own."""
    expected = [{"expr": f'count(ALERTS{{alertname="{raised}",alertstate="firing"}}) > bool 0' if raised else
                 'absent(ALERTS{alertstate="firing"})', "eval_time": "6m",
                 "exp_samples": [{"labels": "{}" if raised else '{alertstate="firing"}', "value": 1}]}]
    return {"interval": "1m", "input_series": [{"series": name, "values": values} for name, values in samples.items()],
            "promql_expr_test": expected}


@pytest.mark.parametrize("raised", [None, *RAISED])
def test_an_alert_is_raised_when_it_should(tmp_path, raised):
    cases = tmp_path / "cases.yml"  # JSON is YAML
    cases.write_text(json.dumps({"rule_files": [str(MONITORING / "alerts.yml")], "evaluation_interval": "1m",
                                 "tests": [case({**WELL, **RAISED.get(raised, {})}, raised and raised.partition(":")[0])]}))
    promtool("test", "rules", cases)
