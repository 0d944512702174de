# SPDX-License-Identifier: Apache-2.0
"""What runs, how it is, and who has which role."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from . import DcError, network, parts
from .state import HOSTS
from .supervisor import call


def _identity(state):
    """Who the one at the terminal is."""
    if state.settings.get("auth_mode") == "headers":
        return {"LOOM_USER": "admin", "LOOM_TENANT": "superadmin"}
    return {"LOOM_TOKEN": (state.directory / "secrets/admin.token").read_text(encoding="ascii").strip()}


def addresses(state):
    """What clients want to know."""
    virtual = state.virtual_address
    return {"LOOM_URL": f"http://{virtual}:55054", "LOOM_INTERNAL_URL": f"http://{virtual}:55055",
            "LOOM_UI_URL": f"http://{virtual}:8100", **_identity(state),
            "LOOM_DC_DIR": str(state.directory), "LOOM_SANDBOX_STATE_DIR": f"{state.directory}/sandbox",
            "LOOM_SANDBOX_BRIDGE": state.machines_bridge, "LOOM_SANDBOX_SUBNET": state.machines_subnet}


def _host(state, host):
    entry = {"address": state.address(host), "up": False, "crashed": host in state.crashed,
             "cut_off": host in state.isolated, "lossy": state.lossy.get(host, 0),
             "cut_from": [name for pair in state.cut if host in pair for name in pair if name != host],
             "holds_virtual_address": False, "supervisor": None, "parts": {}}
    if not state.exists():
        return entry, {}
    try:
        answer = call(state, host, "status", timeout=30)
    except (OSError, ValueError, DcError):
        for name in parts.names(state, host):
            entry["parts"][name] = {"pid": None, "ready": False, "role": "", "state": "dead", "starts": 0,
                                    "error": "", "uptime": None}
        return entry, {}
    entry.update(up=True, supervisor=answer["pid"], parts=answer["parts"],
                 holds_virtual_address=network.holds_virtual_address(state, host))
    return entry, answer["elections"]


def survey(state):
    """Everything, as one document."""
    state.load()
    with ThreadPoolExecutor(3) as pool:
        found = dict(zip(HOSTS, pool.map(lambda host: _host(state, host), HOSTS)))
    hosts = {host: entry for host, (entry, _) in found.items()}
    elections = {}
    for _, told in found.values():
        elections.update(told)
    roles = {"database_writer": [], "zookeeper_leader": [], "virtual_address": [],
             "scheduler_leader": [elections["janitor"].partition("-")[0]] if "janitor" in elections else []}
    for host, entry in hosts.items():
        run = entry["parts"]
        if run.get("db", {}).get("role") == "writer":
            roles["database_writer"].append(host)
        if run.get("zookeeper", {}).get("role") == "leader":
            roles["zookeeper_leader"].append(host)
        if entry["holds_virtual_address"]:
            roles["virtual_address"].append(host)
        if "scheduler" in run and host in roles["scheduler_leader"]:
            run["scheduler"]["role"] = "leader"
    return {"directory": str(state.directory), "virtual_address": state.virtual_address if state.exists() else None,
            "sqlproxy": parts.sql_proxy(state), "hosts": hosts, "roles": roles, "elections": elections}


def all_ready(found):
    """Whether every host is up and every part that is not stopped is ready."""
    return all(entry["up"] and all(part["ready"] for part in entry["parts"].values())
               for entry in found["hosts"].values())


def print_json(value):
    """One document on one line."""
    json.dump(value, sys.stdout)
    sys.stdout.write("\n")
    sys.stdout.flush()


def show(found):
    """A table: a line per part, a column per host."""
    hosts = found["hosts"]
    names = []
    for entry in hosts.values():
        names += [name for name in entry["parts"] if name not in names]
    remark = {host: "crashed" if entry["crashed"] else "down" if not entry["up"] else
              "cut off" if entry["cut_off"] else entry["address"] for host, entry in hosts.items()}
    print(f"  {'':<13}" + "".join(f"{host + ' ' + remark[host]:<26}" for host in hosts))
    for name in names:
        row = f"  {name:<13}"
        for entry in hosts.values():
            part = entry["parts"].get(name)
            if not part:
                row += f"{'-':<26}"
                continue
            word = "ready" if part["ready"] else "not ready" if part["state"] == "running" else part["state"]
            row += f"{' '.join(filter(None, (word, part['role'], part['pid'] and str(part['pid'])))):<26}"
        print(row.rstrip())
    print(f"  {'virtual':<13}{found['virtual_address']} on {','.join(found['roles']['virtual_address']) or 'nobody'}",
          flush=True)
