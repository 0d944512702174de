# SPDX-License-Identifier: Apache-2.0
"""Two provisioners with one id, as machines have them that were copied: one works, the other is told."""

import contextlib
import os
import re
import subprocess

import pytest
from test_provisioner import load_simulated

from stacklib.client import Client
from support import Stack, wait_for
from support.stack import ENVIRONMENT, build_dir, free_port

ID = "local-1"
SAID = "another process runs as provisioner local-1"


@pytest.fixture(scope="module")
def stack():
    with Stack("twins", ("scheduler.task_lease_ms=2s",)) as made:
        made.up("mariadb", "zookeeper", "api", "scheduler", "provisioner")
        load_simulated(made)
        yield made


class Copy:
    """The stack's provisioner on another machine: the same configuration, but a folder and a port of its own."""

    def __init__(self, stack):
        self.dir = stack.dir / "copied"
        self.dir.mkdir(exist_ok=True)
        self.port = free_port(self.dir)
        text = (stack.dir / "etc/loom-provisioner.conf").read_text()
        for key, value in (("admin_listen", f"127.0.0.1:{self.port}"), ("work_dir", self.dir / "work")):
            text = re.sub(f"(?m)^{key} = .*", f"{key} = {value}", text)
        config = self.dir / "copied.conf"
        config.write_text(text)
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen([build_dir() / "bin/loom-provisioner", "--config", config], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **ENVIRONMENT})

    def ready(self):
        """(status, text) of its /readyz."""
        answer = Client(f"http://127.0.0.1:{self.port}", timeout=60).get("/readyz")
        return answer.status, answer.text

    def log(self):
        return (self.dir / "log").read_text()

    def end(self):
        """SIGTERM: its exit code."""
        self.process.terminate()
        return self.process.wait(60)


@contextlib.contextmanager
def copied(stack):
    made = Copy(stack)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()


def findings(stack):
    """{where: what} of the doctor."""
    return {one["where"]: one["what"] for one in stack.api.get("/v2/doctor").json["findings"]}


def attempts(stack, cluster):
    """The most attempts of a task of the cluster."""
    return int(stack.sql(f"SELECT MAX(attempt) FROM task WHERE cluster_id={int(cluster)}")[0][0])


def test_the_second_is_refused_and_says_so(stack):
    with copied(stack) as other:
        wait_for(lambda: SAID in other.ready()[1], 60, "the second to be refused")
        assert other.ready()[0] == 503
        assert other.log().count("refused by the server") == 1 and SAID in other.log(), other.log()
        assert "another process is started with its id" in findings(stack)[f"provisioner {ID}"]
        cluster = stack.api.create_cluster("both", "workers", 2)
        stack.api.wait_cluster(cluster)
        assert attempts(stack, cluster) == 1
        assert other.end() == 0
    # the registration was never its own
    assert stack.sql(f"SELECT COUNT(*) FROM provisioner_drop WHERE provisioner_id='{ID}'") == [["0"]]
    assert [one["id"] for one in stack.api.get("/v2/provisioners").json] == [ID]
    assert "" not in stack.api.get(f"/v2/provisioners/{ID}").json["usage"]
    after = stack.api.create_cluster("after", "workers", 1)
    stack.api.wait_cluster(after)
    assert attempts(stack, after) == 1


def test_the_second_takes_over_from_one_that_is_gone(stack):
    with copied(stack) as other:
        wait_for(lambda: SAID in other.ready()[1], 60, "the second to be refused")
        stack.pause("provisioner")
        try:
            wait_for(lambda: other.ready()[0] == 200, 60, "the second to be let in")
            cluster = stack.api.create_cluster("taken", "workers", 1)
            stack.api.wait_cluster(cluster)
        finally:
            stack.resume("provisioner")
        # who comes back is the second now
        port = stack.ports["provisioner.admin"]
        mine = Client(f"http://127.0.0.1:{port}", timeout=60)
        wait_for(lambda: SAID in mine.get("/readyz").text, 60, "the first to be refused")
        assert other.ready()[0] == 200
        assert other.end() == 0  # which deletes the registration
        wait_for(lambda: mine.get("/readyz").status == 200, 60, "the first to be let in again")


def test_who_is_started_again_is_the_same(stack):
    stack.restart("provisioner")  # kill -9
    wait_for(lambda: stack.api.get(f"/v2/provisioners/{ID}").ok, 60, "it")
    assert SAID not in stack.log("provisioner").rsplit("connecting", 1)[1]


def test_places_by_rest(stack):
    def put(place, **more):
        return stack.internal.put("/v2/provisioners/rest", {"id": "rest", "host": "h", "port": 1, "capacityTotal": 2,
                                                            "usage": {"superadmin": 1}, **place, **more})

    def beat(place):
        return stack.internal.post("/v2/provisioners/rest/heartbeat", {"usage": {"superadmin": 1}, **place})

    one, two = {"place": "one"}, {"place": "two"}
    assert put(one).status == 200 and put(one).status == 200 and beat(one).status == 200
    refused = put(two)
    assert refused.status == 409 and "another process runs as provisioner rest" in refused.text, refused
    assert beat(two).status == 409 and beat(one).status == 200
    assert put({"place": "x" * 129}).status == 400
    shown = stack.api.get("/v2/provisioners/rest").json
    assert shown["usage"] == {"superadmin": 1} and shown["capacityFree"] == 1, shown
    assert beat({}).status == 200  # who does not tell is believed, and the next who tells has it
    assert beat(two).status == 200 and beat(one).status == 409
    stack.sql("UPDATE provisioner SET heartbeat=heartbeat-11000 WHERE id='rest'")
    assert beat(one).status == 200 and beat(two).status == 409
    assert stack.internal.delete("/v2/provisioners/rest").status == 200
    assert put(two).status == 200
    assert stack.internal.delete("/v2/provisioners/rest").status == 200
