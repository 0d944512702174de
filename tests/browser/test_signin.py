# SPDX-License-Identifier: Apache-2.0
"""Signing in and out at the page, where the API wants tokens."""

import pytest

from support import Stack

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


def test_a_token_signs_in_too(guarded, new_browser):
    page = new_browser()
    page.open(f"{guarded.ui.url}/")
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
