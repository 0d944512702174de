# SPDX-License-Identifier: Apache-2.0
"""A real stack of optimised programs under load: the driver, SQL, and what each process used."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests"))

import catalog  # noqa: E402

from support import Stack  # noqa: E402 (the path comes first)

COUNTERS = ("Questions", "Com_select", "Com_insert", "Com_update", "Com_commit", "Handler_commit",
            "Innodb_data_fsyncs", "Innodb_row_lock_waits", "Innodb_row_lock_time", "Innodb_deadlocks")
PARTS = ("mariadb", "scheduler", "api")
TICK = os.sysconf("SC_CLK_TCK")


def percentile(values, per_mille):
    """The value below which so many of a thousand lie."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) * per_mille // 1000] if ordered else None


# What deploy/ gives a database by default, instead of the little that a stack for tests has.
SIZES = {"innodb_buffer_pool_size": "1G", "innodb_log_file_size": "512M"}


def busy_ms():
    """Processor time that anything on this machine has used."""
    fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq = (int(field) for field in fields[:7])
    return (user + nice + system + irq + softirq) * 1000 / TICK


class Bench:
    """The stack and what the figures share."""

    def __init__(self, build, parts, database=None):
        """database: (host, port, file with the password of account loom) of one that runs already."""
        self.build, self.parts = build, parts
        settings = [*(f"mariadb.{key}={value}" for key, value in SIZES.items()), "scheduler.callback_allow=127.0.0.1",
                    "api.tenant_change_rate=0"]  # what can be done is measured, not what one tenant may
        if database:
            settings += [f"{part}.{key}={value}" for part in ("api", "scheduler")
                        for key, value in zip(("db_host", "db_port", "db_password_file"), database)]
        self.stack = Stack("bench", settings, bin_dir=build / "bin", auth="headers")
        self.results = {}
        try:
            self.stack.up(*parts)
            self.env = self.stack.env
            self.database = database or ("127.0.0.1", self.env["LOOM_TEST_DB_PORT"],
                                         self.stack.dir / "secrets/db.password")
            self.private = not database
            self._load()
        except BaseException:
            self.close()
            raise

    def _load(self):
        for kind, document in catalog.TYPES.items():
            answer = self.stack.internal.put(f"/v2/plugins/{kind}/{document['name']}", document)
            assert answer.status == 200, answer
        for kind, documents in catalog.CATALOG.items():
            for document in documents:
                answer = self.stack.api.post(f"/v2/{kind}", document)
                assert answer.status == 200, f"{kind} {document['name']}: {answer}"
        self.catalog_file = self.stack.dir / "catalog.json"
        self.catalog_file.write_text(json.dumps(catalog.CATALOG), encoding="utf-8")

    def close(self):
        """Take it down."""
        self.stack.close()

    @contextlib.contextmanager
    def twin(self):
        """Another one like it, on a new database."""
        other = Bench(self.build, [part for part in self.parts if part not in ("provisioner", "gateway")])
        other.results = dict(self.results)
        try:
            yield other
        finally:
            other.close()

    # ---- the driver

    def start(self, command, **options):
        """The driver, running."""
        words = [f"{key}={value}" for key, value in options.items()]
        return subprocess.Popen([str(self.build / "tests/bench/driver"), command, *words],
                                stdout=subprocess.PIPE, text=True)

    @staticmethod
    def result(driver):
        """What a driver printed, when it has ended."""
        text, _ = driver.communicate()
        assert driver.returncode == 0, f"the driver ended with {driver.returncode}"
        return json.loads(text)

    def drive(self, command, **options):
        """Run the driver."""
        return self.result(self.start(command, **options))

    def play(self, **options):
        """Start provisioners."""
        return self.start("play", internal=self.stack.ports["api.internal"], **options)

    def create(self, template, machines, count, **options):
        """Create clusters; the driver's report."""
        return self.drive("create", **self.creation(template, machines, count, **options))

    def creation(self, template, machines, count, **options):
        """Options of the driver that creates clusters."""
        return {"external": self.stack.ports["api.external"], "template": template,
                "machines": machines, "count": count, **options}

    # ---- the database

    def sql(self, statement, database=None):
        """Rows, as lists of text."""
        host, port, password = self.database
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"-h{host}", f"-P{port}", "-uloom", "-N", "-B", "--raw", "-e", statement,
             database or self.env["LOOM_TEST_DB_NAME"]],
            env={"PATH": os.environ["PATH"], "MYSQL_PWD": pathlib.Path(password).read_text(encoding="ascii").strip()},
            capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{statement}: {done.stderr.strip()}"
        return [line.split("\t") for line in done.stdout.splitlines()]

    def number(self, statement):
        """The only value of a statement."""
        return int(self.sql(statement)[0][0])

    def wait_zero(self, statement, seconds, what):
        """Ask until the answer is 0."""
        deadline = time.monotonic() + seconds
        while self.number(statement):
            assert time.monotonic() < deadline, f"{what} took longer than {seconds} s"
            time.sleep(0.1)

    def wait_planned(self, seconds=60):
        """Until every job has its tasks."""
        self.wait_zero("SELECT COUNT(*) FROM job WHERE phase='plan'", seconds, "planning")

    def open_tasks(self):
        """Tasks that are still to be done."""
        return self.number("SELECT COUNT(*) FROM task WHERE state IN ('blocked','ready','running')")

    # ---- what it costs

    def metrics(self, part):
        """Values of a service's /metrics by name."""
        port = {"api": "api.external", "scheduler": "scheduler.admin"}[part]
        text = self.stack.client(port, user=None).get("/metrics").text
        return {name: float(value) for name, value in re.findall(r"^(\w+) ([-\d.e+]+)$", text, re.M)}

    def cpu(self, part):
        """Seconds of processor time so far; of all nodes of a database that is not ours."""
        pids = [self.stack.pid(part)]
        if part == "mariadb" and not self.private:
            pids = subprocess.run(["pgrep", "-x", "mariadbd"], capture_output=True, text=True, check=True).stdout.split()
        total = 0
        for pid in pids:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def resident_mib(self, part):
        """Resident memory."""
        text = pathlib.Path(f"/proc/{self.stack.pid(part)}/status").read_text(encoding="ascii")
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024

    def snapshot(self):
        """All counters, now."""
        names = ",".join(f"'{name}'" for name in COUNTERS)
        rows = self.sql(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
        counters = {name.lower(): int(value) for name, value in rows}
        for part in ("scheduler", "api"):
            counters[f"{part}_statements"] = self.metrics(part).get("loom_db_statements_total", 0)
        for part in PARTS:
            counters[f"{part}_cpu_ms"] = self.cpu(part) * 1000
        counters["machine_cpu_ms"] = busy_ms()
        return counters

    def costs(self, before, done, driver):
        """What each of so many completions cost since the snapshot."""
        after = self.snapshot()
        per = {name: round((after[name] - before[name]) / max(done, 1), 3) for name in after}
        per["driver_cpu_ms"] = round(driver["cpu_seconds"] * 1000 / max(done, 1), 3)
        ours = sum(per[f"{part}_cpu_ms"] for part in (*PARTS, "driver"))
        per["other_cpu_ms"] = round(per.pop("machine_cpu_ms") - ours, 3)
        return per
