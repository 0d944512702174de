# SPDX-License-Identifier: Apache-2.0
"""A database that must not write, and no descriptors left: requests wait or are refused in time, the log
says why in the database's or the system's own words, nothing ends, and all goes on afterwards."""

import contextlib
import os
import socket
import subprocess

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants

SETTINGS = ("scheduler.poll_ms=300ms", "api.db_deadline=3s", "scheduler.db_deadline=3s")
SERVERS = ("api.external", "scheduler.admin")
ROUND = {"clusterTemplate": "one", "numMachines": 1}


@pytest.fixture(scope="module")
def small():
    """A stack that soon gives up."""
    with Stack("exhausted", SETTINGS) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        stack.tenants = make_tenants(stack)
        yield stack


@pytest.fixture
def lab(small):
    """A tenant with a worker and a cluster that is active."""
    made = Lab(small, *next(small.tenants)).load()
    made.worker()
    made.active(made.create("before"))
    yield made
    made.close()


def as_root(stack, statement):
    """Of the server's own account."""
    subprocess.run(["mariadb", "--no-defaults", f"-S{stack.env['LOOM_TEST_DB_SOCKET']}", "-uroot", "-e", statement],
                   check=True)


@contextlib.contextmanager
def read_only(stack):
    """The database takes no writes."""
    as_root(stack, "SET GLOBAL read_only=1")
    try:
        yield
    finally:
        as_root(stack, "SET GLOBAL read_only=0")


def test_a_database_that_must_not_write(small, lab):
    before = len(small.log("api"))
    with read_only(small):
        answer = lab.user.post("/v2/clusters", {**ROUND, "name": "refused"})
        assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 1, answer
        wait_for(lambda: "read-only" in small.log("api")[before:], what="the reason in the log")
        for where in SERVERS:
            wait_for(lambda where=where: "the database is read-only" in small.client(where).get("/readyz").text,
                     what=f"{where} not ready")
            assert small.client(where).get("/readyz").status == 503, where
        wait_for(lambda: lab.user.get("/v2/clusters").status == 200, what="reading meanwhile")
    for where in SERVERS:
        wait_for(lambda where=where: small.client(where).get("/readyz").status == 200, what=f"{where} ready again")
    wait_for(lambda: lab.user.post("/v2/clusters", {**ROUND, "name": "after"}).status == 200, what="writing again")
    rows = lab.user.get("/v2/clusters").json
    assert "refused" not in [row["name"] for row in rows]
    lab.active(next(row["id"] for row in rows if row["name"] == "after"))


def limit(stack, part, more):
    """So many descriptors more than it has."""
    pid = stack.pid(part)
    has = len(os.listdir(f"/proc/{pid}/fd"))
    subprocess.run(["prlimit", f"--nofile={has + more}:", f"--pid={pid}"], check=True)


def test_no_descriptors_left(small, lab):
    """Connections wait until others have closed."""
    before = len(small.log("api"))
    limit(small, "api", 8)
    with contextlib.ExitStack() as held:
        for _ in range(40):
            held.enter_context(socket.create_connection(("127.0.0.1", small.ports["api.external"])))
        wait_for(lambda: "Too many open files" in small.log("api")[before:], what="that none is left")
    lab.active(lab.create("after"))
    limit(small, "api", 1000)
