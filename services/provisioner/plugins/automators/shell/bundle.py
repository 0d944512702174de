# SPDX-License-Identifier: Apache-2.0
"""What is shipped to the nodes: the helpers of lib/ and all scripts, as one archive.

The archive's name is a digest of its content: a node that has the name has the content.
"""

import hashlib
import io
import os
import tarfile


def _files(plugin_dir, work_dir):
    """(name in the archive, path) of every file; uploaded scripts go over those that came along."""
    found = {}
    places = [("lib", os.path.join(plugin_dir, "lib")),
              ("scripts", os.path.join(plugin_dir, "scripts"))]
    if work_dir:
        places.append(("scripts", os.path.join(work_dir, "scripts")))
    for kind, folder in places:
        if not os.path.isdir(folder):
            continue
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not name.startswith(".") and not name.endswith("~"):
                found[f"{kind}/{name}"] = path
    return sorted(found.items())


class Bundle:
    """The files as they are now."""

    def __init__(self, plugin_dir, work_dir):
        self.content = []
        digest = hashlib.sha256()
        for name, path in _files(plugin_dir, work_dir):
            with open(path, "rb") as file:
                data = file.read()
            self.content.append((name, data))
            digest.update(os.fsencode(f"{name}\0{len(data)}\0") + data)
        self.name = "v-" + digest.hexdigest()[:16]

    def archive(self):
        """The files as a compressed tar."""
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            for name, data in self.content:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                info.mode = 0o755
                tar.addfile(info, io.BytesIO(data))
        return out.getvalue()
