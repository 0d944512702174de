# SPDX-License-Identifier: Apache-2.0
"""Templates made of others: resolved on request, at creation and in a plan. Export and import."""

import threading

import pytest

from support.lab import CATALOG, template

KINDS = ("providers", "hardwaretypes", "imagetypes", "services", "clustertemplates", "partialtemplates")

PARTIALS = [
    {"name": "seen", "immutable": False,
     "defaults": {"services": ["quiet"], "config": {"seen": {"by": "p"}, "web": {"port": "1"}}}},
    {"name": "fixed", "immutable": True, "defaults": {"config": {"law": {"limit": 5}}}}]

FAMILY = [
    template("parent", ["base"], defaults={"config": {"web": {"port": "80", "x": "y"}, "p": 1}},
             links=[{"url": "http://parent"}], includes=[{"name": "fixed"}],
             constraints={"size": {"min": 1, "max": 3}, "services": {}, "layout": {}},
             administration={"leaseduration": {"initial": "1h", "max": "2h", "step": "30m"}}),
    {"name": "child", "label": "Child", "extends": {"name": "parent"}, "includes": [{"name": "seen"}],
     "links": [{"label": "site", "url": "http://child"}],
     "defaults": {"services": ["web"], "config": {"web": {"port": "8080"}}}}]


@pytest.fixture
def family(lab):
    """A tenant whose template child has a parent and partials."""
    return lab.load({"partialtemplates": PARTIALS, "clustertemplates": FAMILY})


def test_resolve_answers_the_merged_template_and_stores_nothing(family):
    answer = family.user.post("/v2/resolve", FAMILY[1])
    assert answer.status == 200, answer
    merged = answer.json
    assert merged["name"] == "child" and merged["label"] == "Child" and merged["version"] == 1
    assert merged["defaults"]["services"] == ["base", "quiet", "web"]
    assert merged["defaults"]["provider"] == "lab"
    assert merged["defaults"]["config"] == {
        "law": {"limit": 5}, "web": {"port": "8080"}, "p": 1, "seen": {"by": "p"}}
    assert merged["constraints"]["size"] == {"min": 1, "max": 3}
    assert merged["administration"]["leaseduration"] == {"initial": 3600000, "max": 7200000, "step": 1800000}
    assert merged["links"] == [{"label": "site", "url": "http://child"}]
    assert merged["extends"] == {"name": "parent"} and merged["includes"] == [{"name": "seen"}]
    posted = {**FAMILY[1], "name": "never-stored"}
    assert family.user.post("/v2/resolve", posted).json["name"] == "never-stored"
    assert family.user.get("/v2/clustertemplates/never-stored").status == 404
    assert family.user.get("/v2/clustertemplates/child").json["defaults"]["services"] == ["web"]


def test_resolve_uses_the_latest_versions(family):
    family.admin.put("/v2/partialtemplates/seen", {**PARTIALS[0], "defaults": {"config": {"seen": 2}}})
    merged = family.user.post("/v2/resolve", FAMILY[1]).json
    assert merged["defaults"]["config"]["seen"] == 2 and "quiet" not in merged["defaults"]["services"]


@pytest.mark.parametrize("change, status, said", [
    ({"extends": {"name": "child"}}, 400, "extends forms a circle: child -> child"),
    ({"extends": {"name": "gone"}}, 404, "cluster template gone does not exist; template child extends it"),
    ({"includes": [{"name": "parent"}]}, 404,
     "partial template parent does not exist; template child includes it"),
    ({"defaults": {"config": {"law": 1}}}, 400,
     "defaults.config.law is immutable: partial template fixed sets it, "
     "and cluster template child sets it again"),
    ({"extends": None, "includes": []}, 400, "defaults.provider is missing in template child as resolved"),
    ({"extends": None, "defaults": {"provider": "lab"}, "includes": []}, 400,
     "defaults.services is empty in template child as resolved"),
    ({"defaults": {"dnsSuffix": "-.-"}}, 400, "defaults.dnsSuffix '-.-' is not a DNS suffix"),
    ({"name": ""}, 400, "name is missing: it must be 1 to 255 characters of A-Z a-z 0-9 _ . -"),
])
def test_resolve_refuses(family, change, status, said):
    answer = family.user.post("/v2/resolve", {**FAMILY[1], **change})
    assert (answer.status, answer.text) == (status, said)


def test_a_cluster_is_made_of_the_resolved_template(family):
    family.admin.put("/v2/clustertemplates/child", FAMILY[1])
    family.worker()
    cluster = family.create("demo", "child", 2)
    details = family.user.wait_cluster(cluster, "active")
    stored = details["clusterTemplate"]
    assert (stored["name"], stored["version"]) == ("child", 2)
    assert stored["defaults"]["config"]["web"] == {"port": "8080"}
    assert details["config"]["law"] == {"limit": 5}
    assert details["expireTime"] == details["createTime"] + 3600000
    assert sorted(details["services"]) == ["base", "quiet", "web"]
    summary = next(one for one in family.user.get("/v2/clusters").json if one["id"] == cluster)
    assert summary["clusterTemplate"] == {"name": "child", "label": "Child", "version": 2}
    # what changes later does not reach it
    family.admin.put("/v2/clustertemplates/parent", {**FAMILY[0], "defaults": {"services": ["db"]}})
    assert family.user.cluster(cluster)["clusterTemplate"] == stored


def test_rules_of_the_parent_hold_at_creation(family):
    def create(**more):
        body = {"name": "demo", "clusterTemplate": "child", "numMachines": 1, **more}
        return family.user.post("/v2/clusters", body), family.user.post("/v2/clusters/plan", body)

    for answer in create(numMachines=4):
        assert answer.status == 400 and "Size must be at least 1 but not greater than 3" in answer.text
    for answer in create(initialLeaseDuration=3600001):
        assert answer.status == 400 and "lease duration cannot be greater" in answer.text
    family.admin.put("/v2/clustertemplates/parent", {**FAMILY[0], "extends": {"name": "child"}})
    for answer in create():
        assert answer.status == 400
        assert "extends forms a circle: child -> parent -> child" in answer.text
    child = family.admin.get("/v2/clustertemplates/child").json
    family.admin.put("/v2/clustertemplates/child", {**child, "extends": {"name": "nowhere"}})
    for answer in create():
        assert answer.status == 404
        assert "cluster template nowhere does not exist; template child extends it" in answer.text
    assert family.user.get("/v2/clusters").json == []


def test_the_plan_preview_is_of_the_resolved_template(family):
    answer = family.user.post("/v2/clusters/plan",
                              {"name": "demo", "clusterTemplate": "child", "numMachines": 2})
    assert answer.status == 200, answer
    assert sorted({name for node in answer.json["nodes"] for name in node["services"]}) == [
        "base", "quiet", "web"]


# ---- export and import


def test_export_is_what_import_takes(family):
    family.change("services", "web", description="second")
    exported = family.user.get("/v2/export")
    assert exported.status == 200 and tuple(exported.json) == KINDS
    everything = exported.json
    names = {kind: [entry["name"] for entry in everything[kind]] for kind in KINDS}
    assert names["clustertemplates"] == sorted(
        [entry["name"] for entry in CATALOG["clustertemplates"] + FAMILY])
    assert names["partialtemplates"] == ["fixed", "seen"]
    web = next(entry for entry in everything["services"] if entry["name"] == "web")
    assert (web["description"], web["version"]) == ("second", 2)
    assert family.admin.post("/v2/import", everything).status == 200
    again = family.user.get("/v2/export").json
    for kind in KINDS:
        assert [{**entry, "version": 1} for entry in everything[kind]] == again[kind]
    assert family.user.get("/v2/services/web/2").status == 404


def test_import_replaces_everything_of_this_tenant_only(family, core, tenants):
    other = type(family)(core, *next(tenants)).load()
    answer = family.admin.post("/v2/import", {
        "providers": [CATALOG["providers"][0]], "services": None, "unknown": 5})
    assert answer.status == 200, answer
    exported = family.user.get("/v2/export").json
    assert {kind: len(exported[kind]) for kind in KINDS} == {
        **dict.fromkeys(KINDS, 0), "providers": 1}
    assert len(other.user.get("/v2/export").json["services"]) == len(CATALOG["services"])
    assert family.user.get("/v2/plugins/providertypes/testtype").status == 200
    assert family.user.get("/v2/plugins/automatortypes/testshell").status == 200


@pytest.mark.parametrize("body, said", [
    ([], "the body must be a JSON object, as GET /v2/export answers, not an array"),
    ({"providers": {}}, "providers must be an array, not an object"),
    ({"providers": [{"name": "p"}]}, "providers[0].providertype is missing: a string"),
    ({"providers": [CATALOG["providers"][0]], "services": [{"label": "x"}]},
     "services[0].name is missing: it must be 1 to 255 characters of A-Z a-z 0-9 _ . -"),
    ({"clustertemplates": [template("a", []), template("b", [], constraints={"size": {"min": 0}})]},
     "clustertemplates[1].constraints.size.min must be from 1 to 2147483647, not 0"),
    ({"clustertemplates": [template("a", [], administration={"leaseduration": {"max": 5}})]},
     "clustertemplates[0] a: administration.leaseduration.initial must not be longer than max"),
    ({"partialtemplates": [{"name": "p"}]}, "partialtemplates[0].immutable is missing: true or false"),
    ({"imagetypes": [7], "providers": [{"name": 1}]},
     "imagetypes[0] must be an object, not a number; providers[0].providertype is missing: a string"),
    ({"providers": [CATALOG["providers"][0]] * 2}, "providers[1] lab: name is given twice"),
])
def test_a_refused_import_changes_nothing(lab, body, said):
    before = lab.user.get("/v2/export").json
    answer = lab.admin.post("/v2/import", body)
    assert (answer.status, answer.text) == (400, said)
    assert lab.user.get("/v2/export").json == before


def test_an_import_says_what_it_would_do(lab):
    before = lab.user.get("/v2/export").json
    changed = {**before, "services": [{**one, "description": "new"} if one["name"] == "web" else one
                                      for one in before["services"] if one["name"] != "quiet"],
               "imagetypes": before["imagetypes"] + [{"name": "more", "providermap": {}}]}
    want = {("services", "web"): "updated", ("services", "quiet"): "deleted", ("imagetypes", "more"): "created"}
    for query, stays in (("dry_run=true", True), ("dry_run=true&report=false", True), ("report=true", False)):
        answer = lab.admin.post(f"/v2/import?{query}", changed)
        assert answer.status == 200 and answer.json["dryRun"] == stays, answer
        results = {(one["kind"], one["name"]): one["result"] for one in answer.json["items"]}
        assert {key: result for key, result in results.items() if result != "unchanged"} == want
        assert len(results) == sum(len(before[kind]) for kind in KINDS) + 1
        assert {key: answer.json[key] for key in ("created", "updated", "deleted", "refused")} == dict.fromkeys(
            ("created", "updated", "deleted"), 1) | {"refused": 0}
        assert (lab.user.get("/v2/export").json == before) == stays
    # now nothing would change, and the loader of the original is answered as ever
    again = lab.admin.post("/v2/import?dry_run=true", changed).json
    # as OpenAPI says it
    doc = lab.admin.get("/openapi.json").json
    answer = doc["paths"]["/v2/import"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    schemas = doc["components"]["schemas"]
    assert answer == {"$ref": "#/components/schemas/ImportReport"}
    assert set(again) == set(schemas["ImportReport"]["properties"]) == set(schemas["ImportReport"]["required"])
    assert all(set(item) <= set(schemas["ImportItem"]["properties"]) for item in again["items"])
    assert {item["result"] for item in again["items"]} <= set(schemas["ImportItem"]["properties"]["result"]["enum"])
    assert again["unchanged"] == len(again["items"]) - again["deleted"] and not again["deleted"]
    plain = lab.admin.post("/v2/import?dry_run=false", changed)
    assert (plain.status, plain.body) == (200, b"") and lab.admin.post("/v2/import", changed).body == b""
    for query in ("dryrun=true&report=true", "dry_run=maybe", "report=true&report=true"):
        assert lab.admin.post(f"/v2/import?{query}", changed).status == 400


def test_an_import_tells_all_that_is_refused(lab):
    before = lab.user.get("/v2/export").json
    body = {"services": [CATALOG["services"][0], CATALOG["services"][0]],
            "clustertemplates": [template("good", []), template("bad", [], administration={"leaseduration": {"max": 5}})],
            "providers": [{"name": "masked", "providertype": "testtype", "provisioner": {"token": "********"}}]}
    answer = lab.admin.request("POST", "/v2/import", body, {"Accept": "application/problem+json"})
    assert answer.status == 400
    assert [one["pointer"] for one in answer.json["errors"]] == ["#/services/1", "#/clustertemplates/1"]
    del body["services"], body["clustertemplates"][1]
    answer = lab.admin.request("POST", "/v2/import", body, {"Accept": "application/problem+json"})
    assert answer.status == 400 and [one["pointer"] for one in answer.json["errors"]] == ["#/providers/0"]
    body["services"] = [CATALOG["services"][0]] * 2
    report = lab.admin.post("/v2/import?dry_run=true", body).json
    refused = [one for one in report["items"] if one["result"] == "refused"]
    assert [(one["kind"], one["name"], one["pointer"]) for one in refused] == [
        ("services", "base", "#/services/1"), ("providers", "masked", "#/providers/0")]
    assert report["refused"] == 2 and "twice" in refused[0]["detail"] and report["created"] == 1
    assert lab.user.get("/v2/export").json == before


def test_who_may(lab):
    assert lab.user.post("/v2/import", {}).status == 403
    assert lab.user.get("/v2/export").status == 200
    assert lab.admin.post("/v2/import", "{").status == 400


def test_of_imports_at_once_one_stays_whole(empty_lab):
    """Also when there is nothing yet to be locked."""
    def document(number):
        return {"services": [dict(CATALOG["services"][0], name=f"s{number}-{k}") for k in range(8)]}

    answers = []

    def put(number):
        answers.append(empty_lab.admin.post("/v2/import", document(number)).status)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 6
    names = [entry["name"] for entry in empty_lab.user.get("/v2/export").json["services"]]
    assert len(names) == 8 and len({name.partition("-")[0] for name in names}) == 1
