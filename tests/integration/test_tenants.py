# SPDX-License-Identifier: Apache-2.0
"""Tenants, and the provisioners of the original, which run as many workers for each as they are told."""

import concurrent.futures

import pytest

from support import Stack, wait_for
from support.api import Api
from support.lab import CATALOG, Lab, make_tenants
from support.master import FORM, Master
from support.stack import CORE

NO_LIMIT = 2147483647


@pytest.fixture(scope="module")
def core():
    with Stack("tenants", auth="headers") as made:
        made.up(*CORE)
        make_tenants(made)
        yield made


@pytest.fixture
def master(core):
    """A function that starts one; there are no others, of tests before."""
    made = []
    for other in core.api.get("/v2/provisioners").json:
        assert core.internal.delete(f"/v2/provisioners/{other['id']}").status == 200

    def start(name, capacity):
        made.append(Master(core, name, capacity))
        return made[-1]

    yield start
    for one in made:
        one.close()


def put(core, name, **fields):
    return core.api.request("PUT", f"/v2/tenants/{name}", {"tenant": {"name": name, **fields}}, FORM)


def id_of(core, name):
    return core.sql(f"SELECT id FROM tenant WHERE name='{name}'")[0][0]


@pytest.mark.parametrize("path, body", (
    ("clusters", {"name": "late", "clusterTemplate": "one", "numMachines": 1}),
    ("services", {"name": "late"}), ("import", {"services": [{"name": "late"}]}),
    ("nodes", {"id": "late", "clusterId": "1", "services": []})))
def test_nothing_is_written_for_a_tenant_that_is_deleted_meanwhile(core, path, body):
    """Who was let in before that is told, and nothing is left that nobody would find again."""
    assert put(core, "leaving").status == 200
    tenant = id_of(core, "leaving")
    lab = Lab(core, "leaving", tenant).load()
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        with core.held("keyed") as is_there:
            late = threads.submit(lab.admin.request, "POST", f"/v2/{path}", body, {"Idempotency-Key": "late"})
            wait_for(is_there, 60, "the request")
            assert core.api.delete("/v2/tenants/leaving").status == 200
        answer = late.result()
    assert (answer.status, answer.text.strip()) == (404, "the tenant does not exist any more")
    for table in ("cluster", "entity", "node_record"):
        assert core.sql(f"SELECT COUNT(*) FROM {table} WHERE tenant_id='{tenant}'") == [["0"]], table


def test_a_tenants_life(core):
    answer = core.api.request("POST", "/v2/tenants", {"tenant": {"name": "acme", "maxClusters": "10"}}, FORM)
    assert (answer.status, answer.body) == (200, b"")
    assert core.api.get("/v2/tenants/acme").json == {
        "name": "acme", "workers": 0, "maxClusters": 10, "maxNodes": NO_LIMIT}
    answer = core.api.post("/v2/tenants", {"tenant": {"name": "acme"}, "bootstrap": False})
    assert (answer.status, answer.text.strip()) == (409, "Tenant acme already exists.")
    assert put(core, "acme", description="them", maxNodes=7).status == 200
    shown = next(one for one in core.api.get("/v2/tenants").json if one["name"] == "acme")
    assert shown == {"name": "acme", "description": "them", "workers": 0, "maxClusters": NO_LIMIT, "maxNodes": 7}
    assert "superadmin" in [one["name"] for one in core.api.get("/v2/tenants").json]
    acme = Api(core.api.url, "admin", "acme")
    assert acme.post("/v2/imagetypes", {"name": "deb", "providermap": {}}).status == 200
    assert core.api.delete("/v2/tenants/acme").status == 200
    assert core.api.get("/v2/tenants/acme").status == 404 and acme.get("/v2/imagetypes").status == 404
    assert core.api.delete("/v2/tenants/acme").status == 200
    assert put(core, "acme").status == 200  # a new one, with nothing of the old
    assert acme.get("/v2/imagetypes").json == []


def test_who_may(core):
    for who in (Api(core.api.url, "admin", "t1"), Api(core.api.url, "ann", "superadmin")):
        for method, path in (("GET", ""), ("POST", ""), ("GET", "/t1"), ("PUT", "/t1"), ("DELETE", "/t1")):
            assert who.request(method, f"/v2/tenants{path}", b"{").status == 403
    answer = core.api.delete("/v2/tenants/superadmin")
    assert answer.status == 403 and answer.text.strip() == "Superadmin cannot be deleted."


@pytest.mark.parametrize("body, word", [
    ({}, "tenant"), ({"tenant": {}}, "name"), ({"tenant": {"name": "a b"}}, "name"), ({"tenant": []}, "tenant"),
    ({"tenant": {"name": "other"}}, "path"), ({"tenant": {"name": "bad", "workers": -1}}, "workers"),
    ({"tenant": {"name": "bad", "maxNodes": "many"}}, "maxNodes"), (b"", ""), (b"null", "")])
def test_what_is_wrong_is_said(core, body, word):
    answer = core.api.request("PUT", "/v2/tenants/bad", body, FORM)
    assert answer.status == 400 and word in answer.text, answer
    assert core.api.get("/v2/tenants/bad").status == 404


def test_bootstrap_copies_the_documents_with_their_secrets(core):
    for kind, documents in CATALOG.items():
        for document in documents:
            assert core.api.put(f"/v2/{kind}/{document['name']}", document).status == 200
    assert core.api.put("/v2/providers/lab", {"name": "lab", "providertype": "testtype", "provisioner": {
        "url": "http://x", "project": "p", "token": "Hush"}}).status == 200
    assert core.api.post("/v2/tenants", {"tenant": {"name": "booted"}, "bootstrap": True}).status == 200
    booted = Lab(core, "booted", id_of(core, "booted"))
    theirs, ours = booted.admin.get("/v2/export").json, core.api.get("/v2/export").json
    for kind in ("hardwaretypes", "imagetypes", "services", "clustertemplates", "providers"):
        assert [one["name"] for one in theirs[kind]] == [one["name"] for one in ours[kind]], kind
    lab = booted.admin.get("/v2/providers/lab").json
    assert lab["version"] == 1 and lab["provisioner"]["token"] == "********"
    worker = booted.worker(tenant=booted.tenant)
    booted.active(booted.create())
    told = [run.config["provider"]["provisioner"]["token"] for run in worker.runs if run.name == "CREATE"]
    assert told and set(told) == {"Hush"}
    booted.close()


def test_limits_and_deletion_with_what_there_is(core):
    assert core.api.post("/v2/tenants", {"tenant": {"name": "full"}}).status == 200
    lab = Lab(core, "full", id_of(core, "full")).load()
    lab.create("first")
    lab.create("second")
    assert put(core, "full", maxClusters=1).status == 409
    answer = put(core, "full", maxNodes=1)
    assert answer.status == 409 and "2 nodes" in answer.text
    assert put(core, "full", maxClusters=2).status == 200
    answer = lab.user.post("/v2/clusters", {"name": "third", "clusterTemplate": "one", "numMachines": 1})
    assert answer.status == 409
    answer = core.api.delete("/v2/tenants/full")
    assert answer.status == 409 and "2 clusters" in answer.text


def test_masters_are_told_how_many_workers_to_run(core, master):
    one = master("master-one", 4)
    assert put(core, "busy", workers=3).status == 200
    busy = id_of(core, "busy")
    wait_for(lambda: one.workers() == {busy: 3}, 60, "the master to be told")
    path, body = one.told[-1]
    assert path == f"/v2/tenants/{busy}"
    assert body == {"workers": 3, "resources": {"automatortypes": {}, "providertypes": {}}}
    shown = core.api.get("/v2/provisioners/master-one").json
    assert shown["assignments"] == {"busy": 3} and (shown["capacityTotal"], shown["capacityFree"]) == (4, 1)
    one.beat()
    answer = put(core, "busy", workers=5)
    assert answer.status == 409 and "Not enough capacity to add tenant." in answer.text
    answer = core.api.delete("/v2/tenants/busy")
    assert answer.status == 409 and "3 workers" in answer.text
    two = master("master-two", 4)
    assert put(core, "busy", workers=6).status == 200
    wait_for(lambda: one.workers() == {busy: 4} and two.workers() == {busy: 2}, 60, "both to be told")
    assert put(core, "busy", workers=2).status == 200
    wait_for(lambda: one.workers() == {busy: 0} and two.workers() == {busy: 2}, 60, "fewer")
    assert put(core, "busy", workers=0).status == 200
    wait_for(lambda: two.workers() == {busy: 0}, 60, "none")
    assert core.api.delete("/v2/tenants/busy").status == 200


def test_one_that_goes_leaves_its_share_to_others(core, master):
    one, two = master("gone-one", 3), master("gone-two", 3)
    assert put(core, "moved", workers=3).status == 200
    moved = id_of(core, "moved")
    wait_for(lambda: one.workers().get(moved) == 3, 60, "the first to be told")
    assert core.internal.delete("/v2/provisioners/gone-one").status == 200
    wait_for(lambda: two.workers().get(moved) == 3, 60, "the second to be told")
    assert put(core, "moved", workers=0).status == 200
    wait_for(lambda: two.workers().get(moved) == 0, 60, "none")


def test_one_that_refuses_is_told_again(core, master):
    one = master("sullen", 2)
    one.status = 500
    assert put(core, "stubborn", workers=2).status == 200
    stubborn = id_of(core, "stubborn")
    wait_for(lambda: len([path for path, _ in one.told if path.endswith(stubborn)]) >= 2, 60, "a second try")
    one.status = 200
    wait_for(lambda: core.sql(f"SELECT 1 FROM worker_share WHERE tenant_id='{stubborn}' AND told=changes"), 60,
             "it to be told")
    core.restart("api")  # what was told is not told again
    before = len(one.told)
    assert put(core, "stubborn", workers=1).status == 200
    wait_for(lambda: one.workers().get(stubborn) == 1, 60, "one less")
    assert len([path for path, _ in one.told[before:] if path.endswith(stubborn)]) == 1
    assert put(core, "stubborn", workers=0).status == 200


def test_looms_own_are_told_nothing(core):
    answer = core.internal.put("/v2/provisioners/own", {"id": "own", "host": "127.0.0.1", "port": 1,
                                                        "capacityTotal": 10, "usage": {}})
    assert answer.status == 200
    assert put(core, "shared", workers=4).status == 200
    assert core.sql(f"SELECT COUNT(*) FROM worker_share WHERE tenant_id='{id_of(core, 'shared')}'") == [["0"]]
    assert put(core, "shared", workers=0).status == 200
    assert core.internal.delete("/v2/provisioners/own").status == 200


def test_a_space_at_its_end_makes_no_other_name(core):
    """Else that of the superadmins, which cannot be deleted, could."""
    assert put(core, "spaced").status == 200
    for name in ("spaced", "superadmin"):
        for method in ("GET", "DELETE"):
            assert core.api.request(method, f"/v2/tenants/{name}%20").status == 400, (method, name)
        assert core.api.get(f"/v2/tenants/{name}").status == 200
