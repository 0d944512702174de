# SPDX-License-Identifier: Apache-2.0
"""The database of a datacenter: three Galera nodes on this machine, and nothing else of it running."""

import contextlib
import sys

from bench import ROOT, SIZES

sys.path.insert(0, str(ROOT / "scripts"))

from dclib.render import DEFAULTS  # noqa: E402 (the path comes first)
from support.datacenter import HOSTS, Datacenter  # noqa: E402


@contextlib.contextmanager
def three_nodes(bin_dir):
    """(host, port, file with the password of account loom) of the writer."""
    dc = Datacenter([f"db_buffer_pool={SIZES['innodb_buffer_pool_size']}",
                     f"db_log_file={SIZES['innodb_log_file_size']}"], bin_dir)
    try:
        dc.up()
        for host in HOSTS:
            for part in ("ui", "api", "scheduler", "provisioner"):
                dc("stop", host, part)
        writer = dc.role("database_writer")
        address = dc.status()["hosts"][writer]["address"]
        password = dc.dir / "secrets/db.password"
        us = f"'loom'@'{address.rpartition('.')[0]}.1'"
        dc.sql(f"CREATE USER {us} IDENTIFIED BY '{password.read_text(encoding='ascii').strip()}';"
               f" GRANT ALL PRIVILEGES ON loom.* TO {us}; GRANT ALL PRIVILEGES ON loom_bench.* TO {us}", writer)
        yield address, DEFAULTS["ports"]["db"], password
    finally:
        dc.close()
