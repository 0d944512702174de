# SPDX-License-Identifier: Apache-2.0
"""Plug-ins as the hosts' provisioners see them, and the sandbox's machines.

The machines of sandbox clusters stand for machines elsewhere: they are on a bridge of their own in
the namespace that scripts/dc runs in, reachable for the provisioners of all three hosts, and none
of them dies with a host. So the plug-ins that handle them leave the host's network namespace first.
"""

import json
import os
import subprocess

from stacklib import process

from . import ROOT, DcError

PLUGINS = ROOT / "services/provisioner/plugins"
OUTSIDE = ("sandbox", "shell")
SANDBOX = PLUGINS / "providers/sandbox/sandbox.py"


def write_plugins(state):
    """DIR/plugins: links to the plug-ins, and small scripts where one must step outside."""
    for real in sorted(PLUGINS.glob("*/*/plugin.json")):
        folder = state.directory / "plugins" / real.parent.relative_to(PLUGINS)
        folder.mkdir(parents=True, exist_ok=True)
        _link(folder / "plugin.json", real)
        program = json.loads(real.read_text(encoding="utf-8"))["exec"]
        target = real.parent / program
        if real.parent.name in OUTSIDE:
            _script(folder / program, f"/run/netns/{state.prefix}-out", target)
        else:
            _script(folder / program, None, target)


def _link(path, target):
    if not path.is_symlink() or os.readlink(path) != str(target):
        path.unlink(missing_ok=True)
        path.symlink_to(target)


def _script(path, netns, target):
    step = f"nsenter --net={netns} -- " if netns else ""
    text = f'#!/bin/sh\nexec {step}{target} "$@"\n'
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.unlink(missing_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def destroy(state):
    """Take the sandbox's machines, mounts, bridge and firewall rules down."""
    folder = state.directory / "sandbox"
    if not folder.exists() and not os.path.exists(f"/sys/class/net/{state.machines_bridge}"):
        return
    done = subprocess.run([str(SANDBOX), "destroy-all", "--state-dir", str(folder), "--bridge",
                           state.machines_bridge], env={"PATH": process.PATH}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise DcError(f"the sandbox could not be cleaned up ({done.returncode}):\n{done.stdout[-2000:]}")
