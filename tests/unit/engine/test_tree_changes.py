# SPDX-License-Identifier: Apache-2.0
"""What changed between two folders, as the process inside the user namespace tells it."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from hypothesis import HealthCheck, given, settings

from stxbuildah.engine.process import Runner
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.errors import BuildError
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from tests.unit.engine.trees import Directory, File, Link, snapshot, trees, write

SETTINGS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def tree(root: Path) -> Iterator[ContainerTree]:
    with ContainerTree.of_folder(Runner(), root) as opened:
        yield opened


@given(before=trees, after=trees)
@SETTINGS
def test_the_changes_written_on_the_base_give_the_container(before: Directory, after: Directory, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root) as folder:
        base, now, copy = (Path(folder) / name for name in ("base", "now", "copy"))
        write(before, os.fsencode(base))
        write(before, os.fsencode(copy))
        write(after, os.fsencode(now))
        with (
            ContainerTree.of_folder(Runner(), now, base=base) as changed,
            ContainerTree.of_folder(Runner(), copy) as target,
        ):
            entries = changed.changes()
            target.apply(LayerContent(entries), 1_700_000_000)
        paths = [found.path for found in entries]
        assert paths == sorted(set(paths))
        assert all(path.rpartition("/")[0] in {"", *paths} for path in paths)
        assert snapshot(os.fsencode(copy), special=False) == snapshot(os.fsencode(now), special=False)
        with ContainerTree.of_folder(Runner(), now, base=copy) as again:
            assert again.changes() == ()


@pytest.mark.parametrize("nodes", [1, 3])
def test_names_of_one_file_stay_one_file(root: Path, nodes: int) -> None:
    base, now = root / "base", root / "now"
    for folder in (base, now):
        write(Directory({b"old": File(b"same", 0o644)}, 0o755), os.fsencode(folder))
    (now / "linked-to-old").hardlink_to(now / "old")
    (now / "a").write_text("new")
    for number in range(nodes):
        (now / f"b{number}").hardlink_to(now / "a")
    with ContainerTree.of_folder(Runner(), now, base=base) as tree:
        found = [(each.path, each.change, each.target) for each in tree.changes()]
    assert found == [
        ("/a", Change.FILE, ""),
        *((f"/b{number}", Change.HARDLINK, "/a") for number in range(nodes)),
        ("/linked-to-old", Change.FILE, ""),
    ]


def test_a_new_time_alone_is_no_change_and_a_new_attribute_is(root: Path) -> None:
    base, now = root / "base", root / "now"
    for folder in (base, now):
        write(Directory({b"f": File(b"same", 0o644), b"l": Link(b"x")}, 0o755), os.fsencode(folder))
    os.utime(now / "f", (5, 5))
    os.utime(now / "l", (5, 5), follow_symlinks=False)
    with ContainerTree.of_folder(Runner(), now, base=base) as tree:
        assert tree.changes() == ()
        try:
            os.setxattr(now / "f", "user.colour", b"blue\0")
        except OSError:
            pytest.skip("this file system has no user attributes")
        os.setxattr(now / "f", "user.overlay.opaque", b"y")
        [change] = tree.changes()
        assert (change.path, change.xattrs) == ("/f", (("user.colour", b"blue\0"),))
        assert tree.xattrs("/f") == (("user.colour", b"blue\0"),)
        tree.apply(LayerContent((attrs.evolve(change, path="/g"),)), 0)
        assert os.getxattr(now / "g", "user.colour") == b"blue\0"


def test_a_change_that_keeps_size_and_time_is_found_by_its_change_time(root: Path) -> None:
    base, now = root / "base", root / "now"
    for folder in (base, now):
        write(Directory({b"f": File(b"one", 0o644), b"g": File(b"one", 0o644)}, 0o755), os.fsencode(folder))
        for name in ("f", "g"):
            os.utime(folder / name, (5, 5))
    created = (now / "g").stat().st_ctime + 0.02
    while os.stat(now / "g").st_ctime < created:  # noqa: PTH116 # waits for the kernel's clock
        (now / "g").write_bytes(b"two")
        os.utime(now / "g", (5, 5))
    with ContainerTree.of_folder(Runner(), now, base=base, created=created) as tree:
        assert [change.path for change in tree.changes()] == ["/g"]


def test_without_a_base_there_is_nothing_to_compare_with(tree: ContainerTree) -> None:
    assert not tree.layered
    with pytest.raises(BuildError, match="nothing to compare the container with"):
        tree.changes()


def nest(folder: Path, levels: int) -> None:
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_deep_folders_are_walked_and_removed(root: Path) -> None:
    base, now = root / "base", root / "now"
    base.mkdir()
    now.mkdir()
    nest(now, levels=300)
    with ContainerTree.of_folder(Runner(), now, base=base) as tree:
        assert len(tree.changes()) == 300
        tree.apply(LayerContent((LayerEntry(path="/d", change=Change.WHITEOUT),)), 0)
    assert list(now.iterdir()) == []


def test_folders_nested_too_deep_are_an_error_and_not_a_crash(root: Path) -> None:
    base, now = root / "base", root / "now"
    base.mkdir()
    now.mkdir()
    nest(now, levels=1200)
    with ContainerTree.of_folder(Runner(), now, base=base) as tree:
        with pytest.raises(BuildError, match="nested too deep"):
            tree.changes()
        with pytest.raises(BuildError, match="nested too deep"):
            tree.apply(LayerContent((LayerEntry(path="/d", change=Change.WHITEOUT),)), 0)
        assert tree.scandir("/").keys() == {"d"}
    while (now / "d" / "d").exists():
        # From the top, because what removes tmp_path goes down by recursion as well.
        (now / "d" / "d").rename(now / "next")
        (now / "d").rmdir()
        (now / "next").rename(now / "d")
