# SPDX-License-Identifier: Apache-2.0
"""Reading the index of a layer: what the layer does to the file tree of an image, and the contents that were kept.

An index may come from anyone, so nothing in it is believed: a damaged or foreign file is known by its checksum and is
as if it were missing, and every length and offset of one with the right checksum is looked at before it is followed.
"""

import os
import weakref
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NoReturn, Self

from stxbuildah import log
from stxbuildah.errors import InputError
from stxbuildah.layer.indexformat import (
    BLOCK,
    CONTENT,
    HEADER_REST,
    HEADER_SIZE,
    HEADER_START,
    IMPLICIT,
    MAGIC,
    MAXIMUM_TABLES,
    NO_CONTENT,
    OFFSET,
    OPAQUE,
    ROW,
    VERSION,
    RowKind,
    decode,
    key_of,
)
from stxbuildah.layer.indexvalues import DecodedFolder, Folder, IndexTables, Row
from stxbuildah.model.tree import Entry, Kind

_KINDS = {
    RowKind.FILE: Kind.FILE,
    RowKind.DIRECTORY: Kind.DIRECTORY,
    RowKind.SYMLINK: Kind.SYMLINK,
    RowKind.OTHER: Kind.OTHER,
    RowKind.LINK: Kind.FILE,
}
__all__ = ["Folder", "LayerIndex"]

# Entries of folders that are kept decoded; more would cost more memory than the time is worth.
_MAXIMUM_DECODED = 50_000


class LayerIndex:
    """An open index of one layer. It can be used from several threads; at the latest its own end closes the file.

    Args:
        path: the file, for messages.
        descriptor: of the open file; closed by the index.
        tables: the tables.
        folders: how many folders there are.
        contents: how many contents there are.
        size: bytes of all contents.
        diff_id: digest of the layer's uncompressed tar.
    """

    def __init__(
        self, path: Path, descriptor: int, *, tables: bytes, folders: int, contents: int, size: int, diff_id: str
    ) -> None:
        self._path = path
        self._descriptor = descriptor
        self._tables = tables
        self._folders = folders
        self._contents = contents
        self._contents_size = size
        self._diff_id = diff_id
        self._content_table = len(tables) - contents * CONTENT.size
        self._blocks_end = self._content_table - folders * OFFSET.size
        self._decoded: dict[bytes, DecodedFolder] = {}
        self._decoded_entries = 0
        self._finalizer = weakref.finalize(self, os.close, descriptor)

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open an index; None when the file is missing, damaged, of another version or something else."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            opened = cls._of_descriptor(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if opened is None:
            os.close(descriptor)
            log.info("layer.index.ignored", path=str(path))
        return opened

    @classmethod
    def _of_descriptor(cls, path: Path, descriptor: int) -> Self | None:
        try:
            header = os.pread(descriptor, HEADER_SIZE, 0)
            if len(header) < HEADER_SIZE:
                return None
            magic, version, checksum = HEADER_START.unpack_from(header)
            size, contents_size, folders, contents, digest = HEADER_REST.unpack_from(header, HEADER_START.size)
            needed = folders * OFFSET.size + contents * CONTENT.size
            if (magic, version) != (MAGIC, VERSION) or not folders or not needed <= size <= MAXIMUM_TABLES:
                return None
            if os.fstat(descriptor).st_size != HEADER_SIZE + size + contents_size:
                return None
            tables = _read(descriptor, size, HEADER_SIZE)
        except OSError:
            return None
        if zlib.crc32(header[HEADER_START.size :], zlib.crc32(tables)) != checksum:
            return None
        diff_id = digest.rstrip(b"\0").decode("ascii", "replace")
        return cls(
            path,
            descriptor,
            tables=tables,
            folders=folders,
            contents=contents,
            size=contents_size,
            diff_id=diff_id,
        )

    @property
    def diff_id(self) -> str:
        """Digest of the layer's uncompressed tar, as it was when the index was made."""
        return self._diff_id

    @property
    def root(self) -> Entry | None:
        """The root folder, as the layer's tar has it; None when the tar has no member for it.

        Raises:
            InputError: the index is malformed.
        """
        _, start, end = self._block(0)
        if BLOCK.unpack_from(self._tables, start)[1] & IMPLICIT:
            return None
        first = next(self._rows(start, end), None)
        return first.entry if first is not None else self._malformed()

    def is_sound(self) -> bool:
        """Say whether all of the tables can be read, which is worth the time for an index that somebody else made."""
        try:
            keys = []
            for number in range(self._folders):
                key, start, end = self._block(number)
                keys.append(key)
                self._decode(key, start, end)
            root = self.root
            return keys == sorted(set(keys)) and keys[0] == b"" and (root is None or root.kind is Kind.DIRECTORY)
        except InputError:
            return False

    def folder(self, path: str) -> Folder | None:
        """Give what the layer does in a folder; None when it has no such folder.

        Args:
            path: absolute and normalized; no link of it is followed.

        Raises:
            InputError: the index is malformed.
        """
        decoded = self._folder(path)
        return decoded.folder if decoded else None

    def content(self, path: str) -> bytes | None:
        """Give the content of a regular file; None when it was not kept whole, or is damaged.

        Raises:
            InputError: the index is malformed.
        """
        found = self._content_of(path)
        if found is None:
            return None
        content, size = found
        return content if len(content) == size else None

    def content_start(self, path: str, size: int) -> bytes | None:
        """Give at most the first ``size`` bytes of a regular file; None when fewer were kept, or they are damaged.

        Raises:
            InputError: the index is malformed.
        """
        found = self._content_of(path)
        if found is None:
            return None
        content, whole = found
        return content[:size] if len(content) >= min(size, whole) else None

    def origins(self, paths: Collection[str]) -> dict[str, tuple[int, int]]:
        """Give, of regular files, how many regular files stand before each in the tar, and its size.

        Args:
            paths: absolute paths; what is no regular file with data of its own in this layer is left out.

        Raises:
            InputError: the index is malformed.
        """
        return {path: (row.origin, row.entry.size) for path, row in self._file_rows(paths)}

    def close(self) -> None:
        """Close the file; contents cannot be asked for any more."""
        self._finalizer()

    # --- for writing it anew ---

    @property
    def tables(self) -> IndexTables:
        """The tables as they are in the file."""
        return IndexTables(
            blocks=memoryview(self._tables)[: self._blocks_end],
            offsets=memoryview(self._tables)[self._blocks_end : self._content_table],
            contents=memoryview(self._tables)[self._content_table :],
            contents_size=self._contents_size,
        )

    def places(self, paths: Collection[str]) -> dict[str, tuple[int, int]]:
        """Give, of regular files, where in the tables the row of each stands, and its size.

        Raises:
            InputError: the index is malformed.
        """
        return {path: (row.position, row.entry.size) for path, row in self._file_rows(paths)}

    def stored(self, size: int, offset: int) -> bytes:
        """Give bytes of the contents, as they lie one behind the other; fewer at the end."""
        return os.pread(self._descriptor, size, HEADER_SIZE + len(self._tables) + offset)

    # --- inside ---

    def _folder(self, path: str) -> DecodedFolder | None:
        try:
            key = key_of(path)
        except UnicodeEncodeError:
            return None  # no bytes can be such a path
        known = self._decoded.get(key)
        if known is None and (found := self._find(key)) is not None:
            known = self._decode(key, *found)
            self._remember(key, known)
        return known

    def _find(self, key: bytes) -> tuple[int, int] | None:
        """Give where a folder's block starts and ends."""
        low, high = 0, self._folders
        while low < high:
            middle = (low + high) // 2
            found, start, end = self._block(middle)
            if found == key:
                return start, end
            if found < key:
                low = middle + 1
            else:
                high = middle
        return None

    def _remember(self, key: bytes, decoded: DecodedFolder) -> None:
        self._decoded_entries += len(decoded.folder.entries) + 1
        if self._decoded_entries > _MAXIMUM_DECODED:
            self._decoded = {}
            self._decoded_entries = len(decoded.folder.entries) + 1
        self._decoded[key] = decoded

    def _block(self, number: int) -> tuple[bytes, int, int]:
        """Give a block's key, and where in the tables the block starts and ends."""
        place = self._blocks_end + number * OFFSET.size
        (start,) = OFFSET.unpack_from(self._tables, place)
        end = self._blocks_end
        if number + 1 < self._folders:
            (end,) = OFFSET.unpack_from(self._tables, place + OFFSET.size)
        if not start + BLOCK.size <= end <= self._blocks_end:
            self._malformed()
        (length, _, _) = BLOCK.unpack_from(self._tables, start)
        return self._tables[start + BLOCK.size : start + BLOCK.size + length], start, end

    def _rows(self, start: int, end: int) -> Iterator[Row]:
        length, _, count = BLOCK.unpack_from(self._tables, start)
        first = start + BLOCK.size + length
        place = first + count * ROW.size
        if place > end:
            self._malformed()
        tables = self._tables
        for number, fields in enumerate(ROW.iter_unpack(memoryview(tables)[first:place])):
            kind, mode, uid, gid, size, mtime, content, origin, name_length, target_length = fields
            middle = place + name_length
            target_end = middle + target_length
            if target_end > end or kind > RowKind.WHITEOUT:
                self._malformed()
            name, target = decode(tables[place:middle]), decode(tables[middle:target_end])
            place = target_end
            entry = Entry(_KINDS.get(kind, Kind.OTHER), mode & 0o7777, uid, gid, size, mtime, target)
            yield Row(kind, name, entry, content, origin, first + number * ROW.size)

    def _decode(self, key: bytes, start: int, end: int) -> DecodedFolder:
        _, flags, _ = BLOCK.unpack_from(self._tables, start)
        entries: dict[str, Entry] = {}
        links: dict[str, Entry] = {}
        contents: dict[str, int] = {}
        whiteouts: set[str] = set()
        rows = self._rows(start, end)
        if not key:
            next(rows, None)  # the root folder itself
        for row in rows:
            name = row.name
            if name in {"", ".", ".."} or "/" in name or "\0" in name:
                self._malformed()
            if row.kind == RowKind.WHITEOUT:
                whiteouts.add(name)
            elif row.kind == RowKind.LINK:
                links[name] = row.entry
            else:
                entries[name] = row.entry
            if row.kind == RowKind.FILE and row.content != NO_CONTENT:
                contents[name] = row.content
        folder = Folder(entries, frozenset(whiteouts), bool(flags & OPAQUE), links)
        return DecodedFolder(folder, contents)

    def _content_of(self, path: str) -> tuple[bytes, int] | None:
        """Give what is kept of a regular file, and the file's size; None when nothing is, or it is damaged."""
        above, _, name = path.rpartition("/")
        decoded = self._folder(above or "/")
        entry = decoded.folder.entries.get(name) if decoded else None
        if decoded is None or entry is None or entry.kind is not Kind.FILE:
            return None
        if entry.size == 0:
            return b"", 0
        number = decoded.contents.get(name)
        if number is None:
            return None
        content = self._content(number, entry.size)
        return (content, entry.size) if content is not None else None

    def _content(self, number: int, maximum: int) -> bytes | None:
        if number >= self._contents:
            return None
        offset, length, checksum = CONTENT.unpack_from(self._tables, self._content_table + number * CONTENT.size)
        if length > maximum or offset + length > self._contents_size:
            return None
        try:
            content = _read(self._descriptor, length, HEADER_SIZE + len(self._tables) + offset)
        except OSError:
            return None
        return content if zlib.crc32(content) == checksum else None

    def _file_rows(self, paths: Collection[str]) -> Iterator[tuple[str, Row]]:
        by_folder: dict[str, set[str]] = {}
        for path in paths:
            above, _, name = path.rpartition("/")
            by_folder.setdefault(above or "/", set()).add(name)
        for folder, names in by_folder.items():
            found = self._find(key_of(folder))
            for row in self._rows(*found) if found is not None else ():
                if row.kind == RowKind.FILE and row.name in names:
                    yield f"{folder.rstrip('/')}/{row.name}", row

    def _malformed(self) -> NoReturn:
        raise InputError(
            f"the layer index {self._path} is malformed, although its checksum is right",
            hint="remove it; it is made again from the layer",
        )


def _read(descriptor: int, size: int, offset: int) -> bytes:
    """Give bytes of a file; fewer at its end. The kernel gives at most 2 GiB at once."""
    data = os.pread(descriptor, size, offset)
    while len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
        data += more
    return data
