# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the scheduler and of the API in the middle of a create, at random moments."""

import collections
import itertools
import random
import threading
import time

import pytest

from support import wait_for
from support.worker import Gate

TASKS = 22  # of template stack on 3 machines

pytestmark = pytest.mark.usefixtures("soon_lost")


def settled(lab, worker, cluster):
    """The cluster became active; each task took effect once; nobody was given an attempt twice."""
    lab.user.wait_cluster(cluster, "active")
    worker.stop()  # once it has heard of all its results
    story = lab.story(cluster).check_ended()
    assert len(story.tasks) == TASKS
    handed = collections.Counter((run.id, run.attempt) for run in worker.runs)
    assert set(handed.values()) == {1}, handed.most_common(3)
    # the attempt whose result counts is the last one, and the worker was told so
    for task in story.tasks.values():
        mine = [run for run in worker.runs if run.id == task.id and run.attempt == task.attempts[-1]]
        assert len(mine) == 1 and mine[0].answer == 200, (task, mine)
    check_rows(lab.stack, cluster)
    return story


def check_rows(stack, cluster):
    """What the tables say agrees with what the events said."""
    number = int(cluster)
    assert stack.sql(f"SELECT COUNT(*) FROM task WHERE cluster_id={number} AND job_num=2 AND"
                     " (state<>'complete' OR unmet<>0 OR done_attempt<>attempt)") == [["0"]]
    counted = stack.sql("SELECT COUNT(*), MAX(e.seq), MAX(c.event_seq) FROM cluster c JOIN event e"
                        f" ON e.cluster_id=c.id WHERE c.id={number}")[0]
    assert len(set(counted)) == 1, counted
    assert stack.sql(f"SELECT status, phase, tasks_total, tasks_done FROM job WHERE cluster_id={number}"
                     " ORDER BY num")[-1] == ["complete", "end", str(TASKS), str(TASKS)]


def busy(run):
    """A task that takes a moment, so that kills meet tasks in all states."""
    run.pause(random.uniform(0, 0.15))


@pytest.mark.parametrize("part", ["scheduler", "api"])
def test_killed_again_and_again_in_mid_create(lab, core, part):
    """The moments are picked by how far the create has got."""
    worker = lab.worker(busy, slots=3)
    cluster = lab.create("demo", "stack", 3)
    for moment in sorted(random.sample(range(18), 3)):
        wait_for(lambda count=moment: sum(run.answer == 200 for run in worker.runs) >= count, 60,
                 f"{moment} finished tasks")
        time.sleep(random.uniform(0, 0.05))
        core.restart(part)
    settled(lab, worker, cluster)


@pytest.mark.parametrize("part", ["scheduler", "api"])
def test_killed_right_after_the_create_was_answered(lab, core, part):
    worker = lab.worker()
    cluster = lab.create("demo", "stack", 3)
    core.restart(part)
    settled(lab, worker, cluster)


def test_both_killed_at_once(lab, core):
    worker = lab.worker(busy)
    cluster = lab.create("demo", "stack", 3)
    wait_for(lambda: sum(run.answer == 200 for run in worker.runs) >= 6)
    core.kill("api", "scheduler")
    core.start("api", "scheduler")
    settled(lab, worker, cluster)


@pytest.mark.parametrize("part", ["scheduler", "api"])
def test_a_result_posted_while_it_is_away_is_not_lost(lab, core, part):
    gate = Gate("INSTALL", service="db")
    worker = lab.worker(gate)
    cluster = lab.create("demo", "stack", 3)
    run = gate.wait()
    core.kill(part)
    gate.open()  # the worker now tries to report, again and again
    wait_for(lambda: worker.runs and not run.answer)
    core.start(part)
    story = settled(lab, worker, cluster)
    assert run.answer in (200, 417)
    if run.answer == 200:
        assert story.tasks[run.id].attempts == [1]


def test_a_stopped_scheduler_hands_over_what_it_holds(lab, core):
    """SIGTERM: the held take is answered, running tasks go on, and nothing is handed out twice."""
    gate = Gate("INSTALL", service="db")
    worker = lab.worker(gate)
    cluster = lab.create("demo", "stack", 3)
    gate.wait()
    core.stop("scheduler")
    core.start("scheduler")
    gate.open()
    story = settled(lab, worker, cluster)
    assert all(task.attempts == [1] for task in story.tasks.values())


def test_a_delete_survives_kills_too(lab, core):
    worker = lab.worker(busy, slots=1)
    cluster = lab.create("demo", "stack", 3)
    lab.user.wait_cluster(cluster, "active")
    assert lab.user.delete(f"/v2/clusters/{cluster}").status == 200
    core.restart("scheduler")
    core.restart("api")
    lab.user.wait_cluster(cluster, "terminated")
    story = lab.story(cluster).check_ended()
    assert len([task for task in story.of("DELETE") if task.done]) == 3
    assert len(worker.of("DELETE")) >= 3


def test_creates_asked_while_the_api_dies_are_whole_or_not_there(lab, core):
    """A client that hears no answer may find its cluster or not, but never half of one."""
    lab.worker(slots=8)
    ids, unknown, stop, numbers = [], [], threading.Event(), itertools.count()

    def ask():
        while not stop.is_set():
            answer = lab.user.post("/v2/clusters", {"name": f"x{next(numbers)}", "clusterTemplate": "empty", "numMachines": 1})
            if answer.status == 200:
                ids.append(answer.json["id"])
            elif answer.status == 0:
                unknown.append(answer)
                time.sleep(0.05)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        wait_for(lambda before=len(ids): len(ids) > before + 3)
        core.restart("api")
    stop.set()
    for thread in threads:
        thread.join()
    there = [entry["id"] for entry in lab.user.get("/v2/clusters").json]
    assert set(ids) <= set(there) and len(there) <= len(ids) + len(unknown)
    for cluster in there:
        lab.user.wait_cluster(cluster, "active")
        lab.story(cluster).check_ended()


def test_leases_end_beside_a_cluster_whose_rows_are_damaged(lab, core):
    """Its lease ended first, and cannot be ended; the other one's is, all the same."""
    silent = lab.worker(start=False)
    assert silent.register() == 200
    held = []
    for name in ("damaged", "other"):
        cluster = lab.create(name)
        held.append((int(cluster), wait_for(lambda: silent.take()[1], 60)[0]))
    (damaged, _), (other, run) = held
    job = f"WHERE cluster_id={damaged} AND num=2"
    core.sql(f"UPDATE job SET status='nonsense' {job}")
    try:
        wait_for(lambda: core.sql(f"SELECT losses FROM task WHERE cluster_id={other} AND num={run.id[-3:]}"
                                  " AND job_num=2") != [["0"]], 60, "the other's worker to be lost")
        assert core.sql(f"SELECT SUM(losses) FROM task WHERE cluster_id={damaged}") == [["0"]]
        assert "leases of a cluster cannot be ended" in core.log("scheduler")
    finally:
        core.sql(f"UPDATE job SET status='running' {job}")
    lab.worker()
    for cluster, _ in held:
        lab.user.wait_cluster(f"{cluster:08}", "active")


def test_tasks_are_handed_out_beside_a_cluster_whose_row_is_damaged(lab, core):
    """Its tasks are ready first, and cannot be handed out; the other one's are, all the same."""
    damaged, other = (lab.create(name) for name in ("damaged", "other"))
    wait_for(lambda: core.sql("SELECT COUNT(DISTINCT cluster_id) FROM task WHERE state='ready' AND cluster_id IN"
                              f" ({int(damaged)}, {int(other)})") == [["2"]], 60, "tasks of both")
    core.sql(f"UPDATE cluster SET status='nonsense' WHERE id={int(damaged)}")
    try:
        worker = lab.worker()
        lab.user.wait_cluster(other, "active")
        assert not [run for run in worker.runs if run.id.startswith(damaged)]
        assert "a cluster's tasks cannot be handed out" in core.log("scheduler")
    finally:
        core.sql(f"UPDATE cluster SET status='pending' WHERE id={int(damaged)}")
    lab.user.wait_cluster(damaged, "active")
