# SPDX-License-Identifier: Apache-2.0
"""Every step of every operation fails: once, for good, until the tries are over, or it hangs and is
aborted. The job says so, the provider has the machines that the database has, retry finishes it, roll
back takes it back, and delete always ends.

The provisioner and its simulated provider are the real ones. Each operation has a cluster of its own
with a provider of its own, whose faults a test orders by files; all operations go on at once.
"""

import pathlib
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import Stack
from support.lab import service, template
from support.machines import compare, database_services, simulated, simulated_services
from support.stack import base_dir
from support.story import Story

FULL = ("install", "configure", "initialize", "start", "stop", "remove")
PATIENCE = 60  # without any event
TRIES = 2
AT_ONCE = 14
SETTINGS = ("scheduler.retry_base_ms=10ms", "scheduler.retry_cap_ms=20ms", f"scheduler.task_tries={TRIES}",
            "scheduler.poll_ms=200ms", "scheduler.lease_retry_ms=200ms", "provisioner.capacity=12")

pytestmark = pytest.mark.timeout(900)  # for the first, on a busy machine: the others go on meanwhile

MODES = ("once", "never", "forever", "hang")
ORDERS = {"once": "1 1", "never": "100", "forever": "1", "hang": "hang"}

CREATE = ("CREATE", "CONFIRM", "BOOTSTRAP", "INSTALL", "CONFIGURE", "INITIALIZE", "START")


def documents(states):
    """One app, which uses stores on machines of their own; a provider for each case."""
    services = [service("store", actions=FULL), service("app", uses=("store",), actions=FULL),
                service("cron", actions=FULL)]
    for entry in services:
        for action in entry["provisioner"]["actions"].values():
            action.update(type="simulated", fields={})
    return {
        "providers": [{"name": name, "providertype": "simulated", "provisioner": {"state_dir": str(path)}}
                      for name, path in states.items()],
        "hardwaretypes": [{"name": "small", "providermap": {name: {"flavor": "small"} for name in states}}],
        "imagetypes": [{"name": "deb", "providermap": {name: {"image": "none"} for name in states}}],
        "services": services,
        "clustertemplates": [shop("shop", 0, min(states)), shop("spare", 1, min(states))],
    }


def shop(name, replacements, provider):
    """A template with so many machines to spare."""
    return template(name, ["app", "store"], defaults={"provider": provider, "config": {"app": {"n": "1"}}},
                    administration={"leaseduration": {"initial": 0}, "replacements": replacements},
                    constraints={"layout": {"mustcoexist": [], "cantcoexist": [["app", "store"]]},
                                 "services": {"app": {"quantities": {"min": 1, "max": 1}},
                                              "cron": {"quantities": {"min": 1, "max": 1}}}})


class Way:
    """A cluster at a provider of its own."""

    def __init__(self, site, name):
        self.site, self.name = site, name
        self.user = site.user
        self.state = site.states[name]
        self.changes = 0
        self.id = None

    # ---- asking

    def ask(self, method, rest, body=None):
        """A request that is accepted."""
        answer = self.user.request(method, f"/v2/clusters/{self.id}{rest}", body)
        assert answer.status == 200, (self, method, rest, answer)

    def create(self, name="shop", **more):
        """Begin to create it."""
        self.id = self.user.create_cluster(self.name, name, 2, provider=self.name, **more)

    def status(self):
        """The cluster's status once it is at rest."""
        return self.site.patient(lambda: (lambda now: now != "pending" and now)(self.user.cluster_status(self.id)),
                                 f"{self} to rest")

    def ended(self, *statuses):
        """The cluster ends like this, and the provider has what the database says."""
        status = self.status()
        assert status in statuses, (self, status, self.why())
        found = self.site.compare(self)
        assert not found, (self, found)

    def why(self):
        """The text of /why."""
        return self.user.get(f"/v2/clusters/{self.id}/why").json

    def order(self, step, mode):
        """A fault from now on."""
        path = self.state / "faults" / step.lower()
        path.with_suffix(".new").write_text(ORDERS[mode] + "\n", encoding="ascii")
        path.with_suffix(".new").rename(path)

    def mend(self):
        """No faults any more."""
        for path in (self.state / "faults").iterdir():
            path.unlink()

    # ---- looking

    def story(self):
        """All that happened so far."""
        last = self.user.cluster(self.id)["lastEvent"]
        with self.user.events(self.id) as stream:
            stream.wait(lambda event: event.id == last, what=f"event {last}")
            return Story(stream.seen[:last])

    def newest(self):
        """(job, its tasks) of the newest job."""
        story = self.story()
        job = story.jobs[max(story.jobs)]
        return job, [task for task in story.tasks.values() if task.job == job["jobId"]]

    @property
    def hostnames(self):
        """Name by node number."""
        told = (node["properties"] for node in self.user.cluster(self.id)["nodes"])
        return {properties["nodenum"]: properties["hostname"] for properties in told}

    def shape(self):
        """What a roll back must bring back."""
        cluster = self.user.cluster(self.id)
        return (cluster["config"], sorted(cluster["services"]), simulated_services(self.state),
                {node["id"]: sorted(node["properties"]["services"]) for node in cluster["nodes"]})

    def hang(self, step):
        """Abort the job once the step hangs."""
        self.site.patient(lambda: any(task.name == step and task.state == "running" for task in self.newest()[1]),
                          f"{self} to hang at {step}")
        self.ask("POST", "/abort")

    def failed_by(self, step, mode):
        """The newest job failed by this step, with so many tries, and says so."""
        job, tasks = self.newest()
        assert job["status"] == "failed", (self, job)
        failed = [task for task in tasks if task.state == "failed"]
        why = self.why()["reason"]
        if mode == "hang":
            assert "Aborted by user admin" in job["message"] and "borted" in why, (self, job, why)
            assert {task.name for task in failed} <= {step}, (self, failed)
            return
        assert failed and {task.name for task in failed} == {step}, (self, failed)
        if job["action"] == "cluster_delete":
            assert all(self.hostnames[task.nodenum] in job["message"] for task in failed), (self, job)
        else:
            assert step in job["message"] and "on node" in job["message"], (self, job)
        assert job["message"] in why, (self, why)
        most = max(task.tries for task in failed)
        assert most == (TRIES if mode == "forever" else 1), (self, failed)

    def __repr__(self):
        return f"<{self.name} {self.id}>"


class Site:
    """The stack, a tenant, and a state folder per case."""

    def __init__(self, stack, folder, names):
        self.stack = stack
        self.states = {name: folder / name for name in names}
        for path in self.states.values():
            (path / "faults").mkdir(parents=True)
        stack.sql("INSERT INTO tenant (id, name) VALUES ('failures', 'failures')")
        self.user = stack.client("api.external", tenant="failures")
        for kind, entries in documents(self.states).items():
            for entry in entries:
                answer = self.user.post(f"/v2/{kind}", entry)
                assert answer.status == 200, answer

    def patient(self, check, what):
        """Wait for it as long as anything happens to any cluster: on a busy machine all of them are slow."""
        before, deadline = None, time.monotonic() + PATIENCE
        while not (value := check()):
            if time.monotonic() > deadline:
                events = self.stack.sql("SELECT SUM(event_seq) FROM cluster")
                assert events != before, f"waited for {what}, and nothing happens"
                before, deadline = events, time.monotonic() + PATIENCE
            time.sleep(0.1)
        return value

    def compare(self, way):
        """This cluster's machines and services, at its provider and in the database."""
        found = compare(self.stack, simulated(way.state), "failures", cluster=way.id)
        known = database_services(self.stack, way.id)
        return found + [(node, services, known.get(node)) for node, services in
                        simulated_services(way.state).items() if services != known.get(node)]


# ---- operations ----------------------------------------------------------------------------------


class Operation:
    """Its steps, how it is asked for, and what makes sure that it has something to do."""

    def __init__(self, steps, ask, before=None):
        self.steps, self.ask, self.before = steps, ask, before or (lambda way: None)


def changed(way):
    """Another configuration each time."""
    way.changes += 1
    return {"app": {"n": str(way.changes)}, "store": {"n": str(way.changes)}}


def settled(way, method, rest, body=None):
    """An operation that must work."""
    way.ask(method, rest, body)
    way.ended("active")


def numbers(way):
    """The machines' numbers."""
    return sorted(node["properties"]["nodenum"] for node in way.user.cluster(way.id)["nodes"])


def with_cron(way, wanted=True):
    """A third service, or not."""
    if ("cron" in way.user.cluster(way.id)["services"]) != wanted:
        settled(way, *(("POST", "/services", {"services": ["cron"]}) if wanted else
                       ("DELETE", "/services/cron")))


def machines(way, wanted):
    """So many."""
    have = numbers(way)
    if len(have) < wanted:
        settled(way, "POST", "/expand", {"count": wanted - len(have)})
    elif len(have) > wanted:
        settled(way, "POST", "/shrink", {"nodes": have[wanted:]})


OPERATIONS = {
    "configure": Operation(
        ("BOOTSTRAP", "CONFIGURE"),
        lambda way: way.ask("PUT", "/config", {"config": changed(way), "restart": False})),
    "reconfigure": Operation(
        ("BOOTSTRAP", "STOP", "CONFIGURE", "START"),
        lambda way: way.ask("PUT", "/config", {"config": changed(way)})),
    "restart": Operation(("STOP", "START"), lambda way: way.ask("POST", "/services/store/restart")),
    "stop": Operation(("STOP",), lambda way: way.ask("POST", "/services/stop"),
                      lambda way: settled(way, "POST", "/services/start")),
    "start": Operation(("START",), lambda way: way.ask("POST", "/services/start"),
                       lambda way: settled(way, "POST", "/services/stop")),
    "add": Operation(("BOOTSTRAP", "INSTALL", "CONFIGURE", "INITIALIZE", "START"),
                     lambda way: way.ask("POST", "/services", {"services": ["cron"]}),
                     lambda way: with_cron(way, False)),
    "remove": Operation(("STOP", "REMOVE"), lambda way: way.ask("DELETE", "/services/cron"), with_cron),
    "expand": Operation((*CREATE, "STOP"), lambda way: way.ask("POST", "/expand", {"count": 1}),
                        lambda way: machines(way, 2)),
    "shrink": Operation(("CONFIGURE", "STOP", "START", "DELETE"),
                        lambda way: way.ask("POST", "/shrink", {"nodes": numbers(way)[-1:]}),
                        lambda way: machines(way, 3)),
    "swap": Operation((*CREATE, "STOP", "DELETE"),
                      lambda way: way.ask("POST", f"/nodes/{numbers(way)[-1]}/replace"),
                      lambda way: machines(way, 2)),
}


def tried_twice(way, steps):
    """Each step of the newest job failed once, and nothing failed in the end."""
    job, tasks = way.newest()
    assert job["status"] == "complete", (way, job)
    for step in steps:
        assert max(task.tries for task in tasks if task.name == step and task.first) == 2, (way, step, tasks)
    assert {task.name for task in tasks if task.first} == set(steps), (way, tasks)


def change(way, operation):
    """All faults of an operation on an active cluster, one after the other."""
    way.create()
    way.ended("active")
    operation.before(way)
    for step in operation.steps:
        way.order(step, "once")
    operation.ask(way)
    way.ended("active")
    tried_twice(way, operation.steps)
    way.mend()
    for number, step in enumerate(operation.steps):
        for mode in MODES[1:] if number == 0 else MODES[1:3]:
            operation.before(way)
            before = way.shape()
            way.order(step, mode)
            operation.ask(way)
            if mode == "hang":
                way.hang(step)
            way.ended("inconsistent")
            way.failed_by(step, mode)
            way.mend()
            if mode == "forever":
                settled(way, "POST", "/rollback")
                assert way.shape() == before, (way, step)
            else:
                settled(way, "POST", "/retry")
    delete(way)


def again(way, name, step, undo):
    """The retry fails, too, and so does the roll back, whose retry brings all back."""
    operation = OPERATIONS[name]
    way.create()
    way.ended("active")
    operation.before(way)
    before = way.shape()
    way.order(step, "never")
    operation.ask(way)
    for retry in ("/retry", "/rollback"):
        way.ended("inconsistent")
        way.failed_by(step, "never")
        if retry == "/rollback":
            way.mend()
            way.order(undo, "never")
        way.ask("POST", retry)
    way.ended("inconsistent")
    way.failed_by(undo, "never")
    way.mend()
    settled(way, "POST", "/retry")
    assert way.shape() == before, way
    delete(way)


def delete(way):
    """It always ends."""
    way.ask("DELETE", "")
    way.ended("terminated")
    assert not simulated(way.state), way
    way.story().check_ended()


def created(way, step, mode):
    """A create that fails there; then it is retried, or deleted at once."""
    way.order(step, mode)
    way.create()
    if mode == "hang":
        way.hang(step)
        way.ended("terminated")
        assert not simulated(way.state), way
        return
    way.ended("incomplete")
    way.failed_by(step, mode)
    if mode == "never":
        way.mend()
        settled(way, "POST", "/retry")
    delete(way)


def created_at_last(way):
    """Every step of a create fails once."""
    for step in CREATE:
        way.order(step, "once")
    way.create()
    way.ended("active")
    tried_twice(way, CREATE)
    delete(way)


def replaced(way, step):
    """A machine that cannot be made is given up for another, which cannot be made either."""
    way.order(step, "forever")
    way.create("spare")
    way.ended("incomplete")
    way.failed_by(step, "forever")
    assert len(way.story().replaced) == 1
    way.mend()
    settled(way, "POST", "/retry")
    assert len(simulated(way.state)) == 2
    delete(way)


def rolled_back(way, step):
    """A create that takes itself back."""
    way.order(step, "never")
    way.create(onFailure="rollback")
    way.ended("terminated")
    assert not simulated(way.state), way
    assert step in way.user.cluster(way.id)["message"], way


def deleted(way, mode):
    """What the provider would not give up is named, and goes the next time."""
    way.create()
    way.ended("active")
    way.order("DELETE", mode)
    way.ask("DELETE", "")
    if mode == "hang":
        way.hang("DELETE")
    way.ended("terminated" if mode == "once" else "incomplete")
    if mode != "once":
        way.failed_by("DELETE", mode)
        way.mend()
        delete(way)
    assert not simulated(way.state), way


def expired(way, mode):
    """The end of a lease is tried again by itself."""
    way.create()
    way.ended("active")
    way.order("DELETE", mode)
    born = way.user.cluster(way.id)["createTime"]
    way.ask("POST", "", {"expireTime": born + 1})
    if mode == "hang":
        way.site.patient(lambda: any(task.name == "DELETE" for task in way.story().tasks.values()), "a delete")
        way.hang("DELETE")
    if mode != "once":
        way.site.patient(lambda: any(job["action"] == "cluster_delete" and job["status"] == "failed"
                                     for job in way.story().jobs.values()), "a delete that fails")
    way.mend()
    way.site.patient(lambda: way.user.cluster_status(way.id) == "terminated", f"the end of {way}")
    assert not simulated(way.state), way


AGAIN = {"reconfigure": ("CONFIGURE", "CONFIGURE"), "restart": ("START", "START"), "stop": ("STOP", "START"),
         "add": ("START", "REMOVE"), "remove": ("REMOVE", "INSTALL"), "expand": ("START", "DELETE"),
         "shrink": ("DELETE", "CREATE"), "swap": ("START", "DELETE")}


def cases():
    """Name -> function of a Way."""
    found = {name: lambda way, entry=entry: change(way, entry) for name, entry in OPERATIONS.items()}
    for name, steps in AGAIN.items():
        found[f"again-{name}"] = lambda way, n=name, s=steps: again(way, n, *s)
    found["create-once"] = created_at_last
    for step in CREATE:
        for mode in ("never", "forever"):
            found[f"create-{step.lower()}-{mode}"] = lambda way, s=step, m=mode: created(way, s, m)
    for step in ("CREATE", "START"):
        found[f"create-{step.lower()}-hang"] = lambda way, s=step: created(way, s, "hang")
    for step in CREATE[:3]:
        found[f"replace-{step.lower()}"] = lambda way, s=step: replaced(way, s)
    for step in ("CREATE", "INSTALL"):
        found[f"rollback-{step.lower()}"] = lambda way, s=step: rolled_back(way, s)
    for mode in MODES:
        found[f"delete-{mode}"] = lambda way, m=mode: deleted(way, m)
        found[f"expire-{mode}"] = lambda way, m=mode: expired(way, m)
    return found


CASES = cases()


@pytest.fixture(scope="module")
def running():
    """All cases at once; their futures by name. The first ones are the longest."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="failures-", dir=base_dir()))
    try:
        with Stack("failures", (*SETTINGS, f"api.host_values=state_dir={folder}/*")) as stack:
            stack.up("mariadb", "zookeeper", "api", "scheduler", "provisioner")
            site = Site(stack, folder, CASES)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                yield {name: pool.submit(run, Way(site, name)) for name, run in CASES.items()}
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("case", CASES)
def test_a_step_that_fails(running, case):
    running[case].result()
