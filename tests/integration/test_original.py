# SPDX-License-Identifier: Apache-2.0
"""What the original serves beside documents, clusters and tasks: nodes, RPC, profiles, metrics."""

import pytest

from support import wait_for
from support.api import Api
from support.worker import success

SERVICE = {"name": "web", "dependencies": {"provides": ["http"], "conflicts": [],
                                           "install": {"requires": ["base"], "uses": ["base", "log"]},
                                           "runtime": {"requires": ["db"], "uses": []}},
           "provisioner": {"actions": {"install": {"type": "testshell", "fields": {"script": "web.sh"}}}}}
RECORD = {"id": "n1", "clusterId": "12", "services": [SERVICE], "actions": [{"action": "CREATE", "status": "complete"}]}


@pytest.fixture
def active(lab):
    """A cluster of two nodes."""
    lab.worker()
    lab.cluster = lab.create(size=2)
    lab.active(lab.cluster)
    return lab


def details(lab):
    return lab.user.get(f"/v2/clusters/{lab.cluster}").json


def test_nodes_are_those_of_the_clusters_one_sees(active):
    lab, nodes = active, details(active)["nodes"]
    listed = lab.user.get("/v2/nodes").json
    assert [node["id"] for node in listed] == [node["id"] for node in nodes]
    one = lab.user.get(f"/v2/nodes/{nodes[0]['id']}").json
    assert one == listed[0]
    assert one["properties"] == nodes[0]["properties"] and one["clusterId"] == lab.cluster
    assert one["provisionerResults"] == nodes[0]["provisionerResults"]
    assert {action["status"] for action in one["actions"]} == {"COMPLETE"}
    assert "links" not in one and "INSTALL" in next(
        service for service in one["services"] if service["name"] == "base")["provisionerActions"]
    # whoever does not see the cluster
    other = lab.user.as_user("bob", lab.name)
    assert other.get("/v2/nodes").json == [] and other.get(f"/v2/nodes/{nodes[0]['id']}").status == 404
    assert lab.admin.get("/v2/nodes").json == listed
    # machines are the cluster's
    record = {**RECORD, "id": nodes[0]["id"]}
    for answer in (lab.user.post("/v2/nodes", record), lab.user.put(f"/v2/nodes/{record['id']}", record),
                   lab.user.delete(f"/v2/nodes/{record['id']}")):
        assert answer.status == 409 and lab.cluster in answer.text
    assert details(lab)["nodes"] == nodes


def test_nodes_come_in_pages(active):
    lab = active
    lab.active(lab.create(size=3))
    for number in range(3):
        assert lab.user.post("/v2/nodes", {**RECORD, "id": f"kept {number}"}).status == 201
    whole = [node["id"] for node in lab.user.get("/v2/nodes").json]
    assert len(whole) == 8 and whole[-3:] == ["kept 0", "kept 1", "kept 2"]
    for limit in (1, 2, 3, 7, 8):
        seen, path = [], f"/v2/nodes?limit={limit}&fields=id"
        while path:
            answer = lab.user.get(path)
            assert answer.status == 200 and len(answer.json) <= limit
            assert all(list(node) == ["id"] for node in answer.json)
            seen += [node["id"] for node in answer.json]
            link = answer.headers["Link"]
            path = link[1:link.index(">")].replace(" ", "%20") if link else None
        assert seen == whole, limit
    for query in ("limit=0", "limit=1001", "after=7", "limit=1&nosuch=1", "fields=nosuch"):
        assert lab.user.get(f"/v2/nodes?{query}").status == 400


def test_clients_keep_nodes_of_their_own(lab):
    user, other = lab.user, lab.user.as_user("bob", lab.name)
    assert user.get("/v2/nodes/n1").status == 404
    made = user.request("POST", "/v2/nodes", RECORD, {"Content-Type": "application/x-www-form-urlencoded"})
    assert (made.status, made.body) == (201, b"")
    shown = user.get("/v2/nodes/n1").json
    assert shown["properties"] == {"ipaddresses": {}, "nodenum": 0, "sshuser": "root", "services": [],
                                   "automators": []}
    assert shown["clusterId"] == "12" and shown["provisionerResults"] == {}
    assert shown["actions"] == [{"action": "CREATE", "status": "COMPLETE"}]
    depends = shown["services"][0]["dependencies"]
    assert depends["requiredServices"] == ["base", "db"] and depends["install"]["dependencies"] == ["base", "log"]
    # again, and as it is put
    assert user.post("/v2/nodes", {**RECORD, "properties": {"nodenum": 5}}).status == 201
    assert user.get("/v2/nodes/n1").json["properties"]["nodenum"] == 5
    assert user.put("/v2/nodes/n1", RECORD).status == 204
    assert user.put("/v2/nodes/n2", RECORD).status == 400
    # each user's own, each tenant's own
    assert other.get("/v2/nodes/n1").status == 404 and other.get("/v2/nodes").json == []
    assert other.put("/v2/nodes/n1", RECORD).status == 409
    assert other.delete("/v2/nodes/n1").status == 204
    assert user.get("/v2/nodes/n1").status == 200 and lab.admin.get("/v2/nodes/n1").status == 200
    assert user.delete("/v2/nodes/n1").status == 204 and user.delete("/v2/nodes/n1").status == 204
    assert user.get("/v2/nodes").json == []
    for body in ({**RECORD, "id": ""}, {**RECORD, "clusterId": "x"}, {"id": "n1", "clusterId": "1"}, []):
        assert user.post("/v2/nodes", body).status == 400


def test_a_tenant_keeps_so_many_nodes(lab):
    lab.stack.sql("INSERT INTO node_record (tenant_id, id, owner_id, doc)"
                  f" SELECT '{lab.tenant}', seq, 'ann', '{{}}' FROM seq_1_to_1000")
    assert lab.user.post("/v2/nodes", RECORD).status == 409
    assert lab.user.post("/v2/nodes", {**RECORD, "id": "7"}).status == 201


def test_properties_of_nodes(active):
    lab = active
    nodes = {node["id"]: node["properties"] for node in details(lab)["nodes"]}

    def ask(who=lab.user, **body):
        return who.post("/v2/getNodeProperties", {"clusterId": lab.cluster, **body})

    assert ask().json == nodes
    assert ask(properties=["hostname", "nosuch"]).json == {
        name: {"hostname": properties["hostname"]} for name, properties in nodes.items()}
    assert ask(services=["web", "base"]).json == nodes and ask(services=["web", "db"]).json == {}
    assert ask(clusterId=str(int(lab.cluster))).json == nodes
    assert ask(who=lab.user.as_user("bob", lab.name)).json == {} and ask(clusterId="99999999").json == {}
    assert ask(clusterId="x").status == 400
    for body in (b"", b"null", b"{}"):
        assert lab.user.request("POST", "/v2/getNodeProperties", body).status == 400


def test_statuses_of_all_clusters(active):
    lab = active
    second = lab.create()
    lab.active(second)
    want = [lab.user.get(f"/v2/clusters/{cluster}/status").json for cluster in (second, lab.cluster)]
    for body in (b"", b"{}", b"null"):
        assert lab.user.request("POST", "/v2/getClusterStatuses", body).json == want
    assert lab.user.as_user("bob", lab.name).post("/v2/getClusterStatuses", {}).json == []


def test_a_profile_is_its_users(lab):
    user, other = lab.user, lab.user.as_user("bob", lab.name)
    assert user.get("/v2/profile").status == 404
    value = b'{"theme":"dark","rows":50,"ratio":1.50,"big":12345678901234567890,"deep":{"a":[null,true]}}'
    assert user.request("PUT", "/v2/profile", value).status == 200
    assert user.get("/v2/profile").body == value  # numbers stay as they are
    assert other.get("/v2/profile").status == 404
    assert user.put("/v2/profile", {}).status == 200 and user.get("/v2/profile").json == {}
    for body in (b"[]", b"7", b"", b"null"):
        assert user.request("PUT", "/v2/profile", body).status == 400
    assert (user.delete("/v2/profile").status, user.delete("/v2/profile").status) == (200, 200)
    assert user.get("/v2/profile").status == 404


def test_a_profile_goes_with_its_user(lab):
    assert lab.admin.put("/v2/users/carl", {"role": "user", "password": "correct horse"}).status == 200
    carl = lab.user.as_user("carl", lab.name)
    assert carl.put("/v2/profile", {"a": 1}).status == 200
    assert lab.admin.delete("/v2/users/carl").status == 200
    assert lab.stack.sql(f"SELECT COUNT(*) FROM profile WHERE tenant_id='{lab.tenant}'") == [["0"]]


def test_queues_are_counted(lab):
    assert lab.admin.get("/v2/metrics/queues").json == {lab.name: {"queued": 0, "inProgress": 0, "total": 0}}
    lab.create(size=3)
    began = []

    def hold(run):
        began.append(run)
        run.pause(60)
        return success(run)

    worker = lab.worker(hold, slots=1)
    wait_for(lambda: began and lab.admin.get("/v2/metrics/queues").json[lab.name]["total"] == 3)
    assert lab.admin.get("/v2/metrics/queues").json[lab.name] == {"queued": 2, "inProgress": 1, "total": 3}
    every = Api(lab.user.url).get("/v2/metrics/queues").json
    assert every[lab.name]["total"] == 3 and "superadmin" in every
    assert lab.user.get("/v2/metrics/queues").status == 403
    worker.kill()


def test_use_of_nodes_is_summed(active):
    lab = active
    own, admin, boss = lab.user, lab.admin, Api(lab.user.url)
    path = "/v2/metrics/nodes/usage"
    # made at 1000, one of two gone at 5000; another's, of another template
    lab.stack.sql(f"UPDATE task SET status_time=1000000 WHERE cluster_id={int(lab.cluster)} AND name='CREATE'")
    assert own.delete(f"/v2/clusters/{lab.cluster}").status == 200
    own.wait_cluster(lab.cluster, "terminated")
    lab.stack.sql(f"UPDATE task SET status_time=5000000 WHERE cluster_id={int(lab.cluster)} AND name='DELETE'")
    answer = own.get(path)
    assert answer.json == {"start": 1000, "end": 5000, "data": [{"time": 1000, "value": 8000}]}
    assert own.get(f"{path}?groupby=hour").json["data"] == [{"time": 1000, "value": 5200}, {"time": 3600, "value": 2800}]
    assert own.get(f"{path}?timeunit=MINUTES&start=0&end=1600").json == {
        "start": 0, "end": 1600, "data": [{"time": 0, "value": 20}]}
    for query, value in (("cluster=" + lab.cluster, 8000), ("cluster=999999", 0), ("clustertemplate=one", 8000),
                         ("clustertemplate=stack", 0), ("user=ann", 8000), ("user=bob", 0), ("tenant=" + lab.tenant, 8000)):
        for who in (own, admin):
            assert who.get(f"{path}?{query}").json["data"][0]["value"] == value, query
    assert own.as_user("bob", lab.name).get(path).json["data"][0]["value"] == 0
    assert boss.get(f"{path}?tenant={lab.tenant}").json == answer.json
    assert boss.get(path).json["start"] == 1000
    for query, status in (("groupby=Hour", 400), ("timeunit=weeks", 400), ("start=x", 400), ("end=-1", 400),
                          ("start=9&end=8", 400), ("cluster=x", 400), ("tenant=superadmin", 405)):
        assert own.get(f"{path}?{query}").status == status, query
    assert own.get(f"{path}?start=7&end=9").json == {"start": 7, "end": 9, "data": [{"time": 7, "value": 0}]}


def test_a_kept_node_that_cannot_be_opened(lab):
    """It is told, in a list as by itself, and the others of the tenant are kept."""
    for name in ("bad", "good"):
        assert lab.user.post("/v2/nodes", {**RECORD, "id": name}).status == 201
    lab.stack.sql(f"UPDATE node_record SET doc='{{' WHERE tenant_id='{lab.tenant}' AND id='bad'")
    for path in ("/v2/nodes", "/v2/nodes?limit=1", "/v2/nodes/bad"):
        answer = lab.user.get(path)
        assert answer.status == 500 and "node record bad" in answer.text, answer
    assert lab.user.get("/v2/nodes/good").status == 200
    assert lab.user.delete("/v2/nodes/bad").status == 204
    assert [node["id"] for node in lab.user.get("/v2/nodes").json] == ["good"]


def test_a_space_at_its_end_makes_no_other_id(lab):
    """The database would find one by the other."""
    assert lab.user.post("/v2/nodes", RECORD).status == 201
    answer = lab.user.post("/v2/nodes", {**RECORD, "id": "n1 "})
    assert answer.status == 400 and "does not end in a space" in answer.text, answer
    for method in ("GET", "DELETE"):
        assert lab.user.request(method, "/v2/nodes/n1%20").status == 400
    assert [node["id"] for node in lab.user.get("/v2/nodes").json] == ["n1"]
