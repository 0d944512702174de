# SPDX-License-Identifier: Apache-2.0
"""One machine made what the inventory says it is; run again, it finishes what is left, or changes nothing.

The order is that in which parts need each other: secrets, configuration, ZooKeeper and the database,
proxies, services. Each is waited for, but for what cannot be before other machines are set up.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from . import DcError, certificates, checks, doctor, keys, remote, render
from .ask import fetch, talk

SYSTEMD = pathlib.Path("/etc/systemd/system")
LISTED = "setup.list"  # below paths.etc: all files that setup wrote, for a purge
FRESH = "00000000-0000-0000-0000-000000000000"
BEGIN = "loom-begin"   # galera-start's leave to begin without the others, for once
PAUSE, TELL_EVERY = 0.3, 10.0
# Accounts, and tables that they may use one by one: a later version has more of both.
HAVE = ("SELECT CONCAT(User, '@', Host) FROM mysql.global_priv; "
        "SELECT CONCAT(User, '@', Host, ' ', Table_name) FROM mysql.tables_priv WHERE Db = 'loom'; "
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'loom_ha'")
ACCOUNT = re.compile(r"^CREATE USER IF NOT EXISTS '(\S+)'@'(\S+)';$", re.M)
RIGHT = re.compile(r"^GRANT .* ON `loom`\.`(\w+)` TO '(\S+)'@'(\S+)';$", re.M)


class Unit(NamedTuple):
    """A unit of a machine."""

    name: str
    configured_by: tuple   # beginnings of what is rendered for it
    reloads: bool          # takes a new configuration without an end
    service: str           # what it is called in a Compose project


SQL_PROXIES = {
    "haproxy": (Unit("loom-sqlproxy", ("haproxy/sqlproxy.", "systemd/loom-sqlproxy."), True, "sqlproxy"),),
    "proxysql": (Unit("loom-sqlproxy", ("proxysql/", "systemd/loom-sqlproxy."), False, "sqlproxy"),
                 Unit("loom-proxysql-follow", ("mariadb/galera-check.", "systemd/loom-proxysql-follow."), False,
                      "sqlproxy-follow")),
}
DATABASE = (
    Unit("loom-zookeeper", ("zookeeper/", "systemd/loom-zookeeper."), False, "zookeeper"),
    Unit("loom-galera-check", ("mariadb/galera-check.", "systemd/loom-galera-check."), False, "db"),
    Unit("mariadb", ("mariadb/galera.cnf", "systemd/mariadb."), False, "db"),
)
REST = (
    Unit("haproxy", ("haproxy/haproxy.", "systemd/haproxy."), True, "haproxy"),
    Unit("keepalived", ("keepalived/", "systemd/keepalived."), False, "keepalived"),
    Unit("loom-api", ("loom/api.", "systemd/loom-api."), False, "api"),
    Unit("loom-scheduler", ("loom/scheduler.", "systemd/loom-scheduler."), False, "scheduler"),
    Unit("loom-ui-gateway", ("loom/ui-gateway.", "systemd/loom-ui-gateway."), False, "ui"),
)


def units_of(inventory, host):
    """All units of a machine, in the order in which they are started."""
    copies = range(1, int(inventory["hosts"][host]["provisioners"]) + 1)
    sql_proxy = SQL_PROXIES[inventory["datacenter"]["sql_proxy"]]
    provisioners = (Unit(f"loom-provisioner@{copy}", (f"loom/provisioner-{copy}.", "systemd/loom-provisioner@."), False,
                         f"provisioner-{copy}")
                    for copy in copies)
    return [*DATABASE, *sql_proxy, *REST, *provisioners]


def wanted_of(accounts):
    """What the accounts' SQL makes, as lines of HAVE."""
    return {*(f"{user}@{host}" for user, host in ACCOUNT.findall(accounts)),
            *(f"{user}@{host} {table}" for table, user, host in RIGHT.findall(accounts))}


def say(text):
    """Progress, for whoever waits; the result is for stdout."""
    print(text, file=sys.stderr, flush=True)


class Setup:
    """One run on one machine."""

    def __init__(self, inventory, host, facts, seconds):
        self.inventory, self.host, self.facts, self.seconds = inventory, host, facts, seconds
        self.values = render.values_for(inventory, host)
        self.etc = pathlib.Path(self.values["paths"]["etc"])
        self.data = pathlib.Path(self.values["paths"]["db_data"])
        self.address = self.values["host"]["db_address"]
        self.units = units_of(inventory, host)

    # ---- what is to be done

    def is_new(self):
        """Whether this is the first machine, and all others say that they are part of no datacenter yet.
        One that does not answer may have commits that this one has not."""
        first = next(iter(self.inventory["hosts"]))
        return self.host == first and not any(other["error"] or other["datacenter"] for other in self.facts["others"].values())

    def in_group(self):
        """Whether this machine's database was ever in a group."""
        try:
            text = (self.data / "grastate.dat").read_text(encoding="utf-8")
        except OSError:
            return False
        return FRESH not in text

    def database(self):
        """'', or what has to be done before the database's first start here: 'begin' or 'join'."""
        if self.in_group() and not (self.is_new() and not self.is_ready("mariadb")):
            return ""
        return "begin" if self.is_new() else "join"

    def files(self):
        """({rendered name: (target, text)} of this machine, the accounts' SQL)."""
        found = {}
        self.values = render.values_for(self.inventory, self.host)
        with tempfile.TemporaryDirectory(prefix="loom-setup-") as folder:
            for name in render.render(self.inventory, self.host, folder):
                target = SYSTEMD / name.removeprefix("systemd/") if name.startswith("systemd/") else self.etc / name
                found[name] = (target, (pathlib.Path(folder) / name).read_text(encoding="utf-8"))
        found |= certificates.files(self.inventory, self.host, self.facts, self.listed())
        return found, found.pop("mariadb/accounts.sql")[1]

    @staticmethod
    def changed(files):
        """Names of what differs from what is there."""
        return [name for name, (target, text) in files.items()
                if not target.exists() or target.read_text(encoding="utf-8", errors="replace") != text]

    def touched(self, names):
        """Units that run with a configuration that is to change."""
        return [unit for unit in self.units if self.runs(unit.name) and
                any(name.startswith(unit.configured_by) for name in names)]

    def surplus(self):
        """Units that run here and are in the inventory no more: provisioners, what ProxySQL needs."""
        listed = remote.run(["systemctl", "list-units", "--plain", "--no-legend", "--all", "loom-provisioner@*",
                             "loom-proxysql-follow.service"])
        wanted = {f"{unit.name}.service" for unit in self.units}
        return [line.split()[0] for line in listed.splitlines() if line.split()[0] not in wanted]

    def plan(self):
        """What a run would do."""
        secrets = keys.in_words(self.inventory, keys.wanted(self.inventory, self.host, self.facts), "fetch", "make")
        names = self.changed(self.files()[0])
        return {"host": self.host, "secrets": secrets,
                "database": self.database() or "kept", "write": names, "restart": [unit.name for unit in self.touched(names)],
                "start": [unit.name for unit in self.units if not self.runs(unit.name)], "stop": self.surplus()}

    # ---- doing it

    def run(self):
        """All of it; answers what was done, and what this machine waits for."""
        done = {"host": self.host, "secrets": keys.obtain(self.inventory, self.host, self.facts)}
        say(f"secrets: {done['secrets']}")
        files, accounts = self.files()
        done["written"] = self.changed(files)
        restart = self.touched(done["written"])
        self.others_bear(restart)
        done.update(restarted=[], started=[], stopped=self.surplus(), waits_for=[])
        for name in done["stopped"]:
            remote.run(["systemctl", "disable", "--now", name], timeout=180)
        done["removed"] = self.write(files, done["written"])
        remote.run(["systemctl", "daemon-reload"])
        remote.run(["sysctl", "-q", "-w", "net.ipv4.ip_nonlocal_bind=1"])
        done["database"] = self.prepare_database() or "kept"
        for unit in self.units:
            self.bring_up(unit, unit in restart, done)
            if unit.name == "mariadb":
                self.make_accounts(accounts)
        return done

    def others_bear(self, restart):
        """A part of a quorum that serves may only end while the others are well."""
        kinds = {"loom-zookeeper": "zookeeper", "mariadb": "database"}
        wanted = {kinds[unit.name] for unit in restart if unit.name in kinds and self.is_ready(unit.name)}
        if not wanted:
            return
        new = {name for name, other in self.facts["others"].items() if not other["error"] and not other["datacenter"]}
        ill = [f"{part['host']} {part['name']}" for part in doctor.look(self.inventory)["parts"]
               if part["kind"] in wanted and part["host"] not in {self.host, *new} and not part["ready"]]
        if ill:
            raise DcError(f"{', '.join(sorted(wanted))} would have to be restarted, but {', '.join(ill)} is not ready; "
                          "mend that first")

    def listed(self):
        """What an earlier run placed."""
        book = self.etc / LISTED
        return set(book.read_text(encoding="utf-8").split("\n")) - {""} if book.exists() else set()

    def write(self, files, names):
        """Place what differs; what an earlier run placed and this one does not is removed."""
        book, before = self.etc / LISTED, self.listed()
        now = {str(target) for target, _ in files.values()}
        keys.place(book, "".join(f"{path}\n" for path in sorted(before | now)), 0o644, "root")
        for name in names:
            secret = name in render.SECRET
            target, text = files[name]
            keys.place(target, text, keys.SECRET_MODE if secret else 0o644, keys.GROUP if secret else "root")
        gone = sorted(before - now)
        for path in gone:
            pathlib.Path(path).unlink(missing_ok=True)
        keys.place(book, "".join(f"{path}\n" for path in sorted(now)), 0o644, "root")
        say(f"configuration: {len(names)} files written, {len(gone)} removed, of {len(files)}")
        return gone

    def prepare_database(self):
        """Before the first start: an empty database to begin with, or an empty folder to be filled by others."""
        what = self.database()
        if not what:
            return what
        if self.runs("mariadb"):
            remote.run(["systemctl", "stop", "mariadb"], timeout=180)
        if what == "join":
            say(f"database: {self.data} is emptied, the others' database is copied there")
            for entry in self.data.iterdir() if self.data.is_dir() else ():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        elif not (self.data / "mysql").is_dir():
            remote.run(["mariadb-install-db", "--user=mysql", f"--datadir={self.data}", "--skip-test-db"])
        if what == "begin":
            keys.place(self.data / BEGIN, "", 0o644, "mysql")
        return what

    def make_accounts(self, accounts):
        """Loom's accounts, for all machines of the inventory; safe to run again, and run where one, or a right, lacks."""
        command = ["mariadb", "--no-defaults", f"--socket={self.values['paths']['db_run']}/mysqld.sock"]
        have = remote.run([*command, "-N", "-B", "-e", HAVE]).splitlines()
        if not {*wanted_of(accounts), "writer"} <= set(have):
            remote.run(command, stdin=accounts)
            say("database: accounts made")

    def bring_up(self, unit, again, done):
        """Started, or made to take its configuration where that is another one, and ready."""
        fresh = not self.runs(unit.name)
        remote.run(["systemctl", "enable", "-q", unit.name])
        if fresh:
            done["started"].append(unit.name)
        elif again:
            done["restarted"].append(unit.name)
        other_unit = any(name.startswith("systemd/") and name.startswith(unit.configured_by) for name in done["written"])
        verb = "start" if fresh else "" if not again else "reload" if unit.reloads and not other_unit else "restart"
        if verb:
            say(f"{unit.name}: {verb}")
            remote.run(["systemctl", "--no-block", verb, unit.name])
        if unit.name == "loom-zookeeper" and not self.has_quorum():
            done["waits_for"].append("zookeeper serves when a second machine is set up")
            return
        self.wait(unit.name)

    def has_quorum(self):
        """Whether enough machines are set up for ZooKeeper to serve."""
        name = self.inventory["datacenter"]["name"]
        members = 1 + sum(other["datacenter"] == name for other in self.facts["others"].values())
        return members * 2 > len(self.inventory["hosts"])

    # ---- looking

    @staticmethod
    def runs(name):
        """Whether systemd has it up, or on its way."""
        return subprocess.run(["systemctl", "is-active", name], stdout=subprocess.PIPE, text=True,
                              check=False).stdout.strip() in ("active", "activating", "reloading")

    def is_ready(self, name):
        """Whether one of this machine's units does what it is for."""
        ports, own = self.values["ports"], self.values["host"]
        if name == "loom-zookeeper":
            return b"Mode: " in talk(own["zookeeper_address"], int(ports["zookeeper_client"]), b"srvr")
        if name == "loom-sqlproxy":
            return len(talk("127.0.0.1", int(ports["sqlproxy"]), until=1)) > 0
        if name in ("keepalived", "loom-proxysql-follow"):
            return self.runs(name)
        address, port, path = {
            "loom-galera-check": (self.address, ports["galera_check"], "/state"),
            "mariadb": (self.address, ports["galera_check"], "/node"),
            "haproxy": ("127.0.0.1", ports["haproxy_admin"], "/alive"),
            "loom-api": (own["address"], ports["api_external"], "/readyz"),
            "loom-scheduler": (own["address"], ports["scheduler_admin"], "/readyz"),
            "loom-ui-gateway": (own["address"], ports["ui"], "/readyz"),
        }.get(name) or (own["address"], int(ports["provisioner_admin"]) + int(name.partition("@")[2]) - 1, "/readyz")
        loom = name.startswith("loom-") and name != "loom-galera-check"
        return fetch(address, int(port), path, ca=render.by_tls(self.inventory) if loom else None)[0] == 200

    def wait(self, name):
        """Until it is ready."""
        began = told = time.monotonic()
        while not self.is_ready(name):
            now = time.monotonic()
            if now - began > self.seconds:
                raise DcError(f"{name} is not ready after {self.seconds} s: {self.why(name)}; journalctl -u {name} says more. "
                              "Then run setup again: it goes on from here")
            if now - told > TELL_EVERY:
                say(f"{name}: not ready after {now - began:.0f} s: {self.why(name)}")
                told = now
            time.sleep(PAUSE)
        say(f"{name}: ready after {time.monotonic() - began:.1f} s")

    @staticmethod
    def why(name):
        """The last line of its journal."""
        done = subprocess.run(["journalctl", "-u", name, "-n", "1", "-o", "cat", "--no-pager"], capture_output=True,
                              text=True, errors="replace", check=False)
        return re.sub(r"\s+", " ", done.stdout).strip()[:300] or "it says nothing"


def prepare(inventory, host, path, seconds):
    """(what is wrong before anything is done, the run)."""
    facts = checks.look(inventory, host, path)
    return checks.judge(inventory, host, facts), Setup(inventory, host, facts, seconds)
