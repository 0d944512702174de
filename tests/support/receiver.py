# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that takes callbacks: it keeps what it is sent and answers as a test says."""

import hashlib
import hmac
import http.server
import json
import threading
import time


class Call:
    """One request as it came."""

    def __init__(self, path, headers, body, peer):
        self.peer = peer
        self.path = path
        self.headers = headers
        self.body = body
        self.time = time.monotonic()
        self.answer = None

    @property
    def json(self):
        """The body as a value."""
        return json.loads(self.body)

    @property
    def event(self):
        """What it tells."""
        return self.headers["X-Loom-Event"]

    @property
    def delivery(self):
        """Which message it is; the same at each try."""
        return self.headers["X-Loom-Delivery"]

    @property
    def cluster(self):
        """Id of the cluster."""
        return self.json["cluster"]["id"]

    @property
    def action(self):
        """The job's operation, None without a job."""
        return self.json.get("job", {}).get("clusterAction")

    def signed_with(self, secret):
        """Is the signature there and right?"""
        mac = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return self.headers["X-Loom-Signature"] == f"sha256={mac}"

    def __repr__(self):
        return f"<{self.path} {self.event} {self.cluster} {self.action} {self.delivery}: {self.answer}>"


class Receiver:
    """Answers POST /NAME as rules[NAME](call) says: a status, or (status, body, headers), or 0: the
    connection is closed without an answer. Names without a rule answer 200."""

    def __init__(self, port=0, host="127.0.0.1"):
        self.host = host
        self.calls = []
        self.rules = {}
        self._changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """One connection."""

            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                """Keep it and answer."""
                body = self.rfile.read(int(self.headers["Content-Length"]))
                call = Call(self.path.strip("/"), self.headers, body, self.client_address)
                with outer._changed:
                    outer.calls.append(call)
                    outer._changed.notify_all()
                rule = outer.rules.get(call.path)
                answer = rule(call) if rule else 200
                call.answer, text, headers = (*answer, {}, {})[:3] if isinstance(answer, tuple) else (answer, b"", {})
                with outer._changed:
                    outer._changed.notify_all()
                if not call.answer:
                    self.close_connection = True
                    return
                text = text if isinstance(text, bytes) else json.dumps(text or "").encode()
                try:
                    self.send_response(call.answer)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass

            def log_message(self, *_):
                """Silence."""

        class Server(http.server.ThreadingHTTPServer):
            """A server that says nothing about clients that went away."""

            def handle_error(self, *_):
                """Silence."""

        self._server = Server((host, port), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, name):
        """Address of one target."""
        return f"http://{self.host}:{self.port}/{name}"

    def of(self, name, event=None, cluster=None, answered=False):
        """The calls so far to one target."""
        with self._changed:
            return [call for call in self.calls if call.path == name and event in (None, call.event) and
                    (cluster is None or call.cluster == cluster) and
                    (not answered or call.answer is not None)]

    def wait(self, name, event=None, cluster=None, count=1, timeout=60, answered=False):
        """Until so many calls came; answers them."""
        deadline = time.monotonic() + timeout
        while True:
            found = self.of(name, event, cluster, answered)
            if len(found) >= count:
                return found
            left = deadline - time.monotonic()
            assert left > 0, f"{len(found)} of {count} {event or ''} callbacks of {cluster} at {name}: {self.calls}"
            with self._changed:
                self._changed.wait(min(left, 0.2))

    def close(self):
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
