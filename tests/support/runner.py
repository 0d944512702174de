# SPDX-License-Identifier: Apache-2.0
"""The driver behind tests/run: builds, runs every kind of test, sweeps, counts.

Whatever dies on the way is counted: a program that crashes, a file that cannot be imported, a
build that fails, a process left behind are failures with a name. The last line is the sum.
"""

import argparse
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import ROOT, SERVERS, Stack, StackFailed, compose  # noqa: E402, I001 (it sets the path of stacklib)
from support.stack import ENVIRONMENT, SANDBOX, build_dir, root_cache  # noqa: E402
from stacklib import process  # noqa: E402

KINDS = ("unit", "fuzz", "integration", "browser", "chaos", "ship")
# `tests/run check`: all in C, and of Python what the API and the scheduler decide.
CHECK = ("test_clusters.py", "test_cluster_lists.py", "test_quotas.py", "test_entities.py", "test_events.py",
         "test_held_lists.py", "test_operations.py", "test_tasks.py", "test_task_results.py", "test_task_logs.py",
         "test_templates.py", "test_checker.py")
ALONE = ("test_chaos.py",)  # after all others: it wants the machine for itself
JOBS = os.cpu_count() or 2  # programs that compute
PYTEST_JOBS = 3 * JOBS // 2  # tests on servers wait for half of their time
# Seconds that each file took, so that all processes end together: what was measured here last, else
# what is committed (`cp var-test/durations.json tests/` renews it), else a guess by size.
MEASURED = ROOT / "var-test" / "durations.json"
COMMITTED = ROOT / "tests" / "durations.json"
BYTES_A_SECOND = 600
# Limits for what hangs: several times what it takes on two busy processors.
BUILD_SECONDS = 1800
PROGRAM_SECONDS = 600
ROOT_SECONDS = 1200
PYTEST_SECONDS = 5400


class Interrupted(Exception):
    """SIGINT or SIGTERM came."""


class Results:
    """The count, and one line per failure."""

    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failures = []
        self.lock = threading.Lock()

    def add(self, passed, failures=(), skipped=0):
        """Add what one program or file did."""
        with self.lock:
            self.passed += passed
            self.skipped += skipped
            self.failures += failures


class Runner:
    """One run of the tests."""

    def __init__(self, options):
        self.options = options
        self.results = Results()
        self.children = set()
        self.lock = threading.Lock()
        base = ROOT / "var-test"
        base.mkdir(exist_ok=True)
        self.sweep_old(base)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="run-", dir=base))
        self.dir.chmod(0o755)
        (self.dir / "owner").write_text(f"{os.getpid()} {process.start_time(os.getpid())}\n",
                                        encoding="ascii")
        os.environ["LOOM_TEST_DIR"] = str(self.dir)
        os.environ["LOOM_TEST_BUILD"] = str(build_dir())
        os.environ["LOOM_SANDBOX_ROOT_CACHE"] = str(root_cache())
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self.began = time.monotonic()
        self.finishing = False
        self.durations = {}
        for table in (COMMITTED, MEASURED):
            if table.exists():
                self.durations.update(json.loads(table.read_text(encoding="ascii")))

    # ---- processes

    def say(self, text):
        """One line, whole, with the elapsed time."""
        with self.lock:
            if self.finishing:
                return
            print(f"[{time.monotonic() - self.began:5.1f}] {text}", flush=True)

    def run(self, argv, seconds, log, env=None, each_line=None):
        """Run a program in its own session; its exit code, or a text when it was ended.

        Should this process be killed, its children are interrupted and clean up after themselves.
        """
        argv = ["setpriv", "--pdeathsig", "INT", "--", *argv]
        with open(log, "wb") as out:
            child = subprocess.Popen(
                argv, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if each_line else out, stderr=subprocess.STDOUT,
                start_new_session=True)
            with self.lock:
                self.children.add(child)
            timer = threading.Timer(seconds, self.end, [child])
            timer.start()
            try:
                for line in child.stdout or ():
                    out.write(line)
                    each_line(line.decode("utf-8", "replace").rstrip())
                code = child.wait()
            finally:
                expired = timer.finished.is_set()
                timer.cancel()
                with self.lock:
                    self.children.discard(child)
        if expired:
            return f"took longer than {seconds} s"
        return code if code >= 0 else f"ended by {signal.Signals(-code).name}"

    @staticmethod
    def end(child):
        """Ask a program and all its children to end; insist after 20 s (fixtures clean up in these)."""
        try:
            os.killpg(child.pid, signal.SIGINT)
            child.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def parallel(self, jobs, work, at_once=JOBS):
        """Call work(job) for all jobs, so many at once; an exception in one is a failure of it."""
        waiting = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)

        def worker():
            while True:
                try:
                    job = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    work(job)
                except Exception as error:
                    self.fail(str(job), f"the test driver failed: {error!r}")

        threads = [threading.Thread(target=worker, daemon=True) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)

    def fail(self, name, why, log=None, lines=40):
        """Count one failure and show the end of its log."""
        if self.finishing:
            return
        self.results.add(0, [f"{name}: {why}"])
        self.say(f"FAILED {name}: {why}")
        if log:
            self.show(log, lines)

    def show(self, log, lines):
        """Print the end of a log; of pytest's, what it says about failures."""
        text = pathlib.Path(log).read_text(encoding="utf-8", errors="replace").splitlines()
        starts = [at for at, line in enumerate(text) if re.match(r"=+ (ERRORS|FAILURES) =", line)]
        text = text[starts[0]:] if starts else text
        with self.lock:
            if self.finishing:
                return
            print("\n".join("    | " + line for line in text[-lines:]), flush=True)

    # ---- building

    def make_root(self):
        """Start making the machines' base root beside the build; tests wait for it by its lock."""
        if not SANDBOX.exists() or os.geteuid() != 0:
            return
        log = self.dir / "make-root.log"

        def work():
            code = self.run([str(SANDBOX), "make-root", "--state-dir", str(self.dir / "root-state"),
                             "--root-dir", str(root_cache())], ROOT_SECONDS, log)
            if code != 0:
                self.fail("make-root", f"the base root of the machines was not made ({code})", log)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self.root_thread = thread

    def make_images(self):
        """Start building the container images beside the tests, which wait for them by a lock; tests/ship
        builds what is missing then, and says what is wrong."""
        if "ship" not in (self.options.kinds or KINDS) or compose.why_not():
            return
        log = self.dir / "make-images.log"
        argv = ["nice", "flock", str(ROOT / "var-test/images.lock"), str(ROOT / "scripts/images"), *compose.NAMES]
        threading.Thread(target=self.run, args=[argv, compose.BUILD_SECONDS, log, {"TAG": compose.TAG}],
                         daemon=True).start()

    def build(self):
        """Build everything with sanitizers and warnings as errors."""
        log = self.dir / "build.log"
        self.say(f"building in {build_dir()}")
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
            os.environ.pop(name, None)
        code = self.run(["make", f"-j{os.cpu_count() or 1}", "SAN=asan", "WERROR=1",
                         f"BUILD={build_dir()}", "all", "test-binaries"], BUILD_SECONDS, log)
        if code != 0:
            self.fail("build", f"make ended with {code}", log, 60)
        return code == 0

    # ---- durations

    def expected(self, path):
        """How many seconds a file will take."""
        name = str(path.relative_to(ROOT / "tests"))
        return self.durations.get(name, path.stat().st_size / BYTES_A_SECOND)

    def remember(self, seconds):
        """Keep what whole files took for the next run."""
        if self.options.pytest:
            return  # a selection of tests says nothing of the files
        with self.lock:
            self.durations.update({name: round(value, 1) for name, value in seconds.items()})
            MEASURED.write_text(json.dumps(self.durations, indent=1, sort_keys=True) + "\n", encoding="ascii")

    # ---- C tests

    def check_program(self, program, env=None):
        """Run one Check program and count what its TAP log says."""
        name = program.name
        tap, log = self.dir / f"{name}.tap", self.dir / f"{name}.log"
        began = time.monotonic()
        code = self.run([str(program)], PROGRAM_SECONDS, log, {
            "CK_TAP_LOG_FILE_NAME": str(tap), "CK_TIMEOUT_MULTIPLIER": "20", **(env or {})})
        text = tap.read_text(encoding="utf-8", errors="replace") if tap.exists() else ""
        passed = len(re.findall(r"^ok \d+", text, re.M))
        failures = [f"{name}: {line}" for line in re.findall(r"^not ok \d+ - (.*)", text, re.M)]
        planned = re.search(r"^1\.\.(\d+)", text, re.M)
        if not planned or int(planned.group(1)) != passed + len(failures):
            failures.append(f"{name}: died before its end ({code}), after {passed} passed tests")
        elif code != 0 and not failures:
            failures.append(f"{name}: all its tests passed, but it ended with {code}")
        self.results.add(passed, failures)
        took = time.monotonic() - began
        self.remember({f"{program.parent.name}/{name}.c": took})
        self.say(f"{name}: {passed} passed, {len(failures)} failed, {took:.1f} s")
        if failures:
            for line in failures:
                self.say(f"FAILED {line}")
            self.show(log, 40)

    def unit(self):
        """The unit tests."""
        programs = sorted((ROOT / "tests/unit").glob("test_*.c"), key=lambda path: -self.expected(path))
        self.parallel([build_dir() / "tests/unit" / path.stem for path in programs], self.check_program)

    def fuzz(self):
        """Every fuzz target on its corpus, and on each input of it cut short at each byte."""
        def replay(folder):
            log = self.dir / f"fuzz-{folder.name}.log"
            began = time.monotonic()
            code = self.run([str(build_dir() / f"tests/fuzz/fuzz_{folder.name}"), str(folder / "corpus")],
                            PROGRAM_SECONDS, log)
            if code != 0:
                self.fail(f"fuzz_{folder.name}", f"ended with {code}; the last input named is the one", log)
                return
            self.results.add(1)
            self.say(f"fuzz_{folder.name}: {time.monotonic() - began:.1f} s")

        self.parallel(sorted(path.parent for path in (ROOT / "tests/fuzz").glob("*/fuzz_*.c")), replay)

    def integration_programs(self):
        """The C tests that want servers: each gets a database and a ZooKeeper path of its own."""
        programs = sorted((ROOT / "tests/integration").glob("test_*.c"))
        if not programs:
            return
        with Stack("servers") as servers:
            servers.up(*SERVERS)
            env = {key: value for key, value in servers.env.items() if key.startswith("LOOM_")}

            def work(program):
                database = f"loom_{program.name}"
                servers.sql(f"CREATE DATABASE `{database}`", "")
                self.check_program(program, {**env, "LOOM_TEST_DB_NAME": database,
                                             "LOOM_TEST_ZK_ROOT": f"/{program.name}"})

            self.parallel([build_dir() / "tests/integration" / path.stem for path in programs], work)

    # ---- Python tests

    def pytest(self, files, label):
        """One pytest process over some files."""
        log, xml_file = self.dir / f"pytest-{label}.log", self.dir / f"pytest-{label}.xml"

        def line(text):
            if re.search(r" (PASSED|FAILED|ERROR|SKIPPED)\b", text):
                self.say(re.sub(r"\s+\[ *\d+%\]$", "", text))

        code = self.run(["/usr/bin/python3", "-u", "-m", "pytest", "-v", "--color=no", "-c",
                         str(ROOT / "tests/pytest.ini"), f"--junitxml={xml_file}", *files,
                         *self.options.pytest], PYTEST_SECONDS, log, each_line=line)
        try:
            self.count(xml.etree.ElementTree.parse(xml_file))
        except (OSError, xml.etree.ElementTree.ParseError):
            names = ", ".join(pathlib.Path(name).name for name in files)
            self.fail(f"pytest ({names})", f"it ended without a result ({code})", log)
            return
        if code not in (0, 5):
            self.show(log, 400)
        if code not in (0, 1, 5):
            self.fail(f"pytest ({label})", f"it ended with {code}")

    def count(self, tree):
        """Count a JUnit file; a test that passed but whose fixtures failed counts as failed."""
        outcome, seconds = {}, {}
        for case in tree.iter("testcase"):
            key = f"{case.get('classname')}::{case.get('name')}"
            name = case.get("classname").replace(".", "/") + ".py"
            seconds[name] = seconds.get(name, 0) + float(case.get("time"))
            word = "passed"
            for child in case:
                if child.tag in ("failure", "error"):
                    word = f"{child.get('message', '')}".splitlines()[:1]
                    word = "failed: " + (word[0] if word else child.tag)
                elif child.tag == "skipped":
                    word = "skipped"
            if outcome.get(key, "passed") == "passed":
                outcome[key] = word
        self.remember(seconds)
        self.results.add(sum(word == "passed" for word in outcome.values()),
                         [f"{key}: {word[8:][:200]}" for key, word in outcome.items()
                          if word.startswith("failed")],
                         sum(word == "skipped" for word in outcome.values()))

    def python(self, found):
        """These test_*.py, shared out to pytest processes so that all take as long."""
        cost = {path: self.expected(path) for path in found if path.name not in ALONE}
        shares = [[] for _ in range(PYTEST_JOBS)]
        for path in sorted(cost, key=lambda path: -cost[path]):
            min(shares, key=lambda share: sum(cost[p] for p in share)).append(path)
        jobs = [(sorted(map(str, share)), str(number)) for number, share in enumerate(shares, 1) if share]
        self.parallel(jobs, lambda job: self.pytest(*job), PYTEST_JOBS)
        for path in found:
            if path.name in ALONE:
                self.pytest([str(path)], path.stem)

    # ---- sweeping

    @staticmethod
    def sweep(folder):
        """Take down every stack below a folder and delete it; answers what had to be taken down."""
        found = []
        for state in sorted(folder.glob("*/stack.json")):
            found.append(state.parent.name)
            subprocess.run([str(ROOT / "scripts/stack"), "--dir", str(state.parent), "down"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shutil.rmtree(folder, ignore_errors=True)
        return found

    def sweep_old(self, base):
        """Clean up after runs that were killed."""
        for owner in base.glob("run-*/owner"):
            pid, started = owner.read_text(encoding="ascii").split()
            if process.start_time(int(pid)) != int(started):
                self.sweep(owner.parent)

    def finish(self):
        """End what runs, take down what is left, print the sum."""
        with self.lock:
            self.finishing = True
        for child in list(self.children):
            self.end(child)
        left = self.sweep(self.dir)
        if left and not self.options.interrupted:
            self.results.add(0, [f"stacks were left running: {', '.join(left)}"])
        for line in self.results.failures:
            print(f"FAILED {line}")
        skipped = f", {self.results.skipped} skipped" if self.results.skipped else ""
        print(f"{time.monotonic() - self.began:.0f} s{skipped}")
        print(f"{self.results.passed} passed, {len(self.results.failures)} failed", flush=True)
        return 1 if self.results.failures or self.options.interrupted else 0

    def all(self):
        """Everything that was asked for."""
        kinds = self.options.kinds or KINDS
        check = "check" in kinds
        if check:
            kinds = ("unit", "fuzz", "integration")
        self.root_thread = None
        if set(kinds) - {"unit", "fuzz"} and not check:
            self.make_root()
        self.make_images()
        if not self.build():
            return
        if "unit" in kinds:
            self.unit()
        if "fuzz" in kinds:
            self.fuzz()
        if "integration" in kinds:
            try:
                self.integration_programs()
            except (StackFailed, subprocess.SubprocessError) as error:
                self.fail("servers for the C integration tests", str(error))
        if self.root_thread:
            self.root_thread.join()
        folders = KINDS[2:] if check else [kind for kind in kinds if kind in KINDS[2:]]
        found = [path for folder in folders for path in (ROOT / "tests" / folder).rglob("test_*.py")
                 if not check or path.name in CHECK]
        if found:
            self.python(found)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests/run", description="Run Loom's tests.")
    parser.add_argument("kinds", nargs="*", metavar="check|unit|fuzz|integration|browser|chaos|ship",
                        help="which tests (default: all; check: those of every day)")
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:split])
    options.pytest = words[split + 1:]
    options.interrupted = False
    for kind in options.kinds:
        if kind not in ("check", *KINDS):
            parser.error(f"'{kind}' is none of check, {', '.join(KINDS)}")
    return options


def main():
    """Run; whatever happens, sweep and print the sum."""
    options = arguments()

    def interrupt(_number, _frame):
        if not options.interrupted:
            options.interrupted = True
            raise Interrupted

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    runner = Runner(options)
    try:
        runner.all()
    except Interrupted:
        runner.say("interrupted: cleaning up")
        runner.results.add(0, ["the run was interrupted"])
    except Exception as error:
        runner.results.add(0, [f"the test driver: {error!r}"])
    return runner.finish()


if __name__ == "__main__":
    sys.exit(main())
