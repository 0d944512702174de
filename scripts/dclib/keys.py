# SPDX-License-Identifier: Apache-2.0
"""The secrets that all machines of a datacenter share: what each looks like, and how it is placed.

A machine that has them says so in a note beside them, with the name of the datacenter. Without it,
secrets that are there are of the packages' making, and no other machine knows them.
"""

import base64
import os
import pathlib
import re
import secrets
import shlex
import shutil

from . import DcError, remote

# Services read them, and may not change them. In the second group is the gateway, and no other service.
GROUP, GATEWAY, SECRET_MODE = "loom", "loom-ui-gateway", 0o640
# A datacenter may do without it: those that were set up before it came do. All machines have it, or none.
SCHEDULER = "db_scheduler_password_file"
# Newest first; sessions of people who log in at a provider are sealed with it.
SESSIONS, SESSIONS_MOST = "session_key_file", 8
KEY, MAKES = re.compile(r"[0-9A-Fa-f]{64}"), "openssl rand -hex 32"


def token():
    """What one of Loom's tokens looks like."""
    return f"loom_{secrets.token_urlsafe(32)}"


# path in the inventory: what makes a new one
MADE = {"cluster_key_file": lambda: secrets.token_hex(32), "db_password_file": lambda: secrets.token_hex(24),
        "admin_token_file": token, "provisioner_token_file": token,
        SCHEDULER: lambda: secrets.token_hex(24), SESSIONS: lambda: secrets.token_hex(32)}
ALWAYS = [kind for kind in MADE if kind not in (SCHEDULER, SESSIONS)]
# What nobody can make here is put on one machine by hand, and fetched by the others. setting: its section
GIVEN = {"master_key_file": "paths", "oidc_client_secret_file": "paths", "oidc_keys": "datacenter"}
# What the gateway reads, and no other service.
GATEWAYS = SESSIONS, "oidc_client_secret_file"


def note_of(inventory):
    """The file that says which datacenter's secrets these are."""
    return pathlib.Path(inventory["paths"]["etc"]) / "datacenter"


def path_of(inventory, kind):
    """Where a secret is on all machines; "": there is none. oidc_keys may be an address, too."""
    path = inventory[GIVEN.get(kind, "paths")][kind]
    return path if kind != "oidc_keys" or path.startswith("/") else ""


def optional(inventory):
    """{setting: path} of what not every datacenter has, and this one's inventory names."""
    return {kind: path_of(inventory, kind) for kind in (SCHEDULER, SESSIONS, *GIVEN) if path_of(inventory, kind)}


def group_of(kind):
    """Who reads it."""
    return GATEWAY if kind in GATEWAYS else GROUP


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
        try:
            shutil.chown(temporary, "root", group)
        except LookupError as error:
            raise DcError(f"{path}: {error}; the packages make it, else systemd-sysusers does (deploy/README.md)") from error
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    os.replace(temporary, path)


# ---- what a file of keys of sessions may be


def look_at_session_keys(text):
    """(the keys in such a file, the newest first; what is wrong with it, or ""; what to do). No key is in the words."""
    found = []
    for number, line in enumerate((line.rstrip(" \t\r") for line in text.split("\n")), start=1):
        if not line or line.startswith("#"):
            continue
        if not KEY.fullmatch(line):
            return [], f"line {number} is no key, which is 64 hex digits", f"take it out, or put a key there ({MAKES})"
        found.append(line)
    if not found:
        return [], "it has no key", f"delete it, and setup makes or fetches it; or put a key there ({MAKES})"
    if len(found) > SESSIONS_MOST:
        return [], f"it has {len(found)} keys, and {SESSIONS_MOST} are the most", "take the last ones out"
    return found, "", ""


def session_keys(text, where):
    """The keys in such a file, the newest first."""
    found, wrong, mend = look_at_session_keys(text)
    if wrong:
        raise DcError(f"{where}: {wrong}; {mend}")
    return found


def first_session_keys(cluster_key, oidc_issuer):
    """The text of a first such file, of a datacenter that is there already. People who are logged in have sessions that
    are sealed with the cluster's key, and machines that are not set up yet know no other: so it stays the newest until
    keys are rotated."""
    fresh = MADE[SESSIONS]()
    return f"{cluster_key.strip()}\n{fresh}\n" if oidc_issuer else f"{fresh}\n"


def read(path):
    """A secret's text; what is not ASCII in it is no key or password either."""
    return pathlib.Path(path).read_text(encoding="ascii", errors="replace")


# ---- where they come from


def source(inventory, host, facts):
    """Where this machine's secrets come from: its own name, another machine's, or "" (they are to be made)."""
    name = inventory["datacenter"]["name"]
    if facts["datacenter"] not in ("", name):
        raise DcError(f"{note_of(inventory)}: this machine belongs to the datacenter '{facts['datacenter']}', not '{name}'")
    if facts["datacenter"] and all(os.path.exists(inventory["paths"][kind]) for kind in ALWAYS):
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
    """{setting: the machine it is fetched from, or "" where it is made} of secrets that are to be placed here."""
    giver = source(inventory, host, facts)
    found = {} if giver == host else dict.fromkeys(ALWAYS, giver)
    name = inventory["datacenter"]["name"]
    for kind, path in optional(inventory).items():
        if os.path.exists(path) and (giver == host or kind in GIVEN):
            continue
        givers = [other for other, told in facts["others"].items() if told["datacenter"] == name and kind in told["has"]]
        if givers:
            found[kind] = givers[0]
        elif kind in GIVEN:
            raise DcError(f"{path} ({kind}) is not here, nor on another machine of {name} that answers: put it there, for root "
                          f"and the group {group_of(kind)}, mode 0640; the others fetch it")
        elif not giver or kind == SESSIONS:
            _nobody_else_has(path, giver, facts)
            found[kind] = ""
    return found


def _nobody_else_has(path, giver, facts):
    """Two machines that each make one know nothing of the other's."""
    silent = [other for other, told in facts["others"].items() if told["error"]]
    if giver and silent:
        raise DcError(f"{path} is not here, and {', '.join(silent)}, which may have it, does not answer to ssh: mend that")


def in_words(inventory, found, fetch, make):
    """What is done for the secrets that are wanted; a few by their names."""
    givers = sorted(set(found.values()) - {""})
    made = [pathlib.Path(path_of(inventory, kind)).name for kind, giver in found.items() if not giver]
    words = [f"{fetch} from {', '.join(givers)}"] if givers else []
    if made:
        words.append(make if ALWAYS[0] in found and not givers else f"{make} {', '.join(made)}")
    return "; ".join(words) or "kept"


def obtain(inventory, host, facts):
    """Place the secrets; answers what was done, in words."""
    found = wanted(inventory, host, facts)
    is_new = source(inventory, host, facts) == ""
    for kind, giver in found.items():
        path = pathlib.Path(path_of(inventory, kind))
        if giver:
            text = _fetch(path, giver, inventory["hosts"][giver]["address"])
            if kind == SESSIONS:
                session_keys(text, f"{path} on {giver}")
        elif is_new and path.exists():
            continue
        elif kind == SESSIONS and not is_new:
            text = first_session_keys(read(inventory["paths"]["cluster_key_file"]), inventory["datacenter"]["oidc_issuer"])
        else:
            text = MADE[kind]() + "\n"
        place(path, text, SECRET_MODE, group_of(kind))
    place(note_of(inventory), inventory["datacenter"]["name"] + "\n", 0o644, "root")
    return in_words(inventory, found, "fetched", "made")


def _fetch(path, giver, address):
    """Another machine's file."""
    try:
        text = base64.b64decode(remote.on(address, f"base64 <{shlex.quote(str(path))}")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DcError(f"{path} on {giver} is no text") from error
    if not text.strip():
        raise DcError(f"{path} on {giver} is empty")
    return text
