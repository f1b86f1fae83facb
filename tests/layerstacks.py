# SPDX-License-Identifier: Apache-2.0
"""Random stacks of layers as tars, and a slow but plain model of the file tree that they make.

The model knows a layer as one flat dictionary of paths. It is made twice as strict for what is imported into a real
store: containers/storage refuses some layers that are read here all the same.
"""

import copy
import io
import tarfile
from collections.abc import Iterator, Sequence

import attrs
from hypothesis import strategies as st
from hypothesis.vendor.pretty import RepresentationPrinter

from stxbuildah.model.tree import Entry, Kind

MAXIMUM_LINKS = 40
LONG = "long-" + "x" * 150
NAMES = ("a", "b", "c", LONG, "caf\udce9")
KINDS = ("file", "file", "sparse", "directory", "directory", "symlink", "hardlink", "fifo", "whiteout", "opaque")


@attrs.frozen(kw_only=True)
class Member:
    """One member of a tar, as it is written."""

    path: str
    kind: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    target: str = ""
    content: bytes = b""


@attrs.define
class Node:
    """What a path is; hard links share one."""

    entry: Entry
    content: bytes = b""
    implicit: bool = False


class RefusedError(Exception):
    """The member cannot be unpacked."""


@attrs.define
class Layer:
    """A layer by the rules, on a flat dictionary; ``strict`` refuses what containers/storage does otherwise or refuses.

    ``below`` is what the layers below have; it counts when strict.
    """

    strict: bool
    below: frozenset[str] = frozenset()
    nodes: dict[str, Node] = attrs.field(factory=lambda: {"": _implicit()})
    whiteouts: set[str] = attrs.field(factory=set)
    opaque: set[str] = attrs.field(factory=set)
    directories: list[str] = attrs.field(factory=list)
    written: set[str] = attrs.field(factory=set)

    def add(self, member: Member) -> None:
        folder, _, name = member.path.rpartition("/")
        above = self.resolve(folder, make=True)
        path = f"{above}/{name}"
        if self.strict and tar_name(member) in self.written:
            raise RefusedError("tar-split, of which containers/storage makes use, does not know duplicates")
        self.written.add(tar_name(member))
        if member.kind == "whiteout":
            if self.strict and path in self.nodes:
                raise RefusedError("containers/storage cannot make the whiteout over a file of the same layer")
            self.whiteouts.add(path)
        elif member.kind == "opaque":
            self.opaque.add(above)
        elif member.kind == "hardlink":
            self._link(path, member)
        elif member.kind == "directory":
            self._directory(path, member)
        else:
            self._remove(path)
            self.nodes[path] = Node(entry_of(member), member.content)
        if self.strict:
            self._check_strictly(path)

    def _directory(self, path: str, member: Member) -> None:
        if self.strict and path in self.whiteouts:
            raise RefusedError("with containers/storage the folder does not hide what is below it")
        present = self.nodes.get(path)
        if present is None or present.entry.kind is not Kind.DIRECTORY:
            self._remove(path)
        self.nodes[path] = Node(entry_of(member))
        self.directories.append(member.path)

    def _link(self, path: str, member: Member) -> None:
        folder, _, name = member.target.rpartition("/")
        target = f"{self.resolve(folder, make=False)}/{name}"
        node = self.nodes.get(target)
        if node is None or node.entry.kind is Kind.DIRECTORY or target == path:
            raise RefusedError("no such file in the layer")
        self._remove(path)
        node.entry = attrs.evolve(node.entry, uid=member.uid, gid=member.gid)
        if node.entry.kind is not Kind.SYMLINK:
            node.entry = attrs.evolve(node.entry, mode=member.mode, mtime=member.mtime)
        if target not in self.nodes:
            raise RefusedError("the link takes the place of the folder that it leads into")
        self.nodes[path] = node

    def _remove(self, path: str) -> None:
        for other in [*self.nodes]:
            if other == path or other.startswith(f"{path}/"):
                del self.nodes[other]
        self.opaque = {other for other in self.opaque if other != path and not other.startswith(f"{path}/")}
        self.whiteouts = {other for other in self.whiteouts if not other.startswith(f"{path}/")}

    def _check_strictly(self, path: str) -> None:
        """Refuse what only fails at the end, when containers/storage sets the times of all folders again."""
        if "" in self.opaque:
            raise RefusedError("overlay has no opaque root")
        for written in self.directories:
            node = self.nodes.get(self.resolve(written, make=False))
            if node is None or node.entry.kind is not Kind.DIRECTORY:
                raise RefusedError("a folder with a member of its own is gone")
        above = path.rpartition("/")[0]
        while above:
            if above in self.whiteouts:
                raise RefusedError("containers/storage has a device in place of the folder")
            above = above.rpartition("/")[0]

    def resolve(self, path: str, *, make: bool) -> str:
        """Give the path of a folder with all links followed in the layer alone."""
        here, waiting, links = "", [(name, True) for name in path.split("/") if name], 0
        while waiting:
            name, written = waiting.pop(0)
            if name == "..":
                here = here.rpartition("/")[0]
                continue
            here += f"/{name}"
            node = self.nodes.get(here)
            if node is None:
                if not make or (self.strict and not written):
                    raise RefusedError("the folder is missing")
                above = self.nodes[here.rpartition("/")[0]].entry
                self.nodes[here] = _implicit(above.mode & 0o2000)
            elif node.entry.kind is Kind.SYMLINK:
                links += 1
                if links > MAXIMUM_LINKS:
                    raise RefusedError("too many links")
                target = node.entry.target
                here = "" if target.startswith("/") else here.rpartition("/")[0]
                waiting = [(part, False) for part in target.split("/") if part not in {"", "."}] + waiting
            elif node.entry.kind is not Kind.DIRECTORY:
                raise RefusedError("no directory")
        return here


def _implicit(setgid: int = 0) -> Node:
    return Node(Entry(Kind.DIRECTORY, mode=0o755 | setgid), implicit=True)


def entry_of(member: Member) -> Entry:
    kinds = {"file": Kind.FILE, "sparse": Kind.FILE, "directory": Kind.DIRECTORY, "symlink": Kind.SYMLINK}
    kind = kinds.get(member.kind, Kind.OTHER)
    return Entry(
        kind,
        mode=0o777 if kind is Kind.SYMLINK else member.mode,
        uid=member.uid,
        gid=member.gid,
        size=len(member.content) if kind is Kind.FILE else 0,
        mtime=member.mtime,
        target=member.target if kind is Kind.SYMLINK else "",
    )


def accepted(members: Sequence[Member], layer: Layer) -> tuple[tuple[Member, ...], Layer]:
    """Give the members without those that an empty layer refuses, and the layer that they make."""
    kept = []
    for member in members:
        changed = copy.deepcopy(layer)
        try:
            changed.add(member)
        except RefusedError:
            continue
        layer = changed
        kept.append(member)
    return tuple(kept), layer


def merged(layers: Sequence[Layer]) -> dict[str, Node]:
    """Give the tree that layers make, the lowest first, by absolute path; the root is ``/``."""
    tree: dict[str, Node] = {}
    for layer in layers:
        hidden = {path for path, node in layer.nodes.items() if node.entry.kind is not Kind.DIRECTORY}
        hidden |= layer.whiteouts
        for path in [*tree]:
            inside = any(path.startswith(f"{folder}/") for folder in layer.opaque)
            if inside or any(path == gone or path.startswith(f"{gone}/") for gone in hidden):
                del tree[path]
        for path, node in layer.nodes.items():
            if node.entry.kind is Kind.DIRECTORY and path in tree and tree[path].entry.kind is not Kind.DIRECTORY:
                del tree[path]
            if not _is_hollow(layer, path):
                tree[path] = node
    return {path or "/": node for path, node in tree.items()}


def _is_hollow(layer: Layer, path: str) -> bool:
    """Whether a folder is whited out, or below such a one, and nothing but whiteouts made it."""
    parts = path.split("/")[1:]
    for position in range(1, len(parts) + 1):
        above = "/" + "/".join(parts[:position])
        inside = [node for other, node in layer.nodes.items() if other == above or other.startswith(f"{above}/")]
        if above in layer.whiteouts and all(node.implicit for node in inside):
            return True
    return False


def tar_of(members: Sequence[Member]) -> bytes:
    """Write members as a tar with pax headers; sparse files in GNU tar's format 1.0."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member in members:
            info, data = _info(member)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def tar_name(member: Member) -> str:
    """Give the path as it stands in the tar."""
    folder, slash, name = member.path.rpartition("/")
    marks = {"whiteout": f".wh.{name}", "opaque": ".wh..wh..opq"}
    return f"{folder}{slash}{marks.get(member.kind, name)}"


def _info(member: Member) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(tar_name(member))
    info.mode, info.uid, info.gid, info.mtime = member.mode, member.uid, member.gid, member.mtime
    info.linkname = member.target
    types = {"directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}
    info.type = {**types, "fifo": tarfile.FIFOTYPE}.get(member.kind, tarfile.REGTYPE)
    data = member.content if member.kind in {"file", "sparse"} else b""
    if member.kind == "sparse":
        # Everything behind the zeros of the beginning is one piece of data.
        start = len(data) - len(data.lstrip(b"\0"))
        numbers = f"1\n{start}\n{len(data) - start}\n".encode()
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": info.name,
            "GNU.sparse.realsize": str(len(data)),
        }
        data = numbers.ljust(512, b"\0") + data[start:]
    info.size = len(data)
    return info, data


def paths() -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


@st.composite
def members(draw: st.DrawFn) -> Member:
    kind = draw(st.sampled_from(KINDS))
    contents = {
        "file": st.binary(max_size=20),
        "sparse": st.binary(min_size=1, max_size=9).map(lambda end: bytes(700) + end),
    }
    up = st.sampled_from(("", "../", "/", "../../", "./"))
    return Member(
        path=draw(paths()),
        kind=kind,
        mode=draw(st.sampled_from((0o644, 0o755, 0o4755, 0o1777, 0o2750, 0o600))),
        uid=draw(st.sampled_from((0, 0, 33, 1000))),
        gid=draw(st.sampled_from((0, 0, 5))),
        mtime=draw(st.integers(1, 2_000_000_000)),
        target=draw(up) + draw(paths()) if kind == "symlink" else draw(paths()) if kind == "hardlink" else "",
        content=draw(contents[kind]) if kind in contents else b"",
    )


@attrs.frozen
class Stack:
    """Layers as their members and as tars, the lowest first, and the tree that they make; too much to be shown."""

    members: tuple[tuple[Member, ...], ...]
    tars: tuple[bytes, ...]
    tree: dict[str, Node]

    def _repr_pretty_(self, printer: RepresentationPrinter, _cycle: bool) -> None:
        printer.text(f"<{len(self.tars)} layers>")


@st.composite
def stacks(
    draw: st.DrawFn, *, strict: bool, layers: tuple[int, int] = (1, 5), sizes: tuple[int, int] = (0, 14)
) -> Stack:
    """Give stacks with so many layers, at least and at most, of so many members before what is refused is left out."""
    of_members = st.lists(members(), min_size=sizes[0], max_size=sizes[1])
    written = draw(st.lists(of_members, min_size=layers[0], max_size=layers[1]))
    found: list[tuple[Member, ...]] = []
    made: list[Layer] = []
    for several in written:
        kept, layer = accepted(several, Layer(strict, frozenset(merged(made)) if strict else frozenset()))
        found.append(kept)
        made.append(layer)
    return Stack(members=tuple(found), tars=tuple(map(tar_of, found)), tree=merged(made))


def every_path(tree: dict[str, Node]) -> Iterator[str]:
    """Give the paths of a tree, and for each some that are not there."""
    for path in sorted(tree):
        yield path
        yield f"{path.rstrip('/')}/missing"
