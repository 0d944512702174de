# SPDX-License-Identifier: Apache-2.0
"""Who may do what: tokens, users, passwords, roles, provisioners, the first start."""

import json
import os
import pathlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import Stack, wait_for
from support.api import Api, Events
from support.lab import make_tenants

PASSWORD = "correct horse battery"
CORE = ("mariadb", "zookeeper", "api", "scheduler")


@pytest.fixture(scope="module")
def guarded():
    """A Loom that wants tokens."""
    with Stack("identity", auth="token") as made:
        made.up(*CORE)
        yield made


@pytest.fixture(scope="module")
def unused(guarded):
    """Names and ids of tenants that nobody used yet."""
    return make_tenants(guarded)


@pytest.fixture
def tenant(unused):
    """Name and id of one."""
    return next(unused)


def bearer(stack, token, port="api.external", **more):
    """A client that shows this token, and these headers besides."""
    made = Api(f"http://127.0.0.1:{stack.ports[port]}", user=None, token=token)
    made.identity.update(more)
    return made


def in_tenant(stack, name):
    """The superadmin at work in a tenant."""
    return bearer(stack, stack.token(), **{"X-Loom-TenantID": name})


def make_user(admin, name, role, password=None):
    body = {"role": role, **({"password": password} if password else {})}
    answer = admin.put(f"/v2/users/{name}", body)
    assert answer.status == 200, answer


def make_token(admin, name, **more):
    answer = admin.post("/v2/tokens", {"name": name, **more})
    assert answer.status == 200, answer
    return answer.json


def sign_in(stack, tenant, user, password):
    return bearer(stack, None).post("/v2/login", {"tenant": tenant, "user": user, "password": password})


def until_refused(client, path="/v2/clusters", seconds=5):
    """Answers how long a client is still let in."""
    began = time.monotonic()
    while client.get(path).status != 401:
        assert time.monotonic() - began < seconds, "the token is still good"
    return time.monotonic() - began


def test_without_a_token_nothing_is_told(guarded):
    nobody = bearer(guarded, None)
    for headers in ({}, {"X-Loom-UserID": "admin", "X-Loom-TenantID": "superadmin"},
                    {"Authorization": "Bearer loom_nonsense"}, {"Authorization": "Basic YWRtaW46YWRtaW4="},
                    {"Authorization": "Bearer loom_" + "A" * 43}):
        answer = nobody.get("/v2/clusters", headers=headers)
        assert answer.status == 401 and "token" in answer.text, (headers, answer)
    assert nobody.get("/livez").status == 200


def test_tokens_are_found_where_clients_put_them(guarded):
    token = guarded.token()
    for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer: {token}"},
                    {"X-Loom-ApiKey": token}, {"Coopr-ApiKey": token},
                    {"Authorization": f"Bearer {token}", "Coopr-UserID": "admin", "Coopr-TenantID": "superadmin"}):
        assert bearer(guarded, None).get("/v2/clusters", headers=headers).status == 200, headers
    answer = bearer(guarded, token, **{"X-Loom-UserID": "bob"}).get("/v2/clusters")
    assert answer.status == 403 and "user admin" in answer.text


def test_a_superadmin_works_in_any_tenant_and_others_in_their_own(guarded, tenant):
    name, number = tenant
    admin = in_tenant(guarded, name)
    assert admin.get("/v2/whoami").json | {"expireTime": 0} == {
        "user": "admin", "tenant": name, "tenantId": number, "role": "admin", "scopes": "",
        "authMode": "token", "expireTime": 0}
    make_user(admin, "eve", "admin")
    eve = bearer(guarded, make_token(admin, "t", user="eve")["token"])
    assert eve.get("/v2/whoami").json["tenant"] == name
    for other in ("superadmin", "no-such-tenant"):
        eve.identity["X-Loom-TenantID"] = other
        answer = eve.get("/v2/users")
        assert answer.status == 404 and "does not exist" in answer.text, answer
    eve.identity["X-Loom-TenantID"] = name
    assert [user["name"] for user in eve.get("/v2/users").json] == ["eve"]


@pytest.mark.parametrize("role, reads, creates, changes", [
    ("user", 200, 400, 403), ("auditor", 200, 403, 403), ("admin", 200, 400, 400), ("provisioner", 403, 403, 403)])
def test_a_role_is_what_it_may(guarded, tenant, role, reads, creates, changes):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "one", role)
    one = bearer(guarded, make_token(admin, "t", user="one")["token"])
    assert one.get("/v2/clusters").status == reads
    assert one.post("/v2/clusters", {}).status == creates
    assert one.post("/v2/providers", {}).status == changes
    assert one.put("/v2/users/two", {"role": "nothing"}).status == changes
    assert one.get("/v2/provisioners").status == 403


def test_a_token_is_good_for_its_scopes(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "rea", "admin")
    reader = bearer(guarded, make_token(admin, "reader", user="rea", scopes="clusters:read tokens:write")["token"])
    assert reader.get("/v2/clusters").status in (200, 404)
    answer = reader.get("/v2/providers")
    assert answer.status == 403 and "catalog:read" in answer.text, answer
    answer = reader.post("/v2/tokens", {"name": "more", "scopes": "clusters:write"})
    assert answer.status == 403 and "clusters:write" in answer.text, answer
    assert make_token(reader, "same")["scopes"] == "clusters:read tokens:write"
    answer = admin.post("/v2/tokens", {"name": "x", "scopes": "everything"})
    assert answer.status == 400 and "clusters:write" in answer.text, answer


def test_revoked_ended_and_deleted_is_over_within_a_second(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "ann", "user")
    revoked, kept, ends = (make_token(admin, name, user="ann", **more) for name, more in (
        ("a", {}), ("b", {}), ("c", {"expireTime": int(time.time() * 1000) + 1500})))
    clients = [bearer(guarded, token["token"]) for token in (revoked, kept, ends)]
    assert [client.get("/v2/clusters").status for client in clients] == [200] * 3
    assert admin.delete(f"/v2/tokens/{revoked['id']}").status == 200
    until_refused(clients[0])
    until_refused(clients[2])
    assert clients[1].get("/v2/clusters").status == 200
    assert admin.delete("/v2/users/ann").status == 200
    until_refused(clients[1])
    assert admin.delete(f"/v2/tokens/{kept['id']}").status == 404


def test_the_other_copies_hear_of_it_within_a_second(guarded, tenant):
    guarded.start("api2", settings=("api2.log_level=info",))
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "joe", "user")
    made = make_token(admin, "t", user="joe")
    far = bearer(guarded, made["token"], port="api2.external")
    assert far.get("/v2/whoami").status == 200
    assert admin.delete(f"/v2/tokens/{made['id']}").status == 200
    # A second, and what a busy machine adds.
    until_refused(far, "/v2/whoami", seconds=10)
    guarded.stop("api2")


def test_passwords_sign_in_and_wrong_ones_wait(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "pat", "user", PASSWORD)
    made = sign_in(guarded, tenant[0], "pat", PASSWORD)
    assert made.status == 200 and made.json["role"] == "user", made
    assert made.headers["Cache-Control"] == "no-store"
    pat = bearer(guarded, made.json["token"])
    assert pat.get("/v2/whoami").json["user"] == "pat"
    refusals = {sign_in(guarded, tenant[0], "pat", "wrong password").text,
                sign_in(guarded, tenant[0], "nobody", PASSWORD).text,
                sign_in(guarded, "no-tenant", "pat", PASSWORD).text}
    assert len(refusals) == 1, refusals
    answers = [sign_in(guarded, tenant[0], "pat", f"wrong password {n}") for n in range(6)]
    assert answers[-1].status == 429 and answers[-1].headers["Retry-After"], answers
    assert sign_in(guarded, tenant[0], "pat", PASSWORD).status == 429
    assert pat.get("/v2/whoami").status == 200
    assert pat.post("/v2/logout").status == 200
    until_refused(pat, "/v2/whoami")


def test_wrong_passwords_count_in_all_apis_together(guarded, tenant):
    guarded.start("api2")
    make_user(in_tenant(guarded, tenant[0]), "kim", "user", PASSWORD)
    guarded.sql("DELETE FROM signin")
    ports = ("api.external", "api2.external")

    def guess(number, password="wrong"):
        answer = bearer(guarded, None, port=ports[number % 2]).post(
            "/v2/login", {"tenant": tenant[0], "user": "kim", "password": password})
        return answer.status

    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(guess, range(40)))
    # 503: more at once than there is memory for; such a one was not tried, and not counted.
    looked_at = said.count(401)
    assert set(said) <= {401, 429, 503}, said
    while (next_one := guess(looked_at)) == 401:
        looked_at += 1
    # After the fifth each has waited for a second first, then for two, for four ...
    waits = [2 ** number for number in range(looked_at - 5)]
    assert next_one == 429 and looked_at >= 5 and sum(waits) <= time.monotonic() - began, (said, looked_at)
    guarded.sql("UPDATE signin SET free_time=free_time+600000 WHERE wrong>=5")
    guarded.restart("api", "api2")
    assert [guess(number) for number in range(2)] == [429, 429]
    slots = "SELECT COUNT(*) FROM signin WHERE wrong >= 5"
    assert int(guarded.sql(slots)[0][0]) == 1
    guarded.sql("UPDATE signin SET free_time=0")
    assert guess(0, PASSWORD) == 200
    assert int(guarded.sql(slots)[0][0]) == 0
    assert [guess(number) for number in range(4)] == [401] * 4
    guarded.stop("api2")


def test_tries_are_forgotten_after_a_day(guarded, tenant):
    make_user(in_tenant(guarded, tenant[0]), "old", "user", PASSWORD)
    guarded.sql("DELETE FROM signin")
    for _ in range(3):
        assert sign_in(guarded, tenant[0], "old", "wrong").status == 401
    guarded.sql("UPDATE signin SET tried_time=tried_time-86401000")
    wait_for(lambda: guarded.sql("SELECT COUNT(*) FROM signin")[0][0] == "0", 60, "the janitor")


def test_a_new_password_ends_sessions_but_no_tokens(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "sue", "user", PASSWORD)
    session = bearer(guarded, sign_in(guarded, tenant[0], "sue", PASSWORD).json["token"])
    program = bearer(guarded, make_token(session, "program")["token"])
    assert session.put("/v2/password", {"old": "wrong", "new": PASSWORD + "!"}).status == 403
    assert session.put("/v2/password", {"old": PASSWORD, "new": "short"}).status == 400
    assert session.put("/v2/password", {"old": PASSWORD, "new": PASSWORD + "!"}).status == 200
    until_refused(session, "/v2/whoami")
    assert program.get("/v2/whoami").status == 200
    assert sign_in(guarded, tenant[0], "sue", PASSWORD).status == 401
    assert sign_in(guarded, tenant[0], "sue", PASSWORD + "!").status == 200


@pytest.mark.parametrize("path, body, status, word", [
    ("/v2/users/x", {"role": "king"}, 400, "auditor"),
    ("/v2/users/x", {}, 400, "role"),
    ("/v2/users/x", {"role": "user", "password": "short"}, 400, "10 characters"),
    ("/v2/users/a%20b", {"role": "user"}, 400, "name of a user"),
    ("/v2/users/" + "x" * 256, {"role": "user"}, 400, "name of a user"),
])
def test_users_that_are_refused(guarded, tenant, path, body, status, word):
    answer = in_tenant(guarded, tenant[0]).put(path, body)
    assert answer.status == status and word in answer.text, answer


def test_the_last_superadmin_stays(guarded):
    superadmin = bearer(guarded, guarded.token())
    for answer in (superadmin.delete("/v2/users/admin"), superadmin.put("/v2/users/admin", {"role": "user"})):
        assert answer.status == 409 and "last superadmin" in answer.text, answer
    make_user(superadmin, "deputy", "admin")
    assert superadmin.put("/v2/users/admin", {"role": "admin"}).status == 200
    assert superadmin.delete("/v2/users/deputy").status == 200


def test_an_account_has_so_many_tokens_and_no_more(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "bot", "user")
    for n in range(100):
        make_token(admin, f"t{n}", user="bot")
    answer = admin.post("/v2/tokens", {"name": "one more", "user": "bot"})
    assert answer.status == 409 and "100 tokens" in answer.text, answer
    assert admin.post("/v2/tokens", {"name": "x", "user": "nobody"}).status == 404


def test_secrets_are_nowhere(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "sec", "user", PASSWORD + " of sec")
    token = make_token(admin, "t", user="sec")["token"]
    assert sign_in(guarded, tenant[0], "sec", PASSWORD + " of sec").status == 200
    shown = admin.get("/v2/tokens").text + admin.get("/v2/users").text
    for secret in (token, PASSWORD + " of sec"):
        assert secret not in shown
        assert secret not in guarded.log("api")
        rows = guarded.sql("SELECT CONCAT_WS(' ', hash, name, scopes, user) FROM token UNION ALL"
                           " SELECT CONCAT_WS(' ', name, password) FROM account")
        assert not any(secret in str(row) for row in rows)


# ---- provisioners


def take(client, tenant="*", **more):
    body = {"provisionerId": "p1", "workerId": "w1", "tenantId": tenant, "claim": True, **more}
    return client.post("/v2/tasks/take", body)


def register(client, name="p1"):
    return client.put(f"/v2/provisioners/{name}", {"id": name, "host": "h", "port": 1, "capacityTotal": 1})


def test_provisioners_show_a_token_too(guarded, tenant):
    ours = bearer(guarded, guarded.token("provisioner"), port="api.internal")
    for client in (bearer(guarded, None, port="api.internal"),
                   bearer(guarded, "loom_" + "A" * 43, port="api.internal")):
        assert register(client).status == 401
        assert take(client).status == 401
        assert client.post("/v2/provisioners/p1/heartbeat", {"usage": {}}).status == 401
        assert client.delete("/v2/provisioners/p1").status == 401
        assert client.post("/v2/tasks/00000001-001-001/log", {}).status == 401
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "person", "user")
    person = bearer(guarded, make_token(admin, "t", user="person")["token"], port="api.internal")
    answer = register(person)
    assert answer.status == 403 and "not that of a provisioner" in answer.text, answer
    assert register(ours).status == 200
    assert take(ours).status == 204


def test_a_tenants_provisioner_works_for_that_tenant_only(guarded, tenant):
    name, number = tenant
    admin = in_tenant(guarded, name)
    make_user(admin, "worker", "provisioner")
    token = make_token(admin, "t", user="worker")["token"]
    bound = bearer(guarded, token, port="api.internal")
    ours = bearer(guarded, guarded.token("provisioner"), port="api.internal")
    assert register(ours, "p-all").status == 200
    assert register(bound, f"p-{name}").status == 200
    body = {"provisionerId": f"p-{name}", "workerId": "w"}
    assert bound.post("/v2/tasks/take", {**body, "tenantId": number}).status == 204
    for other in ("*", "superadmin"):
        answer = bound.post("/v2/tasks/take", {**body, "tenantId": other})
        assert answer.status == 403 and number in answer.text, answer
    for answer in (register(bound, "p-all"), bound.delete("/v2/provisioners/p-all"),
                   bound.post("/v2/provisioners/p-all/heartbeat", {"usage": {}})):
        assert answer.status == 403 and "another tenant" in answer.text, answer
    plugin = bound.put("/v2/plugins/providertypes/x", {"name": "x"})
    assert plugin.status == 403, plugin


def test_where_names_are_believed_provisioners_come_from_private_networks(new_stack):
    stack = new_stack(name="believed", up=False, auth="headers")
    stack.up("mariadb", "zookeeper", "api")
    assert register(stack.internal).status == 200
    stack.stop("api")
    stack.start("api", settings=("api.tokenless_workers=192.0.2.0/24",))
    for answer in (register(stack.internal), take(stack.internal)):
        assert answer.status == 401 and "token" in answer.text, answer


@pytest.mark.parametrize("settings, word", [
    (("auth_mode=headers", "external_listen=0.0.0.0:0"), "auth_headers_public"),
    (("auth_mode=headers", "external_listen=[::]:0"), "auth_headers_public"),
    (("auth_mode=names",), "neither token nor headers")])
def test_a_start_that_would_let_everybody_in_is_refused(guarded, settings, word):
    done = subprocess.run([str(guarded.bin / "loom-api"), "--config", str(guarded.dir / "etc/loom-api.conf"),
                           *(f"--{setting.replace('_', '-', 2)}" for setting in settings)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and word in done.stderr, done.stderr


# ---- starts


def test_a_first_start_gives_a_token_until_somebody_can_sign_in(new_stack, tmp_path):
    file = tmp_path / "first.token"
    stack = new_stack(name="first", up=False, auth="token")
    stack.settings += [f"api.first_token_file={file}", "api.admin_token_file=", "api.provisioner_token_file="]
    stack.up("mariadb", "zookeeper", "api")
    first = file.read_text().strip()
    assert file.stat().st_mode & 0o777 == 0o600 and first in stack.log("api")
    stack.restart("api")
    second = file.read_text().strip()
    assert second != first
    made = make_token(bearer(stack, first), "mine")
    assert bearer(stack, made["token"]).get("/v2/whoami").json["role"] == "superadmin"
    for used in (first, second):
        until_refused(bearer(stack, used), "/v2/whoami")
    file.unlink()
    stack.restart("api")
    assert not file.exists()


@pytest.mark.parametrize("text, word", [(None, "No such file"), ("", "is empty"), ("abc", "holds no token"),
                                        ("a\nb", "several lines")])
def test_a_token_file_with_a_mistake_stops_the_start(new_stack, tmp_path, text, word):
    file = tmp_path / "admin.token"
    if text is not None:
        file.write_text(text)
    stack = new_stack(name="wrong", up=False, auth="token")
    stack.up("mariadb", "zookeeper")
    stack.settings += [f"api.admin_token_file={file}"]
    with pytest.raises(AssertionError) as failed:
        stack.up("api")
    assert word in str(failed.value) and "admin_token_file" in str(failed.value)


def test_another_token_in_the_file_takes_the_place_of_the_one_before(guarded):
    file = guarded.dir / "secrets/admin.token"
    old = guarded.token()
    fresh = "loom_" + "B" * 42 + "A"
    file.write_text(fresh + "\n")
    guarded.restart("api")
    assert bearer(guarded, old).get("/v2/whoami").status == 401
    assert bearer(guarded, fresh).get("/v2/whoami").json["role"] == "superadmin"
    file.write_text(old + "\n")
    guarded.restart("api")
    assert bearer(guarded, old).get("/v2/whoami").status == 200


# ---- the command line


def loom(stack, home, *words, text="", **env):
    """Runs `loom`, with a home of its own and nothing in the environment that says who asks."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LOOM_")}
    done = subprocess.run([str(stack.bin / "loom"), *words], input=text, capture_output=True, text=True, timeout=60,
                          env={**clean, "HOME": str(home), "XDG_CONFIG_HOME": "", "LOOM_URL": stack.api.url, **env},
                          check=False)
    return done


def test_the_command_line_signs_in_and_shows_its_token(guarded, tenant, tmp_path):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "cli", "admin", PASSWORD)
    who = ("--user", "cli", "--tenant", tenant[0])
    refused = loom(guarded, tmp_path, "whoami")
    assert refused.returncode == 1 and "token" in refused.stderr
    wrong = loom(guarded, tmp_path, "login", *who, "--password-file", "-", text="not it at all\n")
    assert wrong.returncode == 1 and "wrong" in wrong.stderr
    done = loom(guarded, tmp_path, "login", *who, "--password-file", "-", text=PASSWORD + "\n")
    assert done.returncode == 0 and "signed in as cli" in done.stdout, done.stderr
    kept = pathlib.Path(tmp_path / ".config/loom/token")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert loom(guarded, tmp_path, "whoami").stdout == f"cli of {tenant[0]} (admin)\n"
    made = loom(guarded, tmp_path, "token", "create", "ci", "--scopes", "clusters:read", "--expires", "1h")
    token = made.stdout.strip()
    assert made.returncode == 0 and token.startswith("loom_"), made.stderr
    listed = json.loads(loom(guarded, tmp_path, "token", "list", "-o", "json").stdout)
    assert {entry["name"] for entry in listed} == {"session", "ci"}
    file = tmp_path / "ci.token"
    file.write_text(token + "\n")
    assert loom(guarded, tmp_path, "cluster", "list", "--token-file", str(file)).returncode == 0
    less = loom(guarded, tmp_path, "template", "list", LOOM_TOKEN=token)
    assert less.returncode == 1 and "catalog:read" in less.stderr
    assert loom(guarded, tmp_path, "user", "set", "bob", "--role", "user").returncode == 0
    assert "bob" in loom(guarded, tmp_path, "user", "list").stdout
    assert loom(guarded, tmp_path, "user", "delete", "bob").returncode == 0
    assert loom(guarded, tmp_path, "logout").returncode == 0 and not kept.exists()
    missing = loom(guarded, tmp_path, "whoami", "--token-file", str(tmp_path / "none"))
    assert missing.returncode == 64 and "No such file" in missing.stderr


# ---- the page's sessions


@pytest.fixture(scope="module")
def gateways(guarded):
    """Two gateways before the API."""
    guarded.start("gateway", "gateway2")
    yield guarded
    guarded.stop("gateway", "gateway2")


def test_a_session_is_a_cookie_that_any_gateway_takes(gateways, unused):
    name, _ = next(unused)
    make_user(in_tenant(gateways, name), "web", "user", PASSWORD)
    first, second = (Api(f"http://127.0.0.1:{gateways.ports[port]}", user=None) for port in ("gateway", "gateway2"))
    assert first.get("/api/v2/clusters").status == 401
    who = {"tenant": name, "user": "web", "password": PASSWORD}
    assert first.post("/session", {**who, "password": "not this one"}).status == 401
    for token in ("", "loom_nonsense", "a; Path=/evil", "x" * 300, 7, None):
        refused = first.post("/session", {"token": token})
        assert refused.status == 401 and "Set-Cookie" not in refused.headers, refused
    shown = first.post("/session", {"token": gateways.token()})
    assert shown.status == 200 and shown.json["user"] == "admin" and gateways.token() in shown.headers["Set-Cookie"]
    assert gateways.token() not in shown.text
    for origin in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert first.post("/session", who, headers=origin).status == 403
    made = first.post("/session", who, headers={"X-Forwarded-Proto": "https"})
    assert made.status == 200 and made.json["user"] == "web" and "token" not in made.json, made
    cookie = made.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/")), cookie
    assert "Secure" not in first.post("/session", who).headers["Set-Cookie"]
    shown = {"Cookie": "a=b; " + cookie.partition(";")[0] + "; c=d"}
    for gateway in (first, second):
        assert gateway.get("/api/v2/whoami", headers=shown).json["user"] == "web"
    # What the browser claims besides is not passed on.
    assert first.get("/api/v2/whoami", headers={"Authorization": f"Bearer {gateways.token()}"}).status == 401
    ended = second.delete("/session", headers=shown)
    assert ended.status == 200 and "Max-Age=0" in ended.headers["Set-Cookie"]
    until_refused(bearer(gateways, None), "/v2/whoami")
    began = time.monotonic()
    while first.get("/api/v2/whoami", headers=shown).status != 401:
        assert time.monotonic() - began < 10
    assert first.delete("/session", headers=shown).status == 200
    assert first.delete("/session").status == 200


# ---- how fast, and how much at once


@pytest.fixture(scope="module")
def paced():
    """A Loom in which little is much."""
    with Stack("paced", ("api.token_rate=2", "api.token_burst=20", "api.tenant_rate=3", "api.tenant_burst=30",
                         "api.tenant_held=3")) as made:
        made.up(*CORE)
        yield made


def ask(client, times, path="/v2/whoami"):
    """How often it was answered, and the refusals."""
    answers = [client.get(path) for _ in range(times)]
    return sum(answer.status == 200 for answer in answers), [answer for answer in answers if answer.status == 429]


def test_a_token_asks_so_often_and_others_go_on(paced):
    paced.sql("INSERT INTO tenant (id, name) VALUES ('fast', 'fast'), ('calm', 'calm')")
    fast, calm = (in_tenant(paced, name) for name in ("fast", "calm"))
    make_user(fast, "ann", "user")
    make_user(calm, "bob", "user")
    ann, also_ann = (bearer(paced, make_token(fast, name, user="ann")["token"]) for name in "ab")
    bob = bearer(paced, make_token(calm, "b", user="bob")["token"])
    began = time.monotonic()
    good, refused = ask(ann, 40)
    passed = time.monotonic() - began
    assert 20 <= good <= 20 + 2 * passed + 1 and len(refused) == 40 - good, (good, passed)
    assert 1 <= int(refused[-1].headers["Retry-After"]) <= 2 and "token" in refused[-1].text, refused[-1]
    # The tenant's others have what it left, and no more; other tenants all of theirs.
    good, refused = ask(also_ann, 40)
    assert good < 20 and "tenant" in refused[0].text, (good, refused[0])
    assert ask(bob, 10) == (10, [])
    time_out = time.monotonic() + 20
    while ann.get("/v2/whoami").status != 200:
        assert time.monotonic() < time_out
    assert paced.metric("api.external", "loom_api_too_fast_total") > 20
    assert bearer(paced, None).get("/livez").status == 200


def test_a_tenant_holds_so_many_streams(paced):
    paced.sql("INSERT INTO tenant (id, name) VALUES ('held', 'held'), ('free', 'free')")
    held, free = (in_tenant(paced, name) for name in ("held", "free"))
    for admin in (held, free):
        make_user(admin, "eve", "user")
        admin.identity["Authorization"] = f"Bearer {make_token(admin, 't', user='eve')['token']}"
    streams = [Events(held, "/v2/clusters/events") for _ in range(3)]
    answer = held.get("/v2/clusters/events")
    assert answer.status == 429 and answer.headers["Retry-After"] and "tenant_held" in answer.text, answer
    with Events(free, "/v2/clusters/events"):
        streams.pop().close()
        wait_for(lambda: opened(held, streams), 20, "room for another one")
    for stream in streams:
        stream.close()


def opened(client, streams):
    """Whether one stream more could be opened."""
    try:
        streams.append(Events(client, "/v2/clusters/events"))
    except AssertionError:
        time.sleep(0.5)  # it asks so often only
        return False
    return True


def test_a_tenants_waiting_takes_are_counted_and_those_for_all_are_not(paced):
    paced.sql("INSERT INTO tenant (id, name) VALUES ('takes', 'takes')")
    admin = in_tenant(paced, "takes")
    make_user(admin, "w", "provisioner")
    bound = bearer(paced, make_token(admin, "t", user="w")["token"], port="api.internal")
    assert register(bound, "p-takes").status == 200
    assert register(paced.internal, "p-any").status == 200

    def waiting(client, name, tenant):
        return client.post("/v2/tasks/take", {"provisionerId": name, "workerId": "w", "tenantId": tenant,
                                              "claim": True, "wait": 5}).status

    with ThreadPoolExecutor(10) as pool:
        mine = [pool.submit(waiting, bound, "p-takes", "takes") for _ in range(4)]
        ours = [pool.submit(waiting, paced.internal, "p-any", "*") for _ in range(5)]
        assert sorted(take.result() for take in mine) == [204, 204, 204, 429]
        assert [take.result() for take in ours] == [204] * 5
