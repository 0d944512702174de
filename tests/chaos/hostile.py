#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does a good tenant go on beside hostile ones? `make hostile MINUTES=60`, on a private stack.

Attackers send odd requests, odd documents, bytes that were right once, bodies that never end, and requests whose
answers they never read, to every port. Beside them a good tenant creates, reads and deletes clusters. It fails when
a process ends or grows (slope.py), when an answer is the server's fault, or when anything of the good tenant's fails.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import types

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from chaos import catalog  # noqa: E402 (the path comes first)
from chaos.footprint import EVERY, PARTS, Footprint  # noqa: E402
from support import ROOT, Api, Stack  # noqa: E402
from support.hostile import BODY, REQUESTS, answer_to, bodies, request, status_of  # noqa: E402

HELD = 60        # connections that an attacker holds at once
FAULTS = (500, 502, 504)  # 501 and 505 are answers to what is asked, 503 a refusal of an attacker
QUIET = 20       # seconds of the good tenant alone, at first
EVIL = "evil"
CLUSTER = {"name": "odd", "description": "d", "clusterTemplate": "solo", "numMachines": 1, "provider": "sim",
           "config": {"a": {"b": "%host.self%"}}, "labels": {"a": "b"}, "initialLeaseDuration": 60000}
DOCUMENTS = [
    ("api.external", "POST", "/v2/clusters", CLUSTER),
    ("api.external", "POST", "/v2/clusters/plan", CLUSTER),
    ("api.external", "POST", "/v2/clusters/00000001/plan", {"operation": "expand", "count": 1}),
    ("api.external", "PUT", "/v2/providers/odd", {"name": "odd", "providertype": "simulated", "provisioner": {}}),
    ("api.external", "PUT", "/v2/services/odd", {"name": "odd", "provisioner": {"actions": {"install": {
        "type": "simulated", "fields": {"delay_ms": "1"}}}}}),
    ("api.external", "PUT", "/v2/callbacktargets/odd", {"url": "http://192.0.2.1:9/x", "events": ["start"]}),
    ("api.internal", "POST", "/v2/tasks/take", {"provisionerId": "odd", "workerId": "w", "tenantId": "none", "wait": 0}),
    ("api.internal", "POST", "/v2/tasks/finish", {
        "provisionerId": "local-1", "workerId": "w", "tenantId": "x", "taskId": "00000001-001-001", "attempt": 1,
        "status": 0, "result": {"a": "b"}, "hostname": "h", "ipaddresses": {"access_v4": "10.0.0.1"}}),
    ("api.internal", "POST", "/v2/tasks/00000001-001-001/log", {"provisionerId": "local-1", "attempt": 1, "offset": 0,
                                                                "data": "x"}),
    ("api.internal", "POST", "/v2/provisioners/local-1/heartbeat", {"usage": {"a": 1}})]


def bus_ports(pids):
    """Where these processes listen, besides what the stack knows."""
    said = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=False).stdout
    return [int(match[1]) for line in said.splitlines()
            if (match := re.search(r"127\.0\.0\.1:(\d+)\s", line)) and any(f"pid={pid}," in line for pid in pids)]


class Run:
    """The stack, who works on it, and what was seen."""

    def __init__(self, stack, seed):
        self.stack, self.over = stack, threading.Event()
        self.began = time.monotonic()
        self.footprint = Footprint(stack)
        self.answers = {kind.__name__: collections.Counter() for kind in ATTACKS}
        self.problems, self.times = [], {"quiet": [], "beside": []}
        self.beside = False
        self.seed = seed
        site = types.SimpleNamespace(simulated=stack.dir / "simulated", sandbox=None)
        stack.sql(f"INSERT INTO tenant (id, name, max_clusters, max_nodes) VALUES ('{EVIL}', '{EVIL}', 20, 100)")
        for api in (stack.api, Api(stack.api.url, "admin", EVIL)):
            for kind, document in catalog.documents(site, delay_ms=5, failing=0):
                answer = api.put(f"/v2/{kind}/{document['name']}", document)
                assert answer.ok, f"{kind} {document['name']}: {answer.reason()}"
        self.pids = self.pids_now()
        self.ports = [stack.ports[name] for name in ("api.external", "api.internal", "gateway", "scheduler.admin",
                                                     "provisioner.admin")]
        self.bus = [port for port in bus_ports([self.pids["api"], self.pids["scheduler"]])
                    if port not in self.stack.ports.values()]

    def pids_now(self):
        """Part -> pid."""
        return {part: self.stack.pid(part) for part in PARTS}

    def problem(self, text):
        """Something that fails the run."""
        if len(self.problems) < 200:
            self.problems.append(text[:400])

    def judged(self, attack, what, status):
        """An answer to an attacker: anything but the server's fault."""
        self.answers[attack][status] += 1
        if status in FAULTS:
            self.problem(f"{attack}: {status} to {what}")

    # ---- the good one

    def good(self, number):
        """One client: clusters one after the other, each of which must work."""
        api = self.stack.client("api.external")
        turn = 0
        while not self.over.is_set():
            turn += 1
            began, beside = time.monotonic(), self.beside
            try:
                cluster = api.create_cluster(f"good{number}", "pair", 2 + turn % 3)
                api.wait_cluster(cluster, "active", 120)
                took = time.monotonic() - began
                self.times["beside" if beside else "quiet"].append(took)
                api.delete_cluster(cluster, timeout=120)
            except (AssertionError, OSError) as error:
                self.problem(f"the good tenant: {error}")
                self.over.wait(1)

    def sample(self):
        """What each process holds now."""
        self.footprint.sample()
        for part, pid in self.pids.items():
            if not os.path.exists(f"/proc/{pid}"):
                self.problem(f"{part} is gone")
                self.over.set()

    def attack(self, kind, seed):
        """One attacker, until the time is up."""
        chooser = random.Random(seed)
        for step in kind(self, chooser):
            if self.over.is_set():
                return
            self.over.wait(step or 0)

    def run(self, minutes):
        """Until the time is up."""
        good = [threading.Thread(target=self.good, args=[number], daemon=True) for number in range(2)]
        for one in good:
            one.start()
        self.over.wait(QUIET)
        self.beside = True
        bad = [threading.Thread(target=self.attack, args=[kind, f"{self.seed}.{kind.__name__}"], daemon=True)
               for kind in ATTACKS]
        for one in bad:
            one.start()
        while time.monotonic() < self.began + minutes * 60 and not self.over.is_set():
            self.sample()
            if len(self.footprint.samples["scheduler"]) % 12 == 1:
                print(f"{time.strftime('%H:%M:%S')} {len(self.times['quiet'])} and {len(self.times['beside'])} good clusters, "
                      f"{sum(map(sum, (c.values() for c in self.answers.values())))} answers to attackers, "
                      f"{len(self.problems)} problems, MiB: {self.footprint.now()}", flush=True)
            self.over.wait(EVERY)
        self.over.set()
        for one in good + bad:
            one.join(150)
        if self.pids_now() != self.pids:
            self.problem(f"processes ended: {self.pids} became {self.pids_now()}")


# ---- attackers: each yields how long to wait until its next step


def odd_requests(run, chooser):
    """Requests that are none, to every port."""
    names = list(REQUESTS)
    while True:
        name, port = chooser.choice(names), chooser.choice(run.ports)
        try:
            run.judged("odd_requests", name, status_of(answer_to(port, REQUESTS[name][0])))
        except OSError as error:
            run.problem(f"odd_requests: port {port}: {error}")
        yield 0.01


def odd_documents(run, chooser):
    """Documents with a value replaced."""
    sent = [(port, method, path, list(bodies(document))) for port, method, path, document in DOCUMENTS]
    evil = {"X-Loom-UserID": "admin", "X-Loom-TenantID": EVIL}
    while True:
        port, method, path, choices = chooser.choice(sent)
        what, body = chooser.choice(choices)
        head = "".join(f"{name}: {value}\r\n" for name, value in evil.items())
        data = (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body
        run.judged("odd_documents", f"{method} {path} {what}", status_of(answer_to(run.stack.ports[port], data)))
        yield 0.01


def wrong_bytes(run, chooser):
    """Right requests with a few bytes changed, taken out or doubled."""
    right = [data for data, _ in REQUESTS.values()] + [
        request(b"GET /v2/clusters/00000001 HTTP/1.1"),
        request(b"POST /v2/clusters HTTP/1.1", b"Content-Length: 12\r\n", BODY)]
    while True:
        data = bytearray(chooser.choice(right)[:4000])
        for _ in range(chooser.randrange(1, 6)):
            at = chooser.randrange(len(data))
            how = chooser.randrange(4)
            if how == 0:
                data[at] = chooser.randrange(256)
            elif how == 1:
                del data[at:at + chooser.randrange(1, 20)]
            elif how == 2:
                data[at:at] = data[at:at + chooser.randrange(1, 50)]
            else:
                data[at:at] = chooser.choice([b"\r\n", b"\0", b" ", b"%00", b"\xff\xfe", b"99999999999"])
            data = data or bytearray(b"x")
        try:
            said = answer_to(chooser.choice(run.ports), bytes(data), 1)
            run.judged("wrong_bytes", bytes(data[:200]), status_of(said))
        except OSError as error:
            run.problem(f"wrong_bytes: {error}")
        yield 0.01


def slow_bodies(run, chooser):
    """Heads that end and bodies that do not, a byte at a time."""
    held = []
    while True:
        if len(held) < HELD:
            made = socket.create_connection(("127.0.0.1", chooser.choice(run.ports[:3])), timeout=5)
            made.sendall(request(b"POST /v2/clusters HTTP/1.1", b"Content-Length: 900000\r\n", b"{"))
            held.append(made)
        for connection in list(held):
            try:
                connection.send(b" " * chooser.choice([1, 1, 10000]))
            except OSError:
                held.remove(connection)
                connection.close()
                run.answers["slow_bodies"]["closed"] += 1
        yield 0.2


def never_read(run, chooser):
    """Streams and long lists whose answers nobody reads."""
    held = []
    asked = [request(b"GET /v2/clusters/events HTTP/1.1"), request(b"GET /v2/clusters HTTP/1.1")]
    many = (b"GET /v2/export HTTP/1.1\r\nHost: localhost\r\n"
            b"X-Loom-UserID: admin\r\nX-Loom-TenantID: superadmin\r\n\r\n") * 200
    while True:
        made = socket.create_connection(("127.0.0.1", run.ports[chooser.choice([0, 0, 2])]), timeout=5)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.settimeout(0.5)
        try:
            made.sendall(chooser.choice([*asked, many]))
        except OSError:
            pass
        held.append(made)
        if len(held) > HELD:
            held.pop(chooser.randrange(len(held))).close()
            run.answers["never_read"]["closed"] += 1
        yield 0.1


def strangers_on_the_bus(run, chooser):
    """Messages without the key, and halves of large ones, to the ports of the bus."""
    hello = b"\0SP\0\0\x50\0\0"
    held = []
    while run.bus:
        try:
            made = socket.create_connection(("127.0.0.1", chooser.choice(run.bus)), timeout=5)
            size = chooser.choice([0, 1, 100, 4096, 1 << 20, 1 << 62, (1 << 64) - 1])
            made.sendall(hello + size.to_bytes(8, "big") + chooser.randbytes(min(size, 65536)))
            held.append(made)
        except OSError:
            run.answers["strangers_on_the_bus"]["closed"] += 1
        if len(held) > HELD:
            held.pop(0).close()
            run.answers["strangers_on_the_bus"]["sent"] += 1
        yield 0.1
    while True:
        yield 1


def its_own_clusters(run, chooser):
    """A tenant of its own that asks for all it may, and for more, and takes it back at once."""
    api = Api(run.stack.api.url, "admin", EVIL)
    number, mine = 0, []
    while True:
        number += 1
        config = chooser.choice([{}, {"a": "%host.self%" * 2000}, {"a": "\"" * 100000}, {"a": {"b": "%ip.bind_v4.self%"}}])
        answer = api.post("/v2/clusters", {"name": f"evil-{number}", "clusterTemplate": chooser.choice(["solo", "pair"]),
                                           "numMachines": chooser.choice([1, 2, 5, 50, 10**6]), "config": config})
        run.judged("its_own_clusters", f"create {number}", answer.status)
        if answer.ok:
            mine.append(answer.json["id"])
        if len(mine) > 10:
            gone = mine.pop(chooser.randrange(len(mine)))
            run.judged("its_own_clusters", f"delete {gone}", api.delete(f"/v2/clusters/{gone}").status)
        yield 0.3


ATTACKS = (odd_requests, odd_documents, wrong_bytes, slow_bodies, never_read, strangers_on_the_bus, its_own_clusters)


def report(run, minutes, path):
    """Say it, write it down; whether it was good."""
    path.write_text(json.dumps({"found": run.footprint.judged(), "times": run.times, "problems": run.problems, "answers": {
        kind: {str(status): count for status, count in seen.items()} for kind, seen in run.answers.items()},
        "unheard": run.footprint.unheard, "samples": run.footprint.samples}) + "\n", encoding="utf-8")
    print(f"\n{minutes:g} minutes, seed {run.seed}; {path}\n")
    for when, times in run.times.items():
        if times:
            print(f"good clusters {when}: {len(times)}, create to active p50 {statistics.median(times):.2f} s, "
                  f"max {max(times):.2f} s")
    print("\n| attack | answers |\n|---|---|")
    for kind, seen in run.answers.items():
        print(f"| {kind} | " + ", ".join(f"{status} {count}" for status, count in
                                         sorted(seen.items(), key=lambda item: str(item[0]))) + " |")
    print(f"\n{run.footprint.table()}")
    for problem in run.problems[:20]:
        print(problem)
    worked = len(run.times["beside"]) >= minutes  # a cluster a minute is little enough
    return worked and not run.problems and run.footprint.good()


def main():
    """Run and judge."""
    parser = argparse.ArgumentParser(prog="tests/chaos/hostile.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 60))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or 1))
    parser.add_argument("--build", default=os.environ.get("LOOM_TEST_BUILD") or "build")
    parser.add_argument("--json", default=None, help="where to write what was seen (default: BUILD/hostile.json)")
    options = parser.parse_args()
    build = ROOT / options.build
    with Stack("hostile", ("scheduler.callback_allow=192.0.2.1",), bin_dir=build / "bin",
               auth="headers") as stack:
        stack.up()
        run = Run(stack, options.seed)
        run.run(options.minutes)
        good = report(run, options.minutes, pathlib.Path(options.json or build / "hostile.json"))
        if not good:
            print(f"logs: {stack.save_logs()}")
    return 0 if good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
