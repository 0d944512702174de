# SPDX-License-Identifier: Apache-2.0
"""What is left of a run, gathered for checker.py: its header says in which form."""

import datetime
import json
import pathlib
import re
import subprocess

from support.stack import SANDBOX

TABLES = ("tenant", "cluster", "job", "node", "task", "task_edge", "task_failure", "event")
PENDING = ("SELECT COUNT(*) FROM cluster WHERE status='pending'",
           "SELECT COUNT(*) FROM job WHERE status NOT IN ('complete','failed')",
           "SELECT COUNT(*) FROM task WHERE state NOT IN ('complete','failed','dropped')",
           "SELECT COUNT(*) FROM callback WHERE state='waiting'")
NOTE = re.compile(r'^ts=(\S+) .*?msg="task (taken|done|failed)" task=(\S+) attempt=(\d+)')


def under_way(site):
    """How much is not over yet."""
    return sum(int(site.sql(statement)[0][0]) for statement in PENDING)


def rows(site, fields, table):
    """Rows of a table as dicts; fields: name -> SQL."""
    pairs = ",".join(f"'{name}',{sql}" for name, sql in fields.items())
    return [json.loads(row[0]) for row in site.sql(f"SELECT JSON_OBJECT({pairs}) FROM {table}")]


def cluster_id(column="cluster_id"):
    """SQL of a cluster's id as users see it."""
    return f"LPAD({column}, 8, '0')"


def database(site):
    """The tables that the checker reads."""
    task = f"CONCAT({cluster_id()}, '-', LPAD(job_num, 3, '0'), '-', LPAD(num, 3, '0'))"
    events = {}
    for row in rows(site, {"c": cluster_id(), "s": "seq", "t": "type", "d": "data"},
                    "event ORDER BY cluster_id, seq"):
        events.setdefault(row["c"], []).append([row["s"], row["t"], row["d"]])
    return {
        "tenants": {row.pop("id"): row for row in rows(site, {
            "id": "id", "max_clusters": "max_clusters", "max_nodes": "max_nodes"}, "tenant")},
        "clusters": rows(site, {
            "id": cluster_id("id"), "tenant": "tenant_id", "name": "name", "status": "status",
            "message": "message", "create_time": "create_time", "asked_nodes": "asked_nodes",
            "event_seq": "event_seq"}, "cluster"),
        "jobs": rows(site, {
            "cluster": cluster_id(), "num": "num", "action": "action", "status": "status", "phase": "phase",
            "message": "message", "total": "tasks_total", "done": "tasks_done"}, "job"),
        "nodes": rows(site, {"id": "id", "cluster": cluster_id(), "num": "num"}, "node"),
        "tasks": rows(site, {
            "id": task, "cluster": cluster_id(), "job": "job_num", "num": "num", "node": "node_id",
            "name": "name", "service": "service", "state": "state", "attempt": "attempt",
            "done_attempt": "done_attempt"}, "task"),
        "edges": list(plain(rows(site, {"cluster": cluster_id(), "job": "job_num", "from": "from_num",
                                        "to": "to_num"}, "task_edge"))),
        "events": events}


def plain(edges):
    """Edges between tasks only: negative numbers are groups, which all their members lead to."""
    members = {}
    for edge in edges:
        if edge["to"] < 0:
            members.setdefault((edge["cluster"], edge["job"], edge["to"]), []).append(edge["from"])
    for edge in edges:
        if edge["from"] < 0:
            for task in members.get((edge["cluster"], edge["job"], edge["from"]), ()):
                yield {**edge, "from": task}
        elif edge["to"] > 0:
            yield edge


def simulated(folder):
    """(machines that exist, the journal) of the simulated provider."""
    folder = pathlib.Path(folder)
    there = [path.name for path in (folder / "machines").glob("*")]
    lines = (folder / "journal").read_text(encoding="ascii").splitlines() if there or \
        (folder / "journal").exists() else []
    journal = []
    for line in lines:
        when, node, task, attempt, effect = line.split()
        journal.append((int(when) / 1000, node, task, int(attempt), effect))
    return there, journal


def sandbox(folder):
    """Nodes that the sandbox has a record of."""
    done = subprocess.run([str(SANDBOX), "list", "--state-dir", str(folder)], stdout=subprocess.PIPE, text=True,
                          check=True)
    return [json.loads(line)["nodeId"] for line in done.stdout.splitlines()]


def journals(logs):
    """(taken, ended) of the provisioners' logs; logs: (id, path)."""
    taken, ended = {}, {}
    for who, path in logs:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            found = NOTE.match(line)
            if not found:
                continue
            stamp, what, task, attempt = found.groups()
            when = datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
            if what == "taken":
                taken.setdefault((task, int(attempt)), []).append((when, who))
            else:
                ended.setdefault((task, int(attempt)), []).append((when, who, what))
    return taken, ended


def gather(site):
    """All of it. The load has ended, all is healed."""
    found = database(site)
    there, found["journal"] = simulated(site.simulated)
    found["machines"] = dict.fromkeys(there, "sim")
    if site.sandbox:
        found["machines"].update(dict.fromkeys(sandbox(site.sandbox["state_dir"]), "sandbox"))
    found["taken"], found["ended"] = journals(site.provisioner_logs())
    found["replicas"] = site.replicas(TABLES)
    return found
