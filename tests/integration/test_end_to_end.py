# SPDX-License-Identifier: Apache-2.0
"""Every operation on real machines, and on the machines themselves what it did."""

import os
import pathlib
import shutil
import socket
import subprocess

import pytest

from support import ROOT, wait_for
from support.lab import service, template
from support.machines import compare, sandbox
from support.stack import root_cache
from support.story import Story

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machines need root")

FULL = ("install", "configure", "initialize", "start", "stop", "remove")
PATIENCE = 120


def echo(name, uses=()):
    """A service that is an echo_service.sh."""
    made = service(name, uses=uses, actions=FULL)
    for action in made["provisioner"]["actions"].values():
        action.update(type="shell", fields={"script": "echo_service.sh", "args": " ".join(uses)})
    return made


def catalog(stack):
    """One store, and applications that use it, on machines of their own."""
    places = {"state_dir": str(stack.sandbox_dir), "root_dir": str(root_cache()),
              "bridge": stack.bridge, "subnet": stack.info["subnet"]}
    return {
        "providers": [{"name": "lab", "providertype": "sandbox", "provisioner": places}],
        "hardwaretypes": [{"name": "small", "providermap": {"lab": {"flavor": "small"}}}],
        "imagetypes": [{"name": "deb", "providermap": {"lab": {"image": "debian12", "sshuser": "root"}}}],
        "services": [echo("store"), echo("app", uses=("store",)), echo("cron")],
        "clustertemplates": [shop()],
    }


def shop(most=4):
    """The template."""
    return template("shop", ["app", "store"], defaults={"config": config()}, constraints={
        "layout": {"mustcoexist": [], "cantcoexist": [["app", "store"]]},
        "services": {"store": {"quantities": {"min": 1, "max": 1}},
                     "cron": {"quantities": {"min": 1, "max": 1}}},
        "size": {"min": 2, "max": most}})


def config(app=8001, store=8002, greeting="hello"):
    """The cluster's configuration."""
    return {"app": {"port": str(app)}, "store": {"port": str(store)}, "cron": {"port": "8003"},
            "greeting": greeting}


class Machine:
    """One machine of the sandbox, from the inside."""

    def __init__(self, record):
        self.pid, self.name = record["pid"], record["name"]
        self.node, self.address, self.hostname = record["nodeId"], record["address"], record["hostname"]

    def run(self, command, *args):
        """What a command prints there."""
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", "bash", "-c", command,
                               "bash", *map(str, args)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{self.hostname}: {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def services(self):
        """{service: port of its process, None when it is down} of what is installed."""
        text = self.run("""cd /srv; for s in */; do s=${s%/}; [[ -d $s ]] || continue
            pid=$(cat $s/pid 2>/dev/null) && [[ -d /proc/$pid ]] || pid=
            echo "$s" "${pid:+$(tr '\\0' ' ' </proc/$pid/cmdline)}"; done""")
        words = [line.split() for line in text.splitlines()]
        return {word[0]: int(word[-1]) if len(word) > 1 else None for word in words}

    def processes(self):
        """{service: (process, start time)} of what runs."""
        text = self.run("""cd /srv; for p in */pid; do [[ -e $p ]] || continue
            echo ${p%/pid} $(cat $p) $(cut -d' ' -f22 /proc/$(cat $p)/stat); done""")
        return {line.split()[0]: tuple(line.split()[1:]) for line in text.splitlines()}

    def get(self, address, port):
        """Lines of a service's answer on another machine, as this one hears it; None: refused."""
        text = self.run("""exec 3<>/dev/tcp/$1/$2 2>/dev/null || exit 0
            printf 'GET /about HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3""", address, port)
        return text.partition("\n\n")[2].splitlines() or None

    def flag(self, name):
        """Hold or break an action."""
        self.run('touch "/srv/$1"', name)

    def unflag(self, name):
        """Let it go on."""
        self.run('rm -f "/srv/$1"', name)

    def began(self, line):
        """Has this action begun since the last time?"""
        return line in self.run("cat /srv/history 2>/dev/null || true").splitlines()

    def history(self):
        """What was done since the last time."""
        return self.run("cat /srv/history 2>/dev/null; rm -f /srv/history").splitlines()


class World:
    """A cluster and its machines."""

    def __init__(self, stack, user, size, **more):
        self.stack, self.user, self.size = stack, user, size
        self.id = user.create_cluster(f"shop-{size}", "shop", size, **more)
        self.machines = {}

    def path(self, rest):
        """Of an operation."""
        return f"/v2/clusters/{self.id}/{rest}"

    def do(self, rest, body=None, ends="active", method="POST"):
        """An operation, to its end."""
        self.ask(rest, body, method)
        return self.ended(ends)

    def ask(self, rest, body=None, method="POST"):
        """An operation."""
        answer = self.user.request(method, self.path(rest), body)
        assert answer.status == 200, answer

    def ended(self, status="active"):
        """Wait for the end; the machines are looked up again."""
        wait_for(lambda: self.user.cluster_status(self.id) != "pending", PATIENCE, f"the end of {self.id}")
        details = self.user.cluster(self.id)
        assert details["status"] == status, (self.user.get(self.path("why")).text, details)
        self.look(details)
        return details

    def look(self, details=None):
        """The machines by node number; the sandbox and Loom must agree on names and addresses."""
        known = {record["nodeId"]: Machine(record) for record in self.stack.machines() if record["alive"]}
        self.machines = {}
        for node in (details or self.user.cluster(self.id))["nodes"]:
            machine, told = known.get(node["id"]), node["properties"]
            if machine:
                self.machines[told["nodenum"]] = machine
                assert told["hostname"].split(".")[0] == machine.hostname.split(".")[0]
                if told["ipaddresses"]:
                    assert told["ipaddresses"]["access_v4"] == machine.address
        return self.machines

    def services(self):
        """{node number: {service: port or None}}, each port tried from another machine."""
        found = {}
        for number, machine in sorted(self.machines.items()):
            other = next((entry for key, entry in self.machines.items() if key != number), machine)
            found[number] = machine.services()
            for name, port in found[number].items():
                if port:
                    heard = other.get(machine.address, port)
                    assert heard and heard[:2] == [name, machine.hostname], (number, name, heard)
        return found

    def history(self):
        """{node number: what was done there since the last time}."""
        return {number: machine.history() for number, machine in sorted(self.machines.items())}

    def about(self, number, name):
        """(greeting, machines it was told of) that a service's file says."""
        lines = self.machines[number].run('cat "/srv/$1/about"', name).splitlines()
        return lines[2], [int(line.split()[0]) for line in lines[3:]]

    def processes(self):
        """{(node number, service): process}."""
        return {(number, name): process for number, machine in self.machines.items()
                for name, process in machine.processes().items()}


def refused(address, port):
    """Does nobody listen there?"""
    with socket.socket() as sock:
        sock.settimeout(5)
        return sock.connect_ex((address, port)) != 0


@pytest.fixture
def site(stack):
    """A tenant of its own: (stack, its user)."""
    stack.sql("INSERT INTO tenant (id, name) VALUES ('whole', 'whole')")
    scripts = stack.dir / "provisioner/plugins/automators/shell/scripts"
    scripts.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "tests/support/echo_service.sh", scripts)
    stack.make_root()
    admin = stack.client("api.external", tenant="whole")
    for kind, documents in catalog(stack).items():
        for document in documents:
            answer = admin.post(f"/v2/{kind}", document)
            assert answer.status == 200, answer
    yield stack, admin
    (scripts / "echo_service.sh").unlink()


def traces(stack, machines):
    """What is left of machines on this host."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        mounted = mounts.read()
    for machine in machines:
        folder = stack.sandbox_dir / "nodes" / machine.node
        found += [f"folder {folder}"] if folder.exists() else []
        found += [f"mount {folder}"] if str(folder) in mounted else []
        try:
            state = pathlib.Path(f"/proc/{machine.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
            found += [f"process {machine.pid}"] if state.split()[0] != "Z" else []
        except OSError:
            pass
        found += [f"namespace {machine.name}"] if os.path.exists(f"/run/netns/{machine.name}") else []
        found += [f"link {name}" for name in os.listdir("/sys/class/net") if name.startswith(machine.name)]
    return found


# ---- the operations ------------------------------------------------------------------------------


FIRST = ("install", "configure", "initialize", "start")


def done(name, *actions):
    """As the history tells it."""
    return [f"{action} {name}" for action in actions]


def create(world):
    """The machines are there, the services run and know each other."""
    world.ended()
    assert world.services() == {1000: {"app": 8001}, 1001: {"app": 8001}, 1002: {"store": 8002}}
    assert world.history() == {1000: done("app", *FIRST), 1001: done("app", *FIRST),
                               1002: done("store", *FIRST)}
    assert world.about(1000, "app") == ("hello", [1002])
    assert "1001" in world.machines[1000].run("getent hosts $1", world.machines[1001].hostname) or \
        world.machines[1001].address in world.machines[1000].run("getent hosts $1", world.machines[1001].hostname)


def configure(world):
    """With restart at once, without it at the next one; only what the change is about."""
    before = world.processes()
    world.do("config", {"config": config(app=8011)}, method="PUT")
    assert world.services() == {1000: {"app": 8011}, 1001: {"app": 8011}, 1002: {"store": 8002}}
    assert refused(world.machines[1000].address, 8001)
    assert world.history() == {1000: done("app", "stop", "configure", "start"),
                               1001: done("app", "stop", "configure", "start"), 1002: []}
    assert world.processes()[1002, "store"] == before[1002, "store"]
    before = world.processes()
    world.do("config", {"config": config(app=8021, greeting="good day"), "restart": False}, method="PUT")
    assert world.about(1001, "app")[0] == world.about(1002, "store")[0] == "good day"
    assert world.services()[1000] == {"app": 8011} and world.processes() == before
    world.do("services/app/restart")
    assert world.services() == {1000: {"app": 8021}, 1001: {"app": 8021}, 1002: {"store": 8002}}
    assert world.processes()[1002, "store"] == before[1002, "store"]
    world.history()


def add_and_remove(world):
    """A service comes to one machine and goes again without a trace; the others run on."""
    before = world.processes()
    world.do("services", {"services": ["cron"]})
    seen = world.services()
    assert [services.pop("cron") for services in seen.values() if "cron" in services] == [8003]
    assert seen == {1000: {"app": 8021}, 1001: {"app": 8021}, 1002: {"store": 8002}}
    world.do("services/cron", method="DELETE")
    assert world.services() == seen and world.processes() == before
    assert sorted(line for lines in world.history().values() for line in lines) == sorted(
        done("cron", *FIRST, "stop", "remove"))


def start_and_stop(world):
    """All, and one; what runs is left alone, and an order is kept."""
    running = world.services()
    world.do("services/stop")
    assert world.services() == {1000: {"app": None}, 1001: {"app": None}, 1002: {"store": None}}
    assert all(refused(machine.address, port) for machine in world.machines.values() for port in (8021, 8002))
    world.do("services/store/start")
    assert world.services()[1002] == {"store": 8002}
    store = world.processes()[1002, "store"]
    world.do("services/start")
    assert world.services() == running and world.processes()[1002, "store"] == store
    assert world.history() == {number: done(name, "stop", "start")
                               for number, name in ((1000, "app"), (1001, "app"), (1002, "store"))}
    before = world.processes()
    world.do("services/app/stop")
    assert world.services() == {1000: {"app": None}, 1001: {"app": None}, 1002: {"store": 8002}}
    world.do("services/restart")
    assert world.services() == running and not set(before.values()) & set(world.processes().values())
    world.history()


def expand_and_shrink(world):
    """A machine comes and goes; the others hear of it only where they use it."""
    before = world.processes()
    world.do("expand", {"count": 1})
    assert world.services()[1003] == {"app": 8021} and len(world.machines) == 4
    assert world.about(1003, "app") == ("good day", [1002])
    assert world.processes().items() >= before.items()
    leaving = [world.machines[1001]]
    world.do("shrink", {"nodes": [1001]})
    assert sorted(world.machines) == [1000, 1002, 1003] and world.processes()[1002, "store"] == before[1002, "store"]
    assert not traces(world.stack, leaving)
    world.history()


def sync(world):
    """A newer template counts from now on: five machines were too many before."""
    assert world.user.post(world.path("expand"), {"count": 2}).status == 400
    assert world.user.put("/v2/clustertemplates/shop", shop(most=5)).status == 200
    before = world.processes()
    world.do("clustertemplate/sync")
    assert world.processes() == before
    assert world.user.post(world.path("plan"), {"operation": "expand", "count": 2}).status == 200


def pause_and_resume(world):
    """While it is paused the steps that ran are done, and no other begins."""
    for number in (1000, 1003):
        world.machines[number].flag("hold.stop")
    world.ask("services/app/restart")
    wait_for(lambda: all(world.machines[number].began("stop app") for number in (1000, 1003)))
    world.ask("pause")
    for number in (1000, 1003):
        world.machines[number].unflag("hold.stop")
    wait_for(lambda: not any(world.machines[number].services()["app"] for number in (1000, 1003)))
    assert world.services() == {1000: {"app": None}, 1002: {"store": 8002}, 1003: {"app": None}}
    why = world.user.get(world.path("why")).json
    assert "aused" in why["reason"] and "admin" in why["reason"], why
    assert {line for lines in world.history().values() for line in lines} == {"stop app"}
    world.do("resume")
    assert world.services() == {1000: {"app": 8021}, 1002: {"store": 8002}, 1003: {"app": 8021}}
    world.history()


def abort_and_retry(world):
    """An aborted restart ends what runs and leaves the rest; retry does what is left of it."""
    world.machines[1002].flag("hold.stop")
    world.ask("services/store/restart")
    wait_for(lambda: world.machines[1002].began("stop store"))
    world.ask("abort")
    world.ended("inconsistent")
    assert world.services()[1000] == {"app": None}
    world.machines[1002].unflag("hold.stop")
    world.do("retry")
    assert world.services() == {1000: {"app": 8021}, 1002: {"store": 8002}, 1003: {"app": 8021}}
    world.history()
    world.machines[1002].flag("break.start")
    world.do("services/store/restart", ends="inconsistent")
    why = world.user.get(world.path("why")).json["reason"]
    assert "START of store on node 1002 failed" in why, why
    assert world.services() == {1000: {"app": None}, 1002: {"store": None}, 1003: {"app": None}}
    world.machines[1002].unflag("break.start")
    world.history()
    world.do("retry")
    assert world.services() == {1000: {"app": 8021}, 1002: {"store": 8002}, 1003: {"app": 8021}}
    assert world.history() == {1000: done("app", "start"), 1002: done("store", "start"),
                               1003: done("app", "start")}


def aborted_create(stack, user):
    """What an aborted create has made goes again."""
    world = World(stack, user, 2)
    wait_for(lambda: len(world.look()) == 2, PATIENCE, "two machines")
    seen = list(world.machines.values())
    world.ask("abort")
    world.ended("terminated")
    return seen


def expire(world):
    """The lease ends: so do the machines."""
    world.ended()
    seen = list(world.machines.values())
    end = world.user.cluster(world.id)["createTime"] + 1
    assert world.user.post(f"/v2/clusters/{world.id}", {"expireTime": end}).status == 200
    wait_for(lambda: world.user.cluster_status(world.id) == "terminated", PATIENCE, "the end of the lease")
    return seen


@pytest.mark.timeout(900)
def test_every_operation_on_real_machines(site):
    stack, user = site
    world, brief = World(stack, user, 3), World(stack, user, 2)
    gone = []
    for part in (create, configure, add_and_remove, start_and_stop, expand_and_shrink, sync,
                 pause_and_resume, abort_and_retry):
        part(world)
        gone += world.machines.values()
        assert not compare(stack, sandbox(stack), "whole"), part.__name__
        if part is create:
            gone += expire(brief) + aborted_create(stack, user)
    world.user.delete_cluster(world.id, PATIENCE)
    for cluster in (entry["id"] for entry in user.get("/v2/clusters").json):
        with user.events(cluster) as stream:
            last = user.cluster(cluster)["lastEvent"]
            stream.wait(lambda event, number=last: event.id == number, what="the last event")
            assert Story(stream.seen[:last]).check_ended().status == "terminated"
    assert not sandbox(stack) and not compare(stack, sandbox(stack), "whole") and not traces(stack, gone)
