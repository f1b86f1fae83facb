# SPDX-License-Identifier: Apache-2.0
"""A layer is compressed to the same bytes, however it comes in pieces."""

import gzip
import hashlib
import itertools

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.layer.deflate import compressed
from stxbuildah.model.layer import Compression

# Words of a small vocabulary: matches of all lengths and distances, across every place where it may be cut.
WORDS = [hashlib.sha256(bytes([number])).digest()[: 3 + number % 29] for number in range(251)]
CONTENT = b"".join(WORDS[(number * number + number // 7) % 251] for number in range(60_000))


def pieces(cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cuts), len(CONTENT)]
    return [CONTENT[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize("compression", Compression)
@given(cuts=st.lists(st.integers(0, len(CONTENT)), max_size=12))
def test_where_a_layer_is_cut_does_not_matter(compression: Compression, cuts: list[int]) -> None:
    packed = b"".join(compressed(pieces(cuts), compression))
    assert packed == b"".join(compressed([CONTENT], compression))
    if compression is Compression.GZIP:
        assert gzip.decompress(packed) == CONTENT
    else:
        assert zstandard.ZstdDecompressor().decompressobj().decompress(packed) == CONTENT


def test_many_small_pieces_and_none() -> None:
    small = [CONTENT[start : start + 997] for start in range(0, len(CONTENT), 997)]
    assert b"".join(compressed(small, Compression.GZIP)) == b"".join(compressed([CONTENT], Compression.GZIP))
    assert gzip.decompress(b"".join(compressed([], Compression.GZIP))) == b""
