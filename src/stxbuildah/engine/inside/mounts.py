# SPDX-License-Identifier: Apache-2.0
"""Which folders an overlay mount is made of, as the kernel tells it."""

import os

from stxbuildah.engine.inside.walk import ENOTSUP

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_MOVED = ("trusted.overlay.redirect", "user.overlay.redirect")
_ENODATA = 61

# Tab, line end, blank, #, comma, = and backslash.
_ESCAPED = frozenset({b"011", b"012", b"040", b"043", b"054", b"075", b"134"})


def find_layers(mountinfo: bytes, root: bytes) -> tuple[bytes, list[bytes]] | None:
    """Give the upper folder of an overlay mount and its lower ones, top first; None for any other mount.

    Args:
        mountinfo: content of ``/proc/self/mountinfo`` (proc(5)).
        root: the mount point.
    """
    found = None
    # Not splitlines(): a carriage return may be part of a name.
    for line in filter(None, mountinfo.split(b"\n")):
        fields, _, rest = line.partition(b" - ")
        kind, _source, options = rest.split(b" ", 2)
        if _unescape(fields.split(b" ")[4]) == root:
            # A later mount on the same point hides an earlier one.
            found = _layers_of(options, root) if kind == b"overlay" else None
    return found


def _layers_of(options: bytes, root: bytes) -> tuple[bytes, list[bytes]] | None:
    upper, lower = b"", []
    for option in options.split(b","):
        key, _, value = option.partition(b"=")
        if key == b"upperdir":
            upper = _plain(_unescape(value))
        elif key == b"lowerdir":
            lower = _split(_unescape(value))
        elif key == b"lowerdir+":
            lower.append(_plain(_unescape(value)))
    # With many layers containers/storage mounts by names relative to its own folder, <home>/<layer>/merged.
    home = root.rsplit(b"/", 2)[0]
    absolute = [name if name.startswith(b"/") else home + b"/" + name for name in (upper, *lower)]
    return (absolute[0], absolute[1:]) if upper and lower else None


def _split(value: bytes) -> list[bytes]:
    """Split at colons; a backslash makes a plain byte of the next one (overlayfs, "Documentation/filesystems")."""
    names, position = [bytearray()], 0
    while position < len(value):
        byte = value[position : position + 1]
        if byte == b"\\":
            position += 1
            names[-1] += value[position : position + 1]
        elif byte == b":":
            names.append(bytearray())
        else:
            names[-1] += byte
        position += 1
    return [bytes(name) for name in names]


def _plain(name: bytes) -> bytes:
    """Undo the backslashes of a single name, whose colons are its own."""
    return b":".join(_split(name))


def _unescape(value: bytes) -> bytes:
    """Undo the octal escapes of the kernel's seq_escape()."""
    first, *others = value.split(b"\\")
    for position, piece in enumerate(others):
        code, after = piece[:3], piece[3:]
        if code in _ESCAPED:
            others[position] = bytes([int(code, 8)]) + after
        else:
            others[position] = b"\\" + piece
    return b"".join([first, *others])


def is_opaque(descriptor: int) -> bool:
    """Tell whether a folder of an upper layer hides what lower layers have in it."""
    return any(_attribute(descriptor, name) == b"y" for name in _OPAQUE)


def is_moved(descriptor: int) -> bool:
    """Tell whether a folder of an upper layer shows what lower layers have elsewhere."""
    return any(_attribute(descriptor, name) is not None for name in _MOVED)


def _attribute(descriptor: int, name: str) -> bytes | None:
    try:
        return os.getxattr(descriptor, name)
    except OSError as error:
        if error.errno in {_ENODATA, ENOTSUP}:
            return None
        raise
