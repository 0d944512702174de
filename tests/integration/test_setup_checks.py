# SPDX-License-Identifier: Apache-2.0
"""loom-datacenter setup: what is wrong with a machine is told before anything is done, all of it at once."""

import base64
import pathlib
import shutil
import subprocess

import pytest

from dclib import DcError, checks, keys, remote, render, rotate, setup, ways
from support import ROOT

OTHER = {"error": "", "skew": 0.0, "datacenter": "", "inventory": "same", "has": []}
SET_UP = {"datacenter": "dc1", "b": {"datacenter": "dc1"}, "c": {"datacenter": "dc1"}}
FIRST, SECOND = "1a" * 32, "2B" * 32


@pytest.fixture
def inventory(tmp_path):
    """That of the example, whose secrets are in a folder of the test."""
    path = tmp_path / "inventory"
    names = "cluster_key", "db_password", "admin_token", "provisioner_token", "db_scheduler_password", "session_key"
    paths = "".join(f"{name}_file = {tmp_path}/{name}\n" for name in names)
    path.write_text((ROOT / "deploy/inventory.example").read_text() + f"[paths]\netc = {tmp_path}\n{paths}")
    return render.read_inventory(path)


def facts(**changes):
    """A machine that nothing is wrong with, and that no other one of the datacenter was set up before."""
    found = {"root": True, "systemd": True, "missing": [], "proxysql": False, "zookeeperd": False,
             "interface": [("10.62.0.11", 24)], "listeners": {}, "memory": 16 << 30,
             "room": {"db_data": 100 << 30, "work": 100 << 30}, "name_error": "", "faults": {}, "no_group": [],
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
    ({"zookeeperd": True}, "error", "zookeeperd is installed"),
    ({"interface": [("10.62.0.99", 24)]}, "error", "interface eth0: it does not have 10.62.0.11"),
    ({"interface": [("10.62.0.11", 32)]}, "error", "10.62.0.10 is not in a network of eth0"),
    ({"listeners": {9200: [("0.0.0.0", "nginx (77)")]}}, "error", "port 9200: nginx (77) has it at 0.0.0.0"),
    ({"listeners": {55054: [("10.62.0.11", "x (1)")]}}, "error", "and api_external wants it"),
    ({"memory": 2 << 30}, "error", "memory: 2.0 GiB"),
    ({"room": {"db_data": 1 << 30, "work": 100 << 30}}, "error", "/var/lib/mysql: its disk has 1.0 GiB free"),
    ({"no_group": ["loom-ui-gateway"]}, "error", "there is no group loom-ui-gateway"),
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


def test_the_sql_proxy_of_the_inventory_has_to_be_there(inventory):
    """ProxySQL where it was chosen, with its own admin port; else it does not matter whether it is installed."""
    assert told(inventory, proxysql=True, listeners={6032: [("0.0.0.0", "proxysql (9)")]}) == []
    inventory["datacenter"]["sql_proxy"] = "proxysql"
    assert told(inventory, proxysql=True) == []
    assert told(inventory) == ["error: programs: not installed: proxysql, which the inventory wants (sql_proxy)"]
    lines = told(inventory, proxysql=True, listeners={6032: [("127.0.0.1", "proxysql (9)")]})
    assert lines == ["error: port 6032: proxysql (9) has it at 127.0.0.1, and sqlproxy_admin wants it"]


@pytest.mark.parametrize("choice, names", [("haproxy", ["loom-sqlproxy"]),
                                           ("proxysql", ["loom-sqlproxy", "loom-proxysql-follow"])])
def test_units_are_those_of_the_choice(inventory, choice, names):
    inventory["datacenter"]["sql_proxy"] = choice
    units = setup.units_of(inventory, "a")
    at = [unit.name for unit in units].index("mariadb") + 1
    assert [unit.name for unit in units[at:at + len(names) + 1]] == [*names, "haproxy"]
    files, _ = setup.Setup(inventory, "a", facts(), 1).files()
    placed = {name for name in files if "sqlproxy" in name or "proxysql" in name}
    assert placed == ({"haproxy/sqlproxy.cfg", "systemd/loom-sqlproxy.service"} if choice == "haproxy" else
                      {"proxysql/proxysql.cnf", "systemd/loom-sqlproxy.service", "systemd/loom-proxysql-follow.service"})


def test_setup_is_for_machines(inventory):
    inventory["datacenter"]["layout"] = "compose"
    assert told(inventory) == ["error: layout: it is 'compose', and setup is for layout = machines"]


def test_setup_of_one_machine_says_what_it_is_for(tmp_path):
    path = tmp_path / "inventory"
    path.write_text("[datacenter]\nlayout = single\nvirtual_address = 127.0.0.1\n[host here]\naddress = 127.0.0.1\n")
    done = subprocess.run([ROOT / "scripts/loom-datacenter", "setup", "--inventory", path], capture_output=True, text=True,
                          check=False)
    assert (done.returncode, done.stderr) == (3, ""), done.stderr
    assert "it is 'single', and setup is for layout = machines" in done.stdout


def test_passwords_are_not_changed_under_proxysql(inventory):
    """It knows one password of each account."""
    inventory["datacenter"]["sql_proxy"] = "proxysql"
    with pytest.raises(DcError, match="say sql_proxy = haproxy and run setup on all machines"):
        rotate.prepare(ways.of(inventory, "a", "-"))


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


@pytest.fixture
def groups(monkeypatch):
    """The services' groups are those of this machine."""
    monkeypatch.setattr(keys, "GROUP", "root")
    monkeypatch.setattr(keys, "GATEWAY", "daemon")


def test_secrets_that_are_made_stay(inventory, groups):
    assert keys.obtain(inventory, "a", facts()) == "made"
    paths = [inventory["paths"][kind] for kind in keys.MADE]
    made = [open(path, encoding="ascii").read() for path in paths]
    assert all(made) and len(set(made)) == len(made)
    assert keys.obtain(inventory, "a", facts(datacenter="dc1")) == "kept"
    assert [open(path, encoding="ascii").read() for path in paths] == made
    told = subprocess.run(["stat", "-c", "%U:%G:%a", *paths], capture_output=True, text=True, check=True).stdout.split()
    assert dict(zip(keys.MADE, told)) == {kind: f"root:{'daemon' if kind == keys.SESSIONS else 'root'}:640" for kind in keys.MADE}


def test_the_password_of_the_scheduler_comes_when_another_machine_has_it(inventory, groups, monkeypatch):
    """A datacenter without one stays as it is until somebody makes one."""
    monkeypatch.setattr(remote, "on", lambda address, _: base64.b64encode(f"of {address}\n".encode()).decode())
    path = pathlib.Path(inventory["paths"][keys.SCHEDULER])
    keys.obtain(inventory, "a", facts())
    path.unlink()
    known = {"datacenter": "dc1", "b": {"datacenter": "dc1"}}
    assert keys.obtain(inventory, "a", facts(**known)) == "kept" and not path.exists()
    assert keys.obtain(inventory, "a", facts(**known, c={"datacenter": "dc1", "has": [keys.SCHEDULER]})) == "fetched from c"
    assert path.read_text(encoding="ascii") == "of 10.62.0.13\n"
    assert keys.wanted(inventory, "a", facts(**known, c={"datacenter": "dc1", "has": [keys.SCHEDULER]})) == {}
    # A new machine gets it from one that has it, all else from any; without one it gets none.
    new = facts(b={"datacenter": "dc1", "has": [keys.SESSIONS]}, c={"datacenter": "dc1", "has": [keys.SCHEDULER]})
    assert keys.wanted(inventory, "a", new) == {kind: "c" if kind == keys.SCHEDULER else "b" for kind in keys.MADE}
    assert keys.SCHEDULER not in keys.wanted(inventory, "a", facts(b={"datacenter": "dc1"}))
    inventory["paths"][keys.SCHEDULER] = ""
    assert keys.SCHEDULER not in keys.wanted(inventory, "a", facts())


@pytest.mark.parametrize("issuer", ["", "https://id.example.org"])
def test_a_datacenter_that_is_there_gets_keys_of_sessions(inventory, groups, issuer):
    """Made once. Who is logged in has a session that is sealed with the cluster's key, which the others alone know yet."""
    keys.obtain(inventory, "a", facts())
    path = pathlib.Path(inventory["paths"][keys.SESSIONS])
    assert len(keys.session_keys(keys.read(path), path)) == 1
    path.unlink()
    inventory["datacenter"]["oidc_issuer"] = issuer
    assert keys.in_words(inventory, keys.wanted(inventory, "a", facts(**SET_UP)), "fetch", "make") == "make session_key"
    assert keys.obtain(inventory, "a", facts(**SET_UP)) == "made session_key"
    found = keys.session_keys(keys.read(path), path)
    cluster_key = keys.read(inventory["paths"]["cluster_key_file"]).strip()
    assert len(found) == (2 if issuer else 1) and (found[0] == cluster_key) == bool(issuer) and found[-1] != cluster_key
    assert keys.obtain(inventory, "a", facts(**SET_UP)) == "kept"
    assert keys.session_keys(keys.read(path), path) == found
    inventory["paths"][keys.SESSIONS] = ""
    assert keys.wanted(inventory, "a", facts()).keys() == keys.MADE.keys() - {keys.SESSIONS}


def test_keys_of_sessions_are_not_made_while_a_machine_that_may_have_them_is_silent(inventory, groups):
    keys.obtain(inventory, "a", facts())
    pathlib.Path(inventory["paths"][keys.SESSIONS]).unlink()
    silent = {**SET_UP, "c": {"error": "timed out"}}
    assert any(line.startswith("error: secrets: ") and "session_key is not here, and c, which may have it" in line
               for line in told(inventory, **silent))
    knows = {"b": {"datacenter": "dc1", "has": [keys.SESSIONS]}}
    assert keys.wanted(inventory, "a", facts(**{**silent, **knows})) == {keys.SESSIONS: "b"}


@pytest.mark.parametrize("text, said", [("", "it has no key"), ("# none\n\n", "it has no key"),
                                        (f"{FIRST}\nsecret\n", "line 2 is no key"), (f" {FIRST}\n", "line 1 is no key"),
                                        (f"{FIRST}\n" * 9, "it has 9 keys, and 8 are the most"),
                                        (f"{FIRST}\n\xff\n", "line 2 is no key")])
def test_keys_of_sessions_that_are_none(inventory, groups, monkeypatch, text, said):
    """Here that is told before anything is done; from another machine it is not taken; and no key is told."""
    path = pathlib.Path(inventory["paths"][keys.SESSIONS])
    path.write_text(text, encoding="utf-8")
    path.chmod(0o640)
    faults = {keys.SESSIONS: checks.fault(keys.SESSIONS, str(path), "loom")}
    lines = told(inventory, faults=faults)
    assert len(lines) == 1 and lines[0].startswith(f"error: {path}: {said}") and FIRST not in lines[0], lines
    path.unlink()
    monkeypatch.setattr(remote, "on", lambda *_: base64.b64encode(text.encode()).decode())
    giver = facts(b={"datacenter": "dc1", "has": [keys.SESSIONS]})
    if text.strip():
        for kind in keys.ALWAYS:
            pathlib.Path(inventory["paths"][kind]).write_text("x", encoding="ascii")
        giver["datacenter"] = "dc1"
        with pytest.raises(DcError, match=f"session_key on b: {said}"):
            keys.obtain(inventory, "a", giver)
    assert not path.exists()


@pytest.mark.parametrize("mode, group, level", [(0o640, "daemon", None), (0o640, "root", None), (0o644, "daemon", "warning"),
                                                (0o640, "sys", "error"), (0o600, "daemon", "error")])
def test_who_can_read_keys_of_sessions(inventory, groups, mode, group, level):
    path = pathlib.Path(inventory["paths"][keys.SESSIONS])
    path.write_text(f"# newest first\n{FIRST}\n{SECOND}\n", encoding="ascii")
    shutil.chown(path, "root", group)
    path.chmod(mode)
    found = checks.fault(keys.SESSIONS, str(path), "loom")
    assert (found and found[0]) == level
    assert not found or f"{mode:o}" in found[1] and found[2] == f"chown root:daemon {path}; chmod 640 {path}"


@pytest.mark.parametrize("kind", keys.GIVEN)
def test_what_somebody_has_to_give_is_fetched_by_the_others(inventory, groups, monkeypatch, tmp_path, kind):
    path = tmp_path / "given"
    assert kind not in keys.wanted(inventory, "a", facts())
    inventory[keys.GIVEN[kind]][kind] = str(path)
    with pytest.raises(DcError, match=f"{path} \\({kind}\\) is not here, nor on another machine of dc1 that answers"):
        keys.wanted(inventory, "a", facts())
    new = facts(b={"datacenter": "dc1", "has": [keys.SESSIONS]}, c={"datacenter": "dc1", "has": [kind]})
    assert keys.wanted(inventory, "a", new)[kind] == "c"
    monkeypatch.setattr(remote, "on", lambda *_: base64.b64encode(f"{FIRST}\n".encode()).decode())
    keys.obtain(inventory, "a", new)
    assert path.read_text(encoding="ascii") == f"{FIRST}\n" and path.stat().st_mode & 0o777 == 0o640
    assert kind not in keys.wanted(inventory, "a", new)


def test_keys_at_an_address_are_no_file(inventory):
    inventory["datacenter"]["oidc_keys"] = "https://id.example.org/jwks"
    assert "oidc_keys" not in keys.optional(inventory)


def here(_name, script, timeout):
    """By the shell that ssh would run."""
    return remote.run(["sh", "-c", script], timeout=timeout)


def test_a_machine_says_what_it_has(inventory, tmp_path):
    (tmp_path / "datacenter").write_text("dc1\n", encoding="ascii")
    for kind in (keys.SESSIONS, keys.SCHEDULER):
        path = pathlib.Path(inventory["paths"][kind])
        assert kind not in checks._other(inventory, "b", "/nonexistent", here)["has"]
        path.touch()
        assert kind not in checks._other(inventory, "b", "/nonexistent", here)["has"]
        path.write_text("x", encoding="ascii")
    found = checks._other(inventory, "b", tmp_path / "inventory", here)
    assert sorted(found["has"]) == sorted((keys.SESSIONS, keys.SCHEDULER))
    assert (found["datacenter"], len(found["inventory"])) == ("dc1", 64)


def test_a_shell_that_says_something_first_is_named(inventory):
    told = checks._other(inventory, "b", "/nonexistent", lambda *words, timeout: "Welcome to b\n" + here(*words, timeout=timeout))
    assert "its shell says 'Welcome to b'" in told["error"]


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
def test_sizes(inventory, text, size):
    inventory["datacenter"]["db_gcache"] = text
    assert render.size(inventory, "db_gcache") == size


def test_a_size_that_is_none(inventory):
    inventory["datacenter"]["db_buffer_pool"] = "much"
    with pytest.raises(DcError, match="db_buffer_pool is 'much', which is no size"):
        told(inventory)
