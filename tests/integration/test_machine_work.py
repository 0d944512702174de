# SPDX-License-Identifier: Apache-2.0
"""loom-datacenter upgrade, replace and rotate-keys: when they refuse, in which order they work, and that they go on.

Machines, apt and ssh are played here; tests/ship does the same on three machines with systemd.
"""

import base64
import copy

import pytest

from dclib import DcError, checks, doctor, keys, remote, render, rotate, setup, upgrade
from support import ROOT

SIMULATION = """Reading package lists...
Inst loom-common [0.90.0] (0.91.0 localhost [all])
Inst loom-api [0.90.0] (0.91.0 localhost [amd64])
Conf loom-api (0.91.0 localhost [amd64])
"""


class World:
    """Three machines that are well and set up, and what was done to them."""

    def __init__(self, folder):
        self.ill, self.done, self.accounts, self.fail_at = [], [], [], None
        self.facts = {"datacenter": "dc1", "others": {
            host: {"error": "", "skew": 0.0, "datacenter": "dc1", "inventory": "same"} for host in "bc"}}
        self.path = folder / "inventory"
        self.path.write_text((ROOT / "deploy/inventory.example").read_text() +
                             f"[paths]\netc = {folder}\ndb_password_file = {folder}/db.password\n")
        (folder / "db.password").write_text("old\n")
        self.folder = folder
        self.inventory = render.read_inventory(self.path)
        self.passwords = dict.fromkeys("abc", "old")

    def look(self, _inventory):
        """As doctor.look()."""
        return {"parts": [{"host": host, "name": "loom-api", "ready": host not in self.ill, "error": "no answer"}
                          for host in "abc"]}

    def run(self, argv, stdin=None, **_):
        """As remote.run()."""
        self.step(argv[0], stdin or "")
        if argv[0] == "mariadb":
            self.accounts.append(stdin)
        return SIMULATION if argv[:2] == ["apt-get", "-s"] else ""

    def on(self, address, script, stdin=None, timeout=30):
        """As remote.on()."""
        del timeout
        host = "abc"[int(address[-1]) - 1]
        self.step(host, script)
        if "base64 -d" in script:
            self.passwords[host] = base64.b64decode(stdin).decode().strip()
            if host == "a":
                (self.folder / "db.password").write_bytes(base64.b64decode(stdin))
        return "yes\n"

    def step(self, who, what):
        """One thing that is done; the run ends where the test says."""
        if self.fail_at is not None and len(self.done) == self.fail_at:
            raise DcError("broken off")
        self.done.append((who, what))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Everything that is outside of the program under test."""
    made = World(tmp_path)
    monkeypatch.setattr(doctor, "look", made.look)
    monkeypatch.setattr(checks, "look", lambda *_: copy.deepcopy(made.facts))
    monkeypatch.setattr(remote, "run", made.run)
    monkeypatch.setattr(remote, "on", made.on)
    monkeypatch.setattr(rotate, "fetch", lambda *_: (200, "ready"))
    monkeypatch.setattr(upgrade, "installed", lambda: ["loom-api", "loom-common"])
    monkeypatch.setattr(keys, "GROUP", "root")
    monkeypatch.setattr(setup, "say", lambda _: None)
    return made


def test_an_upgrade_says_what_it_would_do(world):
    done = upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=True)
    assert done["packages"] == [{"name": name, "from": "0.90.0", "to": "0.91.0"} for name in ("loom-common", "loom-api")]
    assert [who for who, _ in world.done] == ["apt-get", "apt-get"]


@pytest.mark.parametrize("host", ["b", "c"])
def test_nothing_is_done_while_another_machine_is_ill(world, host):
    world.ill = [host]
    with pytest.raises(DcError, match=f"{host} loom-api: no answer"):
        upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=False)
    with pytest.raises(DcError, match=f"{host} loom-api: no answer"):
        rotate.prepare(world.inventory, "a", str(world.path))
    assert world.done == []


def test_an_upgrade_may_mend_the_machine_itself(world):
    world.ill = ["a"]
    assert upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=True)["packages"]


@pytest.mark.parametrize("change, said", [
    (lambda world: None, "b is no new machine"),
    (lambda world: world.facts["others"]["b"].update(error="timed out", datacenter=""), "has to answer to ssh root@10.62.0.12"),
    (lambda world: (world.facts["others"]["b"].update(datacenter=""), world.ill.append("c")), "c is not well either"),
    (lambda world: (world.facts["others"]["b"].update(datacenter=""), world.facts.update(datacenter="")),
     "part of no datacenter"),
])
def test_a_machine_is_not_replaced(world, change, said):
    change(world)
    with pytest.raises(DcError, match=said):
        upgrade.replace(world.inventory, "a", "b", str(world.path), dry_run=False)
    assert world.done == []


@pytest.mark.parametrize("name, said", [("a", "is this machine"), ("z", "has no host 'z'")])
def test_what_cannot_be_replaced(world, name, said):
    with pytest.raises(DcError, match=said):
        upgrade.replace(world.inventory, "a", name, str(world.path), dry_run=True)


def test_a_machine_is_replaced_from_another(world, monkeypatch):
    world.facts["others"]["b"]["datacenter"] = ""
    world.ill = ["b"]
    followed = []
    monkeypatch.setattr(remote, "follow", lambda address, command: followed.append((address, command)) or 0)
    assert upgrade.replace(world.inventory, "a", "b", str(world.path), dry_run=True) is None and followed == []
    assert upgrade.replace(world.inventory, "a", "b", str(world.path), dry_run=False) == 0
    assert followed == [("10.62.0.12", f"loom-datacenter setup --inventory {world.path}")]


def passwords_of(sql):
    """Which passwords an account of the statement takes."""
    return [word.partition("'")[0] for word in sql.split(";")[0].split("PASSWORD('")[1:]]


def test_the_password_changes_in_an_order_in_which_each_service_gets_in(world):
    assert rotate.rotate(world.inventory, "a") == ["a", "b", "c"]
    first, last = world.accounts
    new = world.passwords["a"]
    assert passwords_of(first) == ["old", new] and passwords_of(last) == [new]
    assert all(f"'loom'@'10.62.0.1{host}'" in last for host in (1, 2, 3))
    assert set(world.passwords.values()) == {new} and new != "old"
    whos = [who for who, what in world.done if "restart" in what or who == "mariadb"]
    assert whos == ["mariadb", "a", "a", "b", "b", "c", "c", "mariadb"]
    assert sorted(path.name for path in world.folder.iterdir()) == ["db.password", "inventory"]


@pytest.mark.parametrize("step", range(11))
def test_a_change_of_password_that_was_broken_off_is_finished(world, step):
    """Wherever it ended, what any service has is what the account takes; the next run comes to its end."""
    world.fail_at = step
    with pytest.raises(DcError, match="broken off"):
        rotate.rotate(world.inventory, "a")
    taken = set(passwords_of(world.accounts[-1])) if world.accounts else {"old"}
    assert set(world.passwords.values()) <= taken
    world.fail_at = None
    rotate.rotate(world.inventory, "a")
    assert passwords_of(world.accounts[-1]) == [world.passwords["a"]] and len(set(world.passwords.values())) == 1
    assert sorted(path.name for path in world.folder.iterdir()) == ["db.password", "inventory"]
