#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A datacenter, a load, a nemesis, and a checker: `make chaos SEED=7 MINUTES=10 FAULTS=kill-api,cut-link`.

Everything that the run wrote down goes to var/chaos/ (or --out): history.jsonl, evidence.json,
report.json, report.md, timeline.svg, and the logs when a promise was broken. Exit code 1 then.

    run.py --check var/chaos     judge the records of an earlier run again
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from chaos import catalog, checker, clients, evidence, history, measure, nemesis, report  # noqa: E402
from chaos.sites import DatacenterSite  # noqa: E402
from support import ROOT  # noqa: E402
from support.datacenter import Datacenter, wait  # noqa: E402
from support.stack import SANITIZER  # noqa: E402

SETTLE = 60  # seconds until everything that was asked for must be over
WARM = 12    # creates before the first fault


def say(words):
    """One line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


class Result:
    """What a run came to."""

    def __init__(self, records, found, problems, seed, minutes, faults):
        self.violations = checker.check(records, found)
        self.problems = problems
        self.measured = measure.Measured(records, found)
        self.rows = measure.table(self.measured.steps, self.violations)
        self.seed, self.minutes, self.faults = seed, minutes, faults
        self.requests = len(history.operations(records))
        self.clusters = len(found["clusters"])

    @property
    def replay(self):
        """The command that does it again."""
        chosen = f" FAULTS={','.join(self.faults)}" if self.faults else ""
        return f"make chaos SEED={self.seed} MINUTES={self.minutes:g}{chosen}"

    def document(self):
        """All of it, for report.json."""
        return {"seed": self.seed, "minutes": self.minutes, "replay": self.replay, "requests": self.requests,
                "clusters": self.clusters, "rows": self.rows, "steps": self.measured.steps,
                "problems": self.problems,
                "violations": [{"promise": one.promise, "kind": one.kind, "cluster": one.cluster,
                                "time": one.time, "text": one.text} for one in self.violations]}

    def save(self, folder):
        """report.json, report.md, timeline.svg."""
        (folder / "report.json").write_text(json.dumps(self.document(), indent=1) + "\n", encoding="utf-8")
        (folder / "report.md").write_text(report.markdown(self.rows) + "\n", encoding="utf-8")
        (folder / "timeline.svg").write_text(report.picture(self.measured, self.replay), encoding="utf-8")

    def show(self):
        """The table, the violations, and how to do it again."""
        print(report.text(self.rows))
        for problem in self.problems:
            print(f"PROBLEM {problem}")
        for violation in self.violations[:50]:
            print(f"VIOLATION {violation}")
        print(f"{len(self.violations)} violations, {len(self.problems)} problems; {self.requests} requests, "
              f"{self.clusters} clusters, {len(self.measured.steps)} steps of faults")
        print(f"seed {self.seed}; again: {self.replay}", flush=True)

    @property
    def good(self):
        """Whether every promise was kept."""
        return not self.violations and not self.problems


def settle(site, load):
    """Until nothing is under way; then the watchers have seen their last events, or never will."""
    try:
        wait(lambda: evidence.under_way(site) == 0, SETTLE, "the end of all work", 0.5)
    except AssertionError as error:
        say(str(error))  # the checker says what it is
    load.let_watchers_end({row[0]: int(row[1]) for row in site.sql(
        "SELECT LPAD(id, 8, '0'), event_seq FROM cluster")})


def sanitizer_reports(dc):
    """What the sanitizers of a test build said."""
    found = []
    for path in sorted(dc.dir.glob("?/log/*.log*")):
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{path.parent.parent.name}/{path.name}: {match.group(0)}" for match in SANITIZER.finditer(text)]
    return found


def act(dc, folder, seed, steps, scale):
    """The run itself; (records, evidence, problems)."""
    site = DatacenterSite(dc)
    wait(lambda: dc.api().get("/v2/plugins/automatortypes/simulated").ok, 30, "the plug-ins")
    catalog.load(site)
    told = history.History(folder / "history.jsonl")
    load = clients.Load(site, told, seed, scale).start()
    bad = nemesis.Nemesis(dc, load, told, say)
    try:
        wait(lambda: load.accepted() >= WARM, 60, "a load")
        bad.run_all(steps)
    finally:
        load.stop()
        told.close()
    say("the load has ended")
    settle(site, load)
    found = evidence.gather(site)
    (folder / "history.jsonl").write_text(
        "".join(json.dumps(record) + "\n" for record in told.records), encoding="utf-8")
    (folder / "evidence.json").write_text(json.dumps(portable(found)), encoding="utf-8")
    return told.records, found, bad.problems + [f"sanitizer: {line}" for line in sanitizer_reports(dc)]


def portable(found):
    """Evidence as JSON: its keys of two become text."""
    return {**found, **{name: {f"{task}/{attempt}": value for (task, attempt), value in found[name].items()}
                        for name in ("taken", "ended")}}


def read_again(folder):
    """(records, evidence) of an earlier run."""
    found = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))
    for name in ("taken", "ended"):
        found[name] = {(key.rpartition("/")[0], int(key.rpartition("/")[2])): value
                       for key, value in found[name].items()}
    return history.load(folder / "history.jsonl"), found


def run(seed, minutes, faults=None, folder=None, scale=1.0, bin_dir=None):
    """One whole run on a datacenter of its own; a Result."""
    folder = pathlib.Path(folder or ROOT / "var/chaos")
    folder.mkdir(parents=True, exist_ok=True)
    steps = nemesis.schedule(seed, minutes, faults)
    say(f"seed {seed}: {len(steps)} steps, about {sum(map(nemesis.seconds_of, steps)) / 60:.0f} minutes")
    dc = Datacenter(bin_dir=bin_dir)
    result = None
    try:
        say(next(line.strip() for line in dc.up().splitlines() if "up after" in line))
        records, found, problems = act(dc, folder, seed, steps, scale)
        say("judging")
        result = Result(records, found, problems, seed, minutes, faults)
        result.save(folder)
    finally:
        if result is None or not result.good:
            keep_logs(dc, folder)
        dc.close()
    return result


def keep_logs(dc, folder):
    """All logs and the configuration, for whoever looks for the reason."""
    target = folder / "logs"
    shutil.rmtree(target, ignore_errors=True)
    for path in dc.dir.glob("?/log"):
        shutil.copytree(path, target / path.parent.name)


def main():
    """The command line; SEED, MINUTES and FAULTS of the environment are defaults."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="faults: " + " ".join(nemesis.FAULTS))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or random.randrange(1, 100000)))
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 4))
    parser.add_argument("--faults", default=os.environ.get("FAULTS") or "")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "var/chaos")
    parser.add_argument("--bin", help="folder of Loom's programs (default: build/bin)")
    parser.add_argument("--check", type=pathlib.Path, metavar="FOLDER")
    options = parser.parse_args()
    faults = [name for name in options.faults.split(",") if name]
    unknown = [name for name in faults if name not in nemesis.FAULTS]
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(nemesis.FAULTS)}")
    if options.check:
        before = json.loads((options.check / "report.json").read_text(encoding="utf-8"))
        records, found = read_again(options.check)
        result = Result(records, found, before["problems"], before["seed"], before["minutes"], faults)
        result.save(options.check)
    else:
        result = run(options.seed, options.minutes, faults, options.out, bin_dir=options.bin)
    result.show()
    return 0 if result.good else 1


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # ended early it takes down what it started
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
