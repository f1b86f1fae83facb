# SPDX-License-Identifier: Apache-2.0
"""Where the members of a tar archive lie: its headers are read once, and nothing between them."""

import os
from enum import StrEnum

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.paxheader import pax_number
from stxbuildah.layer.tarextension import Extension
from stxbuildah.layer.tarfields import BLOCK, RawHeader, c_string, full_name, parse_number, split_header
from stxbuildah.model.value import Value
from stxbuildah.transport.files import file_chunks

# An archive of images has three or four members a layer.
MAXIMUM_MEMBERS = 100_000
MAXIMUM_NAME = 4096
_MAXIMUM_EXTENSION = 64 * 1024
_ENDING = bytes(BLOCK)
_REGULAR = frozenset({b"0", b"\0", b"7"})
_LINKS = frozenset({b"1", b"2"})
_FOLDER = b"5"
_EXTENSIONS = frozenset({b"x", b"g", b"L", b"K"})
_GLOBAL = b"g"
_SPARSE = b"GNU.sparse."
_TRUNCATED_HINT = "it was cut off on its way: copy or build it again"


class MemberKind(StrEnum):
    """What a member is."""

    FILE = "file"
    LINK = "link"


@attrs.frozen(kw_only=True)
class MemberPlace(Value):
    """One member of an archive.

    Attributes:
        kind: what it is.
        offset: place of its content in the archive, in bytes.
        size: bytes of its content.
        target: what a link leads to, as it is written.
    """

    kind: MemberKind
    offset: int
    size: int
    target: str = ""


def read_members(descriptor: int, name: str) -> dict[str, MemberPlace]:
    """Find the files and links of an archive by their names, without a leading ``./``; folders are left out.

    Args:
        descriptor: an uncompressed tar, open for reading.
        name: the archive as a message names it.

    Raises:
        InputError: it is no tar, is cut off or damaged, has a name twice or one that leads out of it, has anything
            else than files, links and folders, or has more than the limits of this module.
    """
    table = _Table(descriptor)
    try:
        return table.read()
    except InputError as error:
        raise InputError(
            f"{name} is no archive of images, or is damaged: {error.message} (at byte {table.position})",
            hint=error.hint,
        ) from error


class _Table:
    """The reading of one archive's headers."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size
        self._members: dict[str, MemberPlace] = {}
        self.position = 0

    def read(self) -> dict[str, MemberPlace]:
        count = 0
        extension: Extension | None = None
        while block := self._header():
            count += 1
            if count > MAXIMUM_MEMBERS:
                raise InputError(f"it has more than {MAXIMUM_MEMBERS} members")
            header = split_header(block)
            if header.type in _EXTENSIONS:
                # Records of a global header count for nothing, as in containers/image.
                read_into = Extension(_MAXIMUM_EXTENSION) if header.type == _GLOBAL else extension
                read_into = read_into or Extension(_MAXIMUM_EXTENSION)
                self._extend(read_into, header)
                extension = extension if header.type == _GLOBAL else read_into
                continue
            self._add(header, block, extension)
            extension = None
        if extension is not None:
            raise InputError("it ends after an extended header", hint=_TRUNCATED_HINT)
        return self._members

    def _header(self) -> bytes:
        """Give the header block at the position; empty at the archive's end: blocks of zeros, or just the end."""
        block = os.pread(self._descriptor, BLOCK, self.position)
        if block == _ENDING or (not block and self.position):
            return b""
        if len(block) < BLOCK:
            raise InputError("it ends in the middle of a header", hint=_TRUNCATED_HINT)
        return block

    def _extend(self, extension: Extension, header: RawHeader) -> None:
        size = parse_number(header.size)
        start = self.position + BLOCK
        end = start + size + -size % BLOCK
        if not 0 <= size <= self._end or end > self._end:
            raise InputError("it ends in the middle of an extended header", hint=_TRUNCATED_HINT)
        chunks = file_chunks(self._descriptor, start, end)
        extension.read(header.type, size, ByteStream(chunks, limit=self._end, name="an extended header"))
        self.position = end

    def _add(self, header: RawHeader, block: bytes, extension: Extension | None) -> None:
        name, target, size = full_name(header, block), c_string(header.target), parse_number(header.size)
        if extension is not None:
            name, target = extension.name or name, extension.target or target
            size = pax_number(extension.records, b"size", size)
            if any(keyword.startswith(_SPARSE) for keyword in extension.records):
                raise InputError("it holds a sparse file, which no archive of images has")
        path = _plain_path(name)
        start = self.position + BLOCK
        # POSIX lets links and folders have a size that says nothing of the archive.
        content = size if header.type in _REGULAR else 0
        if content < 0 or start + content > self._end:
            raise InputError(f"it ends in the middle of {path!r}", hint=_TRUNCATED_HINT)
        self.position = start + content + -content % BLOCK
        # Before POSIX, a folder was a file whose name ends in a slash.
        if header.type == _FOLDER or (header.type in _REGULAR and name.endswith(b"/")):
            return
        if not path or header.type not in _REGULAR | _LINKS:
            raise InputError(f"{path!r} in it is neither a file nor a folder")
        if path in self._members:
            raise InputError(f"it holds {path!r} twice, so nobody can say which of them counts")
        link = header.type in _LINKS
        self._members[path] = MemberPlace(
            kind=MemberKind.LINK if link else MemberKind.FILE,
            offset=start,
            size=content,
            target=_text(target) if link else "",
        )


def _plain_path(raw: bytes) -> str:
    """Give a member's path without ``./`` and doubled slashes; empty for the root."""
    name = _text(raw)
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts:
        raise InputError(f"it holds {name[:200]!r}, a name that leads out of it")
    return "/".join(parts)


def _text(raw: bytes) -> str:
    if len(raw) > MAXIMUM_NAME:
        raise InputError(f"a name in it has more than {MAXIMUM_NAME} bytes")
    return raw.decode("utf-8", "surrogateescape")
