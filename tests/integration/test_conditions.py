# SPDX-License-Identifier: Apache-2.0
"""Changes that are made to the version that was seen or not at all, and readers who have it already."""

import concurrent.futures

import pytest

from support import Stack
from support.wait import wait_for

TYPES = "/v2/hardwaretypes"
STALE = '"0-0000000000000000"'


def document(text, name="x"):
    """A hardware type that says this."""
    return {"name": name, "description": text, "providermap": {}}


def put(who, text, **headers):
    """Write version after version of one document."""
    return who.request("PUT", f"{TYPES}/x", document(text), {key.replace("_", "-"): value
                                                             for key, value in headers.items()})


def tag(who, path=f"{TYPES}/x"):
    """The ETag of what there is."""
    answer = who.get(path)
    assert answer.status == 200, answer
    return answer.headers["ETag"]


@pytest.fixture
def admin(empty_lab):
    """The administrator of a tenant with one document."""
    assert empty_lab.admin.post(TYPES, document("first")).status == 200
    return empty_lab.admin


def test_a_change_of_the_version_that_was_seen(admin):
    first = tag(admin)
    assert put(admin, "second", If_Match=first).status == 200
    second = tag(admin)
    assert second != first and tag(admin, f"{TYPES}/x/1") == first and tag(admin, f"{TYPES}/x/2") == second
    answer = admin.request("PUT", f"{TYPES}/x", document("lost"), {"If-Match": first,
                                                                   "Accept": "application/problem+json"})
    assert answer.status == 412 and answer.json["status"] == 412 and "If-Match" in answer.json["detail"]
    assert put(admin, "lost", If_Match=f"{STALE}, {first}").status == 412
    assert put(admin, "lost", If_Match=f"W/{second}").status == 412  # weak ones are never the same
    assert admin.get(f"{TYPES}/x").json["description"] == "second"
    assert put(admin, "third", If_Match=f"{first}, {second}").status == 200
    assert put(admin, "fourth", If_Match="*").status == 200
    assert admin.get(f"{TYPES}/x").json["version"] == 4


def test_only_where_there_is_none(admin):
    assert put(admin, "lost", If_None_Match="*").status == 412
    assert admin.get(f"{TYPES}/x").json["version"] == 1
    new = document("new", "y")
    assert admin.request("PUT", f"{TYPES}/y", new, {"If-Match": "*"}).status == 412
    assert admin.get(f"{TYPES}/y").status == 404
    assert admin.request("PUT", f"{TYPES}/y", new, {"If-None-Match": "*"}).status == 200
    assert admin.get(f"{TYPES}/y").json["version"] == 1


def test_delete_what_was_seen(admin):
    first = tag(admin)
    assert put(admin, "second").status == 200
    assert admin.request("DELETE", f"{TYPES}/x", headers={"If-Match": first}).status == 412
    assert admin.request("DELETE", f"{TYPES}/x/1", headers={"If-Match": tag(admin)}).status == 412
    assert admin.request("DELETE", f"{TYPES}/x/1", headers={"If-Match": first}).status == 200
    assert admin.request("DELETE", f"{TYPES}/x", headers={"If-Match": tag(admin)}).status == 200
    assert admin.request("DELETE", f"{TYPES}/x", headers={"If-Match": "*"}).status == 412
    # what comes after it under the same name and number is another
    assert admin.post(TYPES, document("again")).status == 200
    assert tag(admin) != first and put(admin, "lost", If_Match=first).status == 412


def test_who_has_it_already(admin):
    seen = tag(admin)
    for text in (seen, f"W/{seen}", f"{STALE}, {seen}", "*"):
        answer = admin.request("GET", f"{TYPES}/x", headers={"If-None-Match": text})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", seen)
        assert admin.request("HEAD", f"{TYPES}/x", headers={"If-None-Match": text}).status == 304
    assert admin.request("GET", f"{TYPES}/x", headers={"If-None-Match": STALE}).status == 200
    assert admin.request("GET", f"{TYPES}/x", headers={"If-Match": STALE}).status == 412
    assert admin.request("GET", f"{TYPES}/y", headers={"If-None-Match": "*"}).status == 404
    assert put(admin, "second").status == 200
    assert admin.request("GET", f"{TYPES}/x", headers={"If-None-Match": seen}).json["version"] == 2


@pytest.mark.parametrize("text", ["1", '"1', '"1" "2"', '*, "1"', "", "W/"])
def test_what_is_no_tag(admin, text):
    for name in ("If-Match", "If-None-Match"):
        answer = admin.request("PUT", f"{TYPES}/x", document("lost"), {name: text})
        assert answer.status == 400 and name in answer.text
    assert admin.get(f"{TYPES}/x").json["version"] == 1


def test_of_many_with_one_tag_one_writes(admin):
    for _ in range(4):
        seen = tag(admin)
        before = admin.get(f"{TYPES}/x").json["version"]
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda number, seen=seen: put(admin, str(number), If_Match=seen).status,
                                       range(8)))
        assert sorted(answers) == [200] + [412] * 7
        assert admin.get(f"{TYPES}/x").json["version"] == before + 1


def test_a_write_beside_a_delete_is_not_lost(admin):
    """Whoever deletes has seen what he deletes: a version that came meanwhile stays."""
    for _ in range(12):
        admin.put(f"{TYPES}/x", document("seen"))
        seen = tag(admin)
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            deleting = threads.submit(admin.request, "DELETE", f"{TYPES}/x", None, {"If-Match": seen})
            writing = threads.submit(put, admin, "new")
        assert writing.result().status == 200
        assert deleting.result().status in (200, 412)
        assert admin.get(f"{TYPES}/x").json["description"] == "new"


def test_types_of_plugins(core, lab):
    """Everybody's, and the superadmin's to delete."""
    root = core.api
    path = "/v2/plugins/providertypes/testtype"
    seen = tag(lab.user, path)
    assert lab.user.request("GET", path, headers={"If-None-Match": seen}).status == 304
    assert root.request("DELETE", path, headers={"If-Match": STALE}).status == 412
    assert tag(lab.user, path) == seen


def test_clusters(lab):
    cluster = lab.create()
    path = f"/v2/clusters/{cluster}"
    wait_for(lambda: lab.user.get(f"{path}/plans").json[0]["stages"], 60, "a plan")
    seen = tag(lab.user, path)
    labels = {"labels": {"env": "test"}}
    assert lab.user.request("PUT", f"{path}/labels", labels, {"If-Match": STALE}).status == 412
    assert lab.user.request("PUT", f"{path}/labels", labels, {"If-Match": seen}).status == 200
    assert tag(lab.user, path) != seen
    assert lab.user.request("POST", path, {"expireTime": 0}, {"If-Match": seen}).status == 412
    answer = lab.user.request("DELETE", path, headers={"If-Match": seen})
    assert answer.status == 412 and cluster in answer.text
    assert lab.user.get(f"{path}/status").json["actionstatus"] == "running"
    now = tag(lab.user, path)
    assert lab.user.request("GET", path, headers={"If-None-Match": now}).status == 304
    assert lab.user.request("DELETE", path, headers={"If-Match": now}).status == 200


def test_where_a_version_must_be_named():
    with Stack("strict", ("api.require_if_match=yes",)) as stack:
        stack.up("mariadb", "zookeeper", "api")
        admin = stack.api
        answer = put(admin, "first")
        assert answer.status == 428 and "If-None-Match: *" in answer.text
        assert put(admin, "first", If_None_Match="*").status == 200
        assert put(admin, "second").status == 428
        assert admin.delete(f"{TYPES}/x").status == 428
        assert admin.get(f"{TYPES}/x").json["version"] == 1
        assert put(admin, "second", If_Match=tag(admin)).status == 200
        assert admin.post(TYPES, document("other", "y")).status == 200  # which is new or refused
        assert admin.request("DELETE", f"{TYPES}/x", headers={"If-Match": tag(admin)}).status == 200
