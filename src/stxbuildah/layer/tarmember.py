# SPDX-License-Identifier: Apache-2.0
"""What the walk over a layer's tar gives, and how much it accepts."""

from enum import StrEnum
from typing import NamedTuple

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.value import Value

_MIB = 1024 * 1024
_GIB = 1024 * _MIB


class MemberKind(StrEnum):
    """What a member of a tar is."""

    REGULAR = "regular file"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"
    HARDLINK = "hard link"
    CHARACTER_DEVICE = "character device"
    BLOCK_DEVICE = "block device"
    FIFO = "fifo"


class Member(NamedTuple):
    """One member of a tar. A named tuple, since it is made faster than any other frozen value, and layers have many.

    Attributes:
        path: relative to the root, ``/`` separated, without ``.``, ``..``, empty parts or a trailing slash; the root
            itself is the empty string. Bytes that are not UTF-8 are surrogate escapes.
        kind: what it is.
        mode: permission bits with setuid, setgid and sticky.
        uid: owner.
        gid: group.
        size: bytes of a regular file, of a sparse one with its holes; 0 for everything else.
        mtime: whole seconds since the epoch, rounded down; may be negative.
        target: where a link points, as it is written, a hard link's too (``relative_path`` makes that one comparable);
            empty for everything else.
        major: major number of a device.
        minor: minor number of a device.
        xattrs: extended attributes of the pax header, name (as ``security.capability``) and value, by name.
        content: the start of a regular file, as much of it as was wanted; empty for everything else.
    """

    path: str
    kind: MemberKind = MemberKind.REGULAR
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: str = ""
    major: int = 0
    minor: int = 0
    xattrs: tuple[tuple[str, bytes], ...] = ()
    content: bytes = b""


@attrs.frozen(kw_only=True)
class Limits(Value):
    """How much of a tar is accepted; more is an InputError. The defaults let every image through that Linux can hold.

    Attributes:
        entries: members.
        path: bytes of a path or of a link's target; Linux's PATH_MAX.
        component: bytes of one part of a path; Linux's NAME_MAX.
        pax: bytes of one member's extended headers, and of its map of a sparse file.
        content: bytes that are kept of one member.
        total: bytes of the whole stream.
        trailing: bytes after the end of the archive, where writers fill up to a record.
    """

    entries: int = 2_000_000
    path: int = 4096
    component: int = 255
    pax: int = _MIB
    content: int = 64 * _MIB
    total: int = 256 * _GIB
    trailing: int = 64 * _MIB


def relative_path(path: str) -> str:
    """Give a path of a tar as ``Member.path`` has it, for instance a hard link's target.

    Raises:
        InputError: the path leaves the root.
    """
    path = path.removeprefix("./")
    if "/." not in path and "//" not in path and not path.startswith(("/", ".")):
        return path.removesuffix("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                raise InputError(f"the path {path[:200]!r} leaves the root of the layer")
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)
