# SPDX-License-Identifier: Apache-2.0
"""Compressed streams are the streams, whatever the pieces."""

import gzip

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.pack import packed
from stxbuildah.model.transfer import Packing

PIECES = st.lists(st.tuples(st.binary(min_size=1, max_size=30), st.integers(1, 90_000)), max_size=6)


def unpacked(data: bytes, packing: Packing) -> bytes:
    if packing is Packing.NONE:
        return data
    if packing is Packing.GZIP:
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


@pytest.mark.parametrize("packing", Packing)
@given(pieces=PIECES, threads=st.integers(1, 3))
def test_what_goes_in_comes_out(packing: Packing, pieces: list[tuple[bytes, int]], threads: int) -> None:
    chunks = [piece * times for piece, times in pieces]
    whole = b"".join(chunks)
    data = b"".join(packed(iter(chunks), packing, threads=threads))
    assert unpacked(data, packing) == whole
    assert b"".join(packed(iter([whole]), packing, threads=3)) == data


def test_an_error_in_the_stream_comes_through() -> None:
    def chunks() -> "object":
        yield b"x" * 3_000_000
        raise KeyError("of the stream")

    for packing in Packing:
        with pytest.raises(KeyError, match="of the stream"):
            list(packed(chunks(), packing, threads=2))  # type: ignore[arg-type] # it is an iterator
