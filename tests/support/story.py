# SPDX-License-Identifier: Apache-2.0
"""What a cluster's events tell, checked against the rules that no run of it may break."""

STEPS = {
    None: {"ready", "blocked"},
    "ready": {"running", "dropped", "failed"},
    "blocked": {"ready", "dropped", "retry"},
    "retry": {"running", "dropped", "retry", "ready", "failed"},
    "running": {"complete", "failed", "retry"},
}


class Task:
    """One task as its events told."""

    def __init__(self, data):
        self.id = data["taskId"]
        self.job = self.id.rpartition("-")[0]
        self.name = data["taskName"]
        self.service = data["service"]
        self.node = data["nodeId"]
        self.nodenum = data["nodenum"]
        self.after = set(data["after"])
        self.first = True  # of the job's plan, not added when a step failed
        self.stage = data["stage"]
        self.state = None
        self.attempts = []  # numbers of attempts, as they began
        self.lost = 0       # of these, whose worker was not heard of in time: no failures
        self.elsewhere = 0  # tries on a machine that was given up for this one
        self.began = []     # event numbers
        self.done = None    # event number

    @property
    def tries(self):
        """How many attempts on this machine came to an end of their own."""
        return len(self.attempts) - self.lost - self.elsewhere

    def __repr__(self):
        return f"<{self.id} {self.name} {self.service} on {self.nodenum}: {self.state} {self.attempts}>"


class Story:
    """All events of a cluster from its first, in order."""

    def __init__(self, events):
        self.events = events
        self.tasks = {}
        self.jobs = {}    # id -> last data
        self.nodes = {}   # id -> last data
        self.leases = []
        self.labels = []
        self.replaced = []
        self.statuses = []
        self._running = {}
        assert [event.id for event in events] == list(range(1, len(events) + 1)), events
        times = [event.data["time"] for event in events]
        assert times == sorted(times), "times of events go back"
        for event in events:
            getattr(self, f"_{event.type}")(event.id, event.data)

    def _cluster(self, _number, data):
        self.statuses.append(data["status"])

    def _template(self, _number, data):
        assert data["version"] > 0

    def _node(self, _number, data):
        self.nodes[data["nodeId"]] = {**self.nodes.get(data["nodeId"], {}), **data}

    def _labels(self, _number, data):
        self.labels.append(data["labels"])

    def _lease(self, _number, data):
        assert data["expireTime"] > 0
        self.leases.append(data)

    def _job(self, _number, data):
        before = self.jobs.get(data["jobId"], {"stepscompleted": 0, "stepstotal": 0})
        assert before.get("status") not in ("complete", "failed") or before["status"] == data["status"], data
        assert before["stepscompleted"] <= data["stepscompleted"] <= data["stepstotal"], data
        assert before["stepstotal"] <= data["stepstotal"], data
        self.jobs[data["jobId"]] = data

    def _replace(self, _number, data):
        old, new = self.nodes[data["nodeId"]], data["by"]
        assert new["nodeId"] not in self.nodes and new["services"] == old["services"], data
        assert new["nodenum"] > max(node["nodenum"] for node in self.nodes.values()), data
        self.nodes[new["nodeId"]] = new
        waiting = [task for task in self.tasks.values() if task.node == data["nodeId"] and
                   task.job == data["jobId"] and task.state in (None, "blocked", "retry")]
        assert sorted(task.id for task in waiting) == sorted(data["moved"]), data
        for task in waiting:
            task.node, task.nodenum = new["nodeId"], new["nodenum"]
            task.elsewhere += task.tries
            task.state = "blocked"
        self.replaced.append(data)

    def _plan(self, _number, data):
        for node in data["nodes"]:
            self.nodes.setdefault(node["nodeId"], node)
        again = data.get("part", 1) == 1 and any(task.job == data["jobId"] for task in self.tasks.values())
        for task in data["tasks"]:
            assert task["taskId"] not in self.tasks, f"planned twice: {task}"
            self.tasks[task["taskId"]] = Task(task)
            self.tasks[task["taskId"]].first = not again

    def _task(self, number, data):
        task = self.tasks[data["taskId"]]
        state = data["state"]
        if task.state is None and state == "dropped":
            task.state = "blocked"
        assert state in STEPS.get(task.state, ()), f"{task} became {state} at {number}"
        if state == "running":
            self._begin(number, task, data)
        elif task.state == "running":
            assert self._running.pop(task.node) == task.id
            assert data["attempt"] == task.attempts[-1], f"{task}: {data}"
            task.lost += data.get("statusCode") == -1
        if state == "complete":
            task.done = number
        task.state = state

    def _begin(self, number, task, data):
        other = self._running.setdefault(task.node, task.id)
        assert other == task.id, f"{task} began while {other} ran on the same machine"
        assert data["attempt"] == len(task.attempts) + 1, f"{task}: {data}"
        unmet = [name for name in task.after if not self.tasks[name].done]
        assert not unmet, f"{task} began before {unmet}"
        task.attempts.append(data["attempt"])
        task.began.append(number)

    @property
    def status(self):
        """The last status of the cluster."""
        return self.statuses[-1]

    def of(self, name, service=None, node=None):
        """Tasks of one kind."""
        return [task for task in self.tasks.values() if task.name == name and
                service in (None, task.service) and node in (None, task.nodenum)]

    def check_ended(self):
        """Nothing is under way any more, and the numbers add up."""
        assert not self._running
        for task in self.tasks.values():
            assert task.state in ("complete", "failed", "dropped"), task
        for name, job in self.jobs.items():
            tasks = [task for task in self.tasks.values() if task.job == name]
            assert job["status"] in ("complete", "failed"), job
            assert job["stepscompleted"] == sum(task.state == "complete" for task in tasks), job
            assert job["stepstotal"] == len(tasks), job
        return self
