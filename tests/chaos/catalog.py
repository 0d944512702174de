# SPDX-License-Identifier: Apache-2.0
"""What the clients of a chaos run make clusters of."""

# Quotas small enough to be met all the time.
TENANTS = {"big": (1000000, 1000000), "small": (5, 8)}
SERVICES = {"worker": ([], 100), "base": ([], 50), "db": (["base"], 150), "web": (["base", "db"], 100)}
TEMPLATES = {
    "solo": {"services": ["worker"], "provider": "sim"},
    "pair": {"services": ["base", "db", "web"], "provider": "sim"},
    "machine": {"services": ["worker"], "provider": "sandbox"},
}


def service(name, requires, delay, failing):
    """A service whose steps take a while and now and then fail."""
    fields = {"delay_ms": str(delay), "jitter_ms": str(delay)}
    if failing:
        fields.update(fail_actions="install", fail_percent=str(failing))
    return {"name": name, "description": "",
            "dependencies": {"provides": [], "conflicts": [],
                             "install": {"requires": [], "uses": []},
                             "runtime": {"requires": requires, "uses": []}},
            "provisioner": {"actions": {action: {"type": "simulated", "fields": fields}
                                        for action in ("install", "start")}}}


def template(name, services, provider):
    """A template."""
    apart = [["db", "web"]] if name == "pair" else []
    counts = {"db": {"quantities": {"min": 1, "max": 1}}} if name == "pair" else {}
    return {"name": name, "description": "",
            "defaults": {"services": services, "provider": provider, "hardwaretype": "small",
                         "imagetype": "linux", "dnsSuffix": "local", "config": {}},
            "compatibility": {"hardwaretypes": ["small"], "imagetypes": ["linux"], "services": services},
            "constraints": {"layout": {"mustcoexist": [], "cantcoexist": apart}, "services": counts},
            "administration": {"leaseduration": {"initial": 0, "max": 0, "step": 0}}}


def documents(site, delay_ms=150, failing=4, slower=0):
    """(kind, document) of everything, in the order of their dependencies.

    failing: percentage of attempts that fail for reasons of their own; slower: milliseconds that
    the steps of services take longer.
    """
    found = [("providers", {"name": "sim", "description": "", "providertype": "simulated", "provisioner": {
        "state_dir": str(site.simulated), "delay_ms": str(delay_ms), "jitter_ms": str(delay_ms),
        **({"fail_actions": "confirm", "fail_percent": str(failing)} if failing else {})}})]
    small, linux = {"sim": {"flavor": "small"}}, {"sim": {"image": "linux"}}
    if site.sandbox:
        found.append(("providers", {"name": "sandbox", "description": "", "providertype": "sandbox",
                                    "provisioner": site.sandbox}))
        small["sandbox"] = {"flavor": "small"}
        linux["sandbox"] = {"image": "debian12", "sshuser": "root"}
    found.append(("hardwaretypes", {"name": "small", "description": "", "providermap": small}))
    found.append(("imagetypes", {"name": "linux", "description": "", "providermap": linux}))
    found += [("services", service(name, requires, delay + slower, failing))
              for name, (requires, delay) in SERVICES.items()]
    found += [("clustertemplates", template(name, **more)) for name, more in TEMPLATES.items()
              if site.sandbox or more["provider"] != "sandbox"]
    return found


EVENTS = ("start", "success", "failure")


def listen(site, receiver, history):
    """Every tenant has the receiver told of its jobs; it writes down what it hears."""
    def heard(call):
        history.add("receiver", "callback", cluster=call.cluster, job=call.json["job"]["jobId"], event=call.event,
                    delivery=call.delivery)
        return 200

    receiver.rules["jobs"] = heard
    history.add("receiver", "listening")
    for tenant in TENANTS:
        answer = site.api("admin", tenant).put("/v2/callbacktargets/chaos",
                                               {"url": receiver.url("jobs"), "events": EVENTS})
        assert answer.ok, f"callback target: {answer.reason()}"


def load(site, **options):
    """Make the tenants and store everything for each."""
    rows = ",".join(f"('{name}','{name}',{clusters},{nodes})" for name, (clusters, nodes) in TENANTS.items())
    site.sql(f"INSERT IGNORE INTO tenant (id, name, max_clusters, max_nodes) VALUES {rows}")
    for tenant in TENANTS:
        api = site.api("admin", tenant)
        for kind, document in documents(site, **options):
            answer = api.put(f"/v2/{kind}/{document['name']}", document)
            assert answer.ok, f"{kind} {document['name']}: {answer.reason()}"
