# SPDX-License-Identifier: Apache-2.0
"""loom-datacenter upgrade, replace and rotate-keys: when they refuse, in which order they work, and that they go on.

Machines, apt and ssh are played here; tests/ship does the same on three machines with systemd.
"""

import base64
import copy
import re
import shutil
import subprocess

import pytest

from dclib import DcError, checks, doctor, keys, packages, remote, render, rotate, setup, upgrade, ways
from support import ROOT

FILES = {"db.password": "loom", "db-scheduler.password": "loom_scheduler"}  # and whose passwords they are
OLD = "0a" * 32
SIMULATION = """Reading package lists...
Inst loom-common [0.90.0] (0.91.0 localhost [all])
Inst loom-api [0.90.0] (0.91.0 localhost [amd64])
Conf loom-api (0.91.0 localhost [amd64])
"""


class World:
    """Three machines that are well and set up, and what was done to them."""

    def __init__(self, folder):
        self.ill, self.done, self.accounts, self.fail_at = [], [], [], None
        self.refuses = None
        self.facts = {"datacenter": "dc1", "others": {
            host: {"error": "", "skew": 0.0, "datacenter": "dc1", "inventory": "same",
                   "has": [keys.SCHEDULER, keys.SESSIONS]} for host in "bc"}}
        self.path = folder / "inventory"
        self.path.write_text((ROOT / "deploy/inventory.example").read_text() +
                             f"[paths]\netc = {folder}\ndb_password_file = {folder}/db.password\n"
                             f"db_scheduler_password_file = {folder}/db-scheduler.password\n"
                             f"session_key_file = {folder}/session.keys\n")
        for name, user in FILES.items():
            (folder / name).write_text(f"old-{user}\n")
        self.folder = folder
        self.inventory = render.read_inventory(self.path)
        (folder / "session.keys").write_text(f"# the newest first\n{OLD}\n\n")
        self.sessions = {host: [OLD] for host in "abc"}
        self.passwords = {user: dict.fromkeys("abc", f"old-{user}") for user in FILES.values()}

    def way(self):
        """How its machines are worked on, from the first."""
        return ways.of(self.inventory, "a", str(self.path))

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

    def show(self, argv, _env):
        """As remote.show(), with a source that does not answer where the test says."""
        self.step(argv[0], argv[-1])
        return 100 if argv[-1] == self.refuses else 0

    def on(self, address, script, stdin=None, timeout=30):
        """As remote.on()."""
        del timeout
        host = "abc"[int(address[-1]) - 1]
        self.step(host, script)
        if "base64 -d" in script:
            name = re.search(r"/([\w.-]+); base64", script).group(1)
            if name == "session.keys":
                self.sessions[host] = base64.b64decode(stdin).decode().split()
                self.check_sessions()
            else:
                self.passwords[FILES[name]][host] = base64.b64decode(stdin).decode().strip()
            if host == "a":
                (self.folder / name).write_bytes(base64.b64decode(stdin))
        return "yes\n"

    def check_sessions(self):
        """What any machine seals with all of them can open."""
        known = list(self.sessions.values())
        assert all(one[0] in other for one in known for other in known), known

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
    monkeypatch.setattr(remote, "show", made.show)
    monkeypatch.setattr(rotate, "fetch", lambda *_, ca=None: (200, "ready"))
    monkeypatch.setattr(packages, "installed", lambda: ["loom-api", "loom-common"])
    monkeypatch.setattr(keys, "GROUP", "root")
    monkeypatch.setattr(rotate, "READ_SECONDS", 0)
    monkeypatch.setattr(setup, "say", lambda _: None)
    return made


def test_an_upgrade_says_what_it_would_do(world):
    done = upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=True)
    assert done["packages"] == [{"name": name, "from": "0.90.0", "to": "0.91.0"} for name in ("loom-common", "loom-api")]
    assert [who for who, _ in world.done] == ["apt-get", "apt-get"]
    world.refuses = "update"
    with pytest.raises(DcError, match="apt-get ended with 100: nothing was changed; mend what it says above"):
        upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=False)
    assert world.done[2:] == [("apt-get", "update")]


@pytest.mark.parametrize("host", ["b", "c"])
def test_nothing_is_done_while_another_machine_is_ill(world, host):
    world.ill = [host]
    with pytest.raises(DcError, match=f"{host} loom-api: no answer"):
        upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=False)
    with pytest.raises(DcError, match=f"{host} loom-api: no answer"):
        rotate.prepare(world.way())
    assert world.done == []


def test_an_upgrade_may_mend_the_machine_itself(world):
    world.ill = ["a"]
    assert upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=True)["packages"]


def test_a_layout_that_has_no_machines_to_bear_it(world):
    world.inventory["datacenter"]["layout"] = "containers"
    with pytest.raises(DcError, match="the layout is 'containers', and this is for machines and compose"):
        upgrade.upgrade(world.inventory, "a", str(world.path), dry_run=False)
    assert world.done == []


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

    def follow(address, command):
        followed.append((address, command))
        return 0

    monkeypatch.setattr(remote, "follow", follow)
    assert upgrade.replace(world.inventory, "a", "b", str(world.path), dry_run=True) is None and followed == []
    assert upgrade.replace(world.inventory, "a", "b", str(world.path), dry_run=False) == 0
    assert followed == [("10.62.0.12", f"loom-datacenter setup --inventory {world.path}")]


def taken(sql, user):
    """Which passwords the statements let an account have, from every machine."""
    lines = [line for line in sql.splitlines() if f"'{user}'@" in line]
    assert [line.split("'")[3] for line in lines] == ["10.62.0.11", "10.62.0.12", "10.62.0.13"]
    ways = {tuple(re.findall(r"PASSWORD\('(.*?)'\)", line)) for line in lines}
    assert len(ways) == 1
    return list(ways.pop())


def left(world):
    """Files of the folder."""
    return sorted(path.name for path in world.folder.iterdir())


def test_the_passwords_change_in_an_order_in_which_each_service_gets_in(world):
    assert rotate.rotate(world.way()) == ["a", "b", "c"]
    first, last = world.accounts
    for user, passwords in world.passwords.items():
        new = passwords["a"]
        assert taken(first, user) == [f"old-{user}", new] and taken(last, user) == [new]
        assert set(passwords.values()) == {new} and new != f"old-{user}"
    assert world.passwords["loom"]["a"] != world.passwords["loom_scheduler"]["a"]
    whos = [who for who, what in world.done if "restart" in what or who == "mariadb"]
    assert whos == ["mariadb", "a", "a", "b", "b", "c", "c", "mariadb"]
    assert left(world) == ["db-scheduler.password", "db.password", "inventory", "session.keys"]


def test_a_datacenter_without_an_account_of_the_scheduler(world):
    (world.folder / "db-scheduler.password").unlink()
    for other in world.facts["others"].values():
        other["has"] = [keys.SESSIONS]
    rotate.prepare(world.way())
    rotate.rotate(world.way())
    assert "loom_scheduler" not in "".join(world.accounts)
    assert left(world) == ["db.password", "inventory", "session.keys"]


@pytest.mark.parametrize("host", ["a", "b"])
def test_the_account_of_the_scheduler_is_on_all_machines_or_on_none(world, host):
    if host == "a":
        (world.folder / "db-scheduler.password").unlink()
    else:
        world.facts["others"][host]["has"] = [keys.SESSIONS]
    with pytest.raises(DcError, match=f"is not on {host}, but on others"):
        rotate.prepare(world.way())


@pytest.mark.parametrize("step", range(14))
def test_a_change_of_passwords_that_was_broken_off_is_finished(world, step):
    """Wherever it ended, what any service has is what its account takes; the next run comes to its end."""
    world.fail_at = step
    with pytest.raises(DcError, match="broken off"):
        rotate.rotate(world.way())
    for user, passwords in world.passwords.items():
        assert set(passwords.values()) <= set(taken(world.accounts[-1], user) if world.accounts else [f"old-{user}"])
    world.fail_at = None
    rotate.rotate(world.way())
    for user, passwords in world.passwords.items():
        assert taken(world.accounts[-1], user) == [passwords["a"]] and len(set(passwords.values())) == 1
    assert left(world) == ["db-scheduler.password", "db.password", "inventory", "session.keys"]


@pytest.mark.parametrize("host", ["a", "b"])
def test_the_keys_of_sessions_have_to_be_on_all_machines(world, host):
    rotate.prepare(world.way())
    if host == "a":
        (world.folder / "session.keys").unlink()
    else:
        world.facts["others"][host]["has"] = [keys.SCHEDULER]
    with pytest.raises(DcError, match=f"session.keys is not on {host}: run setup there"):
        rotate.prepare(world.way())
    assert world.done == []
    world.inventory["paths"][keys.SESSIONS] = ""
    rotate.prepare(world.way())
    assert rotate.rotate(world.way()) and world.sessions["a"] == [OLD]


@pytest.mark.parametrize("text, said", [("", "it has no key"), (f"{OLD}\nhush\n", "line 2 is no key")])
def test_keys_of_sessions_that_are_none_are_not_rotated(world, text, said):
    (world.folder / "session.keys").write_text(text)
    with pytest.raises(DcError, match=f"session.keys: {said}") as refused:
        rotate.prepare(world.way())
    assert world.done == [] and "hush" not in str(refused.value)


def test_who_may_read_the_keys_of_sessions_stays(world):
    """Of each machine's file: the new one has its owner and mode."""
    path = world.folder / "session.keys"
    path.chmod(0o440)
    shutil.chown(path, "daemon", "sys")
    subprocess.run(["sh", "-c", rotate.SET.format(path=path)], input=base64.b64encode(b"other\n"), check=True)
    status = path.stat()
    assert path.read_text() == "other\n" and status.st_mode & 0o777 == 0o440
    assert (path.owner(), path.group()) == ("daemon", "sys") and not (world.folder / "session.keys.new").exists()


def test_the_key_of_sessions_is_known_everywhere_before_any_seals_with_it(world):
    sessions = world.sessions
    assert rotate.files_of(world.inventory)[-1] == str(world.folder / "session.keys")
    for number in range(5):
        before = sessions["a"]
        rotate.rotate(world.way())
        fresh, *others = sessions["a"]
        assert sessions["a"] == sessions["b"] == sessions["c"]
        assert re.fullmatch("[0-9a-f]{64}", fresh) and fresh not in before and others == before[:3], number


@pytest.mark.parametrize("step", range(14, 20))
def test_a_change_of_the_key_of_sessions_that_was_broken_off_is_finished(world, step):
    sessions, world.fail_at = world.sessions, step
    with pytest.raises(DcError, match="broken off"):
        rotate.rotate(world.way())
    sealing = {known[0] for known in sessions.values()}
    world.fail_at = None
    rotate.rotate(world.way())
    assert sessions["a"] == sessions["b"] == sessions["c"] and sealing <= set(sessions["a"][1:])
