# SPDX-License-Identifier: Apache-2.0
"""One host's process manager: what systemd does on a real machine, as far as it matters here.

It starts the host's parts, each in a process group of its own, with output to log/PART.log, and
starts a part that died again after a second, a proxy sooner (Restart=always, RestartSec= in deploy/systemd). A
part that was stopped stays stopped until it is started or the host boots. There is no watchdog: a
part that was paused stays paused, as it would on a machine that was suspended as a whole.

Commands come over HOST/supervisor.sock: one JSON object per connection, one in answer.
"""

import json
import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from stacklib import process

from . import DcError, ask, parts
from .state import State

RESTART = {"haproxy": 0.2, "sqlproxy": 0.2}  # any other part: 1 s
PROBE = 0.05
LOG_LIMIT = 64 * 1024 * 1024


class Runner:
    """Keeps one part running while it is wanted, on a thread of its own."""

    def __init__(self, part):
        self.thread = threading.Thread(target=self.run, daemon=True, name=part.name)
        self.part = part
        self.lock = threading.Condition()
        self.wanted = self.paused = self.gone = False
        self.child = None
        self.starts = 0
        self.error = ""
        self.began = 0.0

    # ---- the thread

    def run(self):
        """The thread: start it, wait for its end, and again."""
        while True:
            with self.lock:
                while not self.wanted and not self.gone:
                    self.lock.wait()
                if self.gone:
                    return
            try:
                self._spawn()
            except (DcError, OSError, subprocess.SubprocessError) as error:
                self.error = str(error)
            else:
                self._watch()
            with self.lock:
                if self.wanted:
                    self.lock.wait(RESTART.get(self.part.kind, 1.0))

    def _spawn(self):
        self.part.before()
        path = self.part.home / "log" / f"{self.part.name}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            os.replace(path, f"{path}.1")
        with self.lock, open(path, "ab") as log:
            if not self.wanted:
                return
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S")
            log.write(f"---- {stamp} started by the supervisor\n".encode())
            log.flush()
            self.child = subprocess.Popen(
                self.part.argv(), cwd=self.part.home / "run", stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=process.clean_env(self.part.state.directory), start_new_session=True)
            self.began = time.monotonic()
            self.starts += 1
            self.paused, self.error = False, ""
            self.lock.notify_all()

    def _watch(self):
        """Until it has ended; what it left of its process group goes with it."""
        with self.lock:
            child = self.child
        if child is None:
            return
        threading.Thread(target=self._report_start, args=[child], daemon=True).start()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with self.lock:
            self._signal(signal.SIGKILL)
            child.wait()
            self.child = None
            self.lock.notify_all()
        self.part.ended()

    def _report_start(self, child):
        while child.returncode is None and self.child is child:
            if self.part.look()[0]:
                self.part.started()
                return
            time.sleep(PROBE)

    # ---- commands, from other threads

    def _signal(self, number):
        """To the whole group. The lock is held, so that the process has not been reaped yet."""
        if self.child is None:
            return False
        try:
            os.killpg(self.child.pid, number)
        except ProcessLookupError:
            return False
        return True

    def start(self):
        """Run from now on."""
        with self.lock:
            self.wanted = True
            self.lock.notify_all()

    def stop(self, orderly=True, seconds=None):
        """SIGTERM (or SIGKILL) and stay stopped; returns when it is gone."""
        with self.lock:
            self.wanted = False
            self.lock.notify_all()
            if self.child is None:
                return "not running"
        if orderly and not self.paused:
            try:
                self.part.before_stop()
            except (OSError, subprocess.SubprocessError):
                pass
        return self._end(self.part.stop_signal if orderly else signal.SIGKILL, seconds or self.part.stop_seconds)

    def _end(self, number, seconds):
        with self.lock:
            child = self.child
            if child is None:
                return "stopped"
            os.kill(child.pid, number)
            self._signal(signal.SIGCONT)
        if number != signal.SIGKILL:
            self.part.stopping()
        with self.lock:
            if self.lock.wait_for(lambda: self.child is not child, seconds):
                return "killed" if number == signal.SIGKILL else "stopped"
            self._signal(signal.SIGKILL)
            self.lock.wait_for(lambda: self.child is not child, 10)
            return f"killed after {seconds} s"

    def kill(self):
        """SIGKILL; it comes back after a second unless it is not wanted."""
        with self.lock:
            return "killed" if self._signal(signal.SIGKILL) else "not running"

    def pause(self):
        """SIGSTOP."""
        with self.lock:
            self.paused = self._signal(signal.SIGSTOP)
            return "paused" if self.paused else "not running"

    def resume(self):
        """SIGCONT."""
        with self.lock:
            self.paused = False
            return "resumed" if self._signal(signal.SIGCONT) else "not running"

    def dismiss(self):
        """The part is no part of this host any more."""
        self.stop()
        with self.lock:
            self.gone = True
            self.lock.notify_all()

    def status(self):
        """What is known about it, asking it, too."""
        with self.lock:
            child, paused, wanted = self.child, self.paused, self.wanted
        ready, role = self.part.look() if child and not paused else (False, "")
        word = ("paused" if paused else "running") if child else "dead" if wanted else "stopped"
        return {"pid": child.pid if child else None, "ready": bool(child) and ready, "role": role,
                "state": word, "starts": self.starts, "error": self.error,
                "uptime": round(time.monotonic() - self.began, 1) if child else None}


class Supervisor:
    """One host."""

    def __init__(self, directory, host):
        self.directory, self.host = directory, host
        self.home = directory / host
        self.runners = {}
        self.lock = threading.Lock()
        self.adopt()

    def adopt(self):
        """Have the parts that dc.json says: new ones start, those that are too many stop."""
        state = State(self.directory)
        with self.lock:
            wanted = parts.names(state, self.host)
            surplus = [self.runners.pop(name) for name in list(self.runners) if name not in wanted]
            for name in wanted:
                if name not in self.runners:
                    self.runners[name] = Runner(parts.Part(state, self.host, name))
                    self.runners[name].thread.start()
                    self.runners[name].start()
        for runner in surplus:
            runner.dismiss()
        return "adopted"

    def status(self):
        """All parts, looked at together."""
        with ThreadPoolExecutor(16) as pool:
            futures = {name: pool.submit(runner.status) for name, runner in self.runners.items()}
            found = {name: future.result() for name, future in futures.items()}
        return {"pid": os.getpid(), "parts": found, "elections": self.elections(found)}

    def elections(self, found):
        """Who leads each election; only ZooKeeper's leader knows."""
        if found["zookeeper"]["role"] != "leader":
            return {}
        text = ask.talk(State(self.directory).address(self.host), 55181, b"dump").decode("utf-8", "replace")
        best = {}
        for line in text.split():
            words = line.split("/")
            if "election" in words and len(words) >= 3:
                name, node = words[-2], words[-1]
                sequence = node.rpartition("-")[2]
                if name not in best or sequence < best[name][0]:
                    best[name] = (sequence, node)
        return {name: node for name, (_, node) in best.items()}

    def shutdown(self):
        """Everything stops in good order: workers first, databases last."""
        order = [("provisioner", "ui"), ("api", "scheduler"), ("haproxy", "sqlproxy", "follow", "keepalived"),
                 ("db", "zookeeper"), ("dbcheck",)]
        for kinds in order:
            chosen = [runner for runner in self.runners.values() if runner.part.kind in kinds]
            with ThreadPoolExecutor(16) as pool:
                list(pool.map(lambda runner: runner.stop(runner.part.kind != "keepalived", 15), chosen))
        return "down"

    def execute(self, request):
        """One command."""
        verb, name = request["do"], request.get("part")
        if verb == "ping":
            return os.getpid()
        if verb in ("status", "adopt", "shutdown"):
            return getattr(self, verb)()
        if name not in self.runners:
            raise DcError(f"{self.host} has no {name}; it has {', '.join(self.runners)}")
        runner = self.runners[name]
        if verb == "look":
            return runner.status()
        if verb == "hold":
            return runner.stop(orderly=False)
        return getattr(runner, verb)()

    def serve(self):
        """Answer until killed."""
        supervisor = self
        os.chdir(self.home)

        class Handler(socketserver.StreamRequestHandler):
            """One request."""

            def handle(self):
                try:
                    answer = {"ok": supervisor.execute(json.loads(self.rfile.readline()))}
                except (DcError, ValueError, KeyError, OSError) as error:
                    answer = {"error": str(error) or repr(error)}
                self.wfile.write(json.dumps(answer).encode() + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            """In the host's folder, by a short name."""

            daemon_threads = True
            request_queue_size = 64

        try:
            os.unlink("supervisor.sock")
        except FileNotFoundError:
            pass
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with Server("supervisor.sock", Handler) as server:
            server.serve_forever(poll_interval=3600)


def call(state, host, verb, part=None, timeout=120):
    """Ask a host's supervisor; its answer."""
    request = json.dumps({"do": verb, "part": part}).encode() + b"\n"
    folder = os.open(state.host_dir(host), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(timeout)
            sock.connect(f"/proc/self/fd/{folder}/supervisor.sock")
            sock.sendall(request)
            data = sock.makefile("rb").readline()
    finally:
        os.close(folder)
    answer = json.loads(data)
    if "error" in answer:
        raise DcError(f"{host}: {answer['error']}")
    return answer["ok"]
