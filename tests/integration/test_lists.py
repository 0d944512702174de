# SPDX-License-Identifier: Apache-2.0
"""Lists in parts: pages, orders, filters, search, fields; and versions of what is not a document."""

import urllib.parse

import pytest

from support import wait_for
from support.api import Api
from support.lab import service
from support.lists import pages

SECRET = "correct horse battery"


@pytest.fixture
def filled(lab):
    for number in range(7):
        document = {**service(f"extra-{number}"), "label": f"Number {number}", "description": "made for LISTS"}
        assert lab.admin.post("/v2/services", document).status == 200
    return lab


def test_documents_come_in_parts(filled):
    user = filled.user
    whole = user.get("/v2/services").json
    names = [one["name"] for one in whole]
    assert names == sorted(names) and user.get("/v2/services?unknown=1").json == whole
    for limit in (1, 3, len(names), 1000):
        items, sizes = pages(user, f"/v2/services?limit={limit}")
        assert items == whole and sizes[0] == min(limit, len(names)) and sum(sizes) == len(names)
    assert pages(user, "/v2/services?limit=4&sort=-name")[0] == whole[::-1]
    assert user.get("/v2/services?sort=name").json == whole
    found = user.get("/v2/services?q=lists&fields=name,label").json
    assert found == [{"name": f"extra-{number}", "label": f"Number {number}"} for number in range(7)]
    assert [one["name"] for one in user.get("/v2/services?q=NUMBER+3").json] == ["extra-3"]
    assert user.get("/v2/services?q=nosuch").json == []
    # what goes meanwhile shifts nothing
    first = user.get("/v2/services?q=extra&limit=2&fields=name")
    assert filled.admin.delete("/v2/services/extra-1").status == 200
    link = first.headers["Link"]
    assert [one["name"] for one in user.get(link[1:link.index(">")]).json] == ["extra-2", "extra-3"]
    assert [one["name"] for one in user.get("/v2/providers?providertype=testtype&fields=name").json] == ["bare", "lab"]
    for query in ("limit=0", "limit=1001", "limit=x", "sort=version", "fields=nosuch", "sort=name&unknown=1",
                  "q=a&q=b"):
        answer = user.get(f"/v2/services?{query}")
        assert answer.status == 400 and answer.text, query


def test_other_lists_come_in_parts(lab):
    boss, admin = Api(lab.user.url), lab.admin
    for name in ("ann", "bob", "carl"):
        assert admin.put(f"/v2/users/{name}", {"role": "auditor" if name == "bob" else "user"}).status == 200
        target = {"url": f"http://{name}.example/", "events": ["start"]}
        assert admin.put(f"/v2/callbacktargets/{name}", target).status == 200
        registered = f"{lab.name} {name}&"
        assert lab.stack.internal.put(f"/v2/provisioners/{urllib.parse.quote(registered)}", {
            "id": registered, "host": f"{name}.{lab.name}", "port": 1, "capacityTotal": 1, "usage": {}}).status == 200
    for path, key in (("/v2/users", "name"), ("/v2/callbacktargets", "name")):
        items, sizes = pages(admin, f"{path}?limit=2&sort=-{key}&fields={key}")
        assert [one[key] for one in items] == ["carl", "bob", "ann"] and sizes == [2, 1]
        assert [one[key] for one in admin.get(f"{path}?q=AR").json] == ["carl"]
    assert [one["name"] for one in admin.get("/v2/users?role=auditor").json] == ["bob"]
    items, sizes = pages(boss, f"/v2/provisioners?q={lab.name}+&limit=1&fields=id")
    assert [one["id"] for one in items] == [f"{lab.name} {name}&" for name in ("ann", "bob", "carl")] and len(sizes) == 3
    assert [one["id"] for one in boss.get(f"/v2/provisioners?host=bob.{lab.name}").json] == [f"{lab.name} bob&"]
    found = sorted(one["name"] for one in boss.get("/v2/tenants").json if "t10" in one["name"])
    assert found[0] == "t10" and len(found) > 3
    assert [one["name"] for one in boss.get("/v2/tenants?q=t10&limit=3").json] == found[:3]
    for name in ("one", "two", "three"):
        assert lab.user.post("/v2/tokens", {"name": name}).status == 200
    items, _ = pages(lab.user, "/v2/tokens?limit=1")
    assert sorted(one["name"] for one in items) == ["one", "three", "two"]
    assert [one["createTime"] for one in items] == sorted((one["createTime"] for one in items), reverse=True)
    assert len(admin.get("/v2/tokens?user=ann&kind=api").json) == 3 and admin.get("/v2/tokens?user=bob").json == []


def test_jobs_of_a_cluster_come_in_parts(lab):
    lab.worker()
    cluster = lab.create()
    lab.active(cluster)
    for _ in range(2):
        assert lab.user.post(f"/v2/clusters/{cluster}/services/restart", {}).status == 200
        lab.active(cluster)
    path = f"/v2/clusters/{cluster}/plans"
    whole = lab.user.get(path).json
    assert pages(lab.user, f"{path}?limit=2")[0] == whole
    assert pages(lab.user, f"{path}?limit=1&sort=id")[0] == whole[::-1]
    assert [one["id"] for one in lab.user.get(f"{path}?action=RESTART_SERVICES").json] == [one["id"] for one in whole[:2]]
    assert lab.user.get(f"{path}?limit=1&q=x").status == 400


def test_clusters_are_found(lab):
    names = ["shop", "shop-2", "shops", "sho", "bar"]
    ids = {name: lab.user.create_cluster(name, "one", 1) for name in names}
    other = lab.user.create_cluster("shop-3", "loose", 2, provider="bare", providerFields={"project": "p"})

    def found(query):
        return [one["name"] for one in lab.user.get(f"/v2/clusters?fields=name&{query}").json]

    assert found("q=shop") == ["shop", "shop-2", "shop-3", "shops"]
    assert found("q=shop&sort=-name") == ["shops", "shop-3", "shop-2", "shop"]
    assert [one["name"] for one in pages(lab.user, "/v2/clusters?q=shop&limit=1&fields=name")[0]] == found("q=shop")
    assert found("q=nosuch") == [] and found("q=Shop") == []
    assert found("template=loose") == ["shop-3"] and found("provider=bare&q=s") == ["shop-3"]
    assert found("template=one&provider=lab&sort=name") == sorted(names)
    assert found("template=nosuch") == []
    for query in ("q=a%25", "q=", "q=shop&sort=createTime", "q=" + "x" * 300):
        assert lab.user.get(f"/v2/clusters?{query}").status == 400, query
    assert ids and other


def changes(admin, path, first, second, reduced=None):
    """A thing with versions: made once, changed as it was seen, deleted as it was seen."""
    assert admin.request("PUT", path, first, {"If-Match": "*"}).status == 412
    assert admin.request("PUT", path, first, {"If-None-Match": "*"}).status == 200
    assert admin.request("PUT", path, first, {"If-None-Match": "*"}).status == 412
    old = admin.get(path)
    tag = old.headers["ETag"]
    assert admin.request("GET", path, headers={"If-None-Match": tag}).status == 304
    assert admin.request("PUT", path, second, {"If-Match": '"other"'}).status == 412
    assert admin.get(path).json == old.json
    assert admin.request("PUT", path, second, {"If-Match": tag}).status == 200
    assert admin.request("PUT", path, first, {"If-Match": tag}).status == 412
    new = admin.get(path).headers["ETag"]
    assert new != tag
    if reduced:  # what is not shown counts, too
        assert admin.request("PUT", path, reduced, {"If-Match": new}).status == 200
        assert admin.request("DELETE", path, headers={"If-Match": new}).status == 412
        new = admin.get(path).headers["ETag"]
    assert admin.request("DELETE", path, headers={"If-Match": tag}).status == 412
    assert admin.request("DELETE", path, headers={"If-Match": new}).status == 200
    assert admin.get(path).status == 404


def test_users_have_versions(lab):
    changes(lab.admin, "/v2/users/carl", {"role": "user"}, {"role": "auditor"}, {"role": "auditor", "password": SECRET})


def test_callback_targets_have_versions(lab):
    first = {"url": "http://a.example/", "events": ["start"]}
    changes(lab.admin, "/v2/callbacktargets/a", first, {**first, "url": "http://b.example/"})


def test_provisioners_have_versions(lab):
    boss, internal, name = Api(lab.user.url), lab.stack.internal, f"tagged-{lab.name}"
    body = {"id": name, "host": "h", "port": 1, "capacityTotal": 2, "usage": {}}
    assert internal.put(f"/v2/provisioners/{name}", body).status == 200
    path = f"/v2/provisioners/{name}"
    tag = boss.get(path).headers["ETag"]
    assert boss.request("POST", f"{path}/release", headers={"If-Match": tag}).status == 404  # not in quarantine
    lab.stack.sql("INSERT INTO quarantine (provisioner_id, since, next_probe, reason) VALUES"
                  f" ('{name}', 1, 9999999999999, 'test')")
    assert boss.request("POST", f"{path}/release", headers={"If-Match": tag}).status == 412
    tag = boss.get(path).headers["ETag"]
    assert internal.post(f"{path}/heartbeat", {"usage": {lab.tenant: 1}}).status == 200  # no change of the version
    assert boss.request("POST", f"{path}/release", headers={"If-Match": tag}).status == 200
    assert internal.delete(path).status == 200


def searched(user, query):
    """The names that a list shows, in order and page by page."""
    return [one["name"] for one in pages(user, f"/v2/clusters?limit=2&{query}")[0]]


def test_each_filter_finds_what_the_whole_list_has(lab):
    """With each order, page by page, of one who sees all and one who sees his own."""
    bob = lab.user.as_user("bob", lab.name)
    labels = [{"env": "test"}, {"env": "live", "team": "a"}, {"env": "test", "team": "a"}, {}]
    for number in range(12):
        maker, of = (bob if number % 3 else lab.user), {"provider": "bare", "providerFields": {"project": "p"}}
        maker.create_cluster(f"c{number}", "one" if number % 2 else "loose", 2 - number % 2, labels=labels[number % 4],
                             **({} if number % 5 else of))
    assert lab.admin.put("/v2/clusters/" + lab.user.get("/v2/clusters?name=c0").json[0]["id"] + "/labels",
                         {"labels": {"env": "live", "example.com/x": ""}}).status == 200
    whole = lab.admin.get("/v2/clusters").json
    assert len(whole) == 12
    filters = {"label=env=test": lambda c: c["labels"].get("env") == "test",
               "label=env=live": lambda c: c["labels"].get("env") == "live",
               "label=example.com/x=": lambda c: c["labels"].get("example.com/x") == "",
               "label=team=b": lambda c: c["labels"].get("team") == "b",
               "label=team=a": lambda c: c["labels"].get("team") == "a",
               "template=one": lambda c: c["clusterTemplate"]["name"] == "one",
               "provider=bare": lambda c: c["provider"]["name"] == "bare",
               "provider=lab": lambda c: c["provider"]["name"] == "lab",
               "status=pending": lambda c: c["status"] == "pending"}
    orders = {"sort=-createTime": lambda c: (c["createTime"], c["id"]), "sort=name": lambda c: (c["name"], c["id"])}
    for who, sees in ((lab.admin, {lab.user.identity["X-Loom-UserID"], "bob"}), (bob, {"bob"})):
        for one in filters:
            for two in filters:
                for order, key in orders.items():
                    want = [c["name"] for c in sorted(whole, key=key, reverse="-" in order)
                            if c["ownerId"] in sees and filters[one](c) and filters[two](c)]
                    query = one if one == two else f"{one}&{two}"
                    if one != two and one.split("=")[:-1] == two.split("=")[:-1]:
                        continue  # one parameter, or one label, twice
                    assert searched(who, f"{query}&{order}") == want, (query, order)


def test_a_filter_finds_what_an_older_service_wrote(lab):
    """One that knows no terms of clusters: at once, and when they have been written for it."""
    marked = "SELECT COUNT(*) FROM cluster WHERE terms_due IS NOT NULL"
    wait_for(lambda: lab.stack.sql(marked) == [["0"]], what="the terms of what other tests wrote")
    clusters = [lab.user.create_cluster(f"c{number}", "one", 1, labels={"env": "new"}) for number in range(3)]
    number = int(clusters[0])
    assert lab.stack.sql(marked) == [["0"]]  # none of what this version does leaves it to somebody else
    for turn in range(5):
        lab.stack.sql(f"""UPDATE cluster SET labels='{{"env":"t{turn}"}}' WHERE id={number}""")
        assert searched(lab.user, f"label=env=t{turn}") == ["c0"]
        assert searched(lab.user, "label=env=new&sort=name") == ["c1", "c2"]
        assert searched(lab.admin, f"label=env=t{turn - 1}") == []
    columns = [name for name, in lab.stack.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND table_name='cluster'"
        " AND column_name<>'terms_due'")]
    changed = {"id": f"{number}+1000000", "name": "'made'", "own_name": "'made'", "status": "'terminated'",
               "labels": """'{"env":"old"}'"""}
    lab.stack.sql(f"INSERT INTO cluster ({','.join(columns)}) SELECT {','.join(changed.get(c, c) for c in columns)}"
                  f" FROM cluster WHERE id={number}")

    def found():
        for user in (lab.user, lab.admin):
            assert searched(user, "label=env=old") == ["made"]
            assert searched(user, "template=one&sort=name") == ["c0", "c1", "c2", "made"]
            assert searched(user, "provider=lab&sort=-name&q=m") == ["made"]

    found()
    wait_for(lambda: lab.stack.sql(marked) == [["0"]], what="the terms")
    found()
    assert lab.stack.sql(f"SELECT COUNT(*) FROM cluster_term WHERE cluster_id={number + 1000000}") == [["6"]]


def bytes_read(stack, of):
    """How much the database sent meanwhile."""
    before = int(stack.sql("SHOW GLOBAL STATUS LIKE 'Bytes_sent'")[0][1])
    of()
    return int(stack.sql("SHOW GLOBAL STATUS LIKE 'Bytes_sent'")[0][1]) - before


def test_what_a_list_does_not_show_is_not_read(lab):
    """Texts of clusters may be long."""
    one = lab.user.create_cluster("long", "one", 1, labels={"env": "test"}, description="so " * 5000)
    columns = [name for name, in lab.stack.sql("SELECT column_name FROM information_schema.columns WHERE"
                                               " table_schema=DATABASE() AND table_name='cluster'")]
    changed = {"id": f"{int(one)}+1000000+seq", "name": "CONCAT('long-', seq)", "own_name": "NULL",
               "status": "'terminated'", "terms_due": "NULL"}
    lab.stack.sql(f"INSERT INTO cluster ({','.join(columns)}) SELECT {','.join(changed.get(c, c) for c in columns)}"
                  f" FROM cluster JOIN seq_1_to_400 WHERE id={int(one)}")
    whole = {entry["id"]: entry for entry in lab.user.get("/v2/clusters").json}
    assert len(whole) == 401 and all(len(entry["description"]) == 15000 for entry in whole.values())
    answers = []
    for fields in ("id", "name,status", "id,ownerId,createTime,expireTime,numNodes,progress"):
        path = f"/v2/clusters?limit=1000&fields={fields}"
        assert bytes_read(lab.stack, lambda path=path: answers.append(lab.user.get(path))) < 2_000_000
        wanted = [{name: entry[name] for name in fields.split(",") if name in entry} for entry in whole.values()]
        assert sorted(answers[-1].json, key=str) == sorted(wanted, key=str)
    statuses = bytes_read(lab.stack, lambda: answers.append(lab.user.post("/v2/getClusterStatuses", {})))
    assert answers[-1].status == 200 and len(answers[-1].json) == 401 and statuses < 2_000_000
    for fields in ("description", "labels", "services", "provider", "clusterTemplate", "message", "name,description"):
        found = lab.user.get(f"/v2/clusters?limit=1000&fields={fields}").json
        assert found == [{name: whole[key][name] for name in fields.split(",") if name in whole[key]} for key in whole]
