# SPDX-License-Identifier: Apache-2.0
"""Lists of documents: what a page reads, what a long list takes, and how one is held until it changes."""

import itertools
import json
import urllib.parse

import pytest

from support import Stack, wait_for
from support.api import Api
from support.lab import AUTOMATOR_TYPE, PROVIDER_TYPE, Lab, make_tenants, service, template
from support.lists import held, held_now, held_requests, index_of, pages, peak, selects_of_a_while, spent
from support.stack import CORE

MIB = 1 << 20
MANY = 20000
LONG = "so " * 1400
SEALED = "9223372036854775807"  # nobody looks for secrets in them meanwhile
KINDS = ("providers", "hardwaretypes", "imagetypes", "services", "clustertemplates", "partialtemplates")


@pytest.fixture(scope="module")
def core(thrifty):  # pylint: disable=unused-argument
    """What is freed is used again, or memory would say nothing."""
    with Stack("lists", auth="headers") as made:
        made.up(*CORE)
        yield made


@pytest.fixture(scope="module")
def tenants(core):
    """Names and ids of tenants that nobody used yet."""
    return make_tenants(core)


# ---- the answers


def in_text(item, text):
    """Whether q= finds it."""
    return any(text.lower() in item.get(key, "").lower() for key in ("name", "label", "description"))


def wanted(whole, query):
    """What a list is to show of all, and whether a Link leads on; the query's values are bytes."""
    down = query.get("sort") == b"-name"
    found = sorted(whole, key=lambda item: item["name"].encode(), reverse=down)
    if "after" in query:
        found = [item for item in found if (item["name"].encode() < query["after"] if down else
                                            item["name"].encode() > query["after"])]
    if "q" in query:
        found = [item for item in found if in_text(item, query["q"].decode())]
    if "immutable" in query:
        found = [item for item in found if json.dumps(item.get("immutable")).encode() == query["immutable"]]
    if "fields" in query:
        names = query["fields"].decode().split(",")
        found = [{name: value for name, value in item.items() if name in names} for item in found]
    shown = found[:int(query["limit"])] if "limit" in query else found
    return shown, len(shown) < len(found)


def queries(**choices):
    """All combinations; None leaves a parameter out."""
    for values in itertools.product(*choices.values()):
        yield {name: value for name, value in zip(choices, values) if value is not None}


def check_answers(client, path, asked):
    """Each query shows what the whole list has."""
    whole = client.get(path).json
    for query in asked:
        shown, more = wanted(whole, query)
        answer = client.get(f"{path}?{urllib.parse.urlencode(query)}")
        assert answer.status == 200 and answer.json == shown, (query, answer, shown)
        # in the same order of members
        assert [list(item) for item in answer.json] == [list(item) for item in shown], query
        assert ("Link" in answer.headers) == more, query


def test_each_query_shows_what_the_whole_list_has(empty_lab):
    """Pages, orders, searches and fields, with versions, and behind places that are no names."""
    admin = empty_lab.admin
    names = ["a", "A", "a-", "a.b", "a_b", "a0", "aa", "Z9", "_", "-x", "0", "zz", "b" * 255,
             *(f"n{number}" for number in range(70))]
    for number, name in enumerate(names):
        document = {"name": name, "label": f"Nr {number}", "description": "One" if number % 20 else "Rare",
                    "immutable": number % 3 == 0, "defaults": {"config": {"k": number}}}
        for version in range(1 + number % 3):
            answer = admin.put(f"/v2/partialtemplates/{name}", {**document, "label": f"Nr {number} v{version}"})
            assert answer.status == 200, answer
    assert admin.delete("/v2/partialtemplates/n1").status == 200
    whole = empty_lab.user.get("/v2/partialtemplates").json
    assert [one["name"] for one in whole] == sorted(set(names) - {"n1"})
    assert {one["version"] for one in whole} == {1, 2, 3}
    places = [b"", b" ", b"a ", b"a!", b"a~", b"a/", b"a-", b"a", b"n1", b"zz", b"zzz", "é".encode(), "aéb".encode(),
              b"~", b"b" * 300]
    check_answers(empty_lab.user, "/v2/partialtemplates", queries(
        after=[None, *places], sort=[None, b"name", b"-name"], limit=[None, b"1", b"1000"]))
    check_answers(empty_lab.user, "/v2/partialtemplates", queries(
        q=[None, b"rare", b"N", b"nosuch"], immutable=[None, b"true", b"false"], limit=[None, b"1", b"5"],
        fields=[None, b"name", b"version,name", b"label,name", b"description"], sort=[None, b"-name"]))
    for query in ("limit=3", "limit=7&sort=-name", "limit=2&q=rare", "limit=2&immutable=true&sort=-name",
                  "limit=5&fields=version"):
        items, sizes = pages(empty_lab.user, f"/v2/partialtemplates?{query}")
        asked = {name: value[0].encode() for name, value in urllib.parse.parse_qs(query).items()}
        limit = int(asked.pop("limit"))
        assert items == wanted(whole, asked)[0] and set(sizes[:-1]) <= {limit} and sizes[-1] <= limit, query


# ---- what they cost


@pytest.fixture(scope="module")
def large(core, tenants):
    """A tenant with thousands of services that are not short; every tenth has been changed."""
    lab = Lab(core, *next(tenants))
    text = json.dumps({**service("NAME"), "description": f"{LONG}RARE"})
    doc = f"REPLACE(REPLACE('{text}', 'NAME', CONCAT('many-', LPAD(seq, 5, '0'))), 'RARE', IF(seq % 6000, '', 'rare'))"
    for version, few in ((1, 1), (2, 10)):
        core.sql("INSERT INTO entity (tenant_id, kind, name, version, doc, create_time, sealed)"
                 f" SELECT '{lab.tenant}', 'services', CONCAT('many-', LPAD(seq, 5, '0')), {version}, {doc}, seq, {SEALED}"
                 f" FROM seq_1_to_{MANY} WHERE seq % {few} = 0")
    core.sql("ANALYZE TABLE entity")
    yield lab
    core.sql(f"DELETE FROM entity WHERE tenant_id='{lab.tenant}'")
    lab.close()


def name_of(number):
    return f"many-{number:05}"


@pytest.mark.parametrize("query, first, rows, size", [
    ("limit=10", 1, 500, 200_000), ("limit=10&after=many-15000", 15001, 500, 200_000),
    ("limit=10&sort=-name", -MANY, 500, 200_000), ("limit=10&sort=-name&after=many-15001", -15000, 500, 200_000),
    ("limit=10&fields=name,version&after=many-15000", 15001, 500, 20_000),
    ("limit=1000&fields=name", 1, 5000, 100_000), ("limit=5&q=SO+SO&after=many-09999", 10000, 1000, 400_000)])
def test_a_page_reads_what_it_shows(large, core, query, first, rows, size):
    """Wherever it is in a list, and no document when it shows none."""
    answers = []
    limit = int(urllib.parse.parse_qs(query)["limit"][0])
    for _ in range(3):  # the database is asked by others, too
        found, sent = spent(core, lambda: answers.append(large.user.get(f"/v2/services?{query}")))
        if found < rows and sent < size:
            break
    assert found < rows and sent < size, (found, sent)
    numbers = range(first, first + limit)
    for answer in answers:
        assert [one["name"] for one in answer.json] == [name_of(abs(number)) for number in numbers]
    if "fields=name,version" in query:
        assert answers[0].json == [{"name": name_of(number), "version": 1 if number % 10 else 2} for number in numbers]


def test_a_list_of_thousands_takes_the_memory_of_a_piece(large, core):
    user, names = large.user, [name_of(number) for number in range(1, MANY + 1)]
    rare = [name for number, name in enumerate(names, 1) if number % 6000 == 0]
    core.restart("api")  # what it has taken so far counts for nothing
    assert len(user.get("/v2/services?limit=1000").json) == 1000
    before = peak(core)
    answer = user.get("/v2/services", timeout=300)
    assert answer.status == 200 and answer.headers["Transfer-Encoding"] == "chunked" and len(answer.body) > 64 * MIB
    assert [one["name"] for one in answer.json] == names
    for query, shown in (("sort=-name&fields=name,label", names[::-1]), ("fields=name", names), ("q=RARE", rare),
                         ("q=rare&limit=2", rare[:2]), ("q=nosuch&limit=5", []), ("limit=1000", names[:1000])):
        answer = user.get(f"/v2/services?{query}", timeout=300)
        assert answer.status == 200 and [one["name"] for one in answer.json] == shown, query
        assert ("Link" in answer.headers) == ("limit=2" in query or "limit=1000" in query), query
    # who goes away meanwhile, or asks for the head alone, is no trouble
    for method, path in (("GET", "/v2/services"), ("HEAD", "/v2/services"), ("GET", "/v2/services?q=nosuch")):
        connection, prefix = user.connect(60)
        connection.request(method, prefix + path, headers=user.identity)
        if path == "/v2/services":
            assert connection.getresponse().status == 200
        connection.close()
    assert user.get("/v2/services?limit=1").status == 200
    assert peak(core) - before < 96 * MIB  # the answer alone has more than 64


# ---- held until they change


def test_a_list_is_held_until_a_document_changes(lab, core):
    assert "X-Loom-Index" not in lab.user.get("/v2/services").headers
    path = "/v2/services?q=zz&limit=3&fields=name,version&sort=-name"
    index = index_of(lab.user.get(f"{path}&index=0&wait=50s", timeout=45))
    # what has happened already is told at once, and a wait of nothing is over at once
    assert index_of(lab.user.get(f"{path}&index={index + 1}&wait=50s", timeout=45)) == index
    for wait in ("0", "200ms"):
        answer = lab.user.get(f"{path}&index={index}&wait={wait}")
        assert index_of(answer) == index and answer.json == []
    new, seen = service("zz-new"), [index]
    catalog = lab.admin.get("/v2/export").json
    for change, shown in (
            (lambda: lab.admin.post("/v2/services", new), 1),
            (lambda: lab.admin.put("/v2/services/zz-new", {**new, "label": "a"}), 2),
            (lambda: lab.admin.request("PATCH", "/v2/services/zz-new", {"label": "b"},
                                       {"Content-Type": "application/merge-patch+json"}), 3),
            (lambda: lab.admin.delete("/v2/services/zz-new/3"), 2),
            (lambda: lab.admin.delete("/v2/services/zz-new"), None),
            (lambda: lab.admin.post("/v2/services", new), 1),  # the same version of another time
            (lambda: lab.admin.post("/v2/import", catalog), None)):
        answer = held_now(core, lab.user, f"{path}&index={seen[-1]}&wait=50s")
        assert not answer.done()
        made = change()
        assert made.status == 200, made
        seen.append(index_of(answer.result(60)))
        assert answer.result().json == ([{"name": "zz-new", "version": shown}] if shown else [])
        assert index_of(lab.user.get(f"{path}&index={seen[-1]}&wait=0")) == seen[-1]
    # all as it was before is the number of before
    assert seen[4] == seen[2] and seen[5] == seen[0] and len(set(seen)) == len(seen) - 2, seen
    headed = lab.user.request("HEAD", f"{path}&index={seen[-1]}&wait=1ms")
    assert headed.status == 200 and headed.body == b"" and int(headed.headers["X-Loom-Index"]) == seen[-1]
    for query, word in (("index=x", "whole number"), ("index=-1", "index"), (f"index={index}&wait=51s", "50s"),
                        (f"index={index}&wait=soon", "30s"), (f"index={index}&limt=1", "limit"),
                        (f"index={index}&fields=odd", "provisioner")):
        answer = lab.user.get(f"/v2/services?{query}")
        assert answer.status == 400 and word in answer.text, (query, answer)


def test_each_list_of_documents_is_held(lab, core):
    """Those of a tenant by what the tenant writes, those of types of plug-ins by what any provisioner does."""
    documents = {"providers": {"name": "zz", "providertype": "testtype"},
                 "hardwaretypes": {"name": "zz", "providermap": {"lab": {"flavor": "f"}}},
                 "imagetypes": {"name": "zz", "providermap": {"lab": {"image": "i"}}},
                 "services": service("zz"), "clustertemplates": template("zz", ["base"]),
                 "partialtemplates": {"name": "zz", "immutable": False, "defaults": {"services": ["base"]}}}
    assert set(documents) == set(KINDS)
    lists = [(f"/v2/{kind}", lambda kind=kind: lab.admin.put(f"/v2/{kind}/zz", documents[kind])) for kind in KINDS]
    lists += [(f"/v2/plugins/{kind}", lambda kind=kind, document=document: lab.stack.internal.put(
        f"/v2/plugins/{kind}/{document['name']}", document))
              for kind, document in (("providertypes", PROVIDER_TYPE), ("automatortypes", AUTOMATOR_TYPE))]
    for path, change in lists:
        index = index_of(lab.user.get(f"{path}?index=0"))
        answer = held_now(core, lab.user, f"{path}?index={index}&wait=50s")
        made = change()
        assert made.status == 200, made
        assert index_of(answer.result(60)) != index and answer.result().json == lab.user.get(path).json


def test_other_lists_do_not_end_it(lab, core, tenants):
    other = Lab(core, *next(tenants)).load()
    index = index_of(lab.user.get("/v2/services?index=0"))
    answer = held_now(core, lab.user, f"/v2/services?index={index}&wait=4s")
    assert other.admin.post("/v2/services", service("zz")).status == 200
    assert lab.admin.put("/v2/hardwaretypes/zz", {"name": "zz", "providermap": {}}).status == 200
    lab.create("one", "empty", 1)
    assert index_of(answer.result(60)) == index
    answer = held_now(core, lab.user, f"/v2/services?index={index}&wait=50s")
    assert lab.admin.post("/v2/services", service("zz")).status == 200
    assert index_of(answer.result(60)) != index
    other.close()


def test_it_hears_of_what_another_copy_did_and_ends_with_its_own(lab, core):
    """By notices: it does not look by itself meanwhile."""
    core.up("api2")
    core.stop("api")
    core.start("api", settings=["api.poll_ms=60s"])
    other = Api(f"http://127.0.0.1:{core.ports['api2.external']}", lab.admin.identity["X-Loom-UserID"], lab.name)
    index = index_of(lab.user.get("/v2/services?index=0"))
    for number in range(3):
        assert index_of(other.get(f"/v2/services?index={index}&wait=0")) == index  # all copies count alike
        answer = held_now(core, lab.user, f"/v2/services?index={index}&wait=50s")
        assert other.put("/v2/services/zz", {**service("zz"), "label": str(number)}).status == 200
        assert index_of(answer.result(60)) != index
        index = index_of(answer.result())
    core.stop("api2")
    quiet = held_requests(core)
    assert lab.user.get(f"/v2/services?index={index}", timeout=1).status == 0
    wait_for(lambda: held_requests(core) <= quiet)
    answer = held_now(core, lab.user, f"/v2/services?index={index}&wait=50s")
    core.stop("api")
    core.start("api", settings=["api.poll_ms=2s"])
    assert index_of(answer.result(60)) == index


def test_a_change_that_nobody_told_of_is_found(lab, core):
    """As one by an older service."""
    index = index_of(lab.user.get("/v2/services?index=0"))
    answer = held_now(core, lab.user, f"/v2/services?index={index}&wait=50s")
    core.sql("INSERT INTO entity (tenant_id, kind, name, version, doc, create_time) SELECT tenant_id, kind, name,"
             f" version+1, doc, create_time+1 FROM entity WHERE tenant_id='{lab.tenant}' AND kind='services' AND name='base'")
    assert index_of(answer.result(60)) != index
    assert [one["version"] for one in answer.result().json if one["name"] == "base"] == [2]


def test_many_held_lists_cost_what_one_costs(lab, core):
    """While nothing happens, and when something does, but for the answers."""
    index, asked = index_of(lab.user.get("/v2/services?index=0")), []
    for number in (1, 40):
        quiet = held_requests(core)
        answers = [held(lab.user, f"/v2/services?index={index}&wait=50s") for _ in range(number)]
        wait_for(lambda quiet=quiet, number=number: held_requests(core) >= quiet + number)
        asked.append(min(selects_of_a_while(core) for _ in range(3)))  # at first they look, each for itself
        assert lab.admin.put("/v2/services/zz", {**service("zz"), "label": str(number)}).status == 200
        found = {index_of(answer.result(60)) for answer in answers}
        assert len(found) == 1 and found != {index}
        index = found.pop()
    assert asked[1] < asked[0] + 40, asked  # others ask, too
