# SPDX-License-Identifier: Apache-2.0
"""A private datacenter for tests: scripts/dc in a folder of its own."""

import json
import os
import pathlib
import subprocess
import tempfile
import time

from dclib import supervisor, survey
from dclib.state import State

from .api import Api, signed_in
from .stack import ROOT, base_dir

HOSTS = "abc"


class Datacenter:
    """Three machines in three network namespaces."""

    def __init__(self, settings=(), bin_dir=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="dc-", dir=base_dir()))
        self.dir.chmod(0o755)
        self.bin = str(bin_dir or os.environ.get("LOOM_DC_BIN") or ROOT / "build/bin")
        self.settings = list(settings)
        self.env = {}

    # ---- commands

    def argv(self, *words):
        """The command line of a dc command."""
        return [str(ROOT / "scripts/dc"), "--dir", str(self.dir), *map(str, words)]

    def __call__(self, *words, check=True, timeout=200):
        """One command; its output."""
        done = subprocess.run(self.argv(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, timeout=timeout)
        assert not check or done.returncode == 0, f"dc {' '.join(map(str, words))}:\n{done.stdout}"
        return done.stdout

    def without_waiting(self, *words):
        """A command that may take long; nobody waits for it."""
        return subprocess.Popen(self.argv(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def up(self):
        """Start it; answers what `dc up` said."""
        words = [word for setting in self.settings for word in ("--set", setting)]
        said = self("--bin", self.bin, *words, "up")
        self.env = json.loads(self("env", "--json"))
        return said

    def close(self):
        """Leave nothing."""
        self("down", "--quick", "--purge")
        for path in self.dir.glob(".lock"):
            path.unlink()
        for path in (self.dir / "cache", self.dir):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def restart(self, host, part, seconds=60):
        """`dc stop` and `dc start` of one part, without starting either."""
        state = State(self.dir)
        supervisor.call(state, host, "stop", part)
        supervisor.call(state, host, "start", part)
        wait(lambda: supervisor.call(state, host, "look", part)["ready"], seconds, f"{host} {part}", 0.05)

    # ---- what it is

    def api(self, user="admin", tenant="superadmin", timeout=10):
        """A client on the virtual address."""
        return Api(self.env["LOOM_URL"], user, tenant, timeout, token=self.env["LOOM_TOKEN"])

    def page(self, timeout=10):
        """The API by way of the UI gateways, as a browser that has a session."""
        return signed_in(Api(self.env["LOOM_UI_URL"] + "/api", None, None, timeout), self.env["LOOM_TOKEN"])

    def status(self):
        """What `dc status --json` tells, without starting it."""
        return survey.survey(State(self.dir))

    def netns(self, host):
        """A host's network namespace."""
        return f"/run/netns/{State(self.dir).netns(host)}"

    def ready(self, found=None):
        """Whether every part is ready and every role is held once."""
        found = found or self.status()
        return (all(part["ready"] for host in found["hosts"].values() for part in host["parts"].values())
                and all(len(holders) == 1 for holders in found["roles"].values()))

    def whole(self, seconds=90):
        """Wait until all is ready again; the seconds it took."""
        began = time.monotonic()
        wait(self.ready, seconds, lambda: f"a whole datacenter ({self.lacking()})")
        return time.monotonic() - began

    def role(self, name):
        """The one host that has a role."""
        return wait(lambda: (self.status()["roles"][name] + [None])[0], 60, name)

    @staticmethod
    def other(*hosts):
        """A host that is none of these."""
        return next(host for host in HOSTS if host not in hosts)

    def lacking(self):
        """What is not as it should be, in a few words."""
        found = self.status()
        words = [f"{host} {name} is {part['state']}" for host, entry in found["hosts"].items()
                 for name, part in entry["parts"].items() if not part["ready"]]
        return ", ".join(words + [f"{role} is {holders}" for role, holders in found["roles"].items()
                                  if len(holders) != 1])

    def sql(self, statement, host, database="loom"):
        """Rows of a statement on one host's database node, as lists of text."""
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"--socket={self.dir}/{host}/db/run/mysqld.sock", "-N", "-B", "--raw",
             "--quick", "-e", statement, database],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0, f"{statement} on {host}: {done.stderr.strip()}"
        return [line.split("\t") for line in done.stdout.splitlines()]


def wait(check, seconds, what, interval=0.1):
    """Poll; what check() answered."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what() if callable(what) else what} not within {seconds} s"
        time.sleep(interval)
