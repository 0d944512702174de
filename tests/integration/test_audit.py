# SPDX-License-Identifier: Apache-2.0
"""The audit log: who did what, who was refused what, and that nobody can change what it says."""

import http.client
import itertools
import os
import subprocess
import threading
import time

import pytest

from support import wait_for
from support.api import PASSWORD, bearer
from support.lab import CATALOG, make_tenants, service
from support.stack import CORE, ENVIRONMENT, build_dir


@pytest.fixture
def tenant(unused):
    """Name of one that nobody used yet."""
    return next(unused)[0]


def admin_of(stack, tenant):
    """The superadmin at work in a tenant."""
    return bearer(stack, stack.token(), **{"X-Loom-TenantID": tenant})


def member(stack, admin, name, role):
    """A user of the tenant, with a token."""
    assert admin.put(f"/v2/users/{name}", {"role": role, "password": PASSWORD}).status == 200
    return bearer(stack, admin.post("/v2/tokens", {"name": "t", "user": name}).json["token"])


def rows(client, **query):
    """Rows of the log, the newest first."""
    words = "&".join(f"{key}={value}" for key, value in query.items())
    answer = client.get(f"/v2/audit?{words}".replace(" ", "%20").replace("{", "%7B").replace("}", "%7D"))
    assert answer.status == 200, answer
    return answer.json


def load(admin):
    for kind, documents in CATALOG.items():
        for document in documents:
            assert admin.post(f"/v2/{kind}", document).status == 200


def create(client, name="demo", **more):
    answer = client.post("/v2/clusters", {"name": name, "clusterTemplate": "one", "numMachines": 1, **more})
    assert answer.status == 200, answer
    return answer.json["id"]


def refusals(client, least=1, **query):
    """Those of some kind, once there are so many, which is within a second or so."""
    return wait_for(lambda: (lambda found: found if sum(row["count"] for row in found) >= least else None)(
        rows(client, outcome="refused", **query)), 60, f"{least} refusals like {query}")


def test_a_document_is_told_as_it_was_and_as_it_is(guarded, tenant):
    admin = admin_of(guarded, tenant)
    small = {"name": "small", "providermap": {"lab": {"flavor": "m1"}}}
    assert admin.post("/v2/hardwaretypes", small).status == 200
    answer = admin.request("PUT", "/v2/hardwaretypes/small", {**small, "description": "new"},
                           {"X-Request-ID": "r-17", "X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    assert answer.status == 200
    assert admin.delete("/v2/hardwaretypes/small").status == 200
    deleted, put, post = rows(admin, object="hardwaretypes/small")
    assert [row["action"] for row in (post, put, deleted)] == [
        "POST /v2/hardwaretypes", "PUT /v2/hardwaretypes/{name}", "DELETE /v2/hardwaretypes/{name}"]
    assert "before" not in post and post["after"]["providermap"] == small["providermap"]
    assert put["before"]["version"] == 1 and "description" not in put["before"]
    assert put["after"]["description"] == "new"
    assert deleted["before"]["version"] == 2 and "after" not in deleted
    assert (put["request"], put["from"], put["outcome"], put["status"]) == ("r-17", "203.0.113.9", "done", 200)
    assert (put["user"], put["tenant"], put["home"], put["role"]) == ("admin", tenant, "superadmin", "admin")
    assert len(put["token"]) == 16 and post["from"] == "127.0.0.1"
    assert post["seq"] < put["seq"] < deleted["seq"] and post["time"] <= put["time"] <= deleted["time"]


def test_lines_of_proxies_are_one_list(guarded, tenant):
    """A trusted one may put its word behind those of others on a line of its own, as HAProxy does."""
    admin = admin_of(guarded, tenant)

    def ask(identity):
        connection = http.client.HTTPConnection("127.0.0.1", guarded.ports["api.external"], timeout=60)
        connection.putrequest("DELETE", "/v2/services/none")
        for name, value in (*identity.items(), ("X-Forwarded-For", "203.0.113.9"),
                            ("X-Forwarded-For", "198.51.100.7, 127.0.0.2"), ("X-Forwarded-For", "127.0.0.1")):
            connection.putheader(name, value)
        connection.endheaders()
        status = connection.getresponse().status
        connection.close()
        return status

    assert ask(admin.identity) == 200 and ask({}) == 401
    assert rows(admin, action="DELETE /v2/services/{name}")[0]["from"] == "198.51.100.7"
    refused = wait_for(lambda: rows(bearer(guarded, guarded.token()), outcome="refused", object="services/none"))
    assert {row["from"] for row in refused} == {"198.51.100.7"}


def test_what_is_secret_is_not_in_it(guarded, tenant):
    admin = admin_of(guarded, tenant)
    load(admin)
    assert admin.put("/v2/providers/lab", {"name": "lab", "providertype": "testtype", "provisioner": {
        "url": "http://x", "project": "p", "token": "Hush-Hush-1"}}).status == 200
    ann = member(guarded, admin, "ann", "user")
    create(ann, providerFields={"color": "red", "token": "Hush-Hush-2"})
    assert ann.put("/v2/password", {"old": PASSWORD, "new": PASSWORD + " 2"}).status == 200
    assert admin.put("/v2/callbacktargets/hook", {"url": "http://127.0.0.1:1/", "events": ["start"],
                                                  "secret": "Hush-Hush-3"}).status == 200
    assert bearer(guarded, None).post("/v2/login", {"tenant": tenant, "user": "ann",
                                                    "password": PASSWORD + " 2"}).status == 200
    found = rows(admin, limit=1000)
    assert {row["action"] for row in found} >= {
        "PUT /v2/providers/{name}", "POST /v2/clusters", "PUT /v2/password", "PUT /v2/callbacktargets/{name}",
        "POST /v2/tokens", "POST /v2/login", "PUT /v2/users/{name}"}
    stored = str(guarded.sql("SELECT * FROM audit") + guarded.sql("SELECT * FROM audit_new"))
    for secret in ("Hush-Hush", PASSWORD, "loom_"):
        assert secret not in stored
    assert "********" in stored


def test_a_clusters_life(guarded, tenant):
    admin = admin_of(guarded, tenant)
    load(admin)
    ann = member(guarded, admin, "ann", "user")
    cluster = create(ann)
    assert ann.put(f"/v2/clusters/{cluster}/labels", {"labels": {"env": "test"}}).status == 200
    assert ann.put(f"/v2/clusters/{cluster}/labels", {"labels": {"env": "live"}}).status == 200
    assert ann.post(f"/v2/clusters/{cluster}/pause").status == 200
    answer = ann.delete(f"/v2/clusters/{cluster}")
    assert answer.status == 200, answer
    found = rows(admin, object=f"clusters/{cluster}", user="ann")
    assert [row["action"].replace(" /v2/clusters", "") for row in reversed(found)][:4] == [
        "POST", "PUT/{id}/labels", "PUT/{id}/labels", "POST/{id}/pause"]
    made, first, second, paused = list(reversed(found))[:4]
    assert made["after"]["numMachines"] == 1 and made["role"] == "user"
    assert (first["before"], first["after"]) == ({}, {"env": "test"})
    assert (second["before"], second["after"]) == ({"env": "test"}, {"env": "live"})
    assert (paused["outcome"], paused["status"]) == ("asked", 202)
    assert any(row["action"].startswith("DELETE") for row in found)


def test_users_and_operations_and_nothing_twice(guarded, tenant):
    admin = admin_of(guarded, tenant)
    load(admin)
    ann = member(guarded, admin, "ann", "user")
    assert admin.put("/v2/users/ann", {"role": "auditor"}).status == 200
    newest = rows(admin, object="users/ann")[0]
    assert newest["before"]["role"] == "user" and newest["after"]["role"] == "auditor"
    assert admin.put("/v2/users/ann", {"role": "user"}).status == 200
    body = {"name": "once", "clusterTemplate": "one", "numMachines": 1}
    ids = {ann.request("POST", "/v2/clusters", body, {"Idempotency-Key": "k"}).json["id"] for _ in range(3)}
    assert len(ids) == 1
    assert len([row for row in rows(admin, object=f"clusters/{ids.pop()}") if "after" in row]) == 1


def test_refusals(guarded, tenant):
    admin = admin_of(guarded, tenant)
    load(admin)
    ann, bob = (member(guarded, admin, name, "user") for name in ("ann", "bob"))
    cluster = create(ann)
    assert bob.get(f"/v2/clusters/{cluster}").status == 404
    assert bob.post("/v2/providers", {}).status == 403
    assert admin.post("/v2/services", service("base")).status == 409
    refused = refusals(admin, 3)
    by_status = {row["status"]: row for row in refused}
    assert set(by_status) == {403, 404, 409}
    assert (by_status[404]["user"], by_status[404]["object"]) == ("bob", f"clusters/{cluster}")
    assert by_status[404]["action"] == "GET /v2/clusters/{id}" and by_status[404]["count"] == 1
    assert (by_status[403]["user"], by_status[403]["role"]) == ("bob", "user")
    assert by_status[409]["object"] == "services/base"
    nobody = bearer(guarded, None)
    assert nobody.post("/v2/login", {"tenant": tenant, "user": "ann", "password": "wrong wrong wrong"}).status == 401
    everything = bearer(guarded, guarded.token())
    assert refusals(everything, object=f"users/ann%20of%20{tenant}")[0]["status"] == 401
    assert bearer(guarded, "loom_" + "A" * 43).get("/v2/hardwaretypes/x1").status == 401
    assert refusals(everything, object="hardwaretypes/x1")[0]["action"] == "GET /v2/hardwaretypes/{name}"


def test_a_flood_is_counted_and_not_kept(guarded):
    everything = bearer(guarded, guarded.token())
    nobody = bearer(guarded, None)
    before = int(guarded.sql("SELECT COUNT(*) FROM audit")[0][0])
    sent = 400
    kinds = ("providers", "services", "hardwaretypes", "imagetypes")
    for number in range(sent):
        path = f"/v2/{kinds[number % 4]}/flood{number}" + ("/1" if number % 40 > 20 else "")
        answer = nobody.request(("GET", "DELETE")[number % 2], path,
                                headers={"X-Forwarded-For": f"203.0.113.{200 + number % 2}"})
        assert answer.status == 401
    wait_for(lambda: any("flood" in row.get("object", "") for row in rows(everything, outcome="refused")), 60,
             "the first of them")
    assert int(guarded.sql("SELECT COUNT(*) FROM audit")[0][0]) - before < 60


def test_who_sees_what(guarded, unused):
    (one, number), (other, _) = next(unused), next(unused)
    mine, theirs = admin_of(guarded, one), admin_of(guarded, other)
    eve, aud = member(guarded, mine, "eve", "admin"), member(guarded, mine, "aud", "auditor")
    ann = member(guarded, mine, "ann", "user")
    assert theirs.post("/v2/hardwaretypes", {"name": "theirs", "providermap": {}}).status == 200
    everything = bearer(guarded, guarded.token())
    assert ann.get("/v2/audit").status == 403 and ann.get("/v2/audit/verify").status == 403
    for who in (eve, aud):
        assert {row["tenant"] for row in rows(who, limit=1000)} == {one}
        assert not rows(who, object="hardwaretypes/theirs")
        assert {row["tenant"] for row in rows(who, tenant=other)} == {one}  # not theirs to ask
        assert who.get("/v2/audit/verify").json["intact"]
    assert {one, other} <= {row.get("tenant") for row in rows(everything, limit=1000)}
    assert {row["tenant"] for row in rows(everything, tenant=other)} == {other}
    guarded.sql(f"UPDATE tenant SET name='{one}-renamed' WHERE id='{number}'")
    assert rows(everything, tenant=number)  # by id, where the name is gone
    guarded.sql(f"UPDATE tenant SET name='{one}' WHERE id='{number}'")


def test_pages_and_filters(guarded, tenant):
    admin = admin_of(guarded, tenant)
    for number in range(25):
        assert admin.put(f"/v2/imagetypes/i{number}", {"name": f"i{number}", "providermap": {}}).status == 200
    path, got = "/v2/audit?limit=10&action=PUT%20/v2/imagetypes", []
    while path:
        answer = admin.get(path)
        assert answer.status == 200 and len(answer.json) <= 10
        got += answer.json
        link = answer.headers.get("Link")
        path = link.split(">")[0][1:] if link else None
    assert [row["object"] for row in got] == [f"imagetypes/i{number}" for number in reversed(range(25))]
    middle = got[12]["time"]
    assert all(row["time"] >= middle for row in rows(admin, since=middle))
    assert all(row["time"] < middle for row in rows(admin, until=middle))
    assert len(rows(admin, request=got[3]["request"])) == 1
    assert not rows(admin, user="nobody") and not rows(admin, action="PATCH")
    for bad in ("limit=0", "limit=1001", "limit=x", "since=-1", "after=7", "after=a.b", "outcome=maybe",
                "actor=admin", "user=a&user=b"):
        answer = admin.get(f"/v2/audit?{bad}")
        assert answer.status == 400 and bad.split("=", maxsplit=1)[0] in answer.text, answer
    assert admin.get("/v2/audit/verify?seq=1").status == 400


def loom(stack, *words):
    """The command line, as superadmin."""
    return subprocess.run([build_dir() / "bin/loom", *words], capture_output=True, text=True, timeout=60, check=False,
                          env={**ENVIRONMENT, "PATH": os.environ["PATH"], "LOOM_TOKEN": stack.token(),
                               "LOOM_URL": f"http://127.0.0.1:{stack.ports['api.external']}"})


@pytest.fixture
def small(new_stack):
    """A log of a few rows, to be tampered with."""
    made = new_stack(*CORE, name="tampered", auth="token")
    admin = bearer(made, made.token())
    for number in range(12):
        assert admin.put(f"/v2/imagetypes/i{number}", {"name": f"i{number}", "providermap": {}}).status == 200
    return made


def test_who_changes_it_is_found_out(small):
    admin = bearer(small, small.token())

    def verify():
        return admin.get("/v2/audit/verify").json

    whole = verify()
    assert whole["intact"] and whole["first"] == 1 and whole["rows"] == whole["last"] >= 12 and not whole["otherKeys"]
    tampered = [
        ("UPDATE audit SET user='mallory' WHERE seq=5", "UPDATE audit SET user='admin' WHERE seq=5", 5),
        ("UPDATE audit SET after_doc=NULL WHERE seq=3",
         f"UPDATE audit SET after_doc='{small.sql('SELECT after_doc FROM audit WHERE seq=3')[0][0]}' WHERE seq=3", 3),
        ("UPDATE audit SET time=time-1 WHERE seq=1", "UPDATE audit SET time=time+1 WHERE seq=1", 1),
        ("UPDATE audit SET seq=1000 WHERE seq=7", "UPDATE audit SET seq=7 WHERE seq=1000", 7),
        ("UPDATE audit SET seal=REPEAT('0',64) WHERE seq=4", None, 4)]
    for change, back, where in tampered:
        small.sql(change)
        found = verify()
        assert not found["intact"] and found["brokenAt"] == where and found["reason"], (change, found)
        if back:
            small.sql(back)
            assert verify()["intact"], back


def test_the_command(small):
    done = loom(small, "audit", "list", "--object", "imagetypes/i3")
    assert done.returncode == 0, done
    head, row = done.stdout.splitlines()
    assert head.split()[:3] == ["TIME", "USER", "TENANT"]
    assert " admin " in row and "PUT /v2/imagetypes/{name}" in row and row.split()[-3:] == ["done", "200", "1"]
    assert len(loom(small, "audit", "list", "--limit", "5", "--since", "2020-01-01T00:00Z").stdout.splitlines()) == 6
    assert not loom(small, "audit", "list", "--until", "2020-01-01T00:00Z").stdout.splitlines()[1:]
    done = loom(small, "audit", "verify")
    assert done.returncode == 0 and done.stdout.startswith("intact: "), done
    last, noted = done.stdout.split()[-2:]
    assert loom(small, "audit", "verify", "--seq", last, "--hash", noted).returncode == 0
    small.sql("UPDATE audit SET role='' WHERE seq=2")
    done = loom(small, "audit", "verify")
    assert done.returncode == 1 and "broken at row 2" in done.stderr, done


def test_what_is_cut_off_is_missed(small):
    admin = bearer(small, small.token())
    noted = admin.get("/v2/audit/verify").json
    assert admin.get(f"/v2/audit/verify?seq={noted['last']}&hash={noted['hash']}").json["intact"]
    small.sql(f"DELETE FROM audit WHERE seq={noted['last']}")
    found = admin.get("/v2/audit/verify").json
    assert not found["intact"] and found["brokenAt"] == noted["last"] and "end" in found["reason"]
    # whoever puts the counter back, too, is found out by what was noted
    small.sql(f"UPDATE counter SET value={noted['last'] - 1} WHERE name='audit'")
    assert admin.get("/v2/audit/verify").json["intact"]
    found = admin.get(f"/v2/audit/verify?seq={noted['last']}&hash={noted['hash']}").json
    assert not found["intact"] and found["brokenAt"] == noted["last"]
    small.sql("DELETE FROM audit WHERE seq<=3")
    found = admin.get("/v2/audit/verify").json
    assert not found["intact"] and found["brokenAt"] == 4 and "dropped" in found["reason"]


def test_old_rows_go_and_the_rest_stays_whole(new_stack):
    made = new_stack(*CORE, name="old", auth="token", settings=("api.audit_keep=1s",))
    admin = bearer(made, made.token())
    noted = admin.get("/v2/audit/verify").json
    for number in range(130):
        assert admin.put("/v2/imagetypes/one", {"name": "one", "label": str(number), "providermap": {}}).status == 200
    wait_for(lambda: admin.get("/v2/audit/verify").json["first"] > max(1, noted["last"]), 60, "old rows to go")
    found = admin.get("/v2/audit/verify").json
    assert found["intact"] and found["rows"] < 130
    dropped = rows(admin, action="drop old rows")[0]
    assert dropped["after"]["seq"] == found["first"] - 1 and dropped["after"]["rows"] >= 100
    made.sql(f"UPDATE audit SET after_doc=REPLACE(after_doc, '\"seq\":', '\"seq\":1') WHERE seq={dropped['seq']}")
    assert not admin.get("/v2/audit/verify").json["intact"]


def test_no_change_without_its_row_whatever_is_killed(new_stack):
    made = new_stack(*CORE, name="killed", auth="token")
    make_tenants(made)
    admin = bearer(made, made.token())
    load(admin)
    cluster = create(admin)
    stop, sent = threading.Event(), []

    def change(name):
        mine = bearer(made, made.token())
        for number in itertools.count():
            if stop.is_set():
                return
            if mine.put(f"/v2/clusters/{cluster}/labels", {"labels": {f"of-{name}": str(number)}}).ok:
                sent.append(1)
            else:
                time.sleep(0.05)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for least in (40, 80, 120):
        wait_for(lambda least=least: len(sent) > least, 60, "changes")
        made.restart("api")
    stop.set()
    for thread in threads:
        thread.join()
    assert admin.get("/v2/audit/verify").json["intact"]
    done = made.sql(f"SELECT COUNT(*) FROM event WHERE cluster_id={int(cluster)} AND type='labels'")
    told = made.sql("SELECT COUNT(*) FROM audit WHERE action='PUT /v2/clusters/{id}/labels' AND before_doc IS NOT NULL"
                    " AND before_doc<>after_doc")
    assert int(done[0][0]) == int(told[0][0]) >= 100


def test_switched_off(new_stack):
    made = new_stack(*CORE, name="silent", auth="token", settings=("api.audit=no",))
    admin = bearer(made, made.token())
    assert admin.put("/v2/imagetypes/one", {"name": "one", "providermap": {}}).status == 200
    assert bearer(made, None).get("/v2/imagetypes").status == 401
    assert admin.get("/v2/audit").json == []
    assert admin.get("/v2/audit/verify").json["intact"]
