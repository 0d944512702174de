# SPDX-License-Identifier: Apache-2.0
"""Faults in a datacenter under load: how long each is noticed, and whether anything is lost."""

import ctypes
import json
import os
import pathlib
import secrets
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from dclib.parts import DB_PORT
from support import ROOT
from support.datacenter import wait
from support.proxysql_admin import AdminPort

SETTLED = ("active", "incomplete", "inconsistent", "terminated")
SLACK = 1.0  # a shared machine is not a quiet one


class Load:
    """Clients of the datacenter, until stop(). One of those that create names its requests, and so
    may send them again."""

    def __init__(self, dc, creators=3, interval=0.6):
        self.dc = dc
        self.token = secrets.token_hex(4)
        self.interval = interval
        self.journal = dc.dir / "simulated/journal"
        self.lock = threading.Lock()
        self.accepted = []   # (asked at, answered at, cluster id)
        self.refused = []    # (asked at, answered at, what)
        self.reads = []      # (asked at, answered at, status or 0, what)
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.create, args=[n], daemon=True) for n in range(creators)]
        self.threads += [threading.Thread(target=self.read, args=[url], daemon=True)
                         for url in (dc.env["LOOM_URL"], dc.env["LOOM_UI_URL"] + "/api")]
        for thread in self.threads:
            thread.start()

    def create(self, number):
        """One create after the other."""
        api, count = self.dc.api(timeout=6), 0
        self.ending.wait(number * self.interval / 3)
        while not self.ending.wait(self.interval):
            count += 1
            began = time.time()
            name = f"c{self.token}-{number}-{count}"
            headers = {"Idempotency-Key": name} if number == 0 else {}
            answer = retried(lambda name=name, headers=headers: api.post("/v2/clusters", {
                "name": name, "clusterTemplate": "workers", "numMachines": 1}, headers=headers), bool(headers))
            with self.lock:
                if answer.ok:
                    self.accepted.append((began, time.time(), answer.json["id"]))
                else:
                    self.refused.append((began, time.time(), answer.reason(),
                                         answer.headers.get("Retry-After") if answer.status else None))

    def read(self, url):
        """A safe request over a new connection, again and again."""
        api = self.dc.page() if url.endswith("/api") else self.dc.api()
        while not self.ending.wait(0.1):
            cluster = self.accepted[-1][2] if self.accepted else None
            began = time.time()
            answer = api.get(f"/v2/clusters/{cluster}/status" if cluster else "/v2/clusters")
            with self.lock:
                self.reads.append((began, time.time(), answer.status, "" if answer.ok else answer.reason()))

    def work(self):
        """Times at which machines were made."""
        try:
            lines = self.journal.read_text().splitlines()
        except FileNotFoundError:
            return []
        return [int(line.split(" ", 1)[0]) / 1000 for line in lines]

    def stop(self):
        """No more requests."""
        self.ending.set()
        for thread in self.threads:
            thread.join()


def retried(request, named):
    """A request whose connection was refused was not made: it is safe to make it again. One that has
    a name is safe to make again whatever became of it."""
    deadline = time.monotonic() + (8 if named else 2)
    while True:
        answer = request()
        unmade = not answer.status and (named or "refused" in answer.reason())
        under_way = named and answer.status == 409 and answer.headers["Retry-After"]
        if not (unmade or under_way or (named and answer.status in (502, 503, 504))) or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)


def longest_gap(times, start, end):
    """The longest time within [start, end] without one of these."""
    inside = [start, *sorted(moment for moment in times if start <= moment <= end), end]
    return max(later - earlier for earlier, later in zip(inside, inside[1:]))


class Report:
    """The table."""

    def __init__(self):
        self.rows = []

    def add(self, **row):
        """One fault."""
        self.rows.append(row)

    def show(self):
        """Print it."""
        print(f"\n{'fault':<44}{'bound':>7}{'create':>8}{'work':>8}{'read':>8}{'oldest':>8}"
              f"{'no conn':>8}{'lost':>6}  remark")
        for row in self.rows:
            print(f"{row['fault']:<44}{row['bound']:>6.1f}s{row['create']:>7.2f}s{row['work']:>7.2f}s"
                  f"{row['read']:>7.2f}s{row['oldest']:>7.1f}s{row['unconnected']:>8}{row['lost']:>6}"
                  f"  {row['remark']}")


def load_catalog(dc):
    """One provider without machines, one service without much to do."""
    api = dc.api()

    def put(kind, **body):
        answer = api.put(f"/v2/{kind}/{body['name']}", body)
        assert answer.ok, f"{kind} {body['name']}: {answer.reason()}"

    wait(lambda: api.get("/v2/plugins/automatortypes/simulated").ok, 60, "the plug-ins")
    put("providers", name="sim", description="", providertype="simulated",
        provisioner={"state_dir": str(dc.dir / "simulated"), "delay_ms": "100"})
    put("hardwaretypes", name="small", description="", providermap={"sim": {"flavor": "small"}})
    put("imagetypes", name="linux", description="", providermap={"sim": {"image": "linux"}})
    put("services", name="worker", description="",
        dependencies={"provides": [], "conflicts": [], "install": {"requires": [], "uses": []},
                      "runtime": {"requires": [], "uses": []}},
        provisioner={"actions": {"install": {"type": "simulated", "fields": {"delay_ms": "200"}}}})
    put("clustertemplates", name="workers", description="",
        defaults={"services": ["worker"], "provider": "sim", "hardwaretype": "small",
                  "imagetype": "linux", "dnsSuffix": "local", "config": {}},
        compatibility={"hardwaretypes": ["small"], "imagetypes": ["linux"], "services": ["worker"]},
        constraints={"layout": {"mustcoexist": [], "cantcoexist": []}, "services": {}},
        administration={"leaseduration": {"initial": 0, "max": 0, "step": 0}})


class Fault:
    """What is done, how long it is watched, and what is promised."""

    def __init__(self, dc, load):
        self.dc, self.load = dc, load
        self.at = time.time()

    def mark(self):
        """The fault happens now."""
        self.at = time.time()


def finish_times(dc, load, start, end):
    """Seconds after `start` at which the last cluster accepted in [start - 3, end] was finished."""
    api, latest = dc.api(), 0.0
    for began, _, cluster in [entry for entry in load.accepted if start - 3 <= entry[0] <= end]:
        wait(lambda cluster=cluster: status_of(api, cluster) in SETTLED, 60, f"the end of {cluster}")
        answer = api.get(f"/v2/clusters/{cluster}")
        assert answer.ok and answer.json["status"] == "active", (cluster, answer.text[:2000])
        done = max(action["statusTime"] for node in answer.json["nodes"] for action in node["actions"]) / 1000
        latest = max(latest, done - max(began, start))
    return latest


def status_of(api, cluster):
    """A cluster's status; what is wrong when it cannot be had."""
    answer = api.get(f"/v2/clusters/{cluster}/status")
    return answer.json["status"] if answer.ok else answer.reason()


def measure(dc, report, name, bound, strike, mend=None, watch=10, remark=lambda: ""):
    """Run the load, strike, watch, mend, and see that nothing was lost. Adds the row; answers it."""
    dc.whole()
    load = Load(dc)
    try:
        wait(lambda: len(load.accepted) >= 8 and load.work(), 60, "a load")
        at = time.time()
        strike()
        struck = time.time()
        time.sleep(max(0, watch - (struck - at)))
        end = time.time()
        if mend:
            mend()
        mended = time.time()
        dc.whole()
        healed = time.time() - mended
        time.sleep(max(0, 2 - healed))
    finally:
        load.stop()
    row = judge(dc, load, name, bound, at, end)
    row.update(healed=healed, remark=f"{remark()} whole {healed:.1f} s after".strip())
    report.add(**row)
    check_machines(dc, load)
    return row


def judge(dc, load, name, bound, at, end):
    """The figures of one fault."""
    bad = [entry for entry in load.reads if at - 0.5 <= entry[0] <= end and entry[2] != 200]
    unconnected = [entry for entry in bad if "refused" in entry[3] or "No route" in entry[3]]
    lost = [entry for entry in bad if entry not in unconnected]
    for entry in (lost + [entry for entry in load.refused if entry[0] >= at])[:6]:
        print(f"  {name}: {entry[0] - at:+.2f} s, after {entry[1] - entry[0]:.2f} s: {entry[2]} {entry[3]}")
    return {"fault": name, "bound": bound, "unconnected": len(unconnected), "lost": len(lost),
            "create": longest_gap([entry[1] for entry in load.accepted], at, end),
            "read": longest_gap([entry[1] for entry in load.reads if entry[2] == 200], at, end),
            "work": longest_gap(load.work(), at, end),
            "oldest": finish_times(dc, load, at, end),
            "refused": len([entry for entry in load.refused if at <= entry[0] <= end])}


def check_machines(dc, load):
    """Every accepted cluster has its machines, and each was made once. What had a name is there once."""
    api, nodes = dc.api(), []
    names = [entry["name"] for entry in api.get("/v2/clusters").json
             if entry["name"].startswith(f"c{load.token}-0-")]
    assert len(names) == len(set(names))
    for _, _, cluster in load.accepted:
        wait(lambda cluster=cluster: status_of(api, cluster) in SETTLED, 60, f"the end of {cluster}")
        nodes += [node["id"] for node in api.get(f"/v2/clusters/{cluster}").json["nodes"]]
    made = {}
    for line in (dc.dir / "simulated/journal").read_text().splitlines():
        _, node, _, _, effect = line.split()
        if effect == "create":
            made[node] = made.get(node, 0) + 1
    assert [node for node, times in made.items() if times != 1] == []
    assert [node for node in nodes if node not in made] == []


def within(row, *figures):
    """The promise was kept."""
    for figure in figures:
        assert row[figure] <= row["bound"] + SLACK, row


class Followed:
    """What ProxySQL's admin port stands in for, and proxysql-follow beside it, on one of the machines."""

    def __init__(self, dc, host):
        self.dc, self.host = dc, host
        password = (dc.dir / "secrets/db.password").read_text(encoding="ascii").strip()
        with ThreadPoolExecutor(1) as pool:  # its thread leaves this network for good
            self.admin = pool.submit(self.listen, password).result()
        config = dc.dir / host / "follow.conf"
        config.write_text((dc.dir / host / "etc/mariadb/galera-check.conf").read_text(encoding="utf-8") +
                          f"\n[proxysql]\nadmin_port = {self.admin.server_address[1]}\nrelay_port = 55307\n"
                          f"password_file = {dc.dir}/secrets/db.password\n", encoding="utf-8")
        self.process = subprocess.Popen(["nsenter", f"--net={dc.netns(host)}", ROOT / "deploy/mariadb/proxysql-follow", config])

    def listen(self, password):
        """The port, in the machine's network."""
        with open(self.dc.netns(self.host), "rb") as file:
            assert ctypes.CDLL(None).setns(file.fileno(), 0x40000000) == 0
        return AdminPort(password)

    def __enter__(self):
        self.admin.__enter__()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.admin.__exit__()

    def to(self, host):
        """What it has with this machine as the writer."""
        address = self.dc.status()["hosts"][host]["address"]
        return {(10, address, DB_PORT), (11, address, DB_PORT)}

    def becomes(self, wanted, seconds=20):
        """Soon."""
        wait(lambda: self.admin.runtime == wanted, seconds, lambda: f"{wanted} ({self.admin.runtime})")


def sql(dc, statement):
    """One statement on the writer; its output."""
    return mariadb(dc, dc.role("database_writer"), "mariadb", "-N", "-B", "-e", statement, "loom",
                   stdout=subprocess.PIPE, text=True).stdout.strip()


def processes_of(dc):
    """Pids of processes that have the datacenter's folder in their environment or command line."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                text = b"".join(pathlib.Path(f"/proc/{entry}/{name}").read_bytes()
                                for name in ("environ", "cmdline"))
            except OSError:
                continue
            if str(dc.dir).encode() in text:
                found.append(int(entry))
    return found


def mariadb(dc, host, program, *words, **options):
    """A client program on a host's database node."""
    return subprocess.run([program, "--no-defaults", f"--socket={dc.dir}/{host}/db/run/mysqld.sock", *words],
                          check=True, **options)


def tool(dc, folder, host, *words):
    """(exit code, document or why not) of loom-datacenter on a host, which keeps its backups in the folder."""
    inventory = folder / "inventory"
    text = (dc.dir / "inventory").read_text(encoding="utf-8")
    inventory.write_text(text.replace("[paths]\n", f"[paths]\nbackups = {folder}/backups\n", 1), encoding="utf-8")
    argv = [str(ROOT / "scripts/dc"), "--dir", str(dc.dir), "exec", host, str(ROOT / "scripts/loom-datacenter"), words[0],
            "--inventory", str(inventory), "--json", *map(str, words[1:])]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def url_of(dc, host):
    """Where a host's galera-check answers."""
    return f"http://{dc.status()['hosts'][host]['address']}:9200"


SERVICES = ("ui", "api", "scheduler", "provisioner")


def replace_programs(dc, host, folder, kills=0):
    """One machine's services go on with other programs; the first of them die while they start."""
    for part in SERVICES:
        dc("stop", host, part)
    dc("use", host, folder)
    starts = [dc.without_waiting("start", host, "scheduler")]
    for _ in range(kills):
        time.sleep(0.6)
        dc("kill", host, "scheduler")
    starts += [dc.without_waiting("start", host, part) for part in SERVICES if part != "scheduler"]
    for start in starts:
        assert start.wait(60) == 0


def schema_of(dc):
    """(number of migrations applied, programs that run as scheduler)."""
    applied = sql(dc, "SELECT COUNT(*) FROM schema_migrations WHERE applied_at > 0")
    found = dc.status()["hosts"]
    return int(applied), [os.readlink(f"/proc/{found[host]['parts']['scheduler']['pid']}/exe") for host in "abc"]
