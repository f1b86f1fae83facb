# SPDX-License-Identifier: Apache-2.0
"""Archives from strangers: what is unpacked, and what never leaves the folder it was meant for."""

import contextlib
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah.errors import InputError
from stxbuildah.wheels.unpack import unpack_tar, unpack_zip


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, link, mode, 1_500_000_000
    # More than any account's range of subordinate identities.
    info.uid = info.gid = 546_790_884
    return info


def tar_of(path: Path, *members: tarfile.TarInfo, mode: str = "w:gz", content: bytes = b"text") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload] # the mode is one of its texts
        for info in members:
            info.size = len(content) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "top/target"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_of_every_compression(tmp_path: Path, target: Path, mode: str) -> None:
    archive = tar_of(
        tmp_path / "a.tar",
        member("a-1/run.sh", mode=0o6755),
        member("a-1/src/b.py", mode=0o000),
        member("a-1/same", tarfile.LNKTYPE, link="a-1/src/b.py"),
        member("a-1/src/up", tarfile.SYMTYPE, link="../run.sh"),
        mode=mode,
    )
    assert unpack_tar(archive, target) == 1_500_000_000
    assert (target / "a-1/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (target / "a-1/src/b.py").stat().st_mode & 0o7777 == 0o644
    assert (target / "a-1/same").read_bytes() == b"text"
    assert (target / "a-1/src/up").readlink() == Path("../run.sh")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ([member("/etc/passwd")], "leads out of the archive"),
        ([member("a/../../x")], "leads out of the archive"),
        ([member("a\nb")], "no plain one"),
        ([member("a", tarfile.SYMTYPE, link="/etc")], "the link 'a' leads out"),
        ([member("a/b", tarfile.SYMTYPE, link="../../top")], "the link 'a/b' leads out"),
        ([member("a/b", tarfile.SYMTYPE, link="c/../../..")], "the link 'a/b' leads out"),
        ([member("a", tarfile.SYMTYPE, link="b"), member("a/x")], "written through a link"),
        ([member("a", tarfile.SYMTYPE, link="b"), member("a")], "written through a link"),
        ([member("a", tarfile.LNKTYPE, link="/etc/passwd")], "leads out of the archive"),
        ([member("a", tarfile.LNKTYPE, link="b")], "no file before it"),
        ([member("l", tarfile.SYMTYPE, link="b"), member("a", tarfile.LNKTYPE, link="l")], "through a link"),
        ([member("dev", tarfile.CHRTYPE)], "neither file, folder nor link"),
        ([member("pipe", tarfile.FIFOTYPE)], "neither file, folder nor link"),
    ],
)
def test_a_tar_that_would_leave_its_folder(
    tmp_path: Path, target: Path, members: list[tarfile.TarInfo], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        unpack_tar(tar_of(tmp_path / "a.tar", *members), target)
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_zip(tmp_path: Path, target: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("a-1/", "")
        script = zipfile.ZipInfo("a-1/configure", (2001, 2, 3, 4, 5, 6))
        script.external_attr = 0o100755 << 16
        out.writestr(script, "#!/bin/sh\n")
        link = zipfile.ZipInfo("a-1/link")
        link.external_attr = 0o120777 << 16
        out.writestr(link, "configure")
    assert unpack_zip(archive, target) == 981_173_106
    assert (target / "a-1/configure").stat().st_mode & 0o777 == 0o755
    assert (target / "a-1/link").readlink() == Path("configure")


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "C:\\x"])
def test_a_zip_that_would_leave_its_folder(tmp_path: Path, target: Path, name: str) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr(name, "text")
    with pytest.raises(InputError, match="leads out of the archive"):
        unpack_zip(archive, target)
    assert [path.name for path in target.parent.iterdir()] == ["target"]


def test_a_bomb(tmp_path: Path, target: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out, out.open("zeros", "w") as content:
        for _ in range(300):
            content.write(bytes(1 << 20))
    with pytest.raises(InputError, match="looks like a trap"):
        unpack_zip(archive, target)


@pytest.mark.parametrize("unpack", [unpack_tar, unpack_zip])
def test_what_is_no_archive_or_is_cut_off(tmp_path: Path, target: Path, unpack: Callable[[Path, Path], int]) -> None:
    whole = tar_of(tmp_path / "a.tar.gz", member("a"), content=bytes(range(256)) * 4000).read_bytes()
    for data in (b"", b"text", whole[: len(whole) // 2]):
        damaged = tmp_path / "damaged"
        damaged.write_bytes(data)
        with pytest.raises(InputError, match="damaged"):
            unpack(damaged, target)


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", ""]), min_size=1, max_size=4).map("/".join)
MEMBERS = st.tuples(NAMES, st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]), NAMES)


@given(found=st.lists(MEMBERS, max_size=6))
def test_nothing_ever_appears_outside(
    tmp_path_factory: pytest.TempPathFactory, found: list[tuple[str, bytes, str]]
) -> None:
    top = tmp_path_factory.mktemp("top")
    target = top / "outer/target"
    target.mkdir(parents=True)
    archive = tar_of(top / "a.tar", *(member(name, kind, link=link) for name, kind, link in found if name), mode="w")
    with contextlib.suppress(InputError):
        unpack_tar(archive, target)
    assert sorted(path.name for path in top.iterdir()) == ["a.tar", "outer"]
    assert [path.name for path in (top / "outer").iterdir()] == ["target"]
    for path in target.rglob("*"):
        assert Path(os.path.realpath(path)).is_relative_to(target.resolve())
