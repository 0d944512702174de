# SPDX-License-Identifier: Apache-2.0
"""Callbacks: what targets are told, in which order, how often, and what they may forbid."""

import pathlib
import re
import socket
import threading
import time

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants, template
from support.receiver import Receiver
from support.worker import Gate

SETTINGS = ("scheduler.task_lease_ms=2s", "scheduler.retry_base_ms=20ms", "scheduler.retry_cap_ms=50ms",
            "scheduler.poll_ms=200ms", "scheduler.job_lease_ms=2s", "scheduler.task_tries=1",
            "scheduler.lease_warning_ms=1500ms", "scheduler.callback_allow=127.0.0.1",
            "scheduler.callback_base_ms=50ms", "scheduler.callback_cap_ms=100ms",
            "scheduler.callback_tries=4", "scheduler.callback_timeout_ms=2s",
            "scheduler.callback_veto_ms=1500ms")

EVENTS = ["start", "success", "failure", "lease_warning", "lease_expired"]


@pytest.fixture(scope="module")
def receiver():
    """Where all callbacks of this file go."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def calling(receiver, tmp_path_factory):
    """A Loom that tells /global about everything."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "global").write_text("the operator's\n", encoding="ascii")
    settings = (*SETTINGS, f"scheduler.callback_url={receiver.url('global')}",
                f"scheduler.callback_secret_file={secrets}/global",
                f"scheduler.callback_secrets_dir={secrets}")
    with Stack("callbacks", settings) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        stack.tenants = make_tenants(stack, "calls")
        stack.secrets = secrets
        yield stack


@pytest.fixture
def home(calling, receiver):
    """A tenant with a name of its own for its target."""
    made = Lab(calling, *next(calling.tenants)).load()
    made.receiver = receiver
    yield made
    receiver.rules.clear()
    made.close()


def target(home, *events, name="called", **more):
    """A template whose clusters tell /<tenant>; answers its name as a target."""
    where = more.pop("url", None) or home.receiver.url(home.name)
    document = template(name, ["web", "base"], administration={
        "callbacks": [{"url": where, "events": list(events or EVENTS), **more}]})
    answer = home.admin.put(f"/v2/clustertemplates/{name}", document)
    assert answer.status == 200, answer
    return home.name


def told(calls):
    """(event, operation) of each call."""
    return [(call.event, call.action) for call in calls]


def stored(home, state=None):
    """The callbacks not yet told."""
    answer = home.admin.get("/v2/callbacks" + (f"?state={state}" if state else ""))
    assert answer.status == 200, answer
    return answer.json


def nothing_left(home):
    """All has been told."""
    wait_for(lambda: not stored(home), what="an empty outbox")


def as_it_was(call):
    """What a message says about the moment it is about, however late it is told."""
    return call.json["time"], call.json["job"], call.json["cluster"]["status"]


CREATED = [("start", "CLUSTER_CREATE"), ("success", "CLUSTER_CREATE")]
DELETED = [("start", "CLUSTER_DELETE"), ("success", "CLUSTER_DELETE")]


# ---- what is told


def test_jobs_are_told_in_order_with_the_cluster_and_a_signature(home):
    home.worker()
    cluster = home.create("demo", "stack", 3)
    home.user.wait_cluster(cluster)
    home.user.delete_cluster(cluster)
    calls = home.receiver.wait("global", cluster=cluster, count=4)
    assert told(calls) == CREATED + DELETED
    assert all(call.signed_with("the operator's") for call in calls)
    assert len({call.delivery for call in calls}) == 4
    start, success = calls[0].json, calls[1].json
    assert start["event"] == "start" and start["delivery"] == calls[0].delivery
    assert start["cluster"]["status"] == "pending" and start["job"]["jobStatus"] == "RUNNING"
    details = home.user.cluster(cluster)
    shown = success["cluster"]
    assert (shown["status"], shown["name"]) == ("active", "demo")
    assert shown["account"] == {"userId": "ann", "tenantId": home.tenant}
    assert shown["config"] == details["config"]
    # nothing of what a provider needs to know
    assert shown["provider"] == {"name": "lab", "description": "the lab", "version": 1}
    assert shown["clusterTemplate"] == {"name": "stack", "version": 1}
    job = success["job"]
    assert (job["jobId"], job["jobStatus"]) == (f"{cluster}-002", "COMPLETE")
    assert job["stepscompleted"] == job["stepstotal"] > 0
    assert sorted(node["properties"]["nodenum"] for node in success["nodes"]) == [1000, 1001, 1002]
    assert {"hostname", "ipaddresses", "services"} <= set(success["nodes"][0]["properties"])
    assert calls[3].json["cluster"]["status"] == "terminated"
    assert [call.json["time"] for call in calls] == sorted(call.json["time"] for call in calls)
    nothing_left(home)


def test_failures_are_told_when_the_cluster_rests(home):
    gate = Gate("BOOTSTRAP", node=1001)

    def script(run):
        if run.name == "BOOTSTRAP" and run.nodenum == 1000:
            run.wait(gate.reached)
            return {"status": 1, "retry": False, "message": "no disk"}
        return gate(run)

    home.worker(script, slots=4)
    cluster = home.create("demo", "one", 2)
    gate.wait()
    with home.user.events(cluster) as stream:
        stream.wait_type("job", status="failed")
        # a task still runs: not the end
        assert not home.receiver.of("global", "failure", cluster)
        gate.opened.set()
    call = home.receiver.wait("global", "failure", cluster)[0]
    assert call.action == "CLUSTER_CREATE"
    assert call.json["cluster"]["status"] == "incomplete"
    assert "no disk" in call.json["job"]["statusMessage"] and call.json["job"]["jobStatus"] == "FAILED"


def test_what_cannot_be_solved_is_told_as_a_failure_without_a_start(home):
    cluster = home.create("demo", "apart", 2)
    home.user.wait_cluster(cluster, "terminated")
    call = home.receiver.wait("global", cluster=cluster)[0]
    assert told([call]) == [("failure", "SOLVE_LAYOUT")]
    assert "Layout solving failed" in call.json["cluster"]["message"] and call.json["nodes"] == []


def test_leases_are_told(home):
    home.worker()
    name = target(home, "lease_warning", "lease_expired")
    cluster = home.create("demo", "called", initialLeaseDuration=2500)
    end = home.user.wait_cluster(cluster)["expireTime"]
    warning, expired = home.receiver.wait(name, cluster=cluster, count=2)
    assert (warning.event, expired.event) == ("lease_warning", "lease_expired")
    assert warning.json["cluster"]["status"] == "active" and "job" not in warning.json
    assert warning.json["cluster"]["expireTime"] == expired.json["cluster"]["expireTime"] == end
    home.user.wait_cluster(cluster, "terminated")
    everything = home.receiver.wait("global", cluster=cluster, count=6)
    assert [call.event for call in everything] == [
        "start", "success", "lease_warning", "lease_expired", "start", "success"]


# ---- whom


def test_a_template_names_targets_with_secrets_of_its_tenant(home):
    folder = home.stack.secrets / home.tenant
    folder.mkdir()
    (folder / "hook").write_text("ours", encoding="ascii")
    home.worker()
    name = target(home, "success", secretRef="hook")
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    calls = home.receiver.wait(name, cluster=cluster)
    assert told(calls) == [("success", "CLUSTER_CREATE")] and calls[0].signed_with("ours")
    # without one it is not signed, least of all with the operator's
    other = target(home, "success", name="unsigned")
    cluster = home.create("demo", "unsigned")
    home.user.wait_cluster(cluster)
    assert "X-Loom-Signature" not in home.receiver.wait(other, cluster=cluster)[0].headers


def test_a_secret_that_is_not_there_is_no_reason_to_send_unsigned(home):
    home.worker()
    name = target(home, "success", secretRef="nowhere")
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    dead = wait_for(lambda: stored(home, "dead"), what="a dead callback")[0]
    assert "its secret cannot be read" in dead["message"]
    assert not home.receiver.of(name)


@pytest.mark.parametrize("change, said", [
    ({"url": "ftp://x"}, "administration.callbacks[0].url must be an http:// or https:// URL"),
    ({"url": "http://user:word@x/"}, "without a user or password"),
    ({"url": ""}, "administration.callbacks[0].url is missing"),
    ({"url": "http://x/" + "y" * 2000}, "at most 2000 characters"),
    ({"events": []}, "administration.callbacks[0].events must have at least 1 element"),
    ({"events": ["start", "end"]}, "administration.callbacks[0].events[1] must be start, success"),
    ({"events": None}, "administration.callbacks[0].events is missing"),
    ({"secretRef": "../x"}, "administration.callbacks[0].secretRef must be the name of a secret"),
    ({"veto": True, "events": ["success"]}, "administration.callbacks[0].veto is for the event start"),
])
def test_templates_are_checked(home, change, said):
    document = template("bad", ["web"], administration={
        "callbacks": [{"url": "http://x/", "events": ["start"], **change}]})
    answer = home.admin.post("/v2/clustertemplates", document)
    assert answer.status == 400 and said in answer.text, answer


@pytest.mark.parametrize("where, said", [
    ("http://169.254.169.254/latest", "link-local"), ("http://[::1]:{port}/", "loopback"),
    ("http://127.0.0.2:{port}/", "loopback"), ("http://10.0.0.1/", "private"),
    ("http://0x7f000002:{port}/", "loopback"), ("http://[::ffff:127.0.0.2]:{port}/", "loopback"),
    ("http://0.0.0.0:{port}/", "this machine")])
def test_addresses_inside_are_refused(home, where, said):
    home.worker()
    target(home, "success", url=where.format(port=home.receiver.port))
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    dead = wait_for(lambda: stored(home, "dead"), what="a refused callback")[0]
    assert f"is a {said} address, which callback_allow does not list" in dead["message"]
    assert (dead["attempts"], dead["clusterId"]) == (1, cluster) and "lastStatus" not in dead


def test_redirects_are_not_followed(home):
    home.worker()
    name = target(home, "success")
    home.receiver.rules[name] = lambda call: (302, b"", {"Location": home.receiver.url("elsewhere")})
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    dead = wait_for(lambda: stored(home, "dead"), what="a dead callback")[0]
    assert dead["lastStatus"] == 302 and not home.receiver.of("elsewhere")


# ---- how often


def test_what_failed_is_told_again_before_what_comes_later(home):
    home.worker()
    name = target(home, "start", "success")
    answers = [500, 0, 503]
    home.receiver.rules[name] = lambda call: answers.pop(0) if answers else 204
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    calls = home.receiver.wait(name, cluster=cluster, count=5)
    assert [call.event for call in calls] == ["start"] * 4 + ["success"]
    assert len({call.delivery for call in calls[:4]}) == 1
    assert all(as_it_was(call) == as_it_was(calls[0]) for call in calls[:4])
    nothing_left(home)


def test_a_long_answer_is_cut_off_but_counts(home):
    home.worker()
    name = target(home, "success")
    home.receiver.rules[name] = lambda call: (200, b"x" * 3000000)
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    home.receiver.wait(name, cluster=cluster)
    nothing_left(home)
    assert len(home.receiver.of(name)) == 1


def test_the_dead_are_listed_and_told_when_replayed(home):
    home.worker()
    name = target(home, "start", "success")
    broken = {"start"}
    home.receiver.rules[name] = lambda call: (500, b"not now") if call.event in broken else 200
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    # it keeps nobody waiting for ever
    home.receiver.wait(name, "success", cluster)
    dead = wait_for(lambda: stored(home, "dead"), what="a dead callback")
    assert len(dead) == 1 and len(home.receiver.of(name, "start")) == 4
    one = dead[0]
    assert {key: one[key] for key in ("event", "clusterId", "jobId", "state", "attempts", "lastStatus",
                                      "message", "target", "url")} == {
        "event": "start", "clusterId": cluster, "jobId": f"{cluster}-002", "state": "dead", "attempts": 4,
        "lastStatus": 500, "message": "HTTP 500: not now", "target": "template",
        "url": home.receiver.url(name)}
    # for administrators of this tenant
    path = f"/v2/callbacks/{one['id']}/replay"
    other = Lab(home.stack, *next(home.stack.tenants))
    assert other.admin.post(path).status == 404 and stored(other) == []
    assert home.user.post(path).status == 403 and home.user.get("/v2/callbacks").status == 403
    assert home.admin.post("/v2/callbacks/x/replay").status == 400
    assert home.admin.get("/v2/callbacks?state=odd").status == 400
    assert one["id"] in [entry["id"] for entry in home.stack.api.get("/v2/callbacks?state=dead").json]
    broken.clear()
    assert home.admin.post(path).status == 200
    calls = home.receiver.wait(name, "start", cluster, count=5)
    assert calls[4].delivery == calls[0].delivery and as_it_was(calls[4]) == as_it_was(calls[0])
    nothing_left(home)


def test_the_dead_can_be_deleted(home):
    home.worker()
    target(home, "success", url="http://10.0.0.1/")
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    one = wait_for(lambda: stored(home, "dead"), what="a dead callback")[0]
    assert home.admin.delete(f"/v2/callbacks/{one['id']}").status == 200
    assert stored(home) == []
    assert home.admin.delete(f"/v2/callbacks/{one['id']}").status == 200


def test_a_silent_target_holds_up_nobody_else(home):
    home.worker(slots=4)
    silent = target(home, "start", name="silent")
    held = threading.Event()
    home.receiver.rules[silent] = lambda call: held.wait(20) and 200 or 200
    try:
        clusters = [home.create(f"s{number}", "silent") for number in range(6)]
        for cluster in clusters:
            home.user.wait_cluster(cluster)
        home.receiver.wait(silent)
        began = time.monotonic()
        home.receiver.rules["global"] = lambda call: 200
        other = home.create("demo", "one")
        home.user.wait_cluster(other)
        home.receiver.wait("global", "success", other, timeout=10)
        assert time.monotonic() - began < 6
    finally:
        held.set()
    home.receiver.rules.clear()
    nothing_left(home)


def threads(stack):
    """How many the scheduler has."""
    status = pathlib.Path(f"/proc/{stack.pid('scheduler')}/status").read_text(encoding="ascii")
    return int(re.search(r"^Threads:\t(\d+)$", status, re.MULTILINE)[1])


def under_way(stack):
    """How many targets are being told."""
    return stack.metric("scheduler.admin", "loom_callbacks_under_way")


@pytest.fixture
def hanging(home):
    """The clusters of a tenant have 208 targets, which take connections and never answer."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as silent:
        home.worker(slots=8)
        for name in (f"hanging{number}" for number in range(13)):
            document = template(name, ["web", "base"], administration={"callbacks": [
                {"url": f"http://127.0.0.1:{silent.getsockname()[1]}/{name}/{number}", "events": ["start"]}
                for number in range(16)]})
            assert home.admin.put(f"/v2/clustertemplates/{name}", document).status == 200
            home.create(name, name, 1)
        yield silent
        home.stack.sql(f"DELETE FROM callback WHERE tenant_id='{home.tenant}'")


def test_a_tenant_whose_targets_hang_holds_up_nobody_and_costs_no_thread(home, calling, request):
    """Of 208 that hang, its share is told at once."""
    before = threads(calling)
    request.getfixturevalue("hanging")
    wait_for(lambda: under_way(calling) >= 100, what="its share, hanging")
    other = Lab(calling, *next(calling.tenants)).load()
    other.receiver = home.receiver
    other.worker()
    target(other, "start", "success")
    for number in range(3):
        cluster = other.create(f"c{number}", "called")
        other.user.wait_cluster(cluster)
        rested = time.monotonic()
        assert told(other.receiver.wait(other.name, cluster=cluster, count=2, timeout=10)) == CREATED
        assert time.monotonic() - rested < 5
        assert under_way(calling) <= 140 and threads(calling) <= before
    other.close()


def test_what_hangs_does_not_keep_a_scheduler_from_stopping(home, calling, hanging):
    """And it is another's at once, not when the claim runs out."""
    wait_for(lambda: under_way(calling) >= 100, what="its share, hanging")
    began = time.monotonic()
    calling.stop("scheduler")
    took = time.monotonic() - began
    busy = calling.sql("SELECT COUNT(*) FROM callback WHERE busy_until>0")
    calling.start("scheduler")
    assert took < 5 and busy == [["0"]]
    wait_for(lambda: under_way(calling) >= 100, timeout=5, what="those told again")


def test_a_target_is_told_one_thing_at_a_time(home):
    """Of however many clusters; and the next one as soon as it has answered."""
    under_way, most = [], []

    def slow(call):
        under_way.append(call)
        most.append(len(under_way))
        time.sleep(0.1)
        under_way.remove(call)
        return 200

    home.receiver.rules[target(home, "start", "success")] = slow
    home.worker(slots=8)
    clusters = [home.create(f"c{number}", "called") for number in range(6)]
    for cluster in clusters:
        home.user.wait_cluster(cluster)
        assert told(home.receiver.wait(home.name, cluster=cluster, count=2)) == CREATED
    assert set(most) == {1}


# ---- several at a time

WAITING = 48


def backlog(home):
    """A cluster's start, which its target holds, and what waits behind that, about it and another by turns;
    answers the start and what lets go of it."""
    name = target(home, "start")
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(20) and 200 or 200
    home.worker()
    cluster, other = home.create("demo", "called"), home.create("other", "one")
    first = home.receiver.wait(name, "start", cluster)[0]
    for each in (cluster, other):
        home.user.wait_cluster(each)
    wait_for(lambda: len(stored(home)) == 1, what="nothing else to be told")
    home.stack.sql(
        "INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind, target, url, secret, as_then, state,"
        " not_before, create_time) SELECT UUID(), tenant_id, IF(s.seq % 2, cluster_id, " + other + "), job_num, kind,"
        " target, url, secret, as_then, state, create_time+s.seq, create_time+s.seq"
        f" FROM callback JOIN seq_1_to_{WAITING} s WHERE delivery='{first.delivery}'")
    return first, held.set


def in_line(first, calls):
    """Where in the backlog each was."""
    return [call.json["time"] - first.json["time"] for call in calls]


def commits(home):
    """Of the whole database."""
    return int(home.stack.sql("SHOW GLOBAL STATUS LIKE 'Com_commit'")[0][1])


def test_a_backlog_is_told_in_few_transactions_and_connections(home):
    first, release = backlog(home)
    before = commits(home)
    release()
    nothing_left(home)
    assert commits(home) - before < WAITING / 2  # two of each message, one by one
    calls = home.receiver.of(home.name)
    assert in_line(first, calls) == list(range(WAITING + 1))
    assert len({call.peer for call in calls}) < WAITING / 4
    assert [home.stack.log("scheduler").count(call.delivery) for call in calls] == [0] * len(calls)


def test_a_failure_in_the_middle_holds_up_its_own_cluster_only(home):
    first, release = backlog(home)
    failed = []

    def once(call):
        if in_line(first, [call]) == [5] and not failed:
            failed.append(call)
            return 500
        return 200

    home.receiver.rules[home.name] = once
    release()
    nothing_left(home)
    calls = home.receiver.of(home.name)
    told_of = {cluster: in_line(first, home.receiver.of(home.name, cluster=cluster))
               for cluster in {call.cluster for call in calls}}
    odd = [0, *range(1, WAITING + 1, 2)]
    odd.insert(odd.index(5), 5)
    assert sorted(told_of.values()) == [odd, list(range(2, WAITING + 1, 2))]


def test_killed_before_it_is_noted_what_was_told_is_told_again_in_order(home):
    first, release = backlog(home)
    held = threading.Event()
    home.receiver.rules[home.name] = lambda call: in_line(first, [call]) == [6] and held.wait(20) and 200 or 200
    release()
    wait_for(lambda: 6 in in_line(first, home.receiver.of(home.name)), what="the middle of a claim")
    home.stack.kill("scheduler")
    held.set()
    before = home.receiver.of(home.name)
    assert in_line(first, before) == list(range(7))
    home.stack.start("scheduler")
    nothing_left(home)
    after = home.receiver.of(home.name)[len(before):]
    assert in_line(first, after) == list(range(in_line(first, after)[0], WAITING + 1))
    assert in_line(first, after)[0] <= 6
    again = {call.delivery for call in before} & {call.delivery for call in after}
    assert again == {call.delivery for call in before[in_line(first, after)[0]:]}


# ---- crashes


def test_what_was_committed_is_told_after_kill(home):
    """The scheduler dies while the target has been told nothing, or has not yet answered."""
    worker = home.worker()
    name = target(home, "start", "success")
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(20) and 200 or 200
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    first = home.receiver.wait(name, "start", cluster)[0]
    mine = [entry for entry in stored(home) if entry["target"] != "global"]
    assert [entry["event"] for entry in mine] == ["success", "start"]
    home.stack.kill("scheduler")
    held.set()
    home.stack.start("scheduler")
    calls = home.receiver.wait(name, cluster=cluster, count=3, timeout=20)
    assert [call.event for call in calls] == ["start", "start", "success"]
    assert calls[1].delivery == first.delivery
    nothing_left(home)
    assert not worker.problems


def test_one_of_two_schedulers_killed_at_any_time(home):
    home.stack.start("scheduler2", settings=[line.replace("scheduler.", "scheduler2.", 1)
                                             for line in home.stack.settings])
    home.worker(slots=4)
    name = target(home, "start", "success")
    try:
        clusters = []
        for round_ in range(3):
            clusters += [home.create(f"c{round_}{number}", "called") for number in range(4)]
            home.stack.restart("scheduler" if round_ % 2 else "scheduler2")
        for cluster in clusters:
            home.user.wait_cluster(cluster)
        wait_for(lambda: not stored(home), timeout=30, what="an empty outbox")
    finally:
        home.stack.stop("scheduler2")
    for cluster in clusters:
        calls = home.receiver.of(name, cluster=cluster)
        events = [call.event for call in calls]
        assert events == sorted(events) and set(events) == {"start", "success"}, calls
        assert len({call.delivery for call in calls}) == 2


# ---- targets of a tenant


def own(home, name="ours", **more):
    """A target of the whole tenant; the answer to it."""
    document = {"url": home.receiver.url(home.name), "events": EVENTS, **more}
    return home.admin.put(f"/v2/callbacktargets/{name}", document)


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
    details = home.user.wait_cluster(cluster, "terminated", 20)
    assert "not today" in details["message"]
    (asked,) = home.receiver.wait(home.name, cluster=cluster, count=1)
    assert asked.signed_with("ours")
    assert own(home, events=["failure"], url="http://169.254.169.254/latest").status == 200
    home.user.wait_cluster(home.create("loose", "loose", 1), "terminated", 20)
    wait_for(lambda: stored(home, "dead"))
    (dead,) = stored(home, "dead")
    assert dead["target"] == "tenant:ours" and "link-local" in dead["message"] and dead["attempts"] == 1
    # one that is taken away is not told what waits for it
    assert own(home, events=["failure"]).status == 200
    home.receiver.rules[home.name] = lambda call: 500
    home.user.wait_cluster(home.create("loose", "loose", 1), "terminated", 20)
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


def test_others_are_planned_while_one_is_asked_about(home):
    home.worker()
    name = target(home, "start", veto=True)
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(20) and 200 or 200
    asked = home.create("asked", "called")
    home.receiver.wait(name, "start", asked)
    other = home.create("other", "one")
    home.user.wait_cluster(other, timeout=5)
    assert home.user.cluster_status(asked) == "pending"
    held.set()
    home.user.wait_cluster(asked)


def test_many_are_asked_about_at_once(home, calling):
    """Without a thread each, and without holding up what others are asked about."""
    before = threads(calling)
    held = threading.Event()
    home.receiver.rules[target(home, "start", veto=True)] = lambda call: held.wait(20) and 200 or 200
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


def test_paused_while_asking_it_stays_paused(home):
    home.worker()
    name = target(home, "start", veto=True)
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(20) and 200 or 200
    cluster = home.create("demo", "called")
    home.receiver.wait(name, "start", cluster)
    assert home.user.post(f"/v2/clusters/{cluster}/pause").status == 200
    held.set()
    home.receiver.wait(name, "start", cluster, answered=True)
    wait_for(lambda: "or paused" in home.stack.log("scheduler"), what="the pause")
    assert home.user.get(f"/v2/clusters/{cluster}/status").json["actionstatus"] == "paused"
    assert home.user.post(f"/v2/clusters/{cluster}/resume").status == 200
    home.user.wait_cluster(cluster, timeout=8)
    assert len(home.receiver.of(name, "start", cluster)) == 2


def test_killed_while_asking_it_is_asked_again(home):
    home.worker()
    name = target(home, "start", veto=True)
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(20) and 200 or 200
    cluster = home.create("demo", "called")
    home.receiver.wait(name, "start", cluster)
    home.stack.kill("scheduler")
    held.set()
    home.stack.start("scheduler")
    home.user.wait_cluster(cluster, timeout=40)
    assert len({call.delivery for call in home.receiver.of(name, cluster=cluster)}) == 1
