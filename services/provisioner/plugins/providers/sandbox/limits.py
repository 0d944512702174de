# SPDX-License-Identifier: Apache-2.0
"""Control groups: how much memory and how many processes a node may have.

Each node has a group of its own below loom.sandbox, in the one hierarchy (version 2) or in those of
`memory` and `pids` (version 1). A host that offers neither makes nodes without limits, and says so.
"""

import os

from common import log, mountinfo, read_file

PARENT = "loom.sandbox"
# The file of each limit, by the type of file system that the hierarchy is.
FILES = {"cgroup": {"memory": "memory.limit_in_bytes", "pids": "pids.max"},
         "cgroup2": {"memory": "memory.max", "pids": "pids.max"}}


def _hierarchies():
    """{controller: (mount point, type)} of this host."""
    found = {}
    for mount in mountinfo():
        names = mount.options.split(",")
        if mount.fstype == "cgroup2":
            names = (read_file(os.path.join(mount.point, "cgroup.controllers")) or "").split()
        for name in FILES.get(mount.fstype, ()):
            if name in names:
                found[name] = (mount.point, mount.fstype)
    return found


def _write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def _folders(name):
    return {os.path.join(top, PARENT, name) for top, _ in _hierarchies().values()}


def create(name, values):
    """A node's groups with their limits ({controller: number}); the folders to join()."""
    found = _hierarchies()
    joined = set()
    for controller, value in values.items():
        if controller not in found:
            log(f"warning: this host has no control group for {controller}: no limit for this node")
            continue
        top, fstype = found[controller]
        folder = os.path.join(top, PARENT, name)
        try:
            os.makedirs(folder, exist_ok=True)
            if fstype == "cgroup2":
                for parent in (top, os.path.dirname(folder)):
                    _write(os.path.join(parent, "cgroup.subtree_control"), f"+{controller}")
            _write(os.path.join(folder, FILES[fstype][controller]), str(value))
        except OSError as err:
            log(f"warning: the limit for {controller} cannot be set: {err.strerror} ({folder})")
            continue
        joined.add(folder)
    return sorted(joined)


def join(folders):
    """Move this process, and so all it will start, into groups."""
    for folder in folders:
        _write(os.path.join(folder, "cgroup.procs"), "0")


def remove(name):
    """Remove a node's groups, once its processes are gone; fine when there are none."""
    for folder in _folders(name):
        for path in (folder, os.path.dirname(folder)):
            try:
                os.rmdir(path)
            except OSError:
                break
