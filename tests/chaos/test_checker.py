# SPDX-License-Identifier: Apache-2.0
"""The checker itself: on a hand-made good run it finds nothing; on each hand-made breach, that breach."""

import copy
import json

import pytest

from chaos import checker, measure, noise
from chaos.history import crc

T0 = 1000.0


def event(when, **data):
    """An event's data as text."""
    return json.dumps({**data, "time": int(when * 1000)})


def task_id(cluster, number, job=2):
    """A task's id."""
    return f"{cluster}-{job:03d}-{number:03d}"


def planned(cluster, number, name, service="", after=()):
    """A task in a plan."""
    return {"taskId": task_id(cluster, number), "taskName": name, "nodeId": f"node-{cluster}", "nodenum": 1,
            "service": service, "stage": number, "after": [task_id(cluster, other) for other in after]}


def made(cluster, start):
    """The events of a cluster of one machine, created and installed; the install lost one worker."""
    tasks = [planned(cluster, 1, "CREATE"), planned(cluster, 2, "INSTALL", "web", [1]),
             planned(cluster, 3, "START", "web", [1, 2])]
    story = [("cluster", {"status": "pending"}),
             ("job", {"jobId": f"{cluster}-002", "action": "cluster_create", "status": "running",
                      "stepstotal": 3, "stepscompleted": 0}),
             ("plan", {"jobId": f"{cluster}-002", "action": "cluster_create", "tasks": tasks,
                       "nodes": [{"nodeId": f"node-{cluster}", "nodenum": 1}]})]
    steps = [(1, "ready", 0, ""), (1, "running", 1, "p1"), (1, "complete", 1, "p1"),
             (2, "ready", 0, ""), (2, "running", 1, "p1"), (2, "retry", 1, "p1"), (2, "running", 2, "p2"),
             (2, "complete", 2, "p2"), (3, "ready", 0, ""), (3, "running", 1, "p2"), (3, "complete", 1, "p2")]
    for number, state, attempt, who in steps:
        task = tasks[number - 1]
        story.append(("task", {**{key: task[key] for key in ("taskId", "taskName", "service", "nodeId")},
                               "state": state, "attempt": attempt, "provisionerId": who}))
    story += [("job", {"jobId": f"{cluster}-002", "action": "cluster_create", "status": "complete",
                       "stepstotal": 3, "stepscompleted": 3}),
              ("cluster", {"status": "active"})]
    return [[number, kind, event(start + number / 10, **data)] for number, (kind, data) in enumerate(story, 1)]


def good():
    """(records, evidence) of a run without a fault: 00000001 is active, 00000002 was deleted."""
    records, evidence = [{"t": T0, "p": "receiver", "kind": "listening"}], {
        "tenants": {"t": {"max_clusters": 2, "max_nodes": 2}}, "clusters": [], "jobs": [], "nodes": [],
        "tasks": [], "edges": [], "events": {}, "machines": {"node-00000001": "sim"}, "journal": [],
        "taken": {}, "ended": {}, "replicas": {"cluster": {"a": 1, "b": 1, "c": 1}}}
    for number, cluster in enumerate(("00000001", "00000002"), 1):
        start = T0 + 10 * number
        events = made(cluster, start)
        if number == 2:
            events += [[len(events) + 1, "cluster", event(start + 3, status="pending")],
                       [len(events) + 2, "cluster", event(start + 4, status="terminated")]]
        evidence["events"][cluster] = events
        evidence["clusters"].append({"id": cluster, "tenant": "t", "name": f"c{number}", "message": None,
                                     "status": "active" if number == 1 else "terminated",
                                     "create_time": start, "asked_nodes": 1, "event_seq": len(events)})
        evidence["jobs"].append({"cluster": cluster, "num": 2, "action": "cluster_create", "message": None,
                                 "status": "complete", "phase": "end", "total": 3, "done": 3})
        evidence["nodes"] += [{"id": f"node-{cluster}", "cluster": cluster, "num": 1}]
        for task, attempt in ((1, 1), (2, 2), (3, 1)):
            evidence["tasks"].append({"id": task_id(cluster, task), "cluster": cluster, "job": 2, "num": task,
                                      "node": f"node-{cluster}", "name": "X", "service": "", "attempt": attempt,
                                      "state": "complete", "done_attempt": attempt})
        evidence["edges"] += [{"cluster": cluster, "job": 2, "from": one, "to": other}
                              for one, other in ((1, 2), (1, 3), (2, 3))]
        evidence["journal"].append((start + 0.55, f"node-{cluster}", task_id(cluster, 1), 1, "create"))
        for task, attempt, who, when in ((1, 1, "p1", 0.58), (2, 2, "p2", 1.0), (3, 1, "p2", 1.38)):
            evidence["ended"][(task_id(cluster, task), attempt)] = [(start + when, who, "done")]
        records += [
            {"t": start, "p": "k", "kind": "invoke", "op": number, "f": "create", "name": f"c{number}",
             "tenant": "t", "size": 1},
            {"t": start + 0.05, "p": "k", "kind": "ok", "op": number, "id": cluster, "status": 200}]
        records += [{"t": start + when, "p": "receiver", "kind": "callback", "cluster": cluster,
                     "job": f"{cluster}-002", "event": what, "delivery": f"{cluster}-{what}"}
                    for when, what in ((0.4, "start"), (1.9, "success"), (2.9, "start"))]
        records += [{"t": start + seq, "p": f"w{number}", "kind": "event", "cluster": cluster, "id": seq,
                     "type": kind, "crc": crc(text)} for seq, kind, text in events]
    evidence["journal"].append((T0 + 23.5, "node-00000002", "00000002-003-001", 1, "delete"))
    records += [
        {"t": T0 + 23, "p": "k", "kind": "invoke", "op": 3, "f": "delete", "cluster": "00000002"},
        {"t": T0 + 23.1, "p": "k", "kind": "ok", "op": 3, "status": 200},
        {"t": T0 + 24, "p": "k", "kind": "invoke", "op": 4, "f": "create", "name": "c4", "tenant": "t", "size": 1},
        {"t": T0 + 24.1, "p": "k", "kind": "fail", "op": 4, "status": 503, "why": "503"},
        {"t": T0 + 25, "p": "k", "kind": "invoke", "op": 5, "f": "get", "cluster": "00000001"},
        {"t": T0 + 25.1, "p": "k", "kind": "ok", "op": 5, "status": 200}]
    return records, evidence


def first(rows, **values):
    """The first of some rows with these values."""
    return next(row for row in rows if all(row.get(key) == value for key, value in values.items()))


def change_event(evidence, cluster, number, **values):
    """Change an event's data."""
    row = evidence["events"][cluster][number - 1]
    row[2] = json.dumps({**json.loads(row[2]), **values})


def find_event(evidence, cluster, kind, **values):
    """The number of an event."""
    for number, name, text in evidence["events"][cluster]:
        data = json.loads(text)
        if name == kind and all(data.get(key) == value for key, value in values.items()):
            return number
    raise AssertionError(values)


# ---- one breach each -----------------------------------------------------------------------------------


def lost_create(records, evidence):
    """An acknowledged cluster is not there."""
    evidence["clusters"].pop(0)


def another_name(records, evidence):
    """It is there under another name."""
    evidence["clusters"][0]["name"] = "x"


def another_size(records, evidence):
    """It is there with another size."""
    evidence["clusters"][0]["asked_nodes"] = 2


def refused_but_there(records, evidence):
    """A create was refused and yet recorded."""
    evidence["clusters"].append({**evidence["clusters"][1], "id": "00000004", "name": "c4"})
    evidence["events"]["00000004"] = evidence["events"]["00000002"]


def created_twice(records, evidence):
    """One create made two clusters."""
    evidence["clusters"].append({**evidence["clusters"][1], "id": "00000004", "name": "c2"})
    evidence["events"]["00000004"] = evidence["events"]["00000002"]


def failed_without_reason(records, evidence):
    """It ended badly and nothing says why."""
    evidence["clusters"][0]["status"] = "incomplete"


def untruthful_reason(records, evidence):
    """Its job says that a task failed, and none did."""
    evidence["clusters"][0]["status"] = "incomplete"
    evidence["jobs"][0].update(status="failed", message="INSTALL failed")


def gone_unasked(records, evidence):
    """It was deleted and nobody asked for it."""
    evidence["clusters"][0]["status"] = "terminated"
    evidence["machines"].clear()


def lost_delete(records, evidence):
    """A delete was acknowledged and not done."""
    evidence["clusters"][1]["status"] = "active"
    evidence["machines"]["node-00000002"] = "sim"
    evidence["journal"].pop()


def not_found(records, evidence):
    """A read does not find what another client was told of."""
    first(records, op=5, kind="ok").update(kind="fail", status=404)


def left_over(records, evidence):
    """The machine of a deleted cluster is there."""
    evidence["machines"]["node-00000002"] = "sim"
    evidence["journal"].pop()


def replaced_and_there(records, evidence):
    """A machine that was replaced by another is there."""
    plan = json.loads(evidence["events"]["00000001"][2][2])
    plan["nodes"].append({"nodeId": "old", "nodenum": 2})
    evidence["events"]["00000001"][2][2] = json.dumps(plan)
    evidence["machines"]["old"] = "sim"
    evidence["journal"].append((T0 + 11, "old", "00000001-002-001", 1, "create"))


def no_owner(records, evidence):
    """A machine that no cluster has."""
    evidence["machines"]["stray"] = "sandbox"
    evidence["journal"].append((T0 + 30, "stray", "-", 1, "create"))


def no_machine(records, evidence):
    """An active cluster's machine is gone."""
    evidence["machines"].clear()
    evidence["journal"].append((T0 + 30, "node-00000001", "-", 1, "delete"))


def made_twice(records, evidence):
    """Two machines were made for one node."""
    evidence["journal"].append((T0 + 12, "node-00000001", "00000001-002-001", 2, "create"))


def made_after_delete(records, evidence):
    """A late attempt makes a machine for a deleted cluster."""
    evidence["journal"].append((T0 + 30, "node-00000002", "00000002-002-001", 1, "create"))
    evidence["machines"]["node-00000002"] = "sim"


def unwritten_effect(records, evidence):
    """The provider has a machine that was never made."""
    evidence["journal"].pop(0)


def late_effect(records, evidence):
    """The create of an attempt that had been given up makes a machine while the cluster is still there."""
    evidence["journal"][0] = (T0 + 15, *evidence["journal"][0][1:])


def stale_attempt(records, evidence):
    """The result of the first attempt is applied while the second runs."""
    change_event(evidence, "00000001", find_event(evidence, "00000001", "task", state="complete", attempt=2),
                 attempt=1)


def stale_result(records, evidence):
    """A result is applied that its attempt did not have yet."""
    key = (task_id("00000001", 2), 2)
    evidence["ended"][key] = [(when + 5, who, how) for when, who, how in evidence["ended"][key]]


def foreign_result(records, evidence):
    """A result is applied that another provisioner had."""
    key = (task_id("00000001", 2), 2)
    evidence["ended"][key] = [(when, "p1", how) for when, who, how in evidence["ended"][key]]


def planned_twice(records, evidence):
    """A deposed owner wrote its plan, too."""
    plan = copy.deepcopy(evidence["events"]["00000001"][2])
    evidence["events"]["00000001"].append([len(evidence["events"]["00000001"]) + 1, "plan", plan[2]])


def unmet_edge(records, evidence):
    """A task began before one that it waits for."""
    events = evidence["events"]["00000001"]
    events[5], events[7] = [6, *events[7][1:]], [8, *events[5][1:]]


def restarted_job(records, evidence):
    """A job that had ended goes on."""
    events = evidence["events"]["00000001"]
    events.append([len(events) + 1, "job", event(T0 + 30, jobId="00000001-002", status="running",
                                                 stepscompleted=3)])


def stuck_cluster(records, evidence):
    """A cluster is still pending."""
    evidence["clusters"][0]["status"] = "pending"


def stuck_job(records, evidence):
    """A job is still running."""
    evidence["jobs"][0]["status"] = "running"


def stuck_task(records, evidence):
    """A task is still running."""
    evidence["tasks"][0]["state"] = "running"


def wrong_sum(records, evidence):
    """A job counted a task twice."""
    evidence["jobs"][0]["done"] = 4


def quota_of_clusters(records, evidence):
    """Two clusters at once, one is allowed."""
    evidence["tenants"]["t"]["max_clusters"] = 1


def quota_of_machines(records, evidence):
    """Two machines at once, one is allowed."""
    evidence["tenants"]["t"]["max_nodes"] = 1


def watchers_gap(records, evidence):
    """A watcher misses an event."""
    records.remove(first(records, kind="event", p="w1", id=5))


def watchers_repetition(records, evidence):
    """A watcher is told an event twice."""
    at = records.index(first(records, kind="event", p="w1", id=5))
    records.insert(at + 1, dict(records[at]))


def watchers_lie(records, evidence):
    """A watcher is told something else than happened."""
    first(records, kind="event", p="w1", id=5)["crc"] ^= 1


def watcher_forgotten(records, evidence):
    """A watcher does not hear of the end."""
    records[:] = [record for record in records if not (record["kind"] == "event" and record["p"] == "w1"
                                                       and record["id"] > 10)]


def events_gap(records, evidence):
    """The database lacks an event, and so nobody was told of it."""
    evidence["events"]["00000001"].pop(4)
    records[:] = [record for record in records if record["p"] != "w1"]


def split_database(records, evidence):
    """Two database nodes differ."""
    evidence["replicas"]["cluster"]["b"] = 2


def told_nothing(records, evidence):
    """A target does not hear how a job ended."""
    records.remove(first(records, kind="callback", cluster="00000001", event="success"))


def told_backwards(records, evidence):
    """It hears of the end before the start."""
    for record in records:
        if record["kind"] == "callback" and record["cluster"] == "00000001" and record["event"] == "start":
            record["t"] += 2


def told_of_another(records, evidence):
    """It hears of a job that nobody has."""
    first(records, kind="callback", cluster="00000002", event="success")["job"] = "00000002-009"


def told_of_nobody(records, evidence):
    """It hears of a cluster that is not there."""
    first(records, kind="callback")["cluster"] = "00000077"


BREACHES = {
    lost_create: (1, "lost create"), another_name: (1, "another cluster"), another_size: (1, "another cluster"),
    refused_but_there: (1, "refused but there"), created_twice: (1, "created twice"),
    failed_without_reason: (1, "no reason"), untruthful_reason: (1, "no reason"),
    gone_unasked: (1, "no reason"), lost_delete: (1, "lost delete"), not_found: (1, "not found"),
    split_database: (1, "replicas differ"),
    left_over: (2, "left over"), replaced_and_there: (2, "left over"), no_owner: (2, "no owner"), no_machine: (2, "no machine"),
    made_twice: (2, "made twice"), made_after_delete: (2, "left over"),
    unwritten_effect: (2, "record differs"), late_effect: (3, "late effect"),
    stale_attempt: (3, "stale result"), stale_result: (3, "stale result"), foreign_result: (3, "stale result"),
    planned_twice: (3, "planned twice"), unmet_edge: (3, "edge"), restarted_job: (3, "revived"),
    stuck_cluster: (4, "stuck cluster"), stuck_job: (4, "stuck job"), stuck_task: (4, "stuck task"),
    wrong_sum: (4, "wrong sum"), quota_of_clusters: (4, "quota"), quota_of_machines: (4, "quota"),
    watchers_gap: (5, "gap"), watchers_repetition: (5, "repetition"), watchers_lie: (5, "false event"),
    watcher_forgotten: (5, "not told"), events_gap: (5, "gap"),
    told_nothing: (6, "untold"), told_backwards: (6, "out of order"), told_of_another: (6, "told of nothing"),
    told_of_nobody: (6, "told of nothing"),
}


def test_nothing_is_wrong():
    """A run in which all went well."""
    assert checker.check(*good()) == []


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.__name__)
def test_breach_is_noticed(breach):
    """Each breach is reported as what it is, in one line."""
    records, evidence = good()
    breach(records, evidence)
    found = checker.check(records, evidence)
    promise, kind = BREACHES[breach]
    assert (promise, kind) in {(violation.promise, violation.kind) for violation in found}, found
    assert all(str(violation) and "\n" not in str(violation) for violation in found)


def test_every_kind_is_proven():
    """There is a breach for every promise, and none is without a test of its own."""
    assert {promise for promise, _ in BREACHES.values()} == set(checker.PROMISES)


def test_without_a_receiver_nobody_is_told():
    """The records of a run without one are judged, too."""
    records, evidence = good()
    assert checker.check([record for record in records if record["p"] != "receiver"], evidence) == []


@pytest.mark.parametrize("recovery, failed_reads, busy, missed", [
    (0.9, 0, 1.0, False), (1.1, 0, 1.0, True), (1.9, 0, 2.0, False), (2.1, 0, 2.0, True),
    (0.5, 1, 1.0, True), (0.5, 1, 3.0, False), (9.0, 1, None, False)])
def test_a_bound_is_missed_beyond_the_noise(recovery, failed_reads, busy, missed):
    """A bound holds on an idle machine; on a busy one all takes longer, and what was not measured is not judged."""
    step = {"bound": 1, "recovery": recovery, "idempotent": True, "failed_reads": failed_reads, "stretch": busy}
    assert measure.is_missed(step) is missed


def test_the_stretch_of_a_time():
    """What a probe waited for a processor beside what it worked, in that time."""
    samples = [(0.0, 1.0, 0.0), (1.0, 1.1, 0.0), (2.0, 1.2, 0.3), (3.0, 1.3, 0.3)]
    assert noise.stretch(samples, 0.2, 0.9) == pytest.approx(1.0)
    assert noise.stretch(samples, 1.2, 1.9) == pytest.approx(4.0)
    assert noise.stretch(samples, 0.0, 3.0) == pytest.approx(2.0)
    assert noise.stretch([], 0, 1) is None


def test_a_failure_with_its_reason_is_fine():
    """A cluster may end badly when it says truly why."""
    records, evidence = good()
    first(records, kind="callback", event="success")["event"] = "failure"
    evidence["clusters"][0]["status"] = "incomplete"
    evidence["jobs"][0].update(status="failed", message="START failed", done=2)
    evidence["tasks"][2].update(state="failed")
    assert checker.check(records, evidence) == []


def test_an_unknown_outcome_may_be_either():
    """A create without an answer may or may not have left a cluster."""
    records, evidence = good()
    first(records, op=1, kind="ok").update(kind="info", id=None)
    assert checker.check(records, evidence) == []
    first(records, op=4, kind="fail").update(kind="info")
    assert checker.check(records, evidence) == []


def test_what_a_killed_attempt_did_may_be_unwritten():
    """It deleted the machine and died before it could write that down; the next one found nothing."""
    records, evidence = good()
    evidence["journal"].pop()
    delete = task_id("00000002", 1, job=3)
    evidence["tasks"].append({"id": delete, "cluster": "00000002", "job": 3, "num": 1, "node": "node-00000002",
                              "name": "DELETE", "service": "", "attempt": 2, "state": "complete", "done_attempt": 2})
    evidence["jobs"].append({"cluster": "00000002", "num": 3, "action": "cluster_delete", "message": None,
                             "status": "complete", "phase": "end", "total": 1, "done": 1})
    evidence["taken"] = {(delete, 1): [(T0 + 23.2, "p1")], (delete, 2): [(T0 + 23.4, "p2")]}
    evidence["ended"][(delete, 2)] = [(T0 + 23.5, "p2", "done")]
    assert checker.check(records, evidence) == []
    evidence["ended"][(delete, 1)] = [(T0 + 23.3, "p1", "failed")]
    assert checker.check(records, evidence) == []
    evidence["ended"][(delete, 1)] = [(T0 + 23.3, "p1", "done")]
    assert [violation.kind for violation in checker.check(records, evidence)] == ["record differs"]


def test_a_create_counts_from_its_commit():
    """It had begun, and waited for its quota, when the cluster before it ended."""
    records, evidence = good()
    evidence["tenants"]["t"].update(max_clusters=1, max_nodes=1)
    events = evidence["events"]["00000001"]
    events.append([len(events) + 1, "cluster", event(T0 + 20.25, status="terminated")])
    evidence["clusters"][0].update(status="terminated", event_seq=len(events))
    evidence["machines"].clear()
    evidence["journal"].append((T0 + 20.2, "node-00000001", "00000001-003-001", 1, "delete"))
    records += [{"t": T0 + 20.3, "p": "w1", "kind": "event", "cluster": "00000001", "id": len(events),
                 "type": "cluster", "crc": crc(events[-1][2])},
                {"t": T0 + 15, "p": "k", "kind": "invoke", "op": 6, "f": "delete", "cluster": "00000001"},
                {"t": T0 + 15.1, "p": "k", "kind": "ok", "op": 6, "status": 200}]
    answer = first(records, op=2, kind="ok")
    answer["t"] = T0 + 20.4
    assert checker.check(records, evidence) == []
    answer["t"] = T0 + 20.21
    assert [violation.kind for violation in checker.check(records, evidence)] == ["quota"]
