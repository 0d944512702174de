# SPDX-License-Identifier: Apache-2.0
"""Starting a node: a process tree of its own that outlives whoever started it.

The plugin forks a helper with a session of its own; the helper enters the node's network
namespace, makes the others and forks the node's first process, which mounts the node's root
and becomes sshd. When that process ends the kernel ends all others of the node and the mounts
go with them, so a dead node leaves nothing but its files and its network link.
"""

import os
import signal
import socket

import kernel
import limits
from network import netns_path

from common import Failure, held_descriptors, read_file, write_file

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "container": "loom-sandbox",
}
SSHD = ["/usr/sbin/sshd", "-D", "-e"]
DEVICES = ["null", "zero", "full", "random", "urandom", "tty"]

# What root in a node may do (numbers of capabilities): what packages and services need of a host of
# their own. Not among them: mounts, devices, other processes' memory, links and routes, modules,
# raw I/O, the clock.
KEPT = {"chown": 0, "dac_override": 1, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6, "setuid": 7,
        "setpcap": 8, "net_bind_service": 10, "net_raw": 13, "sys_chroot": 18, "audit_write": 29,
        "setfcap": 31}
# What of /proc is the host's and not the node's.
READ_ONLY = ["sys", "bus", "fs", "irq", "sysrq-trigger"]
HIDDEN = ["acpi", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list",
          "timer_stats"]


def boot(machine):
    """Start the node; returns its first process's number once that has become sshd."""
    groups = limits.create(machine.name, machine.record.get("limits", {}))
    receive, send = os.pipe()
    helper = os.fork()
    if helper == 0:
        try:
            os.close(receive)
            limits.join(groups)
            _helper(machine, send)
        except BaseException as err:  # pylint: disable=broad-except
            os.write(send, f"!{err}\n".encode())
        finally:
            os._exit(1)
    os.close(send)
    with os.fdopen(receive, "r", encoding="utf-8", errors="replace") as report:
        text = report.read()
    os.waitpid(helper, 0)
    first, _, more = text.partition("\n")
    if more or not first.isdigit():
        tail = (read_file(machine.path("console.log")) or "")[-1000:]
        raise Failure(f"node {machine.node_id} did not boot: {text.strip()}\n{tail}".rstrip())
    write_file(machine.path("init.pid"), f"{first}\n")
    return int(first)


def _helper(machine, send):
    os.setsid()
    _own_descriptors(machine.path("console.log"), {send, *held_descriptors()})
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.chdir("/")
    kernel.enter_network(netns_path(machine.name))
    if os.path.exists("/proc/self/ns/cgroup"):
        kernel.unshare(kernel.CLONE_NEWCGROUP)
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWUTS
                   | kernel.CLONE_NEWIPC)
    init = os.fork()
    if init == 0:
        try:
            _first_process(machine)
        except BaseException as err:  # pylint: disable=broad-except
            os.write(send, f"!{err}\n".encode())
        finally:
            os._exit(1)
    # No paths from here on: the first process's pivot_root moves this process's root too.
    os.write(send, f"{init}\n".encode())
    os._exit(0)


def _own_descriptors(console, keep):
    """Nothing of the starter's stays open but what is named: it must see its pipes close."""
    null = os.open("/dev/null", os.O_RDONLY)
    out = os.open(console, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        if number > 2 and number not in keep:
            try:
                os.close(number)
            except OSError:
                pass


def _first_process(machine):
    os.setsid()
    os.umask(0o022)
    kernel.mount("none", "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    top = machine.path("root")
    kernel.mount("overlay", top, "overlay", kernel.MS_NODEV,
                 f"lowerdir={machine.root},upperdir={machine.path('upper')},"
                 f"workdir={machine.path('work')}")
    _system_mounts(top)
    kernel.pivot_into(top)
    socket.sethostname(machine.hostname.split(".")[0])
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    os.makedirs("/run/lock", mode=0o755, exist_ok=True)
    os.chmod("/run/lock", 0o1777)
    kernel.keep_capabilities(KEPT.values())
    # The pipe and the locks close by themselves when this succeeds: that is the good news.
    os.execve(SSHD[0], SSHD, ENVIRONMENT)


def _system_mounts(top):
    quiet = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", f"{top}/proc", "proc", quiet)
    for name in READ_ONLY:
        kernel.read_only(f"{top}/proc/{name}")
    for name in HIDDEN:
        kernel.hide(f"{top}/proc/{name}")
    kernel.mount("sysfs", f"{top}/sys", "sysfs", quiet | kernel.MS_RDONLY)
    kernel.hide(f"{top}/sys/firmware")
    kernel.mount("tmpfs", f"{top}/dev", "tmpfs", kernel.MS_NOSUID, "mode=755,size=1m")
    for name in DEVICES:
        number = os.stat(f"/dev/{name}").st_rdev
        os.mknod(f"{top}/dev/{name}", 0o020666, number)
        os.chmod(f"{top}/dev/{name}", 0o666)
    os.mkdir(f"{top}/dev/pts")
    kernel.mount("devpts", f"{top}/dev/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC,
                 "newinstance,ptmxmode=0666,mode=0620,gid=5")
    os.symlink("pts/ptmx", f"{top}/dev/ptmx")
    os.mkdir(f"{top}/dev/shm")
    kernel.mount("tmpfs", f"{top}/dev/shm", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"),
                         ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):
        os.symlink(target, f"{top}/dev/{name}")
    kernel.mount("tmpfs", f"{top}/run", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755")
