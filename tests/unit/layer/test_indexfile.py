# SPDX-License-Identifier: Apache-2.0
import contextlib
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.indexformat import HEADER_REST, HEADER_SIZE, HEADER_START, MAGIC, VERSION
from stxbuildah.layer.indexwriter import write_extended
from stxbuildah.layer.layerindex import index_layer
from tests.layerstacks import Member, tar_of

TAR = tar_of(
    [
        Member(path="etc/os-release", kind="file", content=b"ID=x"),
        Member(path="etc/caf\udce9", kind="file", content=b"1"),
        Member(path="etc/link", kind="symlink", target="caf\udce9"),
        Member(path="a/b/c", kind="directory"),
        Member(path="a-b/d", kind="file", content=b"2"),
        Member(path="a/b/gone", kind="whiteout"),
        Member(path="a/opaque/x", kind="opaque"),
        Member(path="below", kind="hardlink", target="not/here"),
    ]
)
PATHS = ("/", "/etc", "/a", "/a/b", "/a/b/c", "/a-b", "/a/opaque")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    target = tmp_path_factory.mktemp("index") / "layer.index"
    index_layer([TAR], what="layer", diff_id="", target=target)
    return target.read_bytes()


def opened(folder: Path, data: bytes) -> LayerIndex | None:
    path = folder / "some.index"
    path.write_bytes(data)
    return LayerIndex.open(path)


def tables_end(data: bytes) -> int:
    size: int = HEADER_REST.unpack_from(data, HEADER_START.size)[0]
    return HEADER_SIZE + size


def summed(data: bytearray) -> bytes:
    """Give a changed index with the checksum that its maker would have written."""
    checksum = zlib.crc32(
        data[HEADER_START.size : HEADER_SIZE], zlib.crc32(data[HEADER_SIZE : tables_end(bytes(data))])
    )
    HEADER_START.pack_into(data, 0, MAGIC, VERSION, checksum)
    return bytes(data)


def test_an_index_is_read(written: bytes, tmp_path: Path) -> None:
    index = opened(tmp_path, written)
    assert index is not None
    assert index.is_sound()
    assert index.root is None
    etc, opaque, root = index.folder("/etc"), index.folder("/a/opaque"), index.folder("/")
    assert etc is not None
    assert etc.entries["link"].target == "caf\udce9"
    assert set(etc.entries) == {"os-release", "caf\udce9", "link"}
    assert opaque is not None
    assert opaque.opaque
    assert root is not None
    assert root.links["below"].target == "/not/here"
    assert set(root.entries) == {"etc", "a", "a-b"}
    assert index.folder("/missing") is None
    index.close()


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0), bit=st.integers(0, 7))
def test_a_damaged_index_is_as_if_it_were_not_there(
    written: bytes, tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    position %= len(written)
    data = bytearray(written)
    data[position] ^= 1 << bit
    index = opened(tmp_path_factory.getbasetemp(), bytes(data))
    if position < tables_end(written):
        assert index is None
    else:
        assert index is not None
        assert index.content("/etc/os-release") is None


@pytest.mark.parametrize("data", [b"", b"x", bytes(HEADER_SIZE), bytes(1000)])
def test_what_is_no_index_is_passed_over(tmp_path: Path, data: bytes) -> None:
    assert opened(tmp_path, data) is None
    assert LayerIndex.open(tmp_path / "missing") is None
    assert LayerIndex.open(tmp_path) is None


def test_a_truncated_or_longer_index_is_passed_over(written: bytes, tmp_path: Path) -> None:
    assert opened(tmp_path, written[:-1]) is None
    assert opened(tmp_path, written + b"x") is None


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_a_forged_index_never_gives_more_than_an_error(
    written: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    forged = bytearray(written)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(HEADER_SIZE, tables_end(written) - 1))
        forged[position] = data.draw(st.sampled_from((0, 1, 0x2E, 0x2F, 0x7F, 0xFF)))
    index = opened(tmp_path_factory.getbasetemp(), summed(forged))
    assert index is not None
    if index.is_sound():
        answers(index)
    else:
        with contextlib.suppress(InputError):
            answers(index)


def answers(index: LayerIndex) -> None:
    for path in PATHS:
        index.folder(path)
    index.content("/etc/os-release")
    index.content_start("/a-b/d", 10)
    index.origins(["/etc/os-release", "/a-b/d"])
    assert index.root is None or index.root.mode <= 0o7777


def test_more_contents_are_written_with_an_index(written: bytes, tmp_path: Path) -> None:
    index = opened(tmp_path, written)
    assert index is not None
    contents = {"/a-b/d": b"2", "/etc/caf\udce9": b"too long", "/missing": b"", "/etc/link": b"1", "/etc": b""}
    with written_beside(tmp_path / "more.index") as stream:
        write_extended(stream, index, contents)
    more = LayerIndex.open(tmp_path / "more.index")
    assert more is not None
    assert more.is_sound()
    assert more.diff_id == index.diff_id
    assert more.content("/a-b/d") == b"2"
    assert more.content("/etc/caf\udce9") is None
    assert more.content("/etc/os-release") == b"ID=x"
    assert [more.folder(path) for path in PATHS] == [index.folder(path) for path in PATHS]
