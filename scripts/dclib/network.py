# SPDX-License-Identifier: Apache-2.0
"""Three network namespaces on a private bridge, and everything that can go wrong with links.

The bridge has the datacenter's prefix as its name, a host's namespace and its port on the bridge
are called PREFIX-HOST, and PREFIX-out names the namespace that scripts/dc itself runs in. A host
that is cut off keeps its carrier: its port on the bridge stops forwarding, as a switch's would.
There is no route to anywhere else, so that a look-up in the DNS fails at once instead of hanging.

Where bridged frames pass the host's firewall (br_netfilter, which Docker turns on, with a policy of
DROP for what is forwarded), one rule lets those of this bridge through. It goes with the bridge.
"""

import os
import subprocess

from stacklib import process

from . import DcError
from .state import HOSTS

FORWARDING, DISABLED = "3", "0"


def run(argv, check=True, stdin=None):
    """Run a command; its output."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          env={"PATH": process.PATH}, check=False)
    if check and done.returncode != 0:
        raise DcError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def inside(state, host):
    """Command prefix that runs in a host's network namespace."""
    return ["nsenter", f"--net=/run/netns/{state.netns(host)}", "--"]


def mac(state, host):
    """A host's link address."""
    return "02:64:" + ":".join(f"{int(part):02x}" for part in state.address(host).split("."))


def exists(state):
    """Whether the network is there."""
    return os.path.exists(f"/sys/class/net/{state.prefix}/bridge")


def _firewall(state, action):
    """Add (-I) or take away (-D) the rule for frames between hosts; the command's exit code."""
    rule = ["-i", state.prefix, "-o", state.prefix, "-m", "comment", "--comment", f"loom-{state.prefix}",
            "-j", "ACCEPT"]
    return subprocess.run(["iptables", "-w", "10", action, "FORWARD", *rule], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                          env={"PATH": process.PATH}).returncode


def create(state):
    """Make what is missing."""
    length = state.subnet.rpartition("/")[2]
    if not exists(state):
        run(["ip", "link", "add", state.prefix, "type", "bridge"])
    no_ipv6 = f"/proc/sys/net/ipv6/conf/{state.prefix}/disable_ipv6"
    if os.path.exists(no_ipv6):
        with open(no_ipv6, "w", encoding="ascii") as file:
            file.write("1\n")
    run(["ip", "address", "replace", f"{state.outside}/{length}", "dev", state.prefix])
    run(["ip", "link", "set", state.prefix, "up"])
    if _firewall(state, "-C") != 0 and _firewall(state, "-I") != 0:
        raise DcError("iptables cannot let the datacenter's own bridge through; is it installed, and is this root?")
    if not os.path.exists(f"/run/netns/{state.prefix}-out"):
        run(["ip", "netns", "attach", f"{state.prefix}-out", str(os.getpid())])
    for host in HOSTS:
        if not os.path.exists(f"/run/netns/{state.netns(host)}"):
            _create_host(state, host, length)


def _create_host(state, host, length):
    name = state.netns(host)
    run(["ip", "netns", "add", name])
    run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "address", mac(state, host),
         "netns", name])
    for setting in ("net/ipv6/conf/all/disable_ipv6", "net/ipv4/ip_nonlocal_bind"):
        run([*inside(state, host), "sh", "-c", f"test ! -e /proc/sys/{setting} || echo 1 >/proc/sys/{setting}"])
    run(["ip", "-n", name, "-batch", "-"], stdin="link set lo up\n"
        f"address add {state.address(host)}/{length} dev eth0\nlink set eth0 up\n")
    run(["ip", "link", "set", name, "master", state.prefix, "up"])


def apply(state, host):
    """Bring a host's link into the state that dc.json says: cut off, single links cut, losses."""
    name = state.netns(host)
    rules = ["*filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT"]
    for pair in state.cut:
        if host in pair:
            other = pair[0] if pair[1] == host else pair[1]
            rules.append(f"-A INPUT -m mac --mac-source {mac(state, other)} -j DROP")
    share = state.lossy.get(host, 0) / 100
    if share:
        for chain, link in (("INPUT", "-i"), ("OUTPUT", "-o")):
            rules.append(f"-A {chain} {link} eth0 -m statistic --mode random --probability {share} -j DROP")
    run([*inside(state, host), "iptables-restore", "-w", "5"], stdin="\n".join([*rules, "COMMIT"]) + "\n")
    forwarding = FORWARDING
    if host in state.isolated:
        forwarding = DISABLED
    if host not in state.crashed:
        run(["bridge", "link", "set", "dev", name, "state", forwarding])


def unplug(state, host):
    """The host's link is gone at once."""
    run(["ip", "link", "set", state.netns(host), "down"])


def plug_if_down(state, host):
    """Plug a host that crashed before."""
    with open(f"/sys/class/net/{state.netns(host)}/flags", encoding="ascii") as file:
        if not int(file.read(), 16) & 1:
            plug(state, host)


def plug(state, host):
    """A freshly booted host's link: its own address, nothing else."""
    length = state.subnet.rpartition("/")[2]
    run(["ip", "-n", state.netns(host), "-batch", "-"], stdin="address flush dev eth0\n"
        f"address add {state.address(host)}/{length} dev eth0\n")
    run(["ip", "link", "set", state.netns(host), "up"])


def holds_virtual_address(state, host):
    """Whether the virtual address is on this host's link."""
    out = run(["ip", "-n", state.netns(host), "-4", "-o", "address", "show", "dev", "eth0"], check=False)
    return f" {state.virtual_address}/" in out


def pids(state, host):
    """Processes whose network is the host's."""
    out = run(["ip", "netns", "pids", state.netns(host)], check=False)
    return [int(word) for word in out.split() if word.isdigit()]


def remove(state):
    """Take everything away; fine when it is not there."""
    for name in [state.netns(host) for host in HOSTS] + [f"{state.prefix}-out"]:
        if os.path.exists(f"/sys/class/net/{name}"):
            run(["ip", "link", "delete", name], check=False)
        if os.path.lexists(f"/run/netns/{name}"):
            run(["ip", "netns", "delete", name], check=False)
    while _firewall(state, "-D") == 0:
        pass
    if exists(state):
        run(["ip", "link", "delete", state.prefix], check=False)
