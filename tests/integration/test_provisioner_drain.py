# SPDX-License-Identifier: Apache-2.0
"""Leases that nobody renews, and provisioners that finish, give back or leave what they have."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from support import wait_for
from support.provisioner import HANG, Server, alive, fixture_make, fixture_server, hanging, pid_in, task  # noqa: F401 (fixtures)
from support.stack import ENVIRONMENT, build_dir


def test_an_absent_server_stops_no_task(server, make):
    prov = make()
    prov.plugin("providers", "p", 'echo before; while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    server.give(task(1))
    wait_for(lambda: server.log, 60, "the log")
    port = server.port
    server.vanish()
    wait_for(lambda: "call=heartbeat" in prov.logs(), 60, "a missed heartbeat")
    (prov.work / "plugins/providers/p/go").touch()
    wait_for(prov.spooled, 60, "the kept result")
    back = Server(port)
    back.registered.add("prov-1")
    assert back.finishes()[0]["status"] == 0
    wait_for(lambda: not prov.spooled(), 60, "an empty spool")
    back.vanish()


def beats_answered(server, *answers):
    """Heartbeats are answered so, the last one for good."""
    left = list(answers)
    server.rule(lambda method, path, body: (left.pop(0) if len(left) > 1 else left[0])
                if path.endswith("/heartbeat") else None)


def test_a_lease_that_nobody_renews(server, make):
    """The plugin is stopped before somebody else may have the task, and the server hears of it."""
    signs = HANG.replace("do sleep 1;", 'do date +%s%N >>"$LOOM_WORK_DIR/signs"; sleep 0.05;')
    prov, pid, child = hanging(make, signs, capacity=1)
    beats_answered(server, (500, None, {}))
    began = time.time_ns()
    server.give({**task(1), "leaseMs": 6000})
    pids = [pid_in(pid), pid_in(child)]
    wait_for(lambda: not any(map(alive, pids)), 60, "the plugin's end")
    last = int((pid.parent / "signs").read_text().split()[-1])
    assert last - began < 6 * 10**9, "a sign of life when its lease was over"
    finish = server.finishes()[0]
    assert finish["lost"] is True and finish["status"] != 0 and "retry" not in finish
    assert "its lease was not renewed in time" in prov.logs()
    prov.plugin("providers", "p", "exit 0")
    server.give(task(2))
    assert server.finishes(2)[1]["status"] == 0


def test_a_lease_that_ends_while_the_provisioner_hangs(server, make):
    prov, pid, child = hanging(make, capacity=1)
    server.give({**task(1), "leaseMs": 3000})
    pids = [pid_in(pid), pid_in(child)]
    prov.signal(signal.SIGSTOP)
    wait_for(lambda: not any(map(alive, pids)), 60, "the plugin's end")
    beats_answered(server, (500, None, {}))
    prov.signal(signal.SIGCONT)
    assert server.finishes()[0]["lost"] is True


def test_leases_that_are_held(server, make):
    """A server whose database is away renews nothing, but gives the tasks to nobody else."""
    prov = make()
    prov.plugin("providers", "p", 'while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    beats_answered(server, (503, None, {"Loom-Leases": "held"}))
    server.give({**task(1), "leaseMs": 3000})
    server.wait("POST", "/v2/tasks/take")
    server.wait("POST", ".*/heartbeat", len(server.seen("POST", ".*/heartbeat")) + 4)
    (prov.work / "plugins/providers/p/go").touch()
    finish = server.finishes()[0]
    assert finish["status"] == 0 and "lost" not in finish


@pytest.mark.parametrize("held, begun", [(0, False), (60000, True), (None, True)])
def test_a_task_that_came_late(server, make, held, begun):
    """What was on its way for longer than its lease is not begun; how long the server held it counts not, nor does
    more than there was."""
    prov = make()
    prov.plugin("providers", "p", 'touch "$LOOM_WORK_DIR/begun"')
    answer = {"tasks": [{**task(1), "leaseMs": 2000}], **({} if held is None else {"heldMs": held})}
    taken = []

    def late(method, path, body):
        if path == "/v2/tasks/take" and not taken:
            taken.append(body)
            threading.Event().wait(2.5)
            return 200, answer, {}
        return None

    server.late(late)
    prov.start()
    finish = server.finishes()[0]
    assert finish.get("lost", False) is not begun and (finish["status"] == 0) is begun
    assert (prov.work / "plugins/providers/p/begun").exists() is begun


def test_drain_finishes_what_runs(server, make):
    prov = make()
    prov.plugin("providers", "p", 'echo x; while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    server.give(task(1))
    wait_for(lambda: server.log, 60, "the log")
    server.wait("POST", "/v2/tasks/take", 2)
    prov.signal()
    wait_for(lambda: "draining" in prov.logs(), 60, "the drain")
    assert prov.get("/readyz")[0] == 503
    beats = len(server.seen("POST", ".*/heartbeat"))
    server.wait("POST", ".*/heartbeat", beats + 1)  # the lease is still kept
    assert not server.seen("DELETE", ".*")
    (prov.work / "plugins/providers/p/go").touch()
    assert prov.wait() == 0
    assert server.finishes()[0]["status"] == 0
    assert len(server.seen("DELETE", "/v2/provisioners/prov-1")) == 1
    assert len(server.seen("POST", "/v2/tasks/take")) == 2


def test_drain_ends_at_its_time_limit(server, make):
    prov, pid, child = hanging(make, drain_timeout="200ms")
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    prov.signal()
    assert prov.wait() == 0
    assert not any(map(alive, pids))
    assert not server.seen("POST", "/v2/tasks/finish")
    assert server.seen("DELETE", "/v2/provisioners/prov-1")


def test_a_service_manager_waits_for_the_drain(server, make, monkeypatch):
    """It kills what does not end within the time that it was told, 150 s in our unit."""
    prov = make(drain_timeout="1h")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(prov.dir / "notify"))
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(prov.dir / "notify"))
        prov.start().ready()
        prov.signal()
        said = [manager.recv(200) for _ in range(4)]
    assert prov.wait() == 0
    wanted = (3600 + 7 + 5 + 5) * 1000000  # plugins that are told to end, the server, the process
    assert said[:2] == [b"READY=1", b"STOPPING=1"] and said[-1] == b"EXTEND_TIMEOUT_USEC=%d" % wanted


def test_second_sigterm_ends_it_at_once(server, make):
    prov, pid, child = hanging(make)
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    prov.signal()
    wait_for(lambda: "draining" in prov.logs(), 60, "the drain")
    prov.signal()
    prov.wait()
    wait_for(lambda: not any(map(alive, pids)), 60, "the plugin's end")


def test_drain_without_a_server(server, make):
    prov = make().start().ready()
    server.vanish()
    prov.signal()
    assert prov.wait() == 0


def test_one_provisioner_per_work_dir(make):
    prov = make()
    prov.start()
    wait_for(lambda: prov.get("/livez")[0] == 200, 60, "livez")
    second = subprocess.run(
        [str(build_dir() / "bin/loom-provisioner"), "--config", str(prov.dir / "provisioner.conf"),
         "--admin-listen=127.0.0.1:0"], capture_output=True, text=True, timeout=60, check=False,
        env={**ENVIRONMENT, **os.environ})
    assert second.returncode == 1
    assert "another provisioner uses work_dir" in second.stderr


def test_nothing_works_without_plugins(make):
    prov = make()
    subprocess.run(["rm", "-rf", str(prov.dir / "plugins")], check=True)
    (prov.dir / "plugins").mkdir()
    prov.start()
    assert prov.wait() == 1
    assert "holds no usable plugin" in prov.logs()


def test_hostile_answers_to_take(server, make):
    prov = make(capacity=2).start().ready()
    junk = [(200, {"tasks": [{"taskId": "../../x", "attempt": 1}, 5, {"taskId": "00000001-001-005",
                                                                      "attempt": -4}]}, {}),
            (200, [1, 2], {}), (200, {"tasks": []}, {}), (302, None, {"Location": "/"})]
    server.rule(lambda method, path, body: junk.pop(0)
                if path == "/v2/tasks/take" and junk else None)
    server.give(task(1), task(2), task(3))
    bodies = server.finishes(3)
    assert sorted(body["taskId"][-3:] for body in bodies) == ["001", "002", "003"]
    assert prov.get("/livez")[0] == 200
