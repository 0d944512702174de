# SPDX-License-Identifier: Apache-2.0
"""Everything that can be done to a cluster that exists: asked for as a plan, done, refused."""

import collections

import pytest

from support import wait_for
from support.lab import service, template
from support.worker import Gate

FULL = ("install", "configure", "start", "stop", "remove")

CATALOG = {
    "services": [
        service("app", uses=("store",), install=("base",), actions=FULL),
        service("store", install=("base",), actions=FULL),
        service("cron", install=("base",), actions=FULL),
        service("needy", requires=("store",), actions=FULL)],
    "clustertemplates": [
        template("farm", ["base", "app", "store"],
                 defaults={"config": {"app": {"port": "80"}, "store": {"size": "1"}}},
                 constraints={"layout": {"mustcoexist": [], "cantcoexist": [["app", "store"]]},
                              "services": {"store": {"quantities": {"min": 1, "max": 1}},
                                           "cron": {"quantities": {"min": 1, "max": 1}}},
                              "size": {"min": 2, "max": 6}})],
}


@pytest.fixture
def farm(lab):
    """An active cluster: one store, two apps."""
    lab.load(CATALOG)
    lab.worker()
    lab.farm = lab.create("farm", "farm", 3)
    lab.active(lab.farm)
    return lab


def plan(lab, operation, **more):
    return lab.user.post(f"/v2/clusters/{lab.farm}/plan", {"operation": operation, **more})


def path(lab, rest):
    return f"/v2/clusters/{lab.farm}/{rest}"


def last_job_tasks(lab):
    """(name, service, nodenum) of the newest job's tasks, sorted."""
    story = lab.active(lab.farm)
    newest = max(story.jobs)
    return sorted((task.name, task.service, task.nodenum) for task in story.tasks.values()
                  if task.id.startswith(newest))


def tasks_of(answer):
    return sorted((task["taskName"], task["service"], task["nodenum"]) for task in answer.json["tasks"])


def services_by_node(lab):
    return {node["properties"]["nodenum"]: node["properties"]["services"]
            for node in lab.user.cluster(lab.farm)["nodes"]}


def test_configure_shows_the_difference_and_restarts_what_depends_on_it(farm):
    config = {"app": {"port": "8080"}, "store": {"size": "1"}}
    shown = plan(farm, "configure", config=config)
    assert shown.status == 200, shown
    assert shown.json["config"] == [{"path": "/app/port", "from": "80", "to": "8080"}]
    assert {task[1] for task in tasks_of(shown)} <= {"", "app"}
    answer = farm.user.put(path(farm, "config"), {"config": config})
    assert answer.status == 200 and answer.body == b""
    assert farm.user.get(path(farm, "config")).json == config
    assert last_job_tasks(farm) == tasks_of(shown)
    assert ("CONFIGURE", "app", 1001) in tasks_of(shown) or ("CONFIGURE", "app", 1000) in tasks_of(shown)
    assert farm.user.cluster(farm.farm)["progress"]["action"] == "cluster_configure_with_restart"


def test_configure_without_restart(farm):
    config = {"app": {"port": "81"}, "store": {"size": "2"}}
    assert farm.user.put(path(farm, "config"), {"config": config, "restart": False}).status == 200
    names = {task[0] for task in last_job_tasks(farm)}
    assert "CONFIGURE" in names and not names & {"STOP", "START"}
    assert farm.user.cluster(farm.farm)["progress"]["action"] == "cluster_configure"


def test_a_token_applies_that_plan_or_nothing(farm):
    shown = plan(farm, "stop", services=["app"]).json
    assert farm.user.post(path(farm, "services/cron/stop")).status == 404
    assert farm.user.post(path(farm, "services/app/stop"), {"token": "1-00"}).status == 409
    assert farm.user.post(path(farm, "services/app/stop"), {"token": shown["token"]}).status == 200
    farm.active(farm.farm)
    stale = farm.user.post(path(farm, "services/app/stop"), {"token": shown["token"]})
    assert stale.status == 409 and "changed" in stale.text


def test_nothing_that_runs_is_started_again(farm):
    assert tasks_of(plan(farm, "start", services=["app"])) == []
    assert farm.user.post(path(farm, "services/app/stop")).status == 200
    stopped = [task for task in last_job_tasks(farm) if task[0] == "STOP"]
    assert {task[1] for task in stopped} == {"app"} and len(stopped) == 2
    assert farm.user.post(path(farm, "services/start")).status == 200
    assert [task[:2] for task in last_job_tasks(farm)] == [("START", "app")] * 2
    # and a start of what runs is done at once
    assert farm.user.post(path(farm, "services/start")).status == 200
    assert last_job_tasks(farm) == []


def test_restart_covers_what_depends_on_it(farm):
    assert farm.user.post(path(farm, "services/store/restart")).status == 200
    assert {task[:2] for task in last_job_tasks(farm)} == {
        ("STOP", "app"), ("STOP", "store"), ("START", "store"), ("START", "app")}


def test_add_and_remove_a_service(farm):
    shown = plan(farm, "add_services", services=["cron"])
    assert shown.status == 200, shown
    assert [node["servicesAdded"] for node in shown.json["nodes"]["changed"]] == [["cron"]]
    assert farm.user.post(path(farm, "services"), {"services": ["cron"]}).status == 200
    assert ("INSTALL", "cron") in {task[:2] for task in last_job_tasks(farm)}
    assert farm.user.get(path(farm, "services")).json == ["app", "base", "cron", "store"]
    assert sum("cron" in services for services in services_by_node(farm).values()) == 1
    again = farm.user.post(path(farm, "services"), {"services": ["cron"]})
    assert again.status == 400 and "cron" in again.text
    assert farm.user.delete(path(farm, "services/cron")).status == 200
    assert {task[:2] for task in last_job_tasks(farm)} == {("STOP", "cron"), ("REMOVE", "cron")}
    assert farm.user.get(path(farm, "services")).json == ["app", "base", "store"]
    assert not any("cron" in services for services in services_by_node(farm).values())


def test_a_service_that_another_needs_stays(farm):
    assert farm.user.post(path(farm, "services"), {"services": ["needy"]}).status == 200
    farm.active(farm.farm)
    refused = farm.user.delete(path(farm, "services/store"))
    assert refused.status == 400 and "needy" in refused.text


@pytest.mark.parametrize("services, word", [
    (["nosuch"], "nosuch"), ([], "services"), (["quiet", 5], "services")])
def test_adding_is_refused(farm, services, word):
    refused = farm.user.post(path(farm, "services"), {"services": services})
    assert refused.status == 400 and word in refused.text


def test_expand_and_shrink(farm):
    shown = plan(farm, "expand", count=2)
    assert shown.status == 200, shown
    assert [node["nodenum"] for node in shown.json["nodes"]["added"]] == [1003, 1004]
    assert all("store" not in node["services"] for node in shown.json["nodes"]["added"])
    assert farm.user.post(path(farm, "expand"), {"count": 2}).status == 200
    done = last_job_tasks(farm)
    assert done == tasks_of(shown) and ("CREATE", "", 1004) in done and ("CREATE", "", 1000) not in done
    assert farm.user.cluster(farm.farm)["status"] == "active"
    assert sorted(services_by_node(farm)) == [1000, 1001, 1002, 1003, 1004]
    too_many = farm.user.post(path(farm, "expand"), {"count": 2})
    assert too_many.status == 400 and "6" in too_many.text
    assert farm.user.post(path(farm, "shrink"), {"count": 3}).status == 200
    done = last_job_tasks(farm)
    assert [task[2] for task in done if task[0] == "DELETE"] == [1001, 1003, 1004]  # 1002 has the store
    assert len(services_by_node(farm)) == 2
    refused = farm.user.post(path(farm, "shrink"), {"count": 1})
    assert refused.status == 400 and refused.text
    # numbers are not used again
    assert farm.user.post(path(farm, "expand"), {"count": 1}).status == 200
    assert ("CREATE", "", 1005) in last_job_tasks(farm)


def test_a_node_is_replaced_by_one_like_it(farm):
    """The new one serves before the old one stops, and the others are told once."""
    before = services_by_node(farm)
    (store,) = [number for number, services in before.items() if "store" in services]
    shown = plan(farm, "replace", nodes=[store])
    assert shown.status == 200, shown
    assert [node["nodenum"] for node in shown.json["nodes"]["added"]] == [1003]
    assert [node["nodenum"] for node in shown.json["nodes"]["removed"]] == [store]
    assert farm.user.post(path(farm, f"nodes/{store}/replace"), {"token": shown.json["token"]}).status == 200
    done = last_job_tasks(farm)
    assert done == tasks_of(shown)
    stay = [number for number in before if number != store]
    assert [task for task in done if task[2] in stay] == sorted(
        (name, "app", number) for number in stay for name in ("CONFIGURE", "STOP", "START"))
    assert services_by_node(farm) == {**{number: before[number] for number in stay}, 1003: before[store]}
    runs = [(run.name, run.service, run.nodenum) for run in farm.workers[0].runs]
    order = [runs.index(task) for task in (("START", "store", 1003), ("STOP", "store", store), ("DELETE", "", store))]
    assert order == sorted(order)


@pytest.mark.parametrize("rest, word", [
    ("nodes/1009/replace", "no node 1009"), ("nodes/-1/replace", "no node -1"),
    ("nodes/first/replace", "'first' is not the number of a node"),
    ("nodes/4294968296/replace", "no node 4294968296")])  # 2 to the power of 32 beyond node 1000
def test_a_node_that_is_not_there_is_not_replaced(farm, rest, word):
    answer = farm.user.post(path(farm, rest))
    assert answer.status == 400 and word in answer.text, answer
    assert farm.user.cluster_status(farm.farm) == "active"


def test_a_replacement_is_paused_aborted_and_rolled_back(farm):
    before = services_by_node(farm)
    gate = Gate("INSTALL")
    farm.workers[0].script = gate
    assert farm.user.post(path(farm, "nodes/1000/replace")).status == 200
    gate.wait()
    assert farm.user.post(path(farm, "pause")).status == 200
    assert farm.user.cluster(farm.farm)["progress"]["actionstatus"] == "paused"
    assert farm.user.post(path(farm, "resume")).status == 200
    assert farm.user.post(path(farm, "abort")).status == 200
    gate.open()
    farm.workers[0].script = None
    wait_for(lambda: farm.user.cluster(farm.farm)["status"] == "inconsistent")
    shown = plan(farm, "rollback")
    assert [node["nodenum"] for node in shown.json["nodes"]["removed"]] == [1003], shown
    assert farm.user.post(path(farm, "rollback")).status == 200
    assert last_job_tasks(farm) == tasks_of(shown)
    assert services_by_node(farm) == before


def test_a_tenant_at_its_quota_may_replace_a_node(farm):
    farm.set_quota(nodes=3)
    assert farm.user.post(path(farm, "expand"), {"count": 1}).status == 409
    assert farm.user.post(path(farm, "nodes/1000/replace")).status == 200
    farm.active(farm.farm)
    assert len(services_by_node(farm)) == 3


def test_an_operation_that_fails_leaves_the_cluster_inconsistent_and_can_be_done_again(farm):
    farm.workers[0].script = lambda run: {"status": 1, "retry": False, "stderr": "no"} if run.name == "STOP" else {}
    assert farm.user.post(path(farm, "services/app/restart")).status == 200
    wait_for(lambda: farm.user.cluster(farm.farm)["status"] == "inconsistent")
    assert "STOP" in farm.user.get(path(farm, "why")).json["reason"]
    farm.workers[0].script = None
    assert farm.user.post(path(farm, "services/app/restart")).status == 200
    farm.active(farm.farm)


def test_pending_refuses_and_abort_leaves_it_operable(farm):
    gate = Gate("STOP")
    farm.workers[0].script = gate
    assert farm.user.post(path(farm, "services/restart")).status == 200
    gate.wait()
    assert farm.user.post(path(farm, "services/restart")).status == 409
    answer = farm.user.post(path(farm, "expand"), {"count": 1})
    assert answer.status == 409 and "it is pending, and expand wants it active." in answer.text, answer
    answer = farm.user.post(path(farm, "retry"))
    assert answer.status == 409 and "retry wants it incomplete or inconsistent." in answer.text, answer
    assert farm.user.post(path(farm, "abort")).status == 200
    gate.open()
    farm.workers[0].script = None
    wait_for(lambda: farm.user.cluster(farm.farm)["status"] == "inconsistent")
    assert farm.user.post(path(farm, "services/start")).status == 200
    farm.active(farm.farm)


@pytest.mark.parametrize("fails", [False, True])
def test_the_last_task_ends_a_paused_job(farm, fails):
    """Nothing is left that could be held back."""
    assert farm.user.post(path(farm, "services/store/stop")).status == 200
    farm.active(farm.farm)
    gate = Gate("START", service="store", then=lambda run: {"status": 1, "retry": False} if fails else {})
    farm.workers[0].script = gate
    before = len(farm.workers[0].of("START", "app"))
    assert farm.user.post(path(farm, "services/store/start")).status == 200
    gate.wait()
    assert farm.user.post(path(farm, "pause")).status == 200
    assert farm.user.cluster(farm.farm)["progress"]["actionstatus"] == "paused"
    gate.open()
    wait_for(lambda: farm.user.cluster_status(farm.farm) == ("inconsistent" if fails else "active"))
    assert len(farm.workers[0].of("START", "app")) == before
    farm.story(farm.farm).check_ended()


def test_a_node_that_a_configuration_names_must_be_there(farm):
    """Each task that got it would fail, after others have made and destroyed machines."""
    def config(count):
        return {"app": {"first": f"%host.service.app[{count}]%"}}

    new = {"name": "few", "clusterTemplate": "farm", "numMachines": 3, "config": config(2)}
    for ask in (lambda: plan(farm, "configure", config=config(2)),
                lambda: farm.user.post("/v2/clusters/plan", new)):
        answer = ask()
        assert answer.status == 400 and "app.first: There are fewer than 3 nodes with app" in answer.text, answer
    made = farm.create("few", "farm", 3, config=config(2))
    gone = farm.user.wait_cluster(made, "terminated")
    assert "There are fewer than 3 nodes with app" in gone["message"], gone
    assert "CREATE" not in {task.name for task in farm.story(made).tasks.values()}
    # what fits now may not fit later
    assert farm.user.put(path(farm, "config"), {"config": config(1)}).status == 200
    farm.active(farm.farm)
    shrunk = plan(farm, "shrink", count=1)
    assert shrunk.status == 400 and "fewer than 2 nodes with app" in shrunk.text, shrunk
    assert plan(farm, "expand", count=1).status == 200


def test_sync_takes_the_newest_template_if_it_fits(farm):
    newer = template("farm", ["base", "app", "store"], description="newer",
                     constraints={"layout": {"mustcoexist": [], "cantcoexist": []},
                                  "services": {"store": {"quantities": {"min": 1, "max": 1}}},
                                  "size": {"min": 1, "max": 10}})
    assert farm.admin.put("/v2/clustertemplates/farm", newer).status == 200
    shown = plan(farm, "sync")
    assert shown.status == 200 and any(d["path"].startswith("/constraints") for d in shown.json["template"])
    assert farm.user.post(path(farm, "clustertemplate/sync")).status == 200
    assert farm.user.cluster(farm.farm)["clusterTemplate"]["version"] == 2
    newer["constraints"]["size"] = {"min": 5, "max": 10}
    assert farm.admin.put("/v2/clustertemplates/farm", newer).status == 200
    refused = farm.user.post(path(farm, "clustertemplate/sync"))
    assert refused.status == 400 and "5" in refused.text
    assert farm.user.cluster(farm.farm)["clusterTemplate"]["version"] == 2


ANYTHING = {"config": {}, "services": ["cron"], "count": 1, "nodes": [1000]}


def test_the_table_of_operations_is_served_and_holds(farm):
    table = farm.user.get("/v2/operations").json
    askable = {kind["name"]: kind for kind in table if "path" in kind}
    assert {"configure", "expand", "shrink", "retry"} <= set(askable)
    assert all(kind["title"] and kind["doing"] and kind["done"] for kind in table)
    assert [kind["name"] for kind in table if not kind["actions"]] == ["retry", "rollback"]  # the failed job's
    possible = farm.user.cluster(farm.farm)["operations"]
    assert possible == [name for name, kind in askable.items() if "active" in kind["from"]]
    for name, kind in askable.items():
        fields = {field: ANYTHING[field] for field in kind["needs"][:1]}
        if name in possible and kind["needs"]:
            missing = plan(farm, name)
            assert missing.status == 400 and " or ".join(kind["needs"]).split()[0] in missing.text, missing
        if name not in possible:
            assert plan(farm, name, **fields).status == 409, name
    unknown = plan(farm, "explode")
    assert unknown.status == 400 and all(name in unknown.text for name in askable), unknown


@pytest.mark.parametrize("field, value", [
    ("count", 0), ("count", "two"), ("count", [1]), ("nodes", [1000, "x"]), ("nodes", {"a": 1}), ("count", 2 ** 70)])
def test_a_field_of_another_kind_is_refused_by_name(farm, field, value):
    answer = plan(farm, "shrink", **{field: value})
    assert answer.status == 400 and field in answer.text, answer


@pytest.mark.parametrize("operation, field, values, most", [
    ("shrink", "nodes", list(range(2000, 13000)), 10000), ("start", "services", ["app"] * 1001, 1000),
    ("expand", "grow", ["app"] * 1001, 1000), ("retry", "skip", ["x"] * 10001, 10000)])
def test_more_than_a_scheduler_looks_for_at_once_is_refused(farm, operation, field, values, most):
    answer = plan(farm, operation, **{field: values}, **({"count": 1} if operation == "expand" else {}))
    assert answer.status == 400 and f"{field} must have at most {most} elements" in answer.text, answer


@pytest.mark.parametrize("method, rest, body, word", [
    ("put", "config", {"config": {}, "restrat": False}, "restrat is not a field; did you mean restart?"),
    ("post", "expand", {"count": 1, "gorw": ["app"]}, "gorw is not a field; did you mean grow?")])
def test_a_misspelt_field_is_refused_and_not_passed_over(farm, method, rest, body, word):
    answer = getattr(farm.user, method)(path(farm, rest), body)
    assert answer.status == 400 and word in answer.text, answer
    assert farm.user.cluster_status(farm.farm) == "active"


def test_others_do_not_see_it(farm):
    other = farm.user.as_user("eve", farm.name)
    for method, rest, body in (("put", "config", {"config": {}}), ("post", "services/start", None),
                               ("post", "expand", {"count": 1}), ("post", "plan", {"operation": "start"}),
                               ("post", "abort", None), ("get", "why", None)):
        call = getattr(other, method)
        answer = call(path(farm, rest), body) if body is not None else call(path(farm, rest))
        assert answer.status == 404, (method, rest, answer)


def fail(name, service, failures):
    """A script whose tasks of that kind give up while failures is not empty."""
    def script(run):
        if failures and run.name == name and run.service == service:
            return {"status": 1, "retry": False, "stderr": "not now"}
        return {}
    return script


def test_a_failed_create_is_retried_from_where_it_failed(lab):
    lab.load(CATALOG)
    failures = [True]
    lab.worker(fail("CONFIGURE", "store", failures))
    lab.farm = lab.create("farm", "farm", 3)
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "incomplete")
    shown = plan(lab, "retry")
    assert shown.status == 200, shown
    names = tasks_of(shown)
    assert ("CONFIGURE", "store", 1002) in names and ("CREATE", "", 1000) not in names
    failures.clear()
    assert lab.user.post(path(lab, "retry"), {"token": shown.json["token"]}).status == 200
    assert last_job_tasks(lab) == names
    created = [run for run in lab.workers[0].runs if run.name == "CREATE"]
    assert len(created) == 3
    assert lab.user.post(path(lab, "retry")).status == 409


def test_a_failed_task_is_skipped(farm):
    farm.workers[0].script = fail("STOP", "app", [True])
    assert farm.user.post(path(farm, "services/store/restart")).status == 200
    wait_for(lambda: farm.user.cluster(farm.farm)["status"] == "inconsistent")
    left = [task for task in farm.story(farm.farm).tasks.values()
            if task.name == "STOP" and task.service == "app" and task.id.startswith(max(farm.story(farm.farm).jobs))]
    wrong = farm.user.post(path(farm, "retry"), {"skip": ["00000001-001-999"]})
    assert wrong.status == 400 and "999" in wrong.text
    assert farm.user.post(path(farm, "retry"), {"skip": [task.id for task in left]}).status == 200
    assert ("STOP", "store", 1002) in last_job_tasks(farm)
    assert not [task for task in last_job_tasks(farm) if task[:2] == ("STOP", "app")]


def left_of(lab):
    """Ids of what is left of the last job, by (name, service, number of the machine)."""
    story = lab.story(lab.farm)
    last = max(story.jobs)
    plans = [event.data for event in story.events if event.type == "plan" and event.data["jobId"] == last]
    later = {(task["taskName"], task["service"], task["nodenum"]): task["taskId"] for task in plans[0].get("later", ())}
    return later | {(task.name, task.service, task.nodenum): task.id for task in story.tasks.values()
                    if task.job == last and task.state != "complete"}


def test_some_tasks_are_retried_and_the_others_left(lab):
    lab.load(CATALOG)
    failures = [True]
    lab.worker(fail("CONFIGURE", "store", failures))
    lab.farm = lab.create("farm", "farm", 3)
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "incomplete")
    first = left_of(lab)
    for wrong in ([], "x", {"a": "b"}, ["00000001-001-999"], [first["START", "store", 1002], 7]):
        assert lab.user.post(path(lab, "retry"), {"tasks": wrong}).status == 400
    chosen = {"tasks": [first["START", "store", 1002]]}
    shown = plan(lab, "retry", **chosen)
    # what it waits for is done with it
    assert tasks_of(shown) == [("CONFIGURE", "store", 1002), ("START", "store", 1002)]
    assert shown.json["later"] == len(first) - len(tasks_of(shown)) > 0
    # it may fail again: all is still left
    assert lab.user.post(path(lab, "retry"), chosen).status == 200
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "incomplete")
    assert set(left_of(lab)) == set(first)
    failures.clear()
    chosen = {"tasks": [left_of(lab)["START", "store", 1002]]}
    shown = plan(lab, "retry", **chosen)
    assert lab.user.post(path(lab, "retry"), {"token": shown.json["token"], **chosen}).status == 200
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "incomplete")
    message = lab.user.cluster(lab.farm)["message"]
    assert message == f"What was asked for is done; {shown.json['later']} tasks are left for another retry."
    assert not [run for run in lab.workers[0].runs if (run.name, run.service) == ("START", "app")]
    assert set(left_of(lab)) == set(first) - set(tasks_of(shown))
    assert lab.user.post(path(lab, "retry")).status == 200
    lab.user.wait_cluster(lab.farm)
    done = collections.Counter((run.name, run.service, run.nodenum) for run in lab.workers[0].runs
                               if (run.name, run.service) != ("CONFIGURE", "store"))
    assert set(done.values()) == {1}


def test_what_was_left_for_later_is_rolled_back_with_the_rest(lab):
    lab.load(CATALOG)
    failures = [True]
    lab.worker(fail("CONFIGURE", "store", failures))
    lab.farm = lab.create("farm", "farm", 3)
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "incomplete")
    failures.clear()
    assert lab.user.post(path(lab, "retry"), {"tasks": [left_of(lab)["CONFIGURE", "store", 1002]]}).status == 200
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "incomplete")
    assert lab.user.post(path(lab, "rollback")).status == 200
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "terminated")


def test_services_and_templates_say_how_often_a_step_is_tried(lab):
    stubborn = service("stubborn", actions=("install", "start"))
    stubborn["provisioner"]["actions"]["install"]["retry"] = {"tries": 5, "base": "10ms", "cap": "20ms"}
    lab.load({"services": [stubborn], "clustertemplates": [
        template("stubborn", ["stubborn"], administration={
            "leaseduration": {"initial": 0}, "replacements": 0, "retries": {"create": {"tries": 1}}})]})
    failures = [4]

    def script(run):
        if run.name == "INSTALL" and failures[0]:
            failures[0] -= 1
            return {"status": 1}
        return {"status": 1} if run.name == "CREATE" and failures[0] < 0 else {}

    lab.worker(script)
    lab.active(lab.create("a", "stubborn", 1))
    failures[0] = -1
    second = lab.create("b", "stubborn", 1)
    wait_for(lambda: lab.user.cluster(second)["status"] == "incomplete")
    assert len([run for run in lab.workers[0].runs if run.name == "CREATE" and run.id.startswith(second)]) == 1
    wrong = lab.admin.post("/v2/services", {**stubborn, "name": "wrong", "provisioner": {"actions": {
        "install": {"type": "testshell", "retry": {"tries": 0}}}}})
    assert wrong.status == 400 and "provisioner.actions.install.retry.tries" in wrong.text


def test_machines_that_stay_do_not_count_on_those_that_leave(lab):
    seen = []

    def script(run):
        if run.name == "CONFIGURE" and run.service == "door":
            seen.append((sorted(node["nodenum"] for node in run.config["nodes"].values()), run.config["cluster"]))
        return {}

    lab.load({"services": [service("back", install=("base",), actions=FULL),
                           service("door", uses=("back",), install=("base",), actions=FULL)]})
    lab.load({"clustertemplates": [template(
        "pair", ["base", "door", "back"], defaults={"config": {"door": {"all": "%num.service.back%"}}},
        constraints={"layout": {"mustcoexist": [], "cantcoexist": [["door", "back"]]},
                     "services": {"door": {"quantities": {"min": 1, "max": 1}},
                                  "back": {"quantities": {"min": 1}}}})]})
    lab.worker(script)
    lab.farm = lab.create("pair", "pair", 4)
    lab.active(lab.farm)
    seen.clear()
    assert lab.user.post(path(lab, "shrink"), {"count": 1}).status == 200
    lab.active(lab.farm)
    assert [len(nodes) for nodes, _ in seen] == [3]
    assert seen[0][1] == {"door": {"all": "2"}}


def test_operations_of_wide_clusters_wait_for_groups(lab):
    """Where many wait for many, one edge each instead of one for each pair; what it means is the same."""
    lab.load({"services": [service("hub", actions=FULL), service("spoke", requires=("hub",), actions=FULL)],
              "clustertemplates": [template(
                  "wheel", ["hub", "spoke"],
                  constraints={"layout": {"mustcoexist": [], "cantcoexist": [["hub", "spoke"]]},
                               "services": {"hub": {"quantities": {"min": 6, "max": 6}}}})]})
    failures = []
    lab.worker(lambda run: fail("START", "hub", failures)(run), slots=8)
    lab.farm = lab.create("wheel", "wheel", 12)
    lab.active(lab.farm)

    def pairs(job):
        """How many edges of groups and between tasks the database has, and how many pairs they stand for."""
        rows = lab.stack.sql(f"SELECT SUM(from_num<0 OR to_num<0), SUM(from_num>0 AND to_num>0) FROM task_edge"
                             f" WHERE cluster_id={int(lab.farm)} AND job_num={job}")
        tasks = [task for task in lab.story(lab.farm).tasks.values() if task.id.startswith(f"{lab.farm}-{job:03d}-")]
        return int(rows[0][0]), int(rows[0][1]), sum(len(task.after) for task in tasks)

    shown = plan(lab, "restart", services=["hub"])
    assert shown.status == 200, shown
    assert sum(len(task["after"]) for task in shown.json["tasks"]) >= 2 * 36
    failures.append(True)
    assert lab.user.post(path(lab, "services/hub/restart")).status == 200
    wait_for(lambda: lab.user.cluster(lab.farm)["status"] == "inconsistent")
    grouped, plain, meant = pairs(3)
    assert grouped and grouped + plain < 60 and meant >= 2 * 36, (grouped, plain, meant)
    failures.clear()
    assert lab.user.post(path(lab, "retry")).status == 200
    # A hub's start may fail before all others are stopped.
    assert {task[:2] for task in last_job_tasks(lab)} - {("STOP", "hub")} == {("START", "hub"), ("START", "spoke")}
    assert lab.user.post(path(lab, "services/hub/restart")).status == 200
    assert len(last_job_tasks(lab)) == 24
