# SPDX-License-Identifier: Apache-2.0
"""The files of an image in a tar archive, which may be compressed as a whole."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stxbuildah.errors import DiskFullError, InputError
from stxbuildah.layer.inflate import inflated
from stxbuildah.transport.documents import shown
from stxbuildah.transport.files import file_chunks
from stxbuildah.transport.layerform import is_compressed, unpacked_limit
from stxbuildah.transport.membertable import MemberKind, MemberPlace, read_members

_MAGIC_SIZE = 6


class ArchiveFiles:
    """The members of a tar archive; read by their place, by several threads at the same time.

    Links are no files here; ``link`` says where one leads.
    """

    def __init__(self, descriptor: int, members: dict[str, MemberPlace], name: str) -> None:
        self._descriptor = descriptor
        self._members = members
        self._name = name

    def size(self, path: str) -> int | None:
        """Give a regular file's size in bytes; None when there is no such file.

        Raises:
            InputError: there is a link.
        """
        member = self._members.get(path)
        if member is None:
            return None
        if member.kind is MemberKind.LINK:
            raise InputError(f"{shown(path)} in {self._name} is a link, which is not followed")
        return member.size

    @contextmanager
    def chunks(self, path: str) -> Iterator[Iterator[bytes]]:
        """Give a regular file's content piece by piece.

        Raises:
            InputError: it is not there, or a link.
        """
        if self.size(path) is None:
            raise InputError(
                f"{self._name} has no file {shown(path)}", hint="it may be cut off: copy or build it again"
            )
        member = self._members[path]
        yield file_chunks(self._descriptor, member.offset, member.offset + member.size)

    def link(self, path: str) -> str:
        """Give a link's target as it is written; empty when there is no link."""
        member = self._members.get(path)
        return member.target if member is not None and member.kind is MemberKind.LINK else ""


@contextmanager
def opened_archive(path: Path) -> Iterator[ArchiveFiles]:
    """Open an archive for as long as the block runs; a compressed one is unpacked to a nameless temporary file first.

    Raises:
        InputError: there is no such file, or it is no tar archive.
        DiskFullError: the temporary files' folder has no room for the unpacked archive.
    """
    name = str(path)
    with ExitStack() as stack:
        descriptor = _opened(path)
        stack.callback(os.close, descriptor)
        if is_compressed(os.pread(descriptor, _MAGIC_SIZE, 0)):
            descriptor = stack.enter_context(_unpacked(descriptor, name))
        yield ArchiveFiles(descriptor, read_members(descriptor, name), name)


def _opened(path: Path) -> int:
    try:
        # A pipe would keep whoever opens it waiting for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"cannot read the archive {path}: {error.strerror or error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path} is no regular file, as an archive is", hint="name an oci: layout for a folder")
    return descriptor


@contextmanager
def _unpacked(descriptor: int, name: str) -> Iterator[int]:
    import tempfile

    packed = os.fstat(descriptor).st_size
    with tempfile.TemporaryFile(prefix="stxb-archive-") as stream:
        try:
            for piece in inflated(file_chunks(descriptor, 0, packed), limit=unpacked_limit(packed)):
                stream.write(piece)
            stream.flush()
        except InputError as error:
            raise InputError(f"{name} cannot be unpacked: {error.message}", hint=error.hint) from error
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise DiskFullError(
                f"no space left to unpack {name}", hint="unpack it yourself, or name a folder with more room by TMPDIR"
            ) from error
        yield stream.fileno()
