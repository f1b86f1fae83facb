# SPDX-License-Identifier: Apache-2.0
"""Compress a long stream on all processors.

gzip is written as members of a mebibyte, which may follow one another (RFC 1952, section 2.2), each deflated by ISA-L
in a thread of its own. zstd has threads of its own.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from stxbuildah.layer.deflate import gzip_compressor
from stxbuildah.model.transfer import Packing

_BLOCK = 2**20
_ZSTD_LEVEL = 3


def packed(chunks: Iterable[bytes], packing: Packing, *, threads: int) -> Iterator[bytes]:
    """Give a stream compressed; the same stream always gives the same bytes.

    Args:
        chunks: the stream in pieces of any size.
        packing: how.
        threads: how many processors to use, at least 1.
    """
    match packing:
        case Packing.NONE:
            return iter(chunks)
        case Packing.GZIP:
            return _gzipped(_blocks(chunks), threads)
        case Packing.ZSTD:
            return _zstd(chunks, threads)


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pending = bytearray()
    for chunk in chunks:
        pending += chunk
        while len(pending) >= _BLOCK:
            yield bytes(pending[:_BLOCK])
            del pending[:_BLOCK]
    yield bytes(pending)


def _gzipped(blocks: Iterable[bytes], threads: int) -> Iterator[bytes]:
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for block in blocks:
            waiting.append(pool.submit(_gzip_member, block))
            # Enough for all threads, and no more of the stream in memory than that.
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _gzip_member(block: bytes) -> bytes:
    compressor = gzip_compressor()
    return compressor.compress(block) + compressor.flush()


def _zstd(chunks: Iterable[bytes], threads: int) -> Iterator[bytes]:
    import zstandard

    # With one thread and with several the bytes differ, with any number of several they do not.
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True, threads=max(2, threads))
    stream = compressor.compressobj()
    for chunk in chunks:
        if piece := stream.compress(chunk):
            yield piece
    yield stream.flush()
