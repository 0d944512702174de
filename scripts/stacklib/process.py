# SPDX-License-Identifier: Apache-2.0
"""Detached processes known by a pid file that holds pid and start time.

A pid alone may belong to somebody else by the time it is used. The start time tells, and signals
go through a pidfd that was opened before the start time was compared, so a recycled pid is never
hit. Each process carries LOOMSTACK=<dir> in its environment: what a lost pid file no longer names
is still found by that.
"""

import contextlib
import os
import select
import signal
import subprocess
import time

from . import StackError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MARK = "LOOMSTACK"
# A LOOM_* variable in the caller's shell would override the configuration files, so only these pass.
PASSED_ENV = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "LANG", "TERM", "TZ",
              "LOOM_BREAK", "LOOM_HOLD")
# A process of many threads, like a JVM, is dead a moment before its exit code can be had.
REAP_S = 2
LOG_LIMIT = 64 * 1024 * 1024


def start_time(pid):
    """Start time of a living process in clock ticks since boot, or None (also for a zombie)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def environ_of(pid):
    """Environment of a process as a list of K=V strings; empty when it is gone or not ours."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as env:
            return env.read().decode("utf-8", "replace").split("\0")
    except OSError:
        return []


def describe(pid):
    """'name (pid N)' for messages."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
            return f"{comm.read().strip()} (pid {pid})"
    except OSError:
        return f"pid {pid}"


def clean_env(directory):
    """The environment every part gets."""
    env = {"PATH": PATH, "HOME": os.environ.get("HOME", "/"), MARK: str(directory)}
    env.update({key: os.environ[key] for key in PASSED_ENV if key in os.environ})
    return env


class Process:
    """One part of the stack: NAME.pid in run/, NAME.log in log/."""

    def __init__(self, directory, name):
        self.directory = directory
        self.name = name
        self.pid_file = directory / "run" / f"{name}.pid"
        self.log_file = directory / "log" / f"{name}.log"
        self.child = None
        self.log_offset = 0

    def _open(self):
        """(pid, pidfd) of the living process, or (None, None). The caller closes the pidfd."""
        try:
            pid, started = map(int, self.pid_file.read_text(encoding="ascii").split())
        except (OSError, ValueError):
            return None, None
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return None, None
        if start_time(pid) != started:
            os.close(pidfd)
            return None, None
        return pid, pidfd

    def pid(self):
        """Pid of the living process, or None."""
        pid, pidfd = self._open()
        if pidfd is not None:
            os.close(pidfd)
        return pid

    def uptime(self):
        """Seconds since the process started; None when it does not run."""
        pid = self.pid()
        started = start_time(pid) if pid else None
        if started is None:
            return None
        with open("/proc/uptime", encoding="ascii") as uptime:
            now = float(uptime.read().split()[0])
        return now - started / os.sysconf("SC_CLK_TCK")

    def outdated(self):
        """Whether the program's file was replaced since the process started."""
        pid = self.pid()
        try:
            return bool(pid) and os.readlink(f"/proc/{pid}/exe").endswith(" (deleted)")
        except OSError:
            return False

    def spawn(self, argv, cwd):
        """Start argv detached from this terminal, output to the log."""
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        if self.log_file.exists() and self.log_file.stat().st_size > LOG_LIMIT:
            os.replace(self.log_file, f"{self.log_file}.1")
        with open(self.log_file, "ab") as log:
            self.log_offset = log.tell()
            try:
                self.child = subprocess.Popen(
                    argv, cwd=cwd, env=clean_env(self.directory), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True)
            except OSError as error:
                raise StackError(f"{self.name}: cannot start {argv[0]}: {error.strerror}") from error
        started = start_time(self.child.pid)
        temporary = self.pid_file.with_suffix(".tmp")
        temporary.write_text(f"{self.child.pid} {started or 0}\n", encoding="ascii")
        os.replace(temporary, self.pid_file)

    def exit_text(self):
        """How a process started here ended, or None while it lives."""
        code = self.child.poll() if self.child else None
        if code is None and self.pid():
            return None
        if code is None and self.child:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.child.wait(REAP_S)
        if code is None:
            return "it is gone"
        return f"it exited with {code}" if code >= 0 else f"signal {signal.Signals(-code).name} ended it"

    def wait_ready(self, probe, deadline):
        """Call probe every 50 ms until it is true. A StackError tells what the log says."""
        while True:
            ended = self.exit_text()
            if ended is None and probe():
                return
            if ended is not None:
                raise StackError(f"{self.name} did not start: {ended}\n{self.log_tail()}")
            if time.monotonic() >= deadline:
                raise StackError(f"{self.name} is not ready in time\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self, lines=20):
        """The last lines that this start wrote to the log, indented."""
        try:
            with open(self.log_file, "rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self.log_offset, size - 16384))
                text = log.read().decode("utf-8", "replace")
        except OSError:
            return f"    (no log: {self.log_file})"
        tail = "\n".join("    | " + line for line in text.splitlines()[-lines:])
        return f"    {self.log_file}:\n{tail or '    | (empty)'}"

    def send(self, number):
        """Send a signal; False when there is no such process."""
        _, pidfd = self._open()
        if pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(pidfd)
        return True

    def stop(self, timeout, first=signal.SIGTERM):
        """End the process: `first`, then SIGKILL after timeout. Answers what happened."""
        return self.end_stop(self.begin_stop(first), timeout, first)

    def begin_stop(self, first=signal.SIGTERM):
        """Send the first signal, once; answers what end_stop() wants."""
        _, pidfd = self._open()
        if pidfd is not None:
            self._signal(pidfd, first)
            self._signal(pidfd, signal.SIGCONT)
        return pidfd

    def end_stop(self, pidfd, timeout, first=signal.SIGTERM):
        """Wait for the end, insist after timeout; answers what happened."""
        if pidfd is None:
            self.pid_file.unlink(missing_ok=True)
            return "not running"
        result = "stopped" if first == signal.SIGTERM else "killed"
        try:
            if not select.select([pidfd], [], [], timeout)[0]:
                result = f"killed after {timeout} s"
                self._signal(pidfd, signal.SIGKILL)
                select.select([pidfd], [], [], 10)
        finally:
            os.close(pidfd)
        if self.child:
            self.child.wait()
        self.pid_file.unlink(missing_ok=True)
        return result

    @staticmethod
    def _signal(pidfd, number):
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass


def kill(pid):
    """SIGKILL a process that is not a child of this one, and wait until it is gone."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        select.select([pidfd], [], [], 10)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def strays(directory):
    """Pids of living processes of the stack in directory, whoever started them."""
    mark = f"{MARK}={directory}"
    work = f"LOOM_WORK_DIR={directory}/"
    others = f"{work}dc/"  # the datacenter of scripts/dc is below the stack of `make run`
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        if any(item == mark or item.startswith(work) and not item.startswith(others)
               for item in environ_of(int(entry))):
            if start_time(int(entry)) is not None:
                found.append(int(entry))
    return found


def kill_strays(directory, keep=()):
    """SIGKILL what carries the stack's mark, until there is none; answers how many there were."""
    killed = set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pids = [pid for pid in strays(directory) if pid not in keep]
        if not pids:
            break
        for pid in pids:
            killed.add(pid)
            kill(pid)
        time.sleep(0.02)
    return len(killed)
