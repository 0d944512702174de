# SPDX-License-Identifier: Apache-2.0
"""A provisioner in a few threads: registers, heartbeats, takes and finishes tasks over REST.

It has no plug-ins. A script, a function called with each Run, decides what a task does: it may wait,
fail, or return what the finish call says. Without one every task succeeds at once.
"""

import http.client
import itertools
import json
import socket
import threading
import time

from .api import Api

NUMBERS = itertools.count(1)


class Died(Exception):
    """The worker was killed while a script ran."""


class Run:
    """One task as one attempt of it was given to one worker."""

    def __init__(self, worker, task):
        self.worker = worker
        self.task = task
        self.id = task["taskId"]
        self.attempt = task.get("attempt")
        self.claim = task.get("claim")
        self.name = task["taskName"]
        self.node = task["nodeId"]
        self.config = task["config"]
        self.nodenum = self.config["nodenum"]
        self.service = self.config.get("service", {}).get("name", "")
        self.began = time.monotonic()
        self.ended = None
        self.answer = None  # status of the finish call
        self.lost = threading.Event()  # a heartbeat's answer said that the lease is gone

    def pause(self, seconds):
        """Work for so long; Died when the worker is killed meanwhile."""
        if self.worker.dead.wait(seconds):
            raise Died

    def wait(self, event, timeout=60):
        """Wait for an event of the test; Died when the worker is killed meanwhile."""
        deadline = time.monotonic() + timeout
        while not event.wait(0.02):
            if self.worker.dead.is_set():
                raise Died
            assert time.monotonic() < deadline, f"{self} waited {timeout} s"

    def __repr__(self):
        return f"<{self.id} #{self.attempt} {self.name} {self.service} on {self.nodenum}: {self.answer}>"


class Gate:
    """A script that holds the tasks it is meant for until the test opens it."""

    def __init__(self, name=None, service=None, node=None, then=None):
        self.match = {"name": name, "service": service, "nodenum": node}
        self.then = then
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.run = None

    def __call__(self, run):
        if all(value is None or getattr(run, key) == value for key, value in self.match.items()):
            self.run = run
            self.reached.set()
            run.wait(self.opened)
        return self.then(run) if self.then else None

    def wait(self, timeout=60):
        """Until a task is held; answers its Run."""
        assert self.reached.wait(timeout), f"no task {self.match} came within {timeout} s"
        return self.run

    def open(self):
        """Let it go on."""
        self.opened.set()


def address(run):
    """The address that a machine gets."""
    return f"10.9.{run.nodenum // 250 % 250}.{run.nodenum % 250 + 1}"


def success(run):
    """What a well-behaved plug-in reports."""
    if run.name == "CREATE":
        return {"status": 0, "result": {"providerid": f"machine-{run.nodenum}"}}
    if run.name == "CONFIRM":
        return {"status": 0, "ipaddresses": {"access_v4": address(run), "bind_v4": address(run)}}
    return {"status": 0}


class Worker:
    """One provisioner process. `original`: the original's protocol, without waits and attempts.
    `brings`: results ask for the next task."""

    def __init__(self, urls, script=None, name=None, tenant="*", slots=4, beat=0.4, wait=5,
                 lease=True, original=False, brings=False, token=None):
        self.clients = [Api(url, user=None, timeout=60, token=token) for url in urls]
        self.script = script
        self.name = name or f"worker-{next(NUMBERS)}"
        self.tenant = tenant
        self.slots = slots
        self.beat = beat
        self.long = wait
        self.lease = lease
        self.original = original
        self.brings = brings
        self.runs = []
        self.problems = []
        self.dead = threading.Event()
        self.leaving = threading.Event()
        self._lock = threading.Lock()
        self._free = threading.Condition(self._lock)
        self._active = {}
        self._sockets = set()
        self._threads = []

    # ---- requests

    @property
    def who(self):
        """What take and finish say about the worker."""
        return {"provisionerId": self.name, "workerId": f"{self.name}.1", "tenantId": self.tenant}

    def call(self, method, path, body=None, timeout=60):
        """(status, body) of one request to the first server; (0, reason) when it does not answer.
        A server that does not answer is asked last next time."""
        client = self.clients[0]
        connection, prefix = client.connect(timeout)
        try:
            connection.connect()
            with self._lock:
                self._sockets.add(connection.sock)
            if self.dead.is_set():
                return 0, b"killed"
            connection.request(method, prefix + path, json.dumps(body) if body is not None else None,
                               {**client.identity, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            with self._lock:
                if self.clients[0] is client:
                    self.clients.append(self.clients.pop(0))
            return 0, str(error).encode()
        finally:
            with self._lock:
                self._sockets.discard(connection.sock)
            connection.close()

    def register(self):
        """Say who we are; answers the status."""
        return self.call("PUT", f"/v2/provisioners/{self.name}", {
            "id": self.name, "host": "127.0.0.1", "port": "1", "capacityTotal": str(self.slots)})[0]

    def take(self, wait=0, most=1, **more):
        """One take call: (status, list of Runs). Neither runs nor finishes them."""
        body = dict(self.who)
        if not self.original:
            body.update({"wait": wait, "max": most, "lease": self.lease, "claim": True})
        body.update(more)
        status, text = self.call("POST", "/v2/tasks/take", body, wait + 60)
        return status, self._given(text) if status == 200 else []

    def _given(self, text):
        answer = json.loads(text or "{}")
        runs = [Run(self, task) for task in answer.get("tasks", [answer] if "taskId" in answer else [])]
        with self._lock:
            self.runs += runs
        return runs

    def finish(self, run, **result):
        """One finish call with this result; answers the status."""
        return self.finish_for_more(run, **result)[0]

    def finish_for_more(self, run, **result):
        """One finish call, with `next` for so many tasks: (status, list of Runs)."""
        body = {**self.who, "taskId": run.id, "status": 0, **result}
        if not self.original:
            body.setdefault("attempt", run.attempt)
            body.setdefault("claim", run.claim)
        if result.get("next"):
            body.setdefault("lease", self.lease)
        status, text = self.call("POST", "/v2/tasks/finish", body)
        return status, self._given(text) if status == 200 else []

    def heartbeat(self, runs=None):
        """One heartbeat: (status, lease answers by task id)."""
        body = {"usage": {}}
        if runs is not None:
            body["tasks"] = [{"taskId": run.id, "attempt": run.attempt, "claim": run.claim} for run in runs]
        status, text = self.call("POST", f"/v2/provisioners/{self.name}/heartbeat", body)
        leases = json.loads(text).get("leases", []) if status == 200 and text else []
        return status, {lease["taskId"]: lease["ok"] for lease in leases}

    # ---- living

    def start(self):
        """Register and begin to work."""
        self._until(lambda: self.register() == 200)
        self._spawn(self._take_loop)
        if self.lease and not self.original:
            self._spawn(self._beat_loop)
        return self

    def kill(self):
        """Be gone at once, as a process after kill -9: nothing more is said."""
        self.dead.set()
        with self._lock:
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self._free.notify_all()
        for thread in list(self._threads):
            thread.join(20)

    def stop(self, timeout=60):
        """Take nothing more, finish what runs, leave. Raises what went wrong in the scripts."""
        self.leaving.set()
        with self._free:
            done = self._free.wait_for(lambda: not self._active, timeout)
        self.kill()
        assert done, f"{self.name} still runs {list(self._active.values())}"
        assert not self.problems, self.problems

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind:
            self.kill()
        elif not self.dead.is_set():
            self.stop()

    def of(self, name, service=None):
        """The runs of one kind of task."""
        return [run for run in self.runs if run.name == name and service in (None, run.service)]

    def _spawn(self, target, *args):
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _until(self, check):
        while not self.dead.is_set() and not check():
            self.dead.wait(0.1)

    def _take_loop(self):
        while not self.dead.is_set() and not self.leaving.is_set():
            with self._free:
                free = self.slots - len(self._active)
                if free <= 0:
                    self._free.wait(0.5)
                    continue
            status, runs = self.take(0 if self.original else self.long, free)
            self._begin(runs)
            if status == 403:
                self.register()
            elif status != 200 and (status != 204 or self.original):
                self.dead.wait(0.05)

    def _begin(self, runs):
        for run in runs:
            with self._lock:
                self._active[run.id, run.attempt] = run
            self._spawn(self._work, run)

    def _beat_loop(self):
        while not self.dead.wait(self.beat):
            with self._lock:
                active = list(self._active.values())
            status, leases = self.heartbeat(active)
            if status == 404:
                self.register()
            for run in active:
                if status == 200 and not leases.get(run.id, True):
                    run.lost.set()

    def _work(self, run):
        try:
            result = {**success(run), **((self.script(run) if self.script else None) or {})}
            self._until(lambda: self._deliver(run, result))
        except Died:
            pass
        except Exception as error:
            self.problems.append(f"{run}: {error!r}")
        finally:
            with self._free:
                self._active.pop((run.id, run.attempt), None)
                self._free.notify_all()

    def _deliver(self, run, result):
        more = {"next": 1} if self.brings and not self.leaving.is_set() else {}
        status, runs = self.finish_for_more(run, **more, **result)
        self._begin(runs)
        if status == 403:
            self.register()
        if status in (0, 403, 500, 503):
            return False
        run.answer, run.ended = status, time.monotonic()
        return True


def by_hand(lab, **options):
    """A registered worker that does only what the test calls."""
    worker = lab.worker(start=False, **options)
    assert worker.register() == 200
    return worker


def take_one(worker):
    """The next task."""
    status, runs = worker.take(wait=60)
    assert status == 200 and len(runs) == 1, (status, runs)
    return runs[0]
