# SPDX-License-Identifier: Apache-2.0
"""Decompress a layer as it streams by, in bounded memory."""

from collections.abc import Iterable, Iterator


def inflated(chunks: Iterable[bytes], *, limit: int) -> Iterator[bytes]:
    """Give the bytes of a layer's tar, in pieces of at most 1 MiB.

    The compression is known by the stream's first bytes, as containers/storage and Docker do; media types lie.

    Args:
        chunks: the blob: gzip of one or several members, zstd of one or several frames, or plain tar.
        limit: bytes of the tar that are accepted.

    Raises:
        InputError: the stream is truncated, damaged, followed by something else, compressed by bzip2 or xz, or
            holds more than ``limit`` bytes.
    """
    raise NotImplementedError
