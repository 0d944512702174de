# SPDX-License-Identifier: Apache-2.0
"""What `make dist` makes of a commit: an archive that builds and knows its commit, and the list of what ships."""

import json
import os
import pathlib
import subprocess

import pytest

from support import ROOT
from support.stack import build_dir


def run(*words, cwd=ROOT, **environment):
    """A program that must be content; what it says."""
    done = subprocess.run(list(map(str, words)), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, env={**os.environ, **environment})
    assert done.returncode == 0, f"{' '.join(map(str, words))}:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of this tree's commit, with nothing that is not committed."""
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("this is a source archive, not a git repository")
    folder = tmp_path_factory.mktemp("dist") / "tree"
    run("git", "clone", "-q", ROOT, folder)
    return folder


def dist(tree, out):
    """The files that it made, by their endings."""
    run("scripts/dist", cwd=tree, LOOM_DIST_DIR=str(out), LOOM_DIST_BIN=f"{build_dir()}/bin")
    return {path.name.partition("0.")[2].lstrip("0123456789."): path for path in sorted(out.iterdir())}


def test_the_same_commit_gives_the_same_archive_and_list(tree, tmp_path):
    first, second = dist(tree, tmp_path / "a"), dist(tree, tmp_path / "b")
    assert sorted(first) == ["sha256", "spdx.json", "tar.gz"]
    for kind, path in first.items():
        assert path.read_bytes() == second[kind].read_bytes(), kind
    assert "FAILED" not in run("sha256sum", "-c", first["sha256"].name, cwd=tmp_path / "a")


def test_an_archive_knows_its_commit(tree, tmp_path):
    archive = dist(tree, tmp_path / "out")["tar.gz"]
    run("tar", "-xzf", archive, "-C", tmp_path)
    (folder,) = tmp_path.glob("loom-*")
    run("make", "-s", "build/obj/common/base/version.o", cwd=folder)
    commit = run("git", "rev-parse", "HEAD", cwd=tree).strip()
    assert f"{commit[:12]}\0".encode() in (folder / "build/obj/common/base/version.o").read_bytes()


def test_what_is_not_committed_is_not_released(tree, tmp_path):
    with open(tree / "README.md", "a", encoding="utf-8") as file:
        file.write("\n")
    try:
        done = subprocess.run(["scripts/dist"], cwd=tree, capture_output=True, text=True, check=False,
                              env={**os.environ, "LOOM_DIST_DIR": str(tmp_path / "out")})
        assert done.returncode == 1 and "not committed" in done.stderr and not (tmp_path / "out").exists()
    finally:
        run("git", "checkout", "-q", "README.md", cwd=tree)


def test_the_list_names_what_each_program_is_linked_with():
    programs = sorted(pathlib.Path(build_dir(), "bin").glob("loom*"))
    told = json.loads(run("scripts/sbom", "--version", "9.9", "--commit", "abc", "--date", "0", *programs))
    packages = {entry["SPDXID"]: entry for entry in told["packages"]}
    linked = {(entry["spdxElementId"], entry["relatedSpdxElement"]) for entry in told["relationships"]
              if entry["relationshipType"] == "DYNAMIC_LINK"}
    assert (told["spdxVersion"], told["creationInfo"]["created"]) == ("SPDX-2.3", "1970-01-01T00:00:00Z")
    assert {path.name for path in programs} <= {entry["name"] for entry in packages.values()}
    assert ("SPDXRef-loom-api", "SPDXRef-deb-libmariadb3") in linked and ("SPDXRef-loom", "SPDXRef-deb-libmariadb3") not in linked
    told_versions = {packages[name]["name"]: packages[name]["versionInfo"] for _, name in linked}
    rows = run("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *told_versions)
    assert told_versions == dict(line.split() for line in rows.splitlines())
    done = subprocess.run([ROOT / "scripts/sbom", "--version", "1", "--commit", "a", "--date", "0", "/nonexistent"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("sbom: ")
