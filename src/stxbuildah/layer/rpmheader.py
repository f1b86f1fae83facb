# SPDX-License-Identifier: Apache-2.0
"""The header in which rpm keeps what it knows of one package (rpm's file format, "Header").

Four bytes count the index entries, four the bytes of data; each entry has a tag, a type, an offset into the data and
a count, all big-endian.
"""

import struct
from collections.abc import Iterator

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.value import Value

_NAME, _VERSION, _RELEASE, _ARCH = 1000, 1001, 1002, 1022
_PROVIDES = 1047
_DIRECTORY_INDEXES, _BASE_NAMES, _DIRECTORY_NAMES = 1116, 1117, 1118
_INT32, _STRING, _STRING_ARRAY, _I18N_STRING = 4, 6, 8, 9
_ENTRY = struct.Struct(">iIII")
_COUNTS = struct.Struct(">II")
# rpm's own limits (header.c): more is a damaged header.
_MAXIMUM_ENTRIES = 0x0000FFFF
_MAXIMUM_DATA = 0x0FFFFFFF


@attrs.frozen(kw_only=True)
class RpmPackage(Value):
    """One package of an rpm database.

    Attributes:
        name: the package's name.
        version: version without release.
        release: the distribution's release of that version.
        architecture: as ``noarch``; empty for what has none, as a public key.
        directories: folders of its files, each with a trailing slash.
        base_names: its files' names.
        directory_indexes: for each name, the place of its folder in ``directories``.
        provides: names of what it stands for, its own among them.
    """

    name: str
    version: str
    release: str
    architecture: str = ""
    directories: tuple[str, ...] = attrs.field(default=(), repr=False)
    base_names: tuple[str, ...] = attrs.field(default=(), repr=False)
    directory_indexes: tuple[int, ...] = attrs.field(default=(), repr=False)
    provides: tuple[str, ...] = attrs.field(default=(), repr=False)

    def __str__(self) -> str:
        """Write it as ``rpm -qa`` does."""
        text = f"{self.name}-{self.version}-{self.release}"
        return f"{text}.{self.architecture}" if self.architecture else text

    def files(self) -> Iterator[str]:
        """Give the absolute paths of its files."""
        for index, name in zip(self.directory_indexes, self.base_names, strict=False):
            if index < len(self.directories):
                yield self.directories[index] + name


def read_header(blob: bytes) -> RpmPackage:
    """Read one package's header.

    Args:
        blob: the header as databases hold it, without the magic number that package files put before it.

    Raises:
        InputError: the header is damaged.
    """
    try:
        count, size = _COUNTS.unpack_from(blob)
        if count > _MAXIMUM_ENTRIES or size > _MAXIMUM_DATA:
            raise InputError("a package header of the image's rpm database is damaged: it is impossibly large")
        start = _COUNTS.size + count * _ENTRY.size
        data = memoryview(blob)[start : start + size]
        index = {
            tag: (kind, offset, number) for tag, kind, offset, number in _ENTRY.iter_unpack(blob[_COUNTS.size : start])
        }
        return RpmPackage(
            name=_string(data, index, _NAME),
            version=_string(data, index, _VERSION),
            release=_string(data, index, _RELEASE),
            architecture=_string(data, index, _ARCH),
            directories=_strings(data, index, _DIRECTORY_NAMES),
            base_names=_strings(data, index, _BASE_NAMES),
            directory_indexes=_integers(data, index, _DIRECTORY_INDEXES),
            provides=_strings(data, index, _PROVIDES),
        )
    except (struct.error, ValueError, IndexError) as error:
        raise InputError(f"a package header of the image's rpm database is damaged: {error}") from error


_Index = dict[int, tuple[int, int, int]]


def _string(data: memoryview, index: _Index, tag: int) -> str:
    found = _strings(data, index, tag)
    return found[0] if found else ""


def _strings(data: memoryview, index: _Index, tag: int) -> tuple[str, ...]:
    if tag not in index:
        return ()
    kind, offset, count = index[tag]
    if kind not in {_STRING, _STRING_ARRAY, _I18N_STRING}:
        raise ValueError(f"tag {tag} has type {kind}, where text should be")
    wanted = 1 if kind == _STRING else count
    parts = bytes(data[offset:]).split(b"\0", wanted)
    if len(parts) <= wanted:
        raise ValueError(f"tag {tag} ends too early")
    return tuple(part.decode("utf-8", "surrogateescape") for part in parts[:wanted])


def _integers(data: memoryview, index: _Index, tag: int) -> tuple[int, ...]:
    if tag not in index:
        return ()
    kind, offset, count = index[tag]
    if kind != _INT32:
        raise ValueError(f"tag {tag} has type {kind}, where numbers should be")
    return struct.unpack_from(f">{count}I", data, offset)
