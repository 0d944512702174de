# SPDX-License-Identifier: Apache-2.0
"""What takes minutes (make test-ship): every image, the same layers twice, and real machines in containers."""

import collections
import os
import re
import subprocess

import pytest

from stacklib.client import Client
from support import ROOT, compose, wait_for
from support.stack import SANDBOX, root_cache

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module", autouse=True)
def engine():
    """Skip without one."""
    compose.need_engine()


def all_names():
    """As scripts/images lists them."""
    done = subprocess.run([ROOT / "scripts/images", "--list"], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.timeout(1800)
def test_every_image_builds():
    compose.build(*all_names())
    for name in all_names():
        image = compose.inspect("image", f"{name}:{compose.TAG}")[0]
        assert image["Config"]["Labels"]["org.opencontainers.image.title"] == name
        if name not in ("loom-cli", "loom-setup"):
            assert image["Config"]["Healthcheck"]["Test"], name


@pytest.mark.timeout(1800)
def test_the_same_input_gives_the_same_layers(monkeypatch):
    """Built twice without anything that is cached: what is may have Debian's packages of an earlier day."""
    monkeypatch.setenv("NO_CACHE", "1")
    layers = []
    for _ in range(2):
        compose.build("loom-api")
        layers.append(compose.inspect("image", f"loom-api:{compose.TAG}")[0]["RootFS"]["Layers"])
    assert layers[0] == layers[1]


@pytest.mark.timeout(1500)
def test_the_sandbox_makes_a_cluster_of_machines():
    """Without --privileged; a web server that answers on a machine of its own."""
    compose.build(*compose.NAMES, "loom-sandbox")
    done = subprocess.run([SANDBOX, "make-root", "--state-dir", root_cache(), "--root-dir", root_cache()],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout
    quick = compose.QuickStart("sandbox")
    try:
        quick("up", "--wait", "--no-build", timeout=300)
        container = quick.containers("sandbox")[0]
        assert not container["HostConfig"]["Privileged"]
        made = quick.api().post("/v2/clusters", {"name": "real", "clusterTemplate": "single", "numMachines": 1})
        assert made.status == 200, made
        cluster = made.json["id"]
        quick.wait_for_status(cluster, "active", 600)
        node = quick.api().get(f"/v2/clusters/{cluster}").json["nodes"][0]
        address = node["properties"]["ipaddresses"]["access_v4"]
        code, text = compose.said("docker", "exec", container["Id"], "python3", "-c",
                                  f"import urllib.request; print(urllib.request.urlopen('http://{address}/').read())")
        assert code == 0 and "Hello from Loom" in text, text
        assert quick.api().delete(f"/v2/clusters/{cluster}").ok
        wait_for(lambda: quick.status_of(cluster) == "terminated", 60, "the cluster's end")
    finally:
        quick.close()
    assert quick.left() == []
    assert not any(name.startswith("loomsb0") for name in os.listdir("/sys/class/net"))


def ask(prometheus, what):
    """What its API says of something; nothing while it does not answer."""
    answer = prometheus.get(f"/api/v1/{what}")
    return answer.json["data"] if answer.ok else None


def scraped(prometheus):
    """How many targets of each job answer; None as long as one does not."""
    targets = (ask(prometheus, "targets?state=active") or {}).get("activeTargets", [])
    if not targets or any(target["health"] != "up" for target in targets):
        return None
    return collections.Counter(target["labels"]["job"] for target in targets)


def alerts(prometheus):
    """The names of those that fire."""
    return {alert["labels"]["alertname"] for alert in (ask(prometheus, "alerts") or {}).get("alerts", [])
            if alert["state"] == "firing"}


@pytest.mark.timeout(1500)
def test_prometheus_hears_of_every_part_and_of_one_that_is_gone():
    compose.build(*compose.NAMES, "loom-prometheus")
    quick = compose.QuickStart("plain,monitoring")
    prometheus = Client(f"http://127.0.0.1:{quick.prometheus_port}", user="", timeout=10)
    want = collections.Counter({f"loom-{part}": 1 for part in ("api", "scheduler", "provisioner", "ui-gateway")})
    try:
        quick("up", "--wait", "--no-build", timeout=300)
        wait_for(lambda: scraped(prometheus) == want, what=f"{want} to be scraped")
        quick.scale(api=2)
        want["loom-api"] = 2
        wait_for(lambda: scraped(prometheus) == want, what="the second API to be found")
        # Each rule was evaluated without an error, and nothing is wrong.
        written = re.findall(r"- alert: (\w+)", (ROOT / "deploy/monitoring/alerts.yml").read_text(encoding="utf-8"))
        rules = ask(prometheus, "rules")["groups"][0]["rules"]
        assert [rule["name"] for rule in rules] == written
        wait_for(lambda: {rule["health"] for rule in ask(prometheus, "rules")["groups"][0]["rules"]} == {"ok"},
                 what="each rule to be evaluated")
        assert alerts(prometheus) == set()
        quick("stop", "provisioner")
        wait_for(lambda: "LoomNoProvisioner" in alerts(prometheus), 180, "the alert")
        quick("start", "provisioner")
        wait_for(lambda: alerts(prometheus) == set(), 180, "the alert's end")
    finally:
        quick.close()
    assert quick.left() == []
