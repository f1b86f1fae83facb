# SPDX-License-Identifier: Apache-2.0
"""Writing the index of a layer: its tables as they are made, then the contents that were kept."""

import os
import zlib
from array import array
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from stxbuildah.errors import InputError
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.indexformat import (
    BLOCK,
    CONTENT,
    CONTENT_NUMBER,
    CONTENT_NUMBER_OFFSET,
    HEADER_REST,
    HEADER_SIZE,
    HEADER_START,
    IMPLICIT,
    LENGTHS,
    MAGIC,
    MAXIMUM_TABLES,
    NO_CONTENT,
    NO_ORIGIN,
    NODE,
    OFFSET,
    OPAQUE,
    VERSION,
    RowKind,
)
from stxbuildah.layer.layerstate import LayerFolder, LayerState, Node

_CHUNK = 1024 * 1024
_MAXIMUM_KEY = 0xFFFF
_WHITEOUT = NODE.pack(RowKind.WHITEOUT, 0, 0, 0, 0, 0, NO_CONTENT, NO_ORIGIN)


class Spool:
    """Contents that are kept, in a file, in the order in which they came.

    Args:
        stream: an empty file, for reading and writing.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._offsets = array("Q", [0])
        self._sums = array("I")

    @property
    def size(self) -> int:
        """Bytes of all contents."""
        return self._offsets[-1]

    def add(self, content: bytes) -> int:
        """Keep a content and give its number."""
        self._stream.write(content)
        self._offsets.append(self.size + len(content))
        self._sums.append(zlib.crc32(content))
        return len(self._sums) - 1

    def length(self, number: int) -> int:
        """Give the length of a content."""
        return self._offsets[number + 1] - self._offsets[number]

    def checksum(self, number: int) -> int:
        """Give the CRC-32 of a content."""
        return self._sums[number]

    def chunks(self, number: int) -> Iterator[bytes]:
        """Give a content in pieces."""
        self._stream.seek(self._offsets[number])
        left = self.length(number)
        while left:
            data = self._stream.read(min(left, _CHUNK))
            if not data:
                raise OSError("the file of kept contents became shorter")
            left -= len(data)
            yield data


class _Tables:
    """The tables of an index, written behind the room for its header.

    Args:
        stream: the index file, empty.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sum = 0
        self._size = 0
        self._contents = bytearray()
        self._contents_size = 0
        stream.write(bytes(HEADER_SIZE))

    @property
    def size(self) -> int:
        """Bytes that are written."""
        return self._size

    def write(self, data: bytes | memoryview) -> None:
        """Write the next part of the tables."""
        self._stream.write(data)
        self._sum = zlib.crc32(data, self._sum)
        self._size += len(data)
        if self._size > MAXIMUM_TABLES:
            raise InputError(f"its index would be bigger than {MAXIMUM_TABLES >> 20} MiB")

    def keep_contents(self, table: memoryview, size: int) -> None:
        """Begin the content table with that of another index, whose contents come first."""
        self._contents += table
        self._contents_size = size

    def add_content(self, length: int, checksum: int) -> int:
        """Put a content into the content table and give its number; its bytes are written later, in this order."""
        self._contents += CONTENT.pack(self._contents_size, length, checksum)
        self._contents_size += length
        return len(self._contents) // CONTENT.size - 1

    def end(self, folders: int, diff_id: str) -> None:
        """Write content table and header, when all else is written; the stream is left where the contents begin."""
        contents = len(self._contents) // CONTENT.size
        self.write(bytes(self._contents))
        rest = HEADER_REST.pack(self._size, self._contents_size, folders, contents, diff_id.encode("ascii"))
        self._stream.seek(0)
        # The header is known when the tables have been summed up, so it comes last in the sum.
        self._stream.write(HEADER_START.pack(MAGIC, VERSION, zlib.crc32(rest, self._sum)) + rest)
        self._stream.seek(0, os.SEEK_END)


def write_index(stream: BinaryIO, state: LayerState, spool: Spool, diff_id: str) -> None:
    """Write the index of a layer; the same layer gives the same bytes.

    Args:
        stream: the index file, empty.
        state: the layer when all of its members have been added.
        spool: what is kept of their contents, by the numbers in the state.
        diff_id: digest of the uncompressed tar.

    Raises:
        InputError: the index would be too big.
    """
    tables = _Tables(stream)
    offsets = array("Q")
    numbers: dict[int, int] = {}
    for key, folder, children in state.folders():
        if len(key) > _MAXIMUM_KEY:
            raise InputError(f"a folder's path has {len(key)} bytes")
        rows = [(b"", folder.node)] if not key else []
        rows += [(name, _node(child)) for name, child in children]
        rows += [(name, _WHITEOUT) for name in folder.whiteout_names()]
        for position, (name, node) in enumerate(rows):
            spooled = _content_number(node)
            if spooled == NO_CONTENT:
                continue
            if spooled not in numbers:
                numbers[spooled] = tables.add_content(spool.length(spooled), spool.checksum(spooled))
            rows[position] = (name, _with_content(node, numbers[spooled]))
        offsets.append(tables.size)
        tables.write(_block(key, folder, rows))
    tables.write(b"".join(map(OFFSET.pack, offsets)))
    tables.end(len(offsets), diff_id)
    for spooled in numbers:
        stream.writelines(spool.chunks(spooled))


def write_extended(stream: BinaryIO, index: LayerIndex, contents: Mapping[str, bytes]) -> None:
    """Write an index once more, with more contents.

    Args:
        stream: the new index file, empty.
        index: the index.
        contents: of regular files of the layer, whole, by absolute path; what is none is left out.

    Raises:
        InputError: the index is malformed.
    """
    places = index.places(contents)
    added = [path for path in sorted(places) if len(contents[path]) == places[path][1]]
    old = index.tables
    tables = _Tables(stream)
    tables.keep_contents(old.contents, old.contents_size)
    blocks = bytearray(old.blocks)
    for path in added:
        number = tables.add_content(len(contents[path]), zlib.crc32(contents[path]))
        CONTENT_NUMBER.pack_into(blocks, places[path][0] + CONTENT_NUMBER_OFFSET, number)
    tables.write(bytes(blocks))
    tables.write(old.offsets)
    tables.end(len(old.offsets) // OFFSET.size, index.diff_id)
    offset = 0
    while data := index.stored(_CHUNK, offset):
        stream.write(data)
        offset += len(data)
    stream.writelines(contents[path] for path in added)


def _with_content(node: bytes, number: int) -> bytes:
    """Give a node with another number of its content."""
    end = CONTENT_NUMBER_OFFSET + CONTENT_NUMBER.size
    return node[:CONTENT_NUMBER_OFFSET] + CONTENT_NUMBER.pack(number) + node[end:]


def _content_number(node: bytes) -> int:
    number: int = CONTENT_NUMBER.unpack_from(node, CONTENT_NUMBER_OFFSET)[0]
    return number


def _node(node: Node) -> bytes:
    return node if isinstance(node, bytes) else node.node


def _block(key: bytes, folder: LayerFolder, rows: list[tuple[bytes, bytes]]) -> bytes:
    fixed = [node[: NODE.size] + LENGTHS.pack(len(name), len(node) - NODE.size) for name, node in rows]
    texts = [name + node[NODE.size :] for name, node in rows]
    flags = (OPAQUE if folder.opaque else 0) | (IMPLICIT if folder.implicit else 0)
    head = BLOCK.pack(len(key), flags, len(rows))
    return b"".join([head, key, *fixed, *texts])
