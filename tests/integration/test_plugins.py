# SPDX-License-Identifier: Apache-2.0
"""The plugins by themselves, on real machines: tasks on stdin, results on descriptor 3."""

import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from support.sandbox import PLUGINS, SANDBOX, SHELL, Run, cluster_in, fixture_base_root, fixture_cluster  # noqa: F401 (fixtures)
from support.stack import root_cache
from support.wait import wait_for

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes namespaces: needs root")


def fetch(address, port):
    """A page over HTTP: (text, headers)."""
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=60) as answer:
        return answer.read().decode(), answer.headers


def test_base_root_is_made(cluster):
    """The fixture's root is whole: make-root finds it ready, and again."""
    for _ in range(2):
        done = subprocess.run([SANDBOX, "make-root", "--state-dir", cluster.state, "--root-dir",
                               root_cache()], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "is ready in" in done.stdout


def test_web_server_on_a_node(cluster):
    """The whole life of one node with nginx, each step twice: every step can be repeated."""
    node = cluster.node().up()
    assert node.properties["ipaddresses"]["bind_v4"] == node.address
    for action in ("install", "configure", "start"):
        for _ in range(2):
            node.act(SHELL, action, service="web", script="nginx.sh", args=action)
    page, headers = fetch(node.address, 8080)
    assert "It &lt;works&gt; &amp; more" in page and "t1-1000.local" in page
    assert headers["X-Served-By"] == "t1-1000"
    for _ in range(2):
        node.act(SHELL, "stop", service="web", script="nginx.sh", args="stop")
    with pytest.raises(urllib.error.URLError):
        fetch(node.address, 8080)
    node.act(SHELL, "remove", service="web", script="nginx.sh", args="remove")
    assert node.act(SANDBOX, "delete")["message"] == "removed"
    assert cluster.machines() == [] and cluster.inits() == []
    node.act(SANDBOX, "delete")


def test_balancer_reaches_both_web_servers(cluster):
    """A balancer configured before its backends have addresses serves both once started."""
    balancer = cluster.node(1000, ["base", "balancer"]).up()
    balancer.act(SHELL, "install", service="balancer", script="haproxy.sh", args="install web")
    balancer.act(SHELL, "configure", service="balancer", script="haproxy.sh", args="configure web")
    webs = [cluster.node(number, ["base", "web"]).up() for number in (1001, 1002)]
    for node in webs:
        node.act(SHELL, "install", service="base", script="base.sh", args="install")
        for action in ("install", "configure", "start"):
            node.act(SHELL, action, service="web", script="nginx.sh", args=action)
    for _ in range(2):
        balancer.act(SHELL, "start", service="balancer", script="haproxy.sh", args="start web")
    wait_for(lambda: {fetch(balancer.address, 80)[1]["X-Served-By"] for _ in range(4)} == {"t1-1001", "t1-1002"},
             what="both to answer")
    hosts = (cluster.state / "nodes" / balancer.node_id / "upper/etc/hosts").read_text()
    assert all(f"{n.address}\t{n.properties['hostname']}" in hosts for n in cluster.nodes.values())
    balancer.act(SHELL, "stop", service="balancer", script="haproxy.sh", args="stop web")


def test_create_again_adopts(cluster):
    """A second create leaves the machine alone and gives the same answer."""
    node = cluster.node()
    first = node.act(SANDBOX, "create")
    inits = cluster.inits()
    assert len(inits) == 1
    assert node.act(SANDBOX, "create") == first
    assert cluster.inits() == inits


def test_dead_node_is_restarted(cluster):
    """When the first process dies all others do; create starts the same machine again."""
    node = cluster.node()
    first = node.act(SANDBOX, "create")
    os.kill(cluster.inits()[0], signal.SIGKILL)
    wait_for(lambda: [m["alive"] for m in cluster.machines()] == [False], what="its end")
    assert node.start(SANDBOX, "confirm").done().code == 1
    assert node.act(SANDBOX, "create") == first
    node.act(SANDBOX, "confirm")


def test_killed_create_converges(cluster):
    """kill -9 of create at any moment: the next create makes one whole machine, or adopts it."""
    begin = time.monotonic()
    cluster.node().act(SANDBOX, "create")
    whole = time.monotonic() - begin
    node = cluster.node(1001)
    for part in range(12):
        run = node.start(SANDBOX, "create")
        time.sleep(whole * 1.1 * part / 12)
        run.kill()
        if part % 3 == 0:
            continue
        node.act(SANDBOX, "create")
        node.act(SANDBOX, "confirm")
        assert len(cluster.inits()) == 2
        assert len(cluster.machines()) == 2
        run = node.start(SANDBOX, "delete")
        time.sleep(whole / 4 * (part % 4) / 3)
        run.kill()
        if part % 2:
            node.act(SANDBOX, "delete")
            assert len(cluster.inits()) == 1


def test_creates_at_once_make_one_machine(cluster):
    """Several creates of one node at once: one makes it, the others adopt it."""
    node = cluster.node()
    ended = [run.done() for run in [node.start(SANDBOX, "create") for _ in range(4)]]
    assert len({json.dumps(done.ok()) for done in ended}) == 1
    assert sum("adopted" in done.log for done in ended) == 3
    assert len(cluster.inits()) == 1


def test_nodes_made_at_once_differ(cluster):
    """Creates of different nodes at once get addresses and names of their own."""
    nodes = [cluster.node(1000 + i) for i in range(5)]
    for run in [node.start(SANDBOX, "create") for node in nodes]:
        run.done().ok()
    machines = cluster.machines()
    assert len({m["address"] for m in machines}) == len({m["name"] for m in machines}) == 5
    assert all(m["alive"] for m in machines)


def test_delete_during_create(cluster):
    """A delete beside a create waits for it and leaves nothing."""
    node = cluster.node()
    run = node.start(SANDBOX, "create")
    lock = cluster.state / "locks" / f"{node.node_id}.lock"
    while not lock.exists() and run.child.poll() is None:
        time.sleep(0.001)
    node.act(SANDBOX, "delete")
    run.done()
    if cluster.machines():
        node.act(SANDBOX, "delete")
    assert cluster.inits() == [] and cluster.machines() == []


def test_a_base_root_outlives_the_plugin_that_makes_it(cluster):
    """A create that is killed on the way takes nothing with it: the next one goes on with the same root."""
    cluster.fields["root_dir"] = ""

    def percent(run):
        return max(map(int, re.findall(r"base root \[ *(\d+)%\]", run.log())), default=-1)

    first = cluster.node().start(SANDBOX, "create")
    wait_for(lambda: percent(first) >= 0, 60, "the first create to make the root")
    first.kill()
    reached = percent(first)
    second = cluster.node(1001).start(SANDBOX, "create")
    wait_for(lambda: percent(second) > reached, 300, "the second create to see it go on")
    second.kill()
    told, = cluster.state.glob("root.*.log")
    assert len(re.findall("debootstrap .* from", told.read_text())) == 1
    assert "which another process is working on" in second.log()

    maker = pathlib.Path("/proc") / told.with_suffix(".lock").read_text()
    assert maker.is_dir()
    for _ in range(2):
        subprocess.run([SANDBOX, "destroy-all", "--state-dir", cluster.state, "--root"], check=True)
    assert list(cluster.state.glob("root.*")) == []
    wait_for(lambda: not maker.exists(), 60, "the maker to end")


def test_destroy_all_removes_half_made_state(cluster):
    """Live, dead, half-made and unknown nodes: destroy-all leaves nothing, and can be repeated."""
    live, dead, half, unknown = [cluster.node(1000 + i) for i in range(4)]
    for node in (live, dead, half, unknown):
        node.act(SANDBOX, "create")
    pids = {m["nodeId"]: m["pid"] for m in cluster.machines()}
    os.kill(pids[dead.node_id], signal.SIGKILL)
    (cluster.state / "nodes" / half.node_id / "machine.json").unlink()
    (cluster.state / "nodes" / unknown.node_id).rename(cluster.folder / "elsewhere")
    assert len(cluster.inits()) == 3
    for _ in range(2):
        done = cluster.destroy()
        assert done.returncode == 0, done.stdout + done.stderr
        assert cluster.traces() == []


def test_wrong_settings_give_up(cluster):
    """What no retry can mend ends with exit code 100 and says what is wrong."""
    for field, value, text in (("state_dir", "", "state_dir"), ("state_dir", "rel", "state_dir"),
                               ("bridge", "Bad Name", "bridge"), ("subnet", "10.0.0.1/8", "subnet"),
                               ("subnet", "127.0.0.0/24", "in use")):
        node = cluster.node()
        task = node.task("create")
        task["config"]["provider"]["provisioner"] = dict(cluster.fields, **{field: value})
        done = Run(cluster.folder, SANDBOX, "create", task).done()
        assert done.code == 100 and text in done.log, done.log


def test_host_key_is_pinned(cluster, tmp_path):
    """No host key, or another one, or a key of somebody else: the automator refuses for good."""
    node = cluster.node()
    node.act(SANDBOX, "create")
    node.act(SANDBOX, "confirm")
    task = node.task("bootstrap")
    del task["config"]["ssh_host_keys"]
    done = Run(cluster.folder, SHELL, "bootstrap", task).done()
    assert done.code == 100 and "host key is not known" in done.log
    other = (pathlib.Path(node.results["ssh-auth"]["identityfile"] + ".pub")).read_text().split()[1]
    task["config"]["ssh_host_keys"] = {"ed25519": other}
    done = Run(cluster.folder, SHELL, "bootstrap", task).done()
    assert done.code == 100 and "refusing to connect" in done.log
    # a key of the host itself, as somebody's result might name it; a link does not help
    key = tmp_path / "key"
    shutil.copy(node.results["ssh-auth"]["identityfile"], key)
    link = cluster.folder / "link"
    link.symlink_to(key)
    for path in (key, link):
        task = node.task("bootstrap")
        task["config"]["ssh-auth"] = {**task["config"]["ssh-auth"], "identityfile": str(path)}
        done = Run(cluster.folder, SHELL, "bootstrap", task).done()
        assert done.code == 100 and "not where its provider keeps keys" in done.log
    os.kill(cluster.machines()[0]["pid"], signal.SIGKILL)
    wait_for(lambda: not cluster.machines()[0]["alive"], what="its end")
    done = node.start(SHELL, "bootstrap").done()
    assert done.code == 1 and "no connection" in done.log


def put_script(cluster, name, text):
    """A script that was uploaded, beside those that the plugin brings."""
    folder = cluster.folder / "work/scripts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_script_environment(cluster):
    """Uploaded scripts, arguments, lookups, exit codes; through sudo for another login."""
    node = cluster.node(sshuser="admin").up()
    put_script(cluster, "probe.sh", """#!/bin/bash
id -un; printf '[%s]' "$@"; echo
loom_lookup_key config/cluster/web/message
loom_lookup_key config/services
loom_lookup_key config/nodenum
loom_lookup_key config/nothing; echo "rc $?"
loom_lookup_key config/provider/provisioner/state_dir; echo "rc $?"
loom_list_nodes web
stat -c %a "$LOOM_TASK_JSON"
exit "${!#}"
""")
    for code, expected in ((0, 0), (100, 100), (3, 1), (255, 1), (90, 1)):
        done = node.start(SHELL, "install", service="web", script="probe.sh",
                          args=f"'two words' \"$HOME;\" {code}").done()
        assert done.code == expected, done.log
        for text in ("root\n", f"[two words][$HOME;][{code}]\n", "It <works> & more\n",
                     "base web\n", "\n1000\n", "key not found: config/nothing\nrc 1\n",
                     f"1000 t1-1000 {node.address}\n", "\n600\n"):
            assert text in done.log, done.log
        assert done.log.count("rc 1") == 2
    done = node.start(SHELL, "install", service="web", script="missing.sh").done()
    assert done.code == 100 and "missing.sh" in done.log


def test_retry_waits_for_earlier_attempt(cluster):
    """The automator is killed in mid-script: the script ends by itself, the retry runs after it."""
    node = cluster.node().up()
    put_script(cluster, "slow.sh", """#!/bin/bash
echo "begin $LOOM_ATTEMPT" | tee -a /root/story
until [[ -e /root/go ]]; do echo working; sleep 0.1; done
echo "end $LOOM_ATTEMPT" >>/root/story
sleep 60 &
""")
    task = node.task("start", service="web", script="slow.sh")
    first = Run(cluster.folder, SHELL, "start", task, attempt=1)
    first.wait_log("begin 1")
    first.kill()
    second = Run(cluster.folder, SHELL, "start", task, attempt=2)
    second.wait_log("waiting for an earlier action")
    node.ssh("touch /root/go", check=True)
    done = second.done()
    assert done.code == 0, done.log
    story = (cluster.state / "nodes" / node.node_id / "upper/root/story").read_text()
    assert story.split("\n")[:-1] == ["begin 1", "end 1", "begin 2", "end 2"]


def test_an_attempt_waits_for_an_earlier_one_as_long_as_it_may_take(tmp_path):
    """Not for less: three attempts would be used up while a long installation goes on."""
    base = tmp_path / "loom/shell_automator"
    base.mkdir(parents=True)
    order = {"task": {"taskId": "00000001-001-001", "config": {}}, "attempt": "2", "limit": 2, "script": None, "args": []}
    with open(base / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /var/cache && exec python3 "$2"', "sh",
                               tmp_path, SHELL.parent / "lib/loom_run"], input=json.dumps(order), text=True, timeout=60,
                              stdout=subprocess.PIPE, check=False)
    assert done.returncode == 91 and "an earlier action on this node still runs after 2 s" in done.stdout, done.stdout


def test_simulated_plugin(tmp_path):
    """Delays, failures and the record of machines of the plugin for load tests."""
    fields = {"state_dir": str(tmp_path / "sim"), "delay_ms": 20.0, "fail_actions": "confirm",
              "fail_times": "1"}
    task = {"taskId": "00000001-001-001", "nodeId": "n-1", "config": {
        "provider": {"name": "simulated", "providertype": "simulated", "provisioner": fields},
        "service": {"name": "x", "action": {"type": "simulated", "fields": {
            "fail_actions": "start", "fail_code": "100"}}}}}

    def begin(action, attempt=1):
        kind = "providers" if action in ("create", "confirm", "delete") else "automators"
        return Run(tmp_path, PLUGINS / kind / "simulated/simulated.sh", action, task, attempt)

    def act(action, attempt=1):
        return begin(action, attempt).done()

    runs = [begin("create") for _ in range(4)]
    assert {run.done().ok()["result"]["providerid"] for run in runs} == {"sim-n-1"}
    assert act("confirm").code == 1
    assert act("confirm", 2).ok()["ipaddresses"]["access_v4"].startswith("198.1")
    assert act("bootstrap").code == act("install").code == 0
    assert act("start").code == 100
    act("delete").ok()
    act("delete").ok()
    journal = (tmp_path / "sim/journal").read_text().splitlines()
    assert [line.split()[1:] for line in journal] == [
        ["n-1", "00000001-001-001", "1", "create"], ["n-1", "00000001-001-001", "1", "delete"]]
