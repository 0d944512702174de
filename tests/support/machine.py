# SPDX-License-Identifier: Apache-2.0
"""A container with systemd as first process stands for a virtual machine; Debian packages to install in it."""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess

from .compose import inspect, said
from .stack import ROOT
from .wait import wait_for

IMAGES = {"machine": "loom-machine:test", "member": "loom-member:test"}  # targets of Dockerfile.machine
# Not --privileged: an engine that is not all-powerful itself has no SYS_RESOURCE to give.
POWERS = ("--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined",
          "--security-opt=apparmor=unconfined", "--security-opt=systempaths=unconfined", "--cgroupns=private",
          "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp", "--env=container=docker")
NAMES = ("loom-common", "loom-api", "loom-scheduler", "loom-ui-gateway", "loom-provisioner", "loom-cli",
         "loom-datacenter", "loom-catalog")


def build_image(target="machine"):
    """A machine's image, base included."""
    done = subprocess.run([str(ROOT / "deploy/images/base")], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    with open(ROOT / "tests/ship/Dockerfile.machine", "rb") as file:
        done = subprocess.run(["docker", "build", "-q", "-t", IMAGES[target], "--target", target, "-"], stdin=file,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def build_packages(to, version=None):
    """The packages of this tree in the folder `to`, as an apt repository; {package: file}."""
    folder = ROOT / "var-test/deb"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        env = {**os.environ, "LOOM_DEB_DIR": str(folder), **({"VERSION": version} if version else {})}
        done = subprocess.run([str(ROOT / "scripts/deb")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=900, check=False, env=env)
        assert done.returncode == 0, done.stdout
        to.mkdir(parents=True, exist_ok=True)
        for line in done.stdout.split():
            shutil.copy(line, to)
    index = subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=to, capture_output=True, text=True, check=True).stdout
    (to / "Packages").write_text(index, encoding="utf-8")
    return {path.name.split("_")[0]: path for path in to.glob("*.deb")}


class Machine:
    """One container; what is in the host's folder `packages` can be installed in it."""

    def __init__(self, name, packages, *words, image="machine"):
        self.name = f"loom-test-{os.getpid()}-{name}"
        code, text = said("docker", "run", "--detach", f"--name={self.name}", f"--hostname={name}", *POWERS,
                          f"--volume={packages}:/packages:ro", *words, IMAGES[image])
        try:
            assert code == 0, text
            wait_for(lambda: self.said("systemctl", "is-system-running")[1].strip() == "running", 300, "systemd to be up")
        except AssertionError:
            self.close()
            raise
        # As root, since the folder on the host is its maker's alone.
        self.sh("echo 'deb [trusted=yes] file:/packages ./' >/etc/apt/sources.list; "
                "echo 'APT::Sandbox::User \"root\";' >/etc/apt/apt.conf.d/sandbox")

    def said(self, *words, timeout=120):
        """(exit code, output) of a command in it."""
        return said("docker", "exec", self.name, *words, timeout=timeout)

    def sh(self, script, timeout=120):
        """Output of a shell command that has to succeed."""
        code, text = self.said("bash", "-c", script, timeout=timeout)
        assert code == 0, f"{script}: {text}\n{self.journal()}"
        return text

    def apt(self, *words, check=True):
        """apt-get, from the repository only."""
        self.sh("apt-get update -qq")
        script = "DEBIAN_FRONTEND=noninteractive apt-get -y --no-install-recommends " \
                 "-o Dpkg::Options::=--force-confold " + " ".join(words)
        code, text = self.said("bash", "-c", script, timeout=300)
        assert not check or code == 0, f"{text}\n{self.journal()}"
        return text

    def put(self, source, target):
        """Copy a file or folder of the host into it."""
        code, text = said("docker", "cp", source, f"{self.name}:{target}")
        assert code == 0, text

    def journal(self):
        """The end of all services' logs."""
        return self.said("journalctl", "--no-pager", "-n", "60")[1]

    def address(self):
        """On the engine's network."""
        networks = inspect("container", self.name)[0]["NetworkSettings"]["Networks"]
        return next(iter(networks.values()))["IPAddress"]

    def close(self):
        """Away with it."""
        with contextlib.suppress(AssertionError):
            said("docker", "rm", "--force", "--volumes", self.name)


def files(box):
    """Every file outside of the database, the package manager's books and logs."""
    left_out = "/proc /sys /dev /run /tmp /packages /var/lib/mysql /var/lib/dpkg /var/lib/apt /var/cache /var/log"
    prune = " -o ".join(f"-path {path}" for path in left_out.split())
    return set(box.sh(f"find / \\( {prune} \\) -prune -o -print").splitlines())


def folder_of(tmp_path_factory):
    """A folder that the engine can mount."""
    return pathlib.Path(tmp_path_factory.mktemp("packages"))
