# SPDX-License-Identifier: Apache-2.0
"""An image's files, most of them read from the image it stands on."""

import io
from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from stxbuildah.layer.above import AboveTree
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, FileTree, Kind


@attrs.frozen
class File:
    content: bytes


@attrs.frozen
class Link:
    target: str


@attrs.frozen
class Whiteout:
    pass


@attrs.frozen(eq=False)
class Folder:
    names: Mapping[str, "Node"]
    mode: int = 0o755
    opaque: bool = False


Node = File | Link | Whiteout | Folder

_files = st.builds(File, st.binary(max_size=3))
_links = st.builds(Link, st.sampled_from(["a", "/b", "../c"]))


def folders(*leaves: st.SearchStrategy[Node], opaque: st.SearchStrategy[bool]) -> st.SearchStrategy[Folder]:
    def folder(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Folder]:
        names = st.dictionaries(st.sampled_from("ab"), nodes, max_size=3)
        return st.builds(Folder, names=names, mode=st.sampled_from([0o755, 0o700]), opaque=opaque)

    return folder(st.recursive(st.one_of(*leaves), folder, max_leaves=8)).map(
        lambda root: attrs.evolve(root, mode=0o755, opaque=False)
    )


BASES = folders(_files, _links, opaque=st.just(False))
LAYERS = folders(_files, _links, st.just(Whiteout()), opaque=st.booleans())


def walk(folder: Folder, prefix: str = "") -> Iterator[tuple[str, Node]]:
    for name, node in sorted(folder.names.items()):
        yield f"{prefix}/{name}", node
        if isinstance(node, Folder):
            yield from walk(node, f"{prefix}/{name}")


def memory(base: Folder) -> MemoryTree:
    content: dict[str, bytes | Entry] = {}
    for path, node in walk(base):
        match node:
            case File(data):
                content[path] = data
            case Link(target):
                content[path] = symlink(target)
            case Folder(mode=mode):
                content[path] = Entry(Kind.DIRECTORY, mode=mode)
            case Whiteout():
                raise AssertionError("only layers have whiteouts")
    return MemoryTree(content)


def entries(layer: Folder) -> Iterator[LayerEntry]:
    for path, node in walk(layer):
        match node:
            case File(data):
                opener = partial(io.BytesIO, data)
                yield LayerEntry(path=path, change=Change.FILE, size=len(data), opener=opener)
            case Link(target):
                yield LayerEntry(path=path, change=Change.SYMLINK, mode=0o777, target=target)
            case Whiteout():
                yield LayerEntry(path=path, change=Change.WHITEOUT)
            case Folder(mode=mode, opaque=opaque):
                if opaque:
                    yield LayerEntry(path=path, change=Change.OPAQUE)
                yield LayerEntry(path=path, change=Change.DIRECTORY, mode=mode)


def touched(layer: Folder, prefix: str = "") -> dict[str, bool]:
    """What a layer has, as its folder tells it: nothing of what is inside an opaque one."""
    found: dict[str, bool] = {}
    for name, node in layer.names.items():
        shows = isinstance(node, Folder) and not node.opaque
        found[f"{prefix}/{name}"] = shows
        if isinstance(node, Folder) and shows:
            found |= touched(node, f"{prefix}/{name}")
    return found


def touched_by_all(layers: Sequence[Folder]) -> dict[str, bool]:
    """What several layers have: a folder shows what is below all of them when it does in each that has it."""
    told = [touched(layer) for layer in layers]
    return {path: all(one.get(path, True) for one in told) for paths in told for path in paths}


def read(tree: FileTree, path: str) -> bytes | None:
    try:
        return tree.read(path)
    except FileNotFoundError:
        return None


def start(tree: FileTree, path: str) -> bytes | None:
    try:
        return tree.read_start(path, 2)
    except FileNotFoundError:
        return None


def overlaid(base: FileTree, layer: Folder) -> FileTree:
    seen: FileTree = OverlaidTree(base, LayerContent(tuple(entries(layer))))
    return seen


DEEP = Folder({"a": Folder({"b": Folder({"c": File(b"below")})})})


@given(base=BASES, layers=st.lists(LAYERS, min_size=1, max_size=3))
@example(base=DEEP, layers=[Folder({"a": Folder({"b": Folder({})})}), Folder({"a": Whiteout()})])
@example(base=DEEP, layers=[Folder({"a": File(b"")}), Folder({"a": Folder({"b": Folder({})})})])
def test_it_answers_as_the_whole_image_does(base: Folder, layers: list[Folder]) -> None:
    below: FileTree = memory(base)
    whole = reduce(overlaid, layers, below)
    above = AboveTree(below, whole, touched_by_all(layers))
    paths = {path for folder in (base, *layers) for path, _ in walk(folder)}
    for path in ("/", *paths, *(f"{path}/missing" for path in paths), "/missing"):
        assert above.lstat(path) == whole.lstat(path)
        assert above.scandir(path) == whole.scandir(path)
        assert read(above, path) == read(whole, path)
        assert start(above, path) == start(whole, path)


def test_the_image_is_asked_for_nothing_that_its_layers_leave_alone() -> None:
    below = MemoryTree({"/a/b": b"below", "/a/d/e": b"below", "/f": b"below"})
    above = AboveTree(below, MemoryTree({"/a/c": b"whole"}), {"/a": True, "/a/c": False})
    assert [above.read(path) for path in ("/a/b", "/a/d/e", "/f", "/a/c")] == [b"below"] * 3 + [b"whole"]
    assert list(above.scandir("/a")) == ["c"]
    assert list(above.scandir("/a/d")) == ["e"]
