# SPDX-License-Identifier: Apache-2.0
"""loom-datacenter setup: what is wrong with a machine is told before anything is done, all of it at once."""

import base64
import pathlib
import subprocess

import pytest

from dclib import DcError, checks, keys, remote, render, setup
from support import ROOT

OTHER = {"error": "", "skew": 0.0, "datacenter": "", "inventory": "same", "scheduler": ""}


@pytest.fixture
def inventory(tmp_path):
    """That of the example, whose secrets are in a folder of the test."""
    path = tmp_path / "inventory"
    names = "cluster_key", "db_password", "admin_token", "provisioner_token", "db_scheduler_password"
    paths = "".join(f"{name}_file = {tmp_path}/{name}\n" for name in names)
    path.write_text((ROOT / "deploy/inventory.example").read_text() + f"[paths]\netc = {tmp_path}\n{paths}")
    return render.read_inventory(path)


def facts(**changes):
    """A machine that nothing is wrong with, and that no other one of the datacenter was set up before."""
    found = {"root": True, "systemd": True, "missing": [], "proxysql": False, "zookeeperd": False,
             "interface": [("10.62.0.11", 24)], "listeners": {}, "memory": 16 << 30,
             "room": {"db_data": 100 << 30, "work": 100 << 30}, "name_error": "",
             "others": {"b": dict(OTHER), "c": dict(OTHER)}, "datacenter": "", "databases": [], "inventory": "same"}
    for name, value in changes.items():
        if name in found["others"]:
            found["others"][name].update(value)
        else:
            found[name] = value
    return found


def told(inventory, host="a", **changes):
    """The findings as lines."""
    return [f"{one['level']}: {one['where']}: {one['what']}" for one in checks.judge(inventory, host, facts(**changes))]


def test_nothing_is_told_of_a_machine_that_is_right(inventory):
    assert told(inventory) == []


@pytest.mark.parametrize("changes, level, said", [
    ({"root": False}, "error", "not run by root"),
    ({"systemd": False}, "error", "systemd does not run here"),
    ({"missing": ["haproxy", "loom-api"]}, "error", "not installed: haproxy, loom-api"),
    ({"proxysql": True}, "error", "ProxySQL is installed"),
    ({"zookeeperd": True}, "error", "zookeeperd is installed"),
    ({"interface": [("10.62.0.99", 24)]}, "error", "interface eth0: it does not have 10.62.0.11"),
    ({"interface": [("10.62.0.11", 32)]}, "error", "10.62.0.10 is not in a network of eth0"),
    ({"listeners": {9200: [("0.0.0.0", "nginx (77)")]}}, "error", "port 9200: nginx (77) has it at 0.0.0.0"),
    ({"listeners": {55054: [("10.62.0.11", "x (1)")]}}, "error", "and api_external wants it"),
    ({"memory": 2 << 30}, "error", "memory: 2.0 GiB"),
    ({"room": {"db_data": 1 << 30, "work": 100 << 30}}, "error", "/var/lib/mysql: its disk has 1.0 GiB free"),
    ({"name_error": "vm: unknown"}, "warning", "does not know its own name"),
    ({"b": {"error": "Permission denied"}}, "error", "b: ssh root@10.62.0.12 does not work: Permission denied"),
    ({"b": {"error": "timed out"}, "c": {"datacenter": "dc1"}}, "warning", "ssh root@10.62.0.12 does not work"),
    ({"c": {"skew": 3.2}}, "warning", "c: its clock is 3.2 s apart"),
    ({"b": {"inventory": "other"}}, "warning", "b: its inventory is another one"),
    ({"c": {"datacenter": "dc1"}, "databases": ["shop"]}, "error", "it holds shop"),
    ({"datacenter": "dc9"}, "error", "this machine belongs to the datacenter 'dc9', not 'dc1'"),
])
def test_what_is_wrong_is_told(inventory, changes, level, said):
    lines = told(inventory, **changes)
    assert any(line.startswith(level) and said in line for line in lines), lines
    assert all(one["do"] for one in checks.judge(inventory, "a", facts(**changes)))


def test_all_of_it_at_once(inventory):
    assert len(told(inventory, missing=["rsync"], memory=1 << 30, listeners={9200: [("*", "x (1)")]},
                    c={"error": "refused"})) == 4


def test_a_port_of_another_address_is_nobodys_business(inventory):
    assert told(inventory, listeners={55054: [("192.168.7.7", "x (1)")], 80: [("0.0.0.0", "nginx (2)")]}) == []


def test_secrets_are_made_on_the_first_machine_only_while_none_has_them(inventory):
    assert keys.source(inventory, "a", facts()) == ""
    assert keys.source(inventory, "a", facts(b={"datacenter": "dc1"})) == "b"
    assert keys.source(inventory, "b", {**facts(), "others": {"a": {**OTHER, "datacenter": "dc1"}, "c": OTHER}}) == "a"
    with pytest.raises(DcError, match="run setup there first"):
        keys.source(inventory, "b", {**facts(), "others": {"a": OTHER, "c": OTHER}})
    with pytest.raises(DcError, match="no other machine that has them answers"):
        keys.source(inventory, "a", facts(datacenter="dc1"))


def test_secrets_that_are_made_stay(inventory, monkeypatch):
    monkeypatch.setattr(keys, "GROUP", "root")
    assert keys.obtain(inventory, "a", facts()) == "made"
    paths = [inventory["paths"][kind] for kind in keys.MADE]
    made = [open(path, encoding="ascii").read() for path in paths]
    assert all(made) and len(set(made)) == len(made)
    assert keys.obtain(inventory, "a", facts(datacenter="dc1")) == "kept"
    assert [open(path, encoding="ascii").read() for path in paths] == made
    modes = subprocess.run(["stat", "-c", "%a", *paths], capture_output=True, text=True, check=True).stdout.split()
    assert set(modes) == {"640"}


def test_the_password_of_the_scheduler_comes_when_another_machine_has_it(inventory, monkeypatch):
    """A datacenter without one stays as it is until somebody makes one."""
    monkeypatch.setattr(keys, "GROUP", "root")
    monkeypatch.setattr(remote, "on", lambda address, _: base64.b64encode(f"of {address}\n".encode()).decode())
    path = pathlib.Path(inventory["paths"][keys.SCHEDULER])
    keys.obtain(inventory, "a", facts())
    path.unlink()
    known = {"datacenter": "dc1", "b": {"datacenter": "dc1"}}
    assert keys.obtain(inventory, "a", facts(**known)) == "kept" and not path.exists()
    assert keys.obtain(inventory, "a", facts(**known, c={"datacenter": "dc1", "scheduler": "yes"})) == "fetched from c"
    assert path.read_text(encoding="ascii") == "of 10.62.0.13\n"
    assert keys.wanted(inventory, "a", facts(**known, c={"datacenter": "dc1", "scheduler": "yes"})) == {}
    # A new machine gets it from one that has it, all else from any; without one it gets none.
    new = facts(b={"datacenter": "dc1"}, c={"datacenter": "dc1", "scheduler": "yes"})
    assert keys.wanted(inventory, "a", new) == {kind: "c" if kind == keys.SCHEDULER else "b" for kind in keys.MADE}
    assert keys.SCHEDULER not in keys.wanted(inventory, "a", facts(b={"datacenter": "dc1"}))
    inventory["paths"][keys.SCHEDULER] = ""
    assert keys.SCHEDULER not in keys.wanted(inventory, "a", facts())


def test_accounts_are_made_when_one_or_a_right_lacks(inventory, tmp_path):
    keys_of = {"db_password_file": "one", keys.SCHEDULER: "two"}
    for kind, text in keys_of.items():
        pathlib.Path(inventory["paths"][kind]).write_text(text, encoding="ascii")
    render.render(inventory, "a", tmp_path)
    found = setup.wanted_of((tmp_path / "mariadb/accounts.sql").read_text(encoding="utf-8"))
    assert {"loom@10.62.0.11", "loom_scheduler@10.62.0.13", "loom_scheduler@10.62.0.13 job"} <= found
    rights = [line for line in (ROOT / "deploy/mariadb/scheduler-rights").read_text().splitlines() if "`loom`.`" in line]
    assert len(found) == 3 * (2 + len(rights))


@pytest.mark.parametrize("text, size", [("512M", 512 << 20), ("1G", 1 << 30), ("96m", 96 << 20), ("7", 7)])
def test_sizes(text, size):
    assert checks.size(text) == size


def test_a_size_that_is_none(inventory):
    inventory["datacenter"]["db_buffer_pool"] = "much"
    with pytest.raises(DcError, match="'much' is no size"):
        told(inventory)
