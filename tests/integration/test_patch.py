# SPDX-License-Identifier: Apache-2.0
"""Merge patches of documents: what is given changes, all else stays, and the result is checked as a PUT is."""

import concurrent.futures

import pytest

MERGE = {"Content-Type": "application/merge-patch+json"}
PROBLEM = {**MERGE, "Accept": "application/problem+json"}
LAB = "/v2/providers/lab"


def patch(who, path, change, **headers):
    """Change what is given."""
    return who.request("PATCH", path, change, {**MERGE, **{key.replace("_", "-"): value
                                                           for key, value in headers.items()}})


def test_what_is_given_changes(lab):
    before = lab.admin.get(LAB).json
    change = {"label": "Lab", "description": None, "provisioner": {"url": None, "retries": 6, "deep": {"a": 1}}}
    answer = patch(lab.admin, LAB, change)
    assert answer.status == 200 and answer.body == b""
    after = lab.admin.get(LAB).json
    assert after == {**{key: value for key, value in before.items() if key != "description"}, "version": 2,
                     "label": "Lab", "provisioner": {"project": "p", "retries": 6, "deep": {"a": 1}}}
    assert lab.admin.get(f"{LAB}/1").json == before
    assert patch(lab.admin, LAB, change).status == 200
    assert lab.admin.get(LAB).json == {**after, "version": 3}
    assert patch(lab.admin, LAB, {"provisioner": {"deep": [1, {"b": None}]}}).status == 200
    assert lab.admin.get(LAB).json["provisioner"]["deep"] == [1, {"b": None}]


def test_what_it_comes_to_is_checked(lab):
    path = "/v2/clustertemplates/stack"
    change = {"name": None, "constraints": {"size": {"min": "many"}}, "compatibility": {"services": "web"}}
    answer = lab.admin.request("PATCH", path, change, PROBLEM)
    assert answer.status == 400 and answer.headers["Content-Type"] == "application/problem+json"
    assert sorted(fault["pointer"] for fault in answer.json["errors"]) == [
        "#/compatibility/services", "#/constraints/size/min", "#/name"]
    plain = patch(lab.admin, path, change)
    assert plain.status == 400 and "constraints.size.min" in plain.text and "name is missing" in plain.text
    # and so is what no schema says
    answer = patch(lab.admin, path, {"constraints": {"size": {"min": 21}}})
    assert answer.status == 400 and "size" in answer.text
    answer = patch(lab.admin, path, {"name": "other"})
    assert answer.status == 400 and "other" in answer.text and "stack" in answer.text
    assert lab.admin.get(path).json["version"] == 1


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"7", b'"x"', b"{", b'{"a":1,"a":2}'])
def test_what_is_no_patch(lab, body):
    answer = lab.admin.request("PATCH", LAB, body, PROBLEM)
    assert answer.status == 400 and answer.json["detail"]
    assert lab.admin.get(LAB).json["version"] == 1


@pytest.mark.parametrize("kind", [None, "application/json", "application/json-patch+json",
                                  "application/merge-patch+jsonx", "application/x-www-form-urlencoded"])
def test_what_is_no_type_of_a_patch(lab, kind):
    answer = lab.admin.request("PATCH", LAB, b'{"label":"x"}', {"Content-Type": kind} if kind else {})
    assert answer.status == 415 and answer.headers["Accept-Patch"] == MERGE["Content-Type"]
    good = {"Content-Type": "Application/Merge-Patch+JSON; charset=utf-8"}
    assert lab.admin.request("PATCH", LAB, b'{"label":"x"}', good).status == 200


def test_who_may_and_what_there_is(lab):
    assert patch(lab.user, LAB, {"label": "x"}).status == 403
    assert patch(lab.admin, "/v2/providers/none", {"label": "x"}).status == 404
    assert patch(lab.admin, "/v2/plugins/providertypes/testtype", {"label": "x"}).status == 405


def test_secrets_stay_unless_they_are_named(lab):
    """A mask is no value, and a secret that is removed is gone, not kept as one that is left out."""
    assert patch(lab.admin, LAB, {"provisioner": {"token": "geheim"}}).status == 200
    assert lab.admin.get(LAB).json["provisioner"]["token"] == "********"
    assert patch(lab.admin, LAB, {"label": "x"}).status == 200
    assert lab.admin.get(LAB).json["provisioner"]["token"] == "********"
    assert patch(lab.admin, LAB, {"provisioner": {"token": None}}).status == 200
    assert "token" not in lab.admin.get(LAB).json["provisioner"]
    assert patch(lab.admin, LAB, {"provisioner": {"token": "geheim"}}).status == 200
    assert patch(lab.admin, LAB, {"provisioner": None}).status == 200
    assert lab.admin.get(LAB).json["provisioner"] == {}
    assert b"geheim" not in lab.admin.get("/v2/export").body


def test_of_a_version(lab):
    seen = lab.admin.get(LAB).headers["ETag"]
    assert patch(lab.admin, LAB, {"label": "x"}, If_Match=seen).status == 200
    assert patch(lab.admin, LAB, {"label": "y"}, If_Match=seen).status == 412
    # a condition that fails is said before a fault of what would have come of it
    assert patch(lab.admin, LAB, {"name": None}, If_Match=seen).status == 412
    assert lab.admin.get(LAB).json["label"] == "x"


def test_none_of_many_at_once_is_lost(lab):
    """Each is made of the newest version, whoever writes beside it."""
    def write(number):
        return patch(lab.admin, LAB, {"provisioner": {f"field{number}": number}}).status

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert list(threads.map(write, range(18))) == [200] * 18
    after = lab.admin.get(LAB).json
    assert after["version"] == 19
    assert all(after["provisioner"][f"field{number}"] == number for number in range(18))
