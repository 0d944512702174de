# SPDX-License-Identifier: Apache-2.0
"""What every module of the sandbox provider shares: errors, log, commands, files, locks."""

import collections
import contextlib
import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import time

GIVE_UP = 100


class Failure(Exception):
    """The action failed; trying again may help."""


class GiveUp(Failure):
    """The action failed and trying again cannot help."""


_held = []


def log(text):
    """One line for the task's log, visible at once."""
    print(text, flush=True)


def run(argv, check=True, stdin=None, env=None):
    """Run a command and return (exit code, output of both streams).

    The command inherits the locks this process holds: if this process is killed, nobody can
    take the lock while a command it started is still at work.
    """
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL if stdin is None else None, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", pass_fds=_held, env=env, check=False)
    except FileNotFoundError:
        if check:
            raise GiveUp(f"the command '{argv[0]}' is not installed on this host") from None
        return 127, ""
    if check and done.returncode != 0:
        raise Failure(f"{' '.join(argv)}: exit code {done.returncode}: {done.stdout.strip()}")
    return done.returncode, done.stdout


def held_descriptors():
    """Descriptors of the locks held now, for children that must keep them."""
    return tuple(_held)


@contextlib.contextmanager
def locked(path, wait, what, remove=False, meanwhile=None):
    """Hold an exclusive lock on a file; Failure when it is not free within `wait` seconds.

    With remove the file goes away with the lock; a waiter notices that and opens the new one.
    A waiter calls meanwhile() again and again.
    """
    deadline = time.monotonic() + wait
    told = False
    while True:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == os.stat(path).st_ino:
                break
        except FileNotFoundError:
            pass
        except OSError as err:
            if err.errno not in (errno.EAGAIN, errno.EACCES):
                os.close(fd)
                raise
            if time.monotonic() > deadline:
                os.close(fd)
                raise Failure(f"{what} is busy for more than {wait} s") from None
            if not told:
                log(f"waiting for {what}, which another process is working on")
                told = True
            if meanwhile:
                meanwhile()
            time.sleep(0.02)
        os.close(fd)
    _held.append(fd)
    try:
        yield fd
    finally:
        _held.remove(fd)
        if remove:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        os.close(fd)


def write_file(path, text, mode=0o644, durable=False):
    """Write a whole file so that a reader sees the old content or the new, never a part."""
    temp = f"{path}.{os.getpid()}.tmp"
    fd = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8") as out:
        out.write(text)
        if durable:
            out.flush()
            os.fsync(out.fileno())
    os.chmod(temp, mode)
    os.rename(temp, path)
    if durable:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def read_file(path, default=None):
    """Text of a file, or the default when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return default


Mount = collections.namedtuple("Mount", "point fstype options")


def unescaped(text):
    """A field of mountinfo as it was given: the kernel writes spaces and the like in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


def mountinfo(pid="self"):
    """What is mounted where in a process's mount namespace, [] when the process is gone."""
    found = []
    try:
        text = read_file(f"/proc/{pid}/mountinfo") or ""
    except OSError:
        return found
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fstype, _, options = [*after.split(" "), "", ""][:3]
        found.append(Mount(unescaped(before.split(" ")[4]), fstype, unescaped(options)))
    return found


def mounts_below(path):
    """Mount points at or below a path in this mount namespace, deepest first."""
    points = [mount.point for mount in mountinfo()]
    return sorted((p for p in points if p == path or p.startswith(path.rstrip("/") + "/")),
                  key=len, reverse=True)


def remove_tree(path):
    """Remove a directory tree, never reaching through a mount into something else."""
    if not os.path.lexists(path):
        return
    for point in mounts_below(os.path.realpath(path)):
        run(["umount", "-l", point], check=False)
    code, out = run(["rm", "-rf", "--one-file-system", "--", path], check=False)
    if code != 0 and os.path.lexists(path):
        shutil.rmtree(path, ignore_errors=True)
        if os.path.lexists(path):
            raise Failure(f"cannot remove {path}: {out.strip()}")


def tool(name):
    """True when a command is installed."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def die(text, code=1):
    """Say why on the log and end with an exit code."""
    print(f"sandbox: {text}", file=sys.stderr, flush=True)
    sys.exit(code)
