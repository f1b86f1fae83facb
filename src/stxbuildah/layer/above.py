# SPDX-License-Identifier: Apache-2.0
"""An image's files, of which those that its topmost layers leave alone are read from the image below."""

from collections.abc import Mapping

from stxbuildah.model.tree import Entry, FileTree


class AboveTree(FileTree):
    """The file tree of an image that stands on another one whose files are known better.

    Args:
        below: the files of the image below.
        whole: the image's own files.
        touched: the paths in its layers above that image. True for a folder that shows what is below in it; False
            for all that hides what is below, and for what takes it away.
    """

    def __init__(self, below: FileTree, whole: FileTree, touched: Mapping[str, bool]) -> None:
        self._below = below
        self._whole = whole
        self._touched = touched

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        return self._tree(path).lstat(path)

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name; empty when it is no directory."""
        return self._tree(path).scandir(path)

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        return self._tree(path).read(path)

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        return self._tree(path).read_start(path, size)

    def _tree(self, path: str) -> FileTree:
        """Give the tree that knows a path: the one below, unless the path was touched or what leads to it hidden."""
        if path in self._touched or path == "/":
            return self._whole
        folder = path.rpartition("/")[0]
        while folder:
            # Of several layers one may show what is below in a folder, and another hide what leads to it.
            if self._touched.get(folder) is False:
                return self._whole
            folder = folder.rpartition("/")[0]
        return self._below
