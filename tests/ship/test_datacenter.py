# SPDX-License-Identifier: Apache-2.0
"""A datacenter of three machines from packages, as an operator makes and keeps one (make test-ship)."""

import json
import os
import time

import pytest

from stacklib.client import Client
from support import ROOT, compose, machine, wait_for
from support.steady import steady

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(2400)]

FIRST, SECOND = "0.90.0", "0.91.0"
HOSTS = ("a", "b", "c")
SECRETS = "cluster.key", "db.password", "db-scheduler.password", "admin.token", "provisioner.token"
SESSIONS = "session.keys"
INVENTORY = """[datacenter]
name = test
virtual_address = {net}.10
prefix_length = 24
db_buffer_pool = 64M
db_log_file = 48M
db_gcache = 64M
db_pages_lean = yes
db_logs_days = 7
zookeeper_heap = 96m
provisioner_drain = 10s
""" + "".join(f"[host {host}]\naddress = {{net}}.{11 + index}\n" for index, host in enumerate(HOSTS))


class Site:
    """A network of the engine, and machines in it at the inventory's addresses."""

    def __init__(self, packages):
        self.packages, self.boxes, self.outputs = packages, {}, []
        self.network = f"loom-test-{os.getpid()}-site"
        for number in range(20, 250):
            self.net = f"10.213.{number}"
            code, text = compose.said("docker", "network", "create", f"--subnet={self.net}.0/24", self.network)
            if code == 0:
                return
        raise AssertionError(text)

    def add(self, host):
        """A new machine with the packages, and nothing set up."""
        box = machine.Machine(host, self.packages, f"--network={self.network}", f"--ip={self.address(host)}",
                              "--volume=/var/lib/mysql", image="member")
        self.boxes[host] = box
        box.before = machine.files(box)
        box.apt("install", *machine.NAMES)
        return box

    def address(self, host):
        """As in the inventory."""
        return f"{self.net}.{11 + HOSTS.index(host)}"

    def lose(self, host):
        """The machine is gone, with all that it had."""
        box = self.boxes.pop(host)
        compose.said("docker", "kill", box.name)
        box.close()

    def tool(self, host, *words, timeout=600):
        """(exit code, document, all of its output) of loom-datacenter on a machine."""
        code, text = self.boxes[host].said("bash", "-c", f"loom-datacenter {' '.join(words)} --json 2>/tmp/progress",
                                           timeout=timeout)
        said = text + self.boxes[host].sh("cat /tmp/progress")
        self.outputs.append(said)
        try:
            return code, json.loads(text.splitlines()[-1] if text else "{}"), said
        except ValueError:
            return code, {}, said

    def does(self, host, *words):
        """The document of a command that has to succeed."""
        code, document, said = self.tool(host, *words)
        assert code == 0, f"{words} on {host}: {code}\n{said}\n{self.boxes[host].journal()}"
        return document

    def api(self):
        """REST through the virtual address, from outside."""
        token = next(iter(self.boxes.values())).sh("cat /etc/loom/admin.token").strip()
        return Client(f"http://{self.net}.10:55054", timeout=30, token=token)

    def make_cluster(self, name):
        """Through the virtual address, to its end."""
        answer = self.api().post("/v2/clusters", {"name": name, "numMachines": 2, "clusterTemplate": "demo"})
        assert answer.ok, answer
        path = f"/v2/clusters/{answer.json['id']}/status"
        wait_for(lambda: self.api().get(path).json["status"] == "active", 90, f"{name} to be active")
        return answer.json["id"]

    def is_well(self):
        """Every part of every machine is ready, and the doctor has nothing to say."""
        host, found = next(iter(self.boxes)), []

        def nothing():
            _, told, said = self.tool(host, "doctor")
            findings = told.get("findings", [{"where": host, "what": said}])
            found[:] = [one for one in findings if one["where"] != "backup" and "disk" not in one["what"]]
            return not found

        wait_for(nothing, 240, found)
        assert self.tool(host, "status")[0] == 0

    def close(self):
        """Everything away."""
        for box in self.boxes.values():
            box.close()
        compose.said("docker", "network", "rm", self.network)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Three machines with packages of the version FIRST and the inventory."""
    compose.need_engine()
    folder = machine.folder_of(tmp_path_factory)
    machine.build_packages(folder, FIRST)
    machine.build_image("member")
    made = Site(folder)
    try:
        inventory = tmp_path_factory.mktemp("inventory") / "inventory"
        inventory.write_text(INVENTORY.format(net=made.net), encoding="utf-8")
        for host in HOSTS:
            made.add(host).put(inventory, "/etc/loom/inventory")
        yield made
    finally:
        made.close()


def test_a_datacenter_from_the_first_setup_to_the_purge(site):
    what_is_wrong_is_told_at_once(site)
    it_is_set_up(site)
    setup_again_changes_nothing(site)
    a_change_of_the_inventory_is_taken(site)
    a_certificate_is_carried_to_all(site)
    the_first_machine_is_lost_and_replaced(site)
    the_database_gets_other_passwords(site)
    it_is_again_as_it_was_at_a_time(site)
    it_is_upgraded_while_it_serves(site)
    no_secret_was_told(site)
    purge_leaves_nothing(site)


def what_is_wrong_is_told_at_once(site):
    """All of it, with exit code 3, and nothing is changed; the second machine waits for the first one's secrets."""
    box = site.boxes["a"]
    before = machine.files(box)
    box.sh("systemd-run --unit=squatter python3 -m http.server 9200")
    box.sh("mv /usr/bin/rsync /usr/bin/rsync.away")
    wait_for(lambda: "9200" in box.sh("ss -Hltn"), 60, "somebody to take the port")
    code, told, said = site.tool("a", "setup")
    assert code == 3, said
    assert {"port 9200", "programs"} <= {one["where"] for one in told["findings"] if one["level"] == "error"}, said
    box.sh("systemctl stop squatter; mv /usr/bin/rsync.away /usr/bin/rsync")
    assert machine.files(box) == before
    code, told, said = site.tool("b", "setup")
    assert code == 3 and "run setup there first" in said, said
    plan = site.does("a", "setup", "--dry-run")
    assert (plan["secrets"], plan["database"]) == ("make", "begin") and "loom-api" in plan["start"], plan
    assert machine.files(box) == before


def it_is_set_up(site):
    """One machine after the other; the same secrets on all, for the services only; a cluster is made."""
    done = site.does("a", "setup")
    assert done["secrets"] == "made" and done["waits_for"], done
    for host in HOSTS[1:]:
        done = site.does(host, "setup")
        assert done["secrets"] == "fetched from a" and done["database"] == "join", done
    sums = {box.sh(f"cd /etc/loom && sha256sum {' '.join(SECRETS)} {SESSIONS}") for box in site.boxes.values()}
    assert len(sums) == 1
    for box in site.boxes.values():
        assert set(box.sh(f"cd /etc/loom && stat -c '%U %G %a' {' '.join(SECRETS)}").splitlines()) == {"root loom 640"}
        assert box.sh(f"cd /etc/loom && stat -c '%U %G %a' {SESSIONS}") == "root loom-ui-gateway 640\n"
        box.sh("! grep -rl IDENTIFIED /etc/loom")
        assert "db_user = loom_scheduler" in box.sh("cat /etc/loom/loom/scheduler.conf")
    site.is_well()
    box = site.boxes["c"]
    box.put(ROOT / "deploy/compose/catalog", "/root/catalog")
    box.sh(f"LOOM_URL=http://{site.net}.10:55054 LOOM_TOKEN_FILE=/etc/loom/admin.token "
           "loom-load-catalog --catalog /root/catalog")
    site.make_cluster("first")


def setup_again_changes_nothing(site):
    stops = "journalctl -o cat --no-pager | grep -c '^Stop.*\\(Loom\\|MariaDB\\|HAProxy\\)' || true"
    before = {host: box.sh(stops) for host, box in site.boxes.items()}
    for host, box in site.boxes.items():
        done = site.does(host, "setup")
        assert not any(done[what] for what in ("written", "removed", "restarted", "started", "stopped")), done
        assert box.sh(stops) == before[host]


def a_change_of_the_inventory_is_taken(site):
    """A second provisioner on one machine, and away again; nothing else there is touched."""
    box = site.boxes["b"]
    box.sh("echo 'provisioners = 2' >/tmp/more && sed -i '/^\\[host b\\]/r /tmp/more' /etc/loom/inventory")
    done = site.does("b", "setup")
    # Prometheus is told where the second one's metrics are.
    assert done["written"] == ["loom/provisioner-2.conf", "monitoring/prometheus.yml"], done
    assert (done["started"], done["restarted"]) == (["loom-provisioner@2"], []), done
    assert "its inventory is another one" in site.outputs[-1]
    box.sh("sed -i '/^provisioners/d' /etc/loom/inventory")
    done = site.does("b", "setup")
    assert done["stopped"] == ["loom-provisioner@2.service"] and "provisioner-2" in str(done["removed"]), done


def a_certificate_is_carried_to_all(site):
    """From the machine that somebody put it on; a bad one is told there, and placed nowhere; HAProxy is told of a new one."""
    for box in site.boxes.values():
        box.sh("printf '[paths]\ntls_front = /etc/loom/front.pem\ntls_front_source = /root/front.pem\n' >>/etc/loom/inventory")
    code, told, said = site.tool("a", "setup")
    assert code == 3 and "on no machine that answers" in told["findings"][0]["what"], said
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=front -days 9 -keyout %s -out %s"
    site.boxes["b"].sh(make % ("/root/other.key", "/root/front.pem"))
    site.boxes["b"].sh(make % ("/root/front.pem.key", "/root/other.pem"))
    code, told, said = site.tool("b", "setup")
    assert code == 3 and told["findings"][0]["what"] == "front.pem.key is the key of another certificate", said
    assert "/root/front.pem on b: front.pem.key is the key of another certificate" in site.tool("a", "setup")[2]
    site.boxes["b"].sh("mv /root/other.pem /root/front.pem")
    for host, box in site.boxes.items():
        done = site.does(host, "setup")
        assert {"haproxy/haproxy.front", "haproxy/haproxy.front.key"} <= set(done["written"]), done
        assert "haproxy" in done["restarted"] and site.does(host, "setup")["written"] == [], done
        assert box.sh("stat -c '%U %G %a' /etc/loom/front.pem /etc/loom/front.pem.key") == "root root 644\nroot loom 640\n"
    assert len({box.sh("cat /etc/loom/front.pem /etc/loom/front.pem.key") for box in site.boxes.values()}) == 1
    secret = site.boxes["b"].sh("sed -n 2p /root/front.pem.key").strip()
    assert not any(secret in said for said in site.outputs)
    site.boxes["b"].sh("rm /root/front.pem /root/front.pem.key /root/other.key")


def the_first_machine_is_lost_and_replaced(site):
    """The one that made the secrets. Users go on without it, and the new one is like the others."""
    lost = site.boxes["a"].sh("sha256sum /etc/loom/cluster.key")
    site.lose("a")
    wait_for(lambda: site.api().get("/v2/clusters").ok, 60, "the virtual address to be served")
    kept = site.make_cluster("meanwhile")
    code, _, said = site.tool("b", "replace", "a")
    assert code == 1 and "has to answer to ssh" in said, said
    site.add("a")
    site.does("b", "replace", "a", "--dry-run")
    site.does("b", "replace", "a")
    box = site.boxes["a"]
    assert box.sh("sha256sum /etc/loom/cluster.key") == lost
    site.is_well()
    count = "mariadb -N -B -e 'SELECT COUNT(*) FROM loom.cluster'"
    assert box.sh(count) == site.boxes["b"].sh(count)
    assert site.api().get(f"/v2/clusters/{kept}").ok
    code, _, said = site.tool("b", "replace", "c")
    assert code == 1 and "no new machine" in said, said


def the_database_gets_other_passwords(site):
    """Each account on all machines, and the old one is good no more; nothing of it is left beside."""
    accounts = {"/etc/loom/db.password": "loom", "/etc/loom/db-scheduler.password": "loom_scheduler"}
    before = {file: site.boxes["b"].sh(f"cat {file}").strip() for file in accounts}
    sealed_with = site.boxes["b"].sh(f"cat /etc/loom/{SESSIONS}").split()
    assert site.does("b", "rotate-keys", "--dry-run")["rotated"] is False
    assert site.does("b", "rotate-keys")["rotated"] is True
    box = site.boxes["b"]
    for file, user in accounts.items():
        passwords = {each.sh(f"cat {file}").strip() for each in site.boxes.values()}
        assert len(passwords) == 1 and passwords != {before[file]}
        ask = f"MYSQL_PWD=$(cat %s) mariadb --no-defaults -h{site.address('b')} -P55306 -u{user} -e 'SELECT 1' loom"
        box.sh(ask % file)
        box.sh(f"echo {before[file]} >/root/before && ! {ask % '/root/before'}; rm /root/before; ! ls {file}.*")
    now = {each.sh(f"cat /etc/loom/{SESSIONS}; stat -c '%U_%G_%a' /etc/loom/{SESSIONS}") for each in site.boxes.values()}
    fresh, *others = now.pop().split()
    assert not now and fresh not in sealed_with and others == [*sealed_with, "root_loom-ui-gateway_640"]
    site.make_cluster("afterwards")


def it_is_again_as_it_was_at_a_time(site):
    """As README has it: a backup, and the binary logs of the machine that made it, up to a second; no later change."""
    databases = {part["host"]: part["role"] for part in site.does("a", "status")["parts"] if part["name"] == "database"}
    writer = next(host for host, role in databases.items() if role == "writer")
    other = next(host for host, role in databases.items() if role != "writer")
    made = site.does(other, "backup")
    kept = site.make_cluster("kept")
    until = int(time.time()) + 1
    wait_for(lambda: time.time() > until, 60, "the end of that second")
    later = site.make_cluster("later")
    assert site.api().delete(f"/v2/clusters/{kept}").ok
    wait_for(lambda: site.api().get(f"/v2/clusters/{kept}").json["status"] == "terminated", 60, "its end")
    box = site.boxes[writer]
    there = f"root@{site.address(other)}"
    box.sh(f"mkdir /root/logs && rsync -a {there}:'/var/lib/mysql/loom-bin.[0-9]*' {there}:{made['file']} /root/logs")
    words = "restore", f"/root/logs/{os.path.basename(made['file'])}", "--replace", "--until", f"$(date -u -d @{until} +%FT%TZ)"
    assert "still running" in site.tool(writer, *words, "--logs", "/root/logs")[2]
    for each in site.boxes.values():
        each.sh("systemctl stop loom-api loom-scheduler")
    assert "lacks loom-bin." in site.tool(writer, *words, "--logs", "/root")[2]
    done = site.does(writer, *words, "--logs", "/root/logs")
    assert done["restored"] and done["last_change"], done
    for each in site.boxes.values():
        each.sh("systemctl start loom-api loom-scheduler; rm -rf /root/logs")
    site.is_well()
    assert site.api().get(f"/v2/clusters/{kept}").json["status"] == "active"
    assert site.api().get(f"/v2/clusters/{later}").status == 404
    count = "mariadb -N -B -e 'CHECKSUM TABLE loom.cluster, loom.event, loom.task, loom.node'"
    wait_for(lambda: len({each.sh(count) for each in site.boxes.values()}) == 1, 60, "the same on all nodes")
    site.boxes[other].sh("rm -r /var/backups/loom")


def it_is_upgraded_while_it_serves(site):
    """One machine after the other, under load; no request fails but those that meet the address while it moves."""
    machine.build_packages(site.packages, SECOND)
    with steady(site.api(), len(HOSTS)):
        for host in HOSTS:
            would = site.does(host, "upgrade", "--dry-run")
            assert {one["to"] for one in would["packages"]} == {SECOND}, would
            site.does(host, "upgrade")
    site.is_well()
    for box in site.boxes.values():
        assert f" {SECOND} " in box.sh("loom-api --version")
    assert site.does("a", "upgrade")["packages"] == []


def no_secret_was_told(site):
    """By none of the commands."""
    box = site.boxes["b"]
    for name in (*SECRETS, SESSIONS):
        secret = box.sh(f"head -1 /etc/loom/{name}").strip()
        assert not any(secret in said for said in site.outputs), name
        assert box.said("bash", "-c", f"journalctl --no-pager | grep -qF {secret}")[0] == 1, name


def purge_leaves_nothing(site):
    """What was there before the packages is there, and nothing else but the database."""
    for box in site.boxes.values():
        text = box.apt("purge", *machine.NAMES)
        assert "removing the configuration that setup has written" in text, text
        left = sorted(name for name in machine.files(box) - box.before if not name.startswith("/root/catalog"))
        assert left == [], left
        assert box.said("getent", "passwd", "loom")[0] == 2
