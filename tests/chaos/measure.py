# SPDX-License-Identifier: Apache-2.0
"""How long each fault was felt: pure functions over (records, evidence).

The recovery from a fault is the longest time, from the fault until its watch was over, in which no
create was acknowledged, or in which no work went on, whichever is longer. What work is, depends:
after most faults, any task's progress; after a scheduler's, the longest time that one task waited
for a scheduler (to be handed out, or for its result to be written); after a provisioner's, the time
until each task that it had is run elsewhere.
"""

import json

from .clients import never_sent
from .history import operations
from .nemesis import FAULTS
from .noise import stretch

BUSY = 2.0  # stretch
LOST = "stopped renewing its lease"


def longest_gap(times, start, end):
    """The longest time within [start, end] without one of these (sorted)."""
    inside = [start, *(moment for moment in times if start < moment < end), end]
    return max(later - earlier for earlier, later in zip(inside, inside[1:]))


def task_events(evidence):
    """(time, data) of all events about tasks, by time."""
    found = [json.loads(text) for events in evidence["events"].values() for _, kind, text in events
             if kind == "task"]
    return sorted(((data["time"] / 1000, data) for data in found), key=lambda entry: entry[0])


def waits(events, evidence):
    """(from, to) of all times that a task waited for a scheduler."""
    since = {}
    for when, data in events:
        task, state = data["taskId"], data["state"]
        if state == "ready":
            since[task] = when
        elif state == "running" and task in since:
            yield since.pop(task), when
        elif state == "complete":
            told = evidence["ended"].get((task, data["attempt"]), ())
            yield min([when, *(ended for ended, _, how in told if how == "done")]), when


def reruns(events):
    """(began, began again) of all attempts that were lost with their provisioner."""
    running, lost = {}, {}
    for when, data in events:
        task = data["taskId"]
        if data["state"] == "running":
            if task in lost:
                yield lost.pop(task), when
            running[task] = when
        elif task in running and LOST in (data.get("message") or ""):
            lost[task] = running.pop(task)


def is_missed(step):
    """Whether a bound was missed by more than the noise of the machine explains.

    All takes as much longer as the probe did. A safe request that failed where none may is excused by
    a machine that is so busy that clients give up by themselves.
    """
    busy = step["stretch"]
    if busy is None:
        return False
    failed = step["idempotent"] and step["failed_reads"] > 0 and busy < BUSY
    return failed or step["recovery"] > step["bound"] * busy


class Measured:
    """All figures of a run."""

    def __init__(self, records, evidence):
        events = task_events(evidence)
        self.creates = [op for op in operations(records, "create")
                        if op["template"] != "machine" and not op.invoke["p"].startswith("insider")]
        self.reads = [op for what in ("get", "list") for op in operations(records, what)
                      if op.invoke["p"] in ("reader", "browser")]
        self.accepted = sorted(op.ended for op in self.creates if op.kind == "ok")
        self.work = [when for when, data in events if data["state"] in ("running", "complete")]
        self.waits = list(waits(events, evidence))
        self.reruns = list(reruns(events))
        self.noise = [(record["t"], record["worked"], record["waited"]) for record in records
                      if record["kind"] == "noise"]
        healed = {record["step"]: record for record in records if record["kind"] == "healed"}
        self.steps = [self.measure(record, healed.get(record["step"], {})) for record in records
                      if record["kind"] == "fault"]
        self.missed = [step for step in self.steps if is_missed(step)]

    def progress(self, how, start, end):
        """The longest time without it."""
        if how == "all":
            return longest_gap(self.work, start, end)
        spans = self.waits if how == "jobs" else self.reruns
        return max([min(until, end) - max(since, start) for since, until in spans
                    if until > start and since < end], default=0.0)

    def measure(self, record, healed):
        """The figures of one step."""
        start = record["t"]
        end = min(start + max(FAULTS[name].watch for name in record["names"]), record.get("until", start + 5))
        if "rolling-restart" in record["names"]:
            end = record.get("mended", end)
        create = longest_gap(self.accepted, start, end)
        work = max(self.progress(FAULTS[name].progress, start, end) for name in record["names"])
        bad = [op for op in self.reads if op.kind != "ok" and start - 0.5 <= op.began <= end]
        lost = [op for op in bad if not never_sent(op.get("why", ""))]
        refused = [op for op in self.creates if op.kind != "ok" and op["status"] != 409
                   and start <= op.began <= end and not never_sent(op.get("why", ""))]
        return {"step": record["step"], "faults": record["names"], "what": record["what"], "at": start,
                "end": end, "mended": record.get("mended", end), "bound": record["bound"],
                "recovery": round(max(create, work), 2),
                "create": round(create, 2), "work": round(work, 2), "whole": healed.get("whole"),
                "failed_reads": len(lost), "unconnected": len(bad) - len(lost),
                "failed_creates": len(refused), "stretch": stretch(self.noise, start, end),
                "idempotent": all(FAULTS[name].idempotent for name in record["names"])}


def violations_in(step, violations):
    """How many violations have a time in a step's window."""
    return sum(step["at"] <= violation.time <= step["end"] for violation in violations)


def percentile(values, share):
    """A value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[int((len(ordered) - 1) * share)] if ordered else 0.0


def table(steps, violations, most_pairs=12):
    """Rows: fault, times, recovery p50 and max, bound, how often over it, failed reads, violations."""
    groups = {}
    pairs = {tuple(sorted(step["faults"])) for step in steps if len(step["faults"]) > 1}
    for step in steps:
        name = " + ".join(sorted(step["faults"]))
        if len(step["faults"]) > 1 and len(pairs) > most_pairs:
            name = f"two together ({len(pairs)} pairs)"
        groups.setdefault(name, []).append(step)
    rows = []
    for name, group in sorted(groups.items(), key=lambda entry: ("+" in entry[0] or "two" in entry[0], entry[0])):
        recoveries = [step["recovery"] for step in group]
        bounds = {step["bound"] for step in group}
        rows.append({
            "fault": name, "times": len(group), "bound": bounds.pop() if len(bounds) == 1 else None,
            "p50": percentile(recoveries, 0.5), "max": max(recoveries),
            "over": sum(step["recovery"] > step["bound"] or step["idempotent"] and step["failed_reads"] > 0
                        for step in group),
            "failed_creates": sum(step["failed_creates"] for step in group),
            "failed_reads": sum(step["failed_reads"] for step in group),
            "missed": sum(map(is_missed, group)),
            "stretch": max([step["stretch"] for step in group if step["stretch"] is not None], default=None),
            "whole_max": max([step["whole"] for step in group if step["whole"] is not None], default=None),
            "violations": sum(violations_in(step, violations) for step in group)})
    return rows


def timeline(measured):
    """Per second since the first: creates and reads answered, their latencies, steps of work done."""
    began = min([op.began for op in measured.creates + measured.reads], default=0)
    ends = [op.ended for op in measured.creates + measured.reads if op.ended]
    rows = [{"creates": [], "reads": [], "work": 0, "failed": 0} for _ in range(int(max(ends, default=0) - began) + 1)]
    for name, ops in (("creates", measured.creates), ("reads", measured.reads)):
        for op in ops:
            if op.ended is None:
                continue
            row = rows[int(op.ended - began)]
            if op.kind == "ok":
                row[name].append(op["ms"])
            elif op["status"] not in (404, 409):
                row["failed"] += 1
    for when in measured.work:
        if 0 <= when - began < len(rows):
            rows[int(when - began)]["work"] += 1
    return began, rows
