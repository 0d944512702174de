# SPDX-License-Identifier: Apache-2.0
"""Event streams: complete, in order, and resumed after whatever happened."""

import contextlib
import gzip
import json
import threading
import time

from support import wait_for
from support.api import Events
from support.lists import held_requests, selects
from support.story import Story
from support.worker import Gate

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
            stream.wait_type("cluster", status="active")
            seen += stream.seen
    Story(seen).check_ended()


def test_stopping_the_api_ends_streams_and_held_takes_at_once(lab, core):
    worker = lab.worker(start=False)
    worker.register()
    cluster = lab.create("empty", "empty")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(worker.take(wait=60, tenantId="nobody")))
    with lab.user.events(cluster) as stream:
        quiet = held_requests(core)
        thread.start()
        wait_for(lambda: held_requests(core) > quiet)
        began = time.monotonic()
        core.stop("api")
        took = time.monotonic() - began
        thread.join(60)
        assert answers == [(204, [])] and took < 50  # of the 60 it asked for
        wait_for(lambda: stream.closed)
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
        last = mine.wait_type("summary", id=cluster, status="active")
        assert last.id is None
        assert last.data == next(entry for entry in lab.user.get("/v2/clusters").json if entry["id"] == cluster)
        steps = [event.data["progress"]["stepscompleted"] for event in mine.seen
                 if event.data["id"] == cluster and event.data["progress"]["action"] == "cluster_create"]
        assert steps == sorted(steps) and steps[-1] == 15
        assert {event.data["id"] for event in mine.seen} <= {old, cluster}
        all_of_them.wait_type("summary", id=cluster, status="active")
        bobs = bob.create_cluster("bobs", "empty", 1)
        his.wait_type("summary", id=bobs, status="active")
        assert {event.data["id"] for event in his.seen} == {bobs}
        all_of_them.wait_type("summary", id=bobs, status="active")
        assert bobs not in {event.data["id"] for event in mine.seen}


def test_summary_stream_begins_with_what_changes_next(lab):
    """Nothing is told twice: the client lists first, then listens."""
    lab.worker()
    with Events(lab.user, "/v2/clusters/events") as before:
        old = lab.create("old")
        before.wait_type("summary", id=old, status="active")
    with Events(lab.user, "/v2/clusters/events") as stream:
        new = lab.create("new")
        stream.wait_type("summary", id=new, status="active")
        assert {event.data["id"] for event in stream.seen} == {new}


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
                stream.wait_type("summary", id=cluster, status="active")
            asked.append(selects(core) - before)
        assert {stream.seen[-1].text for stream in streams} == {streams[0].seen[-1].text}
    assert asked[1] < 1.5 * asked[0] + 60, asked


def remembered(stack):
    """Clusters that the API remembers for those who watch them."""
    return stack.metric("api.external", "loom_api_feed_clusters")


def test_clusters_that_have_ended_are_not_remembered(lab, core):
    """What a stream costs goes by the clusters that live, not by those that ever were."""
    lab.worker()
    old = lab.create("old", "empty", 1)
    lab.active(old)
    lab.user.delete_cluster(old)
    before = remembered(core)
    with Events(lab.user, "/v2/clusters/events") as stream:
        clusters = [lab.create(f"new{number}", "empty", 1) for number in range(3)]
        stream.wait_each("summary", "id", clusters, status="active")
        wait_for(lambda: remembered(core) == before + 3, what="three clusters remembered")
        for cluster in clusters[:2]:
            lab.user.delete_cluster(cluster)
            stream.wait_type("summary", id=cluster, status="terminated")
        wait_for(lambda: remembered(core) == before + 1, what="one cluster remembered")
    wait_for(lambda: remembered(core) == before, what="none remembered")


def test_a_stream_ends_while_it_is_read_for(lab, core):
    """The list goes on to be told to others, and not to the one that has gone."""
    worker = lab.worker()
    cluster, pid = lab.create("one", "one", 1), core.pid("api")
    lab.active(cluster)
    worker.stop()  # whose requests would be counted
    with Events(lab.user, "/v2/clusters/events") as other:
        quiet = held_requests(core)
        with core.held("topics_read") as reached:
            with Events(lab.user, f"/v2/events?clusters=1&cluster={cluster}"):
                wait_for(reached, what="its first read")
                wait_for(lambda: held_requests(core) == quiet + 1)
            wait_for(lambda: held_requests(core) == quiet, what="its end")
            assert lab.user.put(f"/v2/clusters/{cluster}/labels", {"labels": {"a": "b"}}).status == 200
            wait_for(lambda: any(event.data["labels"] == {"a": "b"} for event in other.seen), what="the summary")
    assert lab.user.cluster(cluster)["labels"] == {"a": "b"} and core.pid("api") == pid


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
        after = lab.user.cluster(cluster)["lastEvent"]  # the brief one's may be older than its tasks
        return (full, short) if short["cluster"]["lastEvent"] == after == last else None

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
    connection, prefix = lab.user.connect(60)
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
