# SPDX-License-Identifier: Apache-2.0
"""Files for plug-ins: uploaded, staged and synced by a tenant's administrator, fetched by provisioners."""

import concurrent.futures
import hashlib
import http.client
import json
import os
import random
import uuid

import pytest

from support import Stack, wait_for
from support.api import Api, Events
from support.lab import make_tenants
from support.lists import held_now, index_of, peak
from support.master import Master

MIB = 1 << 20
SCRIPTS = "/v2/plugins/automatortypes/shell/scripts"
KEYS = "/v2/plugins/providertypes/cloud/keys"
WAITING = ("SELECT info FROM information_schema.processlist WHERE command='Execute' AND time_ms > 100"
           " AND info LIKE '%plugin_content%FOR UPDATE'")
COPYING = f"{WAITING} AND info LIKE '%ORDER BY%'"


class Admin(Api):
    """The administrator of a tenant."""

    def __init__(self, core, tenant):
        super().__init__(core.api.url, "admin", tenant)
        self.tenant = tenant


@pytest.fixture(scope="module")
def core(thrifty):  # pylint: disable=unused-argument
    with Stack("resources", ("api.plugin_resource_mib=80", "api.plugin_resources_mib=120"), auth="headers") as made:
        made.up("mariadb", "zookeeper", "api", "scheduler")
        make_tenants(made)
        for kind, name, types in (
                ("automatortypes", "shell", {"scripts": {"format": "file", "permissions": "0755"},
                                             "archives": {"format": "archive"}}),
                ("providertypes", "cloud", {"keys": {"format": "file", "permissions": "0400"}})):
            answer = made.internal.put(f"/v2/plugins/{kind}/{name}", {"name": name, "resourceTypes": types})
            assert answer.status == 200, answer
        yield made


@pytest.fixture
def tenant(core):
    """That of a new tenant."""
    name = f"t{uuid.uuid4().hex[:8]}"
    assert core.api.put(f"/v2/tenants/{name}", {"tenant": {"name": name}}).status == 200
    return Admin(core, name)


def id_of(core, who):
    return core.sql(f"SELECT id FROM tenant WHERE name='{who.tenant}'")[0][0]


def shown(version, status="inactive", name="a.sh"):
    return {"name": name, "version": version, "status": status}


def statuses(who, path=SCRIPTS, name="a.sh"):
    return [one["status"] for one in who.get(f"{path}/{name}").json]


def upload(who, path, body):
    """As the original's uploader does, which says nothing of JSON."""
    answer = who.request("POST", path, body, {"Content-Type": "application/octet-stream"})
    assert answer.status == 200, answer
    return answer.json


def download(core, who, path, version, headers=None):
    return core.internal.request("GET", f"/v2/tenants/{id_of(core, who)}/{path.removeprefix('/v2/plugins/')}"
                                        f"/versions/{version}", None, headers or {})


def test_from_upload_to_provisioner(core, tenant):
    for other in core.api.get("/v2/provisioners").json:
        core.internal.delete(f"/v2/provisioners/{other['id']}")
    master = Master(core, f"master-{tenant.tenant}", 4)
    try:
        assert core.api.put(f"/v2/tenants/{tenant.tenant}", {"tenant": {
            "name": tenant.tenant, "workers": 2}}).status == 200
        given = "/v2/tenants/" + id_of(core, tenant)

        def told(active):
            scripts = {"scripts": {"format": "file", "permissions": "0755", "active": active}} if active else None
            want = {"automatortypes": {"shell": scripts} if scripts else {}, "providertypes": {}}
            wait_for(lambda: master.told and master.told[-1] == (given, {"workers": 2, "resources": want}), 60,
                     what=f"told {want}")

        told([])
        assert upload(tenant, f"{SCRIPTS}/a.sh", b"#!/bin/sh\n") == shown(1)
        assert upload(tenant, f"{SCRIPTS}/a.sh", b"#!/bin/bash\n") == shown(2)
        assert tenant.get(SCRIPTS).json == {"a.sh": [shown(1), shown(2)]}
        assert tenant.post(f"{SCRIPTS}/a.sh/versions/1/stage").status == 200
        assert tenant.post(f"{SCRIPTS}/a.sh/versions/1/stage").status == 200
        assert statuses(tenant) == ["staged", "inactive"]
        assert tenant.post("/v2/plugins/sync").status == 200
        told([{"name": "a.sh", "version": 1}])
        assert statuses(tenant) == ["active", "inactive"]
        assert tenant.post(f"{SCRIPTS}/a.sh/versions/2/stage").status == 200
        assert statuses(tenant) == ["recalled", "staged"]
        assert tenant.get(f"{SCRIPTS}?status=STAGED").json == {"a.sh": [shown(2, "staged")]}
        assert tenant.delete(f"{SCRIPTS}/a.sh").status == 409
        assert tenant.delete(f"{SCRIPTS}/a.sh/versions/1").status == 409
        assert tenant.post("/v2/plugins/sync").status == 200
        told([{"name": "a.sh", "version": 2}])
        assert download(core, tenant, f"{SCRIPTS}/a.sh", 2).body == b"#!/bin/bash\n"
        assert tenant.post(f"{SCRIPTS}/a.sh/versions/2/recall").status == 200
        assert tenant.post("/v2/plugins/sync").status == 200
        told([])
        assert statuses(tenant) == ["inactive", "inactive"]
        # the numbers of deleted versions are not used again
        assert tenant.delete(f"{SCRIPTS}/a.sh/versions/2").status == 200
        assert tenant.delete(f"{SCRIPTS}/a.sh/versions/2").status == 404
        assert tenant.delete(f"{SCRIPTS}/a.sh").status == 200 and tenant.delete(f"{SCRIPTS}/a.sh").status == 200
        assert tenant.get(f"{SCRIPTS}/a.sh").json == [] and tenant.get(SCRIPTS).json == {}
        assert upload(tenant, f"{SCRIPTS}/a.sh", b"") == shown(3)
        assert download(core, tenant, f"{SCRIPTS}/a.sh", 3).body == b""
        assert download(core, tenant, f"{SCRIPTS}/a.sh", 2).status == 404
    finally:
        core.api.put(f"/v2/tenants/{tenant.tenant}", {"tenant": {"name": tenant.tenant, "workers": 0}})
        master.close()


def test_a_damaged_type_keeps_no_other_tenant_from_being_told(core, tenant):
    """One tenant has files for it, and its provisioner cannot be told of them."""
    answer = core.internal.put("/v2/plugins/automatortypes/broken", {
        "name": "broken", "resourceTypes": {"scripts": {"format": "file"}}})
    assert answer.status == 200, answer
    scripts = "/v2/plugins/automatortypes/broken/scripts"
    assert upload(tenant, f"{scripts}/a.sh", b"a") == shown(1)
    assert tenant.post(f"{scripts}/a.sh/versions/1/stage").status == 200
    assert tenant.post("/v2/plugins/sync").status == 200
    other = f"t{uuid.uuid4().hex[:8]}"
    assert core.api.put(f"/v2/tenants/{other}", {"tenant": {"name": other}}).status == 200
    doc = "FROM entity WHERE kind='automatortypes' AND name='broken'"
    was = core.sql(f"SELECT TO_BASE64(doc) {doc}")[0][0].replace("\\n", "")
    master = Master(core, f"master-{tenant.tenant}", 4)

    def workers(name, number):
        assert core.api.put(f"/v2/tenants/{name}", {"tenant": {"name": name, "workers": number}}).status == 200

    def told(who):
        master.beat()  # silent, it would be dropped
        return any(path.endswith(id_of(core, Admin(core, who))) for path, _ in master.told)

    try:
        core.sql("UPDATE entity SET doc='[' WHERE kind='automatortypes' AND name='broken'")
        workers(tenant.tenant, 1)
        wait_for(lambda: core.sql("SELECT 1 FROM worker_share WHERE tries>0 AND tenant_id='"
                                  f"{id_of(core, tenant)}'"), 60, "a try")
        workers(other, 1)
        wait_for(lambda: told(other), 60, "the other one to be told")
        assert not told(tenant.tenant)
        core.sql(f"UPDATE entity SET doc=FROM_BASE64('{was}') WHERE kind='automatortypes' AND name='broken'")
        wait_for(lambda: told(tenant.tenant), 60, "this one to be told")
    finally:
        core.sql(f"UPDATE entity SET doc=FROM_BASE64('{was}') WHERE kind='automatortypes' AND name='broken'")
        for name in (tenant.tenant, other):
            workers(name, 0)
        master.close()


@pytest.mark.parametrize("method, path, status, words", [
    ("GET", "/v2/plugins/automatortypes/shell/nosuch", 404, "nosuch for automator plugin shell not found."),
    ("GET", "/v2/plugins/providertypes/noop/keys", 404, "keys for provider plugin noop not found."),
    ("GET", f"{SCRIPTS}?status=new", 400, "inactive, staged, active or recalled"),
    ("GET", f"{SCRIPTS}?limit=0", 400, "limit"),
    ("GET", f"{SCRIPTS}?after=a%20b", 400, "Link"),
    ("GET", f"{SCRIPTS}?limit=1&fields=name", 400, "fields"),
    ("GET", f"{SCRIPTS}/a?after=b", 400, "Link"),
    ("GET", f"{SCRIPTS}/a?sort=name", 400, "sort"),
    ("GET", f"{SCRIPTS}/a?status=new", 400, "inactive, staged, active or recalled"),
    ("POST", f"{SCRIPTS}/a%20b", 400, "letters, digits"),
    ("POST", "/v2/plugins/automatortypes/shell/nosuch/a", 404, "not found"),
    ("POST", f"{SCRIPTS}/a/versions/1/stage", 404, "a has no version 1"),
    ("POST", f"{SCRIPTS}/a/versions/x/stage", 400, "version"),
    ("POST", f"{SCRIPTS}/a/versions/0/recall", 400, "version"),
    ("DELETE", f"{SCRIPTS}/a/versions/1", 404, "a has no version 1"),
    ("DELETE", f"{SCRIPTS}/a/versions/-1", 400, "version"),
])
def test_what_is_wrong_is_said(tenant, method, path, status, words):
    answer = tenant.request(method, path, b"x" if method == "POST" else None)
    assert answer.status == status and words in answer.text, answer


def test_a_name_that_none_can_have(core, tenant):
    """The columns hold ASCII: another text is refused before it is compared with them."""
    for name in ("%C3%A9", "%F3%8A%9E%A3", "%FF", "a%20b"):
        for method, path in (("GET", ""), ("POST", ""), ("DELETE", "/versions/1"), ("POST", "/versions/1/stage"),
                             ("POST", "/versions/1/recall")):
            answer = tenant.request(method, f"{KEYS}/{name}{path}")
            assert (answer.status, "the name must be" in answer.text) == (400, True), (name, method, path, answer)
        for path in (f"{id_of(core, tenant)}/providertypes/cloud/keys/{name}", f"{name}/providertypes/cloud/keys/a",
                     f"superadmin/providertypes/{name}/keys/a", f"superadmin/providertypes/cloud/{name}/a"):
            answer = core.internal.get(f"/v2/tenants/{path}/versions/1")
            assert answer.status == 404, (path, answer)


def followed(who, path):
    """The answers of all pages."""
    answers = []
    while path:
        answer = who.get(path)
        assert answer.status == 200, answer
        answers.append(answer.json)
        link = answer.headers["Link"]
        path = link[1:link.index(">")] if link else None
    return answers


def test_lists_come_in_pages(tenant):
    """Of names with all their versions, and of versions; of those that are so, when only they are wanted."""
    for name, versions in (("a", 1), ("b", 3), ("c", 1), ("d", 2)):
        for _ in range(versions):
            upload(tenant, f"{SCRIPTS}/{name}", b"x")
    assert tenant.post(f"{SCRIPTS}/b/versions/2/stage").status == 200
    assert tenant.post(f"{SCRIPTS}/d/versions/1/stage").status == 200
    whole = tenant.get(SCRIPTS)
    assert list(whole.json) == ["a", "b", "c", "d"] and not whole.headers["Link"]
    assert [one["version"] for one in whole.json["b"]] == [1, 2, 3]
    found = followed(tenant, f"{SCRIPTS}?limit=2")
    assert [list(page) for page in found] == [["a", "b"], ["c", "d"]]
    assert {**found[0], **found[1]} == whole.json
    assert [list(page) for page in followed(tenant, f"{SCRIPTS}?limit=3&sort=-name")] == [["d", "c", "b"], ["a"]]
    assert followed(tenant, f"{SCRIPTS}?limit=1&status=Staged") == [
        {"b": [shown(2, "staged", "b")]}, {"d": [shown(1, "staged", "d")]}]
    assert tenant.get(f"{SCRIPTS}?limit=2&status=active").json == {}
    versions = followed(tenant, f"{SCRIPTS}/b?limit=2")
    assert versions == [whole.json["b"][:2], whole.json["b"][2:]]
    assert followed(tenant, f"{SCRIPTS}/b?limit=2&sort=-version&fields=version") == [
        [{"version": 3}, {"version": 2}], [{"version": 1}]]
    assert tenant.get(f"{SCRIPTS}/b?status=inactive&limit=1").json == [shown(1, name="b")]


def test_whose_they_are(core, tenant):
    upload(tenant, f"{KEYS}/id", b"secret")
    assert Api(core.api.url, "ann", tenant.tenant).get(KEYS).status == 403
    assert Api(core.api.url, "ann", tenant.tenant).post(f"{KEYS}/id", b"x").status == 403
    other = Admin(core, "t1")
    assert other.get(f"{KEYS}/id").json == [] and other.post(f"{KEYS}/id/versions/1/stage").status == 404
    assert other.delete(f"{KEYS}/id/versions/1").status == 404
    assert download(core, other, f"{KEYS}/id", 1).status == 404
    assert download(core, tenant, f"{KEYS}/id", 1).body == b"secret"
    for version, status in (("x", 400), ("0", 400), ("2", 404)):
        assert download(core, tenant, f"{KEYS}/id", version).status == status
    assert download(core, tenant, f"{SCRIPTS}/id", 1).status == 404


def connect(core):
    return http.client.HTTPConnection(*core.api.url.removeprefix("http://").split(":"), timeout=60)


def send(connection, who, path, headers, body):
    connection.request("POST", path, body, {**who.identity, **headers},
                       encode_chunked="Transfer-Encoding" in headers)


def test_large_ones_take_the_memory_of_a_piece(core, tenant):
    whole = random.Random(1).randbytes(MIB) * 40 + b"the end"
    upload(tenant, f"{SCRIPTS}/a.sh", b"warm")
    before = peak(core)
    connection = connect(core)
    send(connection, tenant, f"{SCRIPTS}/big", {"Transfer-Encoding": "chunked"},
         (whole[at:at + 300001] for at in range(0, len(whole), 300001)))
    answer = connection.getresponse()
    assert answer.status == 200 and json.loads(answer.read()) == shown(1, name="big")
    connection.close()
    answer = download(core, tenant, f"{SCRIPTS}/big", 1)
    assert answer.body == whole
    assert answer.headers["ETag"] == f'"{hashlib.sha256(whole).hexdigest()}"'
    assert peak(core) - before < 20 * MIB
    size = len(whole)
    for spec, first, last in (("0-0", 0, 0), ("262143-262144", 262143, 262144), (f"{size - 3}-", size - 3, size - 1),
                              ("-7", size - 7, size - 1), (f"5-{size * 2}", 5, size - 1)):
        part = download(core, tenant, f"{SCRIPTS}/big", 1, {"Range": f"bytes={spec}"})
        assert (part.status, part.headers["Content-Range"]) == (206, f"bytes {first}-{last}/{size}"), spec
        assert part.body == whole[first:last + 1], spec
    for spec in (f"{size}-", "-0"):
        part = download(core, tenant, f"{SCRIPTS}/big", 1, {"Range": f"bytes={spec}"})
        assert (part.status, part.headers["Content-Range"]) == (416, f"bytes */{size}"), spec
    for spec in ("bytes=0-1,4-5", "bytes=x-", "lines=1-2", "bytes=5-4"):
        assert download(core, tenant, f"{SCRIPTS}/big", 1, {"Range": spec}).status == 200, spec
    # who goes on with what he had of another file
    for tag, status in ((answer.headers["ETag"], 206), ('"another"', 200), ("Tue, 01 Dec 2026 00:00:00 GMT", 200)):
        part = download(core, tenant, f"{SCRIPTS}/big", 1, {"Range": "bytes=5-", "If-Range": tag})
        assert (part.status, part.body) == (status, whole[5:] if status == 206 else whole), tag


def test_limits(core, tenant):
    connection = connect(core)
    send(connection, tenant, f"{SCRIPTS}/a.sh", {"Content-Length": str(80 * MIB + 1), "Expect": "100-continue"}, b"")
    assert connection.getresponse().status == 413
    connection.close()
    block = bytes(61 * MIB)
    upload(tenant, f"{SCRIPTS}/a.sh", block)
    answer = tenant.request("POST", f"{SCRIPTS}/a.sh", block)
    assert answer.status == 413 and "120 MiB together" in answer.text, answer
    assert statuses(tenant) == ["inactive"]


def begun(core, tenant, name):
    """An upload of which a piece is there."""
    connection = connect(core)
    connection.putrequest("POST", f"{SCRIPTS}/{name}")
    for key, value in {**tenant.identity, "Content-Length": str(2 * MIB)}.items():
        connection.putheader(key, value)
    connection.endheaders(bytes(MIB))
    wait_for(lambda: core.sql(f"""SELECT 1 FROM plugin_resource r JOIN plugin_content c ON c.id=r.content
        WHERE r.tenant_id='{id_of(core, tenant)}' AND r.name='{name}' AND c.size>0"""), 60, what="a piece")
    return connection


def test_broken_off_is_as_never_begun(core, tenant):
    connection = begun(core, tenant, "half")
    assert [one["status"] for one in tenant.get(f"{SCRIPTS}/half").json] == ["inactive"]
    assert tenant.post(f"{SCRIPTS}/half/versions/1/stage").status == 404
    assert download(core, tenant, f"{SCRIPTS}/half", 1).status == 404
    connection.close()
    wait_for(lambda: tenant.get(f"{SCRIPTS}/half").json == [], 60, what="gone")
    assert upload(tenant, f"{SCRIPTS}/half", b"whole") == shown(1, name="half")
    assert tenant.delete(f"{SCRIPTS}/half").status == 200


def test_deleted_while_it_comes_in(core, tenant):
    connection = begun(core, tenant, "half")
    assert tenant.delete(f"{SCRIPTS}/half/versions/1").status == 200
    connection.send(bytes(MIB))
    answer = connection.getresponse()
    assert answer.status == 409 and b"deleted while it came in" in answer.read()
    connection.close()
    assert tenant.get(f"{SCRIPTS}/half").json == []


def test_killed_in_the_middle(core, tenant):
    connection = begun(core, tenant, "half")
    core.kill("api")
    core.start("api")
    connection.close()
    assert [one["status"] for one in tenant.get(f"{SCRIPTS}/half").json] == ["inactive"]
    # a minute later, without waiting for it
    core.sql("UPDATE plugin_content SET alive_until=0 WHERE state='coming'")
    wait_for(lambda: tenant.get(f"{SCRIPTS}/half").json == [], 60, what="ended by the janitor")


def test_sent_again_under_its_key(tenant):
    key = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/octet-stream"}
    first, again = (tenant.request("POST", f"{SCRIPTS}/a.sh", b"once", key) for _ in range(2))
    assert first.json == again.json == shown(1)
    assert statuses(tenant) == ["inactive"]
    for path, body in (("a.sh", b"other"), ("a.sh", b""), ("b.sh", b"once")):
        answer = tenant.request("POST", f"{SCRIPTS}/{path}", body, key)
        assert answer.status == 422 and "Idempotency-Key" in answer.text, answer
    assert tenant.request("POST", f"{SCRIPTS}/a.sh", b"once", key).json == shown(1)
    assert statuses(tenant) == ["inactive"] and tenant.get(f"{SCRIPTS}/b.sh").json == []


def test_a_large_file_is_compared_by_all_its_bytes(core, tenant):
    key = {"Idempotency-Key": uuid.uuid4().hex, "Content-Type": "application/octet-stream"}
    body = bytearray(os.urandom(3 << 20))
    assert tenant.request("POST", f"{SCRIPTS}/a.sh", bytes(body), key).json == shown(1)
    assert tenant.request("POST", f"{SCRIPTS}/a.sh", bytes(body), key).json == shown(1)
    body[-1] ^= 1
    assert tenant.request("POST", f"{SCRIPTS}/a.sh", bytes(body), key).status == 422
    assert statuses(tenant) == ["inactive"]
    assert core.sql("SELECT COUNT(*) FROM plugin_content WHERE state='coming'") == [["0"]]


def test_a_new_tenant_begins_with_those_of_superadmin(core):
    body = os.urandom(300000)
    name, fresh = f"k{uuid.uuid4().hex[:6]}", f"t{uuid.uuid4().hex[:8]}"
    upload(core.api, f"{KEYS}/{name}", body)
    assert core.api.post(f"{KEYS}/{name}/versions/1/stage").status == 200
    assert core.api.post("/v2/tenants", {"tenant": {"name": fresh}, "bootstrap": True}).status == 200
    who = Admin(core, fresh)
    assert who.get(f"{KEYS}/{name}").json == [shown(1, "staged", name)]
    # each has its own: what one deletes the other keeps, and the last one takes it along
    assert core.api.post(f"{KEYS}/{name}/versions/1/recall").status == 200
    assert core.api.delete(f"{KEYS}/{name}").status == 200
    assert download(core, who, f"{KEYS}/{name}", 1).body == body
    content = core.sql(f"SELECT content FROM plugin_resource WHERE name='{name}' AND NOT deleted")[0][0]
    assert core.api.delete(f"/v2/tenants/{fresh}").status == 200
    wait_for(lambda: not core.sql(f"SELECT 1 FROM plugin_content WHERE id='{content}'"), 60, what="deleted")
    assert not core.sql(f"SELECT 1 FROM plugin_piece WHERE content='{content}'")


def test_what_is_deleted_while_another_tenant_copies_it_stays(core):
    """The last one of a content deletes it, and whoever is copying it right then is not passed over."""
    name, fresh = f"k{uuid.uuid4().hex[:6]}", f"t{uuid.uuid4().hex[:8]}"
    upload(core.api, f"{KEYS}/{name}", b"shared")
    content = core.sql(f"SELECT content FROM plugin_resource WHERE name='{name}'")[0][0]
    with concurrent.futures.ThreadPoolExecutor(2) as both:
        with core.locked(f"FROM plugin_content WHERE id='{content}'"):
            made = both.submit(core.api.post, "/v2/tenants", {"tenant": {"name": fresh}, "bootstrap": True})
            wait_for(lambda: core.sql(COPYING), 60, what="the copy to wait for the content")
            gone = both.submit(core.api.delete, f"{KEYS}/{name}")
            wait_for(lambda: len(core.sql(WAITING)) > 1, 60, what="the deletion to wait as well")
        assert made.result().status == gone.result().status == 200
    assert core.api.get(f"{KEYS}/{name}").json == []
    assert download(core, Admin(core, fresh), f"{KEYS}/{name}", 1).body == b"shared"
    assert core.sql(f"SELECT state FROM plugin_content WHERE id='{content}'") == [["whole"]]
    assert core.api.delete(f"/v2/tenants/{fresh}").status == 200


def raw_download(core, who, path, port="api.internal"):
    """A connection and its answer, of which nothing is read yet."""
    connection = http.client.HTTPConnection("127.0.0.1", core.ports[port], timeout=60)
    connection.request("GET", f"/v2/tenants/{id_of(core, who)}/{path.removeprefix('/v2/plugins/')}/versions/1")
    return connection, connection.getresponse()


def test_one_that_cannot_be_read_to_its_end_is_seen_to_be_cut(core, tenant):
    """What comes next on the connection would be taken for the rest of it."""
    upload(tenant, f"{SCRIPTS}/cut", bytes(MIB))
    content = core.sql(f"SELECT content FROM plugin_resource WHERE tenant_id='{id_of(core, tenant)}' AND name='cut'")[0][0]
    core.sql(f"UPDATE plugin_piece SET data=CONCAT('x', SUBSTRING(data, 2)), seal_key=IF(seal_key='', 'none', seal_key)"
             f" WHERE content='{content}' AND num=2")
    connection, answer = raw_download(core, tenant, f"{SCRIPTS}/cut")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(MIB))
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert 0 < len(cut.value.partial) < MIB
    connection.close()


def test_what_is_refused_is_as_long_as_it_says(core, tenant):
    upload(tenant, f"{SCRIPTS}/a.sh", bytes(MIB))
    core.start("api2", settings=("api2.tenant_held=1",))
    try:
        with Events(core.client("api2.external", "admin", tenant.tenant), "/v2/clusters/events"):
            connection, answer = raw_download(core, tenant, f"{SCRIPTS}/a.sh", "api2.internal")
            assert answer.status == 429 and "ETag" not in answer.headers
            words = answer.read()
            assert len(words) == int(answer.headers["Content-Length"]) and b"tenant_held" in words
            connection.request("GET", "/livez")  # the connection is good for more
            assert connection.getresponse().status == 200
            connection.close()
    finally:
        core.stop("api2")


def test_lists_are_held_until_they_change(core, tenant):
    """By notices, and by nothing else."""
    core.stop("api")
    core.start("api", settings=["api.poll_ms=60s"])
    try:
        upload(tenant, f"{SCRIPTS}/a", b"x")
        steps = (lambda: upload(tenant, f"{SCRIPTS}/a", b"y"), lambda: tenant.post(f"{SCRIPTS}/a/versions/1/stage"),
                 lambda: tenant.post("/v2/plugins/sync"), lambda: tenant.delete(f"{SCRIPTS}/a/versions/2"))
        other = held_now(core, tenant, f"{SCRIPTS}/b?index={index_of(tenant.get(f'{SCRIPTS}/b?index=0'))}&wait=50s")
        for step in steps:
            held = {path: (index := index_of(tenant.get(f"{path}?index=0")),
                           held_now(core, tenant, f"{path}?index={index}&wait=50s")) for path in (SCRIPTS, f"{SCRIPTS}/a")}
            step()
            for path, (index, answer) in held.items():
                assert index_of(answer.result(60)) != index and answer.result().json == tenant.get(path).json
        assert not other.done()
        upload(tenant, f"{SCRIPTS}/b", b"x")
        assert other.result(60).json == [shown(1, name="b")]
    finally:
        core.stop("api")
        core.start("api", settings=["api.poll_ms=2s"])
