# SPDX-License-Identifier: Apache-2.0
"""The tarball of wheels: the same bytes whatever the files' order, times and modes."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from stxbuildah.errors import BuildError
from stxbuildah.wheels.tarball import write_tarball


def files(folder: Path, *names: str) -> list[Path]:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(name.encode() * 100)
    return [folder / name for name in names]


def test_the_same_bytes_whenever_it_is_packed(tmp_path: Path) -> None:
    first = files(tmp_path / "one", "b.whl", "a.whl")
    second = files(tmp_path / "two", "a.whl", "b.whl")
    second[0].chmod(0o600)
    os.utime(second[1], (1, 1))
    one, two = io.BytesIO(), io.BytesIO()
    texts = {"upper-constraints.txt": b"a===1\n"}
    digest = write_tarball(one, first, texts)
    assert write_tarball(two, second, texts) == digest
    assert one.getvalue() == two.getvalue()
    assert hashlib.sha256(one.getvalue()).hexdigest() == digest
    with tarfile.open(fileobj=io.BytesIO(one.getvalue())) as tar:
        told = [(info.name, info.mode, info.mtime, info.uid, info.gid, info.uname) for info in tar]
        assert told == [(name, 0o644, 315532800, 0, 0, "") for name in ("a.whl", "b.whl", "upper-constraints.txt")]
        content = tar.extractfile("upper-constraints.txt")
        assert content is not None
        assert content.read() == b"a===1\n"


def test_one_name_twice(tmp_path: Path) -> None:
    twice = [*files(tmp_path / "one", "a.whl"), *files(tmp_path / "two", "a.whl")]
    with pytest.raises(BuildError, match=r"a\.whl would be in the tarball twice"):
        write_tarball(io.BytesIO(), twice, {})
