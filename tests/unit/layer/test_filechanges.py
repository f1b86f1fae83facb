# SPDX-License-Identifier: Apache-2.0
import pytest

from stxbuildah.errors import BuildError
from stxbuildah.layer.filechanges import file_changes
from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.layer import Change
from stxbuildah.model.tree import Entry, Kind

TREE = MemoryTree(
    {
        "/etc/apt/old.list": b"old",
        "/etc/apt/lists": Entry(Kind.DIRECTORY, mode=0o2755, gid=5),
        "/etc/linked": symlink("/elsewhere"),
    }
)


def test_files_come_and_go_with_the_folders_above_them() -> None:
    content = file_changes(
        TREE,
        {"/etc/apt/lists/b": b"new", "/etc/new/a": b"", "/etc/apt/old.list": None, "/etc/apt/never/there": None},
    )
    assert [(e.path, e.change, e.mode, e.gid, e.size) for e in content.entries] == [
        ("/etc", Change.DIRECTORY, 0o755, 0, 0),
        ("/etc/apt", Change.DIRECTORY, 0o755, 0, 0),
        ("/etc/apt/lists", Change.DIRECTORY, 0o2755, 5, 0),
        ("/etc/apt/lists/b", Change.FILE, 0o644, 0, 3),
        ("/etc/apt/old.list", Change.WHITEOUT, 0, 0, 0),
        ("/etc/new", Change.DIRECTORY, 0o755, 0, 0),
        ("/etc/new/a", Change.FILE, 0o644, 0, 0),
    ]
    opener = next(e for e in content.entries if e.path == "/etc/apt/lists/b").opener
    assert opener is not None
    with opener() as stream:
        assert stream.read() == b"new"


@pytest.mark.parametrize(("folder", "kind"), [("/etc/linked", "symlink"), ("/etc/apt/old.list", "file")])
def test_nothing_is_written_below_what_is_no_folder(folder: str, kind: str) -> None:
    with pytest.raises(BuildError, match=f"the image's {folder} is a {kind} and no folder"):
        file_changes(TREE, {f"{folder}/x": b""})
