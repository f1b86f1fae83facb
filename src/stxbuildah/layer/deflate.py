# SPDX-License-Identifier: Apache-2.0
"""gzip as layers and archives have it: by ISA-L, and the same bytes for the same content."""

from typing import Protocol

_LEVEL = 2
_WINDOW = 31  # deflate's largest window, plus 16 for a gzip header with time 0 and no name


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
    from isal import isal_zlib

    return isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _WINDOW)
