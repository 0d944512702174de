# SPDX-License-Identifier: Apache-2.0
"""The first start of an API that wants tokens, and its token file."""


import pytest

from support.api import bearer, make_token, until_refused


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
