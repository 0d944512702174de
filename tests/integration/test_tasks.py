# SPDX-License-Identifier: Apache-2.0
"""Taking tasks: who gets what, in which order, and what failures lead to."""

import collections
import json
import threading

import pytest

from support import wait_for
from support.lab import Lab, service, template
from support.worker import Gate, Worker, by_hand, success, take_one


def outcomes(*table):
    """A script that answers per (task name, attempts so far) from a table of
    (name, result of 1st attempt, 2nd ...); success otherwise."""
    results = {name: list(rest) for name, *rest in table}
    seen = collections.Counter()
    lock = threading.Lock()

    def script(run):
        with lock:
            seen[run.name] += 1
            left = results.get(run.name)
            return left.pop(0) if left else None

    return script


# ---- taking


WAITING = ("SELECT info FROM information_schema.processlist"
           " WHERE command='Execute' AND info LIKE '% node %' AND time_ms > 100")


def beside(stack):
    """How many turns began while another was under way."""
    return stack.metric("scheduler.admin", "loom_scheduler_concurrent_batches_total")


@pytest.mark.parametrize("limits", [{}, {"concurrentCreates": 1000}], ids=["unlimited", "limited"])
def test_many_results_at_once_are_done_side_by_side(lab, limits):
    """A turn that has to wait for a row does not keep the results of other clusters waiting."""
    if limits:
        lab.change("providers", "lab", limits=limits)
    first, *others = [lab.create(f"c{number}", "loose", 4) for number in range(12)]
    one, rest = Gate("CREATE"), Gate("CREATE")
    with lab.worker(lambda run: (one if run.id.startswith(first) else rest)(run), slots=48) as worker:
        wait_for(lambda: len(worker.of("CREATE")) == 48, what="all machines being made")
        before = beside(lab.stack)
        with lab.stack.locked(f"FROM node WHERE cluster_id={int(first)}"):
            one.open()
            wait_for(lambda: lab.stack.sql(WAITING, scheduler=True), what="a turn that waits for a machine's row")
            rest.open()
            wait_for(lambda: beside(lab.stack) > before, what="a turn beside the one that waits")
        for cluster in (first, *others):
            story = lab.active(cluster)
            assert all(task.attempts == [1] for task in story.tasks.values())
        assert {run.answer for run in worker.runs} == {200}


def test_create_runs_every_task_once_in_the_order_of_its_edges(lab):
    worker = lab.worker(slots=8)
    cluster = lab.create("demo", "stack", 4)
    story = lab.active(cluster)
    assert {run.answer for run in worker.runs} == {200}
    assert sorted(run.id for run in worker.runs) == sorted(story.tasks)
    assert all(task.attempts == [1] for task in story.tasks.values())
    # web uses db: no web starts before db runs
    started = story.of("START", "db")[0].done
    assert all(task.began[0] > started for task in story.of("START", "web"))
    # no barrier between stages: the order is the graph's, not the stages'
    assert {task.name for task in story.tasks.values()} == {
        "CREATE", "CONFIRM", "BOOTSTRAP", "INSTALL", "CONFIGURE", "INITIALIZE", "START"}


def test_no_barrier_between_stages(lab):
    gate = Gate("CREATE", node=1001)
    with lab.worker(gate) as worker:
        cluster = lab.create("demo", "loose", 2)
        gate.wait()
        # the other machine gets as far as it can while this one is not even there
        wait_for(lambda: [run.nodenum for run in worker.of("START") if run.answer] == [1000],
                 what="START on the other machine")
        gate.open()
        lab.active(cluster)


def test_a_task_that_needs_another_machines_address_waits_for_it(lab):
    gate = Gate("CONFIRM", node=1001)
    macros = {kind: f"%ip.bind_v4.service.{kind}%" for kind in ("left", "right")}
    with lab.worker(gate) as worker:
        config = {**macros, "all": "%join(map(ip.bind_v4.service.left,'x-$'),',')%"}
        cluster = lab.create("demo", "loose", 2, config=config)
        gate.wait()
        bootstrap = wait_for(lambda: [run for run in worker.of("BOOTSTRAP") if run.answer], what="BOOTSTRAP")
        with lab.user.events(cluster) as stream:
            stream.wait_type("task", taskName="INSTALL", state="ready", nodenum=bootstrap[0].nodenum)
        assert not worker.of("INSTALL")
        gate.open()
        story = lab.active(cluster)
    assert all(task.attempts == [1] for task in story.tasks.values())
    addresses = {node["properties"]["services"][0]: node["properties"]["ipaddresses"]["bind_v4"]
                 for node in lab.user.cluster(cluster)["nodes"]}
    for run in worker.of("INSTALL"):
        assert run.config["cluster"] == {**addresses, "all": f"x-{addresses['left']}"}


def test_a_waiting_task_is_dropped_when_the_other_machine_fails(lab):
    lab.worker(lambda run: {"status": 1, "retry": False} if run.name == "CONFIRM" and run.nodenum == 1001
               else None)
    cluster = lab.create("demo", "loose", 2, config={"x": "%ip.bind_v4.service.left%:%ip.bind_v4.service.right%"})
    lab.user.wait_cluster(cluster, "incomplete")
    story = lab.story(cluster).check_ended()
    assert all(task.state == "dropped" for task in story.of("INSTALL"))


def test_two_workers_racing_never_get_the_same_task(lab):
    workers = [lab.worker(slots=3) for _ in range(3)]
    clusters = [lab.create(f"race{number}", "stack", 4) for number in range(3)]
    stories = [lab.active(cluster) for cluster in clusters]
    handed = collections.Counter((run.id, run.attempt) for worker in workers for run in worker.runs)
    assert set(handed.values()) == {1}
    assert len(handed) == sum(len(story.tasks) for story in stories)
    assert all(task.attempts == [1] for story in stories for task in story.tasks.values())


def test_take_answers_at_once_without_wait(lab):
    worker = by_hand(lab)
    assert worker.take() == (204, [])
    assert worker.take(wait=0, most=64) == (204, [])


def test_held_take_is_answered_when_a_task_becomes_ready(lab):
    worker, second = by_hand(lab), by_hand(lab)
    got = []
    thread = threading.Thread(target=lambda: got.append(worker.take(wait=60)))
    thread.start()
    cluster = lab.create()
    thread.join(55)
    assert got and got[0][0] == 200, "the held take was not answered"
    create = got[0][1][0]
    assert create.name == "CREATE"
    # nothing else of this machine is ready while it runs
    assert second.take() == (204, [])
    thread = threading.Thread(target=lambda: got.append(second.take(wait=60)))
    thread.start()
    assert worker.finish(create) == 200
    thread.join(55)
    assert len(got) == 2 and got[1][0] == 200 and got[1][1][0].name == "CONFIRM"
    story = lab.story(cluster)
    confirm = story.tasks[got[1][1][0].id]
    assert confirm.began[0] > story.tasks[create.id].done


def test_held_take_ends_with_204_after_its_wait(lab):
    assert by_hand(lab).take(wait=1) == (204, [])


def test_take_several_at_once_from_each_cluster_in_turn(lab):
    worker = by_hand(lab)
    first = lab.create("first", "stack", 3)
    second = lab.create("second", "stack", 3)
    wait_for(lambda: lab.user.cluster(second)["nodes"] and lab.user.cluster(first)["nodes"])
    status, runs = worker.take(most=4)
    assert status == 200 and len(runs) == 4
    assert [run.task["clusterId"] for run in runs] == [first, second] * 2
    status, runs = worker.take(most=64)
    assert status == 200 and [run.task["clusterId"] for run in runs] == [first, second]


def test_task_document(lab):
    worker = by_hand(lab)
    lab.create("Demo_1", "stack", 2, config={"web": {"port": "81", "db": "%host.service.db%"}})
    create = take_one(worker)
    assert set(create.task) == {"taskId", "jobId", "clusterId", "nodeId", "taskName", "config", "attempt",
                                "leaseMs", "claim", "traceparent"}
    assert create.task["jobId"] == create.id.rpartition("-")[0] and create.attempt == 1
    assert create.task["leaseMs"] == 20000
    config = create.config
    assert "service" not in config and config["ipaddresses"] == {} and config["nodenum"] == 1000
    assert config["hardwaretype"] == "small" and config["imagetype"] == "deb"
    assert (config["flavor"], config["image"], config["sshuser"]) == ("m1.small", "img-7", "debian")
    assert config["provider"]["name"] == "lab" and config["provider"]["provisioner"]["url"] == "http://x"
    assert config["provider"]["providertype"] == "testtype"
    assert config["hostname"].startswith("demo-1") and config["hostname"].endswith("-1000.local")
    assert config["automators"] == ["testshell"]
    assert len(config["nodes"]) == 2 and config["nodes"][create.node]["hostname"] == config["hostname"]
    # macros stay as they are in machine-level tasks
    assert config["cluster"] == {"web": {"port": "81", "db": "%host.service.db%"}}


def test_results_reach_later_tasks_and_details_and_macros_are_expanded(lab):
    def script(run):
        if run.name == "CREATE":
            return {"result": {"providerid": f"i-{run.nodenum}", "ssh-auth": {"user": "debian"}},
                    "hostname": f"h{run.nodenum}.example"}
        if run.name == "BOOTSTRAP":
            return {"result": {"providerid": f"j-{run.nodenum}", "cluster": "not yours", "nodenum": 7}}
        return None

    worker = lab.worker(script)
    cluster = lab.create("demo", "stack", 2)
    story = lab.active(cluster)
    confirm = worker.of("CONFIRM")[0]
    assert confirm.config["providerid"] == f"i-{confirm.nodenum}"
    assert confirm.config["ssh-auth"] == {"user": "debian"}
    assert confirm.config["hostname"] == f"h{confirm.nodenum}.example"
    db = worker.of("INITIALIZE", "db")[0]
    web = worker.of("CONFIGURE", "web")[0]
    assert web.config["cluster"]["web"] == {"port": "80", "db": db.config["hostname"]}
    assert web.config["cluster"]["self"] == web.config["ipaddresses"]["bind_v4"]
    assert web.config["service"] == {"name": "web", "action": {"type": "testshell",
                                                             "fields": {"script": "web.sh"}}}
    # a plug-in's results replace earlier ones, but not what Loom itself says
    assert web.config["providerid"] == f"j-{web.nodenum}" and web.nodenum in (1000, 1001)
    details = lab.user.cluster(cluster)
    for node in details["nodes"]:
        number = node["properties"]["nodenum"]
        assert node["properties"]["hostname"] == f"h{number}.example"
        assert node["provisionerResults"]["providerid"] == f"j-{number}"
        assert story.nodes[node["id"]]["ipaddresses"] == node["properties"]["ipaddresses"]


@pytest.mark.parametrize("text, reason", [("%ip.nosuch.service.web%", "nosuch"), ("%host.service.web", "%")])
def test_unexpandable_macro_gives_up_the_task_with_the_reason(lab, text, reason):
    lab.worker()
    cluster = lab.create(config={"deep": [{"x": text}]})
    if text.count("%") == 1:
        lab.active(cluster)  # a lone percent sign is text
        return
    details = lab.user.wait_cluster(cluster, "incomplete")
    assert reason in details["message"] and "deep" in details["message"]
    story = lab.story(cluster).check_ended()
    failed = [task for task in story.tasks.values() if task.state == "failed"]
    assert len(failed) == 1 and failed[0].attempts == []


def test_who_may_take(lab):
    worker = lab.worker(start=False)
    assert worker.take()[0] == 403
    assert worker.register() == 200
    for key in ("provisionerId", "workerId", "tenantId"):
        assert worker.take(**{key: ""})[0] == 400
        assert worker.take(**{key: None})[0] == 400
        assert worker.take(**{key: "x" * 300})[0] == 400
    for more in ({"wait": -1}, {"wait": 61}, {"max": 0}, {"max": 65}):
        assert worker.take(**more)[0] == 400
    assert worker.call("POST", "/v2/tasks/take", [1])[0] == 400
    assert worker.call("POST", "/v2/tasks/take")[0] == 400


def test_queues_are_per_tenant_and_star_takes_from_all(lab, core, tenants):
    other = Lab(core, *next(tenants))
    stranger, everybody = by_hand(other), by_hand(lab, tenant="*")
    lab.create("demo", "stack", 2)
    mine = by_hand(lab)
    run = take_one(mine)
    assert stranger.take() == (204, [])
    # the queue of all tenants holds this one's second task, and maybe some of other tests
    seen = {run.id}
    for _ in range(20):
        status, runs = everybody.take(most=64)
        seen |= {run.id for run in runs}
        if status == 204 or len({name for name in seen if name[:8] == run.id[:8]}) == 2:
            break
    assert len({name for name in seen if name[:8] == run.id[:8]}) == 2


# ---- the original's protocol


def test_original_worker_makes_a_cluster(lab):
    worker = lab.worker(original=True)
    cluster = lab.create("demo", "stack", 2)
    lab.active(cluster)
    assert {run.answer for run in worker.runs} == {200}
    assert lab.user.delete_cluster(cluster)["status"] == "terminated"


def test_original_take_and_finish_on_the_wire(lab):
    worker = by_hand(lab, original=True)
    lab.create()
    wait_for(lambda: (lab.user.get("/v2/clusters").json[0])["numNodes"] == 1)
    answer = lab.stack.internal.post("/v2/tasks/take", worker.who)
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    task = answer.json
    assert task["taskName"] == "CREATE"
    answer = lab.stack.internal.post("/v2/tasks/take", worker.who)
    assert answer.status == 204 and answer.body == b""
    body = {**worker.who, "taskId": task["taskId"], "status": "0", "result": {"providerid": "x1"}}
    answer = lab.stack.internal.post("/v2/tasks/finish", json.dumps(body), headers={
        "Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 200 and answer.body == b"" and answer.headers["Content-Length"] == "0"
    assert "Content-Type" not in answer.headers
    # without an attempt, the worker is what is checked; a second finish finds nothing held
    assert lab.stack.internal.post("/v2/tasks/finish", body).status == 417


def test_original_failure_with_string_status_and_output(lab):
    failed = {"status": "1", "stdout": "y" * 3000, "stderr": "boom"}
    worker = lab.worker(outcomes(("INSTALL", failed)), original=True)
    cluster = lab.create()
    story = lab.active(cluster)
    install = story.of("INSTALL", "base")[0]
    assert install.attempts == [1, 2]
    actions = lab.user.cluster(cluster)["nodes"][0]["actions"]
    bad = [action for action in actions if action["status"] == "failed"]
    assert len(bad) == 1 and bad[0]["taskId"] == install.id and bad[0]["action"] == "INSTALL"
    assert bad[0]["stderr"] == "boom" and bad[0]["service"] == "base"
    assert bad[0]["stdout"].startswith("[snipped]") and bad[0]["stdout"].endswith("y" * 2048)
    assert bad[0]["statusTime"] >= bad[0]["submitTime"] > 0
    assert len(worker.of("INSTALL", "base")) == 2


def test_an_address_that_is_null_is_none(lab):
    """As the original takes it, which tells null from a text only where it is required."""
    lab.worker(lambda run: {"ipaddresses": {"access_v4": None, "bind_v4": "10.9.9.9"}} if run.name == "CONFIRM" else None,
               original=True)
    cluster = lab.create()
    lab.active(cluster)
    assert lab.user.cluster(cluster)["nodes"][0]["properties"]["ipaddresses"] == {"bind_v4": "10.9.9.9"}


# ---- failures


def test_failures_are_retried_with_growing_waits_then_the_job_fails(lab):
    worker = lab.worker(lambda run: {"status": 1, "message": "no space left"} if run.service == "base" else None)
    cluster = lab.create()
    details = lab.user.wait_cluster(cluster, "incomplete")
    story = lab.story(cluster).check_ended()
    install = story.of("INSTALL", "base")[0]
    assert install.attempts == [1, 2, 3] and install.state == "failed"
    assert "INSTALL" in details["message"] and "no space left" in details["message"]
    assert "1000" in details["message"]
    assert story.jobs[install.job]["status"] == "failed"
    assert all(task.state == "dropped" for task in story.tasks.values() if task.name in ("CONFIGURE", "START"))
    retries = [event.data for event in story.events if event.type == "task" and event.data["state"] == "retry"]
    assert len(retries) == 2 and all(data["message"] == "no space left" for data in retries)
    waits = [data["retryAt"] - data["time"] for data in retries]
    assert all(wait > 0 for wait in waits)
    runs = worker.of("INSTALL", "base")
    assert len(runs) == 3
    # each began only after its wait
    began = [event.data["time"] for event in story.events
             if event.type == "task" and event.data["taskId"] == install.id and event.data["state"] == "running"]
    assert all(start >= data["retryAt"] for start, data in zip(began[1:], retries))
    status = lab.user.get(f"/v2/clusters/{cluster}/status").json
    assert status["actionstatus"] == "failed" and status["status"] == "incomplete"


def test_an_incomplete_cluster_can_be_deleted(lab):
    lab.worker(lambda run: {"status": 1, "retry": False} if run.name == "BOOTSTRAP" else None)
    cluster = lab.create("demo", "stack", 2)
    lab.user.wait_cluster(cluster, "incomplete")
    lab.user.delete_cluster(cluster)
    lab.story(cluster).check_ended()


@pytest.mark.parametrize("result", [{"status": 1, "retry": False}, {"status": 7, "retry": False}])
def test_retry_false_gives_up_at_once(lab, result):
    worker = lab.worker(outcomes(("BOOTSTRAP", result)))
    cluster = lab.create()
    lab.user.wait_cluster(cluster, "incomplete")
    story = lab.story(cluster).check_ended()
    assert story.of("BOOTSTRAP")[0].attempts == [1]
    assert len(worker.of("BOOTSTRAP")) == 1


def test_job_fails_only_once_running_tasks_have_ended(lab):
    gate = Gate("CREATE", node=1001, then=lambda run: None if run.nodenum == 1001 else
                {"status": 1, "retry": False})
    worker = lab.worker(gate)
    cluster = lab.create("demo", "stack", 2)
    gate.wait()
    with lab.user.events(cluster) as stream:
        stream.wait_type("job", status="failed", timeout=60)
    assert lab.user.cluster_status(cluster) == "pending"
    gate.open()
    lab.user.wait_cluster(cluster, "incomplete")
    story = lab.story(cluster).check_ended()
    assert story.of("CREATE", node=1001)[0].state == "complete"
    assert story.of("CONFIRM", node=1001)[0].state == "dropped"
    assert len(worker.runs) == 2


def test_nothing_created_ends_terminated(lab):
    lab.worker(lambda run: {"status": 201, "message": "no quota", "retry": False})
    cluster = lab.create("demo", "stack", 2)
    details = lab.user.wait_cluster(cluster, "terminated")
    assert "no quota" in details["message"]
    lab.story(cluster).check_ended()
    assert lab.user.delete(f"/v2/clusters/{cluster}").status == 200


def test_nothing_created_on_one_machine_only_ends_incomplete(lab):
    gate = Gate("CREATE", node=1000, then=lambda run: {"status": 201, "retry": False} if
                run.nodenum == 1000 else None)
    worker = lab.worker(gate)
    cluster = lab.create("demo", "stack", 2)
    gate.wait()
    wait_for(lambda: any(run.answer for run in worker.runs if run.nodenum == 1001))
    gate.open()
    lab.user.wait_cluster(cluster, "incomplete")


def test_failed_confirm_rolls_back_and_the_cluster_becomes_active(lab):
    worker = lab.worker(outcomes(("CONFIRM", {"status": 1, "message": "no answer on port 22"})))
    cluster = lab.create()
    story = lab.active(cluster)
    done = sorted((task.done, task.name) for task in story.tasks.values() if not task.service)
    assert [name for _, name in done] == ["CREATE", "DELETE", "CREATE", "CONFIRM", "BOOTSTRAP"]
    assert story.of("CONFIRM")[0].attempts == [1, 2]
    assert [run.name for run in worker.runs[:6]] == ["CREATE", "CONFIRM", "DELETE", "CREATE", "CONFIRM",
                                                    "BOOTSTRAP"]
    # the deleted machine's results are gone from the second create's task
    assert "providerid" not in worker.runs[3].config and worker.runs[3].config["ipaddresses"] == {}
    assert worker.runs[2].config["providerid"] == "machine-1000"
    status = lab.user.get(f"/v2/clusters/{cluster}/status").json
    assert status["stepscompleted"] == status["stepstotal"] == len(story.tasks)


def test_confirm_that_never_succeeds_is_rolled_back_twice_then_fails(lab):
    lab.change("clustertemplates", "one", administration={"replacements": 0, "leaseduration": {"initial": 0}})
    worker = lab.worker(lambda run: {"status": 1} if run.name == "CONFIRM" else None)
    cluster = lab.create()
    lab.user.wait_cluster(cluster, "incomplete")
    lab.story(cluster).check_ended()
    assert [run.name for run in worker.runs] == ["CREATE", "CONFIRM", "DELETE", "CREATE", "CONFIRM", "DELETE",
                                                 "CREATE", "CONFIRM"]


def test_failed_delete_is_retried_then_incomplete_and_can_be_asked_again(lab):
    broken = threading.Event()
    broken.set()
    worker = lab.worker(lambda run: {"status": 1} if run.name == "DELETE" and broken.is_set() else None)
    cluster = lab.create()
    lab.active(cluster)
    assert lab.user.delete(f"/v2/clusters/{cluster}").status == 200
    lab.user.wait_cluster(cluster, "incomplete")
    assert len(worker.of("DELETE")) == 3
    broken.clear()
    lab.user.delete_cluster(cluster)
    lab.story(cluster).check_ended()


def test_results_of_a_failure_are_merged_but_not_its_addresses(lab):
    failed = {"status": 1, "result": {"trace": "t1"}, "ipaddresses": {"bind_v4": "1.2.3.4"}, "hostname": "wrong"}
    worker = lab.worker(outcomes(("BOOTSTRAP", failed)))
    cluster = lab.create()
    lab.active(cluster)
    second = worker.of("BOOTSTRAP")[1]
    assert second.config["trace"] == "t1" and second.config["hostname"] != "wrong"
    assert second.config["ipaddresses"]["bind_v4"] == "10.9.4.1"


def test_one_task_of_a_machine_at_a_time(lab):
    """Many services without edges between them still run one after the other on a machine."""
    names = [f"s{number}" for number in range(6)]
    for name in names:
        assert lab.admin.post("/v2/services", service(name, actions=("install", "start"))).status == 200
    assert lab.admin.post("/v2/clustertemplates", template("many", names)).status == 200
    busy = collections.Counter()
    lock = threading.Lock()
    overlaps = []

    def script(run):
        with lock:
            busy[run.node] += 1
            overlaps.append(busy[run.node])
        run.pause(0.01)
        with lock:
            busy[run.node] -= 1
        return success(run)

    lab.worker(script, slots=8)
    cluster = lab.create("demo", "many", 2)
    lab.active(cluster)
    assert set(overlaps) == {1}


# ---- registration


def test_registration(core):
    worker = Worker([core.internal.url])
    path = f"/v2/provisioners/{worker.name}"
    good = {"id": worker.name, "host": "h", "port": 1, "capacityTotal": 1}
    for wrong in ({"id": "other"}, {"id": None}, {"host": ""}, {"host": None}, {"host": "a/b"},
                  {"host": "u@a"}, {"host": "a:1/?"}, {"host": "-a"}, {"port": "x"},
                  {"port": 70000}, {"port": None}, {"capacityTotal": 0}, {"capacityTotal": "x"}, {"capacityTotal": None}):
        assert worker.call("PUT", path, {**good, **wrong})[0] == 400, wrong
    assert worker.call("PUT", path, [])[0] == 400
    assert worker.heartbeat()[0] == 404
    assert worker.call("PUT", path, good) == (200, b"")
    assert worker.call("PUT", path, {**good, "port": "18056", "capacityTotal": "10"}) == (200, b"")
    assert worker.heartbeat()[0] == 200
    for wrong in ({}, {"usage": 7}, {"usage": {}, "tasks": 7}, [], {"usage": {"a": 2**63 - 1, "b": 2**63 - 1}},
                  {"usage": {"a": -1}}, {"usage": {"a": "many"}}, {"usage": {"a": {}}}):
        assert worker.call("POST", path + "/heartbeat", wrong)[0] == 400, wrong
    odd = {"usage": {}, "tasks": [1, {}, {"taskId": "x", "attempt": 1}, {"taskId": 7}]}
    status, text = worker.call("POST", path + "/heartbeat", odd)
    assert status == 200 and [lease["ok"] for lease in json.loads(text)["leases"]] == [False] * 4
    assert worker.call("DELETE", path) == (200, b"")
    assert worker.call("DELETE", path) == (200, b"")
    assert worker.heartbeat()[0] == 404 and worker.take()[0] == 403


def test_why_says_for_whom_a_failed_task_is_kept(lab):
    """Others have the first right to it, for a while; the plugin's own words say what broke."""
    words = "quota of region eu is used up"
    worker = lab.worker(lambda run: {"status": 1, "message": words} if run.name == "CREATE" and run.attempt == 1 else None)
    other = lab.worker(start=False)
    other.register()
    assert other.take()[0] == 204  # it serves the tenant, and asks no more for now
    cluster = lab.create()

    def kept():
        tasks = lab.user.get(f"/v2/clusters/{cluster}/why").json.get("tasks", ())
        return [task["reason"] for task in tasks if task["cause"] == "avoided"]

    reason = wait_for(kept, 60, what="a task kept for others")[0]
    assert f"failed at provisioner {worker.name}, and is kept for others until" in reason and reason.endswith(words)
    other.start()
    lab.user.wait_cluster(cluster, "active")
    assert [run.worker.name for run in worker.of("CREATE") + other.of("CREATE")] == [worker.name, other.name]


def test_an_address_used_twice_is_told(lab):
    """Of machines that say they have one address, one is not reached; nothing is refused over it."""
    same = {"status": 0, "ipaddresses": {"access_v4": "10.9.9.9", "bind_v4": "10.9.9.9"}}
    worker = lab.worker(outcomes(("CONFIRM", same, same)))
    cluster = lab.create(size=2)
    lab.user.wait_cluster(cluster, "active")
    names = sorted(node["properties"]["hostname"] for node in lab.user.cluster(cluster)["nodes"])
    words = f"{names[0]} and {names[1]} have the same address, 10.9.9.9."
    assert lab.user.cluster(cluster)["message"] == words
    assert words in lab.user.get(f"/v2/clusters/{cluster}/why").text
    assert words in [event.data.get("message") for event in lab.story(cluster).events]
    assert len(worker.of("CONFIRM")) == 2
