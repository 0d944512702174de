# SPDX-License-Identifier: Apache-2.0
"""The plug-ins that come along, given values of other types than they expect: a reason, no traceback."""

import copy
import json
import os
import subprocess

import pytest

from support.sandbox import SANDBOX, SHELL

TASK = {"taskId": "00000001-001-001", "nodeId": "n-1", "attempt": 1, "config": {
    "hostname": "n-1.example", "ssh-auth": {"user": "root", "identityfile": "key"},
    "ipaddresses": {"access_v4": "192.0.2.1"}, "ssh_host_keys": {"ed25519": ""},
    "provider": {"provisioner": {"state_dir": "/nowhere"}},
    "service": {"name": "s", "action": {"type": "shell", "fields": {"script": "base.sh"}}}}}
OTHERS = (5, True, "text", ["list"], {"a": {}}, None, "", "a\0b")
PATHS = ("nodeId", "config", "config/ssh-auth", "config/ssh-auth/user", "config/ssh-auth/identityfile",
         "config/sshuser", "config/ipaddresses", "config/ipaddresses/access_v4", "config/ssh_host_keys",
         "config/ssh_host_keys/ed25519", "config/provider", "config/provider/provisioner",
         "config/provider/provisioner/state_dir", "config/service", "config/service/action",
         "config/service/action/fields", "config/service/action/fields/script",
         "config/service/action/fields/args", "config/hostname")


def changed(path, value, identity):
    """The task with one other value, sound otherwise."""
    task = copy.deepcopy(TASK)
    config = task["config"]
    config["ssh-auth"]["identityfile"] = str(identity)
    config["provider"]["provisioner"]["state_dir"] = str(identity.parent)
    *way, last = path.split("/")
    at = task
    for part in way:
        at = at[part]
    at[last] = value
    if path == "config/sshuser":
        del config["ssh-auth"]["user"]
    return task


def run(folder, plugin, action, text):
    """(exit code, log) of a plug-in that gets this text."""
    done = subprocess.run([plugin, action], cwd=folder, input=text, text=True, timeout=60, check=False,
                          env={"PATH": os.environ["PATH"], "LOOM_WORK_DIR": str(folder / "work"),
                               "PYTHONDONTWRITEBYTECODE": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout


@pytest.mark.parametrize("path", PATHS)
def test_a_value_of_another_type_has_a_reason(tmp_path, path):
    """The key is there, the host key is none: so no case gets as far as the network."""
    identity = tmp_path / "key"
    identity.touch()
    for value in OTHERS:
        code, log = run(tmp_path, SHELL, "start", json.dumps(changed(path, value, identity)))
        assert code in (1, 100) and "shell: " in log and "Traceback" not in log, (value, log)


@pytest.mark.skipif(os.geteuid() != 0, reason="the sandbox wants root")
@pytest.mark.parametrize("path", ["nodeId", "config/provider", "config/provider/provisioner",
                                  "config/provider/provisioner/state_dir"])
def test_the_sandbox_has_a_reason_too(tmp_path, path):
    """What it takes for a folder or a name is left out: it would begin to work."""
    for value in OTHERS:
        if path.endswith("state_dir") or value != "text":
            code, log = run(tmp_path, SANDBOX, "confirm", json.dumps(changed(path, value, tmp_path / "key")))
            assert code in (1, 100) and "sandbox: " in log and "Traceback" not in log, (value, log)


def test_a_task_that_is_too_deep_has_a_reason(tmp_path):
    for plugin, action in ((SHELL, "start"), (SANDBOX, "create")):
        code, log = run(tmp_path, plugin, action, "[" * 100_000)
        assert code == 100 and "is not JSON" in log and "Traceback" not in log, log
