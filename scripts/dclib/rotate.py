# SPDX-License-Identifier: Apache-2.0
"""Another password for each of Loom's accounts at the database, on all machines, while they serve.

An account takes both while services are restarted, one after the other. New ones are kept in files
of this machine until they are the only ones, so that a run that was broken off is finished by the
next one.
"""

import base64
import os
import pathlib
import shlex
import time

from . import DcError, checks, keys, remote, render, setup, upgrade
from .ask import fetch

RESTARTED = (("loom-api", "api_external"), ("loom-scheduler", "scheduler_admin"))
READY_SECONDS = 120
ACCOUNTS = {"db_password_file": "loom", keys.SCHEDULER: "loom_scheduler"}
SET = "umask 077; f={path}; base64 -d >$f.new && chgrp {group} $f.new && chmod {mode:o} $f.new && mv $f.new $f"


def prepare(inventory, host, path):
    """Refuse unless all machines are well, answer, and have the same password or the next one already."""
    upgrade.bear(inventory, "", "a new password")
    facts = checks.look(inventory, host, path)
    silent = [f"{name}: {other['error']}" for name, other in facts["others"].items() if other["error"]]
    if silent:
        raise DcError(f"ssh has to work to all machines: {'; '.join(silent)}")
    name = inventory["datacenter"]["name"]
    strangers = [other for other, told in facts["others"].items() if told["datacenter"] != name]
    if facts["datacenter"] != name or strangers:
        raise DcError(f"not part of {name} yet: {', '.join(strangers) or host}; run setup there first")
    own = keys.SCHEDULER in kinds(inventory)
    without = [other for other, told in (*facts["others"].items(), (host, {"scheduler": own})) if not told["scheduler"]]
    if without and len(without) <= len(facts["others"]):
        raise DcError(f"{inventory['paths'][keys.SCHEDULER]} is not on {', '.join(without)}, but on others; run setup there")


def kinds(inventory):
    """The passwords that this datacenter has, as paths of the inventory."""
    return [kind for kind in ACCOUNTS if inventory["paths"][kind] and os.path.exists(inventory["paths"][kind])]


def _accounts(inventory, host, passwords):
    """Each account takes these passwords of its, from each machine. passwords: {path in the inventory: texts}"""
    values = render.values_for(inventory, host)
    sql = ""
    for kind, texts in passwords.items():
        ways = " OR ".join(f"mysql_native_password USING PASSWORD('{text}')" for text in texts)
        sql += "".join(f"ALTER USER '{ACCOUNTS[kind]}'@'{entry['address']}' IDENTIFIED VIA {ways};\n"
                       for entry in values["db_clients"])
    remote.run(["mariadb", "--no-defaults", f"--socket={values['paths']['db_run']}/mysqld.sock"], stdin=sql)


def _restart(inventory, name, address):
    """One machine's services take the new password, one after the other."""
    for unit, port in RESTARTED:
        remote.on(address, f"systemctl restart {unit}", timeout=180)
        end = time.monotonic() + READY_SECONDS
        while fetch(address, int(inventory["ports"][port]), "/readyz")[0] != 200:
            if time.monotonic() > end:
                raise DcError(f"{unit} on {name} is not ready {READY_SECONDS} s after its restart: mend that, then "
                              "rotate-keys again (each account takes both passwords until then)")
            time.sleep(setup.PAUSE)
        setup.say(f"{name}: {unit} restarted and ready")


def _next(file, make):
    """(old password, the new one) of a file: that of a run that was broken off, or one that is made."""
    kept, following = _beside(file)
    if not following.exists():
        keys.place(kept, file.read_text(encoding="ascii"), 0o600, "root")
        keys.place(following, make() + "\n", 0o600, "root")
    return tuple(path.read_text(encoding="ascii").strip() for path in (kept, following))


def _beside(file):
    """Where the old password is kept, and the new one."""
    return file.with_name(file.name + ".before"), file.with_name(file.name + ".next")


def rotate(inventory, host):
    """All of it; answers the machines in order."""
    files = {kind: pathlib.Path(inventory["paths"][kind]) for kind in kinds(inventory)}
    passwords = {kind: _next(file, keys.MADE[kind]) for kind, file in files.items()}
    _accounts(inventory, host, passwords)
    setup.say("database: each account takes the old password and the new one")
    for own in inventory["hosts"].values():
        for kind, (_, new) in passwords.items():
            script = SET.format(path=shlex.quote(str(files[kind])), group=keys.GROUP, mode=keys.SECRET_MODE)
            remote.on(own["address"], script, stdin=base64.b64encode(f"{new}\n".encode("ascii")).decode("ascii"))
    for name, own in inventory["hosts"].items():
        _restart(inventory, name, own["address"])
    _accounts(inventory, host, {kind: (new,) for kind, (_, new) in passwords.items()})
    for file in files.values():
        kept, following = _beside(file)
        following.unlink()
        kept.unlink()
    setup.say("database: each account takes the new password only")
    return list(inventory["hosts"])
