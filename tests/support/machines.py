# SPDX-License-Identifier: Apache-2.0
"""The providers' own lists of machines, compared with what the database says there is."""

import json
import pathlib

# Nodes of clusters that are not terminated: id, status, and the newest step that made or unmade
# their machine ('' while there was none).
NODES = """
SELECT n.id, c.status, COALESCE((SELECT t.name FROM task t WHERE t.node_id=n.id AND t.state='complete'
  AND t.name IN ('CREATE','DELETE') ORDER BY t.job_num DESC, t.num DESC LIMIT 1), '')
FROM node n JOIN cluster c ON c.id=n.cluster_id JOIN tenant e ON e.id=c.tenant_id
WHERE c.status<>'terminated' AND e.name='{tenant}'"""


def compare(stack, listed, tenant, cluster=None):
    """Differences between a provider's list of node ids and the database: for all clusters of a
    tenant, or for one that has the provider for itself."""
    query = NODES.format(tenant=tenant) + (f" AND c.id={int(cluster)}" if cluster else "")
    rows = {row[0]: (row + [""])[1:3] for row in stack.sql(query)}
    listed = set(listed)
    found = [f"{node} is at the provider, but of no cluster" for node in listed - set(rows)]
    for node, (status, step) in rows.items():
        if status == "pending":
            continue
        if node in listed and step == "DELETE":
            found.append(f"{node} of a cluster that is {status} was deleted, but is at the provider")
        if node not in listed and (step == "CREATE" or status == "active"):
            found.append(f"{node} of a cluster that is {status} is not at the provider")
    return sorted(found)


def sandbox(stack):
    """Ids of the sandbox's machines."""
    return [machine["nodeId"] for machine in stack.machines()]


def simulated(state_dir):
    """Ids of the simulated provider's machines."""
    folder = pathlib.Path(state_dir) / "machines"
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


AFTER = {"install": "installed", "start": "running", "stop": "stopped"}


def simulated_services(state_dir):
    """{node id: {service: "installed", "running" or "stopped"}} by what the simulated provider did."""
    found = {}
    for node in simulated(state_dir):
        found[node] = {}
        for line in (pathlib.Path(state_dir) / "machines" / node).read_text(encoding="utf-8").splitlines():
            action, _, service = line.partition(" ")
            if action == "remove":
                found[node].pop(service, None)
            elif action in AFTER:
                found[node][service] = AFTER[action]
    return found


def database_services(stack, cluster):
    """The same as the database has it."""
    rows = stack.sql(f"SELECT id, states FROM node WHERE cluster_id={int(cluster)}")
    return {node: json.loads(states) for node, states in rows}
