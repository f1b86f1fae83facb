# SPDX-License-Identifier: Apache-2.0
"""Sparse files in a tar: GNU's old format and the three of its pax headers (GNU tar manual, "Storing Sparse Files")."""

from collections.abc import Mapping

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.paxheader import SPARSE_MAP, pax_number
from stxbuildah.layer.tarfields import BLOCK, MAXIMUM_NUMBER, parse_number
from stxbuildah.model.value import Value

_ENTRY = 24
_NUMBER = 12
_HEADER_MAP = slice(386, 482)
_HEADER_EXTENDED = 482
_HEADER_REAL_SIZE = slice(483, 495)
_EXTENSION_MAP = slice(0, 504)
_EXTENSION_EXTENDED = 504
_MAXIMUM_DIGITS = 19
_MAP_FORMATS = {(b"", b""), (b"0", b"0"), (b"0", b"1")}
_MAP_IN_DATA = (b"1", b"0")


@attrs.frozen
class Sparse(Value):
    """What a sparse file is made of.

    Attributes:
        size: bytes of the file, with its holes.
        fragments: offset and length of each piece that is stored, in order.
        map_size: bytes of the member's data that the map took.
    """

    size: int
    fragments: tuple[tuple[int, int], ...]
    map_size: int = 0


def old_sparse(block: bytes, stream: ByteStream, limit: int) -> Sparse:
    """Give what the header of type S says, and the blocks that extend its map, which are read from the stream.

    Raises:
        InputError: the map is damaged, truncated, or longer than ``limit`` bytes.
    """
    entries = [block[_HEADER_MAP]]
    extended = block[_HEADER_EXTENDED]
    while extended:
        if len(entries) * BLOCK > limit:
            raise InputError(f"the map of a sparse file has more than {limit} bytes")
        extension = stream.read(BLOCK)
        if len(extension) < BLOCK:
            raise InputError("the layer is truncated in the map of a sparse file")
        entries.append(extension[_EXTENSION_MAP])
        extended = extension[_EXTENSION_EXTENDED]
    fragments = []
    data = b"".join(entries)
    for start in range(0, len(data), _ENTRY):
        if not data[start]:
            break
        offset, length = data[start : start + _NUMBER], data[start + _NUMBER : start + _ENTRY]
        fragments.append((parse_number(offset), parse_number(length)))
    return Sparse(parse_number(block[_HEADER_REAL_SIZE]), tuple(fragments))


def pax_sparse(records: Mapping[bytes, bytes], stream: ByteStream, stored: int, limit: int) -> Sparse | None:
    """Give what the records say of a sparse file, and the map from the stream where it stands there; None if none.

    Args:
        records: of the member's pax header.
        stream: stands at the member's data.
        stored: bytes of the member's data.
        limit: bytes of a map that are accepted.

    Raises:
        InputError: the map is damaged, truncated or too long.
    """
    version = (records.get(b"GNU.sparse.major", b""), records.get(b"GNU.sparse.minor", b""))
    size = pax_number(records, b"GNU.sparse.size", pax_number(records, b"GNU.sparse.realsize", stored))
    if version == _MAP_IN_DATA:
        return _map_in_data(stream, size, stored, limit)
    if version not in _MAP_FORMATS or SPARSE_MAP not in records:
        return None
    text = records[SPARSE_MAP]
    numbers = [_decimal(number) for number in text.split(b",")] if text else []
    if len(numbers) % 2 or len(numbers) != 2 * pax_number(records, b"GNU.sparse.numblocks", len(numbers) // 2):
        raise InputError("the map of a sparse file is damaged: it lacks a number")
    return Sparse(size, tuple(zip(numbers[::2], numbers[1::2], strict=True)))


def checked_sparse(sparse: Sparse, stored: int) -> Sparse:
    """Give a sparse file's map back when it can be believed.

    Args:
        sparse: the map.
        stored: bytes of the member's data.

    Raises:
        InputError: pieces overlap, lie outside of the file, or are not what is stored.
    """
    ends = (0, *(offset + length for offset, length in sparse.fragments))
    starts = (*(offset for offset, _ in sparse.fragments), sparse.size)
    lengths = [length for _, length in sparse.fragments]
    in_order = all(end <= start for end, start in zip(ends, starts, strict=True))
    if not in_order or min(lengths, default=0) < 0 or not 0 <= sparse.size <= MAXIMUM_NUMBER:
        raise InputError("the map of a sparse file is damaged: its pieces do not fit into the file")
    if sum(lengths) != stored - sparse.map_size:
        raise InputError("the map of a sparse file is damaged: its pieces are not as long as what is stored")
    return sparse


def expanded(sparse: Sparse, stream: ByteStream, keep: int) -> tuple[bytes, int]:
    """Give the first ``keep`` bytes of a sparse file with its holes, and how many stored bytes were read for them.

    Raises:
        InputError: the stream is truncated.
    """
    pieces: list[bytes] = []
    position = used = 0
    for offset, length in sparse.fragments:
        if offset >= keep:
            break
        part = min(length, keep - offset)
        data = stream.read(part)
        if len(data) < part:
            raise InputError("the layer is truncated in a sparse file")
        pieces += [bytes(offset - position), data]
        position = offset + part
        used += part
    pieces.append(bytes(keep - position))
    return b"".join(pieces), used


def _map_in_data(stream: ByteStream, size: int, stored: int, limit: int) -> Sparse:
    """Read the map of format 1.0: decimal numbers in lines, the count of pairs first, filled up to a block."""
    text = b""
    lines: list[bytes] = []
    needed = 1
    taken = 0
    while len(lines) < needed:
        block = stream.read(min(BLOCK, stored - taken))
        taken += len(block)
        if len(block) < BLOCK:
            raise InputError("the map of a sparse file is damaged: it has no end")
        if taken > limit:
            raise InputError(f"the map of a sparse file has more than {limit} bytes")
        *complete, text = (text + block).split(b"\n")
        lines += complete
        if len(text) > BLOCK + _MAXIMUM_DIGITS:
            raise InputError("the map of a sparse file is damaged: it has no end")
        if lines:
            needed = 1 + 2 * _decimal(lines[0])
    numbers = [_decimal(line) for line in lines[1:needed]]
    return Sparse(size, tuple(zip(numbers[::2], numbers[1::2], strict=True)), taken)


def _decimal(number: bytes) -> int:
    if not (number.isdigit() and len(number) <= _MAXIMUM_DIGITS):
        raise InputError("the map of a sparse file is damaged: it holds what is no number")
    return int(number)
