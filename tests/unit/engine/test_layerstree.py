# SPDX-License-Identifier: Apache-2.0
"""An image's files read from its layers by this very process, and what is left to one in the user namespace."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.layerstree import LayersTree
from stxbuildah.engine.process import Entrance, Runner
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.errors import BuildError
from stxbuildah.model.settings import HostChoices
from stxbuildah.model.tree import Entry, Kind

UID, GID = os.getuid(), os.getgid()

Opener = Callable[..., ContainerTree]


@pytest.fixture
def opened() -> Iterator[Opener]:
    """Opens folders as the process in the namespace does, but as the user that we are."""
    runner = Runner(entrance=Entrance(programs=frozenset(), words=("env",), variables=()))
    with ExitStack() as stack:
        yield lambda *folders: stack.enter_context(ContainerTree.of_layers(runner, HostChoices(), folders))


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    """Two layers, top first, with all kinds of files of our own."""
    top, bottom = tmp_path / "top", tmp_path / "bottom"
    (top / "both/deep").mkdir(parents=True)
    (bottom / "both/deep").mkdir(parents=True)
    (top / "both/new").write_bytes(b"top")
    (bottom / "both/old").write_bytes(bytes(1_500_000) + b"end")
    (bottom / "both/old").chmod(0o4750)
    (bottom / "both/gone").touch()
    (bottom / "both/deep/b\udcff\n").touch()
    (bottom / "link").symlink_to("/etc/passwd")
    os.mkfifo(bottom / "fifo")
    try:
        os.mknod(top / "both/gone", stat.S_IFCHR, 0)
    except PermissionError:
        pytest.skip("this kernel lets nobody but root make whiteouts")
    return top, bottom


def unused() -> ContainerTree:
    raise AssertionError("asked inside")


def as_root(entry: Entry | None) -> Entry | None:
    if entry is not None:
        assert (entry.uid, entry.gid) == (UID, GID)
        entry = attrs.evolve(entry, uid=0, gid=0)
    return entry


def content(read: Callable[[str], bytes], path: str) -> bytes | None:
    try:
        return read(path)
    except FileNotFoundError:
        return None


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


PATHS = (
    *("/", "/both", "/both/new", "/both/old", "/both/gone", "/both/deep", "/both/deep/b\udcff\n", "/link", "/fifo"),
    *("/missing", "/missing/x", "/link/x", "/both/new/x", "/fifo/x", "/both/gone/x"),
)


def test_our_own_files_are_read_as_inside_and_are_roots(layers: tuple[Path, Path], opened: Opener) -> None:
    inside = opened(*layers)
    with LayersTree(layers, unused) as tree:
        for path in PATHS:
            assert tree.lstat(path) == as_root(inside.lstat(path))
            assert dict(tree.scandir(path)) == {name: as_root(one) for name, one in inside.scandir(path).items()}
            assert content(tree.read, path) == content(inside.read, path)
            assert content(partial(tree.read_start, size=2), path) == content(partial(inside.read_start, size=2), path)
        assert [tree.touched(count) for count in (0, 1, 2)] == [inside.touched(count) for count in (0, 1, 2)]
        assert tree.read("/both/old")[-3:] == b"end"


@pytest.mark.skipif(UID == 0, reason="root may read everything")
def test_what_this_account_may_not_read_is_asked_inside(
    layers: tuple[Path, Path], opened: Opener, tmp_path: Path
) -> None:
    """As if the process in the namespace saw other files than we do, to tell the answers apart."""
    other = tmp_path / "other"
    (other / "both/deep").mkdir(parents=True)
    (other / "both/deep/x").write_text("seen inside")
    asked: list[ContainerTree] = []

    def open_inside() -> ContainerTree:
        asked.append(opened(other))
        return asked[-1]

    before = open_files()
    closed = layers[1] / "both/deep"
    closed.chmod(0)
    try:
        with LayersTree(layers, open_inside) as tree:
            assert tree.read("/both/new") == b"top"
            assert tree.read("/both/deep/x") == b"seen inside"
            assert list(tree.scandir("/both/deep")) == ["x"]
            assert tree.lstat("/both/deep/x") is not None
            assert tree.read("/both/new") == b"top"
            assert len(asked) == 1
            with pytest.raises(BuildError, match="not an absolute, normalized path"):
                tree.lstat("/both/../both")
    finally:
        closed.chmod(0o700)
    asked[0].close()
    assert open_files() == before


def test_layers_that_cannot_be_opened_are_asked_inside(layers: tuple[Path, Path], opened: Opener) -> None:
    with LayersTree((*layers, layers[0] / "missing"), lambda: opened(*layers)) as tree:
        seen = tree.lstat("/both")
    assert seen is not None
    assert (seen.kind, seen.uid) == (Kind.DIRECTORY, UID)
