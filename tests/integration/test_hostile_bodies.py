# SPDX-License-Identifier: Apache-2.0
"""Bodies that nobody would send by mistake: each is answered, no answer is the server's fault, it lives on.

Each document is right at first; then each of its values in turn becomes something else. The services run
with sanitizers, so a body that is read wrongly ends the API.
"""

import copy
import http.client
import time

import pytest

from support.hostile import bodies
from support.lab import AUTOMATOR_TYPE, CATALOG, PROVIDER_TYPE

TASK = "00000001-001-001"

TEMPLATE = {
    "name": "odd", "description": "d", "label": "l", "icon": "i",
    "defaults": {"services": ["web", "base"], "provider": "lab", "hardwaretype": "small", "imagetype": "deb",
                 "config": {"a": {"b": "1"}}, "dnsSuffix": "x.y"},
    "compatibility": {"hardwaretypes": ["small"], "imagetypes": ["deb"], "services": ["web", "base"]},
    "constraints": {"layout": {"mustcoexist": [["web", "base"]], "cantcoexist": []},
                    "services": {"web": {"hardwaretypes": ["small"], "imagetypes": ["deb"],
                                         "quantities": {"min": 1, "max": 2, "stepSize": 1}}},
                    "size": {"min": 1, "max": 3}},
    "administration": {"leaseduration": {"initial": 1, "max": 2, "step": 1}},
    "links": [{"label": "l", "url": "http://x"}]}
CREATE = {"name": "c", "description": "d", "clusterTemplate": "one", "numMachines": 1, "provider": "lab",
          "hardwaretype": "small", "imagetype": "deb", "services": ["web", "base"], "dnsSuffix": "x.y",
          "onFailure": "keep", "config": {"a": {"b": 1}}, "labels": {"a": "b"}, "initialLeaseDuration": 1000,
          "providerFields": {"region": "x", "color": "c"}}
WORKER = {"provisionerId": "odd", "workerId": "w", "tenantId": "nobody"}
TYPE = copy.deepcopy(PROVIDER_TYPE) | {"name": "oddtype", "resourceTypes": {"a": {"format": "file"}}}


def at(cluster):
    """Requests about a cluster."""
    asked = [("POST", "", {"expireTime": 2**41}), ("PUT", "/labels", {"labels": {"a": "b", "c": None}}),
             ("POST", "/plan", {"operation": "expand", "count": 1, "services": ["web"]}),
             ("PUT", "/config", {"config": {"a": 1}, "providerFields": {"region": "x"}, "restart": True}),
             ("POST", "/services", {"services": ["db"]}), ("POST", "/pause", {"reason": "x"}), ("POST", "/resume", {}),
             ("POST", "/nodes", {"count": 1, "services": ["web"]}), ("DELETE", "", {"cascade": True}),
             ("POST", "/services/web/start", {"hardwaretype": "small"})]
    return [(method, f"/v2/clusters/{cluster}{path}", document) for method, path, document in asked]


# (who, method, path, document); the others' paths name a cluster.
EXTERNAL = [
    ("admin", "PUT", "/v2/providers/odd", CATALOG["providers"][0] | {
        "name": "odd", "limits": {"concurrentCreates": 2, "callsPerSecond": 1}}),
    ("admin", "PUT", "/v2/hardwaretypes/odd", CATALOG["hardwaretypes"][0] | {"name": "odd"}),
    ("admin", "PUT", "/v2/imagetypes/odd", CATALOG["imagetypes"][0] | {"name": "odd"}),
    ("admin", "PUT", "/v2/services/odd", CATALOG["services"][1] | {
        "name": "odd", "links": [{"label": "l", "url": "http://x/"}]}),
    ("admin", "PUT", "/v2/clustertemplates/odd", TEMPLATE),
    ("admin", "PUT", "/v2/clustertemplates/odd2", TEMPLATE | {"name": "odd2", "extends": {"name": "one"},
                                                             "includes": [{"name": "p"}]}),
    ("admin", "PUT", "/v2/partialtemplates/odd", {"name": "odd", "immutable": True, "defaults": {"services": ["web"]}}),
    ("admin", "POST", "/v2/resolve", TEMPLATE),
    ("admin", "PUT", "/v2/callbacktargets/odd", {"url": "http://192.0.2.1:9/x", "events": ["start"], "secret": "s",
                                                 "veto": False}),
    ("ann", "POST", "/v2/clusters/plan", CREATE)]
INTERNAL = [
    ("PUT", "/v2/provisioners/odd", {"id": "odd", "host": "h", "port": 1, "capacityTotal": 3, "usage": {"a": 1}}),
    ("POST", "/v2/provisioners/odd/heartbeat", {"usage": {"a": 1}, "tasks": [{"taskId": TASK, "attempt": 1,
                                                                              "claim": "x"}]}),
    ("POST", "/v2/tasks/take", WORKER | {"wait": 0, "max": 2, "lease": True, "claim": True}),
    ("POST", "/v2/tasks/finish", WORKER | {
        "taskId": TASK, "attempt": 1, "claim": "x", "status": 0, "hostname": "h", "next": 1, "message": "m",
        "stdout": "o", "stderr": "e", "result": {"a": "b", "ssh-auth": {"user": "root", "identityfile": "/x"}},
        "ipaddresses": {"access_v4": "10.0.0.1"}}),
    ("POST", f"/v2/tasks/{TASK}/log", {"provisionerId": "odd", "attempt": 1, "offset": 0, "data": "x", "claim": "x",
                                       "dropped": 0}),
    ("PUT", "/v2/plugins/providertypes/oddtype", TYPE),
    ("PUT", "/v2/plugins/automatortypes/oddauto", AUTOMATOR_TYPE | {"name": "oddauto"})]


class Sender:
    """Sends bodies over one connection for as long as the server keeps it."""

    def __init__(self, client):
        self.client, self.connection = client, None

    def send(self, method, path, body):
        """Status and text of an answer."""
        for again in (True, False):
            try:
                self.connection = self.connection or self.client.connect(60)[0]
                self.connection.request(method, path, body, {**self.client.identity,
                                                             "Content-Type": "application/json"})
                answer = self.connection.getresponse()
                return answer.status, answer.read().decode()  # every answer is UTF-8
            except (OSError, http.client.HTTPException):
                self.connection = None
                assert again, f"{method} {path}: no answer to {body[:200]!r}"
        raise AssertionError("not reached")

    def refused_at_most(self, method, path, sent):
        """Each body is answered soon, and by no 5xx."""
        for what, body in sent:
            began = time.monotonic()
            status, text = self.send(method, path, body)
            assert 200 <= status < 500, f"{method} {path} with {what}: {status} {text[:300]}"
            assert status != 400 or text.strip(), f"{method} {path} with {what}: no reason"
            assert time.monotonic() - began < 30, f"{method} {path} with {what} took long"


def who(lab, name):
    """A user of the laboratory."""
    return lab.admin if name == "admin" else lab.user


@pytest.mark.parametrize("case", EXTERNAL, ids=lambda case: case[2].removeprefix("/v2/"))
def test_documents(core, lab, case):
    user, method, path, document = case
    pid = core.pid("api")
    Sender(who(lab, user)).refused_at_most(method, path, bodies(document))
    assert core.pid("api") == pid


def test_requests_about_a_cluster(core, lab):
    cluster, pid = lab.create(), core.pid("api")
    for method, path, document in at(cluster):
        Sender(lab.user).refused_at_most(method, path, bodies(document))
    assert core.pid("api") == pid


@pytest.mark.parametrize("case", INTERNAL, ids=lambda case: case[1].removeprefix("/v2/"))
def test_what_provisioners_say(core, lab, case):
    method, path, document = case
    pid = core.pid("api")
    if "heartbeat" in path or "tasks" in path:
        assert core.internal.put("/v2/provisioners/odd", INTERNAL[0][2]).ok
    try:
        Sender(core.internal).refused_at_most(method, path, bodies(document))
    finally:
        core.internal.delete("/v2/provisioners/odd")
    assert core.pid("api") == pid
    lab.worker()
    lab.active(lab.create())
