# SPDX-License-Identifier: Apache-2.0
"""Callers whom an OpenID provider knows: a real one signs the tokens, and changes its keys."""

import base64
import http.client
import json
import socket
import subprocess
import urllib.parse

import pytest

from support import ROOT, Stack, wait_for
from support.api import Api
from support.authority import openssl
from support.stack import CORE, free_port

CLIENT, BACK = "loom", "https://loom.example/back"
USERS = {"ann": ["acme-devs"], "aud": ["acme-readers", "nothing"], "amy": ["acme-admins", "acme-devs"],
         "ops": ["loom-ops"], "two": ["beta-devs", "acme-admins"], "bob": ["strangers"], "none": None,
         "lone": "acme-devs", "lost": ["gone-devs"], "nina": ["acme-web"]}
ROLES = ("acme-admins=acme:admin, acme-devs=acme:user,acme-readers=acme:auditor, beta-devs=beta:user, "
         "loom-ops=superadmin:admin, gone-devs=gone:user, acme-web=acme:web-ops")


class Provider:
    """An OpenID provider at a port that stays its own; each start makes it new keys."""

    def __init__(self, folder):
        done = subprocess.run([ROOT / "scripts/pypi", "oidc-provider-mock"], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            pytest.skip(f"no OpenID provider: {done.stderr[-200:]}")
        self.program = f"{done.stdout.strip()}/oidc-provider-mock"
        self.port = free_port(folder)
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self, *options):
        """With these users, and further options."""
        users = [json.dumps({"sub": name, **({"groups": groups} if groups is not None else {})})
                 for name, groups in USERS.items()]
        words = [word for user in users for word in ("--user-claims", user)]
        self.process = subprocess.Popen([self.program, "--port", str(self.port), *options, *words],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: self._answers() and self.request("GET", "/jwks")[0] == 200, 180, "the provider")

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        """Its keys are gone."""
        if self.process:
            self.process.terminate()
            self.process.wait()
        self.process = None

    def request(self, method, path, form=None):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = urllib.parse.urlencode(form) if form else None
        connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"} if form else {})
        answer = connection.getresponse()
        found = answer.status, answer.headers, answer.read()
        connection.close()
        return found

    def token(self, user, client=CLIENT):
        """What a user gets who signs in: the code flow, as a browser and a client go through it."""
        query = urllib.parse.urlencode({"response_type": "code", "client_id": client, "redirect_uri": BACK,
                                        "scope": "openid profile", "state": "s", "nonce": "n"})
        status, headers, body = self.request("POST", f"/oauth2/authorize?{query}", {"sub": user})
        assert status == 302, (status, body)
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(headers["Location"]).query)["code"][0]
        status, _, body = self.request("POST", "/oauth2/token", {
            "grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": client,
            "client_secret": "any"})
        assert status == 200, (status, body)
        return json.loads(body)["id_token"]


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    made = Provider(tmp_path_factory.mktemp("provider"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def site(provider):
    """A Loom that takes the provider's tokens, with two tenants."""
    settings = (f"api.oidc_issuer={provider.url}", f"api.oidc_keys={provider.url}/jwks", f"api.oidc_audience={CLIENT}",
                f"api.oidc_roles={ROLES}", "api.bad_token_burst=100000")
    with Stack("oidc", settings, auth="token") as made:
        made.up(*CORE)
        made.sql("INSERT INTO tenant (id, name) VALUES ('id-acme', 'acme'), ('id-beta', 'beta')")
        yield made


def as_bearer(stack, token, tenant=None):
    client = Api(f"http://127.0.0.1:{stack.ports['api.external']}", user=None, token=token)
    if tenant:
        client.identity["X-Loom-TenantID"] = tenant
    return client


def who(stack, token, tenant=None):
    answer = as_bearer(stack, token, tenant).get("/v2/whoami")
    return (answer.json["user"], answer.json["tenant"], answer.json["role"]) if answer.status == 200 else answer.status


def refused(stack, token, status, word, tenant=None):
    answer = as_bearer(stack, token, tenant).get("/v2/whoami")
    assert answer.status == status and word in answer.text, answer
    assert (status == 401) == ("WWW-Authenticate" in answer.headers)


def test_groups_are_roles(site, provider):
    expected = {"ann": ("oidc:ann", "acme", "user"), "aud": ("oidc:aud", "acme", "auditor"),
                "amy": ("oidc:amy", "acme", "admin"), "ops": ("oidc:ops", "superadmin", "superadmin"),
                "lone": ("oidc:lone", "acme", "user")}
    for name, found in expected.items():
        assert who(site, provider.token(name)) == found
    for name in ("bob", "none"):
        refused(site, provider.token(name), 403, "groups")
    refused(site, provider.token("lost"), 403, "gone")
    # who has roles in several tenants says where he works; the superadmin works everywhere
    two = provider.token("two")
    assert who(site, two) == ("oidc:two", "acme", "admin")
    assert who(site, two, "beta") == ("oidc:two", "beta", "user")
    assert who(site, two, "superadmin") == 404
    assert who(site, provider.token("ops"), "beta") == ("oidc:ops", "beta", "admin")
    assert who(site, provider.token("ann"), "beta") == 404


def test_a_group_may_have_a_role_of_the_tenants_own(site, provider):
    nina, admin = as_bearer(site, provider.token("nina")), site.client("api.external", tenant="acme")
    missing = nina.get("/v2/clusters")
    assert missing.status == 403 and "web-ops" in missing.text and "acme-web" in missing.text, missing
    assert admin.put("/v2/roles/web-ops", {"base": "auditor", "permissions": ["clusters:read"]}).status == 200
    assert nina.get("/v2/clusters").status == 200
    refusal = nina.get("/v2/providers")
    assert refusal.status == 403 and "role web-ops" in refusal.text and "catalog:read" in refusal.text, refusal
    whoami = nina.get("/v2/whoami").json
    assert (whoami["role"], whoami["narrowedBy"]) == ("auditor", ["web-ops"])


def test_they_may_what_their_role_may(site, provider):
    ann, amy, aud = (as_bearer(site, provider.token(name)) for name in ("ann", "amy", "aud"))
    document = {"name": "deb", "providermap": {}}
    assert ann.post("/v2/imagetypes", document).status == 403
    assert amy.post("/v2/imagetypes", document).status == 200
    assert aud.get("/v2/imagetypes/deb").status == ann.get("/v2/imagetypes/deb").status == 200
    rows = amy.get("/v2/audit?user=oidc:amy").json
    assert [row["action"] for row in rows] == ["POST /v2/imagetypes"] and len(rows[0]["token"]) == 16
    # nobody has an account here: no tokens, no password of one's own, nothing to sign out of
    assert ann.post("/v2/tokens", {"name": "mine"}).status == 404
    assert ann.put("/v2/password", {"old": "x" * 10, "new": "y" * 10}).status in (404, 409)
    assert ann.post("/v2/logout").json == {"ended": False} and ann.get("/v2/whoami").status == 200


def b64(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_forged_and_foreign_tokens(site, provider):
    good = provider.token("ops")
    head, claims, signature = good.split(".")
    assert who(site, good) == ("oidc:ops", "superadmin", "superadmin")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    for forged in ({**told, "sub": "amy"}, {**told, "exp": told["exp"] + 3600}):
        refused(site, f"{head}.{b64(forged)}.{signature}", 401, "signature")
    kid = json.loads(base64.urlsafe_b64decode(head + "==")).get("kid")
    named = {"kid": kid} if kid else {}
    for algorithm in ("none", "None", "HS256", "RS1", ""):
        refused(site, f"{b64({'alg': algorithm, **named})}.{claims}.", 401, "algorithm")
        refused(site, f"{b64({'alg': algorithm, **named})}.{claims}.{signature}", 401, "algorithm")
    refused(site, f"{b64({'alg': 'ES256', **named})}.{claims}.{signature}", 401, "key")
    refused(site, f"{b64({'alg': 'RS256', **named, 'crit': ['x']})}.{claims}.{signature}", 401, "critical")
    refused(site, provider.token("ann", client="another"), 401, "oidc_audience")
    for broken in ("a.b.c", "..", f"{head}.{claims}", good + ".x", f"{head}.{claims}.", "." + good):
        assert who(site, broken) == 401
    assert who(site, site.token()) == ("admin", "superadmin", "superadmin")  # ours are what they were


def test_keys_change(site, provider):
    before = provider.token("ann")
    assert who(site, before) == ("oidc:ann", "acme", "user")
    provider.stop()
    # what is known goes on while the provider is away
    assert who(site, before) == ("oidc:ann", "acme", "user")
    provider.start()
    after = provider.token("ann")
    wait_for(lambda: who(site, after) == ("oidc:ann", "acme", "user"), 60, "the new key")
    wait_for(lambda: who(site, before) == 401, 60, "the old key to be good no more")
    # one that has ended: a minute is for clocks that differ
    provider.stop()
    provider.start("--token-max-age", "-61")
    ended = provider.token("ann")
    wait_for(lambda: "(exp)" in as_bearer(site, ended).get("/v2/whoami").text, 60, "the new key")
    refused(site, ended, 401, "(exp)")
    provider.stop()
    provider.start("--token-max-age", "-50")
    late = provider.token("ann")
    wait_for(lambda: who(site, late) == ("oidc:ann", "acme", "user"), 60, "the new key")
    provider.stop()
    provider.start()


def test_a_start_does_not_wait_for_the_provider(site, provider):
    token = provider.token("ann")
    provider.stop()
    site.restart("api")
    refused(site, token, 503, "keys")
    assert who(site, site.token()) == ("admin", "superadmin", "superadmin")
    provider.start()
    token = provider.token("ann")
    wait_for(lambda: who(site, token) == ("oidc:ann", "acme", "user"), 60, "the keys")


def test_keys_of_a_file(site, provider):
    """And settings that are not right."""
    file = site.dir / "keys.json"
    file.write_bytes(provider.request("GET", "/jwks")[2])
    site.stop("api")
    site.start("api", settings=(f"api.oidc_keys={file}",))
    assert who(site, provider.token("amy")) == ("oidc:amy", "acme", "admin")
    for setting, word in (("oidc_keys=http://id.example/jwks", "oidc_keys"), ("oidc_audience=", "oidc_audience"),
                          ("oidc_roles=devs", "oidc_roles"), ("oidc_roles=devs=acme:provisioner", "oidc_roles"),
                          ("oidc_roles=", "oidc_roles"), ("oidc_user_prefix=id-", "oidc_user_prefix")):
        words = {"oidc_issuer": provider.url, "oidc_keys": str(file), "oidc_audience": CLIENT, "oidc_roles": "a=b:user",
                 "cluster_key_file": str(site.dir / "cluster.key")}
        key, value = setting.split("=", 1)
        words[key] = value
        flags = [f"--{name.replace('_', '-')}={text}" for name, text in words.items()]
        done = subprocess.run([site.bin / "loom-api", *flags], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1 and word in done.stderr, (setting, done)


def signed(key, claims):
    """A token as a provider makes it that counts in parts of seconds."""
    said = f"{b64({'alg': 'RS256', 'kid': 'ours'})}.{b64(claims)}"
    done = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=said.encode(), capture_output=True, check=True)
    return f"{said}.{base64.urlsafe_b64encode(done.stdout).rstrip(b'=').decode()}"


def test_a_token_may_end_between_two_seconds(site, provider):
    key, keys = site.dir / "ours.pem", site.dir / "ours.json"
    openssl("genrsa", "-out", key, 2048)
    number = bytes.fromhex(openssl("rsa", "-in", key, "-noout", "-modulus").strip().partition("=")[2])
    keys.write_text(json.dumps({"keys": [{"kty": "RSA", "kid": "ours", "e": "AQAB", "n": base64.urlsafe_b64encode(
        number).rstrip(b"=").decode()}]}), encoding="ascii")
    site.stop("api")
    site.start("api", settings=(f"api.oidc_keys={keys}",))
    ends = site.now() // 1000 + 3600
    claims = {"iss": provider.url, "aud": CLIENT, "sub": "ann", "groups": ["acme-devs"]}
    for exp in (ends, ends + 0.5):
        token = signed(key, {**claims, "exp": exp})
        assert who(site, token) == ("oidc:ann", "acme", "user")
        # a minute is for clocks that differ
        assert as_bearer(site, token).get("/v2/whoami").json["expireTime"] == (ends + 60) * 1000


@pytest.fixture(scope="module")
def paced():
    """A Loom that is soon tired of tokens that are not good."""
    with Stack("bad-tokens", ("api.bad_token_rate=1", "api.bad_token_burst=5", "api.trusted_proxies=127.0.0.0/8"),
               auth="token") as made:
        made.up(*CORE)
        yield made


def test_bad_tokens_are_held_back_by_their_address(paced):
    good = as_bearer(paced, paced.token())
    assert good.get("/v2/whoami").status == 200

    def bad(number, address):
        made = as_bearer(paced, "loom_" + f"{number:043}")
        return made.get("/v2/whoami", headers={"X-Forwarded-For": address})

    answers = [bad(number, "203.0.113.7") for number in range(12)]
    statuses = [answer.status for answer in answers]
    assert statuses[:5] == [401] * 5 and 429 in statuses, statuses
    held = next(answer for answer in answers if answer.status == 429)
    assert int(held.headers["Retry-After"]) >= 1 and "bad_token_rate" in held.text
    # others, and whose token was good, go on
    assert bad(1, "203.0.113.8").status == 401
    assert good.get("/v2/whoami", headers={"X-Forwarded-For": "203.0.113.7"}).status == 200
    assert paced.metric("api.external", "loom_api_bad_tokens_total") >= 6
    wait_for(lambda: bad(2, "203.0.113.7").status == 401, 60, "the next one to be looked at")
