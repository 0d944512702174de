# SPDX-License-Identifier: Apache-2.0
"""The nodes' network on this host: bridge, address translation, a namespace and link per node.

Everything can be told apart by owner: the bridge carries the state directory in its alias,
firewall rules carry the bridge in a comment, a node's link and namespace share one name.
"""

import ipaddress
import json
import os
import re
import shlex

from common import Failure, GiveUp, log, read_file, run, tool, write_file

RUN_NETNS = "/run/netns"
NAME_PATTERN = r"-[0-9a-f]{8}"


def alias_of(state_dir):
    """What the bridge of a state directory is marked with."""
    return f"loom {state_dir}"[-250:]


def bridge_alias(bridge):
    """The mark of a bridge; None when there is no such link."""
    text = read_file(f"/sys/class/net/{bridge}/ifalias")
    return None if text is None else text.strip()


def name_prefix(bridge):
    """The start of the names of a bridge's nodes (a link's name has at most 15 characters)."""
    return bridge[:6]


def netns_path(name):
    """The file of a named network namespace."""
    return os.path.join(RUN_NETNS, name)


def netns_inode(name):
    """The inode number that identifies a namespace; None when it does not exist."""
    try:
        return os.stat(netns_path(name)).st_ino
    except OSError:
        return None


def mac_of(address):
    """A link address that follows from the IP address, so neighbours' caches stay right."""
    packed = ipaddress.IPv4Address(address).packed
    return "02:6c:" + ":".join(f"{byte:02x}" for byte in packed)


def gateway_of(subnet):
    """The bridge's own address."""
    return str(ipaddress.IPv4Network(subnet)[1])


def _rules(bridge, subnet):
    tag = ["-m", "comment", "--comment", f"loom-{bridge}"]
    return [
        ("nat", "POSTROUTING", ["-s", subnet, "!", "-o", bridge, *tag, "-j", "MASQUERADE"]),
        ("filter", "FORWARD", ["-i", bridge, *tag, "-j", "ACCEPT"]),
        ("filter", "FORWARD", ["-o", bridge, *tag, "-j", "ACCEPT"]),
    ]


def ensure(bridge, subnet, state_dir):
    """Make the bridge and the firewall rules if they are missing. Call under the state's lock."""
    net = ipaddress.IPv4Network(subnet)
    alias = bridge_alias(bridge)
    if alias not in (None, "", alias_of(state_dir)):
        raise GiveUp(f"the bridge {bridge} belongs to another state directory ({alias}); "
                     "give this provider a bridge of its own")
    links = json.loads(run(["ip", "-j", "-4", "address", "show"])[1] or "[]")
    ready = False
    for link in links:
        for entry in link.get("addr_info", []):
            other = ipaddress.IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False)
            if link["ifname"] == bridge:
                ready |= entry["local"] == gateway_of(subnet)
            elif net.overlaps(other):
                raise GiveUp(f"the subnet {subnet} is in use on this host by {link['ifname']} "
                             f"({other}); give this provider another subnet")
    if not ready or alias == "":
        _make_bridge(bridge, net, state_dir)
    if (read_file("/proc/sys/net/ipv4/ip_forward") or "").strip() != "1":
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
            file.write("1\n")
        log("enabled IPv4 forwarding on this host")
    for table, chain, rule in _rules(bridge, subnet):
        if run(["iptables", "-w", "10", "-t", table, "-C", chain, *rule], check=False)[0] != 0:
            run(["iptables", "-w", "10", "-t", table, "-I", chain, *rule])


def _make_bridge(bridge, net, state_dir):
    gateway = gateway_of(str(net))
    if not os.path.exists(f"/sys/class/net/{bridge}"):
        run(["ip", "link", "add", bridge, "type", "bridge"])
    elif not os.path.exists(f"/sys/class/net/{bridge}/bridge"):
        raise GiveUp(f"{bridge} exists on this host and is not a bridge")
    run(["ip", "link", "set", "dev", bridge, "alias", alias_of(state_dir)])
    run(["ip", "link", "set", "dev", bridge, "address", mac_of(gateway)])
    run(["ip", "address", "replace", f"{gateway}/{net.prefixlen}", "dev", bridge])
    run(["ip", "link", "set", "dev", bridge, "up"])


def _uplink_mtu():
    """The largest packet that leaves this host whole; nodes must not send larger ones."""
    routes = json.loads(run(["ip", "-j", "-4", "route", "show", "default"], check=False)[1] or "[]")
    sizes = [int(read_file(f"/sys/class/net/{route['dev']}/mtu", "1500"))
             for route in routes if "dev" in route]
    return str(min([1500, *sizes]))


def attach(name, bridge, subnet, address):
    """Make a node's namespace and its link to the bridge, from nothing."""
    net = ipaddress.IPv4Network(subnet)
    gateway = gateway_of(subnet)
    mtu = _uplink_mtu()
    detach(name)
    run(["ip", "netns", "add", name])
    run(["ip", "link", "add", name, "mtu", mtu, "type", "veth", "peer", "name", "eth0",
         "mtu", mtu, "address", mac_of(address), "netns", name])
    run(["ip", "-n", name, "-batch", "-"], stdin=(
        "link set lo up\n"
        f"address add {address}/{net.prefixlen} dev eth0\n"
        "link set eth0 up\n"
        f"route add default via {gateway}\n"))
    run(["ip", "link", "set", "dev", name, "master", bridge, "up"])


def attached(name, bridge):
    """True when a node's namespace and link are there and in use."""
    return (netns_inode(name) is not None
            and os.path.exists(f"/sys/class/net/{bridge}/brif/{name}"))


def detach(name):
    """Remove a node's link and namespace; fine when they are not there."""
    if os.path.exists(f"/sys/class/net/{name}"):
        code, out = run(["ip", "link", "delete", name], check=False)
        if code != 0 and os.path.exists(f"/sys/class/net/{name}"):
            raise Failure(f"cannot remove the link {name}: {out.strip()}")
    if os.path.lexists(netns_path(name)):
        code, out = run(["ip", "netns", "delete", name], check=False)
        if code != 0 and os.path.lexists(netns_path(name)):
            run(["umount", "-l", netns_path(name)], check=False)
            os.unlink(netns_path(name))


def names_on(bridge):
    """Names of nodes' links and namespaces that belong to a bridge, known or not."""
    found = set()
    pattern = re.compile(re.escape(name_prefix(bridge)) + NAME_PATTERN)
    try:
        found.update(n for n in os.listdir(f"/sys/class/net/{bridge}/brif") if pattern.fullmatch(n))
    except OSError:
        pass
    if name_prefix(bridge) == bridge and os.path.isdir(RUN_NETNS):
        found.update(n for n in os.listdir(RUN_NETNS) if pattern.fullmatch(n))
    return found


def remove(bridge):
    """Remove the bridge and its firewall rules, and nothing else; fine when they are not there."""
    if tool("iptables"):
        for table in ("nat", "filter"):
            _, out = run(["iptables", "-w", "10", "-t", table, "-S"], check=False)
            for line in out.splitlines():
                words = shlex.split(line)
                if words[:1] == ["-A"] and f"loom-{bridge}" in words:
                    run(["iptables", "-w", "10", "-t", table, "-D", *words[1:]], check=False)
    if os.path.exists(f"/sys/class/net/{bridge}/bridge"):
        run(["ip", "link", "delete", bridge], check=False)


def remember(state_dir, bridge, subnet):
    """Note which network a state directory uses, for those who clean up without its provider."""
    path = os.path.join(state_dir, "network.json")
    text = json.dumps({"bridge": bridge, "subnet": subnet}) + "\n"
    if read_file(path) != text:
        write_file(path, text, durable=True)


def remembered(state_dir):
    """The network a state directory uses, or an empty dict."""
    try:
        return json.loads(read_file(os.path.join(state_dir, "network.json")) or "{}")
    except ValueError:
        return {}
