# SPDX-License-Identifier: Apache-2.0
"""One node's durable state: its record, keys and files, under <state_dir>/nodes/<nodeId>/.

    machine.json   name, address, hostname, ...: written first, so nothing made later is unknown
    keys/          host key pair and the client key pair that logs in; made before the first boot
    upper/         the node's own files, over the base root
    work/ root/    what the overlay mount needs
    console.log    what the boot and sshd have to say
    init.pid       a hint; the kernel's view decides (see kernel.py)
"""

import hashlib
import ipaddress
import json
import os
import re
import shutil
import time
import uuid

import hostapt
import kernel
import limits
import network

from common import Failure, GiveUp, locked, log, read_file, remove_tree, run, write_file

LOCK_WAIT = 120


def nodes_dir(state_dir):
    """Folder of all nodes of a state directory."""
    return os.path.join(state_dir, "nodes")


def node_lock(state_dir, node_id, wait=LOCK_WAIT):
    """The lock under which a node is made, changed or removed."""
    return locked(os.path.join(state_dir, "locks", f"{node_id}.lock"), wait,
                  f"node {node_id}", remove=True)


def state_lock(state_dir, wait=LOCK_WAIT):
    """The lock for addresses, names, bridge and firewall. Taken after a node's lock."""
    return locked(os.path.join(state_dir, "lock"), wait, "the sandbox's state")


def check_node_id(node_id):
    """A node id becomes a file name; refuse one that could be anything else."""
    if not isinstance(node_id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", node_id):
        raise GiveUp(f"unusable node id {node_id!r}")
    return node_id


class Machine:
    """A node's record and the places of its files."""

    def __init__(self, state_dir, node_id):
        self.state_dir = state_dir
        self.node_id = node_id
        self.dir = os.path.join(nodes_dir(state_dir), node_id)
        try:
            self.record = json.loads(read_file(self.path("machine.json")) or "{}")
        except ValueError:
            self.record = {}

    def __getattr__(self, name):
        try:
            return self.record[name]
        except KeyError:
            raise AttributeError(name) from None

    def path(self, *parts):
        """A path in the node's folder."""
        return os.path.join(self.dir, *parts)

    def known(self):
        """True when the node has a record."""
        return bool(self.record)

    def init_pid(self):
        """The node's living first process, or 0."""
        hint = (read_file(self.path("init.pid")) or "").strip()
        nodes = nodes_dir(self.state_dir)
        if hint.isdigit() and kernel.init_is(int(hint), nodes, self.node_id):
            return int(hint)
        for pid, node, is_init in kernel.processes_of_nodes(nodes):
            if node == self.node_id and is_init:
                return pid
        return 0

    def running(self):
        """True when the node's first process lives and its link is in place."""
        return self.known() and network.attached(self.name, self.bridge) and self.init_pid() > 0

    def host_key(self):
        """The node's public host key (base64)."""
        return (read_file(self.path("keys/host.pub")) or "- -").split()[1]

    def pid_list(self):
        """All living processes of the node, half booted ones too."""
        inode = network.netns_inode(self.name) if self.known() else None
        found = kernel.processes_of_nodes(nodes_dir(self.state_dir), [inode] if inode else [])
        return [pid for pid, node, _ in found if node in (self.node_id, None)]

    def stop(self):
        """End all processes of the node and take its network away."""
        left = kernel.kill_and_wait(self.pid_list(), 10)
        if left:
            raise Failure(f"processes of node {self.node_id} do not end: {left}")
        if self.known():
            network.detach(self.name)
            limits.remove(self.name)

    def remove(self):
        """Stop the node and remove its files. The folder goes in one step, so that a half
        removed one is never taken for a node."""
        self.stop()
        if not os.path.isdir(self.dir):
            return
        trash = os.path.join(self.state_dir, "trash")
        os.makedirs(trash, mode=0o700, exist_ok=True)
        away = os.path.join(trash, f"{self.node_id}.{uuid.uuid4().hex[:8]}")
        os.rename(self.dir, away)
        remove_tree(away)


def all_machines(state_dir):
    """Every node of a state directory, by name order."""
    try:
        names = sorted(os.listdir(nodes_dir(state_dir)))
    except FileNotFoundError:
        return []
    return [Machine(state_dir, name) for name in names]


def empty_trash(state_dir):
    """Remove what an interrupted removal left."""
    trash = os.path.join(state_dir, "trash")
    for name in os.listdir(trash) if os.path.isdir(trash) else []:
        remove_tree(os.path.join(trash, name))


def _free_address(net, taken):
    for number in range(2, net.num_addresses - 1):
        if str(net[number]) not in taken:
            return str(net[number])
    raise Failure(f"no free address in {net}")


def _free_name(bridge, node_id, taken):
    for salt in range(1000):
        text = f"{bridge}/{node_id}/{salt}"
        name = f"{network.name_prefix(bridge)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        if name not in taken:
            return name
    raise Failure("no free name for the node's link")


def set_network(state_dir, bridge):
    """Bring the rules of a bridge up to date with its nodes; without any it goes, and all that was
    made for it. Call under the state's lock."""
    there = [m.record for m in all_machines(state_dir) if m.known() and m.bridge == bridge]
    if there:
        network.set_rules(bridge, there[0]["subnet"],
                          [{"cluster": r.get("cluster", ""), "address": r["address"]} for r in there])
    elif network.bridge_alias(bridge) in (None, "", network.alias_of(state_dir)):
        network.remove(bridge)
        network.forget(state_dir, bridge)


def register(state_dir, node_id, fields, root, details):
    """The node's record; a new one with an address and a name of its own if it has none.

    details: the record's `cluster`, `hostname`, `user` and `limits`. The base root is part of it: a
    node keeps the one it began with. Call under the node's lock and the state's lock.
    """
    machine = Machine(state_dir, node_id)
    if machine.known():
        return machine
    others = [m for m in all_machines(state_dir) if m.known()]
    net = ipaddress.IPv4Network(fields["subnet"])
    record = {
        "nodeId": node_id,
        "name": _free_name(fields["bridge"], node_id, {m.name for m in others}),
        "address": _free_address(net, {m.address for m in others}),
        "bridge": fields["bridge"],
        "subnet": fields["subnet"],
        "root": root,
        **details,
        "created": int(time.time() * 1000),
    }
    os.makedirs(machine.dir, mode=0o700, exist_ok=True)
    write_file(machine.path("machine.json"), json.dumps(record) + "\n", durable=True)
    return Machine(state_dir, node_id)


def prepare(machine):
    """Keys and files of a node, each made whole or not at all."""
    if not os.path.isdir(machine.path("keys")):
        temp = machine.path("keys.part")
        remove_tree(temp)
        os.makedirs(temp, mode=0o700)
        for name in ("host", "client"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{name}@{machine.hostname}",
                 "-f", os.path.join(temp, name)])
        os.rename(temp, machine.path("keys"))
    if not os.path.isdir(machine.path("upper")):
        temp = machine.path("upper.part")
        remove_tree(temp)
        os.makedirs(temp, mode=0o755)
        _files(machine, temp)
        os.rename(temp, machine.path("upper"))
    for name in ("work", "root"):
        os.makedirs(machine.path(name), mode=0o755, exist_ok=True)


def _files(machine, upper):
    def put(name, text, mode=0o644):
        full = os.path.join(upper, name)
        os.makedirs(os.path.dirname(full), mode=0o755, exist_ok=True)
        write_file(full, text, mode)

    label = machine.hostname.split(".")[0]
    names = machine.hostname if label == machine.hostname else f"{machine.hostname} {label}"
    put("etc/hostname", label + "\n")
    put("etc/hosts", f"127.0.0.1\tlocalhost\n::1\tlocalhost\n{machine.address}\t{names}\n")
    put("etc/resolv.conf", hostapt.resolver())
    put("etc/machine-id", hashlib.sha256(machine.node_id.encode()).hexdigest()[:32] + "\n", 0o444)
    put("etc/ssh/ssh_host_ed25519_key", read_file(machine.path("keys/host")), 0o600)
    put("etc/ssh/ssh_host_ed25519_key.pub", read_file(machine.path("keys/host.pub")))
    home = "root"
    if machine.user != "root":
        home = f"home/{machine.user}"
        _account(machine.user, machine.root, put)
        put(f"etc/sudoers.d/{machine.user}", f"{machine.user} ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    put(f"{home}/.ssh/authorized_keys", read_file(machine.path("keys/client.pub")), 0o600)
    os.chmod(os.path.join(upper, home, ".ssh"), 0o700)
    if home == "root":
        os.chmod(os.path.join(upper, home), 0o700)
    else:
        for path in (home, f"{home}/.ssh", f"{home}/.ssh/authorized_keys"):
            shutil.chown(os.path.join(upper, path), 1000, 1000)


def _account(user, root, put):
    """A login account with number 1000 beside those of the base root."""
    for name, line, mode in (
            ("etc/passwd", f"{user}:x:1000:1000::/home/{user}:/bin/bash", 0o644),
            ("etc/group", f"{user}:x:1000:", 0o644),
            ("etc/shadow", f"{user}:*:19000:0:99999:7:::", 0o640)):
        put(name, (read_file(os.path.join(root, name)) or "") + line + "\n", mode)


def adopt_or_boot(machine, boot):
    """Have the node running: leave a running one alone, start a dead one from its files."""
    if machine.running():
        log(f"node {machine.node_id} is running already: adopted")
        return
    again = os.path.exists(machine.path("init.pid"))
    machine.stop()
    network.attach(machine.name, machine.bridge, machine.subnet, machine.address)
    pid = boot(machine)
    log(f"{'restarted' if again else 'started'} {machine.hostname} at {machine.address} "
        f"(namespace {machine.name}, process {pid})")
