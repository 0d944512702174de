# SPDX-License-Identifier: Apache-2.0
"""deploy/**/*.in and one inventory file become the configuration of one host.

A template is text with @{name} or @{name.field} for values, and lines that begin with %:

    %for NAME in LIST ... %end      LIST: hosts, peers, provisioners
    %if NAME ... %else ... %end     true when the value is neither empty, 0 nor "no"
    %include FILE                   a file of deploy/, as it is

An unknown name is an error, never an empty text.

The layout says where services find each other, and what they bind:

    machines    at least three; its machine's address, and the rest through the proxies of 127.0.0.1
    compose     the same, each machine a Compose project, whose containers share the machine's network
    containers  one host; each is alone in a container, binds all of its addresses, and is found by its
                name: db, zookeeper, api, ui, haproxy
    single      one machine without proxies; all is on 127.0.0.1
"""

import configparser
import math
import os
import pathlib
import re

from . import ROOT, DcError, certificates, settings

DEPLOY = ROOT / "deploy"
# Programs are where this one is installed: PREFIX/lib/loom/scripts/dclib.
PREFIX = ROOT.parent.parent if ROOT.parts[-2:] == ("lib", "loom") else pathlib.Path("/usr/local")
PLACE = re.compile(r"@\{([A-Za-z_][\w.]*)\}")

DEFAULTS: dict[str, dict[str, str | None]] = {
    "datacenter": {
        # With an oidc_issuer people log in there (deploy/docs/identity.md).
        "oidc_issuer": "", "oidc_client_id": "loom", "oidc_keys": "", "oidc_roles": "", "oidc_scope": "openid profile",
        "oidc_redirect": "",
        "name": "dc1", "layout": "machines", "virtual_address": None, "virtual_router_id": "61", "prefix_length": "24",
        "interface": "eth0", "haproxy_threads": "", "user": "loom", "db_buffer_pool": "1G",
        "db_log_file": "512M", "db_gcache": "1G", "db_pages_lean": "no", "db_logs_days": "0", "zookeeper_heap": "512m",
        "sst_method": "rsync", "log_level": "info", "provisioner_capacity": "10",
        "provisioner_drain": "60s", "callback_allow": "", "copies": "20", "host_values": "",
        "auth_mode": "token", "sql_proxy": "haproxy", "tls": "no",
        # Networks of proxies before HAProxy, whose X-Forwarded-For is believed.
        "trusted_proxies": "",
        # Of the layout compose: where all machines are projects of one engine, the network between them.
        "docker_network": "",
    },
    "ports": {
        "ui": "8100", "api_external": "55054", "api_internal": "55055", "api_bus": "55058",
        "scheduler_admin": "55057", "scheduler_bus": "55059", "provisioner_admin": "55070",
        "zookeeper_client": "55181", "zookeeper_peer": "55188", "zookeeper_election": "55189",
        "db": "55306", "db_group": "4567", "db_ist": "4568", "db_sst": "4444", "galera_check": "9200",
        "sqlproxy": "55306", "sqlproxy_admin": "6032", "haproxy_admin": "8404",
        "sqlproxy_stats": "8405", "sqlproxy_relay": "55307", "sqlproxy_relay_check": "8406",
    },
    "paths": {
        "bin": f"{PREFIX}/bin", "share": f"{PREFIX}/share/loom",
        "plugins": f"{PREFIX}/share/loom/plugins", "web": f"{PREFIX}/share/loom/web",
        "deploy": f"{PREFIX}/share/loom/deploy",
        "etc": "/etc/loom", "work": "/var/lib/loom", "run": "/run/loom",
        "haproxy_run": "/run/haproxy", "zookeeper_data": "/var/lib/zookeeper",
        "db_data": "/var/lib/mysql", "db_run": "/run/mysqld", "db_tmp": "/var/tmp",
        "backups": "/var/backups/loom", "keepalived_state": "/run/loom/haproxy.down",
        "cluster_key_file": "/etc/loom/cluster.key", "db_password_file": "/etc/loom/db.password",
        # Empty: the cluster's key seals the tenants' keys.
        "master_key_file": "",
        # Of sessions of people who log in at a provider. Empty: the cluster's key seals them.
        "session_key_file": "/etc/loom/session.keys",
        # The scheduler has an account of its own where this one is.
        "db_scheduler_password_file": "/etc/loom/db-scheduler.password",
        "admin_token_file": "/etc/loom/admin.token",
        "provisioner_token_file": "/etc/loom/provisioner.token",
        "oidc_client_secret_file": "",  # empty: a public client
        # With tls = yes; each machine's own. HAProxy finds the key of FILE in FILE.key.
        "tls_certificate": "/etc/loom/tls.pem", "tls_key": "/etc/loom/tls.pem.key", "tls_ca": "/etc/loom/tls-ca.pem",
        "tls_front": "",  # what users are shown at the virtual address; empty: the machine's own
        "db_tls_ca": "",  # of the databases' certificates; empty: they are spoken to without TLS
        # Where they were put on one machine, from where setup places them on all; empty: they are placed by hand.
        "tls_front_source": "", "db_tls_ca_source": "",
    },
    # Empty: the host's address.
    "host": {"address": None, "db_address": "", "zookeeper_address": "", "provisioners": "1"},
}
LOOPBACK = "127.0.0.0/8", "::1"
LAYOUTS = {"machines": 3, "compose": 3, "containers": 1, "single": 1}  # and how many hosts at least
# What a container has elsewhere.
COMPOSE_PATHS = {"db_tmp": "/tmp", "keepalived_state": "/run/haproxy.down", **{
    f"{kind}_file": f"/run/secrets/loom/{name}" for kind, name in (
        ("cluster_key", "cluster.key"), ("db_password", "db.password"), ("admin_token", "admin.token"),
        ("db_scheduler_password", "db-scheduler.password"), ("provisioner_token", "provisioner.token"),
        ("session_key", "session.keys"))}}
# And what is not rendered, since it is the other one's.
SQL_PROXIES = {"haproxy": ("proxysql/", "systemd/loom-proxysql-follow."), "proxysql": ("haproxy/sqlproxy.",)}
SECRET = ("mariadb/accounts.sql", "proxysql/proxysql.cnf", f"{certificates.KINDS['tls_front'].name}.key")
STOP_SECONDS = 20  # of a provisioner after its drain: plugins that are told to end, the server, the process
SIZES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# What a container of each has besides, in bytes: (what the inventory gives it, the rest).
LIMITS = {"db": ("db_buffer_pool", 1 << 30), "zookeeper": ("zookeeper_heap", 256 << 20)}


def read_inventory(path):
    """The inventory file as sections of texts, complete and checked."""
    parser = configparser.ConfigParser(interpolation=None, default_section="\0none")
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise DcError(f"{path}: {error.strerror}") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DcError(f"{path} is no inventory: {' '.join(str(error).split())}") from error
    inventory = {"hosts": {}}
    for section in ("datacenter", "ports", "paths"):
        inventory[section] = _complete(path, section, section, parser)
    for section in parser.sections():
        kind, _, name = section.partition(" ")
        if kind == "host" and re.fullmatch(r"[a-z][a-z0-9-]*", name):
            inventory["hosts"][name] = _complete(path, section, "host", parser)
        elif section not in inventory:
            raise DcError(f"{path}: unknown section [{section}]")
    settings.check(path, inventory)
    certificates.check(path, inventory)
    layout = inventory["datacenter"]["layout"]
    if layout in ("containers", "compose") and by_tls(inventory):
        raise DcError(f"{path}: tls = yes is for machines, not for layout = {layout}")
    if len(inventory["hosts"]) < LAYOUTS[layout]:
        wanted = "at least three hosts" if LAYOUTS[layout] == 3 else "a host"
        raise DcError(f"{path}: a datacenter of {layout} has {wanted} ([host NAME] sections)")
    if has_proxies(inventory):
        settings.check_apart(path, inventory)
    if layout == "compose":
        given = dict(parser.items("paths")) if parser.has_section("paths") else {}
        inventory["paths"].update({**COMPOSE_PATHS, **given})
    return inventory


def by_tls(inventory):
    """The file of authorities that vouch for Loom's services; None: they are asked without TLS."""
    return inventory["paths"]["tls_ca"] if inventory["datacenter"]["tls"] not in ("", "0", "no") else None


def _tls(inventory, paths):
    """What the templates say of it; "" is nothing."""
    if not by_tls(inventory):
        return {"tls": "", "scheme": "http", "front": "", "own": ""}
    return {"tls": "yes", "scheme": "https", "front": f" ssl crt {paths['tls_front'] or paths['tls_certificate']}",
            "own": f" ssl crt {paths['tls_certificate']}"}


def size(inventory, key):
    """A setting like '512M' in bytes."""
    text = inventory["datacenter"][key]
    found = re.fullmatch(r"(\d+)([KMG]?)", text.upper())
    if not found:
        raise DcError(f"[datacenter] {key} is '{text}', which is no size: digits, and K, M or G")
    return int(found.group(1)) * SIZES[found.group(2)]


def has_proxies(inventory):
    """Whether each machine has a database node, and reaches the others' through proxies of its own."""
    return LAYOUTS[inventory["datacenter"]["layout"]] == 3


def _complete(path, section, kind, parser):
    """One section's values over the defaults; paths may be set per host, too."""
    values: dict[str, str | None] = dict(DEFAULTS[kind])
    known = {*values, *DEFAULTS["paths"]} if kind == "host" else set(values)
    for key, value in parser.items(section) if parser.has_section(section) else ():
        if key not in known:
            raise DcError(f"{path}: [{section}] has no setting '{key}'")
        values[key] = value
    missing = [key for key, value in values.items() if value is None]
    if missing:
        raise DcError(f"{path}: [{section}] lacks {', '.join(missing)}")
    return values


def values_for(inventory, host):
    """What the templates of one host see."""
    if host not in inventory["hosts"]:
        raise DcError(f"the inventory has no host '{host}', it has {', '.join(inventory['hosts'])}")
    hosts = []
    for index, (name, own) in enumerate(inventory["hosts"].items()):
        hosts.append({"name": name, "index": str(index + 1), "address": own["address"],
                      "db_address": own["db_address"] or own["address"],
                      "zookeeper_address": own["zookeeper_address"] or own["address"],
                      "priority": str(250 - 200 * index // max(1, len(inventory["hosts"]) - 1)),
                      "weight": str(1000000 // 1000 ** index), "first": "yes" if index == 0 else ""})
    own = inventory["hosts"][host]
    me = next(entry for entry in hosts if entry["name"] == host)
    paths = {**inventory["paths"], **{key: own[key] for key in inventory["paths"] if key in own}}
    base = int(inventory["ports"]["provisioner_admin"])
    provisioners = [{"number": str(number), "port": str(base + number - 1)}
                    for number in range(1, int(own["provisioners"]) + 1)]
    layout, ports = inventory["datacenter"]["layout"], inventory["ports"]
    containers, machines = layout == "containers", has_proxies(inventory)
    reach = {  # where services find what, and what they bind on the bus
        "sql": "127.0.0.1" if machines else me["db_address"],
        "sql_port": ports["sqlproxy" if machines else "db"],
        "web": "haproxy" if containers else "127.0.0.1", "bus": "*" if containers else own["address"],
    }
    clients = {"machines": hosts, "compose": hosts, "containers": [{"address": "%"}],
               "single": [{"address": "localhost"}, {"address": "127.0.0.1"}]}[layout]
    tokens = "yes" if inventory["datacenter"]["auth_mode"] == "token" else ""
    proven = f" ssl verify required ca-file {paths['tls_ca']} verifyhost " if by_tls(inventory) else ""
    proxies = _proxies(inventory)
    for entry in hosts:
        entry["proven"] = proven and proven + entry["name"]
    return {**inventory["datacenter"], **_tls(inventory, paths), "tokens": tokens, "ports": ports, "paths": paths,
            "host": me, "containers": "yes" if containers else "", "machines": "yes" if machines else "",
            "proxysql": "yes" if inventory["datacenter"]["sql_proxy"] == "proxysql" else "",
            "oidc_keys_file": inventory["datacenter"]["oidc_keys"] if inventory["datacenter"]["oidc_keys"][:1] == "/" else "",
            "galera": "" if layout == "single" else "yes",
            "reach": reach, "db_clients": clients, "scraped": _scraped(inventory),
            "hosts": hosts, "peers": [entry for entry in hosts if entry is not me],
            "limits": {name: str(size(inventory, key) + more) for name, (key, more) in LIMITS.items()},
            "provisioner_stop": f"{math.ceil(settings.seconds(inventory['datacenter']['provisioner_drain'])) + STOP_SECONDS}s",
            "provisioners": provisioners, "db_password": _read(paths["db_password_file"]),
            "db_scheduler_password": _read(paths["db_scheduler_password_file"]),
            "scheduler_rights": [{"what": line} for line in _read(DEPLOY / "mariadb/scheduler-rights").splitlines()
                                 if line[:1] not in ("", "#")],
            "db_group": ",".join(f"{entry['db_address']}:{ports['db_group']}" for entry in hosts),
            "addresses": " ".join(entry["address"] for entry in hosts),
            "proxies": ", ".join(proxies), "trusted": [{"network": network} for network in proxies],
            "kinds": [{"suffix": "", "check": "/readyz"}, {"suffix": "_any", "check": "/livez"}],
            "servers": str(len(hosts)),
            "zk_quorum": ",".join(f"{entry['zookeeper_address']}:{ports['zookeeper_client']}" for entry in hosts)}


def _proxies(inventory):
    """Networks of who is believed when he says for whom he asks: the machines themselves, and what the inventory names."""
    own = [each["address"] for each in inventory["hosts"].values()] if has_proxies(inventory) else []
    return [*LOOPBACK, *own, *settings.networks("trusted_proxies", inventory["datacenter"]["trusted_proxies"])]


def _scraped(inventory):
    """Where /metrics is: for each kind of service its name among containers, and all copies' addresses."""
    ports, hosts = inventory["ports"], inventory["hosts"].values()
    kinds = {"api": ("api", "api_external"), "scheduler": ("scheduler", "scheduler_admin"),
             "ui-gateway": ("ui", "ui"), "provisioner": ("provisioner", "provisioner_admin")}
    return [{"job": job, "name": name, "port": ports[port], "targets": [
        {"address": f"{own['address']}:{int(ports[port]) + copy}"} for own in hosts
        for copy in range(int(own["provisioners"]) if job == "provisioner" else 1)]}
        for job, (name, port) in kinds.items()]


def _read(path):
    try:
        return pathlib.Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lookup(values, name, where):
    found = values
    for word in name.split("."):
        if not isinstance(found, dict) or word not in found:
            raise DcError(f"{where}: there is no value named '{name}'")
        found = found[word]
    return found


def _block(lines, at, where):
    """Index of the %end that closes the block opened at `at`, and of its %else (or None)."""
    depth, other = 0, None
    for number in range(at + 1, len(lines)):
        word = lines[number].split(" ", 1)[0].strip()
        if word in ("%for", "%if"):
            depth += 1
        elif word == "%else" and depth == 0:
            other = number
        elif word == "%end":
            if depth == 0:
                return number, other
            depth -= 1
    raise DcError(f"{where}:{at + 1}: the block has no %end")


def _expand(lines, values, where):
    out, at = [], 0
    while at < len(lines):
        line = lines[at]
        words = line.split()
        if line.startswith("%for "):
            end, _ = _block(lines, at, where)
            for item in _lookup(values, words[3], where):
                out += _expand(lines[at + 1:end], {**values, words[1]: item}, where)
            at = end
        elif line.startswith("%if "):
            end, other = _block(lines, at, where)
            true = _lookup(values, words[1], where) not in ("", "0", "no")
            first = lines[at + 1:other or end]
            second = lines[other + 1:end] if other else []
            out += _expand(first if true else second, values, where)
            at = end
        elif line.startswith("%include "):
            out += (DEPLOY / words[1]).read_text(encoding="utf-8").splitlines()
        elif line.startswith("%"):
            raise DcError(f"{where}:{at + 1}: unknown directive {words[0]}")
        else:
            out.append(PLACE.sub(lambda found: str(_lookup(values, found.group(1), where)), line))
        at += 1
    return out


def render_text(text, values, where="template"):
    """A template's text with its values filled in."""
    return "\n".join(_expand(text.splitlines(), values, where)) + "\n"


def targets(values):
    """(template, target name, extra values) of one host."""
    for template in sorted(DEPLOY.glob("**/*.in")):
        name = str(template.relative_to(DEPLOY))[:-3]
        if name.startswith(SQL_PROXIES[values["sql_proxy"]]) or name.startswith("compose/") and values["layout"] != "compose":
            continue
        if name == "loom/provisioner.conf":
            for entry in values["provisioners"]:
                yield template, f"loom/provisioner-{entry['number']}.conf", {"provisioner": entry}
        else:
            yield template, name, {}


def render(inventory, host, out):
    """Write all of one host's files to the folder out; answers their names."""
    values = values_for(inventory, host)
    written = []
    for template, name, more in targets(values):
        text = render_text(template.read_text(encoding="utf-8"), {**values, **more}, str(template))
        path = pathlib.Path(out) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        secret = name in SECRET
        temporary = path.with_name(path.name + ".tmp")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
        written.append(name)
    return written
