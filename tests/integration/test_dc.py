# SPDX-License-Identifier: Apache-2.0
"""A datacenter of three machines (scripts/dc), every kind of part broken once, seen from outside.

Clients on the virtual address create clusters, read one all the time over new connections, and
note when they were served. The simulated provider's journal shows when work was carried out. After
each fault the longest time without an accepted create, without a served read and without work is
compared with what was promised. Not part of the default selection: run it by `make test-dc`, or

    pytest -m dc tests/integration/test_dc.py -k "scheduler or writer"
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from dclib.parts import CHECK_PORT
from support import ROOT
from support.datacenter import Datacenter, wait
from support.dc_faults import (
    SETTLED,
    Followed,
    Report,
    load_catalog,
    mariadb,
    measure,
    processes_of,
    replace_programs,
    schema_of,
    sql,
    status_of,
    tool,
    url_of,
    within,
)

pytestmark = [pytest.mark.dc, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def report():
    """Filled by the tests, printed at the end."""
    made = Report()
    yield made
    made.show()
    path = os.environ.get("LOOM_DC_REPORT")
    if path:
        pathlib.Path(path).write_text(json.dumps(made.rows, indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def dc():
    """One datacenter with the simulated provider's catalog."""
    made = Datacenter()
    try:
        print(made.up())
        load_catalog(made)
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("part", ["api", "ui", "sqlproxy"])
def test_kill_a_copy(dc, report, part):
    """One of several copies dies, on the machine that holds the virtual address."""
    host = dc.role("virtual_address")
    row = measure(dc, report, f"kill {part} beside the virtual address", 1, lambda: dc("kill", host, part))
    within(row, "create", "read")
    assert row["lost"] == 0


def test_kill_haproxy(dc, report):
    """The HAProxy that serves the virtual address dies: the address moves."""
    host = dc.role("virtual_address")
    row = measure(dc, report, "kill haproxy of the virtual address", 2, lambda: dc("kill", host, "haproxy"))
    within(row, "create", "read")
    assert dc.role("virtual_address") != host


def test_pause_haproxy(dc, report):
    """The HAProxy that serves the virtual address hangs: keepalived asks it, twice.

    Requests that were accepted before are not moved; their clients wait for their own time-out, 6 s.
    """
    host = dc.role("virtual_address")
    row = measure(dc, report, "pause haproxy of the virtual address", 8, lambda: dc("pause", host, "haproxy"),
                  lambda: dc("resume", host, "haproxy"))
    within(row, "create")
    assert dc.role("virtual_address") != host


def test_kill_keepalived(dc, report):
    """The keepalived that holds the virtual address dies."""
    host = dc.role("virtual_address")
    row = measure(dc, report, "kill keepalived of the virtual address", 2,
                  lambda: dc("kill", host, "keepalived"))
    within(row, "create", "read")


@pytest.mark.parametrize("leader", [True, False])
def test_kill_scheduler(dc, report, leader):
    """A scheduler dies, with and without duties of its own."""
    host = dc.role("scheduler_leader")
    host = host if leader else dc.other(host)
    row = measure(dc, report, f"kill scheduler ({'leader' if leader else 'other'})", 1,
                  lambda: dc("kill", host, "scheduler"))
    within(row, "create", "work")


def test_pause_scheduler(dc, report):
    """The leading scheduler hangs."""
    host = dc.role("scheduler_leader")
    row = measure(dc, report, "pause scheduler (leader)", 6, lambda: dc("pause", host, "scheduler"),
                  lambda: dc("resume", host, "scheduler"), watch=14)
    within(row, "create", "work", "oldest")


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_provisioner(dc, report, fault):
    """A provisioner dies or hangs in the middle of tasks."""
    host = dc.other(dc.role("virtual_address"))
    mend = (lambda: dc("resume", host, "provisioner")) if fault == "pause" else None
    row = measure(dc, report, f"{fault} provisioner", 10, lambda: dc(fault, host, "provisioner"), mend, watch=14)
    within(row, "oldest", "work")


def test_kill_zookeeper_leader(dc, report):
    """Nothing is to be seen."""
    host = dc.role("zookeeper_leader")
    row = measure(dc, report, "kill zookeeper leader", 1, lambda: dc("kill", host, "zookeeper"))
    within(row, "create", "read", "work")
    assert row["lost"] == 0


def test_lose_zookeeper_quorum(dc, report):
    """Two of three ZooKeepers die for a while: creates and jobs go on."""
    def strike():
        dc("kill", "a", "zookeeper", "--hold")
        dc("kill", "b", "zookeeper", "--hold")

    def mend():
        dc("start", "a", "zookeeper")
        dc("start", "b", "zookeeper")

    row = measure(dc, report, "lose the ZooKeeper quorum", 1, strike, mend, watch=12)
    within(row, "create", "read", "work")
    assert dc.role("scheduler_leader")


@pytest.mark.parametrize("fault", ["kill", "pause"])
def test_database_writer(dc, report, fault):
    """The writer dies or hangs."""
    host = dc.role("database_writer")
    mend = (lambda: dc("resume", host, "db")) if fault == "pause" else None
    row = measure(dc, report, f"{fault} database writer", 3, lambda: dc(fault, host, "db"), mend, watch=14)
    within(row, "create")
    assert dc.role("database_writer") != host


def test_resumed_writer_takes_no_traffic(dc):
    """A writer that hung until the others went on without it is not called fit before it knows."""
    host = dc.role("database_writer")
    dc.whole()
    dc("pause", host, "db")
    try:
        wait(lambda: dc.role("database_writer") != host, 60, "another writer")
    finally:
        dc("resume", host, "db")
    address, said = dc.status()["hosts"][host]["address"], set()
    deadline = time.monotonic() + 5  # it hears of its exclusion after 2 to 3 s
    while time.monotonic() < deadline:
        try:
            said.add(urllib.request.urlopen(f"http://{address}:{CHECK_PORT}/writer", timeout=1).status)
        except urllib.error.HTTPError as error:
            said.add(error.code)
    assert said == {503}, said
    dc.whole()


def test_proxysql_is_told_the_one_writer(dc):
    """A link is cut, the writer hangs and goes on, and is stopped in order: one decision, and never a stale node.

    ProxySQL itself cannot be installed here: its admin port is stood in for (support/proxysql_admin.py).
    """
    writer = dc.role("database_writer")
    host = dc.other(writer)
    third = dc.other(writer, host)
    dc.whole()
    with Followed(dc, host) as followed:
        followed.becomes(followed.to(writer))
        dc("partition", host, writer)
        followed.becomes({(10, dc.status()["hosts"][third]["address"], 55307)})
        assert dc.role("database_writer") == writer
        dc("heal")
        followed.becomes(followed.to(writer))
        dc.whole()
        dc("pause", writer, "db")
        try:
            wait(lambda: dc.role("database_writer") != writer, 60, "another writer")
            after = dc.role("database_writer")
            followed.becomes(followed.to(after))
        finally:
            dc("resume", writer, "db")
        wanted, deadline = followed.to(after), time.monotonic() + 5
        while time.monotonic() < deadline:
            assert followed.admin.runtime == wanted
            time.sleep(0.05)
        dc.whole()
        dc("stop", after, "db")
        wait(lambda: dc.role("database_writer") != after, 60, "another writer")
        followed.becomes(followed.to(dc.role("database_writer")))
        dc("start", after, "db")
        dc.whole()


def test_lose_database_quorum(dc, report):
    """Two of three nodes die at once: honest refusals, and full service soon after they are back."""
    host = dc.role("database_writer")
    gone = [name for name in "abc" if name != dc.other(host)]
    load_seen = {}

    def strike():
        for name in gone:
            dc("kill", name, "db", "--hold")
        load_seen["gone"] = began = time.time()
        time.sleep(8)
        answer = dc.api(timeout=20).post("/v2/clusters", {"name": f"x{time.time_ns()}", "clusterTemplate": "workers",
                                                              "numMachines": 1})
        load_seen["answer"] = (answer.status, answer.headers.get("Retry-After") if answer.status else None)
        load_seen["took"] = time.time() - began - 8
        for name in gone:
            dc.without_waiting("start", name, "db")
        load_seen["back"] = time.time()

    row = measure(dc, report, "two of three databases back after 8 s", 5 + 8, strike, watch=25,
                  remark=lambda: f"meanwhile {load_seen['answer']} after {load_seen['took']:.1f} s; "
                  f"back after {load_seen['back'] - load_seen['gone']:.1f} s;")
    assert load_seen["answer"] == (503, "1")
    assert row["create"] - (load_seen["back"] - load_seen["gone"]) <= 5
    within(row, "create")


def test_kill_all_databases(dc, report):
    """All three nodes die at once: the most advanced one begins, the others join, by themselves."""
    def strike():
        for name in "abc":
            dc("kill", name, "db")

    row = measure(dc, report, "kill all three databases", 15, strike, watch=25)
    within(row, "create")


def test_crash_machine(dc, report):
    """The machine with the virtual address loses its power."""
    host = dc.role("virtual_address")
    row = measure(dc, report, f"crash the virtual address' machine ({host})", 6, lambda: dc("crash", host),
                  lambda: dc("boot", host), watch=14)
    within(row, "create", "work")


def test_crash_writer_machine(dc, report):
    """The machine with the database writer loses its power."""
    host = dc.role("database_writer")
    row = measure(dc, report, f"crash the writer's machine ({host})", 6, lambda: dc("crash", host),
                  lambda: dc("boot", host), watch=14)
    within(row, "create", "work")


CUT_OFF_CLIENT = """
import json, os, time, urllib.request
body = {"name": "cut-off", "clusterTemplate": "workers", "numMachines": 1}
while True:
    try:
        request = urllib.request.Request("http://127.0.0.1:55054/v2/clusters", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["LOOM_TOKEN"]})
        print(json.load(urllib.request.urlopen(request, timeout=8))["id"], flush=True)
    except (OSError, ValueError) as error:
        print("refused", error, flush=True)
    time.sleep(0.1)
"""


def test_cut_off_machine(dc, report):
    """The writer's machine is cut off from all others, and then it is not.

    A client on that very machine goes on creating clusters: it is refused, and what it was
    promised in the moment before is there afterwards.
    """
    host = dc.role("database_writer")
    dc.whole()
    inside = subprocess.Popen([str(ROOT / "scripts/dc"), "--dir", str(dc.dir), "exec", host, "python3",
                               "-c", CUT_OFF_CLIENT], stdout=subprocess.PIPE, text=True, env={**os.environ, **dc.env})
    said = []

    def mend():
        inside.terminate()
        said.extend(inside.communicate()[0].splitlines())
        dc("heal")

    try:
        row = measure(dc, report, f"cut the writer's machine off ({host})", 6, lambda: dc("partition", host),
                      mend, watch=14)
    finally:
        inside.kill()
        inside.wait()
    within(row, "create", "work")
    assert row["healed"] <= 15
    promised = [line for line in said if line.isdigit()]
    assert promised and said[-1].startswith("refused")
    assert [cluster for cluster in promised if status_of(dc.api(), cluster) not in (*SETTLED, "pending")] == []


def test_the_address_after_its_holder_was_cut_off(dc):
    """It had the address all the while, so nothing changes for it; the neighbours must hear of it all the same."""
    dc.whole()
    first = "a"  # whose priority is the highest, so that the address is its own again after the cut
    holder = dc.role("virtual_address")
    if holder != first:
        dc("stop", holder, "keepalived")
        dc("start", holder, "keepalived")
        wait(lambda: dc.status()["roles"]["virtual_address"] == [first], 60, "the address to be there")
    api = dc.api(timeout=0.5)

    def served():
        try:
            return api.get("/livez").status == 200
        except OSError:
            return False

    dc("partition", first)
    wait(lambda: set(dc.status()["roles"]["virtual_address"]) - {first}, 60, "another one to take the address")
    wait(served, 60, "it to answer")
    dc("heal")
    began = last = time.monotonic()
    while time.monotonic() < began + 10:
        if not served():
            last = time.monotonic()
        time.sleep(0.05)
    assert last - began < 3, f"not always served until {last - began:.1f} s after the cut"
    dc.whole()


def test_cut_one_link(dc, report):
    """The link between the writer's machine and another one is cut."""
    host = dc.role("database_writer")
    other = dc.other(host)
    row = measure(dc, report, f"cut the link {host} - {other}", 6, lambda: dc("partition", host, other),
                  lambda: dc("heal"), watch=14)
    within(row, "create", "work")
    assert row["healed"] <= 15


def test_lossy_machine(dc, report):
    """A machine loses a tenth of its packets."""
    host = dc.role("database_writer")
    row = measure(dc, report, f"lose 10 % of the writer's packets ({host})", 6, lambda: dc("lossy", host, 10),
                  lambda: dc("heal"), watch=14)
    within(row, "create")


def test_rolling_restart(dc, report):
    """Every part is restarted, one after another, under load."""
    def strike():
        for host in "abc":
            for part in ("ui", "api", "scheduler", "provisioner", "zookeeper", "sqlproxy", "db", "haproxy",
                         "keepalived"):
                dc("stop", host, part)
                dc("start", host, part)

    row = measure(dc, report, "rolling restart of every part", 3, strike, watch=1)
    assert row["lost"] == 0
    assert row["refused"] == 0
    within(row, "create")


def test_upgrade(dc, report):
    """One machine after the other gets the next version, with a schema of its own, under load.

    The first services of that version are killed while they migrate. Afterwards one machine goes
    back to the old version: it works beside the newer schema.
    """
    following = os.environ.get("LOOM_DC_NEXT") or str(ROOT / "build/next/bin")
    before, _ = schema_of(dc)
    seen = []

    def strike():
        for host in "abc":
            replace_programs(dc, host, following, kills=3 if host == "a" else 0)
            seen.append(schema_of(dc))
            time.sleep(2)
        replace_programs(dc, "b", dc.bin)
        seen.append(schema_of(dc))

    row = measure(dc, report, "upgrade one machine at a time", 3, strike, watch=1)
    assert [applied for applied, _ in seen] == [before + 1] * 4
    assert [[program.startswith(following) for program in programs] for _, programs in seen] == [
        [True, False, False], [True, True, False], [True, True, True], [True, False, True]]
    assert row["lost"] == 0
    assert row["refused"] == 0
    within(row, "create", "work")
    assert sql(dc, "SELECT COUNT(*) FROM cluster WHERE next_note <> 'none'") == "0"


def test_too_old(dc):
    """A schema that says that services are too old for it: they end, and say why, until it is gone."""
    def started():
        return [dc.status()["hosts"][host]["parts"][part]["starts"] for host in "abc"
                for part in ("api", "scheduler")]

    before = started()
    sql(dc, "INSERT INTO schema_migrations (version, name, applied_at, oldest) VALUES (99, 'far away', 1, 99)")
    wait(lambda: all(now > then for now, then in zip(started(), before)), 60, "their end")
    assert dc.api().get("/v2/clusters").status == 503
    for host in "abc":
        for part in ("api", "scheduler"):
            log = (dc.dir / host / "log" / f"{part}.log").read_text()
            assert "(far away), which services must know up to 99" in log
    sql(dc, "DELETE FROM schema_migrations WHERE version = 99")
    dc.whole()
    assert dc.api().get("/v2/clusters").ok


def test_down_and_up(dc):
    """Everything stops and starts again: all clusters are there, nothing was left behind."""
    before = {entry["id"] for entry in dc.api().get("/v2/clusters").json}
    dc("down")
    names = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True, check=True).stdout
    prefix = json.loads((dc.dir / "dc.json").read_text())["prefix"]
    assert prefix not in names
    assert prefix not in subprocess.run(["ip", "netns"], stdout=subprocess.PIPE, text=True, check=True).stdout
    assert not processes_of(dc)
    dc.up()
    assert {entry["id"] for entry in dc.api().get("/v2/clusters").json} == before


def test_scale(dc):
    """More and fewer provisioners; fewer APIs."""
    dc("scale", "provisioner", 5, "--wait")
    dc("scale", "api", 2, "--wait")
    found = dc.status()
    assert [sum(name.startswith("provisioner") for name in found["hosts"][host]["parts"]) for host in "abc"] == [2, 2, 1]
    assert ["api" in found["hosts"][host]["parts"] for host in "abc"] == [True, True, False]
    assert dc.api().get("/v2/clusters").ok
    dc("scale", "provisioner", 3, "--wait")
    dc("scale", "api", 3, "--wait")
    assert dc.ready()


def test_a_demoted_writer_loses_its_connections(dc):
    """A client that sits on the writer when another one takes over is cut off at once."""
    host = dc.role("database_writer")
    password = (dc.dir / "secrets/db.password").read_text().strip()
    sitting = subprocess.Popen(
        [str(ROOT / "scripts/dc"), "--dir", str(dc.dir), "exec", dc.other(host), "mariadb", "--no-defaults",
         "--host=127.0.0.1", "--port=55306", "--user=loom", f"--password={password}", "-N", "-B", "-e",
         "SELECT @@hostname; SELECT SLEEP(30)", "loom"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait(lambda: sql(dc, "SELECT COUNT(*) FROM information_schema.processlist"
                             " WHERE info LIKE 'SELECT SLEEP%'") == "1", 60, "a client")
        began = time.monotonic()
        dc("exec", host, "setpriv", "--reuid", "mysql", "--regid", "mysql", "--init-groups", "--",
           ROOT / "deploy/mariadb/galera-check", dc.dir / host / "etc/mariadb/galera-check.conf", "release")
        said = sitting.communicate(timeout=60)[1]
        assert time.monotonic() - began < 15 and "Lost connection" in said, said  # of its 30 s
    finally:
        sitting.kill()
        sitting.wait()
    assert dc.role("database_writer") != host


@pytest.mark.parametrize("port", [55054, 55055, 8100])
@pytest.mark.parametrize("head", [
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b", "GET / HTTP/1.1", "GET / HTTP/1.1\r\nHost : a",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1", "GET / HTTP/1.1\r\nHost: a\r\n folded: x",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\nContent-Length: 3",
    "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b", "G@T / HTTP/1.1\r\nHost: a",
    "GET / HTTP/9.9\r\nHost: a"])
def test_malformed_requests_stop_at_haproxy(dc, port, head):
    """Nothing that two servers might read differently is passed on."""
    with socket.create_connection((dc.env["LOOM_URL"].split("/")[2].split(":")[0], port), timeout=5) as sock:
        sock.sendall(head.encode() + b"\r\n\r\n")
        data = sock.recv(65536)
    assert data.split(b" ", 2)[1:2] == [b"400"], data


def test_exec_inside_a_host(dc):
    """A client within a host uses its own machine's proxies."""
    out = dc("exec", "b", "curl", "-s", "-H", f"Authorization: Bearer {dc.env['LOOM_TOKEN']}",
             "http://127.0.0.1:55054/v2/clusters")
    assert isinstance(json.loads(out), list)


def test_doctor_sees_what_is_broken(dc, tmp_path):
    """From any machine: nothing but the missing backup, then a lost quorum."""
    def findings():
        found = tool(dc, tmp_path, "b", "doctor")[1]["findings"]
        return [f"{entry['where']}: {entry['what']}" for entry in found if "disk" not in entry["what"]]

    wait(lambda: findings() == ["backup: there is none on this machine"], 60, "a datacenter that is well")
    assert tool(dc, tmp_path, "b", "status")[0] == 0
    for host in "ab":
        dc("kill", host, "zookeeper", "--hold")
    try:
        wait(lambda: any("the quorum is lost" in line for line in findings()), 60, "the lost quorum to be told")
        assert tool(dc, tmp_path, "b", "status")[0] == 3
    finally:
        for host in "ab":
            dc("start", host, "zookeeper")
    dc.whole()


def test_backup_and_restore(dc, tmp_path):
    """A backup restored into a fresh datacenter gives back every cluster."""
    writer = dc.role("database_writer")
    for number in range(3):
        answer = dc.api().post("/v2/clusters", {"name": f"kept{number}", "clusterTemplate": "workers",
                                                "numMachines": 2})
        assert answer.ok, answer
        wait(lambda answer=answer: status_of(dc.api(), answer.json["id"]) == "active", 60, "a cluster")
    before = {entry["id"]: entry["status"] for entry in dc.api().get("/v2/clusters").json}
    code, made = tool(dc, tmp_path, dc.other(writer), "backup")
    assert code == 0, made
    key = (dc.dir / "secrets/cluster.key").read_text()
    dc("down", "--quick", "--purge")
    (dc.dir / "secrets").mkdir(mode=0o700)
    (dc.dir / "secrets/cluster.key").write_text(key)
    dc.up()
    for part in ("api", "scheduler"):
        for host in "abc":
            dc("stop", host, part)
    code, told = tool(dc, tmp_path, dc.role("database_writer"), "restore", made["file"], "--replace")
    assert code == 0, told
    for part in ("api", "scheduler"):
        for host in "abc":
            dc("start", host, part)
    dc.whole()
    assert {entry["id"]: entry["status"] for entry in dc.api().get("/v2/clusters").json} == before


def test_replace_a_machine(dc):
    """A machine is lost with its disks; an empty one of the same name and address takes its place."""
    host = dc.role("database_writer")
    before = {entry["id"] for entry in dc.api().get("/v2/clusters").json}
    dc("crash", host)
    for name in ("db", "zookeeper", "work", "run", "log"):
        shutil.rmtree(dc.dir / host / name)
        (dc.dir / host / name).mkdir()
    wait(lambda: dc.api().get("/v2/clusters").ok, 60, "the other two")
    dc("boot", host, "--wait")
    dc.whole()
    assert {entry["id"] for entry in dc.api().get("/v2/clusters").json} == before
    assert int(mariadb(dc, host, "mariadb", "-N", "-B", "-e", "SELECT COUNT(*) FROM cluster", "loom",
                       stdout=subprocess.PIPE, text=True).stdout) == len(before)


def test_lost_node_after_full_stop(dc):
    """All databases were down and one does not come back: the operator begins with the others."""
    for host in "abc":
        dc("kill", host, "db", "--hold")
    for host in "ab":
        dc.without_waiting("start", host, "db")
    time.sleep(3)
    assert not dc.status()["roles"]["database_writer"]
    notes = {host: json.loads(dc("exec", host, "curl", "-s", url_of(dc, host) + "/state"))["start"]
             for host in "ab"}
    best = max(notes, key=lambda host: notes[host]["seqno"])
    dc("kill", best, "db", "--hold")
    alone = subprocess.Popen(
        [str(ROOT / "scripts/dc"), "--dir", str(dc.dir), "exec", best, "setpriv", "--reuid", "mysql", "--regid",
         "mysql", "--init-groups", "--", str(ROOT / "deploy/mariadb/galera-start"),
         str(dc.dir / best / "etc/mariadb/galera-check.conf"), "--alone"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait(lambda: dc("exec", best, "curl", "-s", url_of(dc, best) + "/writer") == "yes\n", 60, "a writer")
        other = "b" if best == "a" else "a"
        wait(lambda: dc.status()["hosts"][other]["parts"]["db"]["ready"], 60, "the second node")
    finally:
        alone.terminate()
        alone.wait(30)
    dc("start", best, "db")
    dc("start", "c", "db")
    dc.whole()
    assert dc.api().get("/v2/clusters").ok
