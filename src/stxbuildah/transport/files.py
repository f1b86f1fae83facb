# SPDX-License-Identifier: Apache-2.0
"""The files of an image where it lies: in a folder, or as members of an archive."""

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from stxbuildah.errors import InputError
from stxbuildah.transport.documents import shown

_CHUNK = 256 * 1024


class ImageFiles(Protocol):
    """Files by their relative path; several threads may read at the same time."""

    def size(self, path: str) -> int | None:
        """Give a regular file's size in bytes; None when there is no such file.

        Raises:
            InputError: there is something else, as a link.
        """
        ...

    def chunks(self, path: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open a regular file and give its content piece by piece.

        Raises:
            InputError: it is not there, or no regular file.
        """
        ...


def read_file(files: ImageFiles, path: str, limit: int, name: str) -> bytes | None:
    """Give a whole file; None when it is not there.

    Args:
        files: where it lies.
        path: its relative path.
        limit: bytes that it may have.
        name: the image as a message names it.

    Raises:
        InputError: it is larger, or no regular file.
    """
    size = files.size(path)
    if size is None:
        return None
    if size > limit:
        raise InputError(f"{name} is damaged: {shown(path)} has {size} bytes, more than the {limit} that are accepted")
    with files.chunks(path) as chunks:
        return b"".join(chunks)[: limit + 1]


class FolderFiles:
    """The files of a folder; a link below it is never followed, wherever it leads.

    Args:
        folder: the folder, as the user named it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, path: str) -> int | None:
        """Give a regular file's size in bytes; None when there is no such file.

        Raises:
            InputError: there is something else, as a link.
        """
        descriptor = self._opened(path)
        if descriptor is None:
            return None
        try:
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    @contextmanager
    def chunks(self, path: str) -> Iterator[Iterator[bytes]]:
        """Open a regular file and give its content piece by piece.

        Raises:
            InputError: it is not there, or no regular file.
        """
        descriptor = self._opened(path)
        if descriptor is None:
            raise InputError(f"{self._folder} has no file {path}", hint="copy or build the image again")
        try:
            yield file_chunks(descriptor, 0, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def _opened(self, path: str) -> int | None:
        """Open a file one component after the other; None when it is not there."""
        *folders, last = path.split("/")
        place = self._folder
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for part in folders:
                place /= part
                descriptor = _stepped(descriptor, part, os.O_DIRECTORY)
            place /= last
            # A pipe would keep whoever opens it waiting for a writer.
            descriptor = _stepped(descriptor, last, os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(
                f"cannot read {place}: {error.strerror or error}",
                hint="in a layout are folders and files only; links are not followed",
            ) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise InputError(f"{place} is no regular file, as everything in a layout is")
        return descriptor


def file_chunks(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """Give a part of a file piece by piece, wherever other readers of the same descriptor are.

    Args:
        descriptor: the file, open for reading.
        start: offset of the first byte.
        end: offset after the last one; the pieces end before it where the file does.
    """
    while start < end and (piece := os.pread(descriptor, min(_CHUNK, end - start), start)):
        start += len(piece)
        yield piece


def _stepped(folder: int, name: str, flags: int) -> int:
    """Open what is in a folder, and close the folder."""
    try:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=folder)
    finally:
        os.close(folder)


@contextmanager
def opened_content(content: Path | bytes) -> Iterator[Iterator[bytes]]:
    """Give the content of a file of ours, or bytes, piece by piece.

    Raises:
        InputError: the file cannot be read.
    """
    if isinstance(content, bytes):
        yield iter((content,))
        return
    try:
        stream = content.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {content}: {error.strerror or error}") from error
    with stream:
        yield iter(lambda: stream.read(_CHUNK), b"")
