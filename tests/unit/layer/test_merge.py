# SPDX-License-Identifier: Apache-2.0
"""Two layers as one: what is seen through it, that it hides nothing for nothing, and what tar makes of it."""

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.merge import merged
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, FileTree, Kind
from tests.unit.layer.directory_tree import DirectoryTree

BELOW = MemoryTree({"/etc/a": b"a", "/etc/b": b"b", "/lib/m/x": b"x", "/lib/m/sub/y": b"y", "/link": symlink("etc")})

FOLDER = Entry(Kind.DIRECTORY, mode=0o750)
THINGS: tuple[Entry | bytes, ...] = (b"old", FOLDER, symlink("a"), Entry(Kind.OTHER))
NAMES = ("a", "b", "c")
PATHS = [f"/{'/'.join(parts)}" for first in NAMES for parts in (
    (first,), *((first, second) for second in NAMES), *((first, second, third) for second in NAMES for third in NAMES),
)]  # fmt: skip


def file(path: str, data: bytes = b"new", mode: int = 0o644) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, mode=mode, size=len(data), opener=partial(io.BytesIO, data))


def folder(path: str, mode: int = 0o755) -> LayerEntry:
    return LayerEntry(path=path, change=Change.DIRECTORY, mode=mode)


def whiteout(path: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.WHITEOUT, mode=0)


def opaque(path: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.OPAQUE, mode=0)


def link(path: str, target: str) -> LayerEntry:
    return LayerEntry(path=path, change=Change.HARDLINK, target=target)


def layer(*entries: LayerEntry) -> LayerContent:
    return LayerContent(entries)


def seen(tree: FileTree, path: str = "/") -> dict[str, tuple[Entry, bytes]]:
    """Give everything that a tree shows: what it is, and a file's bytes."""
    found = {}
    for name, entry in tree.scandir(path).items():
        inner = f"{path.rstrip('/')}/{name}"
        found[inner] = (entry, tree.read(inner) if entry.kind is Kind.FILE else b"")
        found.update(seen(tree, inner) if entry.kind is Kind.DIRECTORY else {})
    return found


def assert_same(one: FileTree, other: FileTree) -> None:
    assert seen(one) == seen(other)
    for path in PATHS:
        assert one.lstat(path) == other.lstat(path)
        assert dict(one.scandir(path)) == dict(other.scandir(path))


def changes(content: LayerContent) -> list[str]:
    return [f"{entry.change.value} {entry.path}" for entry in content.entries]


@pytest.mark.parametrize(
    ("lower", "upper", "expected"),
    [
        ([folder("/etc"), file("/etc/a")], [folder("/etc"), whiteout("/etc/a")], ["directory /etc", "whiteout /etc/a"]),
        ([folder("/etc"), file("/etc/new")], [folder("/etc"), whiteout("/etc/new")], ["directory /etc"]),
        ([whiteout("/nothing")], [], []),
        ([whiteout("/lib")], [folder("/lib")], ["directory /lib", "opaque /lib"]),
        ([whiteout("/etc/a")], [file("/etc/a")], ["file /etc/a"]),
        ([file("/lib")], [folder("/lib"), file("/lib/x")], ["directory /lib", "opaque /lib", "file /lib/x"]),
        ([whiteout("/lib")], [file("/lib")], ["file /lib"]),
        ([folder("/lib"), whiteout("/lib/m")], [whiteout("/lib")], ["whiteout /lib"]),
        ([whiteout("/lib")], [folder("/lib"), whiteout("/lib/m")], ["directory /lib", "opaque /lib"]),
        ([folder("/lib"), opaque("/lib")], [], ["directory /lib", "opaque /lib"]),
        ([folder("/etc"), opaque("/etc"), file("/etc/a"), file("/etc/b")], [whiteout("/etc/b")],
         ["directory /etc", "opaque /etc", "file /etc/a"]),
        ([folder("/etc"), opaque("/etc"), file("/etc/a")], [folder("/etc"), file("/etc/b")],
         ["directory /etc", "file /etc/a", "file /etc/b"]),
        ([folder("/new"), opaque("/new")], [], ["directory /new"]),
        ([opaque("/lib/m")], [whiteout("/lib/m")], ["whiteout /lib/m"]),
        ([folder("/a"), file("/a/x")], [folder("/a"), opaque("/a")], ["directory /a"]),
        ([folder("/a"), folder("/a/b"), file("/a/b/c")], [file("/a")], ["file /a"]),
        ([folder("/link"), file("/link/a")], [whiteout("/link")], ["whiteout /link"]),
        ([whiteout("/link")], [folder("/link")], ["directory /link"]),
    ],
)  # fmt: skip
def test_no_mark_is_missing_or_in_vain(lower: list[LayerEntry], upper: list[LayerEntry], expected: list[str]) -> None:
    made = merged(layer(*lower), layer(*upper), BELOW)
    assert changes(made) == expected
    assert_same(OverlaidTree(BELOW, made), OverlaidTree(OverlaidTree(BELOW, layer(*lower)), layer(*upper)))


def test_the_upper_layer_tells_a_folders_mode() -> None:
    made = merged(layer(folder("/etc", 0o700), file("/etc/a")), layer(folder("/etc", 0o1777), file("/etc/b")), BELOW)
    assert made.entries[0] == folder("/etc", 0o1777)
    assert changes(made) == ["directory /etc", "file /etc/a", "file /etc/b"]


LINKED = layer(attrs.evolve(file("/a", b"one"), mode=0o4755, uid=7), link("/b", "/a"), link("/c", "/a"))


@pytest.mark.parametrize(
    ("upper", "expected"),
    [
        ([whiteout("/a")], ["file /b", "hardlink /c"]),
        ([whiteout("/a"), whiteout("/b")], ["file /c"]),
        ([file("/a", b"two")], ["file /a", "file /b", "hardlink /c"]),
        ([whiteout("/b")], ["file /a", "hardlink /c"]),
        ([file("/b", b"two")], ["file /a", "file /b", "hardlink /c"]),
        ([file("/a", b"two"), link("/b", "/a")], ["file /a", "hardlink /b", "file /c"]),
    ],
)
def test_links_outlive_their_target(upper: list[LayerEntry], expected: list[str]) -> None:
    made = merged(LINKED, layer(*upper), BELOW)

    assert changes(made) == expected
    entries = {entry.path: entry for entry in made.entries}
    for entry in made.entries:
        if entry.change is Change.HARDLINK:
            assert entries[entry.target].change is Change.FILE
    below = MemoryTree({})
    both = OverlaidTree(OverlaidTree(below, LINKED), layer(*upper))
    for path in entries:
        assert OverlaidTree(below, made).read(path) == both.read(path)
    new = [entry for entry in made.entries if entry.change is Change.FILE and entry not in (*upper, LINKED.entries[0])]
    assert all((entry.mode, entry.uid, entry.size) == (0o4755, 7, 3) for entry in new)


@st.composite
def trees(draw: st.DrawFn) -> MemoryTree:
    """Give a small image."""
    content: dict[str, Entry | bytes | tuple[Entry, bytes]] = {}
    for path in draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=12).map(sorted)):
        if all(content.get(parent, FOLDER) == FOLDER for parent in parents(path)):
            content[path] = draw(st.sampled_from(THINGS))
    return MemoryTree(content)


@st.composite
def layers(draw: st.DrawFn, name: str) -> LayerContent:
    """Give a layer that keeps the contract of ``LayerContent``; its files tell which layer they are of."""
    entries: dict[str, LayerEntry] = {}
    emptied: list[LayerEntry] = []
    targets: list[LayerEntry] = []
    for path in draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=10).map(sorted)):
        above = list(parents(path))
        if any(entry is not None and entry.change is not Change.DIRECTORY for entry in map(entries.get, above)):
            continue
        for parent in above:
            entries.setdefault(parent, folder(parent, draw(st.sampled_from([0o755, 0o700]))))
        kind = draw(st.sampled_from([*Change, Change.DIRECTORY, Change.WHITEOUT]))
        if kind is Change.HARDLINK and not targets:
            kind = Change.FILE
        if kind is Change.OPAQUE:
            emptied.append(opaque(path))
            kind = Change.DIRECTORY
        entries[path] = draw(entry_of(path, kind, name, targets))
        targets += [entries[path]] if kind is Change.FILE else []
    return LayerContent(tuple(sorted([*entries.values(), *emptied], key=lambda e: (e.path, e.change is Change.OPAQUE))))


def parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def entry_of(path: str, kind: Change, name: str, targets: list[LayerEntry]) -> st.SearchStrategy[LayerEntry]:
    match kind:
        case Change.FILE:
            data = f"{name} {path}".encode()
            return st.sampled_from([0o644, 0o755]).map(lambda mode: file(path, data, mode))
        case Change.DIRECTORY:
            return st.just(folder(path, 0o711))
        case Change.HARDLINK:
            return st.sampled_from(targets).map(lambda target: attrs.evolve(link(path, target.path), mode=target.mode))
        case Change.SYMLINK:
            return st.just(LayerEntry(path=path, change=kind, mode=0o777, target=name))
        case _:
            return st.just(whiteout(path))


def without(content: LayerContent, entry: LayerEntry) -> LayerContent:
    return LayerContent(tuple(other for other in content.entries if other is not entry))


@given(below=trees(), lower=layers("lower"), upper=layers("upper"))
def test_one_layer_shows_what_two_show(below: MemoryTree, lower: LayerContent, upper: LayerContent) -> None:
    made = merged(lower, upper, below)

    view = OverlaidTree(below, made)
    assert_same(view, OverlaidTree(OverlaidTree(below, lower), upper))
    assert_contract(made)
    for entry in made.entries:
        if entry.change in {Change.WHITEOUT, Change.OPAQUE}:
            assert seen(OverlaidTree(below, without(made, entry))) != seen(view)
    assert merged(lower, upper, below) == made


def assert_contract(content: LayerContent) -> None:
    """What model/layer.py says of every layer."""
    keys = [(entry.path, entry.change is Change.OPAQUE) for entry in content.entries]
    assert keys == sorted(set(keys))
    entries: Mapping[str, LayerEntry] = {e.path: e for e in content.entries if e.change is not Change.OPAQUE}
    for entry in content.entries:
        for parent in parents(entry.path):
            assert entries[parent].change is Change.DIRECTORY
        if entry.change is Change.OPAQUE:
            assert entries[entry.path].change is Change.DIRECTORY
        if entry.change is Change.HARDLINK:
            assert entries[entry.target].change is Change.FILE


@given(below=trees(), first=layers("first"), second=layers("second"), third=layers("third"))
def test_neighbours_can_be_merged_in_any_order(
    below: MemoryTree, first: LayerContent, second: LayerContent, third: LayerContent
) -> None:
    from_below = merged(merged(first, second, below), third, below)
    from_above = merged(first, merged(second, third, OverlaidTree(below, first)), below)

    expected = OverlaidTree(OverlaidTree(OverlaidTree(below, first), second), third)
    assert_same(OverlaidTree(below, from_below), expected)
    assert_same(OverlaidTree(below, from_above), expected)


@given(below=trees(), only=layers("only"))
def test_nothing_above_or_below_changes_nothing(below: MemoryTree, only: LayerContent) -> None:
    expected = OverlaidTree(below, only)
    assert_same(OverlaidTree(below, merged(only, LayerContent(()), below)), expected)
    assert_same(OverlaidTree(below, merged(LayerContent(()), only, below)), expected)


def unpack(root: Path, content: LayerContent, scratch: Path) -> None:
    """Write a layer and apply its tar to a folder as layer.md of the OCI image specification tells it."""
    write_layer(content, scratch, timestamp=0)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(scratch.read_bytes()))) as tar:
        members = tar.getmembers()
        for member in members:
            folder, name = os.path.split(member.name)
            if name == ".wh..wh..opq":
                for child in (root / folder).iterdir() if (root / folder).is_dir() else ():
                    remove(child)
            elif name.startswith(".wh."):
                remove(root / folder / name.removeprefix(".wh."))
        for member in members:
            path = root / member.name
            if path.name.startswith(".wh."):
                continue
            if not (member.isdir() and path.is_dir() and not path.is_symlink()):
                remove(path)
            if member.isdir():
                path.mkdir(exist_ok=True)
            elif member.issym():
                path.symlink_to(member.linkname)
            elif member.islnk():
                path.hardlink_to(root / member.linkname)
            else:
                source = tar.extractfile(member)
                assert source is not None
                path.write_bytes(source.read())
            if not member.issym():
                path.chmod(member.mode)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def on_disk(root: Path) -> dict[str, tuple[Entry, bytes]]:
    return {
        path: (attrs.evolve(entry, mtime=0, size=0), data)
        for path, (entry, data) in seen(DirectoryTree(str(root))).items()
    }


@settings(max_examples=60)
@given(base=layers("base"), lower=layers("lower"), upper=layers("upper"))
def test_the_tars_do_what_the_values_say(
    base: LayerContent, lower: LayerContent, upper: LayerContent, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tars")
    for name, contents in (
        ("two", [base, lower, upper]), ("one", [base, merged(lower, upper, OverlaidTree(MemoryTree({}), base))]),
    ):  # fmt: skip
        (folder / name).mkdir()
        for content in contents:
            unpack(folder / name, content, folder / "scratch")
    assert on_disk(folder / "one") == on_disk(folder / "two")
    for path, (entry, _) in on_disk(folder / "one").items():
        if entry.kind is Kind.FILE:
            names = [(folder / name / path[1:]).stat().st_nlink for name in ("one", "two")]
            assert names[0] == names[1]
