# SPDX-License-Identifier: Apache-2.0
"""What a machine of the sandbox may do to its host and to other machines, seen from inside one."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest

from support.sandbox import PLUGINS, SANDBOX, Run, cluster_in, output
from support.stack import root_cache

sys.path.insert(0, str(PLUGINS / "providers/sandbox"))
import hostapt  # noqa: E402 (the path comes first)

from support.sandbox import fixture_base_root, fixture_cluster  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root")

# chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot
# audit_write setfcap
CAPABILITIES = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 29, 31))


def made(node):
    """The node, made and reachable."""
    node.act(SANDBOX, "create")
    node.act(SANDBOX, "confirm")
    return node


def test_root_in_a_node_cannot_change_the_host(cluster):
    """The kernel's settings, devices, mounts and control groups are out of reach of a node's root."""
    node = made(cluster.node())
    status = node.ssh("cat /proc/self/status", check=True)
    for name in ("CapEff", "CapPrm", "CapBnd"):
        assert int(re.search(rf"{name}:\s*([0-9a-f]+)", status)[1], 16) == CAPABILITIES
    for setting in ("/proc/sys/kernel/core_pattern", "/proc/sys/vm/swappiness"):
        assert "Read-only file system" in node.ssh(f"sh -c ': >>{setting}'")[1], setting
    for command in ("mknod /root/disk b 8 0", "mount -t tmpfs none /mnt", "mount -t cgroup -o memory none /mnt",
                    "mount -o remount,rw /proc/sys", "unshare --mount true",
                    "ip link add x type dummy", "ip route add 192.0.2.0/24 dev eth0", "hostname other"):
        code, said = node.ssh(command)
        assert code != 0 and re.search(r"ermi(tted|ssion)|denied|must be root", said), (command, said)
    assert node.ssh("head -c 1 /proc/kcore 2>/dev/null | wc -c", check=True).strip() == "0"
    options = node.ssh("cat /proc/mounts", check=True)
    assert "nodev" in re.search(r"^\S+ / overlay (\S+)", options, re.M)[1].split(",")
    assert not re.search(r":/.+", node.ssh("cat /proc/self/cgroup", check=True))


def test_a_node_has_its_share_of_memory_and_processes(cluster):
    """What one node takes beyond its limits fails there, and nowhere else."""
    cluster.fields.update(memory_mb="128", processes="60")
    node = made(cluster.node())
    code, said = node.ssh("for i in $(seq 100); do sleep 20 & done; kill $(jobs -p)")
    assert re.search("[Rr]esource temporarily unavailable|Cannot fork", said), (code, said)
    said = node.ssh("python3 -c 'x = bytearray(400 << 20)'; echo ended $?", check=True)
    assert "ended 137" in said
    assert node.ssh("echo well", check=True) == "well\n"


@contextlib.contextmanager
def outside(bridge):
    """A host somewhere else, behind this one: (its address, a listening port, its namespace)."""
    name, net = f"out{bridge}"[:14], "198.51.100"
    for argv in (["netns", "add", name], ["link", "add", name, "type", "veth", "peer", "name", "eth0",
                                          "netns", name],
                 ["address", "add", f"{net}.1/24", "dev", name], ["link", "set", name, "up"],
                 ["-n", name, "address", "add", f"{net}.2/24", "dev", "eth0"],
                 ["-n", name, "link", "set", "eth0", "up"], ["-n", name, "link", "set", "lo", "up"],
                 ["-n", name, "route", "add", "default", "via", f"{net}.1"]):
        subprocess.run(["ip", *argv], check=True)
    script = ("import socket, sys\ns = socket.create_server(('', 0))\n"
              "print(s.getsockname()[1], flush=True)\nwhile True: s.accept()[0].close()\n")
    child = subprocess.Popen(["ip", "netns", "exec", name, sys.executable, "-c", script],
                             stdout=subprocess.PIPE, text=True)
    try:
        yield f"{net}.2", int(child.stdout.readline()), name
    finally:
        child.kill()
        child.wait()
        subprocess.run(["ip", "link", "delete", name], check=False)
        subprocess.run(["ip", "netns", "delete", name], check=False)


def test_a_node_reaches_its_cluster_and_the_outside_only(cluster, tmp_path):
    """Not this host's ports, not nodes of other clusters, on its own bridge or on another."""
    (tmp_path / "other").mkdir()
    with contextlib.ExitStack() as held:
        other = held.enter_context(cluster_in(tmp_path / "other", "b"))
        there, port, namespace = held.enter_context(outside(cluster.bridge))
        listener = held.enter_context(socket.create_server(("", 0)))
        own = listener.getsockname()[1]
        one, two = made(cluster.node(1000)), made(cluster.node(1001))
        stranger = made(cluster.node(1000, cluster_id="00000002"))
        far = made(other.node(1000))
        one.must_reach(two.address, 22)
        two.must_reach(one.address, 22)
        one.must_reach(there, port)
        local = re.findall(r"inet ([0-9.]+)/", output("ip", "-4", "address", "show", "scope", "global"))
        assert len(local) >= 2
        for address in local:
            assert one.knock(address, own)[0] != 0, address
        for node in (stranger, far):
            assert one.knock(node.address, 22)[0] != 0 and node.knock(one.address, 22)[0] != 0
        knock = subprocess.run(["ip", "netns", "exec", namespace, "timeout", "3", "bash", "-c",
                                f"</dev/tcp/{one.address}/22"], stderr=subprocess.DEVNULL, check=False)
        assert knock.returncode != 0
        assert "inet6" not in output("ip", "address", "show", "dev", cluster.bridge)
        two.act(SANDBOX, "delete")
        rules = output("iptables", "-S")
        assert f"{one.address}/32" in rules and f"{two.address}/32" not in rules


def test_the_hosts_own_rules_stay(cluster):
    """Policies and rules of others are the same with nodes as without; one jump for each chain."""
    def others():
        """Of nobody who comes and goes beside this test: other nodes, containers."""
        return [line for line in output("iptables", "-S").splitlines() if "oom-" not in line.lower()
                and "docker" not in line.lower() and not re.search(r"\b(lm|dc|lt|lb|br-)[0-9a-f]+", line)]

    before = others()
    for number in range(3):
        cluster.node(1000 + number).act(SANDBOX, "create")
    assert others() == before
    jumps = [line for line in output("iptables", "-S").splitlines()
             if re.search(rf"loom-{cluster.bridge}\b", line) and line.startswith(("-A FORWARD", "-A INPUT"))]
    assert len(jumps) == len(set(jumps)) == 3


def test_the_last_node_takes_the_bridge_with_it(cluster):
    """Any bridge of the state directory goes with its last node, or with destroy-all."""
    def left():
        return [line for line in cluster.traces() if not line.startswith("folder")]

    node, second = cluster.node(1000), cluster.node(1001)
    node.act(SANDBOX, "create")
    second.act(SANDBOX, "create")
    node.act(SANDBOX, "delete")
    assert [line for line in left() if line == f"link {cluster.bridge}"]
    second.act(SANDBOX, "delete")
    assert left() == []
    second.act(SANDBOX, "create")
    elsewhere = cluster.node(1002)
    task = elsewhere.task("create")
    task["config"]["provider"]["provisioner"] = dict(
        cluster.fields, bridge=f"{cluster.bridge}z", subnet=re.sub(r"10\.62\.", "10.63.", cluster.subnet))
    Run(cluster.folder, SANDBOX, "create", task).done().ok()
    assert os.path.exists(f"/sys/class/net/{cluster.bridge}z")
    assert cluster.destroy().returncode == 0
    assert cluster.traces() == []


def test_a_path_with_spaces_and_a_hash_sign(tmp_path):
    """The whole life of a node below a folder whose name tools like to trip over."""
    folder = tmp_path / "a b#c=d"
    folder.mkdir()
    with cluster_in(folder) as cluster:
        node = cluster.node().up()
        assert node.ssh("hostname", check=True).strip() == "t1-1000"
        assert [machine["alive"] for machine in cluster.machines()] == [True]
        assert node.act(SANDBOX, "create")["result"]["providerid"]
        assert len(cluster.machines()) == 1
        node.act(SANDBOX, "delete")
        assert cluster.machines() == []


def test_settings_are_checked(cluster):
    """What a limit or a path must be is said."""
    for field, value, words in (("memory_mb", "much", "memory_mb"), ("processes", "3", "at least 16"),
                                ("state_dir", "/tmp/a,b", "without any of")):
        task = cluster.node().task("create")
        task["config"]["provider"]["provisioner"] = dict(cluster.fields, **{field: value})
        done = Run(cluster.folder, SANDBOX, "create", task).done()
        assert done.code == 100 and words in done.log, done.log


@pytest.mark.parametrize("value,kept", [
    ("http://proxy.example:3128", True), ("http://user:word@proxy.example:3128", False),
    ("http://127.0.0.1:3128", False), ("http://localhost:3128/", False), ("DIRECT", True), ("3", True)])
def test_no_password_of_the_host_and_no_loopback_proxy(value, kept):
    """What of the host's apt settings gets into the nodes' base root."""
    pairs = [("Acquire::http::Proxy", value)]
    assert hostapt.for_nodes(pairs) == (pairs if kept else [])


def test_no_password_in_package_sources():
    """Addresses of mirrors go into nodes without the host's names and passwords."""
    assert hostapt.without_password("deb [a=b] https://me:secret@m.example/debian x main\n"
                                    "deb http://m.example/d@e x main\n") == (
        "deb [a=b] https://m.example/debian x main\ndeb http://m.example/d@e x main\n")
    root = pathlib.Path(sorted(root_cache().glob("root.*/etc/loom-root"))[-1]).parent
    assert not (root / "apt/auth.conf").exists() and not list(root.glob("apt/auth.conf.d/*.conf"))
