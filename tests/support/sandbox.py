# SPDX-License-Identifier: Apache-2.0
"""The sandbox and shell plugins run by hand: a state directory, its nodes, what is left of them."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import uuid

import pytest

from support.stack import root_cache

PLUGINS = pathlib.Path(__file__).resolve().parents[2] / "services/provisioner/plugins"
SANDBOX = PLUGINS / "providers/sandbox/sandbox.py"
SHELL = PLUGINS / "automators/shell/shell.py"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def output(*argv):
    """What a command prints."""
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


def free_subnet(held):
    """A /24 that nothing on this host uses; other runs of these tests keep off while it is held."""
    used = output("ip", "-4", "address") + output("ip", "-4", "route")
    for number in range(200, 255):
        if f"10.62.{number}." in used:
            continue
        lock = held.enter_context(open(f"/run/lock/loom-test-subnet-{number}", "w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        held.callback(os.unlink, lock.name)
        return f"10.62.{number}.0/24"
    raise AssertionError("no free subnet")


class Done:
    """How a plugin's run ended."""

    def __init__(self, code, log, answer):
        self.code, self.log, self.answer = code, log, answer

    def ok(self):
        """The answer of a run that must have worked."""
        assert self.code == 0, f"exit code {self.code}:\n{self.log}"
        return self.answer


class Run:
    """One run of a plugin, as the provisioner does it: own group, scratch folder, descriptor 3."""

    def __init__(self, folder, plugin, action, task, attempt=1):
        self.scratch = folder / uuid.uuid4().hex
        self.scratch.mkdir()
        env = {"PATH": PATH, "LOOM_PLUGIN_DIR": str(plugin.parent),
               "LOOM_WORK_DIR": str(folder / "work"), "LOOM_TASK_ID": task["taskId"],
               "LOOM_ATTEMPT": str(attempt), "LOOM_NODE_ID": task["nodeId"],
               "PYTHONDONTWRITEBYTECODE": "1"}
        (self.scratch / "task").write_text(json.dumps(task))
        command = 'exec "$@" <task 3>result >log 2>&1'
        self.child = subprocess.Popen(["/bin/sh", "-c", command, "run", str(plugin), action],
                                      cwd=self.scratch, env=env, start_new_session=True)

    def log(self):
        """The log so far."""
        path = self.scratch / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self):
        """kill -9 of the whole group, as when the provisioner is killed."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def wait_log(self, text, seconds=60):
        """Wait until the log holds a text."""
        end = time.monotonic() + seconds
        while text not in self.log():
            assert time.monotonic() < end and self.child.poll() is None, self.log()
            time.sleep(0.02)

    def done(self):
        """Wait for the end."""
        code = self.child.wait()
        text = (self.scratch / "result").read_text()
        return Done(code, self.log(), json.loads(text) if text else None)


class Node:
    """A node as the server knows it: what tasks about it contain."""

    def __init__(self, cluster, number, services, sshuser="root", cluster_id="00000001"):
        self.cluster = cluster
        self.cluster_id = cluster_id
        self.node_id = str(uuid.uuid4())
        self.properties = {"hostname": f"t1-{number}.local", "nodenum": number, "ipaddresses": {},
                           "services": services, "sshuser": sshuser, "hardwaretype": "small",
                           "imagetype": "debian12", "flavor": "small", "image": "debian12",
                           "automators": ["shell"]}
        self.results = {}
        self.steps = 0
        cluster.nodes[self.node_id] = self

    def task(self, action, service=None, script=None, args=""):
        """Task JSON for an action."""
        self.steps += 1
        config = {"cluster": self.cluster.config, **self.properties,
                  "provider": {"name": "sandbox", "providertype": "sandbox",
                               "provisioner": self.cluster.fields},
                  "nodes": {i: n.properties for i, n in self.cluster.nodes.items()},
                  **self.results}
        if service:
            config["service"] = {"name": service, "action": {
                "type": "shell", "fields": {"script": script, "args": args}}}
        return {"taskId": f"00000001-001-{self.properties['nodenum']}{self.steps:02d}",
                "jobId": "00000001-001", "clusterId": self.cluster_id, "taskName": action.upper(),
                "nodeId": self.node_id, "attempt": 1, "config": config}

    def start(self, plugin, action, **more):
        """Begin an action."""
        return Run(self.cluster.folder, plugin, action, self.task(action, **more))

    def act(self, plugin, action, **more):
        """Carry out an action that must work, and keep its results as the server does."""
        answer = self.start(plugin, action, **more).done().ok()
        self.results.update(answer.get("result", {}))
        self.properties["ipaddresses"] = answer.get("ipaddresses", self.properties["ipaddresses"])
        return answer

    def up(self):
        """Create, confirm, bootstrap."""
        self.act(SANDBOX, "create")
        self.act(SANDBOX, "confirm")
        self.act(SHELL, "bootstrap")
        return self

    @property
    def address(self):
        """Where the node is."""
        return self.properties["ipaddresses"]["access_v4"]

    def ssh(self, command, check=False):
        """What a command prints on the node, run over SSH; with its exit code unless check is set."""
        argv = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
                "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                "-i", self.results["ssh-auth"]["identityfile"], f"root@{self.address}", command]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
        assert not check or done.returncode == 0, done.stdout
        return done.stdout if check else (done.returncode, done.stdout)

    def knock(self, address, port):
        """Try one TCP connection from the node to somewhere: ssh's exit code, and what was printed."""
        return self.ssh(f"timeout 4 bash -c '</dev/tcp/{address}/{port}'")

    def must_reach(self, address, port):
        """A TCP connection from the node to somewhere comes about, within a minute on any machine."""
        end = time.monotonic() + 60
        code, said = self.knock(address, port)
        while code != 0 and time.monotonic() < end:
            time.sleep(0.2)
            code, said = self.knock(address, port)
        assert code == 0, (f"{self.address} does not reach {address}:{port}: exit code {code}, {said!r}\n"
                           + self.ssh("ip address; ip neighbour")[1] + output("iptables", "-S"))


class Cluster:
    """A state directory with its own bridge and subnet, and the nodes in it."""

    def __init__(self, folder, held, letter="t"):
        self.folder = folder
        self.state = folder / "state"
        self.bridge = f"l{letter}{os.getpid() % 10000}"
        self.subnet = free_subnet(held)
        self.fields = {"state_dir": str(self.state), "bridge": self.bridge,
                       "subnet": self.subnet, "root_dir": str(root_cache())}
        self.config = {"web": {"message": "It <works> & more", "port": "8080"},
                       "balancer": {"port": "80"}}
        self.nodes = {}

    def node(self, number=1000, services=("base", "web"), **more):
        """Another node."""
        return Node(self, number, list(services), **more)

    def machines(self):
        """Machines that the plugin knows."""
        text = output(str(SANDBOX), "list", "--state-dir", str(self.state))
        return [json.loads(line) for line in text.splitlines()]

    def inits(self):
        """First processes of this cluster's machines, as the kernel knows them."""
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if f"upperdir={self.state}/" in (path / "mountinfo").read_text() and re.search(
                        r"^NSpid:.*\t1$", (path / "status").read_text(), re.M):
                    found.append(int(path.name))
            except OSError:
                pass
        return found

    def traces(self):
        """Everything of this cluster that is left on the host."""
        found = [f"process {path}" for path in pathlib.Path("/proc").glob("[0-9]*")
                 if f"upperdir={self.state}/" in read(path / "mountinfo")]
        found += [f"mount {line}" for line in read("/proc/self/mountinfo").splitlines()
                  if str(self.state) in line or f"/{self.bridge}" in line]
        found += [f"rule {line}" for table in ("mangle", "nat", "filter")
                  for line in output("iptables", "-t", table, "-S").splitlines()
                  if re.search(rf"loom-{self.bridge}\b", line, re.I)]
        found += [f"control group {path}" for path in
                  pathlib.Path("/sys/fs/cgroup").glob(f"**/loom.sandbox/{self.bridge[:6]}-*")]
        places = [("link", "/sys/class/net"), ("namespace", "/run/netns")]
        found += [f"{kind} {name}" for kind, place in places if os.path.isdir(place)
                  for name in os.listdir(place) if name.startswith(self.bridge)]
        found += [f"folder {name}" for name in ("nodes", "trash", "locks")
                  if (self.state / name).exists()]
        return found

    def destroy(self):
        """destroy-all."""
        return subprocess.run([SANDBOX, "destroy-all", "--state-dir", self.state, "--bridge",
                               self.bridge], capture_output=True, text=True, check=False)


def read(path):
    """A file of /proc, or nothing if it is gone."""
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


@contextlib.contextmanager
def cluster_in(folder, letter="t"):
    """An empty state directory; nothing of it may be left after destroy-all."""
    with contextlib.ExitStack() as held:
        made = Cluster(folder, held, letter)
        try:
            yield made
        finally:
            done = made.destroy()
        assert done.returncode == 0, done.stdout + done.stderr
        assert made.traces() == []


@pytest.fixture(name="base_root", scope="module", autouse=True)
def fixture_base_root(tmp_path_factory):
    """The base root is there before the tests that measure time."""
    subprocess.run([SANDBOX, "make-root", "--state-dir", tmp_path_factory.mktemp("root"),
                    "--root-dir", root_cache()], check=True)


@pytest.fixture(name="cluster")
def fixture_cluster(tmp_path):
    """An empty cluster; nothing of it may be left after destroy-all."""
    with cluster_in(tmp_path) as made:
        yield made
