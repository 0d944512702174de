# SPDX-License-Identifier: Apache-2.0
"""The administrators' documents: stored as new versions, checked, guarded by roles."""

import concurrent.futures
import json

import pytest

from support.lab import AUTOMATOR_TYPE, CATALOG, PROVIDER_TYPE, service

KINDS = ("providers", "hardwaretypes", "imagetypes", "services", "clustertemplates", "partialtemplates")
SAMPLES = {
    "providers": {"name": "x-1", "description": "d", "label": "L", "icon": "i", "providertype": "testtype",
                  "provisioner": {"user": "ops", "nested": {"a": [1, True, None, 2.5]}}},
    "hardwaretypes": {"name": "x-1", "providermap": {"lab": {"flavor": "m1.small", "other": "o"}}},
    "imagetypes": {"name": "x-1", "providermap": {"lab": {"image": "img", "sshuser": "debian"}}},
    "services": CATALOG["services"][1] | {"name": "x-1", "links": [{"label": "l", "url": "http://%host.self%"}]},
    "clustertemplates": CATALOG["clustertemplates"][2] | {"name": "x-1"},
    "partialtemplates": {"name": "x-1", "immutable": True, "defaults": {"services": ["a"], "config": {"k": 1}}},
}


@pytest.fixture
def admin(empty_lab):
    """The administrator of an empty tenant."""
    return empty_lab.admin


def contains(whole, part):
    """Whether all that part says is in whole, in its nested objects too."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], value)
                                               for key, value in part.items())
    return whole == part


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_and_versions(admin, empty_lab, kind):
    path, document = f"/v2/{kind}", SAMPLES[kind]
    assert admin.get(path).json == []
    answer = admin.post(path, document)
    assert answer.status == 200 and answer.body == b"" and answer.headers["Content-Length"] == "0"
    stored = admin.get(f"{path}/x-1")
    assert stored.status == 200 and stored.headers["Content-Type"] == "application/json"
    assert stored.json["version"] == 1 and contains(stored.json, document), stored.json
    assert admin.get(path).json == [stored.json]
    # what came out goes in again, as a new version; its own version number is ignored
    assert admin.put(f"{path}/x-1", {**stored.json, "version": 77, "description": "second"}).status == 200
    second = admin.get(f"{path}/x-1").json
    assert second == {**stored.json, "version": 2, "description": "second"}
    assert admin.get(f"{path}/x-1/1").json == stored.json
    assert admin.get(f"{path}/x-1/2").json == second
    assert admin.get(path).json == [second]
    answer = admin.post(path, document)
    assert answer.status == 409 and "x-1" in answer.text
    # any user of the tenant reads it, nobody else
    assert empty_lab.user.get(f"{path}/x-1").json == second
    assert empty_lab.stack.api.get(f"{path}/x-1").status == 404
    # deleting the highest frees its number
    assert admin.delete(f"{path}/x-1/2").status == 200
    assert admin.get(f"{path}/x-1").json == stored.json
    assert admin.put(f"{path}/x-1", document).status == 200
    assert admin.get(f"{path}/x-1").json["version"] == 2
    answer = admin.delete(f"{path}/x-1")
    assert answer.status == 200 and answer.body == b""
    for gone in (f"{path}/x-1", f"{path}/x-1/1"):
        assert admin.get(gone).status == 404
    assert admin.delete(f"{path}/x-1").status == 200
    assert admin.delete(f"{path}/x-1/5").status == 200
    assert admin.get(path).json == []


def test_put_creates_and_trailing_slash_is_ignored(admin):
    assert admin.put("/v2/providers/x-1/", SAMPLES["providers"]).status == 200
    assert admin.get("/v2/providers/").json[0]["version"] == 1
    assert admin.get("/v2/providers/x-1/").status == 200


def test_name_in_path_and_body(admin):
    answer = admin.put("/v2/providers/other", SAMPLES["providers"])
    assert answer.status == 400 and "name" in answer.text and "other" in answer.text
    assert admin.get("/v2/providers").json == []


@pytest.mark.parametrize("version", ["0", "-1", "x", "1.5", "99999999999999999999"])
def test_bad_version(admin, version):
    assert admin.get(f"/v2/services/x/{version}").status == 400
    assert admin.delete(f"/v2/services/x/{version}").status == 400


def test_names(admin):
    for name in ("a", "A.b_c-9", "x" * 255):
        assert admin.post("/v2/imagetypes", {"name": name, "providermap": {}}).status == 200
        assert admin.get(f"/v2/imagetypes/{name}").json["name"] == name
    for name in ("", "a b", "a/b", "\u00e4", "x" * 256, "a\n", None, {}, [], "%41"):
        answer = admin.post("/v2/imagetypes", {"name": name, "providermap": {}})
        assert answer.status == 400 and "name" in answer.text, name
    for path in ("%ff%fe", "%00", "..", "%2e%2e%2fx", "a%20b"):
        assert admin.get(f"/v2/imagetypes/{path}").status in (400, 404), path
        assert admin.put(f"/v2/imagetypes/{path}", {"name": "x", "providermap": {}}).status in (400, 404)


def test_names_differ_by_case(admin):
    for name in ("Web", "web"):
        assert admin.post("/v2/hardwaretypes", {"name": name, "providermap": {}}).status == 200
    assert [entry["name"] for entry in admin.get("/v2/hardwaretypes").json] == ["Web", "web"]


# ---- identity


def test_identity(core, empty_lab):
    anonymous = core.client("api.external", user=None)
    path, tenant = "/v2/providers", empty_lab.name
    for headers, status in (({}, 401), ({"X-Loom-UserID": "ann"}, 401), ({"X-Loom-TenantID": tenant}, 401),
                            ({"X-Loom-UserID": "", "X-Loom-TenantID": tenant}, 401),
                            ({"X-Loom-UserID": "ann", "X-Loom-TenantID": "nobody"}, 404),
                            ({"X-Loom-UserID": "ann", "X-Loom-TenantID": empty_lab.tenant}, 404),
                            ({"X-Loom-UserID": "x" * 256, "X-Loom-TenantID": tenant}, 401),
                            ({"X-Loom-UserID": b"\xff\xfe", "X-Loom-TenantID": tenant}, 401),
                            ({"X-Loom-UserID": "ann", "X-Loom-TenantID": b"\xff\xfe"}, 404),
                            ({"X-Loom-UserID": "ann", "X-Loom-TenantID": tenant}, 200),
                            ({"x-loom-userid": "ann", "x-loom-tenantid": tenant}, 200),
                            ({"X-Loom-Userid": "ann", "X-LOOM-TENANTID": tenant}, 200),
                            ({"Coopr-UserID": "ann", "Coopr-TenantID": tenant}, 200),
                            ({"Coopr-Userid": "ann", "Coopr-Tenantid": tenant, "Coopr-ApiKey": "k"}, 200),
                            ({"coopr-userid": "ann", "X-Loom-TenantID": tenant}, 200),
                            ({"X-Loom-UserID": "\u00e4".encode(), "X-Loom-TenantID": tenant}, 200)):
        assert anonymous.get(path, headers=headers).status == status, headers


@pytest.mark.parametrize("kind", KINDS)
def test_only_administrators_write(empty_lab, kind):
    user, path = empty_lab.user, f"/v2/{kind}"
    # the role is checked before the body
    assert user.post(path, "garbage").status == 403
    assert user.put(f"{path}/x-1", SAMPLES[kind]).status == 403
    assert user.delete(f"{path}/x-1").status == 403
    assert user.delete(f"{path}/x-1/1").status == 403
    assert empty_lab.admin.as_user("Admin", empty_lab.name).post(path, SAMPLES[kind]).status == 403
    assert empty_lab.admin.get(path).json == []


def test_status_needs_no_identity(core):
    answer = core.client("api.external", user=None).get("/status")
    assert answer.status == 200 and answer.text == "OK\n"
    assert core.internal.get("/status").status == 404


# ---- bodies


def test_bodies(admin):
    document = json.dumps(SAMPLES["providers"])
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert admin.post("/v2/providers", document, headers=form).status == 200
    assert admin.put("/v2/providers/x-1", document, headers={"Content-Type": "text/x"}).status == 200
    answer = admin.post("/v2/providers", '{\n  "name": "y",\n  "providertype" "t"}')
    assert answer.status == 400 and "line 3" in answer.text and "column" in answer.text
    for body in ("", "null", "[]", "7", '"x"', "{", '{"name":"y","providertype":"t"} x', '{"name":"y","name":"z"}',
                 b'{"name":"\xff"}', '{"name":"y","providertype":"t","provisioner":{"a":1,"a":2}}'):
        assert admin.post("/v2/providers", body).status == 400, body
    deep = "[" * 60 + "]" * 60
    answer = admin.post("/v2/providers", '{"name":"y","providertype":"t","provisioner":{"a":' + deep + "}}")
    assert answer.status == 400 and "deep" in answer.text
    large = {"name": "y", "providertype": "t", "provisioner": {"a": "x" * (5 << 20)}}
    assert admin.post("/v2/providers", large).status in (0, 413)
    large["provisioner"]["a"] = "x" * (1 << 20)
    answer = admin.post("/v2/providers", large)
    assert answer.status == 413 and "1048576" in answer.text
    large["provisioner"]["a"] = "x" * (512 << 10)
    answer = admin.post("/v2/providers", large)
    assert answer.status == 400 and "at most 524288" in answer.text
    large["provisioner"]["a"] = "x" * (300 << 10)
    large["description"] = "y" * 200000
    assert admin.post("/v2/providers", large).status == 200
    assert admin.get("/v2/providers/y").json["provisioner"] == large["provisioner"]
    many = [[]] * 100000
    answer = admin.post("/v2/providers", {"name": "z", "providertype": "t", "provisioner": {"a": many}})
    assert answer.status == 400 and "more than 100000 values" in answer.text


def test_chunked_body(admin):
    def pieces():
        for start in range(0, len(document), 7):
            yield document[start:start + 7]

    document = json.dumps(SAMPLES["imagetypes"]).encode()
    connection, _ = admin.connect()
    connection.request("POST", "/v2/imagetypes", pieces(), admin.identity, encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    assert admin.get("/v2/imagetypes/x-1").status == 200


def test_scalars_convert_and_unknown_fields_are_dropped(admin):
    assert admin.post("/v2/clustertemplates", {
        "name": 7, "classname": "Java", "version": "3",
        "constraints": {"size": {"min": "2", "max": "9"}, "services": {"a": {"quantities": {"min": "1"}}}},
        "administration": {"leaseduration": {"initial": "1h", "max": 7200000, "step": "60s"}}}).status == 200
    stored = admin.get("/v2/clustertemplates/7").json
    assert "classname" not in stored and stored["name"] == "7" and stored["version"] == 1
    assert stored["constraints"]["size"] == {"min": 2, "max": 9}
    assert stored["constraints"]["services"]["a"]["quantities"] == {"min": 1, "max": 2147483647}
    assert stored["administration"]["leaseduration"] == {"initial": 3600000, "max": 7200000, "step": 60000}


@pytest.mark.parametrize("kind, wrong, field", [
    ("providers", {"providertype": None}, "providertype"),
    ("providers", {"provisioner": []}, "provisioner"),
    ("hardwaretypes", {"providermap": None}, "providermap"),
    ("hardwaretypes", {"providermap": {"lab": "small"}}, "providermap.lab"),
    ("imagetypes", {"providermap": {"lab": {"image": {}}}}, "providermap.lab.image"),
    ("imagetypes", {"providermap": {"lab": {"sshuser": "x" * 65}}}, "providermap.lab.sshuser"),
    ("services", {"dependencies": {"provides": []}}, "dependencies.conflicts"),
    ("services", {"dependencies": {"provides": [], "conflicts": [], "install": []}}, "dependencies.install"),
    ("services", {"provisioner": {}}, "provisioner.actions"),
    ("services", {"provisioner": {"actions": {"INSTALL": {"type": "shell"}}}}, "INSTALL"),
    ("services", {"provisioner": {"actions": {"install": {}}}}, "provisioner.actions.install.type"),
    ("services", {"provisioner": {"actions": {"install": {"type": "shell", "fields": {"a": {}}}}}}, "fields.a"),
    ("services", {"links": [{"label": "l"}]}, "links[0].url"),
    ("clustertemplates", {"defaults": {"services": [7.5, {}]}}, "defaults.services[1]"),
    ("clustertemplates", {"constraints": {"size": {"min": 0}}}, "constraints.size.min"),
    ("clustertemplates", {"constraints": {"size": {"min": 3, "max": 2}}}, "constraints.size.max"),
    ("clustertemplates", {"constraints": {"services": {"a": {}}}}, "constraints.services.a.quantities"),
    ("clustertemplates", {"administration": {}}, "administration.leaseduration"),
    ("clustertemplates", {"administration": {"leaseduration": {"initial": "7w", "max": 0}}}, "initial"),
    ("clustertemplates", {"administration": {"leaseduration": {"max": 5}}}, "leaseduration"),
    ("partialtemplates", {"immutable": None}, "immutable"),
])
def test_refusals_name_the_field(admin, kind, wrong, field):
    answer = admin.post(f"/v2/{kind}", {**SAMPLES[kind], **wrong})
    assert answer.status == 400 and field in answer.text, answer
    assert admin.get(f"/v2/{kind}").json == []


# ---- plug-in types


@pytest.mark.parametrize("kind, document", [("providertypes", PROVIDER_TYPE), ("automatortypes", AUTOMATOR_TYPE)])
def test_plugin_types(core, empty_lab, kind, document):
    name = f"type-of-{empty_lab.name}-{kind}"
    document, path = {**document, "name": name}, f"/v2/plugins/{kind}/{name}"
    for method in ("PUT", "POST"):
        assert core.api.request(method, path, document).status == 405
    assert core.internal.put(path, {**document, "name": "else"}).status == 400
    assert core.internal.put(path, {**document, "parameters": {"guest": {}}}).status == 400
    answer = core.internal.put(path, {**document, "classname": "SomeRubyClass"})
    assert answer.status == 200 and answer.body == b""
    # the same for all tenants
    stored = empty_lab.user.get(path).json
    assert contains(stored, document) or kind == "providertypes"
    assert "classname" not in stored and set(stored["parameters"]) == {"admin", "user"}
    assert stored == core.api.get(path).json
    assert name in [entry["name"] for entry in empty_lab.user.get(f"/v2/plugins/{kind}").json]
    assert core.internal.put(path, document).status == 200
    assert core.api.get(path).json["version"] == stored["version"] + 1
    assert empty_lab.admin.delete(path).status == 403
    assert core.api.delete(f"{path}/2").status == 200
    assert core.api.delete(path).status == 200
    assert core.api.get(path).status == 404


def test_plugin_type_fields(core):
    path = "/v2/plugins/providertypes/fields"
    document = {"name": "fields", "resourceTypes": {"keys": {"format": "file", "permissions": "0400"}}, "parameters": {
        "admin": {"fields": {"url": {"label": "URL", "type": "text"}}, "required": [["url"]]}}}
    assert core.internal.put(path, document).status == 200
    stored = core.api.get(path).json
    assert stored["parameters"]["admin"] == {"required": [["url"]], "fields": {
        "url": {"label": "URL", "type": "text", "tip": "", "override": False, "sensitive": False}}}
    assert stored["parameters"]["user"] == {"fields": {}, "required": []}
    assert stored["resourceTypes"] == document["resourceTypes"]


# ---- routes


def test_unknown_paths_and_methods(admin, core):
    assert admin.get("/v2/nothing").status == 404 and admin.get("/v2/nothing").body
    assert admin.get("/").status == 404
    for method in ("PUT", "DELETE", "PATCH"):
        assert admin.request(method, "/v2/providers").status == 405
    assert admin.post("/v2/providers/x").status == 405
    assert core.internal.get("/v2/providers").status == 404
    assert core.api.post("/v2/tasks/take", {}).status == 404


# ---- what names what


def test_what_is_named_is_not_deleted(admin, empty_lab):
    empty_lab.load()
    uses = {"services/web": "cluster template", "providers/lab": "hardware type",
            "hardwaretypes/small": "cluster template", "imagetypes/deb": "cluster template"}
    for path, user in uses.items():
        answer = admin.delete(f"/v2/{path}")
        assert answer.status == 409 and user in answer.text, (path, answer)
        assert admin.get(f"/v2/{path}").status == 200
    # a version of several is not the document; the last user gone, it may go
    lone = {"name": "lone", "providermap": {}}
    for _ in range(2):
        assert admin.put("/v2/imagetypes/lone", lone).status == 200
    template = {"name": "user", "defaults": {"services": [], "imagetype": "lone"}}
    assert admin.put("/v2/clustertemplates/user", template).status == 200
    assert admin.delete("/v2/imagetypes/lone/2").status == 200
    assert admin.delete("/v2/imagetypes/lone/1").status == 409
    assert admin.delete("/v2/clustertemplates/user").status == 200
    assert admin.delete("/v2/imagetypes/lone").status == 200
    assert admin.delete("/v2/imagetypes/lone").status == 200


def test_a_name_that_nothing_has_is_said(admin):
    template = {"name": "t", "defaults": {"services": ["nope\r\nX-Injected: 1"], "provider": "none"}}
    answer = admin.put("/v2/clustertemplates/t", template)
    assert answer.status == 200
    warning = answer.headers["Warning"]
    assert "service nope??X-Injected: 1 (defaults.services[0])" in warning and "provider none" in warning
    assert admin.put("/v2/clustertemplates/t", {"name": "t"}).headers.get("Warning") is None


def test_a_field_in_the_wrong_place_is_said(admin):
    """The original passes over what it does not know, and so does Loom; but then a rule is not in force."""
    template = {"name": "t", "mustcoexist": [["a", "b"]], "constraints": {
        "services": {"a": {"quantities": {"minimum": 2}}}}}
    warning = admin.put("/v2/clustertemplates/t", template).headers["Warning"]
    assert warning == ('299 loom "no such field, passed over: mustcoexist, '
                       'constraints.services.a.quantities.minimum"')
    patch = {"Content-Type": "application/merge-patch+json"}
    answer = admin.request("PATCH", "/v2/clustertemplates/t", {"provider": "lab"}, headers=patch)
    assert answer.status == 200 and answer.headers.get_all("Warning") == [
        '299 loom "does not exist: service a (constraints.services.a)"',
        '299 loom "no such field, passed over: provider"'], answer.headers
    answer = admin.request("PATCH", "/v2/clustertemplates/t", {"constraints": None}, headers=patch)
    assert answer.status == 200 and answer.headers.get("Warning") is None, answer.headers


@pytest.mark.parametrize("kind, document", [
    ("clustertemplates", {"defaults": {"services": [f"s{i}" for i in range(1001)]}}),
    ("clustertemplates", {"constraints": {"layout": {"cantcoexist": [["a", "b"]] * 1001}}}),
    ("services", {"dependencies": {"provides": ["x"] * 1001, "conflicts": []}})])
def test_more_names_than_can_be_looked_for_are_refused(admin, kind, document):
    answer = admin.put(f"/v2/{kind}/many", {"name": "many", **document})
    assert answer.status == 400 and "must have at most 1000 elements, not 1001" in answer.text, answer


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_parameter_of_another_change_changes_nothing(admin, method):
    """Whoever only wants to look at what would be done may not find it done."""
    kept = {"name": "kept", "description": "as it was"}
    assert admin.put("/v2/services/kept", kept).status == 200
    before = admin.get("/v2/services/kept").json
    answer = admin.request(method, "/v2/services/kept?dry_run=true", None if method == "DELETE" else {"name": "kept"})
    assert answer.status == 400, answer
    assert f"'dry_run' is no parameter of {method} /v2/services/{{name}}; nothing was changed" in answer.text, answer
    assert admin.get("/v2/services/kept").json == before


def test_misspelt_keys_are_refused(admin, core):
    kind = {"name": "fieldtest", "parameters": {"admin": {"fields": {
        "script": {"label": "Script", "type": "text"}}, "required": []}}}
    assert core.internal.put("/v2/plugins/automatortypes/fieldtest", kind).status == 200
    start = {"type": "fieldtest", "fields": {"script": "x"}}
    service = {"name": "s", "provisioner": {"actions": {"start": start}}}
    assert admin.put("/v2/services/s", service).status == 200
    start["fields"] = {"skript": "x"}
    answer = admin.put("/v2/services/s", service)
    assert answer.status == 400 and "did you mean script?" in answer.text, answer
    answer = admin.put("/v2/services/s", {"name": "s", "provisionr": {}})
    assert answer.status == 400 and "did you mean provisioner?" in answer.text, answer


# ---- at once


def test_writers_at_once_get_different_versions(admin):
    def write(number):
        return admin.put("/v2/hardwaretypes/x", {"name": "x", "description": str(number), "providermap": {}}).status

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert list(threads.map(write, range(24))) == [200] * 24
    versions = [admin.get(f"/v2/hardwaretypes/x/{version}").json for version in range(1, 25)]
    assert sorted(int(entry["description"]) for entry in versions) == list(range(24))
    assert admin.get("/v2/hardwaretypes/x").json["version"] == 24


def test_one_of_many_posts_creates(admin):
    def create(_):
        return admin.post("/v2/hardwaretypes", {"name": "x", "providermap": {}}).status

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(create, range(8))) == [200] + [409] * 7


HOST_TYPE = {"name": "hosttype", "parameters": {
    "admin": {"fields": {"dir": {"label": "D", "type": "text", "host": True}, "url": {"label": "U", "type": "text"}}},
    "user": {"fields": {}}}}


def test_a_tenant_names_nothing_of_the_provisioners_host(core, lab):
    """Plugins run as root there: which folder, bridge or mirror they use is not for every tenant to say."""
    assert core.internal.put("/v2/plugins/providertypes/hosttype", HOST_TYPE).ok

    def provider(**fields):
        return {"name": "host", "providertype": "hosttype", "provisioner": fields}

    path = "/v2/providers/host"
    for value in ("/etc", f"{core.dir}/simulated/../../etc", ["/etc"], f"{core.dir}/mariadb"):
        answer = lab.admin.put(path, provider(dir=value))
        assert answer.status == 403 and "provisioner.dir" in answer.text, answer
        answer = lab.admin.post("/v2/import", {"providers": [provider(dir=value)]})
        assert answer.status == 403 and "provisioner.dir" in answer.text, answer
    assert lab.admin.get(path).status == 404 and lab.admin.get("/v2/providers/lab").ok
    assert lab.admin.put(path, provider(url="http://x")).ok
    core.api.put(path, provider(dir="/srv/any"))
    assert core.api.get(path).json["provisioner"] == {"dir": "/srv/any"}
    assert core.api.delete(path + "/1").ok
    # what the superadmin has given a tenant, it may write back
    core.sql(f"UPDATE entity SET doc=REPLACE(doc, '\"url\":\"http://x\"', '\"dir\":\"/srv/given\"') "
             f"WHERE tenant_id='{lab.tenant}' AND name='host'")
    assert lab.admin.get(path).json["provisioner"] == {"dir": "/srv/given"}
    assert lab.admin.put(path, provider(dir="/srv/given", url="http://y")).ok
    assert lab.admin.put(path, provider(dir="/srv/other")).status == 403


def test_a_space_at_its_end_makes_no_other_name(lab):
    """The database would find one by the other, beside all that is checked by name."""
    assert lab.admin.delete("/v2/services/web").status == 409  # a template names it
    for method in ("GET", "DELETE"):
        for path in ("/v2/services/web%20", "/v2/services/web%20%20/1"):
            assert lab.admin.request(method, path).status == 400, path
    assert lab.admin.get("/v2/services/web").status == 200
    body = {"name": "x", "clusterTemplate": "one", "numMachines": 1}
    for wrong in ({"clusterTemplate": "one "}, {"provider": "lab "}):
        answer = lab.user.post("/v2/clusters", {**body, **wrong})
        assert answer.status == 404, answer


def test_who_writes_and_who_deletes_do_not_stop_each_other(lab):
    """Nor anybody else: what the database does not answer in time is refused for all."""
    def change(number):
        if number % 2:
            return lab.admin.delete("/v2/services/busy").status
        return lab.admin.put("/v2/services/busy", service("busy")).status

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        assert set(threads.map(change, range(120))) == {200}
