# SPDX-License-Identifier: Apache-2.0
"""Debian packages: built, checked by lintian, installed, upgraded and purged on a machine (make test-ship)."""

import hashlib
import json
import subprocess

import pytest

from support import ROOT, compose, machine, wait_for

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(1800)]

SERVICES = ("loom-api", "loom-scheduler", "loom-ui-gateway", "loom-provisioner@1")
FIRST, SECOND = "0.90.0", "0.91.0"
NEEDED = "debhelper", "help2man", "lintian"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Of the version FIRST, in a repository of their own."""
    code, text = compose.said("dpkg-query", "-W", *NEEDED)
    if code:
        pytest.skip(f"not installed: {text.strip()} (scripts/bootstrap deb)")
    folder = tmp_path_factory.mktemp("packages")
    return folder, machine.build_packages(folder, FIRST)


def field(deb, name):
    """A field of a package's description."""
    return subprocess.run(["dpkg-deb", "--field", deb, name], capture_output=True, text=True, check=True).stdout.strip()


def test_packages_are_whole(packages):
    folder, debs = packages
    assert {name for name in debs if not name.endswith("-dbgsym")} == set(machine.NAMES)
    for name in machine.NAMES:
        assert field(debs[name], "Version") == FIRST
    assert "libmariadb3" in field(debs["loom-api"], "Depends") and "libmariadb3" not in field(debs["loom-cli"], "Depends")
    done = subprocess.run(["lintian", "--fail-on=error,warning", *folder.glob("*.deb")], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_same_tree_gives_the_same_packages(packages, tmp_path):
    again = machine.build_packages(tmp_path, FIRST)
    for name, path in packages[1].items():
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(again[name].read_bytes()).digest(), name


@pytest.fixture
def installed(packages):
    """A machine with all packages, its database and its services running."""
    compose.need_engine()
    machine.build_image()
    box = machine.Machine("packages", packages[0])
    try:
        before = machine.files(box)
        box.apt("install", *machine.NAMES)
        box.sh("/usr/lib/loom/make-database")
        box.sh(f"systemctl enable --now {' '.join(SERVICES)}")
        yield box, packages[0], before
    finally:
        box.close()


def ask(box, *words):
    """The command line, with the token that the installation made."""
    return box.sh("LOOM_TOKEN_FILE=/etc/loom/admin.token loom " + " ".join(words))


def states(box):
    """What systemd says of the services."""
    return box.said("systemctl", "is-active", *SERVICES)[1].split()


def test_a_machine_from_the_first_start_to_the_purge(installed):
    box, folder, before = installed
    it_works(box)
    it_upgrades(box, folder)
    a_wrong_configuration_stops_the_upgrade(box)
    removal_keeps_and_purge_removes(box, before)
    purge_needs_no_removal_before(box, before)


def it_works(box):
    """Services answer, secrets are shut, a cluster is made, nobody without a token gets in."""
    assert states(box) == ["active"] * len(SERVICES)
    assert box.sh("stat -c '%U %G %a' /etc/loom/*.key /etc/loom/*.token /etc/loom/db.password").split("\n")[:-1] == \
        ["root loom 640"] * 4
    assert box.sh("stat -c '%U %G %a' /etc/loom/session.keys") == "root loom-ui-gateway 640\n"
    reads = "setpriv --reuid=loom --regid=loom %s test -r /etc/loom/session.keys"
    box.sh(f"! {reads % '--init-groups'} && {reads % '--groups=loom-ui-gateway'}")
    assert box.said("bash", "-c", "loom cluster list")[0] == 1
    wait_for(lambda: box.said("bash", "-c", "curl -fsS -H \"Authorization: Bearer $(cat /etc/loom/admin.token)\""
                              " http://127.0.0.1:55054/v2/plugins/providertypes/simulated")[0] == 0, what="the plug-ins")
    box.put(ROOT / "deploy/compose/catalog", "/root/catalog")
    box.sh("LOOM_TOKEN=$(cat /etc/loom/admin.token) loom-load-catalog --catalog /root/catalog")
    ask(box, "cluster", "create", "first", "--template", "demo", "--size", "2", "--wait")
    assert "<html" in box.sh("curl -fsS http://127.0.0.1:8100/")
    assert f"loom {FIRST} " in box.sh("loom --version")
    for name in ("loom", "loom-api", "loom-datacenter", "loom-load-catalog"):
        assert box.sh(f"man {name}").startswith(name.upper()), name
    assert "pause" in box.sh("bash -c '. /usr/share/bash-completion/completions/loom; COMP_WORDS=(loom cluster pa); "
                             "COMP_CWORD=2; _loom; echo $COMPREPLY'")


def it_upgrades(box, folder):
    """A conffile that was edited stays, services run the new version and have what they had."""
    box.sh("echo 'max_cluster_size = 77' >>/etc/loom/api.conf")
    machine.build_packages(folder, SECOND)
    text = box.apt("dist-upgrade")
    assert text.count("restarted and ready") == len(SERVICES), text
    assert states(box) == ["active"] * len(SERVICES)
    assert box.sh("tail -1 /etc/loom/api.conf") == "max_cluster_size = 77\n"
    for name in SERVICES:
        pid = box.sh(f"systemctl show -p MainPID --value {name}").strip()
        assert f" {SECOND} " in box.sh(f"/proc/{pid}/exe --version"), name
    assert json.loads(ask(box, "cluster", "show", "first", "-o", "json"))["status"] == "active"
    code, text = box.said("bash", "-c", "LOOM_TOKEN_FILE=/etc/loom/admin.token loom cluster create big --template demo --size 78")
    assert code == 1 and "77" in text, text


def a_wrong_configuration_stops_the_upgrade(box):
    """The old process goes on, and the sentence says why; mended, the same command ends well."""
    pid = box.sh("systemctl show -p MainPID --value loom-api")
    box.sh("echo 'max_cluster_size = many' >>/etc/loom/api.conf")
    text = box.apt("install", "--reinstall", "loom-api", check=False)
    assert "loom-api.service runs on with the old program" in text and "max_cluster_size" in text, text
    assert box.sh("systemctl show -p MainPID --value loom-api") == pid
    assert "first" in ask(box, "cluster", "list")
    box.sh("sed -i '/many/d' /etc/loom/api.conf && dpkg --configure -a")
    assert box.sh("systemctl show -p MainPID --value loom-api") != pid
    wait_for(lambda: box.said("loom-api", "--config", "/etc/loom/api.conf", "--check-ready")[0] == 0, 60, "the API")


def removal_keeps_and_purge_removes(box, before):
    """What was there before the installation is there, and nothing else."""
    box.apt("remove", *machine.NAMES)
    assert "max_cluster_size = 77" in box.sh("cat /etc/loom/api.conf")
    box.sh("test -s /etc/loom/cluster.key && test -d /var/lib/loom/provisioner-1 && ! pgrep loom-")
    text = box.apt("purge", *machine.NAMES)
    for line in ("removing /etc/loom/cluster.key", "removing /var/lib/loom", "removing the account loom",
                 "databases are not touched"):
        assert line in text, text
    assert sorted(machine.files(box) - before - {"/root/catalog"}) == sorted(
        name for name in machine.files(box) if name.startswith("/root/catalog/"))
    assert box.said("getent", "passwd", "loom")[0] == 2
    assert box.said("getent", "group", "loom-ui-gateway")[0] == 2
    assert "loom" in box.sh("mariadb -e 'SHOW DATABASES'")


def purge_needs_no_removal_before(box, before):
    """Of services that run: they are stopped, and their account goes."""
    box.apt("install", *machine.NAMES)
    box.sh("/usr/lib/loom/make-database")
    box.sh(f"systemctl enable --now {' '.join(SERVICES)}")
    box.apt("purge", *machine.NAMES)
    assert not [name for name in machine.files(box) - before if not name.startswith("/root/catalog")]
    assert box.said("getent", "passwd", "loom")[0] == 2
    assert box.said("pgrep", "loom-")[0] == 1
