# SPDX-License-Identifier: Apache-2.0
import pytest

from stxbuildah.layer.memory import MemoryTree, symlink
from stxbuildah.model.tree import Entry, Kind


def test_files_come_with_their_parents() -> None:
    tree = MemoryTree({"/usr/bin/tool": (Entry(Kind.FILE, mode=0o755), b"#!"), "/usr/lib64": symlink("lib")})
    folder = Entry(Kind.DIRECTORY, mode=0o755)
    assert tree.lstat("/") == tree.lstat("/usr") == tree.lstat("/usr/bin") == folder
    assert tree.scandir("/usr") == {"bin": folder, "lib64": Entry(Kind.SYMLINK, mode=0o777, target="lib")}
    assert tree.scandir("/usr/bin") == {"tool": Entry(Kind.FILE, mode=0o755, size=2)}
    assert tree.read("/usr/bin/tool") == b"#!"
    assert tree.read_start("/usr/bin/tool", 1) == b"#"
    assert (tree.lstat("/none"), tree.scandir("/usr/bin/tool")) == (None, {})
    for path in ("/usr/bin", "/usr/lib64", "/none"):
        with pytest.raises(FileNotFoundError):
            tree.read(path)


def test_a_given_folder_keeps_its_mode_and_can_be_empty() -> None:
    tree = MemoryTree({"/tmp": Entry(Kind.DIRECTORY, mode=0o1777), "/tmp/file": b""})
    assert tree.lstat("/tmp") == Entry(Kind.DIRECTORY, mode=0o1777)
    assert set(tree.scandir("/tmp")) == {"file"}


def test_nothing_can_be_below_a_file_or_a_link() -> None:
    with pytest.raises(ValueError, match="/lib/x is below /lib, which is no directory"):
        MemoryTree({"/lib": symlink("usr/lib"), "/lib/x": b""})
