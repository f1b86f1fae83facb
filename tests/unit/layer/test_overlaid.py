# SPDX-License-Identifier: Apache-2.0
"""An image seen through one more layer."""

import io

from stxbuildah.layer.memory import MemoryTree
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, Kind

BASE = MemoryTree({"/etc/a": b"old", "/etc/b": b"stays", "/usr/lib/m/x.py": b"x", "/usr/lib/m/sub/y.py": b"y"})


def file(path: str, data: bytes) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, size=len(data), opener=lambda: io.BytesIO(data))


def seen(*entries: LayerEntry) -> OverlaidTree:
    return OverlaidTree(BASE, LayerContent(entries))


def test_a_file_replaces_and_another_is_added() -> None:
    tree = seen(file("/etc/a", b"newer"), file("/etc/c", b"c"))
    assert (tree.read("/etc/a"), tree.read("/etc/b"), tree.read("/etc/c")) == (b"newer", b"stays", b"c")
    assert set(tree.scandir("/etc")) == {"a", "b", "c"}
    assert tree.lstat("/etc/a") == Entry(kind=Kind.FILE, mode=0o644, size=5)
    assert tree.read_start("/etc/a", 3) == b"new"
    assert tree.read_start("/etc/b", 3) == b"sta"


def test_whiteouts_hide_files_and_whole_folders() -> None:
    tree = seen(
        LayerEntry(path="/etc/a", change=Change.WHITEOUT), LayerEntry(path="/usr/lib/m", change=Change.WHITEOUT)
    )
    assert tree.lstat("/etc/a") is None
    assert tree.lstat("/usr/lib/m/sub/y.py") is None
    assert dict(tree.scandir("/usr/lib/m")) == {}
    assert dict(tree.scandir("/usr/lib")) == {}
    assert set(tree.scandir("/etc")) == {"b"}


def test_an_opaque_folder_holds_only_the_layers_own() -> None:
    tree = seen(LayerEntry(path="/usr/lib/m", change=Change.OPAQUE), file("/usr/lib/m/new.py", b"n"))
    assert set(tree.scandir("/usr/lib/m")) == {"new.py"}
    assert tree.lstat("/usr/lib/m/x.py") is None


def test_a_folder_that_becomes_a_file() -> None:
    tree = seen(file("/usr/lib/m", b"module"))
    assert tree.read("/usr/lib/m") == b"module"
    assert tree.lstat("/usr/lib/m/x.py") is None
    assert dict(tree.scandir("/usr/lib/m")) == {}


def test_hard_links_and_links() -> None:
    tree = seen(
        file("/etc/c", b"linked"),
        LayerEntry(path="/etc/d", change=Change.HARDLINK, target="/etc/c"),
        LayerEntry(path="/etc/e", change=Change.SYMLINK, target="c", mode=0o777),
    )
    assert tree.read("/etc/d") == b"linked"
    assert tree.lstat("/etc/d") == Entry(kind=Kind.FILE, mode=0o644, size=6)
    assert tree.lstat("/etc/e") == Entry(kind=Kind.SYMLINK, mode=0o777, target="c")
