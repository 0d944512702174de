# SPDX-License-Identifier: Apache-2.0
"""The nodes' network on this host: bridge, address translation, a namespace and link per node.

Everything can be told apart by owner: the bridge carries the state directory in its alias,
firewall rules carry the bridge in a comment, a node's link and namespace share one name. Ports of
the bridge are isolated from each other: see firewall.py.
"""

import ipaddress
import json
import os
import re

import firewall

from common import Failure, GiveUp, log, read_file, run, write_file

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


def _links():
    return json.loads(run(["ip", "-j", "-4", "address", "show"])[1] or "[]")


def set_rules(bridge, subnet, machines):
    """Bring the firewall's rules up to date with a bridge's nodes. Call under the state's lock."""
    local = {entry["local"] for link in _links() for entry in link.get("addr_info", [])}
    firewall.apply(bridge, subnet, machines, local)


def _setting(path, value):
    """Write one of the kernel's settings; fine where this kernel has no such thing."""
    path = os.path.join("/proc/sys/net", path)
    if os.path.exists(path) and read_file(path).strip() != value:
        with open(path, "w", encoding="ascii") as file:
            file.write(value + "\n")
        return True
    return False


def ensure(bridge, subnet, state_dir):
    """Make the bridge if it is missing. Call under the state's lock."""
    net = ipaddress.IPv4Network(subnet)
    alias = bridge_alias(bridge)
    if alias not in (None, "", alias_of(state_dir)):
        raise GiveUp(f"the bridge {bridge} belongs to another state directory ({alias}); "
                     "give this provider a bridge of its own")
    ready = False
    for link in _links():
        for entry in link.get("addr_info", []):
            other = ipaddress.IPv4Network(f"{entry['local']}/{entry['prefixlen']}", strict=False)
            if link["ifname"] == bridge:
                ready |= entry["local"] == gateway_of(subnet)
            elif net.overlaps(other):
                raise GiveUp(f"the subnet {subnet} is in use on this host by {link['ifname']} "
                             f"({other}); give this provider another subnet")
    if not ready or alias == "":
        _make_bridge(bridge, net, state_dir)
    if _setting("ipv4/ip_forward", "1"):
        log("enabled IPv4 forwarding on this host")
    # Isolated nodes ask for each other's link address and get the host's: it routes between them.
    _setting(f"ipv4/conf/{bridge}/proxy_arp_pvlan", "1")
    # Nodes have no IPv6 address, and no rule of ours looks at what a link-local one could reach.
    _setting(f"ipv6/conf/{bridge}/disable_ipv6", "1")


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
    run(["ip", "link", "set", "dev", name, "master", bridge])
    run(["bridge", "link", "set", "dev", name, "isolated", "on"])
    run(["ip", "link", "set", "dev", name, "up"])


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
    firewall.remove(bridge)
    if os.path.exists(f"/sys/class/net/{bridge}/bridge"):
        run(["ip", "link", "delete", bridge], check=False)


def _remember(state_dir, bridges):
    path = os.path.join(state_dir, "network.json")
    text = json.dumps({"bridges": sorted(bridges)}) + "\n"
    if read_file(path) != text:
        write_file(path, text, durable=True)


def remember(state_dir, bridge):
    """Note that a state directory uses a bridge, for those who clean up without its provider."""
    _remember(state_dir, remembered(state_dir) | {bridge})


def forget(state_dir, bridge):
    """The state directory does not use that bridge any more."""
    noted = remembered(state_dir)
    if bridge in noted:
        _remember(state_dir, noted - {bridge})


def remembered(state_dir):
    """The bridges a state directory uses (earlier versions noted one)."""
    try:
        noted = json.loads(read_file(os.path.join(state_dir, "network.json")) or "{}")
    except ValueError:
        noted = {}
    return set(noted.get("bridges", [])) | {noted[name] for name in ("bridge",) if name in noted}
