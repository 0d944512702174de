# SPDX-License-Identifier: Apache-2.0
"""Every route does what its row in the table says: walked by /openapi.json, which is made from it.

For each: nobody, a wrong role, a foreign tenant; bodies with a field missing, of a wrong type, misspelt. The
answer is one that the table names, says where the fault is, and is never a 5xx.
"""

import copy
import gzip
import json
import re

import pytest

from support.api import Api
from support.contract import asked, body_schema, is_stream, operations, path_of, resolve, sample
from support.lab import Lab

MERGE = "application/merge-patch+json"
PROBLEM = {"Accept": "application/problem+json"}
WRONG = {"string": {}, "integer": "x", "number": {}, "boolean": "maybe", "object": [], "array": {}}
# The handler reads it as a stream of pieces and says of all its fields at once what they must be.
WHOLE_REFUSAL = {"post_tasks_id_log"}


@pytest.fixture(scope="module")
def world(core, tenants):
    """A tenant with a cluster, and another one; what the table says."""
    own, other = Lab(core, *next(tenants)).load(), Lab(core, *next(tenants)).load()
    own.cluster = own.create()
    own.other = other
    own.superadmin = Api(core.api.url)
    own.internal = Api(core.internal.url, user=None)
    own.doc = Api(core.api.url, user=None).get("/openapi.json").json
    yield own
    own.close()
    other.close()


def real(world, path, operation):
    """The path with names in it: of the cluster that there is, else of things that there are not."""
    return path_of(world.cluster, path, operation)


def caller(world, operation):
    """Somebody who may."""
    roles = operation["x-loom-permission"]["roles"]
    if "provisioner" in roles:
        return world.internal
    if "user" in roles:
        return world.user
    return world.admin if "admin" in roles else world.superadmin


def test_the_document_is_whole(world):
    """References lead somewhere, names are there once, and paths have their parameters."""
    doc, ids = world.doc, []
    assert doc["openapi"].startswith("3.1") and doc["info"]["version"]
    for found in re.findall(r'"\$ref": "([^"]*)"', json.dumps(doc)):
        assert resolve(doc, {"$ref": found})
    for method, path, operation in operations(doc):
        ids.append(operation["operationId"])
        declared = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path)), (method, path)
        assert operation["summary"] and operation["responses"] and operation["x-loom-since"]
    assert len(ids) == len(set(ids)) and len(ids) > 100


def test_it_is_served_as_it_should_be(world):
    anybody = Api(world.user.url, user=None)
    for path, kind in (("/openapi.json", "application/json"), ("/docs", "text/html; charset=utf-8")):
        plain = anybody.get(path)
        assert (plain.status, plain.headers["Content-Type"]) == (200, kind)
        packed = anybody.request("GET", path, headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(packed.body) == plain.body
        again = anybody.request("GET", path, headers={"If-None-Match": plain.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
    page = anybody.get("/docs").text
    assert "<script" not in page and "http" not in page.split("<h2>")[0].replace("http-equiv", "")
    for _, path, _ in operations(world.doc):
        assert f"<code>{path}</code>" in page


def test_who_is_nobody(world):
    nobody = Api(world.user.url, user=None)
    for method, path, operation in asked(world.doc):
        answer = nobody.request(method.upper(), real(world, path, operation), headers=PROBLEM)
        assert answer.status == 401 and answer.json["status"] == 401, (method, path, answer)
        stranger = Api(world.user.url, "ann", "nosuch")
        assert stranger.request(method.upper(), real(world, path, operation), b"").status == 404, (method, path)


def test_a_wrong_role_is_refused(world):
    tried = 0
    for method, path, operation in asked(world.doc):
        roles = operation["x-loom-permission"]["roles"]
        for role, who in (("user", world.user), ("admin", world.admin)):
            if role in roles:
                continue
            tried += 1
            # before the body is looked at
            answer = who.request(method.upper(), real(world, path, operation), b"{", PROBLEM)
            assert answer.status == 403 and "403" in operation["responses"], (method, path, role, answer)
            assert answer.headers["Content-Type"] == "application/problem+json"
    assert tried > 40


def test_what_is_not_ones_own_does_not_exist(world):
    tried = 0
    for method, path, operation in asked(world.doc):
        owner = operation["x-loom-permission"]["owner"]
        if owner not in ("cluster", "task"):
            continue
        for who in (world.other.admin, world.other.user, world.user.as_user("bob", world.name)):
            tried += 1
            answer = who.request(method.upper(), real(world, path, operation), b"{", PROBLEM)
            assert answer.status == 404 and "404" in operation["responses"], (method, path, answer)
    assert tried > 60
    assert world.admin.get(f"/v2/clusters/{world.cluster}").json["status"] == "pending"
    for name in ("providers/lab", "clustertemplates/one"):
        assert world.admin.get(f"/v2/{name}").status == 200
        world.admin.put("/v2/imagetypes/own", {"name": "own", "providermap": {}})
    assert world.other.admin.get("/v2/imagetypes/own").status == 404


def make_mine(world):
    """Something of each kind that is a tenant's; answers the name of each by the first parts of its path."""
    admin, names = world.admin, {}

    def made(kind, body, **more):
        answer = admin.put(f"/v2/{kind}/mine", {**body, **more})
        assert answer.status == 200, (kind, answer)
        names[kind] = "mine"

    for kind in ("providers", "hardwaretypes", "imagetypes", "services", "clustertemplates", "partialtemplates"):
        schema = body_schema(world.doc, world.doc["paths"][f"/v2/{kind}/{{name}}"]["put"])
        made(kind, sample(world.doc, schema), name="mine")
    made("users", {"role": "user"})
    made("roles", {"base": "user", "permissions": ["clusters:read"]})
    made("callbacktargets", {"url": "http://a.example/", "events": ["start"]})
    names["tokens"] = admin.post("/v2/tokens", {"name": "mine", "user": "mine"}).json["id"]
    node = body_schema(world.doc, world.doc["paths"]["/v2/nodes/{id}"]["put"])
    assert admin.put("/v2/nodes/mine", {**sample(world.doc, node), "id": "mine", "clusterId": world.cluster}).status in (200, 204)
    names["nodes"] = "mine"
    world.stack.sql("INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind, target, url, secret, as_then, state,"
                    f" not_before, create_time) VALUES (UUID(), '{world.tenant}', {int(world.cluster)}, 1, 'start', 't',"
                    " 'http://a.example/', '', '', 'dead', 0, 1)")
    names["callbacks"] = admin.get("/v2/callbacks").json[0]["id"]
    for kind in ("providertypes", "automatortypes"):
        assert world.internal.put(f"/v2/plugins/{kind}/filed", {
            "name": "filed", "resourceTypes": {"scripts": {"format": "file"}}}).status == 200
        answer = admin.request("POST", f"/v2/plugins/{kind}/filed/scripts/mine", b"mine",
                               {"Content-Type": "application/octet-stream"})
        assert answer.status == 200, answer
        names[f"plugins/{kind}"] = "mine"
    return names


def all_of(world, names):
    """What its administrator is shown of them."""
    shown = {}
    for kind in names:
        shown[kind] = world.admin.get(f"/v2/{kind}/filed/scripts" if "/" in kind else f"/v2/{kind}").json
        for item in shown[kind]:
            if isinstance(item, dict):
                item.pop("usedTime", None)
    return shown


def test_another_tenants_are_out_of_reach(world):
    """Of each kind there is one, so that a new path of things of tenants is a failure until it is tried, too."""
    names = make_mine(world)
    before, tried = all_of(world, names), set()
    foreign = [(method, path, operation) for method, path, operation in operations(world.doc)
               if operation["x-loom-permission"]["owner"] == "tenant" and path.startswith("/v2/")]
    for method, path, operation in sorted(foreign, key=lambda one: one[0] != "get"):  # what is put would be there
        parts = path.split("/")
        kind = "/".join(parts[2:4]) if parts[2] == "plugins" else parts[2]
        values = {"plugin": "filed", "type": "scripts", "version": "1", "part": "1", "name": names[kind], "id": names[kind]}
        if path.endswith("/{name}/{part}") and method == "get" and parts[2] == "plugins":
            values.update(name="filed", part="scripts")
        there = re.sub(r"\{(\w+)\}", lambda found, values=values: str(values[found[1]]), path)
        schema = body_schema(world.doc, operation)
        body = None if schema is None else {**sample(world.doc, schema), **({"name": "mine"} if "name" in schema.get(
            "properties", ()) else {})}
        answer = world.other.admin.request(method.upper(), there, body, PROBLEM)
        assert answer.status < 500 and str(answer.status) in operation["responses"], (method, there, answer)
        if method == "get":
            assert answer.status == 404 or answer.json in ([], {}), (there, answer)
        tried.add(kind)
    assert tried == set(names) and len(foreign) > 60
    assert all_of(world, names) == before


def test_whoever_may_is_answered_as_the_table_says(world):
    for method, path, operation in operations(world.doc):
        if is_stream(operation) or method == "delete" and path == "/v2/clusters/{id}" or "/import" in path:
            continue
        schema = body_schema(world.doc, operation)
        for body in (b"", b"[", b"null", b"7", None if schema is None else sample(world.doc, schema)):
            answer = caller(world, operation).request(method.upper(), real(world, path, operation), body, PROBLEM)
            assert str(answer.status) in operation["responses"] and answer.status < 500, (method, path, body, answer)
            if operation["security"]:  # else 403 is of a provisioner that is not registered
                assert answer.status not in (401, 403), (method, path, answer)
            if answer.status >= 400:
                assert answer.headers["Content-Type"] == "application/problem+json", (method, path, answer)
                assert answer.json["status"] == answer.status and answer.json["detail"]


def takes(operation, name):
    """Whether it says that it takes this header."""
    return name in {one["name"] for one in operation["parameters"] if one["in"] == "header"}


def test_versions_are_named_where_the_table_says_so(world):
    tried = 0
    for method, path, operation in operations(world.doc):
        if not takes(operation, "If-Match"):
            continue
        tried += 1
        who, schema = caller(world, operation), body_schema(world.doc, operation)
        body = {} if schema is None else sample(world.doc, schema)
        if "expireTime" in body:
            body["expireTime"] = 0
        if "permissions" in body:
            body["permissions"] = ["clusters:read"]
        if "url" in body:
            body["url"] = "http://a.example/"
        sent = {**PROBLEM, **({"Content-Type": MERGE} if method == "patch" else {})}
        refusals = [who.request(method.upper(), real(world, path, operation), body, {**sent, "If-Match": text})
                    for text in ("7", '"none"')]
        assert refusals[0].status == 400 and "If-Match" in refusals[0].json["detail"], (method, path, refusals)
        there = method not in ("get", "patch") or who.get(real(world, path, operation)).status == 200
        assert refusals[1].status == (412 if there else 404), (method, path, refusals)
        assert "412" in operation["responses"] and takes(operation, "If-None-Match")
        if method == "get":
            assert "ETag" in operation["responses"]["200"]["headers"] and "304" in operation["responses"]
            assert not there or who.get(real(world, path, operation)).headers["ETag"]
    assert tried > 30


def test_patches_are_taken_as_what_they_are(world):
    tried = 0
    for method, path, operation in operations(world.doc):
        if method != "patch":
            continue
        tried += 1
        assert list(operation["requestBody"]["content"]) == [MERGE]
        for kind, body, status in ((None, b"{}", 415), ("application/json", b"{}", 415), (MERGE, b"[]", 400),
                                   (MERGE, b"", 400), (MERGE, b"{}", 404)):
            answer = caller(world, operation).request("PATCH", real(world, path, operation), body,
                                                      {**PROBLEM, **({"Content-Type": kind} if kind else {})})
            assert answer.status == status and str(status) in operation["responses"], (path, kind, body, answer)
    assert tried == 6


def answered(answer):
    """What counts of an answer."""
    return answer.status, answer.headers.get("Location"), answer.body


def test_what_is_sent_twice_is_done_once(world):
    """With a key, wherever the table says so, which is every POST that changes something."""
    done, number = set(), 0
    for method, path, operation in operations(world.doc):
        keyed = takes(operation, "Idempotency-Key")
        assert keyed == (method == "post" and operation["x-loom-repeat"] != "reads" and bool(operation["security"]))
        if not keyed:
            continue
        assert {"400", "409", "422"} <= set(operation["responses"]) and operation["x-loom-repeat"] in ("key", "same")
        number += 1
        who, schema = world.superadmin if "user" not in operation["x-loom-permission"]["roles"] else world.user, \
            body_schema(world.doc, operation)
        body = None if schema is None else sample(world.doc, schema)
        if body is not None and "name" in body:
            body["name"] = f"once-{number}"

        def send(body, key, path=real(world, path, operation), who=who):
            return who.request("POST", path, body, {**PROBLEM, "Idempotency-Key": key})

        assert send(body, "x" * 256).status == 400
        first = send(body, f"contract {number}")
        again = send(body, f"contract {number}")
        if first.status != 200:
            continue
        done.add(path)
        assert answered(again) == answered(first), (path, first, again)
        other = send({"other": 1, **(body or {})}, f"contract {number}")
        assert other.status == 422 and "Idempotency-Key" in other.json["detail"], (path, other)
    assert number > 25 and {"/v2/providers", "/v2/clusters/{id}/abort"} <= done, (number, done)


def refused(world, method, path, operation, body):
    """The pointers of what is wrong with a body; it is refused for that alone."""
    answer = caller(world, operation).request(method.upper(), real(world, path, operation), body, PROBLEM)
    assert answer.status == 400, (method, path, body, answer)
    return [one["pointer"] for one in answer.json.get("errors", [])]


def test_faults_of_bodies_are_pointed_at(world):
    tried = 0
    for method, path, operation in operations(world.doc):
        schema = body_schema(world.doc, operation)
        if schema is None or operation["operationId"] in WHOLE_REFUSAL:
            continue
        good = sample(world.doc, schema)
        for name, part in schema.get("properties", {}).items():
            if name in schema.get("required", ()):
                bad = {key: value for key, value in good.items() if key != name}
                assert refused(world, method, path, operation, bad) == [f"#/{name}"]
                tried += 1
            kind = resolve(world.doc, part).get("type")
            if kind:
                bad = {**copy.deepcopy(good), name: WRONG[kind]}
                assert refused(world, method, path, operation, bad) == [f"#/{name}"]
                tried += 1
            longest = resolve(world.doc, part).get("maxLength")
            if longest:
                bad = {**copy.deepcopy(good), name: "x" * (longest + 1)}
                assert refused(world, method, path, operation, bad) == [f"#/{name}"]
    assert tried > 150


def test_what_is_too_much_is_pointed_at(world):
    """Members of lists and numbers, wherever the document says how many."""
    tried = 0
    for method, path, operation in operations(world.doc):
        schema = body_schema(world.doc, operation)
        if schema is None or operation["operationId"] in WHOLE_REFUSAL:
            continue
        good = sample(world.doc, schema)
        for name, field in schema.get("properties", {}).items():
            part = resolve(world.doc, field)
            too_much = []
            if part.get("maxItems", 1 << 20) <= 10000:
                too_much.append([sample(world.doc, part.get("items", {}))] * (part["maxItems"] + 1))
            if part.get("type") == "integer" and part.get("maximum", 1 << 60) < 1 << 53:
                too_much.append(part["maximum"] + 1)
            if part.get("type") == "integer" and "minimum" in part:
                too_much.append(part["minimum"] - 1)
            for value in too_much:
                pointers = refused(world, method, path, operation, {**copy.deepcopy(good), name: value})
                assert f"#/{name}" in pointers, (method, path, name, pointers)
                tried += 1
    assert tried > 30


def test_what_is_misspelt_is_pointed_at(world):
    """A name that looks like one of the fields; others are passed over, as the original's clients send them."""
    tried = 0
    for method, path, operation in operations(world.doc):
        schema = body_schema(world.doc, operation)
        if schema is None or operation["operationId"] in WHOLE_REFUSAL:
            continue
        good, fields = sample(world.doc, schema), schema.get("properties", {})
        for name in fields:
            if len(name) < 6 or name[:-1] in fields or schema.get("additionalProperties") is True:
                continue
            pointers = refused(world, method, path, operation, {**good, name[:-1]: 1})
            assert f"#/{name[:-1]}" in pointers, (method, path, name, pointers)
            tried += 1
    assert tried > 100


def test_all_faults_are_told_at_once(world):
    body = {"name": "a b", "numMachines": "many", "services": [1, {}], "onFailure": "explode", "numMachine": 3}
    answer = world.user.request("POST", "/v2/clusters", body, PROBLEM)
    assert sorted(one["pointer"] for one in answer.json["errors"]) == [
        "#/clusterTemplate", "#/name", "#/numMachine", "#/numMachines", "#/onFailure", "#/services/1"]
    plain = world.user.post("/v2/clusters", body)
    assert plain.status == 400 and plain.headers["Content-Type"].startswith("text/plain")
    for words in ("clusterTemplate is missing", "numMachine is not a field; did you mean numMachines?",
                  "services[1] must be a string"):
        assert words in plain.text


def test_numbers_of_rows_keep_the_bounds_that_the_document_says(world):
    answer = world.superadmin.get(f"/v2/audit/verify?seq={(1 << 63) - 2}&hash=0&from=true")
    documented = world.doc["paths"]["/v2/audit/verify"]["get"]["responses"]["200"]["content"]["application/json"]
    fields = resolve(world.doc, documented["schema"])["properties"]
    assert answer.status == 200 and answer.json["brokenAt"] > 1 << 62
    for name, value in answer.json.items():
        assert not isinstance(value, int) or value <= fields[name].get("maximum", value), (name, value)


def test_a_provider_asks_for_what_it_needs(world):
    body = {"name": "needs", "clusterTemplate": "one", "numMachines": 1, "provider": "bare"}
    answer = world.user.request("POST", "/v2/clusters", body, PROBLEM)
    assert answer.status == 400
    assert "#/providerFields/project" in [one["pointer"] for one in answer.json["errors"]]
    assert "missingFields" in world.user.post("/v2/clusters", body).json
    odd = {"name": "odd", "parameters": {
        "user": {"fields": {"a/b~c": {"label": "A", "type": "text"}}, "required": [["a/b~c"]]}}}
    assert world.internal.put("/v2/plugins/providertypes/odd", odd).status == 200
    assert world.admin.put("/v2/providers/odd", {"name": "odd", "providertype": "odd"}).status == 200
    answer = world.user.request("POST", "/v2/clusters", {**body, "provider": "odd"}, PROBLEM)
    assert [one["pointer"] for one in answer.json["errors"]] == ["#/providerFields/a~1b~0c"]  # as RFC 6901 says


@pytest.mark.parametrize("query, kind", [("", "text/plain"), ("?report=true", "application/json"),
                                         ("?dry_run=true", "application/json"), ("?report=false", "text/plain")])
def test_an_import_is_answered_as_the_document_says(world, query, kind):
    """Without a report, as the original, with nothing; which JSON cannot say."""
    documented = world.doc["paths"]["/v2/import"]["post"]["responses"]["200"]
    assert "With dry_run or report" in documented["description"]
    schema = resolve(world.doc, documented["content"][kind]["schema"])
    answer = world.admin.post(f"/v2/import{query}", world.admin.get("/v2/export").json)
    assert answer.status == 200, answer
    assert answer.headers.get("Content-Type", "").split(";")[0] == kind, answer.headers
    if kind == "text/plain":
        assert schema == {"type": "string", "maxLength": 0} and answer.body == b""
    else:
        assert set(answer.json) == set(schema["properties"])
