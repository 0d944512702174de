# SPDX-License-Identifier: Apache-2.0
"""Faults, the seeded schedule of them, and how each is done and undone.

The schedule is a pure function of (seed, minutes, faults): a list of steps of one fault, or of two
that the design can survive together. Where a fault's place is a role (the writer's machine), the
machine is whichever has it when the time comes.

Every fault adds two records to the history:
    fault   step, names, what (the commands), bound, pair
    healed  step; all that was broken is mended; then whole: seconds until all was ready again
"""

import dataclasses
import random
import time

from support.datacenter import HOSTS, wait

PARTS = ("ui", "api", "scheduler", "provisioner", "zookeeper", "sqlproxy", "db", "haproxy", "keepalived")
QUORUMS = {"db", "zookeeper"}


@dataclasses.dataclass(frozen=True)
class Fault:
    """bound: seconds until creates are accepted and work goes on; on: a role, `any` or `other`."""

    name: str
    bound: float
    on: str
    strike: tuple        # dc commands; HOST and OTHER are filled in
    mend: tuple = ()
    hold: float = 0.0    # seconds between the two
    watch: float = 5.0   # seconds after the strike at least
    hurts: frozenset = frozenset()  # of QUORUMS, or `host` for all on it
    alone: bool = False
    idempotent: bool = False  # a safe request must not fail for it
    progress: str = "all"     # what must go on within the bound: all, or each job that runs


def fault(name, bound, on, strike, mend="", **more):
    """strike and mend as text: commands separated by semicolons."""
    return Fault(name, bound, on, *(tuple(tuple(one.split()) for one in text.split(";") if one.strip())
                                    for text in (strike, mend)), **more)


DB, ZK, HOST = frozenset(["db"]), frozenset(["zookeeper"]), frozenset(["db", "zookeeper", "host"])
FAULTS = {one.name: one for one in (
    fault("kill-api", 1, "any", "kill HOST api", idempotent=True),
    fault("kill-ui", 1, "any", "kill HOST ui", idempotent=True),
    fault("kill-sqlproxy", 1, "any", "kill HOST sqlproxy", idempotent=True),
    fault("pause-api", 6, "any", "pause HOST api", "resume HOST api", hold=8, watch=9),
    fault("pause-ui", 6, "any", "pause HOST ui", "resume HOST ui", hold=8, watch=9),
    fault("pause-sqlproxy", 6, "any", "pause HOST sqlproxy", "resume HOST sqlproxy", hold=8, watch=9),
    fault("lose-sqlproxy", 6, "any", "kill HOST sqlproxy --hold", "start HOST sqlproxy &", hold=8, watch=9),
    fault("pause-haproxy", 8, "virtual_address", "pause HOST haproxy", "resume HOST haproxy", hold=8, watch=9),
    fault("pause-keepalived", 6, "virtual_address", "pause HOST keepalived", "resume HOST keepalived", hold=8, watch=9),
    fault("kill-haproxy", 2, "virtual_address", "kill HOST haproxy"),
    fault("kill-keepalived", 2, "virtual_address", "kill HOST keepalived"),
    fault("kill-scheduler-leader", 1, "scheduler_leader", "kill HOST scheduler", progress="jobs"),
    fault("kill-scheduler", 1, "other scheduler_leader", "kill HOST scheduler", progress="jobs"),
    fault("pause-scheduler", 6, "scheduler_leader", "pause HOST scheduler", "resume HOST scheduler", hold=8,
          watch=9, progress="jobs"),
    fault("kill-provisioner", 10, "any", "kill HOST provisioner", watch=11, progress="tasks"),
    fault("pause-provisioner", 10, "any", "pause HOST provisioner", "resume HOST provisioner", hold=11,
          watch=12, progress="tasks"),
    fault("kill-zookeeper-leader", 1, "zookeeper_leader", "kill HOST zookeeper", hurts=ZK, idempotent=True),
    fault("pause-zookeeper-leader", 6, "zookeeper_leader", "pause HOST zookeeper", "resume HOST zookeeper", hold=8,
          watch=9, hurts=ZK),
    fault("lose-zookeeper-quorum", 1, "zookeeper_leader", "kill HOST zookeeper --hold; kill OTHER zookeeper --hold",
          "start HOST zookeeper &; start OTHER zookeeper &", hold=6, watch=7, hurts=ZK, alone=True),
    fault("kill-writer", 3, "database_writer", "kill HOST db", watch=6, hurts=DB),
    fault("pause-writer", 3, "database_writer", "pause HOST db", "resume HOST db", hold=7, watch=8, hurts=DB),
    fault("lose-database-quorum", 30, "database_writer", "kill HOST db --hold; kill OTHER db --hold",
          "start HOST db &; start OTHER db &", hold=4, watch=25, hurts=DB, alone=True),
    fault("crash-machine", 6, "any", "crash HOST", "boot HOST", hold=7, watch=8, hurts=HOST),
    fault("crash-writers-machine", 6, "database_writer", "crash HOST", "boot HOST", hold=7, watch=8, hurts=HOST),
    fault("cut-machine", 6, "virtual_address", "partition HOST", "heal", hold=8, watch=9, hurts=HOST),
    fault("cut-link", 6, "database_writer", "partition HOST OTHER", "heal", hold=8, watch=9, hurts=HOST,
          alone=True),
    fault("lossy-machine", 6, "any", "lossy HOST 10", "heal", hold=8, watch=9, hurts=HOST, alone=True),
    fault("rolling-restart", 3, "any", "", watch=1, alone=True),
)}


# ---- the schedule ------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Step:
    """faults: (name, number that chance drew for its place); apart: seconds between two strikes."""

    number: int
    faults: tuple
    apart: float
    calm: float  # seconds without a fault before it

    def __str__(self):
        return " + ".join(name for name, _ in self.faults)


def may_pair(one, other):
    """Whether two faults leave a majority of everything, wherever they strike."""
    if one.alone or other.alone or one.name == other.name:
        return False
    if one.hurts & other.hurts:
        return False
    # One machine is away and a part of another one dies: two of three, then one for a second.
    return not ("host" in one.hurts and other.hurts or "host" in other.hurts and one.hurts)


def seconds_of(step):
    """About how long a step takes, with the time that all needs to be whole again."""
    return max(FAULTS[name].watch for name, _ in step.faults) + step.apart + step.calm + 4


def schedule(seed, minutes, names=None, pairs=0.35):
    """The steps: every fault once, in an order by chance; then by chance, alone and in pairs.

    Where the time is too short for each alone, those that may be are done in pairs.
    """
    rng = random.Random(seed)
    names = list(names or FAULTS)
    steps, total = [], 0.0

    def add(*chosen):
        nonlocal total
        step = Step(len(steps) + 1, tuple((name, rng.randrange(6)) for name in chosen),
                    round(rng.uniform(0, 2), 2) if len(chosen) > 1 else 0.0, round(rng.uniform(0, 1), 2))
        steps.append(step)
        total += seconds_of(step)

    waiting = rng.sample(names, len(names))
    hurry = sum(FAULTS[name].watch + 5 for name in names) > minutes * 60
    while waiting:
        name = waiting.pop(0)
        other = next((other for other in waiting if hurry and may_pair(FAULTS[name], FAULTS[other])), None)
        if other:
            waiting.remove(other)
        add(*filter(None, (name, other)))
    while total < minutes * 60:
        name = rng.choice(names)
        others = [other for other in names if may_pair(FAULTS[name], FAULTS[other])]
        if others and rng.random() < pairs:
            add(name, rng.choice(others))
        else:
            add(name)
    return steps


# ---- doing it ----------------------------------------------------------------------------------------


class Nemesis:
    """Carries a schedule out."""

    WHOLE = 90  # seconds that all may take to be ready again after a fault was mended

    def __init__(self, dc, load, history, say=print):
        self.dc, self.load, self.history, self.say = dc, load, history, say
        self.problems = []
        self.insiders = []

    def place(self, fault_, chance, gone):
        """(host, another one) for a fault; gone: machines that a fault before it took away."""
        roles = self.dc.status()["roles"]
        role = fault_.on.removeprefix("other ")
        host = HOSTS[chance % 3]
        if role in roles:
            holder = (roles[role] + [host])[0]
            host = holder if role == fault_.on else [one for one in HOSTS if one != holder][chance % 2]
        if host in gone:
            host = [one for one in HOSTS if one not in gone][chance % 2]
        return host, [one for one in HOSTS if one != host][chance // 3 % 2]

    def run(self, command, host, other):
        """One dc command; `&` at its end: nobody waits for it."""
        words = [{"HOST": host, "OTHER": other}.get(word, word) for word in command]
        if words[-1] == "&":
            self.dc.without_waiting(*words[:-1])
        else:
            self.dc(*words)
        return " ".join(words)

    def step(self, step):
        """Strike, hold, mend, and wait until all is whole."""
        time.sleep(step.calm)
        faults = [FAULTS[name] for name, _ in step.faults]
        record = self.history.add("nemesis", "fault", step=step.number, names=[one.name for one in faults],
                                  bound=sum(one.bound for one in faults), what=[])
        began, places, self.insiders = time.monotonic(), [], []
        for number, one in enumerate(faults):
            if number:
                time.sleep(step.apart)
            gone = [place[0] for earlier, place in zip(faults, places) if "host" in earlier.hurts]
            host, other = self.place(one, step.faults[number][1], gone)
            places.append((host, other))
            self.strike(one, host, other, record["what"])
        self.mend(faults, places, began)
        time.sleep(max(0, began + max(one.watch for one in faults) - time.monotonic()))
        healed = self.history.add("nemesis", "healed", step=step.number, whole=None)
        try:
            wait(self.dc.ready, self.WHOLE, self.dc.lacking, 0.25)
            healed["whole"] = round(time.time() - record["mended"], 1)
        except AssertionError as error:
            self.problems.append(f"step {step.number} ({step}): {error}")
            self.say(f"  not whole: {error}")
            self.dc("up", check=False)
        record["until"] = time.time()
        for insider in self.insiders:
            insider.ending.set()
        self.say(f"  step {step.number}: {step}: {'; '.join(record['what'])}; whole again after {healed['whole']} s")

    def strike(self, one, host, other, what):
        """Break it."""
        if one.name == "rolling-restart":
            self.rolling_restart(what)
        for command in one.strike:
            what.append(self.run(command, host, other))
        if one.name == "cut-machine":
            self.insiders.append(self.load.insider(self.dc.netns(host)))

    def mend(self, faults, places, began):
        """Each after its time; the history says when the last was."""
        waiting = sorted(zip(faults, places), key=lambda entry: entry[0].hold)
        for one, (host, other) in waiting:
            if one.mend:
                time.sleep(max(0, began + one.hold - time.monotonic()))
            for command in one.mend:
                self.run(command, host, other)
        record = next(entry for entry in reversed(self.history.records) if entry["kind"] == "fault")
        record["mended"] = time.time()

    def rolling_restart(self, what):
        """Every part, one after another."""
        for host in HOSTS:
            for part in PARTS:
                self.dc.restart(host, part)
        what.append("stop and start each part of each machine")

    def run_all(self, steps):
        """The whole schedule."""
        for step in steps:
            self.step(step)
