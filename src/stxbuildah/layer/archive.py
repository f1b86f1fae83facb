# SPDX-License-Identifier: Apache-2.0
"""Zip archives from strangers: every name checked, every size held to, nothing unpacked to find out.

The central directory is read by ``zipfile``; the members are inflated here, straight from their place in the file and
by ISA-L, which takes a third of the time for thousands of small files. A member may be opened long after the archive
was read: it is found by its place, and its CRC shows when the file was changed meanwhile.
"""

import io
import os
import re
import stat
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from stxbuildah.errors import InputError
from stxbuildah.model.wheel import ArchiveMember

if TYPE_CHECKING:
    from zipfile import ZipInfo

MAXIMUM_MEMBERS = 200_000
MAXIMUM_UNPACKED = 4 * 1024**3
# Text compresses by 5 to 20, and deflate by 1,032 at most; a small archive may do as it likes.
MAXIMUM_RATIO = 200
_RATIO_MATTERS_FROM = 64 * 1024**2

_CHUNK = 1024 * 1024
_RAW_DEFLATE = -15
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1
_UTF8 = 0x800
# APPNOTE.TXT 4.3.7: signature, 22 bytes that the central directory repeats, length of the name, length of the extra.
_LOCAL_HEADER = struct.Struct("<4s22sHH")
_LOCAL_SIGNATURE = b"PK\x03\x04"
_MAXIMUM_COMPONENT = 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WHITEOUT_PREFIX = ".wh."


class DamagedMemberError(InputError):
    """A member of an archive cannot be unpacked, or not to what the archive says of it."""


def read_archive(path: Path, descriptor: int, report: Callable[[str], None]) -> list[ArchiveMember]:
    """Read an archive's directory and check it.

    Args:
        path: the archive, for messages.
        descriptor: the same file, open for reading.
        report: is called with each mistake in the directory, as a sentence; members with one are left out.

    Returns:
        Its files in the directory's order; folders are left out.

    Raises:
        InputError: it is no zip archive, is cut off, or holds more than the limits of this module.
    """
    import zipfile

    try:
        # zipfile wants a stream; the descriptor stays open for the members.
        with open(descriptor, "rb", closefd=False) as stream, zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, struct.error, ValueError, EOFError, NotImplementedError) as error:
        raise InputError(
            f"{path} is not a zip archive, as a wheel is, or is cut off: {error}",
            hint="download or build the file again",
        ) from error
    _check_limits(path, infos)
    members: list[ArchiveMember] = []
    ends = _next_offsets(infos)
    seen: set[str] = set()
    for info in infos:
        mistake = _name_mistake(info) or _kind_mistake(info)
        if not mistake and info.filename in seen:
            mistake = f"{info.filename} is in the archive twice"
        seen.add(info.filename)
        if mistake:
            report(mistake)
        elif not info.is_dir():
            member = _located(descriptor, info, ends[info.header_offset])
            if isinstance(member, ArchiveMember):
                members.append(member)
            else:
                report(member)
    _check_folders(seen, report)
    return members


def open_member(path: Path, member: ArchiveMember) -> BinaryIO:
    """Open a member's content for reading; at most a megabyte of it is held at a time.

    Raises:
        InputError: the archive is gone.
        DamagedMemberError: the content is no longer what the archive said; raised when its end is read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if member.size <= _CHUNK:
        try:
            return io.BytesIO(b"".join(_read_again(path, descriptor, member)))
        finally:
            os.close(descriptor)
    return io.BufferedReader(_MemberStream(descriptor, _read_again(path, descriptor, member)), _CHUNK)


def member_chunks(descriptor: int, member: ArchiveMember) -> Iterator[bytes]:
    """Give a member's content piece by piece, never more than its size.

    Raises:
        DamagedMemberError: it does not unpack to the size and CRC that the archive says; raised after the last piece.
    """
    from isal import isal_zlib

    left, crc = member.size, 0
    try:
        if max(member.size, member.packed_size) <= _CHUNK:
            # Most members of most archives; the time goes into calls.
            content = os.pread(descriptor, member.packed_size, member.offset)
            if member.deflated:
                content = isal_zlib.decompressobj(_RAW_DEFLATE).decompress(content, member.size + 1)
            if len(content) == left and isal_zlib.crc32(content) == member.crc:
                yield content
                return
        for piece in _inflated(descriptor, member) if member.deflated else _packed(descriptor, member):
            left -= len(piece)
            if left < 0:
                break
            crc = isal_zlib.crc32(piece, crc)
            yield piece
    except isal_zlib.IsalError as error:  # type: ignore[misc] # isal declares an instance
        raise DamagedMemberError(f"{member.name} cannot be unpacked: {error}") from error
    if left or crc != member.crc:
        raise DamagedMemberError(f"{member.name} does not unpack to what the archive says of it")


def _read_again(path: Path, descriptor: int, member: ArchiveMember) -> Iterator[bytes]:
    try:
        yield from member_chunks(descriptor, member)
    except DamagedMemberError as error:
        raise DamagedMemberError(
            f"{path} changed since it was read: {error.message}", hint="leave the file alone until the command ends"
        ) from error


class _MemberStream(io.RawIOBase):
    """A member's content as a stream, which closes the archive's descriptor with itself."""

    def __init__(self, descriptor: int, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # the io module passes a memoryview
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def _packed(descriptor: int, member: ArchiveMember) -> Iterator[bytes]:
    position, end = member.offset, member.offset + member.packed_size
    while position < end:
        piece = os.pread(descriptor, min(_CHUNK, end - position), position)
        if not piece:
            return
        position += len(piece)
        yield piece


def _inflated(descriptor: int, member: ArchiveMember) -> Iterator[bytes]:
    from isal import isal_zlib

    inflater = isal_zlib.decompressobj(_RAW_DEFLATE)
    # One byte more than announced is enough to see that there is more.
    limit = min(_CHUNK, member.size + 1)
    for piece in _packed(descriptor, member):
        waiting = piece
        while unpacked := inflater.decompress(waiting, limit):
            yield unpacked
            if inflater.eof:
                return
            waiting = inflater.unconsumed_tail


def _check_limits(path: Path, infos: "list[ZipInfo]") -> None:
    unpacked = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if len(infos) > MAXIMUM_MEMBERS:
        raise InputError(f"{path} holds {len(infos)} files, more than the {MAXIMUM_MEMBERS} a wheel may have here")
    if unpacked > MAXIMUM_UNPACKED:
        raise InputError(
            f"{path} would unpack to {unpacked / 1024**3:.1f} GiB, more than the {MAXIMUM_UNPACKED // 1024**3} GiB "
            "a wheel may have here"
        )
    if unpacked > _RATIO_MATTERS_FROM and unpacked > MAXIMUM_RATIO * packed:
        raise InputError(f"{path} would unpack to {unpacked // max(packed, 1)} times its size, as only a trap does")


def _next_offsets(infos: "list[ZipInfo]") -> dict[int, int | None]:
    """Give for each member's place the place of the member after it; None for the last."""
    offsets = sorted({info.header_offset for info in infos})
    return dict(zip(offsets, [*offsets[1:], None], strict=True)) if offsets else {}


def _located(descriptor: int, info: "ZipInfo", end: int | None) -> ArchiveMember | str:
    """Find a member's bytes by its local header; give a sentence when that contradicts the directory."""
    size = os.fstat(descriptor).st_size
    if not 0 <= info.header_offset < size:
        return f"{info.filename} lies outside the archive"
    raw_name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
    header = os.pread(descriptor, _LOCAL_HEADER.size + len(raw_name), info.header_offset)
    if len(header) < _LOCAL_HEADER.size:
        return f"{info.filename} lies outside the archive"
    signature, _, name_length, extra_length = _LOCAL_HEADER.unpack_from(header)
    if signature != _LOCAL_SIGNATURE or name_length != len(raw_name) or header[_LOCAL_HEADER.size :] != raw_name:
        return f"{info.filename} has another name at its place in the archive than in the archive's directory"
    offset = info.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    if offset + info.compress_size > (size if end is None else end):
        return f"{info.filename} reaches into what comes after it in the archive"
    mode = info.external_attr >> 16
    return ArchiveMember(
        name=info.filename,
        size=info.file_size,
        packed_size=info.compress_size,
        offset=offset,
        deflated=info.compress_type == _DEFLATED,
        crc=info.CRC,
        executable=bool(stat.S_ISREG(mode) and mode & 0o111),
    )


def _name_mistake(info: "ZipInfo") -> str:
    """Say what is wrong with a member's name; empty when nothing is."""
    name = info.orig_filename
    shown = repr(name)
    if _CONTROL.search(name):
        return f"the name {shown} has control characters"
    if "\\" in name or name.startswith("/") or (name[1:2] == ":" and name[:1].isalpha()):
        return f"the name {shown} is not relative with slashes, as a wheel's names are"
    for part in name.removesuffix("/").split("/"):
        if part in {"", ".", ".."}:
            return f"the name {shown} leads outside the wheel or is not plain"
        if part.startswith(_WHITEOUT_PREFIX):
            return f"the name {shown} would remove files from an image instead of adding one"
        if len(part) * 4 > _MAXIMUM_COMPONENT and len(part.encode("utf-8", "surrogatepass")) > _MAXIMUM_COMPONENT:
            return f"the name {shown[:60]}... has a part of more than {_MAXIMUM_COMPONENT} bytes"
    return ""


def _kind_mistake(info: "ZipInfo") -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        what = "a symbolic link" if kind == stat.S_IFLNK else "neither a file nor a folder"
        return f"{info.filename} is {what}, which a wheel cannot hold"
    if info.flag_bits & _ENCRYPTED:
        return f"{info.filename} is encrypted"
    if info.compress_type not in {_STORED, _DEFLATED}:
        return f"{info.filename} is compressed by method {info.compress_type}, not by deflate"
    return ""


def _check_folders(names: set[str], report: Callable[[str], None]) -> None:
    """Report each file that is also the folder of another."""
    folders: set[str] = set()
    for name in names:
        folder = name.removesuffix("/").rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for name in sorted(folders & names):
        report(f"{name} is both a file and the folder of another file")
