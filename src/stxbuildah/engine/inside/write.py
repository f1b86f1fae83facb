# SPDX-License-Identifier: Apache-2.0
"""The operations that write a layer's entries into a tree."""

import os
import stat

from stxbuildah.engine.inside.walk import EINVAL, OPEN_FOLDER, Folder, look, parts, walk
from stxbuildah.engine.inside.wire import Fields

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EIO = 5


def remove(name: bytes, folder: int) -> None:
    """Remove a name and, when it is a folder, everything below it; not being there is fine."""
    if is_folder(name, folder):
        empty(name, folder)
        os.rmdir(name, dir_fd=folder)
    elif look(name, folder) is not None:
        os.unlink(name, dir_fd=folder)


def empty(name: bytes, folder: int) -> None:
    """Remove everything below a folder; not being a folder is fine."""
    if is_folder(name, folder):
        with Folder(os.open(name, OPEN_FOLDER, dir_fd=folder)) as inner:
            for below in os.listdir(inner):  # noqa: PTH208 # of a descriptor
                remove(os.fsencode(below), inner)


def is_folder(name: bytes, folder: int) -> bool:
    """Tell whether a name is a folder, and no link to one."""
    status = look(name, folder)
    return status is not None and stat.S_ISDIR(status.st_mode)


class Attributes:
    """What is set on an entry once it is there."""

    def __init__(self, numbers: bytes, xattrs: tuple[bytes, ...]) -> None:
        self.mode, self.uid, self.gid, self.time = (int(word) for word in numbers.split())
        self.xattrs = xattrs

    def set(self, descriptor: int) -> None:
        """Set owner, attributes and mode, in this order: a new owner clears setuid bits and capabilities."""
        os.fchown(descriptor, self.uid, self.gid)
        for name, value in zip(self.xattrs[::2], self.xattrs[1::2], strict=True):
            os.setxattr(descriptor, name, value)
        os.fchmod(descriptor, self.mode)

    def set_link(self, name: bytes, folder: int) -> None:
        """Set owner and time of a symbolic link; it has nothing else."""
        os.chown(name, self.uid, self.gid, dir_fd=folder, follow_symlinks=False)
        os.utime(name, (self.time, self.time), dir_fd=folder, follow_symlinks=False)


class Writer:
    """The operations that write a layer's entries, as the extraction of the layer would."""

    def __init__(self, root: int) -> None:
        self.root = root
        self._start()

    def _start(self) -> None:
        self.fault: OSError | None = None
        self.path = b""
        self.file: int | None = None
        self.attributes: Attributes | None = None
        self.folders: list[tuple[list[bytes], int]] = []

    def put(self, path: bytes, change: bytes, numbers: bytes, content: bytes, *xattrs: bytes) -> None:
        """Write one entry.

        Args:
            path: where.
            change: what, as ``model.layer.Change`` names it.
            numbers: mode, owner, group and time.
            content: a link's target, or the first bytes of a file, which ``more`` can add to.
            xattrs: names and values.
        """
        if self.fault is not None:
            return
        try:
            self._end_file()
            self.path = path
            names = parts(path)
            if names:
                with walk(self.root, names[:-1]) as folder:
                    self._put(names, folder, change, content, Attributes(numbers, xattrs))
        except OSError as error:
            self.fault = error
        except RecursionError:
            self.fault = OSError(_EIO, "folders are nested too deep")

    def _put(self, names: list[bytes], folder: int, change: bytes, content: bytes, attributes: Attributes) -> None:
        name = names[-1]
        if change == b"opaque":
            empty(name, folder)
            return
        kept = change == b"directory" and is_folder(name, folder)
        if not kept:
            remove(name, folder)
        if change == b"directory":
            if not kept:
                os.mkdir(name, 0o700, dir_fd=folder)
            with Folder(os.open(name, OPEN_FOLDER, dir_fd=folder)) as inner:
                attributes.set(inner)
            self.folders.append((names, attributes.time))
        elif change == b"symlink":
            os.symlink(content, name, dir_fd=folder)
            attributes.set_link(name, folder)
        elif change == b"hardlink":
            origin = parts(content)
            with walk(self.root, origin[:-1]) as other:
                os.link(origin[-1], name, src_dir_fd=other, dst_dir_fd=folder, follow_symlinks=False)
        elif change == b"file":
            self.file, self.attributes = os.open(name, _NEW, 0o600, dir_fd=folder), attributes
            write_all(self.file, content)
        elif change != b"whiteout":
            raise OSError(EINVAL, "not a change of a layer")

    def more(self, data: bytes) -> None:
        """Add to the file that was put last."""
        if self.fault is None and self.file is not None:
            try:
                write_all(self.file, data)
            except OSError as error:
                self.fault = error

    def finish(self) -> Fields:
        """End the last file, set the folders' times, and tell the first fault."""
        try:
            if self.fault is None:
                self._end_file()
                for names, time in reversed(self.folders):
                    with walk(self.root, names[:-1]) as folder:
                        os.utime(names[-1], (time, time), dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            self.fault = error
        fault, path = self.fault, self.path
        if self.file is not None:
            os.close(self.file)
        self._start()
        if fault is not None:
            raise OSError(fault.errno or _EIO, f"{os.fsdecode(path)}: {fault.strerror}")
        return []

    def _end_file(self) -> None:
        if self.file is not None and self.attributes is not None:
            self.attributes.set(self.file)
            os.utime(self.file, (self.attributes.time, self.attributes.time))
            os.close(self.file)
            self.file = None


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
