# SPDX-License-Identifier: Apache-2.0
"""loom-datacenter setup: certificates that lie on one machine are looked at, and placed on all.

Machines are folders of the test here, and ssh is the shell; tests/ship has machines.
"""

import shutil
import subprocess

import pytest

from dclib import DcError, certificates, checks, remote, render, setup
from support import ROOT
from support.authority import Authority


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """{name: (certificate, key)} of all kinds."""
    folder = tmp_path_factory.mktemp("made")
    authority = Authority(folder)
    found = {"good": authority.issue("good"), "other": authority.issue("other"), "ended": authority.issue("ended", days=-1),
             "authority": (authority.ca, authority.folder / "authority.key")}
    rsa, locked = folder / "rsa.key", folder / "locked.key"
    subprocess.run(["openssl", "genrsa", "-out", rsa, "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", found["good"][1], "-aes256", "-passout", "pass:x", "-out", locked], check=True)
    for name, data in (("text.pem", b"hello\n"), ("binary.pem", b"\xff\xfe"), ("junk.pem", (
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))):
        (folder / name).write_bytes(data)
    return {**found, "rsa": (None, rsa), "locked": (None, locked),
            **{name: (folder / f"{name}.pem", None) for name in ("text", "binary", "junk")}}


@pytest.mark.parametrize("certificate, key, said", [
    ("good", "good", ""),
    ("good", "other", "front.pem.key is the key of another certificate"),
    ("good", "rsa", "front.pem.key is the key of another certificate"),
    ("ended", "ended", "front.pem: certificate has expired"),
    ("good", "locked", "are no certificate and its key (one with a passphrase is none)"),
    ("junk", "good", "are no certificate and its key"),
    ("text", "good", "front.pem has no PEM with a certificate"),
    ("good", "text", "front.pem.key has no PEM with a private key"),
    ("binary", "good", "front.pem cannot be read: it is no text"),
    ("good", None, "there is no front.pem.key beside it"),
    (None, "good", "it is not there"),
])
def test_what_users_are_shown_is_looked_at(made, tmp_path, certificate, key, said):
    path = tmp_path / "front.pem"
    if certificate:
        shutil.copy(made[certificate][0], path)
    if key:
        shutil.copy(made[key][1] or made[key][0], tmp_path / "front.pem.key")
    found = certificates.front_fault(path)
    assert said in found and bool(said) == bool(found), found


@pytest.mark.parametrize("name, said", [("authority", ""), ("good", "has no certificate of an authority"),
                                        ("junk", "is no certificate"), ("text", "has no PEM with a certificate")])
def test_what_vouches_for_databases_is_looked_at(made, name, said):
    found = certificates.authority_fault(made[name][0])
    assert said in found and bool(said) == bool(found), found


class Site:
    """An inventory of three machines, and what each has in `/there` of it."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.placed = folder, folder / "none"  # where the others have what was placed
        for host in "abc":
            (folder / host).mkdir()
        (folder / "inventory").write_text((ROOT / "deploy/inventory.example").read_text() + f"""[paths]
etc = {folder}/etc
tls_front = {folder}/etc/front.pem
tls_front_source = {folder}/there/front.pem
db_tls_ca = {folder}/etc/db-ca.pem
db_tls_ca_source = {folder}/there/ca.pem
""")
        self.inventory = render.read_inventory(folder / "inventory")
        monkeypatch.setattr(remote, "on", self.on)

    def on(self, address, script, stdin=None, timeout=30):
        """As remote.on(), on a machine whose folder is another one."""
        there = str(self.folder / "abc"[int(address[-1]) - 1])
        script = script.replace(f"{self.folder}/there", there).replace(f"{self.folder}/etc/", f"{self.placed}/")
        return remote.run(["sh", "-c", script], stdin, timeout)

    def run(self, host):
        """(findings, names that differ) of a setup there; what differs is written. On that machine `there` is its folder."""
        link = self.folder / "there"
        link.unlink(missing_ok=True)
        link.symlink_to(self.folder / host)
        facts = {"others": checks.others(self.inventory, host, str(self.folder / "inventory"))}
        found = list(checks._certificates(facts, self.inventory, host))
        if found:
            return [one["what"] for one in found], []
        work = setup.Setup(self.inventory, host, facts, 1)
        files = certificates.files(self.inventory, host, facts, work.listed())
        names = work.changed(files)
        work.write(files, names)
        return [], names


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Nobody here has the packages' accounts."""
    monkeypatch.setattr("dclib.keys.GROUP", "root")
    monkeypatch.setattr(setup, "say", lambda _: None)
    return Site(tmp_path, monkeypatch)


def put(site, host, made, name="good"):
    """On one machine."""
    for source, target in zip(made[name], ("front.pem", "front.pem.key")):
        shutil.copy(source, site.folder / host / target)
    shutil.copy(made["authority"][0], site.folder / host / "ca.pem")


def test_they_are_carried_from_the_one_that_has_them(site, made):
    assert len(site.run("a")[0]) == 2 and "is on no machine that answers" in site.run("a")[0][0]
    put(site, "b", made)
    etc, all_of_them = site.folder / "etc", ["haproxy/haproxy.front", "haproxy/haproxy.front.key", "certificates/db-ca"]
    for host in "abc":
        shutil.rmtree(etc, ignore_errors=True)
        assert site.run(host) == ([], all_of_them)
        assert (etc / "front.pem").read_bytes() == made["good"][0].read_bytes()
        modes = {"front.pem": 0o644, "front.pem.key": 0o640, "db-ca.pem": 0o644}
        assert {name: (etc / name).stat().st_mode & 0o777 for name in modes} == modes
        assert site.run(host) == ([], [])
    # Another one is taken where it is put, and by the others; HAProxy is who is told of it, and not the services.
    put(site, "b", made, "other")
    for host in "bc":
        assert site.run(host)[1] == (all_of_them[:2] if host == "b" else [])
    assert (etc / "front.pem.key").read_bytes() == made["other"][1].read_bytes()
    units = [unit.name for unit in setup.units_of(site.inventory, "a") if all_of_them[0].startswith(unit.configured_by)]
    assert units == ["haproxy"]
    # What was placed stays when nobody has a source any more, and a new machine gets it from one that has it placed.
    (site.folder / "b/front.pem").unlink()
    assert site.run("c") == ([], []) and (etc / "front.pem.key").exists()
    etc.rename(site.folder / "placed")
    site.placed = site.folder / "placed"
    assert site.run("a") == ([], all_of_them)
    assert (etc / "front.pem.key").read_bytes() == made["other"][1].read_bytes()


@pytest.mark.parametrize("host", "bc")
def test_a_bad_one_is_placed_nowhere(site, made, host):
    """Told where it lies, and to whoever fetches it."""
    put(site, "b", made)
    shutil.copy(made["other"][1], site.folder / "b/front.pem.key")
    said = "front.pem.key is the key of another certificate"
    if host == "b":
        assert site.run(host)[0] == [said]
    else:
        with pytest.raises(DcError, match=f"/there/front.pem on b: {said}; put a good one there"):
            site.run(host)
    assert not (site.folder / "etc/front.pem").exists()


@pytest.mark.parametrize("before, after, said", [
    ("tls_front = ", "#", "and tls_front does not say where it is to be"),
    ("/etc/db-ca.pem", "/there/ca.pem", "where db_tls_ca is placed: name two files"),
])
def test_an_inventory_that_names_no_place(site, before, after, said):
    path = site.folder / "inventory"
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(DcError, match=said):
        render.read_inventory(path)
