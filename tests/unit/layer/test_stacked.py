# SPDX-License-Identifier: Apache-2.0
import gzip
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
from hypothesis import given, note, settings

from stxbuildah.errors import InputError
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.layerindex import index_layer, read_files
from stxbuildah.layer.stacked import StackedTree
from stxbuildah.model.tree import Entry, Kind
from tests.layerstacks import Member, Stack, every_path, stacks, tar_of


@attrs.define
class Fetched:
    """Reads layers again as they are asked for, and remembers what was asked."""

    tars: tuple[bytes, ...]
    indexes: tuple[LayerIndex, ...]
    asked: list[tuple[int, frozenset[str]]] = attrs.field(factory=list)

    def __call__(self, number: int, paths: Collection[str]) -> Mapping[str, bytes]:
        self.asked.append((number, frozenset(paths)))
        return read_files([self.tars[number]], self.indexes[number], paths, what=f"layer {number}")


@contextmanager
def opened(*tars: bytes) -> Iterator[tuple[StackedTree, Fetched]]:
    with tempfile.TemporaryDirectory() as folder:
        indexes = []
        for number, tar in enumerate(tars):
            target = Path(folder, str(number))
            index_layer([gzip.compress(tar, 1)], what=f"layer {number}", diff_id="", target=target)
            index = LayerIndex.open(target)
            assert index is not None
            indexes.append(index)
        fetch = Fetched(tars, tuple(indexes))
        yield StackedTree(indexes, fetch), fetch
        for index in indexes:
            index.close()


def layer(*members: Member) -> bytes:
    return tar_of(members)


def file(path: str, content: bytes = b"", mtime: int = 0) -> Member:
    return Member(path=path, kind="file", content=content, mtime=mtime)


def folder(path: str, mode: int = 0o700) -> Member:
    return Member(path=path, kind="directory", mode=mode)


def whiteout(path: str) -> Member:
    return Member(path=path, kind="whiteout")


def symlink(path: str, target: str) -> Member:
    return Member(path=path, kind="symlink", target=target)


def hardlink(path: str, target: str, mode: int = 0o644, uid: int = 0) -> Member:
    return Member(path=path, kind="hardlink", target=target, mode=mode, uid=uid)


@settings(max_examples=300, deadline=None)
@given(stacks(strict=False))
def test_the_tree_is_that_of_the_model(stack: Stack) -> None:
    note(repr(stack.members))
    with opened(*stack.tars) as (tree, _):
        for path in every_path(stack.tree):
            node = stack.tree.get(path)
            assert tree.lstat(path) == (node.entry if node else None), path
            below = "" if path == "/" else path
            names = {
                other.removeprefix(f"{below}/"): found.entry
                for other, found in stack.tree.items()
                if other != "/" and other.rpartition("/")[0] == below
            }
            assert tree.scandir(path) == (names if node and node.entry.kind is Kind.DIRECTORY else {})
            if node is not None and node.entry.kind is Kind.FILE:
                assert tree.read(path) == node.content
                assert tree.read_start(path, 3) == node.content[:3]
            else:
                with pytest.raises(FileNotFoundError):
                    tree.read(path)
                with pytest.raises(FileNotFoundError):
                    tree.read_start(path, 3)


def test_a_parent_that_the_tar_omits_is_that_of_the_layer() -> None:
    with opened(layer(folder("a", 0o700), file("a/b")), layer(file("a/c"))) as (tree, _):
        assert tree.lstat("/a") == Entry(Kind.DIRECTORY, mode=0o755)
        assert [*tree.scandir("/a")] == ["c", "b"]


def test_a_link_of_a_layer_below_is_no_folder_of_the_layer() -> None:
    below = layer(folder("usr/lib"), file("usr/lib/old"), symlink("lib", "usr/lib"))
    with opened(below, layer(file("lib/new"))) as (tree, _):
        assert [*tree.scandir("/lib")] == ["new"]
        assert [*tree.scandir("/usr/lib")] == ["old"]


def test_links_of_the_layer_are_followed_inside_it() -> None:
    members = [symlink("a/l", "/c"), file("a/l/x"), symlink("a/up", "../../../c"), file("a/up/y")]
    with opened(layer(*members)) as (tree, _):
        assert set(tree.scandir("/c")) == {"x", "y"}
        assert set(tree.scandir("/a")) == {"l", "up"}


def test_a_folder_in_place_of_the_link_that_leads_to_it_is_used_from_then_on() -> None:
    with opened(layer(symlink("l", "."), file("l/before"), folder("l/l"), file("l/after"))) as (tree, _):
        assert set(tree.scandir("/")) == {"before", "l"}
        assert set(tree.scandir("/l")) == {"after"}


def test_what_is_below_a_link_does_not_exist() -> None:
    with opened(layer(folder("a"), file("a/b", b"1"), symlink("link", "a"))) as (tree, _):
        assert tree.lstat("/link/b") is None
        assert tree.scandir("/link") == {}
        with pytest.raises(FileNotFoundError):
            tree.read("/link/b")


def test_entries_win_over_whiteouts_of_their_layer_and_hide_what_is_below() -> None:
    below = layer(folder("a"), file("a/old"), file("b"))
    for above in (
        layer(whiteout("a"), folder("a"), file("a/new"), whiteout("b"), file("b", b"new")),
        layer(folder("a"), file("a/new"), whiteout("a"), file("b", b"new"), whiteout("b")),
    ):
        with opened(below, above) as (tree, _):
            assert [*tree.scandir("/a")] == ["new"]
            assert tree.read("/b") == b"new"


def test_whiteouts_in_a_folder_that_is_whited_out_make_no_folder() -> None:
    below = layer(folder("a"), file("a/b/c"))
    for above in (layer(whiteout("a"), whiteout("a/b"), whiteout("a/b/c")), layer(whiteout("a/b/c"), whiteout("a"))):
        with opened(below, above) as (tree, _):
            assert tree.scandir("/") == {}


def test_marks_of_aufs_are_passed_over() -> None:
    with opened(layer(file("a"), file(".wh..wh.plnk/1"), file(".wh..wh.aufs"), file(".wh."), file(".wh..."))) as (
        tree,
        _,
    ):
        assert tree.lstat("/a") is not None
        assert ".wh..wh.aufs" not in tree.scandir("/")


def test_a_hard_link_to_a_layer_below_is_that_file_with_the_metadata_of_the_link() -> None:
    below = layer(folder("usr"), file("usr/a", b"content", mtime=1), symlink("s", "usr"))
    with opened(
        below, layer(file("other")), layer(hardlink("b", "usr/a", mode=0o755, uid=7), hardlink("c", "s/a"))
    ) as (
        tree,
        _,
    ):
        assert tree.lstat("/b") == Entry(Kind.FILE, mode=0o755, uid=7, size=7, mtime=0)
        assert tree.read("/b") == tree.read("/c") == b"content"
        assert tree.read_start("/b", 2) == b"co"
        assert set(tree.scandir("/")) == {"usr", "s", "other", "b", "c"}


def test_a_hard_link_to_nothing_is_not_there_and_hides_all_the_same() -> None:
    with opened(layer(file("b", b"old")), layer(hardlink("b", "missing"))) as (tree, _):
        assert tree.lstat("/b") is None
        assert tree.scandir("/") == {}


@pytest.mark.parametrize("member", [file("a/b"), hardlink("c", "d"), folder("a/b/c")])
def test_what_cannot_be_unpacked_is_refused(member: Member) -> None:
    with pytest.raises(InputError, match=r"layer 0: .*directory"), opened(layer(file("a"), folder("d"), member)):
        pass


def test_a_deep_tree_is_read() -> None:
    deep = "/".join(["d"] * 1500)
    with opened(layer(file(f"{deep}/f", b"1"))) as (tree, _):
        assert tree.read(f"/{deep}/f") == b"1"
        assert tree.lstat("/" + "x/" * 3000 + "f") is None


def test_links_that_make_folders_without_end_are_refused() -> None:
    deep = "/".join(["d"] * 1500)
    members = [symlink("l", deep), symlink("l/m", deep), file("l/m/f")]
    with pytest.raises(InputError, match="2048 folders"), opened(layer(*members)):
        pass


def test_the_files_of_a_module_are_fetched_together() -> None:
    site = "usr/lib/python3/dist-packages"
    content = {f"{site}/m/{name}.py": name.encode() for name in "abc"}
    other = {f"{site}/n/a.py": b"1", f"{site}/m-1.dist-info/METADATA": b"Name: m"}
    tar = layer(*(file(path, data) for path, data in {**content, **other}.items()))
    with opened(layer(file("x")), tar, layer(file("y"))) as (tree, fetch):
        assert tree.read(f"/{site}/m-1.dist-info/METADATA") == b"Name: m"
        assert fetch.asked == []
        for path, data in content.items():
            assert tree.read(f"/{path}") == data
        assert fetch.asked == [(1, frozenset(f"/{path}" for path in content))]


def test_a_layer_that_is_another_one_now_is_refused() -> None:
    with opened(layer(file("a", b"1"))) as (tree, fetch):
        fetch.tars = (layer(file("a", b"2")),)
        with pytest.raises(InputError, match="layer 0: its uncompressed tar has the digest"):
            tree.read("/a")


def test_a_path_that_no_bytes_can_be_is_not_there() -> None:
    with opened(layer(file("a"))) as (tree, _):
        assert tree.lstat("/\ud800/a") is None
