# SPDX-License-Identifier: Apache-2.0
"""Fixtures for tests of the API and the scheduler.

core       MariaDB, ZooKeeper, api and scheduler for the session; the workers are the tests' own
lab        a tenant of its own on it, with a small catalog
empty_lab  the same without the catalog
guarded    the same for the tests of a file, which wants tokens
unused     names and ids of tenants of it that nobody used yet
thrifty    freed memory is used again at once, while a file's tests run: what services take is what they need
soon_lost  what services that are killed had given out is soon somebody else's, while a file's tests run
"""

import pytest

from support import Stack
from support.lab import Lab, make_tenants
from support.stack import CORE, ENVIRONMENT

# No lease runs out on a busy machine: tests that want it end it (Lab.end_lease), or ask for soon_lost.
FAST = ("scheduler.task_lease_ms=20s", "scheduler.retry_base_ms=50ms", "scheduler.retry_cap_ms=300ms",
        "scheduler.poll_ms=250ms")


@pytest.fixture(scope="session")
def core():
    """A Loom without provisioners, with short waits, that believes who the original's clients say they are."""
    with Stack("core", FAST, auth="headers") as made:
        made.up(*CORE)
        yield made


@pytest.fixture(scope="module")
def soon_lost(core):
    """Leases are short, and whoever's ran out counts as lost."""
    core.stop("scheduler")
    core.start("scheduler", settings=("scheduler.task_lease_ms=2s",))
    yield
    core.stop("scheduler")
    core.start("scheduler", settings=FAST)


@pytest.fixture(scope="module")
def thrifty():
    """Services that a file starts use freed memory again, or how much they take would say nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASAN_OPTIONS", f"{ENVIRONMENT['ASAN_OPTIONS']}:quarantine_size_mb=1")
        yield


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


@pytest.fixture(scope="module")
def guarded(request):
    """A Loom that wants tokens."""
    with Stack(request.module.__name__.rpartition("test_")[2], auth="token") as made:
        made.up(*CORE)
        yield made


@pytest.fixture(scope="module")
def unused(guarded):
    """Names and ids of tenants that nobody used yet."""
    return make_tenants(guarded)
