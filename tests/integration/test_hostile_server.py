# SPDX-License-Identifier: Apache-2.0
"""The command line before a server that is not Loom: it says so, at once, and obeys nothing."""

import http.server
import subprocess
import threading

import pytest

from support.stack import build_dir

COMMANDS = {
    "list": (["cluster", "list"], "a list of objects was expected"),
    "templates": (["template", "list"], "a list of objects was expected"),
    "show": (["cluster", "show", "00000001"], "an object was expected"),
    "why": (["cluster", "why", "00000001"], "an object was expected"),
    "watch": (["cluster", "watch", "00000001"], "was expected"),
    "delete": (["cluster", "delete", "00000001", "--yes"], "an object was expected"),
    "plan": (["cluster", "plan", "--template", "x", "--size", "3"], "an object was expected"),
    "create": (["cluster", "create", "x", "--template", "x", "--size", "1"], "an object was expected"),
}
ANSWERS = {"null": b"null", "a number": b"5", "a text": b'"x"', "odd entries": b"[null,5]"}


class Handler(http.server.BaseHTTPRequestHandler):
    """The same answer to all."""

    def do_GET(self):
        """Answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server():
    """It answers with `body`."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.body = b""
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def loom(server, words):
    """(exit code, what it said) within a few seconds."""
    done = subprocess.run([str(build_dir() / "bin/loom"), *words], capture_output=True, text=True, timeout=20, check=False,
                          stdin=subprocess.DEVNULL, env={"LOOM_URL": f"http://127.0.0.1:{server.server_port}",
                                                         "LOOM_USER": "a", "LOOM_TENANT": "t"})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_answers_of_another_shape(server, command, answer):
    server.body = ANSWERS[answer]
    words, said = COMMANDS[command]
    code, text = loom(server, words)
    assert code == 1 and "does not answer like Loom" in text and said in text, text


def test_events_that_are_none_are_not_asked_for_again(server):
    server.body = b"{}"
    code, text = loom(server, ["cluster", "watch", "00000001"])
    assert code == 1 and "a stream of events was expected" in text, text
