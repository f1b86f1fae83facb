# SPDX-License-Identifier: Apache-2.0
"""Where the members of an archive lie."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.transport.archivefiles import opened_archive
from stxbuildah.transport.membertable import MemberKind, MemberPlace, read_members
from tests.unit.transport.images import tar


def table_of(data: bytes) -> dict[str, MemberPlace]:
    descriptor = os.memfd_create("archive")
    try:
        with open(descriptor, "wb", closefd=False) as stream:
            stream.write(data)
        return read_members(descriptor, "x.tar")
    finally:
        os.close(descriptor)


def written(*members: tarfile.TarInfo, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Give a tar of members with as many zeros as each says it has."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return stream.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, *, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


NAMES = st.lists(
    st.from_regex(r"\A[a-zA-Z0-9_\u00e4-\u00ff]{1,60}\Z"), min_size=1, max_size=6
).map("/".join)  # fmt: skip


@settings(deadline=None)
@given(
    st.dictionaries(NAMES, st.binary(max_size=1500), max_size=8),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_members_lie_where_the_archive_has_them(files: dict[str, bytes], tar_format: int) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5  # PAX takes parts of a second
            archive.addfile(info, io.BytesIO(content))
    data = stream.getvalue()
    found = {name: data[place.offset : place.offset + place.size] for name, place in table_of(data).items()}
    assert found == files


@settings(deadline=None)
@given(st.data())
def test_a_damaged_archive_is_refused_or_read_within_its_bounds(choice: st.DataObject) -> None:
    data = bytearray(tar({"a/b": b"x" * 700, "c" * 120: b"y"}))
    for _ in range(choice.draw(st.integers(1, 4))):
        data[choice.draw(st.integers(0, len(data) - 1))] = choice.draw(st.integers(0, 255))
    del data[choice.draw(st.integers(1, len(data))) :]
    try:
        table = table_of(bytes(data))
    except InputError:
        return
    assert all(0 <= place.offset <= place.offset + place.size <= len(data) for place in table.values())


def test_leading_dots_and_folders_are_left_out() -> None:
    data = written(
        member("./", tarfile.DIRTYPE), member("blobs", tarfile.DIRTYPE), member("./index.json", size=3), member("old/")
    )
    table = table_of(data)
    assert list(table) == ["index.json"]
    assert table["index.json"].size == 3


def test_links_are_told_apart_with_their_targets() -> None:
    data = written(
        member("a/layer.tar", tarfile.SYMTYPE, target="../b/layer.tar"),
        member("c", tarfile.LNKTYPE, target="d" * 150),
    )
    found = [(name, place.kind, place.target) for name, place in table_of(data).items()]
    assert found == [("a/layer.tar", MemberKind.LINK, "../b/layer.tar"), ("c", MemberKind.LINK, "d" * 150)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (written(member("../escape")), "leads out of it"),
        (written(member("/etc/passwd")), "leads out of it"),
        (written(member("a/../../b")), "leads out of it"),
        (written(member("a" * 120 + "/../../b")), "leads out of it"),
        (written(member("a"), member("./a")), "'a' twice"),
        (written(member("a"), member("a", tarfile.SYMTYPE, target="b")), "'a' twice"),
        (written(member("fifo", tarfile.FIFOTYPE)), "neither a file nor a folder"),
        (written(member("device", tarfile.BLKTYPE)), "neither a file nor a folder"),
        (written(member("")), "neither a file nor a folder"),
        (written(member("a", size=2000))[:1024], "ends in the middle of 'a'"),
        (written(member("a", size=2000))[:300], "ends in the middle of a header"),
        (written(member("a" * 300))[:512], "in the middle of an extended header"),
        (written(member("a" * 300))[:1024], "ends after an extended header"),
        (b"", "ends in the middle of a header"),
        (b"no tar at all" * 100, "where a number should be"),
        (b"{}", "ends in the middle of a header"),
    ],
)
def test_a_hostile_or_damaged_archive_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        table_of(data)
    assert caught.value.message.startswith("x.tar is no archive of images, or is damaged: ")


def test_a_sparse_member_is_refused() -> None:
    info = member("a", size=10)
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    with pytest.raises(InputError, match="sparse"):
        table_of(written(info))


def test_a_size_beyond_the_archive_is_refused() -> None:
    info = member("a")
    info.pax_headers = {"size": str(2**40)}
    with pytest.raises(InputError, match="ends in the middle of 'a'"):
        table_of(written(info))


def test_a_huge_extended_header_is_refused_and_not_read() -> None:
    info = member("a")
    info.pax_headers = {"comment": "c" * 100_000}
    with pytest.raises(InputError, match="more than 65536 bytes"):
        table_of(written(info))


def test_an_archive_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "no regular file"),
        (tmp_path / "pipe", "no regular file"),
        (tmp_path / "missing", "No such file"),
    ):
        with pytest.raises(InputError, match=message), opened_archive(path):
            pass
