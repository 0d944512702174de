# SPDX-License-Identifier: Apache-2.0
"""Clusters as their users see them: creating, refusing, showing, planning, deleting."""

import concurrent.futures
import re

import pytest

from support import wait_for
from support.lab import Lab, template
from support.worker import Gate

DEMO = {"name": "demo", "clusterTemplate": "stack", "numMachines": 3}


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
    ({"numMachines": 0}, 400, "numMachines"),
    ({"numMachines": -3}, 400, "numMachines"),
    ({"numMachines": 2.5}, 400, "numMachines"),
    ({"numMachines": 10001}, 400, "numMachines"),
    ({"numMachines": 1}, 400, "numMachines"),
    ({"numMachines": 21}, 400, "numMachines"),
    ({"numMachines": 1 << 70}, 400, "numMachines"),
    ({"provider": "nosuch"}, 404, "nosuch"),
    ({"provider": "orphan"}, 404, "nosuchtype"),
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


def post_named(client, key, body):
    """A create that has a name."""
    return client.post("/v2/clusters", body, headers={"Idempotency-Key": key})


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
    secret = lab.create("demo", "stack", 2, provider="bare", providerFields={"color": "red", "token": "t0ken"})
    assert lab.user.cluster(secret)["provider"]["provisioner"] == {"color": "red", "token": "********"}
    # the stored provider is as it was
    assert lab.user.get("/v2/providers/bare").json["provisioner"] == {}


def test_template_that_names_no_provider(lab):
    document = {"name": "lonely", "defaults": {"services": ["web"]}}
    assert lab.admin.post("/v2/clustertemplates", document).status == 200
    answer = lab.user.post("/v2/clusters", {**DEMO, "clusterTemplate": "lonely"})
    assert answer.status in (400, 404) and "provider" in answer.text


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
    details = lab.user.wait_cluster(cluster, "terminated", 10)
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


# ---- labels

LABELS = {"env": "test", "example.com/team": "Web_1.x", "empty": ""}


def test_labels_of_a_new_cluster_are_shown_everywhere(lab):
    lab.worker()
    cluster = lab.create("demo", "stack", 2, labels=LABELS)
    plain = lab.create("plain", "stack", 2)
    assert {entry["id"]: entry["labels"] for entry in lab.user.get("/v2/clusters").json} == {
        cluster: LABELS, plain: {}}
    lab.active(cluster)
    assert lab.user.cluster(cluster)["labels"] == LABELS
    assert lab.user.cluster(plain)["labels"] == {}


def put_labels(client, cluster, labels):
    """A change of a cluster's labels."""
    return client.put(f"/v2/clusters/{cluster}/labels", {"labels": labels})


def test_labels_are_merged(lab):
    cluster = lab.create("demo", "stack", 2, labels=LABELS)
    answer = put_labels(lab.user, cluster, {"env": "live", "new": "1", "empty": None, "nosuch": None})
    after = {"env": "live", "example.com/team": "Web_1.x", "new": "1"}
    assert answer.status == 200 and answer.json == {"labels": after}
    assert lab.user.cluster(cluster)["labels"] == after
    assert lab.story(cluster).labels == [after]
    # what changes nothing is no event
    assert put_labels(lab.user, cluster, {"env": "live"}).json == {"labels": after}
    assert put_labels(lab.user, cluster, {}).json == {"labels": after}
    assert len(lab.story(cluster).labels) == 1
    assert put_labels(lab.user, cluster, dict.fromkeys(after)).json == {"labels": {}}
    # its work goes on, and the labels stay as they are
    put_labels(lab.user, cluster, {"a": "1"})
    lab.worker()
    lab.active(cluster)
    assert lab.user.cluster(cluster)["labels"] == {"a": "1"}


@pytest.mark.parametrize("body, says", [
    ({}, "labels is missing"),
    ([], "the body must be an object with labels"),
    ({"labels": None}, "labels is missing"),
    ({"labels": ["env"]}, "labels must be an object"),
    ({"labels": {"env": 1}}, "value of 'env'"),
    ({"labels": {"fine": "x", "env/": "x"}}, "key 'env/'"),
    ({"labels": {f"k{n}": "" for n in range(64)}}, "at most 64, not 65"),
])
def test_changes_of_labels_that_are_refused(lab, body, says):
    cluster = lab.create("demo", "stack", 2, labels={"env": "test"})
    answer = lab.user.put(f"/v2/clusters/{cluster}/labels", body)
    assert answer.status == 400 and says in answer.text, answer
    assert lab.user.cluster(cluster)["labels"] == {"env": "test"}


def test_labels_belong_to_those_who_see_the_cluster(lab):
    cluster = lab.create("demo", "stack", 2)
    for client, number in ((lab.user.as_user("bob", lab.name), cluster), (lab.user, "99999999")):
        answer = put_labels(client, number, {"env": "test"})
        assert answer.status == 404, answer
    assert put_labels(lab.admin, cluster, {"env": "test"}).status == 200


def next_page(answer):
    """Where the next page is; None on the last."""
    found = re.fullmatch(r'<(/v2/clusters\?[^>]*)>; rel="next"', answer.headers.get("Link") or "")
    assert found or "Link" not in answer.headers, answer.headers
    return found and found[1]


def copies(lab, cluster, count):
    """Rows of a cluster of this tenant, five of each millisecond; they go with the tenant."""
    first = int(cluster) * 10_000 + 10_000_000
    columns = [name for name, in lab.stack.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND table_name='cluster'"
        " AND is_generated='NEVER'")]
    changed = {"id": f"{first}+seq", "name": "CONCAT('copy-', seq)", "own_name": "CONCAT('copy-', seq)",
               "status": "'terminated'", "create_time": "create_time+seq DIV 5",
               "owner_id": "IF(seq % 2, owner_id, 'bob')"}
    lab.stack.sql(f"INSERT INTO cluster ({','.join(columns)}) SELECT {','.join(changed.get(c, c) for c in columns)}"
                  f" FROM cluster JOIN seq_1_to_{count} WHERE id={int(cluster)}")


def test_list_in_pages(lab):
    """A list of hundreds is whole, newest first; page by page it is the same, with each filter."""
    cluster = lab.create("first", "empty", 1)
    copies(lab, cluster, 700)
    whole = lab.admin.get("/v2/clusters").json
    assert len(whole) == 701 and whole[-1]["id"] == cluster and whole[0]["name"] == "copy-700"
    places = [(entry["createTime"], entry["id"]) for entry in whole]
    assert places == sorted(places, reverse=True)
    for user, query, limit in ((lab.admin, "", 99), (lab.user, "", 100), (lab.admin, "status=terminated&", 350),
                               (lab.admin, "status=terminated,pending,active&", 701), (lab.admin, "", 1000)):
        page, got, pages = f"/v2/clusters?{query}limit={limit}", [], 0
        while page:
            answer = user.get(page)
            assert answer.status == 200 and 0 < len(answer.json) <= limit
            got, pages, page = got + answer.json, pages + 1, next_page(answer)
        want = user.get(f"/v2/clusters?{query}").json
        assert got == want and pages == -(-len(want) // limit), (query, limit, pages)


@pytest.mark.parametrize("query, words", [
    ("limit=0", "limit '0' must be a whole number from 1 to 1000"), ("limit=1001", "from 1 to 1000"),
    ("limit=x", "limit 'x'"), ("after=7", "after '7' is no place in a list"), ("after=7.x", "take it from the Link"),
    ("after=-1.1", "no place"), ("after=.", "no place")])
def test_pages_that_are_none(lab, query, words):
    answer = lab.user.get(f"/v2/clusters?{query}")
    assert answer.status == 400 and words in answer.text, answer


def all_pages(user, query, limit=3):
    """Entries of a list, page by page."""
    page, got = f"/v2/clusters?{query}&limit={limit}", []
    while page:
        answer = user.get(page)
        assert answer.status == 200 and len(answer.json) <= limit, answer
        got, page = got + answer.json, next_page(answer)
    return got


MANY = 6000


def test_a_whole_list_of_thousands_is_sent_as_it_is_read(lab):
    copies(lab, lab.create("first", "empty", 1), MANY)
    answer = lab.admin.get("/v2/clusters")
    assert answer.status == 200 and answer.headers["Transfer-Encoding"] == "chunked"
    places = [(entry["createTime"], entry["id"]) for entry in answer.json]
    assert len(set(places)) == MANY + 1 and places == sorted(places, reverse=True)
    # who goes away meanwhile, or asks for the head alone, is no trouble
    for method in ("GET", "HEAD", "GET"):
        connection, prefix = lab.admin.connect(60)
        connection.request(method, prefix + "/v2/clusters", headers=lab.admin.identity)
        assert connection.getresponse().status == 200
        connection.close()
    page = lab.admin.get("/v2/clusters?limit=1000")
    assert page.headers["Content-Length"] and page.json == answer.json[:1000]


def test_list_in_other_orders(lab):
    """By name and by time, up and down, page by page; names alone need not be different."""
    cluster = lab.create("first", "empty", 1)
    copies(lab, cluster, 12)
    lab.stack.sql(f"UPDATE cluster SET name='Copy.of-copy' WHERE tenant_id='{lab.tenant}' AND name LIKE 'copy-%7'")
    whole = lab.admin.get("/v2/clusters").json
    for query, key, down in (("sort=name", "name", False), ("sort=-name", "name", True),
                             ("sort=createTime", "createTime", False), ("sort=-createTime", "createTime", True)):
        want = sorted(whole, key=lambda entry, key=key: (entry[key], int(entry["id"])), reverse=down)
        assert lab.admin.get(f"/v2/clusters?{query}").json == want, query
        assert all_pages(lab.admin, query) == want, query
        assert all_pages(lab.user, f"{query}&status=terminated") == [
            entry for entry in want if entry["ownerId"] == lab.user.identity["X-Loom-UserID"]
            and entry["status"] == "terminated"], query


def test_list_of_some(lab):
    for name in ("shop-1", "Shop_2", "other"):
        lab.create(name, "empty", 1)
    names = {entry["name"]: entry for entry in lab.admin.get("/v2/clusters").json}
    for query, found in (("name=other", {"other"}), ("name=othe", set()), ("name=OTHER", set()),
                         ("owner=nobody", set()), ("owner=ann", set(names)), ("owner=ann&name=shop-1", {"shop-1"}),
                         ("name=other&status=terminated", set()), ("sort=name&limit=1", {"Shop_2"})):
        answer = lab.admin.get(f"/v2/clusters?{query.replace('ann', lab.user.identity['X-Loom-UserID'])}")
        assert answer.status == 200 and {entry["name"] for entry in answer.json} == found, (query, answer)
    some = lab.user.get("/v2/clusters?fields=name,id,labels,clusterTemplate&sort=name").json
    assert [set(entry) for entry in some] == [{"id", "name", "labels", "clusterTemplate"}] * 3
    assert all(entry[key] == names[entry["name"]][key] for entry in some for key in entry)
    assert all(set(entry) == {"id"} for entry in all_pages(lab.user, "fields=id", 2))


@pytest.mark.parametrize("query, words", [
    ("sort=size", "sort 'size'"), ("fields=id,size", "fields: 'size' is none; there are"), ("fields=", "fields: ''"),
    ("limit=5&colour=red", "'colour' is no parameter of this list"),
    ("limit=5&limit=6", "limit is given twice"), ("name=a&name=b", "name is given twice"),
    ("limit=5&status=activ", "status 'activ' is none of"), ("sort=name&after=7.1.x", "no place"),
    ("sort=name&after=.7", "no place"), ("sort=name&after=a%20b.7", "no place")])
def test_lists_that_are_none(lab, query, words):
    answer = lab.user.request("GET", f"/v2/clusters?{query}", headers={"Accept": "application/problem+json"})
    assert answer.status == 400 and words in answer.json["detail"], answer


def test_what_the_originals_clients_send_is_passed_over(lab):
    lab.create("first", "empty", 1)
    for query in ("colour=red", "status=activ", "status=", "colour=red&status=activ,none"):
        assert len(lab.user.get(f"/v2/clusters?{query}").json) == 1, query


def test_list_by_labels(lab):
    both = lab.create("both", "stack", 2, labels={"env": "test", "example.com/team": "a.b"})
    test = lab.create("test", "stack", 2, labels={"env": "test", "empty": ""})
    live = lab.create("live", "stack", 2, labels={"env": "live"})
    for query, ids in (("label=env=test", {both, test}), ("label=env%3Dlive", {live}), ("label=empty=", {test}),
                       ("label=env=test&label=example.com/team=a.b", {both}), ("label=env=tes", set()),
                       ("label=ENV=test", set()), ("label=env=test&label=empty=x", set()),
                       ("status=pending&label=env=live", {live}), ("status=terminated&label=env=live", set()),
                       ("", {both, test, live})):
        answer = lab.user.get(f"/v2/clusters?{query}")
        assert {entry["id"] for entry in answer.json} == ids, query
    for query, says in (("label=env", "KEY=VALUE"), ("label=", "KEY=VALUE"), ("label=a%20b=c", "key 'a b'"),
                        ("label=env=a&label=env=b", "given twice")):
        answer = lab.user.get(f"/v2/clusters?{query}")
        assert answer.status == 400 and says in answer.text, answer


# ---- delete


def test_delete_while_pending(lab):
    gate = Gate("CREATE")
    worker = lab.worker(gate)
    cluster = lab.create()
    gate.wait()
    answer = lab.user.delete(f"/v2/clusters/{cluster}")
    assert answer.status == 200 and answer.body == b""
    gate.open()
    lab.user.wait_cluster(cluster, "terminated", 20)
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


# ---- quotas


def test_quotas(lab):
    lab.set_quota(clusters=2, nodes=5)
    first = lab.create("first", "stack", 2)
    answer = lab.user.post("/v2/clusters", {**DEMO, "numMachines": 4})
    assert answer.status == 409 and "quota" in answer.text
    lab.create("second", "stack", 3)
    assert lab.user.post("/v2/clusters", {**DEMO, "numMachines": 2}).status == 409
    lab.worker()
    lab.active(first)
    lab.user.delete_cluster(first)
    assert lab.user.post("/v2/clusters", {**DEMO, "numMachines": 3}).status == 409
    assert lab.user.post("/v2/clusters", {**DEMO, "numMachines": 2}).status == 200
    # the preview asks for nothing
    assert lab.user.post("/v2/clusters/plan", DEMO).status == 200


def test_a_refusal_stays_one_when_room_comes_while_it_is_worded(lab):
    """A cluster ends between the count that refuses a create and the answer: nothing was recorded, so
    nothing may be acknowledged."""
    lab.worker()
    first = lab.create("first", "stack", 2)
    lab.active(first)
    lab.set_quota(clusters=1)
    with concurrent.futures.ThreadPoolExecutor(1) as thread, lab.stack.held("quota_refused") as reached:
        create = thread.submit(lab.user.post, "/v2/clusters", DEMO)
        wait_for(reached, what="the create counted")
        lab.user.delete_cluster(first)
    answer = create.result()
    assert answer.status == 409 and "may have 1 clusters and has 1" in answer.text, answer
    assert [row["status"] for row in lab.user.get("/v2/clusters").json] == ["terminated"]
    lab.create("second", "stack", 2)


def test_the_last_place_is_the_same_requests(lab):
    """Sent again under its key while it takes the last place, a create is under way, and then done: never refused."""
    lab.set_quota(clusters=1)
    with concurrent.futures.ThreadPoolExecutor(1) as thread, lab.stack.locked(f"FROM tenant WHERE id='{lab.tenant}'"):
        create = thread.submit(post_named, lab.user, "last", DEMO)
        wait_for(lambda: lab.stack.sql("SELECT COUNT(*) FROM information_schema.processlist"
                                       " WHERE info LIKE 'SELECT max_clusters%FOR UPDATE'") == [["1"]],
                 what="the create counting")
        early = post_named(lab.user, "last", DEMO)
    first, again = create.result(), post_named(lab.user, "last", DEMO)
    assert early.status == 409 and early.headers["Retry-After"] == "1", early
    assert first.status == again.status == 200 and first.json == again.json, (first, again)


def test_what_is_shrunk_is_free_again(lab):
    """A cluster counts with the machines that it has; one not yet solved with those it asked for."""
    lab.set_quota(nodes=5)
    lab.worker()
    cluster = lab.create("first", "stack", 4)
    lab.active(cluster)
    assert lab.user.post("/v2/clusters", {**DEMO, "numMachines": 2}).status == 409
    answer = lab.user.post(f"/v2/clusters/{cluster}/expand", {"count": 2})
    assert answer.status == 409 and "may have 5 nodes and has 4; 2 more are asked for" in answer.text
    assert lab.user.post(f"/v2/clusters/{cluster}/shrink", {"count": 1}).status == 200
    lab.active(cluster)
    assert lab.user.post("/v2/clusters", {**DEMO, "numMachines": 2}).status == 200


def race(lab, calls):
    """All at once, a connection each; the statuses."""
    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        return list(threads.map(lambda call: call(), calls))


@pytest.fixture
def narrow(lab):
    """A user of an API at which a tenant may have four jobs that have not ended."""
    lab.stack.start("api2", settings=("api2.max_unfinished_jobs=4",))
    yield lab.stack.client("api2.external", "ann", lab.name)
    lab.stack.stop("api2")


def test_a_tenant_does_not_pile_up_jobs(lab, narrow):
    """More than it may have at once are refused until some have ended; deletions are not."""
    worker = lab.worker()
    first = lab.create("first", "one")
    lab.active(first)
    worker.stop()
    creates = [{"name": f"c{number}", "clusterTemplate": "one", "numMachines": 1} for number in range(12)]
    with concurrent.futures.ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda create: narrow.post("/v2/clusters", create), creates))
    assert sorted(answer.status for answer in answers) == [200] * 4 + [429] * 8
    refused = next(answer for answer in answers if answer.status == 429)
    assert "has 4 jobs that have not ended" in refused.text and int(refused.headers["Retry-After"]) >= 1
    assert len(lab.user.get("/v2/clusters").json) == 5
    assert narrow.post(f"/v2/clusters/{first}/services/restart", {}).status == 429
    assert lab.user.cluster_status(first) == "active"
    assert narrow.delete(f"/v2/clusters/{first}").status == 200
    lab.worker()
    lab.user.wait_cluster(first, "terminated")
    for answer in answers:
        if answer.status == 200:
            lab.active(answer.json["id"])
    assert narrow.post("/v2/clusters", creates[answers.index(refused)]).status == 200


def test_two_hundred_creates_at_once_never_exceed(lab):
    """Of clusters; of nodes, of different sizes, as many as fit."""
    lab.set_quota(clusters=7)
    answers = race(lab, [lambda n=n: lab.user.post("/v2/clusters", {**DEMO, "name": f"c{n}"}).status
                         for n in range(200)])
    assert sorted(answers) == [200] * 7 + [409] * 193
    lab.set_quota(nodes=30)
    held = sum(row["numNodes"] or 3 for row in lab.user.get("/v2/clusters").json)
    answers = race(lab, [lambda n=n: (lab.user.post("/v2/clusters", {**DEMO, "name": f"n{n}", "numMachines": 2 + n % 3})
                                      .status, 2 + n % 3) for n in range(200)])
    made = sum(size for status, size in answers if status == 200)
    assert {status for status, _ in answers} == {200, 409}
    total = lab.stack.sql("SELECT SUM(IF(num_nodes>0, num_nodes, asked_nodes)) FROM cluster"
                          f" WHERE tenant_id='{lab.tenant}' AND status<>'terminated'")
    assert int(total[0][0]) <= 30 and 30 - int(total[0][0]) < 2, (total, made, held)


def test_expands_at_once_with_creates_never_exceed(lab):
    """What the API let through is counted again when the machines come to be."""
    lab.worker(slots=8)
    clusters = [lab.create(f"c{number}", "stack", 2) for number in range(6)]
    for cluster in clusters:
        lab.active(cluster)
    lab.set_quota(nodes=17)  # five more
    calls = [lambda one=one: lab.user.post(f"/v2/clusters/{one}/expand", {"count": 2}).status for one in clusters]
    calls += [lambda n=n: lab.user.post("/v2/clusters", {**DEMO, "name": f"n{n}", "numMachines": 2}).status
              for n in range(6)]
    answers = race(lab, calls)
    assert set(answers) <= {200, 409} and 409 in answers
    wait_for(lambda: all(row["status"] != "pending" for row in lab.user.get("/v2/clusters").json), 60)
    nodes = [row["numNodes"] for row in lab.user.get("/v2/clusters").json]
    assert 16 <= sum(nodes) <= 17, nodes
    for cluster, answer in zip(clusters, answers):
        details = lab.user.cluster(cluster)
        assert details["status"] == "active"
        if answer == 200 and len(details["nodes"]) == 2:  # it lost the race behind the API
            assert "the tenant may have 17 nodes and has 1" in details["why"]


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
    answers = race(lab, [lambda: lab.user.post("/v2/clusters", {**DEMO, "name": "same"}) for _ in range(12)])
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
