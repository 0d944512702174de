# SPDX-License-Identifier: Apache-2.0
"""Work on a machine that the others have to bear: its packages upgraded, or another machine in its place."""

import os
import re
import shlex
import subprocess

from . import DcError, checks, doctor, keys, remote, setup

SIMULATED = re.compile(r"^Inst (loom-[\w-]+) \[([^\]]+)\] \((\S+)", re.M)
APT = ["apt-get", "-y", "-o", "Dpkg::Options::=--force-confold"]


def ill(inventory, host):
    """What is not ready on the other machines."""
    return [f"{part['host']} {part['name']}: {part['error']}" for part in doctor.look(inventory)["parts"]
            if part["host"] != host and not part["ready"]]


def bear(inventory, host, what):
    """Refuse while the others are not all well: they have to serve while this machine does not."""
    found = ill(inventory, host)
    if found:
        raise DcError(f"{what} waits for the other machines to be well, which they are not: {'; '.join(found)}. "
                      "loom-datacenter doctor says what to do")


def installed():
    """Loom's packages on this machine."""
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", "loom-*"], capture_output=True,
                            text=True, check=False).stdout
    return [line.split()[0] for line in listed.splitlines() if line.endswith(" installed")]


def upgrade(inventory, host, path, dry_run):
    """This machine's packages, then its configuration by the new program. Answers what was done."""
    bear(inventory, host, "an upgrade")
    remote.run(["apt-get", "-q", "update"], timeout=600)
    names = installed()
    if not names:
        raise DcError("no package of Loom is installed; what `make install` put here is upgraded by it")
    found = SIMULATED.findall(remote.run(["apt-get", "-s", "install", "--only-upgrade", *names]))
    done = {"host": host, "packages": [{"name": name, "from": old, "to": new} for name, old, new in found]}
    if dry_run:
        return done
    if subprocess.run(["dpkg", "--audit"], capture_output=True, check=False).stdout:
        setup.say("packages: an upgrade that was broken off is finished first")
        _apt(["dpkg", "--configure", "-a", "--force-confold"])
    if found:
        setup.say(f"packages: {', '.join(f'{name} {new}' for name, _, new in found)}")
        _apt([*APT, "install", "--only-upgrade", *names])
    # The program that was just installed, whose templates may be others.
    code = subprocess.run(["loom-datacenter", "setup", "--inventory", path, "--json"], stdout=subprocess.PIPE, text=True,
                          check=False)
    if code.returncode != 0:
        raise DcError("the packages are upgraded, setup after it did not end well (above); mend that, then "
                      "loom-datacenter upgrade again")
    return done


def _apt(argv):
    """apt or dpkg, whose words are progress."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=2, check=False, env=env)
    if done.returncode != 0:
        raise DcError(f"{argv[0]} ended with {done.returncode}: what runs goes on with the old program where the new one does "
                      "not take its configuration; mend what it says above, then loom-datacenter upgrade again")


def replace(inventory, host, name, path, dry_run):
    """Set another machine up in the place of one that is lost, from here. Exit code of its setup; None without one."""
    hosts = inventory["hosts"]
    if name not in hosts:
        raise DcError(f"the inventory has no host '{name}', it has {', '.join(hosts)}")
    if name == host:
        raise DcError(f"{name} is this machine: run it on another one")
    facts = checks.look(inventory, host, path)
    told = facts["others"][name]
    address = hosts[name]["address"]
    if told["error"]:
        raise DcError(f"the new {name} has to answer to ssh root@{address} without a question, which it does not: "
                      f"{told['error']} (the lost one's host key is forgotten by: ssh-keygen -R {address})")
    if told["datacenter"]:
        raise DcError(f"{name} is no new machine: it is set up for '{told['datacenter']}'. Run setup there; or, where it is to "
                      "begin anew, apt-get purge loom-datacenter there first")
    others = {part.split(" ")[0] for part in ill(inventory, host)} - {name}
    if others:
        raise DcError(f"{', '.join(sorted(others))} is not well either: mend that first, two machines have to serve meanwhile")
    if not facts["datacenter"]:
        raise DcError(f"this machine is part of no datacenter ({keys.note_of(inventory)} is not there); run it on one that is")
    version = remote.on(address, "loom-datacenter --help >/dev/null 2>&1 && echo yes || echo no").strip()
    if version != "yes":
        raise DcError(f"loom-datacenter is not installed on {name}: install the same packages there as here "
                      "(deploy/docs/packages.md)")
    if dry_run:
        return None
    there = shlex.quote(os.path.abspath(path))
    with open(path, encoding="utf-8") as file:
        remote.on(address, f"umask 022; mkdir -p $(dirname {there}); cat >{there}.new && mv {there}.new {there}",
                  stdin=file.read())
    return remote.follow(address, f"loom-datacenter setup --inventory {there}")
