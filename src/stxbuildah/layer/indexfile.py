# SPDX-License-Identifier: Apache-2.0
"""The file of a layer index: what one layer does to the file tree of an image, and the contents that were kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import attrs

from stxbuildah.model.tree import Entry

FORMAT_VERSION = 1


@attrs.frozen
class Folder:
    """What a layer does in one folder.

    Attributes:
        entries: what the layer has there, by name. An entry whose kind is unknown here is not among them: a hard link
            to a file of a layer below stands in ``links``.
        whiteouts: names of layers below that go away.
        opaque: everything that layers below have in the folder goes away.
        links: by name, the header of a hard link to a path that the layer itself does not have; its ``target`` is
            that absolute path.
    """

    entries: Mapping[str, Entry]
    whiteouts: frozenset[str] = frozenset()
    opaque: bool = False
    links: Mapping[str, Entry] = attrs.field(factory=dict)


class LayerIndex:
    """An open index of one layer. It can be used from several threads."""

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open an index; None when the file is missing, damaged, of another version or something else."""
        raise NotImplementedError

    @property
    def diff_id(self) -> str:
        """Digest of the layer's uncompressed tar, as it was when the index was made."""
        raise NotImplementedError

    def folder(self, path: str) -> Folder | None:
        """Give what the layer does in a folder; None when it has no such folder."""
        raise NotImplementedError

    def content(self, path: str) -> bytes | None:
        """Give the content of a regular file; None when it was not kept whole, or is damaged."""
        raise NotImplementedError

    def content_start(self, path: str, size: int) -> bytes | None:
        """Give at most the first ``size`` bytes of a regular file; None when fewer were kept, or they are damaged."""
        raise NotImplementedError

    def with_contents(self, contents: Mapping[str, bytes], target: Path) -> None:
        """Write this index to another file, with more contents of regular files, by absolute path."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the file."""
        raise NotImplementedError
