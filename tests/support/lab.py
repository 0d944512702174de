# SPDX-License-Identifier: Apache-2.0
"""A tenant of its own with a small catalog, on a stack without provisioners.

Tenants have queues of their own, so tests that share a stack do not take each other's tasks.
"""

import concurrent.futures
import copy

from .story import Story
from .worker import Worker

TENANTS = 1000

PROVIDER_TYPE = {
    "name": "testtype",
    "parameters": {
        "admin": {"fields": {
            "url": {"label": "URL", "type": "text"},
            "region": {"label": "Region", "type": "text", "override": True}}},
        "user": {"fields": {
            "project": {"label": "Project", "type": "text", "default": "main"},
            "color": {"label": "Color", "type": "text"},
            "token": {"label": "Token", "type": "password", "sensitive": True}},
            "required": [["project"], ["color", "token"]]}}}

AUTOMATOR_TYPE = {"name": "testshell"}


def service(name, requires=(), uses=(), actions=("install", "configure", "start"), conflicts=(), install=()):
    """A service document; requires and uses are at run time."""
    return {
        "name": name,
        "dependencies": {"provides": [], "conflicts": list(conflicts),
                         "install": {"requires": list(install), "uses": []},
                         "runtime": {"requires": list(requires), "uses": list(uses)}},
        "provisioner": {"actions": {action: {"type": "testshell", "fields": {"script": f"{name}.sh"}}
                                    for action in actions}}}


def template(name, services, **more):
    """A template document."""
    return {"name": name,
            "defaults": {"services": services, "provider": "lab", "hardwaretype": "small",
                         "imagetype": "deb", "config": {}, **more.pop("defaults", {})}, **more}


CATALOG = {
    "providers": [
        {"name": "lab", "description": "the lab", "providertype": "testtype",
         "provisioner": {"url": "http://x", "project": "p", "retries": 5}},
        {"name": "bare", "providertype": "testtype", "provisioner": {}},
        {"name": "orphan", "providertype": "nosuchtype"}],
    "hardwaretypes": [
        {"name": "small", "providermap": {"lab": {"flavor": "m1.small"}, "bare": {"flavor": "b1"}}},
        {"name": "large", "providermap": {"lab": {"flavor": "m1.large"}}}],
    "imagetypes": [
        {"name": "deb", "providermap": {"lab": {"image": "img-7", "sshuser": "debian"},
                                        "bare": {"image": "img-1"}}}],
    "services": [
        service("base", actions=("install",)),
        service("web", uses=("db",), install=("base",)),
        service("db", install=("base",), actions=("install", "configure", "initialize", "start")),
        service("front", requires=("web",), install=("base",)),
        service("quiet", actions=()),
        service("left"), service("right")],
    "clustertemplates": [
        template("one", ["web", "base"]),
        template("empty", ["quiet"]),
        template("stack", ["base", "web", "db"],
                 defaults={"config": {"web": {"port": "80", "db": "%host.service.db%"},
                                      "self": "%ip.bind_v4.self%"}},
                 constraints={"layout": {"mustcoexist": [], "cantcoexist": [["web", "db"]]},
                              "services": {"db": {"quantities": {"min": 1, "max": 1}}},
                              "size": {"min": 2, "max": 20}},
                 administration={"leaseduration": {"initial": 2592000000, "max": 5184000000, "step": 0}}),
        template("linked", ["web", "base"], links=[{"label": "site", "url": "http://%host.service.web%/"}]),
        template("forever", ["web", "base"]),
        template("nodb", ["web", "db", "base"], compatibility={
            "hardwaretypes": ["small"], "imagetypes": ["deb"], "services": ["web", "base"]}),
        template("loose", ["left", "right"],
                 constraints={"layout": {"mustcoexist": [], "cantcoexist": [["left", "right"]]},
                              "services": {}}),
        template("orphaned", ["web", "base"], defaults={"provider": "orphan"}),
        template("apart", ["web", "db", "base"],
                 constraints={"layout": {"mustcoexist": [["web", "db"]], "cantcoexist": [["web", "db"]]},
                              "services": {}})],
}


DEMO = {"name": "demo", "clusterTemplate": "stack", "numMachines": 3}


def make_tenants(stack, prefix="t"):
    """Rows for TENANTS tenants and the plug-in types; answers an iterator over (name, id)."""
    names = [(f"{prefix}{number}", f"id-of-{prefix}{number}") for number in range(TENANTS)]
    values = ",".join(f"('{tenant}','{name}')" for name, tenant in names)
    stack.sql(f"INSERT INTO tenant (id, name) VALUES {values}")
    for kind, document in (("providertypes", PROVIDER_TYPE), ("automatortypes", AUTOMATOR_TYPE)):
        answer = stack.internal.put(f"/v2/plugins/{kind}/{document['name']}", document)
        assert answer.status == 200, answer
    return iter(names)


class Lab:
    """One tenant: its administrator, its users, its workers."""

    def __init__(self, stack, name, tenant):
        self.stack = stack
        self.name = name
        self.tenant = tenant
        self.admin = stack.client("api.external", "admin", name)
        self.user = stack.person("ann", name)
        self.workers = []
        self.names = {}

    def load(self, catalog=None):
        """Store the catalog."""
        for kind, documents in (catalog or CATALOG).items():
            for document in documents:
                answer = self.admin.post(f"/v2/{kind}", document)
                assert answer.status == 200, f"{kind} {document['name']}: {answer}"
        return self

    def urls(self):
        """The internal addresses of all APIs of the stack."""
        return [f"http://127.0.0.1:{port}" for name, port in sorted(self.stack.ports.items())
                if name.startswith("api") and name.endswith("internal")]

    def worker(self, script=None, start=True, **options):
        """A worker for this tenant's queue; killed with the lab."""
        options.setdefault("tenant", self.tenant)
        options.setdefault("token", self.stack.worker_token)
        made = Worker(options.pop("urls", None) or self.urls(), script, **options)
        self.workers.append(made)
        return made.start() if start else made

    def create(self, name="demo", template_name="one", size=1, **more):
        """Create a cluster as ann; answers its id."""
        self.names[name] = self.names.get(name, 0) + 1
        if self.names[name] > 1:  # no two living clusters have one name
            name += f"-{self.names[name]}"
        return self.user.create_cluster(name, template_name, size, **more)

    def story(self, cluster, user=None):
        """All that happened to a cluster so far, checked."""
        user = user or self.user
        last = user.cluster(cluster)["lastEvent"]
        with user.events(cluster) as stream:
            stream.wait(lambda event: event.id == last, what=f"event {last}")
            return Story(stream.seen[:last])

    def active(self, cluster, timeout=120):
        """Wait until it is active; answers its story."""
        self.user.wait_cluster(cluster, "active", timeout)
        return self.story(cluster).check_ended()

    def end_lease(self, run):
        """The lease of a task that somebody works at is over."""
        self.stack.sql("UPDATE task SET lease_until=1 WHERE state='running' AND attempt={} AND cluster_id={} AND job_num={}"
                       " AND num={}".format(run.attempt, *map(int, run.id.split("-"))))

    def set_quota(self, clusters=2147483647, nodes=2147483647):
        """Limits of the tenant."""
        self.stack.sql(f"UPDATE tenant SET max_clusters={clusters}, max_nodes={nodes} WHERE id='{self.tenant}'")

    def change(self, kind, name, **changes):
        """A new version of a document of the catalog."""
        document = copy.deepcopy(next(entry for entry in CATALOG[kind] if entry["name"] == name))
        document.update(changes)
        answer = self.admin.put(f"/v2/{kind}/{name}", document)
        assert answer.status == 200, answer

    def close(self):
        """End the workers; their problems fail the test."""
        for worker in self.workers:
            worker.kill()
        problems = [problem for worker in self.workers for problem in worker.problems]
        assert not problems, problems


def post_named(client, key, body):
    """A create that has a name."""
    return client.post("/v2/clusters", body, headers={"Idempotency-Key": key})


def race(calls):
    """All at once, a connection each; the statuses."""
    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        return list(threads.map(lambda call: call(), calls))
