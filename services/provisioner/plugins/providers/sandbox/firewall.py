# SPDX-License-Identifier: Apache-2.0
"""Who a node may talk to: its own cluster and the outside, not this host, not other nodes.

The ports of the bridge are isolated from each other, so what one node sends to another is routed
by the host and passes the same rules whether or not the kernel shows bridged frames to iptables.
The rules are in chains of the bridge's own (LOOM-BRIDGE and what begins with LOOM-BRIDGE-), each
replaced as a whole; the host's own chains get one jump each, marked with the bridge in a comment.
No policy and no rule of anybody else is changed. The accepting rules are what lets the nodes work
where the policy for what is forwarded is DROP, as Docker sets it.
"""

import hashlib
import ipaddress
import re
import shlex
import socket
import urllib.parse

import hostapt

from common import run, tool

TABLES = ("mangle", "nat", "filter")
LINK_LOCAL = "169.254.0.0/16"  # where clouds offer the host's own credentials
REFUSE = ["-j", "REJECT", "--reject-with", "icmp-admin-prohibited"]
ANSWERS = ["-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED"]


def chain(bridge, part=""):
    """The name of one of a bridge's own chains."""
    return f"LOOM-{bridge}{part and '-'}{part}"


def _jumps(bridge, subnet):
    """What the host's own chains hold for a bridge: (table, chain, rule)."""
    tag = ["-m", "comment", "--comment", f"loom-{bridge}"]
    return [
        ("nat", "POSTROUTING", ["-s", subnet, "!", "-o", bridge, *tag, "-j", "MASQUERADE"]),
        # Before the filter table, where another bridge's accepting rule may come first.
        ("mangle", "FORWARD", ["-o", bridge, *tag, "-j", chain(bridge)]),
        ("filter", "FORWARD", ["-i", bridge, *tag, "-j", chain(bridge)]),
        ("filter", "FORWARD", ["!", "-i", bridge, "-o", bridge, *tag, "-j", "ACCEPT"]),
        ("filter", "INPUT", ["-i", bridge, *tag, "-j", chain(bridge, "in")]),
    ]


def _host_services(local):
    """What nodes need of this host itself: (address, protocol, port) of its resolver and proxies."""
    found = []
    for server in re.findall(r"^\s*nameserver\s+(\S+)", hostapt.resolver(), re.M):
        if server in local:
            found += [(server, "udp", 53), (server, "tcp", 53)]
    for name, value in hostapt.settings():
        if name.lower().endswith("::proxy") and value != "DIRECT":
            url = urllib.parse.urlsplit(value)
            try:
                address = socket.gethostbyname(url.hostname or "")
                port = url.port or 80
            except (OSError, ValueError):
                continue
            if address in local and not ipaddress.IPv4Address(address).is_loopback:
                found.append((address, "tcp", port))
    return sorted(set(found))


def _clusters(machines):
    """Addresses by the cluster that they belong to."""
    found = {}
    for one in machines:
        found.setdefault(one["cluster"], []).append(one["address"])
    return dict(sorted(found.items()))


def _cluster_chain(bridge, cluster):
    return chain(bridge, hashlib.sha256(cluster.encode()).hexdigest()[:7])


def _own_chains(bridge, machines, local):
    """{(table, chain): rules} of everything that is the bridge's own."""
    inside = [[*ANSWERS, "-j", "ACCEPT"], ["-p", "icmp", "-j", "RETURN"]]
    inside += [["-d", address, "-p", protocol, "--dport", str(port), "-j", "RETURN"]
               for address, protocol, port in _host_services(local)]
    forward = [["-d", LINK_LOCAL, *REFUSE], ["!", "-o", bridge, "-j", "ACCEPT"]]
    chains = {
        ("mangle", chain(bridge)): [[*ANSWERS, "-j", "RETURN"], ["!", "-i", bridge, "-j", "DROP"]],
        ("filter", chain(bridge, "in")): [*inside, REFUSE],
        ("filter", chain(bridge)): forward,
    }
    for cluster, addresses in _clusters(machines).items():
        name = _cluster_chain(bridge, cluster)
        forward += [["-s", address, "-g", name] for address in addresses]
        chains[("filter", name)] = [*(["-d", address, "-j", "ACCEPT"] for address in addresses), REFUSE]
    forward.append(REFUSE)
    return chains


def _iptables(table, *words, check=False):
    return run(["iptables", "-w", "10", "-t", table, *words], check=check)


def _present(bridge):
    """What there is of a bridge: its own chains, and the rules of other chains that speak of it."""
    chains, rules = [], []
    for table in TABLES:
        for line in _iptables(table, "-S")[1].splitlines():
            words = shlex.split(line)
            own = len(words) > 1 and (words[1] == chain(bridge) or words[1].startswith(chain(bridge) + "-"))
            if words[:1] == ["-N"] and own:
                chains.append((table, words[1]))
            elif words[:1] == ["-A"] and not own and f"loom-{bridge}" in words:
                rules.append((table, words[1:]))
    return chains, rules


def apply(bridge, subnet, machines, local):
    """Bring the rules into the state that these machines ask for. Call under the state's lock.

    machines: the records of all nodes on the bridge; local: this host's own addresses.
    """
    wanted = _own_chains(bridge, machines, local)
    stale = [key for key in _present(bridge)[0] if key not in wanted]
    text = []
    for table in ("mangle", "filter"):
        text.append(f"*{table}")
        text += [f":{name} - [0:0]" for at, name in [*wanted, *stale] if at == table]
        text += [f"-A {name} {' '.join(rule)}"
                 for (at, name), rules in wanted.items() if at == table for rule in rules]
        text += [f"-X {name}" for at, name in stale if at == table]
        text.append("COMMIT")
    run(["iptables-restore", "-w", "10", "--noflush"], stdin="\n".join(text) + "\n")
    for table, name, rule in _jumps(bridge, subnet):
        if _iptables(table, "-C", name, *rule)[0] != 0:
            _iptables(table, "-I", name, *rule, check=True)


def remove(bridge):
    """Take away all that apply() made, and nothing else; fine when it is not there."""
    if not tool("iptables"):
        return
    chains, rules = _present(bridge)
    for table, words in rules:
        _iptables(table, "-D", *words)
    for action in ("-F", "-X"):
        for table, name in chains:
            _iptables(table, action, name)
