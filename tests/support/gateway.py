# SPDX-License-Identifier: Apache-2.0
"""A loom-ui-gateway of its own, and a server behind it whose answers the tests choose."""

import collections
import http.client
import http.server
import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time

from support import wait_for
from support.stack import ENVIRONMENT, ROOT, SANITIZER, build_dir

WEB = ROOT / "services/ui-gateway/web"
MIB = 1 << 20


# ---- the server behind the gateway ----

class Handler(http.server.BaseHTTPRequestHandler):
    """Answers /x with the function `x` of Upstream; everything else with what it was asked."""

    protocol_version = "HTTP/1.1"

    def handle_any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        name = self.path.partition("?")[0].strip("/")
        getattr(self.server.upstream, "serve_" + name, self.server.upstream.echo)(self)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_any

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def start_chunks(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_):
        pass


class Upstream:
    """A threaded HTTP server whose streams the test drives through `pieces`."""

    def __init__(self):
        self.streams = collections.defaultdict(queue.Queue)  # pieces, by what follows the '?'
        self.asked = threading.Event()
        self.gone = threading.Event()
        self.sent = 0
        self.lost = []
        self.progress = threading.Condition()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.upstream = self
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def pieces(self):
        """What comes in event streams."""
        return self.streams["sse"]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def echo(self, request):
        said = {"method": request.command, "path": request.path, "body": request.body.decode(),
                "headers": [[name.lower(), value] for name, value in request.headers.items()]}
        request.answer(200, json.dumps(said).encode(), Content_Type="application/json")

    def serve_livez(self, request):
        request.answer(200, b"ok\n")

    def serve_refused(self, request):
        request.answer(503, b'{"detail":"busy"}', Content_Type="application/problem+json",
                       Retry_After="7", ETag='"e"', Date="Mon, 01 Jan 2024 00:00:00 GMT",
                       Set_Cookie="a=b", X_Hop="1", X_Kept="2", Connection="x-hop")

    def serve_unchanged(self, request):
        request.answer(304, ETag='"e"')

    def serve_kept(self, request):
        request.answer(200, b"{}", Cache_Control="no-cache", ETag='"e"')

    def serve_stream(self, request):
        """Pieces as the test puts them; None ends the stream, an exception breaks it."""
        request.start_chunks("text/event-stream" if "sse" in request.path else "text/plain")
        try:
            while (piece := self.streams[request.path.partition("?")[2]].get()) is not None:
                if isinstance(piece, Exception):
                    request.connection.shutdown(socket.SHUT_RDWR)
                    request.close_connection = True
                    return
                request.chunk(piece)
            request.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.gone.set()

    def serve_flood(self, request):
        """64 MiB as fast as they are taken."""
        request.start_chunks("application/octet-stream")
        try:
            for _ in range(1024):
                request.chunk(b"x" * 65536)
                with self.progress:
                    self.sent += 65536
                    self.progress.notify_all()
            request.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.gone.set()

    def serve_silence(self, request):
        """No answer at all until the gateway leaves."""
        request.connection.settimeout(60)
        self.asked.set()
        try:
            if request.connection.recv(1) == b"":
                self.gone.set()
        except OSError:
            pass
        request.close_connection = True

    def serve_cut(self, request):
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")
        request.close_connection = True

    def serve_lost(self, request):
        """Done, and not answered."""
        self.lost.append(request.command)
        request.close_connection = True

    def serve_garbage(self, request):
        request.wfile.write(b"what is HTTP?\r\n\r\n")
        request.close_connection = True


# ---- the gateway ----

class Gateway:
    """One loom-ui-gateway process on a free port."""

    def __init__(self, api_port, log, **keys):
        self.log = log
        keys = {"listen": "127.0.0.1:0", "api_uri": f"http://127.0.0.1:{api_port}", "web_dir": WEB,
                "default_user": "admin", **keys}
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [build_dir() / "bin/loom-ui-gateway"] +
                [f"--{name.replace('_', '-')}={value}" for name, value in keys.items()],
                stderr=out, env={**ENVIRONMENT, **os.environ})
        self.port = self.find_port()

    def find_port(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in self.log.read_text(encoding="utf-8").splitlines():
                if " port=" in line:
                    return int(line.partition(" port=")[2].split()[0])
            time.sleep(0.01)
        raise AssertionError(f"the gateway did not start: {self.log.read_text(encoding='utf-8')}")

    def connect(self, timeout=60):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            answer.body = answer.read()
            return answer
        finally:
            connection.close()

    def metric(self, name):
        for line in self.ask("GET", "/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return int(float(line.split()[1]))
        raise AssertionError(f"no metric {name}")

    def wait_metric(self, name, value):
        wait_for(lambda: self.metric(name) == value, what=f"{name} {value}", interval=0.01)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        text = self.log.read_text(encoding="utf-8", errors="replace")
        assert not SANITIZER.search(text), text
        assert code == 0, text
