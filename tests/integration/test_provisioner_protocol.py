# SPDX-License-Identifier: Apache-2.0
"""loom-provisioner against a server that can be told to misbehave: refuse, forget, vanish, lie.

The server of these tests is a peer made for them, because a real one cannot be told to answer 503
to the second call. Plugins are small shell scripts run as real child processes.
"""

import json
import re
import shutil
import signal
import threading

import pytest

from support import wait_for
from support.provisioner import HANG, Server, alive, fixture_make, fixture_server, hanging, pid_in, task  # noqa: F401 (fixtures)


def test_registers_works_and_leaves(server, make):
    prov = make(capacity=3).start().ready()
    said = server.seen("PUT", "/v2/provisioners/prov-1")[0]
    assert said.pop("version") and said.pop("place")
    assert said == {"id": "prov-1", "host": "127.0.0.1", "port": prov.admin, "capacityTotal": 3, "usage": {}}
    assert server.seen("PUT", "/v2/plugins/providertypes/p")[0]["name"] == "p"
    assert server.seen("PUT", "/v2/plugins/automatortypes/a")[0]["name"] == "a"
    take = server.wait("POST", "/v2/tasks/take")[0]
    assert take == {"provisionerId": "prov-1", "workerId": "prov-1.0", "tenantId": "*", "wait": 25,
                    "max": 3, "lease": True, "claim": True}
    server.give(task(1))
    assert server.finishes() == [
        {"provisionerId": "prov-1", "workerId": "prov-1.0", "tenantId": "t1",
         "taskId": "00000001-001-001", "attempt": 1, "status": 0, "result": {"providerid": "m1"}}]
    wait_for(lambda: server.log.get("00000001-001-001") == b"doing create\n", 60, "the log")
    wait_for(lambda: not prov.spooled() and not prov.scratch(), 60, "an empty work_dir")
    assert "loom_provisioner_tasks_done_total 1" in prov.get("/metrics")[1]
    prov.signal()
    assert prov.wait() == 0
    assert len(server.seen("DELETE", "/v2/provisioners/prov-1")) == 1


def test_shows_the_secret_of_a_claim_and_keeps_it(server, make):
    """With all it says of a task; the plugin, whose output others read, is not told."""
    prov = make()
    prov.plugin("providers", "p", 'cat; env; until [ -e "$LOOM_WORK_DIR/go" ]; do sleep 0.05; done')
    prov.start()
    secret = "c1a1" * 8
    server.give({**task(1), "claim": secret})
    wait_for(lambda: any(body["tasks"] for body in server.seen("POST", "/v2/provisioners/prov-1/heartbeat")), 60,
             "a heartbeat with the task")
    (prov.work / "plugins/providers/p/go").touch()
    assert server.finishes()[0]["claim"] == secret
    beats = [one for body in server.seen("POST", "/v2/provisioners/prov-1/heartbeat") for one in body["tasks"]]
    assert beats and {one["claim"] for one in beats} == {secret}
    pieces = server.seen("POST", "/v2/tasks/00000001-001-001/log")
    assert pieces and {piece["claim"] for piece in pieces} == {secret}
    assert secret not in "".join(piece["data"] for piece in pieces) and secret not in prov.logs()


def test_what_a_plugin_sees(server, make):
    prov = make()
    prov.plugin("providers", "p", 'cat >"$LOOM_WORK_DIR/task"; env >"$LOOM_WORK_DIR/env"; pwd; ls -A')
    prov.start()
    given = task(7, attempt=2, secret=1.50)
    server.give(given)
    done = server.finishes()[0]
    assert done["status"] == 0 and done["attempt"] == 2 and done["result"] == {}
    home = prov.work / "plugins/providers/p"
    assert json.loads((home / "task").read_text()) == given
    env = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines())
    assert {key: value for key, value in env.items() if key not in ("_", "PWD", "SHLVL", "PATH")} == {
        "LOOM_PLUGIN_DIR": str(prov.dir / "plugins/providers/p"), "LOOM_WORK_DIR": str(home),
        "LOOM_TASK_ID": "00000001-001-007", "LOOM_ATTEMPT": "2", "LOOM_NODE_ID": "node-7"}
    seen = wait_for(lambda: server.log.get("00000001-001-007"), 60, "the log").decode()
    assert re.fullmatch(rf"{prov.work}/scratch/00000001-001-007\.2-\w+\n", seen)


def test_starts_before_the_server_is_there(server, make):
    port = server.port
    server.vanish()
    prov = make().start()
    wait_for(lambda: prov.get("/livez")[0] == 200, 60, "livez")
    assert prov.get("/readyz")[0] == 503
    wait_for(lambda: "trying on" in prov.logs(), 60, "a failed call")
    back = Server(port)
    prov.ready()
    back.give(task(1))
    assert back.finishes()[0]["status"] == 0
    back.vanish()


def test_registers_again_when_forgotten(server, make):
    prov = make().start().ready()
    server.wait("POST", "/v2/tasks/take")
    with server.change:
        server.registered.clear()
    server.wait("PUT", "/v2/provisioners/prov-1", 2)  # a heartbeat was answered 404
    prov.ready()
    refuse = [403]
    server.rule(lambda method, path, body: (refuse.pop(), None, {})
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1))
    assert len(server.finishes(2)) == 2  # refused with 403, registered, sent again
    assert len(server.seen("PUT", "/v2/provisioners/prov-1")) == 3
    wait_for(lambda: not prov.spooled(), 60, "delivery")


@pytest.mark.parametrize("name, script, want", [
    ("CREATE", "exit 3", {"status": 1, "message": "the plugin failed with exit code 3: err"}),
    ("CREATE", 'echo \'{"message":"no such flavor"}\' >&3; exit 100',
     {"status": 1, "retry": False, "message": "no such flavor"}),
    ("CREATE", 'echo \'{"status":210}\' >&3; exit 1', {"status": 210}),
    ("CREATE", "echo '{' >&3", {"status": 1}),
    ("CREATE", "sleep 60", {"status": 1, "message": "the plugin was stopped at its time limit of 1 s"}),
    ("CREATE", "kill -9 $$", {"status": 1, "message": "the plugin was killed by signal 9"}),
    ("EXPLODE", "exit 0", {"status": 1, "message": 'there is no task "EXPLODE"'}),
])
def test_failures_are_reported(server, make, name, script, want):
    prov = make()
    prov.plugin("providers", "p", f"echo out; echo err >&2; {script}", timeout=1 if "sleep" in script else 60)
    prov.start()
    server.give(task(1, name))
    done = server.finishes()[0]
    assert want.items() <= done.items()
    if name == "CREATE":
        assert (done["stdout"], done["stderr"]) == ("out\n", "err\n")
    wait_for(lambda: server.log.get("00000001-001-001", b"").decode().endswith(f"[{done['message']}]\n"),
             60, "the reason at the end of the log")
    assert ("retry" in done) == ("retry" in want)


def test_bootstrap_runs_every_automator_in_order(server, make):
    prov = make()
    for number, name in enumerate(("b", "a")):
        prov.plugin("automators", name,
                    f'echo {name}; echo \'{{"result":{{"{name}":1,"last":{number}}}}}\' >&3')
    prov.start()
    server.give(task(1, "BOOTSTRAP", automators=["b", "a"]))
    assert server.finishes()[0]["result"] == {"b": 1, "a": 1, "last": 1}
    server.give(task(2, "BOOTSTRAP", automators=[]))
    assert server.finishes(2)[1]["status"] == 0
    wait_for(lambda: server.log.get("00000001-001-001") == b"b\na\n", 60, "the log")


def test_folders_that_were_removed_come_again(server, make):
    """By whoever made room on the disk."""
    prov = make().start().ready()
    prov.plugin("providers", "p", 'touch "$LOOM_WORK_DIR/kept"')
    for folder in ("scratch", "spool", "plugins"):
        shutil.rmtree(prov.work / folder)
    server.give(task(1))
    server.wait("POST", "/v2/tasks/finish", 1)
    assert server.finishes()[0]["status"] == 0, server.finishes()
    assert (prov.work / "spool").is_dir() and "cannot be kept on disk" not in prov.logs()


@pytest.mark.parametrize("folder, words", [
    ("plugins/providers/p", "the plugin's folder {} cannot be made: Not a directory"),
    ("plugins/providers", "the plugin's folder {}/p cannot be made: Not a directory"),
    ("scratch", "the task's folder in {} cannot be made: Not a directory"),
])
def test_a_folder_that_cannot_be_made_is_named(server, make, folder, words):
    prov = make().start().ready()
    shutil.rmtree(prov.work / folder)
    (prov.work / folder).touch()
    server.give(task(1))
    assert server.finishes()[0]["message"] == words.format(prov.work / folder)


def test_runs_as_many_as_its_capacity(server, make):
    prov = make(capacity=3)
    prov.plugin("providers", "p", 'while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    server.give(*[task(number) for number in range(1, 6)])
    wait_for(lambda: len(prov.scratch()) == 3 if prov.work.exists() and (prov.work / "scratch").exists()
             else False, 60, "three running tasks")
    assert len(server.tasks) == 2
    beat = wait_for(lambda: [body for body in server.seen("POST", ".*/heartbeat") if body["tasks"]],
                    60, "a heartbeat with tasks")[0]
    assert {"taskId": "00000001-001-002", "attempt": 1} in beat["tasks"]
    assert beat["usage"] == {"t1": 3}
    (prov.work / "plugins/providers/p/go").touch()
    assert len(server.finishes(5)) == 5


def bring(server, *tasks):
    """Results are answered with these tasks, one each, as long as there are some."""
    left = list(tasks)
    server.rule(lambda method, path, body: (200, {"tasks": [left.pop(0)], "heldMs": 0}, {})
                if path == "/v2/tasks/finish" and body.get("next") and left else None)


def test_a_result_brings_the_next_task(server, make):
    prov = make(capacity=2)
    prov.plugin("providers", "p", 'until [ -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    bring(server, *[task(number) for number in range(2, 6)])
    prov.start()
    server.give(task(1))
    # the one slot that no result fills is asked for by a take, and only that
    server.wait("POST", "/v2/tasks/take", 2)
    (prov.work / "plugins/providers/p/go").touch()
    assert [body["taskId"][-3:] for body in server.finishes(5)] == ["001", "002", "003", "004", "005"]
    asked = server.seen("POST", "/v2/tasks/finish")
    assert all((body["next"], body["lease"], body["status"]) == (1, True, 0) for body in asked)
    paths = [path for _, path, _ in server.calls]
    last = [number for number, path in enumerate(paths) if path == "/v2/tasks/finish"][4]  # which brings nothing
    assert [body["max"] for _, path, body in server.calls[:last] if path == "/v2/tasks/take"] == [2, 1]


def test_an_older_server_brings_nothing(server, make):
    """It does not know what it is asked for, so the provisioner goes on with takes."""
    make(capacity=1).start()
    server.give(*[task(number) for number in range(1, 4)])
    assert {body["taskId"][-3:] for body in server.finishes(3)} == {"001", "002", "003"}
    assert all(body["max"] == 1 for body in server.seen("POST", "/v2/tasks/take"))


def test_a_task_that_comes_during_the_drain_is_given_back(server, make):
    prov = make(capacity=2)
    prov.plugin("providers", "p", 'echo x >> "$LOOM_WORK_DIR/begun"')
    go = threading.Event()

    def late(_method, path, body):
        if path == "/v2/tasks/finish" and body.get("next"):
            go.wait(60)
            return 200, {"tasks": [task(2)], "heldMs": 0}, {}
        return None

    server.late(late)
    prov.start()
    server.give(task(1))
    server.finishes()
    prov.signal()
    wait_for(lambda: "no more tasks are taken" in prov.logs(), 60, "the drain")
    go.set()
    back = server.finishes(2)[1]
    assert (back["taskId"][-3:], back["lost"], back["attempt"]) == ("002", True, 1)
    assert "next" not in server.seen("POST", "/v2/tasks/finish")[1]
    assert prov.wait() == 0
    assert (prov.work / "plugins/providers/p/begun").read_text() == "x\n"


def test_results_are_kept_until_the_server_has_them(server, make):
    prov = make().start().ready()
    trouble = [(503, None, {"Retry-After": "1"}), (500, None, {}), (503, None, {})]  # the last one until it is over

    def answer(_method, path, _body):
        if path != "/v2/tasks/finish" or not trouble:
            return None
        return trouble.pop(0) if len(trouble) > 1 else trouble[0]

    server.rule(answer)
    server.give(task(1))
    server.finishes()
    assert prov.spooled() == ["00000001-001-001.1.json"]
    wait_for(lambda: "loom_provisioner_results_overdue 1\n" in prov.get("/metrics")[1], what="one that was sent in vain")
    server.finishes(3)
    trouble.clear()
    bodies = server.finishes(4)
    assert all(body == bodies[0] for body in bodies)
    wait_for(lambda: "loom_provisioner_results_overdue 0\n" in prov.get("/metrics")[1], what="an empty spool")
    assert not prov.spooled()


@pytest.mark.parametrize("status, said, words", [
    (400, {"title": "Bad Request", "detail": "no such field"}, "no such field"),
    (413, None, "HTTP 413")])
def test_what_the_server_refuses_becomes_a_failure(server, make, status, said, words):
    prov = make(capacity=1)
    prov.plugin("providers", "p", 'echo \'{"result":{"providerid":"i-1","more":5}}\' >&3')
    prov.start().ready()
    refuse = [(status, said, {}), (503, None, {})]
    server.rule(lambda method, path, body: refuse.pop(0)
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1))
    first, *again = server.finishes(3)
    assert first["status"] == 0
    message = f"the server refused the result: {words}"
    for body in again:
        assert body == {**{key: first[key] for key in ("provisionerId", "workerId", "tenantId", "taskId",
                                                      "attempt")},
                        "status": 1, "message": message, "result": {"providerid": "i-1"}}
    wait_for(lambda: not prov.spooled(), 60, "an empty spool")
    wait_for(lambda: server.log.get("00000001-001-001", b"").decode().endswith(f"[{message}]\n"), 60, "the reason in the log")


def test_a_result_that_is_refused_twice_is_dropped(server, make):
    prov = make(capacity=1).start().ready()
    refuse = [(400, None, {}), (400, None, {})]
    server.rule(lambda method, path, body: refuse.pop(0)
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1), task(2))
    assert [body["taskId"][-3:] for body in server.finishes(3)] == ["001", "001", "002"]
    wait_for(lambda: not prov.spooled(), 60, "an empty spool")


@pytest.mark.parametrize("answer, words", [
    ('{"result":{"providerid":"i-1"},"hostname":"web1\\n"}', "hostname ends in a newline"),
    ('{"result":{"providerid":"i-1"},"ipaddresses":{"bind_v4":"10.9.0.1\\n"}}',
     "ipaddresses.bind_v4 ends in a newline"),
    ('{"result":{"providerid":"i-1"},"ipaddresses":{"bind_v4":"n/a"}}',
     "ipaddresses.bind_v4 is not an IPv4 or IPv6 address")])
def test_what_the_server_would_refuse_is_the_plugins_failure(server, make, answer, words):
    prov = make(capacity=1)
    prov.plugin("providers", "p", f"cat >&3 <<'END'\n{answer}\nEND")
    prov.start().ready()
    server.give(task(1))
    done = server.finishes()[0]
    assert done["status"] == 1 and done["result"] == {"providerid": "i-1"}
    assert done["message"] == f"the plugin's result is not usable: {words}"


@pytest.mark.parametrize("status", [417])
def test_a_refused_result_is_dropped(server, make, status):
    prov = make(capacity=1).start().ready()
    refuse = [status]
    server.rule(lambda method, path, body: (refuse.pop(), None, {})
                if path == "/v2/tasks/finish" and refuse else None)
    server.give(task(1), task(2))
    assert [body["taskId"] for body in server.finishes(2)] == ["00000001-001-001", "00000001-001-002"]
    wait_for(lambda: not prov.spooled(), 60, "an empty spool")


def test_kill_9_keeps_finished_results(server, make):
    prov = make(provisioner_id="first").start().ready()
    away = [True]
    server.rule(lambda method, path, body: (503, None, {})
                if path == "/v2/tasks/finish" and away else None)
    server.give(task(1), task(2, attempt=3))
    server.finishes(2)
    wait_for(lambda: len(prov.spooled()) == 2, 60, "two kept results")
    prov.signal(signal.SIGKILL)
    prov.wait()
    (prov.work / "spool/00000001-001-009.1.json.tmp").write_text("{")
    (prov.work / "spool/00000001-001-008.1.json").write_text('{"taskId": ')
    away.clear()
    with server.change:
        server.calls.clear()
    prov.start(provisioner_id="second").ready()
    bodies = server.finishes(2)
    assert sorted((body["taskId"], body["attempt"], body["provisionerId"]) for body in bodies) == [
        ("00000001-001-001", 1, "first"), ("00000001-001-002", 3, "first")]
    wait_for(lambda: not prov.spooled(), 60, "an empty spool")
    names = {path.name for path in (prov.work / "spool").iterdir()}
    assert names == {"00000001-001-008.1.json.bad"}


def test_a_kept_result_that_the_server_cannot_store_keeps_no_other(server, make):
    """As of a cluster whose row is damaged; the oldest is tried first."""
    prov = make(provisioner_id="first").start().ready()
    stuck = {"00000001-001-001", "00000001-001-002", "00000001-001-003"}
    server.rule(lambda method, path, body: (503, None, {})
                if path == "/v2/tasks/finish" and body["taskId"] in stuck else None)
    server.give(task(1), task(2), task(3))
    server.finishes(3)
    wait_for(lambda: len(prov.spooled()) == 3, 60, "three kept results")
    prov.signal(signal.SIGKILL)
    prov.wait()
    oldest = min((prov.work / "spool").glob("*.json"), key=lambda path: path.stat().st_mtime_ns).name
    stuck.intersection_update({oldest.removesuffix(".1.json")})
    prov.start(provisioner_id="second").ready()
    wait_for(lambda: prov.spooled() == [oldest], 60, "the others to be delivered")
    stuck.clear()
    wait_for(lambda: not prov.spooled(), 60, "an empty spool")


def test_kill_9_takes_the_plugins_along(server, make):
    prov, pid, child = hanging(make, "trap '' TERM; " + HANG)  # children inherit that
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    prov.signal(signal.SIGKILL)
    prov.wait()
    wait_for(lambda: not any(map(alive, pids)), 60, "the plugin's end")
    assert len(prov.scratch()) == 1
    prov.start().ready()
    assert not prov.scratch()


def test_a_task_that_is_no_longer_ours_is_stopped(server, make):
    answer = {"leases": [{"taskId": "00000001-001-001", "attempt": 1, "ok": False}]}
    prov, pid, child = hanging(make, capacity=1)
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    server.rule(lambda method, path, body: (200, answer, {}) if path.endswith("/heartbeat") else None)
    wait_for(lambda: not any(map(alive, pids)), 60, "the plugin's end")
    prov.plugin("providers", "p", "exit 0")
    server.give(task(2))
    assert server.finishes()[0]["taskId"] == "00000001-001-002"  # and nothing about the first
    assert "its result is dropped" in prov.logs()


def test_a_cancelled_task_is_stopped_and_says_so(server, make):
    _, pid, child = hanging(make, capacity=1)
    server.give(task(1))
    pids = [pid_in(pid), pid_in(child)]
    answer = {"cancel": [{"taskId": "00000001-001-001", "attempt": 1}]}
    server.rule(lambda method, path, body: (200, answer, {}) if path.endswith("/heartbeat") else None)
    wait_for(lambda: not any(map(alive, pids)), 60, "the plugin's end")
    finish = server.finishes()[0]
    assert finish["taskId"] == "00000001-001-001" and finish["status"] != 0 and finish["retry"] is False
    assert "aborted" in finish["message"]


def test_a_quarantine_is_said_once_when_it_begins_and_ends(server, make):
    prov = make()
    prov.plugin("providers", "p", "exit 0")
    prov.start().ready()
    answer = {"leases": [], "cancel": [], "quarantine": "3 tasks failed there"}
    server.rule(lambda method, path, body: (200, dict(answer), {}) if path.endswith("/heartbeat") else None)
    for gauge in (1, 0):
        wait_for(lambda value=gauge: f"loom_provisioner_quarantined {value}" in prov.get("/metrics")[1], 60, "the gauge")
        server.wait("POST", ".*/heartbeat", len(server.seen("POST", ".*/heartbeat")) + 1)
        answer.pop("quarantine", None)
    assert prov.logs().count("in quarantine: the server gives this provisioner no work") == 1
    assert "3 tasks failed there" in prov.logs() and prov.logs().count("out of quarantine") == 1


def test_word_about_another_attempt_stops_nothing(server, make):
    prov = make()
    prov.plugin("providers", "p", 'while [ ! -e "$LOOM_WORK_DIR/go" ]; do sleep 0.02; done')
    prov.start()
    other = {"cancel": [{"taskId": "00000001-001-001", "attempt": 1}, {"taskId": None}, 5],
             "leases": [{"taskId": "00000001-001-001", "attempt": 3, "ok": False}, None]}
    server.rule(lambda method, path, body: (200, other, {}) if path.endswith("/heartbeat") else None)
    server.give(task(1, attempt=2))
    server.wait("POST", "/v2/tasks/take", 2)
    before = len(server.seen("POST", ".*/heartbeat"))
    server.wait("POST", ".*/heartbeat", before + 2)
    (prov.work / "plugins/providers/p/go").touch()
    assert server.finishes()[0]["status"] == 0
