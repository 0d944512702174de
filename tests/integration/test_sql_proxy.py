# SPDX-License-Identifier: Apache-2.0
"""The SQL proxy is a choice of the inventory: HAProxy or ProxySQL, and one decision of the writer for both.

ProxySQL cannot be installed from the registries that the tests use. So deploy/mariadb/proxysql-follow is
run against what stands in for its admin port (support/proxysql_admin.py), and against responders that
answer as galera-check does; with real ones: test_dc.py. That a real ProxySQL drops the connections of
a server that is gone from its table, and how long a fault is felt with it, is not tested here.
"""

import contextlib
import http.server
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading

import pytest

from support import ROOT, wait_for
from support.proxysql_admin import AdminPort
from support.stack import free_port

sys.path.insert(0, str(ROOT / "deploy/mariadb"))
from galera_common import Db, DbError  # noqa: E402 (the path comes first)

FOLLOW = ROOT / "deploy/mariadb/proxysql-follow"
NODES = {"a": "127.0.0.2", "b": "127.0.0.3", "c": "127.0.0.4"}
PASSWORD = "0f" * 24


class Responder:
    """galera-check of one node: what it says, or silence; and its database's port, which takes connections."""

    def __init__(self, address, port, db_port):
        self.address, self.port, self.db_port = address, port, db_port
        self.says = {}
        self.server = self.database = None

    def up(self):
        """It answers."""
        responder = self

        class Answer(http.server.BaseHTTPRequestHandler):
            """/state"""

            def do_GET(self):  # noqa: N802 (as http.server wants it)
                """What it says now."""
                text = json.dumps(responder.says).encode()
                self.send_response(200 if self.path == "/state" else 404)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                """Nobody reads it."""

        self.server = http.server.ThreadingHTTPServer((self.address, self.port), Answer)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        if not self.database:
            self.database = socket.create_server((self.address, self.db_port))

    def down(self, database=True):
        """It cannot be reached any more; nor can its database."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        if database and self.database:
            self.database.close()
            self.database = None


class Group:
    """Three nodes, ProxySQL's stand-in and the follower of machine b."""

    def __init__(self, folder, stack):
        self.port, self.db_port, self.relay = (free_port(folder) for _ in range(3))
        self.nodes = {name: Responder(address, self.port, self.db_port) for name, address in NODES.items()}
        self.admin = stack.enter_context(AdminPort(PASSWORD))
        (folder / "password").write_text(PASSWORD + "\n", encoding="ascii")
        peers = "".join(f"{name} = {address}\n" for name, address in NODES.items() if name != "b")
        (folder / "conf").write_text(
            f"[galera]\nnode = b\naddress = {NODES['b']}\nport = {self.port}\ndb_port = {self.db_port}\nsocket = -\n"
            f"defaults_file = -\ndata = -\nnote = -\n[peers]\n{peers}[proxysql]\nadmin_port = {self.admin.server_address[1]}\n"
            f"relay_port = {self.relay}\npassword_file = {folder}/password\n", encoding="ascii")
        self.log = stack.enter_context(open(folder / "log", "w", encoding="utf-8"))
        self.command, self.process, self.stack = [FOLLOW, folder / "conf"], None, stack
        for node in self.nodes.values():
            stack.callback(node.down)
            node.up()
        stack.callback(self.stop)

    def start(self):
        """The follower."""
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)

    def stop(self):
        """Killed."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def say(self, **writers):
        """Each of these nodes is well, and takes this one for the writer."""
        for name, writer in writers.items():
            self.nodes[name].says = {"node": name, "fit": True, "writer": writer, "status": {"wsrep_ready": "ON"}}

    def sick(self, name):
        """A node that answers, and can do nothing."""
        self.nodes[name].says = {"node": name, "fit": False, "writer": "", "status": {}}

    def direct(self, name):
        """What ProxySQL has when this node is the writer."""
        return {(10, NODES[name], self.db_port), (11, NODES[name], self.db_port)}

    def becomes(self, wanted):
        """It has that, soon."""
        wait_for(lambda: self.admin.runtime == wanted, 60, f"{wanted} ({self.admin.runtime})")

    def stays(self, wanted, looks=8):
        """It still has that after so many looks."""
        seen = len(self.admin.said)
        wait_for(lambda: sum(text.startswith("SELECT") for text in self.admin.said[seen:]) > looks, 60, "looks")
        assert self.admin.runtime == wanted


@pytest.fixture
def group(tmp_path):
    """With a as the writer, and a follower that has told ProxySQL so."""
    with contextlib.ExitStack() as stack:
        made = Group(tmp_path, stack)
        made.say(a="a", b="a", c="a")
        made.start()
        made.becomes(made.direct("a"))
        yield made


def test_it_follows_the_writer(group):
    """One that left the group is followed by the next; and nothing goes back when it returns."""
    group.nodes["a"].down()
    group.say(b="c", c="c")
    group.becomes(group.direct("c"))
    group.say(a="c")
    group.nodes["a"].up()
    group.stays(group.direct("c"))


def test_only_what_changes_is_written(group):
    group.admin.said.clear()
    group.stays(group.direct("a"))
    assert {text.split()[0] for text in group.admin.said} == {"SELECT"}


def test_a_writer_that_denies_it_loses_its_connections(group):
    """It was paused, and cannot say yet that it is a member: nobody may read from it, also while there is no other."""
    group.sick("a")
    group.becomes(set())
    group.say(a="b", b="b", c="b")
    group.becomes(group.direct("b"))


def test_one_that_gave_the_duty_away_is_left_at_once(group):
    group.say(a="!a", b="!a", c="!a")
    group.becomes(set())


def test_silence_changes_nothing(group):
    """Responders that are all dead are no dead databases: what is there stays, until somebody speaks."""
    for node in group.nodes.values():
        node.down(database=False)
    group.stays(group.direct("a"))
    group.say(a="b", b="b", c="b")
    group.nodes["b"].up()
    group.becomes(group.direct("b"))


def test_a_dead_responder_is_no_broken_link(group):
    group.nodes["a"].down(database=False)
    group.stays(group.direct("a"))


def test_over_a_broken_link_the_way_leads_over_the_third(group):
    """Others come in at hostgroup 11, from where no way leads to another proxy; and nobody else becomes the writer."""
    group.nodes["a"].down()
    group.becomes({(10, NODES["c"], group.relay)})
    group.nodes["a"].up()
    group.becomes(group.direct("a"))


def test_a_dead_follower_leaves_what_is_there(group):
    group.stop()
    assert group.admin.runtime == group.direct("a")
    group.say(a="c", b="c", c="c")
    group.start()
    group.becomes(group.direct("c"))


def test_a_restarted_proxy_is_told_again(group):
    group.admin.forget()
    group.becomes(group.direct("a"))


@pytest.mark.parametrize("statement", ["INSERT", "LOAD"])
def test_a_change_that_was_broken_off_is_made_again(group, statement):
    group.admin.breaks_at = statement
    group.say(a="c", b="c", c="c")
    group.becomes(group.direct("c"))
    assert not group.admin.breaks_at


@pytest.mark.parametrize("asks_twice", [False, True])
def test_a_wrong_password_is_told(asks_twice):
    with AdminPort(PASSWORD) as admin:
        admin.asks_twice = asks_twice
        assert Db(admin.server_address, 2, ("loom-admin", PASSWORD)).query("SELECT 1") == [["1"]]
        with pytest.raises(DbError, match="Access denied for user 'loom-admin'"):
            Db(admin.server_address, 2, ("loom-admin", "other"))


def test_the_client_speaks_to_a_real_server(servers):
    """MariaDB: name and password, rows, an error."""
    place = ("127.0.0.1", int(os.environ["LOOM_TEST_DB_PORT"]))
    account = (os.environ["LOOM_TEST_DB_USER"], os.environ["LOOM_TEST_DB_PASSWORD"])
    db = Db(place, 5, account)
    assert db.query("SELECT 1, NULL, REPEAT('x', 300)") == [["1", None, "x" * 300]]
    with pytest.raises(DbError, match="no_such"):
        db.query("SELECT * FROM nowhere.no_such")
    with pytest.raises(DbError, match="Access denied"):
        Db(place, 5, (account[0], "wrong"))


def render(tmp_path, setting, password="secret"):
    """(exit code, what it said, the folder) of a machine's configuration with a line more in the inventory."""
    (tmp_path / "password").write_text(password + "\n", encoding="ascii")
    text = (ROOT / "deploy/inventory.example").read_text(encoding="utf-8")
    assert "sql_proxy = haproxy\n" in text
    text = text.replace("sql_proxy = haproxy", setting)
    (tmp_path / "inventory").write_text(f"{text}[paths]\ndb_password_file = {tmp_path}/password\n", encoding="utf-8")
    done = subprocess.run([ROOT / "scripts/loom-datacenter", "render", "--inventory", tmp_path / "inventory", "--host", "a",
                           "--out", tmp_path / "out"], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr, tmp_path / "out"


def test_proxysql_is_rendered(tmp_path):
    code, said, out = render(tmp_path, "sql_proxy = proxysql")
    assert code == 0, said
    assert not (out / "haproxy/sqlproxy.cfg").exists()
    config = out / "proxysql/proxysql.cnf"
    assert config.stat().st_mode & 0o777 == 0o600
    text = config.read_text(encoding="utf-8")
    for line in ('mysql_ifaces = "127.0.0.1:6032"', 'admin_credentials = "loom-admin:secret"',
                 'interfaces = "127.0.0.1:55306;10.62.0.11:55307"', "max_stmts_per_connection = 1000", "shun_on_failures = 10",
                 "monitor_ping_interval = 2000", "monitor_ping_timeout = 1500", "monitor_ping_max_failures = 3",
                 "monitor_galera_healthcheck_interval = 500", "monitor_galera_healthcheck_timeout = 450",
                 "monitor_galera_healthcheck_max_timeout_count = 4", "monitor_connect_interval = 10000",
                 "hostgroup_manager_verbose = 0", "proxy_port = 55307, destination_hostgroup = 11"):
        assert line in text, line
    assert "mysql_galera_hostgroups" not in text and "mysql_servers" not in text and "client_found_rows" not in text
    unit = (out / "systemd/loom-sqlproxy.service").read_text(encoding="utf-8")
    assert "ExecStart=/usr/bin/proxysql -f --initial -c /etc/loom/proxysql/proxysql.cnf" in unit and "haproxy" not in unit
    assert "proxysql-follow /etc/loom/mariadb" in (out / "systemd/loom-proxysql-follow.service").read_text(encoding="utf-8")
    follow = (out / "mariadb/galera-check.conf").read_text(encoding="utf-8")
    assert f"[proxysql]\nadmin_port = 6032\nrelay_port = 55307\npassword_file = {tmp_path}/password\n" in follow
    for line in ("db_host = 127.0.0.1", "db_port = 55306"):
        assert line in (out / "loom/api.conf").read_text(encoding="utf-8")


def test_proxysqls_units_are_right_and_shut_in(tmp_path):
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not installed")
    units = render(tmp_path, "sql_proxy = proxysql")[2] / "systemd"
    for name, worst in (("loom-sqlproxy", 4), ("loom-proxysql-follow", 2)):
        path = units / f"{name}.service"
        text = path.read_text(encoding="utf-8").replace("/usr/bin/proxysql", "/bin/true")
        path.write_text(text.replace("/usr/local/share/loom/deploy", f"{ROOT}/deploy"), encoding="utf-8")
        for words in (("verify", "--man=no"), ("security", "--offline=yes", f"--threshold={worst * 10}")):
            done = subprocess.run([analyze, *words, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  check=False)
            assert done.returncode == 0, done.stdout
        assert "Restart=always" in text


@pytest.mark.parametrize("setting", ["", "sql_proxy = haproxy"])
def test_haproxy_is_the_default(tmp_path, setting):
    code, said, out = render(tmp_path, setting)
    assert code == 0, said
    assert (out / "haproxy/sqlproxy.cfg").exists() and not (out / "proxysql").exists()
    assert not (out / "systemd/loom-proxysql-follow.service").exists()
    assert "/usr/sbin/haproxy -Ws" in (out / "systemd/loom-sqlproxy.service").read_text(encoding="utf-8")
    assert "[proxysql]" not in (out / "mariadb/galera-check.conf").read_text(encoding="utf-8")


@pytest.mark.parametrize("choice, services", [("haproxy", {"sqlproxy"}), ("proxysql", {"sqlproxy", "sqlproxy-follow"})])
def test_compose_projects_have_the_choice(tmp_path, choice, services):
    """The password is in no file that others of the machine's containers see."""
    code, said, out = render(tmp_path, f"sql_proxy = {choice}\nlayout = compose", "t0psecret")
    assert code == 0, said
    text = (out / "compose/datacenter/compose.yaml").read_text(encoding="utf-8")
    assert {name for name in re.findall(r"^  ([\w-]+):$", text, re.M) if name.startswith("sqlproxy")} == services
    assert ("LOOM_PROXYSQL_IMAGE:-proxysql/proxysql:" in text) == (choice == "proxysql")
    shown = [path for path in out.glob("**/*") if path.is_file() and path.name not in ("proxysql.cnf", "accounts.sql")]
    assert shown and not any("t0psecret" in path.read_text(encoding="utf-8") for path in shown)


def test_another_one_is_refused(tmp_path):
    code, said, out = render(tmp_path, "sql_proxy = maxscale")
    assert code == 1 and "[datacenter] sql_proxy is 'maxscale', not one of haproxy, proxysql" in said
    assert not out.exists()
