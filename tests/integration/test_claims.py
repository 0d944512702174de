# SPDX-License-Identifier: Apache-2.0
"""A task is its worker's alone: nobody else finishes it, writes its log or renews its lease."""

import pytest

from support import Stack
from support.lab import Lab, make_tenants
from support.stack import CORE
from support.worker import Gate

FORGED = {"result": {"ssh-auth": {"user": "root", "identityfile": "/etc/ssh/ssh_host_rsa_key"}},
          "hostname": "evil.example", "ipaddresses": {"access_v4": "203.0.113.7"}}


@pytest.fixture
def held(lab):
    """(worker, its CREATE, another provisioner)."""
    gate = Gate("CREATE")
    worker, other = lab.worker(gate), lab.worker(start=False)
    other.register()
    cluster = lab.create()
    yield worker, gate.wait(), other
    gate.open()
    lab.user.wait_cluster(cluster, "active")


def log(worker, run, **more):
    """Status of one piece of its log."""
    return worker.call("POST", f"/v2/tasks/{run.id}/log", {
        **worker.who, "attempt": run.attempt, "claim": run.claim, "offset": 0, "data": "x", **more})[0]


def beat(worker, run, claim):
    """Whether the lease of a task is said to be held."""
    _, text = worker.call("POST", f"/v2/provisioners/{worker.name}/heartbeat", {
        "usage": {}, "tasks": [{"taskId": run.id, "attempt": run.attempt, "claim": claim}]})
    return b'"ok":true' in text.replace(b" ", b"")


def test_only_who_knows_the_secret(lab, held):
    worker, run, other = held
    assert len(run.claim) == 32
    for claim in (None, "", "0" * 32, run.claim.upper() + "0", run.claim[:31], True):
        assert worker.finish(run, claim=claim, **FORGED) == 417, claim
        assert log(worker, run, claim=claim) == 417, claim
        assert not beat(worker, run, claim), claim
    assert worker.finish(run, claim=[run.claim], **FORGED) == 400
    # the secret alone does not do, either
    assert other.finish(run, **FORGED) == 417 and log(other, run) == 417 and not beat(other, run, run.claim)
    assert worker.finish(run, workerId="not-the-worker", **FORGED) == 417
    assert log(worker, run) == 200 and beat(worker, run, run.claim)
    cluster = lab.user.get("/v2/clusters").json[0]["id"]
    node = lab.user.cluster(cluster)["nodes"][0]
    assert "evil" not in str(node) and run.claim not in lab.user.get(f"/v2/clusters/{cluster}").text
    assert run.claim not in lab.user.get(f"/v2/clusters/{cluster}/why").text
    assert run.claim not in str(lab.story(cluster).events)


def row_of(stack, run):
    """What the database keeps of its task, and the WHERE that finds it."""
    where = "cluster_id={} AND job_num={} AND num={}".format(*map(int, run.id.split("-")))
    return stack.sql(f"SELECT * FROM task WHERE {where}", "loom"), where


def test_the_database_does_not_know_it(core, held):
    """Who reads the rows cannot speak for a worker: what they keep is a hash."""
    worker, run, _ = held
    row, where = row_of(core, run)
    assert run.claim not in str(row)
    plain, kept = core.sql(f"SELECT claim, claim_hash FROM task WHERE {where}", "loom")[0]
    assert not plain and kept.startswith("1:") and len(kept) == 34
    for said in (kept, kept.partition(":")[2]):
        assert worker.finish(run, claim=said) == 417 and log(worker, run, claim=said) == 417
        assert not beat(worker, run, said)
    assert log(worker, run) == 200 and beat(worker, run, run.claim) and worker.finish(run) == 200


@pytest.mark.parametrize("secret", ["f" * 32, ""])
def test_what_an_older_scheduler_handed_out(core, held, secret):
    """It writes the secret itself, or that there is none, and leaves the hash of the attempt before."""
    worker, run, _ = held
    task = row_of(core, run)[1]
    cluster = task.split()[0].replace("cluster_id", "id")
    core.sql(f"UPDATE task SET claim='{secret}', claim_hash=CONCAT('0:', MD5('x')) WHERE {task};"
             f"UPDATE cluster SET event_seq=event_seq+1 WHERE {cluster}", "loom")  # as one that was somebody else's
    for said in (run.claim, "0:" + "f" * 32) if secret else ():
        assert worker.finish(run, claim=said) == 417 and log(worker, run, claim=said) == 417
        assert not beat(worker, run, said)
    assert log(worker, run, claim=secret) == 200 and beat(worker, run, secret)
    assert worker.finish(run, claim=secret) == 200


def test_each_attempt_has_its_own(lab):
    worker = lab.worker(lambda run: {"status": 1} if run.name == "CREATE" and run.attempt == 1 else None)
    lab.user.wait_cluster(lab.create(), "active")
    first, second = worker.of("CREATE")
    assert first.claim and second.claim and first.claim != second.claim
    assert len({run.claim for run in worker.runs}) == len(worker.runs)
    assert worker.finish(second, claim=first.claim) == 417
    assert worker.finish(second) == 200  # as it was told before


def test_a_service_does_not_change_the_machine(lab):
    """Its plugin may keep what it likes, but not say where the machine is and how to log in there."""
    def script(run):
        forged = {**FORGED, "result": {**FORGED["result"], "providerid": "other", "ssh_host_keys": {"rsa": "AAAA"},
                                       "sshuser": "root", "port": 8080}}
        return forged if run.service else None

    worker = lab.worker(script)
    cluster = lab.create()
    lab.user.wait_cluster(cluster, "active")
    node = lab.user.cluster(cluster)["nodes"][0]
    assert node["provisionerResults"] == {"providerid": "machine-1000", "port": 8080}
    assert node["properties"]["hostname"] != "evil.example"
    assert node["properties"]["ipaddresses"]["access_v4"] != "203.0.113.7"
    last = worker.of("START")[-1].config
    assert "ssh-auth" not in last and last["sshuser"] == "debian" and last["port"] == 8080


def test_workers_without_secrets_come_from_their_networks():
    with Stack("claims", ("api.secretless_workers=192.0.2.0/24 2001:db8::/32",)) as stack:
        stack.up(*CORE)
        lab = Lab(stack, *next(make_tenants(stack))).load()
        original, old, worker = (lab.worker(start=False, original=True), lab.worker(start=False), lab.worker())
        for one in (original, old):
            one.register()
        lab.user.wait_cluster(lab.create(), "active")
        assert worker.runs and all(run.claim for run in worker.runs)
        answers = [stack.internal.post("/v2/tasks/take", original.who),
                   stack.internal.post("/v2/tasks/take", {**old.who, "lease": True, "claim": False}),
                   stack.internal.post("/v2/tasks/finish", {**original.who, "taskId": worker.runs[0].id, "status": 0}),
                   stack.internal.post(f"/v2/tasks/{worker.runs[0].id}/log", {
                       "provisionerId": worker.name, "attempt": 1, "offset": 0, "data": "x"})]
        for answer in answers:
            assert answer.status == 403 and "secretless_workers" in answer.text and "127.0.0.1" in answer.text
        lab.close()
