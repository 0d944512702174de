# SPDX-License-Identifier: Apache-2.0
"""Results of tasks: once each, whoever sends what how often, and the tasks that they bring."""

import concurrent.futures
import json

import pytest

from support import wait_for
from support.worker import Gate, by_hand, success, take_one


def test_finish_is_refused_unless_it_is_the_running_attempt(lab):
    worker, other = by_hand(lab), by_hand(lab)
    cluster = lab.create()
    run = take_one(worker)
    assert worker.finish(run, attempt=2) == 417
    assert other.finish(run) == 417
    assert worker.finish(run, provisionerId="nobody") == 403
    assert worker.finish(run, taskId="99999999-001-001") == 417
    assert worker.finish(run, taskId=run.id[:-1] + "9") == 417
    for wrong in ("", None, "x", "1-2", 7, run.id + "x"):
        assert worker.finish(run, taskId=wrong) == 400, wrong
    before = lab.user.cluster(cluster)["lastEvent"]
    assert worker.finish(run) == 200
    after = lab.user.cluster(cluster)["lastEvent"]
    assert after > before
    # the same again is heard, but nothing happens
    assert worker.finish(run) == 200
    assert worker.finish(run, status=1) == 200
    assert lab.user.cluster(cluster)["lastEvent"] == after
    assert other.finish(run) == 417


def test_the_same_finish_many_times_at_once_has_one_effect(lab):
    worker = by_hand(lab)
    cluster = lab.create()
    for number in range(3):
        run = take_one(worker)
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _, run=run: worker.finish(run, result={"n": number}), range(16)))
        assert answers == [200] * 16
        story = lab.story(cluster)
        ended = [event for event in story.events if event.type == "task" and event.data["taskId"] == run.id and
                 event.data["state"] == "complete"]
        assert len(ended) == 1 and story.jobs[run.task["jobId"]]["stepscompleted"] == number + 1


def test_success_and_failure_reported_at_once(lab):
    """Of two results of one attempt the first counts."""
    worker = by_hand(lab)
    cluster = lab.create()
    run = take_one(worker)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: worker.finish(run, status=n % 2), range(16)))
    assert answers == [200] * 16
    states = [event.data["state"] for event in lab.story(cluster).events
              if event.type == "task" and event.data["taskId"] == run.id]
    assert states in (["ready", "running", "complete"], ["ready", "running", "retry"])


def test_a_result_brings_the_next_tasks(lab):
    """What it makes ready comes in its answer; nothing is asked for beside it."""
    worker = by_hand(lab)
    cluster = lab.create("demo", "one", 1)
    runs, names = [take_one(worker)], []
    while runs:
        names.append(runs[0].name)
        status, runs = worker.finish_for_more(runs[0], next=1, **success(runs[0]))
        assert status == 200 and len(runs) <= 1
    story = lab.active(cluster)
    assert sorted(names) == sorted(task.name for task in story.tasks.values())
    assert all(task.attempts == [1] for task in story.tasks.values())


def test_a_result_brings_what_was_ready_already(lab):
    worker = by_hand(lab)
    lab.create("demo", "loose", 6)
    first = take_one(worker)
    status, runs = worker.finish_for_more(first, next=3)
    assert status == 200 and len(runs) == 3 and len({run.id for run in runs}) == 3
    assert all(run.attempt == 1 and run.task["leaseMs"] == 20000 for run in runs)
    # without being asked for nothing comes, nor with a result that is refused
    assert worker.finish_for_more(runs[0]) == (200, [])
    assert worker.finish_for_more(runs[1], next=2, attempt=7) == (417, [])
    # the same again is heard, and asks again; it is not searched for each
    more = wait_for(lambda: worker.finish_for_more(first, next=1)[1], what="a task in the answer")
    assert len(more) == 1 and more[0].id not in {first.id, *(run.id for run in runs)}


def test_a_task_in_an_answer_that_was_lost_comes_back(lab):
    worker = by_hand(lab)
    cluster = lab.create("demo", "one", 1)
    first = take_one(worker)
    _, lost = worker.finish_for_more(first, next=1, **success(first))
    assert [run.attempt for run in lost] == [1]
    assert worker.finish_for_more(first, next=1, **success(first)) == (200, [])  # nothing else is ready
    lab.end_lease(lost[0])
    again = take_one(worker)
    assert (again.id, again.attempt) == (lost[0].id, 2)
    assert worker.finish(lost[0]) == 417
    assert worker.finish(again, **success(again)) == 200
    assert lab.story(cluster).tasks[again.id].attempts == [1, 2]


@pytest.mark.parametrize("asked", [-1, 65, "many", [1], {"max": 1}])
def test_a_result_asks_for_a_number_of_tasks(lab, asked):
    worker = by_hand(lab)
    lab.create()
    run = take_one(worker)
    assert worker.finish(run, next=asked) == 400
    assert worker.finish(run, next=0) == 200


def test_workers_whose_results_bring_more(lab):
    worker = lab.worker(slots=3, brings=True)
    clusters = [lab.create(f"c{number}", "stack", 2) for number in range(3)]
    for cluster in clusters:
        story = lab.active(cluster)
        assert all(task.attempts == [1] for task in story.tasks.values())
    assert {run.answer for run in worker.runs} == {200}


def test_finish_of_a_task_never_taken(lab):
    worker = by_hand(lab)
    lab.create("demo", "stack", 2)
    run = take_one(worker)
    assert worker.finish(run, taskId=run.id[:-1] + "2", attempt=1) == 417
    assert worker.finish(run, taskId=run.id[:-1] + "2", attempt=0) == 417


def test_late_result_of_a_lost_attempt_is_refused(lab):
    slow, fast = by_hand(lab), by_hand(lab)
    cluster = lab.create()
    old = take_one(slow)
    lab.end_lease(old)
    new = take_one(fast)
    assert (new.id, new.attempt) == (old.id, 2)
    assert slow.finish(old, result={"providerid": "wrong"}) == 417
    assert fast.finish(new, result={"providerid": "right"}) == 200
    assert slow.finish(old) == 417
    node = lab.user.cluster(cluster)["nodes"][0]
    assert node["provisionerResults"] == {"providerid": "right"}
    actions = node["actions"]
    assert [action["status"] for action in actions[:2]] == ["failed", "complete"]


def test_a_task_that_its_worker_gave_up_is_handed_out_at_once(lab):
    """A worker that knows that its lease is over says so: no failure, and nobody waits for the lease's end."""
    late, next_one = by_hand(lab), by_hand(lab)
    cluster = lab.create()
    old = take_one(late)
    assert late.finish(old, status=1, lost=True, attempt=7) == 417  # fenced as any result
    assert late.finish(old, status=1, lost=True) == 200
    new = take_one(next_one)
    assert (new.id, new.attempt) == (old.id, 2)
    assert late.finish(old, status=1, lost=True) == 417
    assert next_one.finish(new) == 200
    task = lab.story(cluster).tasks[old.id]
    assert (task.state, task.attempts) == ("complete", [1, 2])


def test_heartbeat_keeps_a_lease_and_tells_of_lost_ones(lab):
    keeper, other = by_hand(lab), by_hand(lab)
    cluster = lab.create()
    run = take_one(keeper)

    def ends():
        return int(lab.stack.sql(f"SELECT lease_until FROM task WHERE cluster_id={int(cluster)} AND state='running'")[0][0])

    first_end = ends()

    def kept_beyond():
        assert keeper.heartbeat([run]) == (200, {run.id: True})
        return ends() > first_end + 500

    wait_for(kept_beyond, interval=0.3)
    assert other.take() == (204, [])
    assert other.heartbeat([run]) == (200, {run.id: False})
    assert keeper.heartbeat() == (200, {})
    assert keeper.finish(run) == 200
    assert keeper.heartbeat([run]) == (200, {run.id: False})
    assert lab.story(cluster).tasks[run.id].attempts == [1]


def test_a_dead_workers_task_is_done_by_another(lab):
    gate = Gate("INSTALL")
    first = lab.worker(gate)
    cluster = lab.create("demo", "stack", 2)
    held = gate.wait()
    first.kill()
    for run in first.runs:
        if not run.answer:
            lab.end_lease(run)
    second = lab.worker()
    story = lab.active(cluster)
    assert story.tasks[held.id].attempts == [1, 2]
    again = [run for run in second.runs if run.id == held.id]
    assert [run.attempt for run in again] == [2]
    # what the dead one had finished stays finished
    done = {run.id for run in first.runs if run.answer == 200}
    assert done and not done & {run.id for run in second.runs}


def test_hostile_results_are_refused(lab):
    worker = by_hand(lab)
    cluster = lab.create()
    run = take_one(worker)
    before = lab.user.cluster(cluster)["lastEvent"]
    deep = json.loads("[" * 60 + "]" * 60)
    for wrong in ({"status": None}, {"status": "x"}, {"status": 1.5}, {"status": True}, {"status": 1 << 40},
                  {"status": []}, {"attempt": "x"}, {"attempt": {}}, {"result": []}, {"result": "x"},
                  {"result": 7}, {"ipaddresses": []}, {"ipaddresses": {"a": 1}}, {"ipaddresses": {"a": {}}},
                  {"hostname": "x" * 256}, {"hostname": {}}, {"hostname": "a\nb"}, {"hostname": "a\0b"},
                  {"ipaddresses": {"a": "x" * 100000}}, {"result": {"a": deep}}, {"message": {}},
                  {"stdout": []}, {"retry": "maybe"}):
        status = worker.finish(run, **wrong)
        assert status == 400, (wrong if len(str(wrong)) < 200 else str(wrong)[:200], status)
    assert worker.finish(run, result={"a": "x" * (1 << 20)}) == 413
    assert worker.call("POST", "/v2/tasks/finish", [])[0] == 400
    assert worker.call("POST", "/v2/tasks/finish")[0] == 400
    assert lab.user.cluster(cluster)["lastEvent"] == before
    assert worker.finish(run, result={"a": json.loads("[" * 20 + "]" * 20), "b": "\0\u20ac", "": 1}) == 200
    assert take_one(worker).config["b"] == "\0\u20ac"


def test_results_grow_only_so_far(lab):
    """They add up on a machine and go out with each of its tasks."""
    def script(run):
        return {"result": {f"k{run.id}": "x" * 600000}}

    with lab.worker(script) as worker:
        cluster = lab.create()
        details = lab.user.wait_cluster(cluster, "incomplete")
    assert "CONFIRM" in details["message"] and "1 MiB" in details["message"]
    assert [run.answer for run in worker.runs] == [200, 200]
    lab.story(cluster).check_ended()


def test_large_documents_are_not_handed_out_all_together(lab):
    """18 tasks of 250 kB each: more than one message between the services may hold."""
    config = {"big": "x" * 250000}
    with lab.worker(slots=64, lease=False) as worker:
        clusters = [lab.create(f"big{number}", "one", 6, config=config) for number in range(3)]
        for cluster in clusters:
            story = lab.active(cluster)
            assert all(task.attempts == [1] for task in story.tasks.values())
    assert all(run.config["cluster"] == config for run in worker.runs)


def test_a_batch_makes_only_so_much_of_large_documents(lab):
    """Of six tasks of 250 kB a take gets those up to 1 MiB and a small one of another cluster; the next the rest."""
    hand = lab.worker(start=False)
    hand.register()
    large = lab.create("large", "one", 6, config={"big": "x" * 250000})
    small = lab.create("small", "one", 1)
    wait_for(lambda: lab.user.cluster(large)["nodes"] and lab.user.cluster(small)["nodes"])
    first = [run.task["clusterId"] for run in hand.take(most=64)[1]]
    assert (first.count(large), first.count(small)) == (5, 1)
    assert [run.task["clusterId"] for run in hand.take(wait=60, most=64)[1]] == [large]
