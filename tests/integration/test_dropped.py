# SPDX-License-Identifier: Apache-2.0
"""A provisioner is dropped while it holds a task: what it held is over, and goes elsewhere or ends.

The holder speaks the original's protocol: it renews nothing, and its task would be its for half an hour.
"""

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants

SETTINGS = ("scheduler.provisioner_timeout_ms=8s", "scheduler.retry_base_ms=20ms", "scheduler.retry_cap_ms=50ms",
            "scheduler.task_tries=1", "scheduler.poll_ms=250ms", "scheduler.zk_session=2s")


@pytest.fixture(scope="module")
def dropping():
    """A Loom that soon drops who is silent."""
    with Stack("dropped", SETTINGS) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        stack.tenants = make_tenants(stack, "dropped")
        yield stack


@pytest.fixture
def home(dropping):
    """A tenant without workers."""
    made = Lab(dropping, *next(dropping.tenants)).load()
    yield made
    made.close()


def holder(home):
    """A provisioner of the original's kind that beats, and the CREATE that it holds, of a cluster."""
    dead = home.worker(start=False, original=True)
    assert dead.register() == 200
    dead._spawn(dead._beat_loop)
    cluster = home.create()
    found = wait_for(lambda: dead.take()[1], 60)
    assert found[0].name == "CREATE" and found[0].task["leaseMs"] == 1800000
    return dead, cluster, found[0]


def again(home, dead):
    """The same provisioner, started again."""
    return home.worker(name=dead.name, start=False, original=True)


def remove(home, dead):
    dead.kill()
    assert again(home, dead).call("DELETE", f"/v2/provisioners/{dead.name}")[0] == 200


def fall_silent(home, dead):
    dead.kill()
    wait_for(lambda: home.stack.api.get(f"/v2/provisioners/{dead.name}").status == 404, 60)


DROPS = pytest.mark.parametrize("drop", [remove, fall_silent])


@DROPS
def test_its_task_goes_elsewhere_and_its_result_is_late(home, drop):
    dead, cluster, run = holder(home)
    drop(home, dead)
    home.worker()
    story = home.active(cluster)
    assert story.of("CREATE")[0].attempts == [1, 2]
    said = home.stack.sql(f"SELECT message FROM task_failure WHERE cluster_id={int(cluster)}")
    assert len(said) == 1 and "its provisioner is gone" in said[0][0], said
    back = again(home, dead)
    assert back.finish(run) == 403  # it has to register first
    assert back.register() == 200
    assert back.finish(run) == 417 and back.finish(run, attempt=1) == 417
    assert home.user.cluster_status(cluster) == "active"


@DROPS
def test_a_deletion_does_not_wait_for_it(home, drop):
    dead, cluster, _ = holder(home)
    assert home.user.delete(f"/v2/clusters/{cluster}").status == 200
    why = home.user.get(f"/v2/clusters/{cluster}/why").json
    assert why["cause"] == "running" and dead.name in why["reason"]
    drop(home, dead)
    home.worker()
    home.user.wait_cluster(cluster, "terminated")


@DROPS
def test_an_abort_does_not_wait_for_it(home, drop):
    dead, cluster, _ = holder(home)
    assert home.user.post(f"/v2/clusters/{cluster}/abort").status == 200
    assert home.user.cluster_status(cluster) == "pending"
    drop(home, dead)
    home.worker()
    home.user.wait_cluster(cluster, "terminated")  # what an aborted create has made goes


def test_what_it_is_given_afterwards_is_over_too(home):
    """A take that was waiting when its provisioner was dropped."""
    dead, cluster, _ = holder(home)
    remove(home, dead)
    wait_for(lambda: home.user.get(f"/v2/clusters/{cluster}/why").json["cause"] != "running", 60)
    home.stack.sql("UPDATE task SET state='running', attempt=attempt+1, lease_ms=1800000,"
                   " lease_until=CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)+1800000,"
                   " submit_time=CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)+1"
                   f" WHERE cluster_id={int(cluster)} AND name='CREATE'")
    wait_for(lambda: home.user.get(f"/v2/clusters/{cluster}/why").json["cause"] != "running", 60)
    home.worker()
    home.user.wait_cluster(cluster, "active")


def test_what_it_takes_once_it_is_back_is_its(home):
    dead, cluster, _ = holder(home)
    remove(home, dead)
    back = again(home, dead)
    assert back.register() == 200
    back._spawn(back._beat_loop)
    found = wait_for(lambda: back.take()[1], 60)
    assert found[0].attempt == 2
    # ends something that was held by another who was dropped later: the sweep has passed by this one
    other, second, _ = holder(home)
    remove(home, other)
    wait_for(lambda: home.user.get(f"/v2/clusters/{second}/why").json["cause"] != "running", 60)
    assert home.user.get(f"/v2/clusters/{cluster}/why").json["cause"] == "running"
    assert back.finish(found[0], attempt=2, result={"providerid": "x"}) == 200


def test_a_scheduler_that_dies_before_it_leaves_it_to_the_next(home):
    """The drop is in the database when the API has answered, whoever runs."""
    held = [holder(home) for _ in range(3)]
    home.stack.pause("scheduler")
    try:
        for dead, _, _ in held:
            remove(home, dead)
    finally:
        home.stack.kill("scheduler")
    home.stack.start("scheduler")
    home.worker()
    for _, cluster, _ in held:
        home.active(cluster)


def test_who_falls_silent_is_dropped_whatever_else_cannot_be_let_go_of(home):
    silent = home.worker(start=False)
    assert silent.register() == 200
    home.stack.sql("ALTER TABLE signin RENAME TO signin_away")
    try:
        fall_silent(home, silent)
        wait_for(lambda: "what is over cannot be let go of" in home.stack.log("scheduler"), 60, "the defect to be told")
    finally:
        home.stack.sql("ALTER TABLE signin_away RENAME TO signin")
