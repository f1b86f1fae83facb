# SPDX-License-Identifier: Apache-2.0
"""Tars made to order from their blocks, right or wrong in a way of choice."""

from collections.abc import Iterable, Iterator, Mapping

BLOCK = 512
END = bytes(2 * BLOCK)
USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
V7 = bytes(8)


def filled(data: bytes) -> bytes:
    """The bytes up to a whole block."""
    return data + bytes(-len(data) % BLOCK)


def octal(number: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, number)


def base_256(number: int, width: int) -> bytes:
    """GNU's form of numbers that octal digits cannot say."""
    data = bytearray(number.to_bytes(width, "big", signed=True))
    data[0] |= 0x80
    return bytes(data)


def header(
    name: bytes,
    *,
    type_flag: bytes = b"0",
    size: int | bytes = 0,
    mode: int | bytes = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 0,
    target: bytes = b"",
    magic: bytes = USTAR,
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
    tail: bytes | None = None,
    checksum: bytes | None = None,
    signed: bool = False,
) -> bytes:
    """One header block; a number given as bytes stands there as it is, ``tail`` is all from byte 345 on."""
    numbers = ((mode, 8), (uid, 8), (gid, 8), (size, 12), (mtime, 12))
    start = name.ljust(100, b"\0") + b"".join(
        value.ljust(width, b"\0") if isinstance(value, bytes) else octal(value, width) for value, width in numbers
    )
    end = type_flag + target.ljust(100, b"\0") + magic + bytes(64)
    end += b"".join(octal(number, 8) for number in device) if magic != V7 else bytes(16)
    end += (prefix if tail is None else tail).ljust(167, b"\0")
    blank = start + b" " * 8 + end
    assert len(blank) == BLOCK
    if checksum is None:
        total = sum(blank) - (256 * sum(byte >= 128 for byte in blank) if signed else 0)
        checksum = b"%06o\0 " % total
    return start + checksum + end


def member(name: bytes, content: bytes = b"", **fields: object) -> bytes:
    """A header and the content that belongs to it."""
    fields.setdefault("size", len(content))
    return header(name, **fields) + filled(content)  # type: ignore[arg-type]


def pax_record(keyword: bytes, value: bytes) -> bytes:
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, keyword, value)


def pax(records: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]], *, type_flag: bytes = b"x") -> bytes:
    """An extended header; records as pairs may repeat a keyword."""
    pairs = records.items() if isinstance(records, Mapping) else records
    body = b"".join(pax_record(keyword, value) for keyword, value in pairs)
    return member(b"PaxHeaders/x", body, type_flag=type_flag)


def long_name(name: bytes, *, type_flag: bytes = b"L") -> bytes:
    """GNU's header of a long name, or with type ``K`` of a long link target."""
    return member(b"././@LongLink", name + b"\0", type_flag=type_flag, magic=GNU)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """The same bytes in pieces of one size."""
    return (data[start : start + size] for start in range(0, len(data), size))
