# SPDX-License-Identifier: Apache-2.0
"""Requests with an Idempotency-Key: once, whoever hears of it, and with the same answer."""

import concurrent.futures
import hashlib
import json

import pytest

from support import Stack
from support.api import Api
from support.lab import service
from support.wait import wait_for

TYPES = "/v2/hardwaretypes"


def send(who, path, body, key):
    """A POST that has a name."""
    return who.request("POST", path, body, {"Idempotency-Key": key})


def document(name):
    """A hardware type."""
    return {"name": name, "providermap": {}}


def said(answer):
    """What counts of an answer."""
    return answer.status, answer.headers.get("Location"), answer.body


def test_a_document_is_added_once(empty_lab):
    admin = empty_lab.admin
    first = send(admin, TYPES, document("x"), "add x")
    assert said(first) == (200, f"{TYPES}/x", b"")
    assert said(send(admin, TYPES, document("x"), "add x")) == said(first)
    assert admin.get(f"{TYPES}/x").json["version"] == 1
    assert admin.post(TYPES, document("x")).status == 409
    # what was done is done, even if it is gone again
    assert admin.delete(f"{TYPES}/x").status == 200
    assert said(send(admin, TYPES, document("x"), "add x")) == said(first)
    assert admin.get(f"{TYPES}/x").status == 404


def test_a_key_is_of_one_request(empty_lab):
    admin, key = empty_lab.admin, "one"
    assert send(admin, TYPES, document("x"), key).status == 200
    for path, body in ((TYPES, document("y")), ("/v2/imagetypes", document("x")), (TYPES, b" " + json.dumps(
            document("x")).encode()), ("/v2/import", {})):
        answer = admin.request("POST", path, body, {"Idempotency-Key": key, "Accept": "application/problem+json"})
        assert answer.status == 422 and "Idempotency-Key" in answer.json["detail"], (path, answer)
    assert admin.get(TYPES).json[0]["name"] == "x"
    # and of one user, of one tenant
    root = empty_lab.stack.api
    assert send(root, TYPES, document("y"), key).status == 200
    assert root.delete(f"{TYPES}/y").status == 200


def test_a_path_is_part_of_the_request(lab):
    first, second = lab.create("first"), lab.create("second")
    assert send(lab.user, f"/v2/clusters/{first}/abort", None, "abort").status == 200
    assert send(lab.user, f"/v2/clusters/{first}/abort", None, "abort").status == 200
    assert send(lab.user, f"/v2/clusters/{second}/abort", None, "abort").status == 422


def test_a_query_is_part_of_the_request(empty_lab):
    """What was done is not what would be done; and its report is said again."""
    admin, catalog = empty_lab.admin, {"services": [service(f"service-{number}") for number in range(400)]}
    first = send(admin, "/v2/import?report=true", catalog, "import")
    assert first.json["created"] == 400
    assert said(send(admin, "/v2/import?report=true", catalog, "import")) == said(first)
    for query in ("?dry_run=true", "?report=false", ""):
        assert send(admin, f"/v2/import{query}", catalog, "import").status == 422, query


def test_after_a_refusal_a_key_is_as_new(empty_lab):
    admin = empty_lab.admin
    assert admin.post(TYPES, document("x")).status == 200
    assert send(admin, TYPES, document("x"), "again").status == 409
    assert send(admin, TYPES, {"name": "x"}, "again").status == 400
    assert admin.delete(f"{TYPES}/x").status == 200
    assert send(admin, TYPES, document("x"), "again").status == 200


def test_an_operation_is_begun_once(lab):
    lab.worker()
    cluster = lab.create()
    lab.active(cluster)
    path = f"/v2/clusters/{cluster}/services/restart"
    first = send(lab.user, path, {}, "restart")
    assert first.status == 200, first
    jobs = [job["id"] for job in lab.user.get(f"/v2/clusters/{cluster}/plans").json]
    assert send(lab.user, path, {}, "restart").status == 200  # though it is busy
    lab.active(cluster)
    assert send(lab.user, path, {}, "restart").status == 200
    assert [job["id"] for job in lab.user.get(f"/v2/clusters/{cluster}/plans").json] == jobs
    assert send(lab.user, path, {"token": "1-x"}, "restart").status == 422


def test_many_at_once_do_it_once(lab):
    """Each is answered as the first one, or told that it is under way."""
    body = {"name": "one", "clusterTemplate": "one", "numMachines": 2}
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: send(lab.user, "/v2/clusters", body, "at once"), range(24)))
    busy = [answer for answer in answers if answer.status != 200]
    assert all(answer.status == 409 and answer.headers["Retry-After"] == "1" and "under way" in answer.text
               for answer in busy), busy
    assert len({said(answer) for answer in answers if answer.status == 200}) == 1
    assert len(lab.user.get("/v2/clusters").json) == 1


@pytest.fixture(scope="module")
def two():
    """Two copies of the API on one database; tokens say who asks."""
    with Stack("repeat", ("scheduler.request_keys_ms=60000",), auth="token") as stack:
        stack.up("mariadb", "zookeeper", "api", "api2", "scheduler")
        yield stack


def test_a_secret_is_kept_sealed(two):
    """A token is shown with its key again, and lies nowhere as it is."""
    root = two.api
    first = send(root, "/v2/tokens", {"name": "robot"}, "robot")
    assert first.status == 200, first
    again = send(root, "/v2/tokens", {"name": "robot"}, "robot")
    assert said(again) == said(first) and again.headers["Cache-Control"] == "no-store"
    assert Api(root.url, token=first.json["token"]).get("/v2/whoami").status == 200
    ((answer, sealed),) = two.sql("SELECT answer, sealed FROM request_key WHERE name='robot'")
    assert int(sealed) == 1 and first.json["token"] not in answer and first.json["id"] not in answer
    assert len([token for token in root.get("/v2/tokens").json if token["name"] == "robot"]) == 1


def test_while_it_is_under_way(two):
    """The copy that carries it out says so; at another one it comes to the same."""
    other = two.client("api2.external")
    body = document("held")
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        with two.held("keyed") as is_there:
            first = threads.submit(send, two.api, TYPES, body, "held")
            wait_for(is_there, 60, "the first")
            busy = send(two.api, TYPES, body, "held")
            assert busy.status == 409 and busy.headers["Retry-After"] == "1" and "under way" in busy.text
            second = threads.submit(send, other, TYPES, body, "held")
            assert not first.done() and not second.done()
        assert said(first.result()) == said(second.result()) == (200, f"{TYPES}/held", b"")
    assert two.api.get(f"{TYPES}/held").json["version"] == 1


def patiently(who, path, body, key):
    """Asked again as long as it is said that it may be."""
    def done():
        answer = send(who, path, body, key)
        return None if answer.status in (409, 503) and answer.headers["Retry-After"] else answer

    return wait_for(done, what=f"the end of {key}")


def test_copies_agree(two):
    """However many try at however many copies, it is done once."""
    copies = [two.api, two.client("api2.external")]
    for number in range(3):
        with concurrent.futures.ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(lambda n, number=number: patiently(
                copies[n % 2], "/v2/tokens", {"name": f"many{number}"}, f"many {number}"), range(6)))
        assert answers[0].status == 200 and len({said(answer) for answer in answers}) == 1
        assert len([token for token in two.api.get("/v2/tokens").json if token["name"] == f"many{number}"]) == 1


def test_it_outlives_whoever_did_it(two):
    first = send(two.client("api2.external"), "/v2/tokens", {"name": "last"}, "last")
    two.kill("api2")
    assert first.status == 200 and said(send(two.api, "/v2/tokens", {"name": "last"}, "last")) == said(first)
    two.start("api2")
    assert said(send(two.client("api2.external"), "/v2/tokens", {"name": "last"}, "last")) == said(first)


def test_what_an_older_service_kept(two):
    """It knows which cluster was made, and for which body."""
    good = {"name": "old", "clusterTemplate": "none", "numMachines": 1}
    body = json.dumps(good).encode()
    two.sql("INSERT INTO request_key (tenant_id, user, name, hash, cluster_id, create_time) VALUES ('superadmin',"
            f" 'admin', 'older', '{hashlib.blake2b(body, digest_size=32).hexdigest()}', 17, UNIX_TIMESTAMP()*1000)")
    answer = send(two.api, "/v2/clusters", body, "older")
    assert answer.status == 200 and answer.json == {"id": "00000017"}
    assert send(two.api, "/v2/clusters", {**good, "numMachines": 2}, "older").status == 422


def test_keys_are_forgotten_after_a_while(two):
    assert send(two.api, TYPES, document("old"), "old").status == 200
    two.sql("UPDATE request_key SET create_time=create_time-61000 WHERE name='old'")
    wait_for(lambda: not two.sql("SELECT 1 FROM request_key WHERE name='old'"), 60, "the key to be forgotten")
    assert send(two.api, TYPES, document("old"), "old").status == 409
