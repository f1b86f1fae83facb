# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterable

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.layer.tarwalk import Limits, Member, walk
from tests.unit.layer.tar_maker import BLOCK, END, GNU, filled, header, member, octal, pax, pieces

LIMITS = Limits()


def members(data: bytes | Iterable[bytes], limits: Limits = LIMITS, wanted: int | None = None) -> list[Member]:
    chunks = [data] if isinstance(data, bytes) else data
    return list(walk(chunks, limits=limits, wanted=lambda _, size: size if wanted is None else wanted))


def refused(data: bytes, sentence: str, limits: Limits = LIMITS) -> None:
    with pytest.raises(InputError, match=sentence):
        members(data, limits)


FRAGMENTS = [(512, b"A" * 512), (4096, b"B" * 700), (8192, b"C" * 10), (9000, b"")]
SPARSE = bytes(512) + b"A" * 512 + bytes(3072) + b"B" * 700 + bytes(3396) + b"C" * 10 + bytes(798)
STORED = b"".join(data for _, data in FRAGMENTS)


def old_map(fragments: list[tuple[int, int]]) -> bytes:
    return b"".join(octal(offset, 12) + octal(length, 12) for offset, length in fragments)


def old_sparse(fragments: list[tuple[int, int]], real_size: int, stored: int) -> bytes:
    """GNU's header of type S and its extensions."""
    first, others = fragments[:4], fragments[4:]
    tail = bytes(41) + old_map(first).ljust(96, b"\0") + (b"\1" if others else b"\0") + octal(real_size, 12)
    blocks = [header(b"sparse", type_flag=b"S", size=stored, magic=GNU, tail=tail)]
    while others:
        now, others = others[:21], others[21:]
        blocks.append(old_map(now).ljust(504, b"\0") + (b"\1" if others else b"\0") + bytes(7))
    return b"".join(blocks)


def sparse_map(style: str) -> bytes:
    pairs = [(b"%d" % offset, b"%d" % len(data)) for offset, data in FRAGMENTS]
    count = b"%d" % len(pairs)
    numbers = [number for pair in pairs for number in pair]
    if style == "old":
        lengths = [(offset, len(data)) for offset, data in FRAGMENTS]
        return old_sparse(lengths, len(SPARSE), len(STORED)) + filled(STORED)
    if style == "0.0":
        records = [(b"GNU.sparse.size", b"%d" % len(SPARSE)), (b"GNU.sparse.numblocks", count)]
        for offset, length in pairs:
            records += [(b"GNU.sparse.offset", offset), (b"GNU.sparse.numbytes", length)]
        return pax(records) + member(b"sparse", STORED)
    name = [(b"GNU.sparse.name", b"sparse")]
    if style == "0.1":
        records = [*name, (b"GNU.sparse.size", b"%d" % len(SPARSE)), (b"GNU.sparse.numblocks", count)]
        return pax([*records, (b"GNU.sparse.map", b",".join(numbers))]) + member(b"GNUSparseFile.0/sparse", STORED)
    records = [*name, (b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")]
    data = filled(b"".join(line + b"\n" for line in [count, *numbers])) + STORED
    return pax([*records, (b"GNU.sparse.realsize", b"%d" % len(SPARSE))]) + member(b"GNUSparseFile.0/sparse", data)


@pytest.mark.parametrize("keep", [None, 0, 1, 600, 1024, 4000, 4700, 8195])
@pytest.mark.parametrize("style", ["old", "0.0", "0.1", "1.0"])
def test_sparse_files(style: str, keep: int | None) -> None:
    found = members(pieces(sparse_map(style) + member(b"next", b"n") + END, 333), wanted=keep)

    assert found[0] == Member("sparse", size=len(SPARSE), content=SPARSE[:keep])
    assert found[1].path == "next"


def test_a_sparse_file_of_many_pieces() -> None:
    fragments = [(number * 8192, 512) for number in range(100)]
    data = old_sparse(fragments, 2**32, 51200) + bytes(51200)

    assert members(data + member(b"n") + END, wanted=10) == [
        Member("sparse", size=2**32, content=bytes(10)),
        Member("n"),
    ]
    refused(data, "the map of a sparse file has more than 1024 bytes", attrs.evolve(LIMITS, pax=1024))
    refused(data[: 3 * BLOCK], "truncated in the map")


@pytest.mark.parametrize(
    ("fragments", "size", "stored"),
    [
        ([(0, 512), (511, 10)], 5000, 522),
        ([(1024, 512), (0, 512)], 5000, 1024),
        ([(0, 512)], 511, 512),
        ([(0, 512)], 5000, 1024),
        ([(0, 512)], 5000, 511),
        ([(2**33 - 1, 2**33 - 1)], 0, 512),
    ],
)
def test_a_map_that_lies(fragments: list[tuple[int, int]], size: int, stored: int) -> None:
    refused(old_sparse(fragments, size, stored) + bytes(4096), "the map of a sparse file is damaged")


@pytest.mark.parametrize(
    "records",
    [
        {b"GNU.sparse.map": b"1,2,3", b"GNU.sparse.size": b"5"},
        {b"GNU.sparse.map": b"1,-2", b"GNU.sparse.size": b"5"},
        {b"GNU.sparse.map": b"1,1", b"GNU.sparse.size": b"5", b"GNU.sparse.numblocks": b"2"},
        {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"5"},
    ],
)
def test_a_pax_map_that_lies(records: dict[bytes, bytes]) -> None:
    refused(pax(records) + member(b"a", b"x" * 600) + END, "the map of a sparse file is damaged")


def test_pairs_of_a_sparse_map_out_of_order() -> None:
    data = pax([(b"GNU.sparse.numbytes", b"5"), (b"GNU.sparse.offset", b"0")])

    refused(data + member(b"a", b"x" * 5) + END, "out of order")
