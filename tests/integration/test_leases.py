# SPDX-License-Identifier: Apache-2.0
"""Leases: what may be asked for, what happens at the end, and who wins when both come at once."""

import threading
import time

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants, template
from support.worker import Gate

HOUR = 3600000

SETTINGS = ("scheduler.task_lease_ms=2s", "scheduler.retry_base_ms=20ms", "scheduler.retry_cap_ms=50ms",
            "scheduler.lease_warning_ms=10s", "scheduler.lease_retry_ms=700ms", "scheduler.task_tries=1")


@pytest.fixture(scope="module")
def leasing():
    """A Loom that warns ten seconds before the end."""
    with Stack("leases", SETTINGS) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        stack.tenants = make_tenants(stack, "lease")
        yield stack


@pytest.fixture
def home(leasing):
    """A tenant whose template asks for no lease, with a worker."""
    made = Lab(leasing, *next(leasing.tenants)).load()
    yield made
    made.close()


def limits(home, initial, longest, step):
    """A template with these limits, as two services on one machine."""
    document = template("leased", ["web", "base"], administration={
        "leaseduration": {"initial": initial, "max": longest, "step": step}})
    assert home.admin.put("/v2/clustertemplates/leased", document).status == 200


def active(home, name="one", **more):
    """An active cluster: (id, details)."""
    cluster = home.create("demo", name, **more)
    return cluster, home.user.wait_cluster(cluster)


def move(home, cluster, to):
    """Ask for another end, which may be in the past."""
    return home.user.post(f"/v2/clusters/{cluster}", {"expireTime": to})


def all_end(home, ends):
    """Each cluster's end from one moment on, however long it takes to ask for many."""
    cases = " ".join(f"WHEN {int(cluster)} THEN {end}" for cluster, end in ends.items())
    home.stack.sql(f"UPDATE cluster SET expire_time=CASE id {cases} END WHERE id IN ({','.join(map(str, map(int, ends)))})")


def lasting(home, milliseconds, **more):
    """An active cluster that ends so long from now on: (id, its end)."""
    cluster, _ = active(home, **more)
    end = home.stack.now() + milliseconds
    answer = move(home, cluster, end)
    assert answer.status == 200, answer
    return cluster, end


def events(home, cluster):
    """The lease events so far, without their times."""
    return [{key: value for key, value in data.items() if key != "time"}
            for data in home.story(cluster).leases]


# ---- what may be asked for


def test_within_the_template_limits(home):
    home.worker()
    limits(home, HOUR, 3 * HOUR, HOUR)
    cluster, details = active(home, "leased")
    born, end = details["createTime"], details["expireTime"]
    assert end == born + HOUR
    for to in (end + HOUR, born + 5 * 60000, born + HOUR, born + 2 * HOUR, born + 3 * HOUR):
        answer = move(home, cluster, to)
        assert answer.status == 200, (to - born, answer)
        assert home.user.cluster(cluster)["expireTime"] == to
    assert [event["expireTime"] - born for event in events(home, cluster)] == [
        2 * HOUR, 5 * 60000, HOUR, 2 * HOUR, 3 * HOUR]


@pytest.mark.parametrize("to, said", [
    (lambda born, end: end + HOUR + 1, "at most 3600000 ms more at a time, not 3600001"),
    (lambda born, end: born - 1, "is before the cluster's creation"),
    (lambda born, end: 0, "is before the cluster's creation"),
    (lambda born, end: -1, "is before the cluster's creation"),
    (lambda born, end: "soon", "expireTime must be a whole number: milliseconds"),
    (lambda born, end: None, "expireTime is missing: it must be a whole number"),
    (lambda born, end: 1.5, "expireTime must be a whole number: milliseconds"),
])
def test_outside_of_the_limits(home, to, said):
    home.worker()
    limits(home, HOUR, 2 * HOUR, HOUR)
    cluster, details = active(home, "leased")
    answer = move(home, cluster, to(details["createTime"], details["expireTime"]))
    assert answer.status == 400 and said in answer.text, answer
    assert move(home, cluster, details["expireTime"] + HOUR).status == 200
    answer = move(home, cluster, details["expireTime"] + HOUR + 1)
    assert answer.status == 400 and "at most 7200000 ms from the creation on" in answer.text
    assert events(home, cluster) == [{"expireTime": details["expireTime"] + HOUR}]


def test_without_a_maximum_any_time_will_do(home):
    home.worker()
    cluster, details = active(home)
    assert details["expireTime"] == 0
    assert move(home, cluster, details["createTime"] + 1000 * HOUR).status == 200
    assert move(home, cluster, details["createTime"] + 2000 * HOUR).status == 200
    # asked again, it is the same: no second event
    assert move(home, cluster, details["createTime"] + 2000 * HOUR).status == 200
    assert len(events(home, cluster)) == 2


def test_only_of_a_cluster_at_rest_that_is_visible(home):
    gate = Gate("CONFIRM")
    home.worker(gate)
    cluster = home.create("demo", "one")
    gate.wait()
    answer = move(home, cluster, home.stack.now() + HOUR)
    assert answer.status == 400 and "pending cluster cannot" in answer.text
    gate.opened.set()
    home.user.wait_cluster(cluster)
    assert home.stack.person("bob", home.name).post(
        f"/v2/clusters/{cluster}", {"expireTime": home.stack.now() + HOUR}).status == 404
    assert home.admin.post(f"/v2/clusters/{cluster}", {"expireTime": home.stack.now() + HOUR}).status == 200
    assert move(home, "99999999", home.stack.now() + HOUR).status == 404
    assert home.user.post(f"/v2/clusters/{cluster}", "{").status == 400
    home.user.delete_cluster(cluster)
    answer = move(home, cluster, home.stack.now() + HOUR)
    assert answer.status == 400 and "terminated cluster cannot" in answer.text


# ---- the end


def deleted_at(home, cluster):
    """When the deletion was ordered, by the cluster's events."""
    return next(event.data["time"] for event in home.story(cluster).events
                if event.type == "job" and event.data["action"] == "cluster_delete")


def test_it_ends_at_its_time_after_one_warning(home):
    home.worker()
    cluster, end = lasting(home, 12000)
    with home.user.events(cluster) as stream:
        warning = stream.wait_type("lease", warning=True)
        assert warning.data["expireTime"] == end
        assert end - 10000 <= warning.data["time"] < end
        expired = stream.wait_type("lease", expired=True)
        assert expired.data["expireTime"] == end
    home.user.wait_cluster(cluster, "terminated")
    assert deleted_at(home, cluster) >= end
    assert events(home, cluster) == [{"expireTime": end}, {"expireTime": end, "warning": True},
                                     {"expireTime": end, "expired": True}]
    assert home.story(cluster).check_ended().status == "terminated"


@pytest.fixture
def seldom(leasing):
    """The scheduler looks every ten seconds which leases will end until it looks again."""
    leasing.stop("scheduler")
    leasing.start("scheduler", settings=("scheduler.poll_ms=10s",))
    yield
    leasing.stop("scheduler")
    leasing.start("scheduler", settings=("scheduler.poll_ms=2s",))


@pytest.mark.usefixtures("seldom")
def test_each_ends_at_its_time_and_not_when_the_scheduler_looks(home):
    """Of twelve whose ends are spread over the time between two looks none is late: else some would wait for most of it."""
    home.worker(slots=8)
    clusters = [home.create(f"c{number}", "one") for number in range(12)]
    for cluster in clusters:
        home.user.wait_cluster(cluster)
    begin = home.stack.now() + 12000
    ends = [begin + number * 900 for number in range(12)]
    all_end(home, dict(zip(clusters, ends)))
    for cluster in clusters:
        home.user.wait_cluster(cluster, "terminated")
    late = [deleted_at(home, cluster) - end for cluster, end in zip(clusters, ends)]
    assert min(late) >= 0 and max(late) <= 6000, late


def test_one_whose_row_is_damaged_keeps_no_other(home):
    """Its time comes first, and it cannot be ended."""
    home.worker()
    damaged, (other, details) = active(home)[0], active(home)
    row = f"WHERE id={int(damaged)}"
    services = home.stack.sql(f"SELECT services FROM cluster {row}")[0][0]
    home.stack.sql(f"UPDATE cluster SET services='[', expire_time=create_time+1 {row}")
    try:
        assert move(home, other, details["createTime"] + 1).status == 200
        home.user.wait_cluster(other, "terminated")
        assert home.stack.sql(f"SELECT status FROM cluster {row}") == [["active"]]
    finally:
        home.stack.sql(f"UPDATE cluster SET services='{services}' {row}")
    home.user.wait_cluster(damaged, "terminated")


@pytest.mark.parametrize("status", ["incomplete", "inconsistent"])
def test_clusters_that_failed_end_too(home, status):
    home.worker()
    cluster, _ = active(home)
    home.stack.sql(f"UPDATE cluster SET status='{status}', expire_time={home.stack.now()} WHERE id={int(cluster)}")
    wait_for(lambda: home.user.cluster_status(cluster) == "terminated", what="its end")


def test_one_at_work_ends_when_it_rests(home):
    gate = Gate("START")
    home.worker(gate)
    cluster = home.create("demo", "one", initialLeaseDuration=300)
    gate.wait()
    wait_for(lambda: home.stack.now() > home.user.cluster(cluster)["expireTime"] + 1500, what="its end")
    assert home.user.cluster_status(cluster) == "pending"
    gate.opened.set()
    home.user.wait_cluster(cluster, "terminated")
    assert home.story(cluster).statuses[:3] == ["pending", "active", "pending"]


def test_a_paused_one_ends_with_its_lease(home):
    gate = Gate("BOOTSTRAP")
    worker = home.worker(gate)
    cluster = home.create("demo", "one", initialLeaseDuration=6000)
    gate.wait()
    assert home.user.post(f"/v2/clusters/{cluster}/pause").status == 200
    gate.opened.set()
    details = home.user.wait_cluster(cluster, "terminated")
    assert "lease has ended" in details["message"] and len(worker.of("DELETE")) == 1
    assert deleted_at(home, cluster) >= details["expireTime"]
    home.story(cluster).check_ended()


def test_a_deletion_that_fails_is_tried_again_with_growing_waits(home):
    failing = {"left": 3}

    def script(run):
        if run.name == "DELETE" and failing["left"]:
            failing["left"] -= 1
            return {"status": 1, "retry": False, "message": "the provider is away"}
        return None

    home.worker(script)
    cluster, _ = lasting(home, 300)
    wait_for(lambda: home.user.cluster_status(cluster) == "terminated", timeout=60, what="the end")
    story = home.story(cluster)
    jobs = [event.data["time"] for event in story.events if event.type == "job" and
            event.data["action"] == "cluster_delete" and event.data["status"] == "not_submitted"]
    waits = [b - a for a, b in zip(jobs, jobs[1:])]
    assert len(waits) == 3 and waits[0] >= 700 and waits[1] >= 1400 and waits[2] >= 2800, waits
    assert failing["left"] == 0 and sum("expired" in event for event in events(home, cluster)) == 1


def test_a_longer_lease_gives_a_new_warning_and_a_new_end(home):
    home.worker()
    cluster, end = lasting(home, 8000)
    with home.user.events(cluster) as stream:
        stream.wait_type("lease", warning=True, expireTime=end)
        assert move(home, cluster, end + 1500).status == 200
        stream.wait_type("lease", warning=True, expireTime=end + 1500)
        stream.wait_type("lease", expired=True, expireTime=end + 1500)
    home.user.wait_cluster(cluster, "terminated")
    assert deleted_at(home, cluster) >= end + 1500


def test_an_extension_that_won_the_race_is_honoured(home):
    """Each cluster either lives on with its new lease, or was deleted and the extension refused."""
    home.worker(slots=8)
    clusters = [home.create(f"c{number}", "one") for number in range(10)]
    for cluster in clusters:
        home.user.wait_cluster(cluster)
    end = home.stack.now() + 3000
    all_end(home, dict.fromkeys(clusters, end))
    answers = {}

    def extend(cluster, after):
        time.sleep(max(0, after))
        answers[cluster] = move(home, cluster, end + HOUR).status

    left = (end - home.stack.now()) / 1000
    threads = [threading.Thread(target=extend, args=(cluster, left - 0.03 + number * 0.01))
               for number, cluster in enumerate(clusters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for cluster in clusters:
        if answers[cluster] == 200:
            assert home.user.cluster_status(cluster) == "active"
            assert {"expireTime": end, "expired": True} not in events(home, cluster)
        else:
            assert answers[cluster] == 400
            home.user.wait_cluster(cluster, "terminated")
    wait_for(lambda: home.stack.now() > end + 1500, what="a later sweep")
    assert [home.user.cluster_status(cluster) for cluster in clusters if answers[cluster] == 200] == [
        "active"] * sum(status == 200 for status in answers.values())


def test_it_ends_after_an_outage(home):
    home.worker()
    cluster, _ = active(home)
    home.stack.kill("scheduler")
    all_end(home, {cluster: home.stack.now()})
    assert home.user.cluster_status(cluster) == "active"
    home.stack.start("scheduler")
    home.user.wait_cluster(cluster, "terminated")
