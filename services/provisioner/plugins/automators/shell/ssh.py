# SPDX-License-Identifier: Apache-2.0
"""One node over the OpenSSH program, its host key pinned to what the provider said it is."""

import base64
import binascii
import os
import re
import shlex
import struct
import subprocess
import sys

CONNECT_SECONDS = 10


class Failure(Exception):
    """The action failed; trying again may help."""


class GiveUp(Failure):
    """The action failed and trying again cannot help."""


def member(of, name, kind, where):
    """The object (dict) or the text (str) of this name, empty if there is none; GiveUp if it is another."""
    value = of.get(name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise GiveUp(f"{where}{name} is {'not an object' if kind is dict else 'not text'}: {value!r:.100}")
    return value


def _key_line(name, value):
    """(type, base64) of a host key given as base64, with or without its type before it."""
    words = value.split()
    blob = words[1] if len(words) > 1 else "".join(words)
    try:
        raw = base64.b64decode(blob, validate=True)
        length = struct.unpack(">I", raw[:4])[0]
        kind = raw[4:4 + length].decode("ascii")
    except (ValueError, binascii.Error, struct.error):
        raise GiveUp(f"the node's {name} host key is not a public key") from None
    if not re.fullmatch(r"[a-z0-9@.-]+", kind):
        raise GiveUp(f"the node's {name} host key is not a public key")
    return kind, blob


def _quoted(path):
    """A path as one of ssh's options takes it: in one word, and as it is."""
    return '"' + path.replace("%", "%%") + '"'


def _key_places(config):
    """Where providers keep keys on this host: this one's own folder, and the work folders of all."""
    provider = member(member(config, "provider", dict, ""), "provisioner", dict, "provider.")
    plugins = os.path.dirname(os.path.dirname(os.environ.get("LOOM_WORK_DIR", "")))
    return [place for place in (provider.get("state_dir"), f"{plugins}/providers")
            if isinstance(place, str) and place.startswith("/")]


def _below(path, place):
    """Whether a file is in a folder, or in one below it, links followed."""
    place = os.path.realpath(place)
    return place != "/" and os.path.realpath(path).startswith(place + "/")


class Node:
    """Where a task's node is and how to log in there."""

    def __init__(self, task, scratch):
        config = task["config"]
        auth = member(config, "ssh-auth", dict, "")
        self.address = member(member(config, "ipaddresses", dict, ""), "access_v4", str, "ipaddresses.")
        self.user = member(auth, "user", str, "ssh-auth.") or member(config, "sshuser", str, "") or "root"
        self.identity = member(auth, "identityfile", str, "ssh-auth.")
        self.alias = f"loom-{task['nodeId']}"
        self.known_hosts = os.path.join(scratch, "known_hosts")
        self.client_log = os.path.join(scratch, "ssh.log")
        if not re.fullmatch(r"[0-9A-Za-z.:-]+", self.address):
            raise Failure("the node has no address yet (ipaddresses.access_v4)")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", self.user):
            raise GiveUp(f"unusable login name {self.user!r}")
        if not self.identity:
            raise GiveUp("no key to log in with: the provider gave no ssh-auth.identityfile")
        if not os.path.exists(self.identity):
            raise Failure(f"the key to log in with is not on this host: {self.identity}")
        if not any(_below(self.identity, place) for place in _key_places(config)):
            raise GiveUp(f"the key to log in with is not where its provider keeps keys: {self.identity}")
        self.kinds = self._pin(member(config, "ssh_host_keys", dict, ""))

    def _pin(self, keys):
        """Write the known-hosts file; the algorithms that it allows."""
        lines, kinds = [], []
        for name in sorted(keys):
            kind, blob = _key_line(name, member(keys, name, str, "ssh_host_keys."))
            lines.append(f"{self.alias} {kind} {blob}\n")
            kinds += ["rsa-sha2-512", "rsa-sha2-256"] if kind == "ssh-rsa" else [kind]
        if not lines:
            raise GiveUp("the node's host key is not known (ssh_host_keys): refusing to connect")
        fd = os.open(self.known_hosts, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as file:
            file.writelines(lines)
        return ",".join(kinds)

    def _argv(self, command):
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _quoted(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": self.alias,
            "HostKeyAlgorithms": self.kinds,
            "CheckHostIP": "no",
            "UpdateHostKeys": "no",
            "IdentitiesOnly": "yes",
            "PreferredAuthentications": "publickey",
            "ConnectTimeout": str(CONNECT_SECONDS),
            "ConnectionAttempts": "3",
            "ServerAliveInterval": "5",
            "ServerAliveCountMax": "6",
            "ForwardAgent": "no",
            "LogLevel": "INFO",
        }
        argv = ["ssh", "-F", "/dev/null", "-T", "-a", "-x", "-E", self.client_log,
                "-i", self.identity]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        become = "" if self.user == "root" else "sudo -n -- "
        return [*argv, f"{self.user}@{self.address}", f"{become}sh -c {shlex.quote(command)}"]

    def run(self, command, data):
        """Run a shell command as root on the node with data on its input.

        Its output goes to ours as it comes. The command's exit code; Failure when the
        connection fails, GiveUp when whoever answers is not the node.
        """
        with open(self.client_log, "w", encoding="utf-8"):
            pass
        sys.stdout.flush()
        try:
            code = subprocess.run(self._argv(command), input=data, check=False,
                                  stderr=subprocess.STDOUT).returncode
        except FileNotFoundError:
            raise GiveUp("the OpenSSH client is not installed on this host") from None
        if code == 255 or code < 0:
            self._explain(code)
        return code

    def _explain(self, code):
        with open(self.client_log, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        text = "\n".join(lines)
        if "HOST IDENTIFICATION HAS CHANGED" in text or "key verification failed" in text \
                or "no matching host key type" in text:
            raise GiveUp(f"{self.address} does not have the host key that the provider gave for "
                         f"this node: refusing to connect")
        why = lines[-1] if lines else f"ssh ended with code {code}"
        raise Failure(f"no connection to {self.user}@{self.address}: {why}")
