# SPDX-License-Identifier: Apache-2.0
"""A Loom that calls back, a receiver of its calls, and tenants with targets there."""

import pathlib
import re

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants, template
from support.receiver import Receiver

SETTINGS = ("scheduler.task_lease_ms=2s", "scheduler.retry_base_ms=20ms", "scheduler.retry_cap_ms=50ms",
            "scheduler.poll_ms=200ms", "scheduler.job_lease_ms=2s", "scheduler.task_tries=1",
            "scheduler.lease_warning_ms=10s", "scheduler.callback_allow=127.0.0.1",
            "scheduler.callback_base_ms=50ms", "scheduler.callback_cap_ms=100ms",
            "scheduler.callback_tries=4", "scheduler.callback_timeout_ms=8s",
            "scheduler.callback_veto_ms=8s")

EVENTS = ["start", "success", "failure", "lease_warning", "lease_expired"]


@pytest.fixture(name="receiver", scope="module")
def fixture_receiver():
    """Where all callbacks of this file go."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(name="calling", scope="module")
def fixture_calling(receiver, tmp_path_factory):
    """A Loom that tells /global about everything."""
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "global").write_text("the operator's\n", encoding="ascii")
    settings = (*SETTINGS, f"scheduler.callback_url={receiver.url('global')}",
                f"scheduler.callback_secret_file={secrets}/global",
                f"scheduler.callback_secrets_dir={secrets}")
    with Stack("callbacks", settings) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        stack.tenants = make_tenants(stack, "calls")
        stack.secrets = secrets
        yield stack


@pytest.fixture(name="home")
def fixture_home(calling, receiver):
    """A tenant with a name of its own for its target."""
    made = Lab(calling, *next(calling.tenants)).load()
    made.receiver = receiver
    yield made
    receiver.rules.clear()
    made.close()


@pytest.fixture(name="patient")
def fixture_patient(home, request):
    """The scheduler waits for targets a minute, longer than these tests, or as long as one says."""
    most = getattr(request, "param", "1m")
    home.stack.stop("scheduler")
    home.stack.start("scheduler", settings=(f"scheduler.callback_timeout_ms={most}", f"scheduler.callback_veto_ms={most}"))
    yield
    home.stack.stop("scheduler")
    home.stack.start("scheduler", settings=home.stack.settings)


def target(home, *events, name="called", **more):
    """A template whose clusters tell /<tenant>; answers its name as a target."""
    where = more.pop("url", None) or home.receiver.url(home.name)
    document = template(name, ["web", "base"], administration={
        "callbacks": [{"url": where, "events": list(events or EVENTS), **more}]})
    answer = home.admin.put(f"/v2/clustertemplates/{name}", document)
    assert answer.status == 200, answer
    return home.name


def told(calls):
    """(event, operation) of each call."""
    return [(call.event, call.action) for call in calls]


def stored(home, state=None):
    """The callbacks not yet told."""
    answer = home.admin.get("/v2/callbacks" + (f"?state={state}" if state else ""))
    assert answer.status == 200, answer
    return answer.json


def nothing_left(home):
    """All has been told."""
    wait_for(lambda: not stored(home), what="an empty outbox")


def as_it_was(call):
    """What a message says about the moment it is about, however late it is told."""
    return call.json["time"], call.json["job"], call.json["cluster"]["status"]


CREATED = [("start", "CLUSTER_CREATE"), ("success", "CLUSTER_CREATE")]
DELETED = [("start", "CLUSTER_DELETE"), ("success", "CLUSTER_DELETE")]


def threads(stack):
    """How many the scheduler has."""
    status = pathlib.Path(f"/proc/{stack.pid('scheduler')}/status").read_text(encoding="ascii")
    return int(re.search(r"^Threads:\t(\d+)$", status, re.MULTILINE)[1])


def under_way(stack):
    """How many targets are being told."""
    return stack.metric("scheduler.admin", "loom_callbacks_under_way")
