# SPDX-License-Identifier: Apache-2.0
"""The operations that read an image's files from its layers' folders, as overlay would show them mounted."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from stxbuildah.engine.inside.compare import Found, Stack
from stxbuildah.engine.inside.mounts import is_moved, is_opaque
from stxbuildah.engine.inside.read import BATCH, Reader
from stxbuildah.engine.inside.walk import ENOENT, OPEN_FOLDER, describe, open_regular, parts
from stxbuildah.engine.inside.wire import Fields


class LayersReader(Reader):
    """The operations that read one image.

    Args:
        layers: its layers' folders, opened, top first.
    """

    def __init__(self, layers: list[int]) -> None:
        super().__init__(layers[0])
        self.layers = layers

    def lstat(self, path: bytes) -> Fields:
        """Give the entry at a path; nothing when there is none."""
        with self._found(path) as found:
            return [] if found is None else describe(found.name, found.folder, found.status)

    def scandir(self, path: bytes) -> Iterator[Fields]:
        """Give name, entry and target of everything in a folder, in parts."""
        batch: Fields = []
        with self._folder(parts(path)) as folder:
            for name in folder.names():
                found = folder.find(name)
                if found is None:
                    continue
                batch += [name, *describe(name, found.folder, found.status)]
                if len(batch) >= BATCH:
                    yield batch
                    batch = []
        yield batch

    def read_start(self, path: bytes, size: int) -> bytes:
        """Give the first bytes of a regular file: all of one that is no bigger, and one more of one that is."""
        with open(self._open(path), "rb") as stream:  # noqa: PTH123 # of a descriptor
            return stream.read(size + 1)

    def _open(self, path: bytes) -> int:
        with self._found(path) as found:
            if found is None or path == b"/":
                raise OSError(ENOENT, "not a regular file")
            return open_regular(found.name, found.folder)

    def xattrs(self, path: bytes) -> Fields:
        """Give names and values of a file's or folder's extended attributes."""
        with self._found(path) as found:
            if found is None:
                raise OSError(ENOENT, "no such file")
            return [field for pair in found.xattrs() for field in pair]

    def touched(self, count: bytes) -> Iterator[Fields]:
        """Give what the topmost layers have, in parts: names, each with 1 before folders that show what is below.

        All else hides what is below, whiteouts too. Of folders that hide it nothing inside is told.
        """
        merged: dict[bytes, bool] = {}
        for layer in self.layers[: int(count)]:
            for path, shows in _touched(layer, b"/"):
                merged[path] = merged.get(path, True) and shows
        names = [(b"1" if shows else b"0") + path for path, shows in merged.items()]
        for start in range(0, len(names), BATCH):
            yield names[start : start + BATCH]

    @contextmanager
    def _found(self, path: bytes) -> Iterator[Found | None]:
        names = parts(path) or [b"."]
        with self._folder(names[:-1]) as folder:
            yield folder.find(names[-1])

    @contextmanager
    def _folder(self, names: list[bytes]) -> Iterator[Stack]:
        """Open the folder that the names lead to; one that is not there shows nothing."""
        stack = Stack([os.dup(layer) for layer in self.layers])
        for name in names:
            with stack as outer:
                stack = outer.enter(name)
        with stack:
            yield stack


def _touched(folder: int, path: bytes) -> Iterator[tuple[bytes, bool]]:
    with os.scandir(folder) as listing:
        entries = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in listing]
    for name, is_folder in entries:
        if not is_folder:
            yield path + name, False
            continue
        inner = os.open(name, OPEN_FOLDER, dir_fd=folder)
        try:
            plain = not is_opaque(inner) and not is_moved(inner)
            yield path + name, plain
            if plain:
                yield from _touched(inner, path + name + b"/")
        finally:
            os.close(inner)
