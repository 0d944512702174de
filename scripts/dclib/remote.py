# SPDX-License-Identifier: Apache-2.0
"""Commands on this machine, and on the datacenter's others by ssh, as root.

ssh asks nothing: whoever runs this has a key that the others know, and has seen their host keys
before. How it reaches them (another port, a jump host, which key) stands in ~/.ssh/config.
"""

import os
import shlex
import subprocess

from . import DcError

SSH = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=5", "-l", "root"]


def run(argv, stdin=None, timeout=120):
    """A command's output; DcError when it fails. What it is told by stdin is in no error."""
    try:
        done = subprocess.run(argv, input=stdin, stdin=subprocess.DEVNULL if stdin is None else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                              timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise DcError(f"{argv[0]}: no end after {timeout} s") from error
    except OSError as error:
        raise DcError(f"{argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise DcError(f"{argv[0]}: {said[-1]}")
    return done.stdout


def show(argv, env):
    """Exit code of a command here, whose words are progress."""
    return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=2, check=False, env={**os.environ, **env}).returncode


def on(address, script, stdin=None, timeout=30):
    """What a shell script says on another machine."""
    return run([*SSH, address, f"sh -c {shlex.quote(script)}"], stdin, timeout)


def follow(address, command):
    """Exit code of a command on another machine, whose output is this one's."""
    return subprocess.run([*SSH, address, command], stdin=subprocess.DEVNULL, check=False).returncode
