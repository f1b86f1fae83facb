# SPDX-License-Identifier: Apache-2.0
"""Decompress a layer as it streams by, in bounded memory."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.windowroom import Take, take_nothing
from stxbuildah.layer.zstdframes import is_zstd, zstd_blocks

if TYPE_CHECKING:
    import hashlib

_MIB = 1024 * 1024
_GZIP_MAGIC = b"\x1f\x8b\x08"
_GZIP_WINDOW = 31  # deflate's largest window, plus 16 for a gzip header
_UNSUPPORTED = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
_MAGIC_SIZE = 6
# One piece of compressed bytes is copied as often as it gives another MiB, so it is small.
_PACKED_PIECE = 64 * 1024
_SMALL_PIECE = 64 * 1024


def inflated(chunks: Iterable[bytes], *, limit: int, take: Take = take_nothing) -> Iterator[bytes]:
    """Give the bytes of a layer's tar, in pieces of at most 1 MiB.

    The compression is known by the stream's first bytes, as containers/storage and Docker know it: media types lie.

    Args:
        chunks: the blob: gzip of one or several members, zstd of one or several frames (zstd:chunked too), or a plain
            tar. It is read to its end, unless an error is raised.
        limit: bytes of the tar that are accepted.
        take: told of the window of each zstd frame before the frame is decompressed (``WindowRoom``).

    Raises:
        InputError: the stream is truncated, damaged, followed by something else, compressed by bzip2 or xz, or
            holds more than ``limit`` bytes.
    """
    # A compressed stream is hardly longer than what it holds; what is read of it is the caller's to limit.
    stream = ByteStream(chunks, limit=2**63, name="the layer")
    magic = stream.read(_MAGIC_SIZE)
    stream.unread(magic)
    for known, name in _UNSUPPORTED.items():
        if magic.startswith(known):
            raise InputError(
                f"the layer is compressed by {name}, which no image of OCI may be",
                hint="push the image again with a current podman, skopeo or docker, which compress by gzip or zstd",
            )
    if magic.startswith(_GZIP_MAGIC):
        pieces = _gzip_members(stream)
    elif is_zstd(magic):
        pieces = _gathered(zstd_blocks(stream, take))
    else:
        pieces = _divided(stream)
    given = 0
    for piece in pieces:
        given += len(piece)
        if given > limit:
            raise InputError(f"the layer holds more than {limit} bytes when it is decompressed")
        yield piece


def hashed(chunks: Iterable[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    """Give the same pieces, each after it went into a digest; that is complete when the last one was given.

    Args:
        chunks: pieces of bytes, as ``inflated`` gives them.
        digest: what to update, as ``hashlib.sha256()``.
    """
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _gzip_members(stream: ByteStream) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952) of members one after the other; zeros after the last are padding, as for gzip(1)."""
    from isal import isal_zlib

    magic = stream.read(len(_GZIP_MAGIC))
    while magic == _GZIP_MAGIC:
        stream.unread(magic)
        try:
            yield from _gzip_member(stream)
        except isal_zlib.IsalError as error:  # type: ignore[misc] # isal declares an instance
            raise InputError(f"the layer is damaged: its gzip stream cannot be decompressed: {error}") from error
        magic = stream.read(len(_GZIP_MAGIC))
    if magic.strip(b"\0") or any(piece.strip(b"\0") for piece in stream.rest()):
        raise InputError("the layer is damaged: something else follows the end of its gzip stream")


def _gzip_member(stream: ByteStream) -> Iterator[bytes]:
    from isal import isal_zlib

    inflater = isal_zlib.decompressobj(_GZIP_WINDOW)
    while packed := stream.piece(_PACKED_PIECE):
        while True:
            data = inflater.decompress(packed, _MIB)
            if data:
                yield data
            if inflater.eof:
                stream.unread(inflater.unused_data)
                return
            packed = inflater.unconsumed_tail
            # ISA-L keeps some input to itself: a full answer may not be the last one though no input is left.
            if not packed and len(data) < _MIB:
                break
    raise InputError("the layer is truncated: its gzip stream has no end")


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join small pieces, since each costs the reader a call: zstd:chunked has a frame or two for every file."""
    pending: list[bytes] = []
    size = 0
    for piece in pieces:
        pending.append(piece)
        size += len(piece)
        if size >= _SMALL_PIECE:
            yield b"".join(pending)
            pending.clear()
            size = 0
    if pending:
        yield b"".join(pending)


def _divided(stream: ByteStream) -> Iterator[bytes]:
    while piece := stream.piece(_MIB):
        yield piece
