# SPDX-License-Identifier: Apache-2.0
"""Provisioners whose tasks fail where others' succeed get no work, until they are well again."""

import re
import subprocess
import threading

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants
from support.worker import Gate

SETTINGS = ["scheduler.retry_base_ms=20ms", "scheduler.retry_cap_ms=100ms", "scheduler.poll_ms=250ms",
            "scheduler.quarantine_probe_ms=1s", "scheduler.quarantine_avoid_ms=3s", "scheduler.task_tries=6"]


@pytest.fixture(scope="module")
def core():
    """One of each, with a scheduler that probes soon."""
    with Stack("quarantine", SETTINGS) as made:
        made.up("mariadb", "zookeeper", "api", "scheduler")
        yield made


@pytest.fixture(scope="module")
def tenants(core):
    """Tenants of that stack."""
    return make_tenants(core)


@pytest.fixture
def lab(core, tenants):
    """A tenant with a catalog."""
    made = Lab(core, *next(tenants)).load()
    yield made
    made.close()
    for provisioner in core.api.get("/v2/provisioners").json:
        core.internal.delete(f"/v2/provisioners/{provisioner['id']}")


class Broken:
    """A script whose machine is broken until somebody mends it."""

    def __init__(self):
        self.mended = threading.Event()

    def __call__(self, run):
        run.pause(0.02)
        return None if self.mended.is_set() else {"status": 1, "stderr": "no space left on device", "stdout": ""}


def shown(lab, worker):
    """What GET /v2/provisioners/{id} says."""
    answer = lab.stack.api.get(f"/v2/provisioners/{worker.name}")
    assert answer.status == 200, answer
    return answer.json


def quarantined(lab, worker):
    """Its quarantine, or None."""
    return shown(lab, worker).get("quarantine")


def make_bad(lab):
    """A good and a bad worker; clusters are made until the bad one is found out."""
    script = Broken()
    good = lab.worker(lambda run: run.pause(0.02), slots=2)
    bad = lab.worker(script, slots=2)
    for number in range(20):
        if quarantined(lab, bad):
            break
        lab.active(lab.create(f"c{number}", "one", 3))
    assert quarantined(lab, bad), bad.runs
    assert not quarantined(lab, good)
    return good, bad, script


def gauge(stack):
    """The scheduler's count."""
    return stack.metric("scheduler.admin", "loom_scheduler_provisioners_quarantined")


def test_a_bad_provisioner_is_found_out_probed_and_released(lab):
    good, bad, script = make_bad(lab)
    state = quarantined(lab, bad)
    assert "failed there and were done by others" in state["reason"] and "no space left" in state["reason"]
    assert len(state["strikes"]) >= 3
    assert all(strike["doneBy"] == good.name and "no space" in strike["message"] for strike in state["strikes"])
    assert 'msg="provisioner quarantined"' in lab.stack.log("scheduler")
    wait_for(lambda: gauge(lab.stack) == 1)
    status, answer = bad.call("POST", f"/v2/provisioners/{bad.name}/heartbeat", {"usage": {}, "tasks": []})
    assert status == 200 and b"no space left" in answer
    # work goes on without it; it gets single probes, which fail, ever more seldom
    before = len(bad.runs)
    lab.active(lab.create("without", "one", 6))
    wait_for(lambda: lab.active(lab.create("more", "one", 2)) and quarantined(lab, bad)["failedProbes"] >= 2, 60)
    probes = len(bad.runs) - before
    assert 1 <= probes <= quarantined(lab, bad)["failedProbes"] + 1
    first, second = state["nextProbe"], quarantined(lab, bad).get("nextProbe")
    assert second is None or second > first
    # mended, its probes go well, and it is trusted again
    script.mended.set()
    wait_for(lambda: lab.active(lab.create("again", "one", 3)) and not quarantined(lab, bad), 60)
    assert "its probes went well" in lab.stack.log("scheduler")
    wait_for(lambda: gauge(lab.stack) == 0)
    before = len(bad.runs)
    lab.active(lab.create("both", "one", 6))
    assert len(bad.runs) > before + 3


def test_an_operator_releases_it(lab):
    _, bad, script = make_bad(lab)
    path = f"/v2/provisioners/{bad.name}/release"
    assert lab.admin.post(path).status == 403 and lab.user.post(path).status == 403
    script.mended.set()
    assert lab.stack.api.post(path).status == 200
    assert lab.stack.api.post(path).status == 404
    assert not quarantined(lab, bad)
    before = len(bad.runs)
    lab.active(lab.create("both", "one", 6))
    assert len(bad.runs) > before + 3
    assert lab.admin.get("/v2/provisioners").status == 403
    entry = shown(lab, bad)
    assert entry["assignments"] == {lab.name: 2} and entry["capacityTotal"] == 2


def test_a_bad_service_is_nobodys_fault(lab):
    """It fails at both; and one that fails at first wherever it is tried."""
    def script(run):
        if run.service == "web" and run.name == "INSTALL":
            return {"status": 1, "stderr": "no such package"}
        return {"status": 1, "stderr": "try again"} if run.attempt == 1 else None
    workers = [lab.worker(script, slots=3) for _ in range(2)]
    for number in range(3):
        cluster = lab.create(f"c{number}", "one", 2)
        wait_for(lambda: lab.user.cluster_status(cluster) not in ("pending",), 60)
    assert not any(quarantined(lab, worker) for worker in workers)


def test_alone_nobody_is_judged(lab):
    """The only one for its tenant gets all its work whatever it does; another tenant's is no comparison."""
    script = Broken()
    bad = lab.worker(script, slots=2)
    lab.worker(tenant="id-of-t199")
    clusters = [lab.create(f"c{number}", "one", 2) for number in range(2)]
    wait_for(lambda: len(bad.runs) >= 12)
    script.mended.set()
    for cluster in clusters:
        wait_for(lambda: lab.user.cluster_status(cluster) != "pending", 60)
    assert not quarantined(lab, bad)


def loom(lab, *words, tenant="superadmin"):
    """(exit code, output) of the command line client."""
    done = subprocess.run([str(lab.stack.bin / "loom"), *words], capture_output=True, text=True, check=False,
                          env={"PATH": "/usr/bin:/bin", "LOOM_URL": lab.stack.api.url, "LOOM_TOKEN": lab.stack.token(),
                               "LOOM_TENANT": tenant})
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_shows_and_releases_it(lab):
    _, bad, _ = make_bad(lab)
    code, text = loom(lab, "provisioner", "list")
    assert code == 0 and re.search(rf"{bad.name} .*no space left", text)
    code, text = loom(lab, "status")
    assert code == 0 and re.search(rf"quarantined +{bad.name}: \d+ tasks failed there", text)
    assert "quarantined" not in loom(lab, "status", tenant=lab.name)[1]
    code, text = loom(lab, "provisioner", "release", bad.name)
    assert code == 0 and "is trusted again" in text
    assert not quarantined(lab, bad)
    code, text = loom(lab, "provisioner", "release", bad.name)
    assert code != 0 and "is not in quarantine" in text
    assert loom(lab, "provisioner", "list", tenant=lab.name)[0] != 0


def test_why_names_tenants_and_who_has_paused(lab):
    """Causes that need no quarantine: each in its turn, as the cluster goes on."""
    def why():
        return lab.user.get(f"/v2/clusters/{cluster}/why").json

    def until(cause):
        return wait_for(lambda: why() if why()["cause"] == cause else None, what=cause)
    cluster = lab.create("asked", "one", 1)
    assert "no provisioner is registered" in until("no_provisioner")["reason"]
    with lab.worker(tenant="id-of-t198"):
        text = until("no_provisioner_for_tenant")["reason"]
        assert f"of tenant {lab.name}" in text and "1 provisioners are registered" in text
    assert lab.admin.post(f"/v2/clusters/{cluster}/pause").status == 200
    said = until("paused")
    assert said["pausedBy"] == "admin" and "Paused by user admin. Since 2" in said["reason"]
    assert said["pausedAt"] and {task["cause"] for task in said["tasks"]} <= {"paused", "task"}
    assert lab.user.cluster(cluster)["why"] == said["reason"]
    assert lab.user.post(f"/v2/clusters/{cluster}/resume").status == 200
    gate = Gate("CREATE")
    lab.worker(gate, slots=1)
    gate.wait()
    assert "runs at" in until("running")["reason"] and "pausedBy" not in why()
    gate.open()
    lab.active(cluster)
    assert why()["cause"] == "nothing"


def test_why_names_the_quarantine(lab):
    good, bad, _ = make_bad(lab)
    good.kill()
    lab.stack.internal.delete(f"/v2/provisioners/{good.name}")
    lab.stack.sql(f"UPDATE quarantine SET next_probe=next_probe+600000 WHERE provisioner_id='{bad.name}'")
    cluster = lab.create("stuck", "one", 1)
    why = wait_for(lambda: (lambda one: one if one["cause"] == "quarantine" else None)(
        lab.user.get(f"/v2/clusters/{cluster}/why").json))
    assert bad.name in why["reason"] and lab.name in why["reason"] and "no space left" in why["reason"]
    assert lab.user.cluster(cluster)["why"] == why["reason"]
    lab.stack.api.post(f"/v2/provisioners/{bad.name}/release")
    wait_for(lambda: lab.user.cluster_status(cluster) != "pending", 60)
