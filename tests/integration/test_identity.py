# SPDX-License-Identifier: Apache-2.0
"""Who may do what: tokens, users, passwords, roles, provisioners, the first start."""

import itertools
import json
import os
import pathlib
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import wait_for
from support.api import (
    PASSWORD,
    PATIENCE,
    PROMISED,
    Api,
    Events,
    bearer,
    in_tenant,
    make_token,
    make_user,
    register,
    sign_in,
    take,
    until_refused,
)
from support.stack import free_port

SHORT = 8000  # ms that a token is good which the test shows before its end


@pytest.fixture
def tenant(unused):
    """Name and id of one."""
    return next(unused)


def ends_soon():
    return {"expireTime": int(time.time() * 1000) + SHORT}


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
                    {"X-Loom-ApiKey": token, "Authorization": "Basic YWRtaW46YWRtaW4="},  # a proxy's, in front
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


def test_a_token_whose_end_is_misspelt_is_not_made(guarded, tenant):
    """Passed over, it would be one that never ends."""
    admin = in_tenant(guarded, tenant[0])
    before = len(admin.get("/v2/tokens").json)
    for field in ("expires", "ttl", "scope", "kind", "expiretime"):
        answer = admin.post("/v2/tokens", {"name": "x", field: "1"})
        assert answer.status == 400 and f"{field} is not a field" in answer.text, answer
    assert len(admin.get("/v2/tokens").json) == before


def test_revoked_ended_and_deleted_is_over_within_a_second(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "ann", "user")
    revoked, kept, ends = (make_token(admin, name, user="ann", **more) for name, more in (
        ("a", {}), ("b", {}), ("c", ends_soon())))
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
    until_refused(far, "/v2/whoami")
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
    guess = itertools.count()

    def held_back():
        answer = sign_in(guarded, tenant[0], "pat", f"wrong password {next(guess)}")
        assert answer.status in (401, 429), answer
        return answer.status == 429 and answer

    # Each wait is twice the one before: in the end longer than a busy machine takes for the next guess.
    assert wait_for(held_back, PATIENCE, "wrong ones to wait").headers["Retry-After"]
    guarded.sql("UPDATE signin SET free_time=free_time+600000 WHERE wrong>=5")
    assert sign_in(guarded, tenant[0], "pat", PASSWORD).status == 429
    assert pat.get("/v2/whoami").status == 200
    assert pat.post("/v2/logout").json == {"ended": True}
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


def test_a_stream_ends_with_its_token(guarded):
    admin = bearer(guarded, guarded.token())
    short = make_token(admin, "short", **ends_soon())["token"]
    with Events(bearer(guarded, short), "/v2/clusters/events") as ending, Events(admin, "/v2/clusters/events") as other:
        wait_for(lambda: ending.closed, 60, "the end of the stream")
        assert not other.closed


@pytest.mark.parametrize("how", ["token", "user", "role", "own role", "change of the own role", "session"])
def test_a_stream_ends_when_its_token_is_revoked_on_every_copy(guarded, tenant, how):
    guarded.start("api2")
    admin = in_tenant(guarded, tenant[0])
    readers = {"base": "user", "permissions": ["clusters:read"]}
    assert admin.put("/v2/roles/readers", readers).status == 200
    make_user(admin, "ann", "readers" if "own" in how else "admin", PASSWORD)
    make_user(admin, "bob", "user")
    made, other = make_token(admin, "stream", user="ann"), make_token(admin, "other", user="bob")
    text = sign_in(guarded, tenant[0], "ann", PASSWORD).json["token"] if how == "session" else made["token"]
    less = {**readers, "permissions": ["catalog:read"]}
    revoke = {"token": lambda: admin.delete(f"/v2/tokens/{made['id']}"), "user": lambda: admin.delete("/v2/users/ann"),
              "role": lambda: admin.put("/v2/users/ann", {"role": "user"}),
              "own role": lambda: admin.put("/v2/users/ann", {"role": "user"}),
              "change of the own role": lambda: admin.put("/v2/roles/readers", less),
              "session": lambda: bearer(guarded, text).post("/v2/logout")}[how]
    with Events(bearer(guarded, text), "/v2/clusters/events") as here, \
            Events(bearer(guarded, text, port="api2.external"), "/v2/clusters/events") as there, \
            Events(bearer(guarded, other["token"]), "/v2/clusters/events") as kept:
        assert revoke().status == 200
        wait_for(lambda: here.closed and there.closed, PATIENCE, f"the end of both streams, {PROMISED}")
        assert not kept.closed
    guarded.stop("api2")


@pytest.mark.parametrize("how", ["token", "user", "role"])
def test_a_held_take_ends_when_its_token_is_revoked_on_every_copy(guarded, tenant, how):
    name, number = tenant
    guarded.start("api2")
    admin = in_tenant(guarded, name)
    for user in ("gone", "kept"):
        make_user(admin, user, "provisioner")
    made, other = (make_token(admin, "t", user=user) for user in ("gone", "kept"))
    ports = "api.internal", "api2.internal"
    ending = [bearer(guarded, made["token"], port=port) for port in ports]
    staying = bearer(guarded, other["token"], port=ports[0])
    assert register(staying, f"p-{name}").status == 200
    revoke = {"token": lambda: admin.delete(f"/v2/tokens/{made['id']}"), "user": lambda: admin.delete("/v2/users/gone"),
              "role": lambda: admin.put("/v2/users/gone", {"role": "user"})}[how]

    def held(client):
        body = {"provisionerId": f"p-{name}", "workerId": "w", "tenantId": number, "claim": True, "wait": 60}
        client.timeout = 2 * PATIENCE
        return client.post("/v2/tasks/take", body)

    def waiting():
        shown = guarded.client("scheduler.admin", user=None).get("/show/waiters").json["waiters"]
        return sum(one["provisioner"] == f"p-{name}" for one in shown)

    with ThreadPoolExecutor(3) as pool:
        takes = [pool.submit(held, client) for client in (*ending, staying)]
        wait_for(lambda: waiting() == 3, 60, "takes that are held")
        began = time.monotonic()
        assert revoke().status == 200
        for take in takes[:2]:
            answer = take.result(PATIENCE)
            assert answer.status == 401 and "not good" in answer.text, answer
        assert time.monotonic() - began < 50  # of the minute that they asked for
        assert not takes[2].done()
        assert admin.delete(f"/v2/tokens/{other['id']}").status == 200
        assert takes[2].result(PATIENCE).status == 401
    guarded.stop("api2")


@pytest.mark.parametrize("how, listed", [("token", "clusters"), ("role", "clusters"), ("expiry", "clusters"),
                                         ("token", "services"), ("role", "services")])
def test_what_is_held_ends_with_its_token(guarded, tenant, how, listed):
    """It is told nothing that it might not see any more."""
    admin = in_tenant(guarded, tenant[0])
    for name in ("ann", "bob"):
        make_user(admin, name, "admin")
    kept = make_token(admin, "kept", user="bob")
    other = bearer(guarded, kept["token"])
    index = other.get(f"/v2/{listed}?index=0").headers["X-Loom-Index"]
    path = f"/v2/{listed}?index={index}&wait=50s"
    made = make_token(admin, "held", user="ann", **(ends_soon() if how == "expiry" else {}))
    ann = bearer(guarded, made["token"])
    with ThreadPoolExecutor(2) as pool:
        quiet = guarded.metric("api.internal", "loom_api_held_requests")
        ending, staying = (pool.submit(client.get, path) for client in (ann, other))
        wait_for(lambda: guarded.metric("api.internal", "loom_api_held_requests") >= quiet + 2)
        if how != "expiry":
            answer = admin.put("/v2/users/ann", {"role": "user"}) if how == "role" else \
                admin.delete(f"/v2/tokens/{made['id']}")
            assert answer.status == 200, answer
        answer = ending.result(PATIENCE)
        assert answer.status == 401 and "ask again" in answer.text, answer
        assert not staying.done()
        assert admin.delete(f"/v2/tokens/{kept['id']}").status == 200
        assert staying.result(PATIENCE).status == 401


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
    assert refused.returncode == 1 and "'loom login' signs in; --token-file or LOOM_TOKEN shows a token." in refused.stderr
    wrong = loom(guarded, tmp_path, "login", *who, "--password-file", "-", text="not it at all\n")
    assert wrong.returncode == 1 and "wrong" in wrong.stderr and "loom login" not in wrong.stderr
    done = loom(guarded, tmp_path, "login", *who, "--password-file", "-", text=PASSWORD + "\n")
    assert done.returncode == 0 and "signed in as cli" in done.stdout, done.stderr
    kept = pathlib.Path(tmp_path / ".config/loom/token")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert loom(guarded, tmp_path, "whoami").stdout == f"cli of {tenant[0]} (admin)\n"
    made = loom(guarded, tmp_path, "token", "create", "ci", "--scopes", "clusters:read", "--expires", "1h")
    token = made.stdout.strip()
    assert made.returncode == 0 and token.startswith("loom_"), made.stderr
    far = loom(guarded, tmp_path, "token", "create", "far", "--expires", "106751991167d")
    assert far.returncode == 64 and "--expires" in far.stderr, far
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


def test_a_logout_by_a_token_that_is_no_session_ends_nothing(guarded, tenant, tmp_path):
    make_user(in_tenant(guarded, tenant[0]), "prog", "user", PASSWORD)
    loom(guarded, tmp_path, "login", "--user", "prog", "--tenant", tenant[0], "--password-file", "-", text=PASSWORD + "\n")
    token = loom(guarded, tmp_path, "token", "create", "whole").stdout.strip()
    stays = loom(guarded, tmp_path, "logout", LOOM_TOKEN=token)
    assert stays.returncode == 1 and "nothing was ended" in stays.stderr and "token delete" in stays.stderr, stays
    assert loom(guarded, tmp_path, "whoami", LOOM_TOKEN=token).returncode == 0
    assert loom(guarded, tmp_path, "logout").returncode == 0


def test_a_logout_that_nobody_answers_says_until_when_the_token_is_good(guarded, tenant, tmp_path):
    make_user(in_tenant(guarded, tenant[0]), "goes", "user", PASSWORD)
    kept = tmp_path / ".config/loom/token"
    loom(guarded, tmp_path, "login", "--user", "goes", "--tenant", tenant[0], "--password-file", "-", text=PASSWORD + "\n")
    token = kept.read_text().strip()
    who = json.loads(loom(guarded, tmp_path, "whoami", "-o", "json").stdout)
    # somebody else's token is no reason to forget the login
    other = loom(guarded, tmp_path, "logout", LOOM_TOKEN="loom_nobodys")
    assert other.returncode == 1 and kept.exists(), other
    nobody = f"http://127.0.0.1:{free_port(tmp_path)}"
    done = loom(guarded, tmp_path, "logout", LOOM_URL=nobody)
    until = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(who["expireTime"] / 1000))
    assert done.returncode == 2 and not kept.exists(), done
    assert "the token was not revoked" in done.stderr and f"Loom takes it until {until}." in done.stderr, done.stderr
    assert loom(guarded, tmp_path, "whoami", LOOM_TOKEN=token).returncode == 0


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
    # Each is counted, and logged, where he is, and not where the gateway is.
    away = first.post("/session", {**who, "password": "nor this"}, headers={"X-Forwarded-For": "198.51.100.77"})
    assert away.status == 401, away
    wait_for(lambda: "198.51.100.77" in {row["from"] for row in gateways.api.get(
        "/v2/audit?action=POST%20/v2/login&limit=1000").json}, what="the address of who signs in at the page")
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
    # A program shows its token instead.
    assert first.get("/api/v2/whoami", headers={"Authorization": f"Bearer {gateways.token()}"}).json["user"] == "admin"
    assert second.delete("/session", headers=shown).status == 403
    shown["Sec-Fetch-Site"] = "same-origin"
    ended = second.delete("/session", headers=shown)
    assert ended.status == 200 and "Max-Age=0" in ended.headers["Set-Cookie"]
    until_refused(bearer(gateways, None), "/v2/whoami")
    wait_for(lambda: first.get("/api/v2/whoami", headers=shown).status == 401, PATIENCE, "the end of the session")
    assert first.delete("/session", headers=shown).status == 200
    assert first.delete("/session").status == 200


def test_a_space_at_its_end_makes_no_other_user(guarded, tenant):
    """Else each of them would have tries of its own at one password."""
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "sue", "user", PASSWORD)
    for name, user in ((tenant[0], "sue "), (f"{tenant[0]} ", "sue"), (tenant[0], "sue  ")):
        answer = sign_in(guarded, name, user, PASSWORD)
        assert answer.status == 401, answer
    answer = admin.post("/v2/tokens", {"name": "x", "user": "sue "})
    assert answer.status == 404, answer
    assert sign_in(guarded, tenant[0], "sue", PASSWORD).status == 200


def test_a_token_makes_none_that_lasts_longer(guarded, tenant):
    admin = in_tenant(guarded, tenant[0])
    make_user(admin, "kim", "user", PASSWORD)
    end = int(time.time() * 1000) + 3600 * 1000
    shown = bearer(guarded, make_token(admin, "ends", user="kim", expireTime=end)["token"])
    assert make_token(shown, "as long")["expireTime"] == end
    assert make_token(shown, "shorter", expireTime=end - 1000)["expireTime"] == end - 1000
    answer = shown.post("/v2/tokens", {"name": "longer", "expireTime": end + 1})
    assert answer.status == 403 and str(end) in answer.text, answer
    # whoever signs in makes those that last
    session = bearer(guarded, sign_in(guarded, tenant[0], "kim", PASSWORD).json["token"])
    assert "expireTime" not in make_token(session, "for ever")
    assert {token["name"]: token["expireTime"] for token in session.get("/v2/tokens?kind=api").json} == {
        "ends": end, "as long": end, "shorter": end - 1000, "for ever": 0}
