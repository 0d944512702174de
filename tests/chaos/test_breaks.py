# SPDX-License-Identifier: Apache-2.0
"""The proof that a chaos run can fail: a Loom that is broken on purpose is caught.

One stack, a short load, provisioners that hang now and then. Whole, nothing is found; with each
promise broken (common/base/fault.h), that breach is.
"""

import os
import random
import threading
import time

import pytest

from chaos import catalog, checker, clients, evidence
from chaos.history import History
from chaos.sites import StackSite
from support import Stack

SETTINGS = ("scheduler.task_lease_ms=2s", "scheduler.retry_base_ms=50ms", "scheduler.retry_cap_ms=300ms",
            "scheduler.poll_ms=250ms", "scheduler.callback_allow=127.0.0.1")
LOOM = ("api", "scheduler", "provisioner", "provisioner2")
BREAKS = {
    "": set(),
    "fence": {(3, "stale result")},
    "leases": {(4, "stuck task"), (4, "stuck cluster"), (4, "stuck job")},
    # None of these needs a fault to be seen, and none hides another.
    "ack,refusal,machines,edges,quota,events": {
        (1, "lost create"), (1, "refused but there"), (2, "left over"), (3, "edge"), (4, "quota"), (5, "gap")},
}


@pytest.fixture(scope="module")
def site():
    """Servers, and Loom in lives of its own."""
    with Stack("chaos", SETTINGS) as stack:
        stack.up("mariadb", "zookeeper", *LOOM)
        made = StackSite(stack)
        catalog.load(made, delay_ms=100, failing=0, slower=700)
        made.told = made.receiver()
        yield made
        made.told.close()


def fresh(site, broken):
    """Loom starts again, with an empty database's worth of clusters, and this promise broken."""
    site.stack.stop(*reversed(LOOM))
    for table in evidence.TABLES:
        if table != "tenant":
            site.sql(f"DELETE FROM `{table}`")
    site.sql("DELETE FROM callback")
    site.sql("DELETE FROM counter WHERE name='cluster'")
    for path in (site.simulated / "machines").glob("*"):
        path.unlink()
    for path in [site.simulated / "journal", *(site.stack.dir / "log").glob("provisioner*.log")]:
        path.unlink(missing_ok=True)
    os.environ["LOOM_BREAK"] = broken
    try:
        site.stack.start(*LOOM)
    finally:
        del os.environ["LOOM_BREAK"]


def deleted(site):
    """Has a machine been deleted? A slow stack comes to that late, and only then can one be left over."""
    return site.sql("SELECT 1 FROM task WHERE name='DELETE' AND state='complete' LIMIT 1")


def disturb(site, rng, seconds):
    """Provisioners hang for a little longer than their tasks' leases; in the end one dies."""
    began = time.monotonic()
    while time.monotonic() < began + seconds or (not deleted(site) and time.monotonic() < began + 60):
        which = rng.choice(LOOM[2:])
        site.stack.pause(which)
        time.sleep(2.4)
        site.stack.resume(which)
        time.sleep(0.6)
    site.stack.restart(LOOM[2])


def haunt(site, ending):
    """A ghost that says of tasks which others work at that it did them, in an attempt long gone."""
    while not ending.wait(0.1):
        for task, attempt, holder in site.sql(
                "SELECT CONCAT(LPAD(cluster_id, 8, '0'), '-', LPAD(job_num, 3, '0'), '-', LPAD(num, 3, '0')),"
                " attempt, provisioner_id FROM task WHERE state='running' LIMIT 4"):
            ghost = "local-1" if holder == "local-2" else "local-2"
            site.stack.internal.post("/v2/tasks/finish", {
                "taskId": task, "attempt": int(attempt) - 1 or int(attempt), "provisionerId": ghost,
                "workerId": "ghost", "tenantId": "*", "status": 0, "result": {}})


def run(site, seed, seconds, patience, watching):
    """(records, evidence) of a load that was disturbed; patience: seconds for the rest of the work, watching: then
    for those who watch it."""
    history = History()
    catalog.listen(site, site.told, history)
    load = clients.Load(site, history, seed).start()
    ending = threading.Event()
    ghost = threading.Thread(target=haunt, args=[site, ending], daemon=True)
    ghost.start()
    disturb(site, random.Random(seed), seconds)
    load.stop()
    ending.set()
    ghost.join()
    deadline = time.monotonic() + patience
    while evidence.under_way(site) and time.monotonic() < deadline:
        time.sleep(0.1)
    load.let_watchers_end({row[0]: int(row[1]) for row in site.sql(
        "SELECT LPAD(id, 8, '0'), event_seq FROM cluster")}, watching)
    return history.records, evidence.gather(site)


@pytest.mark.parametrize("broken", BREAKS, ids=lambda name: name or "whole")
def test_a_broken_loom_is_caught(site, broken):
    """Each broken promise is found, and none is in a whole Loom."""
    fresh(site, broken)
    patience = 5 if "leases" in broken else 180
    found = checker.check(*run(site, broken or "whole", 5, patience, 3 if broken else 60))
    kinds = {(violation.promise, violation.kind) for violation in found}
    text = "\n".join(map(str, found[:20]))
    if broken:
        assert BREAKS[broken] <= kinds, text
    else:
        assert not found, text
