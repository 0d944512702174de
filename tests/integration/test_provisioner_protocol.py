# SPDX-License-Identifier: Apache-2.0
"""loom-provisioner against a server that can be told to misbehave: refuse, forget, vanish, lie.

The server of these tests is a peer made for them, because a real one cannot be told to answer 503
to the second call. Plugins are small shell scripts run as real child processes.
"""

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
from support.stack import ENVIRONMENT, SANITIZER, base_dir, build_dir

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

    def wait(self, method, pattern, count=1, timeout=15):
        """Wait for so many calls; their bodies."""
        def check():
            found = self.seen(method, pattern)
            return found if len(found) >= count else None

        return wait_for(check, timeout, f"{count} x {method} {pattern}", 0.01)

    def finishes(self, count=1, timeout=15):
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
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            self.admin = sock.getsockname()[1]
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
        wait_for(lambda: self.get("/readyz")[0] == 200, 15, "readyz")
        return self

    def get(self, path):
        """(status, text) of the admin port; 0 when it does not listen."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def signal(self, number=signal.SIGTERM):
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self, timeout=20):
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
            self.process.wait(10)


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
    return int(wait_for(lambda: path.exists() and path.read_text().strip(), 15, str(path), 0.01))


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


def test_registers_works_and_leaves(server, make):
    prov = make(capacity=3).start().ready()
    said = server.seen("PUT", "/v2/provisioners/prov-1")[0]
    assert said.pop("version")
    assert said == {"id": "prov-1", "host": "127.0.0.1", "port": prov.admin, "capacityTotal": 3, "usage": {}}
    assert server.seen("PUT", "/v2/plugins/providertypes/p")[0]["name"] == "p"
    assert server.seen("PUT", "/v2/plugins/automatortypes/a")[0]["name"] == "a"
    take = server.wait("POST", "/v2/tasks/take")[0]
    assert take == {"provisionerId": "prov-1", "workerId": "prov-1.0", "tenantId": "*", "wait": 25,
                    "max": 3, "lease": True, "claim": True}
    server.give(task(1))
    assert server.finishes() == [
        {"provisionerId": "prov-1", "workerId": "prov-1.0", "tenantId": "t1",
         "taskId": "00000001-001-001", "attempt": 1, "status": 0, "result": {"providerid": "m1"}}]
    wait_for(lambda: server.log.get("00000001-001-001") == b"doing create\n", 5, "the log")
    wait_for(lambda: not prov.spooled() and not prov.scratch(), 5, "an empty work_dir")
    assert "loom_provisioner_tasks_done_total 1" in prov.get("/metrics")[1]
    prov.signal()
    assert prov.wait() == 0
    assert len(server.seen("DELETE", "/v2/provisioners/prov-1")) == 1


def test_shows_the_secret_of_a_claim_and_keeps_it(server, make):
    """With all it says of a task; the plugin, whose output others read, is not told."""
    prov = make()
    prov.plugin("providers", "p", 'cat; env; until [ -e "$LOOM_WORK_DIR/go" ]; do sleep 0.05; done')
    prov.start()
    secret = "c1a1" * 8
    server.give({**task(1), "claim": secret})
    wait_for(lambda: any(body["tasks"] for body in server.seen("POST", "/v2/provisioners/prov-1/heartbeat")), 15,
             "a heartbeat with the task")
    (prov.work / "plugins/providers/p/go").touch()
    assert server.finishes()[0]["claim"] == secret
    beats = [one for body in server.seen("POST", "/v2/provisioners/prov-1/heartbeat") for one in body["tasks"]]
    assert beats and {one["claim"] for one in beats} == {secret}
    pieces = server.seen("POST", "/v2/tasks/00000001-001-001/log")
    assert pieces and {piece["claim"] for piece in pieces} == {secret}
    assert secret not in "".join(piece["data"] for piece in pieces) and secret not in prov.logs()


def test_what_a_plugin_sees(server, make):
    prov = make()
    prov.plugin("providers", "p", 'cat >"$LOOM_WORK_DIR/task"; env >"$LOOM_WORK_DIR/env"; pwd; ls -A')
    prov.start()
    given = task(7, attempt=2, secret=1.50)
    server.give(given)
    done = server.finishes()[0]
    assert done["status"] == 0 and done["attempt"] == 2 and done["result"] == {}
    home = prov.work / "plugins/providers/p"
    assert json.loads((home / "task").read_text()) == given
    env = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines())
    assert {key: value for key, value in env.items() if key not in ("_", "PWD", "SHLVL", "PATH")} == {
        "LOOM_PLUGIN_DIR": str(prov.dir / "plugins/providers/p"), "LOOM_WORK_DIR": str(home),
        "LOOM_TASK_ID": "00000001-001-007", "LOOM_ATTEMPT": "2", "LOOM_NODE_ID": "node-7"}
    seen = wait_for(lambda: server.log.get("00000001-001-007"), 5, "the log").decode()
    assert re.fullmatch(rf"{prov.work}/scratch/00000001-001-007\.2-\w+\n", seen)


def test_starts_before_the_server_is_there(server, make):
    port = server.port
    server.vanish()
    prov = make().start()
    wait_for(lambda: prov.get("/livez")[0] == 200, 10, "livez")
    assert prov.get("/readyz")[0] == 503
    wait_for(lambda: "trying on" in prov.logs(), 5, "a failed call")
    back = Server(port)
    prov.ready()
    back.give(task(1))
    assert back.finishes()[0]["status"] == 0
    back.vanish()


def test_registers_again_when_forgotten(server, make):
    prov = make().start().ready()
    server.wait("POST", "/v2/tasks/take")
    with server.change:
        server.registered.clear()
    server.wait("PUT", "/v2/provisioners/prov-1", 2)  # a heartbeat was answered 404
    prov.ready()
    refuse = [403]
    server.rule(lambda method, path, body: (refuse.pop(), None, {})
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1))
    assert len(server.finishes(2)) == 2  # refused with 403, registered, sent again
    assert len(server.seen("PUT", "/v2/provisioners/prov-1")) == 3
    wait_for(lambda: not prov.spooled(), 5, "delivery")


@pytest.mark.parametrize("name, script, want", [
    ("CREATE", "exit 3", {"status": 1, "message": "the plugin failed with exit code 3: err"}),
    ("CREATE", 'echo \'{"message":"no such flavor"}\' >&3; exit 100',
     {"status": 1, "retry": False, "message": "no such flavor"}),
    ("CREATE", 'echo \'{"status":210}\' >&3; exit 1', {"status": 210}),
    ("CREATE", "echo '{' >&3", {"status": 1}),
    ("CREATE", "sleep 60", {"status": 1, "message": "the plugin was stopped at its time limit of 1 s"}),
    ("CREATE", "kill -9 $$", {"status": 1, "message": "the plugin was killed by signal 9"}),
    ("EXPLODE", "exit 0", {"status": 1, "message": 'there is no task "EXPLODE"'}),
])
def test_failures_are_reported(server, make, name, script, want):
    prov = make()
    prov.plugin("providers", "p", f"echo out; echo err >&2; {script}", timeout=1)
    prov.start()
    server.give(task(1, name))
    done = server.finishes()[0]
    assert want.items() <= done.items()
    if name == "CREATE":
        assert (done["stdout"], done["stderr"]) == ("out\n", "err\n")
    wait_for(lambda: server.log.get("00000001-001-001", b"").decode().endswith(f"[{done['message']}]\n"),
             5, "the reason at the end of the log")
    assert ("retry" in done) == ("retry" in want)


def test_bootstrap_runs_every_automator_in_order(server, make):
    prov = make()
    for number, name in enumerate(("b", "a")):
        prov.plugin("automators", name,
                    f'echo {name}; echo \'{{"result":{{"{name}":1,"last":{number}}}}}\' >&3')
    prov.start()
    server.give(task(1, "BOOTSTRAP", automators=["b", "a"]))
    assert server.finishes()[0]["result"] == {"b": 1, "a": 1, "last": 1}
    server.give(task(2, "BOOTSTRAP", automators=[]))
    assert server.finishes(2)[1]["status"] == 0
    wait_for(lambda: server.log.get("00000001-001-001") == b"b\na\n", 5, "the log")


def test_runs_as_many_as_its_capacity(server, make):
    prov = make(capacity=3)
    prov.plugin("providers", "p", 'while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    server.give(*[task(number) for number in range(1, 6)])
    wait_for(lambda: len(prov.scratch()) == 3 if prov.work.exists() and (prov.work / "scratch").exists()
             else False, 10, "three running tasks")
    assert len(server.tasks) == 2
    beat = wait_for(lambda: [body for body in server.seen("POST", ".*/heartbeat") if body["tasks"]],
                    5, "a heartbeat with tasks")[0]
    assert {"taskId": "00000001-001-002", "attempt": 1} in beat["tasks"]
    assert beat["usage"] == {"t1": 3}
    (prov.work / "plugins/providers/p/go").touch()
    assert len(server.finishes(5)) == 5


def bring(server, *tasks):
    """Results are answered with these tasks, one each, as long as there are some."""
    left = list(tasks)
    server.rule(lambda method, path, body: (200, {"tasks": [left.pop(0)], "heldMs": 0}, {})
                if path == "/v2/tasks/finish" and body.get("next") and left else None)


def test_a_result_brings_the_next_task(server, make):
    bring(server, *[task(number) for number in range(2, 6)])
    make(capacity=2).start()
    server.give(task(1))
    assert [body["taskId"][-3:] for body in server.finishes(5)] == ["001", "002", "003", "004", "005"]
    asked = server.seen("POST", "/v2/tasks/finish")
    assert all((body["next"], body["lease"], body["status"]) == (1, True, 0) for body in asked)
    # the one slot that no result fills is asked for by a take, and only that
    assert [body["max"] for body in server.seen("POST", "/v2/tasks/take")] == [2, 1]


def test_an_older_server_brings_nothing(server, make):
    """It does not know what it is asked for, so the provisioner goes on with takes."""
    make(capacity=1).start()
    server.give(*[task(number) for number in range(1, 4)])
    assert {body["taskId"][-3:] for body in server.finishes(3)} == {"001", "002", "003"}
    assert all(body["max"] == 1 for body in server.seen("POST", "/v2/tasks/take"))


def test_a_task_that_comes_during_the_drain_is_given_back(server, make):
    prov = make(capacity=2)
    prov.plugin("providers", "p", 'echo x >> "$LOOM_WORK_DIR/begun"')
    go = threading.Event()

    def late(_method, path, body):
        if path == "/v2/tasks/finish" and body.get("next"):
            go.wait(15)
            return 200, {"tasks": [task(2)], "heldMs": 0}, {}
        return None

    server.late(late)
    prov.start()
    server.give(task(1))
    server.finishes()
    prov.signal()
    wait_for(lambda: "no more tasks are taken" in prov.logs(), 5, "the drain")
    go.set()
    back = server.finishes(2)[1]
    assert (back["taskId"][-3:], back["lost"], back["attempt"]) == ("002", True, 1)
    assert "next" not in server.seen("POST", "/v2/tasks/finish")[1]
    assert prov.wait() == 0
    assert (prov.work / "plugins/providers/p/begun").read_text() == "x\n"


def test_results_are_kept_until_the_server_has_them(server, make):
    prov = make().start().ready()
    trouble = [(503, None, {"Retry-After": "1"}), (500, None, {}), (503, None, {})]
    server.rule(lambda method, path, body: trouble.pop(0)
                if path == "/v2/tasks/finish" and trouble else None)
    server.give(task(1))
    server.finishes()
    assert prov.spooled() == ["00000001-001-001.1.json"]
    bodies = server.finishes(4)
    assert all(body == bodies[0] for body in bodies)
    wait_for(lambda: not prov.spooled(), 5, "an empty spool")


@pytest.mark.parametrize("status, said, words", [
    (400, {"title": "Bad Request", "detail": "no such field"}, "no such field"),
    (413, None, "HTTP 413")])
def test_what_the_server_refuses_becomes_a_failure(server, make, status, said, words):
    prov = make(capacity=1)
    prov.plugin("providers", "p", 'echo \'{"result":{"providerid":"i-1","more":5}}\' >&3')
    prov.start().ready()
    refuse = [(status, said, {}), (503, None, {})]
    server.rule(lambda method, path, body: refuse.pop(0)
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1))
    first, *again = server.finishes(3)
    assert first["status"] == 0
    message = f"the server refused the result: {words}"
    for body in again:
        assert body == {**{key: first[key] for key in ("provisionerId", "workerId", "tenantId", "taskId",
                                                      "attempt")},
                        "status": 1, "message": message, "result": {"providerid": "i-1"}}
    wait_for(lambda: not prov.spooled(), 5, "an empty spool")
    assert server.log["00000001-001-001"].decode().endswith(f"[{message}]\n")


def test_a_result_that_is_refused_twice_is_dropped(server, make):
    prov = make(capacity=1).start().ready()
    refuse = [(400, None, {}), (400, None, {})]
    server.rule(lambda method, path, body: refuse.pop(0)
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1), task(2))
    assert [body["taskId"][-3:] for body in server.finishes(3)] == ["001", "001", "002"]
    wait_for(lambda: not prov.spooled(), 5, "an empty spool")


@pytest.mark.parametrize("answer, words", [
    ('{"result":{"providerid":"i-1"},"hostname":"web1\\n"}', "hostname ends in a newline"),
    ('{"result":{"providerid":"i-1"},"ipaddresses":{"bind_v4":"10.9.0.1\\n"}}',
     "ipaddresses.bind_v4 ends in a newline"),
    ('{"result":{"providerid":"i-1"},"ipaddresses":{"bind_v4":"n/a"}}',
     "ipaddresses.bind_v4 is not an IPv4 or IPv6 address")])
def test_what_the_server_would_refuse_is_the_plugins_failure(server, make, answer, words):
    prov = make(capacity=1)
    prov.plugin("providers", "p", f"cat >&3 <<'END'\n{answer}\nEND")
    prov.start().ready()
    server.give(task(1))
    done = server.finishes()[0]
    assert done["status"] == 1 and done["result"] == {"providerid": "i-1"}
    assert done["message"] == f"the plugin's result is not usable: {words}"


@pytest.mark.parametrize("status", [417])
def test_a_refused_result_is_dropped(server, make, status):
    prov = make(capacity=1).start().ready()
    refuse = [status]
    server.rule(lambda method, path, body: (refuse.pop(), None, {})
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1), task(2))
    assert [body["taskId"] for body in server.finishes(2)] == ["00000001-001-001", "00000001-001-002"]
    wait_for(lambda: not prov.spooled(), 5, "an empty spool")


def test_kill_9_keeps_finished_results(server, make):
    prov = make(provisioner_id="first").start().ready()
    away = [True]
    server.rule(lambda method, path, body: (503, None, {})
                if path == "/v2/tasks/finish" and away else None)
    server.give(task(1), task(2, attempt=3))
    server.finishes(2)
    wait_for(lambda: len(prov.spooled()) == 2, 5, "two kept results")
    prov.signal(signal.SIGKILL)
    prov.wait()
    (prov.work / "spool/00000001-001-009.1.json.tmp").write_text("{")
    (prov.work / "spool/00000001-001-008.1.json").write_text('{"taskId": ')
    away.clear()
    with server.change:
        server.calls.clear()
    prov.start(provisioner_id="second").ready()
    bodies = server.finishes(2)
    assert sorted((body["taskId"], body["attempt"], body["provisionerId"]) for body in bodies) == [
        ("00000001-001-001", 1, "first"), ("00000001-001-002", 3, "first")]
    wait_for(lambda: not prov.spooled(), 5, "an empty spool")
    names = {path.name for path in (prov.work / "spool").iterdir()}
    assert names == {"00000001-001-008.1.json.bad"}


HANG = """(echo $BASHPID >"$LOOM_WORK_DIR/child"; while :; do sleep 1; done) &
echo started; echo $$ >"$LOOM_WORK_DIR/pid"; while :; do sleep 1; done"""


def hanging(make, script=HANG, **settings):
    """A provisioner whose provider never ends, with the paths of its pids."""
    prov = make(**settings)
    prov.plugin("providers", "p", script)
    home = prov.work / "plugins/providers/p"
    return prov.start(), home / "pid", home / "child"


def test_kill_9_takes_the_plugins_along(server, make):
    prov, pid, child = hanging(make, "trap '' TERM; " + HANG)  # children inherit that
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    prov.signal(signal.SIGKILL)
    prov.wait()
    wait_for(lambda: not any(map(alive, pids)), 5, "the plugin's end")
    assert len(prov.scratch()) == 1
    prov.start().ready()
    assert not prov.scratch()


def test_a_task_that_is_no_longer_ours_is_stopped(server, make):
    answer = {"leases": [{"taskId": "00000001-001-001", "attempt": 1, "ok": False}]}
    prov, pid, child = hanging(make, capacity=1)
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    server.rule(lambda method, path, body: (200, answer, {}) if path.endswith("/heartbeat") else None)
    wait_for(lambda: not any(map(alive, pids)), 15, "the plugin's end")
    prov.plugin("providers", "p", "exit 0")
    server.give(task(2))
    assert server.finishes()[0]["taskId"] == "00000001-001-002"  # and nothing about the first
    assert "its result is dropped" in prov.logs()


def test_a_cancelled_task_is_stopped_and_says_so(server, make):
    _, pid, child = hanging(make, capacity=1)
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    answer = {"cancel": [{"taskId": "00000001-001-001", "attempt": 1}]}
    server.rule(lambda method, path, body: (200, answer, {}) if path.endswith("/heartbeat") else None)
    wait_for(lambda: not any(map(alive, pids)), 15, "the plugin's end")
    finish = server.finishes()[0]
    assert finish["taskId"] == "00000001-001-001" and finish["status"] != 0 and finish["retry"] is False
    assert "aborted" in finish["message"]


def test_a_quarantine_is_said_once_when_it_begins_and_ends(server, make):
    prov = make()
    prov.plugin("providers", "p", "exit 0")
    prov.start().ready()
    answer = {"leases": [], "cancel": [], "quarantine": "3 tasks failed there"}
    server.rule(lambda method, path, body: (200, dict(answer), {}) if path.endswith("/heartbeat") else None)
    for gauge in (1, 0):
        wait_for(lambda value=gauge: f"loom_provisioner_quarantined {value}" in prov.get("/metrics")[1], 8, "the gauge")
        server.wait("POST", ".*/heartbeat", len(server.seen("POST", ".*/heartbeat")) + 1)
        answer.pop("quarantine", None)
    assert prov.logs().count("in quarantine: the server gives this provisioner no work") == 1
    assert "3 tasks failed there" in prov.logs() and prov.logs().count("out of quarantine") == 1


def test_word_about_another_attempt_stops_nothing(server, make):
    prov = make()
    prov.plugin("providers", "p", 'while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    other = {"cancel": [{"taskId": "00000001-001-001", "attempt": 1}, {"taskId": None}, 5],
             "leases": [{"taskId": "00000001-001-001", "attempt": 3, "ok": False}, None]}
    server.rule(lambda method, path, body: (200, other, {}) if path.endswith("/heartbeat") else None)
    server.give(task(1, attempt=2))
    server.wait("POST", "/v2/tasks/take", 2)
    before = len(server.seen("POST", ".*/heartbeat"))
    server.wait("POST", ".*/heartbeat", before + 2)
    (prov.work / "plugins/providers/p/go").touch()
    assert server.finishes()[0]["status"] == 0


def test_an_absent_server_stops_no_task(server, make):
    prov = make()
    prov.plugin("providers", "p", 'echo before; while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    server.give(task(1))
    wait_for(lambda: server.log, 10, "the log")
    port = server.port
    server.vanish()
    wait_for(lambda: "call=heartbeat" in prov.logs(), 15, "a missed heartbeat")
    (prov.work / "plugins/providers/p/go").touch()
    wait_for(prov.spooled, 5, "the kept result")
    back = Server(port)
    back.registered.add("prov-1")
    assert back.finishes()[0]["status"] == 0
    wait_for(lambda: not prov.spooled(), 5, "an empty spool")
    back.vanish()


def beats_answered(server, *answers):
    """Heartbeats are answered so, the last one for good."""
    left = list(answers)
    server.rule(lambda method, path, body: (left.pop(0) if len(left) > 1 else left[0])
                if path.endswith("/heartbeat") else None)


def test_a_lease_that_nobody_renews(server, make):
    """The plugin is stopped before somebody else may have the task, and the server hears of it."""
    prov, pid, child = hanging(make, capacity=1)
    beats_answered(server, (500, None, {}))
    began = time.monotonic()
    server.give({**task(1), "leaseMs": 6000})
    pids = [pid_in(pid), pid_in(child)]
    wait_for(lambda: not any(map(alive, pids)), 15, "the plugin's end")
    assert time.monotonic() - began < 6
    finish = server.finishes()[0]
    assert finish["lost"] is True and finish["status"] != 0 and "retry" not in finish
    assert "its lease was not renewed in time" in prov.logs()
    prov.plugin("providers", "p", "exit 0")
    server.give(task(2))
    assert server.finishes(2)[1]["status"] == 0


def test_a_lease_that_ends_while_the_provisioner_hangs(server, make):
    prov, pid, child = hanging(make, capacity=1)
    server.give({**task(1), "leaseMs": 3000})
    pids = [pid_in(pid), pid_in(child)]
    prov.signal(signal.SIGSTOP)
    wait_for(lambda: not any(map(alive, pids)), 15, "the plugin's end")
    beats_answered(server, (500, None, {}))
    prov.signal(signal.SIGCONT)
    assert server.finishes()[0]["lost"] is True


def test_leases_that_are_held(server, make):
    """A server whose database is away renews nothing, but gives the tasks to nobody else."""
    prov = make()
    prov.plugin("providers", "p", 'while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    beats_answered(server, (503, None, {"Loom-Leases": "held"}))
    server.give({**task(1), "leaseMs": 3000})
    server.wait("POST", "/v2/tasks/take")
    server.wait("POST", ".*/heartbeat", len(server.seen("POST", ".*/heartbeat")) + 4)
    (prov.work / "plugins/providers/p/go").touch()
    finish = server.finishes()[0]
    assert finish["status"] == 0 and "lost" not in finish


@pytest.mark.parametrize("held, begun", [(0, False), (2500, True), (None, True)])
def test_a_task_that_came_late(server, make, held, begun):
    """What was on its way for longer than its lease is not begun; how long the server held it counts not."""
    prov = make()
    prov.plugin("providers", "p", 'touch "$LOOM_WORK_DIR/begun"')
    answer = {"tasks": [{**task(1), "leaseMs": 2000}], **({} if held is None else {"heldMs": held})}
    taken = []

    def late(method, path, body):
        if path == "/v2/tasks/take" and not taken:
            taken.append(body)
            threading.Event().wait(2.5)
            return 200, answer, {}
        return None

    server.late(late)
    prov.start()
    finish = server.finishes()[0]
    assert finish.get("lost", False) is not begun and (finish["status"] == 0) is begun
    assert (prov.work / "plugins/providers/p/begun").exists() is begun


def test_drain_finishes_what_runs(server, make):
    prov = make()
    prov.plugin("providers", "p", 'echo x; while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    server.give(task(1))
    wait_for(lambda: server.log, 10, "the log")
    server.wait("POST", "/v2/tasks/take", 2)
    prov.signal()
    wait_for(lambda: "draining" in prov.logs(), 5, "the drain")
    assert prov.get("/readyz")[0] == 503
    beats = len(server.seen("POST", ".*/heartbeat"))
    server.wait("POST", ".*/heartbeat", beats + 1)  # the lease is still kept
    assert not server.seen("DELETE", ".*")
    (prov.work / "plugins/providers/p/go").touch()
    assert prov.wait() == 0
    assert server.finishes()[0]["status"] == 0
    assert len(server.seen("DELETE", "/v2/provisioners/prov-1")) == 1
    assert len(server.seen("POST", "/v2/tasks/take")) == 2


def test_drain_ends_at_its_time_limit(server, make):
    prov, pid, child = hanging(make, drain_timeout="200ms")
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    prov.signal()
    assert prov.wait() == 0
    assert not any(map(alive, pids))
    assert not server.seen("POST", "/v2/tasks/finish")
    assert server.seen("DELETE", "/v2/provisioners/prov-1")


def test_second_sigterm_ends_it_at_once(server, make):
    prov, pid, child = hanging(make)
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    prov.signal()
    wait_for(lambda: "draining" in prov.logs(), 5, "the drain")
    prov.signal()
    prov.wait(5)
    wait_for(lambda: not any(map(alive, pids)), 5, "the plugin's end")


def test_drain_without_a_server(server, make):
    prov = make().start().ready()
    server.vanish()
    prov.signal()
    assert prov.wait(10) == 0


def test_one_provisioner_per_work_dir(make):
    prov = make()
    prov.start()
    wait_for(lambda: prov.get("/livez")[0] == 200, 10, "livez")
    second = subprocess.run(
        [str(build_dir() / "bin/loom-provisioner"), "--config", str(prov.dir / "provisioner.conf"),
         "--admin-listen=127.0.0.1:0"], capture_output=True, text=True, timeout=20, check=False,
        env={**ENVIRONMENT, **os.environ})
    assert second.returncode == 1
    assert "another provisioner uses work_dir" in second.stderr


def test_nothing_works_without_plugins(make):
    prov = make()
    subprocess.run(["rm", "-rf", str(prov.dir / "plugins")], check=True)
    (prov.dir / "plugins").mkdir()
    prov.start()
    assert prov.wait() == 1
    assert "holds no usable plugin" in prov.logs()


def test_hostile_answers_to_take(server, make):
    prov = make(capacity=2).start().ready()
    junk = [(200, {"tasks": [{"taskId": "../../x", "attempt": 1}, 5, {"taskId": "00000001-001-005",
                                                                      "attempt": -4}]}, {}),
            (200, [1, 2], {}), (200, {"tasks": []}, {}), (302, None, {"Location": "/"})]
    server.rule(lambda method, path, body: junk.pop(0)
                if path == "/v2/tasks/take" and junk else None)
    server.give(task(1), task(2), task(3))
    bodies = server.finishes(3, timeout=30)
    assert sorted(body["taskId"][-3:] for body in bodies) == ["001", "002", "003"]
    assert prov.get("/livez")[0] == 200
