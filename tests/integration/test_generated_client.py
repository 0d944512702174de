# SPDX-License-Identifier: Apache-2.0
"""A client that a common generator makes from /openapi.json does what a user does first."""

import json
import subprocess

import pytest

from support import ROOT

# Run by the Python that has what the generated code imports.
SESSION = """
import json, sys, time
from client import Client
from client.api.clusters import (delete_clusters_id, get_clusters, get_clusters_id, get_clusters_id_status,
                                 post_clusters, post_clusters_plan)
from client.api.clustertemplates import get_clustertemplates_name
from client.models import ClusterRequest

url, user, tenant = sys.argv[1:]
client = Client(base_url=url, headers={"X-Loom-UserID": user, "X-Loom-TenantID": tenant},
                raise_on_unexpected_status=True)

def wait(cluster, status):
    until = time.monotonic() + 60
    while True:
        answer = get_clusters_id_status.sync(cluster, client=client)
        if answer.status == status:
            return answer
        assert time.monotonic() < until, answer
        time.sleep(0.05)

template = get_clustertemplates_name.sync("one", client=client)
request = ClusterRequest(name="shop", cluster_template="one", num_machines=2)
plan = post_clusters_plan.sync(client=client, body=request)
made = post_clusters.sync(client=client, body=request)
progress = wait(made.id, "active")
cluster = get_clusters_id.sync(made.id, client=client)
listed = get_clusters.sync(client=client)
refused = post_clusters.sync(client=client, body=request)
delete_clusters_id.sync_detailed(made.id, client=client)
wait(made.id, "terminated")
print(json.dumps({"template": template.name, "planned": sorted(plan.to_dict()), "machines": len(cluster.nodes),
                  "status": cluster.status, "steps": [progress.stepscompleted, progress.stepstotal],
                  "listed": [item.id == made.id for item in listed], "refused": refused}))
"""


@pytest.fixture(scope="module", name="tool")
def generator():
    """The folder of the generator's programs."""
    done = subprocess.run([ROOT / "scripts/pypi", "openapi-python-client"], capture_output=True, text=True,
                          check=False)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def test_a_generated_client_plans_creates_looks_and_deletes(lab, tool, tmp_path):
    document = tmp_path / "openapi.json"
    document.write_text(lab.user.get("/openapi.json").text, encoding="utf-8")
    made = subprocess.run([f"{tool}/openapi-python-client", "generate", "--path", document, "--meta", "none",
                           "--output-path", tmp_path / "client"], capture_output=True, text=True, check=False)
    assert not made.returncode, made.stdout + made.stderr
    # What it leaves out of a document it only warns of; that streams are no JSON it may say.
    lost = [line for line in made.stdout.splitlines() if line.startswith(("Unable", "Cannot parse", "WARNING"))]
    assert not [line for line in lost if "event-stream" not in line and "events" not in line], made.stdout
    lab.worker()
    done = subprocess.run([f"{tool}/python", "-c", SESSION, lab.user.url, "ann", lab.name], cwd=tmp_path,
                          capture_output=True, text=True, timeout=120, check=False)
    assert not done.returncode, done.stderr[-2000:]
    said = json.loads(done.stdout)
    steps = said.pop("steps")
    assert steps[0] == steps[1] > 0
    assert "shop" in said.pop("refused")
    assert said == {"template": "one", "planned": ["layout", "nodes", "tasks"], "machines": 2,
                    "status": "active", "listed": [True]}
