# SPDX-License-Identifier: Apache-2.0
"""The database's clock is set, as when another node with another clock becomes the writer.

Leases and waits are kept by that clock: nobody may lose his task by it, and nothing may wait until it is
there again. The server's clock is libfaketime's, which reads it from a file.
"""

import glob
import os
import subprocess
import threading

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants

FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
SETTINGS = ("scheduler.task_lease_ms=6s", "scheduler.poll_ms=200ms", "scheduler.retry_cap_ms=2s", "scheduler.job_lease_ms=2s",
            "scheduler.callback_cap_ms=1s")

pytestmark = pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")


class Clock:
    """The clock of the stack's database, which is started again under libfaketime."""

    def __init__(self, stack):
        self.stack = stack
        self.file = stack.dir / "mariadb.clock"
        self.set("+0")
        stack.stop("mariadb")
        home = stack.dir / "mariadb"
        with open(home / "faked.log", "wb") as log:
            self.process = subprocess.Popen(["mariadbd", f"--defaults-file={home}/my.cnf", *self._user()], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env={
                                                "PATH": os.environ["PATH"], "LD_PRELOAD": FAKETIME[0],
                                                "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                                                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"})
        wait_for(self._answers, 60, "the database")

    @staticmethod
    def _user():
        return ["--user=mysql"] if os.geteuid() == 0 else []

    def _answers(self):
        try:
            return self.stack.now()
        except AssertionError:
            return None

    def set(self, offset):
        """From now on it is so far off: "+3600s"."""
        self.offset = offset
        fresh = self.file.with_suffix(".new")
        fresh.write_text(offset + "\n")
        fresh.chmod(0o644)
        os.replace(fresh, self.file)

    def close(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def stack():
    with Stack("clock", SETTINGS) as made:
        made.up("mariadb", "zookeeper", "api", "scheduler")
        made.tenants = make_tenants(made)
        clock = made.clock = Clock(made)
        made.swept()
        try:
            yield made
        finally:
            clock.close()
            made.start("mariadb")


@pytest.fixture
def lab(stack):
    made = Lab(stack, *next(stack.tenants)).load()
    yield made
    made.close()
    step(stack, "+0")


def step(stack, offset):
    """Sets the clock, unless it is so, and waits until the scheduler has noticed."""
    def told():
        return stack.log("scheduler").count("the database's clock was set")

    if stack.clock.offset == offset:
        return
    before = told()
    stack.clock.set(offset)
    wait_for(lambda: told() > before, 60, "it to be told")


def row(stack, run, column):
    """A number in a task's row."""
    return int(stack.sql("SELECT {} FROM task WHERE cluster_id={} AND job_num={} AND num={}".format(
        column, *map(int, run.id.split("-"))))[0][0])


def test_set_forward_nobody_loses_his_task(stack, lab):
    """Heartbeats come each 2 s, as a provisioner's: at the step no lease has been renewed yet."""
    held = threading.Event()
    worker = lab.worker(lambda run: run.wait(held), beat=2)
    cluster = lab.create("forward")
    run = wait_for(lambda: worker.runs and worker.runs[0], 60, "a task")
    step(stack, "+3600s")
    lab.worker()  # who would get it
    wait_for(lambda: row(stack, run, "lease_until") > stack.now(), 60, "its lease to be renewed")
    held.set()
    assert lab.active(cluster).tasks[run.id].attempts == [1]


def test_set_back_nothing_waits_for_the_clock(stack, lab):
    step(stack, "+3600s")
    held = threading.Event()
    gone = lab.worker(lambda run: run.wait(held), slots=1)
    lost = lab.create("lost")
    run = wait_for(lambda: gone.runs and gone.runs[0], 60, "a task")
    waiting = lab.create("waiting")  # nobody takes its task: it is ready since then
    wait_for(lambda: stack.sql(f"SELECT COUNT(*) FROM task WHERE state='ready' AND cluster_id={int(waiting)}") != [["0"]],
             60, "a ready task")
    gone.kill()
    step(stack, "+0")
    lab.worker()
    lab.user.wait_cluster(waiting)
    lab.user.wait_cluster(lost)
    assert row(stack, run, "attempt") == 2


def test_set_back_while_no_scheduler_runs(stack, lab):
    step(stack, "+3600s")
    stack.stop("scheduler")
    unplanned = lab.create("unplanned")
    stack.clock.set("+0")
    stack.start("scheduler")
    stack.swept()
    lab.worker()
    lab.user.wait_cluster(unplanned)
