# SPDX-License-Identifier: Apache-2.0
"""The verbs of scripts/dc."""

import os
import secrets
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from stacklib import process, servers

from . import ROOT, DcError, machines, network, parts, render, survey
from .state import HOSTS, SCALE
from .supervisor import Supervisor, call

UP_SECONDS = 150
NEEDED = {"haproxy": "haproxy", "keepalived": "keepalived", "mariadbd": "mariadb-server",
          "wsrep_sst_rsync": "mariadb-server", "rsync": "rsync", "java": "openjdk-17-jre-headless",
          "iptables-restore": "iptables", "setpriv": "util-linux", "nsenter": "util-linux"}


def say(text):
    """One line for the person who watches."""
    print(text, flush=True)


# ---- up and down ----------------------------------------------------------------------------------


def check_programs(state):
    """Everything that is started must be there."""
    needed = {**NEEDED, parts.sql_proxy(state): parts.sql_proxy(state)}
    lacking = sorted({package for program, package in needed.items()
                      if not shutil.which(program, path=process.PATH)})
    if not os.path.exists("/usr/lib/galera/libgalera_smm.so"):
        lacking.append("galera-4")
    if lacking:
        raise DcError(f"missing: {', '.join(lacking)}; run scripts/bootstrap dc")
    for host in HOSTS:
        check_binaries(state.bin_of(host))


def check_binaries(folder):
    """All of Loom's programs must be there."""
    for binary in parts.BINARY.values():
        if not os.access(f"{folder}/{binary}", os.X_OK):
            raise DcError(f"{folder}/{binary} is not there; run make")


def configure(state):
    """Secrets, and every host's configuration from the templates."""
    secrets_dir = state.directory / "secrets"
    for name in ("cluster.key", "session.keys"):
        servers.secret_file(secrets_dir / name, lambda: secrets.token_hex(32) + "\n")
    servers.secret_file(secrets_dir / "db.password", lambda: secrets.token_urlsafe(24) + "\n")
    for name in ("admin", "provisioner"):
        servers.secret_file(secrets_dir / f"{name}.token", lambda: f"loom_{secrets.token_urlsafe(32)}\n")
    machines.write_plugins(state)
    inventory = state.inventory()
    for host in HOSTS:
        home = state.host_dir(host)
        for folder in ("etc", "log", "run", "work"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        render.render(inventory, host, home / "etc")


def launch(state, host):
    """Start a host's supervisor, which starts its parts."""
    if supervisor_pid(state, host):
        call(state, host, "adopt")
        return
    end_processes(state, host)
    for leftover in (state.host_dir(host) / "run").glob("*.pid"):
        leftover.unlink()
    log = open(state.host_dir(host) / "log/supervisor.log", "ab")
    argv = [*network.inside(state, host), "unshare", "--uts", "--", "sh", "-c",
            'hostname "$1" && shift && exec "$@"', "sh", host,
            sys.executable, str(ROOT / "scripts/dc"), "--dir", str(state.directory), "_host", host]
    with log:
        subprocess.Popen(argv, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                         env=process.clean_env(state.directory), start_new_session=True)
    deadline = time.monotonic() + 15
    while not supervisor_pid(state, host):
        if time.monotonic() > deadline:
            raise DcError(f"{host}: the supervisor does not answer; see {log.name}")
        time.sleep(0.02)


def supervisor_pid(state, host):
    """Pid of a host's supervisor, or None."""
    try:
        return call(state, host, "ping", timeout=5)
    except (OSError, ValueError, DcError):
        return None


def run_host(state, host):
    """The supervisor itself (`dc _host`), inside the host."""
    Supervisor(state.directory, host).serve()


def make_accounts(state, deadline):
    """Loom's account and the writer's note, once, as soon as a node takes them."""
    if state.accounts:
        return
    host = HOSTS[0]
    socket = state.host_dir(host) / "db/run/mysqld.sock"
    sql = (state.host_dir(host) / "etc/mariadb/accounts.sql").read_text(encoding="utf-8")
    while True:
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={socket}"], input=sql, text=True,
                              env=process.clean_env(state.directory), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode == 0:
            break
        if time.monotonic() > deadline:
            raise DcError(f"the database's accounts cannot be made: {done.stdout.strip()}\n" + tail(state, host, "db"))
        time.sleep(0.1)
    state.save(accounts=True)


def tail(state, host, name, lines=15):
    """The end of a part's log."""
    path = state.host_dir(host) / "log" / f"{name}.log"
    try:
        text = path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
    except OSError:
        text = []
    return f"    {path}:\n" + "\n".join("    | " + line for line in text)


def wait_ready(state, hosts, deadline):
    """Until all parts of these hosts say that they are ready."""
    reported = set()
    started = time.monotonic()
    while True:
        found = survey.survey(state)
        missing = []
        for host in hosts:
            for name, part in found["hosts"][host]["parts"].items():
                if not part["ready"] and part["state"] != "stopped":
                    missing.append((host, name, part))
                elif (host, name) not in reported and part["ready"]:
                    reported.add((host, name))
        if not missing and found["roles"]["database_writer"] and found["roles"]["virtual_address"]:
            return found, time.monotonic() - started
        if time.monotonic() > deadline:
            raise DcError("not ready in time:\n" + "\n".join(
                f"  {host} {name} ({part['state']}{', ' + part['error'] if part['error'] else ''})\n"
                f"{tail(state, host, name)}" for host, name, part in missing[:6]))
        time.sleep(0.2)


def up(state, options):
    """All hosts, all parts, until all are ready."""
    started = time.monotonic()
    state.lock()
    state.choose()
    changes = {}
    if options.bin:
        changes.update(bin=str(options.bin.absolute()), bins={})
    for text in options.set:
        key, _, value = text.partition("=")
        changes["settings"] = {**state.settings, **changes.get("settings", {}), key: value}
    state.save(crashed=[], isolated=[], cut=[], lossy={}, **changes)
    check_programs(state)
    configure(state)
    network.create(state)
    for host in HOSTS:
        network.plug_if_down(state, host)
        network.apply(state, host)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda host: launch(state, host), HOSTS))
    start_stopped(state, HOSTS)
    deadline = started + UP_SECONDS
    make_accounts(state, deadline)
    found, _ = wait_ready(state, HOSTS, deadline)
    survey.show(found)
    say(f"  SQL proxy: {parts.sql_proxy(state)}")
    say(f"  up after {time.monotonic() - started:.1f} s")
    env(state, options)


def start_stopped(state, hosts):
    """Start what an earlier command stopped."""
    for host in hosts:
        for name in parts.names(state, host):
            call(state, host, "start", name)


def end_processes(state, host):
    """SIGKILL everything that runs in the host: its supervisor first, plug-ins last."""
    deadline = time.monotonic() + 10
    work = f"LOOM_WORK_DIR={state.host_dir(host)}/"
    own = os.readlink("/proc/self/ns/pid")
    while time.monotonic() < deadline:
        found = network.pids(state, host)
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if pid not in found and _same_space(pid, own):
                if any(entry.startswith(work) for entry in process.environ_of(pid)):
                    found.append(pid)
        found = [pid for pid in found if process.start_time(pid) is not None]
        if not found:
            return
        for pid in sorted(found, key=lambda pid: not is_supervisor(pid)):
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        time.sleep(0.01)
    raise DcError(f"{host}: processes do not end: {found}")


def _same_space(pid, own):
    """Whether a process is none of a sandbox's machines."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid") == own
    except OSError:
        return False


def is_supervisor(pid):
    """Whether a process is a host's supervisor."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"\0_host\0" in file.read()
    except OSError:
        return False


def down(state, options):
    """End everything and leave nothing but the data (with --purge not even that)."""
    if not state.directory.exists():
        return
    state.lock()
    if not state.exists():
        return
    started = time.monotonic()

    def end(host):
        if not options.quick and host not in state.crashed and supervisor_pid(state, host):
            try:
                call(state, host, "shutdown")
            except (OSError, ValueError, DcError):
                pass
        end_processes(state, host)

    problem = None
    if network.exists(state) or any(os.path.exists(f"/run/netns/{state.netns(host)}") for host in HOSTS):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(end, HOSTS))
    process.kill_strays(state.directory)
    try:
        machines.destroy(state)
    except DcError as error:
        problem = error
    network.remove(state)
    state.save(crashed=[], isolated=[], cut=[], lossy={})
    if options.purge:
        purge(state)
    say(f"  down after {time.monotonic() - started:.1f} s")
    if problem:
        raise problem


def purge(state):
    """Delete the datacenter's data."""
    for path in state.directory.iterdir():
        if path.name in (".lock", "cache"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


# ---- what runs ------------------------------------------------------------------------------------


def status(state, options):
    """What runs; exit code 3 when something does not."""
    found = survey.survey(state)
    if options.json:
        survey.print_json(found)
    else:
        survey.show(found)
    return 0 if survey.all_ready(found) else 3


def env(state, options):
    """Addresses as shell variables."""
    values = survey.addresses(state)
    if options.json:
        survey.print_json(values)
    else:
        sys.stdout.write("".join(f"{key}={value}\n" for key, value in values.items()))
        sys.stdout.write("export " + " ".join(values) + "\n")
        sys.stdout.flush()


def execute(state, options):
    """A command in a host's network."""
    host = the_host(options.words[:1])
    if len(options.words) < 2:
        raise DcError("exec HOST COMMAND...")
    argv = [*network.inside(state, host), *options.words[1:]]
    os.execvp(argv[0], argv)


# ---- faults ---------------------------------------------------------------------------------------


def the_host(words):
    """The host that a command is about."""
    if len(words) < 1 or words[0] not in HOSTS:
        raise DcError(f"which host? One of {', '.join(HOSTS)}")
    return words[0]


def signal_part(state, options):
    """kill, pause, resume, start, stop HOST PART."""
    host = the_host(options.words)
    if len(options.words) != 2:
        raise DcError(f"{options.command} HOST PART; parts are {', '.join(parts.KINDS)}")
    name = parts.canonical(options.words[1])
    verb = "hold" if options.command == "kill" and options.hold else options.command
    try:
        result = call(state, host, verb, name)
    except OSError as error:
        raise DcError(f"{host} is not up ({error})") from error
    if options.command == "start":
        wait_part(state, host, name)
        result = "ready"
    say(f"  {host} {name}: {result}")


def wait_part(state, host, name):
    """Until a part that was started is ready."""
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline:
        if call(state, host, "look", name)["ready"]:
            return
        time.sleep(0.05)
    raise DcError(f"{host} {name} is not ready in time\n{tail(state, host, name)}")


def crash(state, options):
    """A host loses its power: its link first, so that nobody outside sees a goodbye."""
    state.lock()
    host = the_host(options.words)
    network.unplug(state, host)
    state.save(crashed=sorted({*state.crashed, host}))
    end_processes(state, host)
    say(f"  {host}: crashed")


def boot(state, options):
    """The host starts again, with all its parts; does not wait for them (--wait does)."""
    state.lock()
    host = the_host(options.words)
    if supervisor_pid(state, host) and host not in state.crashed:
        start_stopped(state, [host])
    else:
        end_processes(state, host)
        state.save(crashed=[name for name in state.crashed if name != host])
        network.plug(state, host)
        network.apply(state, host)
        launch(state, host)
    if options.wait:
        wait_ready(state, [host], time.monotonic() + UP_SECONDS)
    say(f"  {host}: booted")


def partition(state, options):
    """partition HOST: cut off from everybody. partition HOST HOST: the link between two."""
    state.lock()
    hosts = [the_host([word]) for word in options.words]
    if len(hosts) == 1:
        state.save(isolated=sorted({*state.isolated, hosts[0]}))
    elif len(hosts) == 2 and hosts[0] != hosts[1]:
        pair = sorted(hosts)
        state.save(cut=[*[entry for entry in state.cut if entry != pair], pair])
    else:
        raise DcError("partition HOST, or partition HOST HOST")
    for host in hosts:
        network.apply(state, host)
    say(f"  {' - '.join(hosts)}: cut")


def lossy(state, options):
    """lossy HOST PERCENT: this share of its packets is lost, in both directions; 0 ends it."""
    state.lock()
    host = the_host(options.words)
    try:
        percent = float(options.words[1])
    except (IndexError, ValueError):
        raise DcError("lossy HOST PERCENT") from None
    if not 0 <= percent <= 100:
        raise DcError("PERCENT is 0 to 100")
    state.save(lossy={**{key: value for key, value in state.lossy.items() if key != host},
                      **({host: percent} if percent else {})})
    network.apply(state, host)
    say(f"  {host}: {percent:g} % of the packets are lost")


def heal(state, _options):
    """All links are whole again."""
    state.lock()
    state.save(isolated=[], cut=[], lossy={})
    for host in HOSTS:
        network.apply(state, host)
    say("  all links are whole")


def use(state, options):
    """use HOST DIR: the host's services run from this folder, each from its next start on."""
    state.lock()
    host = the_host(options.words)
    if len(options.words) != 2:
        raise DcError("use HOST DIR")
    folder = os.path.abspath(options.words[1])
    check_binaries(folder)
    state.save(bins={**state.bins, host: folder})
    say(f"  {host}: {folder}")


def scale(state, options):
    """scale PART N: so many copies in the whole datacenter."""
    state.lock()
    if len(options.words) != 2 or options.words[0] not in SCALE or not options.words[1].isdigit():
        raise DcError(f"scale PART N; parts are {', '.join(SCALE)}")
    kind, number = options.words[0], int(options.words[1])
    if kind != "provisioner" and number > len(HOSTS):
        raise DcError(f"a machine runs one {kind}, so there are at most {len(HOSTS)}")
    if number > 60:
        raise DcError("that is too many")
    state.save(scale={**state.scale, kind: number})
    configure(state)
    running = [host for host in HOSTS if host not in state.crashed]
    for host in running:
        call(state, host, "adopt")
    if options.wait:
        wait_ready(state, running, time.monotonic() + UP_SECONDS)
    say(f"  {kind}: {number}")
