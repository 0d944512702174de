# SPDX-License-Identifier: Apache-2.0
"""A provisioner of the original, as far as the server talks to it: it is told what to run for whom."""

import http.server
import json
import threading

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Master:
    """The port of a provisioner of the original: it answers as its own does, and keeps what it is told."""

    def __init__(self, stack, name, capacity):
        self.stack, self.name, self.told, self.status = stack, name, [], 200
        master = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                master.told.append((self.path, body))
                answer = json.dumps({**body, "status": 0}).encode()
                self.send_response(master.status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        # as the Ruby one sends it: numbers as text, JSON labelled as a form
        answer = stack.internal.request("PUT", f"/v2/provisioners/{name}", {
            "id": name, "capacityTotal": str(capacity), "host": "127.0.0.1",
            "port": str(self.server.server_address[1])}, {**FORM, "Coopr-Userid": "admin"})
        assert answer.status == 200, answer

    def workers(self):
        """Of each tenant, as it was told last."""
        return {path.removeprefix("/v2/tenants/"): body["workers"] for path, body in self.told}

    def beat(self):
        answer = self.stack.internal.request("POST", f"/v2/provisioners/{self.name}/heartbeat",
                                             {"usage": self.workers()}, FORM)
        assert answer.status == 200, answer

    def close(self):
        self.stack.internal.delete(f"/v2/provisioners/{self.name}")
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
