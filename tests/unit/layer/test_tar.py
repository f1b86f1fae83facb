# SPDX-License-Identifier: Apache-2.0
import gzip
import hashlib
import io
import tarfile
from functools import partial
from pathlib import Path

import attrs
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import BuildError, InputError
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.tarheader import Member, member_header, padding
from stxbuildah.model.layer import Change, Compression, LayerContent, LayerEntry

TIME = 1_600_000_000


def file(path: str, content: bytes = b"", mode: int = 0o644) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, mode=mode, size=len(content), opener=partial(io.BytesIO, content))


def members(blob: Path) -> list[tuple[object, ...]]:
    with tarfile.open(blob) as archive:
        return [
            (
                member.name,
                member.type,
                oct(member.mode),
                member.uid,
                member.gid,
                member.size,
                member.mtime,
                member.linkname,
                member.uname + member.gname,
            )
            for member in archive
        ]


def test_each_change_is_written_as_its_member(tmp_path: Path) -> None:
    content = LayerContent(
        (
            LayerEntry(path="/a", change=Change.DIRECTORY, mode=0o1777, uid=3, gid=4),
            LayerEntry(path="/a", change=Change.OPAQUE),
            LayerEntry(path="/a/0", change=Change.HARDLINK, target="/a/file"),
            attrs.evolve(file("/a/file", b"text", mode=0o4755), uid=5, gid=6),
            LayerEntry(path="/a/gone", change=Change.WHITEOUT),
            LayerEntry(path="/link", change=Change.SYMLINK, target="../a"),
            LayerEntry(path="/top", change=Change.WHITEOUT),
        )
    )

    write_layer(content, tmp_path / "layer", timestamp=TIME)

    assert members(tmp_path / "layer") == [
        ("a", b"5", "0o1777", 3, 4, 0, TIME, "", ""),
        ("a/.wh..wh..opq", b"0", "0o600", 0, 0, 0, TIME, "", ""),
        ("a/file", b"0", "0o4755", 5, 6, 4, TIME, "", ""),
        ("a/.wh.gone", b"0", "0o600", 0, 0, 0, TIME, "", ""),
        ("link", b"2", "0o777", 0, 0, 0, TIME, "../a", ""),
        (".wh.top", b"0", "0o600", 0, 0, 0, TIME, "", ""),
        ("a/0", b"1", "0o4755", 5, 6, 0, TIME, "a/file", ""),
    ]


@pytest.mark.parametrize("compression", Compression)
def test_the_blob_says_what_was_written(tmp_path: Path, compression: Compression) -> None:
    blob = write_layer(
        LayerContent((file("/a", b"x" * 1_000_000),)), tmp_path / "layer", timestamp=TIME, compression=compression
    )

    packed = (tmp_path / "layer").read_bytes()
    if compression is Compression.GZIP:
        plain = gzip.decompress(packed)
        assert packed[3:8] == bytes(5), "a name or a time in the gzip header"
    else:
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(packed)
    assert (blob.diff_id, blob.digest, blob.size, blob.uncompressed_size, blob.compression) == (
        f"sha256:{hashlib.sha256(plain).hexdigest()}",
        f"sha256:{hashlib.sha256(packed).hexdigest()}",
        len(packed),
        len(plain),
        compression,
    )


def test_the_order_of_the_entries_does_not_matter(tmp_path: Path) -> None:
    entries = tuple(file(f"/{number}", b"%d" % number) for number in range(20))

    forth = write_layer(LayerContent(entries), tmp_path / "forth", timestamp=TIME)
    back = write_layer(LayerContent(entries[::-1]), tmp_path / "back", timestamp=TIME)

    assert forth == back
    assert (tmp_path / "forth").read_bytes() == (tmp_path / "back").read_bytes()


@pytest.mark.parametrize("size", [3, 5])
def test_a_file_that_changed_is_an_error_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    entry = LayerEntry(path="/a", change=Change.FILE, size=size, opener=partial(io.BytesIO, b"four"))

    with pytest.raises(BuildError, match=f"/a changed .* no longer has {size} bytes"):
        write_layer(LayerContent((entry,)), tmp_path / "layer", timestamp=TIME)

    assert list(tmp_path.iterdir()) == []


def test_a_hard_link_needs_its_target_in_the_layer(tmp_path: Path) -> None:
    link = LayerEntry(path="/a", change=Change.HARDLINK, target="/b")

    with pytest.raises(BuildError, match="/a is a hard link to /b, which the layer does not have"):
        write_layer(LayerContent((link,)), tmp_path / "layer", timestamp=TIME)


@pytest.mark.parametrize("path", ["/.wh.a", "/a/.wh..wh..opq", "/.wh.a/b"])
def test_a_file_cannot_pose_as_a_whiteout(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="cannot be part of a layer"):
        write_layer(LayerContent((file(path),)), tmp_path / "layer", timestamp=TIME)


def test_extended_attributes_stand_where_container_tools_look(tmp_path: Path) -> None:
    capability = b"\x01\x00\x00\x02\x00\x04\x00\x00\xff\n=\x00"
    entry = attrs.evolve(file("/ping"), xattrs=(("security.capability", capability),))

    write_layer(LayerContent((entry,)), tmp_path / "layer", timestamp=TIME)

    with tarfile.open(tmp_path / "layer") as archive:
        headers = archive.getmember("ping").pax_headers
    assert headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == capability


_NAMES = st.binary(min_size=1, max_size=120).map(
    lambda raw: raw.replace(b"\0", b"_").replace(b"/", b"_").replace(b".", b"_")
)


@given(
    st.lists(_NAMES, min_size=1, max_size=4),
    st.binary(max_size=250).map(lambda raw: raw.replace(b"\0", b"")),
    st.integers(0, 1 << 32),
    st.integers(0, 1 << 36),
    st.integers(0, 0o7777),
)
def test_any_header_is_read_back_by_the_standard_library(
    parts: list[bytes], target: bytes, owner: int, size: int, mode: int
) -> None:
    member = Member(
        name=b"/".join(parts), type=b"0", mode=mode, uid=owner, gid=owner, size=size, mtime=TIME, target=target
    )

    header = member_header(member)
    with tarfile.open(fileobj=io.BytesIO(header + bytes(1024)), errors="surrogateescape") as archive:
        read = archive.next()

    assert read is not None
    assert len(header) % 512 == 0
    assert (
        read.name.encode("utf-8", "surrogateescape"),
        read.linkname.encode("utf-8", "surrogateescape"),
        (read.uid, read.gid, read.size, read.mode, read.mtime),
    ) == (member.name, member.target, (owner, owner, size, mode, TIME))


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        (b"f" * 100, 1),
        (b"f" * 101, 3),
        (b"p" * 155 + b"/" + b"f" * 100, 1),
        (b"p" * 156 + b"/" + b"f" * 99, 3),
        (b"p" * 154 + b"/" + b"f" * 101, 3),
        (b"p" * 120 + b"/" + b"d" * 99 + b"/", 1),
        (b"p" * 120 + b"/", 3),
        (b"caf\xc3\xa9", 3),
    ],
)
def test_a_pax_header_is_written_only_where_ustar_is_too_narrow(name: bytes, blocks: int) -> None:
    assert len(member_header(Member(name=name, type=b"0", mode=0o644))) == 512 * blocks


@given(st.integers(0, 10_000))
def test_padding_fills_the_last_block(size: int) -> None:
    assert (size + len(padding(size))) % 512 == 0
    assert len(padding(size)) < 512
