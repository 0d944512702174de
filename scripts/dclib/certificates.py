# SPDX-License-Identifier: Apache-2.0
"""Certificates that all machines of a datacenter have from one place: a file that somebody put on one of them.

The inventory says by `tls_front_source` and `db_tls_ca_source` where that is; the first machine that has it
gives it to all, by ssh. Placed ones are files of setup like those that it renders: what differs is written, and
who reads it is told. Where no machine has a source any more, what was placed stays.
"""

import base64
import contextlib
import pathlib
import re
import shlex
import ssl
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

from . import DcError, remote

OWN = re.compile("-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")  # its first one is a server's own


class Kind(NamedTuple):
    """Files that belong together; `name` is that of the first one among what is rendered, for whoever reads it."""

    name: str
    suffixes: tuple
    fault: Callable[[pathlib.Path], str]  # of the files: what is wrong, or ""


def _begun(path):
    """What is wrong with a file that should be PEM, or ""."""
    try:
        text = path.read_text(encoding="ascii")
    except FileNotFoundError:
        return f"there is no {path.name} beside it" if path.suffix == ".key" else "it is not there"
    except (OSError, UnicodeDecodeError) as error:
        return f"{path.name} cannot be read: {getattr(error, 'strerror', None) or 'it is no text, and so no PEM'}"
    what = "PRIVATE KEY" if path.suffix == ".key" else "CERTIFICATE"
    return "" if f"{what}-----" in text and "-----BEGIN " in text else f"{path.name} has no PEM with a {what.lower()}"


def _shown(server, client):
    """A handshake of two ends in memory; an SSLError says what one of them does not like."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()


def front_fault(path):
    """Of a certificate that users are shown, with its key in PATH.key."""
    key = path.with_name(f"{path.name}.key")
    wrong = _begun(path) or _begun(key)
    if wrong:
        return wrong
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # it vouches for itself here
    try:
        server.load_cert_chain(path, key, password=lambda: "")
        client.load_verify_locations(cadata="\n".join(OWN.findall(path.read_text(encoding="ascii"))[:1]))
        _shown(server, client)
    except ssl.SSLCertVerificationError as error:
        return f"{path.name}: {error.verify_message}"
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
            return f"{key.name} is the key of another certificate"
        return f"{path.name} and {key.name} are no certificate and its key (one with a passphrase is none): {reason}"
    return ""


def authority_fault(path):
    """Of certificates of authorities."""
    wrong = _begun(path)
    if wrong:
        return wrong
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        return f"{path.name} is no certificate: {error.reason or error}"
    found = context.get_ca_certs()
    if not found:
        return f"{path.name} has no certificate of an authority"
    ends = [str(one["notAfter"]) for one in found]
    ended = [end for end in ends if ssl.cert_time_to_seconds(end) < time.time()]
    return f"{path.name}: a certificate in it has ended ({ended[0]})" if ended else ""


# What HAProxy reads begins as what is rendered for it does, so that it is told; services read theirs for each connection.
KINDS = {"tls_front": Kind("haproxy/haproxy.front", ("", ".key"), front_fault),
         "db_tls_ca": Kind("certificates/db-ca", ("",), authority_fault)}


def sources(inventory):
    """{setting: where its file was put} of what this inventory names."""
    paths = inventory["paths"]
    return {kind: paths[f"{kind}_source"] for kind in KINDS if paths[f"{kind}_source"]}


def check(path, inventory):
    """Refuse a source of what is to be nowhere."""
    for kind, source in sources(inventory).items():
        if not inventory["paths"][kind]:
            raise DcError(f"{path}: [paths] {kind}_source is {source}, and {kind} does not say where it is to be")
        if source == inventory["paths"][kind]:
            raise DcError(f"{path}: [paths] {kind}_source is {source}, where {kind} is placed: name two files")


def marks(inventory):
    """{what a machine says: the file that it has then}: what was put there, and what was placed."""
    return {f"{kind}{end}": path for kind, source in sources(inventory).items()
            for end, path in (("_source", source), ("_placed", inventory["paths"][kind]))}


def _origin(inventory, host, facts, kind):
    """(the machine that gives it, its file): the first that has a source; else who has it placed, this one if it has."""
    files = marks(inventory)

    def has(name, mark):
        return pathlib.Path(files[mark]).exists() if name == host else mark in facts["others"][name]["has"]

    hosts = list(inventory["hosts"])
    for mark, names in ((f"{kind}_source", hosts), (f"{kind}_placed", [host, *hosts])):
        for name in names:
            if has(name, mark):
                return name, files[mark]
    return "", ""


def faults(inventory, host, facts):
    """[(file, what is wrong, what to do)] of what would be placed."""
    found = []
    for kind, source in sources(inventory).items():
        giver, file = _origin(inventory, host, facts, kind)
        if (giver, file) == (host, source):
            wrong = KINDS[kind].fault(pathlib.Path(source))
            if wrong:
                found.append((source, wrong, "put a good one there"))
        elif not giver:
            found.append((source, f"it is on no machine that answers, and the inventory names it ({kind}_source)",
                          "put it on one of them; the others fetch it"))
    return found


def files(inventory, host, facts, listed):
    """{rendered name: (target, text)} of this machine. listed: what an earlier run placed."""
    found = {}
    for kind, what in KINDS.items():
        target = inventory["paths"][kind]
        giver, file = _origin(inventory, host, facts, kind) if kind in sources(inventory) else ("", "")
        if giver not in ("", host):
            texts = _fetched(what, giver, inventory["hosts"][giver]["address"], file)
        else:
            texts = [pathlib.Path((file or target) + suffix).read_text(encoding="utf-8") for suffix in what.suffixes
                     if file or target + suffix in listed]
        found |= {what.name + suffix: (pathlib.Path(target + suffix), text)
                  for suffix, text in zip(what.suffixes, texts)}
    return found


def _fetched(what, giver, address, file):
    """Another machine's files, which are looked at here."""
    with tempfile.TemporaryDirectory(prefix="loom-setup-") as folder:  # mode 0700
        paths = [pathlib.Path(folder) / f"{pathlib.Path(file).name}{suffix}" for suffix in what.suffixes]
        for path, suffix in zip(paths, what.suffixes):
            path.write_bytes(base64.b64decode(remote.on(address, f"base64 <{shlex.quote(file + suffix)}")))
        wrong = what.fault(paths[0])
        if wrong:
            raise DcError(f"{file} on {giver}: {wrong}; put a good one there")
        return [path.read_text(encoding="ascii") for path in paths]
