# SPDX-License-Identifier: Apache-2.0
"""Workers of the original hand in a result once, whatever the answer: what they did is never thrown away."""

import pytest

from support import wait_for
from support.worker import by_hand


@pytest.fixture
def worker(lab):
    return by_hand(lab, original=True)


def take(worker):
    """The next task; such a worker does not wait for it."""
    return wait_for(lambda: worker.take()[1], what="a task")[0]


def hand_in(worker, run, **result):
    """The answer to its one result."""
    return worker.call("POST", "/v2/tasks/finish", {**worker.who, "taskId": run.id, "status": 0, **result})


NESTED = {}
for _ in range(50):
    NESTED = {"a": NESTED}

UNUSABLE = {
    "newline": ({"hostname": "web1\n"}, "hostname ends in a newline"),
    "name": ({"hostname": "web 1"}, "hostname is not a host name"),
    "address": ({"ipaddresses": {"access_v4": "n/a"}}, "ipaddresses.access_v4 is not an IPv4 or IPv6 address"),
    "addresses": ({"ipaddresses": ["10.0.0.1"]}, "ipaddresses must be an object"),
    "result": ({"result": "made"}, "result must be an object"),
    "deep": ({"result": {"providerid": "i-1", "x": NESTED}}, "nested deeper"),
    "large": ({"result": {"providerid": "i-1", "x": "y" * (1 << 20)}}, "1048576 bytes"),
    "stdout": ({"stdout": ["x"]}, "stdout must be a string"),
    "status": ({"status": "many"}, "status must be"),
    "none": ({"status": None}, "status is missing"),
    "huge": ({"status": 1 << 40}, "status must be"),
    "nul": ({"message": "a\0b"}, "NUL"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_result_that_cannot_be_stored_is_a_failure_that_says_why(lab, worker, name):
    fields, words = UNUSABLE[name]
    cluster = lab.create()
    run = take(worker)
    status, text = hand_in(worker, run, **{"result": {"providerid": "i-1"}, **fields})
    assert status == 400 and words in text.decode() and "the task counts as failed" in text.decode(), text
    node = lab.user.cluster(cluster)["nodes"][0]
    failed = [action for action in node["actions"] if action["status"] == "failed"]
    assert [action["taskId"] for action in failed] == [run.id], node
    if name != "result":
        assert node["provisionerResults"] == {"providerid": "i-1"}
    assert take(worker).attempt == 2
    why = [event.data["message"] for event in lab.story(cluster).events
           if event.type == "task" and event.data["taskId"] == run.id and event.data["state"] == "retry"]
    assert len(why) == 1 and why[0].startswith("the server refused the result: ") and words in why[0]
    # it was its only try; a second is late
    assert hand_in(worker, run)[0] == 200  # of the attempt that it holds now


@pytest.mark.parametrize("size", [700 << 10, 3 << 19])
def test_output_that_is_too_long_is_cut(lab, worker, size):
    cluster = lab.create()
    run = take(worker)
    status, text = hand_in(worker, run, result={"providerid": "i-2"}, stdout="é" * (size // 8))
    assert (status, text) == (200, b"")
    assert lab.user.cluster(cluster)["nodes"][0]["provisionerResults"] == {"providerid": "i-2"}
    run = take(worker)
    status, text = hand_in(worker, run, status=1, stdout="x" * size + "the end", stderr="é" * (size // 8))
    assert (status, text) == (200, b"")
    action = [action for action in lab.user.cluster(cluster)["nodes"][0]["actions"] if action["status"] == "failed"][0]
    assert action["stdout"].endswith("xthe end") and action["stderr"].strip("é") == "[snipped]"


def test_who_sends_it_again_is_told_to(lab):
    """A worker that says its attempt keeps the result, and is told what to do."""
    worker = by_hand(lab)
    lab.create()
    run = worker.take(wait=60)[1][0]
    assert worker.finish(run, stdout="x" * (3 << 19)) == 413
    assert worker.finish(run, hostname="web1\n") == 400
    assert worker.finish(run) == 200


def test_nobody_speaks_for_another(lab, worker):
    other = by_hand(lab, original=True)
    lab.create()
    run = take(worker)
    for fields in ({"claim": "f" * 32}, {"claim": "x"}, {"tenantId": "other"}, {"workerId": "other"},
                   {"provisionerId": other.name}):
        for result in ({}, {"hostname": "web1\n"}):
            assert hand_in(worker, run, **result, **fields)[0] == 417, fields
    assert hand_in(worker, run)[0] == 200
