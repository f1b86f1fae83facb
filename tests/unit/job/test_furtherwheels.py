# SPDX-License-Identifier: Apache-2.0
"""Wheels out of the packages that repositories list, and of a folder."""

from pathlib import Path

import pytest

from stxbuildah.errors import InputError, ProblemsError
from stxbuildah.job.furtherwheels import collect_packaged, copy_extra
from stxbuildah.model.wheelsrun import FurtherWheels, WheelsRequest
from tests.unit.layer.wheel_maker import make_wheel
from tests.unit.wheels.package_maker import deb, rpm


@pytest.fixture
def request_of(tmp_path: Path) -> WheelsRequest:
    for name in ("repo/git", "std/debs", "out"):
        (tmp_path / name).mkdir(parents=True)
    return WheelsRequest(further=FurtherWheels(roots=(tmp_path / "repo",), packages=(tmp_path / "std",)))


def test_both_kinds_of_packages_in_both_lists(request_of: WheelsRequest, tmp_path: Path) -> None:
    (tmp_path / "repo/git/debian_stable_wheels.inc").write_text("one-wheels # first\ntwo-wheels\n")
    (tmp_path / "repo/debian_trixie_stable_wheels.inc").write_text("one-wheels\n")
    (tmp_path / "repo/debian_dev_wheels.inc").write_text("other\n")
    (tmp_path / "std/debs/one-wheels_1.0-1.stx.3_all.deb").write_bytes(deb({"a/one-1-py3-none-any.whl": b"1"}))
    # A package whose name only begins alike, and one of another name.
    (tmp_path / "std/debs/one-wheels-extra_1.0-1_all.deb").write_bytes(b"not looked into")
    (tmp_path / "std/two-wheels-2.0-0.tis.1.x86_64.rpm").write_bytes(rpm({"b/two-2-py3-none-any.whl": b"2"}))
    found = collect_packaged(request_of, tmp_path / "out")
    assert [(path.name, path.read_bytes()) for path in found] == [
        ("one-1-py3-none-any.whl", b"1"), ("two-2-py3-none-any.whl", b"2"),
    ]  # fmt: skip


def test_no_repositories_are_no_packages(tmp_path: Path) -> None:
    assert collect_packaged(WheelsRequest(), tmp_path) == ()


def test_everything_that_is_wrong_is_told_at_once(request_of: WheelsRequest, tmp_path: Path) -> None:
    (tmp_path / "repo/debian_stable_wheels.inc").write_text("absent\nempty\ntwice\nsame\n")
    (tmp_path / "repo/git/debian_stable_wheels.inc").write_text("a|b\n")
    (tmp_path / "std/empty_1_all.deb").write_bytes(deb({"README": b""}))
    for number, folder in enumerate(("std", "std/debs")):
        (tmp_path / folder / "twice_1_all.deb").write_bytes(deb({f"t-{number}-py3-none-any.whl": b""}))
        (tmp_path / folder / "same_1_all.deb").write_bytes(deb({"same-1-py3-none-any.whl": b""}))
    with pytest.raises(ProblemsError) as caught:
        collect_packaged(request_of, tmp_path / "out")
    told = {(Path(problem.source).parent.name, problem.line, problem.message) for problem in caught.value.problems}
    std = tmp_path / "std"
    assert told == {
        ("git", 1, "'a|b' is not the name of a package"),
        ("repo", 1, f"no package absent is below {std}"),
        ("repo", 2, f"{std}/empty_1_all.deb holds no wheel"),
        ("repo", 3, f"twice is there in several forms: {std}/debs/twice_1_all.deb, {std}/twice_1_all.deb"),
    }


def test_a_folder_of_further_wheels(tmp_path: Path) -> None:
    folder = tmp_path / "extra"
    folder.mkdir()
    (folder / "README").touch()
    wheel = make_wheel(folder)
    (tmp_path / "out").mkdir()
    assert copy_extra(folder, tmp_path / "out") == (tmp_path / "out" / wheel.name,)
    with pytest.raises(InputError, match=r"extra wheels .*absent is not there"):
        copy_extra(tmp_path / "absent", tmp_path / "out")
