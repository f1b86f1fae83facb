# SPDX-License-Identifier: Apache-2.0
"""What one layer does to the file tree of an image, found out while its tar streams by."""

from collections.abc import Collection, Iterable
from pathlib import Path

from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.tarmember import Limits


def index_layer(
    chunks: Iterable[bytes], *, what: str, diff_id: str, target: Path, limits: Limits | None = None
) -> None:
    """Write the index of a layer while it streams by.

    Args:
        chunks: the layer's blob, compressed or not; read to its end.
        what: which layer of which image, for errors.
        diff_id: digest that the uncompressed tar must have; empty when it is not known.
        target: the index file to write; it is there whole or not at all.
        limits: how much is accepted; the defaults of ``Limits`` when None.

    Raises:
        InputError: the layer is damaged, not what its digest says, or beyond a limit.
        DiskFullError: no space is left for the index.
    """
    raise NotImplementedError


def read_files(
    chunks: Iterable[bytes], index: LayerIndex, paths: Collection[str], *, what: str, limits: Limits | None = None
) -> dict[str, bytes]:
    """Give the contents of some regular files of an indexed layer, which streams by once more.

    Args:
        chunks: the layer's blob, compressed or not.
        index: the layer's index.
        paths: absolute paths in the index; those that are no regular files of this layer are passed over.
        what: which layer of which image, for errors.
        limits: as of ``index_layer``.

    Raises:
        InputError: the layer is damaged, is not the one that was indexed, or a file is too big.
    """
    raise NotImplementedError
