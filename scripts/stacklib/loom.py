# SPDX-License-Identifier: Apache-2.0
"""Loom's own services: their configuration files, how they start, when they are ready."""

import os
import secrets
import ssl

from . import StackError, servers
from .client import Client
from .state import split_part

BINARY = {"api": "loom-api", "scheduler": "loom-scheduler", "provisioner": "loom-provisioner",
          "gateway": "loom-ui-gateway"}


class Service:
    """One instance of one Loom service."""

    def __init__(self, state, name):
        self.state = state
        self.name = name
        self.kind, self.number = split_part(name)
        self.binary = BINARY[self.kind]
        self.config = state.directory / "etc" / f"loom-{name}.conf"

    def _port(self, key):
        if key not in self.state.ports:
            raise StackError(f"{self.name} needs {key.partition('.')[0]}, which is not part of this stack")
        return self.state.ports[key]

    def _listen(self, name=""):
        return f"127.0.0.1:{self._port(f'{self.name}.{name}' if name else self.name)}"

    def endpoint(self):
        """Where it listens, for people."""
        return self._listen({"api": "external", "gateway": ""}.get(self.kind, "admin"))

    def _url(self, key):
        self._port(key)
        return self.state.url(key)

    def _cluster_settings(self):
        directory = self.state.directory
        key_file = directory / "secrets" / "cluster.key"
        servers.secret_file(key_file, lambda: secrets.token_hex(32) + "\n")
        return {
            "db_host": "127.0.0.1",
            "db_port": self._port("mariadb"),
            "db_user": servers.MariaDB.USER,
            "db_password_file": directory / "secrets" / "db.password",
            "db_name": servers.MariaDB.DATABASE,
            "zk_quorum": f"127.0.0.1:{self._port('zookeeper')}",
            "zk_root": "/loom",
            "bus_listen": "tcp://127.0.0.1:0",
            "cluster_key_file": key_file,
        }

    def _host_values(self):
        """What every tenant's provider may name of this host: what the stack has for it."""
        directory = self.state.directory
        cache = os.environ.get("LOOM_SANDBOX_ROOT_CACHE") or self.state.root / "var/cache/sandbox-root"
        named = [("state_dir", directory / "sandbox"), ("state_dir", directory / "simulated"),
                 ("root_dir", cache), ("bridge", self.state.bridge), ("subnet", self.state.subnet)]
        return ", ".join(f"{field}={value}" for field, value in named if value)

    def settings(self):
        """Key -> value of the configuration file."""
        values = {"log_level": "info"}
        if self.kind == "api":
            values.update(self._cluster_settings())
            values["auth_mode"] = self.state.auth
            if self.state.auth == "token":
                values["admin_token_file"] = self.state.token_file("admin")
                values["provisioner_token_file"] = self.state.token_file("provisioner")
            values["external_listen"] = self._listen("external")
            values["internal_listen"] = self._listen("internal")
            values["host_values"] = self._host_values()
        elif self.kind == "scheduler":
            values.update(self._cluster_settings())
            values["db_user"] = servers.MariaDB.SCHEDULER
            values["db_password_file"] = self.state.directory / "secrets" / "db-scheduler.password"
            values["admin_listen"] = self._listen("admin")
        elif self.kind == "provisioner":
            work = self.state.directory / self.name
            work.mkdir(parents=True, exist_ok=True)
            values["admin_listen"] = self._listen("admin")
            values["server_uri"] = self._url("api.internal")
            if self.state.auth == "token":
                values["token_file"] = self.state.token_file("provisioner")
            values["provisioner_id"] = f"local-{self.number}"
            values["plugin_dir"] = self.state.root / "services/provisioner/plugins"
            values["work_dir"] = work
        else:
            values["listen"] = self._listen()
            values["api_uri"] = self._url("api.external")
            values["web_dir"] = self.state.root / "services/ui-gateway/web"
            if self.state.auth == "headers":
                values["default_user"] = "admin"
        values.update(self.state.settings.get(self.name, {}))
        return values

    def prepare(self):
        """Write the configuration; answers the service's command."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{key} = {value}\n" for key, value in self.settings().items()]
        self.config.write_text("# Written by scripts/stack at each start.\n" + "".join(lines),
                               encoding="utf-8")
        return [f"{self.state.bin}/{self.binary}", "--config", str(self.config)]

    def ready(self):
        """What the service itself says."""
        by_tls = self.state.speaks_tls(self.name)
        client = Client(f"{'https' if by_tls else 'http'}://{self.endpoint()}", timeout=2)
        if by_tls:  # its own, by whatever name, which it takes from clients, too
            own = self.state.settings[self.name]
            client.tls = ssl.create_default_context(cafile=own["tls_certificate"])
            client.tls.check_hostname = False
            client.tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            client.tls.load_cert_chain(own["tls_certificate"], own["tls_key"])
        return client.get("/readyz").status == 200


def part(state, name):
    """The object that knows how to run a part."""
    kind, _ = split_part(name)
    makers = {"mariadb": servers.MariaDB, "zookeeper": servers.ZooKeeper}
    return makers.get(kind, Service)(state, name)
