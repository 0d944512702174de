# SPDX-License-Identifier: Apache-2.0
"""Which part listens where, and who holds a port that is not free."""

import contextlib
import fcntl
import os
import pathlib
import random
import re
import socket
import subprocess
import tempfile
import time

from . import StackError, process

# part -> {port name: default}. A second instance (api2) adds 100 to each.
DEFAULTS = {
    "mariadb": {"": 55306},
    "zookeeper": {"": 55181},
    "api": {"external": 55054, "internal": 55055},
    "provisioner": {"admin": 55056},
    "scheduler": {"admin": 55057},
    "gateway": {"": 8100},
}
# Below the range that the kernel hands to outgoing connections.
FREE_RANGE = (20000, 32000)
# One link per port that a stack on free ports was given, to the folder of that stack: while its server
# is down the port looks free, and another stack must not take it.
CLAIMS = pathlib.Path(tempfile.gettempdir()) / f"loom-ports-{os.getuid()}"


def names(kind, part):
    """Keys of the part's ports: 'mariadb', 'api2.external', ..."""
    return {name: f"{part}.{name}" if name else part for name in DEFAULTS[kind]}


def is_free(port):
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen(1)
        except OSError:
            return False
    return True


def sweep(folder=None):
    """Give up the ports of stacks that are gone, and those of this folder's."""
    for link in CLAIMS.iterdir():
        if link.is_symlink() and (not link.exists() or os.readlink(link) == str(folder)):
            link.unlink()


@contextlib.contextmanager
def claims():
    """CLAIMS, changed by one process at a time."""
    CLAIMS.mkdir(mode=0o700, exist_ok=True)
    with open(CLAIMS / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pick(taken, folder):
    """A free port that is not in taken and no other stack's; from now on it is this folder's."""
    chooser = random.SystemRandom()
    with claims():
        sweep()
        for _ in range(1000):
            port = chooser.randrange(*FREE_RANGE)
            link = CLAIMS / str(port)
            if port not in taken and not link.is_symlink() and is_free(port):
                link.symlink_to(folder)
                return port
    raise StackError("no free port found on 127.0.0.1")


def release(folder):
    """Others may take the ports of this folder's stack."""
    with claims():
        sweep(folder)


def assign(mode, kind, number, part, given, folder):
    """Fill the given ports with what the part needs and does not have yet."""
    for name, key in names(kind, part).items():
        if key in given:
            continue
        if mode == "free":
            given[key] = pick(set(given.values()), folder)
        else:
            given[key] = DEFAULTS[kind][name] + 100 * (number - 1)


def listened(port):
    """Whether somebody listens on the port."""
    try:
        return bool(subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True,
                                   env={"PATH": process.PATH}, check=False).stdout.strip())
    except OSError:
        return True


def reserve(wanted):
    """Keep the kernel from handing these ports to outgoing connections, as the usual ones could be."""
    path = pathlib.Path("/proc/sys/net/ipv4/ip_local_reserved_ports")
    try:
        kept = path.read_text(encoding="ascii").strip()
        path.write_text(",".join(filter(None, [kept, *map(str, sorted(wanted))])) + "\n", encoding="ascii")
    except OSError:
        pass  # not root, or a read-only /proc: then a port may be busy for a minute


def wait_free(port, deadline):
    """Wait for a port that only an outgoing connection, open or just ended, holds."""
    while not is_free(port):
        if listened(port) or time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def holder(port):
    """(text, pid) for who listens on the port."""
    try:
        out = subprocess.run(["ss", "-ltnpH", f"sport = :{port}"], capture_output=True, text=True,
                             env={"PATH": process.PATH}, check=False).stdout
    except OSError:
        out = ""
    found = re.search(r"pid=(\d+)", out)
    if not found:
        return ("a process that this user may not see" if listened(port) else
                "an outgoing connection; it goes by itself"), None
    pid = int(found.group(1))
    return process.describe(pid), pid


def owner(pid):
    """Folder of the Loom stack that a process belongs to, or None."""
    for item in process.environ_of(pid) if pid else []:
        if item.startswith(process.MARK + "="):
            return item.partition("=")[2]
    return None


def conflict(key, port):
    """One line about a port that is taken: which, who holds it, what to do."""
    who, pid = holder(port)
    stack = owner(pid)
    if stack:
        return (f"port {port} ({key}) is held by {who} of the Loom stack in {stack}: "
                f"stop that one with scripts/stack --dir {stack} down")
    todo = f"stop it (kill {pid})" if pid else "stop it"
    return f"port {port} ({key}) is held by {who}: {todo}, or choose another with --port {key}=NUMBER"
