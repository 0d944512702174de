# SPDX-License-Identifier: Apache-2.0
"""The quick start: images, a Loom that comes up by one command, scales without a failed request, goes."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import compose, wait_for

SERVICES = ("loom-api", "loom-scheduler", "loom-ui-gateway", "loom-provisioner")
LARGEST = 120_000_000
CONFINED = ("setup", "db", "zookeeper", "api", "scheduler", "catalog", "ui", "haproxy", "provisioner")


@pytest.fixture(scope="module", autouse=True)
def images():
    """All that the quick start needs, built from this tree."""
    compose.need_engine()
    compose.build(*compose.NAMES)


@pytest.fixture(scope="module")
def quick(images):
    """A whole Loom; nothing may be left of it."""
    made = compose.QuickStart()
    try:
        made("up", "--wait", "--no-build", timeout=300)
        yield made
    finally:
        made.close()
    assert made.left() == []


@pytest.mark.timeout(1000)
def test_a_service_image_holds_what_it_needs_and_no_more():
    for name in SERVICES:
        image = compose.inspect("image", f"{name}:{compose.TAG}")[0]
        assert image["Size"] < LARGEST, f"{name}: {image['Size']}"
        config = image["Config"]
        assert config["User"] not in ("", "0", "root", "0:0")
        assert config["Healthcheck"]["Test"][-1] == "--check-ready"
        labels = {key.rpartition(".")[2]: value for key, value in config["Labels"].items()}
        assert labels["title"] == name and re.fullmatch(r"\d+\.\d+\.\d+", labels["version"]), labels
        assert re.fullmatch(r"[0-9a-f]{40}(-modified)?|unknown", labels["revision"]), labels
        code, text = compose.said("docker", "run", "--rm", "--read-only", "--network=none", f"{name}:{compose.TAG}", "--version")
        assert code == 0 and text.startswith(f"{name} {labels['version']}"), text
    code, text = compose.said("docker", "run", "--rm", "--entrypoint", "/bin/sh", f"loom-api:{compose.TAG}", "-c", "true")
    assert code == 127, text


@pytest.mark.timeout(400)
def test_it_comes_up_and_makes_a_cluster(quick):
    made = quick.api().post("/v2/clusters", {"name": "first", "clusterTemplate": "demo", "numMachines": 3})
    assert made.status == 200, made
    quick.wait_for_status(made.json["id"], "active")
    page = quick.page().get("/")
    assert page.status == 200 and "<html" in page.text
    shell = ("docker", "run", "--rm", f"--network={quick.project}_loom")
    shown = ("-v", f"{quick.project}_secrets-admin:/s:ro", f"loom-cli:{compose.TAG}", "--token-file", "/s/admin.token")
    asked = ("--url", "http://haproxy:55054", "cluster", "list")
    code, text = compose.said(*shell, *shown, *asked)
    assert code == 0 and "first" in text, text
    code, text = compose.said(*shell, f"loom-cli:{compose.TAG}", *asked)
    assert code == 1 and "token" in text, text


def test_only_haproxy_is_reached_and_nobody_has_privileges(quick):
    for container in quick.containers():
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        host = container["HostConfig"]
        assert service in CONFINED
        assert bool(host["PortBindings"]) == (service == "haproxy"), service
        assert host["ReadonlyRootfs"] and not host["Privileged"], service
        assert host["CapDrop"] == ["ALL"] and (host["CapAdd"] or []) == (["CHOWN"] if service == "setup" else [])
        assert host["Memory"] and host["NanoCpus"] and host["PidsLimit"], service
        assert host["LogConfig"]["Config"]["max-size"], service


def test_secrets_are_files_and_nowhere_else(quick):
    folders = {"secrets": ("cluster.key", "db.password"), "secrets-admin": ("admin.token",),
               "secrets-provisioner": ("provisioner.token",), "secrets-ui": ("session.keys",)}
    mounts = [word for folder in folders for word in ("-v", f"{quick.project}_{folder}:/{folder}:ro")]
    paths = [f"/{folder}/{name}" for folder, names in folders.items() for name in names]
    code, keys = compose.said("docker", "run", "--rm", *mounts, "--entrypoint", "/usr/bin/python3",
                              f"loom-setup:{compose.TAG}", "-c", f"[print(open(path).read()) for path in {paths}]")
    assert code == 0, keys
    secrets = keys.split()
    assert len(secrets) == 5 and all(len(secret) >= 48 for secret in secrets)
    for container in quick.containers():
        text = json.dumps(container)
        assert not any(secret in text for secret in secrets), container["Name"]
        logs = compose.said("docker", "logs", container["Id"])[1]
        assert not any(secret in logs for secret in secrets), container["Name"]
    code, text = compose.said("docker", "run", "--rm", "--user", "990:990", "-v",
                              f"{quick.project}_secrets-db:/s:ro", "--entrypoint", "/usr/bin/python3",
                              f"loom-setup:{compose.TAG}", "-c", "open('/s/accounts.sql')")
    assert code != 0 and "Permission denied" in text, text


def tries(where, count):
    """Wrong passwords of nobody, each with another word about where it comes from."""
    mark = time.monotonic_ns()
    bodies = [{"tenant": "superadmin", "user": f"nobody{mark}-{number}", "password": "wrong one"} for number in range(count)]
    return [("POST", f"http://haproxy:{where}", body, {"X-Forwarded-For": f"203.0.113.{number}"})
            for number, body in enumerate(bodies)]


def rows_of(quick, action):
    """Where refusals of an action came from, as the audit log has it."""
    answer = quick.api().get(f"/v2/audit?action={action}&limit=1000")
    assert answer.ok, answer
    return {row["from"] for row in answer.json}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("where", ["8100/session", "55054/v2/login"])
def test_each_user_counts_as_himself_whatever_he_says(quick, where):
    """Through the page and at the API's port: who tries passwords is held back, nobody else, and the log knows him."""
    with quick.neighbour() as guesser, quick.neighbour() as other, ThreadPoolExecutor(8) as pool:
        def held_back():
            answers = [status for each in pool.map(lambda _: guesser.ask(*tries(where, 12)), range(8)) for status in each]
            assert set(answers) <= {401, 429, 503}, answers  # 503: no memory for so many at once
            return 429 in answers

        wait_for(held_back, 120, "one that is refused")
        assert other.ask(*tries(where, 12)) == [401] * 12
        right = {"Authorization": f"Bearer {quick.token}", "X-Forwarded-For": guesser.address}
        assert other.ask(("DELETE", "http://haproxy:55054/v2/services/none", None, right)) == [200]
        tried, deleted = "POST%20/v2/login", "DELETE%20/v2/services/%7Bname%7D"
        wait_for(lambda: {guesser.address, other.address} <= rows_of(quick, tried), what="their addresses")
        wait_for(lambda: other.address in rows_of(quick, deleted), what="the address of the one who deletes")
        assert guesser.address not in rows_of(quick, deleted)
        assert not any(address.startswith("203.0.113.") for address in rows_of(quick, tried))


class Load:
    """Clients that read on new connections, and one that creates; all they were refused is remembered."""

    def __init__(self, quick):
        self.quick = quick
        self.ending = threading.Event()
        self.failed, self.created, self.asked = [], [], 0
        self.threads = [threading.Thread(target=work, daemon=True) for work in
                        (self.read, self.read, self.look, self.create)]

    def note(self, answer):
        """One more answer."""
        self.asked += 1
        if not answer.ok:
            self.failed.append(repr(answer))

    def read(self):
        """The API."""
        while not self.ending.is_set():
            self.note(self.quick.api(60).get("/v2/clusters"))
            time.sleep(0.02)

    def look(self):
        """The page."""
        while not self.ending.is_set():
            self.note(self.quick.page(60).get("/"))
            time.sleep(0.02)

    def create(self):
        """Clusters, each named, so that it is made once however often it is sent."""
        while not self.ending.is_set():
            number = len(self.created)
            answer = self.quick.api(60).post(
                "/v2/clusters", {"name": f"load{number}", "clusterTemplate": "demo", "numMachines": 1},
                headers={"Idempotency-Key": f"load-{number}"})
            self.note(answer)
            if answer.ok:
                self.created.append(answer.json["id"])
            time.sleep(0.2)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(65)


def servers(quick, backend):
    """How many servers of a backend HAProxy sends requests to."""
    code, text = compose.said("docker", "exec", quick.containers("haproxy")[0]["Id"], "bash", "-c",
                              "exec 3<>/dev/tcp/127.0.0.1/8404; printf 'GET /;csv HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3")
    assert code == 0, text
    rows = [line.split(",") for line in text.splitlines() if line.startswith(f"{backend},")]
    return sum(row[1] not in ("BACKEND", "FRONTEND") and row[17].startswith("UP") for row in rows)


@pytest.mark.timeout(400)
def test_it_scales_under_load_without_a_failed_request(quick):
    with Load(quick) as load:
        for copies in ({"api": 3, "ui": 2, "provisioner": 5}, {"api": 2, "ui": 1, "provisioner": 2}):
            quick.scale(**copies)
            for backend, name in (("api_external", "api"), ("api_internal", "api"), ("ui", "ui")):
                wait_for(lambda: servers(quick, backend) == copies[name], 60,  # noqa: B023 (it is called here)
                         f"{copies[name]} servers in {backend}")
            assert len(quick.containers("provisioner")) == copies["provisioner"]
            seen = load.asked
            wait_for(lambda: load.asked > seen + 50, 60, "more requests")  # noqa: B023
    assert load.failed == [], f"{len(load.failed)} of {load.asked}: {'; '.join(load.failed[:5])}"
    assert len(load.created) > 10
    for cluster in load.created:
        quick.wait_for_status(cluster, "active", 90)


@pytest.mark.timeout(400)
def test_a_second_start_keeps_everything(quick):
    """Down without -v and up again: data and secrets stay, and what somebody changed in the catalog."""
    service = quick.api().get("/v2/services/demo").json
    service["description"] = "changed by hand"
    assert quick.api().put("/v2/services/demo", service).ok
    before = sorted(cluster["id"] for cluster in quick.api().get("/v2/clusters").json)
    quick("down", "-t", "30")
    quick("up", "--wait", "--no-build", timeout=300)
    assert sorted(cluster["id"] for cluster in quick.api().get("/v2/clusters").json) == before
    assert quick.api().get("/v2/services/demo").json["description"] == "changed by hand"
