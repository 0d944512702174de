# SPDX-License-Identifier: Apache-2.0
"""A tenant at its work beside one that does more than its share, of each kind that has been seen.

The quiet tenant creates small clusters at a steady pace, and workers do their tasks at once. What is
measured is its own: how long a create takes to be accepted, and a ready task to be claimed.

The neighbours' clients stand for other machines: they yield the processors to the servers (nice), as far
as that goes on one machine.
"""

import contextlib
import json
import multiprocessing
import os
import selectors
import socket
import time

import catalog

from bench import percentile
from support.api import Api

SECONDS, SETTLE = 8, 2
PACE = float(os.environ.get("PACE") or 0.08)  # seconds from one create to the next: on a slow machine, fewer
WATCHERS = 400
TARGETS = 16  # whom callbacks go to: as many as a tenant may have
LISTED = 5000  # clusters
PIECE = 128 << 10  # of a log, the largest that is taken
WORKERS = {"provisioners": 2, "slots": 16}
QUIET, LOUD = "quiet", "loud"


def tenant(bench, name):
    """Its administrator; the tenant is made, with the catalog, the first time."""
    admin = Api(bench.stack.api.url, "admin", name)
    if not bench.number(f"SELECT COUNT(*) FROM tenant WHERE name='{name}'"):
        bench.sql(f"INSERT INTO tenant (id, name) VALUES ('id-of-{name}', '{name}')")
        for kind, documents in catalog.CATALOG.items():
            for document in documents:
                answer = admin.post(f"/v2/{kind}", document)
                assert answer.status == 200, answer
    return admin


def body(template, machines, name, **more):
    """Of a create."""
    return {"name": f"{name}-{time.time_ns()}", "clusterTemplate": template, "numMachines": machines, **more}


# ---- neighbours: each is processes of its own that go on until they are ended


def creates(admin, _internal):
    """Create as fast as it is answered."""
    while True:
        admin.post("/v2/clusters", body("lean", 3, "c"))


def configurations(admin, _internal):
    """Clusters of many nodes with nearly the largest configuration that is taken."""
    config = {"filler": {f"k{i}": "x" * 1000 for i in range(240)}}
    while True:
        admin.post("/v2/clusters", body("load", 20, "l", config=config))


def lists(admin, _internal):
    """List all clusters again and again."""
    while True:
        admin.get("/v2/clusters")


def watchers(admin, _internal):
    """Hundreds of readers of the tenant's events, which has clusters come."""
    ready = selectors.DefaultSelector()
    for _ in range(WATCHERS):
        conn = socket.create_connection(("127.0.0.1", int(admin.url.rpartition(":")[2])))
        head = "".join(f"{name}: {value}\r\n" for name, value in admin.identity.items())
        conn.sendall(f"GET /v2/events HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode())
        ready.register(conn, selectors.EVENT_READ)
    due = 0
    while True:
        if time.monotonic() > due:
            admin.post("/v2/clusters", body("lean", 3, "w"))
            due = time.monotonic() + 0.1
        for key, _ in ready.select(0.05):
            if not key.fileobj.recv(65536):
                ready.unregister(key.fileobj)


def callbacks(admin, _internal):
    """All the targets that a tenant may have take each call and never answer, and clusters come."""
    taken = []
    with socket.create_server(("127.0.0.1", 0), backlog=TARGETS) as never:
        url = f"http://127.0.0.1:{never.getsockname()[1]}"
        for number in range(TARGETS):
            answer = admin.put(f"/v2/callbacktargets/target-{number}",
                               {"url": f"{url}/{number}", "events": ["start", "success", "failure"]})
            assert answer.status == 200, answer
        never.settimeout(0.05)
        while True:
            admin.post("/v2/clusters", body("lean", 3, "b"))
            due = time.monotonic() + 0.5
            while time.monotonic() < due:
                with contextlib.suppress(TimeoutError):
                    taken.append(never.accept()[0])
            del taken[:-TARGETS]


def logs(admin, internal):
    """A worker that writes the log of its task as fast as it is taken."""
    worker = {"provisionerId": f"talker-{os.getpid()}", "workerId": "talker", "tenantId": f"id-of-{LOUD}"}
    about = {"id": worker["provisionerId"], "host": "127.0.0.1", "port": "1", "capacityTotal": "1"}
    assert internal.put(f"/v2/provisioners/{about['id']}", about).status == 200
    given = None
    while not given or given.status != 200:
        admin.post("/v2/clusters", body("lean", 1, "t"))
        given = internal.post("/v2/tasks/take", {**worker, "wait": 5, "max": 1})
    task = given.json["tasks"][0]
    offset, data = 0, "x" * (PIECE - 1) + "\n"
    while True:
        answer = internal.post(f"/v2/tasks/{task['taskId']}/log",
                               {**worker, "attempt": task["attempt"], "offset": offset, "data": data})
        offset += PIECE if answer.status == 200 else 0


def polls(admin, _internal):
    """Ask for the details of a cluster, and why it waits, again and again."""
    cluster = admin.post("/v2/clusters", body("load", 20, "p")).json["id"]
    while True:
        for path in ("", "/why", "/status"):
            admin.get(f"/v2/clusters/{cluster}{path}")


# name: (what each process does, how many). Last those that leave work behind.
KINDS = {"watchers": (watchers, 1), "polls": (polls, 4), "lists": (lists, 4), "logs": (logs, 2),
         "callbacks": (callbacks, 1), "configurations": (configurations, 2), "creates": (creates, 4)}


def stock(bench, admin):
    """Thousands of clusters that are over, for lists."""
    cluster = int(admin.post("/v2/clusters", body("lean", 3, "s")).json["id"])
    columns = [name for name, in bench.sql("SELECT column_name FROM information_schema.columns WHERE"
                                           " table_schema=DATABASE() AND table_name='cluster'")]
    other = {"id": f"{10 ** 9}+seq", "name": "CONCAT('over-', seq)", "own_name": "NULL", "status": "'terminated'",
             "terms_due": "NOW()"}
    bench.sql(f"INSERT INTO cluster ({','.join(columns)}) SELECT {','.join(other.get(c, c) for c in columns)}"
              f" FROM cluster JOIN seq_1_to_{LISTED} WHERE id={cluster}")


def run(once, admin, internal):
    """A process of a neighbour."""
    os.nice(19)
    once(admin, internal)


@contextlib.contextmanager
def beside(kind, admin, internal):
    """As long as it lasts."""
    once, count = KINDS[kind]
    processes = [multiprocessing.Process(target=run, args=(once, admin, internal), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def claims(bench, since_ms, log):
    """Delays of the quiet tenant's claims in ms."""
    ready = {}
    for (text,) in bench.sql("SELECT e.data FROM event e JOIN cluster c ON c.id=e.cluster_id WHERE e.type='task'"
                             f" AND c.tenant_id='id-of-{QUIET}'"):
        event = json.loads(text)
        if event["state"] in ("ready", "retry") and event["time"] >= since_ms:
            ready[event["taskId"], event["attempt"] + 1] = event["time"]
    delays = []
    for line in log.read_text(encoding="ascii").splitlines():
        task, attempt, at = line.split()
        if (task, int(attempt)) in ready:
            delays.append(int(at) / 1000 - (ready[task, int(attempt)] + 0.5))
    return delays


def measure(bench):
    """p99 in ms of the quiet tenant's creates and claims, how many there were, and how many claims in all."""
    user = tenant(bench, QUIET)
    log = bench.stack.dir / f"takes-{time.time_ns()}"
    since = time.time() * 1000
    workers = bench.play(seconds=SECONDS + 2, takes=log, **WORKERS)
    times, failed = [], 0
    for number in range(int(SECONDS / PACE)):
        at = time.monotonic()
        failed += user.post("/v2/clusters", body("lean", 3, f"q{time.time_ns()}-{number}")).status != 200
        times.append((time.monotonic() - at) * 1000)
        time.sleep(max(0, at + PACE - time.monotonic()))
    bench.result(workers)
    delays = claims(bench, since, log)
    return {"create": percentile(times, 990), "claim": percentile(delays, 990), "creates": len(times),
            "claims": len(delays), "failed": failed, "all_claims": len(log.read_text(encoding="ascii").splitlines())}


def noisy(bench):
    """Alone, and beside each kind of neighbour, or those in BESIDE, with commas."""
    bench.stack.stop("api")
    bench.stack.start("api", settings=("api.tenant_change_rate=50",))  # as it is by default
    admin = tenant(bench, LOUD)
    stock(bench, admin)
    measure(bench)  # what is read for the first time is read
    found = {"quiet": measure(bench)}
    for kind in (os.environ.get("BESIDE") or ",".join(KINDS)).split(","):
        with beside(kind, admin, bench.stack.internal):
            time.sleep(SETTLE)
            found[kind] = measure(bench)
    return found
