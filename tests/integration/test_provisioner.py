# SPDX-License-Identifier: Apache-2.0
"""Killing and draining provisioners in the middle of each kind of task, on a whole Loom.

The plugins are Loom's own, each behind a gate: a script in the plugin's place that can hold a run
just before or just after the real plugin did its work, where the task's provider says so. A run
that is held is one that kill -9 hits at the worst moment.
"""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest

from stacklib import process
from support import ROOT, Stack, wait_for
from support.stack import base_dir

PLUGINS = ROOT / "services/provisioner/plugins"
SERVICE_ACTIONS = ("install", "configure", "initialize", "start")
KINDS = ("create", "confirm", "bootstrap", "install", "configure", "initialize", "start")
MOMENTS = ("before", "after")
GATES = [f"{kind}:{moment}" for kind in KINDS for moment in MOMENTS]

GATE = """#!/bin/bash
# Runs a plugin; holds its first attempt where the task's "gate" says so.
task=$(cat)
gate=$(grep -o '"gate":"[a-z:]*"' <<<"$task" | head -n 1)
hold() {
	[[ $gate == "\\"gate\\":\\"$1\\"" && $LOOM_ATTEMPT == 1 ]] || return
	echo "held $1"
	echo $$ >"@MARKS@/$LOOM_TASK_ID.tmp"
	mv "@MARKS@/$LOOM_TASK_ID.tmp" "@MARKS@/$LOOM_TASK_ID"
	until [[ -e @MARKS@/go ]]; do sleep 0.1; done
}
hold "$1:before"
LOOM_PLUGIN_DIR=@PLUGIN@ "@PLUGIN@/@EXEC@" "$1" <<<"$task"
code=$?
hold "$1:after"
exit $code
"""


class Gates:
    """A plugin_dir with every plugin of Loom behind a gate."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="gates-", dir=base_dir()))
        self.marks = self.dir / "marks"
        self.marks.mkdir()
        for descriptor in PLUGINS.glob("*/*/plugin.json"):
            plugin = json.loads(descriptor.read_text())
            home = self.dir / "plugins" / descriptor.parent.relative_to(PLUGINS)
            home.mkdir(parents=True)
            text = GATE.replace("@PLUGIN@", str(descriptor.parent)).replace("@EXEC@", plugin["exec"])
            (home / "gate").write_text(text.replace("@MARKS@", str(self.marks)))
            (home / "gate").chmod(0o755)
            (home / "plugin.json").write_text(json.dumps({**plugin, "exec": "gate"}))

    def held(self):
        """Pids of the runs that are held, by task."""
        return {path.name: int(path.read_text()) for path in self.marks.iterdir()
                if path.name[0].isdigit() and not path.name.endswith(".tmp")}

    def wait_held(self, count, timeout=60):
        """Wait until so many are held."""
        return wait_for(lambda: len(self.held()) >= count and self.held(), timeout, f"{count} held tasks")

    def open(self):
        """Let all go on."""
        (self.marks / "go").touch()

    def reset(self):
        """Hold again, and forget who was held."""
        for path in self.marks.iterdir():
            path.unlink()

    def close(self):
        """Delete it."""
        subprocess.run(["rm", "-rf", str(self.dir)], check=True)


@pytest.fixture(name="gates", scope="module")
def fixture_gates():
    """The gates of all tests here."""
    made = Gates()
    yield made
    made.close()


@pytest.fixture(name="loom", scope="module")
def fixture_loom(gates):
    """A whole Loom whose provisioner's plugins are behind the gates, with simulated machines."""
    settings = [f"provisioner.plugin_dir={gates.dir}/plugins", "provisioner.capacity=40"]
    with Stack("gated", settings=settings) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler", "provisioner")
        load_simulated(stack)
        yield stack


@pytest.fixture(autouse=True)
def fixture_fresh_gates(gates):
    """Each test begins with all gates closed."""
    gates.reset()
    yield
    gates.open()


def put(api, kind, **body):
    """Create or replace an entity."""
    answer = api.put(f"/v2/{kind}/{body['name']}", body)
    assert answer.ok, f"{kind} {body['name']}: {answer.reason()}"


def load_simulated(stack):
    """One provider per gate, and a service with every action."""
    names = ["sim", *(gate.replace(":", "-") for gate in GATES)]
    for name in names:
        gate = name.replace("-", ":") if "-" in name else "none"
        put(stack.api, "providers", name=name, description="", providertype="simulated",
            provisioner={"state_dir": str(stack.dir / "simulated"), "gate": gate})
    put(stack.api, "hardwaretypes", name="small", description="",
        providermap={name: {"flavor": "small"} for name in names})
    put(stack.api, "imagetypes", name="linux", description="",
        providermap={name: {"image": "linux"} for name in names})
    put(stack.api, "services", name="worker", description="",
        dependencies={"provides": [], "conflicts": [], "install": {"requires": [], "uses": []},
                      "runtime": {"requires": [], "uses": []}},
        provisioner={"actions": {action: {"type": "simulated", "fields": {}}
                                 for action in SERVICE_ACTIONS}})
    put(stack.api, "clustertemplates", name="workers", description="",
        defaults={"services": ["worker"], "provider": "sim", "hardwaretype": "small",
                  "imagetype": "linux", "dnsSuffix": "local", "config": {}},
        compatibility={"hardwaretypes": ["small"], "imagetypes": ["linux"], "services": ["worker"]},
        constraints={"layout": {"mustcoexist": [], "cantcoexist": []}, "services": {}},
        administration={"leaseduration": {"initial": 0, "max": 0, "step": 0}})


def journal(stack):
    """{node: [effects in order]} of the simulated machines."""
    found = {}
    path = stack.dir / "simulated/journal"
    for line in path.read_text().splitlines() if path.exists() else ():
        _, node, _, _, effect = line.split()
        found.setdefault(node, []).append(effect)
    return found


def simulated_machines(stack):
    """Nodes whose machines exist."""
    return {path.name for path in (stack.dir / "simulated/machines").iterdir()}


def nodes_of(stack, cluster):
    """Ids of a cluster's nodes."""
    return {node["id"] for node in stack.api.cluster(cluster)["nodes"]}


def attempts(stack, cluster):
    """{task: highest attempt} by the cluster's events."""
    found = {}
    with stack.api.events(cluster) as events:
        last = stack.api.cluster(cluster)["lastEvent"]
        wait_for(lambda: events.seen and max(event.id or 0 for event in events.seen) >= last, 60, "events")
        for event in events.seen:
            if event.type == "task" and event.data.get("attempt"):
                task = event.data["taskId"]
                found[task] = max(found.get(task, 0), event.data["attempt"])
    return found


def alive(pid):
    """Whether a process runs."""
    return process.start_time(pid) is not None


def test_kill_9_in_every_kind_of_task(loom, gates):
    """Before and after the work of each kind: all become active, each machine is made once."""
    before = set(journal(loom))
    clusters = {gate: loom.api.create_cluster(gate.replace(":", "-"), "workers", 1,
                                              provider=gate.replace(":", "-")) for gate in GATES}
    held = gates.wait_held(len(GATES), 120)
    assert {task[:8] for task in held} == set(clusters.values())
    loom.kill("provisioner")
    wait_for(lambda: not any(map(alive, held.values())), 60, "the plugins' end")
    loom.start("provisioner")
    nodes = set()
    for cluster in clusters.values():
        loom.api.wait_cluster(cluster, "active")
        nodes |= nodes_of(loom, cluster)
    assert len(nodes) == len(GATES)
    assert simulated_machines(loom) == nodes
    effects = journal(loom)
    assert set(effects) - before == nodes
    assert all(effects[node] == ["create"] for node in nodes)
    for task in held:
        assert attempts(loom, task[:8])[task] == 2
    for cluster in clusters.values():
        loom.api.delete(f"/v2/clusters/{cluster}")
    for cluster in clusters.values():
        loom.api.wait_cluster(cluster, "terminated")
    assert not simulated_machines(loom)
    effects = journal(loom)
    assert all(effects[node] == ["create", "delete"] for node in nodes)


def test_another_provisioner_takes_over(loom, gates):
    """The killed one does not come back."""
    loom.start("provisioner2", settings=[f"provisioner2.plugin_dir={gates.dir}/plugins",
                                         "provisioner2.capacity=1"])
    loom.stop("provisioner2")
    cluster = loom.api.create_cluster("orphan", "workers", 1, provider="install-after")
    task = list(gates.wait_held(1))[0]
    loom.start("provisioner2")
    loom.kill("provisioner")
    try:
        loom.api.wait_cluster(cluster, "active")
        assert attempts(loom, cluster)[task] == 2
        loom.api.delete_cluster(cluster)
    finally:
        loom.start("provisioner")
        loom.stop("provisioner2")
    assert not simulated_machines(loom)


def test_a_provisioner_that_hangs_has_stopped_when_another_begins(loom, gates):
    """Its plugins are ended without it, before the lease is another's."""
    cluster = loom.api.create_cluster("hung", "workers", 1, provider="install-after")
    task, plugin = list(gates.wait_held(1).items())[0]
    loom.start("provisioner2", settings=[f"provisioner2.plugin_dir={gates.dir}/plugins",
                                         "provisioner2.capacity=1"])
    try:
        with loom.api.events(cluster) as events:
            loom.pause("provisioner")
            events.wait_type("task", taskId=task, state="running", attempt=2)
            assert not alive(plugin)
        loom.api.wait_cluster(cluster, "active")
        loom.resume("provisioner")
        wait_for(lambda: f'msg="result refused by the server" file={task}.1' in loom.log("provisioner"), 60,
                 "the late result to be refused")
        loom.api.delete_cluster(cluster)
    finally:
        loom.resume("provisioner")
        loom.stop("provisioner2")
    assert not simulated_machines(loom)


def test_a_plugin_goes_on_while_the_database_is_away(loom, gates):
    """For longer than its lease; nobody else could have got it."""
    cluster = loom.api.create_cluster("outage", "workers", 1, provider="install-before")
    task, plugin = list(gates.wait_held(1).items())[0]
    loom.stop("mariadb")
    until = time.monotonic() + 12
    try:
        while time.monotonic() < until:
            assert alive(plugin), f"stopped {until - time.monotonic():.1f} s before the database came back"
            time.sleep(0.1)
    finally:
        loom.start("mariadb")
    gates.open()
    loom.api.wait_cluster(cluster, "active")
    assert attempts(loom, cluster)[task] == 1
    loom.api.delete_cluster(cluster)


def test_drain_finishes_the_running_task(loom, gates):
    """SIGTERM in mid-task: the task is finished and reported by the one that drains."""
    cluster = loom.api.create_cluster("drained", "workers", 1, provider="install-before")
    task, plugin = list(gates.wait_held(1).items())[0]
    pid = loom.pid("provisioner")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: "no more tasks are taken" in loom.log("provisioner"), 60, "the drain")
    assert alive(plugin)
    gates.open()
    wait_for(lambda: not alive(pid), 60, "the provisioner's end")
    assert loom.api.cluster_status(cluster) == "pending"
    loom.stop("provisioner")  # forget its pid
    loom.start("provisioner")
    loom.api.wait_cluster(cluster, "active")
    assert set(attempts(loom, cluster).values()) == {1}, f"{task} ran more than once"
    loom.api.delete_cluster(cluster)


@pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root")
def test_kill_9_with_real_machines(loom, gates):
    """A machine that was booted, and a service half installed, when the provisioner died."""
    loom.make_root()
    loom.load_catalog()
    provider = loom.api.get("/v2/providers/sandbox").json
    clusters = []
    for gate in ("create:after", "install:before"):
        name = f"sandbox-{gate.replace(':', '-')}"
        put(loom.api, "providers", **{**provider, "name": name,
                                      "provisioner": {**provider["provisioner"], "gate": gate}})
        for kind, entity in (("hardwaretypes", "small"), ("imagetypes", "debian12")):
            body = loom.api.get(f"/v2/{kind}/{entity}").json
            body["providermap"][name] = body["providermap"]["sandbox"]
            put(loom.api, kind, **body)
        clusters.append(loom.api.create_cluster(name, "single", 1, provider=name, services=["base"]))
    held = gates.wait_held(2, 120)
    assert {task[:8] for task in held} == set(clusters)
    loom.kill("provisioner")
    wait_for(lambda: not any(map(alive, held.values())), 60, "the plugins' end")
    loom.start("provisioner")
    nodes = set()
    for cluster in clusters:
        loom.api.wait_cluster(cluster, "active")
        nodes |= nodes_of(loom, cluster)
    assert {machine["nodeId"] for machine in loom.machines()} == nodes
    assert len(loom.machines()) == len(nodes) == 2
    for cluster in clusters:
        loom.api.delete_cluster(cluster)
    assert not loom.machines()
