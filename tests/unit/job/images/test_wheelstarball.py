# SPDX-License-Identifier: Apache-2.0
"""The tarball of wheels, unpacked: whatever archive it comes in."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from stxbuildah.engine.process import Runner
from stxbuildah.engine.store import Store
from stxbuildah.errors import InputError
from stxbuildah.job.engine import Engine
from stxbuildah.job.images.wheelstarball import resolve_wheels
from stxbuildah.job.images.work import WheelsTarball
from stxbuildah.job.workspace import Folders
from stxbuildah.model.imagebuild import SelectionRequest
from stxbuildah.model.imagesrun import ImagesRequest
from stxbuildah.model.settings import HostChoices

WHEELS = {"six-1.0-py3-none-any.whl": b"six", "upper-constraints.txt": b"six===1.0\n"}


def archive(path: Path, members: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload] # the mode is a parameter
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def resolved(text: object, folder: Path) -> WheelsTarball:
    runner = Runner()
    folders = Folders(cache=folder, state=folder, work=folder)
    choices = HostChoices(isolation="chroot", runtime="", network="host")
    engine = Engine(choices=choices, runner=runner, store=Store(runner=runner), folders=folders)
    return resolve_wheels(engine, str(text), ImagesRequest(selection=SelectionRequest(roots=())), folder)


def test_the_digest_is_that_of_what_is_in_it(tmp_path: Path) -> None:
    plain = resolved(archive(tmp_path / "a.tar", WHEELS), tmp_path)
    packed = resolved(
        archive(tmp_path / "b.tar.gz", {f"./wheels/{name}": data for name, data in reversed(WHEELS.items())}, "w:gz"),
        tmp_path,
    )
    other = resolved(archive(tmp_path / "c.tar", {**WHEELS, "upper-constraints.txt": b""}), tmp_path)
    assert plain.digest == packed.digest != other.digest
    assert plain.folder != packed.folder
    assert {path.name: path.read_bytes() for path in packed.folder.iterdir()} == WHEELS


def test_nothing_else_is_taken(tmp_path: Path) -> None:
    members = {**WHEELS, "README": b"x", ".wh.six.whl": b"", "setup.py": b"x"}
    assert {path.name for path in resolved(archive(tmp_path / "a.tar", members), tmp_path).folder.iterdir()} == {
        *WHEELS
    }


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"upper-constraints.txt": b""}, "holds no wheel"),
        ({"../six-1.0-py3-none-any.whl": b""}, "leads out of the archive"),
        ({"a/x.whl": b"1", "b/x.whl": b"2"}, r"two different files x\.whl"),
    ],
)
def test_an_archive_that_cannot_be_used(tmp_path: Path, members: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        resolved(archive(tmp_path / "a.tar", members), tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}/gone.tar", "is not there"),
        ("stx-wheels.tar.gz", "is not there"),
        ("file://{}/gone.tar", "is not there"),
        ("{}", "is a folder"),
        ("UPPER CASE", "UPPER CASE"),
    ],
)
def test_a_name_that_leads_nowhere(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        resolved(text.format(tmp_path), tmp_path)


def test_a_file_that_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"a\.tar"):
        resolved(tmp_path / "a.tar", tmp_path)
