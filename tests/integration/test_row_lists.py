# SPDX-License-Identifier: Apache-2.0
"""Lists of what is no document: what a page reads, what a long list takes, and how one is held until it changes."""

import pytest

from support import Stack, wait_for
from support.api import Api
from support.lab import Lab, make_tenants, service
from support.lists import held_now, index_of, pages, peak, spent
from support.stack import CORE

MIB = 1 << 20
MANY = 2000
SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def core(thrifty):  # pylint: disable=unused-argument
    """What is freed is used again, or memory would say nothing."""
    with Stack("rows", auth="headers") as made:
        made.up(*CORE)
        yield made


@pytest.fixture(scope="module")
def tenants(core):
    """Names and ids of tenants that nobody used yet."""
    return make_tenants(core)


def insert(core, table, **columns):
    """Thousands of rows; each column is an expression of seq."""
    core.sql(f"INSERT INTO {table} ({','.join(columns)}) SELECT {','.join(columns.values())} FROM seq_1_to_{MANY}")


@pytest.fixture(scope="module")
def large(core, tenants):
    """A tenant with thousands of each, long ones where they may be long; one job in ten is of another action."""
    lab = Lab(core, *next(tenants)).load()
    tenant = f"'{lab.tenant}'"
    cluster = lab.create("large", "empty", 1)
    insert(core, "account", tenant_id=tenant, name="CONCAT('many-', LPAD(seq, 5, '0'))", role="'user'", changed="seq")
    insert(core, "token", id="LEFT(MD5(seq), 16)", hash="SHA2(seq, 256)", tenant_id=tenant, user="'many-00001'",
           name="CONCAT('token ', seq)", kind="'api'", scopes="REPEAT('s', 999)", create_time="1000+seq DIV 3")
    insert(core, "tenant", id="CONCAT('many-', seq)", name="CONCAT('many-', LPAD(seq, 5, '0'))",
           description="REPEAT('d', 12000)")
    insert(core, "provisioner", id="CONCAT('many-', LPAD(seq, 5, '0'))", host="CONCAT('h', seq % 7)", port="1",
           capacity="2", heartbeat="9999999999999", live=f"CONCAT('{{\"{lab.tenant}\":1,\"x', REPEAT('x', 9000), '\":1}}')")
    insert(core, "callback", delivery="UUID()", tenant_id=tenant, cluster_id=cluster, job_num="1", kind="'start'",
           target="'t'", url="CONCAT('http://', REPEAT('u', 1500))", secret="''", as_then="''",
           state="IF(seq % 10, 'waiting', 'dead')", not_before="9999999999999", create_time="seq")
    insert(core, "audit", seq="1000000+seq", hash="''", seal="''", seal_key="''", id="MD5(seq)", time="9000000000000+seq DIV 3",
           tenant_id=tenant, home=tenant, user="'ann'", token="''", role="'admin'", peer="''", request="seq",
           action="IF(seq % 100, 'PUT /v2/x', 'DELETE /v2/x')", object="CONCAT('x/', seq)", status="200", count="1",
           after_doc="CONCAT('{\"x\":\"', REPEAT('x', 15000), '\"}')")
    insert(core, "job", cluster_id=cluster, num="100+seq", tenant_id=tenant, action="'stop'", status="'complete'",
           phase="'end'", lease_until="0", create_time="seq")
    insert(core, "task", cluster_id=cluster, job_num="101+seq DIV 25", num="seq", tenant_id=tenant, node_id="UUID()",
           node_num="seq", name="'STOP'", service="REPEAT('s', 250)", stage="seq % 25", state="'complete'", unmet="0")
    core.sql("ANALYZE TABLE account, token, tenant, provisioner, callback, audit, job, task")
    lab.cluster = cluster
    yield lab
    for table in ("account", "token", "callback", "audit", "job", "task"):
        core.sql(f"DELETE FROM {table} WHERE tenant_id={tenant}")
    core.sql("DELETE FROM tenant WHERE id LIKE 'many-%'")
    core.sql("DELETE FROM provisioner WHERE id LIKE 'many-%'")
    lab.close()


def lists_of(lab):
    """Path, who may read it, key, its order when none is asked for."""
    boss, admin = Api(lab.user.url), lab.admin
    return {"users": ("/v2/users", admin, "name"), "tokens": ("/v2/tokens", admin, "id"),
            "tenants": ("/v2/tenants", boss, "name"), "provisioners": ("/v2/provisioners", boss, "id"),
            "callbacks": ("/v2/callbacks", admin, "id"), "plans": (f"/v2/clusters/{lab.cluster}/plans", admin, "id")}


ALL = ("users", "tokens", "tenants", "provisioners", "callbacks", "plans")
ORDERS = {"tokens": "user"}  # others are in the order of their key


@pytest.mark.parametrize("of", ALL)
def test_a_page_costs_what_it_shows(large, core, of):
    """Wherever it is; the database may look into an index of a tenant's for it."""
    path, client, key = lists_of(large)[of]
    place = client.get(f"{path}?limit=1000&fields={key}")
    assert place.status == 200 and len(place.json) == 1000
    link = place.headers["Link"]
    query = link[link.index("?") + 1:link.index(">")].replace("limit=1000", "limit=10")
    for asked in ("limit=10", query, "limit=10&sort=-" + ORDERS.get(of, key)):
        sizes = []
        for _ in range(3):  # the database is asked by others, too
            sizes.append(spent(core, lambda asked=asked: client.get(f"{path}?{asked}"))[1])
        assert min(sizes) < 600_000, (asked, sizes)


def place_of(of, one, key):
    """What a list is in the order of."""
    if of == "tokens":
        return one["user"], one["createTime"], one["id"]
    return int(one[key].split("-")[1]) if of == "plans" else one[key]


@pytest.mark.parametrize("of", ALL)
def test_pages_are_the_whole_list(large, of):
    path, client, key = lists_of(large)[of]
    whole = client.get(path, timeout=300)
    assert whole.status == 200
    items, order = whole.json, ORDERS.get(of, key)
    if of == "callbacks":
        assert len(items) == 200 and "Link" in whole.headers
        items = pages(client, path)[0]
    keys = [one[key] for one in items]
    assert len(keys) >= MANY and len(set(keys)) == len(keys)
    down = of in ("callbacks", "plans", "tokens")
    ordered = [one[key] for one in sorted(items, key=lambda one: place_of(of, one, key), reverse=down)]
    assert keys == ordered
    assert [one[key] for one in pages(client, f"{path}?limit=999&fields={key}")[0]] == ordered
    turned = f"{path}?limit=1000&sort={order if down else '-' + order}&fields={key}"
    assert [one[key] for one in pages(client, turned)[0]] == ordered[::-1]
    first = client.get(f"{path}?limit=7").json
    assert [one[key] for one in first] == ordered[:7]
    assert first == [one for wanted in ordered[:7] for one in whole.json if one[key] == wanted]


def test_a_page_of_tokens_is_in_the_order_of_an_index(large, core):
    """The database sorts nothing, and reads hardly more than the page, also far down the list."""
    path = "/v2/tokens?limit=10"
    for query in ("", "&sort=user", "&user=many-00001"):
        link = large.admin.get(f"/v2/tokens?limit=1000&fields=id{query}").headers["Link"]
        deep = link[link.index("?"):link.index(">")].replace("limit=1000", "limit=10")
        for asked in (path + query, "/v2/tokens" + deep):
            def sorts():
                return int(dict(core.sql("SHOW GLOBAL STATUS LIKE 'Sort_rows'"))["Sort_rows"])

            costs = []
            for _ in range(3):  # the database is asked by others, too
                before = sorts()
                rows = spent(core, lambda asked=asked: large.admin.get(asked))[0]
                costs.append((sorts() - before, rows))
            assert min(cost for cost, _ in costs) == 0 and min(rows for _, rows in costs) < 300, (asked, costs)


def test_a_page_of_jobs_of_an_action_reads_no_other_tasks(large, core):
    """Whether there is one or none: of the many jobs of another action no task is read."""
    core.sql(f"UPDATE job SET action='start' WHERE cluster_id={large.cluster} AND num IN (105, 1500)")
    path = f"/v2/clusters/{large.cluster}/plans?action="
    for action, shown in (("START", 2), ("NOSUCH", 0), ("START%20", 0), ("start", 0)):
        sizes = []
        for _ in range(3):
            answer = []
            sizes.append(spent(core, lambda action=action, answer=answer: answer.append(
                large.admin.get(f"{path}{action}")))[1])
            assert answer[0].status == 200 and len(answer[0].json) == shown, answer
        assert min(sizes) < 200_000, (action, sizes)
    answer = large.admin.get(f"{path}START&limit=1")
    assert len(answer.json) == 1 and "Link" in answer.headers
    assert [one["id"][-4:] for one in pages(large.admin, f"{path}START&limit=1&fields=id")[0]] == ["1500", "-105"]


def test_the_audit_log_takes_the_memory_of_a_piece(large, core):
    """A page of a thousand rows of 15 KB; a short one reads only its own."""
    path = "/v2/audit?limit=1000&action=PUT%20/v2/x"
    assert len(large.admin.get(path.replace("1000", "100"), timeout=300).json) == 100
    before = peak(core)
    answer = large.admin.get(path, timeout=300)
    assert answer.status == 200 and len(answer.json) == 1000 and "Link" in answer.headers
    assert len(answer.body) > 14 * MIB and peak(core) - before < 24 * MIB, peak(core) - before
    assert min(spent(core, lambda: large.admin.get("/v2/audit?limit=10"))[1] for _ in range(3)) < 600_000
    rows = pages(large.admin, "/v2/audit?limit=7&action=DELETE%20/v2/x")[0]
    assert [row["seq"] for row in rows] == [1000000 + number for number in range(MANY, 0, -100)]


@pytest.mark.parametrize("of, query, shown", [
    ("users", "q=00042&role=user", ["many-00042"]), ("users", "role=nosuch", []),
    ("tenants", "q=-01999", ["many-01999"]), ("provisioners", "host=h3&limit=2", ["many-00003", "many-00010"]),
    ("plans", "action=NOSUCH", [])])
def test_what_little_there_is_is_found(large, of, query, shown):
    path, client, key = lists_of(large)[of]
    answer = client.get(f"{path}?{query}", timeout=300)
    assert answer.status == 200 and [one[key] for one in answer.json] == shown
    assert ("Link" in answer.headers) == ("limit" in query)


def test_a_place_that_is_none_is_refused(large):
    for of, after in (("users", "%ff"), ("callbacks", "x"), ("plans", "x"), ("plans", "00009999-001")):
        path, client, _ = lists_of(large)[of]
        answer = client.get(f"{path}?after={after}")
        assert answer.status == 400 and "Link" in answer.text, (path, answer)
    path, client, _ = lists_of(large)["callbacks"]
    assert client.get(f"{path}?limit=2001").status == 400 and len(client.get(f"{path}?limit=2000").json) == 2000
    assert {one["state"] for one in client.get(f"{path}?state=dead&limit=9&fields=state").json} == {"dead"}


def test_all_that_a_list_shows_may_be_asked_for(large):
    """Each member by its name."""
    for path, client, _ in lists_of(large).values():
        shown = sorted({member for item in client.get(f"{path}?limit=20").json for member in item})
        answer = client.get(f"{path}?limit=20&fields={','.join(shown)}")
        assert answer.status == 200 and answer.json == client.get(f"{path}?limit=20").json, (path, answer)


def read_long(lists, of):
    """One of them whole, and in pages of which each is long; answers how many bytes came."""
    path, client, key = lists[of]
    answer = client.get(path, timeout=300)
    assert answer.status == 200 and answer.headers["Transfer-Encoding"] == "chunked"
    whole, size = answer.json, len(answer.body)
    answer = client.get(f"{path}?limit=900", timeout=300)
    size += len(answer.body)
    assert answer.json == whole[:900] and "Link" in answer.headers
    answer = client.get(f"{path}?limit=900&sort=-{key}", timeout=300)
    assert answer.json == whole[:-901:-1] and "Link" in answer.headers
    return size + len(answer.body)


def test_long_lists_take_the_memory_of_a_piece(large, core):
    """Once read, they are read again and again in the same memory."""
    lists = lists_of(large)
    for of in ("tenants", "provisioners"):
        read_long(lists, of)
    before = peak(core)
    size = sum(read_long(lists, of) for of in ("tenants", "provisioners") * 2)
    assert size > 120 * MIB and peak(core) - before < 24 * MIB, (size, peak(core) - before)


def test_machines_are_listed_in_pieces(lab, core):
    """However many there are: 30 MiB of them."""
    cluster = int(lab.create("many", "empty", 1))
    columns = [name for name, in core.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND table_name='cluster'")]
    changed = {"id": "id+seq*1000", "name": "CONCAT('many', seq)", "own_name": "NULL"}
    core.sql(f"INSERT INTO cluster ({','.join(columns)}) SELECT {','.join(changed.get(c, c) for c in columns)}"
             f" FROM cluster JOIN seq_1_to_100 WHERE id={cluster}")
    columns = [name for name, in core.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND table_name='job'")]
    copied = [{"cluster_id": "cluster_id+seq*1000"}.get(name, name) for name in columns]
    core.sql(f"INSERT INTO job ({','.join(columns)}) SELECT {','.join(copied)} FROM job JOIN seq_1_to_100"
             f" WHERE cluster_id={cluster}")
    core.sql("INSERT INTO node (id, cluster_id, num, hostname, hardwaretype, imagetype, flavor, image, sshuser, services,"
             " automators, ipaddresses, results, states) SELECT UUID(), "
             f"{cluster}+s.seq*1000, n.seq, 'h', 'h', 'i', 'f', 'i', 'u', '[]', '[]', '{{}}',"
             " CONCAT('{\"x\":\"', REPEAT('x', 15000), '\"}'), '[]' FROM seq_1_to_100 s JOIN seq_1_to_20 n")
    answer = lab.user.get("/v2/nodes", timeout=300)
    assert answer.status == 200 and len(answer.body) > 28 * MIB
    assert len({node["id"] for node in answer.json}) == 2000 + 1
    before = peak(core)
    for _ in range(3):  # in the memory of the first time
        assert lab.user.get("/v2/nodes", timeout=300).body == answer.body
    assert peak(core) - before < 24 * MIB
    items, sizes = pages(lab.user, "/v2/nodes?limit=150&fields=id")
    assert [node["id"] for node in items] == [node["id"] for node in answer.json] and set(sizes[:-1]) == {150}


# ---- held until they change


@pytest.fixture
def lab(core, tenants):
    """A tenant with a catalog."""
    with_catalog = Lab(core, *next(tenants)).load()
    yield with_catalog
    with_catalog.close()


def test_each_list_is_held(lab, core):
    """Until something of its own changes, at once, for whoever may see it."""
    boss, admin, name = Api(lab.user.url), lab.admin, f"zz-{lab.name}"
    target, provisioner = {"url": "http://a.example/", "events": ["start"]}, {
        "id": name, "host": "h", "port": 1, "capacityTotal": 1, "usage": {}}
    role = {"base": "user", "permissions": ["clusters:read"]}
    changes = [
        ("/v2/users", admin, [lambda: admin.put("/v2/users/carl", {"role": "user"}),
                              lambda: admin.put("/v2/users/carl", {"role": "auditor", "password": SECRET}),
                              lambda: admin.delete("/v2/users/carl")]),
        ("/v2/roles", admin, [lambda: admin.put("/v2/roles/ops", role),
                              lambda: admin.put("/v2/roles/ops", {**role, "description": "x"}),
                              lambda: admin.delete("/v2/roles/ops")]),
        ("/v2/callbacktargets", admin, [lambda: admin.put("/v2/callbacktargets/a", target),
                                        lambda: admin.put("/v2/callbacktargets/a", {**target, "url": "http://b.example/"}),
                                        lambda: admin.delete("/v2/callbacktargets/a")]),
        ("/v2/tenants", boss, [lambda: boss.post("/v2/tenants", {"tenant": {"name": name}}),
                               lambda: boss.put(f"/v2/tenants/{name}", {"tenant": {"name": name, "description": "x"}}),
                               lambda: boss.delete(f"/v2/tenants/{name}")]),
        ("/v2/provisioners", boss, [lambda: core.internal.put(f"/v2/provisioners/{name}", provisioner),
                                    lambda: core.internal.put(f"/v2/provisioners/{name}", {**provisioner, "host": "i"}),
                                    lambda: core.internal.delete(f"/v2/provisioners/{name}")]),
        ("/v2/tokens", lab.user, [lambda: lab.user.post("/v2/tokens", {"name": "one"}),
                                  lambda: lab.user.delete("/v2/tokens/" + lab.user.get("/v2/tokens").json[0]["id"])]),
    ]
    assert admin.put("/v2/users/ann", {"role": "user"}).status == 200
    core.stop("api")
    core.start("api", settings=["api.poll_ms=60s"])  # by notices: it does not look by itself meanwhile
    for path, client, steps in changes:
        assert "X-Loom-Index" not in client.get(path).headers, path
        index = index_of(client.get(f"{path}?index=0"))
        assert index_of(client.get(f"{path}?index={index}&wait=200ms")) == index
        for step in steps:
            answer = held_now(core, client, f"{path}?index={index}&wait=50s&limit=1000")
            made = step()
            assert made.status in (200, 204), (path, made)
            assert index_of(answer.result(60)) != index, path
            index = index_of(answer.result())
            assert answer.result().json == client.get(f"{path}?limit=1000").json
    core.stop("api")
    core.start("api", settings=["api.poll_ms=2s"])


def next_index(core, client, path, step):
    """That of the answer to a request that is held until this step."""
    index = index_of(client.get(f"{path}?index=0"))
    assert index_of(client.get(f"{path}?index={index}&wait=200ms")) == index
    answer = held_now(core, client, f"{path}?index={index}&wait=50s")
    step()
    assert index_of(answer.result(60)) != index, path
    return answer.result()


def test_callbacks_are_held(lab, core):
    """Until one has come, was tried, is to be told again or is gone; for who sees those of all tenants, too."""
    boss = Api(lab.user.url)
    lab.worker()
    target = {"url": "http://127.0.0.1:1/", "events": ["success"]}  # nobody is there
    core.stop("api")
    core.start("api", settings=["api.poll_ms=60s"])

    def given_up():
        wait_for(lambda: lab.admin.get("/v2/callbacks").json[0]["state"] == "dead", 60, "a try")

    try:
        assert lab.admin.put("/v2/callbacktargets/a", target).status == 200
        with_all = held_now(core, boss, f"/v2/callbacks?index={index_of(boss.get('/v2/callbacks?index=0'))}&wait=50s")
        answer = next_index(core, lab.admin, "/v2/callbacks", lab.create)
        assert len(answer.json) == 1
        assert with_all.result(60).status == 200
        given_up()
        one = lab.admin.get("/v2/callbacks").json[0]["id"]

        def replay():
            assert lab.admin.post(f"/v2/callbacks/{one}/replay").status == 200

        tried = next_index(core, lab.admin, "/v2/callbacks", replay).json
        assert len(tried) == 1
        given_up()
        assert next_index(core, boss, "/v2/callbacks",
                          lambda: lab.admin.delete(f"/v2/callbacks/{one}")).status == 200
        assert lab.admin.get("/v2/callbacks").json == []
    finally:
        core.stop("api")
        core.start("api", settings=["api.poll_ms=2s"])


def test_the_audit_log_is_held(lab, core):
    """Until a row has come, of the tenant; superadmins see those of all."""
    boss = Api(lab.user.url)
    core.stop("api")
    core.start("api", settings=["api.poll_ms=60s"])
    try:
        of_all = held_now(core, boss, f"/v2/audit?index={index_of(boss.get('/v2/audit?index=0'))}&wait=50s&limit=1")
        answer = next_index(core, lab.admin, "/v2/audit", lambda: lab.admin.put("/v2/users/carl", {"role": "user"}))
        assert answer.json[0]["object"] == "users/carl"
        assert of_all.result(60).status == 200
        index = index_of(lab.admin.get("/v2/audit?index=0"))
        answer = held_now(core, lab.admin, f"/v2/audit?index={index}&wait=3s")
        assert boss.put(f"/v2/tenants/zz-{lab.name}", {"tenant": {"name": f"zz-{lab.name}"}}).status == 200
        assert index_of(answer.result(60)) == index
        assert boss.delete(f"/v2/tenants/zz-{lab.name}").status == 200
    finally:
        core.stop("api")
        core.start("api", settings=["api.poll_ms=2s"])


def test_tokens_of_another_user_do_not_end_it(lab, core):
    bob = lab.user.as_user("bob", lab.name)
    assert lab.admin.put("/v2/users/bob", {"role": "user"}).status == 200
    index = index_of(lab.user.get("/v2/tokens?index=0"))
    answer = held_now(core, lab.user, f"/v2/tokens?index={index}&wait=3s")
    of_all = held_now(core, lab.admin, f"/v2/tokens?index={index_of(lab.admin.get('/v2/tokens?index=0'))}&wait=50s")
    assert bob.post("/v2/tokens", {"name": "one"}).status == 200
    assert len(of_all.result(60).json) == 1
    assert index_of(answer.result(60)) == index and answer.result().json == []


def test_jobs_and_machines_are_held_until_the_cluster_changes(lab, core):
    lab.worker()
    cluster = lab.create()
    lab.active(cluster)
    path = f"/v2/clusters/{cluster}/plans"
    index, nodes = index_of(lab.user.get(f"{path}?index=0")), index_of(lab.user.get("/v2/nodes?index=0"))
    assert index == lab.user.cluster(cluster)["lastEvent"]
    assert lab.user.get(f"{path}?index={index + 1}").status == 410
    assert lab.user.get(f"{path}?index={index}&limt=1").status == 400
    assert lab.user.get(f"/v2/nodes?index={nodes}&wait=x").status == 400
    held = [held_now(core, lab.user, f"{path}?index={index}&wait=50s&fields=id"),
            held_now(core, lab.user, f"/v2/nodes?index={nodes}&wait=50s&fields=id")]
    assert lab.user.post(f"/v2/clusters/{cluster}/services/restart", {}).status == 200
    assert index_of(held[0].result(60)) > index and len(held[0].result().json) > 1
    assert index_of(held[1].result(60)) != nodes and len(held[1].result().json) == 1


def test_other_lists_do_not_end_it(lab, core):
    index = index_of(lab.admin.get("/v2/users?index=0"))
    answer = held_now(core, lab.admin, f"/v2/users?index={index}&wait=3s")
    assert lab.admin.post("/v2/services", service("zz")).status == 200
    assert lab.admin.put("/v2/roles/ops", {"base": "user", "permissions": []}).status in (200, 400)
    assert index_of(answer.result(60)) == index
