# SPDX-License-Identifier: Apache-2.0
"""Pages of other origins: who may read the API's answers from a browser."""

import subprocess

import pytest

from support import Stack

OURS, OTHER = "https://app.example", "https://evil.example"


@pytest.fixture(scope="module")
def open_to():
    """A Loom whose API two origins may use."""
    with Stack("cors", (f"api.cors_origins={OURS} http://localhost:3000",)) as made:
        made.up("mariadb", "zookeeper", "api")
        yield made


def cors(answer):
    """What an answer says about it."""
    return {name.lower(): value for name, value in answer.headers.items() if name.lower().startswith("access-control-")}


def preflight(client, path, method, origin=OURS):
    """What a browser asks first."""
    return client.request("OPTIONS", path, headers={"Origin": origin, "Access-Control-Request-Method": method,
                                                    "Access-Control-Request-Headers": "authorization"})


def test_a_browser_is_told_what_it_may_send(open_to):
    nobody = open_to.client("api.external", user=None)
    for path, methods in (("/v2/clusters", {"GET", "HEAD", "POST", "OPTIONS"}), ("/v2/whoami", {"GET", "HEAD", "OPTIONS"}),
                          ("/v2/tokens/abc", {"DELETE", "OPTIONS"})):
        answer = preflight(nobody, path, "GET")
        assert answer.status == 204 and not answer.body
        said = cors(answer)
        assert said["access-control-allow-origin"] == OURS
        assert set(said["access-control-allow-methods"].split(", ")) == methods
        assert {"Authorization", "If-Match", "Idempotency-Key"} <= set(said["access-control-allow-headers"].split(", "))
        assert "access-control-allow-credentials" not in said
    assert cors(preflight(nobody, "/v2/clusters", "GET", OTHER)) == {}
    assert preflight(nobody, "/v2/nothing", "GET").status == 404
    assert nobody.request("OPTIONS", "/v2/whoami").headers["Allow"] == "GET, HEAD, OPTIONS"


def test_listed_origins_read_answers_and_refusals(open_to):
    nobody = open_to.client("api.external", user=None)
    for client, path, body, status in (
            (open_to.api, "/v2/whoami", None, 200), (open_to.api, "/v2/clusters/7", None, 404),
            (nobody, "/v2/whoami", None, 401), (nobody, "/v2/nothing", None, 404),
            (open_to.api, "/v2/nothing", "{}", 404), (nobody, "/livez", None, 200)):
        for origin in (OURS, OTHER, None):
            answer = client.request("POST" if body else "GET", path, body, headers={"Origin": origin} if origin else {})
            assert answer.status == status and "Origin" in answer.headers.get_all("Vary"), (path, origin, answer)
            said = cors(answer)
            assert said.get("access-control-allow-origin") == (OURS if origin == OURS else None), (path, origin)
            assert ("ETag" in said.get("access-control-expose-headers", "")) == (origin == OURS)


def test_other_ports_and_other_looms_say_nothing(open_to):
    internal = open_to.internal.get("/livez", headers={"Origin": OURS})
    assert internal.status == 200 and cors(internal) == {}
    open_to.stop("api")
    open_to.start("api", settings=("api.cors_origins=",))
    for answer in (open_to.api.get("/v2/whoami", headers={"Origin": OURS}), preflight(open_to.api, "/v2/whoami", "GET")):
        assert answer.ok and cors(answer) == {} and "Origin" not in (answer.headers.get_all("Vary") or [])
    open_to.stop("api")
    open_to.start("api", settings=(f"api.cors_origins={OURS}", "api.cors_credentials=yes"))
    answer = open_to.api.get("/v2/whoami", headers={"Origin": OURS})
    assert cors(answer)["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("origins, word", [("*", "'*'"), ("https://a.example/x", "no path"), ("null", "'null'")])
def test_what_is_no_origin_stops_the_start(open_to, origins, word):
    done = subprocess.run([str(open_to.bin / "loom-api"), "--config", str(open_to.dir / "etc/loom-api.conf"),
                           f"--cors-origins={origins}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "cors_origins" in done.stderr and word in done.stderr, done.stderr
