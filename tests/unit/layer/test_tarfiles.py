# SPDX-License-Identifier: Apache-2.0
"""The files of an archive as they stream by, whatever the pieces."""

import io
import itertools
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.tarfiles import streamed_files


def tar(members: list[tuple[str, bytes, bytes]], tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    """Give an archive of members: name, type and content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tar_format) as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mtime = kind, len(content), 1.5
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def files(data: bytes, cuts: tuple[int, ...] = ()) -> list[tuple[str, bytes]]:
    """Give the names and contents of the files of an archive that comes in pieces."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = (data[start:end] for start, end in itertools.pairwise(places))
    stream = ByteStream(pieces, limit=2**40, name="the archive")
    return [(file.name, b"".join(file.content)) for file in streamed_files(stream, "x.tar")]


KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE])
MEMBERS = st.lists(st.tuples(st.text("abcdé/", min_size=1, max_size=200), KINDS, st.binary(max_size=1500)), max_size=6)


@given(
    members=MEMBERS,
    cuts=st.lists(st.integers(0, 20_000), max_size=5).map(tuple),
    tar_format=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_files_come_with_their_content_and_nothing_else_does(
    members: list[tuple[str, bytes, bytes]], cuts: tuple[int, ...], tar_format: int
) -> None:
    regular = {tarfile.REGTYPE, tarfile.AREGTYPE}
    sound = [(name, kind, content if kind in regular else b"") for name, kind, content in members]
    expected = [(name, content) for name, kind, content in sound if kind in regular]
    assert files(tar(sound, tar_format), cuts) == expected


def test_what_is_not_read_is_passed_over() -> None:
    data = tar([(name, tarfile.REGTYPE, name.encode() * 700) for name in "abcd"])
    stream = ByteStream([data], limit=2**40, name="the archive")
    starts = [
        (file.name, next(file.content)[:2] if file.name in "bd" else b"") for file in streamed_files(stream, "x.tar")
    ]
    assert starts == [("a", b""), ("b", b"bb"), ("c", b""), ("d", b"dd")]


@given(end=st.integers(0, 6 * 512 - 1))
def test_an_archive_that_is_cut_off_is_refused(end: int) -> None:
    data = tar([("a", tarfile.REGTYPE, b"x" * 700), ("b", tarfile.REGTYPE, b"y" * 512)])[: 6 * 512]
    with pytest.raises(InputError, match=r"x\.tar (ends before its end|is damaged: .* truncated)"):
        files(data[:end])


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a", tarfile.GNUTYPE_SPARSE, b"")], "of the type b'S'"),
        ([("a", b"V", b"")], "of the type b'V'"),
    ],
)
def test_what_no_archive_of_images_has_is_refused(members: list[tuple[str, bytes, bytes]], said: str) -> None:
    with pytest.raises(InputError, match=said):
        files(tar(members))


def test_a_size_below_nothing_and_a_damaged_header_are_refused() -> None:
    data = bytearray(tar([("a", tarfile.REGTYPE, b"")], tarfile.GNU_FORMAT))
    data[124:136] = b"\xff" * 12
    data[148:156] = b"%06o\0 " % (sum(data[:148]) + 8 * ord(" ") + sum(data[156:512]))
    with pytest.raises(InputError, match=r"x\.tar is damaged: it has a file of less than no bytes"):
        files(bytes(data))
    data[0] ^= 1
    with pytest.raises(InputError, match=r"x\.tar is damaged: the checksum"):
        files(bytes(data))


def test_members_have_a_limit() -> None:
    with pytest.raises(InputError, match=r"x\.tar has more than 100000 members"):
        files(tar([("a", tarfile.DIRTYPE, b"")], tarfile.GNU_FORMAT)[:512] * 100_001)
