# SPDX-License-Identifier: Apache-2.0
"""What the benchmark's clusters are made of: documents of a simulated provider."""

TYPES = {
    "providertypes": {"name": "simulated", "parameters": {"admin": {"fields": {}}, "user": {"fields": {}}}},
    "automatortypes": {"name": "simulated"},
}
FULL = ("install", "configure", "start")


def service(name, actions=FULL, requires=(), install=("base",)):
    """A service; requires is at run time."""
    return {
        "name": name,
        "dependencies": {"provides": [], "conflicts": [],
                         "install": {"requires": list(install), "uses": []},
                         "runtime": {"requires": list(requires), "uses": []}},
        "provisioner": {"actions": {action: {"type": "simulated", "fields": {"script": f"{name}-{action}"}}
                                    for action in actions}}}


def template(name, services, constraints=None, config=None):
    """A template on the simulated provider."""
    return {"name": name,
            "defaults": {"services": services, "provider": "simulated", "hardwaretype": "small",
                         "imagetype": "debian", "config": config or {}},
            "constraints": constraints or {"layout": {"mustcoexist": [], "cantcoexist": []}, "services": {}}}


def exactly(least, most=None):
    """A constraint on how many machines have a service."""
    return {"quantities": {"min": least, "max": most or least}}


MASTERS = ("names", "standby", "queue")
WORKERS = ("files", "compute", "tables", "metrics")
TEN = ["base", *MASTERS, *WORKERS, "gateway", "console"]

CATALOG = {
    "providers": [{"name": "simulated", "description": "no machines", "providertype": "simulated",
                   "provisioner": {}}],
    "hardwaretypes": [{"name": "small", "providermap": {"simulated": {"flavor": "s1"}}}],
    "imagetypes": [{"name": "debian", "providermap": {"simulated": {"image": "debian-12"}}}],
    "services": [
        service("base", ("install",), install=()),
        service("app"), service("web", requires=("app",)), service("cache"), service("jobs", requires=("cache",)),
        service("names"), service("standby", requires=("names",)), service("queue"),
        service("files", requires=("names",)), service("compute", requires=("queue",)),
        service("tables", requires=("names",)), service("metrics"),
        service("gateway", requires=("files", "tables")), service("console", requires=("queue", "gateway"))],
    "clustertemplates": [
        # 5 tasks per machine: for the fleet and for create
        template("lean", ["base", "metrics"]),
        # 16 tasks per machine, services that wait for those of other machines
        template("load", ["base", "app", "web", "cache", "jobs"],
                 config={"web": {"port": "80", "app": "%host.service.app%"}}),
        # a data cluster of ten services: three masters, two at the edge, the others work
        template("ten", TEN, {
            "layout": {"mustcoexist": [list(WORKERS), ["gateway", "console"]],
                       "cantcoexist": [[a, b] for a in (*MASTERS, "gateway") for b in (*MASTERS, "gateway", "files")
                                       if a != b]},
            "services": {**{name: exactly(1) for name in MASTERS},
                         "gateway": exactly(2), "console": exactly(2), **{name: exactly(1, 1000000) for name in WORKERS}}},
                 config={"site": {"names": "%host.service.names%", "queue": "%host.service.queue%"}}),
    ],
}
