# SPDX-License-Identifier: Apache-2.0
"""Clients of version 0.9.7: one user header, paths below /v1/loom, workers that only take and finish."""

import json
import urllib.parse

import pytest

from support import Stack, wait_for
from support.api import Api
from support.lab import PROVIDER_TYPE, make_tenants
from support.stack import CORE

V1 = "/v1/loom"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PROVIDER = {"name": "old", "description": "d", "providertype": "testtype",
            "provisioner": {"auth": {"url": "http://x", "project": "p"}, "retries": 5}}
SERVICES = [
    {"name": "base", "description": "", "dependson": [],
     "provisioner": {"actions": {"install": {"type": "testshell", "script": "base.sh", "data": "7"}}}},
    {"name": "web", "dependson": ["base"], "dependencies": {"install": {"requires": ["base"]}},
     "provisioner": {"actions": {"start": {"type": "testshell", "fields": {"script": "web.sh"}}}}}]
TEMPLATE = {"name": "old", "defaults": {"services": ["base", "web"], "provider": "old", "hardwaretype": "tiny",
                                        "imagetype": "os", "config": {"web": {"port": "80"}}},
            "compatibility": {"hardwaretypes": ["tiny"], "imagetypes": ["os"], "services": ["base", "web"]},
            "constraints": {"layout": {"mustcoexist": [["base", "web"]], "cantcoexist": []},
                            "services": {"web": {"hardwaretypes": [], "imagetypes": [], "quantities": {
                                "min": 1, "max": 9, "stepSize": 1, "ratio": "1:2"}}}},
            "administration": {"leaseduration": {"initial": 0, "max": 0, "step": 0}}}


@pytest.fixture(scope="module")
def stack():
    with Stack("legacy", auth="headers") as made:
        made.up(*CORE)
        make_tenants(made)
        yield made


class Old:
    """A client that says who it is, and nothing of a tenant."""

    def __init__(self, api, user):
        self.api, self.headers = api, {"X-Loom-Userid": user, "X-Loom-ApiKey": "1234567890", **FORM}

    def __call__(self, method, path, body=None):
        return self.api.request(method, V1 + path, body, self.headers)


@pytest.fixture(scope="module")
def admin(stack):
    """The administrator, and a catalog that it has put as the loading scripts do."""
    call = Old(Api(stack.api.url, user=None), "admin")
    for path, body in (("providers/old", PROVIDER), ("clustertemplates/old", TEMPLATE),
                       *((f"services/{one['name']}", one) for one in SERVICES),
                       ("hardwaretypes/tiny", {"name": "tiny", "providermap": {"old": {"flavor": 3}}}),
                       ("imagetypes/os", {"name": "os", "providermap": {"old": {"image": "img"}}})):
        answer = call("PUT", f"/{path}", body)
        assert (answer.status, answer.body) == (200, b""), (path, answer)
    return call


@pytest.fixture(scope="module")
def user(stack):
    return Old(Api(stack.api.url, user=None), "ann")


def test_documents_of_then_are_taken(stack, admin, user):
    answer = user("GET", "/providers/old")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/plain")
    assert json.loads(answer.text)["provisioner"] == {"url": "http://x", "project": "p", "retries": 5}
    base, web = (json.loads(user("GET", f"/services/{name}").text) for name in ("base", "web"))
    assert base["provisioner"]["actions"]["install"]["fields"] == {"script": "base.sh", "data": "7"}
    assert web["dependencies"]["runtime"]["requires"] == ["base"]
    assert web["dependencies"]["install"]["requires"] == ["base"] and web["dependencies"]["provides"] == []
    listed = user("GET", "/services")
    assert listed.headers["Content-Type"] == "application/json" and len(listed.json) == 2
    assert user("GET", "/services/nosuch").status == 404
    assert admin("POST", "/services", SERVICES[0]).status == 400  # it is there
    assert admin("POST", "/services", {"name": "more"}).status == 200
    assert admin("DELETE", "/services/more").status == 200
    for body in (b"", b"null", b"[]", b"{}", {"name": "x", "provisioner": {"actions": {"install": 7}}}):
        assert admin("POST", "/services", body).status == 400, body
    for method, path, body in (("PUT", "/services/base", SERVICES[0]), ("DELETE", "/services/base", None),
                               ("POST", "/services", SERVICES[0]), ("PUT", "/providertypes/x", PROVIDER_TYPE)):
        assert user(method, path, body).status == 403
    # as today's clients see them
    assert Api(stack.api.url).get("/v2/services/web").json["dependencies"] == web["dependencies"]


def test_types_of_plugins(admin, user):
    kind = {**PROVIDER_TYPE, "name": "then"}
    assert admin("PUT", "/providertypes/then", kind).status == 200
    assert json.loads(user("GET", "/providertypes/then").text)["name"] == "then"
    assert "then" in [one["name"] for one in user("GET", "/providertypes").json]
    assert user("DELETE", "/providertypes/then").status == 403
    assert admin("DELETE", "/providertypes/then").status == 200
    assert user("GET", "/providertypes/then").status == 404
    assert user("GET", "/automatortypes/testshell").status == 200


def test_who_asks(stack, user):
    nobody = Api(stack.api.url, user=None)
    assert nobody.get(f"{V1}/clusters").status == 401
    assert nobody.request("GET", "/v2/clusters", headers={"X-Loom-UserID": "ann"}).status == 401
    # a tenant that is named all the same is the one
    other = nobody.request("GET", f"{V1}/services", headers={"X-Loom-UserID": "ann", "X-Loom-TenantID": "t7"})
    assert (other.status, other.json) == (200, [])
    assert user("GET", "/nosuch").status == 404 and user("GET", "/nosuch").body
    assert user("GET", "/profile").body  # the page's way in waits for one


class Worker:
    """A process of version 0.9.7: it says its id alone."""

    def __init__(self, internal, name):
        self.internal, self.name = internal, name

    def take(self):
        answer = self.internal.request("POST", f"{V1}/tasks/take", {"workerId": self.name}, FORM)
        assert answer.status in (200, 204), answer
        return json.loads(answer.text) if answer.status == 200 else None

    def finish(self, task, **more):
        return self.internal.request("POST", f"{V1}/tasks/finish", {
            "workerId": self.name, "taskId": task["taskId"], "status": 0, **more}, FORM)


def drain(worker, seen):
    """Do all there is to do; keep each task."""
    while (task := worker.take()) is not None:
        seen.append(task)
        results = {"CREATE": {"providerid": "i-1"}, "CONFIRM": {"ipaddress": "10.1.2.3", "ssh-auth": {"user": "root"}}}
        answer = worker.finish(task, result=results.get(task["taskName"], {}))
        assert (answer.status, answer.body) == (200, b""), answer


def test_a_cluster_from_create_to_delete(stack, admin, user):
    made = user("POST", "/clusters", {"name": "d", "clusterTemplate": "old", "numMachines": "2"})
    assert made.status == 200
    cluster, seen = made.json["id"], []
    api, worker = Api(stack.api.url), Worker(stack.internal, "host-1.123")
    assert user("GET", f"/clusters/{cluster}/status").json["status"] == "PENDING"
    while user("GET", f"/clusters/{cluster}/status").json["status"] == "PENDING":
        drain(worker, seen)
    assert user("GET", f"/clusters/{cluster}/status").json == {
        "clusterid": cluster, "status": "ACTIVE", "action": "CLUSTER_CREATE", "actionstatus": "COMPLETE",
        "stepstotal": len(seen), "stepscompleted": len(seen)}
    last = next(task for task in reversed(seen) if task["taskName"] == "START")["config"]
    assert last["ipaddress"] == "10.1.2.3" and last["nodenum"] in ("1000", "1001") and last["providerid"] == "i-1"
    assert "ipaddresses" not in last and "sshuser" not in last and last["cluster"] == {"web": {"port": "80"}}
    assert last["provider"]["provisioner"]["url"] == "http://x"
    for other in last["nodes"].values():
        assert set(other) == {"ipaddress", "hostname", "nodenum", "automators", "hardwaretype", "imagetype", "services",
                              "flavor", "image"}
    item, = [one for one in user("GET", "/clusters?status=nosuch&sort=nosuch").json if one["id"] == cluster]
    assert item == {"id": cluster, "name": "d", "createTime": item["createTime"], "expireTime": 0, "numNodes": 2,
                    "status": "ACTIVE", "ownerId": "ann", "clusterTemplate": "old"}
    details = user("GET", f"/clusters/{cluster}").json
    assert details["status"] == "active" and details["ownerId"] == "ann"
    assert not {"links", "progress", "account"} & set(details)
    node = details["nodes"][0]
    assert node["properties"]["ipaddress"] == "10.1.2.3" and node["properties"]["ssh-auth"] == {"user": "root"}
    assert not {"provisionerResults", "links"} & set(node) and node["properties"]["nodenum"] == "1000"
    assert user("POST", "/getClusterStatuses", b"").json[0]["status"] == "ACTIVE"
    assert Old(Api(stack.api.url, user=None), "bob")("POST", "/getClusterStatuses").status == 404
    properties = user("POST", "/getNodeProperties", {"clusterId": cluster, "properties": ["ipaddress", "hostname"]}).json
    assert [one["ipaddress"] for one in properties.values()] == ["10.1.2.3"] * 2 and len(properties) == 2
    assert user("GET", f"/clusters/{cluster}/services").json == ["base", "web"]
    assert user("GET", f"/clusters/{cluster}/plans").json[0]["action"] == "CLUSTER_CREATE"
    # an operation, in the paths of then
    assert user("PUT", f"/clusters/{cluster}/config", {"config": {"web": {"port": "81"}}}).status == 200
    again = []
    while user("GET", f"/clusters/{cluster}/status").json["status"] == "PENDING":
        drain(worker, again)
    assert "BOOTSTRAP" in {task["taskName"] for task in again}
    assert user("GET", f"/clusters/{cluster}/config").json == {"web": {"port": "81"}}
    for path in ("services/stop", "services/web/start"):
        assert user("POST", f"/clusters/{cluster}/{path}").status == 200
        while user("GET", f"/clusters/{cluster}/status").json["status"] == "PENDING":
            drain(worker, again)
    assert user("POST", f"/clusters/{cluster}/expand", {"count": 1}).status in (404, 405)  # was not there
    # what another has finished is not held any more
    assert worker.finish(seen[0]).status == 417
    assert Worker(stack.internal, "host-1.124").finish(again[-1]).status == 417
    assert user("DELETE", f"/clusters/{cluster}").status == 200
    while user("GET", f"/clusters/{cluster}/status").json["status"] == "PENDING":
        drain(worker, again)
    assert api.cluster(cluster)["status"] == "terminated"
    shown = [one for one in api.get("/v2/provisioners").json if one["id"] == "0.9.7:host-1.123"]
    assert shown and shown[0]["capacityTotal"] == 1


def test_a_worker_lives_while_it_is_at_a_task(stack, admin, user):
    cluster = user("POST", "/clusters", {"name": "slow", "clusterTemplate": "old", "numMachines": 1}).json["id"]
    worker, task = Worker(stack.internal, "slow.1"), None
    while task is None:
        task = worker.take()
    beat = stack.sql("SELECT heartbeat-UNIX_TIMESTAMP()*1000 FROM provisioner WHERE id='0.9.7:slow.1'")
    assert float(beat[0][0]) > 30 * 60 * 1000  # as long as it may take, unless that was configured to be longer
    assert Worker(stack.internal, "idle.1").take() is None
    stack.sql("UPDATE provisioner SET heartbeat=1 WHERE id IN ('0.9.7:slow.1', '0.9.7:idle.1')")
    api = Api(stack.api.url)
    wait_for(lambda: api.get("/v2/provisioners/0.9.7:idle.1").status == 404)
    assert api.get("/v2/provisioners/0.9.7:slow.1").status == 200
    assert worker.finish(task, result={"providerid": "i"}).status == 200
    assert admin("POST", f"/clusters/{cluster}/abort").status == 200


@pytest.mark.parametrize("worker", ("bad.1", "rack/3/bad.1"))
def test_a_worker_in_quarantine_is_released(stack, worker):
    """An operator finds it by the id that the list shows."""
    assert stack.internal.request("POST", f"{V1}/tasks/take", {"workerId": worker}, FORM).ok
    name = next(one["id"] for one in stack.api.get("/v2/provisioners").json if one["id"].endswith("bad.1"))
    stack.sql("INSERT INTO quarantine (provisioner_id, since, next_probe, reason) VALUES"
              f" ('{name}', 1, 9e15, 'it fails')")
    path = f"/v2/provisioners/{urllib.parse.quote(name, safe='')}"
    assert stack.api.get(path).json["quarantine"]["reason"] == "it fails"
    assert stack.api.post(f"{path}/release").status == 200
    assert "quarantine" not in stack.api.get(path).json
    stack.sql(f"DELETE FROM provisioner WHERE id='{name}'")


def test_import_keeps_what_that_version_did_not_know(stack, admin):
    api = Api(stack.api.url)
    partial = {"name": "kept", "immutable": False, "defaults": {"config": {}}}
    assert api.put("/v2/partialtemplates/kept", partial).status == 200
    before = admin("GET", "/export").json
    assert "partialtemplates" not in before and before["clustertemplates"][0]["name"] == "old"
    assert admin("POST", "/import", {**before, "providers": [PROVIDER], "services": SERVICES}).status == 200
    assert api.get("/v2/partialtemplates/kept").status == 200
    after = admin("GET", "/export").json
    assert after["services"][1]["dependencies"]["runtime"]["requires"] == ["base"]
    assert admin("POST", "/import", {"services": [{"name": "x", "provisioner": 7}]}).status == 400
    assert admin("GET", "/export").json == after
    for body in (b"", b"null", b"[]"):
        assert admin("POST", "/import", body).status == 400


def test_bad_workers_are_told(stack):
    for path, body, status in (("take", {}, 400), ("take", {"workerId": ""}, 400), ("take", b"", 400),
                               ("take", {"workerId": "x" * 201}, 400), ("finish", {"workerId": "w"}, 400),
                               ("finish", {"workerId": "w", "taskId": "x", "status": 0}, 400),
                               ("finish", {"workerId": "w", "taskId": "00000001-001-001", "status": 0}, 417)):
        answer = stack.internal.request("POST", f"{V1}/tasks/{path}", body)
        assert answer.status == status, (path, body, answer)
    assert Api(stack.api.url).request("POST", f"{V1}/tasks/take", {"workerId": "w"}).status == 404
