# SPDX-License-Identifier: Apache-2.0
"""The few kernel calls that Python's standard library lacks, and what /proc tells of nodes."""

import ctypes
import os
import platform
import select
import signal

from common import mountinfo, read_file

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18

MNT_DETACH = 2

PR_CAPBSET_DROP = 24

_SYS_PIVOT_ROOT = 155 if platform.machine() == "x86_64" else 41
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags):
    """Move this process into new namespaces."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def enter_network(path):
    """Move this process into a named network namespace."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(ctypes.c_int(fd), ctypes.c_int(CLONE_NEWNET)), f"setns {path}")
    finally:
        os.close(fd)


def mount(source, target, fstype=None, flags=0, data=None):
    """mount(2)."""
    _check(_libc.mount(source.encode(), target.encode(), fstype.encode() if fstype else None,
                       ctypes.c_ulong(flags), data.encode() if data else None),
           f"mount {fstype or source} on {target}")


def pivot_into(new_root):
    """Make a mounted directory the root of this mount namespace and drop all else."""
    os.chdir(new_root)
    _check(_libc.syscall(ctypes.c_long(_SYS_PIVOT_ROOT), b".", b"."), f"pivot_root {new_root}")
    _check(_libc.umount2(b".", ctypes.c_int(MNT_DETACH)), "umount the old root")
    os.chdir("/")


def keep_capabilities(kept):
    """Take all other capabilities away from what this process executes next, and its children."""
    last = int(read_file("/proc/sys/kernel/cap_last_cap") or 63)
    for number in set(range(last + 1)) - set(kept):
        _check(_libc.prctl(ctypes.c_int(PR_CAPBSET_DROP), ctypes.c_ulong(number), 0, 0, 0),
               f"drop capability {number}")


def read_only(path):
    """Make a path of this mount namespace, and what is below it, unchangeable."""
    if os.path.exists(path):
        mount(path, path, None, MS_BIND | MS_REC)
        mount("none", path, None,
              MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def hide(path):
    """Have a path of this mount namespace show nothing."""
    if os.path.isdir(path):
        mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    elif os.path.exists(path):
        mount("/dev/null", path, None, MS_BIND)


def _link(pid, name):
    try:
        return os.readlink(f"/proc/{pid}/ns/{name}")
    except OSError:
        return None


def _is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


def _overlay_owner(pid, prefix):
    """The node directory whose overlay is this process's root, when it is below prefix."""
    mark = f"upperdir={prefix}/"
    for mount in mountinfo(pid):
        at = mount.options.find(mark) if mount.fstype == "overlay" else -1
        if at >= 0:
            return mount.options[at + len(mark):].split("/", 1)[0]
    return None


def _pid_inside(pid):
    """The process's number in its own process namespace."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("NSpid:"):
                    return int(line.split()[-1])
    except OSError:
        pass
    return 0


def processes_of_nodes(nodes_dir, namespaces=()):
    """Every living process of any node below nodes_dir, as (pid, node name or None, is init).

    A process belongs to a node when its mount namespace shows the node's overlay. One that is
    still on its way there is found by its network namespace (inode numbers in `namespaces`).
    """
    own_mounts = _link("self", "mnt")
    wanted = {f"net:[{inode}]" for inode in namespaces}
    seen = {}
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        space = _link(entry, "mnt")
        node = None
        if space is not None and space != own_mounts:
            if space not in seen:
                seen[space] = _overlay_owner(entry, nodes_dir)
            node = seen[space]
        if node is None and not (wanted and _link(entry, "net") in wanted):
            continue
        if _is_zombie(entry):
            continue
        found.append((int(entry), node, node is not None and _pid_inside(entry) == 1))
    return found


def init_is(pid, nodes_dir, node):
    """True when this pid is the living first process of that node."""
    return (pid > 0 and _overlay_owner(pid, nodes_dir) == node and not _is_zombie(pid)
            and _pid_inside(pid) == 1)


def kill_and_wait(pids, seconds):
    """Kill processes and wait until they are gone; the ones that are left."""
    descriptors = {}
    for pid in pids:
        try:
            descriptors[os.pidfd_open(pid)] = pid
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    poll = select.poll()
    for fd in descriptors:
        poll.register(fd, select.POLLIN)
    left = dict(descriptors)
    while left:
        events = poll.poll(seconds * 1000)
        if not events:
            break
        for fd, _ in events:
            poll.unregister(fd)
            left.pop(fd, None)
    for fd in descriptors:
        os.close(fd)
    return list(left.values())
