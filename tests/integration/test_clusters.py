# SPDX-License-Identifier: Apache-2.0
"""Clusters as their users see them: creating, refusing, showing, planning, deleting."""

import concurrent.futures
import re

import pytest

from support import wait_for
from support.lab import DEMO, Lab, post_named, race, template
from support.worker import Gate

# ---- create, show, delete


def test_create_to_active_to_deleted(lab):
    lab.worker()
    answer = lab.user.post("/v2/clusters", DEMO)
    assert answer.status == 200 and list(answer.json) == ["id"] and re.fullmatch(r"\d{8}", answer.json["id"])
    cluster = answer.json["id"]
    story = lab.active(cluster)
    assert story.statuses == ["pending", "active"]
    assert [job["action"] for job in story.jobs.values()] == ["solve_layout", "cluster_create"]
    lab.user.delete_cluster(cluster)
    story = lab.story(cluster).check_ended()
    assert story.statuses == ["pending", "active", "pending", "terminated"]
    assert [job["action"] for job in story.jobs.values()][2] == "cluster_delete"
    assert len(story.of("DELETE")) == 3
    answer = lab.user.delete(f"/v2/clusters/{cluster}")
    assert answer.status == 200 and answer.body == b""
    # a terminated cluster stays in the list
    assert [entry["status"] for entry in lab.user.get("/v2/clusters").json] == ["terminated"]


def test_summary(lab):
    cluster = lab.create("demo", "stack", 3, description="what it is for")
    entry = wait_for(lambda: next((entry for entry in lab.user.get("/v2/clusters").json if entry["numNodes"]), None))
    times = {key: entry.pop(key) for key in ("createTime", "expireTime")}
    assert times["expireTime"] == times["createTime"] + 2592000000
    services = entry.pop("services")
    assert sorted(services) == ["base", "db", "web"]
    total = entry["progress"].pop("stepstotal")
    assert total == 22 and entry == {
        "id": cluster, "name": "demo", "description": "what it is for", "ownerId": "ann", "numNodes": 3,
        "status": "pending", "labels": {}, "provider": {"name": "lab", "description": "the lab", "version": 1},
        "clusterTemplate": {"name": "stack", "version": 1},
        "progress": {"action": "cluster_create", "actionstatus": "running", "stepscompleted": 0}}


def test_details(lab):
    lab.worker()
    cluster = lab.create("Web_1.x", "stack", 2, config={"web": {"port": 81, "list": [1, 2.5, None]}})
    lab.active(cluster)
    details = lab.user.cluster(cluster)
    assert details["id"] == cluster and details["name"] == "Web_1.x" and details["description"] == ""
    assert details["account"] == {"userId": "ann", "tenantId": lab.tenant} and "ownerId" not in details
    assert details["provider"]["provisioner"] == {"url": "http://x", "project": "p", "retries": 5}
    assert details["clusterTemplate"]["constraints"]["size"] == {"min": 2, "max": 20}
    assert details["config"] == {"web": {"port": 81, "list": [1, 2.5, None]}}
    assert details["status"] == "active" and details["latestJobId"] == f"{cluster}-002"
    assert details["progress"]["actionstatus"] == "complete" and "message" not in details
    assert details["links"] == [] and details["lastEvent"] > 40
    assert [node["properties"]["nodenum"] for node in details["nodes"]] == [1000, 1001]
    node = next(node for node in details["nodes"] if "web" in node["properties"]["services"])
    assert node["clusterId"] == cluster and re.fullmatch(r"[0-9a-f-]{36}", node["id"])
    properties = node["properties"]
    assert {"flavor": "m1.small", "image": "img-7", "sshuser": "debian", "hardwaretype": "small",
            "imagetype": "deb", "automators": ["testshell"]}.items() <= properties.items()
    # digits at the front of a name go, _ and . become -, the cluster's number and the node's follow
    assert properties["hostname"] == f"web-1-x{int(cluster)}-{properties['nodenum']}.local"
    assert {entry["name"] for entry in node["services"]} == set(properties["services"]) == {"base", "web"}
    web = next(entry for entry in node["services"] if entry["name"] == "web")
    assert web["dependencies"]["runtime"]["uses"] == ["db"] and web["version"] == 1
    assert node["provisionerResults"] == {"providerid": f"machine-{properties['nodenum']}"}
    actions = node["actions"]
    assert [action["action"] for action in actions] == [
        "CREATE", "CONFIRM", "BOOTSTRAP", "INSTALL", "INSTALL", "CONFIGURE", "START"]
    assert [action["service"] for action in actions][:4] == ["", "", "", "base"]
    for action in actions:
        assert action["status"] == "complete" and action["statusTime"] >= action["submitTime"] > 0
        assert "stdout" not in action and action["taskId"].startswith(f"{cluster}-002-")


def test_status_config_services(lab):
    gate = Gate("CREATE")
    lab.worker(gate)
    cluster = lab.create("demo", "stack", 2)
    gate.wait()
    path = f"/v2/clusters/{cluster}"
    assert lab.user.get(f"{path}/status").json == {
        "clusterid": cluster, "stepstotal": 15, "stepscompleted": 0, "status": "pending",
        "actionstatus": "running", "action": "cluster_create"}
    assert lab.user.get(f"{path}/config").json == {"web": {"port": "80", "db": "%host.service.db%"},
                                                   "self": "%ip.bind_v4.self%"}
    assert sorted(lab.user.get(f"{path}/services").json) == ["base", "db", "web"]
    # the number may be written without its zeros
    assert lab.user.get(f"/v2/clusters/{int(cluster)}/status").json["clusterid"] == cluster
    assert lab.user.get(f"{path}/").json["id"] == cluster
    gate.open()
    lab.active(cluster)
    assert lab.user.get(f"{path}/status").json["stepscompleted"] == 15


def test_plans(lab):
    lab.worker()
    cluster = lab.create("demo", "stack", 2)
    story = lab.active(cluster)
    plans = lab.user.get(f"/v2/clusters/{cluster}/plans").json
    assert [plan["action"] for plan in plans] == ["CLUSTER_CREATE", "SOLVE_LAYOUT"]
    assert [plan["id"] for plan in plans] == [f"{cluster}-002", f"{cluster}-001"]
    assert plans[1]["stages"] == [] and plans[1]["clusterId"] == cluster
    create = lab.user.get(f"/v2/clusters/{cluster}/plans/{cluster}-002").json
    assert create == plans[0]
    tasks = [task for stage in create["stages"] for task in stage]
    assert {task["id"] for task in tasks} == set(story.tasks)
    assert [[task["taskName"] for task in stage] for stage in create["stages"][:3]] == [
        ["CREATE"] * 2, ["CONFIRM"] * 2, ["BOOTSTRAP"] * 2]
    assert create["currentStage"] == len(create["stages"]) - 1
    assert set(tasks[0]) == {"id", "taskName", "nodeId", "service"} and tasks[0]["service"] == ""
    # edges lead from earlier stages to later ones
    stage = {task["id"]: number for number, tasks in enumerate(create["stages"]) for task in tasks}
    assert all(stage[before] < stage[task.id] for task in story.tasks.values() for before in task.after)
    for name, status in ((f"{cluster}-009", 404), ("x", 400), ("00099999-001", 400), (f"{cluster}-002-001", 400)):
        assert lab.user.get(f"/v2/clusters/{cluster}/plans/{name}").status == status


def test_links_are_expanded(lab):
    lab.worker()
    cluster = lab.create("demo", "linked")
    lab.active(cluster)
    details = lab.user.cluster(cluster)
    assert details["clusterTemplate"]["links"] == [{"label": "site", "url": "http://%host.service.web%/"}]
    assert details["links"] == [{"label": "site", "url": f"http://{details['nodes'][0]['properties']['hostname']}/"}]


def test_documents_are_copied_into_the_cluster(lab):
    gate = Gate("CREATE")
    worker = lab.worker(gate)
    cluster = lab.create("demo", "stack", 2)
    gate.wait()
    lab.change("providers", "lab", provisioner={"url": "http://new", "project": "q"})
    lab.change("services", "web", provisioner={"actions": {}})
    assert lab.admin.delete("/v2/clustertemplates/stack").status == 200
    gate.open()
    lab.active(cluster)
    assert lab.user.cluster(cluster)["provider"]["version"] == 1
    assert worker.of("START", "web")[0].config["provider"]["provisioner"]["url"] == "http://x"
    # deleting needs none of them
    lab.user.delete_cluster(cluster)


def test_cluster_without_service_actions(lab):
    worker = lab.worker()
    cluster = lab.create("demo", "empty", 1)
    lab.active(cluster)
    assert [run.name for run in worker.runs][:2] == ["CREATE", "CONFIRM"]
    assert not any(run.service for run in worker.runs)


# ---- refusals


@pytest.mark.parametrize("change, status, says", [
    ({"name": None}, 400, "name"),
    ({"name": ""}, 400, "name"),
    ({"name": "a b"}, 400, "name"),
    ({"name": "x" * 256}, 400, "name"),
    ({"name": []}, 400, "name"),
    ({"clusterTemplate": None}, 400, "clusterTemplate"),
    ({"clusterTemplate": "nosuch"}, 404, "nosuch"),
    ({"numMachines": None}, 400, "numMachines"),
    ({"numMachines": "x"}, 400, "numMachines"),
    ({"numMachines": 0}, 400, "numMachines must be from 1 to 10000, not 0"),
    ({"numMachines": -3}, 400, "numMachines"),
    ({"numMachines": 2.5}, 400, "numMachines"),
    ({"numMachines": 10001}, 400, "numMachines must be from 1 to 10000, not 10001"),
    ({"numMachines": 1}, 400, "numMachines"),
    ({"numMachines": 21}, 400, "numMachines"),
    ({"numMachines": 1 << 70}, 400, "numMachines"),
    ({"provider": "nosuch"}, 404, "nosuch"),
    ({"provider": "orphan"}, 404, "provider type nosuchtype does not exist: no provisioner"),
    ({"provider": {}}, 400, "provider"),
    ({"initialLeaseDuration": 0}, 400, "initialLeaseDuration"),
    ({"initialLeaseDuration": -2}, 400, "initialLeaseDuration"),
    ({"initialLeaseDuration": 2592000001}, 400, "initialLeaseDuration"),
    ({"initialLeaseDuration": (1 << 63) - 1}, 400, "initialLeaseDuration"),
    ({"initialLeaseDuration": "soon"}, 400, "initialLeaseDuration"),
    ({"dnsSuffix": "a..b"}, 400, "dnsSuffix"),
    ({"dnsSuffix": "x" * 64}, 400, "dnsSuffix"),
    ({"dnsSuffix": "_x"}, 400, "dnsSuffix"),
    ({"services": "web"}, 400, "services"),
    ({"services": [{}]}, 400, "services[0]"),
    ({"config": []}, 400, "config"),
    ({"config": {"web": [{"url": "http://x/a%20b%20c"}]}}, 400,
     "config: web[0].url: '20b' is not a valid macro name in \"%20b%20c\" (a plain percent sign is written %%)"),
    ({"config": {"log": "date +%Y-%m-%d"}}, 400, "config: log: 'Y-' is not a valid macro name"),
    ({"config": {"x": "%join(host.service.web,)%"}}, 400, "config: x: Expected ' or"),
    ({"providerFields": []}, 400, "providerFields"),
    ({"hardwaretype": {}}, 400, "hardwaretype"),
    ({"imagetype": []}, 400, "imagetype"),
    ({"description": {}}, 400, "description"),
    ({"labels": "env=test"}, 400, "labels must be an object"),
    ({"labels": {"env": "test", "two words": ""}}, 400, "key 'two words'"),
    ({"labels": {"env": "not good"}}, 400, "value of 'env'"),
    ({"labels": {"env": 1}}, 400, "value of 'env' must be a string"),
    ({"labels": {f"k{n}": "" for n in range(65)}}, 400, "at most 64, not 65"),
])
def test_create_refusals(lab, change, status, says):
    answer = lab.user.post("/v2/clusters", {**DEMO, **change})
    assert answer.status == status and says in answer.text, answer
    assert lab.user.get("/v2/clusters").json == []
    # the preview refuses for the same reason, as a problem document
    answer = lab.user.post("/v2/clusters/plan", {**DEMO, **change})
    assert answer.status == status and says in answer.json["detail"], answer
    assert answer.headers["Content-Type"] == "application/problem+json" and answer.json["status"] == status


@pytest.mark.parametrize("body", ["", "null", "[]", "7", "{", '{"name":', '{"a":1,"a":2}', "{}"])
def test_create_bad_bodies(lab, body):
    assert lab.user.post("/v2/clusters", body).status == 400
    answer = lab.user.post("/v2/clusters/plan", body)
    assert answer.status == 400 and answer.headers["Content-Type"] == "application/problem+json"


def test_named_create_is_carried_out_once(lab):
    """Sent again it has the answer of the first one, whatever has changed since."""
    first = post_named(lab.user, "order-17", DEMO)
    assert first.status == 200, first
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: post_named(lab.user, "at once", {**DEMO, "name": "once"}), range(16)))
    # those that came while it was under way are told so
    assert all(answer.status == 200 or (answer.status == 409 and answer.headers["Retry-After"] == "1")
               for answer in answers), answers
    answers = [answer for answer in answers if answer.status == 200]
    assert len({answer.json["id"] for answer in answers}) == 1
    other = post_named(lab.admin, "order-17", {**DEMO, "name": "other"})
    assert len({first.json["id"], answers[0].json["id"], other.json["id"]}) == 3
    answer = post_named(lab.user, "order-17", {**DEMO, "name": "different"})
    assert answer.status == 422 and "Idempotency-Key" in answer.text
    lab.set_quota(clusters=3)
    assert post_named(lab.user, "new", {**DEMO, "name": "new"}).status == 409
    assert post_named(lab.user, "order-17", DEMO).json == first.json
    # what was refused was not carried out, and may be asked for again
    lab.set_quota(clusters=4)
    assert post_named(lab.user, "new", {**DEMO, "name": "new"}).status == 200
    assert len(lab.user.get("/v2/clusters").json) == 3
    for key in ("x" * 256, "\u00e4", "a\tb"):
        assert post_named(lab.user, key, DEMO).status == 400


def test_create_accepts(lab):
    """What clients send that is odd but fine."""
    for number, more in enumerate((
                 {"numMachines": "3"}, {"initialLeaseDuration": -1}, {"initialLeaseDuration": "2592000000"},
                 {"services": []}, {"description": None, "services": None, "config": None, "provider": None,
                                    "providerFields": None, "dnsSuffix": None, "initialLeaseDuration": None},
                 {"dnsSuffix": "a-1.example.com"}, {"labels": None}, {"labels": {}},
                 {"unknown": 1}, {"description": "x" * 100000},
                 {"name": "1-a"}, {"name": "x" * 255})):
        answer = lab.user.post("/v2/clusters", {**DEMO, "name": f"odd{number}", **more})
        assert answer.status == 200, (str(more)[:100], answer)
    wait_for(lambda: all(entry["numNodes"] == 3 for entry in lab.user.get("/v2/clusters").json), what="solved")
    names = [node["properties"]["hostname"] for entry in lab.user.get("/v2/clusters").json
             for node in lab.user.cluster(entry["id"])["nodes"]]
    assert len(set(names)) == 36 and all(len(name.split(".")[0]) <= 63 for name in names)


def test_configurations_are_small(lab):
    """They go out with every task of every node, so their size is limited wherever one is given."""
    fits, large = {"a": "x" * (250 << 10)}, {"a": "x" * (256 << 10)}
    for answer in (lab.user.post("/v2/clusters", {**DEMO, "config": large}),
                   lab.user.post("/v2/clusters/plan", {**DEMO, "config": large}),
                   lab.admin.post("/v2/clustertemplates", template("heavy", ["web"], defaults={"config": large}))):
        assert answer.status == 400 and "config has" in answer.text and "at most 262144" in answer.text, answer
    # two that fit alone, but not together
    for name, key, more in (("base", "a", {}), ("leaf", "b", {"extends": {"name": "base"}})):
        document = template(name, ["web", "base"], defaults={"config": {key: "x" * (200 << 10)}}, **more)
        assert lab.admin.post("/v2/clustertemplates", document).status == 200
    answer = lab.user.post("/v2/clusters", {**DEMO, "clusterTemplate": "leaf", "numMachines": 1})
    assert answer.status == 400 and "defaults.config has" in answer.text
    lab.worker()
    cluster = lab.create("demo", "stack", 2, config=fits)
    lab.active(cluster)
    url = f"/v2/clusters/{cluster}"
    answer = lab.user.put(f"{url}/config", {"config": large})
    assert answer.status == 400 and "at most 262144" in answer.text
    assert lab.user.put(f"{url}/config", {"config": {"a": "y" * (250 << 10)}}).status == 200
    lab.active(cluster)


def test_macros_of_a_template_are_checked_before_machines_are_made(lab):
    document = template("dated", ["web", "base"], defaults={"config": {"log": "%Y-%m-%d"}})
    assert lab.admin.post("/v2/clustertemplates", document).status == 200
    answer = lab.user.post("/v2/clusters", {**DEMO, "clusterTemplate": "dated"})
    assert answer.status == 400 and "defaults.config: log: 'Y-' is not a valid macro name" in answer.text, answer
    lab.worker()
    cluster = lab.create("demo", "dated", 2, config={"log": "%%Y-%%m-%%d %host.service.nobody%"})
    lab.active(cluster)
    answer = lab.user.put(f"/v2/clusters/{cluster}/config", {"config": {"log": "50% of 100%"}})
    assert answer.status == 400 and "config: log: " in answer.text, answer
    assert lab.user.cluster_status(cluster) == "active"


def test_leases(lab):
    for source, asked, lease in (("stack", None, 2592000000), ("stack", -1, 2592000000), ("stack", 5000, 5000),
                                 ("one", None, 0), ("one", 0, 0), ("one", 7000, 7000)):
        more = {} if asked is None else {"initialLeaseDuration": asked}
        cluster = lab.create("demo", source, 2, **more)
        details = lab.user.cluster(cluster)
        assert details["expireTime"] == (details["createTime"] + lease if lease else 0)
    assert lab.user.post("/v2/clusters", {"name": "x", "clusterTemplate": "one", "numMachines": 1,
                                          "initialLeaseDuration": (1 << 63) - 1}).status == 400


def test_provider_fields(lab):
    url = "/v2/clusters"
    body = {**DEMO, "provider": "bare"}
    answer = lab.user.post(url, body)
    assert answer.status == 400 and answer.headers["Content-Type"] == "application/json"
    missing = answer.json["missingFields"]
    project = {"label": "Project", "type": "text", "tip": "", "defaultValue": "main", "override": False,
               "sensitive": False}
    assert missing[0] == {"project": project}
    assert set(missing[1]) == {"color", "token"} and missing[1]["token"]["sensitive"] is True
    answer = lab.user.post(url, {**body, "providerFields": {"color": "red"}})
    assert answer.status == 400 and set(answer.json["missingFields"][1]) == {"token"}
    assert lab.user.post(url, {**body, "providerFields": {"project": None}}).status == 400
    answer = lab.user.post(url + "/plan", {**body, "providerFields": {"color": "red"}})
    assert answer.status == 400 and "token" in answer.json["detail"]
    # declared ones are taken over, and an administrator's that users may override; others are dropped
    cluster = lab.create("demo", "stack", 2, provider="bare", providerFields={
        "project": "mine", "region": "north", "url": "http://evil", "other": {"a": 1}})
    assert lab.user.cluster(cluster)["provider"]["provisioner"] == {"project": "mine", "region": "north"}
    # which is said
    for path in (url, url + "/plan"):
        fields = {"project": "mine", "regoin": "north", "url": "http://evil", "other": {"a": "hush"}}
        answer = lab.user.post(path, {**body, "name": "told", "providerFields": fields})
        assert answer.status == 200 and answer.headers.get_all("Warning") == [
            '299 loom "no such field, passed over: providerFields.regoin, providerFields.url, providerFields.other"']
    answer = lab.user.post(url, {**body, "providerFields": {"colour": "red"}})
    assert answer.status == 400 and "providerFields.colour" in answer.headers["Warning"], answer
    answer = lab.user.post(url, {**body, "name": "told2", "providerFields": {"project": "mine"}})
    assert answer.status == 200 and answer.headers.get("Warning") is None
    secret = lab.create("demo", "stack", 2, provider="bare", providerFields={"color": "red", "token": "t0ken"})
    assert lab.user.cluster(secret)["provider"]["provisioner"] == {"color": "red", "token": "********"}
    # the stored provider is as it was
    assert lab.user.get("/v2/providers/bare").json["provisioner"] == {}


def test_template_that_names_no_provider(lab):
    document = {"name": "lonely", "defaults": {"services": ["web"]}}
    assert lab.admin.post("/v2/clustertemplates", document).status == 200
    answer = lab.user.post("/v2/clusters", {**DEMO, "clusterTemplate": "lonely"})
    assert answer.status == 400 and answer.text.startswith(
        "provider is missing: the template lonely names none"), answer


@pytest.mark.parametrize("change, says", [
    ({"services": ["nosuch"]}, "nosuch"),
    ({"hardwaretype": "nosuch"}, "nosuch"),
    ({"imagetype": "nosuch"}, "nosuch"),
    ({"services": ["front"]}, "web"),
    ({"clusterTemplate": "nodb"}, "db"),
    ({"clusterTemplate": "apart"}, "mustcoexist"),
])
def test_what_cannot_be_laid_out_fails_the_solving_with_the_reason(lab, change, says):
    answer = lab.user.post("/v2/clusters/plan", {**DEMO, **change})
    assert 400 <= answer.status < 500 and answer.headers["Content-Type"] == "application/problem+json"
    assert says in answer.json["detail"], answer
    cluster = lab.create("demo", change.get("clusterTemplate", "stack"), 3,
                         **{key: value for key, value in change.items() if key != "clusterTemplate"})
    details = lab.user.wait_cluster(cluster, "terminated")
    assert answer.json["detail"] in details["message"]
    assert details["progress"] == {"action": "solve_layout", "actionstatus": "failed", "stepstotal": 0,
                                   "stepscompleted": 0}
    assert details["nodes"] == []


# ---- the plan of a cluster that is not made


def test_plan_creates_nothing_and_tells_what_create_would_do(lab):
    answer = lab.user.post("/v2/clusters/plan", DEMO)
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json"
    plan = answer.json
    assert set(plan) == {"layout", "nodes", "tasks"}
    assert sum(group["count"] for group in plan["layout"]) == 3
    assert {"hardwaretype": "small", "imagetype": "deb"}.items() <= plan["layout"][0].items()
    assert [node["nodenum"] for node in plan["nodes"]] == [1000, 1001, 1002]
    assert [task["id"] for task in plan["tasks"]] == list(range(len(plan["tasks"])))
    assert all(before < task["id"] for task in plan["tasks"] for before in task["after"])
    assert lab.user.get("/v2/clusters").json == []
    lab.worker()
    cluster = lab.create("demo", "stack", 3)
    story = lab.active(cluster)
    planned = sorted((task["taskName"], task["nodenum"], task["service"]) for task in plan["tasks"])
    assert planned == sorted((task.name, task.nodenum, task.service) for task in story.tasks.values())
    nodes = [(node["properties"]["nodenum"], sorted(node["properties"]["services"]))
             for node in lab.user.cluster(cluster)["nodes"]]
    assert nodes == [(node["nodenum"], sorted(node["services"])) for node in plan["nodes"]]


def test_plan_needs_identity(lab):
    assert lab.stack.client("api.external", user=None).post("/v2/clusters/plan", DEMO).status == 401


# ---- who sees what


def test_visibility(lab, core, tenants):
    other = Lab(core, *next(tenants))
    bob = lab.user.as_user("bob", lab.name)
    mine, his = lab.create("mine"), lab.create("admins")
    bobs = bob.create_cluster("bobs", "one", 1)
    assert [entry["id"] for entry in lab.user.get("/v2/clusters").json] == [his, mine]
    assert [entry["id"] for entry in bob.get("/v2/clusters").json] == [bobs]
    assert [entry["id"] for entry in lab.admin.get("/v2/clusters").json] == [bobs, his, mine]
    assert other.admin.get("/v2/clusters").json == []
    task = f"{mine}-002-001"
    wait_for(lambda: lab.user.cluster(mine)["nodes"])
    for stranger in (bob, other.admin, other.admin.as_user("ann", other.name), core.api):
        for path in ("", "/status", "/config", "/services", "/plans", f"/plans/{mine}-001", "/events", "/why"):
            assert stranger.get(f"/v2/clusters/{mine}{path}").status == 404, path
        assert stranger.delete(f"/v2/clusters/{mine}").status == 404
        assert stranger.get(f"/v2/tasks/{task}/log").status == 404
    for path in ("", "/status", "/config", "/services", "/plans"):
        assert lab.admin.get(f"/v2/clusters/{mine}{path}").status == 200
        assert lab.admin.get(f"/v2/clusters/99999999{path}").status == 404
        assert lab.admin.get(f"/v2/clusters/abc{path}").status == 400
    assert lab.admin.delete("/v2/clusters/99999999").status == 404
    assert lab.admin.delete("/v2/clusters/abc").status == 400


def test_list_filter(lab):
    lab.worker()
    active, gone = lab.create("active"), lab.create("gone")
    for cluster in (active, gone):
        lab.user.wait_cluster(cluster, "active")
    lab.user.delete_cluster(gone)
    for words, ids in (("active", [active]), ("terminated", [gone]), ("ACTIVE,Terminated", [gone, active]),
                       ("pending", []), ("nonsense", [gone, active]), ("nonsense,active", [active]),
                       ("", [gone, active]), ("active&status=terminated", [active])):
        assert [entry["id"] for entry in lab.user.get(f"/v2/clusters?status={words}").json] == ids, words
    assert [entry["id"] for entry in lab.user.get("/v2/clusters/?status=ACTIVE").json] == [active]


# ---- delete


def test_delete_while_pending(lab):
    gate = Gate("CREATE")
    worker = lab.worker(gate)
    cluster = lab.create()
    gate.wait()
    answer = lab.user.delete(f"/v2/clusters/{cluster}")
    assert answer.status == 200 and answer.body == b""
    gate.open()
    lab.user.wait_cluster(cluster, "terminated")
    assert len(worker.of("DELETE")) == 1


def test_delete_bodies(lab):
    lab.worker()
    cluster = lab.create()
    lab.active(cluster)
    for body in ("{", "[]", "7", '"x"'):
        assert lab.user.delete(f"/v2/clusters/{cluster}", body).status == 400, body
    assert lab.user.delete(f"/v2/clusters/{cluster}", {"providerFields": {"project": "x"}}).status == 200
    lab.user.wait_cluster(cluster, "terminated")
    assert lab.user.delete(f"/v2/clusters/{cluster}", "{").status == 400


def test_one_of_many_deletes_begins(lab):
    worker = lab.worker()
    cluster = lab.create()
    lab.active(cluster)
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: lab.user.delete(f"/v2/clusters/{cluster}").status, range(6)))
    assert 200 in answers and set(answers) <= {200, 409}
    lab.user.wait_cluster(cluster, "terminated")
    assert len(worker.of("DELETE")) == 1
    assert len(lab.story(cluster).check_ended().jobs) == 3


NUL_BODIES = [
    ("post", "/v2/clusters", {"name": "a\0b", "clusterTemplate": "one", "numMachines": 1}),
    ("post", "/v2/clusters", {"name": "ab", "clusterTemplate": "one\0two", "numMachines": 1}),
    ("post", "/v2/clusters", {"name": "ab", "clusterTemplate": "one", "numMachines": 1, "services": ["base\0x"]}),
    ("post", "/v2/services", {"name": "nul\0x"}),
    ("put", "/v2/services/nul", {"name": "nul\0x"}),
]


@pytest.mark.parametrize("method, path, body", NUL_BODIES)
def test_nothing_is_cut_off_at_a_nul(lab, method, path, body):
    answer = getattr(lab.admin, method)(path, body)
    assert answer.status == 400 and "NUL" in answer.text, answer


# ---- names


def test_no_two_living_clusters_have_one_name(lab):
    first = lab.user.post("/v2/clusters", DEMO).json["id"]
    answer = lab.user.post("/v2/clusters", DEMO)
    assert answer.status == 409 and first in answer.text and DEMO["name"] in answer.text
    # names of other tenants are theirs, and other spellings are other names
    assert lab.user.post("/v2/clusters", {**DEMO, "name": DEMO["name"].upper()}).status == 200
    with lab.worker():
        lab.user.wait_cluster(first, "active")
        lab.user.delete_cluster(first)
    assert lab.user.post("/v2/clusters", DEMO).status == 200


def test_one_of_many_gets_the_name(lab):
    """Decided by the database, at however many APIs they are asked for."""
    answers = race([lambda: lab.user.post("/v2/clusters", {**DEMO, "name": "same"}) for _ in range(12)])
    assert sorted(answer.status for answer in answers) == [200] + [409] * 11, answers
    winner = next(answer.json["id"] for answer in answers if answer.status == 200)
    assert all(winner in answer.text for answer in answers if answer.status == 409)
    # asked for once more under its own key it is the same cluster, not a taken name
    keyed = [post_named(lab.user, "k1", {**DEMO, "name": "keyed"}) for _ in range(2)]
    assert [answer.status for answer in keyed] == [200, 200] and keyed[0].json == keyed[1].json


def test_clusters_of_one_name_from_before(lab):
    """Written by a version that did not look: both live on, and nobody gets a third."""
    for name in ("old", "older"):
        assert lab.user.post("/v2/clusters", {**DEMO, "name": name}).status == 200
    lab.stack.sql(f"UPDATE cluster SET name='old', own_name=NULL WHERE tenant_id='{lab.tenant}' AND name='older'")
    assert lab.user.post("/v2/clusters", {**DEMO, "name": "old"}).status == 409
    assert len([c for c in lab.user.get("/v2/clusters").json if c["name"] == "old"]) == 2


def test_the_name_of_a_cluster_that_an_old_version_ended(lab):
    """It did not give the name free: the next who wants it finds that nobody lives there."""
    assert lab.user.post("/v2/clusters", {**DEMO, "name": "ended"}).status == 200
    lab.stack.sql(f"UPDATE cluster SET status='terminated' WHERE tenant_id='{lab.tenant}' AND name='ended'")
    assert lab.user.post("/v2/clusters", {**DEMO, "name": "ended"}).status == 200
    assert lab.user.post("/v2/clusters", {**DEMO, "name": "ended"}).status == 409


@pytest.mark.parametrize("name", ["1", "00000001", "99999999999"])
def test_a_name_is_no_id(lab, name):
    for path in ("/v2/clusters", "/v2/clusters/plan"):
        answer = lab.user.post(path, {**DEMO, "name": name})
        assert answer.status == 400 and "id of a cluster" in answer.text
