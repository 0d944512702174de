# SPDX-License-Identifier: Apache-2.0
"""Anything asked at any time of clusters whose steps fail at random: no scheduler falls over it, what
is at the provider is always known, and in the end every cluster can be deleted.

What is asked comes from a seed; LOOM_TEST_SEED=N asks something else.
"""

import collections
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_rollback import CATALOG

from support import wait_for
from support.lab import Lab

CLUSTERS = 6
REQUESTS = 90  # of each cluster's user
KILLS = 2
PATIENCE = 120
SEED = 1


def replace(user, at):
    """Any node, while it can be read which there are."""
    answer = user.get(at)
    nodes = answer.json["nodes"] if answer.status == 200 else []
    number = random.choice(nodes)["properties"]["nodenum"] if nodes else 1000
    return user.post(f"{at}/nodes/{number}/replace")


# how often, what, its request
OPERATIONS = (
    (4, "pause", lambda user, at: user.post(f"{at}/pause")),
    (16, "resume", lambda user, at: user.post(f"{at}/resume")),
    (3, "abort", lambda user, at: user.post(f"{at}/abort")),
    (10, "retry", lambda user, at: user.post(f"{at}/retry")),
    (10, "rollback", lambda user, at: user.post(f"{at}/rollback")),
    (6, "expand", lambda user, at: user.post(f"{at}/expand", {"count": 1})),
    (4, "shrink", lambda user, at: user.post(f"{at}/shrink", {"count": 1})),
    (4, "replace", replace),
    (4, "add", lambda user, at: user.post(f"{at}/services", {"services": ["cron"]})),
    (4, "remove", lambda user, at: user.delete(f"{at}/services/cron")),
    (4, "configure", lambda user, at: user.put(f"{at}/config", {"config": {"app": {"t": str(time.time())}}})),
    (3, "restart", lambda user, at: user.post(f"{at}/services/restart")),
    (3, "stop", lambda user, at: user.post(f"{at}/services/stop")),
    (3, "start", lambda user, at: user.post(f"{at}/services/start")),
    (1, "sync", lambda user, at: user.post(f"{at}/clustertemplate/sync")),
    (0.3, "delete", lambda user, at: user.delete(at)),
)


class User:
    """One tenant with one cluster, a provider that fails at random, and somebody who asks."""

    def __init__(self, lab, seed):
        self.lab = lab.load().load(CATALOG)
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.machines = set()
        self.calm = True
        self.asked = []
        self.worker = lab.worker(self.step, slots=4)
        self.id = self.lab.create("farm", "farm", 3, onFailure=self.random.choice(["keep", "rollback"]))
        self.at = f"/v2/clusters/{self.id}"

    def step(self, run):
        """One step at the provider."""
        with self.lock:
            dice, pause = self.random.random(), self.random.uniform(0, 0.03)
        run.pause(pause)
        if run.name == "CREATE" and (self.calm or dice > 0.02):
            self.machines.add(run.node)
        if not self.calm and dice < 0.05:
            return {"status": 201 if run.name == "CREATE" and dice < 0.02 else 1, "retry": False, "stderr": "never"}
        if not self.calm and dice < 0.2:
            return {"status": 1, "stderr": "not now"}
        if run.name == "DELETE":
            self.machines.discard(run.node)
        return {}

    def status(self):
        """The cluster's status; None while nobody answers."""
        return self.lab.user.cluster_status(self.id)

    def live(self):
        """Ask and ask."""
        self.lab.user.wait_cluster(self.id)
        self.calm = False
        while len(self.asked) < REQUESTS and self.status() != "terminated":
            weights, names, calls = zip(*OPERATIONS)
            with self.lock:
                number = self.random.choices(range(len(OPERATIONS)), weights)[0]
                pause = self.random.choice((0, 0.02, 0.1, 0.4))
            answer = calls[number](self.lab.user, self.at)
            self.asked.append((names[number], answer.status))
            assert answer.status in (0, 200, 400, 404, 409, 503), (self, answer)
            time.sleep(pause)

    def end(self):
        """All well again: it comes to rest, what is there is known, and it goes."""
        self.calm = True
        user = self.lab.user

        def rests():
            user.post(f"{self.at}/resume")
            return self.status() not in (None, "pending")

        wait_for(rests, PATIENCE, f"{self} to rest")
        if self.status() != "terminated":
            nodes = {node["id"] for node in user.cluster(self.id)["nodes"]}
            assert self.machines <= nodes, (self, self.machines - nodes)
            assert self.status() != "active" or self.machines == nodes, self
            assert user.get("/v2/clusters").json[0]["numNodes"] == len(nodes), self
            wait_for(lambda: user.delete(self.at).status == 200)
            wait_for(lambda: self.status() == "terminated", PATIENCE, f"{self} to go")
        assert not self.machines, self
        self.worker.stop(PATIENCE)
        self.lab.story(self.id).check_ended()

    def __repr__(self):
        return f"<{self.id} {self.asked[-40:]}>"


def asked(users, running, part):
    """Whether this part of all requests was made, or no more will be."""
    return sum(len(user.asked) for user in users) >= part * CLUSTERS * REQUESTS or all(
        job.done() for job in running)


@pytest.mark.usefixtures("soon_lost")
def test_anything_at_any_time(core, tenants):
    seed = int(os.environ.get("LOOM_TEST_SEED") or SEED)
    print(f"LOOM_TEST_SEED={seed}")
    users = [User(Lab(core, *next(tenants)), seed + number) for number in range(CLUSTERS)]
    with ThreadPoolExecutor(CLUSTERS) as pool:
        running = [pool.submit(user.live) for user in users]
        for kill in range(1, KILLS + 1):
            wait_for(lambda part=kill / (KILLS + 1): asked(users, running, part), PATIENCE)
            core.restart("scheduler")
        for job in running:
            job.result()
        for job in [pool.submit(user.end) for user in users]:
            job.result()
    done = collections.Counter(name for user in users for name, status in user.asked if status == 200)
    print(dict(done))
    # Each of the two takes away what the other needs: one run in thirty has only one of them.
    assert "resume" in done and done["retry"] + done["rollback"] > 1, done
    for user in users:
        user.lab.close()
