# SPDX-License-Identifier: Apache-2.0
"""Steps from folder to folder below a root that is not to be trusted.

No path is ever handed to the kernel whole: each component is opened below its parent with O_NOFOLLOW, so that no link
of a hostile image leads anywhere, and nothing but regular files is opened for reading.
"""

import os
import stat

from stxbuildah.engine.inside.wire import Fields

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

ENOENT, EINVAL, ENOTDIR, ELOOP, ENOTSUP = 2, 22, 20, 40, 95  # the module errno costs more than the numbers
ABSENT = (ENOENT, ENOTDIR, ELOOP)


def parts(path: bytes) -> list[bytes]:
    """Give the components of an absolute, normalized path."""
    if path == b"/":
        return []
    names = path.split(b"/")
    if names == [b""] or names[0] or any(name in {b"", b".", b".."} for name in names[1:]):
        raise OSError(EINVAL, "not an absolute, normalized path")
    return names[1:]


class Folder:
    """An open folder, closed at the end of its block."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def walk(root: int, names: list[bytes], flags: int = _WALK) -> Folder:
    """Open the folder that the names lead to, none of them a link."""
    if not names:
        return Folder(os.open(".", flags, dir_fd=root))
    descriptor = os.open(names[0], _WALK if names[1:] else flags, dir_fd=root)
    for position, name in enumerate(names[1:], 2):
        try:
            inner = os.open(name, _WALK if names[position:] else flags, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return Folder(descriptor)


def look(name: bytes, folder: int) -> os.stat_result | None:
    """Give the status of a name in a folder, without following it; None when there is no such name."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def open_regular(name: bytes, folder: int) -> int:
    """Open a regular file for reading; a FIFO, device or link is never opened, or never waited for."""
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(ENOENT, "not a regular file")
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(ENOENT, "not a regular file")
    return descriptor


def describe(name: bytes, folder: int, status: os.stat_result) -> Fields:
    """Give kind, mode, owner, group, size and time in one field, and a link's target in another."""
    mode = status.st_mode
    kind, size, target = b"o", 0, b""
    if stat.S_ISREG(mode):
        kind, size = b"f", status.st_size
    elif stat.S_ISDIR(mode):
        kind = b"d"
    elif stat.S_ISLNK(mode):
        kind, target = b"l", os.readlink(name, dir_fd=folder)
    numbers = (kind, mode & 0o7777, status.st_uid, status.st_gid, size, status.st_mtime_ns // 10**9)
    return [b"%s %d %d %d %d %d" % numbers, target]


def kept_xattrs(descriptor: int) -> list[tuple[bytes, bytes]]:
    """Give the extended attributes that belong into a layer: capabilities and the user's, not the driver's own."""
    found = []
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno == ENOTSUP:
            return []
        raise
    for name in sorted(names):
        driver = name.startswith(("user.overlay.", "user.containers.", "user.fuseoverlayfs."))
        if name == "security.capability" or (name.startswith("user.") and not driver):
            found.append((os.fsencode(name), os.getxattr(descriptor, name)))
    return found
