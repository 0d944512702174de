# SPDX-License-Identifier: Apache-2.0
"""Event streams and task logs: complete, in order, and resumed after whatever happened."""

import contextlib
import gzip
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import wait_for
from support.api import Api, Events
from support.lab import Lab
from support.story import Story
from support.worker import Gate


def follow(client, path, timeout=30):
    """A thread that collects a text stream; .text so far, .ended when it is over."""
    class Reader(threading.Thread):
        text, ended, status, headers = "", False, None, None

        def run(self):
            connection, prefix = client.connect(timeout)
            connection.request("GET", prefix + path, headers=client.identity)
            answer = connection.getresponse()
            self.status, self.headers = answer.status, answer.headers
            while data := answer.read1(65536):
                self.text += data.decode()
            self.ended = True
            connection.close()

    reader = Reader(daemon=True)
    reader.start()
    return reader


# ---- one cluster's events


def test_frames(lab):
    gate = Gate("CREATE")
    lab.worker(gate)
    cluster = lab.create("demo", "stack", 2)
    gate.wait()
    with lab.user.events(cluster) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        first = stream.wait_type("cluster")
        assert first.id == 1 and first.data["status"] == "pending" and "\n" not in first.text
        assert stream.wait_type("job", action="solve_layout").data["status"] == "not_submitted"
        plan = stream.wait_type("plan").data
        assert set(plan) == {"jobId", "action", "nodes", "tasks", "time"}
        assert set(plan["nodes"][0]) == {"nodeId", "nodenum", "hostname", "hardwaretype", "imagetype", "services"}
        assert set(plan["tasks"][0]) == {"taskId", "taskName", "nodeId", "nodenum", "service", "stage", "after"}
        running = stream.wait_type("task", state="running").data
        assert running["provisionerId"] == lab.workers[0].name and running["attempt"] == 1
        assert running["nodeId"] in {node["nodeId"] for node in plan["nodes"]}
        gate.open()
        node = stream.wait_type("node").data
        assert node["ipaddresses"]["bind_v4"] and node["hostname"]
        job = stream.wait_type("job", action="cluster_create", status="complete").data
        assert job["stepscompleted"] == job["stepstotal"] == 15
        last = stream.wait_type("cluster", status="active")
        assert last.id == lab.user.cluster(cluster)["lastEvent"]
        Story(stream.seen)


def test_resume_after_any_number(lab):
    lab.worker()
    cluster = lab.create()
    story = lab.active(cluster)
    total = len(story.events)
    for after in (0, 1, total - 1):
        for how in ({"after": after}, {"last_event_id": after}):
            with lab.user.events(cluster, **how) as stream:
                stream.wait(lambda event: event.id == total)
                assert [event.id for event in stream.seen] == list(range(after + 1, total + 1))
                assert [event.text for event in stream.seen] == [event.text for event in story.events[after:]]
    # the header wins, as a browser sends it when it comes back to the same address
    with lab.user.events(cluster, after=0, last_event_id=total - 1) as stream:
        assert stream.wait(lambda event: True).id == total
    # a number from the future is none of this cluster: whoever has it would wait for nothing
    answer = lab.user.get(f"/v2/clusters/{cluster}/events?after={total + 2}")
    assert answer.status == 410 and f"newest is {total}" in answer.text


def test_bad_numbers_and_strangers(lab):
    cluster = lab.create()
    for word in ("x", "-1", "1.5", "99999999999999999999"):
        assert lab.user.get(f"/v2/clusters/{cluster}/events?after={word}").status == 400
        assert lab.user.get(f"/v2/clusters/{cluster}/events", headers={"Last-Event-ID": word}).status == 400
    newest = lab.user.cluster(cluster)["lastEvent"]
    answer = lab.user.get(f"/v2/clusters/{cluster}/events", headers={"Last-Event-ID": str(newest + 10000)})
    assert answer.status == 410 and "lastEvent" in answer.text
    assert lab.user.as_user("bob", lab.name).get(f"/v2/clusters/{cluster}/events").status == 404
    assert lab.stack.client("api.external", user=None).get(f"/v2/clusters/{cluster}/events").status == 401


def test_many_watchers_see_the_same(lab):
    lab.worker()
    cluster = lab.create("demo", "stack", 4)
    streams = [lab.user.events(cluster) for _ in range(10)]
    lab.user.wait_cluster(cluster, "active")
    last = lab.user.cluster(cluster)["lastEvent"]
    for stream in streams:
        stream.wait(lambda event: event.id == last)
        assert [event.text for event in stream.seen] == [event.text for event in streams[0].seen]
        stream.close()
    Story(streams[0].seen).check_ended()


def test_numbers_have_no_gap_across_restarts_of_the_api(lab, core):
    """The watcher comes back with the last number it saw, as a browser does."""
    gate = Gate("INSTALL")
    lab.worker(gate)
    cluster = lab.create("demo", "stack", 4)
    gate.wait()
    seen = []
    for way in (core.restart, lambda part: (core.stop(part), core.start(part))):
        with lab.user.events(cluster, last_event_id=seen[-1].id if seen else None) as stream:
            stream.wait(lambda event: event.type == "task" and event.data["state"] == "running")
            way("api")
            wait_for(lambda: stream.closed, what="end of the stream")
            seen += stream.seen
        gate.open()
    # it may have become active before the second restart
    if not any(event.type == "cluster" and event.data["status"] == "active" for event in seen):
        with lab.user.events(cluster, last_event_id=seen[-1].id) as stream:
            stream.wait_type("cluster", status="active", timeout=30)
            seen += stream.seen
    Story(seen).check_ended()


def unanswered(stack):
    """How many requests the API has not answered yet, streams and held ones included."""
    return stack.metric("api.internal", "loom_http_requests_in_progress")


def test_stopping_the_api_ends_streams_and_held_takes_at_once(lab, core):
    worker = lab.worker(start=False)
    worker.register()
    cluster = lab.create("empty", "empty")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(worker.take(wait=30, tenantId="nobody")))
    with lab.user.events(cluster) as stream:
        quiet = unanswered(core)
        thread.start()
        wait_for(lambda: unanswered(core) > quiet)
        began = time.monotonic()
        core.stop("api")
        took = time.monotonic() - began
        thread.join(5)
        assert answers == [(204, [])] and took < 5
        wait_for(lambda: stream.closed)
    core.start("api")


# ---- blocking queries


def index_of(answer):
    assert answer.status == 200, answer
    return int(answer.headers["X-Loom-Index"])


def at_rest(lab):
    """A cluster that nothing happens to any more: it is planned, and nobody works on it."""
    cluster = lab.create()
    with lab.user.events(cluster) as stream:
        stream.wait_type("plan")
    return cluster


def held(client, path, timeout=60):
    """A request under way in a thread; .result() is its answer."""
    pool = ThreadPoolExecutor(1)
    answer = pool.submit(client.get, path, timeout=timeout)
    pool.shutdown(wait=False)
    return answer


def test_a_query_is_held_until_the_cluster_changes(lab, core):
    cluster = at_rest(lab)
    for path in (f"/v2/clusters/{cluster}", f"/v2/clusters/{cluster}/status"):
        index = index_of(lab.user.get(path))
        assert index == lab.user.cluster(cluster)["lastEvent"]
        # what has happened already is told at once, and a wait of nothing is over at once
        assert index_of(lab.user.get(f"{path}?index=0&wait=50s", timeout=20)) == index
        assert index_of(lab.user.get(f"{path}?index={index}&wait=0")) == index
        assert index_of(lab.user.get(f"{path}?index={index}&wait=200ms")) == index
        quiet = unanswered(core)
        answer = held(lab.user, f"{path}?index={index}&wait=50s")
        wait_for(lambda before=quiet: unanswered(core) > before)
        assert not answer.done()
        assert lab.user.put(f"/v2/clusters/{cluster}/labels", {"labels": {"at": path[-6:]}}).status == 200
        assert index_of(answer.result(20)) == index + 1
    assert answer.result().json["clusterid"] == cluster
    # followed to its end, each index newer than the one before
    lab.worker()
    index, status = 0, None
    while status != "active":
        answer = lab.user.get(f"/v2/clusters/{cluster}/status?index={index}&wait=30s", timeout=60)
        assert index_of(answer) > index
        index, status = index_of(answer), answer.json["status"]
    headed = lab.user.request("HEAD", f"/v2/clusters/{cluster}?index={index}&wait=1ms")
    assert headed.status == 200 and headed.body == b"" and int(headed.headers["X-Loom-Index"]) == index


def test_a_query_hears_of_what_another_copy_did(lab, core):
    core.up("api2")
    cluster = at_rest(lab)
    other = Api(f"http://127.0.0.1:{core.ports['api2.external']}", lab.user.identity["X-Loom-UserID"], lab.name)
    for number in range(3):
        index = index_of(lab.user.get(f"/v2/clusters/{cluster}"))
        quiet = unanswered(core)
        answer = held(lab.user, f"/v2/clusters/{cluster}/status?index={index}&wait=50s")
        wait_for(lambda before=quiet: unanswered(core) > before)
        assert other.put(f"/v2/clusters/{cluster}/labels", {"labels": {"n": str(number)}}).status == 200
        assert index_of(answer.result(20)) == index + 1
    core.stop("api2")


def test_queries_that_cannot_be_held(lab, core):
    cluster = at_rest(lab)
    path = f"/v2/clusters/{cluster}"
    index = index_of(lab.user.get(path))
    for query, status, word in ((f"index={index + 1}", 410, "lastEvent"), ("index=x", 400, "number"),
                                ("index=-1", 400, "number"), (f"index={index}&wait=51s", 400, "50s"),
                                (f"index={index}&wait=soon", 400, "30s"), (f"index={index}&wait=-1", 400, "30s")):
        for where in (path, path + "/status"):
            answer = lab.user.get(f"{where}?{query}")
            assert answer.status == status and word in answer.text, (query, answer)
    stranger = lab.user.as_user("bob", lab.name)
    assert stranger.get(f"{path}?index={index}").status == 404
    # one that gives up is let go, and a server that ends answers what it holds
    quiet = unanswered(core)
    assert lab.user.get(f"{path}?index={index}", timeout=1).status == 0
    wait_for(lambda: unanswered(core) <= quiet)
    answer = held(lab.user, f"{path}?index={index}&wait=50s")
    wait_for(lambda: unanswered(core) > quiet)
    core.stop("api")
    assert index_of(answer.result(5)) == index
    core.start("api")


# ---- all clusters of somebody


def test_summaries(lab):
    bob = lab.user.as_user("bob", lab.name)
    old = lab.create("old", "empty")
    wait_for(lambda: lab.user.get("/v2/clusters").json[0]["numNodes"])
    with Events(lab.user, "/v2/clusters/events") as mine, Events(bob, "/v2/clusters/events") as his, \
            Events(lab.admin, "/v2/clusters/events") as all_of_them:
        lab.worker()
        cluster = lab.create("demo", "stack", 2)
        last = mine.wait_type("summary", id=cluster, status="active", timeout=20)
        assert last.id is None
        assert last.data == next(entry for entry in lab.user.get("/v2/clusters").json if entry["id"] == cluster)
        steps = [event.data["progress"]["stepscompleted"] for event in mine.seen
                 if event.data["id"] == cluster and event.data["progress"]["action"] == "cluster_create"]
        assert steps == sorted(steps) and steps[-1] == 15
        assert {event.data["id"] for event in mine.seen} <= {old, cluster}
        all_of_them.wait_type("summary", id=cluster, status="active")
        bobs = bob.create_cluster("bobs", "empty", 1)
        his.wait_type("summary", id=bobs, status="active", timeout=20)
        assert {event.data["id"] for event in his.seen} == {bobs}
        all_of_them.wait_type("summary", id=bobs, status="active")
        assert bobs not in {event.data["id"] for event in mine.seen}


def test_summary_stream_begins_with_what_changes_next(lab):
    """Nothing is told twice: the client lists first, then listens."""
    lab.worker()
    lab.active(lab.create("old"))
    with Events(lab.user, "/v2/clusters/events") as stream:
        new = lab.create("new")
        stream.wait_type("summary", id=new, status="active", timeout=20)
        assert {event.data["id"] for event in stream.seen} == {new}


def selects(stack):
    """How many rows were asked for until now, by anybody."""
    return int(stack.sql("SHOW GLOBAL STATUS LIKE 'Com_select'")[0][1])


def test_many_watchers_of_a_tenant_cost_what_one_costs(lab, core):
    """Summaries are read once for all who may see the same."""
    lab.worker()
    asked = []
    for number in (1, 60):
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(Events(lab.user, "/v2/clusters/events")) for _ in range(number)]
            before = selects(core)
            cluster = lab.create("demo", "stack", 4)
            for stream in streams:
                stream.wait_type("summary", id=cluster, status="active", timeout=60)
            asked.append(selects(core) - before)
        assert {stream.seen[-1].text for stream in streams} == {streams[0].seen[-1].text}
    assert asked[1] < 1.5 * asked[0] + 60, asked


# ---- logs


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
    status, runs = worker.take(wait=10)
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
    reader.join(10)
    late.join(10)
    assert reader.ended and reader.text == "one\ntwo\nthree\n" and late.text == "two\nthree\n"
    # the end may also come after the result
    assert post_log(worker, run, 14, "four\n") == 200
    assert lab.user.get(f"/v2/tasks/{run.id}/log?follow=1").text == "one\ntwo\nthree\nfour\n"


def test_each_attempt_has_a_log(lab, running):
    worker, run = running
    post_log(worker, run, 0, "first try\n")
    reader = follow(lab.user, f"/v2/tasks/{run.id}/log?attempt=1&follow=1")
    assert worker.finish(run, status=1) == 200
    reader.join(10)
    assert reader.ended and reader.text == "first try\n"
    status, runs = worker.take(wait=10)
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
    _, runs = quiet.take(wait=10)
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


# ---- what browsers ask


class Envelopes(Events):
    """A stream of several clusters: each event says which cluster it is of."""

    def numbers(self, cluster):
        """Of that cluster's events, in the order they came."""
        return [event.data["seq"] for event in self.seen if event.type == "event" and
                event.data["cluster"] == cluster]


def test_several_clusters_and_the_list_in_one_stream(lab):
    lab.worker()
    one, two = lab.create("one", "one", 1), lab.create("two", "one", 1)
    total = {cluster: len(lab.active(cluster).events) for cluster in (one, two)}
    path = f"/v2/events?clusters=1&cluster={one}:{total[one] - 2}&cluster={two}&cluster=00999999:5"
    with Envelopes(lab.user, path) as stream:
        stream.wait(lambda event: event.type == "event" and event.data["cluster"] == two and
                    event.data["seq"] == total[two])
        assert stream.numbers(one) == [total[one] - 1, total[one]]
        assert stream.numbers(two) == list(range(1, total[two] + 1))
        assert lab.user.put(f"/v2/clusters/{one}/labels", {"labels": {"a": "b"}}).status == 200
        told = wait_for(lambda: next((event.data for event in stream.seen if event.type == "event" and
                                      event.data["type"] == "labels"), None), what="the labels")
        assert (told["cluster"], told["seq"]) == (one, total[one] + 1)
        wait_for(lambda: any(event.type == "summary" and event.data["id"] == one and event.data["labels"] == {"a": "b"}
                             for event in stream.seen), what="the summary")
    for query, words in (("cluster=x:1", "'x:1'"), (f"cluster={one}:-1", "'-1'"), (f"cluster={one}:y", "'y'"),
                         ("&".join([f"cluster={one}:0"] * 65), "at most 64")):
        answer = lab.user.get(f"/v2/events?{query}")
        assert answer.status == 400 and words in answer.text, (query, answer.text)


def test_snapshot_and_what_follows_are_the_whole_story(lab):
    gate = Gate("INSTALL")
    lab.worker(gate)
    cluster = lab.create("demo", "stack", 2)
    gate.wait()

    def of_one_moment():
        """The whole one and the brief one, when nothing has happened between the two."""
        full = lab.user.get(f"/v2/clusters/{cluster}/snapshot", headers={"Accept-Encoding": "gzip"})
        short = lab.user.get(f"/v2/clusters/{cluster}/snapshot?plans=brief").json
        last = json.loads(gzip.decompress(full.body))["cluster"]["lastEvent"]
        return (full, short) if short["cluster"]["lastEvent"] == last else None

    answer, brief = wait_for(of_one_moment)
    assert answer.headers["Content-Encoding"] == "gzip" and answer.headers["Vary"] == "Accept-Encoding"
    snapshot = json.loads(gzip.decompress(answer.body))
    plain = lab.user.get(f"/v2/clusters/{cluster}/snapshot")
    assert "Content-Encoding" not in plain.headers and plain.json["cluster"]["id"] == cluster
    last = snapshot["cluster"]["lastEvent"]
    assert snapshot["before"] == [] and [event["seq"] for event in snapshot["recent"]] == list(range(1, last + 1))
    ids = {}
    for full, short in zip(snapshot["recent"], brief["recent"], strict=True):
        if full["type"] == "plan":
            ids |= {node["nodenum"]: node["nodeId"] for node in short["data"]["nodes"]}
            assert not any("nodeId" in task or "after" in task for task in short["data"]["tasks"])
            assert [{"nodeId": ids[task["nodenum"]], **task} for task in short["data"]["tasks"]] == \
                [{key: value for key, value in task.items() if key != "after"} for task in full["data"]["tasks"]]
        else:
            assert short == full
    assert len(ids) == 2 and brief["tasks"] == snapshot["tasks"]
    gate.open()
    story = lab.active(cluster)
    assert [(event["type"], event["data"]) for event in snapshot["recent"]] == \
        [(event.type, event.data) for event in story.events[:last]]
    now = lab.user.get(f"/v2/clusters/{cluster}/snapshot").json
    assert {task["taskId"]: (task["state"], task["attempt"]) for task in now["tasks"]} == \
        {task.id: (task.state, task.attempts[-1]) for task in story.tasks.values()}
    assert all(task["started"] <= task["time"] and task["worker"] for task in now["tasks"])
    assert lab.user.as_user("bob").get(f"/v2/clusters/{cluster}/snapshot").status == 404


def test_a_brief_snapshot_of_a_large_cluster_is_small(lab):
    """Ids of nodes do not compress: once in each task they were four fifths of it."""
    cluster = lab.create("wide", "one", 250)
    with lab.user.events(cluster) as stream:
        stream.wait_type("job", action="cluster_create", status="running")
    sizes = {}
    for query in ("", "?plans=brief"):
        answer = lab.user.get(f"/v2/clusters/{cluster}/snapshot{query}", headers={"Accept-Encoding": "gzip"})
        sizes[query] = len(answer.body)
    assert sizes["?plans=brief"] < sizes[""] / 2, sizes


def lengthen(lab, cluster, number, size):
    """Gives a cluster's history more events, as a very long one has."""
    lab.stack.sql(f"""INSERT INTO event (cluster_id, seq, type, data) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL
        SELECT i + 1 FROM n WHERE i < {number}) SELECT {int(cluster)}, event_seq + i, 'task',
        CONCAT('{{"taskId":"{cluster}-002-001","state":"ready","x":"', REPEAT('x', {size}), '"}}')
        FROM n, cluster WHERE id={int(cluster)}""")
    lab.stack.sql(f"UPDATE cluster SET event_seq = event_seq + {number} WHERE id={int(cluster)}")


def test_a_reader_that_takes_its_time_gets_all_in_one_stream(lab):
    lab.worker()
    cluster = lab.create("long", "one", 1)
    begun = len(lab.active(cluster).events)
    lengthen(lab, cluster, 900, 16384)
    connection, prefix = lab.user.connect(30)
    connection.request("GET", f"{prefix}/v2/clusters/{cluster}/events", headers=lab.user.identity)
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    # The server has filled the way to here, and waits, when it answers others and has not ended this.
    for _ in range(20):
        assert lab.user.get("/v2/operations").status == 200
    numbers = []
    while not numbers or numbers[-1] < begun + 900:
        line = answer.readline()
        assert line, f"the stream ended after event {numbers[-1:]}"
        if line.startswith(b"id: "):
            numbers.append(int(line[4:]))
    assert numbers == list(range(1, begun + 901))
    connection.close()
    snapshot = lab.user.get(f"/v2/clusters/{cluster}/snapshot")
    assert len(snapshot.json["recent"]) == 400 and "task" not in {one["type"] for one in snapshot.json["before"]}


def test_a_long_plan_comes_in_parts(lab):
    cluster = lab.create("wide", "one", 150)
    with lab.user.events(cluster) as stream:
        job = stream.wait_type("job", action="cluster_create", status="running").data
        parts = [event for event in stream.seen if event.type == "plan"]
        assert len(parts) > 2 and max(len(event.text) for event in parts) < 64 << 10
        assert [event.data["part"] for event in parts] == list(range(1, len(parts) + 1))
        nodes = [node["nodeId"] for event in parts for node in event.data["nodes"]]
        tasks = [task["taskId"] for event in parts for task in event.data["tasks"]]
        assert len(set(nodes)) == len(nodes) == 150 == parts[0].data["nodestotal"]
        assert len(set(tasks)) == len(tasks) == job["stepstotal"] == parts[0].data["taskstotal"]
