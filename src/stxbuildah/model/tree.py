# SPDX-License-Identifier: Apache-2.0
"""The one small interface through which an image's files are read."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

import attrs

from stxbuildah.model.value import Value


class Kind(StrEnum):
    """What a path in an image is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


@attrs.frozen
class Entry(Value):
    """What an image says of one path, without following a link.

    Attributes:
        kind: file, directory, symbolic link, or something else (device, socket, fifo).
        mode: permission bits with setuid, setgid and sticky (``st_mode & 0o7777``).
        uid: owner as the image's own users see it.
        gid: group as the image's own users see it.
        size: bytes of a file; 0 for everything else.
        mtime: whole seconds since the epoch.
        target: where a symbolic link points, as it is written; empty for everything else.
    """

    kind: Kind
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: str = ""


class FileTree(Protocol):
    """A file tree that can be asked about paths; never the host's.

    Paths are absolute inside the image, ``/`` separated, without ``.``, ``..`` or a trailing slash. No component of
    a path is followed as a link: a path below a symbolic link does not exist. ``layer.paths.resolve`` follows links
    inside the tree. Names that are not UTF-8 come with surrogate escapes.
    """

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        ...

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name; empty when it is no directory."""
        ...

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        ...

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file; a tree that can reads no more than these.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        return self.read(path)[:size]
