# SPDX-License-Identifier: Apache-2.0
"""What has to be right on a machine before it is set up.

look() asks this machine, and the others by ssh, all at the same time; judge() decides by what it found,
and asks nobody, so that everything that is wrong is told at once.
"""

import grp
import hashlib
import ipaddress
import json
import os
import pathlib
import pwd
import re
import shlex
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor

from . import DcError, certificates, keys, remote
from .doctor import finding
from .render import size

GIB = 1 << 30
MOST_SKEW = 1.0
# What services, proxies and the system take beside database and ZooKeeper; what else a disk has room for.
OTHER_MEMORY, OTHER_ROOM = GIB, 2 * GIB
# file: the package that has it
PROGRAMS = {"/usr/sbin/mariadbd": "mariadb-server", "/usr/lib/galera/libgalera_smm.so": "galera-4",
            "/usr/sbin/haproxy": "haproxy", "/usr/sbin/keepalived": "keepalived", "/usr/bin/rsync": "rsync",
            "/usr/share/java/zookeeper.jar": "libzookeeper-java", "/usr/bin/java": "openjdk-17-jre-headless",
            "/usr/bin/ssh": "openssh-client", "/usr/bin/ss": "iproute2"}
OWN_PROGRAMS = ("loom-api", "loom-scheduler", "loom-ui-gateway", "loom-provisioner")
OWN_UNITS = re.compile(r"(loom-.*|mariadb|haproxy|keepalived)\.service")
SYSTEM_DATABASES = {"mysql", "performance_schema", "sys", "test", "lost+found"}
PORTS = ("ui", "api_external", "api_internal", "api_bus", "scheduler_admin", "scheduler_bus", "zookeeper_client",
         "zookeeper_peer", "zookeeper_election", "db", "db_group", "db_ist", "db_sst", "galera_check", "sqlproxy",
         "haproxy_admin", "sqlproxy_stats", "sqlproxy_relay", "sqlproxy_relay_check")
TELL = "date +%s.%N; cat '{note}' 2>/dev/null || echo; sha256sum <'{inventory}' 2>/dev/null || echo; {has}"
HAS = "if [ -s {path} ]; then echo {kind}; fi; "


def _other(inventory, name, path, on):
    """What another machine says of itself."""
    told = {"error": "", "skew": 0.0, "datacenter": "", "inventory": "", "has": []}
    has = "".join(HAS.format(path=shlex.quote(file), kind=kind)
                  for kind, file in {**keys.optional(inventory), **certificates.marks(inventory)}.items())
    began = time.time()
    try:
        text = on(name, TELL.format(note=keys.note_of(inventory), inventory=path, has=has), timeout=60)
    except DcError as error:
        return {**told, "error": str(error)}
    ended = time.time()
    lines = [*text.splitlines(), "", "", ""]
    if not re.fullmatch(r"\d+\.\d+", lines[0]):
        return {**told, "error": f"its shell says '{lines[0][:80]}' before it is asked: take that out of root's ~/.bashrc there"}
    clock = float(lines[0])
    told["skew"] = max(0.0, began - clock, clock - ended)
    told.update(datacenter=lines[1].strip(), inventory=lines[2].partition(" ")[0],
                has=[line for line in lines[3:] if line])
    return told


def _listeners():
    """{port: [(address, who)]} of what listens and is none of the datacenter's own units."""
    found: dict[int, list[tuple[str, str]]] = {}
    for line in remote.run(["ss", "-Hltnp"]).splitlines():
        address, _, port = line.split()[3].rpartition(":")
        who = re.search(r'"([^"]+)",pid=(\d+)', line)
        if who and OWN_UNITS.fullmatch(_unit_of(who.group(2))):
            continue
        found.setdefault(int(port), []).append((address, f"{who.group(1)} ({who.group(2)})" if who else "somebody"))
    return found


def _unit_of(pid):
    """The unit that a process belongs to."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    names = [part for line in lines for part in line.split("/") if part.endswith(".service")]
    return names[-1] if names else ""


def _interface(inventory):
    """[(address, prefix)] of the inventory's interface."""
    try:
        told = json.loads(remote.run(["ip", "-json", "-4", "address", "show", "dev", inventory["datacenter"]["interface"]]))
    except (DcError, ValueError):
        return []
    return [(one["local"], one["prefixlen"]) for link in told for one in link.get("addr_info", ())]


def _databases(folder):
    """Databases of users in a data directory that was never in a group."""
    try:
        if "00000000-0000-0000-0000-000000000000" not in (pathlib.Path(folder) / "grastate.dat").read_text(encoding="utf-8"):
            return []
    except OSError:
        pass
    try:
        return sorted(entry.name for entry in os.scandir(folder)
                      if entry.is_dir() and entry.name not in SYSTEM_DATABASES and not entry.name.startswith("#"))
    except OSError:
        return []


def _free(folder):
    """Free bytes of the disk that a folder is on, or will be."""
    path = pathlib.Path(folder)
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _memory():
    text = pathlib.Path("/proc/meminfo").read_text(encoding="ascii")
    return next(int(size) for size in re.findall(r"^MemTotal:\s+(\d+)", text, re.M)) * 1024


def _name_error():
    """Why this machine's own name leads nowhere."""
    try:
        socket.getaddrinfo(socket.gethostname(), None)
        return ""
    except OSError as error:
        return f"{socket.gethostname()}: {error}"


def _name_of(find, number):
    try:
        return find(number)[0]
    except KeyError:
        return str(number)


def fault(kind, path, user):
    """(level, what is wrong, what to do) of a file of keys or secrets that is here, or None. user: the services' account."""
    status, group = os.stat(path), keys.group_of(kind)
    owner, read_by = _name_of(pwd.getpwuid, status.st_uid), _name_of(grp.getgrgid, status.st_gid)
    mode, mend = status.st_mode & 0o777, f"chown root:{group} {path}; chmod 640 {path}"
    if not (mode & 0o004 or mode & 0o040 and read_by in (group, keys.GROUP, user) or mode & 0o400 and owner == user):
        return "error", f"it is {owner}:{read_by}, mode {mode:o}, which the services of the account {user} cannot read", mend
    if not os.access(path, os.R_OK):
        return None  # it is told that this is not root
    text = keys.read(path)
    if kind == keys.SESSIONS:
        _, wrong, how = keys.look_at_session_keys(text)
        if wrong:
            return "error", wrong, how
    elif not text.strip():
        return "error", "it is empty", "put there what belongs there, or copy it from another machine"
    if mode & 0o007:
        return "warning", f"its mode is {mode:o}, so everybody on this machine can read it", mend
    return None


def _faults(inventory):
    """{setting: fault()} of the secrets that are here and not every datacenter has."""
    found = {kind: fault(kind, path, inventory["datacenter"]["user"]) for kind, path in keys.optional(inventory).items()
             if os.path.exists(path)}
    return {kind: told for kind, told in found.items() if told}


def _lacking_groups():
    known = {entry.gr_name for entry in grp.getgrall()}
    return sorted({keys.GROUP, keys.GATEWAY} - known)


def others(inventory, host, path, on=None):
    """{machine: what it says of itself} of all but this one. on: how they are asked, by their names."""
    names = [name for name in inventory["hosts"] if name != host]
    on = on or (lambda name, script, timeout: remote.on(inventory["hosts"][name]["address"], script, timeout=timeout))
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return dict(zip(names, pool.map(lambda name: _other(inventory, name, path, on), names)))


def datacenter_of(inventory):
    """The datacenter that this machine is part of, or ""."""
    note = keys.note_of(inventory)
    return note.read_text(encoding="utf-8").strip() if note.exists() else ""


def look(inventory, host, path):
    """Everything that judge() wants to know."""
    programs = {**PROGRAMS, **{f"{inventory['paths']['bin']}/{name}": name for name in OWN_PROGRAMS}}
    return {"root": os.geteuid() == 0,
            "systemd": os.path.isdir("/run/systemd/system"),
            "missing": sorted({package for file, package in programs.items() if not os.path.exists(file)}),
            "zookeeperd": os.path.exists("/etc/init.d/zookeeper") or os.path.exists("/lib/systemd/system/zookeeper.service"),
            "proxysql": os.access("/usr/bin/proxysql", os.X_OK),
            "interface": _interface(inventory), "listeners": _listeners() if shutil.which("ss") else {},
            "memory": _memory(), "room": {name: _free(inventory["paths"][name]) for name in ("db_data", "work")},
            "name_error": _name_error(), "others": others(inventory, host, path), "faults": _faults(inventory),
            "no_group": _lacking_groups(),
            "datacenter": datacenter_of(inventory),
            "databases": _databases(inventory["paths"]["db_data"]),
            "inventory": hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()}


def _system(facts, inventory, _host):
    if inventory["datacenter"]["layout"] != "machines":
        yield finding("error", "layout", f"it is '{inventory['datacenter']['layout']}', and setup is for layout = machines",
                      "of containers: deploy/docs/containers.md")
    if not facts["root"]:
        yield finding("error", "this machine", "setup is not run by root", "sudo loom-datacenter setup")
    if not facts["systemd"]:
        yield finding("error", "this machine", "systemd does not run here",
                      "setup is for machines; containers: deploy/docs/containers.md")


def _programs(facts, inventory, _host):
    if facts["no_group"]:
        yield finding("error", "accounts", f"there is no group {', '.join(facts['no_group'])}",
                      "the package loom-common makes them; without packages systemd-sysusers (deploy/README.md)")
    if facts["missing"]:
        yield finding("error", "programs", f"not installed: {', '.join(facts['missing'])}",
                      f"apt-get install {' '.join(facts['missing'])}")
    if facts["zookeeperd"]:
        yield finding("error", "programs", "zookeeperd is installed, whose server has the same folder as Loom's",
                      "apt-get remove zookeeperd; libzookeeper-java stays")
    if inventory["datacenter"]["sql_proxy"] == "proxysql" and not facts["proxysql"]:
        yield finding("error", "programs", "not installed: proxysql, which the inventory wants (sql_proxy)",
                      "its makers have the package (https://proxysql.com/documentation/installing-proxysql); "
                      "or sql_proxy = haproxy, on all machines")


def _network(facts, inventory, host):
    own, shared = inventory["hosts"][host]["address"], inventory["datacenter"]
    networks = [ipaddress.ip_interface(f"{address}/{prefix}").network for address, prefix in facts["interface"]]
    if own not in [address for address, _ in facts["interface"]]:
        yield finding("error", f"interface {shared['interface']}", f"it does not have {own}",
                      "say the right `interface` in [datacenter], or the right `address` of this host")
    elif not any(ipaddress.ip_address(shared["virtual_address"]) in network for network in networks):
        yield finding("error", "virtual address", f"{shared['virtual_address']} is not in a network of {shared['interface']}",
                      "choose a free address of the machines' own network")


def _ports(facts, inventory, host):
    own = inventory["hosts"][host]
    wanted = {int(inventory["ports"][name]): name for name in PORTS}
    if inventory["datacenter"]["sql_proxy"] == "proxysql":
        wanted[int(inventory["ports"]["sqlproxy_admin"])] = "sqlproxy_admin"
    first = int(inventory["ports"]["provisioner_admin"])
    wanted |= {first + copy: "provisioner_admin" for copy in range(int(own["provisioners"]))}
    mine = {own["address"], own["db_address"], own["zookeeper_address"], "127.0.0.1", "0.0.0.0", "*", "[::]"}
    for port, name in sorted(wanted.items()):
        for address, who in facts["listeners"].get(port, ()):
            if address in mine:
                yield finding("error", f"port {port}", f"{who} has it at {address}, and {name} wants it",
                              f"stop that program, or choose another {name} in [ports]")


def _resources(facts, inventory, _host):
    memory = size(inventory, "db_buffer_pool") + size(inventory, "zookeeper_heap") + OTHER_MEMORY
    if facts["memory"] < memory:
        yield finding("error", "memory",
                      f"{facts['memory'] / GIB:.1f} GiB; database, ZooKeeper and the rest want {memory / GIB:.1f}",
                      "more memory, or a smaller db_buffer_pool or zookeeper_heap")
    wanted = {"db_data": size(inventory, "db_log_file") + size(inventory, "db_gcache") + OTHER_ROOM, "work": OTHER_ROOM}
    for name, free in facts["room"].items():
        if free < wanted[name] and not facts["datacenter"]:
            yield finding("error", inventory["paths"][name],
                          f"its disk has {free / GIB:.1f} GiB free, {wanted[name] / GIB:.1f} are wanted",
                          "make room, or another folder in [paths]")


def _names(facts, _inventory, _host):
    if facts["name_error"]:
        yield finding("warning", "names", f"this machine does not know its own name: {facts['name_error']}",
                      "a line for it in /etc/hosts")


def _others(facts, inventory, _host):
    for name, other in facts["others"].items():
        address = inventory["hosts"][name]["address"]
        if other["error"]:
            needed = not facts["datacenter"] and not any(one["datacenter"] for one in facts["others"].values())
            yield finding("error" if needed else "warning", name, f"ssh root@{address} does not work: {other['error']}",
                          "it has to work without a question: a key in root's authorized_keys there, its host key known here")
            continue
        if other["skew"] > MOST_SKEW:
            yield finding("warning", name, f"its clock is {other['skew']:.1f} s apart from this machine's",
                          "apt-get install chrony on both")
        if other["inventory"] and other["inventory"] != facts["inventory"]:
            yield finding("warning", name, "its inventory is another one",
                          "copy the right one to all machines, and run setup on each")


def _belongs(facts, inventory, host):
    try:
        wanted = keys.wanted(inventory, host, facts)
        for kind, (level, what, mend) in facts["faults"].items():
            if not wanted.get(kind):
                yield finding(level, keys.path_of(inventory, kind), what, mend)
        if keys.source(inventory, host, facts) != "" and facts["databases"]:
            yield finding("error", inventory["paths"]["db_data"],
                          f"it holds {', '.join(facts['databases'])}; this machine gets a copy of the others' database instead",
                          "back them up, and drop them")
    except DcError as error:
        yield finding("error", "secrets", str(error), "deploy/README.md")


def _certificates(facts, inventory, host):
    for where, what, mend in certificates.faults(inventory, host, facts):
        yield finding("error", where, what, mend)


CHECKS = (_system, _programs, _network, _ports, _resources, _names, _others, _belongs, _certificates)


def judge(inventory, host, facts):
    """All findings, errors first."""
    found = [entry for check in CHECKS for entry in check(facts, inventory, host)]
    return sorted(found, key=lambda entry: entry["level"])
