# SPDX-License-Identifier: Apache-2.0
"""deploy/compose/setup: which secrets it makes for containers, for whom, and what it says of those that are not right.

It runs here with folders of the test in the place of volumes; tests/ship has the containers.
"""

import importlib.machinery
import importlib.util
import ipaddress
import pathlib
import re
import shutil
import sys

import pytest

from dclib import DcError, keys
from support import ROOT

OIDC = {"ISSUER": "https://id.example.org", "CLIENT_ID": "page", "KEYS": "https://id.example.org/jwks",
        "ROLES": "ops=superadmin:admin", "SCOPE": "", "REDIRECT": "https://loom.example.org/login/callback"}


def routes(*rows):
    """/proc/net/route: (to, gateway, mask) of each."""
    def word(text):
        return f"{int.from_bytes(ipaddress.ip_address(text).packed, sys.byteorder):08X}"
    lines = [f"eth0\t{word(to)}\t{word(gateway)}\t0003\t0\t0\t0\t{word(mask)}\t0\t0\t0" for to, gateway, mask in rows]
    return "\n".join(["Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT", *lines, ""])


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The program, whose folders and accounts are others."""
    loader = importlib.machinery.SourceFileLoader("compose_setup", str(ROOT / "deploy/compose/setup"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("compose_setup", loader))
    monkeypatch.setattr(sys, "path", list(sys.path))
    loader.exec_module(module)
    module.LOOM, module.MYSQL, module.ETC = 1, 2, tmp_path / "etc"
    volumes = {name: tmp_path / (name or "services") for name in ("", "-admin", "-provisioner", "-db", "-ui")}
    module.SERVICES, module.ADMIN, module.PROVISIONER, module.DATABASE, module.UI = volumes.values()
    module.MADE = {volumes[path.parent.name.removeprefix("loom")] / path.name: make for path, make in module.MADE.items()}
    text = (ROOT / "deploy/compose/inventory").read_text(encoding="utf-8")
    for name in ("-admin", "-provisioner", "-ui", ""):
        text = text.replace(f"/run/secrets/loom{name}/", f"{volumes[name]}/")
    module.INVENTORY = tmp_path / "inventory.quick"
    module.INVENTORY.write_text(text, encoding="utf-8")
    module.ROUTES = tmp_path / "route"
    module.ROUTES.write_text(routes(("0.0.0.0", "172.19.0.1", "0.0.0.0"), ("172.19.0.0", "0.0.0.0", "255.255.0.0")))
    module.GIVEN_SECRET = tmp_path / "given"
    module.FOLDER, module.SECRETS = tmp_path / "loom", tmp_path / "loom/secrets"
    module.SECRETS.mkdir(parents=True)
    (module.FOLDER / "inventory").write_text((ROOT / "deploy/inventory.example").read_text(encoding="utf-8").replace(
        "[datacenter]", "[datacenter]\nlayout = compose"), encoding="utf-8")
    return module


def who(path):
    """Owner, group and mode."""
    status = path.stat()
    return status.st_uid, status.st_gid, status.st_mode & 0o777


def add(program, text):
    """To the datacenter's inventory, below [datacenter]."""
    path = program.FOLDER / "inventory"
    path.write_text(path.read_text(encoding="utf-8").replace("[datacenter]\n", f"[datacenter]\n{text}\n", 1), encoding="utf-8")


def config_of_gateway(folder):
    return (folder / "loom/ui-gateway.conf").read_text(encoding="utf-8")


def test_the_quick_start_makes_the_gateways_keys_once(program, capsys):
    program.files()
    path = program.UI / "session.keys"
    text = path.read_text(encoding="ascii")
    assert keys.session_keys(text, path) and who(path) == (0, 1, 0o440)
    assert [entry.name for entry in program.UI.iterdir()] == ["session.keys"]
    config = config_of_gateway(program.ETC)
    assert f"session_key_file = {path}\n" in config and "cluster_key_file" not in config and "\noidc_" not in config
    program.files()
    assert path.read_text(encoding="ascii") == text and text.strip() not in capsys.readouterr().out


def test_the_quick_start_takes_a_provider_from_the_environment(program, monkeypatch):
    for name, value in OIDC.items():
        monkeypatch.setenv(f"LOOM_OIDC_{name}", value)
    program.GIVEN_SECRET.write_text("what the provider gave\n", encoding="utf-8")
    program.files()
    config = config_of_gateway(program.ETC)
    secret = program.UI / "oidc.secret"
    for line in ("oidc_issuer = https://id.example.org", "oidc_client_id = page", f"oidc_client_secret_file = {secret}",
                 "oidc_redirect = https://loom.example.org/login/callback", "oidc_scope = openid profile"):
        assert f"{line}\n" in config, config
    assert "oidc_keys = https://id.example.org/jwks\n" in (program.ETC / "loom/api.conf").read_text(encoding="utf-8")
    assert secret.read_text(encoding="utf-8") == "what the provider gave\n" and who(secret) == (0, 1, 0o440)
    program.GIVEN_SECRET.write_text("", encoding="utf-8")
    program.files()
    assert not secret.exists() and "oidc_client_secret_file = \n" in config_of_gateway(program.ETC)


def test_the_quick_start_believes_its_own_network_but_for_the_gateway(program, monkeypatch):
    """And what the environment names; HAProxy and the API have the same list."""
    monkeypatch.setenv("LOOM_TRUSTED_PROXIES", "198.51.100.7, 2001:db8::/64")
    program.files()
    config = (program.ETC / "loom/api.conf").read_text(encoding="utf-8")
    said = re.search("^trusted_proxies = (.*)$", config, re.M).group(1).split(", ")
    networks = [ipaddress.ip_network(word) for word in said]

    def believed(address):
        return any(ipaddress.ip_address(address) in network for network in networks)

    for address in ("172.19.0.2", "172.19.0.0", "172.19.255.255", "127.0.0.1", "::1", "198.51.100.7", "2001:db8::7"):
        assert believed(address), (address, said)
    for address in ("172.19.0.1", "172.18.255.255", "172.20.0.0", "198.51.100.8", "0.0.0.0"):
        assert not believed(address), (address, said)
    haproxy = (program.ETC / "haproxy/haproxy.cfg").read_text(encoding="utf-8")
    assert re.findall(r"^\tacl ours src (\S+)$", haproxy, re.M) == said * 3
    monkeypatch.setenv("LOOM_TRUSTED_PROXIES", "proxy.example")
    with pytest.raises(DcError, match="LOOM_TRUSTED_PROXIES has 'proxy.example', which is no address"):
        program.files()
    monkeypatch.setenv("LOOM_TRUSTED_PROXIES", "")
    program.ROUTES.write_text(routes(), encoding="ascii")
    with pytest.raises(DcError, match="this container is in no network"):
        program.files()


def test_what_is_as_it_should_be_is_not_written_again(program):
    """A container that began since then has read it."""
    program.make_secrets()
    program.machine("a")
    folder = program.FOLDER / "a"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    program.machine("a")
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    (folder / "etc/loom/api.conf").chmod(0o600)
    add(program, "log_level = debug")
    program.machine("a")
    changed = {str(path.relative_to(folder)) for path, when in before.items() if path.stat().st_mtime_ns != when}
    assert changed == {f"etc/loom/{name}.conf" for name in ("api", "scheduler", "ui-gateway", "provisioner-1")}
    assert who(folder / "etc/loom/api.conf")[2] == 0o644


def test_keys_of_the_quick_start_that_are_none(program):
    program.UI.mkdir()
    (program.UI / "session.keys").write_text("hush\n", encoding="ascii")
    with pytest.raises(DcError, match="session.keys: line 1 is no key, which is 64 hex digits; take it out") as refused:
        program.files()
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("issuer", ["", "oidc_issuer = https://id.example.org"])
def test_a_datacenters_keys_of_sessions(program, issuer):
    """A new one's are its own; one that was there goes on with what its sessions are sealed with."""
    add(program, issuer)
    program.make_secrets()
    path = program.SECRETS / "session.keys"
    new = keys.session_keys(keys.read(path), path)
    cluster = keys.read(program.SECRETS / "cluster.key").strip()
    assert len(new) == 1 and new != [cluster] and who(path) == (0, 1, 0o440)
    path.unlink()
    with pytest.raises(DcError, match="secrets has no session.keys: `secrets` makes them on one machine"):
        program.machine("a")
    program.make_secrets()
    found = keys.session_keys(keys.read(path), path)
    assert len(found) == (2 if issuer else 1) and (found[0] == cluster) == bool(issuer)
    program.machine("a")
    assert "../secrets/session.keys:/run/secrets/loom/session.keys:ro" in (program.FOLDER / "a/compose.yaml").read_text()
    path.write_text("", encoding="ascii")
    with pytest.raises(DcError, match="secrets/session.keys: it has no key"):
        program.machine("a")


@pytest.mark.parametrize("name, kind", [("master.keys", "master_key_file"), ("oidc.secret", "oidc_client_secret_file"),
                                        ("oidc.keys", "oidc_keys")])
def test_what_somebody_has_to_give(program, name, kind):
    program.make_secrets()
    where = f"/run/secrets/loom/{name}"
    add(program, "oidc_issuer = https://id.example.org" + (f"\noidc_keys = {where}" if kind == "oidc_keys" else ""))
    if kind != "oidc_keys":
        with open(program.FOLDER / "inventory", "a", encoding="utf-8") as file:
            file.write(f"[paths]\n{kind} = {where}\n")
    with pytest.raises(DcError, match=f"secrets/{name} is not there or empty, and the inventory names it \\({kind}\\)"):
        program.machine("a")
    path = program.SECRETS / name
    path.write_text("given\n", encoding="ascii")
    path.chmod(0o600)
    shutil.chown(path, 7, 7)
    program.machine("a")
    assert who(path) == (0, 1, 0o440)
    assert f"../secrets/{name}:{where}:ro" in pathlib.Path(program.FOLDER / "a/compose.yaml").read_text(encoding="utf-8")
