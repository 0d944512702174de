# SPDX-License-Identifier: Apache-2.0
"""loom-ui-gateway in front of an HTTP server that the test plays, and in front of loom-api."""

import gzip
import http.client
import json
import re
import signal
import socket
import time

import pytest

from support import wait_for
from support.gateway import MIB, WEB, Gateway, Upstream


@pytest.fixture(name="upstream")
def make_upstream():
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(name="gateway")
def make_gateway(upstream, tmp_path):
    gateway = Gateway(upstream.port, tmp_path / "gateway.log")
    yield gateway
    gateway.close()


# ---- files ----

@pytest.mark.parametrize("path, file, kind", [
    ("/", None, "text/html; charset=utf-8"),
    ("/index.html", None, "text/html; charset=utf-8"),
    ("/?x=1", None, "text/html; charset=utf-8"),
    ("/icon.svg", "icon.svg", "image/svg+xml"),
    ("/css/base.css", "css/base.css", "text/css; charset=utf-8"),
    ("/js/main.js", None, "text/javascript; charset=utf-8"),
    ("/js/store.js", "js/store.js", "text/javascript; charset=utf-8"),
])
def test_files(gateway, path, file, kind):
    answer = gateway.ask("GET", path)
    assert answer.status == 200
    assert not file or answer.body == (WEB / file).read_bytes()
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    tag = answer.headers["ETag"]
    again = gateway.ask("GET", path, headers={"If-None-Match": tag})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
    assert gateway.ask("GET", path, headers={"If-None-Match": '"other"'}).status == 200
    head = gateway.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.body))


def test_modules_come_as_one_script(gateway, upstream, tmp_path):
    page, script = (gateway.ask("GET", path).body.decode() for path in ("/", "/js/main.js"))
    assert "modulepreload" not in page and 'src="js/main.js"' in page
    assert not re.search(r"^(import|export) ", script, re.M)
    modules = {path.name for path in (WEB / "js").glob("*.js")} - {"hubworker.js"}
    assert set(re.findall(r'^\$modules\["(.+?)"\] = ', script, re.M)) == modules
    worker = gateway.ask("GET", "/js/hubworker.js").body.decode()
    assert re.findall(r'^\$modules\["(.+?)"\] = ', worker, re.M) == ["hub.js", "hubworker.js"]
    plain = Gateway(upstream.port, tmp_path / "plain.log", bundle="false")
    try:
        for path, file in (("/", "index.html"), ("/js/main.js", "js/main.js")):
            assert plain.ask("GET", path).body == (WEB / file).read_bytes()
    finally:
        plain.close()


def test_files_are_compressed_for_those_who_take_it(gateway):
    plain = gateway.ask("GET", "/js/store.js")
    assert "Content-Encoding" not in plain.headers and plain.headers["Vary"] == "Accept-Encoding"
    small = gateway.ask("GET", "/js/store.js", headers={"Accept-Encoding": "gzip, br"})
    assert small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body and len(small.body) < len(plain.body) / 2
    assert small.headers["ETag"] == plain.headers["ETag"]
    refused = gateway.ask("GET", "/js/store.js", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers and refused.body == plain.body


@pytest.mark.parametrize("path", [
    "/nothing", "/js", "/js/", "/..%2fmain.c", "/../main.c", "/js/../../main.c", "/%2e%2e/main.c",
    "/js/%2e%2e/%2e%2e/main.c", "/js\\..\\..\\main.c", "/etc/passwd", "/%00", "/index.html%00.js",
])
def test_nothing_else_is_served(gateway, path):
    answer = gateway.ask("GET", path)
    assert answer.status in (400, 404)
    assert b"SPDX" not in answer.body and b"root:" not in answer.body


def test_other_methods_on_files(gateway):
    assert gateway.ask("POST", "/", "x").status == 405
    assert gateway.ask("DELETE", "/index.html").status == 405


# ---- passing on ----

@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_passes_methods_and_bodies(gateway, method):
    body = None if method in ("GET", "OPTIONS") else '{"a":"ü"}'.encode()
    said = json.loads(gateway.ask(method, "/api/v2/clusters/1?a=1&b=%20x", body,
                                  {"Content-Type": "text/x-odd"} if body else {}).body)
    assert said["method"] == method
    assert said["path"] == "/v2/clusters/1?a=1&b=%20x"
    assert said["body"].encode() == (body or b"")
    kinds = [value for name, value in said["headers"] if name == "content-type"]
    assert kinds == (["text/x-odd"] if body else [])


def test_passes_a_post_without_a_body(gateway):
    said = json.loads(gateway.ask("POST", "/api/v2/clusters/1/pause").body)
    assert (said["method"], said["body"]) == ("POST", "")
    assert ["content-length", "0"] in said["headers"]


def test_replaces_identity(gateway):
    said = json.loads(gateway.ask("GET", "/api/v2/x", headers={
        "X-Loom-UserID": "mallory", "x-loom-tenantid": "evil", "X_Loom_UserID": "mallory",
        "Coopr-UserID": "mallory", "COOPR-TENANTID": "evil", "Authorization": "Bearer t", "Cookie": "c=1",
        "X-Secret-Hop": "1", "Connection": "close, X-Secret-Hop", "TE": "trailers",
        "Last-Event-ID": "41", "X-Request-ID": "abc-1", "Accept": "text/event-stream"}).body)
    headers = dict(said["headers"])
    names = [name for name, _ in said["headers"]]
    assert headers["x-loom-userid"] == "admin" and names.count("x-loom-userid") == 1
    assert headers["x-loom-tenantid"] == "superadmin" and names.count("x-loom-tenantid") == 1
    assert not {"x_loom_userid", "coopr-userid", "coopr-tenantid", "authorization", "cookie", "te",
                "x-secret-hop"} & set(names)
    assert headers["last-event-id"] == "41"
    assert headers["x-request-id"] == "abc-1"
    assert headers["accept"] == "text/event-stream"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["host"] != f"127.0.0.1:{gateway.port}"


def test_makes_a_request_id(gateway):
    answer = gateway.ask("GET", "/api/v2/x")
    sent = dict(json.loads(answer.body)["headers"])["x-request-id"]
    assert sent and answer.headers["X-Request-ID"] == sent


def test_passes_answers_as_they_are(gateway):
    answer = gateway.ask("GET", "/api/refused")
    assert (answer.status, answer.body) == (503, b'{"detail":"busy"}')
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["ETag"] == '"e"'
    assert "Mon, 01 Jan 2024 00:00:00 GMT" in answer.headers.get_all("Date")
    assert answer.headers["X-Kept"] == "2"
    assert "X-Hop" not in answer.headers and "Set-Cookie" not in answer.headers
    assert "frame-ancestors" in answer.headers["Content-Security-Policy"]
    unchanged = gateway.ask("GET", "/api/unchanged")
    assert (unchanged.status, unchanged.body, unchanged.headers["ETag"]) == (304, b"", '"e"')


@pytest.mark.parametrize("method, path, status, control", [
    ("GET", "/api/v2/clusters", 200, "no-store"), ("HEAD", "/api/v2/clusters", 200, "no-store"),
    ("GET", "/api/refused", 503, "no-store"), ("GET", "/api/unchanged", 304, "no-store"),
    ("POST", "/api/v2/clusters", 200, "no-store"), ("GET", "/api/kept", 200, "no-cache"),
    ("GET", "/session", 200, "no-store"), ("DELETE", "/session", 200, "no-store"),
    ("POST", "/session", 401, "no-store"), ("GET", "/login", 404, "no-store"), ("GET", "/status", 200, "no-store"),
    ("GET", "/js/nothing.js", 404, "no-store")])
def test_what_is_answered_to_a_cookie_is_kept_nowhere(gateway, method, path, status, control):
    body = json.dumps({"token": "no token"}) if method == "POST" and path == "/session" else None
    headers = {"Cookie": f"loom_session={'a' * 48}", "Sec-Fetch-Site": "same-origin"}
    answer = gateway.ask(method, path, body, headers)
    assert answer.status == status and answer.headers.get_all("Cache-Control") == [control], answer.headers


@pytest.mark.parametrize("path, want", [
    ("/api", "/"), ("/api/", "/"), ("/api//v2//x/", "/v2/x"), ("//api/v2/x", "/v2/x"),
    ("/api/%76%32/a%20b", "/v2/a%20b"), ("/api/v2/a%3Fb", "/v2/a%3Fb"), ("/api/http://evil/", "/http:/evil"),
])
def test_paths_mean_one_thing(gateway, path, want):
    assert json.loads(gateway.ask("GET", path).body)["path"] == want


@pytest.mark.parametrize("path", ["/api/../secret", "/api/v2/..%2f..", "/api/%2e%2e/x", "/api/%zz"])
def test_odd_paths_are_refused(gateway, path):
    assert gateway.ask("GET", path).status == 400


@pytest.mark.parametrize("headers, status", [
    ({}, 200),
    ({"Sec-Fetch-Site": "same-origin"}, 200),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "HOST"}, 200),
])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_changes_from_other_sites_are_refused(gateway, method, headers, status):
    headers = {name: value.replace("HOST", f"http://127.0.0.1:{gateway.port}")
               for name, value in headers.items()}
    answer = gateway.ask(method, "/api/v2/clusters/1", "{}", headers)
    assert answer.status == status
    if status == 403:
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert "another site" in json.loads(answer.body)["detail"]
    assert gateway.ask("GET", "/api/v2/clusters/1", headers=headers).status == 200


# ---- streams ----

def open_stream(gateway, path):
    connection = gateway.connect()
    connection.request("GET", path)
    raw = connection.sock
    return connection, raw, connection.getresponse()


@pytest.mark.parametrize("path, kind", [("/api/stream?sse", "text/event-stream"), ("/api/stream", "text/plain")])
def test_streams_flow_as_they_come(gateway, upstream, path, kind):
    connection, _, answer = open_stream(gateway, path)
    assert answer.headers["Content-Type"] == kind
    pieces = upstream.streams[path.partition("?")[2]]
    for number in range(5):
        pieces.put(b"id: %d\n" % number)
        assert answer.readline() == b"id: %d\n" % number
    pieces.put(None)
    assert answer.read() == b""
    connection.close()
    gateway.wait_metric("loom_gateway_exchanges", 0)


def test_client_that_leaves_ends_the_stream(gateway, upstream):
    connection, raw, answer = open_stream(gateway, "/api/stream?sse")
    upstream.pieces.put(b"a\n")
    assert answer.readline() == b"a\n"
    assert gateway.metric("loom_gateway_exchanges") == 1
    raw.shutdown(socket.SHUT_RDWR)
    answer.close()
    connection.close()
    gateway.wait_metric("loom_gateway_exchanges", 0)
    deadline = time.monotonic() + 60
    while not upstream.gone.is_set() and time.monotonic() < deadline:
        upstream.pieces.put(b": hb\n")
        upstream.gone.wait(0.02)
    assert upstream.gone.is_set()


def test_client_that_leaves_before_the_answer(gateway, upstream):
    connection = gateway.connect()
    connection.request("GET", "/api/silence")
    assert upstream.asked.wait(60)
    assert gateway.metric("loom_gateway_exchanges") == 1
    connection.close()
    assert upstream.gone.wait(60)
    gateway.wait_metric("loom_gateway_exchanges", 0)


def test_upstream_that_breaks_off_breaks_the_stream(gateway, upstream):
    connection, _, answer = open_stream(gateway, "/api/stream")
    upstream.streams[""].put(b"a\n")
    assert answer.readline() == b"a\n"
    upstream.streams[""].put(ConnectionError())
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()
    assert gateway.metric("loom_gateway_broken_answers_total") == 1


def test_slow_client_holds_the_upstream_back(gateway, upstream):
    """64 MiB wait behind a client that does not read; memory of the gateway does not take them."""
    before = gateway.metric("loom_process_resident_memory_bytes")
    connection, _, answer = open_stream(gateway, "/api/flood")
    got = len(answer.read(65536))
    wait_for(lambda: gateway.metric("loom_gateway_pauses_total"))
    with upstream.progress:
        while upstream.progress.wait(0.3):
            pass
        sent = upstream.sent
    assert sent < 32 * MIB
    assert gateway.metric("loom_process_resident_memory_bytes") < before + 24 * MIB
    while piece := answer.read(MIB):
        got += len(piece)
    assert got == 64 * MIB
    connection.close()


def test_slow_client_that_leaves(gateway, upstream):
    connection, raw, answer = open_stream(gateway, "/api/flood")
    answer.read(10)
    wait_for(lambda: gateway.metric("loom_gateway_pauses_total"))
    raw.shutdown(socket.SHUT_RDWR)
    answer.close()
    connection.close()
    gateway.wait_metric("loom_gateway_exchanges", 0)
    assert upstream.gone.wait(60)


def test_many_streams_at_once(gateway, upstream):
    streams = [open_stream(gateway, "/api/stream?sse") for _ in range(40)]
    gateway.wait_metric("loom_gateway_exchanges", 40)
    assert gateway.ask("GET", "/").status == 200
    for _ in streams:
        upstream.pieces.put(None)
    for connection, _, answer in streams:
        assert answer.read() == b""
        connection.close()


# ---- trouble ----

def test_upstream_that_answers_nonsense(gateway):
    for path, words in (("/api/cut", "broke off"), ("/api/garbage", "does not answer")):
        answer = gateway.ask("GET", path)
        assert answer.status == 502
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert words in json.loads(answer.body)["detail"]


@pytest.mark.parametrize("method, headers, times", [
    ("POST", {}, 1), ("POST", {"Idempotency-Key": "k"}, 2), ("PUT", {}, 2), ("DELETE", {}, 2)])
def test_what_may_not_be_done_twice_is_not_sent_twice(gateway, upstream, method, headers, times):
    """By a connection that was kept: the API may have ended it before it came, or when it was done."""
    assert gateway.ask("GET", "/api/kept").status == 200
    answer = gateway.ask(method, "/api/lost", "{}", headers)
    assert answer.status == 502 and upstream.lost == [method] * times, (answer.status, upstream.lost)


def test_upstream_that_is_away(upstream, tmp_path):
    gateway = Gateway(1, tmp_path / "away.log")
    try:
        answer = gateway.ask("POST", "/api/v2/clusters", "{}")
        assert answer.status == 502
        assert "does not answer" in json.loads(answer.body)["detail"]
        assert gateway.ask("GET", "/livez").status == 200
        ready = gateway.ask("GET", "/readyz")
        assert ready.status == 503
        assert "loom-api" in json.loads(ready.body)["detail"]
        assert gateway.ask("GET", "/").status == 200
    finally:
        gateway.close()


def test_ready_when_the_api_lives(gateway):
    assert gateway.ask("GET", "/readyz").status == 200


def test_status_tells_what_it_holds(gateway, upstream, tmp_path):
    quiet = json.loads(gateway.ask("GET", "/status").body)
    assert quiet.pop("version").count(".") == 2 and quiet.pop("files") > 20
    assert quiet == {"service": "loom-ui-gateway", "state": "serving", "requests": 0, "streams": 0, "sessions": 0,
                     "backends": [{"name": "loom-api", "reachable": True}]}
    stream, _, _ = open_stream(gateway, "/api/stream?sse")
    log, _, _ = open_stream(gateway, "/api/stream")
    busy = json.loads(gateway.ask("GET", "/status").body)
    assert (busy["requests"], busy["streams"]) == (2, 1)
    stream.close()
    log.close()
    wait_for(lambda: json.loads(gateway.ask("GET", "/status").body)["requests"] == 0, what="the end of both")
    gateway.wait_metric("loom_gateway_streams", 0)
    alone = Gateway(1, tmp_path / "alone.log")
    try:
        answer = alone.ask("GET", "/status")
        assert answer.status == 200 and answer.getheader("Cache-Control") == "no-store"
        assert json.loads(answer.body)["backends"] == [{"name": "loom-api", "reachable": False}]
        assert b"127.0.0.1" not in answer.body
    finally:
        alone.close()


def test_drain_ends_event_streams_and_finishes_the_rest(gateway, upstream):
    events, _, event_answer = open_stream(gateway, "/api/stream?sse")
    upstream.pieces.put(b"a\n")
    assert event_answer.readline() == b"a\n"
    log, _, log_answer = open_stream(gateway, "/api/stream")
    gateway.process.send_signal(signal.SIGTERM)
    assert event_answer.read() == b""
    log_pieces = upstream.streams[""]
    log_pieces.put(b"tail\n")
    assert log_answer.readline() == b"tail\n"
    log_pieces.put(None)
    assert log_answer.read() == b""
    events.close()
    log.close()
    assert gateway.process.wait(60) == 0


@pytest.mark.parametrize("keys, word", [
    ({"web_dir": "/nonexistent"}, "/nonexistent"), ({"listen": "nonsense"}, "nonsense"),
])
def test_refuses_to_start(tmp_path, keys, word):
    with pytest.raises(AssertionError, match=word):
        Gateway(1, tmp_path / "bad.log", **keys)


# ---- in front of loom-api ----

def test_in_front_of_the_api(stack):
    ui = stack.page
    assert ui.get("/readyz").status == 200
    assert b"<!doctype html>" in ui.get("/").body
    assert ui.get("/api/status").text.strip() == "OK"
    listed = ui.get("/api/v2/clusters")
    assert listed.status == 200 and isinstance(listed.json, list)
    assert stack.ui.get("/api/v2/clusters").status == 401
    missing = ui.get("/api/v2/clusters/99999999")
    assert missing.status == 404
    refused = ui.post("/api/v2/clusters", "{}", headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status == 403


def test_a_head_has_the_length_of_its_answer(gateway):
    whole = gateway.ask("GET", "/api/v2/clusters")
    head = gateway.ask("HEAD", "/api/v2/clusters")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(whole.body) + len("HEAD") - len("GET")


def test_each_proxy_s_word_of_an_address_goes_on(gateway):
    """HAProxy puts a line of its own behind that of the client, which says what it likes."""
    connection = gateway.connect()
    connection.putrequest("GET", "/api/v2/x")
    for value in ("203.0.113.9", "198.51.100.7, 10.0.0.1"):
        connection.putheader("X-Forwarded-For", value)
    connection.endheaders()
    said = json.loads(connection.getresponse().read())["headers"]
    connection.close()
    assert [value for name, value in said if name == "x-forwarded-for"] == [
        "203.0.113.9, 198.51.100.7, 10.0.0.1, 127.0.0.1"]
