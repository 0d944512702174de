# SPDX-License-Identifier: Apache-2.0
"""Callbacks: what targets are told, in which order, how often, and what they may forbid."""

import socket
import threading
import time

import pytest

from support import wait_for
from support.callbacks import (  # noqa: F401 (fixtures)
    CREATED,
    DELETED,
    as_it_was,
    fixture_calling,
    fixture_home,
    fixture_patient,
    fixture_receiver,
    nothing_left,
    stored,
    target,
    threads,
    told,
    under_way,
)
from support.lab import Lab, template
from support.worker import Gate

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
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    end = home.stack.now() + 5000
    assert home.user.post(f"/v2/clusters/{cluster}", {"expireTime": end}).status == 200
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


@pytest.fixture
def long_waits(home):
    """Waits between tries may be as long as a target says."""
    home.stack.stop("scheduler")
    home.stack.start("scheduler", settings=("scheduler.callback_cap_ms=1m",))
    yield
    home.stack.stop("scheduler")
    home.stack.start("scheduler", settings=home.stack.settings)


@pytest.mark.parametrize("status", [429, 503])
def test_who_says_for_how_long_is_left_alone(home, long_waits, status):  # pylint: disable=unused-argument
    home.worker()
    name = target(home, "success")
    refused = threading.Event()

    def rule(_):
        if refused.is_set():
            return 200
        refused.set()
        return status, b"", {"Retry-After": "2"}

    home.receiver.rules[name] = rule
    for cluster in [home.create(each, "called") for each in ("one", "two")]:
        home.user.wait_cluster(cluster)
    first, *later = home.receiver.wait(name, count=3)
    assert all(call.time - first.time >= 2 for call in later), [call.time - first.time for call in later]
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


@pytest.mark.parametrize("answer", [b"\xff", b"x" + 200 * "\u0436".encode()])
def test_one_that_answers_no_text_is_given_up_like_others(home, answer):
    """What is kept of its answer is text; it would be told for ever if that could not be written down."""
    home.worker()
    name = target(home, "success")
    home.receiver.rules[name] = lambda call: (500, answer)
    home.user.wait_cluster(home.create("demo", "called"))
    dead = wait_for(lambda: stored(home, "dead"), what="a dead callback")[0]
    assert (dead["attempts"], dead["lastStatus"]) == (4, 500)
    assert dead["message"].startswith("HTTP 500: ") and dead["message"].endswith("\ufffd"), dead


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


@pytest.mark.usefixtures("patient")
def test_a_silent_target_holds_up_nobody_else(home):
    home.worker(slots=4)
    silent = target(home, "start", name="silent")
    held = threading.Event()
    home.receiver.rules[silent] = lambda call: held.wait(120) and 200 or 200
    try:
        clusters = [home.create(f"s{number}", "silent") for number in range(6)]
        for cluster in clusters:
            home.user.wait_cluster(cluster)
        home.receiver.wait(silent)
        other = home.create("demo", "one")
        home.user.wait_cluster(other)
        home.receiver.wait("global", "success", other)
        assert len(home.receiver.of(silent)) == 1
    finally:
        held.set()
    home.receiver.rules.clear()
    nothing_left(home)


@pytest.mark.usefixtures("patient")
def test_what_is_being_told_is_left_alone_by_a_scheduler_that_begins(home):
    """Its first sweep mends what a clock that was set back left: no claim is one of these."""
    name = target(home, "start")
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(120) and 200 or 200
    home.worker()
    home.create("demo", "called")
    try:
        for begun in range(1, 4):
            home.receiver.wait(name, count=begun)
            home.stack.swept()
            assert home.stack.sql(f"SELECT COUNT(*) FROM callback WHERE url='{home.receiver.url(name)}' AND"
                                  " busy_until>(UNIX_TIMESTAMP(NOW(3))+30)*1000") == [["1"]]
            assert len(home.receiver.of(name)) == begun
            if begun < 3:
                home.stack.stop("scheduler")
                home.stack.start("scheduler", settings=("scheduler.callback_timeout_ms=1m",))
    finally:
        held.set()
    nothing_left(home)


@pytest.fixture
def hanging(home, patient):  # pylint: disable=unused-argument
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
    request.getfixturevalue("patient")
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
        assert told(other.receiver.wait(other.name, cluster=cluster, count=2)) == CREATED
        assert 100 <= under_way(calling) <= 140 and threads(calling) <= before
    other.close()


def test_what_hangs_does_not_keep_a_scheduler_from_stopping(home, calling, hanging):
    """And it is another's at once, not when the claim runs out."""
    wait_for(lambda: under_way(calling) >= 100, what="its share, hanging")
    began = time.monotonic()
    calling.stop("scheduler")
    took = time.monotonic() - began
    busy = calling.sql("SELECT COUNT(*) FROM callback WHERE busy_until>0")
    calling.start("scheduler")
    assert took < 60 and busy == [["0"]]
    wait_for(lambda: under_way(calling) >= 100, what="those told again")


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

WAITING = 160


def backlog(home):
    """A cluster's start, which its target holds, and what waits behind that, about it and another by turns;
    answers the start and what lets go of it."""
    name = target(home, "start")
    held = threading.Event()
    home.receiver.rules[name] = lambda call: held.wait(120) and 200 or 200
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


@pytest.mark.usefixtures("patient")
def test_a_backlog_is_told_in_few_transactions_and_connections(home):
    first, release = backlog(home)
    before = commits(home)
    release()
    # Asked of the API it would commit, too.
    wait_for(lambda: home.stack.sql(f"SELECT COUNT(*) FROM callback WHERE tenant_id='{home.tenant}'") == [["0"]],
             what="an empty outbox")
    made = commits(home) - before
    assert made < WAITING, made  # one by one there are two of each message
    calls = home.receiver.of(home.name)
    assert in_line(first, calls) == list(range(WAITING + 1))
    peers = len({call.peer for call in calls})
    assert peers < WAITING / 2, peers  # one by one each has its own
    assert [home.stack.log("scheduler").count(call.delivery) for call in calls] == [0] * len(calls)


@pytest.mark.usefixtures("patient")
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


@pytest.mark.parametrize("patient", ["15s"], indirect=True)  # what was claimed is another's after that
@pytest.mark.usefixtures("patient")
def test_killed_before_it_is_noted_what_was_told_is_told_again_in_order(home):
    first, release = backlog(home)
    held = threading.Event()
    home.receiver.rules[home.name] = lambda call: in_line(first, [call]) == [6] and held.wait(120) and 200 or 200
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
    home.receiver.rules[name] = lambda call: held.wait(120) and 200 or 200
    cluster = home.create("demo", "called")
    home.user.wait_cluster(cluster)
    first = home.receiver.wait(name, "start", cluster)[0]
    mine = [entry for entry in stored(home) if entry["target"] != "global"]
    assert [entry["event"] for entry in mine] == ["success", "start"]
    home.stack.kill("scheduler")
    before = len(home.receiver.of(name, cluster=cluster))
    held.set()
    home.stack.start("scheduler")
    calls = home.receiver.wait(name, cluster=cluster, count=before + 2)
    assert [call.event for call in calls] == ["start"] * (before + 1) + ["success"]
    assert {call.delivery for call in calls[:-1]} == {first.delivery}
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
        wait_for(lambda: not stored(home), what="an empty outbox")
    finally:
        home.stack.stop("scheduler2")
    for cluster in clusters:
        calls = home.receiver.of(name, cluster=cluster)
        events = [call.event for call in calls]
        assert events == sorted(events) and set(events) == {"start", "success"}, calls
        assert len({call.delivery for call in calls}) == 2
