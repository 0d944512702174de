#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A datacenter, a load, a nemesis, and a checker: `make chaos SEED=7 MINUTES=10 FAULTS=kill-api,cut-link LOAD=4`.

Everything that the run wrote down goes to var/chaos/ (or --out): history.jsonl, evidence.json,
report.json, report.md, timeline.svg, and the logs when a promise was broken. Exit code 1 then, and
when a bound was missed by more than the machine's noise explains (findings.md says how that is judged).
LOAD processes are busy beside it all the time.

    run.py --check var/chaos     judge the records of an earlier run again
"""

import argparse
import dataclasses
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

from chaos import catalog, checker, clients, evidence, history, measure, nemesis, noise, report  # noqa: E402
from chaos.sites import DatacenterSite  # noqa: E402
from support import ROOT  # noqa: E402
from support.datacenter import Datacenter, wait  # noqa: E402
from support.stack import SANITIZER, root_cache  # noqa: E402

SETTLE = 60  # seconds until everything that was asked for must be over
WARM = 12    # creates before the first fault


def say(words):
    """One line with the time."""
    print(f"{time.strftime('%H:%M:%S')} {words}", flush=True)


class Result:
    """What a run came to."""

    def __init__(self, records, found, problems, asked):
        self.violations = checker.check(records, found)
        self.problems = problems
        self.measured = measure.Measured(records, found)
        self.rows = measure.table(self.measured.steps, self.violations)
        self.asked = asked
        self.requests = len(history.operations(records))
        self.clusters = len(found["clusters"])
        self.callbacks = sum(record["kind"] == "callback" for record in records)

    @property
    def replay(self):
        """The command that does it again."""
        asked = self.asked
        chosen = f" FAULTS={','.join(asked.faults)}" if asked.faults else ""
        load = f" LOAD={asked.load}" if asked.load else ""
        return f"make chaos SEED={asked.seed} MINUTES={asked.minutes:g}{chosen}{load}"

    def document(self):
        """All of it, for report.json."""
        return {**dataclasses.asdict(self.asked), "replay": self.replay, "requests": self.requests,
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
              f"{self.clusters} clusters, {len(self.measured.steps)} steps of faults, {self.callbacks} callbacks")
        for step in self.measured.missed:
            print(f"MISSED step {step['step']}: {' + '.join(step['faults'])}: {step['recovery']} s, bound "
                  f"{step['bound']} s on a machine {step['stretch']:.1f} times as slow as an idle one, "
                  f"{step['failed_reads']} failed reads")
        print(f"seed {self.asked.seed}; again: {self.replay}", flush=True)

    @property
    def good(self):
        """Whether every promise was kept, and every bound but for the noise."""
        return not self.violations and not self.problems and not self.measured.missed


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


def act(dc, folder, asked, steps, scale):
    """The run itself; (records, evidence, problems)."""
    site = DatacenterSite(dc)
    site.make_root()
    wait(lambda: dc.api().get("/v2/plugins/automatortypes/simulated").ok, 60, "the plug-ins")
    catalog.load(site)
    told = history.History(folder / "history.jsonl")
    receiver = site.receiver()
    catalog.listen(site, receiver, told)
    load = clients.Load(site, told, asked.seed, scale).start()
    bad = nemesis.Nemesis(dc, load, told, say)
    try:
        with noise.Noise(told, asked.load):
            wait(lambda: load.accepted() >= WARM, 60, "a load")
            bad.run_all(steps)
    finally:
        load.stop()
    say("the load has ended")
    settle(site, load)
    receiver.close()
    told.close()
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


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a run is to do."""

    seed: int
    minutes: float
    faults: tuple = ()
    load: int = 0


def run(asked, folder=None, scale=1.0, bin_dir=None):
    """One whole run on a datacenter of its own; a Result."""
    folder = pathlib.Path(folder or ROOT / "var/chaos")
    folder.mkdir(parents=True, exist_ok=True)
    steps = nemesis.schedule(asked.seed, asked.minutes, asked.faults)
    say(f"seed {asked.seed}: {len(steps)} steps, about {sum(map(nemesis.seconds_of, steps)) / 60:.0f} minutes")
    dc = Datacenter(["callback_allow=*"], bin_dir=bin_dir)
    dc.settings.append(f"host_values=state_dir={dc.dir}/*, state_dir={dc.dir}/*/*, root_dir={root_cache()}, "
                       "bridge=*, subnet=*/*")
    result = None
    try:
        say(next(line.strip() for line in dc.up().splitlines() if "up after" in line))
        records, found, problems = act(dc, folder, asked, steps, scale)
        say("judging")
        result = Result(records, found, problems, asked)
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
    """The command line; SEED, MINUTES, FAULTS and LOAD of the environment are defaults."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="faults: " + " ".join(nemesis.FAULTS))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED") or random.randrange(1, 100000)))
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("MINUTES") or 4))
    parser.add_argument("--faults", default=os.environ.get("FAULTS") or "")
    parser.add_argument("--load", type=int, default=int(os.environ.get("LOAD") or 0), metavar="PROCESSES")
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
        asked = Asked(before["seed"], before["minutes"], tuple(faults), before.get("load", 0))
        result = Result(records, found, before["problems"], asked)
        result.save(options.check)
    else:
        asked = Asked(options.seed, options.minutes, tuple(faults), options.load)
        result = run(asked, options.out, bin_dir=options.bin)
    result.show()
    return 0 if result.good else 1


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # ended early it takes down what it started
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
    sys.exit(main())
