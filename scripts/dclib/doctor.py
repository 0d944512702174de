# SPDX-License-Identifier: Apache-2.0
"""What all of a datacenter's parts say of themselves, and what of that is wrong, with what to do.

look() asks everybody that the inventory names, at the same time; judge() decides by what it found, and
asks nobody.
"""

import json
import os
import pathlib
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from . import backup, render
from .ask import fetch, talk
from .render import has_proxies

KINDS = {"loom-api": "api_external", "loom-scheduler": "scheduler_admin", "loom-ui-gateway": "ui",
         "loom-provisioner": "provisioner_admin"}
UNITS = {"zookeeper": "loom-zookeeper", "database": "mariadb", "sqlproxy": "loom-sqlproxy"}  # where they are called otherwise
SERVICES = {"loom-api": "api", "loom-scheduler": "scheduler", "loom-ui-gateway": "ui", "database": "db"}  # of a Compose project
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)
MOST_SKEW_MS, MOST_BACKUP_HOURS, MOST_CHANGES = 1000, 26, 4
# What only the database shows, of what an API finds (GET /v2/doctor); the rest is seen from here, too.
ONLY_API = ("token ", "table ", "leases", "callbacks")
DISK_WARNING, DISK_FULL = 0.85, 0.95


def parts_of(inventory):
    """[(host, kind, name, address, port)] of everything that can be asked."""
    found = []
    ports = inventory["ports"]
    for host, own in inventory["hosts"].items():
        for kind, port in KINDS.items():
            copies = int(own["provisioners"]) if kind == "loom-provisioner" else 1
            for copy in range(copies):
                found.append((host, kind, f"{kind}@{copy + 1}" if kind == "loom-provisioner" else kind,
                              own["address"], int(ports[port]) + copy))
        found.append((host, "zookeeper", "zookeeper", own["zookeeper_address"] or own["address"],
                      int(ports["zookeeper_client"])))
        if has_proxies(inventory):
            found.append((host, "database", "database", own["db_address"] or own["address"], int(ports["galera_check"])))
            program = inventory["datacenter"]["sql_proxy"]
            port = "sqlproxy_relay" if program == "proxysql" else "sqlproxy_relay_check"
            found.append((host, f"sql-{program}", "sqlproxy", own["address"], int(ports[port])))
    return found


def samples(text):
    """{name: {labels: value}} of an answer of /metrics."""
    found = {}
    for name, labels, value in SAMPLE.findall(text):
        found.setdefault(name, {})[labels] = float(value)
    return found


def ask(part, ca=None):
    """One part: {host, kind, name, where, ready, role, error, metrics}."""
    host, kind, name, address, port = part
    told = {"host": host, "kind": kind, "name": name, "where": f"{address}:{port}", "ready": False, "role": "",
            "error": "", "metrics": {}}
    if kind == "zookeeper":
        mode = re.search(rb"^Mode: (\w+)", talk(address, port, b"srvr"), re.M)
        told.update(ready=bool(mode), role=mode.group(1).decode() if mode else "", error="" if mode else "does not answer `srvr`")
        return told
    if kind == "sql-proxysql":
        well = len(talk(address, port, until=1)) > 0
        told.update(ready=well, role="proxysql", error="" if well else "does not greet")
        return told
    own = {"database": "/node", "sql-haproxy": "/writer"}.get(kind)  # not of Loom's services
    ca = None if own else ca
    status, text = fetch(address, port, own or "/readyz", ca=ca)
    told.update(ready=status == 200, error="" if status == 200 else f"{status or 'no answer'}: {text.strip()[:200]}")
    if kind == "database":
        told["role"] = "writer" if fetch(address, port, "/writer")[0] == 200 else ""
        told["metrics"] = {"writer_changes": {"": _changes(address, port)}}
    elif kind == "sql-haproxy":
        told["role"] = "haproxy"
    else:
        status, text = fetch(address, port, "/metrics", ca=ca)
        told["metrics"] = samples(text) if status == 200 else {}
    return told


def _changes(address, port):
    """How often the writer became another one in the last ten minutes, as a node has seen it."""
    try:
        return json.loads(fetch(address, port, "/state")[1]).get("changes", 0)
    except ValueError:
        return 0


def _of_api(inventory, parts):
    """What the first API that answers finds in the database. Without the administrator's token: nothing."""
    try:
        token = pathlib.Path(inventory["paths"]["admin_token_file"]).read_text(encoding="ascii").strip()
    except OSError:
        return []
    for part in parts:
        if part["kind"] == "loom-api" and part["ready"]:
            address, _, port = part["where"].rpartition(":")
            status, text = fetch(address, int(port), "/v2/doctor", headers={"Authorization": f"Bearer {token}"},
                                 ca=render.by_tls(inventory))
            if status == 200:
                return json.loads(text)["findings"]
    return []


def disks(inventory):
    """[(folder, part of it that is used)] of this machine, for the folders that fill."""
    found = []
    for name in ("db_data", "zookeeper_data", "work", "backups"):
        folder = inventory["paths"][name]
        if os.path.isdir(folder):
            usage = shutil.disk_usage(folder)
            found.append((folder, usage.used / (usage.used + usage.free)))
    return found


def look(inventory):
    """Everything that judge() wants to know."""
    parts = parts_of(inventory)
    with ThreadPoolExecutor(min(32, len(parts))) as pool:
        told = list(pool.map(lambda part: ask(part, render.by_tls(inventory)), parts))
    newest = backup.newest(inventory)
    return {"parts": told, "disks": disks(inventory), "api": _of_api(inventory, told),
            "compose": inventory["datacenter"]["layout"] == "compose",
            "backup_hours": (time.time() - newest.stat().st_mtime) / 3600 if newest else None}


def finding(level, where, what, to_do):
    """One thing that is wrong."""
    return {"level": level, "where": where, "what": what, "do": to_do}


def _unready(facts):
    for part in facts["parts"]:
        if not part["ready"]:
            name = part["name"]
            service = SERVICES.get(name, name.removeprefix("loom-").replace("@", "-"))
            look_at = f"docker compose ps {service}, and its logs; docker compose up -d starts it" if facts["compose"] else \
                f"systemctl status {UNITS.get(name, name)}, and its journal"
            yield finding("error", f"{part['host']} {name}", f"{part['where']} is not ready: {part['error']}",
                          f"on {part['host']}: {look_at}")


def _quorum(facts):
    servers = [part for part in facts["parts"] if part["kind"] == "zookeeper"]
    serving = [part for part in servers if part["ready"]]
    if len(serving) * 2 <= len(servers):
        yield finding("error", "zookeeper", f"the quorum is lost: {len(serving)} of {len(servers)} servers answer",
                      "start the servers; work goes on, but nobody takes over from a service that dies")
    elif not any(part["role"] in ("leader", "standalone") for part in serving):
        yield finding("error", "zookeeper", "no server leads", "look at the links between the machines")


def _writer(facts):
    changes = max([value for _, value in _value(facts, "database", "writer_changes")], default=0)
    if changes >= MOST_CHANGES:
        yield finding("warning", "database", f"the writer became another one {changes:.0f} times in ten minutes",
                      "journalctl -u loom-galera-check on all machines says why; a busy machine, a bad link")
    nodes = [part for part in facts["parts"] if part["kind"] == "database"]
    writers = [part["host"] for part in nodes if part["role"] == "writer"]
    if nodes and len(writers) != 1:
        yield finding("error", "database", f"{len(writers)} nodes say that they are the writer, not one",
                      "curl ADDRESS:9200/state on each; deploy/mariadb/README.md")


def _value(facts, kind, name):
    """[(part, value)] of a metric over all parts of a kind (\"\": all)."""
    for part in facts["parts"]:
        if kind in ("", part["kind"]) and name in part["metrics"]:
            yield part, max(part["metrics"][name].values())


def _versions(facts):
    found = {}
    for part in facts["parts"]:
        for labels in part["metrics"].get("loom_build_info", {}):
            version = re.search(r'version="([^"]*)"', labels)
            found.setdefault(version.group(1) if version else "?", []).append(f"{part['host']} {part['name']}")
    if len(found) > 1:
        most = max(found, key=lambda version: len(found[version]))
        for version, names in found.items():
            if version != most:
                yield finding("warning", ", ".join(names), f"version {version}, the others have {most}",
                              "finish the upgrade, or go back")


def _clocks(facts):
    for part, skew in _value(facts, "", "loom_bus_clock_skew_milliseconds"):
        if skew > MOST_SKEW_MS:
            yield finding("warning", f"{part['host']} {part['name']}", f"its clock is {skew / 1000:.1f} s apart from another's",
                          "chronyc tracking on both machines")


def _janitor(facts):
    leading = list(_value(facts, "loom-scheduler", "loom_coord_leading"))
    if leading and sum(value for _, value in leading) == 0:
        yield finding("error", "loom-scheduler", "no scheduler sweeps: leases of dead provisioners do not end",
                      "is ZooKeeper well? Else restart the schedulers, one after the other")


def _positive(kind, name, text, to_do):
    """A check that a metric is 0."""
    def check(facts):
        for part, value in _value(facts, kind, name):
            if value > 0:
                yield finding("warning", f"{part['host']} {part['name']}", text % value, to_do)
    return check


def _disks(facts):
    for folder, used in facts["disks"]:
        if used >= DISK_WARNING:
            yield finding("error" if used >= DISK_FULL else "warning", folder, f"its disk is {used:.0%} full",
                          "make room, or a larger disk; the database stops when it is full")


def _backup(facts):
    if facts["compose"]:
        return  # asked from inside of a container, which sees none
    if facts["backup_hours"] is None:
        yield finding("warning", "backup", "there is none on this machine", "loom-datacenter backup, each night from a timer")
    elif facts["backup_hours"] > MOST_BACKUP_HOURS:
        yield finding("warning", "backup", f"the newest one is {facts['backup_hours']:.0f} h old",
                      "loom-datacenter backup says what fails")


def _told_by_api(facts):
    yield from (entry for entry in facts["api"] if entry["where"].startswith(ONLY_API))


CHECKS = (
    _unready, _quorum, _writer, _versions, _clocks, _janitor, _disks, _backup, _told_by_api,
    _positive("loom-scheduler", "loom_scheduler_provisioners_quarantined", "%d provisioners get no work",
              "loom provisioner list says at what they failed; mend it, then loom provisioner release ID"),
    _positive("loom-provisioner", "loom_provisioner_results_overdue", "%d results are not handed in",
              "its journal has the API's answer; its token"),
)


def judge(facts):
    """All findings, errors first."""
    found = [entry for check in CHECKS for entry in check(facts)]
    return sorted(found, key=lambda entry: entry["level"])
