# SPDX-License-Identifier: Apache-2.0
"""The parts of one host: the command of each, when it is ready, what goes before and after it.

The commands are those of the units in deploy/systemd; all configuration comes from deploy/.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time

from stacklib import process

from . import ROOT, DcError, network
from .ask import fetch, talk
from .state import HOSTS, State

KINDS = ("zookeeper", "db", "sqlproxy", "haproxy", "keepalived", "scheduler", "api", "ui", "provisioner")
# Beside a database node and ProxySQL; no parts of their own for the person at the terminal.
HELPERS = ("dbcheck", "follow")
BINARY = {"api": "loom-api", "scheduler": "loom-scheduler", "ui": "loom-ui-gateway",
          "provisioner": "loom-provisioner"}
DRAIN_SECONDS = 0.1
STOP_SECONDS = {"provisioner": 40, "db": 60}
CHECK_PORT, DB_PORT, SQL_PORT, HAPROXY_PORT = 9200, 55306, 55306, 8404
HTTP_PORT = {"api": 55054, "ui": 8100, "scheduler": 55057, "provisioner": 55070}


def split(name):
    """'provisioner2' -> ('provisioner', 2)."""
    found = re.fullmatch(r"([a-z]+)([1-9]\d?)?", name)
    kind, number = (found.group(1), int(found.group(2) or 1)) if found else (name, 1)
    if kind not in KINDS + HELPERS or (number > 1 and kind != "provisioner"):
        raise DcError(f"'{name}' is no part of a host; parts are {', '.join(KINDS)}; "
                      "provisioner2, provisioner3 ... are further ones")
    return kind, number


def canonical(name):
    """One spelling per part: 'provisioner1' is 'provisioner'."""
    kind, number = split(name)
    return kind if number == 1 else f"{kind}{number}"


def names(state, host):
    """All parts that a host has, in starting order."""
    follow = ["follow"] if sql_proxy(state) == "proxysql" else []
    found = ["zookeeper", "dbcheck", "db", "sqlproxy", *follow, "haproxy", "keepalived"]
    found += [kind for kind in ("scheduler", "api", "ui") if state.runs(host, kind)]
    found += [canonical(f"provisioner{number}") for number in range(1, state.provisioners(host) + 1)]
    return found


def sql_proxy(state):
    """Which program is the SQL proxy."""
    return state.settings.get("sql_proxy", "haproxy")


class Part:
    """How one part of one host is run."""

    def __init__(self, state, host, name):
        self.state, self.host, self.name = state, host, name
        self.kind, self.number = split(name)
        self.home = state.host_dir(host)
        self.etc = self.home / "etc"
        self.address = state.address(host)
        # HAProxy drains on SIGUSR1: nothing new, the end with the last answer.
        self.stop_signal = signal.SIGUSR1 if self.kind == "haproxy" else signal.SIGTERM
        self.stop_seconds = STOP_SECONDS.get(self.kind, 20)

    def argv(self):
        """The command."""
        return getattr(self, f"_argv_{self.kind}", self._argv_loom)()

    def _argv_loom(self):
        name = {"ui": "ui-gateway", "provisioner": f"provisioner-{self.number}"}.get(self.kind, self.kind)
        now = State(self.state.directory)  # as `dc use` left it
        return [f"{now.bin_of(self.host)}/{BINARY[self.kind]}", "--config", f"{self.etc}/loom/{name}.conf"]

    def _argv_zookeeper(self):
        text = (self.etc / "zookeeper/java.env").read_text(encoding="utf-8")
        env = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
        return ["java", *env["JVM_OPTIONS"].split(), "-XX:TieredStopAtLevel=1", "-cp", env["CLASSPATH"],
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", f"{self.etc}/zookeeper/zoo.cfg"]

    def _as_mysql(self):
        """As the account mysql, which need not be able to walk to this folder by itself."""
        argv = ["setpriv", "--reuid", "mysql", "--regid", "mysql", "--init-groups"]
        if not all(path.stat().st_mode & 0o001 for path in (self.home, *self.home.parents)):
            argv += ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
        return [*argv, "--"]

    def _argv_db(self):
        return [*self._as_mysql(), f"{ROOT}/deploy/mariadb/galera-start", f"{self.etc}/mariadb/galera-check.conf"]

    def _argv_dbcheck(self):
        return [*self._as_mysql(), f"{ROOT}/deploy/mariadb/galera-check", f"{self.etc}/mariadb/galera-check.conf"]

    def _argv_haproxy(self):
        return ["haproxy", "-W", "-db", "-f", f"{self.etc}/haproxy/haproxy.cfg"]

    def _argv_sqlproxy(self):
        if sql_proxy(self.state) == "proxysql":
            (self.home / "run/proxysql").mkdir(parents=True, exist_ok=True)
            return ["proxysql", "-f", "--initial", "-c", f"{self.etc}/proxysql/proxysql.cnf",
                    "-D", f"{self.home}/run/proxysql"]
        return ["haproxy", "-W", "-db", "-f", f"{self.etc}/haproxy/sqlproxy.cfg"]

    def _argv_follow(self):
        return [f"{ROOT}/deploy/mariadb/proxysql-follow", f"{self.etc}/mariadb/galera-check.conf"]

    def _argv_keepalived(self):
        run = self.home / "run"
        return ["keepalived", "--dont-fork", "--log-console", "--vrrp", "-f",
                f"{self.etc}/keepalived/keepalived.conf", "-p", f"{run}/keepalived.pid",
                "-r", f"{run}/vrrp.pid"]

    # ---- around it

    def before(self):
        """What has to be there when it starts."""
        if self.kind == "zookeeper":
            data = self.home / "zookeeper"
            data.mkdir(exist_ok=True)
            shutil.copy(self.etc / "zookeeper/myid", data / "myid")
        elif self.kind in ("db", "dbcheck"):
            prepare_db(self.state, self.host)

    def started(self):
        """When it answers for the first time."""
        if self.kind == "haproxy":
            self._tell_keepalived("0")

    def ended(self):
        """When it is gone, for whatever reason."""
        if self.kind == "haproxy":
            self._tell_keepalived("1")
        elif self.kind == "keepalived":
            network.run(["ip", "address", "delete", f"{self.state.virtual_address}/24", "dev", "eth0"],
                        check=False)

    def _tell_keepalived(self, value):
        (self.home / "run/haproxy.down").write_text(value + "\n", encoding="ascii")

    def before_stop(self):
        """What an orderly stop begins with."""
        if self.kind == "db":
            subprocess.run([*self._argv_dbcheck(), "release"], env=process.clean_env(self.state.directory),
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           timeout=15, check=False)

    def stopping(self):
        """Right after the signal of an orderly stop."""
        if self.kind == "haproxy":
            # New connections are refused; what was being answered ends. Then the address may move.
            time.sleep(DRAIN_SECONDS)
            self._tell_keepalived("1")

    # ---- how it is

    def look(self):
        """(ready, role) as the part itself says; called inside the host."""
        return getattr(self, f"_look_{self.kind}", self._look_loom)()

    def _look_loom(self):
        port = HTTP_PORT[self.kind] + self.number - 1
        return fetch(self.address, port, "/readyz")[0] == 200, ""

    def _look_zookeeper(self):
        text = talk(self.address, 55181, b"srvr").decode("utf-8", "replace")
        mode = re.search(r"^Mode: (\w+)", text, re.M)
        return bool(mode), mode.group(1) if mode else ""

    def _look_dbcheck(self):
        return fetch(self.address, CHECK_PORT, "/state")[0] == 200, ""

    def _look_db(self):
        ready = fetch(self.address, CHECK_PORT, "/node")[0] == 200
        writer = ready and fetch(self.address, CHECK_PORT, "/writer")[0] == 200
        return ready, "writer" if writer else "replica" if ready else ""

    def _look_sqlproxy(self):
        greeting = talk("127.0.0.1", SQL_PORT, until=5)
        return len(greeting) >= 5 and greeting[4] == 10, sql_proxy(self.state)

    def _look_follow(self):
        return True, ""

    def _look_haproxy(self):
        return fetch("127.0.0.1", HAPROXY_PORT, "/alive")[0] == 200, ""

    def _look_keepalived(self):
        pid = self.home / "run/vrrp.pid"
        holder = network.holds_virtual_address(self.state, self.host)
        return pid.exists(), "holder" if holder else ""


def prepare_db(state, host):
    """Folders that the account mysql owns; the first host's also gets the server's own tables."""
    account = pwd.getpwnam("mysql")
    home = state.host_dir(host) / "db"
    for path in (home, home / "data", home / "run", home / "tmp"):
        path.mkdir(exist_ok=True)
        os.chown(path, account.pw_uid, account.pw_gid)
        path.chmod(0o755 if path == home else 0o750)
    if host != HOSTS[0] or (home / "data/mysql").is_dir():
        return
    done = subprocess.run(
        ["mariadb-install-db", "--no-defaults", "--user=mysql", f"--datadir={home}/data",
         "--skip-name-resolve", "--skip-test-db", "--auth-root-authentication-method=socket",
         "--innodb-log-file-size=48M"], cwd="/", env=process.clean_env(state.directory), text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise DcError(f"mariadb-install-db failed ({done.returncode})\n{done.stdout[-2000:]}")
