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
        self.server.asked.append(f"{self.command} {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.body)))
        for warning in self.server.warnings:
            self.send_header("Warning", warning)
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
    made.body, made.warnings, made.asked = b"", [], []
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def loom(server, words, text="", home="/nonexistent"):
    """(exit code, what it said) at its end."""
    done = subprocess.run([str(build_dir() / "bin/loom"), *words], capture_output=True, text=True, timeout=60, check=False,
                          input=text, env={"LOOM_URL": f"http://127.0.0.1:{server.server_port}",
                                           "LOOM_USER": "a", "LOOM_TENANT": "t", "HOME": str(home)})
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("command", COMMANDS)
def test_answers_of_another_shape(server, command, answer):
    server.body = ANSWERS[answer]
    words, said = COMMANDS[command]
    code, text = loom(server, words)
    assert code == 1 and "does not answer like Loom" in text and said in text, text


@pytest.mark.parametrize("words, missing", [
    (["login", "--password-file", "-"], "no token"),
    (["token", "create", "x"], "no token"),
    (["cluster", "create", "x", "--template", "x", "--size", "1"], "no id"),
    (["cluster", "pause", "00000001"], "no id"),
    (["cluster", "retry", "00000001"], "no id"),
    (["cluster", "delete", "00000001", "--yes"], "no id"),
])
def test_answers_that_lack_what_is_needed(server, tmp_path, words, missing):
    server.body = b"{}"
    code, text = loom(server, words, text="secret", home=tmp_path)
    assert code == 1 and "does not answer like Loom: " + missing in text, text
    assert not list(tmp_path.rglob("token*"))


def test_a_plan_without_its_token_is_not_done(server):
    """It would be done in whatever way it comes to by then."""
    server.body = b'{"id":"00000001","name":"x","status":"active"}'
    code, text = loom(server, ["cluster", "retry", "00000001"])
    assert code == 1 and "does not answer like Loom: no token" in text, text
    assert [path for path in server.asked if not path.endswith("/plan")] == ["GET /v2/clusters/00000001"]


@pytest.mark.parametrize("words", [["whoami"], ["audit", "list"], ["audit", "verify"], ["cluster", "show", "00000001"]])
def test_what_an_answer_leaves_open_is_shown_as_such(server, words):
    server.body = b"[{}]" if words == ["audit", "list"] else b'{"links":[{}]}'
    code, text = loom(server, words)
    assert code in (0, 1) and "null" not in text, text


def test_events_that_are_none_are_not_asked_for_again(server):
    server.body = b"{}"
    code, text = loom(server, ["cluster", "watch", "00000001"])
    assert code == 1 and "a stream of events was expected" in text, text


def test_warnings_are_shown_and_not_obeyed(server):
    server.body = b"[]"
    server.warnings = ['299 x "\x1b[31mred\x07 \x9b2J \\"quoted\\""', '199 cache "not ours"', "299 x without"]
    code, text = loom(server, ["task", "log", "00000001-001-001"])
    assert code == 0 and text.startswith("[]"), text
    for words in (["cluster", "list"], ["cluster", "list", "-o", "json"], ["task", "log", "00000001-001-001"]):
        code, text = loom(server, words)
        assert code == 0 and 'loom: warning: \\x1b[31mred\\x07 \\x9b2J "quoted"' in text, text
        assert not {"\x1b", "\x07", "\x9b"} & set(text) and "not ours" not in text and "without" not in text, text
