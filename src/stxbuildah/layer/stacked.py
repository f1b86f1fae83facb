# SPDX-License-Identifier: Apache-2.0
"""The file tree of an image, put together from the indexes of its layers."""

from collections.abc import Callable, Collection, Mapping, Sequence

from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.model.tree import Entry, FileTree

# Gives contents of regular files of one layer: the layer's number, counted from the lowest as 0, and absolute paths.
Fetch = Callable[[int, Collection[str]], Mapping[str, bytes]]


class StackedTree(FileTree):
    """The file tree of an image that was never unpacked.

    Args:
        layers: the indexes of its layers, the lowest first.
        fetch: gives contents that the indexes do not have, by reading that layer again (``layerindex.read_files``).
            It may be asked for more paths than the one that is needed now, of which each saves a later call.
    """

    def __init__(self, layers: Sequence[LayerIndex], fetch: Fetch) -> None:
        self._layers = tuple(layers)
        self._fetch = fetch

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        raise NotImplementedError

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name; empty when it is no directory."""
        raise NotImplementedError

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
            InputError: the layer cannot be read again, or the file is too big.
        """
        raise NotImplementedError

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
            InputError: as ``read``.
        """
        raise NotImplementedError
