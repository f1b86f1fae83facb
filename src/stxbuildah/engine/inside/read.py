# SPDX-License-Identifier: Apache-2.0
"""The operations that read a tree."""

import os
import stat
from collections.abc import Iterator

from stxbuildah.engine.inside.walk import (
    ABSENT,
    ENOENT,
    OPEN_FOLDER,
    Folder,
    describe,
    kept_xattrs,
    look,
    open_regular,
    parts,
    walk,
)
from stxbuildah.engine.inside.wire import CHUNK, Fields

BATCH = 1000


class Reader:
    """The operations that read one tree."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.opened: dict[int, int] = {}
        self.counter = 0

    def lstat(self, path: bytes) -> Fields:
        """Give the entry at a path; nothing when there is none."""
        names = parts(path) or [b"."]
        try:
            with walk(self.root, names[:-1]) as folder:
                status = look(names[-1], folder)
                return [] if status is None else describe(names[-1], folder, status)
        except OSError as error:
            if error.errno in ABSENT:
                return []
            raise

    def scandir(self, path: bytes) -> Iterator[Fields]:
        """Give name, entry and target of everything in a folder, in parts."""
        batch: Fields = []
        try:
            with walk(self.root, parts(path), OPEN_FOLDER) as folder, os.scandir(folder) as listing:
                for found in listing:
                    name = os.fsencode(found.name)
                    status = look(name, folder)
                    if status is None:
                        # In a folder that overlay does not merge, readdir also gives the names of whiteouts.
                        continue
                    batch += [name, *describe(name, folder, status)]
                    if len(batch) >= 3 * BATCH:
                        yield batch
                        batch = []
        except OSError as error:
            if error.errno not in ABSENT:
                raise
        yield batch

    def open(self, path: bytes) -> Fields:
        """Open a regular file; give a handle, its size and the first bytes. A handle of 0 has no more to give."""
        descriptor = self._open(path)
        size = os.fstat(descriptor).st_size
        first = os.read(descriptor, min(size, CHUNK) + 1)
        if len(first) == size <= CHUNK:
            os.close(descriptor)
            return [b"0", b"%d" % size, first]
        self.counter += 1
        self.opened[self.counter] = descriptor
        return [b"%d" % self.counter, b"%d" % size, first]

    def _open(self, path: bytes) -> int:
        names = parts(path)
        if not names:
            raise OSError(ENOENT, "not a regular file")
        with walk(self.root, names[:-1]) as folder:
            return open_regular(names[-1], folder)

    def pread(self, handle: bytes, offset: bytes) -> Fields:
        """Give the next bytes of an open file; none at its end."""
        return [os.pread(self.opened[int(handle)], CHUNK, int(offset))]

    def close(self, handle: bytes) -> None:
        """Close an open file; not answered."""
        os.close(self.opened.pop(int(handle)))

    def xattrs(self, path: bytes) -> Fields:
        """Give names and values of a file's or folder's extended attributes."""
        names = parts(path) or [b"."]
        with walk(self.root, names[:-1]) as folder:
            status = os.stat(names[-1], dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                opened = Folder(os.open(names[-1], OPEN_FOLDER, dir_fd=folder))
            elif stat.S_ISREG(status.st_mode):
                opened = Folder(open_regular(names[-1], folder))
            else:
                return []
        with opened as descriptor:
            return [field for pair in kept_xattrs(descriptor) for field in pair]
