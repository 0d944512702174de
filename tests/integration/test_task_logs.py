# SPDX-License-Identifier: Apache-2.0
"""Task logs: pieces in order, followed to their end, bounded."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import wait_for
from support.api import follow
from support.lab import Lab


def post_log(worker, run, offset, data, **more):
    """One piece of a task's log; answers the status."""
    return post(worker, run.id, {"attempt": run.attempt, "claim": run.claim, "offset": offset, "data": data, **more})


def post(worker, task, more):
    """A log call with any fields; answers the status."""
    body = {"provisionerId": worker.name, "workerId": worker.who["workerId"], "attempt": 1, "offset": 0,
            "data": "x", **more}
    return worker.call("POST", f"/v2/tasks/{task}/log", body)[0]


@pytest.fixture
def running(lab):
    """(worker, run) of a task that was taken by hand."""
    worker = lab.worker(start=False)
    worker.register()
    lab.create()
    status, runs = worker.take(wait=60)
    assert status == 200
    return worker, runs[0]


def test_log_pieces(lab, running):
    worker, run = running
    path = f"/v2/tasks/{run.id}/log"
    answer = lab.user.get(path)
    assert answer.status == 200 and answer.text == "" and answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert post_log(worker, run, 0, "first\n") == 200
    assert post_log(worker, run, 6, "second \u20ac\n") == 200
    assert post_log(worker, run, 6, "second \u20ac\n") == 200  # sent again
    assert post_log(worker, run, 17, "\x1b[1mthird\x1b[0m\n") == 200
    whole = "first\nsecond \u20ac\n\x1b[1mthird\x1b[0m\n"
    assert lab.user.get(path).text == whole
    assert lab.user.get(f"{path}?attempt=1").text == whole
    assert lab.user.get(f"{path}?tail=6").body == whole.encode()[-6:]
    assert lab.user.get(f"{path}?tail=0").text == ""
    assert lab.user.get(f"{path}?tail=999999").text == whole
    assert lab.user.get(f"{path}?attempt=2").status == 404
    for query in ("attempt=0", "attempt=x", "tail=-1", "tail=x"):
        assert lab.user.get(f"{path}?{query}").status == 400, query


def test_log_refusals(lab, running):
    worker, run = running
    assert post_log(worker, run, 0, "x", provisionerId="other") == 417
    assert post_log(worker, run, 0, "x", attempt=2) == 417
    for wrong in ({"provisionerId": None}, {"attempt": 0}, {"attempt": None}, {"offset": -1}, {"offset": "x"},
                  {"offset": None}, {"data": None}, {"data": {}}, {"data": []}):
        assert post(worker, run.id, wrong) == 400, wrong
    assert post(worker, "x", {}) == 400
    assert post(worker, "99999999-001-001", {}) == 417
    for task, status in (("x", 400), ("99999999-001-001", 404), (f"{run.id[:-3]}999", 404),
                         (f"{run.id[:-3]}002", 404)):
        assert lab.user.get(f"/v2/tasks/{task}/log").status == status
    assert lab.user.as_user("bob", lab.name).get(f"/v2/tasks/{run.id}/log").status == 404


def test_log_is_followed_to_its_end(lab, running):
    worker, run = running
    post_log(worker, run, 0, "one\n")
    reader = follow(lab.user, f"/v2/tasks/{run.id}/log?follow=1")
    late = follow(lab.user, f"/v2/tasks/{run.id}/log?follow=1&tail=0")
    wait_for(lambda: reader.text == "one\n" and late.status == 200)
    post_log(worker, run, 4, "two\n")
    wait_for(lambda: reader.text == "one\ntwo\n" and late.text == "two\n")
    assert not reader.ended
    post_log(worker, run, 8, "three\n")
    assert worker.finish(run) == 200
    reader.join(60)
    late.join(60)
    assert reader.ended and reader.text == "one\ntwo\nthree\n" and late.text == "two\nthree\n"
    # the end may also come after the result
    assert post_log(worker, run, 14, "four\n") == 200
    assert lab.user.get(f"/v2/tasks/{run.id}/log?follow=1").text == "one\ntwo\nthree\nfour\n"


def test_each_attempt_has_a_log(lab, running):
    worker, run = running
    post_log(worker, run, 0, "first try\n")
    reader = follow(lab.user, f"/v2/tasks/{run.id}/log?attempt=1&follow=1")
    assert worker.finish(run, status=1) == 200
    reader.join(60)
    assert reader.ended and reader.text == "first try\n"
    status, runs = worker.take(wait=60)
    assert status == 200 and runs[0].attempt == 2
    assert lab.user.get(f"/v2/tasks/{run.id}/log").text == ""
    post_log(worker, runs[0], 0, "second try\n")
    assert lab.user.get(f"/v2/tasks/{run.id}/log").text == "second try\n"
    assert lab.user.get(f"/v2/tasks/{run.id}/log?attempt=1").text == "first try\n"


HEAD, TAIL, PIECE = 768 << 10, 256 << 10, 100000
LINE = "0123456789abcde\n"


def pieces_of(worker, run, total, start=0):
    """Post a log of so many bytes in pieces; the statuses."""
    return {post_log(worker, run, at, (LINE * (PIECE // len(LINE) + 1))[:min(PIECE, total - at)])
            for at in range(start, total, PIECE)}


def test_log_keeps_its_head_and_its_tail(lab, running):
    """4 MB, and then why it failed: the middle goes, and a line says so."""
    worker, run = running
    path, total = f"/v2/tasks/{run.id}/log", 4000000
    assert pieces_of(worker, run, total) == {200}
    reason = "FATAL: the reason\n"
    assert post_log(worker, run, total, reason) == 200
    text = lab.user.get(path).text
    head, said, tail = re.split(r"\[(\d+) bytes of the log were dropped here\]\n", text)
    assert len(head) >= HEAD and head.startswith(LINE) and tail.endswith(LINE[:total % 16] + reason)
    assert TAIL - 2 * PIECE < len(tail) <= TAIL + PIECE
    assert len(head) + int(said) + len(tail) == total + len(reason)
    assert stored(lab, run) < HEAD + TAIL + 2 * PIECE
    assert lab.user.get(f"{path}?tail=100").text == text[-100:]
    whole = lab.user.get(f"{path}?tail=1000000").text  # reaches into what is missing: all of that is told
    assert whole == f"[{said} bytes of the log were dropped here]\n{tail}"


def stored(lab, run):
    """Bytes kept of a task's log."""
    cluster, job, task = (int(part) for part in run.id.split("-"))
    return int(lab.stack.sql("SELECT COALESCE(SUM(LENGTH(data)),0) FROM task_log WHERE"
                             f" cluster_id={cluster} AND job_num={job} AND task_num={task}")[0][0])


def test_log_pieces_come_in_order(lab, running):
    worker, run = running
    assert post_log(worker, run, 0, "one\n") == 200
    for offset, data in ((5, "gap"), (2, "overlaps"), (3, "xx"), (1 << 40, "far")):
        assert post_log(worker, run, offset, data) == 409, offset
    answer = lab.stack.internal.post(f"/v2/tasks/{run.id}/log", {
        "provisionerId": worker.name, "attempt": 1, "claim": run.claim, "offset": 9, "data": "x"})
    assert answer.status == 409 and "goes on at offset 4, not at 9" in answer.text
    assert post_log(worker, run, 0, "one\n") == 200  # known
    assert post_log(worker, run, 14, "two\n", dropped=10) == 200
    assert post_log(worker, run, 14, "two\n", dropped=10) == 200  # sent again
    assert post_log(worker, run, 30, "three", dropped=7) == 409
    for wrong in ({"dropped": -1}, {"dropped": 31}, {"offset": 1 << 60}):
        assert post_log(worker, run, **{"offset": 30, "data": "x", **wrong}) == 400, wrong
    assert post_log(worker, run, 18, "y" * ((128 << 10) + 1)) == 413
    assert lab.user.get(f"/v2/tasks/{run.id}/log").text == "one\n[10 bytes of the log were dropped here]\ntwo\n"


def test_overlapping_pieces_are_not_kept(lab, running):
    """60 pieces that would be 57 MiB of one attempt."""
    worker, run = running
    assert post_log(worker, run, 0, "x" * PIECE) == 200
    assert {post_log(worker, run, 1 + at, "y" * PIECE) for at in range(60)} == {409}
    assert stored(lab, run) == PIECE


def test_a_log_is_closed_when_its_attempt_is_over(lab, running):
    worker, run = running
    assert post_log(worker, run, 0, "one\n") == 200
    assert worker.finish(run) == 200
    assert post_log(worker, run, 4, "the end\n") == 200
    cluster, job, task = (int(part) for part in run.id.split("-"))
    lab.stack.sql("UPDATE task SET status_time=status_time-11000 WHERE"
                  f" cluster_id={cluster} AND job_num={job} AND num={task}")
    assert post_log(worker, run, 12, "late\n") == 409
    assert post_log(worker, run, 12, "late\n", provisionerId="other") == 417
    assert lab.user.get(f"/v2/tasks/{run.id}/log").text == "one\nthe end\n"


def test_a_flood_of_one_tenant_is_its_own_trouble(lab, core, tenants, running):
    """Beyond what a tenant may write in a while it is told to wait; another tenant is not."""
    worker, run = running
    other = Lab(core, *next(tenants)).load()
    quiet = other.worker(start=False)
    quiet.register()
    other.create()
    _, runs = quiet.take(wait=60)
    flood = "x" * (128 << 10)
    with ThreadPoolExecutor(8) as posts:
        for _ in range(100):
            if 429 in posts.map(lambda _: post_log(worker, run, 0, flood), range(64)):
                break
        else:
            pytest.fail("nobody was told to wait")
        assert post_log(quiet, runs[0], 0, "fine\n") == 200
    wait_for(lambda: post_log(worker, run, len(flood), flood) == 200)
    assert stored(lab, run) == 2 * len(flood)
    other.close()
