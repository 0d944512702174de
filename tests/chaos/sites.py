# SPDX-License-Identifier: Apache-2.0
"""Where a run takes place: a datacenter, or a single stack for the tests of the tests."""

import subprocess

from dclib.state import State
from stacklib import process
from support.datacenter import HOSTS, wait
from support.receiver import Receiver
from support.stack import SANDBOX, root_cache


class DatacenterSite:
    """Three machines behind a virtual address."""

    def __init__(self, dc):
        self.dc = dc
        self.simulated = dc.dir / "simulated"
        env = dc.env
        self.sandbox = {"state_dir": env["LOOM_SANDBOX_STATE_DIR"], "bridge": env["LOOM_SANDBOX_BRIDGE"],
                        "subnet": env["LOOM_SANDBOX_SUBNET"], "root_dir": str(root_cache())}

    def make_root(self):
        """The real machines' base root. Made in the run it would be broken off again and again, and never be done."""
        done = subprocess.run([SANDBOX, "make-root", "--state-dir", self.sandbox["state_dir"], "--root-dir",
                               self.sandbox["root_dir"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0:
            raise AssertionError(f"make-root: {done.stdout}")

    def api(self, user, tenant, timeout=10):
        """A client of the virtual address."""
        return self.dc.api(user, tenant, timeout)

    def browser(self):
        """A client of the UI gateways."""
        return self.dc.page()

    def receiver(self):
        """Who takes the callbacks, outside of the three machines."""
        return Receiver(host=State(self.dc.dir).outside)

    def sql(self, statement):
        """Rows from the database's writer."""
        return self.dc.sql(statement, wait(lambda: self.dc.status()["roles"]["database_writer"], 60,
                                           "a database writer")[0])

    def provisioner_logs(self):
        """(id, path) of the journals of all provisioners."""
        found = []
        for host in HOSTS:
            for path in sorted((self.dc.dir / host / "log").glob("provisioner*.log*")):
                number = path.name.partition(".")[0].removeprefix("provisioner") or "1"
                found.append((f"dc-{host}-{number}", path))
        return found

    def replicas(self, tables):
        """Checksums of tables on every database node, as soon as they agree (or after a while)."""
        names = ", ".join(f"`{table}`" for table in tables)
        statement = f"SET SESSION wsrep_sync_wait=15; CHECKSUM TABLE {names}"
        found = {}
        for _ in range(5):
            found = {table: {} for table in tables}
            for host in HOSTS:
                for name, value in self.dc.sql(statement, host):
                    found[name.rpartition(".")[2]][host] = value
            if all(len(set(values.values())) == 1 for values in found.values()):
                break
        return found


class StackSite:
    """One stack: no virtual address, no replicas."""

    sandbox = None
    browser = None

    def __init__(self, stack):
        self.stack = stack
        self.simulated = stack.dir / "simulated"

    def api(self, user, tenant, timeout=10):
        """A client of the only API."""
        made = self.stack.client("api.external", user, tenant)
        made.timeout = timeout
        return made

    def receiver(self):
        """Who takes the callbacks."""
        return Receiver()

    def sql(self, statement):
        """Rows from the only database."""
        env = self.stack.env
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{env['LOOM_TEST_DB_PORT']}",
             f"-u{env['LOOM_TEST_DB_USER']}", "-N", "-B", "--raw", "-e", statement, env["LOOM_TEST_DB_NAME"]],
            env={"PATH": process.PATH, "MYSQL_PWD": env["LOOM_TEST_DB_PASSWORD"]},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0, f"{statement}: {done.stderr.strip()}"
        return [line.split("\t") for line in done.stdout.splitlines()]

    def provisioner_logs(self):
        """(id, path) of the journals of all provisioners."""
        return [(f"local-{path.stem.removeprefix('provisioner') or '1'}", path)
                for path in sorted((self.stack.dir / "log").glob("provisioner*.log"))]

    def replicas(self, _tables):
        """There is one copy."""
        return {}
