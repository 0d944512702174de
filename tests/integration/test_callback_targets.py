# SPDX-License-Identifier: Apache-2.0
"""Targets of a tenant, vetoes, and callbacks that are damaged."""

import threading

import pytest

from support import wait_for
from support.callbacks import (  # noqa: F401 (fixtures)
    CREATED,
    DELETED,
    EVENTS,
    fixture_calling,
    fixture_home,
    fixture_patient,
    fixture_receiver,
    nothing_left,
    stored,
    target,
    threads,
    told,
)
from support.lab import Lab

# ---- targets of a tenant


def own(home, name="ours", **more):
    """A target of the whole tenant; the answer to it."""
    document = {"url": home.receiver.url(home.name), "events": EVENTS, **more}
    return home.admin.put(f"/v2/callbacktargets/{name}", document)


def test_a_trigger_is_the_action_of_a_job(home):
    answer = own(home, triggers=["cluster_create", "cluster_remove"])
    assert answer.status == 400 and "triggers[1]: 'cluster_remove' is no action of a job" in answer.text, answer
    assert own(home, triggers=["CLUSTER_CREATE", "cluster_configure"]).status == 200
    assert home.admin.get("/v2/callbacktargets/ours").json["triggers"] == ["cluster_create", "cluster_configure"]


def test_a_tenant_names_targets_whose_secrets_nobody_sees(home, calling):
    assert own(home, secret="of the tenant", events=["success", "failure"], triggers=["cluster_create"]).status == 200
    assert own(home, "plain", url=home.receiver.url(f"{home.name}-plain"), events=["success"]).status == 200
    home.worker()
    cluster = home.create()
    home.user.wait_cluster(cluster)
    home.user.delete_cluster(cluster)
    calls = home.receiver.wait(f"{home.name}-plain", cluster=cluster, count=2)
    assert told(calls) == [CREATED[1], DELETED[1]]
    assert not any(call.headers["X-Loom-Signature"] for call in calls)
    (call,) = home.receiver.wait(home.name, cluster=cluster, count=1)
    assert told([call]) == [CREATED[1]] and call.signed_with("of the tenant")
    # shown, but for the secret; another tenant sees nothing of it
    shown = home.admin.get("/v2/callbacktargets").json
    assert [(entry["name"], entry["signed"]) for entry in shown] == [("ours", True), ("plain", False)]
    assert "of the tenant" not in home.admin.get("/v2/callbacktargets/ours").text
    assert "of the tenant" not in str(calling.sql("SELECT * FROM callback_target"))
    other = Lab(calling, *next(calling.tenants))
    assert other.admin.get("/v2/callbacktargets").json == []
    assert other.admin.get("/v2/callbacktargets/ours").status == 404
    assert home.user.get("/v2/callbacktargets").status in (403, 405)
    # changed without the secret it keeps that, and an empty one takes it away
    assert own(home, events=["lease_warning"]).status == 200
    assert home.admin.get("/v2/callbacktargets/ours").json["signed"] is True
    assert own(home, secret="").status == 200
    assert home.admin.get("/v2/callbacktargets/ours").json["signed"] is False
    assert home.admin.delete("/v2/callbacktargets/ours").status == 200
    assert home.admin.delete("/v2/callbacktargets/ours").status == 200


def test_a_tenants_target_may_veto_and_is_subject_to_the_allow_list(home):
    assert own(home, events=["start"], veto=True, secret="ours").status == 200
    home.receiver.rules[home.name] = lambda call: (409, {"veto": "not today"})
    cluster = home.create()
    details = home.user.wait_cluster(cluster, "terminated")
    assert "not today" in details["message"]
    (asked,) = home.receiver.wait(home.name, cluster=cluster, count=1)
    assert asked.signed_with("ours")
    assert own(home, events=["failure"], url="http://169.254.169.254/latest").status == 200
    home.user.wait_cluster(home.create("loose", "loose", 1), "terminated")
    wait_for(lambda: stored(home, "dead"))
    (dead,) = stored(home, "dead")
    assert dead["target"] == "tenant:ours" and "link-local" in dead["message"] and dead["attempts"] == 1
    # one that is taken away is not told what waits for it
    assert own(home, events=["failure"]).status == 200
    home.receiver.rules[home.name] = lambda call: 500
    home.user.wait_cluster(home.create("loose", "loose", 1), "terminated")
    assert home.admin.delete("/v2/callbacktargets/ours").status == 200
    wait_for(lambda: len(stored(home, "dead")) == 2)


@pytest.mark.parametrize("change, said", [
    ({"url": "ftp://x"}, "url must be"), ({"url": "http://me:pw@x/"}, "url must be"),
    ({"events": []}, "events"), ({"events": ["birth"]}, "events[0]"),
    ({"events": ["success"], "veto": True}, "veto is for the event start"),
    ({"secret": "x" * 300}, "secret must be at most"), ({"name": ".x", "events": ["start"]}, "name of a target")])
def test_targets_are_checked(home, change, said):
    answer = own(home, **change)
    assert answer.status == 400 and said in answer.text


# ---- vetoes


@pytest.mark.parametrize("answer, said", [
    ((403, {"veto": "no budget"}), "the start callback refused it: no budget"),
    ((409, b""), "the start callback refused it"),
    ((404, b"nobody here"), "the start callback did not agree: HTTP 404: nobody here"),
    (500, "the start callback did not agree: HTTP 500"),
    ((503, b"\xff\xc3("), "the start callback did not agree: HTTP 503: \ufffd\ufffd("),  # of no text
    ((409, {"veto": "x" + 200 * "\u0436"}), "the start callback refused it: x" + 149 * "\u0436" + "\ufffd"),
    (0, "the start callback did not agree: "),
])
def test_a_veto_ends_a_create_before_it_begins(home, answer, said):
    worker = home.worker()
    name = target(home, "start", "failure", "success", veto=True)
    home.receiver.rules[name] = lambda call: answer if call.event == "start" else 200
    cluster = home.create("demo", "called", 2)
    details = home.user.wait_cluster(cluster, "terminated")
    assert details["message"].startswith(said), details["message"]
    assert details["nodes"] == [] and worker.runs == []
    asked = home.receiver.of(name, "start", cluster)[0].json
    assert asked["job"]["jobId"] == f"{cluster}-002" and asked["job"]["clusterAction"] == "CLUSTER_CREATE"
    assert len(asked["nodes"]) == 2 and asked["cluster"]["status"] == "pending"
    failure = home.receiver.wait(name, "failure", cluster)[0]
    assert failure.json["cluster"]["status"] == "terminated"
    assert home.user.delete(f"/v2/clusters/{cluster}").status == 200


def test_one_that_agrees_late_lets_it_begin(home):
    home.worker()
    name = target(home, veto=True)
    answers = [500, 0, 503]
    home.receiver.rules[name] = lambda call: answers.pop(0) if answers else 200
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    calls = home.receiver.wait(name, cluster=cluster, count=5)
    assert [call.event for call in calls] == ["start"] * 4 + ["success"]
    assert {call.delivery for call in calls[:4]} == {f"start-{cluster}-002"}


def test_a_veto_of_a_deletion_leaves_the_cluster_as_it_was(home):
    home.worker()
    name = target(home, "start", veto=True)
    home.receiver.rules[name] = lambda call: (
        (403, {"veto": "keep it"}) if call.action == "CLUSTER_DELETE" else 200)
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    assert home.user.delete(f"/v2/clusters/{cluster}").status == 200
    home.receiver.wait(name, cluster=cluster, count=2)
    wait_for(lambda: home.user.cluster_status(cluster) != "pending", what="the end of the job")
    assert home.user.cluster_status(cluster) == "active"
    assert "keep it" in home.user.cluster(cluster)["message"]
    home.receiver.rules.clear()
    home.user.delete_cluster(cluster)


@pytest.mark.usefixtures("patient")
def test_others_are_planned_while_one_is_asked_about(home):
    home.worker()
    name = target(home, "start", veto=True)
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(120) and 200 or 200
    asked = home.create("asked", "called")
    home.receiver.wait(name, "start", asked)
    other = home.create("other", "one")
    home.user.wait_cluster(other)
    assert home.user.cluster_status(asked) == "pending"
    held.set()
    home.user.wait_cluster(asked)


def test_many_are_asked_about_at_once(home, calling):
    """Without a thread each, and without holding up what others are asked about."""
    before = threads(calling)
    held = threading.Event()
    home.receiver.rules[target(home, "start", veto=True)] = lambda call: held.wait(120) and 200 or 200
    other = Lab(calling, *next(calling.tenants)).load()
    other.receiver = home.receiver
    other.worker()
    target(other, "start", veto=True)
    try:
        clusters = [home.create(f"asked{number}", "called") for number in range(24)]
        other.user.wait_cluster(other.create("demo", "called"))
        assert threads(calling) <= before
        for cluster in clusters:
            home.user.wait_cluster(cluster, "terminated")
            assert "the start callback did not agree" in home.user.cluster(cluster)["message"]
    finally:
        held.set()
        other.close()


@pytest.mark.usefixtures("patient")
def test_paused_while_asking_it_stays_paused(home):
    home.worker()
    name = target(home, "start", veto=True)
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(120) and 200 or 200
    cluster = home.create("demo", "called")
    home.receiver.wait(name, "start", cluster)
    assert home.user.post(f"/v2/clusters/{cluster}/pause").status == 200
    held.set()
    home.receiver.wait(name, "start", cluster, answered=True)
    wait_for(lambda: "or paused" in home.stack.log("scheduler"), what="the pause")
    assert home.user.get(f"/v2/clusters/{cluster}/status").json["actionstatus"] == "paused"
    assert home.user.post(f"/v2/clusters/{cluster}/resume").status == 200
    home.user.wait_cluster(cluster)
    assert len(home.receiver.of(name, "start", cluster)) == 2


def test_killed_while_asking_it_is_asked_again(home):
    home.worker()
    name = target(home, "start", veto=True)
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(120) and 200 or 200
    cluster = home.create("demo", "called")
    home.receiver.wait(name, "start", cluster)
    home.stack.kill("scheduler")
    held.set()
    home.stack.start("scheduler")
    home.user.wait_cluster(cluster)
    assert len({call.delivery for call in home.receiver.of(name, cluster=cluster)}) == 1


# ---- defects


def due(home, cluster, delivery, where, kind="success", not_before=2):
    """One that waits, as if written by another process before all others."""
    home.stack.sql("INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind, target, url, secret, as_then,"
                   f" state, not_before, create_time) VALUES ('{delivery}', '{home.tenant}', {int(cluster)}, 0, '{kind}',"
                   f" MD5('{where}'), '{home.receiver.url(where)}', '', '{{}}', 'waiting', {not_before}, 1)")


def test_one_of_an_unknown_kind_keeps_no_other(home):
    home.worker()
    cluster = home.create("first")
    home.active(cluster)
    due(home, cluster, "unknown", f"{home.name}-unknown", "nonsense", 1)
    due(home, cluster, "known", f"{home.name}-known")
    home.receiver.wait(f"{home.name}-known")
    assert not home.receiver.of(f"{home.name}-unknown")
    home.stack.sql("DELETE FROM callback WHERE delivery='unknown'")


def test_a_cluster_whose_row_is_damaged_keeps_no_other_of_its_target(home):
    home.worker()
    damaged, other = (home.create(name) for name in ("first", "second"))
    for cluster in (damaged, other):
        home.active(cluster)
    nothing_left(home)
    home.stack.sql(f"UPDATE cluster SET status='nonsense' WHERE id={int(damaged)}")
    try:
        due(home, damaged, "damaged", f"{home.name}-both")
        due(home, other, "other", f"{home.name}-both")
        home.receiver.wait(f"{home.name}-both", cluster=other)
        wait_for(lambda: stored(home, "dead"), 60, "given up")
    finally:
        home.stack.sql(f"UPDATE cluster SET status='active' WHERE id={int(damaged)}")
    dead = stored(home, "dead")
    assert [(one["clusterId"], one["message"]) for one in dead] == [(damaged, "what it is about cannot be read")]
    assert home.admin.post(f"/v2/callbacks/{dead[0]['id']}/replay").status == 200
    home.receiver.wait(f"{home.name}-both", cluster=damaged)
