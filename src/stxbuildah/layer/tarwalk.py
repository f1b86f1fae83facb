# SPDX-License-Identifier: Apache-2.0
"""Walk over a layer's tar as it streams by: its members, and the content only of those that are wanted.

The standard library's ``tarfile`` would do, at several times the time, and without limits.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.paxheader import pax_number, pax_time, pax_xattrs
from stxbuildah.layer.tarextension import Extension
from stxbuildah.layer.tarfields import BLOCK, RawHeader, c_string, device_numbers, full_name, parse_number, split_header
from stxbuildah.layer.tarmember import Limits, Member, MemberKind, relative_path
from stxbuildah.layer.tarsparse import checked_sparse, expanded, old_sparse, pax_sparse

if TYPE_CHECKING:
    from stxbuildah.layer.tarsparse import Sparse

__all__ = ["Limits", "Member", "MemberKind", "relative_path", "walk"]

_ZERO_BLOCK = bytes(BLOCK)
_MAXIMUM_ID = 2**32 - 1
_V7_REGULAR = b"\0"
_OLD_SPARSE = b"S"
_GLOBAL = b"g"
_EXTENSIONS = frozenset({b"x", _GLOBAL, b"L", b"K"})
# Any other type is read as a regular file, as POSIX.1 asks.
_KINDS = {
    b"1": MemberKind.HARDLINK,
    b"2": MemberKind.SYMLINK,
    b"3": MemberKind.CHARACTER_DEVICE,
    b"4": MemberKind.BLOCK_DEVICE,
    b"5": MemberKind.DIRECTORY,
    b"6": MemberKind.FIFO,
}
# What is no member of a file system: parts of GNU tar's incremental and multi-volume archives, Solaris' own headers.
_FOREIGN = frozenset({b"D", b"M", b"N", b"V", b"X"})
_LINKS = frozenset({MemberKind.HARDLINK, MemberKind.SYMLINK})
_DEVICES = frozenset({MemberKind.CHARACTER_DEVICE, MemberKind.BLOCK_DEVICE})
_REMEMBERED_NUMBERS = 4096


def walk(chunks: Iterable[bytes], *, limits: Limits, wanted: Callable[[str, int], int]) -> Iterator[Member]:
    """Give the members of a tar, in its order, duplicates too; whiteouts come as the files they are in the tar.

    Read are ustar, pax, GNU tar's and V7's format, sparse files included. As for containers/storage and Docker, records
    of a global pax header count for nothing, and the end of the stream between two members is the archive's end.

    Args:
        chunks: the uncompressed tar, in pieces of any size; read to its end, unless an error is raised.
        limits: how much is accepted.
        wanted: says for the path and size of a regular file how many bytes of its start are to be kept; more than
            the file has means all of it.

    Raises:
        InputError: this is no tar, or one that is damaged or truncated, leaves its root, or is beyond a limit; the
            member that it happened at is named.
    """
    return _Walk(chunks, limits, wanted).members()


class _Walk:
    """The walk over one tar."""

    def __init__(self, chunks: Iterable[bytes], limits: Limits, wanted: Callable[[str, int], int]) -> None:
        self._stream = ByteStream(chunks, limit=limits.total, name="the layer's tar")
        self._limits = limits
        self._wanted = wanted
        # Owners, modes, times and sizes repeat from member to member.
        self._number = lru_cache(_REMEMBERED_NUMBERS)(parse_number)
        self._name = b""
        self._inside = False
        self._entries = 0

    def members(self) -> Iterator[Member]:
        try:
            while (member := self._next()) is not None:
                yield member
        except InputError as error:
            if not self._stream.position:
                raise  # it is about the blob, of which no tar has come yet
            name = self._name[:200].decode("utf-8", "backslashreplace")
            where = "at" if self._inside else "after"
            place = f"{where} the member {name!r}, byte {self._stream.position} of the tar"
            raise InputError(f"{error.message} ({place})", hint=error.hint, details=error.details) from error

    def _next(self) -> Member | None:
        """Give the next member; None at the end."""
        self._inside = False
        extension: Extension | None = None
        while True:
            block = self._stream.read(BLOCK)
            if len(block) < BLOCK or block == _ZERO_BLOCK:
                if extension is not None:
                    raise InputError("the layer is truncated: it ends after an extended header")
                self._end(block)
                return None
            header = split_header(block)
            if header.type not in _EXTENSIONS:
                return self._member(header, block, extension)
            read_into = extension or Extension(self._limits.pax)
            read_into.read(header.type, self._number(header.size), self._stream)
            if header.type == _GLOBAL:
                self._count()
            else:
                extension = read_into

    def _count(self) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise InputError(f"the layer has more than {self._limits.entries} members")

    def _member(self, header: RawHeader, block: bytes, extension: Extension | None) -> Member:
        number = self._number
        name = full_name(header, block)
        size, mtime, uid, gid = number(header.size), number(header.mtime), number(header.uid), number(header.gid)
        target = c_string(header.target)
        xattrs: tuple[tuple[str, bytes], ...] = ()
        if extension is not None:
            name, target = extension.name or name, extension.target or target
            if records := extension.records:
                size = pax_number(records, b"size", size)
                mtime = pax_time(records, b"mtime", mtime)
                uid, gid = pax_number(records, b"uid", uid), pax_number(records, b"gid", gid)
                xattrs = pax_xattrs(records)
        self._name, self._inside = name, True
        self._count()
        kind = self._kind(header.type, name)
        if not (0 <= uid <= _MAXIMUM_ID and 0 <= gid <= _MAXIMUM_ID):
            raise InputError(f"the owner {uid}:{gid} is none that Linux has")
        path = self._path(name, kind)
        content = b""
        if kind is MemberKind.REGULAR:
            size, content = self._regular(path, size, header, block, extension)
        else:
            size = 0
        return Member(
            path,
            kind,
            number(header.mode) & 0o7777,
            uid,
            gid,
            size,
            mtime,
            self._target(target, kind) if kind in _LINKS else "",
            *(device_numbers(block) if kind in _DEVICES else (0, 0)),
            xattrs,
            content,
        )

    def _kind(self, type_flag: bytes, name: bytes) -> MemberKind:
        if type_flag in _FOREIGN:
            raise InputError(f"the layer has a member of the type {type_flag.decode()}, which is none of a file system")
        if type_flag == _V7_REGULAR and name.endswith(b"/"):
            return MemberKind.DIRECTORY
        return _KINDS.get(type_flag, MemberKind.REGULAR)

    def _path(self, name: bytes, kind: MemberKind) -> str:
        limits = self._limits
        if len(name) > limits.component:
            if len(name) > limits.path:
                raise InputError(f"a path has more than {limits.path} bytes")
            if any(len(part) > limits.component for part in name.split(b"/")):
                raise InputError(f"a part of a path has more than {limits.component} bytes")
        path = relative_path(name.decode("utf-8", "surrogateescape"))
        if not path and kind is not MemberKind.DIRECTORY:
            raise InputError(f"the root of the layer is a {kind}")
        return path

    def _target(self, target: bytes, kind: MemberKind) -> str:
        if len(target) > self._limits.path:
            raise InputError(f"the target of a link has more than {self._limits.path} bytes")
        text = target.decode("utf-8", "surrogateescape")
        if kind is MemberKind.HARDLINK:
            relative_path(text)
        return text

    def _regular(
        self, path: str, stored: int, header: RawHeader, block: bytes, extension: Extension | None
    ) -> tuple[int, bytes]:
        """Pass over a file's content, and give its size and what is wanted of it."""
        if not 0 <= stored <= self._limits.total:
            raise InputError(f"the layer has a file of {stored} bytes, which is beyond {self._limits.total}")
        sparse: Sparse | None = None
        if header.type == _OLD_SPARSE:
            sparse = old_sparse(block, self._stream, self._limits.pax)
        elif extension is not None and extension.records:
            sparse = pax_sparse(extension.records, self._stream, stored, self._limits.pax)
        size = stored if sparse is None else checked_sparse(sparse, stored).size
        keep = min(self._wanted(path, size), size)
        if keep > self._limits.content:
            raise InputError(f"a file that has to be read has {size} bytes, more than {self._limits.content}")
        if sparse is not None:
            content, used = expanded(sparse, self._stream, max(keep, 0))
            used += sparse.map_size
        else:
            content = self._stream.read(keep) if keep > 0 else b""
            used = len(content)
        # As for Go's archive/tar, the fill of the last block may be missing at the archive's end.
        if self._stream.skip(stored - used + -stored % BLOCK) < stored - used:
            raise InputError("the layer is truncated in a file")
        return size, content

    def _end(self, block: bytes) -> None:
        """Read the stream from the archive's end to its own."""
        if block and len(block) == BLOCK:
            block = self._stream.read(BLOCK)
        if block and block != _ZERO_BLOCK:
            raise InputError("the layer is truncated, or its tar damaged: there is neither a header nor the end")
        trailing = 0
        for piece in self._stream.rest():
            trailing += len(piece)
            if trailing > self._limits.trailing:
                raise InputError(f"the layer has more than {self._limits.trailing} bytes after the end of its tar")
