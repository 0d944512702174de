# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of the API and the scheduler.

core       MariaDB, ZooKeeper, api and scheduler for the session; the workers are the tests' own
lab        a tenant of its own on it, with a small catalog
empty_lab  the same without the catalog
"""

import pytest

from support import Stack
from support.lab import Lab, make_tenants

CORE = ("mariadb", "zookeeper", "api", "scheduler")
FAST = ("scheduler.task_lease_ms=2s", "scheduler.retry_base_ms=50ms", "scheduler.retry_cap_ms=300ms",
        "scheduler.poll_ms=250ms")


@pytest.fixture(scope="session")
def core():
    """A Loom without provisioners, with short leases and waits, that believes who the original's clients say
    they are."""
    with Stack("core", FAST, auth="headers") as made:
        made.up(*CORE)
        yield made


@pytest.fixture(scope="session")
def tenants(core):
    """Names and ids of tenants that nobody used yet."""
    return make_tenants(core)


@pytest.fixture
def empty_lab(core, tenants):
    """A tenant without any document."""
    made = Lab(core, *next(tenants))
    yield made
    made.close()


@pytest.fixture
def lab(empty_lab):
    """A tenant with a catalog."""
    return empty_lab.load()
