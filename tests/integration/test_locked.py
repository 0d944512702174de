# SPDX-License-Identifier: Apache-2.0
"""A cluster that somebody has locked for long holds up what is to be ended of no other."""

import threading

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants

SETTINGS = ("scheduler.task_lease_ms=1s", "scheduler.poll_ms=100ms", "scheduler.retry_base_ms=20ms",
            "scheduler.db_deadline=1s", "scheduler.db_statement_timeout=2s", "scheduler.lease_retry_ms=100ms",
            "scheduler.lease_warning_ms=0")


@pytest.fixture(scope="module")
def lab():
    with Stack("locked", SETTINGS) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        made = Lab(stack, *next(make_tenants(stack))).load()
        yield made
        made.close()


def test_lost_tasks(lab):
    """Both were a worker's that is gone; the locked one's lease ended first."""
    held = threading.Event()
    gone = lab.worker(lambda run: run.wait(held), slots=2)
    clusters = [lab.create(name) for name in ("locked", "free")]
    runs = {cluster: wait_for(lambda of=cluster: next((run for run in gone.runs if run.id.startswith(of)), None), 60, "a task")
            for cluster in clusters}
    with lab.stack.locked(f"FROM cluster WHERE id={int(clusters[0])}"):
        gone.kill()
        lab.end_lease(runs[clusters[0]])
        lab.worker()
        assert lab.active(clusters[1]).tasks[runs[clusters[1]].id].attempts[-1] > 1
        assert lab.stack.sql("SELECT attempt FROM task WHERE cluster_id={} AND job_num={} AND num={}".format(
            *map(int, runs[clusters[0]].id.split("-")))) == [["1"]]
    lab.active(clusters[0])


def test_clusters_at_their_end(lab):
    lab.worker()
    clusters = [lab.create(name) for name in ("kept", "over")]
    for cluster in clusters:
        lab.active(cluster)
    lab.stack.stop("scheduler")
    for ago, cluster in zip((2000, 1000), clusters):
        lab.stack.sql(f"UPDATE cluster SET expire_time={lab.stack.now() - ago} WHERE id={int(cluster)}")
    with lab.stack.locked(f"FROM cluster WHERE id={int(clusters[0])}"):
        lab.stack.start("scheduler")
        lab.user.wait_cluster(clusters[1], "terminated")
        assert lab.user.cluster(clusters[0])["status"] == "active"
    lab.user.wait_cluster(clusters[0], "terminated")
