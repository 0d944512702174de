# SPDX-License-Identifier: Apache-2.0
"""Keys of tenants, sealed with master keys from a file, and both changed while services run."""

import json
import os
import secrets
import subprocess

import pytest

from support import Stack, wait_for
from support.confidential import CLOUD, KEYED, found, load, register, secret
from support.lab import Lab, make_tenants, service
from support.stack import CORE

FAST = ("scheduler.retry_base_ms=50ms", "scheduler.retry_cap_ms=300ms")

PRESENT = "SELECT id FROM data_key WHERE own='{}'"


class Keys:
    """A stack whose services share a file of master keys."""

    def __init__(self, folder):
        self.file = folder / "master.keys"
        self.put(secrets.token_hex(32))
        self.stack = Stack("keys", (*FAST, *(f"{part}.master_key_file={self.file}" for part in ("api", "scheduler"))))

    def put(self, *keys):
        """What the file holds, newest first."""
        self.keys = keys
        self.file.write_text("# newest first\n\n" + "\n".join(keys) + "\n", encoding="ascii")

    def rotate(self, *values, check=True, **env):
        """loom-api --rotate-keys beside those that run; what it says."""
        flag = "=".join(("--rotate-keys", *values))
        done = subprocess.run(
            [str(self.stack.bin / "loom-api"), "--config", str(self.stack.dir / "etc/loom-api.conf"), flag],
            env={**os.environ, **env}, capture_output=True, text=True, timeout=120, check=False)
        assert (done.returncode == 0) == check, done.stdout + done.stderr
        return done.stdout + done.stderr

    def present(self, tenant):
        """The name of a tenant's key."""
        return self.stack.sql(PRESENT.format(tenant))[0][0]

    def masters(self):
        """Names of the master keys that seal tenants' keys."""
        return {row[0] for row in self.stack.sql("SELECT DISTINCT master FROM data_key")}

    def sealed(self, lab):
        """Names of the keys with which all is sealed that a tenant has."""
        found = set()
        for (text,) in self.stack.sql(f"""
                SELECT doc FROM entity WHERE tenant_id='{lab.tenant}' UNION ALL
                SELECT provider FROM cluster WHERE tenant_id='{lab.tenant}' UNION ALL
                SELECT service_docs FROM cluster WHERE tenant_id='{lab.tenant}' AND service_docs IS NOT NULL"""):
            _names(json.loads(text.replace("\\\\", "\\")), found)
        found |= {row[0].partition(":")[0] for row in self.stack.sql(
            f"SELECT secret FROM callback_target WHERE tenant_id='{lab.tenant}'")}
        return found


def _names(value, found):
    if isinstance(value, dict) and value.keys() == {"$sealed", "key"}:
        found.add(value["key"])
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _names(inner, found)


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory):
    """One for all tests of this file; each leaves it with one master key."""
    keys = Keys(tmp_path_factory.mktemp("keys"))
    with keys.stack as stack:
        stack.up(*CORE)
        keys.tenants = make_tenants(stack, "k")
        register(stack, CLOUD, KEYED)
        yield keys


@pytest.fixture(name="lab")
def fixture_lab(keys):
    """A tenant with a key, secrets of each kind, and a living cluster."""
    lab = Lab(keys.stack, *next(keys.tenants))
    wait_for(lambda: keys.stack.sql(PRESENT.format(lab.tenant)), 60, what="a key of the tenant")
    lab.token = secret()
    load(lab, lab.token, secret())
    answer = lab.admin.put("/v2/callbacktargets/mine", {"url": "http://127.0.0.1:9/", "events": ["failure"],
                                                          "secret": secret()})
    assert answer.status == 200, answer
    lab.cloud = lab.worker()
    lab.user.wait_cluster(lab.create(providerFields={"pass": secret()}), "active")
    yield lab
    lab.close()


def told(lab):
    """What a new cluster's CREATE gets: whoever runs opens what is sealed now."""
    before = len(lab.cloud.of("CREATE"))
    lab.user.wait_cluster(lab.create(f"c{before}"), "active")
    return lab.cloud.of("CREATE")[before].config["provider"]["provisioner"]["token"]


def renewed(keys):
    """Services that remember nothing."""
    keys.stack.restart("api", "scheduler")


def test_each_tenant_has_a_key(keys, lab):
    assert keys.sealed(lab) == {keys.present(lab.tenant)}
    other = Lab(keys.stack, *next(keys.tenants))
    wait_for(lambda: keys.stack.sql(PRESENT.format(other.tenant)), 60, what="a key of the other tenant")
    assert keys.present(other.tenant) != keys.present(lab.tenant)
    # the key itself is in no file but the master keys', and of them nothing is in the database
    assert keys.stack.sql("SELECT MIN(oldest) FROM schema_migrations WHERE version=26") == [["26"]]
    # a tenant that is made has one at once, with which what it begins with is sealed
    root = keys.stack.api
    assert root.post("/v2/tenants", {"tenant": {"name": "made", "workers": 0}, "bootstrap": True}).status == 200
    made = keys.stack.sql("SELECT id FROM tenant WHERE name='made'")[0][0]
    assert keys.present(made)
    assert root.delete("/v2/tenants/made").status == 200
    assert not keys.stack.sql(f"SELECT id FROM data_key WHERE tenant_id='{made}'")


def test_another_master_key(keys, lab):
    """In front of the old one, then alone; data stays sealed as it is."""
    old, before = keys.masters(), keys.present(lab.tenant)
    keys.put(secrets.token_hex(32), *keys.keys)
    said = keys.rotate()
    assert "tenants' keys were sealed with the newest" in said
    assert f"master key {old.pop()} seals 0 tenants' keys: it can be taken out of {keys.file}" in said
    # those that run, and read the file when the old key stood alone, find the new one
    assert told(lab) == lab.token
    keys.put(keys.keys[0])
    renewed(keys)
    assert told(lab) == lab.token
    assert keys.present(lab.tenant) == before and len(keys.masters()) == 1
    assert "still" not in keys.rotate()


def test_running_services_find_a_new_master_key(keys, lab):
    """One that has not read a tenant's key yet, and whose file was another when it started."""
    renewed(keys)
    keys.put(secrets.token_hex(32), *keys.keys)
    keys.rotate()
    assert told(lab) == lab.token
    keys.put(keys.keys[0])


def test_a_missing_master_key_is_said(keys, lab):
    good, missing = keys.keys, keys.masters().pop()
    keys.put(secrets.token_hex(32))
    renewed(keys)
    answer = lab.user.post("/v2/clusters", {"name": "x", "clusterTemplate": "one", "numMachines": 1})
    words = f"sealed with master key {missing}, which is not in master_key_file {keys.file}"
    assert answer.status == 400 and "token of provider lab cannot be opened" in answer.text and words in answer.text
    said = keys.rotate(check=False)
    assert f"keys are sealed with master key {missing}, which is in no file of this server" in said
    keys.put(*good)
    again = {"name": "again", "clusterTemplate": "one", "numMachines": 1}
    wait_for(lambda: lab.user.post("/v2/clusters", again).status == 200, what="the file is read again")
    assert told(lab) == lab.token
    assert keys.masters() == {missing}


def test_new_keys_of_tenants(keys, lab):
    """Broken off at each step by kill -9, and run again; all is sealed with the new keys then."""
    before = keys.present(lab.tenant)
    for number in range(1, 5):
        keys.rotate("data", check=False, LOOM_DB_FAIL=f"exit_before_commit:{number}")
    said = keys.rotate("data")
    assert "with earlier keys" not in said, said
    now = keys.present(lab.tenant)
    assert now != before and keys.sealed(lab) == {now}
    assert told(lab) == lab.token
    renewed(keys)
    assert told(lab) == lab.token
    # earlier keys go when they have sealed nothing for a while
    keys.stack.sql("UPDATE data_key SET retire_time=1 WHERE own IS NULL")
    assert "earlier keys sealed nothing any more" in keys.rotate()
    assert keys.stack.sql("SELECT COUNT(*) FROM data_key WHERE own IS NULL") == [["0"]]
    assert told(lab) == lab.token


def test_passwords_of_machines_get_the_new_key(keys, lab):
    """Also of one that a scheduler remembers; what it does next opens them, and the earlier key can go."""
    password, seen = secret(), []

    def script(run):
        seen.append(run.config.get("ssh-auth", {}).get("password"))
        return {"result": {"ssh-auth": {"user": "root", "password": password}}} if run.name == "CONFIRM" else {}

    def restart():
        seen.clear()
        assert lab.user.post(f"/v2/clusters/{cluster}/services/restart").status == 200
        lab.user.wait_cluster(cluster, "active")
        assert seen and set(seen) == {password}

    lab.cloud.script = script
    assert lab.admin.put("/v2/services/vault", service("vault", actions=("install", "start", "stop"))).status == 200
    cluster = lab.create("machines")
    lab.user.wait_cluster(cluster, "active")
    where = f"SELECT results FROM node WHERE cluster_id={int(cluster)}"
    before, last = keys.present(lab.tenant), lab.user.cluster(cluster)["lastEvent"]
    assert before in keys.stack.sql(where)[0][0]
    said = keys.rotate("data")
    assert "with earlier keys" not in said and "machines" in said, said
    (text,), = keys.stack.sql(where)
    assert keys.present(lab.tenant) in text and before not in text and password not in text
    assert lab.user.cluster(cluster)["lastEvent"] == last + 1
    restart()
    keys.stack.sql("UPDATE data_key SET retire_time=1 WHERE own IS NULL")
    assert "earlier keys sealed nothing any more" in keys.rotate()
    restart()
    assert before not in keys.stack.sql(where)[0][0]


def test_a_key_that_nobody_has(keys, lab):
    """A row that came from elsewhere: it is named, and where it is."""
    keys.stack.sql("UPDATE entity SET doc=REPLACE(doc, '\"key\":\"', '\"key\":\"0000'), sealed=0"
                   f" WHERE tenant_id='{lab.tenant}' AND kind='providers'")
    said = keys.rotate(check=False)
    assert f"document providers/lab/1 of tenant {lab.tenant} is sealed with key 0000" in said
    answer = lab.user.post("/v2/clusters", {"name": "x", "clusterTemplate": "one", "numMachines": 1})
    assert answer.status == 400 and "which is none of this database" in answer.text
    keys.stack.sql("UPDATE entity SET doc=REPLACE(doc, '\"key\":\"0000', '\"key\":\"')"
                   f" WHERE tenant_id='{lab.tenant}' AND kind='providers'")


def test_wrong_values(keys):
    assert "only data is known" in keys.rotate("records", check=False)


@pytest.mark.parametrize("part", ["api", "scheduler"])
def test_a_file_that_is_not_right(keys, tmp_path, part):
    file = tmp_path / "keys"
    file.write_text(f"{'a' * 64}\n{'b' * 63}\n", encoding="ascii")
    done = subprocess.run([str(keys.stack.bin / f"loom-{part}"), "--config",
                           str(keys.stack.dir / "etc" / f"loom-{part}.conf")],
                          env={**os.environ, "LOOM_MASTER_KEY_FILE": str(file)}, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0 and f"master_key_file {file}, line 2" in done.stderr, done.stderr


def in_tables(stack, words):
    """Tables of the whole database that hold one of these words anywhere."""
    columns = {}
    for table, column in stack.sql("SELECT table_name, column_name FROM information_schema.columns"
                                   " WHERE table_schema=DATABASE()"):
        columns.setdefault(table, []).append(f"`{column}`")
    held = []
    for table, names in columns.items():
        for what, word in words.items():
            where = f"INSTR(CONCAT_WS(' ', {','.join(names)}), '{word}')"
            if stack.sql(f"SELECT COUNT(*) FROM `{table}` WHERE {where}") != [["0"]]:
                held.append(f"{what} in {table}")
    return held


def test_no_table_holds_a_secret(keys):
    """Of all that users and plug-ins give, through a cluster's life with a failure, nothing is kept in the clear."""
    stack = keys.stack
    lab = Lab(stack, *next(keys.tenants))
    wait_for(lambda: stack.sql(PRESENT.format(lab.tenant)), 60, what="a key of the tenant")
    words = {what: secret() for what in ("token", "license", "pass", "target", "password", "record", "profile", "file",
                                         "account", "refused")}
    plain = secret()
    load(lab, words["token"], words["license"])
    lab.admin.put("/v2/providers/lab", {**lab.admin.get("/v2/providers/lab").json, "description": plain})
    for path, body in (("callbacktargets/own", {"url": "http://127.0.0.1:9/", "events": ["failure"],
                                                "secret": words["target"]}),
                       ("profile", {"likes": words["profile"]}),
                       ("users/eve", {"role": "user", "password": words["account"]})):
        answer = lab.admin.put(f"/v2/{path}", body)
        assert answer.status in (200, 201), answer
    record = {"id": "mine", "clusterId": "1", "services": [], "actions": [], "properties": {"password": words["record"]}}
    assert lab.admin.post("/v2/nodes", record).status == 201
    hosted = {"name": "hosted", "parameters": {"admin": {"fields": {
        "host": {"label": "Host", "type": "text", "host": True},
        "token": {"label": "Token", "type": "password"}}}}}
    register(stack, hosted)
    kind = "/v2/plugins/providertypes/cloud"
    assert stack.internal.put(kind, {**CLOUD, "resourceTypes": {"keys": {"format": "file"}}}).status == 200
    assert lab.admin.request("POST", f"{kind}/keys/id_rsa", words["file"].encode()).status == 200
    asked = ("POST", "/v2/tokens", {"name": "ci"}, {"Idempotency-Key": "k"})
    token = lab.user.request(*asked)
    refused = {"provisioner": {"token": words["refused"]}, "name": "lab", "providertype": "cloud"}
    for answer in (lab.admin.request("PUT", "/v2/providers/lab", refused, {"If-Match": '"none"'}),
                   lab.admin.post("/v2/providers", {**refused, "name": "bad", "providertype": "hosted", "provisioner": {
                       "host": "/", "token": words["refused"]}}),
                   lab.user.put("/v2/providers/lab", refused),
                   lab.user.post("/v2/clusters", {"name": "x", "clusterTemplate": "none", "numMachines": 1,
                                                  "providerFields": {"pass": words["refused"]}})):
        assert answer.status in (403, 404, 412), answer
    assert token.status == 200, token
    words["made token"] = token.json["token"]

    def script(run):
        told = json.dumps(run.config)
        seen.append(run)
        if run.name == "CONFIRM":
            return {"result": {"ssh-auth": {"user": "root", "password": words["password"]}}}
        failed = run.name == "INSTALL" and sum(one.name == "INSTALL" for one in seen) == 1
        return {"status": int(failed), "stdout": told, "stderr": told, "result": {"told": [told]}}

    seen = []
    lab.worker(script, original=True)
    cluster = lab.create(providerFields={"pass": words["pass"]})
    lab.user.wait_cluster(cluster, "active")
    install = [run for run in seen if run.name == "INSTALL"]
    assert len(install) == 2 and install[1].config["ssh-auth"] == {"user": "root", "password": words["password"]}
    shown = lab.user.cluster(cluster)["nodes"][0]["provisionerResults"]["ssh-auth"]
    assert shown == {"user": "root", "password": "********"}
    assert in_tables(stack, words) == [] and found(stack, *words.values()) == []
    # while it is there all is what it was, also with other keys
    keys.rotate("data")
    assert lab.admin.get("/v2/nodes/mine").json["properties"]["password"] == words["record"]
    assert lab.admin.get("/v2/profile").json == {"likes": words["profile"]}
    file = stack.internal.get(f"/v2/tenants/{lab.tenant}/{kind.removeprefix('/v2/plugins/')}/keys/id_rsa/versions/1")
    assert file.text == words["file"], file
    assert lab.user.request(*asked).json == token.json
    assert lab.user.delete(f"/v2/clusters/{cluster}").status == 200
    lab.user.wait_cluster(cluster, "terminated")
    assert in_tables(stack, words) == [] and found(stack, *words.values()) == []
    assert {"plain in audit", "plain in entity", "plain in event"} <= set(in_tables(stack, {"plain": plain}))
    lab.close()


def test_beside_services_that_know_no_keys(monkeypatch):
    """As long as one runs all is sealed as it does it; then each tenant gets a key, and all is sealed with that."""
    monkeypatch.setenv("LOOM_BREAK", "no_data_keys")
    with Stack("oldkeys", FAST) as stack:
        stack.up(*CORE)
        lab = Lab(stack, *next(make_tenants(stack)))
        register(stack, CLOUD, KEYED)
        token = secret()
        load(lab, token, secret())
        target = {"url": "http://127.0.0.1:9/", "events": ["failure"], "secret": secret()}
        assert lab.admin.put("/v2/callbacktargets/mine", target).status == 200
        record = {"id": "mine", "clusterId": "1", "services": [], "actions": [], "properties": {"a": secret()}}
        assert lab.admin.post("/v2/nodes", record).status == 201
        profile = {"likes": secret()}
        assert lab.admin.put("/v2/profile", profile).status == 200
        kind, file = "providertypes/cloud", secret()
        register(stack, {**CLOUD, "resourceTypes": {"keys": {"format": "file"}}})
        assert lab.admin.request("POST", f"/v2/plugins/{kind}/keys/id", file.encode()).status == 200
        clear = {"record": record["properties"]["a"], "profile": profile["likes"], "file": file}
        assert sorted(in_tables(stack, clear)) == ["file in plugin_piece", "profile in profile", "record in node_record"]
        lab.cloud = lab.worker()
        first = lab.create()
        lab.user.wait_cluster(first, "active")
        before = stack.sql(f"SELECT secret FROM callback_target WHERE tenant_id='{lab.tenant}'")[0][0]
        assert ":" not in before
        # one new API beside an old one and an old scheduler
        monkeypatch.delenv("LOOM_BREAK")
        stack.start("api2")
        wait_for(lambda: "tenants get no keys" in stack.log("api2"), 60, what="the old ones are seen")
        assert stack.sql("SELECT COUNT(*) FROM data_key") == [["0"]]
        stack.restart("api", "scheduler")
        wait_for(lambda: stack.sql(PRESENT.format(lab.tenant)), 60, what="a key")
        key = stack.sql(PRESENT.format(lab.tenant))[0][0]
        of_it = f"tenant_id='{lab.tenant}'"
        stale = f"SELECT name FROM entity WHERE {of_it} AND doc LIKE '%$sealed%' AND doc NOT LIKE '%{key}%'"
        wait_for(lambda: not stack.sql(stale), 60, what="sealed anew")
        kept = f"SELECT LEFT(secret, 17) FROM callback_target WHERE {of_it}"
        wait_for(lambda: stack.sql(kept) == [[f"{key}:"]], 60, what="the target's secret, too")
        wait_for(lambda: not in_tables(stack, clear), 60, what="what was in the clear, too")
        assert lab.admin.get("/v2/nodes/mine").json["properties"]["a"] == clear["record"]
        assert lab.admin.get("/v2/profile").json == profile
        assert stack.internal.get(f"/v2/tenants/{lab.tenant}/{kind}/keys/id/versions/1").text == file
        assert told(lab) == token
        assert lab.user.delete(f"/v2/clusters/{first}").status == 200
        lab.user.wait_cluster(first, "terminated")
