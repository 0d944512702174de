# SPDX-License-Identifier: Apache-2.0
"""What ended long ago is let go of, whole, and nothing that anybody still needs."""

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants

DAY = 86400000
KINDS = ("events", "logs", "jobs", "clusters")


@pytest.fixture(scope="module")
def home():
    """A Loom that keeps everything for a day."""
    with Stack("retention", [f"scheduler.{kind}_keep=1d" for kind in KINDS]) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        lab = Lab(stack, *next(make_tenants(stack, "retention"))).load()
        yield lab
        lab.close()


def rows(home, cluster):
    """How many rows each table has of a cluster."""
    tables = home.stack.sql("SELECT DISTINCT TABLE_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA=DATABASE()"
                            " AND COLUMN_NAME='cluster_id' AND TABLE_NAME<>'request_key'")
    found = {table: int(home.stack.sql(f"SELECT COUNT(*) FROM {table} WHERE cluster_id={int(cluster)}")[0][0])
             for (table,) in tables}
    found["cluster"] = int(home.stack.sql(f"SELECT COUNT(*) FROM cluster WHERE id={int(cluster)}")[0][0])
    return {table: number for table, number in found.items() if number}


def age(home, cluster, jobs="1=1"):
    """All of it was two days ago."""
    home.stack.sql(f"UPDATE job SET end_time=end_time-{2 * DAY} WHERE cluster_id={int(cluster)} AND {jobs}")
    home.stack.sql("UPDATE event SET data=JSON_SET(data, '$.time', JSON_VALUE(data, '$.time')-"
                   f"{2 * DAY}) WHERE cluster_id={int(cluster)}")


def restart(home, cluster):
    """A job that makes no machine."""
    assert home.user.post(f"/v2/clusters/{cluster}/services/restart").status == 200
    home.user.wait_cluster(cluster, "active")


def write_logs(home, cluster, pieces):
    """More of a log than goes at once."""
    for pos in range(pieces):
        home.stack.sql("INSERT INTO task_log (cluster_id, job_num, task_num, attempt, pos, data) VALUES"
                       f" ({int(cluster)}, 2, 1, 9, {pos}, 'x')")


def jobs_of(home, cluster):
    answer = home.user.get(f"/v2/clusters/{cluster}/plans")
    assert answer.status == 200, answer
    return [job["action"] for job in answer.json]


def test_what_ended_long_ago_goes(home):
    home.worker()
    gone, living, young, leaky = (home.create(name) for name in ("gone", "living", "young", "leaky"))
    for cluster in (gone, living, young, leaky):
        home.active(cluster)
    for _ in range(2):
        restart(home, living)
    assert jobs_of(home, living) == [*["RESTART_SERVICES"] * 2, "CLUSTER_CREATE", "SOLVE_LAYOUT"]
    for cluster in (gone, leaky):
        assert home.user.delete(f"/v2/clusters/{cluster}").status == 200
        home.user.wait_cluster(cluster, "terminated")
    # As when the provider does not give a machine up: its name must not be lost.
    home.stack.sql(f"UPDATE task SET state='failed' WHERE cluster_id={int(leaky)} AND name='DELETE'")
    kept = rows(home, young)
    write_logs(home, gone, 130)
    write_logs(home, living, 130)
    last = home.user.cluster(living)["lastEvent"]
    home.stack.sql("INSERT INTO event (cluster_id, seq, type, data) SELECT cluster_id, seq+100000*s.seq2, type, data FROM"
                   f" event JOIN (SELECT seq AS seq2 FROM seq_1_to_40) s WHERE cluster_id={int(gone)}")
    for cluster in (gone, living, leaky):
        age(home, cluster)
    home.stack.kill("scheduler")
    home.stack.start("scheduler")

    wait_for(lambda: not rows(home, gone), 60, "the ended cluster to go")
    assert home.user.get(f"/v2/clusters/{gone}").status == 404
    assert gone not in {cluster["id"] for cluster in home.user.get("/v2/clusters?status=terminated").json}
    wait_for(lambda: not {"event", "task_log"} & set(rows(home, living)), 60, "events and logs to go")
    wait_for(lambda: jobs_of(home, living) == ["RESTART_SERVICES", "CLUSTER_CREATE"], 60, "old jobs to go")
    assert rows(home, young) == kept
    wait_for(lambda: home.stack.sql("SELECT 1 FROM counter WHERE name='history of clusters' AND value>="
                                    f"(SELECT MAX(end_time) FROM job WHERE cluster_id={int(leaky)})"), 60, "a look at it")
    assert home.user.cluster(leaky)["status"] == "terminated"

    # Who has seen all goes on; who has not learns that something is missing.
    answer = home.user.get(f"/v2/clusters/{living}/events?after={last - 1}")
    assert answer.status == 410 and "read the cluster anew" in answer.text, answer
    with home.user.events(living, after=last) as resumed, home.user.events(living) as anew:
        restart_job = home.user.post(f"/v2/clusters/{living}/services/restart")
        assert restart_job.status == 200
        for stream in (resumed, anew):
            assert stream.wait(lambda event: True).id == last + 1
    home.user.wait_cluster(living, "active")

    # What is left is a whole cluster.
    assert home.user.post(f"/v2/clusters/{living}/expand", {"count": 1}).status == 200
    home.user.wait_cluster(living, "active")
    assert len(home.user.cluster(living)["nodes"]) == 2
    assert home.user.delete(f"/v2/clusters/{living}").status == 200
    home.user.wait_cluster(living, "terminated")


def test_a_job_that_was_the_newest_goes_when_it_is_not_any_more(home):
    home.worker()
    cluster = home.create("turn")
    home.active(cluster)
    restart(home, cluster)
    age(home, cluster)
    home.stack.kill("scheduler")
    home.stack.start("scheduler")
    wait_for(lambda: "event" not in rows(home, cluster), 60, "the events to go")
    newest = max(int(number) for (number,) in home.stack.sql(
        f"SELECT num FROM job WHERE cluster_id={int(cluster)}"))
    for _ in range(2):
        restart(home, cluster)
    age(home, cluster, f"num={newest + 1}")
    home.stack.kill("scheduler")
    home.stack.start("scheduler")
    wait_for(lambda: int(home.stack.sql(
        f"SELECT COUNT(*) FROM job WHERE cluster_id={int(cluster)} AND num IN ({newest},{newest + 1})")[0][0]) == 0,
             60, "both to go")
    assert jobs_of(home, cluster) == ["RESTART_SERVICES", "CLUSTER_CREATE"]


def test_one_that_cannot_be_let_go_of_keeps_no_other(home):
    """Its end comes first; it goes once the defect is mended and a scheduler looks anew."""
    home.worker()
    damaged, other = (home.create(name) for name in ("damaged", "other"))
    for cluster in (damaged, other):
        home.active(cluster)
        assert home.user.delete(f"/v2/clusters/{cluster}").status == 200
        home.user.wait_cluster(cluster, "terminated")
    for cluster in (damaged, other):
        age(home, cluster)
    home.stack.sql("CREATE TRIGGER defect BEFORE DELETE ON node FOR EACH ROW SET @defect ="
                   f" IF(OLD.cluster_id={int(damaged)}, (SELECT 1 UNION SELECT 2), 0)")
    try:
        home.stack.restart("scheduler")
        wait_for(lambda: not rows(home, other), 60, "the other one to go")
        assert "node" in rows(home, damaged)
        assert "history of a job cannot be let go of" in home.stack.log("scheduler")
    finally:
        home.stack.sql("DROP TRIGGER defect")
    home.stack.restart("scheduler")
    wait_for(lambda: not rows(home, damaged), 60, "the mended one to go")
