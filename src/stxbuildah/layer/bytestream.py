# SPDX-License-Identifier: Apache-2.0
"""Read a stream of pieces by sizes: what is skipped is never copied, and nothing is joined that lies in one piece."""

from collections.abc import Iterable, Iterator

from stxbuildah.errors import InputError


class ByteStream:
    """Pieces of bytes as one stream.

    Args:
        chunks: the pieces, of any size; empty ones too.
        limit: bytes of the whole stream that are accepted.
        name: what the stream is, for errors, as ``the layer``.
    """

    def __init__(self, chunks: Iterable[bytes], *, limit: int, name: str) -> None:
        self._chunks = iter(chunks)
        self._limit = limit
        self._name = name
        self._chunk = b""
        self._start = 0
        self._received = 0

    @property
    def position(self) -> int:
        """Bytes from the stream's start that were read or skipped."""
        return self._received - len(self._chunk) + self._start

    def read(self, size: int) -> bytes:
        """Give the next ``size`` bytes, or as many as are left.

        Raises:
            InputError: the stream is longer than the limit.
        """
        start = self._start
        end = start + size
        if end <= len(self._chunk):
            self._start = end
            return self._chunk[start:end]
        pieces = []
        while size > 0 and (self._start < len(self._chunk) or self._advance()):
            piece = self._chunk[self._start : self._start + size]
            self._start += len(piece)
            size -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def skip(self, size: int) -> int:
        """Pass over the next ``size`` bytes, or as many as are left, and give their number.

        Raises:
            InputError: the stream is longer than the limit.
        """
        self._start += size
        while self._start > len(self._chunk):
            missing = self._start - len(self._chunk)
            self._start = len(self._chunk)
            if not self._advance():
                return size - missing
            self._start = missing
        return size

    def rest(self) -> Iterator[bytes]:
        """Give what is left, piece by piece as it came.

        Raises:
            InputError: the stream is longer than the limit.
        """
        while self._start < len(self._chunk) or self._advance():
            piece = self._chunk[self._start :] if self._start else self._chunk
            self._start = len(self._chunk)
            yield piece

    def piece(self, size: int) -> bytes:
        """Give some of the next bytes, at most ``size`` and none only at the end.

        Raises:
            InputError: the stream is longer than the limit.
        """
        if self._start >= len(self._chunk) and not self._advance():
            return b""
        piece = self._chunk[self._start : self._start + size]
        self._start += len(piece)
        return piece

    def unread(self, data: bytes) -> None:
        """Put back the bytes that were read last, some or all of them."""
        if self._start >= len(data):
            self._start -= len(data)
        else:
            self._chunk, self._start = data + self._chunk[self._start :], 0

    def _advance(self) -> bool:
        for chunk in self._chunks:
            if chunk:
                self._received += len(chunk)
                if self._received > self._limit:
                    raise InputError(f"{self._name} holds more than {self._limit} bytes")
                self._chunk, self._start = chunk, 0
                return True
        self._chunk, self._start = b"", 0
        return False
