# SPDX-License-Identifier: Apache-2.0
"""Work on a machine that the others have to bear: what it runs upgraded, or another machine in its place."""

from . import DcError, doctor, keys, ways
from .alone import alone


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


def upgrade(inventory, host, path, dry_run):
    """What this machine runs, then its configuration by the new program. Answers what was done."""
    with alone(path, f"work by {path}"):
        way = ways.of(inventory, host, path)
        bear(inventory, host, "an upgrade")
        done = {"host": host, "packages": way.newer()}
        if not dry_run:
            way.take(done["packages"])
    if not dry_run:
        way.finish()
    return done


def replace(inventory, host, name, path, dry_run):
    """Set another machine up in the place of one that is lost, from here. Exit code of its setup; None without one."""
    hosts = inventory["hosts"]
    if name not in hosts:
        raise DcError(f"the inventory has no host '{name}', it has {', '.join(hosts)}")
    if name == host:
        raise DcError(f"{name} is this machine: run it on another one")
    way = ways.of(inventory, host, path)
    facts = way.facts()
    told = facts["others"][name]
    address = hosts[name]["address"]
    if told["error"]:
        raise DcError(f"the new {name} has to answer to ssh root@{address} without a question, which it does not: "
                      f"{told['error']} (the lost one's host key is forgotten by: ssh-keygen -R {address})")
    if not way.is_new(name, told):
        raise DcError(f"{name} is no new machine: it is set up already. {way.anew}")
    others = {part.split(" ")[0] for part in ill(inventory, host)} - {name}
    if others:
        raise DcError(f"{', '.join(sorted(others))} is not well either: mend that first, two machines have to serve meanwhile")
    if not facts["datacenter"]:
        raise DcError(f"this machine is part of no datacenter ({keys.note_of(way.inventory)} is not there); run it on one "
                      "that is")
    lacks = way.lacks(name)
    if lacks:
        raise DcError(lacks)
    return None if dry_run else way.begin(name)
