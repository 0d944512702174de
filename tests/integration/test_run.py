# SPDX-License-Identifier: Apache-2.0
"""`make run` from end to end, on a folder and ports of its own, and `make stop`."""

import os
import re
import socket
import subprocess

import pytest

from support import ROOT
from support.stack import ENVIRONMENT, build_dir

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machines need root")


class Run:
    """The scripts behind make run, status and stop, with a stack's folder."""

    def __init__(self, stack):
        self.stack = stack
        self.env = {**ENVIRONMENT, **os.environ, "LOOM_RUN_DIR": str(stack.dir), "SAN": "asan",
                    "WERROR": "1", "BUILD": str(build_dir()), "LOOM_STACK_ARGS": "--ports free"}

    def __call__(self, script, **env):
        return subprocess.run([ROOT / "scripts" / script], env={**self.env, **env}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=400, check=False)


@pytest.fixture
def run(new_stack):
    """A Run; its stack is taken down afterwards whatever happens."""
    return Run(new_stack(name="run", up=False))


@pytest.mark.timeout(900)
def test_run_makes_a_cluster_proves_it_and_stop_leaves_nothing(run):
    first = run("run")
    assert first.returncode == 0, first.stdout[-6000:]
    assert "both web servers answered through the balancer" in first.stdout
    run.stack.refresh()
    variables = dict(line.split("=", 1) for line in (run.stack.dir / "loom.env").read_text().splitlines()
                     if not line.startswith("export "))
    assert variables["LOOM_URL"] == run.stack.api.url
    assert variables["LOOM_INTERNAL_URL"] == run.stack.internal.url
    assert f"{variables['LOOM_UI_URL']}/#/clusters/" in first.stdout
    assert len(run.stack.machines()) == 3

    second = run("run")
    assert second.returncode == 0, second.stdout[-6000:]
    assert len(re.findall("runs already", second.stdout)) == 6
    assert "an earlier hello" in second.stdout
    assert len(run.stack.machines()) == 3

    status = run("status")
    assert status.returncode == 0 and status.stdout.count(" ready ") == 6
    assert "hello" in status.stdout

    stop = run("stop", PURGE="1")
    assert stop.returncode == 0, stop.stdout
    assert run.stack.leftovers() == []
    assert {path.name for path in run.stack.dir.iterdir()} <= {".lock", "cache"}
    assert "nothing to stop" in run("stop").stdout
    assert "no stack" in run("status").stdout


def test_run_says_which_step_failed(run):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        done = run("run", LOOM_STACK_ARGS=f"--ports free --port api.external={port}")
    assert done.returncode != 0
    assert f"port {port} (api.external) is held by" in done.stdout
    assert "FAILED: Start the private stack" in done.stdout
    assert run("stop").returncode == 0
