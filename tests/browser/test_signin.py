# SPDX-License-Identifier: Apache-2.0
"""Signing in and out at the page, where the API wants tokens: with a password, a token, or at an OpenID provider."""

import pytest

from support import Stack
from support.openid import OpenId

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def guarded():
    """A Loom that wants tokens, with a user who has a password."""
    with Stack("signin", auth="token") as made:
        made.up("mariadb", "zookeeper", "api", "scheduler", "gateway")
        answer = made.api.put("/v2/users/ann", {"role": "user", "password": PASSWORD})
        assert answer.status == 200, answer
        yield made


def fill(page, user, password):
    for name, text in (("user", user), ("password", password)):
        page.script(f"document.getElementById('signin-{name}').value = ''")
        page.wait(f"#signin-{name}").type(text)
    page.wait(".signin button[type=submit]").click()


def test_who_is_at_the_page_signs_in_and_out(guarded, new_browser):
    page = new_browser()
    page.open(f"{guarded.ui.url}/")
    page.wait(".signin")
    fill(page, "ann", "not the right one")
    page.until(lambda: "wrong" in page.text(".signin [role=alert]"), "the refusal")
    fill(page, "ann", PASSWORD)
    page.wait("#sign-out")
    assert page.text("#who") == "ann of superadmin"
    page.wait("#link-state[data-state=live]")
    assert page.script("return document.cookie") == ""
    page.wait("#sign-out").click()
    page.wait(".signin")


def test_what_is_filled_in_outlives_the_session(guarded, new_browser):
    answer = guarded.api.put("/v2/clustertemplates/kept", {"name": "kept", "defaults": {"services": []}})
    assert answer.status == 200, answer
    page = new_browser()
    page.open(f"{guarded.ui.url}/")
    fill(page, "ann", PASSWORD)
    page.wait("#link-state[data-state=live]")
    page.until(lambda: next((b for b in page.find("#new-cluster, #empty button") if b.visible), None),
               "a button to create a cluster").click()
    page.wait("#new-name").type("typed")
    page.wait("#new-labels").type("no")  # refused by the page, once it is asked
    guarded.sql("DELETE FROM token WHERE kind='session' AND user='ann'")
    page.script("const s = document.getElementById('new-size'); s.value = '4'; s.dispatchEvent(new Event('input'))")
    page.wait("dialog .signin")
    fill(page, "ann", PASSWORD)
    page.until(lambda: page.count(".signin") == 0, "the form to go on")
    assert page.script("return document.getElementById('new-name').value") == "typed"
    page.find(".modal button[type=submit]")[0].click()
    page.until(lambda: "KEY=VALUE" in page.text(".form .callout[role=alert]"), "what the form has to say")


def test_a_tab_goes_on_when_somebody_signs_in_in_another(guarded, new_browser):
    page = new_browser()
    page.open(f"{guarded.ui.url}/")
    page.wait(".signin")
    first = page.call("GET", "/window")
    second = page.call("POST", "/window/new", {"type": "tab"})["handle"]
    page.switch(second)
    page.open(f"{guarded.ui.url}/")
    fill(page, "ann", PASSWORD)
    page.wait("#sign-out")
    page.switch(first)
    page.wait("#sign-out")


def test_a_token_signs_in_too(guarded, new_browser):
    page = new_browser()
    page.open(f"{guarded.ui.url}/")
    page.wait(".signin")
    for token in ("loom_nonsense", guarded.token()):
        if not page.script("return document.getElementById('signin-token').offsetParent"):
            page.wait("#signin-other").click()
        page.wait("#signin-token").type(token)
        page.wait(".signin button[type=submit]").click()
        if token != guarded.token():
            page.until(lambda: "token" in page.text(".signin [role=alert]"), "the refusal")
    page.wait("#sign-out")
    assert page.text("#who") == "admin of superadmin"
    page.wait("#sign-out").click()
    page.wait(".signin")
    assert guarded.api.get("/v2/whoami").status == 200


# ---- at an OpenID provider ----

@pytest.fixture(scope="module")
def provider():
    made = OpenId()
    yield made
    made.close()


@pytest.fixture(scope="module")
def copies(provider):
    """A Loom whose users a provider knows, with two copies of the page's gateway, and one whose sessions are short."""
    with Stack("login-page", provider.api_settings(), auth="token") as made:
        made.up("mariadb", "zookeeper", "api", "scheduler")
        key_file = made.dir / "secrets/cluster.key"
        parts = ("gateway", "gateway2", "gateway3")
        made.start(*parts, settings=["gateway3.oidc_session=20s", *(
            setting for part in parts for setting in provider.gateway_settings(key_file, part))])
        provider.start([home(made, part) for part in parts])
        made.start("provisioner")  # for the types of plug-ins; then nobody makes machines
        made.stop("provisioner")
        made.load_catalog()
        yield made


def home(site, part="gateway"):
    return f"http://127.0.0.1:{site.ports[part]}"


def log_in(page, user):
    """From the page's form through those of the provider."""
    page.wait("#signin-login").click()
    page.until(lambda: "/accounts/login/" in page.url, "the provider's form")
    page.wait("#id_username").type(user)
    page.wait("#id_password").type(f"password of {user}")
    page.wait("#login button").click()
    page.wait("[name=allow]").click()


def test_who_logs_in_at_a_provider(copies, new_browser):
    page = new_browser()
    page.open(f"{home(copies)}/#/clusters/00000099")
    page.wait("#signin-login")
    assert page.text("#signin-login") == "Log in with Example ID"
    log_in(page, "ops")
    # back where one wanted to be
    page.wait("#sign-out")
    assert page.url == f"{home(copies)}/#/clusters/00000099"
    assert page.text("#who") == "oidc:ops of superadmin"
    assert page.script("return document.cookie") == ""
    # a change by the session
    page.open(f"{home(copies)}/#/")
    page.wait("#link-state[data-state=live]")
    page.wait("#empty button").click()
    page.wait("#new-name").type("mine")
    page.wait("form button[type=submit]").click()
    page.until(lambda: "#/clusters/" in page.url and "mine" in page.page_text(), "the cluster's page")
    # another copy takes it, and a page that is loaded again
    for part in ("gateway2", "gateway"):
        page.open(f"{home(copies, part)}/")
        page.wait("#link-state[data-state=live]")
        assert page.text("#who") == "oidc:ops of superadmin"
        page.until(lambda: "mine" in page.page_text(), "the cluster")
    # out, in all tabs, and at the provider, too
    first = page.handle
    page.new_window()
    page.open(f"{home(copies)}/")
    page.wait("#sign-out").click()
    page.wait("#signin-login")
    assert page.url.startswith(f"{home(copies)}/")
    second = page.handle
    page.switch(first)
    page.wait("#signin-login")
    page.switch(second)
    page.wait("#signin-login").click()
    page.wait("#id_username")


def test_a_session_that_ends_asks_again(copies, new_browser):
    """Though nobody touches the page."""
    page = new_browser()
    page.open(f"{home(copies, 'gateway3')}/")
    log_in(page, "ops")
    page.wait("#link-state[data-state=live]")
    page.wait("#signin-login")
    # the provider knows the browser still
    page.find("#signin-login")[0].click()
    page.wait("[name=allow]").click()
    page.wait("#sign-out")
