# SPDX-License-Identifier: Apache-2.0
"""Decompress zstd frame by frame and block by block (RFC 8878, section 3.1).

The library decompresses the blocks. That they are handed to it one at a time bounds what it gives at once, which it
cannot be asked to, and shows where a frame ends and whether it does.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.windowroom import USUAL_WINDOW, Take, take_nothing

if TYPE_CHECKING:
    import zstandard

_MAGIC_SIZE = 4
_FRAME_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # behind the first byte, of which any will do in the lower half
_SKIPPABLE_FIRST = 0x50
# The largest window that the zstd program decompresses without being told to; levels up to 22 need no more.
_MAXIMUM_WINDOW = 1 << 27
_MAXIMUM_BLOCK = 128 * 1024
_SINGLE_SEGMENT = 0x20
_CHECKSUM = 0x04
_DICTIONARY_SIZES = (0, 1, 2, 4)
_CONTENT_SIZES = (0, 2, 4, 8)
# A content size of two bytes leaves out the 256 that one byte can say.
_TWO_BYTES_MORE = 256
_BLOCK_HEADER = 3
_RUN_LENGTH_BLOCK = 1


class _Header(NamedTuple):
    """The header of a frame: its bytes, the window that it takes to decompress it, and whether a checksum follows."""

    data: bytes
    window: int
    has_checksum: bool


def is_zstd(magic: bytes) -> bool:
    """Say whether a stream that begins like this is zstd; a skippable frame may be the first."""
    return magic[:_MAGIC_SIZE] == _FRAME_MAGIC or _is_skippable(magic)


def zstd_blocks(stream: ByteStream, take: Take = take_nothing) -> Iterator[bytes]:
    """Give what a stream of zstd frames holds, in pieces of at most 128 KiB.

    Args:
        stream: the frames.
        take: told of each frame's window before the frame is decompressed; the memory of the last one is free by then.

    Raises:
        InputError: the stream is truncated, damaged, followed by something else, or needs a window over 128 MiB.
    """
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAXIMUM_WINDOW)
    while magic := stream.read(_MAGIC_SIZE):
        if _is_skippable(magic):
            size = int.from_bytes(_read(stream, 4), "little")
            if stream.skip(size) < size:
                raise _truncated()
        elif magic == _FRAME_MAGIC:
            header = _header(stream)
            take(header.window)
            try:
                yield from _frame(stream, header, decompressor)
            except zstandard.ZstdError as error:
                raise InputError(f"the layer is damaged: its zstd stream cannot be decompressed: {error}") from error
        else:
            raise InputError("the layer is damaged: something else follows the end of its zstd stream")


def _header(stream: ByteStream) -> _Header:
    """Read a frame's header (RFC 8878, section 3.1.1.1)."""
    descriptor = _read(stream, 1)
    flags = descriptor[0]
    single_segment = bool(flags & _SINGLE_SEGMENT)
    window_descriptor = b"" if single_segment else _read(stream, 1)
    dictionary = _read(stream, _DICTIONARY_SIZES[flags & 3])
    size = _read(stream, _CONTENT_SIZES[flags >> 6] or int(single_segment))
    data = _FRAME_MAGIC + descriptor + window_descriptor + dictionary + size
    sizes = []
    if size:
        sizes.append(int.from_bytes(size, "little") + (_TWO_BYTES_MORE if len(size) == 2 else 0))  # noqa: PLR2004
    if window_descriptor:
        exponent, mantissa = window_descriptor[0] >> 3, window_descriptor[0] & 7
        sizes.append((1 << 10 + exponent) // 8 * (8 + mantissa))
    # Of content that is shorter than the window, no more than all of it is kept.
    return _Header(data=data, window=min(sizes), has_checksum=bool(flags & _CHECKSUM))


def _frame(stream: ByteStream, header: _Header, usual: "zstandard.ZstdDecompressor") -> Iterator[bytes]:
    decompressor = usual
    if header.window > USUAL_WINDOW:
        import zstandard

        # It keeps the memory of its windows as long as it lives: this one as long as its frame.
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAXIMUM_WINDOW)
    inflater = decompressor.decompressobj()
    inflater.decompress(header.data)
    last = False
    while not last:
        block = _read(stream, _BLOCK_HEADER)
        number = int.from_bytes(block, "little")
        last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        if size > _MAXIMUM_BLOCK:
            raise InputError(f"the layer is damaged: a block of its zstd stream has {size} bytes")
        data = inflater.decompress(block + _read(stream, 1 if kind == _RUN_LENGTH_BLOCK else size))
        if data:
            yield data
    if header.has_checksum:
        data = inflater.decompress(_read(stream, 4))
        if data:
            yield data
    if not inflater.eof:
        raise InputError("the layer is damaged: a frame of its zstd stream has no end")


def _is_skippable(magic: bytes) -> bool:
    return magic[1:_MAGIC_SIZE] == _SKIPPABLE_MAGIC and magic[0] & 0xF0 == _SKIPPABLE_FIRST


def _read(stream: ByteStream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise _truncated()
    return data


def _truncated() -> InputError:
    return InputError("the layer is truncated: its zstd stream has no end")
