# SPDX-License-Identifier: Apache-2.0
"""A source folder in a work folder of ours."""

import os
import socket
from pathlib import Path

import pytest

from stxbuildah.directive.modulesource import parse_module_source
from stxbuildah.engine.git import Git
from stxbuildah.engine.process import Runner
from stxbuildah.errors import InputError
from stxbuildah.wheels.source import PreparedSource, check_source, prepare


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in (
        "setup.py", "module/__init__.py", "module/__pycache__/a.pyc", "module/build/lib/kept.py", "stale.pyc",
        ".tox/py3/x", "build/lib/old.py", "build/lib.linux-x86_64/old.so", "build/bdist.linux/x", "build/kept.txt",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
        os.utime(folder / name, (1_000_000_000, 1_000_000_000))
    (folder / "tool").write_text("#!/bin/sh\n")
    (folder / "tool").chmod(0o755)
    os.utime(folder / "tool", (1_100_000_000, 1_100_000_000))
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "dangling").symlink_to("../nowhere")
    return folder


def prepared(folder: Path, target: Path) -> PreparedSource:
    return prepare(parse_module_source(str(folder), Path("/")), Git(runner=Runner()), target)


def test_what_is_copied(project: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    assert prepared(project, target) == PreparedSource(top=target, folder=target, epoch=1_100_000_000)
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_symlink() or not path.is_dir()}
    assert found == {
        "setup.py", "module/__init__.py", "module/build/lib/kept.py", "build/kept.txt", "tool", "link", "dangling"
    }  # fmt: skip
    assert (target / "link").readlink() == Path("/etc/passwd")
    assert (target / "tool").stat().st_mode & 0o777 == 0o755


def test_what_is_no_file_is_not_waited_for(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(project / "pipe")
    # The address of a socket is short, and that of a test's folder may not be.
    monkeypatch.chdir(project)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(InputError, match="project cannot be copied") as caught:
            prepared(project, tmp_path / "copy")
    assert sorted(caught.value.details) == [f"{project}/{name} is no regular file" for name in ("pipe", "socket")]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nowhere", "does not exist"),
        ("project/setup.py", "is not a folder"),
        ("project/module", r"is no Python project: it has neither pyproject\.toml nor setup\.py"),
    ],
)
def test_what_is_no_source(project: Path, tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(InputError, match=f"^the module source {tmp_path}/{name} {sentence}$"):
        check_source(parse_module_source(name, tmp_path))


def test_a_repository_is_not_asked_for(tmp_path: Path) -> None:
    check_source(parse_module_source("https://git.example/nova", tmp_path))
