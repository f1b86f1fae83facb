# SPDX-License-Identifier: Apache-2.0
import bz2
import contextlib
import gzip
import hashlib
import itertools
import lzma
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.layer.inflate import hashed, inflated
from tests.unit.layer.tar_maker import END, member, pieces

MIB = 1024 * 1024
TAR = member(b"a", b"some text " * 1000) + member(b"b", bytes(range(256)) * 300) + END
SKIPPABLE = b"\x5e\x2a\x4d\x18\x05\0\0\0table"


def zstd(data: bytes, *, known_size: bool = True, checksum: bool = True) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=known_size, write_checksum=checksum).compress(data)


def zstd_chunked(data: bytes) -> bytes:
    """As zstd:chunked has it: a frame for each part, and a table of contents in skippable ones."""
    frames = b"".join(zstd(part, known_size=False, checksum=False) for part in pieces(data, 700))
    return frames + SKIPPABLE + b"\x50\x2a\x4d\x18\0\0\0\0"


def zstd_stream(data: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    return b"".join([compressor.compress(data), compressor.flush()])


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip stored": lambda data: gzip.compress(data, 0),
    "gzip members": lambda data: b"".join(gzip.compress(part) for part in pieces(data, 999)),
    "gzip padded": lambda data: gzip.compress(data) + bytes(5000),
    "gzip named": lambda data: b"\x1f\x8b\x08\x08" + bytes(6) + b"layer.tar\0" + gzip.compress(data)[10:],
    "zstd": zstd,
    "zstd unsized": lambda data: zstd(data, known_size=False, checksum=False),
    "zstd stream": zstd_stream,
    "zstd chunked": zstd_chunked,
    "zstd skippable first": lambda data: SKIPPABLE + zstd(data),
}
COMPRESSED = [form for form in FORMS if form != "plain"]
CHECKED = ["gzip", "gzip stored", "gzip members", "gzip padded", "gzip named", "zstd", "zstd skippable first"]


def everything(chunks: Iterable[bytes], limit: int = 64 * MIB) -> bytes:
    return b"".join(inflated(chunks, limit=limit))


@pytest.mark.parametrize("size", [1, 7, 4096, MIB])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_tar(form: str, size: int) -> None:
    assert everything(pieces(FORMS[form](TAR), size)) == TAR


@given(
    form=st.sampled_from(list(FORMS)),
    content=st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 3000)), max_size=20),
    cuts=st.lists(st.integers(0, 5000), max_size=20),
)
def test_any_content_in_any_pieces(form: str, content: list[tuple[bytes, int]], cuts: list[int]) -> None:
    tar = TAR[:512] + b"".join(data * times for data, times in content)
    packed = FORMS[form](tar)
    places = sorted({0, *(cut % (len(packed) + 1) for cut in cuts), len(packed)})

    assert everything(packed[start:end] for start, end in itertools.pairwise(places)) == tar


def test_an_empty_stream_is_an_empty_tar() -> None:
    assert everything([]) == everything([b"", b""]) == b""


@pytest.mark.parametrize("cut", [1, 3, 9, 200])
@pytest.mark.parametrize("form", ["gzip", "gzip stored", "gzip named", "zstd", "zstd unsized", "zstd stream"])
def test_a_truncated_stream(form: str, cut: int) -> None:
    with pytest.raises(InputError, match="truncated"):
        everything([FORMS[form](TAR)[:-cut]])


@pytest.mark.parametrize("cut", [1, 7, 12])
def test_a_truncated_skippable_frame(cut: int) -> None:
    with pytest.raises(InputError, match=r"truncated|follows"):
        everything([(zstd(TAR) + SKIPPABLE)[:-cut]])


@pytest.mark.parametrize("garbage", [b"\0x", b"x", b"\x1f\x8b", b"\x28\xb5\x2f", b"\x1f\x8b\x08garbage"])
@pytest.mark.parametrize("form", COMPRESSED)
def test_something_else_behind_the_stream(form: str, garbage: bytes) -> None:
    with pytest.raises(InputError, match=r"something else follows|damaged|truncated"):
        everything(pieces(FORMS[form](TAR) + garbage, 1000))


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_a_wrong_checksum(form: str) -> None:
    packed = bytearray(FORMS[form](TAR))
    packed[-8 if form == "gzip" else -1] ^= 1

    with pytest.raises(InputError, match="damaged"):
        everything([bytes(packed)])


@given(form=st.sampled_from(CHECKED), place=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
def test_a_changed_byte_is_an_input_error_or_harmless(form: str, place: float, change: int) -> None:
    packed = bytearray(FORMS[form](TAR))
    packed[int(place * len(packed))] ^= change
    with contextlib.suppress(InputError):
        # Without its magic number it is taken for a plain tar.
        assert everything([bytes(packed)]) in {TAR, bytes(packed)}


@given(st.binary(max_size=300), st.sampled_from([b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x51\x2a\x4d\x18", b""]))
def test_noise_is_an_input_error_or_taken_for_a_tar(noise: bytes, magic: bytes) -> None:
    with contextlib.suppress(InputError):
        assert len(everything([magic + noise])) <= MIB


@pytest.mark.parametrize(("packed", "name"), [(bz2.compress(TAR), "bzip2"), (lzma.compress(TAR), "xz")])
def test_what_docker_once_took(packed: bytes, name: str) -> None:
    with pytest.raises(InputError, match=f"compressed by {name}") as caught:
        everything(pieces(packed, 2))
    assert "push the image again" in caught.value.hint


@pytest.mark.parametrize("form", FORMS)
def test_the_limit_is_exact(form: str) -> None:
    packed = FORMS[form](TAR)

    assert everything([packed], limit=len(TAR)) == TAR
    with pytest.raises(InputError, match=f"more than {len(TAR) - 1} bytes"):
        everything([packed], limit=len(TAR) - 1)


def gzip_bomb(mebibytes: int) -> Iterator[bytes]:
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [compressor.compress(bytes(MIB)) for _ in range(mebibytes)]
    yield b"".join([*packed, compressor.flush()])


def zstd_bomb(mebibytes: int) -> Iterator[bytes]:
    compressor = zstandard.ZstdCompressor().compressobj()
    packed = [compressor.compress(bytes(MIB)) for _ in range(mebibytes)]
    yield b"".join([*packed, compressor.flush()])


def zstd_runs(mebibytes: int) -> Iterator[bytes]:
    """Run-length blocks: four bytes for 128 KiB each."""
    count = mebibytes * 8
    run = (128 * 1024 << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (1 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    yield b"\x28\xb5\x2f\xfd\x00\x58" + run * count + last


@pytest.mark.parametrize("bomb", [gzip_bomb, zstd_bomb, zstd_runs])
def test_a_bomb_bursts_in_small_pieces(bomb: Callable[[int], Iterator[bytes]]) -> None:
    packed = list(bomb(128))
    assert sum(map(len, packed)) < 256 * 1024
    longest = 0
    tracemalloc.start()
    try:
        for piece in inflated(packed, limit=256 * MIB):
            longest = max(longest, len(piece))
            del piece
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert longest <= MIB
    assert peak < 8 * MIB
    with pytest.raises(InputError, match="holds more than"):
        everything(packed, limit=100 * MIB)


def test_a_large_window_is_refused() -> None:
    # A window descriptor of 2 to the power of 28.
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([18 << 3]) + b"\x01\0\0"
    with pytest.raises(InputError, match="cannot be decompressed"):
        everything([frame])


def test_a_block_of_zstd_that_is_too_long() -> None:
    block = ((128 * 1024 + 1) << 3 | 1).to_bytes(3, "little")
    with pytest.raises(InputError, match="a block of its zstd stream"):
        everything([b"\x28\xb5\x2f\xfd\x00\x58" + block + bytes(200 * 1024)])


def test_hashed_gives_the_same_and_the_digest() -> None:
    digest = hashlib.sha256()

    assert b"".join(hashed(inflated(pieces(gzip.compress(TAR), 100), limit=MIB), digest)) == TAR
    assert digest.hexdigest() == hashlib.sha256(TAR).hexdigest()
