# SPDX-License-Identifier: Apache-2.0
"""The secrets that all machines of a datacenter share: what each looks like, and how it is placed.

A machine that has them says so in a note beside them, with the name of the datacenter. Without it,
secrets that are there are of the packages' making, and no other machine knows them.
"""

import base64
import os
import pathlib
import secrets
import shutil

from . import DcError, remote

# Services read them, and may not change them.
GROUP, SECRET_MODE = "loom", 0o640


def token():
    """What one of Loom's tokens looks like."""
    return f"loom_{secrets.token_urlsafe(32)}"


# path in the inventory: what makes a new one
MADE = {"cluster_key_file": lambda: secrets.token_hex(32), "db_password_file": lambda: secrets.token_hex(24),
        "admin_token_file": token, "provisioner_token_file": token,
        "db_scheduler_password_file": lambda: secrets.token_hex(24)}
# A datacenter may do without it: those that were set up before it came do. All machines have it, or none.
SCHEDULER = "db_scheduler_password_file"


def note_of(inventory):
    """The file that says which datacenter's secrets these are."""
    return pathlib.Path(inventory["paths"]["etc"]) / "datacenter"


def place(path, text, mode, group):
    """Write a file so that nobody ever sees half of it, or one that he must not read."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        shutil.chown(temporary, "root", group)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    os.replace(temporary, path)


def source(inventory, host, facts):
    """Where this machine's secrets come from: its own name, another machine's, or "" (they are to be made)."""
    name = inventory["datacenter"]["name"]
    if facts["datacenter"] not in ("", name):
        raise DcError(f"{note_of(inventory)}: this machine belongs to the datacenter '{facts['datacenter']}', not '{name}'")
    if facts["datacenter"] and all(os.path.exists(inventory["paths"][kind]) for kind in MADE if kind != SCHEDULER):
        return host
    givers = [other for other, told in facts["others"].items() if told["datacenter"] == name]
    if givers:
        return givers[0]
    first = next(iter(inventory["hosts"]))
    if facts["datacenter"]:
        raise DcError(f"secrets of {name} are missing here, and no other machine that has them answers")
    if host != first:
        raise DcError(f"no machine has secrets of {name} yet: they are made on {first}, so run setup there first")
    return ""


def wanted(inventory, host, facts):
    """{path in the inventory: the machine it is fetched from, or "" where it is made} of secrets that are to be placed here."""
    giver = source(inventory, host, facts)
    name, path = inventory["datacenter"]["name"], inventory["paths"][SCHEDULER]
    found = {} if giver == host else {kind: giver for kind in MADE if kind != SCHEDULER}
    givers = [other for other, told in facts["others"].items() if told["datacenter"] == name and told["scheduler"]]
    if path and not giver:
        found[SCHEDULER] = ""
    elif path and givers and not (giver == host and os.path.exists(path)):
        found[SCHEDULER] = givers[0]
    return found


def obtain(inventory, host, facts):
    """Place the secrets; answers what was done, in words."""
    found = wanted(inventory, host, facts)
    for kind, giver in found.items():
        path = pathlib.Path(inventory["paths"][kind])
        if giver:
            address = inventory["hosts"][giver]["address"]
            text = base64.b64decode(remote.on(address, f"base64 <'{path}'")).decode("ascii")
            if not text.strip():
                raise DcError(f"{path} on {giver} is empty")
            place(path, text, SECRET_MODE, GROUP)
        elif not path.exists():
            place(path, MADE[kind]() + "\n", SECRET_MODE, GROUP)
    place(note_of(inventory), inventory["datacenter"]["name"] + "\n", 0o644, "root")
    givers = sorted(set(found.values()))
    return "kept" if not found else f"fetched from {', '.join(givers)}" if givers != [""] else "made"
