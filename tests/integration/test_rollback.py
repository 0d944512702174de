# SPDX-License-Identifier: Apache-2.0
"""What failed or is under way is taken back: machines replaced, jobs rolled back, clusters deleted
from any state. The worker keeps its own list of machines, which has to agree with Loom's."""

import pytest

from support import wait_for
from support.lab import service, template
from support.worker import Gate

FULL = ("install", "configure", "start", "stop", "remove")

CATALOG = {
    "services": [
        service("app", uses=("store",), install=("base",), actions=FULL),
        service("store", install=("base",), actions=FULL),
        service("cron", install=("base",), actions=FULL)],
    "clustertemplates": [
        template("farm", ["base", "app", "store"],
                 defaults={"config": {"app": {"port": "80"}, "store": {"size": "1"}}},
                 constraints={"layout": {"mustcoexist": [], "cantcoexist": [["app", "store"]]},
                              "services": {"store": {"quantities": {"min": 1, "max": 1}},
                                           "cron": {"quantities": {"min": 1, "max": 1}}}})],
}


class Cloud:
    """A worker's script: machines that exist, services that run, and steps that go wrong.

    faults: (step, service or "", nodenum or None) -> what the finish call says, or a list of such,
    one for each try, after which the step works.
    """

    def __init__(self):
        self.machines = set()
        self.running = set()
        self.faults = {}
        self.gate = None

    def __call__(self, run):
        if self.gate:
            self.gate(run)
        if run.name == "CREATE":
            self.machines.add(run.node)
        fault = self.fault(run)
        if fault:
            return fault
        if run.name == "DELETE":
            self.machines.discard(run.node)
            self.running = {one for one in self.running if one[0] != run.nodenum}
        if run.name == "START":
            self.running.add((run.nodenum, run.service))
        if run.name == "STOP":
            self.running.discard((run.nodenum, run.service))
        return {}

    def fault(self, run):
        """How this step of this machine goes wrong, if it does."""
        for key in ((run.name, run.service, run.nodenum), (run.name, run.service, None)):
            found = self.faults.get(key)
            if isinstance(found, list):
                return found.pop(0) if found else None
            if found:
                return found
        return None


NEVER = {"status": 1, "retry": False, "stderr": "no way"}
ONCE_MORE = {"status": 1, "stderr": "not now"}


@pytest.fixture
def cloud(lab):
    """A lab whose worker is a cloud."""
    lab.load(CATALOG)
    made = Cloud()
    lab.worker(made, slots=8)
    made.lab = lab
    yield made
    made.faults.clear()


def farm(cloud, size=3, wait=True, **more):
    cloud.lab.farm = cloud.lab.create("farm", "farm", size, **more)
    if wait:
        cloud.lab.active(cloud.lab.farm)
    return cloud.lab


def path(lab, rest=""):
    return f"/v2/clusters/{lab.farm}{rest}"


def rests(lab, status, timeout=120):
    """Wait for a status that is no success; answers the details."""
    wait_for(lambda: lab.user.cluster_status(lab.farm) == status, timeout,
             f"{status}: {lab.user.cluster_status(lab.farm)}")
    return lab.user.cluster(lab.farm)


def nodes(lab):
    """nodenum -> services."""
    return {node["properties"]["nodenum"]: sorted(node["properties"]["services"])
            for node in lab.user.cluster(lab.farm)["nodes"]}


def agree(cloud):
    """The cloud's machines are the cluster's."""
    ids = {node["id"] for node in cloud.lab.user.cluster(cloud.lab.farm)["nodes"]}
    assert ids == cloud.machines


def roll_back(lab, **more):
    """Plan a roll back, do just that, wait; answers the plan."""
    shown = lab.user.post(path(lab, "/plan"), {"operation": "rollback"})
    assert shown.status == 200, shown
    done = lab.user.post(path(lab, "/rollback"), {"token": shown.json["token"], **more})
    assert done.status == 200, done
    return shown.json


def steps(plan):
    return sorted((task["taskName"], task["service"], task["nodenum"]) for task in plan["tasks"])


def newest(lab):
    story = lab.story(lab.farm).check_ended()
    return sorted((task.name, task.service, task.nodenum) for task in story.tasks.values()
                  if task.job == max(story.jobs))


# ---- machines that cannot be made ----------------------------------------------------------------


@pytest.mark.parametrize("step", ["CREATE", "CONFIRM", "BOOTSTRAP"])
def test_a_machine_that_cannot_be_made_is_replaced(cloud, step):
    cloud.faults[step, "", 1001] = ONCE_MORE
    lab = farm(cloud)
    assert sorted(nodes(lab)) == [1000, 1002, 1003]
    agree(cloud)
    story = lab.story(lab.farm).check_ended()
    (told,) = story.replaced
    assert (told["nodenum"], told["by"]["nodenum"]) == (1001, 1003)
    assert told["by"]["hostname"] == f"farm{int(lab.farm)}-1003.local" and "not now" in told["message"]
    assert {task.nodenum for task in story.of("DELETE") if task.done} >= {1001}
    # the new one has all that the old one was to have
    for kind in ("BOOTSTRAP", "INSTALL", "START"):
        assert len(story.of(kind, node=1003)) == len(story.of(kind, node=1002)), kind
    broken = [run for run in lab.workers[0].runs if run.name == step and run.nodenum == 1001]
    assert len(broken) == 3
    # those that stay were configured without the one that went
    hosts = [{node["nodenum"] for node in run.config["nodes"].values()}
             for run in lab.workers[0].of("CONFIGURE") if run.nodenum == 1003]
    assert hosts and all(1001 not in seen for seen in hosts)
    assert lab.user.cluster(lab.farm)["nodes"][2]["properties"]["hostname"] == told["by"]["hostname"]
    assert lab.user.get("/v2/clusters").json[0]["numNodes"] == 3


def test_only_so_many_are_replaced_and_a_create_may_roll_itself_back(cloud):
    cloud.faults["BOOTSTRAP", "", None] = ONCE_MORE
    lab = farm(cloud, 2, wait=False, onFailure="rollback")
    details = rests(lab, "terminated")
    assert "BOOTSTRAP" in details["message"] and "not now" in details["message"]
    story = lab.story(lab.farm).check_ended()
    assert len(story.replaced) == 2 and cloud.machines == set()
    assert [job["action"] for _, job in sorted(story.jobs.items())] == [
        "solve_layout", "cluster_create", "cluster_delete"]
    # as was asked: kept, with all of what there is
    kept = farm(cloud, 2, wait=False, onFailure="keep")
    rests(kept, "incomplete")
    assert cloud.machines and cloud.machines <= {node["id"] for node in kept.user.cluster(kept.farm)["nodes"]}
    assert kept.user.post("/v2/clusters", {"name": "x", "clusterTemplate": "farm", "numMachines": 2,
                                           "onFailure": "burn"}).status == 400
    cloud.faults.clear()
    # what is left of it is done on the machines that took the places of others
    assert kept.user.post(path(kept, "/retry")).status == 200
    kept.active(kept.farm)
    assert len(nodes(kept)) == 2
    agree(cloud)


def test_how_many_are_replaced_is_the_templates_business(cloud):
    fussy = {**CATALOG["clustertemplates"][0], "name": "fussy",
             "administration": {"replacements": 0, "leaseduration": {"initial": 0}}}
    cloud.lab.load({"clustertemplates": [fussy]})
    cloud.faults["CREATE", "", 1000] = ONCE_MORE
    cloud.lab.farm = cloud.lab.create("fussy", "fussy", 2)
    rests(cloud.lab, "incomplete")
    assert not cloud.lab.story(cloud.lab.farm).replaced
    wrong = cloud.lab.admin.post("/v2/clustertemplates", {**fussy, "name": "w", "administration": {"replacements": -1}})
    assert wrong.status == 400 and "administration.replacements" in wrong.text


def test_a_replacement_survives_the_scheduler(cloud, core):
    """Killed while the machine is given up, again and again."""
    cloud.faults["CONFIRM", "", 1001] = ONCE_MORE
    cloud.faults["BOOTSTRAP", "", 1003] = ONCE_MORE
    lab = farm(cloud, wait=False)
    for count in (1, 3, 5):
        wait_for(lambda most=count: len([run for run in lab.workers[0].runs if run.nodenum in (1001, 1003)
                                         and run.name in ("CONFIRM", "BOOTSTRAP")]) >= most, 60)
        core.restart("scheduler")
    lab.active(lab.farm)
    assert sorted(nodes(lab)) == [1000, 1002, 1004]
    agree(cloud)


def test_a_new_machine_of_an_expand_is_replaced_and_counted_once(cloud):
    lab = farm(cloud)
    cloud.faults["CREATE", "", 1003] = ONCE_MORE
    assert lab.user.post(path(lab, "/expand"), {"count": 1}).status == 200
    lab.active(lab.farm)
    assert sorted(nodes(lab)) == [1000, 1001, 1002, 1004]
    agree(cloud)
    assert lab.user.get("/v2/clusters").json[0]["numNodes"] == 4


# ---- roll back -----------------------------------------------------------------------------------


def test_a_create_is_rolled_back(cloud):
    cloud.faults["START", "store", None] = NEVER
    lab = farm(cloud, wait=False)
    rests(lab, "incomplete")
    shown = roll_back(lab)
    assert {step[0] for step in steps(shown)} == {"DELETE"} and len(shown["nodes"]["removed"]) == 3
    rests(lab, "terminated")
    assert cloud.machines == set()


def test_an_expand_is_rolled_back(cloud):
    lab = farm(cloud)
    before = nodes(lab), set(cloud.running)
    cloud.faults["START", "app", 1004] = NEVER
    assert lab.user.post(path(lab, "/expand"), {"count": 2}).status == 200
    rests(lab, "inconsistent")
    shown = roll_back(lab)
    assert [node["nodenum"] for node in shown["nodes"]["removed"]] == [1003, 1004]
    lab.active(lab.farm)
    assert newest(lab) == steps(shown) and ("DELETE", "", 1003) in steps(shown)
    assert (nodes(lab), cloud.running) == before
    agree(cloud)
    refused = lab.user.post(path(lab, "/rollback"))
    assert refused.status == 409


def test_added_services_are_rolled_back(cloud):
    lab = farm(cloud)
    before = nodes(lab), set(cloud.running)
    cloud.faults["START", "cron", None] = NEVER
    assert lab.user.post(path(lab, "/services"), {"services": ["cron"]}).status == 200
    rests(lab, "inconsistent")
    shown = roll_back(lab)
    assert [step[:2] for step in steps(shown)] == [("REMOVE", "cron"), ("STOP", "cron")]
    assert [node["servicesRemoved"] for node in shown["nodes"]["changed"]] == [["cron"]]
    lab.active(lab.farm)
    assert (nodes(lab), cloud.running) == before
    assert lab.user.get(path(lab, "/services")).json == ["app", "base", "store"]


def test_removed_services_are_rolled_back(cloud):
    lab = farm(cloud)
    before = nodes(lab), set(cloud.running)
    cloud.faults["REMOVE", "app", 1001] = NEVER
    cloud.gate = Gate("REMOVE", node=1001)
    assert lab.user.delete(path(lab, "/services/app")).status == 200
    cloud.gate.wait()
    other = next(num for num, services in before[0].items() if "app" in services and num != 1001)
    wait_for(lambda: any(run.answer for run in lab.workers[0].of("REMOVE") if run.nodenum == other))
    cloud.gate.open()
    rests(lab, "inconsistent")
    cloud.gate = None
    shown = roll_back(lab)
    assert "installed anew" in shown["notes"][0] and "app" in shown["notes"][0]
    assert ("INSTALL", "app", other) in steps(shown) and ("START", "app", 1001) in steps(shown)
    lab.active(lab.farm)
    assert (nodes(lab), cloud.running) == before


def test_a_configuration_is_rolled_back(cloud):
    lab = farm(cloud)
    old = lab.user.get(path(lab, "/config")).json
    cloud.faults["CONFIGURE", "app", None] = NEVER
    assert lab.user.put(path(lab, "/config"), {"config": {"app": {"port": "81"}}}).status == 200
    rests(lab, "inconsistent")
    cloud.faults.clear()
    shown = roll_back(lab)
    assert {"path": "/app/port", "from": "81", "to": "80"} in shown["config"]
    lab.active(lab.farm)
    assert lab.user.get(path(lab, "/config")).json == old
    told = lab.workers[0].of("CONFIGURE", "app")[-1].config["cluster"]
    assert told["app"]["port"] == "80"
    assert len([one for one in cloud.running if one[1] == "app"]) == 2


def test_what_was_not_well_before_is_not_well_after(cloud):
    lab = farm(cloud)
    cloud.faults["STOP", "app", None] = NEVER
    assert lab.user.post(path(lab, "/services/app/restart")).status == 200
    rests(lab, "inconsistent")
    cloud.faults = {("CONFIGURE", "store", None): NEVER}
    old = lab.user.get(path(lab, "/config")).json
    assert lab.user.put(path(lab, "/config"), {"config": {}, "restart": False}).status == 200
    wait_for(lambda: lab.user.get(path(lab, "/status")).json["actionstatus"] == "failed")
    rests(lab, "inconsistent")
    cloud.faults.clear()
    roll_back(lab)
    wait_for(lambda: lab.user.get(path(lab, "/status")).json["actionstatus"] == "complete")
    assert lab.user.cluster_status(lab.farm) == "inconsistent"
    assert lab.user.get(path(lab, "/config")).json == old
    lab.story(lab.farm).check_ended()


def test_a_cluster_without_one_of_its_machines_is_not_active(cloud):
    """What a failed shrink deleted is not there, whatever else goes well after it."""
    lab = farm(cloud)
    cloud.faults["DELETE", "", 1000] = NEVER
    cloud.gate = Gate("DELETE", node=1000)
    assert lab.user.post(path(lab, "/expand"), {"count": 1}).status == 200
    lab.active(lab.farm)
    assert lab.user.post(path(lab, "/shrink"), {"nodes": [1000, 1003]}).status == 200
    cloud.gate.wait()
    wait_for(lambda: any(run.answer for run in lab.workers[0].of("DELETE") if run.nodenum == 1003))
    cloud.gate.open()
    rests(lab, "inconsistent")
    assert lab.user.put(path(lab, "/config"), {"config": {"store": {"size": "9"}}, "restart": False}).status == 200
    wait_for(lambda: lab.user.get(path(lab, "/status")).json["actionstatus"] == "complete")
    details = lab.user.cluster(lab.farm)
    assert details["status"] == "inconsistent" and "-1003.local" in details["message"]
    assert lab.user.post(path(lab, "/shrink"), {"nodes": [1003]}).status == 200
    lab.active(lab.farm)
    agree(cloud)


@pytest.mark.parametrize("verb, fails", [("stop", "STOP"), ("restart", "START"), ("start", "START")])
def test_what_ran_runs_again(cloud, verb, fails):
    lab = farm(cloud)
    if verb == "start":
        assert lab.user.post(path(lab, "/services/stop")).status == 200
        lab.active(lab.farm)
    before = set(cloud.running)
    cloud.faults[fails, "app" if verb != "stop" else "store", None] = NEVER
    assert lab.user.post(path(lab, f"/services/{verb}")).status == 200
    rests(lab, "inconsistent")
    cloud.faults.clear()
    shown = roll_back(lab)
    want = "STOP" if verb == "start" else "START"
    assert {step[0] for step in steps(shown)} == {want}, shown
    lab.active(lab.farm)
    assert cloud.running == before
    # what is surely as it was is left alone
    assert verb != "stop" or len(steps(shown)) == 3
    assert verb != "restart" or ("START", "store", 1002) not in steps(shown)


def test_a_shrink_is_rolled_back_with_a_new_machine_for_the_deleted(cloud):
    lab = farm(cloud, 4)
    before = nodes(lab), set(cloud.running)
    cloud.faults["DELETE", "", 1002] = NEVER
    cloud.gate = Gate("DELETE", node=1002)
    assert lab.user.post(path(lab, "/shrink"), {"nodes": [1001, 1002]}).status == 200
    cloud.gate.wait()
    wait_for(lambda: any(run.answer for run in lab.workers[0].of("DELETE") if run.nodenum == 1001))
    cloud.gate.open()
    rests(lab, "inconsistent")
    cloud.gate = None
    shown = roll_back(lab)
    assert any("-1001.local was deleted: a new one" in note for note in shown["notes"]), shown["notes"]
    assert ("CREATE", "", 1001) in steps(shown) and ("CREATE", "", 1000) not in steps(shown)
    lab.active(lab.farm)
    assert (nodes(lab), cloud.running) == before
    agree(cloud)


def test_a_roll_back_that_fails_is_retried(cloud):
    lab = farm(cloud)
    cloud.faults["START", "app", 1003] = NEVER
    cloud.faults["DELETE", "", 1003] = NEVER
    assert lab.user.post(path(lab, "/expand"), {"count": 1}).status == 200
    rests(lab, "inconsistent")
    # a retry that fails again is rolled back together with what it retried
    assert lab.user.post(path(lab, "/retry")).status == 200
    wait_for(lambda: len(lab.workers[0].of("START", "app")) >= 4 and
             lab.user.cluster_status(lab.farm) == "inconsistent", 60)
    roll_back(lab)
    rests(lab, "inconsistent")
    refused = lab.user.post(path(lab, "/rollback"))
    assert refused.status == 409 and "retry" in refused.text
    cloud.faults.clear()
    assert lab.user.post(path(lab, "/retry")).status == 200
    lab.active(lab.farm)
    assert sorted(nodes(lab)) == [1000, 1001, 1002]
    agree(cloud)


# ---- nothing was done ----------------------------------------------------------------------------


def test_an_abort_before_anything_was_done_leaves_nothing_behind(lab):
    """Without a worker, every kind of job is aborted before its first task."""
    lab.load(CATALOG)
    worker = lab.worker()
    lab.farm = lab.create("farm", "farm", 3)
    lab.active(lab.farm)
    worker.kill()
    before = nodes(lab), lab.user.get(path(lab, "/config")).json, lab.user.get(path(lab, "/services")).json
    for method, rest, body in (("post", "/expand", {"count": 2}), ("post", "/services", {"services": ["cron"]}),
                               ("put", "/config", {"config": {"app": {"port": "1"}}}),
                               ("post", "/shrink", {"count": 1}), ("post", "/services/restart", {}),
                               ("delete", "/services/app", {})):
        answer = lab.user.delete(path(lab, rest)) if method == "delete" else \
            getattr(lab.user, method)(path(lab, rest), body)
        assert answer.status == 200, (rest, answer)
        wait_for(lambda: lab.user.get(path(lab, "/status")).json["actionstatus"] == "running")
        assert lab.user.post(path(lab, "/abort")).status == 200
        wait_for(lambda: lab.user.cluster_status(lab.farm) == "active", 60, rest)
        now = nodes(lab), lab.user.get(path(lab, "/config")).json, lab.user.get(path(lab, "/services")).json
        assert now == before, rest
    assert lab.user.get("/v2/clusters").json[0]["numNodes"] == 3


# ---- deletion ------------------------------------------------------------------------------------


def test_a_cluster_without_any_machine_is_deleted_without_anybody(lab):
    lab.load(CATALOG)
    lab.farm = lab.create("farm", "farm", 3)
    wait_for(lambda: lab.user.get(path(lab, "/status")).json["action"] == "cluster_create")
    assert lab.user.delete(path(lab)).status == 200
    assert "Deleted by user ann" in rests(lab, "terminated")["message"]
    assert lab.user.delete(path(lab)).status == 200


@pytest.mark.parametrize("paused", [False, True])
def test_a_create_under_way_is_deleted(cloud, paused):
    cloud.gate = Gate("BOOTSTRAP", node=1001)
    lab = farm(cloud, wait=False)
    cloud.gate.wait()
    if paused:
        assert lab.user.post(path(lab, "/pause")).status == 200
    assert lab.user.delete(path(lab)).status == 200
    assert lab.user.delete(path(lab)).status == 200  # once is enough
    cloud.gate.open()
    rests(lab, "terminated")
    story = lab.story(lab.farm).check_ended()
    assert cloud.machines == set()
    assert [job["action"] for _, job in sorted(story.jobs.items())] == [
        "solve_layout", "cluster_create", "cluster_delete"]


def test_an_operation_under_way_is_deleted_and_so_is_one_that_waits_for_its_last_task(cloud):
    lab = farm(cloud)
    cloud.gate = Gate("STOP", node=1001)
    assert lab.user.post(path(lab, "/services/restart")).status == 200
    cloud.gate.wait()
    assert lab.user.post(path(lab, "/abort")).status == 200
    assert lab.user.cluster_status(lab.farm) == "pending"
    assert lab.user.delete(path(lab)).status == 200
    cloud.gate.open()
    rests(lab, "terminated")
    assert cloud.machines == set()


def test_what_the_provider_keeps_is_named_and_all_else_is_gone(cloud):
    lab = farm(cloud, 4)
    for num in (1001, 1003):
        cloud.faults["DELETE", "", num] = NEVER
    cloud.gate = Gate("DELETE", node=1000)
    assert lab.user.delete(path(lab)).status == 200
    wait_for(lambda: len([run for run in lab.workers[0].of("DELETE") if run.answer]) == 3)
    cloud.gate.open()  # the last one is deleted after the others were given up
    details = rests(lab, "incomplete")
    for num in (1001, 1003):
        assert f"-{num}.local (no way)" in details["message"]
    assert "did not give up 2 machines" in details["message"] and "-1000" not in details["message"]
    assert sorted(nodes(lab)) == [1001, 1003] and lab.user.get("/v2/clusters").json[0]["numNodes"] == 2
    agree(cloud)
    lab.story(lab.farm).check_ended()
    cloud.faults.clear()
    assert lab.user.delete(path(lab)).status == 200
    rests(lab, "terminated")
    assert cloud.machines == set()
    assert {num for _, _, num in newest(lab)} == {1001, 1003}


# ---- plans ---------------------------------------------------------------------------------------


def test_a_token_outlives_what_changes_nothing(cloud):
    lab = farm(cloud)
    shown = lab.user.post(path(lab, "/plan"), {"operation": "stop", "services": ["app"]}).json
    end = lab.user.cluster(lab.farm)["expireTime"]
    assert lab.user.post(path(lab), {"expireTime": end + 60000 if end else 4102444800000}).status == 200
    assert lab.user.post(path(lab, "/services/app/stop"), {"token": shown["token"]}).status == 200
    lab.active(lab.farm)
    stale = lab.user.post(path(lab, "/services/app/stop"), {"token": shown["token"]})
    assert stale.status == 409
