# SPDX-License-Identifier: Apache-2.0
"""An image's files, read from the folders of its layers by this process as far as this account may.

Most files of an image are root's, which is this account outside the user namespace. Only what belongs to the image's
other users is asked of a process inside: starting one takes longer than all questions that are usual.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from errno import EFBIG
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import attrs

from stxbuildah.engine.inside.layers import LayersReader
from stxbuildah.engine.tree import MAXIMUM_READ, ContainerTree, encode, make_entries, make_entry, make_touched
from stxbuildah.model.tree import Entry, FileTree

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Each is a file that stays open, of which a process may have some 1,000.
_MOST_FOLDERS = 128
Answer = TypeVar("Answer")


class _NotOursError(Exception):
    """Something is another user's."""


@attrs.define
class LayersTree(FileTree):
    """An image's files; a context manager that closes what it has opened.

    It can be used from several threads.

    Args:
        folders: the image's layers, top first, as ``engine.storefiles`` gives them.
        open_inside: gives the same files through a process inside the user namespace.
    """

    _folders: Sequence[Path]
    _open_inside: Callable[[], ContainerTree]
    _inside: ContainerTree | None = attrs.field(default=None, init=False)
    _reader: LayersReader | None = attrs.field(default=None, init=False)
    _opened: ExitStack = attrs.field(factory=ExitStack, init=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False)

    def __enter__(self) -> Self:
        if len(self._folders) > _MOST_FOLDERS:
            return self
        try:
            layers = []
            for folder in self._folders:
                layers.append(os.open(folder, _FOLDER))
                self._opened.callback(os.close, layers[-1])
            self._reader = LayersReader(layers)
        except OSError:
            # They are not for this account.
            self._opened.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._reader = None
            self._opened.close()

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""

        def look(reader: LayersReader) -> Entry | None:
            answer = reader.lstat(encode(path))
            return _of_root(make_entry(answer[0], answer[1])) if answer else None

        return self._answer(look, lambda inside: inside.lstat(path))

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name, sorted; empty when it is no directory."""

        def look(reader: LayersReader) -> Mapping[str, Entry]:
            found = make_entries(reader.scandir(encode(path)))
            return {name: _of_root(entry) for name, entry in found.items()}

        return self._answer(look, lambda inside: inside.scandir(path))

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
            InputError: the file is too big to be held in memory.
        """

        def look(reader: LayersReader) -> bytes:
            data = reader.read_start(encode(path), MAXIMUM_READ)
            if len(data) > MAXIMUM_READ:
                raise OSError(EFBIG, "too big")
            return data

        return self._answer(look, lambda inside: inside.read(path))

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        return self._answer(
            lambda reader: reader.read_start(encode(path), size)[:size], lambda inside: inside.read_start(path, size)
        )

    def touched(self, count: int) -> Mapping[str, bool]:
        """Tell what an image's topmost layers have, as ``layer.above`` wants it.

        Args:
            count: how many layers.
        """
        told = b"%d" % count
        return self._answer(lambda reader: make_touched(reader.touched(told)), lambda inside: inside.touched(count))

    def _answer(self, look: Callable[[LayersReader], Answer], ask: Callable[[ContainerTree], Answer]) -> Answer:
        with self._lock:
            if self._reader is not None:
                try:
                    return look(self._reader)
                except FileNotFoundError:
                    raise
                except (OSError, RecursionError, _NotOursError):
                    # Whatever is refused here may be answered inside, and if not, then with reasons.
                    pass
            if self._inside is None:
                self._inside = self._open_inside()
            return ask(self._inside)


def _of_root(entry: Entry) -> Entry:
    """Give an entry as the image's users see it.

    Raises:
        _NotOursError: it is another user's than root's.
    """
    own = os.geteuid()
    if own == 0:
        return entry
    if (entry.uid, entry.gid) != (own, os.getegid()):
        raise _NotOursError
    return attrs.evolve(entry, uid=0, gid=0)
