# SPDX-License-Identifier: Apache-2.0
"""A layer as a value: what it adds to an image and what it takes away."""

from collections.abc import Callable
from enum import StrEnum
from typing import BinaryIO

import attrs

from stxbuildah.model.value import Value


class Change(StrEnum):
    """What a layer does to one path."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"


@attrs.frozen(kw_only=True)
class LayerEntry(Value):
    """One path of a layer.

    Attributes:
        path: absolute path inside the image, normalized; of a whiteout, the path that goes away; of an opaque
            whiteout, the folder whose old content goes away.
        change: what happens to the path.
        mode: permission bits with setuid, setgid and sticky.
        uid: owner.
        gid: group.
        size: bytes of a file's content.
        target: target of a symbolic link as written; of a hard link, the absolute path linked to.
        opener: opens a file's content for reading; None for anything else.
        xattrs: extended attributes by name, as ``security.capability``.
    """

    path: str
    change: Change
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    target: str = ""
    opener: Callable[[], BinaryIO] | None = attrs.field(default=None, eq=False, repr=False)
    xattrs: tuple[tuple[str, bytes], ...] = ()


@attrs.frozen
class LayerContent(Value):
    """A whole layer.

    Attributes:
        entries: sorted by path, each path once; every parent folder of an entry stands before it.
    """

    entries: tuple[LayerEntry, ...]


class Compression(StrEnum):
    """How a layer's tar is compressed."""

    GZIP = "gzip"
    ZSTD = "zstd"


@attrs.frozen(kw_only=True)
class LayerBlob(Value):
    """A layer as written to a file.

    Attributes:
        diff_id: digest of the uncompressed tar.
        digest: digest of the compressed file.
        size: bytes of the compressed file.
        uncompressed_size: bytes of the tar.
        compression: how it is compressed.
    """

    diff_id: str
    digest: str
    size: int
    uncompressed_size: int
    compression: Compression
