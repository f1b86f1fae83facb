# SPDX-License-Identifier: Apache-2.0
"""The files of a tar that holds files, as an archive of images does, one after the other as they stream by.

The standard library's ``tarfile`` would do, at three seconds for a gigabyte.
"""

from collections.abc import Iterator
from typing import NamedTuple

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.paxheader import pax_number
from stxbuildah.layer.tarextension import Extension
from stxbuildah.layer.tarfields import BLOCK, full_name, parse_number, split_header

# An archive of images has three or four members a layer.
_MAXIMUM_MEMBERS = 100_000
_MAXIMUM_EXTENSION = 64 * 1024
_PIECE = 2**20
_ENDING = bytes(BLOCK)
_REGULAR = frozenset({b"0", b"\0", b"7"})
_EXTENSIONS = frozenset({b"x", b"g", b"L", b"K"})
_GLOBAL = b"g"
# Links, devices, folders and pipes: whatever size POSIX lets them have, nothing follows their headers.
_WITHOUT_CONTENT = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})


class StreamedFile(NamedTuple):
    """One file.

    Attributes:
        name: as it stands in the archive.
        size: bytes of its content.
        content: it, in pieces; to be read before the next file is asked for.
    """

    name: str
    size: int
    content: Iterator[bytes]


def streamed_files(stream: ByteStream, name: str) -> Iterator[StreamedFile]:
    """Give the regular files of a tar in their order; what is not read of one is passed over.

    Folders, links and devices are passed over as well. Nothing of what follows the archive's end is read.

    Args:
        stream: the uncompressed tar, at its beginning.
        name: the archive as a message names it.

    Raises:
        InputError: it is no tar, is damaged or cut off, or is beyond the limits of this module.
    """
    extension: Extension | None = None
    for _ in range(_MAXIMUM_MEMBERS):
        block = stream.read(BLOCK)
        if block == _ENDING and extension is None:
            return
        if len(block) < BLOCK:
            raise _truncated(name)
        try:
            header = split_header(block)
            size = parse_number(header.size)
            if header.type in _EXTENSIONS:
                # Records of a global header count for nothing, as in containers/image.
                read_into = (None if header.type == _GLOBAL else extension) or Extension(_MAXIMUM_EXTENSION)
                read_into.read(header.type, size, stream)
                extension = extension if header.type == _GLOBAL else read_into
                continue
            path = full_name(header, block)
            if extension is not None:
                path = extension.name or path
                size = pax_number(extension.records, b"size", size)
                extension = None
        except InputError as error:
            raise InputError(f"{name} is damaged: {error.message} (before byte {stream.position})") from error
        if header.type in _REGULAR:
            content = _Content(stream, size, name)
            yield StreamedFile(name=path.decode("utf-8", "surrogateescape"), size=size, content=content.pieces())
            content.pass_over()
        elif header.type not in _WITHOUT_CONTENT:
            raise InputError(f"{name} has a member of the type {header.type!r}, which no archive of images has")
    raise InputError(f"{name} has more than {_MAXIMUM_MEMBERS} members")


class _Content:
    """The content of one file, and what is left of it."""

    def __init__(self, stream: ByteStream, size: int, name: str) -> None:
        if size < 0:
            raise InputError(f"{name} is damaged: it has a file of less than no bytes")
        self._stream = stream
        self._name = name
        self._left = size
        self._fill = -size % BLOCK

    def pieces(self) -> Iterator[bytes]:
        while self._left:
            piece = self._stream.piece(min(self._left, _PIECE))
            if not piece:
                raise _truncated(self._name)
            self._left -= len(piece)
            yield piece

    def pass_over(self) -> None:
        left = self._left + self._fill
        if self._stream.skip(left) < left:
            raise _truncated(self._name)


def _truncated(name: str) -> InputError:
    return InputError(f"{name} ends before its end", hint="it was cut off on its way: carry it over again")
