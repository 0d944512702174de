#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The shell automator: ships a service's script and the task's data over SSH and runs it.

    shell.py bootstrap|install|configure|initialize|start|stop|remove

Task JSON on stdin, result on descriptor 3, the script's output on stdout as it comes. The
script's exit code decides: 0 done, 100 give up, any other failed (it is tried again). On the
node, actions run one at a time: a retry first waits for an earlier attempt that still runs.
"""

import json
import os
import re
import shlex
import sys
import tempfile

from bundle import Bundle
from ssh import Failure, GiveUp, Node, member

GIVE_UP = 100
NOT_SHIPPED = 90
BUSY = 91
BASE = "/var/cache/loom/shell_automator"
ACTIONS = ("bootstrap", "install", "configure", "initialize", "start", "stop", "remove")
RESULT_IS_OPEN = os.path.exists("/proc/self/fd/3")  # asked before anything else is opened
HERE = os.path.dirname(os.path.realpath(__file__))

NEED_PYTHON = """set -e
command -v python3 >/dev/null && exit 0
echo "installing python3"
if command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q update && apt-get -q -y -o DPkg::Lock::Timeout=120 install python3
elif command -v dnf >/dev/null; then dnf -q -y install python3
else yum -q -y install python3; fi
"""

SHIP = """set -e
umask 022
mkdir -p {base} && cd {base}
part=.part.$$
rm -rf "$part" && mkdir "$part"
tar -xzf - -C "$part"
mv -T "$part" {name} 2>/dev/null || {{ rm -rf "$part"; test -d {name}; }}
ln -sfn {name}/scripts scripts
"""

RUN = """cd {base}/{name} 2>/dev/null || exit {missing}
exec python3 lib/loom_run
"""


def time_limit(action):
    """The action's time limit, from the plugin's description."""
    with open(os.path.join(HERE, "plugin.json"), encoding="utf-8") as file:
        return json.load(file)["actions"][action]["timeout"]


def envelope(task, action):
    """What the node gets: the task without the provider's credentials, and what to run."""
    config = dict(task["config"])
    if isinstance(config.get("provider"), dict):
        config["provider"] = {k: v for k, v in config["provider"].items() if k != "provisioner"}
    config.pop("ssh-auth", None)
    order = {
        "task": dict(task, config=config),
        "action": action,
        "attempt": os.environ.get("LOOM_ATTEMPT") or str(task.get("attempt", 1)),
        "limit": time_limit(action) - 10,
        "script": None,
        "args": [],
    }
    if action != "bootstrap":
        order["script"], order["args"] = command(config)
    return json.dumps(order).encode()


def command(config):
    """(script, arguments) out of the service's fields."""
    action = member(member(config, "service", dict, ""), "action", dict, "service.")
    fields = member(action, "fields", dict, "service.action.")
    script, args = fields.get("script") or "", fields.get("args") or ""
    if not isinstance(script, str) or not re.fullmatch(r"[^./\0][^/\0]*", script):
        raise GiveUp(f"the service's field 'script' names no script: {script!r}")
    if isinstance(args, (dict, list)) or "\0" in str(args):
        raise GiveUp(f"the service's field 'args' is no text: {args!r:.100}")
    try:
        return script, shlex.split(str(args))
    except ValueError as err:
        raise GiveUp(f"the service's field 'args': {err}") from None


def run_on_node(node, bundle, order):
    """Run on the node what the order says, shipping the bundle first if the node lacks it."""
    command = RUN.format(base=BASE, name=bundle.name, missing=NOT_SHIPPED)
    code = node.run(command, order)
    if code == NOT_SHIPPED:
        ship(node, bundle)
        code = node.run(command, order)
    return code


def ship(node, bundle):
    """Put the bundle on the node."""
    code = node.run(SHIP.format(base=BASE, name=bundle.name), bundle.archive())
    if code != 0:
        raise Failure(f"cannot write the scripts on {node.address}: exit code {code}")


def act(action, task):
    """Carry out one action."""
    bundle = Bundle(HERE, os.environ.get("LOOM_WORK_DIR", ""))
    order = envelope(task, action)
    with tempfile.TemporaryDirectory(prefix="shell.", dir=os.getcwd()) as scratch:
        node = Node(task, scratch)
        if action == "bootstrap" and node.run(NEED_PYTHON, b"") != 0:
            raise Failure(f"cannot install python3 on {node.address}")
        code = run_on_node(node, bundle, order)
    what = "bootstrap" if action == "bootstrap" else json.loads(order)["script"]
    if code == BUSY:
        raise Failure(f"an earlier action still runs on {node.address}")
    if code == GIVE_UP:
        raise GiveUp(f"{what} gave up: {action} cannot work with this configuration")
    if code != 0:
        raise Failure(f"{what} ended with exit code {code}")
    return {"message": f"{action} done on {task['config'].get('hostname', node.address)}"}


def read_task():
    """The task from stdin."""
    try:
        task = json.load(sys.stdin)
    except (ValueError, RecursionError) as err:
        raise GiveUp(f"the task is not JSON: {err}") from None
    if not isinstance(task, dict) or not isinstance(task.get("config"), dict) \
            or not task.get("nodeId") or not isinstance(task["nodeId"], str):
        raise GiveUp("the task has no nodeId or no config")
    return task


def main():
    """Dispatch; turn failures into a line on the log and an exit code."""
    if len(sys.argv) != 2 or sys.argv[1] not in ACTIONS:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(GIVE_UP)
    try:
        answer = act(sys.argv[1], read_task())
    except GiveUp as err:
        print(f"shell: {err}", flush=True)
        sys.exit(GIVE_UP)
    except (Failure, OSError) as err:
        print(f"shell: {err}", flush=True)
        sys.exit(1)
    if RESULT_IS_OPEN:
        os.write(3, (json.dumps(answer) + "\n").encode())
    else:
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
