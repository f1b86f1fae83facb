# SPDX-License-Identifier: Apache-2.0
"""An image's rpm database, read from its files: nothing of the image runs, and no rpm is needed here.

Two formats are read: SQLite (Fedora 33, RHEL 9 and later) and Berkeley DB's hash (CentOS 7 and 8). SUSE's ndb is not.
"""

import struct
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from stxbuildah.errors import InputError
from stxbuildah.layer.paths import resolve
from stxbuildah.model.tree import FileTree

if TYPE_CHECKING:
    from stxbuildah.layer.rpmheader import RpmPackage

_FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm")

_BDB_HASH_MAGIC = 0x00061561
_BDB_MAGIC_OFFSET, _BDB_PAGE_SIZE_OFFSET, _BDB_LAST_PAGE_OFFSET = 12, 20, 32
_BDB_PAGE_HEADER = 26
_BDB_HASH_PAGES = frozenset({2, 13})
_BDB_OVERFLOW_PAGE, _BDB_OFF_PAGE = 7, 3
_EMPTY_HEADER = 8


def read_rpm_database(tree: FileTree) -> "tuple[RpmPackage, ...]":
    """Give the packages of an image's rpm database; none when it has no database.

    Raises:
        InputError: the database is damaged, or in a format that is not known.
    """
    for folder in _FOLDERS:
        for name, blobs in (("rpmdb.sqlite", _sqlite), ("Packages", _berkeley)):
            path = resolve(tree, f"{folder}/{name}")
            if path is None:
                continue
            from stxbuildah.layer.rpmheader import read_header

            try:
                return tuple(read_header(blob) for blob in blobs(tree.read(path)))
            except FileNotFoundError:
                continue
            except (struct.error, IndexError) as error:
                raise InputError(f"the image's rpm database {path} is damaged: {error}") from error
    return ()


def rpm_packages(tree: FileTree) -> tuple[str, ...]:
    """Give the installed packages as ``rpm -qa`` writes them, sorted; empty when the image has no rpm database.

    Raises:
        InputError: the database is damaged.
    """
    return tuple(sorted(str(package) for package in read_rpm_database(tree)))


def rpm_owner_of(tree: FileTree, path: str) -> str:
    """Give the name of the package that owns a path; empty when none does.

    Raises:
        InputError: the database is damaged.
    """
    folder, _, name = path.rpartition("/")
    for package in read_rpm_database(tree):
        if name in package.base_names and f"{folder}/" in package.directories and path in package.files():
            return package.name
    return ""


def _sqlite(data: bytes) -> Iterator[bytes]:
    import sqlite3

    # In write-ahead mode SQLite refuses a database without its log; the two bytes say which mode (fileformat2, 1.3).
    plain = data[:18] + b"\x01\x01" + data[20:]
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.deserialize(plain)
            rows = connection.execute("SELECT blob FROM Packages ORDER BY hnum").fetchall()
    except sqlite3.Error as error:
        raise InputError(f"the image's rpm database is no SQLite database: {error}") from error
    for (blob,) in rows:
        yield bytes(blob)


def _berkeley(data: bytes) -> Iterator[bytes]:
    """Read the values of a hash database (db_page.h, "Hash"); every header is too big for its page."""
    if len(data) < _BDB_LAST_PAGE_OFFSET + 4 or _u32(data, _BDB_MAGIC_OFFSET) != _BDB_HASH_MAGIC:
        raise InputError("the image's rpm database is no Berkeley DB hash")
    size, last = _u32(data, _BDB_PAGE_SIZE_OFFSET), _u32(data, _BDB_LAST_PAGE_OFFSET)
    for number in range(1, last + 1):
        page = data[number * size : (number + 1) * size]
        if len(page) < _BDB_PAGE_HEADER or page[25] not in _BDB_HASH_PAGES:
            continue
        count = struct.unpack_from("<H", page, 20)[0]
        offsets = struct.unpack_from(f"<{count}H", page, _BDB_PAGE_HEADER)
        for offset in offsets[1::2]:
            if page[offset] == _BDB_OFF_PAGE:
                blob = _overflow(data, size, _u32(page, offset + 4), _u32(page, offset + 8))
                if len(blob) > _EMPTY_HEADER:
                    yield blob


def _overflow(data: bytes, size: int, number: int, length: int) -> bytes:
    parts, seen, got = [], set(), 0
    while number and got < length:
        if number in seen:
            raise InputError("the image's rpm database is damaged: its pages go round in a circle")
        seen.add(number)
        page = data[number * size : (number + 1) * size]
        if page[25] != _BDB_OVERFLOW_PAGE:
            raise InputError("the image's rpm database is damaged: an overflow page is missing")
        used = struct.unpack_from("<H", page, 22)[0]
        parts.append(page[_BDB_PAGE_HEADER : _BDB_PAGE_HEADER + used])
        got += used
        number = _u32(page, 16)
    return b"".join(parts)[:length]


def _u32(data: bytes, offset: int) -> int:
    value: int = struct.unpack_from("<I", data, offset)[0]
    return value
