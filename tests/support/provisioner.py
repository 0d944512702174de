# SPDX-License-Identifier: Apache-2.0
"""A loom-provisioner of its own, and a server whose answers the tests choose."""

import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest

from support import wait_for
from support.stack import ENVIRONMENT, SANITIZER, base_dir, build_dir, free_port

ACTIONS = ("create", "confirm", "delete", "bootstrap", "install", "configure", "initialize", "start",
           "stop", "remove")


class Server(http.server.ThreadingHTTPServer):
    """The internal port of a Loom server, as far as a provisioner sees it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port=0):
        self.change = threading.Condition()
        self.calls = []       # (method, path, body)
        self.tasks = []       # to be handed out
        self.rules = []       # functions (method, path, body) -> (status, body, headers) or None
        self.registered = set()
        self.slow = None      # a rule that may wait
        self.log = {}         # task -> text
        self.takes_open = 0
        self.open = set()     # connections
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        """A connection that was cut is what some tests are about."""

    def vanish(self):
        """No listener, no connection."""
        self.shutdown()
        self.server_close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def give(self, *tasks):
        """Queue tasks."""
        with self.change:
            self.tasks += tasks
            self.change.notify_all()

    def rule(self, rule):
        """Let a function answer first."""
        with self.change:
            self.rules.append(rule)

    def late(self, rule):
        """Likewise, one that takes its time: nothing else waits for it."""
        self.slow = rule

    def seen(self, method, pattern):
        """Bodies of the calls so far."""
        with self.change:
            return [body for verb, path, body in self.calls
                    if verb == method and re.fullmatch(pattern, path)]

    def wait(self, method, pattern, count=1, timeout=60):
        """Wait for so many calls; their bodies."""
        def check():
            found = self.seen(method, pattern)
            return found if len(found) >= count else None

        return wait_for(check, timeout, f"{count} x {method} {pattern}", 0.01)

    def finishes(self, count=1, timeout=60):
        """Bodies of finish calls, without what they ask for."""
        return [{key: value for key, value in body.items() if key not in ("next", "lease")}
                for body in self.wait("POST", "/v2/tasks/finish", count, timeout)]

    # ---- answering

    def answer(self, method, path, body):
        """(status, value or None, headers)"""
        with self.change:
            self.calls.append((method, path, body))
            for rule in self.rules:
                found = rule(method, path, body)
                if found:
                    return found
        found = self.slow and self.slow(method, path, body)
        if found:
            return found
        if method == "POST" and path == "/v2/tasks/take":
            return self.take(body)
        if method == "POST" and path.endswith("/log"):
            return self.keep_log(path.split("/")[3], body)
        known = re.fullmatch(r"/v2/provisioners/([^/]+)(/heartbeat)?", path)
        with self.change:
            if known and method == "PUT":
                self.registered.add(known[1])
            elif known and method == "DELETE":
                self.registered.discard(known[1])
            elif known and known[1] not in self.registered:
                return 404, None, {}
            elif known:
                leases = [{**task, "ok": True} for task in body["tasks"]]
                return 200, {"leases": leases, "cancel": []}, {}
        return 200, None, {}

    def take(self, body):
        """Hold the request until there is a task."""
        deadline = time.monotonic() + body["wait"]
        with self.change:
            if body["provisionerId"] not in self.registered:
                return 403, None, {}
            self.takes_open += 1
            while not self.tasks and time.monotonic() < deadline:
                self.change.wait(0.1)
            self.takes_open -= 1
            given = self.tasks[:body["max"]]
            del self.tasks[:body["max"]]
        return (200, {"tasks": given}, {}) if given else (204, None, {})

    def keep_log(self, task, body):
        """Chunks by their offset."""
        with self.change:
            have = self.log.get(task, b"")
            data = body["data"].encode()
            assert body["offset"] <= len(have)
            self.log[task] = have[:body["offset"]] + data
        return 200, None, {}


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Silence."""

    def serve(self):
        """Any method."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, value, headers = self.server.answer(self.command, self.path,
                                                    json.loads(raw) if raw else None)
        text = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, content in headers.items():
            self.send_header(name, content)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_DELETE = serve


class Provisioner:
    """One loom-provisioner with plugins of its own."""

    def __init__(self, directory, server_port, **settings):
        self.dir = directory
        self.server_port = server_port
        self.work = directory / "work"
        self.settings = settings
        self.process = None
        self.admin = None
        self.count = 0

    def plugin(self, folder, name, script, timeout=30, actions=ACTIONS):
        """Make a plugin; its script sees the action as $1."""
        home = self.dir / "plugins" / folder / name
        home.mkdir(parents=True, exist_ok=True)
        kind = {"providers": "providertypes", "automators": "automatortypes"}[folder]
        (home / "run").write_text(f"#!/bin/bash\n{script}\n")
        (home / "run").chmod(0o755)
        (home / "plugin.json").write_text(json.dumps({
            "name": name, "exec": "run", kind: [name],
            "actions": {action: {"timeout": timeout} for action in actions},
            name: {"name": name, "parameters": {"admin": {"fields": {}, "required": []}}}}))

    def start(self, **more):
        """Run it."""
        self.admin = self.admin or free_port(self.dir)
        values = {"admin_listen": f"127.0.0.1:{self.admin}", "plugin_dir": self.dir / "plugins",
                  "server_uri": f"http://127.0.0.1:{self.server_port}", "work_dir": self.work,
                  "log_level": "debug", **self.settings, **more}
        config = self.dir / "provisioner.conf"
        config.write_text("".join(f"{key} = {value}\n" for key, value in values.items()))
        self.count += 1
        with open(self.dir / f"log.{self.count}", "wb") as log:
            self.process = subprocess.Popen(
                [str(build_dir() / "bin/loom-provisioner"), "--config", str(config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**ENVIRONMENT, **os.environ})
        return self

    def ready(self):
        """Wait until /readyz says so."""
        wait_for(lambda: self.get("/readyz")[0] == 200, 60, "readyz")
        return self

    def get(self, path):
        """(status, text) of the admin port; 0 when it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def signal(self, number=signal.SIGTERM):
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout=60):
        """Its exit code."""
        return self.process.wait(timeout)

    def logs(self):
        """All it wrote, over all its lives."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.dir.glob("log.*")))

    def spooled(self):
        """Names of the kept results."""
        return sorted(path.name for path in (self.work / "spool").glob("*.json"))

    def scratch(self):
        """Folders of running tasks."""
        return list((self.work / "scratch").iterdir())

    def close(self):
        """Kill what runs."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(60)


def task(number, name="CREATE", attempt=1, **config):
    """A task of the type of plugin "p" or "a"."""
    return {"taskId": f"00000001-001-{number:03}", "jobId": "00000001-001", "clusterId": "00000001",
            "nodeId": f"node-{number}", "taskName": name, "attempt": attempt, "leaseMs": 8000,
            "tenantId": "t1",
            "config": {"provider": {"providertype": "p"}, "automators": ["a"],
                       "service": {"name": "s", "action": {"type": "a", "fields": {}}}, **config}}


def alive(pid):
    """Whether the process runs (a zombie does not)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def pid_in(path):
    """The pid that a plugin wrote."""
    return int(wait_for(lambda: path.exists() and path.read_text().strip(), 60, str(path), 0.01))


@pytest.fixture(name="server")
def fixture_server():
    """A server that behaves until told otherwise."""
    made = Server()
    yield made
    made.vanish()


@pytest.fixture(name="make")
def fixture_make(server):
    """make(**settings): a provisioner with the plugins "p" and "a", not started."""
    made = []

    def factory(**settings):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="prov-", dir=base_dir()))
        settings = {"provisioner_id": "prov-1", **settings}
        one = Provisioner(directory, server.port, **settings)
        one.plugin("providers", "p", 'echo "doing $1"; echo \'{"result":{"providerid":"m1"}}\' >&3')
        one.plugin("automators", "a", 'echo "doing $1"; echo "{\\"result\\":{\\"$1\\":true}}" >&3')
        made.append(one)
        return one

    yield factory
    problems = []
    for one in made:
        one.close()
        problems += [match.group(0) for match in SANITIZER.finditer(one.logs())]
        subprocess.run(["rm", "-rf", str(one.dir)], check=True)
    assert not problems


HANG = """(echo $BASHPID >"$LOOM_WORK_DIR/child"; while :; do sleep 1; done) &
echo started; echo $$ >"$LOOM_WORK_DIR/pid"; while :; do sleep 1; done"""


def hanging(make, script=HANG, **settings):
    """A provisioner whose provider never ends, with the paths of its pids."""
    prov = make(**settings)
    prov.plugin("providers", "p", script)
    home = prov.work / "plugins/providers/p"
    return prov.start(), home / "pid", home / "child"
