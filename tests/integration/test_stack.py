# SPDX-License-Identifier: Apache-2.0
"""scripts/stack itself: it starts real servers, says what is in the way, and leaves nothing."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

from stacklib import StackError, ports, process
from support import ROOT, SERVERS, Stack, StackFailed, wait_for


@pytest.fixture
def bare(new_stack):
    """A stack that is not started yet."""
    return new_stack(name="bare", up=False)


def listening(port):
    """Whether anybody accepts connections on the port."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_servers_come_up_and_go_without_a_trace(bare):
    bare.up(*SERVERS)
    numbers = [bare.ports[name] for name in SERVERS]
    pids = [bare.pid(name) for name in SERVERS]
    assert all(map(listening, numbers)) and all(pids)
    assert bare.sql("SELECT 1 + 1") == [["2"]]
    bare.command("down")
    assert not any(map(listening, numbers))
    assert not any(process.start_time(pid) for pid in pids)
    assert bare.leftovers() == []


def test_servers_listen_on_loopback_only(bare):
    bare.up(*SERVERS)
    for name in SERVERS:
        out = subprocess.run(["ss", "-ltnH", f"sport = :{bare.ports[name]}"], capture_output=True,
                             text=True, check=True).stdout
        addresses = {line.split()[3].rpartition(":")[0].strip("[]") for line in out.splitlines()}
        assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"} and addresses


def test_commits_are_flushed_and_survive_kill(bare):
    bare.up("mariadb")
    assert bare.sql("SELECT @@innodb_flush_log_at_trx_commit") == [["1"]]
    bare.sql("CREATE TABLE t (n INT PRIMARY KEY)")
    bare.sql("INSERT INTO t VALUES (7)")
    bare.kill("mariadb")
    bare.start("mariadb")
    assert bare.sql("SELECT n FROM t") == [["7"]]


def test_secrets_are_private(bare):
    bare.up("mariadb")
    secret = bare.dir / "secrets" / "db.password"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert (bare.dir / "secrets").stat().st_mode & 0o777 == 0o700
    password = secret.read_text().strip()
    assert len(password) >= 24
    bare.command("down")
    bare.up("mariadb")
    assert secret.read_text().strip() == password


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_mariadb_below_a_closed_home_directory(monkeypatch):
    home = pathlib.Path(tempfile.mkdtemp(prefix="loom-home-"))
    monkeypatch.setenv("LOOM_TEST_DIR", str(home))
    try:
        with Stack("closed") as stack:
            home.chmod(0o700)
            stack.up("mariadb")
            assert stack.sql("SELECT 1") == [["1"]]
            with open("/proc/self/mounts", encoding="utf-8") as mounts:
                assert str(home) not in mounts.read()
    finally:
        shutil.rmtree(home)


def test_taken_port_is_named_with_its_holder_and_nothing_starts(bare):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        port = holder.getsockname()[1]
        with pytest.raises(StackFailed) as caught:
            bare.command("--ports", "free", "--port", f"zookeeper={port}", "up", *SERVERS)
    text = str(caught.value)
    assert f"port {port} (zookeeper) is held by" in text
    assert f"(pid {os.getpid()})" in text and f"kill {os.getpid()}" in text
    assert bare.pid("mariadb") is None and process.strays(bare.dir) == []


def test_port_of_another_stack_says_which(bare, new_stack):
    bare.up("zookeeper")
    other = new_stack(name="other", up=False)
    with pytest.raises(StackFailed, match=f"of the Loom stack in {bare.dir}: stop that one"):
        other.command("--ports", "free", "--port", f"zookeeper={bare.ports['zookeeper']}", "up", "zookeeper")


def test_down_on_half_a_stack(bare):
    bare.up(*SERVERS)
    bare.kill("mariadb")
    (bare.dir / "run" / "zookeeper.pid").unlink()
    bare.command("down")
    assert process.strays(bare.dir) == []


def test_down_twice_and_on_nothing(bare):
    bare.up("zookeeper")
    bare.command("down")
    bare.command("down")
    missing = bare.dir / "missing"
    subprocess.run([ROOT / "scripts/stack", "--dir", missing, "down"], check=True)
    assert not missing.exists()


def test_up_again_reuses_what_runs_and_restarts_what_died(bare):
    bare.up(*SERVERS)
    before = bare.pid("zookeeper")
    bare.kill("mariadb")
    bare.up(*SERVERS)
    assert bare.pid("zookeeper") == before and bare.pid("mariadb")


def test_up_takes_over_from_a_lost_pid_file(bare):
    bare.up("zookeeper")
    before = bare.pid("zookeeper")
    (bare.dir / "run" / "zookeeper.pid").unlink()
    bare.up("zookeeper")
    assert process.start_time(before) is None
    assert bare.pid("zookeeper") not in (None, before)


def test_a_recycled_pid_is_never_killed(bare):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as innocent:
        (bare.dir / "run").mkdir()
        (bare.dir / "run" / "api.pid").write_text(f"{innocent.pid} 1\n")
        bare.command("stop", "api")
        bare.command("down")
        assert innocent.poll() is None
        innocent.kill()


def test_a_part_that_dies_at_start_shows_its_log(bare):
    bare.up("zookeeper")
    bare.command("stop", "zookeeper")
    data = bare.dir / "zookeeper" / "data" / "version-2"
    shutil.rmtree(data)
    data.write_text("not a directory")
    with pytest.raises(StackFailed, match=r"(?s)zookeeper did not start: it exited with .*zookeeper\.log.*\|"):
        bare.command("up", "zookeeper")


def test_pause_and_resume(bare):
    bare.up("zookeeper")
    bare.pause("zookeeper")
    stat = pathlib.Path(f"/proc/{bare.pid('zookeeper')}/stat")
    wait_for(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", what="a stopped process")
    bare.resume("zookeeper")
    assert "ready" in bare.command("up", "zookeeper") or bare.pid("zookeeper")
    bare.pause("zookeeper")
    bare.command("stop", "zookeeper")
    assert bare.pid("zookeeper") is None


def test_status_says_what_runs(bare):
    bare.up(*SERVERS)
    assert bare.command("status").count(" ready ") == 2
    bare.kill("mariadb")
    text = bare.command("status", check=False)
    assert "mariadb      stopped" in text and "zookeeper    ready" in text


def test_two_commands_at_once_do_not_disturb_each_other(bare):
    argv = [ROOT / "scripts/stack", "--dir", bare.dir, "--ports", "free", "up", "zookeeper"]
    with subprocess.Popen(argv) as one, subprocess.Popen(argv) as two:
        assert one.wait() == 0 and two.wait() == 0
    bare.refresh()
    assert len(process.strays(bare.dir)) == 1


def test_unknown_parts_are_refused(bare):
    for word in ("mysql", "mariadb2", "api0"):
        with pytest.raises(StackFailed, match="part|there is one"):
            bare.command("start", word)


@pytest.fixture(name="claims")
def own_claims(tmp_path, monkeypatch):
    """A record of claimed ports that no other stack writes to."""
    monkeypatch.setattr(ports, "CLAIMS", tmp_path / "claims")
    return tmp_path / "claims"


def test_a_port_of_a_stopped_server_is_not_given_to_another_stack(claims, tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "FREE_RANGE", (20000, 20002))
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert {ports.pick(set(), first), ports.pick(set(), second)} == {20000, 20001}
    with pytest.raises(StackError, match="no free port"):
        ports.pick(set(), second)
    ports.release(first)
    ports.pick(set(), second)
    second.rmdir()
    assert {ports.pick(set(), first), ports.pick(set(), first)} == {20000, 20001}


def test_ports_are_free_and_below_the_outgoing_range(claims, tmp_path):
    taken = set()
    for _ in range(20):
        port = ports.pick(taken, tmp_path)
        assert port not in taken and ports.FREE_RANGE[0] <= port < ports.FREE_RANGE[1]
        taken.add(port)


def test_stop_kills_what_does_not_listen_to_reason(bare):
    stubborn = process.Process(bare.dir, "api")
    stubborn.spawn([sys.executable, "-c", "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                    "print('ready', flush=True)\ntime.sleep(100)"], cwd="/")
    wait_for(lambda: "ready" in bare.log("api"), what="the process to ignore SIGTERM")
    assert stubborn.stop(0.2, first=signal.SIGTERM) == "killed after 0.2 s"
    assert stubborn.pid() is None
