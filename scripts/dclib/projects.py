# SPDX-License-Identifier: Apache-2.0
"""How a machine is worked on that is a Compose project, in a folder of its name beside the inventory.

Which images a project wants, its compose.yaml says; which files a container has read, its mounts and the
table of setup.py. A container that began before one of its files was written is out of date, whoever wrote it:
so what was broken off is finished by the same command.
"""

import base64
import copy
import datetime
import json
import os
import pathlib
import shlex
import time

from . import DcError, checks, doctor, remote, setup
from .ask import fetch

COMPOSE = shlex.split(os.environ.get("LOOM_COMPOSE") or "docker compose")
VERSION = "org.opencontainers.image.version"
PROJECT, SERVICE = "com.docker.compose.project", "com.docker.compose.service"
INSIDE = "/run/secrets/loom/"  # where services have the files of the folder `secrets`
# The order in which a machine is left: its address, then what answers and works, while database and proxies are there.
LEFT_FIRST = ("keepalived",), ("ui", "api", "scheduler", "provisioner-")
NETWORK = "machine"  # the container whose network the others have, where all are projects of one engine
ENDS_SECONDS, READY_SECONDS, MOVES_SECONDS = 900, 300, 30


def _began(container):
    """When a container's process began, in seconds."""
    return datetime.datetime.fromisoformat(container["State"]["StartedAt"]).timestamp()


class Projects:
    """The machines of an inventory, of which `host` is this one."""

    set_up = "run `loom-setup machine` there"
    anew = "Start it; or, where it is to begin anew, docker compose down -v there first"
    gateways_reread = False  # a container keeps the file that it began with

    def __init__(self, inventory, host, path):
        self.host, self.path = host, path
        self.folder = pathlib.Path(path).resolve().parent
        self.inventory = self._as_here(inventory)
        self.one_engine = bool(inventory["datacenter"]["docker_network"])

    def _as_here(self, inventory):
        """The inventory with secrets where this machine has them, and not its containers."""
        found = copy.deepcopy(inventory)
        for values in (found["paths"], found["datacenter"]):
            values.update({key: f"{self.folder}/secrets/{text.removeprefix(INSIDE)}" for key, text in values.items()
                           if text.startswith(INSIDE)})
        found["paths"]["etc"] = str(self.folder)
        return found

    def facts(self):
        """What the machines say of themselves."""
        return {"datacenter": checks.datacenter_of(self.inventory),
                "others": checks.others(self.inventory, self.host, self.path, lambda name, script, timeout: self.on(
                    name, script, timeout=timeout))}

    def on(self, name, script, stdin=None, timeout=30):
        """What a shell script says on a machine; where all are projects of one engine, here."""
        if self.one_engine or name == self.host:
            return remote.run(["sh", "-c", script], stdin, timeout)
        return remote.on(self.inventory["hosts"][name]["address"], script, stdin, timeout)

    def compose(self, name, *words, stdin=None, timeout=ENDS_SECONDS):
        """docker compose ... of a machine's project."""
        command = [*COMPOSE, "-f", f"{self.folder}/{name}/compose.yaml", *words]
        return self.on(name, shlex.join(command), stdin, timeout)

    # ---- what there is

    def images(self):
        """{service: (id, version)} of the images that the project wants, with those of `once`."""
        told = json.loads(self.compose(self.host, "--profile", "once", "config", "--format", "json"))["services"]
        names = sorted({one["image"] for one in told.values()})
        try:
            found = json.loads(remote.run(["docker", "image", "inspect", *names]))
        except DcError as error:
            raise DcError(f"{error}: images have to be on a machine before its upgrade (deploy/docs/containers.md)") from error
        known = {name: (image["Id"], (image["Config"]["Labels"] or {}).get(VERSION, "?"))
                 for name, image in zip(names, found, strict=True)}
        return {service: (one["image"], *known[one["image"]]) for service, one in told.items()}

    def containers(self, name=""):
        """{service: what the engine knows of its container} of this machine, or of another one."""
        name = name or self.host
        ids = self.compose(name, "ps", "-a", "-q").split()
        found = json.loads(self.on(name, shlex.join(["docker", "container", "inspect", *ids]))) if ids else []
        return {one["Config"]["Labels"][SERVICE]: one for one in found}

    def outdated(self):
        """Services that run with a configuration, or a secret, that was written after they began."""
        units = {}
        for unit in setup.units_of(self.inventory, self.host):
            units.setdefault(unit.service, []).extend(unit.configured_by)
        etc, found = self.folder / self.host / "etc", []
        for service, container in self.containers().items():
            files = [path for begin in units.get(service, ()) for path in etc.glob(f"{begin}*")]
            files += [path for mount in container["Mounts"] if (path := pathlib.Path(mount["Source"])).is_file()]
            if container["State"]["Running"] and any(path.stat().st_mtime > _began(container) for path in files):
                found.append(service)
        return found

    # ---- an upgrade

    def newer(self):
        """[{name, from, to}] of images that are others than what runs."""
        return list({one["name"]: one for one in self._stale().values()}.values())

    def _stale(self):
        """{service: {name, from, to} of its image} where that is another one than what runs."""
        wanted, found = self.images(), {}
        for service, container in self.containers().items():
            if service not in wanted:
                continue
            image, now, to = wanted[service]
            if container["Image"] != now:
                begun = container["Config"]["Labels"].get(VERSION, "?")
                if begun == to:
                    begun, to = (f"{to} ({one.removeprefix('sha256:')[:12]})" for one in (container["Image"], now))
                found[service] = {"name": image.rpartition("/")[2].partition(":")[0], "from": begun, "to": to}
        return found

    def tell(self, name):
        """A machine's project, by the program of the image that is wanted here; the accounts at the database are in it."""
        words = ["docker", "run", "--rm", "--network", "none", "-v", f"{self.folder}:/loom",
                 "-v", f"{self.folder}/secrets:/run/secrets/loom", self.images()["tool"][0], "machine", name]
        self.on(name, shlex.join(words), timeout=60)

    def take(self, found):
        """The machine is left in an order in which users do not notice, and comes back with what is new."""
        self.tell(self.host)
        concerned = {*self._stale(), *self.outdated()}
        if concerned:
            setup.say(", ".join(f"{one['name']} {one['to']}" for one in found) or "another configuration")
            self.leave(concerned)
        setup.say(f"{self.host}: up")
        self.compose(self.host, "up", "-d", "--remove-orphans")

    def leave(self, concerned):
        """Stop what is to be new: the address first, then what works, then the rest; each in its order, as the network may
        be new, too."""
        services = list(self.containers())
        for kinds in LEFT_FIRST:
            wanted = [name for name in services if name.startswith(kinds)]
            if wanted:
                setup.say(f"{self.host}: {', '.join(wanted)} stop")
                self.compose(self.host, "stop", *wanted)
            self._address_answers()
        rest = sorted(set(services) - {NETWORK} if NETWORK in concerned else concerned)
        self.compose(self.host, "stop", *rest)

    def _address_answers(self):
        """Until another machine serves the virtual address."""
        address, port = self.inventory["datacenter"]["virtual_address"], int(self.inventory["ports"]["ui"])
        end = time.monotonic() + MOVES_SECONDS
        while fetch(address, port, "/")[0] == 0:
            if time.monotonic() > end:
                raise DcError(f"{address} does not answer {MOVES_SECONDS} s after this machine has left it: look at keepalived "
                              "on the others; docker compose up -d starts this machine again")
            time.sleep(setup.PAUSE)

    def _ill(self, name):
        """What of a machine is not well: containers, and what answers."""
        states = {service: container["State"] for service, container in self.containers(name).items()}
        found = [f"{service} is {state['Status']}" for service, state in states.items() if state["Status"] != "running"]
        found += [f"{service} is {state['Health']['Status']}" for service, state in states.items()
                  if state.get("Health", {"Status": "healthy"})["Status"] != "healthy"]
        return found + [f"{part['name']}: {part['error']}" for part in doctor.look(self.inventory)["parts"]
                        if part["host"] == name and not part["ready"]]

    def finish(self, name=""):
        """Until all of this machine, or of another one, is well, and so the next one may be left."""
        name = name or self.host
        end = time.monotonic() + READY_SECONDS
        while ill := self._ill(name):
            if time.monotonic() > end:
                raise DcError(f"{name} is not well after {READY_SECONDS} s: {'; '.join(ill)}; mend that, then run this again")
            time.sleep(setup.PAUSE)
        setup.say(f"{name}: all is ready")

    # ---- other passwords

    def sql(self, text):
        """Statements of the administrator of this machine's database."""
        self.compose(self.host, "exec", "-T", "db", "mariadb", "--no-defaults",
                     f"--socket={self.inventory['paths']['db_run']}/mysqld.sock", stdin=text, timeout=60)

    def restart(self, name, unit):
        """One of a machine's services ends and begins, with the files that are there by then."""
        services = {one.name: one.service for one in setup.units_of(self.inventory, name)}
        self.compose(name, "restart", services[unit])

    # ---- a new machine

    def is_new(self, name, _told):
        """Whether nothing of the machine's project is there: no container and no data."""
        project = f"label={PROJECT}=loom-{self.inventory['datacenter']['name']}-{name}"
        return not self.on(name, f"docker ps -aq --filter {project}; docker volume ls -q --filter {project}").strip()

    def lacks(self, name):
        """What has to be there before it is set up, in words; "": nothing."""
        names = " ".join(sorted({shlex.quote(image) for image, _, _ in self.images().values()}))
        compose = shlex.join(COMPOSE)
        if self.on(name, f"{compose} version >/dev/null 2>&1 || echo lacks").strip():
            return f"{compose} does not work on {name}: install it there"
        if self.on(name, f"docker image inspect {names} >/dev/null 2>&1 || echo lacks").strip():
            return f"{name} lacks some of the images {names}: load them there (deploy/docs/containers.md)"
        return ""

    def begin(self, name):
        """Inventory and secrets of here, its project, and all of it up; exit code."""
        if not self.one_engine:
            for file in (pathlib.Path(self.path).resolve(), *sorted((self.folder / "secrets").iterdir())):
                self._put(name, file)
        self.tell(name)
        setup.say(f"{name}: up; its database is copied from the others'")
        self.compose(name, "up", "-d", "--remove-orphans")
        self.finish(name)
        return 0

    def _put(self, name, file):
        """The same file on another machine, its owner and mode as well."""
        status, there = file.stat(), shlex.quote(str(file))
        self.on(name, f"umask 077; mkdir -p {shlex.quote(str(file.parent))}; base64 -d >{there}.new && "
                f"chown {status.st_uid}:{status.st_gid} {there}.new && chmod {status.st_mode & 0o777:o} {there}.new && "
                f"mv {there}.new {there}", stdin=base64.b64encode(file.read_bytes()).decode("ascii"))
