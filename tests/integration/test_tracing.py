# SPDX-License-Identifier: Apache-2.0
"""W3C trace context from the request to the plug-in, and the spans that a collector is told."""

import pathlib
import re
import secrets
import subprocess
import tempfile

import pytest

from support import Stack, wait_for
from support.api import Api
from support.lab import service, template
from support.receiver import Receiver
from support.stack import base_dir

PATH = "v1/traces"
FULL = ("install", "configure", "start")


class Span:
    """One span as it was told, and by whom."""

    def __init__(self, who, told):
        self.who = who
        self.trace, self.id, self.parent = told["traceId"], told["spanId"], told.get("parentSpanId", "")
        self.name, self.kind, self.state = told["name"], told["kind"], told.get("traceState")
        self.start, self.end = int(told["startTimeUnixNano"]), int(told["endTimeUnixNano"])
        self.failed = told["status"].get("code") == 2
        self.fields = {field["key"]: next(iter(field["value"].values())) for field in told["attributes"]}

    def __repr__(self):
        return f"<{self.who} {self.name} {self.id} in {self.parent}>"


def spans_of(receiver, trace):
    """All that was told of a trace."""
    found = []
    for call in receiver.of(PATH):
        for resource in call.json["resourceSpans"]:
            who = {field["key"]: field["value"]["stringValue"] for field in resource["resource"]["attributes"]}
            for scope in resource["scopeSpans"]:
                found += [Span(who["service.name"], told) for told in scope["spans"]]
    return [span for span in found if span.trace == trace]


def catalog(state):
    """A service on simulated machines."""
    made = service("app", actions=FULL)
    for action in made["provisioner"]["actions"].values():
        action.update(type="simulated", fields={})
    return {
        "providers": [{"name": "lab", "providertype": "simulated", "provisioner": {"state_dir": str(state)}}],
        "hardwaretypes": [{"name": "small", "providermap": {"lab": {"flavor": "small"}}}],
        "imagetypes": [{"name": "deb", "providermap": {"lab": {"image": "none"}}}],
        "services": [made],
        "clustertemplates": [template("one", ["app"])]}


@pytest.fixture(scope="module")
def collector():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(collector):
    """A Loom that tells a collector, with a catalog; and its folder of machines."""
    state = pathlib.Path(tempfile.mkdtemp(prefix="tracing-", dir=base_dir()))
    where = f"http://127.0.0.1:{collector.port}"
    settings = tuple(f"{part}.otlp_endpoint={where}" for part in ("api", "scheduler", "provisioner"))
    with Stack("tracing", (*settings, "scheduler.retry_base_ms=10ms", "api.cors_origins=https://page.example"),
               auth="headers") as made:
        made.up("mariadb", "zookeeper", "api", "scheduler", "provisioner")
        for kind, documents in catalog(state).items():
            for document in documents:
                answer = made.client("api.external").post(f"/v2/{kind}", document)
                assert answer.status == 200, answer
        yield made, state


@pytest.fixture
def client(site):
    made = site[0].client("api.external")
    return Api(made.url, "admin", "superadmin")


def fresh(flags="01"):
    """(traceparent, its trace, its span)"""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace}-{span}-{flags}", trace, span


def begin(client, name, **headers):
    """A create's id, and the trace and span that its answer names."""
    answer = client.post("/v2/clusters", {"name": name, "clusterTemplate": "one", "numMachines": 2}, headers=headers)
    assert answer.status == 200, answer
    version, trace, span, flags = answer.headers["traceresponse"].split("-")
    assert version == "00" and flags in ("00", "01")
    return answer.json["id"], trace, span


def told(collector, trace, done):
    """The spans of a trace, once all that has to be is told."""
    return wait_for(lambda: (lambda found: done(found) and found)(spans_of(collector, trace)), 60, "the spans")


def has_all(runs):
    """The jobs and so many runs of plug-ins have ended."""
    def check(found):
        return (sum(span.who == "loom-provisioner" for span in found) >= runs and
                {"POST /v2/clusters", "cluster_create", "solve_layout"} <= {span.name for span in found})
    return check


def test_a_create_is_one_tree_of_spans(site, client, collector):
    traceparent, trace, caller = fresh()
    state = "vendor=some value,tenant@other=2"
    cluster, answered, span = begin(client, "tree", traceparent=traceparent, tracestate=f" {state} ,")
    assert answered == trace
    client.wait_cluster(cluster, "active")
    found = told(collector, trace, has_all(12))
    by_id = {each.id: each for each in found}
    assert len(by_id) == len(found), "a span was told twice"
    # each is part of another, but for the request, which is part of the caller's
    (root,) = [each for each in found if each.parent not in by_id]
    assert root.name == "POST /v2/clusters" and root.id == span and root.parent == caller and root.kind == 2
    assert root.fields["http.response.status_code"] == "200" and root.fields["http.route"] == "/v2/clusters"

    def parts(of):
        return sorted((each for each in found if each.parent == of.id), key=lambda each: each.name)

    jobs = {each.name: each for each in parts(root)}
    assert set(jobs) == {"solve_layout", "cluster_create"}
    assert jobs["cluster_create"].fields["loom.job"] == f"{cluster}-002"
    assert [each.name for each in parts(jobs["solve_layout"])] == ["plan", "solve"]
    tasks = parts(jobs["cluster_create"])
    names = ["BOOTSTRAP", "CONFIGURE app", "CONFIRM", "CREATE", "INSTALL app", "START app"]
    assert [each.name for each in tasks] == sorted(2 * names)
    for task in tasks:
        (run,) = parts(task)
        assert run.who == "loom-provisioner" and run.fields["loom.task"] == task.fields["loom.task"]
        assert run.name.startswith("simulated") and not run.failed and not parts(run)
    # what came beside the traceparent is all theirs
    assert {each.state for each in found} == {state}
    assert not any(each.failed for each in found)
    assert all(each.end >= each.start for each in found)
    # and the logs name it
    stack = site[0]
    for part, line in (("scheduler", "job planned"), ("provisioner", "task done")):
        text = (stack.dir / "log" / f"{part}.log").read_text(encoding="utf-8")
        assert any(line in each and trace in each for each in text.splitlines()), part


def test_an_attempt_that_fails_is_a_span_of_its_own(site, client, collector):
    faults = site[1] / "faults"
    faults.mkdir(parents=True, exist_ok=True)
    (faults / "create").write_text("1 1\n", encoding="ascii")
    _, trace, caller = fresh()
    cluster, trace, _ = begin(client, "again", traceparent=f"00-{trace}-{caller}-01")
    client.wait_cluster(cluster, "active")
    (faults / "create").unlink()
    found = told(collector, trace, has_all(14))
    failed = [each for each in found if each.failed]
    assert {each.who for each in failed} == {"loom-scheduler", "loom-provisioner"}, failed
    assert {each.name for each in failed if each.who == "loom-scheduler"} == {"CREATE"}, failed
    assert all(each.fields["loom.attempt"] == "1" for each in failed), failed
    creates = [each.fields["loom.attempt"] for each in found if each.name == "CREATE"]
    assert sorted(creates) == ["1", "1", "2", "2"]


def test_traceparents_that_are_none_begin_a_trace(client):
    good, trace, span = fresh()
    for bad in ("", "x", good.replace("00-", "ff-", 1), good + "-00", good.upper(), good[:-1],
                f"00-{'0' * 32}-{span}-01", f"00-{trace}-{'0' * 16}-01"):
        answer = client.get("/v2/clusters", headers={"traceparent": bad})
        assert answer.status == 200 and trace not in answer.headers["traceresponse"], bad
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", answer.headers["traceresponse"])
    later = good.replace("00-", "42-", 1) + "-what-is-new"
    assert trace in client.get("/v2/clusters", headers={"traceparent": later}).headers["traceresponse"]
    # two of them: neither counts
    connection, _ = client.connect()
    connection.putrequest("GET", "/v2/clusters")
    for name, value in (*client.identity.items(), ("traceparent", good), ("Traceparent", good)):
        connection.putheader(name, value)
    connection.endheaders()
    assert trace not in connection.getresponse().headers["traceresponse"]
    connection.close()


def test_a_tracestate_that_is_malformed_is_left_out(site, client, collector):
    for name, state in (("odd", "a=1,,b"), ("alone", "a=1")):
        traceparent, trace, _ = fresh()
        headers = {"tracestate": state} | ({"traceparent": traceparent} if name == "odd" else {})
        _, answered, _ = begin(client, name, **headers)
        assert (answered == trace) == (name == "odd")
        found = told(collector, answered, lambda found: any(each.name == "solve_layout" for each in found))
        assert {each.state for each in found} == {None}


def test_only_what_somebody_wants_is_told(client, collector):
    """A trace that its beginner does not record is passed on and not told; of reads only those within a trace."""
    traceparent, quiet, _ = fresh("00")
    cluster, trace, _ = begin(client, "quiet", traceparent=traceparent)
    assert trace == quiet
    client.wait_cluster(cluster, "active")
    unasked = client.get(f"/v2/clusters/{cluster}").headers["traceresponse"].split("-")[1]
    traceparent, asked, span = fresh()
    assert client.get(f"/v2/clusters/{cluster}", headers={"traceparent": traceparent}).status == 200
    (read,) = told(collector, asked, lambda found: found)
    assert read.name == "GET /v2/clusters/{id}" and read.parent == span
    # a change without a traceparent is the beginning of a trace
    labelled = client.put(f"/v2/clusters/{cluster}/labels", {"labels": {"a": "b"}})
    (change,) = told(collector, labelled.headers["traceresponse"].split("-")[1], lambda found: found)
    assert change.name == "PUT /v2/clusters/{id}/labels" and change.parent == ""
    assert not spans_of(collector, quiet) and not spans_of(collector, unasked)


def test_a_deletion_and_an_operation_are_traced(client, collector):
    cluster, _, _ = begin(client, "ops")
    client.wait_cluster(cluster, "active")
    traceparent, trace, _ = fresh()
    answer = client.post(f"/v2/clusters/{cluster}/services/restart", headers={"traceparent": traceparent})
    assert answer.status == 200, answer
    client.wait_cluster(cluster, "active")
    told(collector, trace, lambda spans: {"plan", "restart_services"} <= {span.name for span in spans})
    traceparent, trace, _ = fresh()
    assert client.request("DELETE", f"/v2/clusters/{cluster}", headers={"traceparent": traceparent}).status == 200
    client.wait_cluster(cluster, "terminated")
    told(collector, trace, lambda spans: {"DELETE", "plan", "DELETE /v2/clusters/{id}", "cluster_delete"} <=
         {span.name for span in spans})


def test_the_command_line_is_part_of_a_trace(site, client, collector):
    cluster, _, _ = begin(client, "worded")
    traceparent, trace, span = fresh()
    done = subprocess.run([site[0].bin / "loom", "--url", client.url, "cluster", "label", cluster, "by=hand"],
                          env={"TRACEPARENT": traceparent}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    told(collector, trace, lambda found: [each for each in found if each.name.startswith("PUT")])
    assert {each.parent for each in spans_of(collector, trace)} == {span}


def metric(site, name):
    return site[0].metric("api.external", name)


def test_a_collector_that_hangs_or_refuses_stops_nothing(site, client, collector):
    collector.rules[PATH] = lambda call: 503
    before = metric(site, "loom_spans_dropped_total")
    cluster, _, _ = begin(client, "refused")
    client.wait_cluster(cluster, "active")
    wait_for(lambda: metric(site, "loom_spans_dropped_total") > before, 60, "spans to be dropped")
    collector.rules.clear()
    sent = metric(site, "loom_spans_sent_total")
    _, trace, _ = fresh()
    cluster, trace, _ = begin(client, "taken")
    client.wait_cluster(cluster, "active")
    told(collector, trace, has_all(12))
    wait_for(lambda: metric(site, "loom_spans_sent_total") > sent, 60, "spans to be sent")


def test_an_endpoint_must_be_a_url(site):
    done = subprocess.run([site[0].bin / "loom-provisioner", "--check-config", "--otlp-endpoint=collector:4318"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 78 and "otlp_endpoint" in done.stderr, done
