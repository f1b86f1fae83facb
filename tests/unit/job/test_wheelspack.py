# SPDX-License-Identifier: Apache-2.0
"""The constraints of a release, the tarball, and what a tarball lacks."""

import tarfile
from pathlib import Path

import attrs
import pytest

from stxbuildah.errors import InputError
from stxbuildah.job.wheelscheck import check_tarball
from stxbuildah.job.wheelspack import ReleaseFiles, pack, read_release
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.model.wheelsrun import WheelsRequest
from stxbuildah.plan.wheels import plan_wheels
from tests.unit.layer.wheel_maker import make_wheel


def release(folder: Path, place: str) -> ReleaseFiles:
    (folder / "openstack.cfg").write_text(f"STABLE_OPENSTACK_REQ_URL={place}\n")
    return read_release(WheelsRequest(), (folder / "stable-wheels.cfg",))


@pytest.mark.parametrize("place", ["reqs/one", "/reqs/one", "file:///reqs/one"])
def test_a_release_beside_the_file(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "reqs/one"
    folder.mkdir(parents=True)
    (folder / "upper-constraints.txt").write_text("a===1\n")
    (folder / "global-requirements.txt").write_text("a\n")
    assert release(tmp_path, place) == ReleaseFiles(constraints="a===1\n", requirements="a\n")
    assert release(tmp_path, str(folder)) == ReleaseFiles(constraints="a===1\n", requirements="a\n")


def test_no_release_and_one_that_is_not_there(tmp_path: Path) -> None:
    assert read_release(WheelsRequest(), (tmp_path / "a.cfg",)) == ReleaseFiles()
    with pytest.raises(InputError, match="absent"):
        release(tmp_path, "absent")
    with pytest.raises(InputError, match="names no constraints for the stream dev"):
        read_release(WheelsRequest(stream="dev"), (tmp_path / "a.cfg",))
    named = WheelsRequest(openstack=tmp_path / "other.cfg")
    with pytest.raises(InputError, match=r"other\.cfg cannot be read"):
        read_release(named, (tmp_path / "a.cfg",))


def test_of_two_wheels_of_one_name_the_later_counts_and_versions_are_told(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = make_wheel(tmp_path / "one", "sample", "1.0")
    second = make_wheel(tmp_path / "two", "sample", "1.0", files={"sample.py": b"NEWER = True"})
    newer = make_wheel(tmp_path / "two", "sample", "2.0")
    planned = plan_wheels(WheelsRequest(output=tmp_path, tarball=True), (), "b", {}, Path("lock"))
    assert planned.tarball is not None
    packed = pack(planned, ((first,), (second, newer)), ReleaseFiles(constraints="sample===0.9\nother===1\n"))
    assert packed.notes == (
        f"{first.name} is there twice, and differs: {second} is taken, not {first}",
        f"sample is there 2 times: {first.name}, {newer.name}",
    )
    assert (planned.contents / first.name).read_bytes() == second.read_bytes()
    with tarfile.open(planned.tarball) as tar:
        assert tar.getnames() == [first.name, newer.name, "upper-constraints.txt"]
    assert (planned.contents / "upper-constraints.txt").read_text() == "sample===2.0\nother===1\n"

    source = WheelSource(wheel=first.name, kind=SourceKind.TAR, url="https://h/a", source="a.cfg", line=1)
    others = [
        attrs.evolve(source, wheel=name)
        for name in (
            "sample-2.0.0-cp313-cp313-linux_x86_64.whl",
            "sample-3.0-py3-none-any.whl",
            "sample-*.whl",
            "x-*.whl",
        )
    ]
    checked = check_tarball(planned.tarball, (source, *others), {"python_version": "3.13"})
    assert checked.missing == ("sample-3.0-py3-none-any.whl", "x-*.whl")
    assert (checked.unmet, checked.wheels) == (("other===1",), 2)


def test_what_is_no_tarball(tmp_path: Path) -> None:
    for content in (None, b"text", b""):
        tarball = tmp_path / "a.tar"
        if content is not None:
            tarball.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.tar cannot be read"):
            check_tarball(tarball, (), {})
