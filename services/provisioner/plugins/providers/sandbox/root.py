# SPDX-License-Identifier: Apache-2.0
"""The base root: one Debian tree, made once by debootstrap, that all nodes lie over.

The tree is built beside its final place and renamed when complete, so a root that exists is
whole. Its name carries a digest of the recipe: a changed recipe makes a new root, and nodes
that run over the old one keep it.

It is made in a session of its own. A plugin that is ended while it waits takes nothing with it: the
next one finds the root made, or further on. Else a host whose creates never last as long as
the making would never have one.
"""

import contextlib
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

import hostapt

from common import GIVE_UP, Failure, GiveUp, held_descriptors, locked, log, read_file, remove_tree, run, tool, write_file

PACKAGES = ["openssh-server", "python3", "iproute2", "ca-certificates", "sudo", "procps"]
RECIPE = 2
MARK = "etc/loom-root"
PLAIN = "/mnt"  # of a mount namespace that ends with the command
WAIT = 880

SSHD = """HostKey /etc/ssh/ssh_host_ed25519_key
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
UseDNS no
MaxStartups 100
MaxSessions 100
PidFile none
"""

DPKG = """force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
"""

POLICY = """#!/bin/sh
# Nodes have no service manager: packages must not start daemons by themselves.
exit 101
"""


def path_of(fields):
    """Where the base root for these provider fields is, made or not.

    The field root_dir names a base root, or a folder that keeps base roots for several users.
    """
    if fields["root_dir"] and is_made(fields["root_dir"]):
        return fields["root_dir"]
    text = "\n".join([str(RECIPE), *PACKAGES, SSHD, DPKG, POLICY, fields["mirror"]])
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return os.path.join(fields["root_dir"] or fields["state_dir"],
                        f"root.{hostapt.codename()}-{digest}")


def is_made(path):
    """True when the base root is there; it is whole then."""
    return os.path.exists(os.path.join(path, MARK))


def ensure(fields):
    """The path of the base root, made now if it is missing."""
    path = path_of(fields)
    if is_made(path):
        return path
    told = Told(f"{path}.log")
    with locked(f"{path}.lock", WAIT, "the base root", meanwhile=told.show) as lock:
        if not is_made(path):
            told.restart()
            _wait_for(_start(path, fields["mirror"], lock), told)
    told.end()
    return path


def remove(path):
    """Remove a base root. One that is being made is given up: whoever holds the lock then is its maker."""
    with locked(f"{path}.lock", 30, "the base root", remove=True, meanwhile=lambda: _end_maker(path)):
        for leftover in glob.glob(glob.escape(path) + ".part*"):
            remove_tree(leftover)
        remove_tree(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{path}.log")


def _end_maker(path):
    """Kill who makes this root. The number in the lock's file may be an old one: its process must hold the lock."""
    text = read_file(f"{path}.lock", "")
    with contextlib.suppress(OSError):
        lock = os.stat(f"{path}.lock")
        if text and any(os.path.samestat(lock, os.stat(open_file)) for open_file in glob.glob(f"/proc/{text}/fd/*")):
            os.killpg(int(text), signal.SIGKILL)


def _start(path, mirror, lock):
    """Begin to make the root; the process that does. It holds the lock until it ends, and says in a
    file how far it is."""
    with open(f"{path}.log", "w", encoding="utf-8") as file:
        sys.stdout.flush()
        maker = os.fork()
        if maker:
            return maker
        code = 1
        try:
            os.setsid()
            _only(lock, file.fileno())
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            _make(path, mirror)
            code = 0
        except GiveUp as error:
            code = GIVE_UP
            print(error, flush=True)
        except Failure as error:
            print(error, flush=True)
        except BaseException:  # there is nobody above: what called ensure() goes on in the parent
            traceback.print_exc()
        os._exit(code)


def _only(lock, log_file):
    """Nothing of the plugin's stays open: its pipes must end with it."""
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(log_file, 1)
    os.dup2(log_file, 2)
    os.closerange(3, lock)
    os.closerange(lock + 1, os.sysconf("SC_OPEN_MAX"))


def _wait_for(maker, told):
    done = 0
    while not done:
        time.sleep(0.1)
        done, status = os.waitpid(maker, os.WNOHANG)
        told.show()
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise (GiveUp if code == GIVE_UP else Failure)(f"the base root was not made: {told.last(15)}")


class Told:
    """What the maker said so far, shown to whoever waits: a moving line on a terminal, lines in a log."""

    def __init__(self, path):
        self.path = path
        self.shown = 0
        self.moving = sys.stdout.isatty()

    def restart(self):
        """The maker is another one now."""
        self.shown = 0

    def show(self):
        """Show what is new."""
        lines = read_file(self.path, "").split("\n")[:-1]
        for line in lines[self.shown:]:
            if self.moving:
                print(f"\r\033[K{line[:shutil.get_terminal_size().columns - 1]}", end="", flush=True)
            else:
                log(line)
        self.shown = max(self.shown, len(lines))

    def last(self, count):
        """The last lines, all of them when something went wrong."""
        self.end()
        return "\n".join(read_file(self.path, "").splitlines()[-count:])

    def end(self):
        """The last line stays."""
        if self.moving and self.shown:
            print(flush=True)


class Progress:
    """Prints how far debootstrap is."""

    STEPS = [("Retrieving", 0, 35), ("Extracting", 35, 15), ("Unpacking", 50, 25),
             ("Configuring", 75, 20)]

    def __init__(self):
        self.begin = time.monotonic()
        self.counts = {}
        self.percent = -1

    def line(self, text):
        """Take one line of debootstrap's output."""
        match = re.match(r"I: (Retrieving|Extracting|Unpacking|Configuring)\s+(\S+)", text)
        if not match:
            return
        verb = match[1]
        self.counts[verb] = self.counts.get(verb, 0) + 1
        total = max(self.counts.get("Retrieving", 0), 1) if verb != "Retrieving" else 115
        start, width = next((s, w) for v, s, w in self.STEPS if v == verb)
        percent = start + width * min(self.counts[verb], total) // total
        if percent >= self.percent + 5:
            self.show(percent, f"{verb.lower()} {match[2].rstrip('.')}")

    def show(self, percent, what):
        """Say that this much is done."""
        self.percent = percent
        log(f"base root [{percent:3d}%] {int(time.monotonic() - self.begin):3d}s {what}")


def _make(path, mirror):
    if not tool("debootstrap"):
        raise GiveUp("the command 'debootstrap' is not installed on this host")
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temp = f"{path}.part"
    for leftover in glob.glob(glob.escape(temp) + "*"):
        remove_tree(leftover)
    release, uri, components, keyring, sources = hostapt.sources(mirror)
    pairs = hostapt.settings()
    progress = Progress()
    progress.show(0, f"debootstrap {release} from {uri}")
    _debootstrap(temp, release, uri, components, keyring, pairs, progress)
    progress.show(95, "setting up")
    _configure(temp, hostapt.without_password(sources), hostapt.for_nodes(pairs))
    progress.show(97, "fetching package lists")
    _refresh(temp)
    write_file(os.path.join(temp, MARK), f"{release} {RECIPE} {' '.join(PACKAGES)}\n", durable=True)
    if os.path.isdir(path):
        remove_tree(path)
    os.rename(temp, path)
    progress.show(100, f"ready in {path}")


def _isolated(argv):
    """A command in its own mount and process namespaces: what it mounts or starts ends with it."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", *argv]


def _debootstrap(temp, release, uri, components, keyring, pairs, progress):
    argv = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
            f"--components={','.join(components)}"]
    if keyring:
        argv.append(f"--keyring={keyring}")
    # debootstrap's scripts do not quote their target, so they see it under a plain name.
    argv += [release, PLAIN, uri]
    os.makedirs(temp, mode=0o755, exist_ok=True)
    bound = ["sh", "-c", f'mount --bind -- "$0" {PLAIN} && exec "$@"', temp, *argv]
    env = hostapt.proxy_environment(pairs)
    env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env["LC_ALL"] = "C"
    tail = []
    with subprocess.Popen(_isolated(bound), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", env=env,
                          pass_fds=held_descriptors()) as child:
        for line in child.stdout or ():
            tail = (tail + [line.rstrip()])[-15:]
            progress.line(line)
    if child.returncode != 0:
        more = read_file(os.path.join(temp, "debootstrap/debootstrap.log"), "")[-1500:]
        raise Failure("debootstrap failed:\n" + "\n".join(tail) + "\n" + more)


def _configure(root, sources, pairs):
    def put(name, text, mode=0o644):
        full = os.path.join(root, name)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        write_file(full, text, mode)

    put("etc/apt/sources.list", sources)
    conf = ['Acquire::Languages "none";', 'APT::Install-Recommends "false";']
    conf += [f'{name} "{value}";' for name, value in pairs]
    put("etc/apt/apt.conf.d/90loom", "\n".join(conf) + "\n")
    put("etc/dpkg/dpkg.cfg.d/loom", DPKG)
    put("usr/sbin/policy-rc.d", POLICY, 0o755)
    put("etc/ssh/sshd_config.d/loom.conf", SSHD)
    put("etc/resolv.conf", hostapt.resolver())
    put("etc/machine-id", "")
    for key in glob.glob(os.path.join(root, "etc/ssh/ssh_host_*")):
        os.unlink(key)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(root, "var/log/bootstrap.log"))  # names the mirror with its password
    copies = hostapt.keyrings(sources)
    copies += [value for name, value in pairs if name.endswith("::CaInfo")]
    copies += glob.glob("/usr/local/share/ca-certificates/*.crt")
    for name in copies:
        target = os.path.join(root, name.lstrip("/"))
        if os.path.exists(name) and not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copy(name, target)
    run(_isolated(["chroot", root, "/usr/sbin/update-ca-certificates"]))


def _refresh(root):
    """Fetch the package lists once, so that no node has to from scratch."""
    code, out = run(_isolated(["chroot", root, "apt-get", "-q", "update"]), check=False)
    run(_isolated(["chroot", root, "apt-get", "clean"]), check=False)
    if code != 0:
        log(f"warning: no package lists in the base root, nodes fetch their own: {out.strip()}")
