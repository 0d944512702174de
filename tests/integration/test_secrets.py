# SPDX-License-Identifier: Apache-2.0
"""Secrets in documents: told to the plugin that needs them, and to be found nowhere else."""

import json
import os
import subprocess

import pytest

from support import Stack, wait_for
from support.confidential import CLOUD, KEYED, MASK, found, load, register, secret
from support.lab import Lab, make_tenants
from support.stack import CORE, ENVIRONMENT, build_dir

FAST = ("scheduler.retry_base_ms=50ms", "scheduler.retry_cap_ms=300ms")
DAMAGED = 25  # more than one transaction looks at


def loom(lab, *words):
    """The command, as the tenant's administrator."""
    return subprocess.run([build_dir() / "bin/loom", *words], capture_output=True, text=True, timeout=60, check=False,
                          env={**ENVIRONMENT, "PATH": os.environ["PATH"], "LOOM_URL": lab.stack.api.url,
                               "LOOM_USER": "admin", "LOOM_TENANT": lab.name})


def without_secrets(document):
    """The type before it declared any."""
    plain = {"label": "F", "type": "text"}
    return {"name": document["name"], "parameters": {
        who: {"fields": dict.fromkeys(part["fields"], plain)}
        for who, part in document["parameters"].items()}}


def rows(lab, table, columns):
    """All that a tenant's rows hold, as text."""
    return str(lab.stack.sql(f"SELECT {columns} FROM {table} WHERE tenant_id='{lab.tenant}'"))


def unsealed(lab):
    """Rows of a tenant that nobody has looked at since a type last came to know more secrets."""
    return int(lab.stack.sql(f"""SELECT (SELECT COUNT(*) FROM entity WHERE tenant_id='{lab.tenant}'
        AND kind IN ('providers','services') AND sealed < (SELECT value FROM counter WHERE name='secrets'))
        + (SELECT COUNT(*) FROM cluster WHERE tenant_id='{lab.tenant}'
        AND sealed < IF(status='terminated', 1 << 62, 0) + (SELECT value FROM counter WHERE name='secrets'))""")[0][0])


def answers(lab, cluster):
    """All that an administrator can read of it."""
    paths = ["providers", "providers/lab", "providers/lab/1", "services", "services/vault", "services/vault/1",
             "export", "clusters", f"clusters/{cluster}", f"clusters/{cluster}/why", f"clusters/{cluster}/status",
             f"clusters/{cluster}/plans", "callbacks", "clustertemplates"]
    return "\n".join(lab.admin.get(f"/v2/{path}").text for path in paths) + str(lab.story(cluster).events)


def test_told_to_plugins_and_nowhere_else(core, empty_lab):
    lab = empty_lab
    register(core, CLOUD, KEYED)
    token, licence, password = secrets = [secret() for _ in range(3)]
    load(lab, token, licence)
    assert lab.admin.get("/v2/providers/lab").json["provisioner"] == {"token": MASK, "url": "http://cloud"}
    fields = lab.admin.get("/v2/services/vault").json["provisioner"]["actions"]["install"]["fields"]
    assert fields == {"script": "x", "license": MASK}
    worker = lab.worker()
    cluster = lab.create(providerFields={"pass": password, "zone": "z"})
    lab.user.wait_cluster(cluster, "active")
    for step in ("CREATE", "CONFIRM"):
        assert worker.of(step)[0].config["provider"]["provisioner"] == {
            "token": token, "url": "http://cloud", "pass": password, "zone": "z"}
    install = worker.of("INSTALL")[0].config
    assert install["service"]["action"]["fields"] == {"script": "x", "license": licence}
    # what is the provider's plugin's alone is not told to others
    assert install["provider"]["provisioner"] == {"url": "http://cloud", "zone": "z"}
    details = lab.user.cluster(cluster)
    assert details["provider"]["provisioner"] == {
        "token": MASK, "url": "http://cloud", "pass": MASK, "zone": "z"}
    said = answers(lab, cluster)
    assert MASK in said and not any(word in said for word in secrets) and "$sealed" not in said
    assert lab.user.delete(f"/v2/clusters/{cluster}").status == 200
    lab.user.wait_cluster(cluster, "terminated")
    assert worker.of("DELETE")[0].config["provider"]["provisioner"]["token"] == token
    assert found(core, *secrets) == []
    # a cluster that is no more keeps none, sealed or not
    wait_for(lambda: "$sealed" not in rows(lab, "cluster", "provider, service_docs"), 60, what="erased")
    assert details["provider"]["provisioner"].keys() - {"token", "pass"} <= \
        lab.user.cluster(cluster)["provider"]["provisioner"].keys()


TALKS = """#!/usr/bin/python3
import json, os, sys, time
task = json.load(sys.stdin)
config = task["config"]
told = {**config["provider"]["provisioner"], **config.get("service", {}).get("action", {}).get("fields", {})}
first = os.environ["LOOM_ATTEMPT"] == "1"
for stream in (1, 2):
    os.write(stream, (json.dumps(task) + "\\n").encode())
    for value in told.values():
        os.write(stream, f"told: {value[:11]}".encode())
        time.sleep(0.3)
        os.write(stream, f"{value[11:]}\\n".encode())
words = " ".join(told.values())
if first and task["taskName"] == "CONFIRM":
    sys.exit(words)
os.write(3, json.dumps({"message": f"used {words}", "result": {"used": [words]}}).encode())
sys.exit(first)
"""


@pytest.fixture(name="talks", scope="module")
def fixture_talks(tmp_path_factory):
    """A whole Loom whose plugins say all that they were told, and fail at first."""
    plugins = tmp_path_factory.mktemp("plugins")
    steps = {"providers": ("create", "confirm", "delete"), "automators": ("install",)}
    for kind, document in (("providers", CLOUD), ("automators", KEYED)):
        home = plugins / kind / document["name"]
        home.mkdir(parents=True)
        (home / "run").write_text(TALKS)
        (home / "run").chmod(0o755)
        (home / "plugin.json").write_text(json.dumps({
            "name": document["name"], "exec": "run", "actions": {step: {"timeout": 60} for step in steps[kind]},
            f"{kind[:-1]}types": [document["name"]], document["name"]: document}))
    with Stack("talks", (*FAST, f"provisioner.plugin_dir={plugins}")) as stack:
        stack.up(*CORE, "provisioner")
        yield stack


def test_what_plugins_say_holds_none(talks):
    """Not their output, cut as it may be, nor their words and results, nor what is kept of failures."""
    lab = Lab(talks, *next(make_tenants(talks)))
    token, password = secret(), secret()
    lines = [secret(), secret()]
    load(lab, token, "-----BEGIN KEY-----\n" + "\n".join(lines) + "\n-----END KEY-----\n")
    cluster = lab.create(providerFields={"pass": password, "zone": "z"})
    lab.user.wait_cluster(cluster, "active", 120)
    secrets = (token, password, *lines)
    steps = talks.sql(f"SELECT job_num, num, name, attempt FROM task WHERE cluster_id={int(cluster)}", "loom")
    assert {name for _, _, name, attempt in steps if attempt == "2"} >= {"CREATE", "CONFIRM", "INSTALL"}
    logs = "".join(lab.user.get(f"/v2/tasks/{cluster}-{int(job):03}-{int(num):03}/log?attempt={attempt}").text
                   for job, num, _, last in steps for attempt in range(1, int(last) + 1))
    assert f"told: {MASK}\n" in logs and "told: http://cloud\n" in logs and "zone" in logs
    details = lab.user.get(f"/v2/clusters/{cluster}").text
    said = answers(lab, cluster) + logs + details
    assert not any(word in said for word in secrets)
    assert found(talks, *secrets) == []
    lab.close()


def test_what_the_originals_workers_send_holds_none(core, empty_lab):
    """They pass on all that a plugin says: the scheduler takes it out."""
    lab = empty_lab
    register(core, CLOUD, KEYED)
    token, licence = secret(), secret()
    load(lab, token, licence)

    def script(run):
        words = [*run.config["provider"]["provisioner"].values(),
                 *run.config.get("service", {}).get("action", {}).get("fields", {}).values()]
        first, second = f"{run.name} {run.node}" not in seen, " ".join(words)
        seen.add(f"{run.name} {run.node}")
        return {"status": int(first), "stdout": f"out {second}", "stderr": f"err {second}",
                "result": {"used": [second]}}

    seen = set()
    lab.worker(script, original=True)
    cluster = lab.create()
    lab.user.wait_cluster(cluster, "active")
    said = answers(lab, cluster)
    assert f"out {MASK} http://cloud" in said and f" x {MASK}" in said
    assert token not in said and licence not in said
    assert MASK in str(core.sql(f"SELECT results FROM node WHERE cluster_id={int(cluster)}", "loom"))
    assert found(core, token, licence) == []


def test_what_was_read_can_be_put_back(core, empty_lab):
    lab = empty_lab
    register(core, CLOUD, KEYED)
    token, licence = secret(), secret()
    load(lab, token, licence)
    path = "/v2/providers/lab"
    worker = lab.worker()

    def told():
        """What the next cluster's CREATE gets."""
        before = len(worker.of("CREATE"))
        lab.user.wait_cluster(lab.create(f"c{before}"), "active")
        return worker.of("CREATE")[before].config["provider"]["provisioner"].get("token")

    shown = lab.admin.get(path).json
    assert lab.admin.put(path, {**shown, "description": "with the mask"}).status == 200
    assert told() == token
    assert lab.admin.put(path, {**shown, "provisioner": {"url": "http://new"}}).status == 200
    assert lab.admin.get(path).json["provisioner"] == {"token": MASK, "url": "http://new"}
    assert told() == token
    # an export goes in again where it came from
    assert lab.admin.post("/v2/import", lab.admin.get("/v2/export").json).status == 200
    assert told() == token
    assert worker.of("INSTALL")[-1].config["service"]["action"]["fields"]["license"] == licence
    # the plugin of another type gets nothing of it
    assert lab.admin.put(path, {**shown, "providertype": "testtype", "provisioner": {}}).status == 200
    assert lab.admin.get(path).json["provisioner"] == {}
    assert lab.admin.put(path, {**shown, "provisioner": {}}).status == 200
    assert lab.admin.get(path).json["provisioner"] == {}
    # a mask of nothing, and what somebody sealed himself
    for value, words in ((MASK, "none is stored"), ({"$sealed": "AAAA", "key": "k"}, "cannot be opened")):
        answer = lab.admin.put(path, {**shown, "provisioner": {"token": value}})
        assert answer.status == 400 and words in answer.text and "token" in answer.text
    answer = lab.admin.post("/v2/import", {"providers": [shown]})
    assert answer.status == 400 and "providers[0] lab" in answer.text
    renewed = secret()
    assert lab.admin.put(path, {**shown, "provisioner": {"token": renewed}}).status == 200
    assert told() == renewed
    assert lab.admin.put(path, {**shown, "provisioner": {"token": None}}).status == 200
    assert told() is None
    assert found(core, token, licence, renewed) == []


def test_export_with_secrets_and_back(core, empty_lab, tenants, tmp_path):
    """Sealed with a passphrase they come along, into another tenant, which seals them as its own."""
    lab = empty_lab
    register(core, CLOUD, KEYED)
    token, licence, passphrase = secrets = [secret() for _ in range(3)]
    load(lab, token, licence)
    refused = lab.admin.post("/v2/export", {"passphrase": "too short"})
    assert refused.status == 400 and "12 to 1024 bytes" in refused.text and "too short" not in refused.text
    assert lab.user.post("/v2/export", {"passphrase": passphrase}).status == 403
    key, out = tmp_path / "passphrase", tmp_path / "export"
    key.write_text(f"{passphrase}\n", encoding="ascii")
    words = ("--passphrase-file", str(key))
    done = loom(lab, "export", "--secrets", *words)
    assert done.returncode == 0, done.stderr
    out.write_text(done.stdout, encoding="utf-8")
    whole = json.loads(done.stdout)
    assert whole["secrets"].keys() == {"kdf", "salt", "sealed"} and whole.keys() == {
        *lab.admin.get("/v2/export").json, "secrets"}
    assert not any(word in done.stdout for word in secrets) and "$sealed" not in done.stdout
    other = Lab(core, *next(tenants))
    changed = {**whole["secrets"], "sealed": f"A{whole['secrets']['sealed'][:-1]}"}
    for body, said in (({**whole, "passphrase": secret()}, "do not open with this passphrase"),
                       ({**whole, "secrets": changed, "passphrase": passphrase}, "do not open with this passphrase"),
                       ({**whole, "secrets": {**whole["secrets"], "salt": "x"}, "passphrase": passphrase}, "not as an"),
                       (whole, "both, or none")):
        answer = other.admin.post("/v2/import", body)
        assert answer.status == 400 and said in answer.text, answer
    done = loom(other, "import", str(out), *words)
    assert done.returncode == 0 and '"created"' in done.stdout, done
    other.admin.put("/v2/providers/lab", {**other.admin.get("/v2/providers/lab").json, "description": "masked"})
    worker = other.worker()
    other.user.wait_cluster(other.create(), "active")
    assert worker.of("CREATE")[0].config["provider"]["provisioner"]["token"] == token
    assert worker.of("INSTALL")[0].config["service"]["action"]["fields"]["license"] == licence
    assert any(row["action"] == "POST /v2/export" for row in lab.admin.get("/v2/audit").json)
    # an import of what is in the clear leaves nothing in the audit log, either
    plain = lab.admin.get("/v2/export").json
    plain["providers"][0]["provisioner"]["token"] = token
    plain["services"][0]["provisioner"]["actions"]["install"]["fields"]["license"] = licence
    assert lab.admin.post("/v2/import", plain).status == 200
    assert found(core, *secrets) == []
    other.close()


def test_clear_rows_of_before_are_sealed(core, empty_lab):
    """As a version that did not seal wrote them, or before the type said what is secret."""
    lab = empty_lab
    register(core, without_secrets(CLOUD), without_secrets(KEYED))
    token, licence, password = secrets = [secret() for _ in range(3)]
    load(lab, token, licence)
    worker = lab.worker()
    cluster, gone = (lab.create(name, providerFields={"pass": password}) for name in ("stays", "goes"))
    for one in (cluster, gone):
        lab.user.wait_cluster(one, "active")
    assert lab.user.delete(f"/v2/clusters/{gone}").status == 200
    lab.user.wait_cluster(gone, "terminated")
    # one that has ended was looked at, too, as long as nothing was known to be secret
    wait_for(lambda: unsealed(lab) == 0, 60, what="looked at")
    assert token in rows(lab, "entity", "doc") and token in rows(lab, "cluster", "provider")
    register(core, CLOUD, KEYED)
    wait_for(lambda: unsealed(lab) == 0, 60, what="sealed")
    held = rows(lab, "entity", "doc") + rows(lab, "cluster", "provider, service_docs")
    assert "$sealed" in held and not any(word in held for word in secrets)
    assert not any(word in answers(lab, cluster) for word in secrets)
    assert lab.user.delete(f"/v2/clusters/{cluster}").status == 200
    lab.user.wait_cluster(cluster, "terminated")
    assert worker.of("DELETE")[-1].config["provider"]["provisioner"]["token"] == token


def test_a_damaged_type_keeps_nothing_of_others_unsealed(core, empty_lab):
    """What refers to it cannot be sealed yet; more of it than one transaction looks at."""
    lab = empty_lab
    register(core, without_secrets(CLOUD), without_secrets(KEYED))
    broken = {"name": "broken", "parameters": {"admin": {"fields": {"key": {"label": "K", "type": "password"}}}}}
    assert core.internal.put("/v2/plugins/providertypes/broken", broken).status == 200
    token, licence = secret(), secret()
    load(lab, token, licence)
    for number in range(DAMAGED):  # their names come before all others'
        answer = lab.admin.post("/v2/providers", {"name": f"a-broken{number}", "description": "",
                                                  "providertype": "broken", "provisioner": {"key": "x"}})
        assert answer.status == 200, answer
    wait_for(lambda: unsealed(lab) == 0, 60, what="looked at")
    where = "WHERE kind='providertypes' AND name='broken'"
    was = core.sql(f"SELECT TO_BASE64(doc) FROM entity {where}")[0][0].replace("\\n", "")
    core.sql(f"UPDATE entity SET doc='[' {where}")
    try:
        register(core, CLOUD, KEYED)
        wait_for(lambda: unsealed(lab) == DAMAGED, 60, what="all others to be sealed")
        assert token not in rows(lab, "entity", "doc") and licence not in rows(lab, "entity", "doc")
    finally:
        core.sql(f"UPDATE entity SET doc=FROM_BASE64('{was}') {where}")
    wait_for(lambda: unsealed(lab) == 0, 60, what="the last one to be looked at")


def test_wrong_key_is_said(core, empty_lab):
    """A database that was brought back without its key."""
    lab = empty_lab
    register(core, CLOUD, KEYED)
    load(lab, secret(), secret())
    lab.worker()
    core.sql(f"UPDATE entity SET doc=REPLACE(doc, '$sealed\\\":\\\"', '$sealed\\\":\\\"AAAA')"
             f" WHERE tenant_id='{lab.tenant}' AND kind='providers'")
    answer = lab.user.post("/v2/clusters", {"name": "x", "clusterTemplate": "one", "numMachines": 1})
    assert answer.status >= 400 and "token of provider lab cannot be opened" in answer.text


def test_beside_a_scheduler_that_cannot_open(monkeypatch):
    """One of an older version is told what it understands, until it has gone."""
    monkeypatch.setenv("LOOM_BREAK", "old_scheduler")
    with Stack("oldsched", ()) as stack:
        stack.up(*CORE)
        wait_for(lambda: "secrets are not sealed" in stack.log("api"), 60, what="the old one is seen")
        register(stack, CLOUD)
        token = secret()
        body = {"name": "p", "providertype": "cloud", "provisioner": {"token": token}}
        assert stack.api.post("/v2/providers", body).status == 200
        assert token in str(stack.sql("SELECT doc FROM entity"))
        monkeypatch.delenv("LOOM_BREAK")
        stack.kill("scheduler")
        stack.start("scheduler")
        wait_for(lambda: token not in str(stack.sql("SELECT doc FROM entity")), 60, what="sealed afterwards")
        assert stack.api.get("/v2/providers/p").json["provisioner"] == {"token": MASK}


@pytest.mark.parametrize("part", ["api", "scheduler"])
@pytest.mark.parametrize("text", [None, "too short"])
def test_no_key_no_start(core, tmp_path, part, text):
    """They say which key is missing, and end."""
    key = tmp_path / "cluster.key"
    if text:
        key.write_text(text, encoding="ascii")
    done = subprocess.run([str(core.bin / f"loom-{part}"), "--config", str(core.dir / "etc" / f"loom-{part}.conf")],
                          env={**os.environ, "LOOM_CLUSTER_KEY_FILE": str(key)}, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode != 0 and f"cluster_key_file {key}" in done.stderr, done.stderr
