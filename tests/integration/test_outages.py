# SPDX-License-Identifier: Apache-2.0
"""MariaDB away, MariaDB frozen, ZooKeeper away: each in the middle of creates.

Waiting is most of it, so the three run at once, each on a stack of its own.
"""

import concurrent.futures
import time

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants
from support.stack import CORE
from support.worker import Gate, by_hand

# Leases as in production: an outage is longer than one. Workers of the original show no token.
SETTINGS = ("scheduler.task_lease_ms=6s", "scheduler.retry_base_ms=50ms", "api.tokenless_workers=127.0.0.0/8")


class Scenario:
    """A stack, a lab, two creates under way, and what happens to them."""

    def __init__(self, name):
        self.stack = Stack(name, SETTINGS)
        self.stack.up(*CORE)
        self.lab = Lab(self.stack, *next(make_tenants(self.stack))).load()
        self.old = self.lab.create("old", "one")
        self.original = by_hand(self.lab, original=True, token=None)
        self.only_try = wait_for(lambda: self.original.take()[1], what="a task of the original's worker")[0]
        self.gate = Gate("INSTALL", service="db")
        self.worker = self.lab.worker(self.gate, slots=3)
        self.held = self.lab.create("held", "stack", 3)
        self.gate.wait()
        self.other = self.lab.create("other", "loose", 2)

    def close(self):
        """End the stack whatever happened."""
        try:
            self.lab.close()
        finally:
            self.stack.close()

    def all_active(self):
        """Both creates complete. What was just being handed out may have been lost on the way and
        begun again; what ran was not."""
        stories = [self.lab.active(cluster) for cluster in (self.held, self.other)]
        assert stories[0].tasks[self.gate.run.id].attempts == [1]
        again = [task for story in stories for task in story.tasks.values() if task.attempts != [1]]
        assert len(again) <= self.worker.slots, again
        self.lab.user.delete_cluster(self.other)

    def answers_503(self):
        """Every kind of call says so, before its caller gives up, and when to come back. A take may be told that there is
        nothing, as was true when the database was last asked."""
        api, internal = self.lab.user, self.stack.internal
        create = {"name": "x", "clusterTemplate": "one", "numMachines": 1}
        result = {**self.worker.who, "taskId": f"{self.held}-002-001", "status": 0, "attempt": 1}
        calls = [lambda: api.get("/v2/clusters"), lambda: api.get(f"/v2/clusters/{self.held}"),
                 lambda: api.post("/v2/clusters", create), lambda: api.post("/v2/clusters/plan", create),
                 lambda: api.delete(f"/v2/clusters/{self.held}"), lambda: api.get("/v2/services"),
                 lambda: self.lab.admin.put("/v2/imagetypes/x", {"name": "x", "providermap": {}}),
                 lambda: internal.post("/v2/tasks/finish", result),
                 lambda: internal.post(f"/v2/provisioners/{self.worker.name}/heartbeat", {"usage": {}}),
                 lambda: api.get("/readyz"),
                 # with a lease: what is handed out just as the database goes comes back soon
                 lambda: internal.post("/v2/tasks/take", {**self.worker.who, "lease": True, "claim": True})]
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
            answers = list(threads.map(lambda call: call(), calls))
        if answers[-1].status == 204:
            answers.pop()
        assert [answer.status for answer in answers] == [503] * len(answers), answers
        assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers), \
            [answer.headers.items() for answer in answers]
        assert api.get("/livez").status == 200


def database(name, take_away, bring_back):
    """MariaDB is away for 10 s; a stream stays open over it."""
    scenario = Scenario(name)
    stack, lab = scenario.stack, scenario.lab
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as thread, lab.user.events(scenario.held, timeout=60) as stream:
            stream.wait_type("task", taskName="INSTALL", service="db", state="running")
            began = time.monotonic()
            take_away(stack)
            # a worker of the original would not send it again
            only_try = thread.submit(scenario.original.finish, scenario.only_try, result={"providerid": "only"})
            scenario.answers_503()
            scenario.gate.open()  # the result has to wait
            while time.monotonic() - began < 10:
                time.sleep(0.1)
            assert not scenario.gate.run.answer
            bring_back(stack)
            assert only_try.result() == 200
            stream.wait_type("cluster", status="active", timeout=60)
            assert stream.comments > 0  # the heartbeats went on
            assert [event.id for event in stream.seen] == list(range(1, len(stream.seen) + 1))
        scenario.all_active()
        assert lab.active(scenario.old).tasks[scenario.only_try.id].attempts == [1]
        wait_for(lambda: lab.user.get("/readyz").status == 200)
    finally:
        scenario.close()


def zookeeper():
    """ZooKeeper is away for 30 s: work goes on, new work too, and a dead worker's is taken over."""
    scenario = Scenario("zk-away")
    stack, lab = scenario.stack, scenario.lab
    try:
        began = time.monotonic()
        stack.stop("zookeeper")
        scenario.gate.open()
        scenario.all_active()
        gate = Gate("CREATE")
        dying = lab.worker(gate, slots=1, start=False)
        scenario.worker.stop()
        dying.start()
        cluster = lab.create("orphan", "one", 1)
        run = gate.wait()
        dying.kill()
        living = lab.worker()
        story = lab.active(cluster)
        assert story.tasks[run.id].attempts == [1, 2]
        while time.monotonic() - began < 30:
            time.sleep(0.1)
        # killed while it is away, back when it is: found again
        stack.kill("scheduler")
        stack.start("zookeeper")
        stack.start("scheduler")
        lab.active(lab.create("after", "stack", 3))
        living.stop()
    finally:
        scenario.close()


@pytest.fixture(scope="module")
def scenarios():
    """All at once; each test waits for its own."""
    threads = concurrent.futures.ThreadPoolExecutor(3)
    try:
        yield {
            "zookeeper": threads.submit(zookeeper),
            "stopped": threads.submit(database, "db-stopped", lambda stack: stack.stop("mariadb"),
                                      lambda stack: stack.start("mariadb")),
            "frozen": threads.submit(database, "db-frozen", lambda stack: stack.pause("mariadb"),
                                     lambda stack: stack.resume("mariadb"))}
    finally:
        threads.shutdown()


@pytest.mark.parametrize("name", ["stopped", "frozen", "zookeeper"])
def test_outage(scenarios, name):
    scenarios[name].result()
