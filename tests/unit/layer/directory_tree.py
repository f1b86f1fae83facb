# SPDX-License-Identifier: Apache-2.0
"""A folder of this machine as the file tree of an image, for tests that compare with real programs."""

import os
import stat
from collections.abc import Mapping

from stxbuildah.model.tree import Entry, FileTree, Kind

_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}


class DirectoryTree(FileTree):
    """The files below ``root``; the last link of a path is never followed, those before it as the kernel does."""

    def __init__(self, root: str = "") -> None:
        self._root = root

    def lstat(self, path: str) -> Entry | None:
        try:
            return self._entry(self._root + path)
        except OSError:
            return None

    def scandir(self, path: str) -> Mapping[str, Entry]:
        entry = self.lstat(path)
        if entry is None or entry.kind is not Kind.DIRECTORY:
            return {}
        names = os.listdir(self._root + path)  # noqa: PTH208 # a path of the image, as text
        return {name: self._entry(f"{self._root}{path}/{name}") for name in names}

    def read(self, path: str) -> bytes:
        entry = self.lstat(path)
        if entry is None or entry.kind is not Kind.FILE:
            raise FileNotFoundError(path)
        with open(self._root + path, "rb") as stream:  # noqa: PTH123 # a path of the image, as text
            return stream.read()

    def _entry(self, path: str) -> Entry:
        found = os.lstat(path)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), Kind.OTHER)
        return Entry(
            kind,
            mode=stat.S_IMODE(found.st_mode),
            size=found.st_size if kind is Kind.FILE else 0,
            mtime=int(found.st_mtime),
            target=os.readlink(path) if kind is Kind.SYMLINK else "",  # noqa: PTH115
        )
