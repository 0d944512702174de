# SPDX-License-Identifier: Apache-2.0
"""The datacenter of deploy/compose/datacenter: three Compose projects on one engine, a network between them."""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from .api import Api
from .compose import TAG, compose_command, inspect, said
from .datacenter import HOSTS, wait
from .stack import ROOT, base_dir

NAMES = ("loom-haproxy", "loom-mariadb", "loom-zookeeper", "loom-keepalived", "loom-setup", "loom-api",
         "loom-scheduler", "loom-ui-gateway", "loom-provisioner")
# Once, so that a machine of another kind does not become the one kind of bed.
LEAN = {"db_buffer_pool": "128M", "db_log_file": "96M", "db_gcache": "128M", "db_pages_lean": "yes",
        "zookeeper_heap": "128m", "provisioner_drain": "20s"}


def must(*words, timeout=60, env=None):
    """What a command says that has to be content."""
    code, text = said(*words, timeout=timeout, env=env)
    assert code == 0, f"{' '.join(map(str, words))}: {text[-4000:]}"
    return text


class ComposeDatacenter:
    """Three machines. up() starts them, close() leaves nothing."""

    def __init__(self, **settings):
        self.name = f"t{os.getpid()}"
        self.network = f"loom-{self.name}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="compose-", dir=base_dir()))
        self.subnet = self.make_network()
        self.settings = {**LEAN, **settings}
        self.env = {**os.environ, "LOOM_VERSION": TAG}

    # ---- its network and files

    def make_network(self):
        """A network that nobody here has; answers its first three numbers."""
        for number in range(os.getpid() % 200, os.getpid() % 200 + 55):
            subnet = f"10.89.{number}"
            if said("docker", "network", "create", "--subnet", f"{subnet}.0/24", self.network)[0] == 0:
                return subnet
        raise AssertionError(f"no network of 10.89.x.0/24 could be made: {said('docker', 'network', 'ls')[1]}")

    def address(self, host):
        """A machine's own address."""
        return f"{self.subnet}.{11 + HOSTS.index(host)}"

    @property
    def virtual_address(self):
        """The address that moves."""
        return f"{self.subnet}.10"

    def setup(self, *words):
        """loom-setup, as deploy/docs/containers.md has it."""
        return must("docker", "run", "--rm", "--network", "none", "-v", f"{self.dir}:/loom", "-v",
                    f"{self.dir}/secrets:/run/secrets/loom", f"loom-setup:{TAG}", *words)

    def prepare(self):
        """Inventory, secrets, and all machines' projects."""
        lines = ["[datacenter]", f"name = {self.name}", "layout = compose", f"docker_network = {self.network}",
                 f"virtual_address = {self.virtual_address}",
                 *(f"{key} = {value}" for key, value in self.settings.items())]
        for host in HOSTS:
            lines += [f"[host {host}]", f"address = {self.address(host)}"]
        (self.dir / "inventory").write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.setup("secrets")
        for host in HOSTS:
            self.setup("machine", host)

    # ---- commands

    def compose(self, host, *words, timeout=240):
        """docker compose ... of one machine."""
        return must(*compose_command(), "-f", self.dir / host / "compose.yaml", *words, timeout=timeout, env=self.env)

    def tool(self, *words, code=0, timeout=900):
        """The document of loom-datacenter, or what it says instead."""
        done = subprocess.run([ROOT / "scripts/loom-datacenter", *words, "--inventory", self.dir / "inventory", "--json"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout,
                              env={**self.env, "LOOM_COMPOSE": " ".join(compose_command())}, check=False)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.logs()}"
        return json.loads(done.stdout) if done.stdout else done.stderr

    def copied(self, host, *words, stdin=os.devnull, stdout=os.devnull, code=0):
        """db-copy in a machine's database, from a file or to one; what it says besides."""
        with open(stdin, "rb") as source, open(stdout, "wb") as target:
            done = subprocess.run([*compose_command(), "-f", self.dir / host / "compose.yaml", "exec", "-T", "db", "db-copy",
                                   *words], stdin=source, stdout=target, stderr=subprocess.PIPE, timeout=120, check=False,
                                  env=self.env)
        said_so = done.stderr.decode("utf-8", "replace")
        assert done.returncode == code, f"{words}: {done.returncode} {said_so}"
        return said_so

    def on_all(self, *words, hosts=HOSTS):
        """The same on several machines at the same time, as several operators would."""
        with ThreadPoolExecutor(len(hosts)) as pool:
            return list(pool.map(lambda host: self.compose(host, *words), hosts))

    def up(self, seconds=600):
        """All machines, and the catalog of `demo`."""
        self.prepare()
        self.on_all("up", "-d", "--no-build")
        self.whole(seconds)
        self.compose("a", "run", "--rm", "catalog")

    def close(self):
        """Everything away, whatever state it is in."""
        ids = self.ids()
        if ids:
            said("docker", "unpause", *ids)
        for host in HOSTS:
            if (self.dir / host / "compose.yaml").exists():
                said(*compose_command(), "-f", self.dir / host / "compose.yaml", "--profile", "once", "down", "-v",
                     "--remove-orphans", "-t", "2", timeout=180, env=self.env)
        said("docker", "network", "rm", self.network)
        shutil.rmtree(self.dir)

    def left(self):
        """What is left of it in the engine."""
        found = [kind for kind in ("container", "network", "volume")
                 if said("docker", kind, "ls", "-q", "--filter", f"name=loom-{self.name}")[1].split()]
        return found + [str(self.dir)] * self.dir.exists()

    # ---- faults

    def project(self, host):
        """Its name."""
        return f"loom-{self.name}-{host}"

    def ids(self, host=None):
        """All containers of a machine, or of all."""
        names = [f"label=com.docker.compose.project={self.project(one)}" for one in (host or HOSTS)]
        return [word for name in names for word in said("docker", "ps", "-aq", "--filter", name)[1].split()]

    def kill(self, host):
        """All of a machine's containers, at once."""
        must("docker", "kill", *self.ids(host))

    def boot(self, host):
        """All of them again."""
        self.compose(host, "up", "-d", "--no-build")

    def pause(self, host, verb="pause"):
        """All of them stand still; with `unpause` they go on."""
        ids = self.ids(host)

        def done():
            said("docker", verb, *ids)  # one that just asks after its health may refuse
            return {container["State"]["Paused"] for container in inspect("container", *ids)} == {verb == "pause"}

        wait(done, 60, f"{verb} {host}", 0.05)

    def cut(self, host):
        """The machine is on its own."""
        must("docker", "network", "disconnect", self.network, f"{self.project(host)}-machine-1")

    def join(self, host):
        """It has its network again."""
        must("docker", "network", "connect", "--ip", self.address(host), self.network, f"{self.project(host)}-machine-1")

    # ---- what it is

    @functools.cached_property
    def token(self):
        """The administrator's."""
        return (self.dir / "secrets/admin.token").read_text(encoding="ascii").strip()

    def api(self, timeout=6):
        """A client of the virtual address."""
        return Api(f"http://{self.virtual_address}:55054", "admin", "superadmin", timeout, token=self.token)

    def page(self, timeout=6):
        """The page, without a user."""
        return Api(f"http://{self.virtual_address}:8100", None, None, timeout)

    def asked(self, host, path):
        """What a database's responder answers with."""
        try:
            with urllib.request.urlopen(f"http://{self.address(host)}:9200{path}", timeout=1) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def writer(self):
        """The machine whose database takes the traffic."""
        return wait(lambda: [host for host in HOSTS if self.asked(host, "/writer") == 200], 60, "a writer")[0]

    def holds(self, host):
        """Whether a machine has the virtual address."""
        code, text = said("docker", "exec", f"{self.project(host)}-keepalived-1", "ip", "-4", "-o", "address")
        return code == 0 and f" {self.virtual_address}/" in text

    def holder(self):
        """The machine that has it."""
        return wait(lambda: [host for host in HOSTS if self.holds(host)], 60, "a holder of the virtual address")[0]

    def ill(self):
        """Containers that are not well, in words."""
        found = []
        for container in inspect("container", *self.ids()):
            state = container["State"]
            health = state.get("Health", {}).get("Status", "healthy")
            if state["Status"] != "running" or state["Paused"] or health != "healthy":
                found.append(f"{container['Name']} is {state['Status']}, {health}")
        return found

    def ready(self):
        """Whether all is well, and each role is held once."""
        return (not self.ill() and [self.asked(host, "/node") for host in HOSTS] == [200] * 3
                and sum(self.asked(host, "/writer") == 200 for host in HOSTS) == 1
                and sum(self.holds(host) for host in HOSTS) == 1)

    def whole(self, seconds=180):
        """Wait for it."""
        wait(self.ready, seconds, lambda: f"a whole datacenter ({self.ill()})\n{self.logs()}", 0.5)

    def logs(self):
        """The end of all logs of all machines."""
        text = ""
        for host in HOSTS:
            with contextlib.suppress(AssertionError):
                text += self.compose(host, "logs", "--no-color", "--tail", "12")
        return text[-20000:]

    def status(self):
        """What `loom-datacenter status` says on a machine."""
        return json.loads(self.compose("a", "run", "--rm", "-T", "tool", "status", "--json").splitlines()[-1])["parts"]

    def journal(self):
        """[(time, node, effect)] of the simulated provider."""
        path = self.dir / "simulated/journal"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [(int(words[0]) / 1000, words[1], words[4]) for words in map(str.split, lines)]
