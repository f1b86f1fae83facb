# SPDX-License-Identifier: Apache-2.0
"""What wheels are made of: fetched once, checked, laid out."""

import hashlib
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.download import Downloader
from stxbuildah.engine.git import Git
from stxbuildah.engine.process import Runner
from stxbuildah.errors import InputError
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.wheels.keyed import KeyedFolders
from stxbuildah.wheels.material import Material, Materials, fix_setup
from tests.unit.engine.servers import Answer, Server, running_server

BODY = b"the wheel" * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as running:
        yield running


@pytest.fixture
def materials(tmp_path: Path) -> Materials:
    return Materials(downloader=Downloader(), git=Git(runner=Runner()), kept=KeyedFolders(top=tmp_path / "kept"))


def source(url: str, kind: SourceKind = SourceKind.PYPI, **settings: str) -> WheelSource:
    return WheelSource(wheel="a-1-py3-none-any.whl", kind=kind, url=url, source="a.cfg", line=1, **settings)  # type: ignore[arg-type] # texts alone


def test_a_file_is_fetched_once(server: Server, materials: Materials) -> None:
    server.answers["/a.whl"] = Answer(BODY)
    wanted = source(f"{server.url}/a.whl", sha256=SHA256)
    first = materials.fetch(wanted)
    assert first.digest == f"sha256:{SHA256}"
    assert materials.fetch(wanted) == first
    assert server.asked == ["/a.whl"]
    attrs.evolve(materials, use_kept=False).fetch(wanted)
    assert server.asked == ["/a.whl", "/a.whl"]


def test_what_is_not_there_or_is_something_else(server: Server, materials: Materials, tmp_path: Path) -> None:
    server.answers["/a.whl"] = Answer(BODY)
    with pytest.raises(InputError, match=r"/absent\.whl: the server answers 404"):
        materials.fetch(source(f"{server.url}/absent.whl"))
    with pytest.raises(InputError, match="not the file it should be"):
        materials.fetch(source(f"{server.url}/a.whl", sha256="0" * 64))
    assert not list(tmp_path.rglob("*.whl"))
    # What was fetched when no digest was asked for is checked when one is.
    materials.fetch(source(f"{server.url}/a.whl"))
    with pytest.raises(InputError, match="is not what it should be"):
        materials.fetch(source(f"{server.url}/a.whl", sha256="0" * 64))
    with pytest.raises(InputError, match="@PYPI_FILES@ in the URL stands for a server"):
        materials.fetch(source("@PYPI_FILES@/a.whl"))


def test_a_repository_and_its_refs(materials: Materials, tmp_path: Path) -> None:
    repository = tmp_path / "repository"

    def git(*words: str) -> str:
        argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(repository), *words]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    (repository / "inner").mkdir(parents=True)
    git("init", "--quiet", "--initial-branch", "main")
    (repository / "inner/setup.py").write_text("one")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    first = git("rev-parse", "HEAD")
    git("tag", "--annotate", "--message", "v", "v1")
    (repository / "inner/setup.py").write_text("two")
    git("commit", "--quiet", "--all", "--message", "two")
    second = git("rev-parse", "HEAD")

    def line(ref: str, basedir: str = "repository/inner") -> WheelSource:
        return source(f"file://{repository}", SourceKind.GIT, ref=ref, basedir=basedir)

    for ref, commit in (("v1", first), ("main", second), (first, first), ("refs/heads/main", second)):
        assert materials.fetch(line(ref)) == Material(digest=f"git:{commit}", commit=commit)
    with pytest.raises(InputError, match="no branch or tag 'v2'"):
        materials.fetch(line("v2"))
    laid_out = materials.lay_out(line("v1"), Material(digest="", commit=first), tmp_path / "out")
    assert (laid_out.top / laid_out.inner / "setup.py").read_text() == "one"
    with pytest.raises(InputError, match="the source has no folder 'repository/absent'"):
        materials.lay_out(line("v1", "repository/absent"), Material(digest="", commit=first), tmp_path / "other")


def test_a_folder_that_leads_out_of_the_source(materials: Materials, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    (tmp_path / "content").mkdir()
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "content", "a-1")
    material = Material(digest="", file=archive)
    assert materials.lay_out(source("x", SourceKind.TAR, basedir="a-1"), material, tmp_path / "one").epoch == 0
    with pytest.raises(InputError, match=r"no folder '\.\./content'"):
        materials.lay_out(source("x", SourceKind.TAR, basedir="../content"), material, tmp_path / "two")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from distutils.core import setup, Extension\n", "from setuptools import setup, Extension\n"),
        ("try:\n    from distutils.core import setup\n", "try:\n    from setuptools import setup\n"),
        ("import distutils.core\n", "import setuptools, distutils.core\n"),
        ("# \xe9 latin\nfrom setuptools import setup\n", "# \xe9 latin\nfrom setuptools import setup\n"),
    ],
)
def test_an_old_setup_py(tmp_path: Path, before: str, after: str) -> None:
    setup = tmp_path / "setup.py"
    setup.write_bytes(before.encode("latin-1"))
    fix_setup(setup)
    assert setup.read_bytes() == after.encode("latin-1")


def test_no_setup_py_to_fix(tmp_path: Path) -> None:
    (tmp_path / "setup.py").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match=r"the source has no setup\.py"):
        fix_setup(tmp_path / "setup.py")
