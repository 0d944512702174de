# SPDX-License-Identifier: Apache-2.0
"""loom on a terminal: what is watched, asked and interrupted."""

import json
import os
import re
import signal
import subprocess

from browser.relay import Relay
from support import wait_for
from support.cli import LOOM, Terminal, environment, loom
from support.worker import Gate


def test_live_view_on_a_terminal(lab):
    gate = Gate("INSTALL", "web")
    lab.worker(gate, slots=8)
    cluster = lab.create("shop", "stack", 2)
    terminal = Terminal(lab, "cluster", "watch", cluster)
    gate.wait()
    looks = (rf"shop  {cluster}  creating +\d+[\d.:]* ?m?s?", r"\[█+░+\] +\d+%  \d+/\d+",
             *(rf"....{f'shop{int(cluster)}-100{n}'[:9]}" for n in (0, 1)))

    def picture():
        """The screen when it is whole and shows the step: it may be looked at while it is drawn."""
        lines = terminal.screen()
        whole = len(lines) >= len(looks) and all(map(re.match, looks, lines))
        return lines if whole and any("install web" in line for line in lines) else None

    screen = wait_for(picture, what="the picture")
    assert all(len(line) < 80 for line in screen)
    assert terminal.cursor_hidden
    seconds = next(line for line in screen if "install web" in line)
    wait_for(lambda: seconds not in terminal.screen(), what="the clock of the step")
    gate.open()
    assert terminal.wait() == 0
    assert not terminal.cursor_hidden
    screen = [line for line in terminal.screen() if line]
    assert len(screen) == 5  # head, bar, two nodes, the last words: one picture, redrawn in place
    assert re.match(r"\[█+\] +100%", screen[1])
    assert "is active after" in screen[4]


def test_a_narrow_terminal(lab):
    lab.worker(slots=8)
    cluster = lab.create("shop", "stack", 12)
    terminal = Terminal(lab, "cluster", "watch", cluster, width=32, height=8, NO_COLOR="1")
    assert terminal.wait() == 0
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.text)
    drawn = terminal.text.partition("is active")[0].replace("\r\n", "\n")
    lines = [re.sub(r"\r?\x1b\[[?0-9;]*[A-Za-z]", "", line) for line in drawn.split("\n")[:-1]]
    assert [line for line in lines if len(line) > 31] == []


def test_tables_and_json_as_they_fit(lab):
    lab.worker(slots=8)
    cluster = lab.create("a-cluster-of-a-long-name", "stack", 2, labels={"environment": "staging-area-of-the-north"})
    lab.active(cluster)
    wide = loom(lab, "cluster", "list").stdout
    assert "environment=staging-area-of-the-north" in wide and "\x1b" not in wide
    for words in (("list",), ("show", cluster)):
        for width in (80, 100):
            terminal = Terminal(lab, "cluster", *words, width=width)
            assert terminal.wait() == 0
            table = terminal.text.replace("\r\n", "\n").split("\n\n")[-1]
            plain = re.sub(r"\x1b\[[0-9;]*m", "", table)
            assert max(map(len, plain.splitlines())) <= width and "…" in plain or width == 100, plain
            assert "\x1b[32mactive\x1b[0m" in terminal.text
    narrow = Terminal(lab, "cluster", "list", width=40, NO_COLOR="1")
    assert narrow.wait() == 0
    assert f"ID: {cluster}\r\nNAME: a-cluster-of-a-long-name\r\nSTATUS: active\r\n" in narrow.text
    laid_out = Terminal(lab, "cluster", "show", cluster, "-o", "json", NO_COLOR="1")
    assert laid_out.wait() == 0
    piped = loom(lab, "cluster", "show", cluster, "-o", "json").stdout
    assert piped.count("\n") == 1 and f'\r\n  "id": "{cluster}"' in laid_out.text
    assert json.loads(piped) == json.loads(laid_out.text)


def test_delete_asks_on_a_terminal(lab):
    lab.worker()
    cluster = lab.create("a", "one", 1)
    lab.user.wait_cluster(cluster)
    for answer, code, status in (("n\n", 1, "active"), ("y\n", 0, "terminated")):
        terminal = Terminal(lab, "cluster", "delete", "a", "--wait")
        wait_for(lambda: "[y/N]" in terminal.text, what="the question")
        terminal.type(answer)
        assert terminal.wait() == code, terminal.text
        assert lab.user.cluster_status(cluster) == status


def test_interrupted(lab):
    gate = Gate("CREATE")
    lab.worker(gate)
    cluster = lab.create("a", "one", 1)
    gate.wait()
    terminal = Terminal(lab, "cluster", "watch", cluster)
    wait_for(lambda: terminal.cursor_hidden and "create" in terminal.text, what="the picture")
    os.kill(terminal.pid, signal.SIGINT)
    assert terminal.wait() == 130
    assert not terminal.cursor_hidden
    assert f"loom cluster watch {cluster}" in terminal.text
    gate.open()
    lab.user.wait_cluster(cluster)


def test_a_broken_stream_is_taken_up_again(lab):
    gate = Gate("INSTALL", "web")
    lab.worker(gate)
    relay = Relay("127.0.0.1", lab.stack.ports["api.external"])
    try:
        cluster = lab.create("a", "one", 1)
        gate.wait()
        with subprocess.Popen([LOOM, "cluster", "watch", cluster, "-o", "json", "--history"], text=True,
                              env=environment(lab, url=relay.url), stdout=subprocess.PIPE) as watcher:
            events = []
            while not events or events[-1]["data"].get("service") != "web" or \
                    events[-1]["data"].get("state") != "running":
                events.append(json.loads(watcher.stdout.readline()))
            relay.cut()
            gate.open()
            lab.user.wait_cluster(cluster)
            relay.mend()
            events += [json.loads(line) for line in watcher.stdout]
            assert watcher.wait(60) == 0
        last = lab.user.cluster(cluster)["lastEvent"]
        assert [event["id"] for event in events] == list(range(1, last + 1))
    finally:
        relay.close()


def test_the_view_tells_of_a_lost_connection(lab):
    gate = Gate("CREATE")
    lab.worker(gate)
    relay = Relay("127.0.0.1", lab.stack.ports["api.external"])
    try:
        cluster = lab.create("a", "one", 1)
        gate.wait()
        terminal = Terminal(lab, "cluster", "watch", cluster, url=relay.url)
        wait_for(lambda: any("create" in line for line in terminal.screen()[2:]), what="the picture")
        relay.cut()
        wait_for(lambda: any("connection is lost" in line for line in terminal.screen()), what="the notice")
        relay.mend()
        wait_for(lambda: not any("connection is lost" in line for line in terminal.screen()), what="its end")
        gate.open()
        assert terminal.wait() == 0, terminal.text
    finally:
        relay.close()
