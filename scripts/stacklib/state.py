# SPDX-License-Identifier: Apache-2.0
"""What a stack remembers between commands: DIR/stack.json, under a lock."""

import fcntl
import ipaddress
import json
import os
import pathlib
import random
import re
import secrets
import subprocess
import time

from . import StackError, ports, process, servers

KINDS = ("mariadb", "zookeeper", "api", "scheduler", "provisioner", "gateway")
BRIDGE = "loom0"
SUBNET = "10.61.0.0/16"
LOCK_SECONDS = 120
KEPT = ("mode", "ports", "parts", "settings", "bin", "bridge", "subnet", "auth")


def write_whole(file, data):
    """Replace a JSON file at once."""
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, file)


def lock_folder(directory, seconds, failure):
    """One changing command at a time per folder: the open file that holds the lock until this process ends.
    `failure` is raised when another command holds it for longer."""
    directory.mkdir(parents=True, exist_ok=True)
    held = open(directory / ".lock", "w", encoding="ascii")
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held
        except OSError:
            if time.monotonic() >= deadline:
                raise failure(f"another command works on {directory}") from None
            time.sleep(0.02)


def split_part(part):
    """'api2' -> ('api', 2); 'api' -> ('api', 1)."""
    found = re.fullmatch(r"([a-z]+)([1-9][0-9]?)?", part)
    if not found or found.group(1) not in KINDS:
        raise StackError(f"'{part}' is no part of the stack; parts are {', '.join(KINDS)}, "
                         "and api2, scheduler2, provisioner2 ... for more of one")
    kind, number = found.group(1), int(found.group(2) or 1)
    if number > 1 and kind in ("mariadb", "zookeeper"):
        raise StackError(f"there is one {kind} in a stack")
    return kind, number


def part_name(part):
    """One spelling per part: 'api1' is 'api'."""
    kind, number = split_part(part)
    return kind if number == 1 else f"{kind}{number}"


def part_order(part):
    """Sort key: start order."""
    kind, number = split_part(part)
    return KINDS.index(kind), number


def free_bridge():
    """A bridge name and a /24 that nothing on this machine uses."""
    done = subprocess.run(["ip", "-o", "-4", "route", "show", "table", "all"], capture_output=True,
                          text=True, env={"PATH": process.PATH}, check=False)
    used = []
    for word in re.findall(r"\d+\.\d+\.\d+\.\d+(?:/\d+)?", done.stdout):
        network = ipaddress.ip_network(word, strict=False)
        if network.prefixlen > 8:
            used.append(network)
    chooser = random.SystemRandom()
    for _ in range(1000):
        subnet = ipaddress.ip_network(f"10.{chooser.randrange(78, 250)}.{chooser.randrange(256)}.0/24")
        if not any(subnet.overlaps(network) for network in used):
            return f"lm{secrets.token_hex(4)}", str(subnet)
    raise StackError("no free subnet found for the sandbox bridge")


class State:
    """The stack in one folder."""

    def __init__(self, root, directory):
        self.root = pathlib.Path(root)
        self.directory = pathlib.Path(directory)
        self.file = self.directory / "stack.json"
        self.lock_file = None
        self.mode = "default"
        self.ports = {}
        self.parts = []
        self.settings = {}
        self.bin = str(self.root / "build" / "bin")
        self.bridge, self.subnet = "", ""
        self.auth = "token"
        self.load()

    def load(self):
        """Read what an earlier command left; nothing is fine."""
        try:
            data = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except ValueError as error:
            raise StackError(f"{self.file} is damaged ({error}); delete it") from error
        for key in KEPT:
            setattr(self, key, data.get(key, getattr(self, key)))

    def save(self):
        """Write stack.json as a whole."""
        data = {key: getattr(self, key) for key in KEPT}
        write_whole(self.file, data)

    def lock(self):
        """One changing command at a time per folder; held until this process ends."""
        self.lock_file = lock_folder(self.directory, LOCK_SECONDS, StackError)
        self.load()

    def choose(self, options):
        """Take over what the command line says; fill what is still open."""
        if options.ports and not self.ports:
            self.mode = options.ports
        self.auth = options.auth or self.auth
        if options.bin:
            self.bin = str(pathlib.Path(options.bin).absolute())
        for text in options.port:
            key, _, number = text.partition("=")
            if not number.isdigit() or not 0 < int(number) < 65536:
                raise StackError(f"--port wants NAME=NUMBER, not '{text}'")
            self.ports[key] = int(number)
        for text in options.set:
            name, _, value = text.partition("=")
            part, _, key = name.partition(".")
            if not key or "=" not in text:
                raise StackError(f"--set wants PART.KEY=VALUE, not '{text}'")
            self.settings.setdefault(part_name(part), {})[key] = value
        if not self.bridge:
            self.bridge, self.subnet = (BRIDGE, SUBNET) if self.mode == "default" else free_bridge()
        self.bridge = options.bridge or self.bridge
        self.subnet = options.subnet or self.subnet

    def speaks_tls(self, part):
        """Whether a part was set to serve by TLS."""
        return bool(self.settings.get(part, {}).get("tls_certificate"))

    def url(self, key):
        """Where a port is asked: api.external, gateway ..."""
        scheme = "https" if self.speaks_tls(key.partition(".")[0]) else "http"
        return f"{scheme}://127.0.0.1:{self.ports[key]}"

    def token_file(self, name):
        """The token of admin or provisioner, made when it is first asked for."""
        path = self.directory / "secrets" / f"{name}.token"
        servers.secret_file(path, lambda: f"loom_{secrets.token_urlsafe(32)}\n")
        return path

    def add(self, part):
        """The part belongs to the stack from now on and has its ports."""
        kind, number = split_part(part)
        ports.assign(self.mode, kind, number, part, self.ports, self.directory.absolute())
        if part not in self.parts:
            self.parts = sorted(self.parts + [part], key=part_order)
