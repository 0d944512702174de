# SPDX-License-Identifier: Apache-2.0
"""One of two schedulers cannot reach the database, by its own way there; the other one can."""

import pytest

from browser.relay import Relay
from support import Stack, wait_for
from support.lab import Lab, make_tenants

BOTH = ("scheduler", "scheduler2")
REACHED = "loom_scheduler_database_reached"


@pytest.fixture(scope="module")
def pair():
    """Two schedulers; the second one's way leads through a relay, and it is the elected one."""
    with Stack("way", ["mariadb.idle_transaction_timeout=1", *(f"{part}.task_lease_ms=30s" for part in BOTH)]) as made:
        made.up("mariadb", "zookeeper")
        made.relay = Relay("127.0.0.1", made.ports["mariadb"])
        made.start("scheduler2", settings=(f"scheduler2.db_port={made.relay.address[1]}",))
        wait_for(lambda: leads(made, "scheduler2"))
        made.up("api", "scheduler")
        yield made
        made.relay.close()


@pytest.fixture(scope="module")
def pair_tenants(pair):
    return make_tenants(pair)


def leads(stack, part):
    return stack.metric(f"{part}.admin", "loom_coord_leading") == 1


@pytest.mark.parametrize("end, mend", [("cut", "mend"), ("hold", "release")])
def test_work_goes_on_at_the_other_one(pair, pair_tenants, end, mend):
    lab = Lab(pair, *next(pair_tenants)).load()
    try:
        lab.worker(slots=8)
        lab.active(lab.create())
        getattr(pair.relay, end)()
        # each cluster's results go to one scheduler, for about half of these to the one that is cut off
        clusters = [lab.create(size=2, template_name="stack") for _ in range(8)]
        for cluster in clusters:
            story = lab.active(cluster)
            assert all(task.attempts == [1] for task in story.tasks.values())
        assert pair.metric("scheduler2.admin", REACHED) == 0 and pair.metric("scheduler.admin", REACHED) == 1
        # what nobody reports is looked for as well
        wait_for(lambda: leads(pair, "scheduler") and not leads(pair, "scheduler2"))
        getattr(pair.relay, mend)()
        wait_for(lambda: pair.metric("scheduler2.admin", REACHED) == 1)
        pair.kill("scheduler")
        wait_for(lambda: leads(pair, "scheduler2"))
        lab.active(lab.create())
        pair.start("scheduler")
    finally:
        lab.close()
