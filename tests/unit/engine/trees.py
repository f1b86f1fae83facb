# SPDX-License-Identifier: Apache-2.0
"""Random file trees on disk, and what the ordinary functions of the system say of them."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs
from hypothesis import strategies as st


@attrs.frozen
class File:
    content: bytes
    mode: int


@attrs.frozen
class Link:
    target: bytes


@attrs.frozen
class Fifo:
    pass


@attrs.frozen(eq=False)
class Directory:
    names: Mapping[bytes, "Node"]
    mode: int


Node = File | Link | Fifo | Directory

NAMES = st.sampled_from([b"a", b"b", b"c d", b"\xff\xfe", b"new\nline", "\u00fc".encode(), b".wh.a", b"a-"])
TARGETS = st.sampled_from([b"a", b"b", b"/etc/passwd", b"..", b"../..", b"nowhere", b"\xff", b"."])
CONTENTS = st.sampled_from([b"", b"one", b"two", b"\0" * 5000])

leaves = st.one_of(
    st.builds(File, content=CONTENTS, mode=st.sampled_from([0o644, 0o600, 0o755, 0o4755, 0o2711])),
    st.builds(Link, target=TARGETS),
    st.builds(Fifo),
)


def directories(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Directory]:
    modes = st.sampled_from([0o755, 0o700, 0o1777, 0o2775])
    return st.builds(Directory, names=st.dictionaries(NAMES, nodes, max_size=4), mode=modes)


trees = directories(st.recursive(leaves, directories, max_leaves=12))


def write(node: Node, path: bytes) -> None:
    """Make a node and all below it."""
    place = Path(os.fsdecode(path))
    match node:
        case File():
            place.write_bytes(node.content)
            place.chmod(node.mode)
        case Link():
            place.symlink_to(os.fsdecode(node.target))
        case Fifo():
            os.mkfifo(place)
        case Directory():
            place.mkdir()
            for name, inner in node.names.items():
                write(inner, path + b"/" + name)
            place.chmod(node.mode)


def snapshot(path: bytes, *, special: bool = True) -> dict[bytes, tuple[str, int, bytes]]:
    """Give kind, mode, and content or target of everything below a folder, by relative path."""
    found: dict[bytes, tuple[str, int, bytes]] = {}
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            full = folder + b"/" + name
            place = Path(os.fsdecode(full))
            status = place.lstat()
            kind, data = "other", b""
            if stat.S_ISREG(status.st_mode):
                kind, data = "file", place.read_bytes()
            elif stat.S_ISLNK(status.st_mode):
                kind, data = "symlink", os.fsencode(place.readlink())
            elif stat.S_ISDIR(status.st_mode):
                kind = "directory"
            if special or kind != "other":
                found[full.removeprefix(path)] = (kind, stat.S_IMODE(status.st_mode), data)
    return found
