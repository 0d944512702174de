# SPDX-License-Identifier: Apache-2.0
"""The loom command against a real API, with workers whose tasks the tests script."""

import json
import re
import subprocess

import pytest

from support import wait_for
from support.cli import LOOM, Terminal, environment, loom
from support.lab import service, template
from support.worker import Gate

# ---- reading ----


def test_status_and_collections(lab):
    done = loom(lab, "status")
    assert done.returncode == 0
    assert re.search(r"^api +ready at http", done.stdout, re.M)
    assert "version" in done.stdout
    said = json.loads(loom(lab, "status", "-o", "json").stdout)
    assert said["templates"] == 9 and said["clusters"]["active"] == 0
    done = loom(lab, "template", "list")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        "NAME", "apart", "empty", "forever", "linked", "loose", "nodb", "one", "orphaned", "stack"]
    assert "name: one" in loom(lab, "template", "show", "one").stdout
    assert json.loads(loom(lab, "service", "show", "web", "-o", "json").stdout)["name"] == "web"
    for word in ("provider", "service", "hardware", "image"):
        assert loom(lab, word, "list").stdout.startswith("NAME ")


def test_plan(lab):
    done = loom(lab, "cluster", "plan", "shop", "-t", "stack", "-n", "3")
    assert done.returncode == 0, done.stderr
    layout, nodes, tasks = done.stdout.split("\n\n")
    assert layout.startswith("Layout\n  COUNT") and nodes.startswith("Nodes\n  NODE")
    assert "shop" in nodes
    assert re.search(r"start web  \(after start db on shop\S*-1000\)", tasks), tasks
    plan = json.loads(loom(lab, "cluster", "plan", "-t", "stack", "-n", "3", "-o", "json").stdout)
    assert len(plan["nodes"]) == 3
    assert f"Tasks ({len(plan['tasks'])})" in tasks
    assert loom(lab, "cluster", "list").stdout == "no clusters\n"


# ---- the life of a cluster ----

def test_create_watch_show_delete(lab):
    lab.worker(slots=8)
    done = loom(lab, "cluster", "create", "shop", "--template", "stack", "--size", "3",
                "--config", '{"web":{"port":"81"}}', "--lease", "30m", "--description", "a shop")
    assert done.returncode == 0, done.stderr
    cluster = done.stdout.strip()
    assert re.fullmatch(r"\d{8}", cluster)
    lab.active(cluster)
    done = loom(lab, "cluster", "watch", "shop", "--history")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    rest = loom(lab, "cluster", "watch", "shop")
    assert (rest.returncode, rest.stdout.splitlines()) == (0, lines[-1:])  # nothing of its past
    assert re.fullmatch(r"\d\d:\d\d:\d\d  cluster         pending", lines[0])
    assert any(re.search(r"install web: done  \d+\.\d s$", line) for line in lines)
    assert re.fullmatch(rf"shop \({cluster}\) is active after .* s: 3 nodes, \d+ tasks", lines[-1])
    listed = loom(lab, "cluster", "list").stdout.splitlines()
    assert listed[1].split()[:5] == [cluster, "shop", "active", "3", "stack"]
    shown = loom(lab, "cluster", "show", cluster.lstrip("0")).stdout
    assert "a shop" in shown and re.search(r"^1000 .* 10\.9\.", shown, re.M)
    details = json.loads(loom(lab, "cluster", "show", "shop", "-o", "json").stdout)
    assert details["config"] == {"web": {"port": "81"}}
    assert details["expireTime"] - details["createTime"] == 1800000

    done = loom(lab, "cluster", "delete", "shop")
    assert (done.returncode, done.stdout) == (64, "") and "--yes" in done.stderr
    done = loom(lab, "cluster", "delete", "shop", "--yes", "--wait")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"shop \({cluster}\) is terminated after .* s: 3 nodes removed, 3 tasks", done.stderr)
    assert "install" not in done.stderr  # nothing of what happened before
    assert loom(lab, "cluster", "list").stdout == "no clusters\n"
    assert "terminated" in loom(lab, "cluster", "list", "--all").stdout
    assert loom(lab, "cluster", "watch", cluster).returncode == 0


def test_create_with_labels(lab):
    done = loom(lab, "cluster", "create", "a", "-t", "one", "-n", "1", "--label", "env=test,tier=", "-l", "team=web")
    assert done.returncode == 0, done.stderr
    cluster = done.stdout.strip()
    assert lab.user.cluster(cluster)["labels"] == {"env": "test", "tier": "", "team": "web"}
    listed = loom(lab, "cluster", "list").stdout.splitlines()
    assert listed[0].split()[-1] == "LABELS" and listed[1].split()[-1] == "env=test,tier=,team=web"
    assert re.search(r"^labels +env=test,tier=,team=web$", loom(lab, "cluster", "show", "a").stdout, re.M)
    done = loom(lab, "cluster", "create", "b", "-t", "one", "-n", "1", "--label", "env")
    assert done.returncode == 64 and "--label is KEY=VALUE" in done.stderr
    done = loom(lab, "cluster", "create", "b", "-t", "one", "-n", "1", "--label", "env=a/b")
    assert done.returncode == 1 and "the value of 'env'" in done.stderr


def test_label_changes_and_finds(lab):
    a = loom(lab, "cluster", "create", "a", "-t", "one", "-n", "1", "--label", "env=test,old=1").stdout.strip()
    b = loom(lab, "cluster", "create", "b", "-t", "one", "-n", "1").stdout.strip()
    done = loom(lab, "cluster", "label", "a", "env=live", "old-,team=web")
    assert (done.returncode, done.stdout) == (0, "env=live\nteam=web\n"), done.stderr
    done = loom(lab, "cluster", "label", "b", "env=live", "-o", "json")
    assert json.loads(done.stdout) == {"labels": {"env": "live"}}

    def found(*words):
        return {line.split()[0] for line in loom(lab, "cluster", "list", *words).stdout.splitlines()[1:]}

    assert found("--label", "env=live") == {a, b}
    assert found("--label", "env=live,team=web") == found("-l", "env=live", "-l", "team=web") == {a}
    assert found("--all", "--label", "env=test") == set()
    assert loom(lab, "cluster", "label", "b", "env-").stdout == "no labels\n"
    for words, says in ((("env",), "KEY- removes it"), (("=x",), "KEY- removes it"), ((), "KEY=VALUE")):
        done = loom(lab, "cluster", "label", "a", *words)
        assert done.returncode == 64 and says in done.stderr, done.stderr
    done = loom(lab, "cluster", "label", "a", "two words=x")
    assert done.returncode == 64 and "'two' is no change" in done.stderr


def test_create_json_and_wait(lab):
    lab.worker()
    done = loom(lab, "cluster", "create", "a", "-t", "one", "-n", "1", "-o", "json", "--wait")
    assert done.returncode == 0, done.stderr
    cluster = json.loads(done.stdout)["id"]
    assert f"a ({cluster}) is active" in done.stderr
    events = [json.loads(line) for line in
              loom(lab, "cluster", "watch", cluster, "-o", "json", "--history").stdout.splitlines()]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["data"]["time"] and {event["event"] for event in events} >= {
        "cluster", "job", "plan", "task", "node"}
    state, = (json.loads(line) for line in loom(lab, "cluster", "watch", cluster, "-o", "json").stdout.splitlines())
    assert (state["event"], state["id"], state["data"]["status"]) == ("state", events[-1]["id"], "active")


def test_watch_tells_how_it_stands_and_then_the_news(lab):
    gate = Gate("INSTALL", "web")
    lab.worker(gate)
    cluster = lab.create("a", "one", 1)
    gate.wait()
    with subprocess.Popen([LOOM, "cluster", "watch", cluster], env=environment(lab), text=True,
                          stdout=subprocess.PIPE) as watcher:
        first = watcher.stdout.readline()
        assert re.fullmatch(rf"a \({cluster}\) is pending: creating, \d+ of \d+ tasks\n", first)
        gate.open()
        news = watcher.stdout.read()
        assert watcher.wait(60) == 0
    assert "install web: done" in news and "create: done" not in news


def test_config_from_a_file_and_names_that_are_ambiguous(lab, tmp_path):
    lab.worker()
    (tmp_path / "config.json").write_text('{"a": [1]}', encoding="utf-8")
    ids = [loom(lab, "cluster", "create", name, "-t", "one", "-n", "1",
                "--config", f"@{tmp_path}/config.json").stdout.strip() for name in ("twin", "sister")]
    done = loom(lab, "cluster", "create", "twin", "-t", "one", "-n", "1")
    assert done.returncode == 1 and ids[0] in done.stderr, done.stderr
    for cluster in ids:
        assert lab.user.wait_cluster(cluster)["config"] == {"a": [1]}
    # two of one name are left from before names were looked at
    lab.stack.sql(f"UPDATE cluster SET name='twin', own_name=NULL WHERE id={int(ids[1])}")
    done = loom(lab, "cluster", "show", "twin")
    assert done.returncode == 1 and "2 clusters are called twin" in done.stderr
    assert loom(lab, "cluster", "delete", ids[0], "--yes", "--wait").returncode == 0
    assert ids[1] in loom(lab, "cluster", "show", "twin").stdout
    done = loom(lab, "cluster", "create", "x", "-t", "one", "-n", "1", "--config", "@-", stdin='{"b":2}')
    assert lab.user.wait_cluster(done.stdout.strip())["config"] == {"b": 2}


def test_create_changes_the_templates_configuration(farm):
    done = loom(farm, "cluster", "create", "own", "-t", "farm", "-n", "1", "--set", "app/note=hi", "--wait")
    assert done.returncode == 0, done.stderr
    assert farm.user.cluster(done.stdout.strip())["config"] == {"app": {"port": "80", "note": "hi"}}
    done = loom(farm, "cluster", "plan", "-t", "fram", "-n", "1", "--set", "app/note=hi")
    assert done.returncode == 1 and "Did you mean the template farm?" in done.stderr


def test_create_changes_a_configuration_that_the_template_inherits(farm):
    """What is not changed stays, wherever it comes from; what the template leaves open the request says."""
    farm.admin.post("/v2/partialtemplates", {"name": "part", "immutable": False, "defaults": {"config": {"part": {"a": 1}}}})
    for child, parent in (("heir", "farm"), ("bare", "open")):
        farm.admin.put("/v2/clustertemplates/open", {"name": "open", "defaults": {"config": {"app": {"port": "80"}}}})
        assert farm.admin.put(f"/v2/clustertemplates/{child}", {
            "name": child, "extends": {"name": parent}, "includes": [{"name": "part"}],
            "defaults": {"config": {"own": "x"}}}).ok
    for words in (("-t", "heir"), ("-t", "bare", "--services", "base,app", "--provider", "lab")):
        done = loom(farm, "cluster", "create", f"of-{words[1]}", "-n", "1", *words, "--set", "app/note=hi", "--unset", "own")
        assert done.returncode == 0, done.stderr
        config = farm.user.cluster(done.stdout.strip())["config"]
        assert config == {"app": {"port": "80", "note": "hi"}, "part": {"a": 1}}


def test_a_tenants_limits_change_and_nothing_else(empty_lab):
    boss = empty_lab.stack.api
    name, description = f"{empty_lab.name}-new", "two\u202ewords\x1b[31m"
    for words in (("--max-nodes", "5"), ("--max-clusters", "3")):
        done = loom(empty_lab, "tenant", "set", name, *words, "--tenant", "superadmin", user="admin")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
        if not boss.get(f"/v2/tenants/{name}").json.get("description"):
            boss.put(f"/v2/tenants/{name}", {"tenant": {"name": name, "maxNodes": 5, "description": description}})
    tenant = boss.get(f"/v2/tenants/{name}").json
    assert (tenant["description"], tenant["maxNodes"], tenant["maxClusters"]) == (description, 5, 3)


def test_an_import_of_what_is_no_catalog(empty_lab, tmp_path):
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "words").write_text("open sesame, please\n")
    done = loom(empty_lab, "import", str(tmp_path / "list.json"), "--passphrase-file", str(tmp_path / "words"))
    assert done.returncode == 64 and "list.json is no JSON object, as loom export prints it" in done.stderr, done


def test_an_import_of_a_part_deletes_nothing(lab, tmp_path):
    """As of one document, or of a list cut out of an export: the rest would be gone."""
    before = lab.user.get("/v2/export").json
    for part, missing in (({"name": "web"}, "providers, hardwaretypes, imagetypes, services, clustertemplates, partialtemplates"),
                          ({**before, "services": None}, "services"), ({**before, "services": {}}, "services")):
        (tmp_path / "part.json").write_text(json.dumps(part))
        for words in ((), ("--dry-run",)):
            done = loom(lab, "import", str(tmp_path / "part.json"), *words, user="admin")
            assert done.returncode == 64 and f"part.json has no list of {missing}, as loom export" in done.stderr, done
    assert lab.user.get("/v2/export").json == before
    (tmp_path / "all.json").write_text(json.dumps(before))
    assert loom(lab, "import", str(tmp_path / "all.json"), user="admin").returncode == 0


def test_clusters_are_found_among_very_many(lab):
    """A list of 17 MB stands for one of fifty thousand clusters."""
    for number in range(17):
        lab.create(f"long-{number}", size=1, description="long as a book")
    lab.stack.sql(f"UPDATE cluster SET description=REPEAT('x', 1000000) WHERE tenant_id='{lab.tenant}'")
    needle = lab.create("needle")
    assert needle in loom(lab, "cluster", "show", "needle").stdout
    assert "did you mean needle?" in loom(lab, "cluster", "show", "neddle").stderr
    assert "18 pending" in loom(lab, "status").stdout
    shown = json.loads(loom(lab, "cluster", "list", "-o", "json").stdout)
    assert [cluster["name"] for cluster in shown if len(cluster["description"]) < 9] == ["needle"]


def test_a_create_that_fails_and_is_tried_again(lab):
    full = [True]
    lab.worker(lambda run: {"status": 7, "retry": False, "message": "no\x1b[2J disk"}
               if full[0] and (run.name, run.service) == ("INSTALL", "db") else None)
    cluster = lab.create("shop", "stack", 2)
    done = loom(lab, "cluster", "watch", cluster)
    assert done.returncode == 1
    failed = next(event for event in reversed(lab.story(cluster).events) if event.type == "task"
                  and event.data["state"] == "failed").data
    assert f"shop ({cluster}) is incomplete" in done.stderr
    assert "install db on " in done.stderr and "disk" in done.stderr
    assert f"loom task log {failed['taskId']} --attempt {failed['attempt']}" in done.stderr
    assert re.search(r"is incomplete after .*: INSTALL of db on shop\S+-100\d failed: no.* disk", done.stderr)
    listed = loom(lab, "cluster", "list").stdout
    assert re.search(r"cluster_create \d+/\d+: INSTALL of db on node 100\d failed: no.* disk", listed), listed
    assert "INSTALL of db on shop" in loom(lab, "cluster", "show", cluster).stdout
    tried = loom(lab, "task", "list", cluster, "--failed").stdout.splitlines()
    assert len(tried) == 2 and re.match(rf"{failed['taskId']} +shop\S+ +install db +1 +failed .*disk", tried[1]), tried
    assert len(json.loads(loom(lab, "task", "list", cluster, "-o", "json").stdout)) > 1
    assert "\x1b" not in done.stdout + done.stderr
    told = loom(lab, "cluster", "watch", cluster, "--history").stdout
    assert re.search(r"cluster_create +failed: INSTALL of db on shop\S+-100\d failed: no.* disk", told), told
    full[0] = False
    done = loom(lab, "cluster", "retry", cluster, "--plan", "--skip", failed["taskId"])
    assert done.returncode == 0 and "install db" not in done.stdout, done.stderr
    done = loom(lab, "cluster", "retry", cluster, "--plan", "--only", failed["taskId"])
    assert done.returncode == 0 and "install db" in done.stdout and "start db" not in done.stdout, done.stderr
    assert re.search(r"^  note: \d+ tasks are left for another retry", done.stdout, re.M), done.stdout
    assert loom(lab, "cluster", "retry", cluster, "--only", ",").returncode == 64
    done = loom(lab, "cluster", "retry", cluster, "--plan")
    assert done.returncode == 0 and "install db" in done.stdout, done.stderr
    token = re.search(r"^Token (\S+)$", done.stdout, re.M).group(1)
    done = loom(lab, "cluster", "retry", cluster, "--token", token, "--wait")
    assert done.returncode == 0 and f"shop ({cluster}) is active" in done.stderr, done.stderr


def test_roll_back_is_shown_first(farm):
    farm.workers[0].script = lambda run: {"status": 7, "retry": False} if (
        (run.name, run.nodenum) == ("START", 1002)) else None
    done = loom(farm, "cluster", "expand", "farm", "--count", "1", "--wait")
    assert done.returncode == 1 and "is inconsistent" in done.stderr
    shown = loom(farm, "cluster", "rollback", "farm", "--plan")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"^  remove +1002 ", shown.stdout, re.M) and "    delete" in shown.stdout
    token = re.search(r"^Token (\S+)$", shown.stdout, re.M)[1]
    did(farm, "rollback", "farm", "--token", token)
    assert len(farm.user.cluster(farm.farm)["nodes"]) == 2
    # what a shrink deleted comes back as a new machine, which is said
    farm.workers[0].script = lambda run: {"status": 7} if run.name == "DELETE" else None
    assert loom(farm, "cluster", "shrink", "farm", "--count", "1", "--wait").returncode == 1
    farm.workers[0].script = None
    assert re.search(r"^  note: node \S+ was deleted: a new one", did(farm, "rollback", "farm"), re.M)
    done = loom(farm, "cluster", "create", "bad", "-t", "farm", "-n", "1", "--on-failure", "burn")
    assert done.returncode == 1 and "onFailure" in done.stderr


def test_targets_of_callbacks(lab, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n", encoding="ascii")
    words = ("callback-target", "set", "ours", "http://hooks.example/x", "--events", "start,failure")
    assert loom(lab, *words, user="admin").returncode == 0
    assert loom(lab, *words, "--secret-file", str(secret), "--triggers", "cluster_create", user="admin").returncode == 0
    listed = loom(lab, "callback-target", "list", user="admin").stdout
    assert re.search(r"^ours +http://hooks.example/x +start,failure +cluster_create$", listed, re.M)
    shown = json.loads(loom(lab, "callback-target", "show", "ours", "-o", "json", user="admin").stdout)
    assert shown["signed"] is True and "s3cret" not in str(shown)
    assert loom(lab, "callback-target", "set", "ours", "http://x", user="admin").returncode == 64
    assert loom(lab, "callback-target", "delete", "ours", user="admin").returncode == 0
    assert loom(lab, "callback-target", "show", "ours", user="admin").returncode == 1
    assert loom(lab, "callback", "list", "--dead", user="admin").returncode == 0
    assert loom(lab, "callback", "replay", "987654321", user="admin").returncode == 1


HOSTILE = "\x1b]0;pwned\x07\x1b[31mred\x9b31m\u202egnp.exe"


def test_foreign_text_does_not_steer_the_terminal(lab):
    cluster = lab.create("steer", size=1, description=HOSTILE)
    for words in (("cluster", "show", "steer"), ("cluster", "list"), ("cluster", "show", "steer", "-o", "json"),
                  ("cluster", "show", HOSTILE)):
        done = loom(lab, *words)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", done.stdout + done.stderr), done
    assert "\\x1b]0;pwned\\x07\\x1b[31mred\\x9b31m\\u202egnp.exe" in loom(lab, "cluster", "show", "steer").stdout
    told = json.loads(loom(lab, "cluster", "show", "steer", "-o", "json").stdout)
    assert told["description"] == HOSTILE
    assert cluster


def test_a_layout_that_fails(lab):
    cluster = lab.create("never", "apart", 2)
    done = loom(lab, "cluster", "watch", cluster)
    assert done.returncode == 1
    assert re.search(rf"never \({cluster}\) is terminated after .*: .*web", done.stderr)


def test_task_log(lab):
    gate = Gate("CREATE")
    worker = lab.worker(gate)
    cluster = lab.create("a", "one", 1)
    run = gate.wait()
    path = f"/v2/tasks/{run.id}/log"

    def write(offset, text):
        status, _ = worker.call("POST", path, {**worker.who, "attempt": 1, "claim": run.claim, "offset": offset,
                                                "data": text})
        assert status == 200

    write(0, "first\n")
    assert loom(lab, "task", "log", run.id).stdout == "first\n"
    with subprocess.Popen([LOOM, "task", "log", run.id, "--follow"], env=environment(lab),
                          stdout=subprocess.PIPE, text=True) as follower:
        assert follower.stdout.readline() == "first\n"
        write(6, "second\n")
        assert follower.stdout.readline() == "second\n"
        gate.open()
        assert follower.stdout.read() == ""
        assert follower.wait(60) == 0
    assert loom(lab, "task", "log", run.id, "--tail", "7").stdout == "second\n"
    refused = loom(lab, "task", "log", run.id, "--attempt", "2")
    assert refused.returncode == 1 and "has no attempt 2: there was 1 so far" in refused.stderr
    seen = Terminal(lab, "task", "log", run.id)
    assert seen.wait() == 0 and re.search(r"attempt 1 of 1: create on a\S*-1000\S*, ", seen.text), seen.text
    assert loom(lab, "task", "log", run.id, "--tail", "x").returncode == 64
    lab.user.wait_cluster(cluster)


# ---- what can be done to a cluster ----

FULL = ("install", "configure", "start", "stop", "remove")
FARM = {
    "services": [service("app", install=("base",), actions=FULL), service("cron", install=("base",), actions=FULL)],
    "clustertemplates": [template("farm", ["base", "app"], defaults={"config": {"app": {"port": "80"}}},
                                  administration={"leaseduration": {"initial": 864000000, "max": 8640000000, "step": 0}},
                                  constraints={"layout": {"mustcoexist": [], "cantcoexist": []},
                                               "services": {"cron": {"quantities": {"min": 1, "max": 1}}},
                                               "size": {"min": 1, "max": 4}})]}


@pytest.fixture
def farm(lab):
    """An active cluster of two machines, called farm."""
    lab.load(FARM)
    lab.worker(slots=8)
    lab.farm = lab.create("farm", "farm", 2)
    lab.active(lab.farm)
    return lab


def did(lab, *words):
    """Run an operation to its end; answers what it printed."""
    done = loom(lab, "cluster", *words, "--wait")
    assert done.returncode == 0, done.stderr
    assert f"farm ({lab.farm}) is active" in done.stderr
    return done.stdout


def test_operations_show_what_they_do_and_do_it(farm):
    shown = loom(farm, "cluster", "expand", "farm", "--count", "1", "--plan")
    assert shown.returncode == 0, shown.stderr
    assert re.search(rf"^expand farm \({farm.farm}\) would be: 1 node added, \d+ tasks$", shown.stdout, re.M)
    assert re.search(r"^  add +1002 \S+ +app,base$", shown.stdout, re.M)
    assert "    install app" in shown.stdout
    token = re.search(r"^Token (\S+)$", shown.stdout, re.M)[1]
    assert len(farm.user.cluster(farm.farm)["nodes"]) == 2
    assert did(farm, "expand", "farm", "--count", "1", "--token", token) == ""
    assert len(farm.user.cluster(farm.farm)["nodes"]) == 3
    stale = loom(farm, "cluster", "expand", "farm", "--count", "1", "--token", token)
    assert (stale.returncode, stale.stdout) == (1, "")
    assert "(409)" in stale.stderr and "Nothing was done" in stale.stderr

    assert re.search(r"^  remove +1001 ", did(farm, "shrink", "farm", "--nodes", "1001"), re.M)
    replaced = did(farm, "replace", "farm", "1002")
    assert re.search(r"^  add +1003 \S+ +app,base$", replaced, re.M) and re.search(r"^  remove +1002 ", replaced, re.M)
    assert sorted(node["properties"]["nodenum"] for node in farm.user.cluster(farm.farm)["nodes"]) == [1000, 1003]
    assert loom(farm, "cluster", "replace", "farm", "1000,1003").returncode == 64
    assert "no node 1002" in loom(farm, "cluster", "replace", "farm", "1002").stderr
    assert "1 node changed" in did(farm, "add-services", "farm", "cron")
    listed = loom(farm, "cluster", "services", "farm").stdout.splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["app", "2"], ["base", "2"], ["cron", "1"]]
    assert re.search(r"^  change +\d+ \S+ +-cron$", did(farm, "remove-service", "farm", "cron"), re.M)
    assert json.loads(loom(farm, "cluster", "services", "farm", "-o", "json").stdout) == ["app", "base"]
    for service_name in (".", ".."):  # no step up in the address: DELETE /v2/clusters/ID is another thing to do
        for words in ((), ("--token", token)):
            done = loom(farm, "cluster", "remove-service", "farm", service_name, *words)
            assert done.returncode == 1 and done.stdout == "", done
    assert farm.user.cluster(farm.farm)["status"] == "active"


def test_configure_and_restart(farm):
    port = did(farm, "configure", "farm", "--set", "app/port=8080", "--set", "app/tls:={\"on\":true}")
    assert '/app/port' in port and '"80" -> "8080"' in port
    assert farm.user.cluster(farm.farm)["config"] == {"app": {"port": "8080", "tls": {"on": True}}}
    did(farm, "configure", "farm", "--merge", '{"app":{"tls":null}}', "--set", "app/note=a\x1bb")
    assert farm.user.cluster(farm.farm)["config"] == {"app": {"port": "8080", "note": "a\x1bb"}}
    did(farm, "configure", "farm", "--unset", "app/note")
    refused = loom(farm, "cluster", "configure", "farm", "--unset", "app/note")
    assert refused.returncode == 64 and "no such setting" in refused.stderr
    did(farm, "configure", "farm", "--set", "app/port=80")
    words = ("configure", "farm", "--config", '{"app":{"port":"81"}}')
    assert '  config  /app/port  "80" -> "81"' in did(farm, *words)
    assert farm.user.cluster(farm.farm)["config"] == {"app": {"port": "81"}}
    plan = json.loads(loom(farm, "cluster", *words, "--no-restart", "--plan", "-o", "json").stdout)
    assert (plan["id"], plan["config"]) == (farm.farm, [])
    assert {task["taskName"] for task in plan["tasks"]} <= {"CONFIGURE"}
    assert did(farm, "stop", "farm", "app").startswith(f"stop farm ({farm.farm}): 2 tasks\n")
    assert did(farm, "start", farm.farm).startswith(f"start farm ({farm.farm}): 2 tasks\n")
    done = loom(farm, "cluster", "restart", "farm", "-o", "json", "--wait")
    assert done.returncode == 0 and len(json.loads(done.stdout)["tasks"]) == 4
    refused = loom(farm, "cluster", "restart", "farm", "cron")
    assert (refused.returncode, refused.stdout) == (1, "") and "cron" in refused.stderr


def test_sync_and_extend(farm):
    assert loom(farm, "cluster", "sync", "farm").stdout.startswith(f"sync farm ({farm.farm}): ")
    newer = {**FARM["clustertemplates"][0], "description": "newer"}
    assert farm.admin.put("/v2/clustertemplates/farm", newer).status == 200
    assert '-> "newer"' in loom(farm, "cluster", "sync", "farm", "--wait").stdout
    assert farm.user.cluster(farm.farm)["clusterTemplate"]["version"] == 2
    end = farm.user.cluster(farm.farm)["expireTime"]
    assert "ends at 20" in loom(farm, "cluster", "extend", "farm", "--by", "2h").stdout
    assert farm.user.cluster(farm.farm)["expireTime"] == end + 7200000
    refused = loom(farm, "cluster", "extend", "farm", "--until", "2099-01-01")
    assert refused.returncode == 1 and "the template allows" in refused.stderr
    for words in ((), ("--by", "2h", "--until", "2099-01-01"), ("--by", "soon"), ("--by", "1"), ("--by", "106751991167d"),
                  ("--until", "2030-02-31")):
        assert loom(farm, "cluster", "extend", "farm", *words).returncode == 64
    lines = loom(farm, "cluster", "watch", "farm", "--history").stdout
    assert "follows version 2 of template farm" in lines and "lease ends at" in lines


def test_pause_why_resume_abort(farm):
    gate = Gate("STOP", "app")
    farm.workers[0].script = gate
    assert loom(farm, "cluster", "pause", "farm").returncode == 1
    assert loom(farm, "cluster", "restart", "farm").returncode == 0
    gate.wait()
    busy = loom(farm, "cluster", "restart", "farm")
    assert busy.returncode == 1 and f"loom cluster why {farm.farm}" in busy.stderr
    assert loom(farm, "cluster", "pause", "farm").returncode == 0
    why = loom(farm, "cluster", "why", "farm").stdout
    assert why.startswith("pending: Paused by user ann. Since ") and re.search(r"^TASK +STATE +REASON$", why, re.M)
    host = f"farm{int(farm.farm)}-1000"
    assert re.search(r"START of app on (\S+1000) waits for STOP of app on \1", why), (host, why)
    assert loom(farm, "cluster", "resume", "farm").returncode == 0
    assert json.loads(loom(farm, "cluster", "why", "farm", "-o", "json").stdout)["status"] == "pending"
    farm.workers[0].script = None
    assert loom(farm, "cluster", "abort", "farm").returncode == 0
    gate.open()
    wait_for(lambda: farm.user.cluster(farm.farm)["status"] == "inconsistent")
    assert "Aborted by user ann" in loom(farm, "cluster", "why", "farm").stdout
    did(farm, "start", "farm")
