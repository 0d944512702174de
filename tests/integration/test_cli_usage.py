# SPDX-License-Identifier: Apache-2.0
"""How the loom command is called: help, completion, wrong usage, and what goes wrong on the way."""

import contextlib
import json
import os
import re
import signal
import subprocess
import termios

import pytest

from browser.relay import Relay
from support import wait_for
from support.cli import LOOM, Terminal, environment, loom
from support.worker import Gate


def test_nobody_reads_the_help(empty_lab):
    for words in (("--help",), ("--version",), ("cluster", "show", "--help")):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([LOOM, *words], env=environment(empty_lab), stdout=full, stderr=subprocess.PIPE,
                                  text=True, check=False)
        assert done.returncode == 1 and "standard output cannot be written" in done.stderr, words


def test_help_version_and_usage(empty_lab):
    assert "cluster watch" in loom(empty_lab, "--help").stdout
    told = loom(empty_lab, "cluster", "create", "--help").stdout
    assert "--template" in told and "Exit codes: 0 done, 1 refused or failed, 2 " in told
    assert re.fullmatch(r"loom \d+\.\d+\.\d+ \w+\n", loom(empty_lab, "--version").stdout)
    for words in ((), ("cluster",), ("cluster", "fly"), ("status", "--fly"), ("cluster", "create", "x")):
        done = loom(empty_lab, *words)
        assert (done.returncode, done.stdout) == (64, "")
        assert done.stderr.startswith("loom: ")


@pytest.mark.parametrize("words, word", [
    (("cluster", "list", "--tenant", ""), "--tenant is empty"),  # "$TENANT" of a script that did not set it
    (("cluster", "list", "--token-file="), "--token-file is empty"),
    (("cluster", "create", "x", "-t", "one", "-n", "1", "--services", ""), "--services is empty"),
    (("cluster", "list", "--status", "activ"), "'activ'"),
    (("audit", "list", "--since", "2026"), "'2026'"),  # not 2 s after 1970
    (("audit", "list", "--until", "1796120080"), "'1796120080'"),  # seconds
    (("token", "create", "x", "--expires", "90"), "--expires 90 has no unit: 90s, 90m, 90h or 90d is meant"),
    (("user", "delete", ""), "an argument is empty; it wants NAME"),
    (("cluster", "label", "x", ""), "an argument is empty; it wants ID|NAME KEY=VALUE"),
    (("status", "--url", "http://"), "'http://'"),
    (("status", "--url", "ftp://127.0.0.1"), "'ftp://127.0.0.1'"),
    (("status", "--url", "http://127.0.0.1:99999"), "'http://127.0.0.1:99999'"),
    (("status", "--url", "http://127.0.0.1?x"), "'http://127.0.0.1?x'")])
def test_a_value_that_is_none_is_wrong_usage(empty_lab, words, word):
    done = loom(empty_lab, *words)
    assert (done.returncode, done.stdout) == (64, "") and word in done.stderr, done


@pytest.mark.parametrize("variable", ["LOOM_USER", "LOOM_TENANT", "LOOM_TOKEN"])
def test_who_asks_is_one_line(empty_lab, variable):
    """A header of several is not sent, and the request would be somebody else's."""
    done = loom(empty_lab, "whoami", **{variable: "ann\r"}) if variable != "LOOM_USER" else \
        loom(empty_lab, "whoami", user="ann\r")
    assert done.returncode == 64 and "control character" in done.stderr, done
    assert not variable.endswith("TOKEN") or "ann" not in done.stderr


def opened(pid):
    """Number of each open descriptor of a process -> what it is."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
    return found


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_descriptor_is_no_connection(lab, closed):
    """What is printed would go into whatever has its number."""
    gate = Gate("CREATE")
    lab.worker(gate)
    lab.create("a", "one", 1)
    number = {"<": 0, ">": 1, "2": 2}[closed[0]]
    with subprocess.Popen(["bash", "-c", f'exec "$@" {closed}', "-", LOOM, "task", "log", "--follow", gate.wait().id],
                          env=environment(lab), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: sum("socket:" in name for name in opened(process.pid).values()) >= 3, what="its connection")
            assert opened(process.pid)[number] == "/dev/null"
        finally:
            process.kill()
            gate.open()


def test_a_login_that_cannot_be_read_is_said(empty_lab, tmp_path):
    """Else the request would be nobody's, or that of whom the names name."""
    kept = tmp_path / "loom/token"
    kept.parent.mkdir()
    kept.write_text("")
    done = loom(empty_lab, "whoami", XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 64 and f"login {kept} is empty; 'loom login' makes it anew" in done.stderr, done
    done = loom(empty_lab, "login", "--password-file", "-", stdin="x", XDG_CONFIG_HOME=str(tmp_path))
    assert done.returncode == 1 and str(kept) not in done.stderr, done


def test_a_folder_is_no_file(empty_lab):
    done = loom(empty_lab, "import", "/")
    assert done.returncode == 64 and "/: Is a directory" in done.stderr, done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_shows_what_is_typed_after_a_prompt_that_was_interrupted(empty_lab, number):
    def shows():
        return bool(termios.tcgetattr(line)[3] & termios.ECHO)

    terminal = Terminal(empty_lab, "login")
    line = os.dup(terminal.fd)
    try:
        wait_for(lambda: "Password of ann" in terminal.text, what="the prompt")
        assert not shows()
        os.kill(terminal.pid, number)
        assert terminal.wait() == -number
        assert shows()
    finally:
        os.close(line)


def test_warnings_of_the_server_are_shown(lab, tmp_path):
    document = tmp_path / "catalog.json"
    document.write_text(json.dumps({**lab.user.get("/v2/export").json, "services": [
        {"name": "web", "links": [], "quantities": {"min": 1}}], "clustertemplates": []}))
    done = loom(lab, "import", str(document), user="admin")
    assert done.returncode == 0, done
    assert "loom: warning: no such field, passed over: services[0].quantities\n" in done.stderr


def test_warnings_of_the_server_are_shown_with_json_and_with_a_refusal(lab):
    """What is passed over is said beside the result, and where it may be why something is refused."""
    words = "cluster", "create", "x", "-t", "stack", "-n", "2", "--provider", "bare", "--provider-fields"
    warning = "loom: warning: no such field, passed over: providerFields.projcet\n"
    done = loom(lab, *words, '{"project": "mine", "projcet": "mine"}', "-o", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["id"] and done.stderr.count(warning) == 1, done
    done = loom(lab, *words, '{"projcet": "mine"}', "-o", "json")
    assert (done.returncode, done.stdout) == (1, "") and warning in done.stderr and "project" in done.stderr, done
    words = *words[:2], "y", *words[3:]
    done = loom(lab, *words, '{"project": "mine"}')
    assert done.returncode == 0 and "warning" not in done.stderr, done


@pytest.mark.parametrize("typed, offered", [
    ("loom cluster p", ["pause", "plan"]),
    ("loom cluster create --on", ["--on-failure"]),
    ("loom whoami --tok", ["--token-file"]),
    ("loom cluster create first ''", []),
])
def test_bash_completes(empty_lab, tmp_path, typed, offered):
    """What bash calls, called as bash calls it; a name of the user's own is not completed."""
    (tmp_path / "loom").write_text(loom(empty_lab, "completion").stdout)
    script = f". {tmp_path}/loom; COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _loom; " \
             "printf '%s\\n' \"${COMPREPLY[@]}\""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (offered, "")


def test_unreachable_says_where_and_what_to_check(empty_lab):
    for words in (("status",), ("cluster", "list"), ("cluster", "watch", "1"), ("task", "log", "1-1-1")):
        done = loom(empty_lab, *words, url="http://127.0.0.1:1")
        assert (done.returncode, done.stdout) == (2, "")
        assert "http://127.0.0.1:1" in done.stderr and "LOOM_URL" in done.stderr


class LosesAnswers(Relay):
    """The first two connections are cut when the answer comes."""

    lost = 0

    def _pump(self, a, b):
        if self.lost < 2:
            b.sendall(a.recv(65536))
            assert b.recv(1)
            self.lost += 1
        else:
            super()._pump(a, b)


def test_create_whose_answer_is_lost_is_done_once(lab):
    relay = LosesAnswers("127.0.0.1", lab.stack.ports["api.external"])
    try:
        done = loom(lab, "cluster", "create", "demo", "--template", "one", "--size", "1", url=relay.url)
    finally:
        relay.close()
    assert (done.returncode, relay.lost) == (0, 2), done
    assert [entry["id"] for entry in lab.user.get("/v2/clusters").json] == [done.stdout.strip()]


def test_refusals_are_told_in_the_servers_words(lab):
    for words, reason in (
            (("cluster", "create", "x", "-t", "nothing", "-n", "1"), "nothing"),
            (("cluster", "create", "a b", "-t", "one", "-n", "1"), "a b"),
            (("cluster", "plan", "-t", "apart", "-n", "2"), "web"),
            (("cluster", "show", "99999999"), "99999999"),
            (("cluster", "show", "nobody"), "nobody"),
            (("cluster", "watch", "99999999"), "99999999"),
            (("task", "log", "00000001-001-999"), "00000001"),
            (("template", "show", "nothing"), ""),
            (("provider", "show", "a/b"), "a name in the path may not have a '/'")):
        done = loom(lab, *words)
        assert (done.returncode, done.stdout) == (1, ""), words
        assert reason in done.stderr and re.search(r"\(4\d\d\)|cluster list", done.stderr), done.stderr


def test_names_that_are_near(lab):
    lab.create("wiki", "one", 1)
    for words, meant in (
            (("cluster", "show", "wikki"), "did you mean wiki?"),
            (("cluster", "delete", "wkii", "--yes"), "did you mean wiki?"),
            (("cluster", "create", "a", "-t", "stakc", "-n", "1"), "Did you mean the template stack?"),
            (("cluster", "plan", "-t", "stakc", "-n", "1"), "Did you mean the template stack?"),
            (("cluster", "create", "a", "-t", "nothing", "-n", "1"), "'loom template list' shows which there are"),
            (("template", "show", "orphand"), "Did you mean the template orphaned?")):
        done = loom(lab, *words)
        assert done.returncode == 1 and done.stdout == "", done
        assert meant in done.stderr, done.stderr
    assert loom(lab, "cluster", "creat", "a").stderr.startswith("loom: there is no command 'cluster creat'; "
                                                              "did you mean 'cluster create'?")
