# SPDX-License-Identifier: Apache-2.0
"""loom-datacenter, for a private stack that stands for a datacenter of one machine."""

import json
import subprocess

from .stack import ROOT


class DatacenterTool:
    """loom-datacenter with an inventory of one machine, which is a private stack."""

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, folder
        ports = {"ui": "gateway", "api_external": "api.external", "scheduler_admin": "scheduler.admin",
                 "provisioner_admin": "provisioner.admin", "zookeeper_client": "zookeeper", "db": "mariadb"}
        lines = ["[datacenter]", "layout = single", "virtual_address = 127.0.0.1", "[ports]"]
        lines += [f"{name} = {stack.ports[part]}" for name, part in ports.items() if part in stack.ports]
        lines += ["[paths]", f"backups = {folder}/backups", f"db_password_file = {stack.dir}/secrets/db.password",
                  f"admin_token_file = {stack.dir}/secrets/admin.token",
                  f"db_data = {folder}/none", f"zookeeper_data = {folder}/none", f"work = {folder}/none",
                  "[host here]", "address = 127.0.0.1"]
        (folder / "inventory").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def __call__(self, command, *words):
        """(exit code, document or text)."""
        done = subprocess.run([ROOT / "scripts/loom-datacenter", command, "--inventory", self.folder / "inventory",
                               "--json", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr
