# SPDX-License-Identifier: Apache-2.0
"""Proves from the records of a run what Loom promises, or says in one line each what it broke.

Pure functions over (records, evidence): records are history.py's, evidence is what evidence.py
gathered after the load had ended and everything had been healed:

    tenants    id -> {max_clusters, max_nodes}
    clusters   [{id, tenant, name, status, message, create_time, asked_nodes, event_seq}]
    jobs       [{cluster, num, action, status, phase, message, total, done}]
    nodes      [{id, cluster, num}]
    tasks      [{id, cluster, job, num, node, name, service, state, attempt, done_attempt}]
    edges      [{cluster, job, from, to}]
    events     cluster -> [(seq, type, text)]
    machines   node id -> provider, of machines that exist
    journal    [(time in seconds, node id, task id, attempt, create|delete)], the simulated provider's
    taken      (task id, attempt) -> [(time, provisioner)], from the provisioners' journals
    ended      (task id, attempt) -> [(time, provisioner, done|failed)], likewise
    replicas   table -> {node: checksum}

Times are of one clock: everything runs on one machine.
"""

import collections
import dataclasses
import json

from .history import crc, operations

SETTLED = ("active", "incomplete", "inconsistent", "terminated")
LATE = 0.2   # seconds after which an effect is later than the end of its attempt
CREATING = 2  # events that the create itself wrote, with a time from before it waited for its quota
CLOCK = 1.0  # seconds between what a log line says and when the database was told
PROMISES = {
    1: "acknowledged creates exist and end well; refused ones left nothing",
    2: "each machine was made once, has an owner, and went with its cluster",
    3: "no effect of stale attempts or deposed owners; edges were respected",
    4: "every job ended, nothing is stuck, quotas were kept",
    5: "watchers saw every event once and in order",
    6: "targets were told of every job at least once, and of a cluster's jobs in order",
}


@dataclasses.dataclass(frozen=True)
class Violation:
    """A promise that was broken: which one, a word for how, whose cluster, and a line of text."""

    promise: int
    kind: str
    cluster: str
    text: str
    time: float = 0.0

    def __str__(self):
        return f"promise {self.promise}, {self.kind}: {self.cluster or '-'}: {self.text}"


class Case:
    """Records and evidence, with indexes that several checks want."""

    def __init__(self, records, evidence):
        self.records = records
        self.evidence = evidence
        self.creates = operations(records, "create")
        self.deletes = operations(records, "delete")
        self.clusters = {cluster["id"]: cluster for cluster in evidence["clusters"]}
        self.events = {cluster: [(seq, kind, json.loads(text)) for seq, kind, text in events]
                       for cluster, events in evidence["events"].items()}
        self.owner = {node["id"]: node["cluster"] for node in evidence["nodes"]}
        for cluster, events in self.events.items():
            for _, kind, data in events:
                for node in data["nodes"] if kind == "plan" else ():
                    self.owner[node["nodeId"]] = cluster
        self.tasks = {task["id"]: task for task in evidence["tasks"]}
        self.jobs = collections.defaultdict(list)
        for job in evidence["jobs"]:
            self.jobs[job["cluster"]].append(job)
        self.to_delete = {op["cluster"] for op in self.deletes if op.kind != "fail"}

    def jobs_of(self, cluster):
        """The jobs of a cluster."""
        return self.jobs.get(cluster, [])


def check(records, evidence):
    """All violations, in the order of the promises."""
    case = Case(records, evidence)
    found = []
    for one in (creates, deletes, reads, machines, made_once, stories, results, late_effects, ended, quotas,
                watchers, numbers, callbacks, replicas):
        found += one(case)
    return sorted(found, key=lambda violation: violation.promise)


# ---- 1. what was acknowledged ------------------------------------------------------------------------


def creates(case):
    """Every create that was acknowledged exists as it was asked; the refused ones do not."""
    by_name = {}
    for cluster in case.evidence["clusters"]:
        by_name.setdefault(cluster["name"], []).append(cluster)
    asked = {op["name"]: op for op in case.creates}
    for op in case.creates:
        there = by_name.get(op["name"], [])
        if op.kind == "ok":
            yield from acknowledged(case, op, there)
        elif op.kind == "fail" and there:
            yield Violation(1, "refused but there", there[0]["id"],
                            f"the create of {op['name']} was refused ({op['why']}), but it exists", op.began)
        if len(there) > 1:
            yield Violation(1, "created twice", there[0]["id"],
                            f"{op['name']} was asked for once and is there {len(there)} times", op.began)
    for name, there in by_name.items():
        if name not in asked:
            yield Violation(1, "nobody asked", there[0]["id"], f"nobody asked for {name}")


def acknowledged(case, op, there):
    """One create that was acknowledged."""
    cluster = case.clusters.get(op["id"])
    if not cluster:
        yield Violation(1, "lost create", op["id"],
                        f"the create of {op['name']} was acknowledged, but there is no such cluster", op.ended)
        return
    if cluster not in there or cluster["tenant"] != op["tenant"] or cluster["asked_nodes"] != op["size"]:
        yield Violation(1, "another cluster", op["id"],
                        f"it was acknowledged as {op['name']} of {op['size']} for {op['tenant']}, but it is "
                        f"{cluster['name']} of {cluster['asked_nodes']} for {cluster['tenant']}", op.ended)
    if cluster["status"] not in SETTLED:
        return  # promise 4 says so
    if cluster["status"] == "terminated" and op["id"] in case.to_delete:
        return
    if cluster["status"] != "active" and not reason_of(case, cluster):
        yield Violation(1, "no reason", op["id"],
                        f"{op['name']} ended {cluster['status']} and nothing says why", op.ended)


def reason_of(case, cluster):
    """The reason that a cluster gives for not being active: a failed job's, borne out by its tasks."""
    failed = [job for job in case.jobs_of(cluster["id"]) if job["status"] == "failed" and job["message"]]
    for job in failed:
        tasks = [task for task in case.evidence["tasks"]
                 if task["cluster"] == cluster["id"] and task["job"] == job["num"]]
        if not tasks or any(task["state"] == "failed" for task in tasks):
            return job["message"]
    return None


def deletes(case):
    """A delete that was acknowledged has its effect, or says why not."""
    for op in case.deletes:
        cluster = case.clusters.get(op["cluster"])
        if op.kind == "ok" and cluster and cluster["status"] in SETTLED and cluster["status"] != "terminated" \
                and not reason_of(case, cluster):
            yield Violation(1, "lost delete", cluster["id"],
                            f"its delete was acknowledged, but it is {cluster['status']}", op.ended)


def reads(case):
    """Nobody is told that a cluster does not exist after somebody was told that it does."""
    since = {op["id"]: op.ended for op in case.creates if op.kind == "ok"}
    for op in operations(case.records, "get"):
        if op["status"] == 404 and op.began > since.get(op["cluster"], float("inf")):
            yield Violation(1, "not found", op["cluster"],
                            f"it was acknowledged {op.began - since[op['cluster']]:.2f} s before a read that "
                            "did not find it", op.began)


# ---- 2. machines -------------------------------------------------------------------------------------


def machines(case):
    """The machines that exist are those of the clusters that exist."""
    there = case.evidence["machines"]
    present = {node["id"] for node in case.evidence["nodes"]}
    for node, provider in there.items():
        cluster = case.clusters.get(case.owner.get(node))
        if not cluster:
            yield Violation(2, "no owner", "", f"the machine {node} of {provider} belongs to no cluster")
        elif cluster["status"] == "terminated":
            yield Violation(2, "left over", cluster["id"],
                            f"the cluster is deleted, its machine {node} of {provider} is not")
        elif cluster["status"] == "active" and node not in present:
            yield Violation(2, "left over", cluster["id"],
                            f"the machine {node} of {provider} was replaced or taken away, and is there")
    for node in case.evidence["nodes"]:
        cluster = case.clusters.get(node["cluster"])
        if cluster and cluster["status"] == "active" and node["id"] not in there:
            yield Violation(2, "no machine", cluster["id"],
                            f"the cluster is active, but node {node['num']} ({node['id']}) has no machine")


def made_once(case):
    """Of each node, the provider's record has create, delete, create, delete ... in turn."""
    exists = {}
    for when, node, task, attempt, effect in sorted(case.evidence["journal"], key=lambda entry: entry[0]):
        what = f"task {task}, attempt {attempt}"
        if effect == "create" and exists.get(node):
            yield Violation(2, "made twice", case.owner.get(node, ""),
                            f"the machine {node} was made by {exists[node]} and again by {what}", when)
        if node not in case.owner:
            yield Violation(2, "no owner", "", f"a machine was made for {node}, which no cluster has ({what})",
                            when)
        exists[node] = what if effect == "create" else None
    unheard = {case.tasks[task]["node"] for task, attempt in case.evidence["taken"] if task in case.tasks
               and not any(how == "done" for _, _, how in case.evidence["ended"].get((task, attempt), ()))}
    for node, provider in case.evidence["machines"].items():
        if provider == "sim":
            exists.setdefault(node, None)
    for node, maker in exists.items():
        # An attempt that was killed may have had its effect and not written it down.
        if bool(maker) != (node in case.evidence["machines"]) and node not in unheard:
            yield Violation(2, "record differs", case.owner.get(node, ""),
                            f"by the provider's record the machine {node} {'exists' if maker else 'is gone'}")


# ---- 3. attempts, owners, edges ----------------------------------------------------------------------

STEPS = {
    None: ("ready", "blocked", "dropped"),
    "ready": ("running", "dropped", "failed"),
    "blocked": ("ready", "dropped", "retry"),
    "retry": ("running", "dropped", "retry", "ready", "failed"),
    "running": ("complete", "failed", "retry"),
}


class Step:
    """One task while a cluster's events are read."""

    def __init__(self, planned):
        self.id = planned["taskId"]
        self.name = f"{planned['taskName']} {planned['service']}".strip()
        self.node = planned["nodeId"]
        self.after = planned["after"]
        self.state = None
        self.attempt = 0
        self.began = 0      # event number of the last attempt
        self.completed = 0  # event number


def stories(case):
    """Each cluster's events tell a story that the rules allow."""
    edges = {}
    for edge in case.evidence["edges"]:
        edges.setdefault(edge["cluster"], []).append(edge)
    for cluster, events in case.events.items():
        yield from Story(cluster).read(events, edges.get(cluster, ()))


class Story:
    """Reads the events of one cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.steps = {}
        self.jobs = {}
        self.running = {}  # node -> step

    def wrong(self, kind, text, data):
        """A violation at this event."""
        return Violation(3, kind, self.cluster, text, data.get("time", 0) / 1000)

    def read(self, events, edges):
        """All violations in it."""
        for number, kind, data in events:
            if kind == "plan":
                yield from self.plan(data)
            elif kind == "task":
                yield from self.task(number, data)
            elif kind == "job":
                yield from self.job(data)
        by_number = {(step.id.split("-")[1], step.id.split("-")[2]): step for step in self.steps.values()}
        for edge in edges:
            before = by_number.get((f"{edge['job']:03d}", f"{edge['from']:03d}"))
            after = by_number.get((f"{edge['job']:03d}", f"{edge['to']:03d}"))
            # A step that failed is undone by tasks that are put before its next attempt.
            if before and after and before.completed and after.began and after.completed \
                    and after.began < before.completed:
                yield Violation(3, "edge", self.cluster, f"{after.id} ({after.name}) began at event "
                                f"{after.began}, but {before.id} ended at {before.completed}")

    def plan(self, data):
        """Tasks are planned once."""
        for planned in data["tasks"]:
            if planned["taskId"] in self.steps:
                yield self.wrong("planned twice", f"{planned['taskId']} was planned twice", data)
            self.steps[planned["taskId"]] = Step(planned)

    def task(self, number, data):
        """A task goes on."""
        step, state = self.steps.get(data["taskId"]), data["state"]
        if not step:
            yield self.wrong("unplanned", f"{data['taskId']} became {state}, but nobody planned it", data)
            return
        if step.state is None and state not in ("ready", "dropped"):
            step.state = "blocked"
        # Tasks move to another machine when theirs is replaced.
        if step.state != "running":
            step.node = data["nodeId"]
        if state not in STEPS.get(step.state, ()):
            yield self.wrong("illegal step", f"{step.id} ({step.name}) was {step.state} and became {state} "
                             f"at event {number}", data)
        if state == "running":
            yield from self.begin(number, step, data)
        elif step.state == "running":
            self.running.pop(step.node, None)
            if data["attempt"] != step.attempt:
                yield self.wrong("stale result", f"{step.id} ({step.name}) became {state} by attempt "
                                 f"{data['attempt']} while attempt {step.attempt} ran", data)
        if state == "complete":
            step.completed = number
        step.state = state

    def begin(self, number, step, data):
        """An attempt begins."""
        other = self.running.get(step.node)
        if other and other is not step:
            yield self.wrong("two at once", f"{step.id} began while {other.id} ran on the same machine", data)
        self.running[step.node] = step
        if data["attempt"] != step.attempt + 1:
            yield self.wrong("attempt", f"{step.id} began its attempt {data['attempt']} after "
                             f"{step.attempt}", data)
        for name in step.after:
            before = self.steps.get(name)
            if not before or not before.completed:
                yield self.wrong("edge", f"{step.id} ({step.name}) began at event {number}, before {name} "
                                 f"({before.name if before else '?'}) was complete", data)
        step.attempt, step.began = data["attempt"], number

    def job(self, data):
        """A job goes on."""
        before = self.jobs.get(data["jobId"], {"status": None, "stepscompleted": 0})
        if before["status"] in ("complete", "failed") and before["status"] != data["status"]:
            yield self.wrong("revived", f"job {data['jobId']} was {before['status']} and became "
                             f"{data['status']}", data)
        if data["stepscompleted"] < before["stepscompleted"]:
            yield self.wrong("progress", f"job {data['jobId']} went back from {before['stepscompleted']} to "
                             f"{data['stepscompleted']} steps", data)
        self.jobs[data["jobId"]] = data


def results(case):
    """Each result that was applied is one that the attempt's own provisioner had by then."""
    for cluster, events in case.events.items():
        holder = {}
        for _, kind, data in events:
            if kind != "task":
                continue
            key = (data["taskId"], data["attempt"])
            if data["state"] == "running":
                holder[key] = data.get("provisionerId")
            elif data["state"] == "complete":
                told = [when for when, who, how in case.evidence["ended"].get(key, ())
                        if who == holder.get(key) and how == "done"]
                now = data["time"] / 1000
                if not any(when <= now + CLOCK for when in told):
                    yield Violation(3, "stale result", cluster,
                                    f"{key[0]} is complete by attempt {key[1]}, which {holder.get(key)} "
                                    f"{'ended only later' if told else 'never ended'}", now)


def late_effects(case):
    """No attempt made or deleted a machine after it had been declared over."""
    over = {}
    for events in case.events.values():
        for _, kind, data in events:
            if kind == "task" and data["state"] in ("complete", "failed", "retry"):
                over.setdefault((data["taskId"], data["attempt"]), data["time"] / 1000)
    for when, node, task, attempt, effect in case.evidence["journal"]:
        ended_at = over.get((task, attempt))
        if ended_at is not None and when > ended_at + LATE:
            yield Violation(3, "late effect", case.owner.get(node, ""),
                            f"{task} did its {effect} of {node} by attempt {attempt} {when - ended_at:.1f} s after "
                            "that attempt was over", when)


# ---- 4. ends and quotas ------------------------------------------------------------------------------


def ended(case):
    """Nothing is under way any more, and the sums are right."""
    for cluster in case.evidence["clusters"]:
        if cluster["status"] not in SETTLED:
            yield Violation(4, "stuck cluster", cluster["id"], f"it is still {cluster['status']}")
    counts = {}
    for task in case.evidence["tasks"]:
        key = task["cluster"], task["job"]
        total, done = counts.get(key, (0, 0))
        counts[key] = total + 1, done + (task["state"] == "complete")
        if task["state"] not in ("complete", "failed", "dropped"):
            yield Violation(4, "stuck task", task["cluster"],
                            f"{task['id']} ({task['name']}) is still {task['state']}")
    for job in case.evidence["jobs"]:
        name = f"job {job['num']} ({job['action']})"
        if job["status"] not in ("complete", "failed"):
            yield Violation(4, "stuck job", job["cluster"], f"{name} is still {job['status']}")
        elif (job["total"], job["done"]) != counts.get((job["cluster"], job["num"]), (0, 0)):
            yield Violation(4, "wrong sum", job["cluster"], f"{name} says {job['done']} of {job['total']} tasks; "
                            f"it has {counts.get((job['cluster'], job['num']), (0, 0))}")
        elif job["status"] == "failed" and not job["message"]:
            yield Violation(4, "no reason", job["cluster"], f"{name} failed without a reason")


def alive(case):
    """(tenant, from, to, machines, id): when each cluster counted towards its quotas for certain.

    It counts from the commit of its create, which was before the client heard of it, and before the
    time of its first event that is of a later transaction; to the commit of its end, which was after
    that event's time.
    """
    heard = {op["id"]: op.ended for op in case.creates if op.kind == "ok"}
    for cluster in case.evidence["clusters"]:
        events = case.events.get(cluster["id"], [])
        ends = [data["time"] / 1000 for _, kind, data in events
                if kind == "cluster" and data["status"] == "terminated"]
        starts = [data["time"] / 1000 for seq, _, data in events if seq > CREATING][:1]
        starts += [heard[cluster["id"]]] if cluster["id"] in heard else []
        if starts:
            yield (cluster["tenant"], min(starts), ends[0] if ends else float("inf"), cluster["asked_nodes"],
                   cluster["id"])


def quotas(case):
    """At no time a tenant had more than it may have."""
    moments = {}
    for tenant, start, end, size, cluster in alive(case):
        if start < end:
            moments.setdefault(tenant, []).extend([(start, 1, size, cluster), (end, -1, -size, cluster)])
    for tenant, changes in moments.items():
        limits = case.evidence["tenants"].get(tenant)
        if not limits:
            yield Violation(4, "no tenant", changes[0][3], f"its tenant {tenant} does not exist")
            continue
        clusters = nodes = 0
        for when, step, size, cluster in sorted(changes):
            clusters, nodes = clusters + step, nodes + size
            if step > 0 and (clusters > limits["max_clusters"] or nodes > limits["max_nodes"]):
                yield Violation(4, "quota", cluster, f"with it {tenant} had {clusters} clusters of at most "
                                f"{limits['max_clusters']}, {nodes} machines of at most {limits['max_nodes']}",
                                when)


# ---- 5. watchers -------------------------------------------------------------------------------------


def watchers(case):
    """Each watcher got the numbers 1, 2, 3 ... of its cluster up to the last, with the right content."""
    seen = {}
    for record in case.records:
        if record["kind"] == "event":
            seen.setdefault((record["p"], record["cluster"]), []).append(record)
    truth = {cluster: {seq: (kind, crc(text)) for seq, kind, text in events}
             for cluster, events in case.evidence["events"].items()}
    for (who, cluster), got in seen.items():
        last = 0
        for record in got:
            if record["id"] != last + 1:
                how = "repetition" if record["id"] <= last else "gap"
                yield Violation(5, how, cluster, f"{who} was told event {record['id']} after {last}",
                                record["t"])
            last = max(last, record["id"])
            if truth.get(cluster, {}).get(record["id"]) != (record["type"], record["crc"]):
                yield Violation(5, "false event", cluster, f"{who} was told another event {record['id']} "
                                f"({record['type']}) than the database has", record["t"])
        if last < case.clusters.get(cluster, {"event_seq": 0})["event_seq"]:
            yield Violation(5, "not told", cluster, f"{who} was told nothing after event {last} of "
                            f"{case.clusters[cluster]['event_seq']}")


def numbers(case):
    """The database has the events 1 to the last of each cluster."""
    for cluster in case.evidence["clusters"]:
        have = [seq for seq, _, _ in case.evidence["events"].get(cluster["id"], [])]
        if have != list(range(1, cluster["event_seq"] + 1)):
            lacking = sorted(set(range(1, cluster["event_seq"] + 1)) - set(have))
            yield Violation(5, "gap", cluster["id"], f"the database lacks the events {lacking[:5]} of "
                            f"{cluster['event_seq']}" if lacking else "the database has too many events")


# ---- 6. callbacks ------------------------------------------------------------------------------------


def owed(case):
    """cluster -> {(job's number, what of it)}: the callbacks that its jobs owe. Solving owes none."""
    found = {}
    for cluster, events in case.events.items():
        begun = {int(data["jobId"].rpartition("-")[2]) for _, kind, data in events if kind == "plan"}
        found[cluster] = {(job, "start") for job in begun}
        for job in case.jobs_of(cluster):
            if job["num"] in begun and job["status"] in ("complete", "failed"):
                found[cluster].add((job["num"], "success" if job["status"] == "complete" else "failure"))
    return found


def callbacks(case):
    """What a receiver was told first of each job is all that it had to be told, in order."""
    if not any(record["kind"] == "listening" for record in case.records):
        return
    told = {}
    for record in sorted((record for record in case.records if record["kind"] == "callback"),
                         key=lambda record: record["t"]):
        told.setdefault(record["cluster"], {}).setdefault(
            (int(record["job"].rpartition("-")[2]), record["event"]), record["t"])
    for cluster, wanted in owed(case).items():
        heard = told.pop(cluster, {})
        for job, what in sorted(wanted - set(heard)):
            yield Violation(6, "untold", cluster, f"nobody was told of the {what} of job {job}")
        numbers_ = {job["num"] for job in case.jobs_of(cluster)}
        last = (0, False)
        for (job, what), when in heard.items():
            if job not in numbers_ or what == "start" and (job, what) not in wanted:
                yield Violation(6, "told of nothing", cluster, f"a target was told of the {what} of job {job}, which "
                                "has none", when)
            if (job, what != "start") < last:
                yield Violation(6, "out of order", cluster, f"a target was told of the {what} of job {job} after "
                                f"{'the end' if last[1] else 'the start'} of job {last[0]}", when)
            last = max(last, (job, what != "start"))
    for cluster in told:
        yield Violation(6, "told of nothing", cluster, "a target was told of a cluster that is not there")


# ---- the database itself -----------------------------------------------------------------------------


def replicas(case):
    """All database nodes have the same rows."""
    for table, sums in case.evidence["replicas"].items():
        if len(set(sums.values())) > 1:
            yield Violation(1, "replicas differ", "", f"table {table} is not the same everywhere: {sums}")
