# SPDX-License-Identifier: Apache-2.0
"""How a machine is worked on whose Loom is packages, under systemd."""

import os
import re
import shlex
import subprocess

from . import DcError, checks, remote, render, setup

SIMULATED = re.compile(r"^Inst (loom-[\w-]+) \[([^\]]+)\] \((\S+)", re.M)
APT = ["apt-get", "-y", "-o", "Dpkg::Options::=--force-confold"]
BROKEN_OFF = "what runs goes on with the old program where the new one does not take its configuration"


def installed():
    """Loom's packages on this machine."""
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", "loom-*"], capture_output=True,
                            text=True, check=False).stdout
    return [line.split()[0] for line in listed.splitlines() if line.endswith(" installed")]


class Packages:
    """The machines of an inventory, of which `host` is this one."""

    set_up = "run setup there"
    anew = "Run setup there; or, where it is to begin anew, apt-get purge loom-datacenter there first"
    gateways_reread = True  # their keys of sessions

    def __init__(self, inventory, host, path):
        self.inventory, self.host, self.path = inventory, host, path

    def on(self, name, script, stdin=None, timeout=30):
        """What a shell script says on a machine."""
        return remote.on(self.inventory["hosts"][name]["address"], script, stdin, timeout)

    def facts(self):
        """What the machines say of themselves."""
        return checks.look(self.inventory, self.host, self.path)

    # ---- an upgrade

    def newer(self):
        """[{name, from, to}] of what this machine would get."""
        self._apt(["apt-get", "-q", "update"], "nothing was changed")
        names = installed()
        if not names:
            raise DcError("no package of Loom is installed; what `make install` put here is upgraded by it")
        found = SIMULATED.findall(remote.run(["apt-get", "-s", "install", "--only-upgrade", *names]))
        return [{"name": name, "from": old, "to": new} for name, old, new in found]

    def take(self, found):
        """Install them; one that was broken off is finished first."""
        if subprocess.run(["dpkg", "--audit"], capture_output=True, check=False).stdout:
            setup.say("packages: an upgrade that was broken off is finished first")
            self._apt(["dpkg", "--configure", "-a", "--force-confold"], BROKEN_OFF)
        if found:
            setup.say("packages: " + ", ".join(f"{one['name']} {one['to']}" for one in found))
            self._apt([*APT, "install", "--only-upgrade", *(one["name"] for one in found)], BROKEN_OFF)

    def finish(self):
        """The configuration, by the program that was just installed, whose templates may be others. It is alone by itself."""
        code = subprocess.run(["loom-datacenter", "setup", "--inventory", self.path, "--json"], stdout=subprocess.PIPE,
                              text=True, check=False)
        if code.returncode != 0:
            raise DcError("the packages are upgraded, setup after it did not end well (above); mend that, then "
                          "loom-datacenter upgrade again")

    @staticmethod
    def _apt(argv, state):
        """apt or dpkg, whose words are progress; state: how things are if it fails."""
        code = remote.show(argv, {"DEBIAN_FRONTEND": "noninteractive"})
        if code != 0:
            raise DcError(f"{argv[0]} ended with {code}: {state}; mend what it says above, "
                          "then loom-datacenter upgrade again")

    # ---- other passwords

    def sql(self, text):
        """Statements of the administrator of this machine's database."""
        values = render.values_for(self.inventory, self.host)
        remote.run(["mariadb", "--no-defaults", f"--socket={values['paths']['db_run']}/mysqld.sock"], stdin=text)

    def restart(self, name, unit):
        """One of a machine's services ends and begins."""
        self.on(name, f"systemctl restart {unit}", timeout=180)

    def tell(self, name):
        """A machine's files that have passwords in them: there are none besides the passwords'."""

    # ---- a new machine

    @staticmethod
    def is_new(_name, told):
        """Whether it is part of no datacenter yet."""
        return not told["datacenter"]

    def lacks(self, name):
        """What has to be there before it is set up, in words; "": nothing."""
        if self.on(name, "loom-datacenter --help >/dev/null 2>&1 && echo yes || echo no").strip() == "yes":
            return ""
        return f"loom-datacenter is not installed on {name}: install the same packages there as here (deploy/docs/packages.md)"

    def begin(self, name):
        """The inventory of here, and its own setup; exit code."""
        there = shlex.quote(os.path.abspath(self.path))
        with open(self.path, encoding="utf-8") as file:
            self.on(name, f"umask 022; mkdir -p $(dirname {there}); cat >{there}.new && mv {there}.new {there}", file.read())
        return remote.follow(self.inventory["hosts"][name]["address"], f"loom-datacenter setup --inventory {there}")
