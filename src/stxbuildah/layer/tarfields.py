# SPDX-License-Identifier: Apache-2.0
"""The header block of a tar member and the fields in it, as POSIX.1, GNU tar and Go's archive/tar have them.

Where the formats' readers differ, Go's archive/tar is followed: it reads the layers of podman, buildah and Docker.
"""

import struct
from enum import Enum, auto
from typing import NamedTuple
from zlib import adler32

from stxbuildah.errors import InputError

BLOCK = 512
MAXIMUM_NUMBER = 2**63 - 1
_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s")
_HALF = BLOCK // 2
_CHECKSUM = slice(148, 156)
_SUM_MASK = 0xFFFF
_MAGIC = slice(257, 265)
_USTAR_MAGIC = b"ustar\0"
_GNU_MAGIC = b"ustar  \0"
_STAR_TRAILER = b"tar\0"
_PREFIX_START = 345
_USTAR_PREFIX = slice(_PREFIX_START, 500)
_STAR_PREFIX = slice(_PREFIX_START, 476)
_DEVICE = struct.Struct("8s8s")
_DEVICE_START = 329
_BASE_256 = 0x80
_BASE_256_NEGATIVE = 0x40


class TarFormat(Enum):
    """Which fields a header has behind those that all have."""

    V7 = auto()
    USTAR = auto()
    GNU = auto()


class RawHeader(NamedTuple):
    """The fields of a header block that every tar has, not read yet."""

    name: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    size: bytes
    mtime: bytes
    checksum: bytes
    type: bytes
    target: bytes
    magic: bytes


def split_header(block: bytes) -> RawHeader:
    """Divide a header block into its fields.

    Raises:
        InputError: its checksum is wrong, so this is no header.
    """
    header = RawHeader._make(_FIELDS.unpack_from(block))
    # Adler-32 that starts from 0 has the sum of the bytes in its low half, when that is below 65521: as here, of 256.
    total = (adler32(block[:_HALF], 0) & _SUM_MASK) + (adler32(block[_HALF:], 0) & _SUM_MASK)
    total += 8 * ord(" ") - sum(header.checksum)
    # Most programs write it in one way, which is compared faster than it is read.
    if header.checksum != b"%06o\0 " % total and parse_number(header.checksum) not in {total, _signed_sum(block)}:
        raise InputError("the checksum of a header is wrong")
    return header


def full_name(header: RawHeader, block: bytes) -> bytes:
    """Give a member's name, with the prefix that ustar has for long ones."""
    name = c_string(header.name)
    if not block[_PREFIX_START] or header_format(block) is not TarFormat.USTAR:
        return name
    star = block.endswith(_STAR_TRAILER)
    prefix = c_string(block[_STAR_PREFIX if star else _USTAR_PREFIX])
    return prefix + b"/" + name if prefix else name


def header_format(block: bytes) -> TarFormat:
    """Say of which format a header block is."""
    magic = block[_MAGIC]
    if magic.startswith(_USTAR_MAGIC):
        return TarFormat.USTAR
    return TarFormat.GNU if magic == _GNU_MAGIC else TarFormat.V7


def device_numbers(block: bytes) -> tuple[int, int]:
    """Give the major and minor number of a device; 0 and 0 in the format that has none.

    Raises:
        InputError: they are no numbers, or negative.
    """
    if header_format(block) is TarFormat.V7:
        return 0, 0
    major, minor = (parse_number(field) for field in _DEVICE.unpack_from(block, _DEVICE_START))
    if major < 0 or minor < 0:
        raise InputError("the numbers of a device are negative")
    return major, minor


def c_string(field: bytes) -> bytes:
    """Give a field up to its first zero byte."""
    end = field.find(b"\0")
    return field if end < 0 else field[:end]


def parse_number(field: bytes) -> int:
    """Read a number: octal digits among spaces and zero bytes, or GNU's base 256; an empty field is 0.

    Raises:
        InputError: it is neither, or beyond 64 bits.
    """
    if field[0] & _BASE_256:
        negative = bool(field[0] & _BASE_256_NEGATIVE)
        number = int.from_bytes(field, "big", signed=True) if negative else _positive_base_256(field)
    else:
        digits = c_string(field.strip(b" \0"))
        if digits and not digits.isdigit():
            raise InputError(f"a header has {field!r} where a number should be")
        try:
            number = int(digits or b"0", 8)
        except ValueError as error:
            raise InputError(f"a header has {field!r} where a number should be") from error
    if not -MAXIMUM_NUMBER <= number <= MAXIMUM_NUMBER:
        raise InputError("a header has a number of more than 64 bits")
    return number


def _positive_base_256(field: bytes) -> int:
    return int.from_bytes(field, "big") - (_BASE_256 << 8 * (len(field) - 1))


def _signed_sum(block: bytes) -> int:
    """Give the sum that old programs made of signed bytes, with the checksum taken as spaces."""
    blank = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    return sum(blank) - 256 * sum(byte >= 128 for byte in blank)  # noqa: PLR2004 # a byte's sign bit
