# SPDX-License-Identifier: Apache-2.0
"""Layer indexes that are kept from one run to the next."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from stxbuildah.layer.indexfile import LayerIndex

DEFAULT_MAXIMUM = 1 << 30


class IndexCache:
    """Indexes by the digest of their layers' blobs; several runs can use one folder at the same time.

    Args:
        folder: where they are; made when the first one is written.
        maximum_bytes: size of all of them; what was used least recently goes first.
    """

    def __init__(self, folder: Path, maximum_bytes: int = DEFAULT_MAXIMUM) -> None:
        self._folder = folder
        self._maximum = maximum_bytes

    def path(self, digest: str) -> Path:
        """Give where the index of a layer is, or would be."""
        raise NotImplementedError

    def find(self, digest: str) -> LayerIndex | None:
        """Open the index of a layer; None when there is none. A damaged file is removed."""
        raise NotImplementedError

    @contextmanager
    def making(self, digest: str) -> Iterator[Path]:
        """Give the path of a new index file, which takes its place in the cache when the block ends well.

        Raises:
            DiskFullError: no space is left for it.
        """
        yield self.path(digest)

    def extend(self, digest: str, index: LayerIndex, contents: Mapping[str, bytes]) -> None:
        """Keep more contents with an index, by absolute path; what cannot be written is logged and no error."""
        raise NotImplementedError
