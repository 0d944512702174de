# SPDX-License-Identifier: Apache-2.0
"""No message passes between API and scheduler: the database carries the requests, slowly, and work is done."""

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants

# The API looks where no scheduler is, so that it never hears of one, nor any of it.
SETTINGS = ("api.zk_root=/elsewhere", "scheduler.task_lease_ms=20s")


@pytest.fixture(scope="module")
def stack():
    """API and scheduler that do not know of each other."""
    with Stack("nobus", SETTINGS) as made:
        made.up("mariadb", "zookeeper", "api", "scheduler")
        yield made


@pytest.fixture(scope="module")
def tenants(stack):
    """Tenants of that stack."""
    return make_tenants(stack)


@pytest.fixture
def lab(stack, tenants):
    """A tenant with a catalog."""
    made = Lab(stack, *next(tenants)).load()
    yield made
    made.close()


def test_work_goes_on_by_way_of_the_database(stack, lab):
    lab.worker(slots=4)
    plan = lab.user.post("/v2/clusters/plan", {"name": "p", "clusterTemplate": "stack", "numMachines": 3})
    assert plan.status == 200, plan
    cluster = lab.create("slow", "one", 1)
    story = lab.active(cluster)
    # Nothing was lost on the way: each task was handed out once.
    assert all(task.attempts == [1] for task in story.tasks.values())
    assert stack.metric("api.external", "loom_api_mail_total") > 0
    assert stack.log("api").count("asking by way of the database") == 1
    lab.user.delete_cluster(cluster)
    lab.user.wait_cluster(cluster, "terminated")


def test_nothing_is_left_of_what_was_asked(stack, lab):
    take = stack.internal.post("/v2/tasks/take", {**lab.worker().who, "wait": 1})
    assert take.status == 204
    lab.close()
    wait_for(lambda: stack.sql("SELECT id FROM mail") == [], 60, what="an empty table")


def test_what_the_database_keeps_is_sealed(stack, lab):
    """Before a worker asks, `why` says that no scheduler can be heard."""
    hand = lab.worker(slots=1, start=False)
    hand.register()
    assert hand.take()[0] == 204  # by now it is the tenant's
    cluster = lab.create("sealed", "one", 1)

    def causes():
        return {task["cause"] for task in lab.user.get(f"/v2/clusters/{cluster}/why").json.get("tasks", ())}

    wait_for(causes, 60, what="a task that waits")
    ready = stack.client("api.external", user=None).get("/readyz")
    assert ready.status == 200 and ready.text.startswith("ready\nno scheduler can be heard: ")
    assert stack.metric("api.external", "loom_api_schedulers_heard") == 0
    assert "unheard" in causes() and "ready" not in causes()
    rows = []

    def seen():
        rows.extend(row[0] for row in stack.sql("SELECT CONCAT(body, IFNULL(answer, '')) FROM mail"))
        return len(rows) > 5

    hand.start()
    wait_for(seen, 60, what="mail")
    assert not any("provisionerId" in row or "taskId" in row for row in rows), rows
    lab.user.delete_cluster(cluster)
