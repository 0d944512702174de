# SPDX-License-Identifier: Apache-2.0
"""loom-scheduler's account at the database can do its work, and nothing to who may do what."""

import re
import subprocess

import pytest

from support import ROOT

CLOSED = {"account", "own_role", "token", "audit", "audit_new"}
RIGHTS = ROOT / "deploy/mariadb/scheduler-rights"


@pytest.fixture
def ask(core):
    """(exit code, what is said) of a statement with the scheduler's account."""
    password = (core.dir / "secrets/db-scheduler.password").read_text(encoding="ascii").strip()

    def run(statement):
        done = subprocess.run(["mariadb", "--no-defaults", "-h127.0.0.1", f"-P{core.ports['mariadb']}",
                               "-uloom_scheduler", "-N", "-e", statement, "loom"],
                              env={"MYSQL_PWD": password, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_scheduler_works_with_its_account(lab, ask):
    lab.worker()
    cluster = lab.create()
    lab.active(cluster)
    code, text = ask("SELECT COUNT(*) FROM information_schema.processlist WHERE user='loom_scheduler'")
    assert code == 0 and int(text) >= 2, text  # this one and the scheduler's
    assert ask(f"SELECT status FROM cluster WHERE id={int(cluster)}") == (0, "active\n")


@pytest.mark.parametrize("table", sorted(CLOSED))
def test_who_may_do_what_is_closed_to_it(ask, table):
    for statement in (f"SELECT * FROM {table}", f"SELECT COUNT(*) FROM {table}", f"DELETE FROM {table}",
                      f"UPDATE {table} SET tenant_id=''", f"INSERT INTO {table} (tenant_id) VALUES ('x')",
                      f"CREATE TABLE mine AS SELECT * FROM {table}", f"CREATE VIEW mine AS SELECT * FROM {table}",
                      f"RENAME TABLE {table} TO mine", f"ALTER TABLE {table} RENAME TO mine", f"DROP TABLE {table}",
                      f"TRUNCATE TABLE {table}", f"CREATE TRIGGER mine AFTER INSERT ON {table} FOR EACH ROW SET @a=1",
                      f"INSERT INTO counter (name, value) SELECT 'mine', COUNT(*) FROM {table}"):
        code, text = ask(statement)
        assert code == 1 and "denied" in text, (statement, text)


def test_it_is_no_administrator(ask):
    for statement in ("DROP TABLE counter", "DROP DATABASE loom", "CREATE DATABASE other", "SELECT * FROM mysql.global_priv",
                      "GRANT SELECT ON loom.account TO loom_scheduler@localhost", "CREATE USER mine",
                      "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/mine'"):
        code, text = ask(statement)
        assert code == 1 and ("denied" in text or "command denied" in text), (statement, text)


def test_each_table_is_open_or_closed(core):
    """A table that comes with a later schema has to be thought of."""
    opened = set(re.findall(r"ON `loom`\.`(\w+)`", RIGHTS.read_text(encoding="utf-8")))
    found = core.sql("SELECT table_name FROM information_schema.tables WHERE table_schema='loom'")
    tables = {row[0] if isinstance(row, (list, tuple)) else row for row in found}
    assert tables == opened | CLOSED, tables ^ (opened | CLOSED)
