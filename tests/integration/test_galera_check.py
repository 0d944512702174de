# SPDX-License-Identifier: Apache-2.0
"""What galera-check makes of a node that joins and stops half-way. That it says who the writer is: test_dc.py."""

import importlib.machinery
import importlib.util
import os
import sys
import types

import pytest

from support import ROOT, Stack, wait_for

sys.path.insert(0, str(ROOT / "deploy/mariadb"))
from galera_common import Db  # noqa: E402 (the path comes first)


@pytest.fixture(scope="module")
def check():
    """The program as a module."""
    loader = importlib.machinery.SourceFileLoader("galera_check", str(ROOT / "deploy/mariadb/galera-check"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("galera_check", loader))
    loader.exec_module(module)
    return module


BORN = -50  # when the server was started


def look(state, committed, cluster="Primary", uptime=None):
    """What the server says of itself."""
    return {"wsrep_cluster_status": cluster, "wsrep_local_state": state, "wsrep_last_committed": committed,
            "Uptime": uptime}


@pytest.mark.parametrize("looks, ends", [
    ([(0, look("1", "7")), (299, look("1", "7"))], False),
    ([(0, look("1", "7")), (301, look("1", "7"))], True),
    ([(0, look("3", "7")), (301, look("3", "7"))], True),
    ([(0, look("1", "7")), (200, look("3", "7")), (301, look("3", "7"))], True),   # one wait, two states
    ([(0, look("1", "7")), (299, look("1", "8")), (400, look("1", "8"))], False),  # it goes on
    ([(0, look("1", "7")), (299, look("1", "8")), (600, look("1", "8"))], True),
    ([(0, look("4", "7")), (900, look("4", "7"))], False),                         # nobody writes
    ([(0, look("2", "7")), (900, look("2", "7"))], False),                         # it gives another one a copy
    ([(0, look("1", "7", "non-Primary")), (900, look("1", "7", "non-Primary"))], False),
    ([(0, look("1", "7")), (200, look("4", "7")), (400, look("1", "7"))], False),  # it was well in between
    ([(0, look("1", "7")), (900, look("1", "7", uptime="600"))], False),           # another server, just as far
    ([(0, look("1", "7")), (600, look("1", "7", uptime="300")), (901, look("1", "7", uptime="601"))], True),
    ([(0, {}), (900, {})], False),
])
def test_a_joining_node_that_takes_in_nothing(check, looks, ends):
    joining = check.Joining()
    for now, status in looks:
        if status:
            status["Uptime"] = status["Uptime"] or str(now - BORN)
    assert [joining.stalled(status, now) for now, status in looks] == [False] * (len(looks) - 1) + [ends]


def test_its_server_is_ended(check):
    with Stack("stalled") as stack:
        stack.up("mariadb")
        pid = stack.pid("mariadb")
        place = stack.env["LOOM_TEST_DB_SOCKET"]
        watcher = check.Watcher(types.SimpleNamespace(socket=place, data=str(stack.dir / "mariadb/data")))
        watcher.db = Db(place, 2)
        watcher.end_server()
        wait_for(lambda: not os.path.exists(f"/proc/{pid}") or stack.pid("mariadb") != pid, 60, "the server to be gone")
        watcher.db.close()
