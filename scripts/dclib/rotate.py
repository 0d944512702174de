# SPDX-License-Identifier: Apache-2.0
"""Another password for each of Loom's accounts at the database, on all machines, while they serve;
and another key of sessions.

An account takes both while services are restarted, one after the other. New ones are kept in files
of this machine until they are the only ones, so that a run that was broken off is finished by the
next one. Gateways read their keys again by themselves, or are restarted where their container keeps the file.
"""

import base64
import os
import pathlib
import shlex
import time

from . import DcError, keys, render, setup, upgrade
from .ask import fetch

RESTARTED = (("loom-api", "api_external"), ("loom-scheduler", "scheduler_admin"))
GATEWAY = (("loom-ui-gateway", "ui"),)
READY_SECONDS = 120
READ_SECONDS = 3  # gateways look each second whether the keys of sessions are others
KEYS_KEPT = 4
ACCOUNTS = {"db_password_file": "loom", keys.SCHEDULER: "loom_scheduler"}
# Who may read it stays as it is: one that was named in the inventory may be for another group.
SET = "umask 077; f={path}; base64 -d >$f.new && chown --reference=$f $f.new && chmod --reference=$f $f.new && mv $f.new $f"


def prepare(way):
    """Refuse unless all machines are well, answer, and have the same password or the next one already."""
    inventory, host = way.inventory, way.host
    if inventory["datacenter"]["sql_proxy"] == "proxysql":
        raise DcError("ProxySQL knows each account with one password, so services would be refused meanwhile: say "
                      "sql_proxy = haproxy and run setup on all machines, rotate, and go back the same way")
    upgrade.bear(inventory, "", "a new password")
    facts = way.facts()
    silent = [f"{name}: {other['error']}" for name, other in facts["others"].items() if other["error"]]
    if silent:
        raise DcError(f"ssh has to work to all machines: {'; '.join(silent)}")
    name = inventory["datacenter"]["name"]
    strangers = [other for other, told in facts["others"].items() if told["datacenter"] != name]
    if facts["datacenter"] != name or strangers:
        raise DcError(f"not part of {name} yet: {', '.join(strangers) or host}; {way.set_up} first")
    own = {"has": [kind for kind, file in keys.optional(inventory).items() if os.path.exists(file)]}
    all_of_them = {**facts["others"], host: own}
    without = [name for name, told in all_of_them.items() if keys.SCHEDULER not in told["has"]]
    if without and len(without) < len(all_of_them):
        raise DcError(f"{inventory['paths'][keys.SCHEDULER]} is not on {', '.join(without)}, but on others; {way.set_up}")
    sessions = inventory["paths"][keys.SESSIONS]
    if sessions:
        without = [name for name, told in all_of_them.items() if keys.SESSIONS not in told["has"]]
        if without:
            raise DcError(f"{sessions} is not on {', '.join(without)}: {way.set_up}, which makes or fetches it")
        keys.session_keys(keys.read(sessions), sessions)


def files_of(inventory):
    """What becomes another one."""
    sessions = inventory["paths"][keys.SESSIONS]
    return [inventory["paths"][kind] for kind in kinds(inventory)] + ([sessions] if sessions else [])


def kinds(inventory):
    """The passwords that this datacenter has, as paths of the inventory."""
    return [kind for kind in ACCOUNTS if inventory["paths"][kind] and os.path.exists(inventory["paths"][kind])]


def _accounts(way, passwords):
    """Each account takes these passwords of its, from each machine. passwords: {path in the inventory: texts}"""
    values = render.values_for(way.inventory, way.host)
    sql = ""
    for kind, texts in passwords.items():
        ways = " OR ".join(f"mysql_native_password USING PASSWORD('{text}')" for text in texts)
        sql += "".join(f"ALTER USER '{ACCOUNTS[kind]}'@'{entry['address']}' IDENTIFIED VIA {ways};\n"
                       for entry in values["db_clients"])
    way.sql(sql)


def _restart(way, name, units=RESTARTED):
    """One machine's services take what is new, one after the other."""
    inventory, address = way.inventory, way.inventory["hosts"][name]["address"]
    for unit, port in units:
        way.restart(name, unit)
        end = time.monotonic() + READY_SECONDS
        while fetch(address, int(inventory["ports"][port]), "/readyz", ca=render.by_tls(inventory))[0] != 200:
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


def _share(way, file, text):
    """The same file on all machines."""
    for name in way.inventory["hosts"]:
        way.on(name, SET.format(path=shlex.quote(str(file))), stdin=base64.b64encode(text.encode("ascii")).decode("ascii"))


def _sessions(way):
    """Sessions are sealed with a new key, and opened with those of before, until they end. All machines know
    it before any of them seals with it."""
    file = pathlib.Path(way.inventory["paths"][keys.SESSIONS])
    newest, *others = keys.session_keys(keys.read(file), file)
    fresh = keys.MADE[keys.SESSIONS]()
    for kept in ((newest, fresh, *others), (fresh, newest, *others)):
        _share(way, file, "".join(f"{key}\n" for key in kept[:KEYS_KEPT]))
        if way.gateways_reread:
            time.sleep(READ_SECONDS)
        else:
            for name in way.inventory["hosts"]:
                _restart(way, name, GATEWAY)
    setup.say("gateways: sessions are sealed with a new key, and those that there are go on")


def rotate(way):
    """All of it; answers the machines in order."""
    inventory = way.inventory
    files = {kind: pathlib.Path(inventory["paths"][kind]) for kind in kinds(inventory)}
    passwords = {kind: _next(file, keys.MADE[kind]) for kind, file in files.items()}
    _accounts(way, passwords)
    setup.say("database: each account takes the old password and the new one")
    for kind, (_, new) in passwords.items():
        _share(way, files[kind], f"{new}\n")
    for name in inventory["hosts"]:
        way.tell(name)
    for name in inventory["hosts"]:
        _restart(way, name)
    _accounts(way, {kind: (new,) for kind, (_, new) in passwords.items()})
    for file in files.values():
        kept, following = _beside(file)
        following.unlink()
        kept.unlink()
    setup.say("database: each account takes the new password only")
    if inventory["paths"][keys.SESSIONS]:
        _sessions(way)
    return list(inventory["hosts"])
