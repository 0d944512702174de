# SPDX-License-Identifier: Apache-2.0
"""up, down, start, stop, kill, pause, resume, status and env."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

from . import StackError, loom, ports, process
from .state import KINDS, part_name, part_order, split_part

READY_SECONDS = 180  # a machine may be busy; who cannot start ends by itself
SETTLE_SECONDS = 30
STOP_SECONDS = 60
PORT_SECONDS = 65  # longer than an ended connection keeps its port
SANDBOX = "services/provisioner/plugins/providers/sandbox/sandbox.py"
# Started one group after the other; within a group together.
GROUPS = (("mariadb", "zookeeper"), ("api", "scheduler"), ("provisioner", "gateway"))
NOT_LOOM = ("mariadb", "zookeeper")


def say(text):
    """One line for the person who watches."""
    print(text, flush=True)


def report(name, text, started, endpoint=""):
    """One line about one part."""
    say(f"  {name:<13}{text:<14}{time.monotonic() - started:5.1f} s  {endpoint}".rstrip())


def check_ports(state, names):
    """Refuse to start when any port of any part is taken by somebody else."""
    keys = [key for name in names for key in ports.names(split_part(name)[0], name).values()]
    ports.reserve(state.ports[key] for key in keys)
    deadline = time.monotonic() + PORT_SECONDS
    conflicts = [ports.conflict(key, state.ports[key]) for key in keys
                 if not ports.wait_free(state.ports[key], deadline)]
    if conflicts:
        raise StackError("these ports are needed but taken, so nothing was started:\n  " +
                         "\n  ".join(conflicts))


def check_binaries(state, names):
    """Refuse to start when a program is not built."""
    for name in names:
        part = loom.part(state, name)
        binary = getattr(part, "binary", None)
        if binary and not os.access(f"{state.bin}/{binary}", os.X_OK):
            raise StackError(f"{state.bin}/{binary} is not there; run make")


def start_group(state, names):
    """Start these parts together and wait until each is ready."""
    begun = []
    for name in names:
        started = time.monotonic()
        part, proc = loom.part(state, name), process.Process(state.directory, name)
        proc.spawn(part.prepare(), cwd=state.directory)
        begun.append((name, part, proc, started))
    deadline = time.monotonic() + READY_SECONDS
    for name, part, proc, started in begun:
        proc.wait_ready(part.ready, deadline)
        report(name, "ready", started, part.endpoint())


def settle(state, name):
    """Whether the part runs and is well; one that is outdated or does not get ready is stopped."""
    proc, part = process.Process(state.directory, name), loom.part(state, name)
    if not proc.pid():
        return False
    started = time.monotonic()
    if proc.outdated():
        proc.stop(STOP_SECONDS)
        report(name, "was rebuilt", started)
        return False
    try:
        proc.wait_ready(part.ready, started + SETTLE_SECONDS)
    except StackError:
        proc.stop(STOP_SECONDS)
        report(name, "was not well", started)
        return False
    report(name, "runs already", started, part.endpoint())
    return True


def free_own_ports(state, names):
    """End processes of this very stack that hold a port but lost their pid file."""
    for name in names:
        for key in ports.names(split_part(name)[0], name).values():
            if ports.is_free(state.ports[key]):
                continue
            _, pid = ports.holder(state.ports[key])
            if ports.owner(pid) == str(state.directory):
                say(f"  {name:<13}ran without its pid file (pid {pid}): killed")
                process.kill(pid)


def start(state, names):
    """Start what of names does not run."""
    wanted = sorted({part_name(name) for name in names}, key=part_order)
    for name in wanted:
        state.add(name)
    running = {name for name in wanted if process.Process(state.directory, name).pid()}
    idle = [name for name in wanted if name not in running]
    check_binaries(state, wanted)
    free_own_ports(state, idle)
    check_ports(state, idle)
    state.save()
    for group in GROUPS:
        members = [name for name in wanted if split_part(name)[0] in group]
        start_group(state, [name for name in members if name in idle or not settle(state, name)])
    write_env(state)


def up(state, options):
    """The whole stack, or the named parts of it."""
    start(state, options.parts or [*KINDS, *state.parts])


def stop_parts(state, names):
    """SIGTERM to all, then wait for each; SIGKILL to those that take too long."""
    started = time.monotonic()
    procs = [process.Process(state.directory, name) for name in sorted(names, key=part_order)]
    begun = [(proc, proc.begin_stop()) for proc in procs]
    for proc, pidfd in begun:
        result = proc.end_stop(pidfd, STOP_SECONDS)
        if result != "not running":
            report(proc.name, result, started)


def destroy_machines(state):
    """Have the sandbox plugin take down machines, mounts, bridge and firewall rules."""
    plugin = state.root / SANDBOX
    if not plugin.exists() or os.geteuid() != 0 or not state.bridge:
        return None
    if not (state.directory / "sandbox").exists() and not os.path.exists(f"/sys/class/net/{state.bridge}"):
        return None
    started = time.monotonic()
    done = subprocess.run([str(plugin), "destroy-all", "--state-dir", str(state.directory / "sandbox"),
                           "--bridge", state.bridge], env={"PATH": process.PATH}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode == 0:
        report("machines", "removed", started)
        return None
    return f"the sandbox could not be cleaned up ({done.returncode}):\n{done.stdout[-2000:]}"


def down(state, options):
    """Stop everything, whatever state it is in, and leave nothing behind but the data."""
    names = set(state.parts)
    if (state.directory / "run").is_dir():
        names.update(path.stem for path in (state.directory / "run").glob("*.pid"))
    names = {name for name in names if name.rstrip("0123456789") in KINDS}
    workers = [name for name in names if split_part(name)[0] in ("provisioner", "gateway")]
    others = [name for name in names if split_part(name)[0] in ("api", "scheduler")]
    servers = [name for name in names if split_part(name)[0] in NOT_LOOM]
    stop_parts(state, workers)
    keep = {process.Process(state.directory, name).pid() for name in others + servers}
    strays = process.kill_strays(state.directory, keep)
    failure = destroy_machines(state)
    stop_parts(state, others)
    stop_parts(state, servers)
    strays += process.kill_strays(state.directory)
    if strays:
        say(f"  {strays} more processes of this stack were killed")
    if failure:
        raise StackError(failure)
    if options.purge:
        purge(state)


def purge(state):
    """Delete the stack's data; the cache (a base system for machines) is not data, and the
    datacenter of scripts/dc is not this stack's."""
    for path in state.directory.iterdir():
        if path.name in ("cache", "dc", ".lock"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    ports.release(state.directory)


def signal_parts(state, options):
    """stop, kill, pause, resume of single parts."""
    for name in [part_name(name) for name in options.parts]:
        started = time.monotonic()
        proc = process.Process(state.directory, name)
        if options.command == "stop":
            result = proc.stop(STOP_SECONDS)
        elif options.command == "kill":
            result = proc.stop(STOP_SECONDS, first=signal.SIGKILL)
        else:
            number = signal.SIGSTOP if options.command == "pause" else signal.SIGCONT
            result = options.command + "d" if proc.send(number) else "not running"
        report(name, result, started)


def survey(state):
    """name -> what is known about each part."""
    parts = {}
    for name in state.parts:
        proc, part = process.Process(state.directory, name), loom.part(state, name)
        pid = proc.pid()
        parts[name] = {"pid": pid, "ready": bool(pid) and part.ready(), "uptime": proc.uptime(),
                       "endpoint": part.endpoint(), "log": str(proc.log_file)}
    return parts


def status(state, options):
    """What runs. The exit code is 0 when all parts are ready, 3 otherwise."""
    parts = survey(state)
    if options.json:
        say(json.dumps({"directory": str(state.directory), "ports": state.ports,
                        "bridge": state.bridge, "subnet": state.subnet, "parts": parts}))
    elif not parts:
        say(f"no stack in {state.directory}")
    else:
        for name, part in parts.items():
            word = "ready" if part["ready"] else "not ready" if part["pid"] else "stopped"
            detail = f"pid {part['pid']:<8} up {part['uptime'] or 0:.0f} s" if part["pid"] else ""
            say(f"  {name:<13}{word:<11}{part['endpoint']:<18}{detail}".rstrip())
    return 0 if parts and all(part["ready"] for part in parts.values()) else 3


def client_env(state):
    """What a client of Loom wants to know."""
    values = {}
    if "api.external" in state.ports:
        values["LOOM_URL"] = state.url("api.external")
        values["LOOM_INTERNAL_URL"] = state.url("api.internal")
    if "gateway" in state.ports:
        values["LOOM_UI_URL"] = state.url("gateway")
    if state.auth == "token":
        values["LOOM_TOKEN"] = state.token_file("admin").read_text(encoding="ascii").strip()
    else:
        values["LOOM_USER"], values["LOOM_TENANT"] = "admin", "superadmin"
    return values


def server_env(state):
    """What a test of database or coordination code wants to know."""
    values = {"LOOM_STACK_DIR": str(state.directory), "LOOM_SANDBOX_BRIDGE": state.bridge,
              "LOOM_SANDBOX_SUBNET": state.subnet}
    if "mariadb" in state.ports:
        database = loom.part(state, "mariadb")
        values.update({
            "LOOM_TEST_DB_HOST": "127.0.0.1", "LOOM_TEST_DB_PORT": str(database.port),
            "LOOM_TEST_DB_SOCKET": str(database.socket), "LOOM_TEST_DB_USER": database.USER,
            "LOOM_TEST_DB_NAME": database.DATABASE})
        if database.password_file.exists():
            values["LOOM_TEST_DB_PASSWORD"] = database.password_file.read_text(encoding="ascii").strip()
    if "zookeeper" in state.ports:
        values["LOOM_TEST_ZK"] = loom.part(state, "zookeeper").endpoint()
    return values


def shell_text(values):
    """KEY=VALUE lines that a shell can source, exported at the end."""
    lines = [f"{key}={value}" for key, value in values.items()]
    return "\n".join(lines + ["export " + " ".join(values)]) + "\n"


def write_env(state):
    """DIR/loom.env for clients, DIR/stack.env for tests; both hold secrets."""
    for name, values in (("loom.env", client_env(state)), ("stack.env", server_env(state))):
        path = state.directory / name
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(shell_text(values), encoding="utf-8")


def env(state, options):
    """Print both."""
    values = {**client_env(state), **server_env(state)}
    sys.stdout.write(json.dumps(values) + "\n" if options.json else shell_text(values))
