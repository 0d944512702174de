# SPDX-License-Identifier: Apache-2.0
"""A private Loom for tests: scripts/stack in a folder of its own, on free ports."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from stacklib import ports, process

from .api import Api, signed_in
from .wait import wait_for

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SANDBOX = ROOT / "services/provisioner/plugins/providers/sandbox/sandbox.py"
SERVERS = ("mariadb", "zookeeper")
ALL_PARTS = (*SERVERS, "api", "scheduler", "provisioner", "gateway")
SANITIZER = re.compile(r"(ERROR: (Address|Leak|Thread)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer).*")
ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:exitcode=99:detect_stack_use_after_return=1:quarantine_size_mb=32",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
}


# What tests need that are workers themselves.
CORE = ("mariadb", "zookeeper", "api", "scheduler")


class StackFailed(AssertionError):
    """A stack command failed, or a stack left something behind."""


def base_dir():
    """Where the folders of test stacks go; the runner gives each run one and sweeps it."""
    base = pathlib.Path(os.environ.get("LOOM_TEST_DIR") or ROOT / "var-test")
    base.mkdir(parents=True, exist_ok=True)
    return base


def build_dir():
    """Build directory of the programs under test."""
    path = pathlib.Path(os.environ.get("LOOM_TEST_BUILD") or "build-asan")
    return path if path.is_absolute() else ROOT / path


def free_port(folder):
    """A port that no stack and no outgoing connection gets as long as the folder is there, whoever listens or not."""
    return ports.pick(set(), folder)


def root_cache():
    """The Debian base root that all test stacks and `make run` share."""
    return pathlib.Path(os.environ.get("LOOM_SANDBOX_ROOT_CACHE") or ROOT / "var/cache/sandbox-root")


class Stack:
    """One stack. Use it as a context manager, or call up() and close()."""

    def __init__(self, name="stack", settings=(), bin_dir=None, auth="token"):
        """settings: ("scheduler.some_key=value", ...) lines for configuration files.

        auth: tests with many users of many tenants may have "headers", which believes who they say they are.
        """
        self.name = name
        self.auth = auth
        self.settings = list(settings)
        self.bin = pathlib.Path(bin_dir or build_dir() / "bin")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir=base_dir()))
        self.dir.chmod(0o755)
        self.info = {"ports": {}}
        self._database = None  # how to reach it: environment variables

    # ---- commands

    def command(self, *words, check=True, timeout=400):
        """scripts/stack on this folder; its output, or StackFailed with it."""
        argv = [str(ROOT / "scripts/stack"), "--dir", str(self.dir), *words]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=timeout, check=False,
                              env={**ENVIRONMENT, **os.environ, "LOOM_HOLD": str(self.dir / "hold")})
        if check and done.returncode != 0:
            raise StackFailed(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout}")
        return done.stdout

    def up(self, *parts):
        """Start these parts (default: all of ALL_PARTS) and wait until each is ready."""
        options = ["--ports", "free", "--bin", str(self.bin), "--auth", self.auth]
        for setting in self.settings:
            options += ["--set", setting]
        self.command(*options, "up", *(parts or ALL_PARTS))
        self.refresh()
        return self

    def refresh(self):
        """Read ports and addresses again."""
        self.info = json.loads((self.dir / "stack.json").read_text(encoding="utf-8"))
        self._database = None

    def start(self, *parts, settings=()):
        """Start parts: those that were stopped or killed, or further ones such as api2."""
        options = [word for setting in settings for word in ("--set", setting)]
        self.command(*options, "start", *parts)
        self.refresh()

    def stop(self, *parts):
        """SIGTERM and wait."""
        self.command("stop", *parts)

    def kill(self, *parts):
        """SIGKILL and wait."""
        self.command("kill", *parts)

    def pause(self, *parts):
        """SIGSTOP."""
        self.command("pause", *parts)

    def resume(self, *parts):
        """SIGCONT."""
        self.command("resume", *parts)

    def restart(self, *parts):
        """kill -9 and start again."""
        self.kill(*parts)
        self.start(*parts)

    # ---- what it is

    @property
    def ports(self):
        """Port by name: mariadb, zookeeper, api.external, api.internal, gateway, ..."""
        return self.info["ports"]

    @property
    def bridge(self):
        """Name of the machines' network bridge."""
        return self.info["bridge"]

    @property
    def sandbox_dir(self):
        """State folder of the sandbox provider."""
        return self.dir / "sandbox"

    @property
    def env(self):
        """LOOM_URL ..., LOOM_TEST_DB_* and LOOM_TEST_ZK, as a dict."""
        return json.loads(self.command("--json", "env"))

    def client(self, port, user="admin", tenant="superadmin"):
        """A REST client of any port of the stack, as an administrator; user None: as nobody."""
        token = self.token() if self.auth == "token" and user else None
        return Api(f"http://127.0.0.1:{self.ports[port]}", user, tenant, token=token)

    def person(self, user, tenant):
        """The public REST API as somebody of a tenant, who is made where it takes a token."""
        if self.auth == "headers":
            return self.client("api.external", user, tenant)
        admin = self.client("api.external", tenant=tenant)
        made = admin.put(f"/v2/users/{user}", {"role": "user"})
        assert made.ok, made
        made = admin.post("/v2/tokens", {"name": "test", "user": user})
        assert made.ok, made
        return Api(admin.url, user, tenant, token=made.json["token"])

    def token(self, name="admin"):
        """What proves who asks: that of admin or of the provisioner."""
        return (self.dir / "secrets" / f"{name}.token").read_text(encoding="ascii").strip()

    @property
    def api(self):
        """The public REST API as superadmin."""
        return self.client("api.external")

    @property
    def internal(self):
        """The provisioners' REST API, as one of them."""
        return Api(f"http://127.0.0.1:{self.ports['api.internal']}", user=None, token=self.worker_token)

    @property
    def worker_token(self):
        """What provisioners show; None: nothing."""
        return self.token("provisioner") if self.auth == "token" else None

    @property
    def ui(self):
        """The web gateway, as a browser in which nobody has signed in."""
        return self.client("gateway", user=None)

    @property
    def page(self):
        """The web gateway, as a browser in which the administrator has."""
        return signed_in(self.ui, self.token()) if self.auth == "token" else self.ui

    def metric(self, port, name):
        """What /metrics of a port says of one metric, as a number."""
        text = self.client(port, user=None).get("/metrics").text
        return next(float(line.split()[-1]) for line in text.splitlines() if line.rpartition(" ")[0] == name)

    def swept(self):
        """Waits until the scheduler has looked for what nobody reports."""
        wait_for(lambda: self.metric("scheduler.admin", 'loom_scheduler_sweeps_total{result="finished"}'),
                 what="the scheduler to have swept")

    def pid(self, part):
        """Pid of a part, or None when it does not run."""
        return process.Process(self.dir, part).pid()

    def log(self, part):
        """All that a part wrote."""
        path = self.dir / "log" / f"{part}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def log_tails(self, lines=25):
        """The end of each log, for a failed test's report."""
        texts = []
        for path in sorted((self.dir / "log").glob("*.log")):
            tail = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
            texts.append(f"--- {path.name}\n" + "\n".join(tail))
        return "\n".join(texts)

    def _sql_client(self, *options, database=None, scheduler=False):
        """Words and environment of the database's client."""
        env = self._database = self._database or self.env
        if scheduler:
            password = (self.dir / "secrets/db-scheduler.password").read_text(encoding="ascii").strip()
            env = {**env, "LOOM_TEST_DB_USER": "loom_scheduler", "LOOM_TEST_DB_PASSWORD": password}
        words = ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{env['LOOM_TEST_DB_PORT']}",
                 f"-u{env['LOOM_TEST_DB_USER']}", "-N", "-B", *options,
                 database or env["LOOM_TEST_DB_NAME"]]
        return {"args": words, "text": True,
                "env": {"PATH": process.PATH, "MYSQL_PWD": env["LOOM_TEST_DB_PASSWORD"]}}

    @contextlib.contextmanager
    def locked(self, rows):
        """Rows ("FROM ... WHERE ...") are locked until the end of the block."""
        with subprocess.Popen(**self._sql_client("--unbuffered"), stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as client:
            client.stdin.write(f"BEGIN; SELECT COUNT(*) {rows} FOR UPDATE;\n")
            client.stdin.flush()
            assert int(client.stdout.readline() or 0) > 0, f"nothing to lock: {rows}"
            yield

    @contextlib.contextmanager
    def held(self, where):
        """Services are held where the code says hold_at(where), until the end of the block; gives a
        function that is true once one is there."""
        hold, there = (self.dir / "hold" / name for name in (where, f"{where}.held"))
        hold.parent.mkdir(exist_ok=True)
        hold.touch()
        try:
            yield there.exists
        finally:
            hold.unlink()
            there.unlink(missing_ok=True)

    def sql(self, statement, database=None, scheduler=False):
        """Rows of a statement on the stack's database, as lists of text (NULL is 'NULL'). scheduler: with its account,
        which alone sees what its connections are at."""
        done = subprocess.run(**self._sql_client("-e", statement, database=database, scheduler=scheduler),
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise StackFailed(f"{statement}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def now(self):
        """The database's clock: epoch milliseconds."""
        return int(self.sql("SELECT CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)")[0][0])

    def machines(self):
        """The sandbox's machines, as the plugin's `list` describes them."""
        done = subprocess.run([str(SANDBOX), "list", "--state-dir", str(self.sandbox_dir)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise StackFailed(f"sandbox list: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    # ---- preparing

    def make_root(self):
        """The machines' base root, made once for all stacks."""
        done = subprocess.run([str(SANDBOX), "make-root", "--state-dir", str(self.sandbox_dir),
                               "--root-dir", str(root_cache())], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=800, check=False)
        if done.returncode != 0:
            raise StackFailed(f"make-root: {done.stdout}")

    def load_catalog(self, catalog=None):
        """Load the default catalog, or another folder like it."""
        values = {"STATE_DIR": self.sandbox_dir, "ROOT_DIR": root_cache(),
                  "BRIDGE": self.bridge, "SUBNET": self.info["subnet"]}
        argv = [str(ROOT / "scripts/loom-load-catalog")]
        argv += ["--catalog", str(catalog)] if catalog else []
        for key, value in values.items():
            argv += ["--set", f"{key}={value}"]
        done = subprocess.run(argv, env={**os.environ, **self.env},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise StackFailed(done.stdout)

    # ---- ending

    def sanitizer_reports(self):
        """What the sanitizers said in any log."""
        found = []
        for path in sorted((self.dir / "log").glob("*.log*")):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{path.name}: {match.group(0)}" for match in SANITIZER.finditer(text)]
        return found

    def leftovers(self):
        """Processes, mounts and network links that outlived the stack."""
        found = [process.describe(pid) for pid in process.strays(self.dir)]
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            found += [line.split()[4] for line in mounts if f" {self.dir}/" in line]
        bridge = self.info.get("bridge")
        if bridge and os.path.exists(f"/sys/class/net/{bridge}"):
            found.append(f"bridge {bridge}")
        return found

    def save_logs(self):
        """Copy logs to where they survive the run; answers the folder."""
        target = ROOT / "var-test" / "logs" / self.dir.name
        shutil.copytree(self.dir / "log", target, dirs_exist_ok=True)
        return target

    def close(self):
        """Take everything down and delete it. StackFailed when something was wrong on the way."""
        if not self.dir.exists():
            return
        problems = []
        try:
            self.command("down")
        except (StackFailed, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
        problems += [f"left behind: {what}" for what in self.leftovers()]
        problems += self.sanitizer_reports()
        if problems and (self.dir / "log").is_dir():
            problems.append(f"logs are in {self.save_logs()}")
        shutil.rmtree(self.dir, ignore_errors=True)
        if problems:
            raise StackFailed(f"stack {self.name}:\n" + "\n".join(problems))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
