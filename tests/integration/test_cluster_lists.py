# SPDX-License-Identifier: Apache-2.0
"""Clusters found and listed: labels, pages, orders, conditions."""

import re

import pytest

from support import wait_for

# ---- labels

LABELS = {"env": "test", "example.com/team": "Web_1.x", "empty": ""}


def test_labels_of_a_new_cluster_are_shown_everywhere(lab):
    lab.worker()
    cluster = lab.create("demo", "stack", 2, labels=LABELS)
    plain = lab.create("plain", "stack", 2)
    assert {entry["id"]: entry["labels"] for entry in lab.user.get("/v2/clusters").json} == {
        cluster: LABELS, plain: {}}
    lab.active(cluster)
    assert lab.user.cluster(cluster)["labels"] == LABELS
    assert lab.user.cluster(plain)["labels"] == {}


def put_labels(client, cluster, labels):
    """A change of a cluster's labels."""
    return client.put(f"/v2/clusters/{cluster}/labels", {"labels": labels})


def test_labels_are_merged(lab):
    cluster = lab.create("demo", "stack", 2, labels=LABELS)
    answer = put_labels(lab.user, cluster, {"env": "live", "new": "1", "empty": None, "nosuch": None})
    after = {"env": "live", "example.com/team": "Web_1.x", "new": "1"}
    assert answer.status == 200 and answer.json == {"labels": after}
    assert lab.user.cluster(cluster)["labels"] == after
    assert lab.story(cluster).labels == [after]
    # what changes nothing is no event
    assert put_labels(lab.user, cluster, {"env": "live"}).json == {"labels": after}
    assert put_labels(lab.user, cluster, {}).json == {"labels": after}
    assert len(lab.story(cluster).labels) == 1
    assert put_labels(lab.user, cluster, dict.fromkeys(after)).json == {"labels": {}}
    # its work goes on, and the labels stay as they are
    put_labels(lab.user, cluster, {"a": "1"})
    lab.worker()
    lab.active(cluster)
    assert lab.user.cluster(cluster)["labels"] == {"a": "1"}


@pytest.mark.parametrize("body, says", [
    ({}, "labels is missing"),
    ([], "the body must be an object with labels"),
    ({"labels": None}, "labels is missing"),
    ({"labels": ["env"]}, "labels must be an object"),
    ({"labels": {"env": 1}}, "value of 'env'"),
    ({"labels": {"fine": "x", "env/": "x"}}, "key 'env/'"),
    ({"labels": {f"k{n}": "" for n in range(64)}}, "at most 64, not 65"),
])
def test_changes_of_labels_that_are_refused(lab, body, says):
    cluster = lab.create("demo", "stack", 2, labels={"env": "test"})
    answer = lab.user.put(f"/v2/clusters/{cluster}/labels", body)
    assert answer.status == 400 and says in answer.text, answer
    assert lab.user.cluster(cluster)["labels"] == {"env": "test"}


def test_labels_belong_to_those_who_see_the_cluster(lab):
    cluster = lab.create("demo", "stack", 2)
    for client, number in ((lab.user.as_user("bob", lab.name), cluster), (lab.user, "99999999")):
        answer = put_labels(client, number, {"env": "test"})
        assert answer.status == 404, answer
    assert put_labels(lab.admin, cluster, {"env": "test"}).status == 200


def next_page(answer):
    """Where the next page is; None on the last."""
    found = re.fullmatch(r'<(/v2/clusters\?[^>]*)>; rel="next"', answer.headers.get("Link") or "")
    assert found or "Link" not in answer.headers, answer.headers
    return found and found[1]


def solved(lab):
    """A cluster that nothing happens to any more, as nobody works on it."""
    cluster = lab.create("first", "empty", 1)
    wait_for(lambda: lab.user.cluster(cluster)["nodes"], what="its plan")
    return cluster


def copies(lab, cluster, count):
    """Rows of a cluster of this tenant, five of each millisecond; they go with the tenant."""
    first = int(cluster) * 10_000 + 10_000_000
    columns = [name for name, in lab.stack.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE() AND table_name='cluster'"
        " AND is_generated='NEVER'")]
    changed = {"id": f"{first}+seq", "name": "CONCAT('copy-', seq)", "own_name": "CONCAT('copy-', seq)",
               "status": "'terminated'", "terms_due": "NOW()", "create_time": "create_time+seq DIV 5",
               "owner_id": "IF(seq % 2, owner_id, 'bob')"}
    lab.stack.sql(f"INSERT INTO cluster ({','.join(columns)}) SELECT {','.join(changed.get(c, c) for c in columns)}"
                  f" FROM cluster JOIN seq_1_to_{count} WHERE id={int(cluster)}")


def test_list_in_pages(lab):
    """A list of hundreds is whole, newest first; page by page it is the same, with each filter."""
    cluster = solved(lab)
    copies(lab, cluster, 700)
    whole = lab.admin.get("/v2/clusters").json
    assert len(whole) == 701 and whole[-1]["id"] == cluster and whole[0]["name"] == "copy-700"
    places = [(entry["createTime"], entry["id"]) for entry in whole]
    assert places == sorted(places, reverse=True)
    for user, query, limit in ((lab.admin, "", 99), (lab.user, "", 100), (lab.admin, "status=terminated&", 350),
                               (lab.admin, "status=terminated,pending,active&", 701), (lab.admin, "", 1000)):
        page, got, pages = f"/v2/clusters?{query}limit={limit}", [], 0
        while page:
            answer = user.get(page)
            assert answer.status == 200 and 0 < len(answer.json) <= limit
            got, pages, page = got + answer.json, pages + 1, next_page(answer)
        want = user.get(f"/v2/clusters?{query}").json
        assert got == want and pages == -(-len(want) // limit), (query, limit, pages)


@pytest.mark.parametrize("query, words", [
    ("limit=0", "limit '0' must be a whole number from 1 to 1000"), ("limit=1001", "from 1 to 1000"),
    ("limit=x", "limit 'x'"), ("after=7", "after '7' is no place in a list"), ("after=7.x", "take it from the Link"),
    ("after=-1.1", "no place"), ("after=.", "no place")])
def test_pages_that_are_none(lab, query, words):
    answer = lab.user.get(f"/v2/clusters?{query}")
    assert answer.status == 400 and words in answer.text, answer


def all_pages(user, query, limit=3):
    """Entries of a list, page by page."""
    page, got = f"/v2/clusters?{query}&limit={limit}", []
    while page:
        answer = user.get(page)
        assert answer.status == 200 and len(answer.json) <= limit, answer
        got, page = got + answer.json, next_page(answer)
    return got


MANY = 6000


def test_a_whole_list_of_thousands_is_sent_as_it_is_read(lab):
    copies(lab, lab.create("first", "empty", 1), MANY)
    answer = lab.admin.get("/v2/clusters")
    assert answer.status == 200 and answer.headers["Transfer-Encoding"] == "chunked"
    places = [(entry["createTime"], entry["id"]) for entry in answer.json]
    assert len(set(places)) == MANY + 1 and places == sorted(places, reverse=True)
    # who goes away meanwhile, or asks for the head alone, is no trouble
    for method in ("GET", "HEAD", "GET"):
        connection, prefix = lab.admin.connect(60)
        connection.request(method, prefix + "/v2/clusters", headers=lab.admin.identity)
        assert connection.getresponse().status == 200
        connection.close()
    page = lab.admin.get("/v2/clusters?limit=1000")
    assert page.headers["Content-Length"] and page.json == answer.json[:1000]


def test_list_in_other_orders(lab):
    """By name and by time, up and down, page by page; names alone need not be different."""
    cluster = solved(lab)
    copies(lab, cluster, 12)
    lab.stack.sql(f"UPDATE cluster SET name='Copy.of-copy' WHERE tenant_id='{lab.tenant}' AND name LIKE 'copy-%7'")
    whole = lab.admin.get("/v2/clusters").json
    for query, key, down in (("sort=name", "name", False), ("sort=-name", "name", True),
                             ("sort=createTime", "createTime", False), ("sort=-createTime", "createTime", True)):
        want = sorted(whole, key=lambda entry, key=key: (entry[key], int(entry["id"])), reverse=down)
        assert lab.admin.get(f"/v2/clusters?{query}").json == want, query
        assert all_pages(lab.admin, query) == want, query
        assert all_pages(lab.user, f"{query}&status=terminated") == [
            entry for entry in want if entry["ownerId"] == lab.user.identity["X-Loom-UserID"]
            and entry["status"] == "terminated"], query


def test_list_of_some(lab):
    for name in ("shop-1", "Shop_2", "other"):
        lab.create(name, "empty", 1)
    names = {entry["name"]: entry for entry in lab.admin.get("/v2/clusters").json}
    for query, found in (("name=other", {"other"}), ("name=othe", set()), ("name=OTHER", set()),
                         ("owner=nobody", set()), ("owner=ann", set(names)), ("owner=ann&name=shop-1", {"shop-1"}),
                         ("name=other&status=terminated", set()), ("sort=name&limit=1", {"Shop_2"})):
        answer = lab.admin.get(f"/v2/clusters?{query.replace('ann', lab.user.identity['X-Loom-UserID'])}")
        assert answer.status == 200 and {entry["name"] for entry in answer.json} == found, (query, answer)
    some = lab.user.get("/v2/clusters?fields=name,id,labels,clusterTemplate&sort=name").json
    assert [set(entry) for entry in some] == [{"id", "name", "labels", "clusterTemplate"}] * 3
    assert all(entry[key] == names[entry["name"]][key] for entry in some for key in entry)
    assert all(set(entry) == {"id"} for entry in all_pages(lab.user, "fields=id", 2))


@pytest.mark.parametrize("query, words", [
    ("sort=size", "sort 'size'"), ("fields=id,size", "fields: 'size' is none; there are"), ("fields=", "fields: ''"),
    ("limit=5&colour=red", "'colour' is no parameter of this list"),
    ("lable=env=test", "'lable' is no parameter; did you mean label?"), ("statsu=active", "did you mean status?"),
    ("limit=5&limit=6", "limit is given twice"), ("name=a&name=b", "name is given twice"),
    ("limit=5&status=activ", "status 'activ' is none of"), ("sort=name&after=7.1.x", "no place"),
    ("sort=name&after=.7", "no place"), ("sort=name&after=a%20b.7", "no place")])
def test_lists_that_are_none(lab, query, words):
    answer = lab.user.request("GET", f"/v2/clusters?{query}", headers={"Accept": "application/problem+json"})
    assert answer.status == 400 and words in answer.json["detail"], answer


def test_what_the_originals_clients_send_is_passed_over(lab):
    lab.create("first", "empty", 1)
    for query in ("colour=red", "status=activ", "status=", "colour=red&status=activ,none"):
        assert len(lab.user.get(f"/v2/clusters?{query}").json) == 1, query


def test_list_by_labels(lab):
    both = lab.create("both", "stack", 2, labels={"env": "test", "example.com/team": "a.b"})
    test = lab.create("test", "stack", 2, labels={"env": "test", "empty": ""})
    live = lab.create("live", "stack", 2, labels={"env": "live"})
    for query, ids in (("label=env=test", {both, test}), ("label=env%3Dlive", {live}), ("label=empty=", {test}),
                       ("label=env=test&label=example.com/team=a.b", {both}), ("label=env=tes", set()),
                       ("label=ENV=test", set()), ("label=env=test&label=empty=x", set()),
                       ("status=pending&label=env=live", {live}), ("status=terminated&label=env=live", set()),
                       ("", {both, test, live})):
        answer = lab.user.get(f"/v2/clusters?{query}")
        assert {entry["id"] for entry in answer.json} == ids, query
    for query, says in (("label=env", "KEY=VALUE"), ("label=", "KEY=VALUE"), ("label=a%20b=c", "key 'a b'"),
                        ("label=env=a&label=env=b", "given twice")):
        answer = lab.user.get(f"/v2/clusters?{query}")
        assert answer.status == 400 and says in answer.text, answer
