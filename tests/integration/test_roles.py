# SPDX-License-Identifier: Apache-2.0
"""Roles of a tenant's own: narrower than those that there are, by permission, template and provider."""

import json
import os
import subprocess

import pytest

from support import wait_for
from support.api import Api
from support.contract import asked, body_schema, is_stream, path_of, sample
from support.lab import Lab

PROBLEM = {"Accept": "application/problem+json"}
READS = ["clusters:read", "catalog:read"]


@pytest.fixture
def lab(guarded, unused):
    """A tenant with a catalog."""
    made = Lab(guarded, *next(unused)).load()
    yield made
    made.close()


def put_role(lab, name, base="user", permissions=(), **more):
    answer = lab.admin.put(f"/v2/roles/{name}", {"base": base, "permissions": list(permissions), **more})
    assert answer.status == 200, answer


def bearer(lab, user, **more):
    """A client with a new token of this user's."""
    answer = lab.admin.post("/v2/tokens", {"name": "t", "user": user, **more})
    assert answer.status == 200, answer
    return Api(lab.admin.url, user=None, token=answer.json["token"])


def person(lab, user, given, **more):
    answer = lab.admin.put(f"/v2/users/{user}", {"role": given})
    assert answer.status == 200, answer
    return bearer(lab, user, **more)


def create(client, name, template):
    return client.post("/v2/clusters", {"name": name, "clusterTemplate": template, "numMachines": 1})


def says(answer, *words):
    """It is a refusal that names these."""
    assert answer.status == 403, answer
    for word in words:
        assert word in answer.text, (word, answer)


def covered(permissions, permission):
    """As the server means it: what may write may do all with its noun."""
    return permission.startswith("session:") or permission in permissions or \
        permission.split(":")[0] + ":write" in permissions


@pytest.mark.parametrize("base, permissions", [
    ("user", ["clusters:read", "clusters:stop", "catalog:read"]), ("user", ["clusters:write", "tokens:read"]),
    ("auditor", ["audit:read", "metrics:read"]), ("admin", ["catalog:write", "callbacks:read", "clusters:labels"])])
def test_every_route_asks_for_its_permission(lab, base, permissions):
    """The table is walked: what the role names is let through, all else is 403 with both names."""
    put_role(lab, "narrow", base, permissions)
    one = person(lab, "nina", "narrow")
    whole = person(lab, "whole", base)
    cluster = lab.admin.create_cluster("walked", "one", 1)
    if base == "user":
        lab.stack.sql(f"UPDATE cluster SET owner_id='nina' WHERE id={int(cluster)}")
    doc, refused, allowed = Api(lab.admin.url, user=None).get("/openapi.json").json, 0, 0
    for method, path, operation in asked(doc):
        if is_stream(operation) or "/import" in path or (method, path) == ("post", "/v2/logout"):
            continue
        rule = operation["x-loom-permission"]
        assert (rule["scope"] == "clusters:write") == ("action" in rule)
        permission, schema = rule.get("action", rule["scope"]), body_schema(doc, operation)
        body = None if schema is None else sample(doc, schema)
        answer = one.request(method.upper(), path_of(cluster, path, operation), body, PROBLEM)
        if base not in rule["roles"]:
            assert answer.status == 403 and base in answer.json["detail"], (method, path, answer)
        elif covered(permissions, permission):
            allowed += 1
            assert answer.status not in (401, 403), (method, path, answer)
        else:
            refused += 1
            says(answer, "role narrow", permission)
            # it is the role alone: with its base it goes
            assert whole.request(method.upper(), path_of(cluster, path, operation), b"[", PROBLEM).status != 403
    assert refused > 15 and allowed > 3, (refused, allowed)


def test_a_template_decides_what_may_be_done(lab):
    put_role(lab, "oners", "user", [*READS, "clusters:create", "clusters:expiry", "clusters:labels"],
             templates=["one", "for*"])
    ann = person(lab, "ann", "oners")
    made = create(ann, "mine", "one")
    assert made.status == 200 and create(ann, "long", "forever").status == 200, made
    says(create(ann, "other", "empty"), "role oners", "clusters:create", "template empty")
    mine, other = made.json["id"], lab.admin.create_cluster("other", "empty", 1)
    lab.stack.sql(f"UPDATE cluster SET owner_id='ann' WHERE id={int(other)}")
    # what is seen follows the base, what is done the template
    assert {one["id"] for one in ann.get("/v2/clusters").json} >= {mine, other}
    assert ann.get(f"/v2/clusters/{other}").status == 200
    assert ann.put(f"/v2/clusters/{mine}/labels", {"labels": {"a": "b"}}).status == 200
    says(ann.put(f"/v2/clusters/{other}/labels", {"labels": {"a": "b"}}), "role oners", "clusters:labels", "template empty")
    says(ann.delete(f"/v2/clusters/{mine}"), "role oners", "clusters:delete")
    says(ann.post(f"/v1/loom/clusters/{other}", {"expireTime": 0}), "role oners", "clusters:expiry")
    says(ann.post("/v1/loom/clusters", {"name": "x", "clusterTemplate": "empty", "numMachines": 1}), "clusters:create")
    # what is not seen is not there, whatever the role says
    foreign = lab.admin.create_cluster("foreign", "one", 1)
    for answer in (ann.get(f"/v2/clusters/{foreign}"), ann.put(f"/v2/clusters/{foreign}/labels", {"labels": {"a": "b"}})):
        assert answer.status == 404, answer


def test_a_provider_decides_too(lab):
    put_role(lab, "labbers", "user", [*READS, "clusters:write"], providers=["nowhere"])
    ann = person(lab, "ann", "labbers")
    says(create(ann, "mine", "one"), "role labbers", "clusters:create", "provider lab")
    put_role(lab, "labbers", "user", [*READS, "clusters:write"], providers=["la*"])
    assert create(ann, "mine", "one").status == 200


def test_a_change_of_a_role_counts_at_once(lab):
    put_role(lab, "moving", "user", ["clusters:read"])
    ann = person(lab, "ann", "moving")
    says(ann.get("/v2/providers"), "role moving", "catalog:read")
    put_role(lab, "moving", "user", ["catalog:read"])
    assert ann.get("/v2/providers").status == 200
    says(ann.get("/v2/clusters"), "clusters:read")
    # another base is that of all who have it
    put_role(lab, "moving", "auditor", ["users:read"])
    assert ann.get("/v2/users").status == 200
    assert ann.get("/v2/whoami").json["role"] == "auditor"


def test_a_token_is_narrowed_by_its_own_role_and_by_its_users(lab):
    put_role(lab, "readers", "user", READS + ["tokens:write"])
    put_role(lab, "stoppers", "user", ["clusters:stop", "clusters:read"])
    put_role(lab, "watchers", "auditor", ["clusters:read"])
    boss = person(lab, "boss", "admin", role="readers")
    who = boss.get("/v2/whoami").json
    assert (who["role"], who["narrowedBy"]) == ("user", ["readers"])
    says(boss.put("/v2/users/x", {"role": "admin"}), "user")
    # what it makes is as narrow, and nobody else's
    made = boss.post("/v2/tokens", {"name": "child"}).json
    assert made["role"] == "readers"
    says(boss.post("/v2/tokens", {"name": "child", "role": "stoppers"}), "readers")
    says(boss.post("/v2/tokens", {"name": "child", "user": "admin"}), "administrators")
    both = person(lab, "both", "readers", role="stoppers")
    assert both.get("/v2/clusters").status == 200
    says(both.get("/v2/providers"), "role stoppers")
    says(both.post("/v2/clusters/1/services/stop"), "role readers", "clusters:stop")
    # a user has nothing of an auditor's
    answer = lab.admin.post("/v2/tokens", {"name": "t", "user": "both", "role": "watchers"})
    assert answer.status == 409 and "watchers" in answer.text, answer
    assert lab.admin.post("/v2/tokens", {"name": "t", "user": "both", "role": "none"}).status == 404
    watcher = bearer(lab, "boss", role="watchers")
    assert watcher.get("/v2/clusters").status == 200
    assert lab.admin.put("/v2/users/boss", {"role": "user"}).status == 200
    wait_for(lambda: watcher.get("/v2/clusters").status == 401, 60, "the end of what was an auditor's")


def test_an_action_is_a_scope_too(lab):
    one = person(lab, "ann", "user", scopes="clusters:read clusters:labels")
    mine = lab.user.create_cluster("mine", "one", 1)
    assert one.put(f"/v2/clusters/{mine}/labels", {"labels": {"a": "b"}}).status == 200
    says(one.delete(f"/v2/clusters/{mine}"), "clusters:delete")


@pytest.mark.parametrize("name, body, word", [
    ("admin", {}, "the name of a role"), ("x" * 65, {}, "64"), ("a b", {}, "the name of a role"),
    ("ok", {"base": "superadmin"}, "base"), ("ok", {"permissions": []}, "permissions"),
    ("ok", {"permissions": ["clusters:fly"]}, "clusters:stop"), ("ok", {"permissions": ["users:write"]}, "admin alone"),
    ("ok", {"template": ["one"]}, "templates"), ("ok", {"templates": ["a*b"]}, "templates[0] must be a name"),
    ("ok", {"templates": ["one"], "permissions": ["catalog:write"]}, "catalog:write goes not"),
    ("ok", {"providers": ["lab"], "permissions": ["catalog:write"]}, "catalog:write goes not")])
def test_roles_that_are_refused(lab, name, body, word):
    answer = lab.admin.put(f"/v2/roles/{name.replace(' ', '%20')}", {"base": "user", "permissions": READS, **body})
    assert answer.status == 400 and word in answer.text, answer
    assert lab.admin.get("/v2/roles").json == []


def test_a_role_is_a_document_with_a_version_and_a_trace(lab):
    put_role(lab, "readers", "user", READS, description="who looks on")
    shown = lab.admin.get("/v2/roles/readers")
    assert shown.json | {"changed": 0} == {"name": "readers", "base": "user", "permissions": READS, "changed": 0,
                                           "description": "who looks on"}
    stale = {"If-Match": '"stale"'}
    assert lab.admin.request("PUT", "/v2/roles/readers", {"base": "user", "permissions": READS}, stale).status == 412
    assert lab.admin.request("DELETE", "/v2/roles/readers", headers=stale).status == 412
    person(lab, "ann", "readers")
    assert [one["role"] for one in lab.admin.get("/v2/users").json if one["name"] == "ann"] == ["readers"]
    used = lab.admin.delete("/v2/roles/readers")
    assert used.status == 409 and "readers" in used.text, used
    missing = lab.admin.put("/v2/users/ann", {"role": "writers"})
    assert missing.status == 400 and "writers" in missing.text, missing
    assert lab.admin.put("/v2/users/ann", {"role": "user"}).status == 200
    tag = {"If-Match": shown.headers["ETag"]}
    assert lab.admin.request("DELETE", "/v2/roles/readers", headers=tag).status == 200
    assert lab.admin.delete("/v2/roles/readers").status == 404
    rows = lab.admin.get("/v2/audit?object=roles/readers&outcome=done").json
    assert [(row["action"].split()[0], row.get("before", {}).get("base")) for row in rows] == [
        ("DELETE", "user"), ("PUT", None)]
    assert rows[1]["after"]["permissions"] == READS


def test_the_superadmins_have_some_too(guarded):
    top = guarded.api
    body = {"base": "admin", "permissions": ["doctor:read", "tenants:write", "clusters:read"]}
    assert top.put("/v2/roles/doctors", body).status == 200
    assert top.put("/v2/users/doc", {"role": "doctors"}).status == 200
    token = top.post("/v2/tokens", {"name": "t", "user": "doc"}).json["token"]
    doc = Api(top.url, user=None, token=token)
    assert doc.get("/v2/doctor").status == 200 and doc.get("/v2/tenants").status == 200
    says(doc.get("/v2/provisioners"), "role doctors")
    # he is none who could go everywhere, nor one who keeps the last superadmin from going
    doc.identity["X-Loom-TenantID"] = guarded.sql("SELECT name FROM tenant WHERE id<>'superadmin' LIMIT 1")[0][0]
    assert doc.get("/v2/clusters").status == 404
    assert top.delete("/v2/users/admin").status == 409
    assert top.put("/v2/users/admin", {"role": "doctors"}).status == 409


def test_the_command_line_makes_and_gives_them(lab, tmp_path):
    token = lab.stack.token()
    env = {key: value for key, value in os.environ.items() if not key.startswith("LOOM_")}

    def loom(*words):
        return subprocess.run([str(lab.stack.bin / "loom"), "--tenant", lab.name, *words], capture_output=True, text=True,
                              timeout=60, check=False, env={**env, "HOME": str(tmp_path), "LOOM_TOKEN": token,
                                                            "LOOM_URL": lab.admin.url})

    done = loom("role", "set", "web-ops", "--base", "user", "--permissions", "clusters:read,clusters:stop",
                "--templates", "web-*")
    assert done.returncode == 0, done.stderr
    assert "web-ops" in loom("role", "list").stdout and "web-*" in loom("role", "show", "web-ops").stdout
    assert loom("role", "set", "web-ops", "--base", "user").returncode == 64
    assert loom("user", "set", "ann", "--role", "web-ops").returncode == 0
    made = loom("token", "create", "t", "--of", "ann", "--role", "web-ops")
    assert made.returncode == 0, made.stderr
    assert "web-ops" in loom("token", "list").stdout
    used = loom("role", "delete", "web-ops")
    assert used.returncode == 1 and "take it from them first" in used.stderr
    token = made.stdout.strip()
    assert "narrowed by web-ops" in loom("whoami").stdout
    assert json.loads(loom("whoami", "-o", "json").stdout)["narrowedBy"] == ["web-ops", "web-ops"]
