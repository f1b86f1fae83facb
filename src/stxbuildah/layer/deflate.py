# SPDX-License-Identifier: Apache-2.0
"""gzip and zstd as layers and archives have them: the same bytes for the same content, however it comes in pieces."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from stxbuildah.model.layer import Compression

_GZIP_LEVEL = 2
_ZSTD_LEVEL = 3
_WINDOW = 31  # deflate's largest window, plus 16 for a gzip header with time 0 and no name
_PIECE = 2**18


class Compressor(Protocol):
    """Compresses a stream piece by piece."""

    def compress(self, data: bytes, /) -> bytes:
        """Take a piece, and give what is compressed by now."""
        ...

    def flush(self) -> bytes:
        """End the stream, and give what is left of it."""
        ...


def gzip_compressor() -> Compressor:
    """Give a compressor of one gzip member (RFC 1952)."""
    return _EvenGzip()


def layer_compressor(compression: Compression) -> Compressor:
    """Give a compressor of one layer."""
    match compression:
        case Compression.GZIP:
            return gzip_compressor()
        case Compression.ZSTD:
            import zstandard

            return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()


def compressed(chunks: Iterable[bytes], compression: Compression) -> Iterator[bytes]:
    """Compress a layer as it passes by."""
    compressor = layer_compressor(compression)
    for chunk in chunks:
        if packed := compressor.compress(chunk):
            yield packed
    yield compressor.flush()


class _EvenGzip:
    """gzip by ISA-L, which is given pieces of one size: what it makes of a stream depends on where that is cut."""

    def __init__(self) -> None:
        from isal import isal_zlib

        self._compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _WINDOW)
        self._pending = bytearray()

    def compress(self, data: bytes, /) -> bytes:
        """Take a piece, and give what is compressed by now."""
        left = memoryview(data)
        packed = []
        if self._pending:
            missing = _PIECE - len(self._pending)
            self._pending += left[:missing]
            left = left[missing:]
            if len(self._pending) < _PIECE:
                return b""
            packed.append(self._compressor.compress(self._pending))
            self._pending.clear()
        whole = len(left) - len(left) % _PIECE
        packed += [self._compressor.compress(left[start : start + _PIECE]) for start in range(0, whole, _PIECE)]
        self._pending += left[whole:]
        return b"".join(packed)

    def flush(self) -> bytes:
        """End the stream, and give what is left of it."""
        return self._compressor.compress(self._pending) + self._compressor.flush()
