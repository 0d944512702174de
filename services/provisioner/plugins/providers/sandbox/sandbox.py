#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The sandbox provider: real machines out of namespaces on the provisioner's own host.

As a plugin:  sandbox.py create|confirm|delete     task JSON on stdin, result on descriptor 3
By hand:      sandbox.py make-root --state-dir D [--root-dir R] [--mirror URL]
              sandbox.py list --state-dir D
              sandbox.py destroy-all --state-dir D [--bridge B] [--root]
"""

import argparse
import ipaddress
import json
import os
import re
import socket
import subprocess
import sys
import time

import kernel
import limits
import machine as machines
import network
import root as base_root
from boot import boot

from common import GIVE_UP, Failure, GiveUp, die, log, remove_tree, run, write_file

DEFAULTS = {"state_dir": "", "bridge": "loom0", "subnet": "10.61.0.0/16", "mirror": "",
            "root_dir": "", "memory_mb": 2048, "processes": 4096}
CONFIRM_SECONDS = 40
RESULT_IS_OPEN = os.path.exists("/proc/self/fd/3")  # asked before anything else is opened


def provider_fields(task):
    """The provider's settings out of a task, checked."""
    provider = task["config"].get("provider") or {}
    given = (provider.get("provisioner") or {}) if isinstance(provider, dict) else provider
    if not isinstance(given, dict):
        raise GiveUp(f"the provider or its fields are not an object: {given!r:.100}")
    fields = {name: str(given.get(name) or default) for name, default in DEFAULTS.items()}
    for name in ("state_dir", "root_dir"):
        if fields[name]:
            fields[name] = checked_path(name, fields[name])
    if not fields["state_dir"]:
        raise GiveUp("the provider field 'state_dir' is required")
    if not re.fullmatch(r"[a-z][a-z0-9]{0,14}", fields["bridge"]):
        raise GiveUp(f"the provider field 'bridge' must be 1 to 15 lower-case letters or digits, "
                     f"not {fields['bridge']!r}")
    try:
        net = ipaddress.IPv4Network(fields["subnet"])
    except ValueError as err:
        raise GiveUp(f"the provider field 'subnet': {err}") from None
    if net.prefixlen > 29:
        raise GiveUp(f"the provider field 'subnet': {net} has no room for nodes")
    for name, least in (("memory_mb", 64), ("processes", 16)):
        if not re.fullmatch(r"[0-9]{1,9}", fields[name]) or int(fields[name]) < least:
            raise GiveUp(f"the provider field {name!r} must be a whole number of at least {least}, "
                         f"not {fields[name]!r}")
    return fields


def checked_path(name, path):
    """An absolute path that can stand in mount options and for OpenSSH."""
    if not re.fullmatch(r"/[^\x00-\x1f\x7f\\,:\"'%$]*", path):
        raise GiveUp(f"{name} must be an absolute path without control characters and without "
                     f"any of \\ , : \" ' % $, not {path!r}")
    return os.path.realpath(path)


def hostname_of(task):
    """The node's full host name."""
    name = str(task["config"].get("hostname") or "").strip()
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", name):
        raise GiveUp(f"unusable host name {name!r}")
    return name


def login_of(task):
    """The account that automators log in with (from the image type)."""
    user = str(task["config"].get("sshuser") or "root")
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", user):
        raise GiveUp(f"unusable login name {user!r}")
    return user


def create(task):
    """Make the node, or adopt it when it is there."""
    fields = provider_fields(task)
    node_id = machines.check_node_id(task.get("nodeId"))
    state = fields["state_dir"]
    root = base_root.ensure(fields)
    with machines.node_lock(state, node_id):
        details = {"cluster": str(task.get("clusterId") or ""), "hostname": hostname_of(task),
                   "user": login_of(task),
                   "limits": {"memory": int(fields["memory_mb"]) << 20,
                              "pids": int(fields["processes"])}}
        with machines.state_lock(state):
            network.remember(state, fields["bridge"])
            network.ensure(fields["bridge"], fields["subnet"], state)
            node = machines.register(state, node_id, fields, root, details)
            machines.set_network(state, node.bridge)
        machines.prepare(node)
        machines.adopt_or_boot(node, boot)
        return {"result": describe(node), "message": f"{node.hostname} at {node.address}"}


def describe(node):
    """What automators need to reach the node, with its host key known before first contact."""
    return {
        "providerid": node.name,
        "ssh-auth": {"user": node.user, "identityfile": node.path("keys/client")},
        "ssh_host_keys": {"ed25519": node.host_key()},
    }


def confirm(task):
    """Wait until the node lets its key holder in, and say where it is."""
    fields = provider_fields(task)
    node_id = machines.check_node_id(task.get("nodeId"))
    with machines.node_lock(fields["state_dir"], node_id):
        node = machines.Machine(fields["state_dir"], node_id)
        if not node.known():
            raise Failure(f"node {node_id} does not exist")
        if not node.running():
            raise Failure(f"node {node_id} is not running")
    name = log_in(node)
    log(f"{node.hostname} answers as {name} at {node.address}")
    return {
        "result": describe(node),
        "hostname": node.hostname,
        "ipaddresses": {"access_v4": node.address, "bind_v4": node.address},
    }


def log_in(node):
    """Log in with the node's own key, its host key pinned; the name it gives itself."""
    deadline = time.monotonic() + CONFIRM_SECONDS
    write_file("known_hosts", f"{node.node_id} ssh-ed25519 {node.host_key()}\n", 0o600)
    argv = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
            "-o", "UserKnownHostsFile=known_hosts", "-o", "GlobalKnownHostsFile=/dev/null",
            "-o", f"HostKeyAlias={node.node_id}", "-o", "IdentitiesOnly=yes",
            "-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "ConnectTimeout=5",
            "-o", "LogLevel=ERROR", "-i", node.path("keys/client"),
            f"{node.user}@{node.address}", "uname -n"]
    while True:
        wait_for_port(node, deadline)
        code, out = run(argv, check=False)
        if code == 0:
            return out.strip().splitlines()[-1]
        if "REMOTE HOST IDENTIFICATION HAS CHANGED" in out or "verification failed" in out:
            raise Failure(f"{node.address} answers with a host key that is not the node's")
        if time.monotonic() > deadline:
            raise Failure(f"no login at {node.address} after {CONFIRM_SECONDS} s: {out.strip()}")
        time.sleep(0.1)


def wait_for_port(node, deadline):
    """Wait until something listens on the node's SSH port."""
    while True:
        try:
            with socket.create_connection((node.address, 22), timeout=2):
                return
        except OSError as err:
            if time.monotonic() > deadline:
                raise Failure(f"no answer from {node.address} port 22: {err}") from None
            time.sleep(0.02)


def delete(task):
    """Remove the node and all it has; fine when there is nothing."""
    fields = provider_fields(task)
    node_id = machines.check_node_id(task.get("nodeId"))
    state = fields["state_dir"]
    with machines.node_lock(state, node_id):
        node = machines.Machine(state, node_id)
        there = os.path.isdir(node.dir)
        bridge = node.record.get("bridge", fields["bridge"])
        node.remove()
        with machines.state_lock(state):
            machines.set_network(state, bridge)
    log(f"removed node {node_id}" if there else f"node {node_id} is not there")
    return {"message": "removed" if there else "was not there"}


def list_nodes(options):
    """One JSON line per node."""
    for node in machines.all_machines(checked_path("--state-dir", options.state_dir)):
        pid = node.init_pid()
        print(json.dumps({"nodeId": node.node_id, "name": node.record.get("name"),
                          "hostname": node.record.get("hostname"),
                          "address": node.record.get("address"), "pid": pid,
                          "alive": node.running(), "created": node.record.get("created")}))


def make_root(options):
    """Make the base root now, or find it made."""
    fields = dict(DEFAULTS, mirror=options.mirror or "")
    fields["state_dir"] = checked_path("--state-dir", options.state_dir)
    if options.root_dir:
        fields["root_dir"] = checked_path("--root-dir", options.root_dir)
    made = base_root.is_made(base_root.path_of(fields))
    path = base_root.ensure(fields)
    if made:
        log(f"base root is ready in {path}")


def destroy_all(options):
    """Remove every node of a state directory and all they had on this host."""
    state = checked_path("--state-dir", options.state_dir)
    bridges = network.remembered(state) | ({options.bridge} if options.bridge else set())
    count = 0
    for node_id in node_ids(state):
        try:
            with machines.node_lock(state, node_id, wait=30):
                machines.Machine(state, node_id).remove()
        except Failure as err:
            log(f"warning: {err}; removing it anyway")
            machines.Machine(state, node_id).remove()
        count += 1
    stray = [pid for pid, node, _ in kernel.processes_of_nodes(machines.nodes_dir(state)) if node]
    kernel.kill_and_wait(stray, 10)
    for bridge in sorted(bridges or {DEFAULTS["bridge"]}):
        destroy_bridge(state, bridge)
    machines.empty_trash(state)
    for name in ("trash", "nodes", "locks"):
        if os.path.isdir(os.path.join(state, name)):
            remove_tree(os.path.join(state, name))
    if options.root:
        remove_roots(state)
    log(f"removed {count} node{'' if count == 1 else 's'}, bridge and firewall rules of {state}")


def destroy_bridge(state, bridge):
    """Remove a bridge of a state directory with all that hangs on it, known or not."""
    owner = network.bridge_alias(bridge)
    if owner not in (None, "", network.alias_of(state)):
        log(f"the bridge {bridge} belongs to '{owner}': left alone")
        return
    for name in network.names_on(bridge):
        inode = network.netns_inode(name)
        found = kernel.processes_of_nodes(machines.nodes_dir(state), [inode] if inode else [])
        kernel.kill_and_wait([pid for pid, _, _ in found], 10)
        network.detach(name)
        limits.remove(name)
    network.remove(bridge)
    network.forget(state, bridge)


def node_ids(state):
    """Nodes with a folder, and nodes that only a lock tells of."""
    found = {node.node_id for node in machines.all_machines(state)}
    locks = os.path.join(state, "locks")
    if os.path.isdir(locks):
        found.update(n[:-5] for n in os.listdir(locks) if n.endswith(".lock"))
    return sorted(found)


def remove_roots(state):
    """Remove the base roots too."""
    names = {re.sub(r"\.(part|lock|log)$", "", n) for n in os.listdir(state) if n.startswith("root.")}
    for name in sorted(names):
        base_root.remove(os.path.join(state, name))


def report(answer):
    """Hand the result over on descriptor 3, or show it when run by hand."""
    text = json.dumps(answer) + "\n"
    if not RESULT_IS_OPEN:
        print(text, end="")
        return
    data = text.encode()
    while data:
        data = data[os.write(3, data):]


def plugin(action):
    """Run one action as the provisioner's child."""
    try:
        task = json.load(sys.stdin)
        if not isinstance(task, dict) or not isinstance(task.get("config"), dict):
            raise GiveUp("the task has no config")
    except (ValueError, RecursionError) as err:
        raise GiveUp(f"the task is not JSON: {err}") from None
    report({"create": create, "confirm": confirm, "delete": delete}[action](task))


def parse(argv):
    """The command line."""
    parser = argparse.ArgumentParser(prog="sandbox.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("create", "confirm", "delete"):
        commands.add_parser(name, help="plugin action: task JSON on stdin")
    for name, action, text in (("make-root", make_root, "make the base root"),
                               ("list", list_nodes, "show the nodes as JSON lines"),
                               ("destroy-all", destroy_all, "remove all nodes and their network")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state-dir", required=True)
        command.set_defaults(run=action)
        if name == "make-root":
            command.add_argument("--root-dir", help="keep it in this folder instead of the state directory")
            command.add_argument("--mirror", help="package mirror instead of the host's")
        if name == "destroy-all":
            command.add_argument("--bridge", help="default: the one the nodes used")
            command.add_argument("--root", action="store_true", help="remove the base root too")
    return parser.parse_args(argv)


def main():
    """Dispatch; turn failures into a line on the log and an exit code."""
    options = parse(sys.argv[1:])
    if os.geteuid() != 0:
        die("must run as root: it makes namespaces and mounts", GIVE_UP)
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    try:
        if options.command in ("create", "confirm", "delete"):
            plugin(options.command)
        else:
            options.run(options)
    except GiveUp as err:
        die(str(err), GIVE_UP)
    except (Failure, OSError, subprocess.SubprocessError) as err:
        die(str(err))


if __name__ == "__main__":
    main()
