# SPDX-License-Identifier: Apache-2.0
"""The figures. Each function measures one and answers a dictionary of what it found; ROWS says
which of it is shown beside which target."""

import json
import statistics
import time

from critical import ideal_seconds

from bench import percentile
from support import wait_for

WORKERS = {"provisioners": 4, "slots": 16}
LOAD_MACHINES, LOAD_TASKS = 5, 16  # of one cluster of template load; tasks of each machine
TASK_MS, SPREAD_MS = 100, 50       # of tasks under half load
HALF_SECONDS, SETTLE_SECONDS = 8, 3
FLEET_CLUSTERS, FLEET_MACHINES, FLEET_ROUNDS = 5000, 20, 3
FLEET_FIRST = 1000000


def drain(bench):
    """Let workers finish whatever is open."""
    bench.wait_planned()
    left = bench.open_tasks()
    if left:
        driver = bench.play(until=left, seconds=60, **WORKERS)
        assert bench.result(driver)["done"] == left, "the load was not worked off"


def at_limit(bench):
    """As fast as it goes, for some seconds: as many tasks as a short run before it says. The middle one of
    three, since the machine's speed changes from minute to minute."""
    bench.results["complete"] = completions(bench)
    runs = sorted((completions(bench) for _ in range(3)), key=lambda found: found["rate"])
    return {**runs[1], "rates": [found["rate"] for found in runs]}


def completions(bench):
    """Tasks of no duration, all there before the workers start."""
    rate = bench.results.get("complete", {}).get("rate", 600)
    clusters = max(20, min(200, int(rate * 5 / LOAD_MACHINES / LOAD_TASKS)))
    bench.create("load", LOAD_MACHINES, clusters, name="load")
    bench.wait_planned()
    todo = bench.open_tasks()
    before = bench.snapshot()
    found = bench.result(bench.play(until=todo, seconds=40, **WORKERS))
    found["per_completion"] = bench.costs(before, found["done"], found)
    drain(bench)
    return found


def database_limit(bench):
    """The same row changes by a bare loop, in a schema of its own."""
    found = {}
    host, port, password = bench.database
    for together, many in ((1, 0), (8, 0), (24, 1)):
        bench.sql("DROP DATABASE IF EXISTS loom_bench; CREATE DATABASE loom_bench")
        found[f"together_{together}"] = bench.drive(
            "limit", host=host, port=port, user="loom", name="loom_bench", seconds=3, password_file=password,
            together=together, many=many, connections=2 if many else 8)["rate"]
    bench.sql("DROP DATABASE loom_bench")
    return found


def task_events(bench, since_ms):
    """(task id, attempt) -> time at which it became ready, of all tasks since then."""
    ready = {}
    for (text,) in bench.sql("SELECT data FROM event WHERE type='task' AND cluster_id<" + str(FLEET_FIRST) +
                             " ORDER BY cluster_id, seq"):
        event = json.loads(text)
        if event["state"] in ("ready", "retry") and event["time"] >= since_ms:
            ready[event["taskId"], event["attempt"] + 1] = event["time"]
    return ready


def half_load(bench):
    """Clusters arrive at half the rate that the workers can finish; one always waits."""
    if "complete" not in bench.results:
        bench.results["complete"] = at_limit(bench)
    rate = bench.results["complete"]["rate"] / 2
    busy = rate * TASK_MS / 1000
    log = bench.stack.dir / "takes"
    clusters = max(8, int(rate * HALF_SECONDS / LOAD_MACHINES / LOAD_TASKS))
    begun = time.time()
    workers = bench.play(seconds=HALF_SECONDS, ms=TASK_MS, spread=SPREAD_MS, takes=log, provisioners=4,
                         slots=int(busy) + 8)
    created = bench.create("load", LOAD_MACHINES, clusters, name="half",
                           every=int(HALF_SECONDS * 1e6 / clusters))
    found = bench.result(workers)
    ready = task_events(bench, (begun + SETTLE_SECONDS) * 1000)
    delays = []
    for line in log.read_text(encoding="ascii").splitlines():
        task, attempt, at = line.split()
        if (task, int(attempt)) in ready:
            # An event's time is cut to whole milliseconds.
            delays.append(int(at) / 1000 - (ready[task, int(attempt)] + 0.5))
    drain(bench)
    return {"n": len(delays), "p50": percentile(delays, 500), "p90": percentile(delays, 900),
            "p99": percentile(delays, 990), "max": max(delays, default=None), "rate": len(delays) /
            (HALF_SECONDS - SETTLE_SECONDS), "create_ms": created["create_ms"], "finish_ms": found["finish_ms"]}


def creating(bench):
    """Requests at a steady pace while the scheduler plans what they ask for."""
    found = bench.create("lean", 3, 250, name="create", every=20000)
    drain(bench)
    return found["create_ms"]


def overhead(bench):
    """One cluster of 50 machines and ten services whose tasks take a second each."""
    workers = bench.play(seconds=120, ms=1000, provisioners=4, slots=16, until=761)
    began = time.time()
    cluster = int(bench.create("ten", 50, 1, name="ten")["ids"][0])
    found = bench.result(workers)
    events = {"job": [], "plan": [], "cluster": []}
    for kind, text in bench.sql(f"SELECT type, data FROM event WHERE cluster_id={cluster} AND type<>'task'"
                                " ORDER BY seq"):
        events.setdefault(kind, []).append(json.loads(text))
    chain, ideal = ideal_seconds([task for part in events["plan"] for task in part["tasks"]], 1.0)
    job = [event for event in events["job"] if event["action"] == "cluster_create"]
    took = (job[-1]["time"] - job[0]["time"]) / 1000
    assert job[-1]["status"] == "complete", job[-1]
    return {"tasks": found["done"], "job_seconds": took, "chain_seconds": chain, "ideal_seconds": ideal,
            "whole_seconds": job[-1]["time"] / 1000 - began, "percent": 100 * (took - ideal) / ideal}


def solving(bench):
    """Solved and planned, in memory and into the database."""
    found = {}
    for machines in (1000, 10000):
        found[str(machines)] = bench.drive("solve", catalog=bench.catalog_file, template="ten", machines=machines)
    return found


def storing(bench):
    """From the request for so many machines to the commit of their tasks."""
    found = {}
    for machines in (100, 1000):
        began = time.monotonic()
        bench.create("ten", machines, 1, name="stored")
        bench.wait_planned(40)
        found[str(machines)] = (time.monotonic() - began) * 1000
    return found


def insert_fleet(bench):
    """Copies of one real cluster, with all that it left in the database."""
    began = time.monotonic()
    cluster = int(bench.create("lean", FLEET_MACHINES, 1, name="fleet")["ids"][0])
    drain(bench)
    one = f"FROM {{}} AS t JOIN seq_1_to_{FLEET_CLUSTERS} s WHERE t.cluster_id={cluster}"
    columns = {}
    for table, column in bench.sql("SELECT table_name, column_name FROM information_schema.columns"
                                   " WHERE table_schema=DATABASE() AND is_generated='NEVER'"
                                   " ORDER BY table_name, ordinal_position"):
        columns.setdefault(table, []).append(column)
    changed = {("cluster", "id"): f"{FLEET_FIRST}+s.seq", ("cluster", "name"): "CONCAT('fleet-', s.seq)",
               ("cluster", "own_name"): "CONCAT('fleet-', s.seq)",
               ("node", "id"): "CONCAT(LPAD(HEX(s.seq), 8, '0'), SUBSTR(t.id, 9))",
               ("task", "node_id"): "CONCAT(LPAD(HEX(s.seq), 8, '0'), SUBSTR(t.node_id, 9))"}
    for table in ("cluster", "job", "node", "task", "event"):
        values = [changed.get((table, column), f"{FLEET_FIRST}+s.seq" if column == "cluster_id" else f"t.{column}")
                  for column in columns[table]]
        source = one.format(table).replace("t.cluster_id", "t.id" if table == "cluster" else "t.cluster_id")
        bench.sql(f"INSERT INTO {table} ({','.join(columns[table])}) SELECT {','.join(values)} {source}")
    bench.sql("ANALYZE TABLE cluster, job, node, task, event")
    return {"seconds": time.monotonic() - began, "clusters": bench.number("SELECT COUNT(*) FROM cluster"),
            "machines": bench.number("SELECT COUNT(*) FROM node"), "tasks": bench.number("SELECT COUNT(*) FROM task"),
            "events": bench.number("SELECT COUNT(*) FROM event")}


def three_figures(bench):
    """What is compared."""
    return {"create": creating(bench)["p50"], "complete": completions(bench)["rate"], "claim": half_load(bench)["p50"]}


def medians(rounds):
    """Of each figure."""
    return {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}


def fleet(bench):
    """Three of the figures again, with many clusters in the database.

    In turn with a database that is empty but for what the figures made, since the machine's speed
    changes from minute to minute. A database that is not ours is there only once: it is measured
    before and after.
    """
    if not bench.private:
        empty = [three_figures(bench) for _ in range(FLEET_ROUNDS)]
        inserted = insert_fleet(bench)
        full = [three_figures(bench) for _ in range(FLEET_ROUNDS)]
    else:
        with bench.twin() as other:
            inserted = insert_fleet(other)
            rounds = [(three_figures(bench), three_figures(other)) for _ in range(FLEET_ROUNDS)]
        empty, full = zip(*rounds)
    return {"inserted": inserted, "empty": medians(empty), "full": medians(full)}


def idle(bench):
    """Nothing to do: queries, memory. First the catalog is sealed under its tenant's key, which comes later."""
    seconds = 16
    wait_for(lambda: bench.number("SELECT COUNT(*) FROM data_key") and not bench.number(
        "SELECT COUNT(*) FROM entity WHERE kind IN ('providers', 'services')"
        " AND sealed < (SELECT value FROM counter WHERE name='secrets')"), what="the catalog to be sealed")
    time.sleep(2)
    before = bench.snapshot()
    began = time.monotonic()
    time.sleep(seconds)
    after = bench.snapshot()
    took = time.monotonic() - began
    found = {f"{part}_qps": (after[f"{part}_statements"] - before[f"{part}_statements"]) / took
             for part in ("scheduler", "api")}
    found["all_qps"] = (after["questions"] - before["questions"]) / took
    for part in ("scheduler", "api", "gateway", "provisioner"):
        found[f"{part}_mib"] = bench.resident_mib(part)
    found["slot_mib"] = found["provisioner_mib"] / 10
    return found
