# SPDX-License-Identifier: Apache-2.0
"""Serves the unit test page and the web app's own modules, under the app's security policy."""

import functools
import http.server
import pathlib
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOTS = {
    "unit": HERE / "unit",
    "web": HERE.parent.parent / "services" / "ui-gateway" / "web",
}


class Handler(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path):
        top, _, rest = path.split("?")[0].lstrip("/").partition("/")
        root = ROOTS.get(top, HERE / "none")
        file = (root / rest).resolve()
        return str(file) if file.is_relative_to(root) else str(HERE / "none")

    def end_headers(self):
        self.send_header("Content-Security-Policy", "default-src 'self'")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *_args):
        pass


class SiteServer:
    def __init__(self):
        handler = functools.partial(Handler, directory=str(HERE))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
