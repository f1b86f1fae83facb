# SPDX-License-Identifier: Apache-2.0
"""The digest of a build context: it changes with what a build sees, and with nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stxbuildah.directive.ignorefile import IgnoreFile
from stxbuildah.errors import InputError
from stxbuildah.job.images.context import context_digest, find_ignore_file, read_ignored


def make(folder: Path) -> Path:
    folder.mkdir()
    (folder / "sub").mkdir(mode=0o755)
    (folder / "sub/file").write_text("content")
    (folder / "sub/large").write_bytes(b"x" * (2 << 20))
    (folder / "link").symlink_to("sub/file")
    for path in (folder / "sub/file", folder / "sub/large"):
        path.chmod(0o644)
    (folder / "sub").chmod(0o755)
    return folder


def digest(folder: Path) -> str:
    return context_digest(folder, read_ignored(find_ignore_file(folder, folder / "Containerfile")))


def test_equal_contexts_have_one_digest_whatever_their_times(tmp_path: Path) -> None:
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    os.utime(other / "sub/file", (1, 1))
    assert digest(one) == digest(other)


def replace_link(link: Path) -> Path:
    link.unlink()
    return link


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "sub/file").write_text("contenT"),
    "large content": lambda folder: (folder / "sub/large").write_bytes(b"y" * (2 << 20)),
    "mode": lambda folder: (folder / "sub/file").chmod(0o755),
    "mode of a folder": lambda folder: (folder / "sub").chmod(0o700),
    "name": lambda folder: (folder / "sub/file").rename(folder / "sub/file2"),
    "place": lambda folder: (folder / "sub/file").rename(folder / "file"),
    "new folder": lambda folder: (folder / "empty").mkdir(),
    "gone": lambda folder: (folder / "link").unlink(),
    "link": lambda folder: replace_link(folder / "link").symlink_to("sub/large"),
    "file for a link": lambda folder: replace_link(folder / "link").write_text("sub/file"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_build_sees_changes_the_digest(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / "context")
    before = digest(folder)
    CHANGES[name](folder)
    assert digest(folder) != before


def test_what_a_build_does_not_see_does_not_count(tmp_path: Path) -> None:
    folder = make(tmp_path / "context")
    (folder / ".dockerignore").write_text("sub\n!sub/file\n*ignore\n")
    before = digest(folder)
    (folder / "sub/large").unlink()
    (folder / ".dockerignore").write_text("# the same\nsub\n!sub/file\n*ignore\n")
    assert digest(folder) == before
    (folder / "sub/file").write_text("other")
    assert digest(folder) != before


def test_the_ignore_file_is_the_containerfiles_own_before_the_contexts(tmp_path: Path) -> None:
    containerfile = tmp_path / "build/Containerfile.one"
    containerfile.parent.mkdir()
    assert find_ignore_file(tmp_path, containerfile) is None
    found = []
    for path in (
        tmp_path / ".dockerignore",
        tmp_path / ".containerignore",
        containerfile.with_name("Containerfile.one.dockerignore"),
        containerfile.with_name("Containerfile.one.containerignore"),
    ):
        path.write_text("")
        found.append(find_ignore_file(tmp_path, containerfile) == path)
    assert found == [True] * 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").write_text("")
    (tmp_path / "closed").chmod(0)
    with pytest.raises(InputError, match="closed: the build context cannot be read"):
        context_digest(tmp_path, IgnoreFile())
