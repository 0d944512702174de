# SPDX-License-Identifier: Apache-2.0
"""What a datacenter remembers between commands (DIR/dc.json), its names, and its inventory."""

import json
import os
import pathlib
import secrets

from stacklib import state as stack_state

from . import ROOT, DcError, render

HOSTS = ("a", "b", "c")
DEFAULT = {"prefix": "loomdc", "subnet": "10.62.0.0/24", "machines_bridge": "ldcm0",
           "machines_subnet": "10.63.0.0/16"}
SCALE = {"ui": 3, "api": 3, "scheduler": 3, "provisioner": 3}
LOCK_SECONDS = 180
SOCKET_PATH_MAX = 100
# Three of everything on one small machine.
LEAN = {"db_buffer_pool": "64M", "db_log_file": "48M", "db_gcache": "128M", "db_pages_lean": "yes",
        "zookeeper_heap": "96m", "haproxy_threads": "1", "provisioner_drain": "20s"}


class State:
    """The datacenter in one folder."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.file = self.directory / "dc.json"
        self.lock_file = None
        self.data = {"bin": str(ROOT / "build/bin"), "bins": {}, "scale": dict(SCALE), "isolated": [], "cut": [],
                     "lossy": {}, "crashed": [], "accounts": False, "settings": {}}
        self.load()

    def __getattr__(self, name):
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(name) from None

    # ---- the file

    def load(self):
        """Read what an earlier command left; nothing is fine."""
        try:
            self.data.update(json.loads(self.file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            pass
        except ValueError as error:
            raise DcError(f"{self.file} is damaged ({error}); delete it") from error

    def save(self, **changes):
        """Write the file as a whole."""
        self.data.update(changes)
        stack_state.write_whole(self.file, self.data)

    def lock(self):
        """One command that changes hosts or network at a time; held until this process ends."""
        self.lock_file = stack_state.lock_folder(self.directory, LOCK_SECONDS, DcError)
        self.load()

    def exists(self):
        """Whether there is a datacenter, running or not."""
        return "prefix" in self.data

    def choose(self):
        """Names and subnets: fixed ones for var/dc, free ones for any other folder."""
        if self.exists():
            return
        names = dict(DEFAULT)
        if self.directory != ROOT / "var/dc":
            names["prefix"], names["subnet"] = "dc" + secrets.token_hex(3), stack_state.free_bridge()[1]
            names["machines_bridge"], names["machines_subnet"] = stack_state.free_bridge()
        if len(str(self.host_dir("a") / "db/run/mysqld.sock")) > SOCKET_PATH_MAX:
            raise DcError(f"{self.directory} is too long a path for the sockets in it")
        self.save(**names)

    # ---- names

    def host_dir(self, host):
        """Folder of a host's files."""
        return self.directory / host

    def _address(self, last):
        return self.subnet.rpartition(".")[0] + f".{last}"

    @property
    def outside(self):
        """The address of this machine itself on the bridge."""
        return self._address(1)

    @property
    def virtual_address(self):
        """The address that moves."""
        return self._address(10)

    def address(self, host):
        """A host's own address."""
        return self._address(11 + HOSTS.index(host))

    def netns(self, host):
        """Name of a host's network namespace, and of its port on the bridge."""
        return f"{self.prefix}-{host}"

    # ---- what runs where

    def bin_of(self, host):
        """Folder of the programs that a host starts."""
        return self.bins.get(host, self.bin)

    def provisioners(self, host):
        """How many provisioners a host runs: they are dealt out in turn."""
        total, at = self.scale["provisioner"], HOSTS.index(host)
        return total // len(HOSTS) + (1 if at < total % len(HOSTS) else 0)

    def runs(self, host, kind):
        """Whether a host runs its copy of a service."""
        return HOSTS.index(host) < self.scale.get(kind, len(HOSTS))

    # ---- configuration

    def inventory(self):
        """The inventory as a file that anyone can read, and parsed."""
        lines = ["# Written by scripts/dc.", "[datacenter]", "name = dc",
                 f"virtual_address = {self.virtual_address}",
                 f"prefix_length = {self.subnet.rpartition('/')[2]}"]
        settings = {**LEAN, **self.settings}
        lines += [f"{key} = {value}" for key, value in settings.items()]
        lines += ["[paths]", f"bin = {self.bin}", f"web = {ROOT}/services/ui-gateway/web",
                  f"plugins = {self.directory}/plugins", f"deploy = {ROOT}/deploy",
                  f"cluster_key_file = {self.directory}/secrets/cluster.key",
                  f"db_password_file = {self.directory}/secrets/db.password", "db_scheduler_password_file =",
                  f"admin_token_file = {self.directory}/secrets/admin.token",
                  f"provisioner_token_file = {self.directory}/secrets/provisioner.token",
                  f"session_key_file = {self.directory}/secrets/session.keys"]
        for host in HOSTS:
            home = self.host_dir(host)
            lines += [f"[host {host}]", f"address = {self.address(host)}",
                      f"provisioners = {self.provisioners(host)}", f"etc = {home}/etc",
                      f"work = {home}/work", f"run = {home}/run", f"haproxy_run = {home}/run",
                      f"keepalived_state = {home}/run/haproxy.down",
                      f"zookeeper_data = {home}/zookeeper", f"db_data = {home}/db/data",
                      f"db_run = {home}/db/run", f"db_tmp = {home}/db/tmp"]
        path = self.directory / "inventory"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(temporary, path)
        return render.read_inventory(path)
