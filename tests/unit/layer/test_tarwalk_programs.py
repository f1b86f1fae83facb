# SPDX-License-Identifier: Apache-2.0
"""The walk over what other programs write, and over what damage makes of it."""

import contextlib
import io
import math
import os
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.layer.tarwalk import Limits, Member, MemberKind, relative_path, walk
from tests.unit.layer.tar_maker import END, GNU, base_256, header, long_name, member, pax, pieces

KINDS = {
    tarfile.REGTYPE: MemberKind.REGULAR,
    tarfile.AREGTYPE: MemberKind.REGULAR,
    tarfile.GNUTYPE_SPARSE: MemberKind.REGULAR,
    tarfile.LNKTYPE: MemberKind.HARDLINK,
    tarfile.SYMTYPE: MemberKind.SYMLINK,
    tarfile.CHRTYPE: MemberKind.CHARACTER_DEVICE,
    tarfile.BLKTYPE: MemberKind.BLOCK_DEVICE,
    tarfile.DIRTYPE: MemberKind.DIRECTORY,
    tarfile.FIFOTYPE: MemberKind.FIFO,
}
SMALL = Limits(entries=1000, pax=64 * 1024, content=64 * 1024, total=1024 * 1024, trailing=64 * 1024)
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}

names = st.text("ab.= \n\u00e9\udcff\U0001f40d", min_size=1, max_size=5).filter(lambda name: name not in {".", ".."})
paths = st.tuples(st.lists(names, min_size=1, max_size=4), st.sampled_from([1, 9, 30])).map(
    lambda drawn: "/".join(drawn[0] * drawn[1])
)


@st.composite
def tar_members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    kind = draw(st.sampled_from([*KINDS.keys() - {tarfile.AREGTYPE, tarfile.GNUTYPE_SPARSE}]))
    content = draw(st.binary(max_size=9)) * draw(st.integers(0, 150)) if kind == tarfile.REGTYPE else b""
    info = tarfile.TarInfo(draw(paths))
    info.type, info.size = kind, len(content)
    info.mode, info.mtime = draw(st.integers(0, 0o7777)), draw(st.integers(0, 2**33 - 1))
    info.uid, info.gid = draw(st.integers(0, 0o7777777)), draw(st.integers(0, 0o7777777))
    if kind in {tarfile.LNKTYPE, tarfile.SYMTYPE}:
        info.linkname = draw(paths)
    if kind in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
        info.devmajor, info.devminor = draw(st.integers(0, 4095)), draw(st.integers(0, 0o7777777))
    return info, content


def standard(data: bytes) -> list[Member]:
    """What the standard library's tarfile reads."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            kind = KINDS[info.type]
            content = archive.extractfile(info) if kind is MemberKind.REGULAR else None
            prefix = "SCHILY.xattr."
            found.append(
                Member(
                    path=relative_path(info.name),
                    kind=kind,
                    mode=info.mode & 0o7777,
                    uid=info.uid,
                    gid=info.gid,
                    size=info.size if content else 0,
                    mtime=math.floor(info.mtime),
                    target=info.linkname if info.issym() or info.islnk() else "",
                    major=info.devmajor if info.isdev() and not info.isfifo() else 0,
                    minor=info.devminor if info.isdev() and not info.isfifo() else 0,
                    xattrs=tuple(
                        sorted(
                            (name.removeprefix(prefix), value.encode("utf-8", "surrogateescape"))
                            for name, value in info.pax_headers.items()
                            if name.startswith(prefix)
                        )
                    ),
                    content=content.read() if content else b"",
                )
            )
    return found


def walked(data: bytes, size: int = 1000, limits: Limits | None = None) -> Iterator[Member]:
    return walk(pieces(data, size), limits=limits or Limits(), wanted=lambda _, size: size)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*FORMATS]), st.lists(tar_members(), max_size=8), st.integers(1, 3000))
def test_what_tarfile_writes(form: str, content: list[tuple[tarfile.TarInfo, bytes]], size: int) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=FORMATS[form]) as archive:
        for info, data in content:
            # A name that does not fit into ustar is refused by its writer.
            with contextlib.suppress(ValueError):
                archive.addfile(info, io.BytesIO(data))

    assert list(walked(target.getvalue(), size)) == standard(target.getvalue())


def test_times_and_attributes_that_tarfile_writes_into_pax() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a")
        info.mtime, info.uid = -1.5, 2**31
        info.pax_headers = {"SCHILY.xattr.user.x": "value=1\n"}
        archive.addfile(info)

    assert list(walked(target.getvalue())) == standard(target.getvalue())
    assert standard(target.getvalue())[0].mtime == -2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    deep = root / ("d" * 90) / ("e" * 90)
    deep.mkdir(parents=True)
    (root / "file").write_bytes(b"content" * 1000)
    (root / "linked").hardlink_to(root / "file")
    (root / "link").symlink_to("somewhere/" * 20)
    (root / "caf\u00e9").write_bytes(b"")
    (deep / "f").write_bytes(b"deep")
    os.mkfifo(root / "fifo")
    with (root / "sparse").open("wb") as stream:
        for number in range(40):
            stream.seek(number * 256 * 1024)
            stream.write(bytes([65 + number]) * 4096)
        stream.truncate(12 * 1024 * 1024)
    with (root / "hole").open("wb") as stream:
        stream.truncate(1024 * 1024)
    for path in (*root.rglob("*"), root):
        os.utime(path, (0, 1_700_000_000.75), follow_symlinks=False)
    return root


GNU_TAR = {
    "v7": ["--format=v7", "--exclude=d*", "--exclude=link", "--exclude=fifo"],
    "ustar": ["--format=ustar", "--exclude=link"],
    "oldgnu": ["--format=oldgnu"],
    "gnu": ["--format=gnu"],
    "pax": ["--format=posix"],
    "gnu sparse": ["--format=gnu", "--sparse"],
    "pax sparse 0.0": ["--format=posix", "--sparse", "--sparse-version=0.0"],
    "pax sparse 0.1": ["--format=posix", "--sparse", "--sparse-version=0.1"],
    "pax sparse 1.0": ["--format=posix", "--sparse", "--sparse-version=1.0"],
    "incremental": ["--format=gnu", "--atime-preserve=replace", "--numeric-owner", "--blocking-factor=200"],
}


@pytest.mark.parametrize("form", GNU_TAR)
def test_what_gnu_tar_writes(form: str, folder: Path) -> None:
    command = ["tar", "-C", str(folder), "-c", "-f", "-", *GNU_TAR[form], "."]
    data = subprocess.run(command, check=True, capture_output=True).stdout

    found = list(walked(data, 10_000))

    assert found == standard(data)
    by_path = {each.path: each for each in found}
    assert by_path["sparse"].content == (folder / "sparse").read_bytes()
    assert by_path["hole"].size == 1024 * 1024
    if "sparse" in form:
        assert len(data) < 1024 * 1024


SAMPLE = b"".join(
    [
        member(b"etc/", type_flag=b"5"),
        member(b"etc/passwd", b"root:x:0:0\n" * 50),
        pax({b"path": b"long/" * 50, b"mtime": b"1.5", b"SCHILY.xattr.a": b"b", b"size": b"600"}),
        header(b"x") + bytes(1024),
        long_name(b"n" * 200),
        member(b"n", b"data", magic=GNU, uid=base_256(5, 8)),
        pax({b"GNU.sparse.map": b"0,5,100,5", b"GNU.sparse.size": b"200", b"GNU.sparse.name": b"s"}),
        member(b"sparse", b"0123456789"),
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0", b"GNU.sparse.realsize": b"700"}),
        member(b"sparse", b"2\n0\n5\n600\n5\n".ljust(512, b"\0") + b"0123456789"),
        member(b"link", type_flag=b"2", target=b"etc"),
        member(b"hard", type_flag=b"1", target=b"etc/passwd"),
        END,
    ]
)


def repaired(data: bytearray, start: int) -> None:
    """Give the block a checksum that is right, so that the damage in it counts."""
    block = data[start : start + 512]
    if len(block) == 512:
        total = sum(block[:148]) + 8 * 32 + sum(block[156:])
        data[start + 148 : start + 156] = b"%06o\0 " % total


mutations = st.lists(
    st.tuples(
        st.integers(0, len(SAMPLE) - 1),
        st.one_of(
            st.binary(min_size=1, max_size=12),
            st.sampled_from(
                [b"\xff" * 12, b"\x80" + b"\x7f" * 11, b"77777777777\0", b"99999", b"-1", b"x", b"S", b"L"]
            ),
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(mutations, st.integers(1, 2000), st.integers(0, 3))
def test_damage_is_an_input_error_or_harmless(changes: list[tuple[int, bytes, bool]], size: int, cut: int) -> None:
    data = bytearray(SAMPLE[: len(SAMPLE) - cut * 700])
    for place, new, repair in changes:
        data[place : place + len(new)] = new
        if repair:
            repaired(data, place // 512 * 512)
    with contextlib.suppress(InputError):
        for each in walked(bytes(data), size, SMALL):
            assert len(each.content) <= min(each.size, SMALL.content)
            assert ".." not in each.path.split("/")
            assert len(each.path.encode("utf-8", "surrogateescape")) <= SMALL.path


@given(st.binary(max_size=2000))
def test_noise_is_an_input_error(noise: bytes) -> None:
    with contextlib.suppress(InputError):
        assert list(walked(noise + b"x" * 512, 100, SMALL)) == []


def test_the_memory_of_a_walk_is_bounded() -> None:
    limits = Limits()
    hostile = [
        header(b"a", type_flag=b"L", size=2**33 - 1),
        header(b"a", type_flag=b"x", size=2**33 - 1),
        header(b"a", type_flag=b"g", size=2**33 - 1),
        header(b"a", size=2**33 - 1),
        pax({b"GNU.sparse.map": b"", b"GNU.sparse.size": b"%d" % 2**62}) + member(b"a"),
        pax({b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0"}) + member(b"a", b"9" * 18 + b"\n" + b"1\n" * 247),
    ]
    for start in hostile:
        tracemalloc.start()
        try:
            with contextlib.suppress(InputError):
                for _ in walk(
                    [start, *[bytes(1024 * 1024)] * 3],
                    limits=limits,
                    wanted=lambda _, size: min(size, 2**20 + size // 2**40),
                ):
                    pass
            assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
        finally:
            tracemalloc.stop()
