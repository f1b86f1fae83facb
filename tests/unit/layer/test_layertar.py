# SPDX-License-Identifier: Apache-2.0
"""Layers read back from the tar that an update wrote, and tars that no update wrote."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.layer.layertar import read_layer, write_plain
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.tarmember import Limits
from stxbuildah.model.layer import Change, LayerBlob, LayerContent, LayerEntry

Header = tuple[str, dict[str, object], bytes]
LONG = "/folder/" + "n" * 200
XATTRS = (("security.capability", b"\x01\x00\xff=\n\x02"), ("user.gr\u00f6\u00dfe", b"blue"))
CONTENT = LayerContent(
    (
        LayerEntry(path="/folder", change=Change.DIRECTORY, mode=0o2775, uid=3, gid=50),
        LayerEntry(path="/folder", change=Change.OPAQUE, mode=0),
        LayerEntry(
            path="/folder/a-link", change=Change.HARDLINK, mode=0o4755, uid=1, target="/folder/file", xattrs=XATTRS
        ),
        LayerEntry(
            path="/folder/file",
            change=Change.FILE,
            mode=0o4755,
            uid=1,
            size=5,
            opener=partial(io.BytesIO, b"bytes"),
            xattrs=XATTRS,
        ),
        LayerEntry(path="/folder/gone", change=Change.WHITEOUT, mode=0),
        LayerEntry(path=LONG, change=Change.FILE, uid=2**31, size=0, opener=partial(io.BytesIO, b"")),
        LayerEntry(path="/folder/\udcff", change=Change.SYMLINK, mode=0o777, target="/../" + "t" * 150),
        LayerEntry(path="/gone", change=Change.WHITEOUT, mode=0),
        LayerEntry(path="/" + "n" * 255, change=Change.WHITEOUT, mode=0),
    )
)


def write(content: LayerContent, path: Path) -> LayerBlob:
    """Write a layer's plain tar."""
    packed = path.with_suffix(".gz")
    blob = write_layer(content, packed, timestamp=1_750_000_000)
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    return blob


def files(content: LayerContent) -> dict[str, bytes]:
    found = {}
    for entry in content.entries:
        if entry.opener is not None:
            with entry.opener() as stream:
                found[entry.path] = stream.read()
    return found


def archive(path: Path, *members: Header, ending: bytes = bytes(1024)) -> Path:
    """Write a tar of any members, as other programs do."""
    data = b""
    for name, attributes, content in members:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        for key, value in attributes.items():
            setattr(member, key, value)
        data += member.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)
    path.write_bytes(data + ending)
    return path


def folder(name: str) -> Header:
    return name, {"type": tarfile.DIRTYPE}, b""


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(CONTENT, tmp_path / "tar")

    content = read_layer(tmp_path / "tar")

    assert content == CONTENT
    assert files(content) == {"/folder/file": b"bytes", LONG: b""}


def test_files_are_read_side_by_side_and_in_pieces(tmp_path: Path) -> None:
    data = {f"/{name}": name.encode() * 300_000 for name in "ab"}
    entries = [
        LayerEntry(path=path, change=Change.FILE, size=len(text), opener=partial(io.BytesIO, text))
        for path, text in data.items()
    ]
    write(LayerContent(tuple(entries)), tmp_path / "tar")
    first, second = (entry.opener() for entry in read_layer(tmp_path / "tar").entries if entry.opener is not None)
    with first, second:
        assert (first.read(10), second.read(), first.read()) == (b"a" * 10, data["/b"], data["/a"][10:])


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda name: name not in {".", ".."} and not name.startswith(".wh.") and len(name.encode()) <= 200
)
ENTRIES = st.builds(
    LayerEntry,
    path=NAMES.map("/".__add__),
    change=st.sampled_from([Change.FILE, Change.DIRECTORY, Change.SYMLINK, Change.WHITEOUT]),
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    gid=st.integers(0, 2**32 - 2),
    xattrs=st.dictionaries(st.sampled_from(["user.a", "user.b"]), st.binary(max_size=40)).map(
        lambda found: tuple(sorted(found.items()))
    ),
)


@given(entries=st.lists(ENTRIES, unique_by=lambda entry: entry.path), data=st.binary(max_size=700))
def test_writing_what_was_read_gives_the_same_tar(
    entries: list[LayerEntry], data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    made = []
    for entry in entries:
        if entry.change is Change.FILE:
            made.append(attrs.evolve(entry, size=len(data), opener=partial(io.BytesIO, data)))
        elif entry.change is Change.SYMLINK:
            made.append(attrs.evolve(entry, target="../target"))
        elif entry.change is Change.WHITEOUT:
            made.append(LayerEntry(path=entry.path, change=Change.WHITEOUT))
        else:
            made.append(entry)
    tar = tmp_path_factory.mktemp("tar") / "tar"

    written = write(LayerContent(tuple(made)), tar)
    content = read_layer(tar)

    assert [entry.path for entry in content.entries] == sorted(entry.path for entry in entries)
    assert write_layer(content, tar.with_name("again"), timestamp=1_750_000_000) == written


def test_devices_and_pipes_are_left_out(tmp_path: Path) -> None:
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    members: list[Header] = [(f"dev/{number}", {"type": kind}, b"") for number, kind in enumerate(kinds)]
    path = archive(tmp_path / "tar", folder("dev"), *members, ("dev/file", {}, b"x"))
    assert [entry.path for entry in read_layer(path).entries] == ["/dev", "/dev/file"]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("../a", {}, b"")], "it has the path '../a'"),
        ([("/etc/a", {}, b"")], "it has the path '/etc/a'"),
        ([folder("a"), ("a/./b", {}, b"")], "it has the path 'a/./b'"),
        ([("./", {"type": tarfile.SYMTYPE, "linkname": "/etc"}, b"")], "its root is no folder"),
        ([("./", {"type": tarfile.FIFOTYPE}, b""), (".", {}, b"")], "its root is no folder"),
        ([("a", {"pax_headers": {"SCHILY.xattr.a\n": "1"}}, b"")], "extended headers that no update writes"),
        ([("a" * 256, {}, b"")], "it has the path 'aaa"),
        ([("a", {"pax_headers": {"path": "a\0b"}}, b"")], r"it has the path 'a\\x00b'"),
        ([("a", {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"}, b"")], "it has the path '../../etc"),
        ([("a", {"type": tarfile.LNKTYPE, "linkname": "b"}, b"")], "'/a' of it is a link to a file that it does not"),
        ([("a", {"type": tarfile.SYMTYPE, "linkname": "b" * 4097}, b"")], "'a' of it is a link to an impossible path"),
        ([("a", {}, b"1"), ("a", {}, b"2")], "it has '/a' twice"),
        ([("a", {}, b"1"), (".wh.a", {}, b"")], "it has '/a' twice"),
        ([("a/b", {}, b"1")], "'/a/b' of it stands below no folder"),
        ([("a", {}, b""), ("a/b", {}, b"1")], "'/a/b' of it stands below no folder"),
        ([("a/.wh..wh..opq", {}, b"")], "'/a' of it stands below no folder"),
        ([("a/.wh.b", {}, b"")], "'/a/b' of it stands below no folder"),
        ([(".wh..wh..opq", {}, b"")], "no update writes the mark '/.wh..wh..opq'"),
        ([(".wh.", {}, b"")], "no update writes the mark '/.wh.'"),
        ([(".wh...", {}, b"")], "no update writes the mark"),
        ([(".wh..wh.aufs", {}, b"")], "no update writes the mark"),
        ([folder(".wh.a")], "no update writes the mark"),
        ([folder(".wh.a"), (".wh.a/b", {}, b"")], "no update writes the mark|it has the path"),
        ([("a", {"type": b"S"}, b"")], "'a' of it is of a type"),
        ([("a", {"type": b"g"}, b"")], "'a' of it is of a type"),
        ([("a", {"type": tarfile.DIRTYPE}, b"x")], "'a' of it is of a type"),
        ([("a", {"pax_headers": {"GNU.sparse.major": "1"}}, b"")], "extended headers that no update writes"),
        ([("a", {"pax_headers": {"SCHILY.xattr.": "1"}}, b"")], "extended headers that no update writes"),
        ([("a", {"pax_headers": {"size": "-1"}}, b"")], "whose size is '-1'"),
        ([("a", {"pax_headers": {"size": "4000"}}, b"")], "it is truncated"),
        ([("a", {"pax_headers": {"uid": "4294967295"}}, b"")], "'a' of it belongs to no possible account"),
        ([("a", {"pax_headers": {"SCHILY.xattr.user.a": "x" * 2**20}}, b"")], "too many extended headers"),
        ([("a", {}, b""), ("b", {}, b""), ("c", {}, b"")], "too many members"),
    ],
)
def test_what_no_update_writes_is_refused(tmp_path: Path, members: list[Header], reason: str) -> None:
    limits = Limits(entries=1) if "too many members" in reason else None
    path = archive(tmp_path / "tar", *members)
    with pytest.raises(InputError, match=f"was not written by it: .*({reason})") as caught:
        read_layer(path, limits=limits)
    assert "--replace-updates" in caught.value.hint


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:700], "it is truncated"),
        (lambda data: data[:1536], "it is truncated"),
        (lambda data: data[:1636], "it is truncated"),
        (lambda data: data + b"x", "something follows its end"),
        (lambda data: data[:100] + b"\xff" + data[101:], "a header of it is damaged"),
        (lambda _: b"", "it is truncated"),
        (lambda _: b"x" * 1024, "a header of it is damaged"),
    ],
)
def test_a_damaged_tar_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], reason: str) -> None:
    path = archive(tmp_path / "tar", ("a", {}, b"x" * 600), ending=bytes(1024))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=reason):
        read_layer(path)


@given(position=st.integers(0, 5119), byte=st.integers(0, 255))
def test_a_changed_byte_never_does_worse(position: int, byte: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    tar = tmp_path_factory.mktemp("tar") / "tar"
    write(CONTENT, tar)
    data = bytearray(tar.read_bytes())
    data[position] = byte
    tar.write_bytes(data)
    try:
        content = read_layer(tar)
    except InputError:
        return
    for entry in content.entries:
        assert entry.path.startswith("/")
        assert ".." not in entry.path.split("/")


def test_a_blob_becomes_a_plain_tar(tmp_path: Path) -> None:
    blob = write_layer(CONTENT, tmp_path / "blob", timestamp=0)
    data = (tmp_path / "blob").read_bytes()

    write_plain([data[:10], data[10:]], tmp_path / "tar", diff_id=blob.diff_id, limit=2**20)

    assert f"sha256:{hashlib.sha256((tmp_path / 'tar').read_bytes()).hexdigest()}" == blob.diff_id
    assert read_layer(tmp_path / "tar") == CONTENT


def test_a_blob_of_another_tar_is_refused(tmp_path: Path) -> None:
    blob = write_layer(CONTENT, tmp_path / "blob", timestamp=0)
    other = "sha256:" + "0" * 64

    with pytest.raises(
        InputError, match=f"a layer has the diff ID {blob.diff_id} where its configuration says {other}"
    ):
        write_plain([(tmp_path / "blob").read_bytes()], tmp_path / "tar", diff_id=other, limit=2**20)

    assert [path.name for path in tmp_path.iterdir()] == ["blob"]
