# SPDX-License-Identifier: Apache-2.0
"""Every statement that Loom sends finds its rows by an index, however full the database is.

Clusters are carried out and changed among many others while the server writes down what it is asked;
then it is asked to explain each of these statements.
"""

import collections
import json
import os
import re
import subprocess

import pytest

from support import Stack, wait_for
from support.lab import Lab, make_tenants
from support.worker import success

FLEET = 400     # clusters of eight tenants, each with all that a real one left
FIRST = 1000000
MANY = 4000     # clusters of one user
SEALED = "9223372036854775807"  # in copies: nobody looks for secrets in them meanwhile
MOST_ROWS = 300  # looked at for one table of one statement; the tables have thousands
COPIED = ("cluster", "cluster_term", "job", "node", "task", "task_edge", "event")

# An API that starts asks whether anybody can sign in, and looks no further than the first who can.
# It looks once for tenants without a key, and for texts that are sealed with none or an old one.
OF_A_START = ("FROM account WHERE password<>", "FROM token WHERE kind IN (",
              "FROM tenant t LEFT JOIN data_key k ON k.own=t.id", " JOIN data_key k ON k.own=t.tenant_id")
# Tables that are small however many clusters there are; s is of the original's provisioners and their tenants.
SMALL = {"tenant", "counter", "provider_limit", "quarantine", "provisioner", "provisioner_tenant", "provisioner_strike",
         "provisioner_drop", "d", "callback_target", "schema_migrations", "schema_lock", "entity", "e", "callback",
         "request_key", "s"}


class Root:
    """The server's own account, over its socket."""

    def __init__(self, stack):
        self.socket = stack.env["LOOM_TEST_DB_SOCKET"]
        self.database = stack.env["LOOM_TEST_DB_NAME"]

    def run(self, statement):
        """Rows as dictionaries, by name of column."""
        done = subprocess.run(
            ["mariadb", "--no-defaults", f"-S{self.socket}", "-uroot", "-B", "--raw", self.database],
            input=statement, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{statement[:2000]}\n{done.stderr}"
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        return [dict(zip(lines[0], line)) for line in lines[1:]]

    def texts(self, statement):
        """The only column, as JSON texts."""
        return [json.loads(next(iter(row.values()))) for row in self.run(statement)]


@pytest.fixture(scope="module")
def full():
    """A lab on a database with many clusters; and its server's account."""
    with Stack("explain") as stack:
        stack.up("mariadb", "zookeeper", "api", "scheduler")
        lab = Lab(stack, *next(make_tenants(stack))).load()
        lab.worker(slowly, slots=8)
        cluster = int(lab.create("pattern", "stack", 5))
        lab.active(f"{cluster:08d}")
        copy_cluster(stack, cluster)
        yield lab, Root(stack)
        lab.close()


def slowly(run):
    """Long enough for a heartbeat now and then."""
    if run.name == "CONFIRM":
        run.pause(1)
    return success(run)


def copy_cluster(stack, cluster):
    """Rows of a cluster once for each of the fleet."""
    columns = collections.defaultdict(list)
    for table, column in stack.sql("SELECT table_name, column_name FROM information_schema.columns"
                                   " WHERE table_schema=DATABASE() AND is_generated='NEVER'"
                                   " ORDER BY table_name, ordinal_position"):
        columns[table].append(column)
    changed = {("cluster", "id"): f"{FIRST}+s.seq", ("cluster", "name"): "CONCAT('fleet-', s.seq)",
               ("cluster", "own_name"): "CONCAT('fleet-', s.seq)",
               ("cluster", "tenant_id"): "IF(s.seq % 8, CONCAT('other-', s.seq % 8), t.tenant_id)",
               ("cluster", "sealed"): SEALED,
               ("cluster_term", "name"): "CONCAT('fleet-', s.seq)",
               ("cluster_term", "term"): "IF(s.seq % 8, t.term DIV 2 + s.seq % 8, t.term)",
               ("node", "id"): "CONCAT(LPAD(HEX(s.seq), 8, '0'), SUBSTR(t.id, 9))",
               ("task", "node_id"): "CONCAT(LPAD(HEX(s.seq), 8, '0'), SUBSTR(t.node_id, 9))"}
    for table in COPIED:
        values = [changed.get((table, column), f"{FIRST}+s.seq" if column == "cluster_id" else f"t.{column}")
                  for column in columns[table]]
        key = "id" if table == "cluster" else "cluster_id"
        stack.sql(f"INSERT INTO {table} ({','.join(columns[table])}) SELECT {','.join(values)} FROM {table} t"
                  f" JOIN seq_1_to_{FLEET} s WHERE t.{key}={cluster}")
    # some of it is under way, for workers of others
    some = f"BETWEEN {FIRST} AND {FIRST + 40}"
    stack.sql(f"UPDATE task SET state='ready', tenant_id='superadmin' WHERE cluster_id {some} AND num=1;"
              f"UPDATE task SET state='running', lease_until=9999999999999 WHERE cluster_id {some} AND num=2;"
              f"UPDATE job SET status='running', phase='run', tenant_id='superadmin' WHERE cluster_id {some} AND num=2;"
              f"UPDATE cluster SET status='pending', terms_due=terms_due WHERE id {some}")
    stack.sql("ANALYZE TABLE " + ",".join(COPIED))


def life(lab):
    """What happens to clusters, and who asks about them."""
    lab.set_quota(clusters=100000, nodes=1000000)  # else nobody counts
    one = lab.create("seen", "stack", 5)
    lab.active(one)
    lab.active(lab.create("large", "loose", 40))  # more tasks than are read at once
    lab.user.get("/v2/clusters")
    for query in ("status=pending", "limit=5", "sort=name&limit=5", "sort=-name&name=seen",
                  "sort=createTime&limit=5&owner=nobody", "status=pending,active&limit=5",
                  "q=see&limit=5", "q=see&sort=-name&limit=5", "template=stack&limit=5", "provider=lab&limit=5",
                  "label=env=test&limit=5", "label=env=test&provider=lab&sort=name&limit=5",
                  "label=env=test&status=pending&q=see&limit=5"):
        for who in (lab.user, lab.admin):
            answer = who.get(f"/v2/clusters?{query}")
            assert answer.status == 200, f"{query}: {answer}"
    for path in ("", "/status", "/why", "/plans", "/services", "/config"):
        answer = lab.user.get(f"/v2/clusters/{one}{path}")
        assert answer.status == 200, f"{path}: {answer}"
    answer = lab.user.post(f"/v2/clusters/{one}/services/restart", {})
    assert answer.status == 200, answer
    lab.active(one)
    assert lab.user.delete(f"/v2/clusters/{one}").status == 200
    lab.user.wait_cluster(one, "terminated")


def swept(root):
    """Whether what is looked after now and then was: plans, leases of tasks, leases of clusters."""
    return all(root.run("SELECT 1 FROM mysql.general_log WHERE command_type='Execute' AND argument LIKE"
                        f" '%{part}%' LIMIT 1") for part in ("phase=%plan%lease_until<=", "lease_until<%LIMIT", "expiry_retry<="))


def asked(stack, root, of):
    """One example, with its values, of each statement that was sent meanwhile."""
    root.run("TRUNCATE mysql.general_log; SET GLOBAL log_output='TABLE'; SET GLOBAL general_log=ON")
    stack.restart("api", "scheduler")  # the log has no values either of statements prepared before
    try:
        of()
        wait_for(lambda: swept(root), what="the sweeps")
    finally:
        root.run("SET GLOBAL general_log=OFF")
    found = {}
    for line in root.texts("SELECT JSON_QUOTE(CONVERT(argument USING utf8mb4)) FROM mysql.general_log"
                           " WHERE command_type IN ('Execute', 'Query') AND user_host LIKE 'loom%'"):
        text = line.strip()
        bare = re.sub(r"'(?:[^'\\]|\\.|'')*'", "''", text)
        if not re.match(r"\(?(SELECT|UPDATE|DELETE)\b", text) or "information_schema" in text:
            continue
        shape = re.sub(r"''|\b\d+\b", "?", bare)
        shape = re.sub(r"\((?:\?,? ?)+\)", "(?)", shape)
        shape = re.sub(r"(\([^()]*\))(?: OR \1)+", r"\1", shape)
        if "UNION ALL" in shape:
            shape = shape[:120]
        if "?" not in bare:
            found[shape] = text
        elif shape not in found:  # of a connection's first use of a statement, the log has no values
            found[shape] = re.sub(r"\?", "'1'", re.sub(r"LIMIT \?", "LIMIT 1", text))
    return found


def complaints(plan, text):
    """What is wrong with how a statement's tables are read."""
    wrong = []
    for row in plan:
        table, key = row["table"], row["key"]
        if table in ("NULL", "DUAL") or table in SMALL or table.startswith("<") or row["type"] in ("NULL", "const"):
            continue
        rows = int(row["rows"]) if row["rows"].isdigit() else 0
        if key == "NULL" or row["type"] == "ALL":
            wrong.append(f"{table} without an index, {rows} rows")
        elif "SUM(IF(num_nodes" in text and "Using index" not in row["Extra"]:
            wrong.append(f"{table} by {key}: the quota is not counted in the index alone")
        elif rows > MOST_ROWS:
            wrong.append(f"{table} by {key}: {rows} rows")
    return wrong


def test_every_statement_finds_its_rows_by_an_index(full):
    """With thousands of rows that have nothing to do with it, each statement looks at a few."""
    lab, root = full
    statements = asked(lab.stack, root, lambda: life(lab))
    hot = ("FROM cluster FORCE INDEX", "FROM task FORCE INDEX (PRIMARY) WHERE", "FROM task WHERE (cluster_id=",
           "FROM task WHERE unmet=0", "FROM job WHERE",
           "FROM node WHERE", "FROM task_edge", "SET lease_until=", "FROM event WHERE", "phase='plan'", "SUM(IF(num_nodes")
    for part in hot:
        assert any(part in text for text in statements.values()), f"nobody asked {part}; {len(statements)} were asked"
    wrong = [f"marks a cluster as one whose terms are not written:\n    {shape[:300]}" for shape in statements
             if re.match(r"(UPDATE cluster|INSERT INTO cluster) ", shape) and "terms_due" not in shape]
    for shape, text in statements.items():
        if any(part in text for part in OF_A_START):
            continue
        bad = complaints(root.run(f"EXPLAIN {text}"), text)
        wrong += [f"{line}\n    {shape[:300]}" for line in bad]
    assert not wrong, "\n".join(wrong)
    assert "terms of clusters written" not in lab.stack.log("api")  # nothing that was done left it to be done later


@pytest.fixture(scope="module")
def many(full):
    """Thousands of clusters of one tenant and user, of which few have a rare label."""
    lab, root = full
    one = int(lab.create("rare", "stack", 5, labels={"rare": "yes", "common": "yes"}))
    lab.active(f"{one:08d}")
    columns = [name for name, in lab.stack.sql("SELECT column_name FROM information_schema.columns WHERE"
                                               " table_schema=DATABASE() AND table_name='cluster'")]
    changed = {"id": f"{2 * FIRST}+s.seq", "name": "CONCAT('many-', s.seq)", "own_name": "NULL",
               "labels": """IF(s.seq % 1000, '{"common":"yes"}', '{"common":"yes","rare":"yes"}')""",
               "status": "'terminated'", "sealed": SEALED, "terms_due": "NOW()"}
    lab.stack.sql(f"INSERT INTO cluster ({','.join(columns)}) SELECT {','.join(changed.get(c, c) for c in columns)}"
                  f" FROM cluster t JOIN seq_1_to_{MANY} s WHERE t.id={one}")
    lab.stack.stop("scheduler")  # it reads clusters, too
    rare = lab.admin.get("/v2/clusters?label=rare=yes&fields=id,name").json  # whether terms are there yet or not
    wait_for(lambda: not lab.stack.sql("SELECT 1 FROM cluster WHERE terms_due IS NOT NULL LIMIT 1"), what="the terms")
    assert len(rare) == 1 + MANY // 1000 and lab.admin.get("/v2/clusters?label=rare=yes&fields=id,name").json == rare
    lab.stack.sql("ANALYZE TABLE cluster, cluster_term")
    root.run("SET GLOBAL userstat=ON")
    yield lab, root
    root.run("SET GLOBAL userstat=OFF")


def rows_read(root, of):
    """How many rows of clusters, and of what they are found by, were read meanwhile."""
    root.run("FLUSH TABLE_STATISTICS")
    of()
    return {row["TABLE_NAME"]: int(row["ROWS_READ"]) for row in root.run(
        "SELECT table_name AS TABLE_NAME, rows_read AS ROWS_READ FROM information_schema.table_statistics"
        " WHERE table_name IN ('cluster', 'cluster_term')")}


@pytest.mark.parametrize("query, shown", [
    ("label=rare=yes", 3), ("label=rare=yes&sort=name", 3), ("label=rare=yes&q=many&sort=-name", 3),
    ("label=rare=yes&sort=createTime", 3), ("label=common=yes", 3), ("label=nosuch=x", 0), ("template=nosuch", 0),
    ("provider=nosuch", 0), ("label=common=yes&label=rare=yes", 3), ("label=common=yes&template=nosuch", 0),
    ("label=common=yes&status=incomplete", 0), ("template=stack&provider=lab&label=rare=yes&status=terminated", 3)])
def test_a_page_of_a_filter_costs_what_it_shows(many, query, shown):
    """For those who see all clusters and for the owner; of a word a thousand at most are counted."""
    lab, root = many
    for who in (lab.admin, lab.user):
        answers = []
        read = rows_read(root, lambda who=who: answers.append(who.get(f"/v2/clusters?limit=3&{query}")))
        assert answers[0].status == 200 and len(answers[0].json) == shown, answers
        terms = query.count("label=") + query.count("template=") + query.count("provider=")
        assert read.get("cluster", 0) < 100 + ("status" in query) * 1000, read
        assert read.get("cluster_term", 0) < 100 + terms * 1000, read
