# SPDX-License-Identifier: Apache-2.0
"""loom doctor: what the API finds wrong, each with what to do."""

import subprocess

import pytest

from support import Stack, wait_for
from support.stack import ENVIRONMENT, build_dir

NOW = "CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
BACKED_UP = f"INSERT INTO counter (name, value) VALUES ('backup', {NOW}) ON DUPLICATE KEY UPDATE value=VALUES(value)"


@pytest.fixture(scope="module")
def stack():
    with Stack("doctor") as made:
        made.up("mariadb", "zookeeper", "api", "scheduler", "provisioner")
        made.sql(BACKED_UP)
        yield made


def findings(stack):
    """{where: finding} as the API tells."""
    answer = stack.api.get("/v2/doctor")
    assert answer.status == 200, answer
    assert all(one["level"] in ("error", "warning") and one["what"] and one["do"] for one in answer.json["findings"])
    return {one["where"]: one for one in answer.json["findings"]}


def loom(stack, *words):
    """(exit code, output) of the command line."""
    done = subprocess.run([build_dir() / "bin/loom", *words], capture_output=True, text=True, timeout=60, check=False,
                          env={**ENVIRONMENT, "LOOM_URL": stack.api.url, "LOOM_TOKEN": stack.token()})
    return done.returncode, done.stdout + done.stderr


def is_well(stack):
    """Nothing is found, in the end."""
    wait_for(lambda: findings(stack) == {}, 60, "nothing to be found")


def test_all_is_well(stack):
    is_well(stack)
    assert loom(stack, "doctor") == (0, "all is well\n")
    assert loom(stack, "doctor", "-o", "json")[1].strip() == '{"findings":[]}'


@pytest.mark.parametrize("statement, back, where, said", [
    (f"UPDATE counter SET value={NOW}-50*3600000 WHERE name='backup'", BACKED_UP, "backup", "50 h old"),
    ("DELETE FROM counter WHERE name='backup'", BACKED_UP, "backup", "none was made"),
    ("INSERT INTO token (id, hash, tenant_id, user, name, kind, scopes, create_time, expire_time) VALUES"
     f" ('0123456789abcdef', REPEAT('a', 64), 'superadmin', 'admin', 'nightly', 'made', '', 1, {NOW}+86400000)",
     "DELETE FROM token WHERE name='nightly'", "token 0123456789abcdef", "'nightly' of admin in superadmin ends at 20"),
    ("UPDATE provisioner SET version='0.0.9'", "UPDATE provisioner SET version=''", "provisioner", "its version is 0.0.9"),
    ("INSERT INTO quarantine (provisioner_id, since, next_probe, reason) VALUES ('gone', 1, 1, 'x')",
     "DELETE FROM quarantine WHERE provisioner_id='gone'", "provisioners", "1 get no work"),
    ("INSERT INTO callback (delivery, tenant_id, cluster_id, job_num, kind, target, url, secret, as_then, state, not_before,"
     " create_time) VALUES ('x', 'superadmin', 1, 1, 'complete', 't', 'u', '', '{}', 'dead', 0, 0)",
     "DELETE FROM callback WHERE delivery='x'", "callbacks", "1 were given up"),
])
def test_what_the_database_shows(stack, statement, back, where, said):
    is_well(stack)
    stack.sql(statement)
    try:  # a busy machine may be told of beside it for a moment
        found = wait_for(lambda: (lambda seen: seen if len(seen) == 1 and where in next(iter(seen)) else None)(
            findings(stack)), what=f"{where} alone")
    finally:
        stack.sql(back)
    assert said in next(iter(found.values()))["what"], found


def test_a_table_that_grew_is_told(stack):
    """By what the server's books say of it, which it reads at its start."""
    def as_root(statement):
        socket = f"{stack.dir}/mariadb/mysql.sock"
        subprocess.run(["mariadb", "--no-defaults", f"--socket={socket}", "-uroot", "loom", "-e", statement], check=True)

    is_well(stack)
    as_root("UPDATE mysql.innodb_table_stats SET n_rows=77000000, clustered_index_size=400000 WHERE"
            " database_name='loom' AND table_name='event'")
    stack.stop("mariadb")
    stack.start("mariadb")
    wait_for(lambda: stack.api.get("/v2/doctor").ok and "table event" in findings(stack), 60, "the table to be told")
    found = findings(stack)
    as_root("ANALYZE TABLE event")
    assert "it has 6.1 GiB in some 77000000 rows" in found["table event"]["what"], found
    is_well(stack)


def test_a_writer_that_flaps_is_told(stack):
    """Its connections break and lead to another node of the group, again and again."""
    def as_root(statement):
        subprocess.run(["mariadb", "--no-defaults", f"--socket={stack.dir}/mariadb/mysql.sock", "-uroot", "-e", statement],
                       check=True)

    def become(name):
        """All new connections are to that node, and the API has one."""
        before = stack.metric("api.external", "loom_db_connects_total")
        as_root(f"SET GLOBAL wsrep_node_name='{name}'; KILL USER loom")
        wait_for(lambda: stack.metric("api.external", "loom_db_connects_total") > before, 60, "a new connection")

    is_well(stack)
    for name in ("b", "a", "a", "c"):
        become(name)
    is_well(stack)
    become("b")
    wait_for(lambda: "writer" in findings(stack), 60, "the flapping writer to be told")
    assert "became it 4 times in ten minutes" in findings(stack)["writer"]["what"]
    stack.restart("api")
    is_well(stack)


def test_leases_that_nobody_ends_are_told(stack):
    """No scheduler runs, so that the task of a worker that is gone stays its own."""
    with_task = ("INSERT INTO task (cluster_id, job_num, num, tenant_id, node_id, node_num, name, service, stage, state, unmet,"
                 f" lease_until) VALUES (1, 1, 1, 'superadmin', 'n', 1, 'CREATE', '', 0, 'running', 0, {NOW}-60000)")
    stack.stop("scheduler")
    try:
        stack.sql(with_task)
        wait_for(lambda: {"leases", "schedulers"} <= set(findings(stack)), 60, "both to be told")
        assert findings(stack)["leases"]["level"] == "error"
        code, text = loom(stack, "doctor")
        assert code == 3 and "error: leases: 1 tasks run by leases that ended over 30 s ago" in text, text
    finally:
        stack.sql("DELETE FROM task WHERE cluster_id=1 AND job_num=1 AND num=1")
        stack.start("scheduler")
    is_well(stack)


def test_a_lost_quorum_is_told(stack):
    stack.stop("zookeeper")
    try:
        wait_for(lambda: findings(stack).get("zookeeper", {}).get("level") == "error", 60, "the quorum to be missed")
    finally:
        stack.start("zookeeper")
    is_well(stack)


def test_only_superadmins_are_told(stack):
    assert stack.person("ann", "superadmin").get("/v2/doctor").status == 403
    code, text = loom(stack, "doctor", "--token-file", "/dev/null")
    assert code in (1, 64), text
