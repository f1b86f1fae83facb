# SPDX-License-Identifier: Apache-2.0
"""Headers of tar members: ustar of POSIX.1-1988, with the pax records of POSIX.1-2001 where ustar is too narrow.

The standard library's ``tarfile`` would do, at four times the time for a layer of thousands of small files.
"""

import zlib

import attrs

from stxbuildah.model.value import Value

BLOCK = 512
_PAX_TYPE = b"x"
_SUMMED = 256
_MAXIMUM_NAME = 100
_MAXIMUM_PREFIX = 155
_MAXIMUM_ID = 0o7777777
_MAXIMUM_NUMBER = 0o77777777777


@attrs.frozen(kw_only=True)
class Member(Value):
    """One member of a tar archive.

    Attributes:
        name: relative path as bytes; a folder's ends with a slash.
        type: type flag, as ``b"0"`` for a file.
        mode: permission bits.
        uid: owner.
        gid: group.
        size: bytes that follow the header.
        mtime: seconds since the epoch.
        target: what a link points to, as bytes.
        xattrs: extended attributes by name.
    """

    name: bytes
    type: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime: int = 0
    target: bytes = b""
    xattrs: tuple[tuple[str, bytes], ...] = ()


def member_header(member: Member) -> bytes:
    """Give the header blocks of a member: one of ustar, after the two or more of pax when that needs them."""
    records: list[tuple[bytes, bytes]] = []
    prefix, name = _split(member.name)
    if not name or not member.name.isascii():
        records.append((b"path", member.name))
        prefix, name = b"", member.name[:_MAXIMUM_NAME]
    if len(member.target) > _MAXIMUM_NAME or not member.target.isascii():
        records.append((b"linkpath", member.target))
    if not _fits(member):
        records += [
            (key, b"%d" % number)
            for key, number, maximum in (
                (b"uid", member.uid, _MAXIMUM_ID),
                (b"gid", member.gid, _MAXIMUM_ID),
                (b"size", member.size, _MAXIMUM_NUMBER),
                (b"mtime", member.mtime, _MAXIMUM_NUMBER),
            )
            if not 0 <= number <= maximum
        ]
    # The key under which GNU tar, star and Go's archive/tar (so buildah and podman) keep extended attributes.
    records += [(b"SCHILY.xattr." + key.encode(), value) for key, value in sorted(member.xattrs)]
    return _pax(records, name) + _ustar(member, prefix, name)


def padding(size: int) -> bytes:
    """Give the zeros that fill the last block of ``size`` bytes."""
    return bytes(-size % BLOCK)


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Divide a name into ustar's prefix and name; the name is empty when it does not fit."""
    if len(name) <= _MAXIMUM_NAME:
        return b"", name
    cut = name.find(b"/", len(name) - _MAXIMUM_NAME - 1, len(name) - 1)
    if 0 < cut <= _MAXIMUM_PREFIX:
        return name[:cut], name[cut + 1 :]
    return b"", b""


def _pax(records: list[tuple[bytes, bytes]], name: bytes) -> bytes:
    if not records:
        return b""
    if any(not _is_utf8(value) for key, value in records if not key.startswith(b"SCHILY.")):
        # POSIX.1-2008: without this record the values are UTF-8.
        records.insert(0, (b"hdrcharset", b"BINARY"))
    body = b"".join(_record(key, value) for key, value in records)
    label = b"PaxHeaders/" + name.rstrip(b"/").rpartition(b"/")[2][: _MAXIMUM_NAME - len(b"PaxHeaders/")]
    member = Member(name=label, type=_PAX_TYPE, mode=0o644, size=len(body))
    return _ustar(member, b"", label) + body + padding(len(body))


def _record(key: bytes, value: bytes) -> bytes:
    """Give ``LENGTH KEY=VALUE`` and a newline; the length counts its own digits too."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _fits(member: Member) -> bool:
    """Say whether all numbers are such as ustar can hold."""
    return (
        0 <= member.uid <= _MAXIMUM_ID
        and 0 <= member.gid <= _MAXIMUM_ID
        and 0 <= member.size <= _MAXIMUM_NUMBER
        and 0 <= member.mtime <= _MAXIMUM_NUMBER
    )


def _sum(part: bytes) -> int:
    """Give the sum of at most 256 bytes: the lower half of Adler-32 is one more, and of so few no remainder."""
    return (zlib.adler32(part) & 0xFFFF) - 1


def _ustar(member: Member, prefix: bytes, name: bytes) -> bytes:
    uid, gid, size, mtime = member.uid, member.gid, member.size, member.mtime
    if not _fits(member):
        # A number that went into a pax record stands as 0 here.
        uid, gid = (number if 0 <= number <= _MAXIMUM_ID else 0 for number in (uid, gid))
        size, mtime = (number if 0 <= number <= _MAXIMUM_NUMBER else 0 for number in (size, mtime))
    start = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(100, b"\0"), member.mode, uid, gid, size, mtime)
    end = b"%b%bustar\x0000%b%07o\0%07o\0%b" % (
        member.type,
        member.target[:_MAXIMUM_NAME].ljust(100, b"\0"),
        bytes(64),
        0,
        0,
        prefix.ljust(167, b"\0"),
    )
    checksum = _sum(start) + 8 * ord(" ") + _sum(end[:_SUMMED]) + _sum(end[_SUMMED:])
    return b"%b%06o\0 %b" % (start, checksum, end)
