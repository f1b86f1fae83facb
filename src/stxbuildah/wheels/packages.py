# SPDX-License-Identifier: Apache-2.0
"""Wheels out of distribution packages, streamed from the file: no shell, no dpkg, no rpm, nothing else unpacked.

A ``.deb`` is an ``ar`` archive with a ``data.tar`` in it (deb(5)). An ``.rpm`` is a lead, two header structures and a
``cpio`` archive of the "new ASCII" form ("RPM Package File Structure", rpm.org).
"""

import bz2
import gzip
import lzma
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

import attrs

from stxbuildah.errors import InputError

MAXIMUM_WHEEL = 2 * 2**30
_MAXIMUM_MEMBERS = 500_000
_MAXIMUM_HEADER = 256 * 2**20
_CHUNK = 1 << 20
_AR_MAGIC, _AR_HEADER, _AR_END = b"!<arch>\n", 60, b"`\n"
_LEAD, _LEAD_MAGIC, _HEADER_MAGIC = 96, b"\xed\xab\xee\xdb", b"\x8e\xad\xe8\x01"
_CPIO_HEADER, _CPIO_MAGICS, _CPIO_END = 110, (b"070701", b"070702"), "TRAILER!!!"
_TYPE_MASK, _REGULAR = 0o170000, 0o100000
_LONGEST_NAME = 4096
_WHEEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
_LONGEST_MAGIC = 6


def extract_wheels(package: Path, folder: Path) -> tuple[Path, ...]:
    """Write the wheels of a package into a folder, under their own names.

    Args:
        package: a ``.deb`` or ``.rpm``; not trusted.
        folder: existing folder.

    Returns:
        The wheels, sorted; empty when the package holds none.

    Raises:
        InputError: it is no such package, is damaged or cut off, or holds two wheels of one name.
    """
    found: list[Path] = []
    with _translated(package), package.open("rb") as stream:
        members = _rpm_members(stream) if package.suffix == ".rpm" else _deb_members(stream)
        for count, (name, content) in enumerate(members):
            if count >= _MAXIMUM_MEMBERS:
                raise InputError(f"{package} holds more than {_MAXIMUM_MEMBERS} files")
            wheel = PurePosixPath(name).name
            if not _WHEEL_NAME.fullmatch(wheel):
                continue
            target = folder / wheel
            if target in found:
                raise InputError(f"{package} holds two wheels of the name {wheel}")
            found.append(target)
            _copy(content, target, package)
    return tuple(sorted(found))


def _copy(content: IO[bytes], target: Path, package: Path) -> None:
    size = 0
    with target.open("wb") as out:
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            if size > MAXIMUM_WHEEL:
                raise InputError(f"{package}: the wheel {target.name} has more than {MAXIMUM_WHEEL} bytes")
            out.write(chunk)


@attrs.define
class _Part:
    """A part of a stream, read as a stream of its own; it cannot be read beyond its end."""

    stream: IO[bytes]
    left: int

    def read(self, size: int = -1) -> bytes:
        wanted = self.left if size < 0 else min(size, self.left)
        data = self.stream.read(wanted) if wanted else b""
        if len(data) < wanted:
            raise EOFError("it is cut off")
        self.left -= len(data)
        return data

    def skip(self) -> None:
        while self.left:
            self.read(_CHUNK)


def _deb_members(stream: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    if stream.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise ValueError("it is no ar archive")
    while header := stream.read(_AR_HEADER):
        if len(header) < _AR_HEADER or header[58:] != _AR_END:
            raise ValueError("a header of the ar archive is damaged")
        name, size = header[:16].decode("ascii").strip().removesuffix("/"), int(header[48:58])
        if size < 0:
            raise ValueError("a member of the ar archive has a negative size")
        if name.startswith("data.tar"):
            with tarfile.open(fileobj=_inflated(_Part(stream, size)), mode="r|") as tar:
                for member in tar:
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is not None:
                        yield member.name, content
            return
        # Members begin at even places.
        stream.seek(size + size % 2, 1)
    raise ValueError("it has no data.tar")


def _rpm_members(stream: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    if _exactly(stream, _LEAD)[:4] != _LEAD_MAGIC:
        raise ValueError("it has no lead of an rpm")
    # The header of signatures is padded to a multiple of eight.
    stream.seek(-_skip_header(stream) % 8, 1)
    _skip_header(stream)
    payload = _inflated(stream)
    while True:
        fields = _exactly(payload, _CPIO_HEADER)
        if fields[:6] not in _CPIO_MAGICS:
            raise ValueError("its archive is no cpio archive of the new form")
        numbers = [int(fields[at : at + 8], 16) for at in range(6, _CPIO_HEADER, 8)]
        mode, size, length = numbers[1], numbers[6], numbers[11]
        if not 0 < length <= _LONGEST_NAME:
            raise ValueError("a name in its archive is too long")
        name = _exactly(payload, length).rstrip(b"\0").decode("utf-8", "replace")
        _exactly(payload, -(_CPIO_HEADER + length) % 4)
        if name == _CPIO_END:
            return
        part = _Part(payload, size)
        if mode & _TYPE_MASK == _REGULAR:
            yield name, cast("IO[bytes]", part)
        part.skip()
        _exactly(payload, -size % 4)


def _skip_header(stream: BinaryIO) -> int:
    """Pass over a header structure, and give its length."""
    start = _exactly(stream, 16)
    if start[:4] != _HEADER_MAGIC:
        raise ValueError("a header of the rpm is damaged")
    entries, size = struct.unpack(">II", start[8:])
    length = int(entries) * 16 + int(size)
    if length > _MAXIMUM_HEADER:
        raise ValueError("a header of the rpm is too large")
    stream.seek(length, 1)
    return 16 + length


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("it is cut off")
    return data


@attrs.define
class _Replayed:
    """A stream whose first bytes were looked at already."""

    start: bytes
    stream: "IO[bytes] | _Part"

    def read(self, size: int = -1) -> bytes:
        if 0 <= size < len(self.start):
            data, self.start = self.start[:size], self.start[size:]
            return data
        data = self.start + self.stream.read(size - len(self.start) if size >= 0 else -1)
        self.start = b""
        return data


def _inflated(stream: "IO[bytes] | _Part") -> IO[bytes]:
    """Give what a stream holds, by whatever its first bytes say that it is compressed."""
    start = stream.read(_LONGEST_MAGIC)
    replayed = cast("BinaryIO", _Replayed(start, stream))
    if start.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(replayed))
    if start.startswith((b"\xfd7zXZ\x00", b"\x5d\x00\x00")):
        return lzma.open(replayed)
    if start.startswith(b"BZh"):
        return bz2.open(replayed)
    return _zstd(replayed) if start.startswith(b"\x28\xb5\x2f\xfd") else replayed


def _zstd(stream: BinaryIO) -> IO[bytes]:
    import zstandard

    return cast("IO[bytes]", zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True))


@contextmanager
def _translated(package: Path) -> Iterator[None]:
    from zstandard import ZstdError

    try:
        yield
    except (
        ValueError, EOFError, struct.error, tarfile.TarError, lzma.LZMAError, zlib.error, ZstdError,
    ) as error:  # fmt: skip
        raise InputError(f"{package} is no package that can be read: {error}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"the wheels of {package} cannot be taken out: {reason}") from error
