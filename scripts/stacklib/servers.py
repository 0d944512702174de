# SPDX-License-Identifier: Apache-2.0
"""The two servers that are not Loom's own: a private MariaDB and a private ZooKeeper."""

import os
import pwd
import secrets
import shutil
import socket
import subprocess

from . import StackError, process

ZOOKEEPER_JARS = ("zookeeper.jar", "slf4j-simple.jar")
# Where a MariaDB that may not walk to its folder finds it, in a mount namespace of its own.
PRIVATE_MOUNT = "/mnt"
SOCKET_PATH_MAX = 100


def secret_file(path, make):
    """Create a file that only its owner reads, unless it is there."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(make())
    os.replace(temporary, path)


def receive(port, send=b"", size=4):
    """Connect to 127.0.0.1:port, send, and read up to size bytes; empty when that fails."""
    data = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.3) as sock:
            sock.sendall(send)
            while len(data) < size:
                chunk = sock.recv(size - len(data))
                if not chunk:
                    break
                data += chunk
    except OSError:
        return b""
    return data


class MariaDB:
    """A MariaDB of its own: data, socket, port and password in the stack's folder."""

    DATABASE = "loom"
    USER = "loom"
    SCHEDULER = "loom_scheduler"
    RIGHTS = "deploy/mariadb/scheduler-rights"

    def __init__(self, state, name):
        self.state = state
        self.name = name
        self.home = state.directory / name
        self.port = state.ports[name]
        self.password_file = state.directory / "secrets" / "db.password"
        self.scheduler_file = state.directory / "secrets" / "db-scheduler.password"

    def endpoint(self):
        """Where it listens, for people."""
        return f"127.0.0.1:{self.port}"

    @property
    def socket(self):
        """The server's socket as other processes see it."""
        return self.home / "mysql.sock"

    def _account(self):
        """The account the server runs as: mysql when we are root and it exists."""
        if os.geteuid() != 0:
            return pwd.getpwuid(os.geteuid())
        try:
            return pwd.getpwnam("mysql")
        except KeyError:
            return pwd.getpwuid(0)

    def _walkable(self, account):
        """Whether the account can reach the folder by its real path."""
        if account.pw_uid == os.geteuid():
            return True
        return all(path.stat().st_mode & 0o001 for path in self.home.parents)

    def _view(self):
        """(path of home as the server sees it, command prefix that makes it so).

        A folder below a closed home directory (/root is 0700) cannot be reached by the account
        mysql. The server then runs in a mount namespace in which that folder is bound to /mnt;
        nobody else sees the mount, and it goes with the process.
        """
        account = self._account()
        if self._walkable(account) and len(str(self.socket)) <= SOCKET_PATH_MAX:
            return str(self.home), []
        if os.geteuid() != 0:
            return str(self.home), []
        script = f'mount --bind "$1" {PRIVATE_MOUNT} && shift && exec "$@"'
        return PRIVATE_MOUNT, ["unshare", "--mount", "--", "sh", "-c", script, "sh", str(self.home)]

    def _write_config(self, view):
        settings = (self.state.root / "deploy/mariadb/loom.cnf").read_text(encoding="utf-8")
        account = self._account()
        own = f"""
# This private server
user = {account.pw_name}
datadir = {view}/data
tmpdir = {view}/tmp
socket = {view}/mysql.sock
pid_file = {view}/mariadbd.pid
init_file = {view}/init.sql
port = {self.port}
bind_address = 127.0.0.1
skip_networking = OFF
innodb_buffer_pool_size = 64M
innodb_log_file_size = 48M
performance_schema = OFF
max_connections = 300
skip_log_bin
"""
        own += "".join(f"{key} = {value}\n" for key, value in self.state.settings.get(self.name, {}).items())
        (self.home / "my.cnf").write_text(settings + own, encoding="utf-8")

    def _write_init(self, account):
        """What the server runs at each start, before it lets anyone in; the password is set here."""
        password = self.password_file.read_text(encoding="ascii").strip()
        statements = [f"CREATE DATABASE IF NOT EXISTS `{self.DATABASE}`;"]
        for host in ("127.0.0.1", "localhost"):
            user = f"'{self.USER}'@'{host}'"
            statements += [
                f"CREATE USER IF NOT EXISTS {user};",
                f"ALTER USER {user} IDENTIFIED BY '{password}';",
                f"GRANT ALL PRIVILEGES ON `{self.DATABASE}`.* TO {user};",
                f"GRANT ALL PRIVILEGES ON `{self.DATABASE}\\_%`.* TO {user};",
            ]
        rights = (self.state.root / self.RIGHTS).read_text(encoding="utf-8")
        password = self.scheduler_file.read_text(encoding="ascii").strip()
        for host in ("127.0.0.1", "localhost"):
            user = f"'{self.SCHEDULER}'@'{host}'"
            statements += [
                f"CREATE USER IF NOT EXISTS {user};",
                f"ALTER USER {user} IDENTIFIED BY '{password}';",
                *(f"GRANT {right} TO {user};" for right in rights.splitlines() if right[:1] not in ("", "#")),
            ]
        path = self.home / "init.sql"
        path.touch(mode=0o600)
        path.write_text("\n".join(statements) + "\n", encoding="ascii")
        os.chown(path, account.pw_uid, account.pw_gid)

    def _install(self, account, view, prefix):
        if (self.home / "data" / "mysql").is_dir():
            return
        # A first start that died half way leaves a folder without the server's own tables.
        shutil.rmtree(self.home / "data", ignore_errors=True)
        shutil.rmtree(self.home / "data.new", ignore_errors=True)
        argv = prefix + ["mariadb-install-db", "--no-defaults", f"--user={account.pw_name}",
                         f"--datadir={view}/data.new", f"--tmpdir={view}/tmp",
                         "--skip-name-resolve", "--skip-test-db",
                         "--auth-root-authentication-method=socket", "--innodb-log-file-size=48M"]
        done = subprocess.run(argv, cwd="/", env=process.clean_env(self.state.directory), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            tail = "\n".join("    | " + line for line in done.stdout.splitlines()[-20:])
            raise StackError(f"{self.name}: mariadb-install-db failed ({done.returncode})\n{tail}")
        os.replace(self.home / "data.new", self.home / "data")

    def prepare(self):
        """Make the folder, the password and the configuration; answers the server's command."""
        account = self._account()
        for file in (self.password_file, self.scheduler_file):
            secret_file(file, lambda: secrets.token_urlsafe(24) + "\n")
        self.home.mkdir(parents=True, exist_ok=True)
        (self.home / "tmp").mkdir(exist_ok=True)
        if os.geteuid() == 0:
            for path in (self.home, self.home / "tmp"):
                os.chown(path, account.pw_uid, account.pw_gid)
        os.chmod(self.home, 0o700)
        view, prefix = self._view()
        self._install(account, view, prefix)
        self._write_config(view)
        self._write_init(account)
        return prefix + ["mariadbd", f"--defaults-file={view}/my.cnf"]

    def ready(self):
        """A protocol 10 greeting, then a login with the password that the services use."""
        greeting = receive(self.port, size=5)
        if len(greeting) < 5 or greeting[4] != 10:
            return False
        env = process.clean_env(self.state.directory)
        env["MYSQL_PWD"] = self.password_file.read_text(encoding="ascii").strip()
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{self.port}", f"-u{self.USER}",
             "-e", "SELECT 1", self.DATABASE], env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == 0


class ZooKeeper:
    """One ZooKeeper server on loopback."""

    def __init__(self, state, name):
        self.state = state
        self.name = name
        self.home = state.directory / name
        self.port = state.ports[name]

    def endpoint(self):
        """Where it listens, for people."""
        return f"127.0.0.1:{self.port}"

    def prepare(self):
        """Write zoo.cfg; answers the server's command."""
        jars = [f"/usr/share/java/{jar}" for jar in ZOOKEEPER_JARS]
        for jar in jars:
            if not os.path.exists(jar):
                raise StackError(f"{self.name}: {jar} is missing; run scripts/bootstrap")
        (self.home / "data").mkdir(parents=True, exist_ok=True)
        settings = (self.state.root / "deploy/zookeeper/zoo.cfg").read_text(encoding="utf-8")
        config = self.home / "zoo.cfg"
        config.write_text(f"{settings}\ndataDir={self.home}/data\nclientPort={self.port}\n"
                          "clientPortAddress=127.0.0.1\n", encoding="utf-8")
        return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
                "-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper=warn",
                "-Dzookeeper.jmx.log4j.disable=true", "-cp", ":".join(jars),
                "org.apache.zookeeper.server.ZooKeeperServerMain", str(config)]

    def ready(self):
        """ZooKeeper's own 'are you ok', and that it serves ('srvr' needs a loaded database)."""
        if receive(self.port, b"ruok") != b"imok":
            return False
        return receive(self.port, b"srvr", 64).startswith(b"Zookeeper version")
