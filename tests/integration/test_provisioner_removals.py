# SPDX-License-Identifier: Apache-2.0
"""A disk that hangs while task folders are removed: the kernel asks these tests before it opens one.

This is what a file server that went away does to a folder on it.
"""

import contextlib
import ctypes
import os
import struct

import pytest

from support import wait_for
from support.provisioner import fixture_make, fixture_server, task  # noqa: F401 (fixtures)

CONTENT_CLASS, MARK_ADD, OPEN_PERMISSION, FOLDERS = 4, 1, 0x10000, 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
LEAVE = ('[ "$1" != create ] || [ -e "$LOOM_WORK_DIR/quick" ] || { mkdir -p kept/inner; pwd >"$LOOM_WORK_DIR/in$LOOM_NODE_ID"; '
         'until [ -e "$LOOM_WORK_DIR/go" ]; do sleep 0.05; done; }')


@contextlib.contextmanager
def hanging_folders():
    """hold(folder): whoever opens it waits until the end. The number of those is `waiting()`."""
    fd = LIBC.fanotify_init(CONTENT_CLASS, os.O_RDONLY)
    if fd < 0:
        pytest.skip("the kernel asks nobody here before it opens a folder")

    def hold(folder):
        if LIBC.fanotify_mark(fd, MARK_ADD, ctypes.c_uint64(OPEN_PERMISSION | FOLDERS), -100, os.fsencode(folder)):
            raise OSError(ctypes.get_errno(), f"fanotify_mark {folder}")

    def waiting():
        queued = ctypes.create_string_buffer(4)
        LIBC.ioctl(fd, 0x541B, queued)  # FIONREAD
        return struct.unpack("i", queued.raw)[0] // 24

    hold.waiting = waiting
    try:
        yield hold
    finally:
        os.close(fd)  # all that wait go on


def left_by_two(server, prov, hold):
    """Two tasks have ended, and opening what they left hangs."""
    home = prov.work / "plugins/providers/p"
    prov.plugin("providers", "p", LEAVE)
    prov.start()
    server.give(task(1), task(2))
    notes = [home / "innode-1", home / "innode-2"]
    folders = wait_for(lambda: all(note.exists() and note.read_text() for note in notes)
                       and [note.read_text().strip() for note in notes], 60, "two tasks")
    for folder in folders:
        hold(f"{folder}/kept")
    (home / "quick").touch()
    (home / "go").touch()
    wait_for(lambda: hold.waiting() >= 1, 60, "a removal that hangs")
    return folders


def test_results_do_not_wait_for_removals(server, make):
    prov = make(capacity=2)
    with hanging_folders() as hold:
        folders = left_by_two(server, prov, hold)
        server.give(task(3))
        assert {done["taskId"][-1] for done in server.finishes(3, timeout=30)} == {"1", "2", "3"}
        assert prov.get("/readyz")[0] == 200
        assert all(map(os.path.exists, folders))
    wait_for(lambda: not prov.scratch(), 60, "the removals")


def test_neither_the_end_nor_the_start_waits_for_removals(server, make, monkeypatch):
    """The next start removes what was left, and begins its own tasks meanwhile."""
    # its leak checker would wait for the thread that hangs
    monkeypatch.setenv("ASAN_OPTIONS", "detect_leaks=0:exitcode=99")
    prov = make(capacity=2)
    with hanging_folders() as hold:
        folders = left_by_two(server, prov, hold)
        server.finishes(2)
        prov.signal()
        assert prov.wait() == 0
        assert "task folders are left to the next start" in prov.logs()
        left = [task(3)]  # for a call of the new process: that of the old one is still held
        server.rule(lambda method, path, body: (200, {"tasks": [left.pop()]}, {})
                    if path == "/v2/tasks/take" and left else None)
        prov.start().ready()
        wait_for(lambda: hold.waiting() >= 1, 60, "a removal that hangs again")
        assert server.finishes(3)[2]["status"] == 0
        assert all(map(os.path.exists, folders))
    wait_for(lambda: not prov.scratch(), 60, "the removals")
