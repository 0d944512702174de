# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of a scheduler at work: what it holds now, and each of its decisions."""

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants
from support.worker import Gate


@pytest.fixture(scope="module")
def site():
    """A scheduler that logs all, and tenants."""
    with Stack("show", ("scheduler.log_level=debug",)) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        yield stack, make_tenants(stack)


@pytest.fixture
def lab(site):
    """A tenant with a catalog."""
    stack, tenants = site
    made = Lab(stack, *next(tenants)).load()
    yield made
    made.close()


def show(lab, what=None):
    """What the scheduler holds now."""
    path = f"/show/{what}" if what else "/show"
    answer = lab.stack.client("scheduler.admin", user=None).get(path)
    assert answer.status == 200, answer
    return answer.json if what is None else answer.json[what]


def decisions(lab, cluster, message):
    """Lines of the log about tasks of a cluster."""
    return [line for line in lab.stack.log("scheduler").splitlines()
            if f'msg="{message}"' in line and f"task={cluster}-" in line]


def test_all_there_is_to_show(lab):
    assert set(show(lab)) == {"state", "waiters", "batches", "queues", "cache", "shares"}
    answer = lab.stack.client("scheduler.admin", user=None).get("/show/books")
    assert answer.status == 404 and "waiters, batches, queues, cache, shares" in answer.text


def test_who_waits_and_what_is_known(lab):
    gate = Gate("CREATE")
    with lab.worker(gate, slots=3, wait=30) as worker:
        wait_for(lambda: [one["max"] for one in show(lab, "waiters")
                          if one["provisioner"] == worker.name and one["leftMs"] > 0], what="a take that waits")
        cluster = lab.create("demo", "loose", 2)
        wait_for(lambda: len(worker.of("CREATE")) == 2, what="both machines being made")
        cache = show(lab, "cache")
        assert cache["clusters"] >= 1
        assert cache["rows"]["bytes"] and cache["payloads"]["bytes"]
        for part in ("rows", "payloads", "edges"):
            assert 0 <= cache[part]["bytes"] <= cache[part]["mostBytes"] <= 16 << 20, cache
        served = [one for one in show(lab, "shares")["tenants"] if one["served"]]
        assert served and show(lab, "queues") == {"results": [], "contended": []}
        gate.open()
        lab.active(cluster)


def test_each_decision_is_a_line(lab):
    lab.change("providers", "lab", limits={"concurrentCreates": 1})
    gate = Gate("CREATE")
    with lab.worker(gate, slots=4) as worker:
        cluster = lab.create("demo", "loose", 3)
        wait_for(lambda: worker.of("CREATE"), what="the first machine")
        wait_for(lambda: decisions(lab, cluster, "task held"), what="one that is held")
        assert "hold=provider_creates" in decisions(lab, cluster, "task held")[0]
        assert lab.user.get(f"/v2/clusters/{cluster}/why").json["tasks"]
        gate.open()
        story = lab.active(cluster)
    taken = decisions(lab, cluster, "task taken")
    assert len(taken) == len(story.tasks)
    assert all(f"provisioner={worker.name}" in line for line in taken)
