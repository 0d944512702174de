# SPDX-License-Identifier: Apache-2.0
"""Every operation, while the scheduler breaks at its transactions, ends as if nothing had been.

Failpoints of common/db cut the scheduler's connection, or end the scheduler, before, in or after a
commit. The journeys below take clusters through all operations; each is made once undisturbed and
once under each failpoint, and what is there in the end, in the database, at the simulated provider
and at the target of callbacks, must be the same.
"""

import collections
import itertools
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stacklib import process
from support import Stack, wait_for
from support.lab import CATALOG, Lab, make_tenants, service, template
from support.machines import compare
from support.receiver import Receiver
from support.stack import ENVIRONMENT
from support.worker import Died

PATIENCE = 150  # schedulers die one after the other
FULL = ("install", "configure", "start", "stop", "remove")
SETTINGS = ("scheduler.task_lease_ms=1s", "scheduler.job_lease_ms=1s", "scheduler.poll_ms=100ms",
            "scheduler.retry_base_ms=10ms", "scheduler.retry_cap_ms=50ms", "scheduler.task_tries=9",
            "scheduler.db_connections=4", "scheduler.zk_session=2s", "scheduler.lease_retry_ms=100ms",
            "scheduler.callback_allow=127.0.0.1", "scheduler.callback_base_ms=10ms",
            "scheduler.callback_cap_ms=50ms", "scheduler.callback_tries=1000",
            "scheduler.callback_timeout_ms=1s")


def farm(name, most):
    """A template: one store, and applications that use it, on machines of their own."""
    return template(name, ["base", "app", "store"],
                    defaults={"config": {"app": {"port": "80"}, "store": {"size": "1"}}},
                    constraints={"layout": {"mustcoexist": [], "cantcoexist": [["app", "store"]]},
                                 "services": {"store": {"quantities": {"min": 1, "max": 1}},
                                              "cron": {"quantities": {"min": 1, "max": 1}}},
                                 "size": {"min": 2, "max": most}})


FARM = {
    **{kind: CATALOG[kind] for kind in ("providers", "hardwaretypes", "imagetypes")},
    "services": [
        service("base", actions=("install",)),
        service("app", uses=("store",), install=("base",), actions=FULL),
        service("store", install=("base",), actions=FULL),
        service("cron", install=("base",), actions=FULL)],
    "clustertemplates": [farm("farm", 6), farm("plot", 3)],
}
AFTER = {"INSTALL": "installed", "CONFIGURE": None, "INITIALIZE": None, "START": "running",
         "STOP": "stopped", "REMOVE": "gone"}


class Provider:
    """A worker's script: machines and the state of their services, as a provider would keep them.

    Every step may come again (its result was lost with a scheduler), and is applied again.
    """

    def __init__(self):
        self.machines = {}
        self.lock = threading.Lock()
        self.gates = []
        self.failing = []  # once each
        self.broken = []   # for good, as long as they are here
        self.weak = None   # at each try

    def __call__(self, run):
        for gate in list(self.gates):
            gate(run)
        if run.lost.is_set():
            raise Died  # as a provisioner stops a plugin whose lease is gone
        with self.lock:
            for number, check in enumerate(self.failing):
                if check(run):
                    del self.failing[number]
                    return {"status": 1, "stderr": "not this time"}
            if any(check(run) for check in self.broken):
                return {"status": 1, "stderr": "never", "retry": False}
            if self.weak and self.weak(run):
                return {"status": 1, "stderr": "not at all"}
            self.apply(run)
        return None

    def apply(self, run):
        """Do it."""
        if run.name == "CREATE":
            self.machines.setdefault(run.node, {})
        elif run.name == "DELETE":
            self.machines.pop(run.node, None)
        elif run.service:
            self.machines[run.node][run.service] = AFTER[run.name] or self.machines[run.node][run.service]


class Hold:
    """Keeps the tasks of one kind until it is opened; attempts that come again too."""

    def __init__(self, provider, name, service=None):
        self.provider = provider
        self.kind = (name, service)
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __enter__(self):
        self.provider.gates.append(self)
        return self

    def __exit__(self, *_):
        self.opened.set()
        self.provider.gates.remove(self)

    def __call__(self, run):
        if self.kind in ((run.name, None), (run.name, run.service)):
            self.reached.set()
            run.wait(self.opened, PATIENCE)

    def wait(self):
        """Until one is held."""
        assert self.reached.wait(PATIENCE), f"no task {self.kind}"


class Broken:
    """Steps of one kind fail for good as long as this lasts."""

    def __init__(self, provider, name, service=None):
        self.provider = provider
        self.check = lambda run: run.name == name and service in (None, run.service)

    def __enter__(self):
        self.provider.broken.append(self.check)

    def __exit__(self, *_):
        self.provider.broken.remove(self.check)


class Journey:
    """One cluster of one tenant, asked for operation after operation."""

    def __init__(self, lab, receiver):
        self.lab = lab
        self.receiver = receiver
        self.provider = Provider()
        self.worker = lab.worker(self.provider, slots=4, beat=0.3, wait=2)
        self.ends = []
        self.cluster = None

    # ---- asking

    def until(self, call, good=(200,)):
        """Ask again while no scheduler answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = call()
            if answer.status not in (0, 503):
                break
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        assert answer.status in good, answer
        return answer

    def load(self, catalog):
        """Store the catalog: each document under a key, as it may have to be sent again."""
        for kind, documents in catalog.items():
            for document in documents:
                key = {"Idempotency-Key": f"{kind}-{document['name']}"}
                self.until(lambda: self.lab.admin.post(f"/v2/{kind}", document, headers=key))

    def post(self, rest, body=None):
        """An operation."""
        return self.until(lambda: self.lab.user.post(f"/v2/clusters/{self.cluster}/{rest}", body))

    def create(self, size=3, name="farm", **more):
        """Begin to create it."""
        body = {"name": name, "clusterTemplate": name, "numMachines": size, **more}
        self.cluster = self.until(lambda: self.lab.user.post("/v2/clusters", body)).json["id"]

    def delete(self):
        """Begin to delete it."""
        self.until(lambda: self.lab.user.delete(f"/v2/clusters/{self.cluster}"))

    def abort(self):
        """Abort the job that runs now; heard or not, it is asked for until that job has ended."""
        job = self.lab.user.cluster(self.cluster)["latestJobId"]
        deadline = time.monotonic() + PATIENCE
        while self.lab.user.post(f"/v2/clusters/{self.cluster}/abort").status != 200:
            now = self.lab.user.cluster(self.cluster)
            if now["latestJobId"] != job or now["status"] != "pending":
                return
            assert time.monotonic() < deadline, "no scheduler aborted it"

    def status(self):
        """The cluster's status."""
        return self.lab.user.cluster_status(self.cluster)

    # ---- looking

    def ended(self, status, raced=False):
        """Wait for the end of what was asked, and keep what is there then. Raced: how far other
        machines got until one failed differs from run to run."""
        wait_for(lambda: self.status() == status, PATIENCE, f"{self.cluster} to be {status}")
        found = compare(self.lab.stack, self.provider.machines, self.lab.name)
        assert not found, (self.cluster, status, found)
        self.ends.append(status if raced else self.look(status))

    def look(self, status):
        """What is there, without what differs from run to run."""
        cluster = self.lab.user.cluster(self.cluster)
        nodes = {node["id"]: node["properties"] for node in cluster["nodes"]}
        numbers = {name: properties["nodenum"] for name, properties in nodes.items()}
        return {
            "status": status, "services": sorted(cluster["services"]),
            "template": cluster["clusterTemplate"]["version"],
            "nodes": {properties["nodenum"]: properties["services"]
                      for properties in nodes.values()},
            "machines": {numbers.get(name, name): dict(services)
                         for name, services in self.provider.machines.items()},
        }

    def check(self):
        """The rules that hold whatever happened, once the worker has heard of all its results."""
        self.worker.stop(PATIENCE)
        story = self.lab.story(self.cluster).check_ended()
        handed = collections.Counter((run.id, run.attempt) for run in self.worker.runs)
        assert all(count == 1 for count in handed.values()), handed.most_common(3)
        for task in story.tasks.values():
            counted = [run for run in self.worker.runs if run.id == task.id and run.answer == 200]
            if task.state == "complete":
                assert [run for run in counted if run.attempt == task.attempts[-1]], (task, counted)
        number = int(self.cluster)
        rows = self.lab.stack.sql(
            f"SELECT (SELECT COUNT(*) FROM task WHERE cluster_id={number} AND state NOT IN"
            f" ('complete','failed','dropped')), (SELECT COUNT(*) FROM job WHERE cluster_id={number}"
            f" AND phase<>'end'), (SELECT COUNT(*)-MAX(seq) FROM event WHERE cluster_id={number}),"
            f" (SELECT event_seq FROM cluster WHERE id={number})")
        assert rows == [["0", "0", "0", str(len(story.events))]], rows
        self.ends.append({"told": self.told(), "expired": sum("expired" in data for data in story.leases)})
        return story

    def told(self):
        """(event, operation, status of the cluster) of all callbacks, without those that came again."""
        left = []

        def none_left():
            nonlocal left
            left = self.until(lambda: self.lab.admin.get("/v2/callbacks")).json
            return not left

        try:
            wait_for(none_left, PATIENCE, "all callbacks to be told")
        except AssertionError:
            raise AssertionError(f"not told: {left}") from None
        calls = {call.delivery: call for call in reversed(self.receiver.of("all", cluster=self.cluster))}
        told = []
        for call in reversed(calls.values()):
            told.append((call.event, call.action, call.json["cluster"]["status"]))
            if call.event == "failure" and told[-2:] == told[-4:-2]:
                del told[-2:]  # how often an expired cluster's deletion fails is a matter of time
        return told


# ---- the journeys --------------------------------------------------------------------------------


def services(way):
    """Configure both ways, add, remove, stop, start, restart, delete."""
    way.create()
    way.ended("active")
    config = {"app": {"port": "8080"}, "store": {"size": "1"}}
    for restart in (True, False):
        config["app"]["port"] += "1"
        way.until(lambda: way.lab.user.put(f"/v2/clusters/{way.cluster}/config",
                                           {"config": config, "restart": restart}))
        way.ended("active")
    way.post("services", {"services": ["cron"]})
    way.ended("active")
    way.post("services/app/stop")
    way.ended("active")
    way.post("services/start")
    way.ended("active")
    way.post("services/store/restart")
    way.ended("active")
    way.until(lambda: way.lab.user.delete(f"/v2/clusters/{way.cluster}/services/cron"))
    way.ended("active")
    way.delete()
    way.ended("terminated")


def size(way):
    """Expand, shrink, delete."""
    way.create()
    way.ended("active")
    way.post("expand", {"count": 2})
    way.ended("active")
    way.post("shrink", {"count": 3})
    way.ended("active")
    numbers = [node["properties"]["nodenum"] for node in way.lab.user.cluster(way.cluster)["nodes"]]
    way.post(f"nodes/{numbers[0]}/replace")
    way.ended("active")
    way.post("expand", {"count": 1})
    way.ended("active")
    way.delete()
    way.ended("terminated")


def paused(way):
    """A create and a restart that are paused and go on."""
    with Hold(way.provider, "CONFIRM") as held:
        way.create()
        held.wait()
        way.post("pause")
    wait_for(lambda: all(run.answer for run in way.worker.runs if not run.lost.is_set()), PATIENCE)
    assert way.status() == "pending"
    way.post("resume")
    way.ended("active")
    with Hold(way.provider, "STOP") as held:
        way.post("services/restart")
        held.wait()
        way.post("pause")
        way.post("resume")
    way.ended("active")
    way.delete()
    way.ended("terminated")


def aborted_create(way):
    """What an aborted create has made goes again."""
    with Hold(way.provider, "INSTALL") as held:
        way.create()
        held.wait()
        way.abort()
    way.ended("terminated")


def aborted_restart(way):
    """An aborted restart leaves a cluster that can be repaired, and deleted half-stopped."""
    way.create(2)
    way.ended("active")
    with Hold(way.provider, "STOP", "store") as held:
        way.post("services/store/restart")
        held.wait()
        way.abort()
    wait_for(lambda: way.status() == "inconsistent", PATIENCE)
    way.post("services/start")
    way.ended("active")
    with Hold(way.provider, "STOP", "store") as held:
        way.post("services/store/restart")
        held.wait()
        way.abort()
    wait_for(lambda: way.status() == "inconsistent", PATIENCE)
    way.delete()
    way.ended("terminated")


def failing(way):
    """Steps that fail are tried again; a machine that fails is made anew."""
    way.provider.failing += [lambda run: run.name == "CONFIRM", lambda run: run.name == "CREATE",
                             lambda run: (run.name, run.service) == ("INSTALL", "app")]
    way.create()
    way.ended("active")
    way.provider.failing += [lambda run: run.name == "STOP", lambda run: run.name == "DELETE"]
    way.post("services/app/restart")
    way.ended("active")
    way.delete()
    way.ended("terminated")


def retried(way):
    """A create that fails twice is retried to its end; of a restart a step is skipped."""
    with Broken(way.provider, "INSTALL", "app"):
        way.create()
        way.ended("incomplete", raced=True)
    with Broken(way.provider, "START", "app"):  # of what was not installed: not done yet
        way.post("retry")
        way.ended("incomplete", raced=True)
    way.post("retry")
    way.ended("active")
    with Broken(way.provider, "STOP", "app"):
        way.post("services/store/restart")
        way.ended("inconsistent")
        story = way.lab.story(way.cluster)
        skip = [task.id for task in story.tasks.values() if task.job == max(story.jobs) and
                (task.name, task.service) == ("STOP", "app")]
        way.post("retry", {"skip": skip})
        way.ended("active")
    way.delete()
    way.ended("terminated")


def undeletable(way):
    """A delete that fails is asked for again."""
    way.create(2)
    way.ended("active")
    with Broken(way.provider, "DELETE"):
        way.delete()
        way.ended("incomplete")
    way.delete()
    way.ended("terminated")


def synced(way):
    """A newer template counts for what comes after it."""
    way.create(3, "plot")
    way.ended("active")
    way.until(lambda: way.lab.admin.put("/v2/clustertemplates/plot", farm("plot", 4)))
    refused = way.until(lambda: way.lab.user.post(f"/v2/clusters/{way.cluster}/expand", {"count": 1}), (400,))
    assert "3" in refused.text
    way.post("clustertemplate/sync")
    way.ended("active")
    way.post("expand", {"count": 1})
    way.ended("active")
    way.delete()
    way.ended("terminated")


def leased(way):
    """The lease ends, though the machines are not given up at first."""
    way.create(2)
    way.ended("active")
    with Broken(way.provider, "DELETE"):
        end = way.lab.user.cluster(way.cluster)["createTime"] + 1
        way.until(lambda: way.lab.user.post(f"/v2/clusters/{way.cluster}", {"expireTime": end}), (200, 400))
        wait_for(lambda: any(job["status"] == "failed" for job in way.lab.story(way.cluster).jobs.values()),
                 PATIENCE, "a delete that fails")
    # The next deletion of what has expired may be under way, and may have met both: which machines
    # are left for the last one differs.
    way.ended("terminated")
    del way.ends[-1]["nodes"]


def undone(way):
    """A machine is replaced, an expand rolled back, a restart ended by a deletion."""
    way.provider.weak = lambda run: (run.name, run.nodenum) == ("BOOTSTRAP", 1001)
    way.create()
    way.ended("active")
    with Broken(way.provider, "START", "app"):
        way.post("expand", {"count": 2})
        way.ended("inconsistent", raced=True)
    way.post("rollback")
    way.ended("active")
    with Hold(way.provider, "STOP", "app") as held:
        way.post("services/store/restart")
        held.wait()
        way.delete()
    way.ended("terminated")


def taken_back(way):
    """A create that cannot finish takes itself back."""
    with Broken(way.provider, "START", "store"):
        way.create(onFailure="rollback")
        way.ended("terminated")


JOURNEYS = (services, size, paused, aborted_create, aborted_restart, failing, retried, undeletable, synced,
            leased, undone, taken_back)


# ---- the broken part -----------------------------------------------------------------------------


class Part:
    """A part of the stack, run by the test so that each life of it can have failpoints."""

    def __init__(self, stack, name, fail):
        self.stack = stack
        self.name = name
        self.fail = fail  # an iterator over LOOM_DB_FAIL of each life
        self.deaths = 0
        self.child = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._live, daemon=True)

    def _spawn(self):
        fail = next(self.fail)
        env = {**ENVIRONMENT, **process.clean_env(self.stack.dir)}
        env.update({"LOOM_DB_FAIL": fail} if fail else {})
        with open(self.stack.dir / "log" / f"{self.name}.log", "ab") as log:
            self.child = subprocess.Popen(
                [self.stack.bin / f"loom-{self.name}", "--config",
                 self.stack.dir / "etc" / f"loom-{self.name}.conf"],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.stack.dir)

    def _live(self):
        while not self.ending.is_set():
            self._spawn()
            code = self.child.wait()
            self.deaths += code == -signal.SIGKILL  # by a failpoint: at the end it is asked to end
            assert self.ending.is_set() or code == -signal.SIGKILL, f"{self.name} ended with {code}"

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        alive = self.thread.is_alive()
        self.ending.set()
        wait_for(lambda: self.child)
        self.child.terminate()
        self.thread.join(60)
        assert alive and not self.thread.is_alive(), f"{self.name} failed, or does not end"


@pytest.fixture(scope="module")
def site():
    """A stack, an endless supply of tenants, and a target of all callbacks."""
    receiver = Receiver()
    with Stack("crashes", (*SETTINGS, f"scheduler.callback_url={receiver.url('all')}")) as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        yield stack, make_tenants(stack), receiver
    receiver.close()


def counted(stack, name):
    """Transactions that the part had to run again, and commits of unknown outcome."""
    text = stack.client({"api": "api.internal", "scheduler": "scheduler.admin"}[name]).get("/metrics").text
    return sum(int(line.split()[-1]) for line in text.splitlines()
               if line.startswith(("loom_db_retries_total", "loom_db_doubts_total")))


def travel(site, fail, name="scheduler"):
    """All journeys at once with a part of these failpoints: their ends by name, its deaths, its cuts."""
    stack, tenants, receiver = site
    labs = [Lab(stack, *next(tenants)) for _ in JOURNEYS]
    stack.stop(name)
    try:
        with Part(stack, name, iter(fail)) as part, ThreadPoolExecutor(len(labs)) as pool:
            wait_for(lambda: labs[0].admin.get("/v2/providers").status == 200)
            ways = [Journey(lab, receiver) for lab in labs]
            for way in ways:
                way.load(FARM)
            running = [pool.submit(journey, way) for journey, way in zip(JOURNEYS, ways)]
            for job in running:
                job.result()
            for way in ways:
                way.check()
            cuts = counted(stack, name) if not part.deaths else 0
    finally:
        for lab in labs:
            lab.close()
        stack.start(name)
    return {journey.__name__: way.ends for journey, way in zip(JOURNEYS, ways)}, part.deaths, cuts


@pytest.fixture(scope="module")
def undisturbed(site):
    """How the journeys end when nothing happens."""
    ends, deaths, _ = travel(site, itertools.repeat(None))
    assert not deaths
    for name, steps in ends.items():
        assert steps[-2]["status"] == "terminated" and not steps[-2]["machines"], name
        assert steps[-1]["told"][-1][::2] == ("success", "terminated"), name
        assert steps[-1]["expired"] == (name == "leased")
    return ends


def same(ends, wanted):
    """Step by step, so that a difference is readable."""
    for name, steps in wanted.items():
        for number, step in enumerate(steps):
            assert ends[name][number] == step, f"{name}, step {number}"
        assert len(ends[name]) == len(steps)


@pytest.mark.parametrize("fail", ["before_commit:/2,after_commit:/1", "during_commit:/2"])
def test_connection_cut(site, undisturbed, fail):
    """What is cut before or in its commit is run again as the next run: /2 cuts each one once."""
    ends, deaths, cuts = travel(site, itertools.repeat(fail))
    assert not deaths and cuts > 100
    same(ends, undisturbed)


def test_api_connection_cut(site, undisturbed):
    """What users and workers ask for through an API whose commits go unheard is done once."""
    ends, deaths, cuts = travel(site, itertools.repeat("during_commit:/2"), "api")
    assert not deaths and cuts > 20
    same(ends, undisturbed)
    versions = site[0].sql("SELECT DISTINCT version FROM entity WHERE name='farm'")
    assert versions == [["1"]]


def test_scheduler_killed(site, undisturbed):
    """Each kind of transaction is the end of a scheduler, once before and once after its commit."""
    ended = site[0].dir / "ended"
    ends, deaths, _ = travel(site, itertools.repeat(f"exit_each:{ended}"))
    places = [line.split() for line in ended.read_text(encoding="ascii").splitlines()]
    assert len(places) == deaths and len({tuple(place) for place in places}) == deaths
    before = {kind for place, kind in places if place == "before_commit"}
    after = {kind for place, kind in places if place == "after_commit"}
    assert len(before) >= 40 and after <= before, (len(before), len(after))
    same(ends, undisturbed)
