# SPDX-License-Identifier: Apache-2.0
"""Another password for the database's account, on all machines, while they serve.

The account takes both while services are restarted, one after the other. The new one is kept in a
file of this machine until it is the only one, so that a run that was broken off is finished by the
next one.
"""

import base64
import pathlib
import shlex
import time

from . import DcError, checks, keys, remote, render, setup, upgrade
from .ask import fetch

RESTARTED = (("loom-api", "api_external"), ("loom-scheduler", "scheduler_admin"))
READY_SECONDS = 120
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


def _account(inventory, host, *passwords):
    """The account takes these passwords, from each machine."""
    values = render.values_for(inventory, host)
    ways = " OR ".join(f"mysql_native_password USING PASSWORD('{password}')" for password in passwords)
    sql = "".join(f"ALTER USER 'loom'@'{entry['address']}' IDENTIFIED VIA {ways};\n" for entry in values["db_clients"])
    remote.run(["mariadb", "--no-defaults", f"--socket={values['paths']['db_run']}/mysqld.sock"], stdin=sql)


def _restart(inventory, name, address):
    """One machine's services take the new password, one after the other."""
    for unit, port in RESTARTED:
        remote.on(address, f"systemctl restart {unit}", timeout=180)
        end = time.monotonic() + READY_SECONDS
        while fetch(address, int(inventory["ports"][port]), "/readyz")[0] != 200:
            if time.monotonic() > end:
                raise DcError(f"{unit} on {name} is not ready {READY_SECONDS} s after its restart: mend that, then "
                              "rotate-keys again (the account takes both passwords until then)")
            time.sleep(setup.PAUSE)
        setup.say(f"{name}: {unit} restarted and ready")


def rotate(inventory, host):
    """All of it; answers the machines in order."""
    file = pathlib.Path(inventory["paths"]["db_password_file"])
    kept, following = file.with_name(file.name + ".before"), file.with_name(file.name + ".next")
    if not following.exists():
        keys.place(kept, file.read_text(encoding="ascii"), 0o600, "root")
        keys.place(following, keys.MADE["db_password_file"]() + "\n", 0o600, "root")
    old, new = (path.read_text(encoding="ascii").strip() for path in (kept, following))
    _account(inventory, host, old, new)
    setup.say("database: the account takes the old password and the new one")
    script = SET.format(path=shlex.quote(str(file)), group=keys.GROUP, mode=keys.SECRET_MODE)
    text = base64.b64encode(f"{new}\n".encode("ascii")).decode("ascii")
    for own in inventory["hosts"].values():
        remote.on(own["address"], script, stdin=text)
    for name, own in inventory["hosts"].items():
        _restart(inventory, name, own["address"])
    _account(inventory, host, new)
    for path in (following, kept):
        path.unlink()
    setup.say("database: the account takes the new password only")
    return list(inventory["hosts"])
