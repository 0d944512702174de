# SPDX-License-Identifier: Apache-2.0
"""A Docker engine, the images under test, and the quick start of deploy/compose as a project of its own."""

import contextlib
import fcntl
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import pytest

from stacklib.client import Client

from .stack import ROOT, free_port, root_cache

COMPOSE_FILE = ROOT / "deploy/compose/compose.yaml"
TAG = os.environ.get("LOOM_TEST_TAG") or "test"  # of the images, so that two trees do not build each other's
BUILD_SECONDS = 1700
NAMES = ("loom-haproxy", "loom-zookeeper", "loom-mariadb", "loom-api", "loom-scheduler", "loom-ui-gateway",
         "loom-provisioner", "loom-cli", "loom-setup")
# Where scripts/bootstrap puts Compose 2, where the engine's packages bring version 1 only.
OWN_COMPOSE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or
                           pathlib.Path(os.environ.get("HOME") or "/root") / ".cache") / "loom/compose/docker-compose"


def said(*words, timeout=60, env=None):
    """(exit code, output of both streams) of a command."""
    try:
        done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", timeout=timeout, check=False,
                              env=env)
        return done.returncode, done.stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return 127, str(error)


def compose_command():
    """Words that Compose 2 is called by; empty when there is none."""
    for words in (["docker", "compose"], [str(OWN_COMPOSE)]):
        code, text = said(*words, "version", "--short")
        if code == 0 and text.strip().lstrip("v").split(".")[0] not in ("0", "1"):
            return words
    return []


def why_not():
    """Why these tests cannot run here; empty when they can."""
    if os.geteuid() != 0:
        return "this needs root"
    if not shutil.which("docker"):
        return "there is no docker command"
    code, text = said("docker", "version", "--format", "{{.Server.Version}}", timeout=20)
    if code != 0:
        return f"no Docker engine answers: {text.strip().splitlines()[-1:]}"
    if not compose_command():
        return "there is no Docker Compose 2 (scripts/bootstrap ship)"
    return ""


def need_engine():
    """Skip, with the reason."""
    reason = why_not()
    if reason:
        pytest.skip(reason)


def build(*names):
    """Build images under test; one process at a time, the others find them built."""
    (ROOT / "var-test").mkdir(exist_ok=True)
    with open(ROOT / "var-test/images.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # It ends what the script has started, too.
        done = subprocess.run(["timeout", str(BUILD_SECONDS), str(ROOT / "scripts/images"), *names],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False, env={**os.environ, "TAG": TAG})
    assert done.returncode == 0, done.stdout[-6000:]


def relabel(version, tag, *names):
    """The images under test as those of another version."""
    for name in names:
        done = subprocess.run(["docker", "build", "-q", "-t", f"{name}:{tag}", "-"], text=True, timeout=120, check=False,
                              input=f"FROM {name}:{TAG}\nLABEL org.opencontainers.image.version={version}\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout


def inspect(kind, *names):
    """What the engine knows of containers or images."""
    code, text = said("docker", kind, "inspect", *names)
    assert code == 0, text
    return json.loads(text)


ASK = """
import json, sys, urllib.error, urllib.request
for line in sys.stdin:
    method, url, body, headers = json.loads(line)
    headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    try:
        print(urllib.request.urlopen(request, timeout=30).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


class Neighbour:
    """A container with Python, from which requests come."""

    def __init__(self, name):
        self.name = name
        self.address = next(iter(inspect("container", name)[0]["NetworkSettings"]["Networks"].values()))["IPAddress"]

    def ask(self, *requests):
        """The status of each (method, url, body, headers), one after the other."""
        done = subprocess.run(["docker", "exec", "-i", self.name, "/usr/bin/python3", "-c", ASK], text=True, timeout=300,
                              input="".join(json.dumps(one) + "\n" for one in requests), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return [int(word) for word in done.stdout.split()]


class QuickStart:
    """deploy/compose/compose.yaml under a project name of its own, on free ports."""

    def __init__(self, profile="plain"):
        self.project = f"loom-test-{os.getpid()}-{profile.replace(',', '-')}"
        self.folder = tempfile.TemporaryDirectory(prefix=f"{self.project}-")  # whose the ports are
        self.ui_port, self.api_port, self.prometheus_port = (free_port(self.folder.name) for _ in range(3))
        self.env = {**os.environ, "COMPOSE_PROFILES": profile, "LOOM_VERSION": TAG,
                    "LOOM_UI_PORT": str(self.ui_port), "LOOM_API_PORT": str(self.api_port),
                    "LOOM_PROMETHEUS_PORT": str(self.prometheus_port),
                    "LOOM_SANDBOX_ROOT": str(root_cache())}

    def __call__(self, *words, timeout=240, check=True):
        """docker compose ...; what it says."""
        argv = [*compose_command(), "-p", self.project, "-f", str(COMPOSE_FILE), *map(str, words)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", timeout=timeout, check=False, env=self.env)
        assert not check or done.returncode == 0, f"{' '.join(map(str, words))}: {done.stdout[-3000:]}\n{self.logs()}"
        return done.stdout

    def logs(self):
        """The end of all logs."""
        return self("logs", "--no-color", "--tail", "25", check=False)

    def api(self, timeout=30):
        """REST through HAProxy."""
        return Client(f"http://127.0.0.1:{self.api_port}", timeout=timeout, token=self.token)

    @functools.cached_property
    def token(self):
        """The administrator's, as the quick start tells it."""
        code, text = said(*compose_command(), "-p", self.project, "-f", COMPOSE_FILE, "run", "--rm", "setup", "token",
                          env=self.env)
        assert code == 0, text
        return text.split()[-1]

    def page(self, timeout=30):
        """The web app through HAProxy, as a browser without a user."""
        return Client(f"http://127.0.0.1:{self.ui_port}", user="", timeout=timeout)

    @contextlib.contextmanager
    def neighbour(self):
        """A program's container on the network that users' programs are in."""
        code, name = said("docker", "run", "--rm", "--detach", f"--network={self.project}_loom", "--entrypoint=/usr/bin/python3",
                          f"loom-setup:{TAG}", "-c", "import signal; signal.pause()")
        assert code == 0, name
        try:
            yield Neighbour(name.strip())
        finally:
            said("docker", "rm", "--force", name.strip())

    def containers(self, service=None):
        """What the engine knows of the project's containers, ended ones too."""
        words = ["docker", "ps", "-aq", "--no-trunc", "--filter", f"label=com.docker.compose.project={self.project}"]
        if service:
            words += ["--filter", f"label=com.docker.compose.service={service}"]
        code, text = said(*words)
        assert code == 0, text
        return inspect("container", *text.split()) if text.split() else []

    def scale(self, **copies):
        """So many copies of each."""
        self("up", "-d", "--no-build", *(f"--scale={name}={count}" for name, count in copies.items()))

    def status_of(self, cluster):
        """A cluster's status."""
        answer = self.api().get(f"/v2/clusters/{cluster}/status")
        assert answer.ok, answer
        return answer.json["status"]

    def wait_for_status(self, cluster, wanted, seconds=60):
        """Wait for it; it must not become another one that is final."""
        deadline = time.monotonic() + seconds
        while (status := self.status_of(cluster)) != wanted:
            assert status not in ("incomplete", "inconsistent"), (status, self.logs())
            assert time.monotonic() < deadline, (status, self.logs())
            time.sleep(0.1)

    def left(self):
        """What is left of the project in the engine."""
        found = [container["Name"] for container in self.containers()]
        for kind in ("network", "volume"):
            found += said("docker", kind, "ls", "-q", "--filter",
                          f"label=com.docker.compose.project={self.project}")[1].split()
        return found

    def close(self):
        """Everything away, whatever state it is in."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self("down", "-v", "--remove-orphans", "-t", "5", check=False)
        self.folder.cleanup()
