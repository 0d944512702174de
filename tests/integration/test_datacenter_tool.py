# SPDX-License-Identifier: Apache-2.0
"""loom-datacenter: what doctor finds, and a backup that brings everything back."""

import copy
import pathlib
import subprocess

import pytest

from dclib import DcError, doctor, restore
from dclib.alone import alone
from support import ROOT, wait_for
from support.datacenter_tool import DatacenterTool

BUILD = 'version="1.0",commit="abc"'


def part(host, kind, ready=True, role="", **metrics):
    """A part as doctor.look() describes it."""
    return {"host": host, "kind": kind, "name": kind, "where": "10.0.0.1:1", "ready": ready, "role": role,
            "error": "" if ready else "no answer", "metrics": {name: {"": value} for name, value in metrics.items()}}


def healthy():
    """Three machines of which nothing bad can be said."""
    parts = []
    for host in "abc":
        for kind in doctor.KINDS:
            parts.append(part(host, kind))
            parts[-1]["metrics"]["loom_build_info"] = {BUILD: 1}
        parts.append(part(host, "zookeeper", role="leader" if host == "b" else "follower"))
        parts.append(part(host, "database", role="writer" if host == "a" else "", writer_changes=1))
        scheduler = next(one for one in parts if (one["host"], one["kind"]) == (host, "loom-scheduler"))
        scheduler["metrics"]["loom_coord_leading"] = {"": 1 if host == "c" else 0}
    return {"parts": parts, "compose": False, "disks": [("/var/lib/mysql", 0.4)], "backup_hours": 3.0, "api": []}


def change(host, kind, **values):
    """A change of one part; values that a part does not have are metrics."""
    def apply(facts):
        one = next(entry for entry in facts["parts"] if (entry["host"], entry["kind"]) == (host, kind))
        for name, value in values.items():
            if name in one:
                one[name] = value
            else:
                one["metrics"][name] = value if isinstance(value, dict) else {"": value}
    return apply


def setting(name, value):
    """A change of a fact that is no part's."""
    return lambda facts: facts.update({name: value})


def test_what_to_do_is_for_containers_where_machines_are_compose_projects():
    facts = healthy()
    facts["compose"], facts["backup_hours"] = True, None
    change("a", "loom-ui-gateway", ready=False)(facts)
    facts["parts"].append({**part("b", "loom-provisioner", ready=False), "name": "loom-provisioner@2"})
    assert [one["do"] for one in doctor.judge(facts)] == [
        f"on {host}: docker compose ps {service}, and its logs; docker compose up -d starts it"
        for host, service in (("a", "ui"), ("b", "provisioner-2"))]


@pytest.mark.parametrize("changes, level, said", [
    ([change("a", "loom-api", ready=False, error="no answer")], "error", "a loom-api: 10.0.0.1:1 is not ready: no answer"),
    ([change("a", "zookeeper", ready=False), change("b", "zookeeper", ready=False)], "error", "the quorum is lost: 1 of 3"),
    ([change("b", "zookeeper", role="follower")], "error", "zookeeper: no server leads"),
    ([change("a", "database", role="")], "error", "0 nodes say that they are the writer"),
    ([change("b", "database", role="writer")], "error", "2 nodes say that they are the writer"),
    ([change("b", "loom-provisioner", loom_build_info={'version="0.9",commit="d"': 1})], "warning",
     "b loom-provisioner: version 0.9, the others have 1.0"),
    ([change("c", "loom-api", loom_bus_clock_skew_milliseconds=4200)], "warning", "c loom-api: its clock is 4.2 s apart"),
    ([change("c", "loom-scheduler", loom_coord_leading=0)], "error", "no scheduler sweeps"),
    ([change("a", "loom-scheduler", loom_scheduler_provisioners_quarantined=2)], "warning", "2 provisioners get no work"),
    ([change("a", "loom-provisioner", loom_provisioner_results_overdue=3)], "warning", "3 results are not handed in"),
    ([setting("disks", [("/var/lib/mysql", 0.9)])], "warning", "/var/lib/mysql: its disk is 90% full"),
    ([setting("disks", [("/var/lib/mysql", 0.99)])], "error", "/var/lib/mysql: its disk is 99% full"),
    ([change("b", "database", writer_changes=7)], "warning", "the writer became another one 7 times"),
    ([setting("api", [doctor.finding("warning", "token 12", "it ends", "another one")])], "warning", "token 12: it ends"),
    ([setting("backup_hours", None)], "warning", "backup: there is none"),
    ([setting("backup_hours", 50.2)], "warning", "the newest one is 50 h old"),
])
def test_what_is_wrong_is_found(changes, level, said):
    facts = healthy()
    for apply in changes:
        apply(facts)
    found = [f"{entry['level']}: {entry['where']}: {entry['what']}" for entry in doctor.judge(facts)]
    assert any(line.startswith(level) and said in line for line in found), found
    assert all(entry["do"] for entry in doctor.judge(facts))


def test_nothing_is_found_where_all_is_well():
    assert doctor.judge(copy.deepcopy(healthy())) == []


class Tool(DatacenterTool):
    """And what doctor says of it."""

    def findings(self):
        """What doctor says, but of disks, which are the machine's that tests run on."""
        code, told = self("doctor")
        assert code in (0, 3), told
        return [entry["where"] for entry in told["findings"] if "disk" not in entry["what"]]


@pytest.fixture
def tool(new_stack, tmp_path):
    """A whole Loom, and loom-datacenter for it."""
    return Tool(new_stack(name="doctor"), tmp_path)


def described(tool, name):
    """What the API has of a hardware type."""
    return tool.stack.api.get(f"/v2/hardwaretypes/{name}")


def test_a_datacenter_is_looked_at_backed_up_and_restored(tool):
    wait_for(lambda: tool.findings() == ["backup"], 60, "doctor to miss a backup only")
    hardware = {"name": "kept", "description": "as it was", "providermap": {}}
    assert tool.stack.api.put("/v2/hardwaretypes/kept", hardware).ok
    code, would = tool("backup", "--dry-run")
    assert code == 0 and not (tool.folder / "backups").exists(), would
    code, made = tool("backup")
    assert code == 0 and made["sql_bytes"] > made["bytes"] > 0, made
    wait_for(lambda: tool.findings() == [], 60, "doctor to find nothing")
    assert tool.stack.api.get("/v2/doctor").json["findings"] == []
    tool.stack.sql("INSERT INTO token (id, hash, tenant_id, user, name, kind, scopes, create_time, expire_time) VALUES ('t', 'h',"
                   " 'superadmin', 'admin', 'nightly', 'made', '', 1, UNIX_TIMESTAMP()*1000+86400000)")
    wait_for(lambda: tool.findings() == ["token t"], 60, "doctor to find the token")
    tool.stack.sql("DELETE FROM token WHERE id='t'")
    assert tool("status")[0] == 0
    (tool.folder / "backups/loom-2026-01-02-030405.sql.zst.part").write_text("one that was killed left this")
    for _ in range(2):
        wait_for(lambda: tool("backup", "--keep", "2")[1]["file"] != made["file"], 60, "another backup")
    assert not list((tool.folder / "backups").glob("*.part"))
    assert len(list((tool.folder / "backups").iterdir())) <= 2
    it_comes_back(tool, max((tool.folder / "backups").iterdir()))


def test_a_sealed_backup_is_opened_by_its_recipient_alone(tool):
    keys = [tool.folder / name for name in ("mine", "other")]
    for key in keys:
        subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", keys[0]], check=True, capture_output=True, text=True).stdout.strip()
    assert tool.stack.api.put("/v2/hardwaretypes/kept", {"name": "kept", "description": "as it was",
                                                         "providermap": {}}).ok
    code, said = tool("backup", "--recipient", "age1nobody")
    assert code == 1 and "age:" in said and not list((tool.folder / "backups").iterdir()), said
    code, made = tool("backup", "--recipient", public)
    assert code == 0 and made["file"].endswith(".sql.zst.age") and made["sql_bytes"] > made["bytes"] > 0, made
    assert b"hardwaretypes" not in pathlib.Path(made["file"]).read_bytes()
    assert tool.stack.api.delete("/v2/hardwaretypes/kept").ok
    tool.stack.stop("api", "scheduler")
    for words, why in (((), "--identity"), (("--identity", str(keys[1])), "age:"),
                       (("--identity", str(tool.folder / "none")), "age:")):
        code, said = tool("restore", made["file"], "--replace", *words)
        assert code == 1 and why in said, said
    code, done = tool("restore", made["file"], "--replace", "--identity", str(keys[0]))
    assert (code, done["restored"]) == (0, True), done
    tool.stack.start("api", "scheduler")
    assert described(tool, "kept").json["description"] == "as it was"


def it_comes_back(tool, file):
    """Refused while somebody works on the database, or has something in it; then all is as it was."""
    assert tool.stack.api.put("/v2/hardwaretypes/kept", {"name": "kept", "description": "changed", "providermap": {}}).ok
    code, said = tool("restore", str(file), "--replace")
    assert code == 1 and "loom-api on here, loom-scheduler on here: still running" in said, said
    tool.stack.stop("api", "scheduler")
    assert tool("status")[0] == 3 and "here loom-scheduler" in tool.findings()
    code, said = tool("restore", str(file))
    assert code == 1 and "--replace deletes" in said, said
    cut = tool.folder / "cut.sql.zst"
    cut.write_bytes(file.read_bytes()[:-200])
    code, said = tool("restore", str(cut), "--replace")
    assert code == 1 and ("zstd" in said or "not whole" in said), said
    code, done = tool("restore", str(file), "--replace", "--dry-run")
    assert (code, done["restored"]) == (0, False)
    code, done = tool("restore", str(file), "--replace")
    assert (code, done["restored"]) == (0, True), done
    tool.stack.start("api", "scheduler")
    assert described(tool, "kept").json["description"] == "as it was"
    wait_for(lambda: tool.findings() == [], 60, "doctor to find nothing")


BACKUP = "loom-2026-03-01-120000.sql.zst"
PLACE = b"-- MariaDB dump\n-- CHANGE MASTER TO MASTER_LOG_FILE='loom-bin.000003', MASTER_LOG_POS=419;\n"


@pytest.mark.parametrize("name, head, until, said", [
    (BACKUP, PLACE, "noon", "no time like"),
    (BACKUP, PLACE, "2026-03-01T12:30:00+01:00", "newer than --until"),
    (BACKUP, PLACE, "2999-01-01T00:00:00Z", "still to come"),
    (BACKUP, b"-- MariaDB dump\n", "2026-03-01T12:30:00Z", "names no binary log"),
    ("copy.sql.zst", PLACE, "2026-03-01T12:30:00Z", "needs the name"),
    (BACKUP, PLACE.replace(b"000003", b"000002"), "2026-03-01T12:30:00Z", "lacks loom-bin.000002"),
    (BACKUP, PLACE.replace(b"000003", b"000007"), "2026-03-01T12:30:00Z", "lacks loom-bin.000007"),
    (BACKUP, PLACE, "2026-03-01T12:30:00Z", "lacks loom-bin.000005"),
])
def test_what_no_point_in_time_can_be_made_of_is_refused(tmp_path, name, head, until, said):
    for number in ("1", "3", "4", "6"):
        (tmp_path / f"loom-bin.00000{number}").touch()
    (tmp_path / "loom-bin.index").touch()
    with pytest.raises(DcError, match=said):
        restore.Replay(pathlib.Path(name), head, until, tmp_path)


def test_the_logs_from_the_backup_on_are_read(tmp_path):
    for number in ("999998", "999999", "1000000", "000004"):
        (tmp_path / f"loom-bin.{number}").touch()
    head = PLACE.replace(b"000003", b"999999")
    found = restore.Replay(pathlib.Path(BACKUP), head, "2026-03-01T14:30:00+02:00", tmp_path)
    assert [path.name for path in found.logs] == ["loom-bin.999999", "loom-bin.1000000"] and found.position == 419
    assert found.until.hour == 12


@pytest.mark.parametrize("taken, words", [
    ("backups", ["backup"]), ("inventory", ["restore", "/dev/null"]), ("inventory", ["setup"]), ("inventory", ["rotate-keys"]),
    ("inventory", ["upgrade"]), ("inventory", ["upgrade", "--dry-run"]), ("inventory", ["replace", "b"]),
])
def test_a_second_run_is_refused_while_the_first_is_under_way(tmp_path, taken, words):
    (tmp_path / "backups").mkdir()
    (tmp_path / "inventory").write_text(f"[datacenter]\nlayout = single\nvirtual_address = 127.0.0.1\n[paths]\n"
                                        f"backups = {tmp_path}/backups\n[host here]\naddress = 127.0.0.1\n")
    with alone(tmp_path / taken, "the test"):
        done = subprocess.run([ROOT / "scripts/loom-datacenter", words[0], "--inventory", tmp_path / "inventory", *words[1:]],
                              capture_output=True, text=True, check=False)
        with pytest.raises(DcError, match="the test is under way already"), alone(tmp_path / taken, "the test"):
            pass
    assert (done.returncode, done.stdout) == (1, "") and "is under way already: wait for its end" in done.stderr, done.stderr
    with alone(tmp_path / taken, "the test"):
        pass


@pytest.mark.parametrize("words, code, said", [
    ((), 64, "COMMAND"), (("fly",), 64, "fly"), (("render", "--host", "a"), 64, "--out"),
    (("doctor", "--inventory", "/nonexistent"), 1, "/nonexistent"),
    (("backup", "--keep", "none"), 64, "--keep"),
])
def test_wrong_usage_is_told(words, code, said):
    done = subprocess.run([ROOT / "scripts/loom-datacenter", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "") and said in done.stderr, done.stderr
