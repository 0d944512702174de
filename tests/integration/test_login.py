# SPDX-License-Identifier: Apache-2.0
"""Logging in at a real OpenID provider through the page's gateway, of which there are several copies."""

import concurrent.futures
import contextlib
import json
import socket
import subprocess
import threading

import pytest

from support import Events, Stack, wait_for
from support.api import Api
from support.openid import OpenId, Visitor
from support.stack import CORE

OWN = {"Sec-Fetch-Site": "same-origin"}
COPIES = ("gateway", "gateway2")  # that have keys of sessions, the others the cluster's only
FIRST, SECOND = "1" * 64, "2" * 64


@pytest.fixture(scope="module", name="provider")
def make_provider():
    made = OpenId()
    yield made
    made.close()


@pytest.fixture(scope="module", name="site")
def make_site(provider):
    """A Loom with two gateways, and two more that are told something else."""
    with Stack("login", provider.api_settings(), auth="token") as made:
        made.up(*CORE)
        key_file, other = made.dir / "secrets/cluster.key", made.dir / "secrets/other.key"
        other.write_text("ab" * 32 + "\n", encoding="ascii")
        sessions = write_keys(made, FIRST)
        settings = [setting for part, key in (("gateway", key_file), ("gateway2", key_file), ("gateway3", key_file),
                                              ("gateway4", other))
                    for setting in provider.gateway_settings(key, part)]
        made.start("gateway", "gateway2", "gateway3", "gateway4", settings=(
            *settings, *(f"{part}.session_key_file={sessions}" for part in COPIES),
            "gateway3.oidc_client_secret_file=", "gateway3.oidc_client_id=loom-public",
            "gateway4.oidc_session=8s", "gateway4.oidc_name="))
        provider.start([home(made, part) for part in ("gateway", "gateway2", "gateway3", "gateway4")])
        made.sql("INSERT INTO tenant (id, name) VALUES ('id-acme', 'acme')")
        wait_for(lambda: Visitor().log_in(home(made), "ann").status == 303, 60, "the API to have the provider's keys")
        yield made


def write_keys(site, *keys):
    """Of sessions, the newest first; never half of it is there."""
    path = site.dir / "secrets/session.keys"
    path.with_suffix(".new").write_text("".join(f"{key}\n" for key in keys), encoding="ascii")
    return path.with_suffix(".new").replace(path)


def home(site, part="gateway"):
    return f"http://127.0.0.1:{site.ports[part]}"


def who(visitor, url):
    answer = visitor.get(f"{url}/api/v2/whoami")
    return json.loads(answer.text)["user"] if answer.status == 200 else answer.status


def logged_in(site, user="ann", part="gateway"):
    visitor = Visitor()
    answer = visitor.log_in(home(site, part), user)
    assert answer.status == 303, answer.text
    return visitor


def refused(answer, status, words):
    """A page that a person can read."""
    assert answer.status == status and words in answer.text, (answer.status, answer.text)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8" and 'href="/login"' in answer.text
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert not any("loom_login=1." in line for line in answer.headers.get_all("Set-Cookie") or ())


# ---- the way there and back ----

def test_any_copy_goes_on_where_another_began(site):
    one, two = home(site), home(site, "gateway2")
    visitor = Visitor()
    assert json.loads(visitor.get(f"{one}/session").text) == {"login": "Example ID"}
    assert json.loads(visitor.get(f"{home(site, 'gateway4')}/session").text) == {"login": "127.0.0.1"}
    back = visitor.to_callback(one, "ann", to="/#/clusters/00000001")
    assert back.startswith(f"{one}/login/callback?") and "iss=" in back
    answer = visitor.get(back.replace(one, two))
    assert answer.status == 303 and answer.headers["Location"] == "/#/clusters/00000001", answer.text
    cookies = answer.headers.get_all("Set-Cookie")
    session = next(line for line in cookies if line.startswith("loom_login=1."))
    assert session.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert set(visitor.cookies) & {"loom_login", "loom_login_state", "loom_session"} == {"loom_login"}
    assert who(visitor, one) == who(visitor, two) == "oidc:ann"
    # each login is good for once, and what a browser had before is worth nothing in another one
    refused(visitor.get(back), 400, "not begun in this browser")
    assert who(Visitor(), one) == 401
    assert Visitor({"loom_login": visitor.cookies["loom_login"]}).get(f"{one}/api/v2/whoami").status == 200
    # a copy with another key is none
    assert who(visitor, home(site, "gateway4")) == 401


def test_secure_behind_tls(site):
    answer = Visitor().get(f"{home(site)}/login", X_Forwarded_Proto="https")
    assert "redirect_uri=https%3A%2F%2F127.0.0.1%3A" in answer.headers["Location"]
    for word in ("response_type=code&", "code_challenge_method=S256", "scope=openid%20profile&"):
        assert word in answer.headers["Location"]
    assert all(line.endswith("; Secure") for line in answer.headers.get_all("Set-Cookie"))


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example/", "/%5Cevil.example", "evil", "/%0Ax", ""])
def test_nobody_is_sent_elsewhere(site, to):
    answer = Visitor().get(f"{home(site)}/login?to={to}")
    assert answer.status == 400 and "Location" not in answer.headers, answer.text


def test_what_the_provider_refuses(site):
    visitor = Visitor()
    refused(visitor.get(visitor.to_callback(home(site), "ann", allow=False)), 403, "not to let you in")
    # a role is Loom's business
    visitor = Visitor()
    refused(visitor.get(visitor.to_callback(home(site), "bob")), 403, "none of the groups in the token")
    # a public client gets its token without a secret; here loom-api wants another audience
    visitor = Visitor()
    refused(visitor.get(visitor.to_callback(home(site, "gateway3"), "ann")), 403, "oidc_audience")


@pytest.mark.parametrize("change, status, words", [
    (lambda url: url.replace("state=", "state=x"), 400, "not the login that was begun last"),
    (lambda url: url.replace("state=", "other="), 400, "not the login that was begun last"),
    (lambda url: url.replace("iss=", "iss=http%3A%2F%2Fevil"), 400, "not the login that was begun last"),
    (lambda url: url.replace("code=", "code=x"), 400, "does not know this login any more"),
    (lambda url: url.replace("code=", "other="), 502, "refused"),
    (lambda url: url.replace("code=", "error=access_denied&other="), 403, "not to let you in"),
    (lambda url: url.replace("code=", "error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%3Cb%3E&x="), 502,
     "refused"),
    (lambda url: url.replace("code=", f"code={'x' * 5000}&other="), 502, "refused"),
])
def test_what_comes_back_changed(site, change, status, words):
    visitor = Visitor()
    answer = visitor.get(change(visitor.to_callback(home(site), "ann")))
    refused(answer, status, words)
    assert "<script" not in answer.text and "<b>" not in answer.text
    assert who(visitor, home(site)) == 401


def test_what_a_browser_did_not_begin(site):
    back = Visitor().to_callback(home(site), "ann")
    for cookie in (None, "nonsense", "a" * 3800, "a" * 5000):
        refused(Visitor({"loom_login_state": cookie} if cookie else {}).get(back), 400, "not begun in this browser")
    other = Visitor()  # somebody else's login, which would make one work as him
    other.get(f"{home(site)}/login")
    refused(other.get(back), 400, "not the login that was begun last")


# ---- what a session may ----

def test_changes_need_a_page_of_ours(site):
    visitor = logged_in(site, "amy")
    url, document = f"{home(site)}/api/v2/imagetypes", json.dumps({"name": "login", "providermap": {}})
    for headers, word in (({}, "Sec-Fetch-Site"), ({"Sec-Fetch-Site": "cross-site"}, "another site"),
                          ({"Sec-Fetch-Site": "same-site"}, "another site"),
                          ({"Origin": "https://evil.example"}, "another site"), ({"Origin": "null"}, "another site")):
        answer = visitor.send("POST", url, headers=headers, body=document)
        assert answer.status == 403 and word in answer.text, (headers, answer.text)
    assert visitor.send("POST", url, headers=OWN, body=document).status == 200
    assert visitor.send("DELETE", f"{url}/login", headers={"Origin": home(site)}).status == 200


def test_a_token_that_is_shown_counts_before_cookies(site):
    visitor = logged_in(site)
    answer = visitor.get(f"{home(site)}/api/v2/whoami", Authorization=f"Bearer {site.token()}")
    assert json.loads(answer.text)["user"] == "admin"
    assert visitor.get(f"{home(site)}/api/v2/whoami", Authorization="Bearer nonsense").status == 401
    # and no cookie is needed to change something with one
    answer = visitor.send("PUT", f"{home(site)}/api/v2/users/eve", body=json.dumps({"role": "user"}),
                          headers={"Authorization": f"Bearer {site.token()}"})
    assert answer.status == 200, answer.text


def test_a_jwt_is_a_token_like_another(site):
    """Pasted into the page's form."""
    token = Visitor().id_token(home(site), "ann")
    visitor = Visitor()
    answer = visitor.send("POST", f"{home(site)}/session", body=json.dumps({"token": token}), headers=OWN)
    assert answer.status == 200 and json.loads(answer.text)["user"] == "oidc:ann", answer.text
    assert who(visitor, home(site, "gateway2")) == "oidc:ann"
    assert visitor.send("DELETE", f"{home(site)}/session", headers=OWN).status == 200
    assert who(visitor, home(site)) == 401
    # who signs in otherwise is not both
    visitor = logged_in(site)
    visitor.send("POST", f"{home(site)}/session", body=json.dumps({"token": site.token()}), headers=OWN)
    assert who(visitor, home(site)) == "admin" and "loom_login" not in visitor.cookies


def test_bad_sessions(site):
    good = logged_in(site).cookies["loom_login"]
    for bad in (good[:-1], good[:-2] + "AA", "2" + good[1:], good[2:], "1.", "1." + "A" * 3800, good + "A" * 9000):
        assert who(Visitor({"loom_login": bad}), home(site)) == 401
    assert who(Visitor({"loom_login": good, "loom_login_2": "left_over"}), home(site)) == "oidc:ann"


def test_long_sessions(site):
    """One that no single cookie holds, and one that is too long for a browser."""
    visitor = logged_in(site, "many")
    assert len(visitor.cookies["loom_login"]) == 3802 and visitor.cookies["loom_login_2"]
    assert who(visitor, home(site)) == who(visitor, home(site, "gateway2")) == "oidc:many"
    part = visitor.cookies.pop("loom_login_2")
    assert who(visitor, home(site)) == 401
    visitor.cookies["loom_login_2"] = part
    visitor.get(f"{home(site)}/logout")
    assert not {name for name in visitor.cookies if name.startswith("loom_login")}
    other = Visitor()
    refused(other.get(other.to_callback(home(site), "most")), 502, "longer than a browser keeps")
    # who logs in as somebody else in the same browser leaves no piece of before
    visitor = logged_in(site, "many")
    visitor.cookies = {name: value for name, value in visitor.cookies.items() if not name.startswith("provider")}
    assert visitor.log_in(home(site), "ann").status == 303 and "loom_login_2" not in visitor.cookies
    assert who(visitor, home(site)) == "oidc:ann"


def test_a_session_ends(site):
    url = home(site, "gateway4")
    visitor = logged_in(site, part="gateway4")
    assert who(visitor, url) == "oidc:ann"
    client = Api(url, user=None)
    client.identity = {"Cookie": f"loom_login={visitor.cookies['loom_login']}"}
    with Events(client, "/api/v2/events?clusters=1") as stream:
        wait_for(lambda: stream.closed, 60, "the end of the stream")
    assert who(visitor, url) == 401


# ---- logging out ----

def test_logs_out(site):
    visitor = logged_in(site)
    one = home(site)
    client = Api(one, user=None)
    client.identity = {"Cookie": f"loom_login={visitor.cookies['loom_login']}"}
    mine = Events(client, "/api/v2/events?clusters=1")
    client.identity = {"Cookie": f"loom_login={logged_in(site, 'amy').cookies['loom_login']}"}
    others = Events(client, "/api/v2/events?clusters=1")
    # not by another site's page
    refused(visitor.get(f"{one}/logout", Sec_Fetch_Site="cross-site"), 403, "Another site")
    assert who(visitor, one) == "oidc:ann"
    answer = visitor.send("DELETE", f"{one}/session", headers=OWN)
    assert answer.status == 200 and answer.text == "logout"  # where the page goes
    answer = visitor.get(f"{one}/logout", Sec_Fetch_Site="same-origin")
    assert answer.status == 303 and "/o/logout/" in answer.headers["Location"], answer.text
    assert "loom_login" not in visitor.cookies and who(visitor, one) == 401
    wait_for(lambda: mine.closed, 60, "the end of the session's stream")
    assert not others.closed
    # the provider forgets, too, and sends the browser home
    answer, url = visitor.follow(answer, f"{one}/logout", until=f"{one}/")
    assert answer.headers["Location"] == f"{one}/", (url, answer.text)
    answer, url = visitor.follow(visitor.get(f"{one}/login"), f"{one}/login")
    assert "/accounts/login/" in url
    # who has no session is just sent home
    assert Visitor().get(f"{one}/logout").headers["Location"] == "/"


# ---- renewal ----

def renewals(site, part="gateway"):
    return site.metric(part, "loom_gateway_sessions_renewed_total")


def failures(site):
    return site.metric("gateway", "loom_gateway_sessions_not_renewed_total")


def at_once(visitors, urls):
    """Each at its URL, all at the same time; the answers."""
    with concurrent.futures.ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(lambda pair: pair[0].get(f"{pair[1]}/api/v2/whoami"), zip(visitors, urls)))


def test_sessions_are_renewed(site, provider):
    provider.stop()
    provider.start(seconds=4)
    visitor = logged_in(site)
    began, before = visitor.cookies["loom_login"], renewals(site)
    wait_for(lambda: who(visitor, home(site)) == "oidc:ann" and renewals(site) > before, 60, "the session to be renewed")
    assert visitor.cookies["loom_login"] != began
    # requests that come together are renewed once; those that left with the session of before get it, too
    visitor = logged_in(site)
    old = [Visitor(visitor.cookies) for _ in range(8)]
    before = renewals(site)

    def renewed():
        answers = at_once(old, [home(site)] * 8)
        assert [answer.status for answer in answers] == [200] * 8
        return renewals(site) > before

    wait_for(renewed, 60, "the session to be renewed")
    assert renewals(site) == before + 1
    late = Visitor({"loom_login": visitor.cookies["loom_login"]})
    assert who(late, home(site)) == "oidc:ann" and late.cookies["loom_login"] != visitor.cookies["loom_login"]
    assert renewals(site) == before + 1


def test_copies_that_renew_together_log_nobody_out(site, provider):
    """A refresh token is taken once here; the other copy is refused."""
    for _ in range(3):
        visitor = logged_in(site)
        urls = [home(site), home(site, "gateway2")] * 3
        before = renewals(site) + renewals(site, "gateway2")

        def renewed(visitor=visitor, urls=urls, before=before):
            visitors = [Visitor(visitor.cookies) for _ in urls]
            answers = at_once(visitors, urls)
            assert {answer.status for answer in answers} == {200}
            return renewals(site) + renewals(site, "gateway2") > before

        wait_for(renewed, 60, "the session to be renewed")


def test_a_renewal_that_is_refused_ends_nothing_at_once(site, provider):
    """Another copy may have had it; so one is first asked to come again."""
    provider.stop()
    provider.start(seconds=4)
    visitor = logged_in(site)
    provider.forget()

    def told():
        answer = visitor.get(f"{home(site)}/api/v2/whoami")
        assert answer.status == 200 or (answer.status == 503 and "being renewed" in answer.text), answer.text
        return answer.status == 503 and answer.headers["Retry-After"]

    before = failures(site)
    wait_for(lambda: told() or failures(site) > before, 60, "the refusal")
    assert who(visitor, home(site)) in ("oidc:ann", 503)
    # loom-api takes the token for a minute more
    wait_for(lambda: who(visitor, home(site)) == "oidc:ann", 60, "loom-api to decide")


def test_a_gateway_with_another_secret(site, provider):
    """Logging in again does not help: it is not the login that the provider refuses."""
    provider.stop()
    provider.start(seconds=300)
    other = site.dir / "secrets/client.other"
    other.write_text("another\n", encoding="ascii")
    site.stop("gateway2")
    site.start("gateway2", settings=(f"gateway2.oidc_client_secret_file={other}",))
    try:
        visitor = Visitor()
        refused(visitor.get(visitor.to_callback(home(site, "gateway2"), "ann")), 502, "does not answer as it should")
        assert "invalid_client" in site.log("gateway2")
    finally:
        site.stop("gateway2")
        site.start("gateway2", settings=(f"gateway2.oidc_client_secret_file={provider.secret_file}",))


def test_a_provider_that_is_away(site, provider):
    provider.stop()
    provider.start(seconds=4)
    visitor, other = logged_in(site), Visitor()
    before = failures(site)
    back = other.to_callback(home(site), "amy")
    provider.stop()
    refused(other.get(back), 502, "does not answer")
    site.restart("gateway2")  # knows nothing of it
    refused(Visitor().get(f"{home(site, 'gateway2')}/login"), 502, "does not answer")
    assert Visitor(visitor.cookies).get(f"{home(site, 'gateway2')}/logout").headers["Location"] == "/"

    def away():
        answer = Visitor(visitor.cookies).get(f"{home(site)}/api/v2/whoami")
        assert answer.status == 200 or (answer.status == 503 and "login service" in answer.text), answer.text
        return answer.status == 503

    wait_for(away, 60, "the token to end")
    assert failures(site) > before
    provider.start(seconds=300)
    wait_for(lambda: who(visitor, home(site)) == "oidc:ann", 60, "the session to go on")


class Hanging:
    """Takes requests at a port, and answers none; most: how many waited at once."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.waiting, self.most = [], 0
        self.thread = threading.Thread(target=self._take)
        self.thread.start()

    @staticmethod
    def _waits(connection):
        try:
            while connection.recv(65536):
                pass
        except BlockingIOError:
            return True
        except ConnectionError:
            pass
        connection.close()
        return False

    def _take(self):
        with contextlib.suppress(OSError):
            while True:
                connection = self.listener.accept()[0]
                connection.setblocking(False)
                self.waiting = [one for one in self.waiting if self._waits(one)] + [connection]
                self.most = max(self.most, len(self.waiting))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        for one in (*self.waiting, self.listener):
            one.close()


def test_a_provider_that_hangs_holds_up_one_thread(site, provider):
    """Others are for those who sign in otherwise, and for whoever asks whether the gateway lives."""
    provider.stop()
    provider.start(seconds=4)
    visitors = [logged_in(site) for _ in range(4)]
    before = failures(site)
    provider.stop()
    with Hanging(provider.port) as hanging:
        def all_failed():
            at_once([Visitor(visitor.cookies) for visitor in visitors], [home(site)] * len(visitors))
            return failures(site) >= before + len(visitors)

        wait_for(all_failed, 90, "the sessions not to be renewed")
        assert hanging.most == 1
    provider.start(seconds=300)


# ---- the keys of sessions ----

def test_the_key_of_sessions_is_another_one_while_people_are_logged_in(site):
    """All copies learn the new key before any seals with it; those of before go on until theirs is taken out."""
    site.stop("gateway2")
    site.start("gateway2", settings=("gateway2.session_key_file=",))
    cluster = logged_in(site, part="gateway2")  # as before there was a file
    site.stop("gateway2")
    site.start("gateway2", settings=(f"gateway2.session_key_file={site.dir}/secrets/session.keys",))
    before = logged_in(site)

    def users(visitor):
        return [who(visitor, home(site, part)) for part in COPIES]

    def read(times, word="keys of sessions read"):
        wait_for(lambda: users(before) and all(site.log(part).count(word) >= times for part in COPIES), 60, word)

    assert users(cluster) == users(before) == ["oidc:ann"] * 2
    try:
        for number, keys in enumerate(((FIRST, SECOND), (SECOND, FIRST)), start=1):
            write_keys(site, *keys)
            read(number)
        after = logged_in(site)
        assert users(before) == users(after) == users(cluster) == ["oidc:ann"] * 2
        write_keys(site, "no key")
        read(1, "keys of sessions not read")
        assert users(before) == users(after) == ["oidc:ann"] * 2
        write_keys(site, SECOND)
        wait_for(lambda: users(before) == [401] * 2, 60, "the first key to be forgotten")
        assert users(after) == ["oidc:ann"] * 2
    finally:
        write_keys(site, FIRST)
    wait_for(lambda: users(after) == [401] * 2, 60, "the second key to be forgotten")


# ---- settings ----

@pytest.mark.parametrize("settings, word", [
    ({"oidc_issuer": "http://id.example"}, "oidc_issuer"), ({"oidc_client_id": ""}, "oidc_client_id"),
    ({"cluster_key_file": ""}, "cluster_key_file and session_key_file"),
    ({"cluster_key_file": "/nonexistent"}, "cluster_key_file"),
    ({"session_key_file": "/nonexistent"}, "session_key_file"),
    ({"session_key_file": "/dev/null"}, "session_key_file /dev/null has no key: put a line of 64 hex digits there"),
    ({"session_key_file": "/proc/version"}, "session_key_file /proc/version, line 1: each line is a key of 64 hex digits"),
    ({"oidc_client_secret_file": "/nonexistent"}, "oidc_client_secret_file"),
    ({"oidc_redirect": "https://loom.example/"}, "oidc_redirect"), ({"oidc_redirect": "/login/callback"}, "oidc_redirect"),
    ({"default_user": "admin"}, "default_user"),
])
def test_settings_that_are_not_right(site, provider, settings, word):
    right = {"listen": "127.0.0.1:0", "web_dir": site.dir, "oidc_issuer": provider.issuer, "oidc_client_id": "loom",
             "oidc_client_secret_file": provider.secret_file, "cluster_key_file": site.dir / "secrets/cluster.key"}
    (site.dir / "index.html").touch()
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in {**right, **settings}.items()]
    done = subprocess.run([site.bin / "loom-ui-gateway", *flags], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1 and word in done.stderr, done


def test_a_gateway_without_a_provider(stack):
    for path in ("/login", "/login/callback?code=x", "/logout"):
        answer = stack.ui.get(path)
        assert answer.status == 404 and "oidc_issuer" in answer.text
    assert stack.ui.get("/session").json == {"login": None}
