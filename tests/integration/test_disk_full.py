# SPDX-License-Identifier: Apache-2.0
"""The database's disk is full: what is asked for is refused in words, what was done is not lost nor called failed, and
all goes on once there is room."""

import contextlib
import errno
import os
import subprocess

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants
from support.worker import Gate

SETTINGS = ("scheduler.poll_ms=300ms", "scheduler.retry_base_ms=50ms")
ROUND = {"clusterTemplate": "one", "numMachines": 1}
DISK = "260m"    # the empty database takes 145 MiB
LOUD = 60_000    # bytes that each step prints: they need room
WORDS = "out of disk space"


@pytest.fixture
def small():
    """A stack whose database has a small disk of its own."""
    with contextlib.ExitStack() as undo:
        stack = Stack("disk", SETTINGS)
        undo.callback(stack.close)
        disk = stack.dir / "mariadb"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "loom-test", disk], check=True)
        undo.callback(lambda: subprocess.run(["umount", disk], check=True))
        undo.callback(stack.command, "down")
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        yield stack


@contextlib.contextmanager
def full(disk):
    """No byte is left on it."""
    path = disk / "taken"
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (disk / "more").write_bytes(bytes(1 << 13))
    try:
        yield
    finally:
        (disk / "more").unlink()
        path.unlink()


def counted(stack, port):
    """Statements that a service was refused for want of room."""
    text = stack.client(port).get("/metrics").text
    return sum(int(line.split()[-1]) for line in text.splitlines() if line.startswith("loom_db_full_total"))


def refused(lab):
    """Clusters are created until one needs more room than there is."""
    for number in range(100):
        answer = lab.user.post("/v2/clusters", {**ROUND, "name": f"beside{number}"})
        if answer.status != 200:
            return answer
    raise AssertionError("a hundred clusters found room on a full disk")


def test_nothing_is_lost_nor_failed_for_want_of_room(small):
    lab = Lab(small, *next(make_tenants(small))).load()
    gate = Gate("INSTALL")

    def loud(run):
        gate(run)
        return {"status": 0, "stdout": "x" * LOUD}

    try:
        lab.worker(loud, slots=3)
        held = lab.create("held", "one")
        gate.wait()
        with full(small.dir / "mariadb"):
            answer = refused(lab)
            assert answer.status == 503 and WORDS in answer.text and int(answer.headers["Retry-After"]) >= 1, answer
            assert lab.user.get("/v2/clusters").status == 200
            before = len(small.log("scheduler"))
            gate.open()  # the result and what comes after it have no room
            wait_for(lambda: WORDS in small.log("scheduler")[before:], 60, "the scheduler to have no room")
        for cluster in [held, *(row["id"] for row in lab.user.get("/v2/clusters").json)]:
            wait_for(lambda cluster=cluster: lab.user.cluster_status(cluster) == "active", 60, f"{cluster} to be active")
        assert small.sql("SELECT COUNT(*) FROM job WHERE status='failed'") == [["0"]]
        assert small.sql("SELECT COUNT(*) FROM task WHERE failures>0") == [["0"]]
        assert counted(small, "api.internal") > 0 and counted(small, "scheduler.admin") > 0
        assert lab.user.post("/v2/clusters", {**ROUND, "name": "after"}).status == 200
    finally:
        lab.close()
