# SPDX-License-Identifier: Apache-2.0
"""The wheel that came out, compared with the line that asked for it."""

from pathlib import Path

import pytest

from stxbuildah.errors import BuildError
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.wheels.agreement import check_wheel
from tests.unit.layer.wheel_maker import make_wheel


def asked(wheel: str) -> WheelSource:
    return WheelSource(wheel=wheel, kind=SourceKind.TAR, url="https://h/a.tar.gz", source="a.cfg", line=1)


@pytest.mark.parametrize(
    "wheel",
    [
        "sample-1.0-py3-none-any.whl",
        "Sample-1.0-py3-none-any.whl",
        "sample-1.0.0-py3-none-any.whl",
        "sample-*.whl",
        "sample-1.*.whl",
        "sample-1.0-*.whl",
        "sample-1.?-py3-*-any.whl",
    ],
)
def test_what_was_asked_for(tmp_path: Path, wheel: str) -> None:
    assert check_wheel(make_wheel(tmp_path), asked(wheel)) == ""


@pytest.mark.parametrize("wheel", ["sample-1.0-py2.py3-none-any.whl", "sample-1.0-cp313-cp313-linux_x86_64.whl"])
def test_other_tags_are_told_with_both_names(tmp_path: Path, wheel: str) -> None:
    note = check_wheel(make_wheel(tmp_path), asked(wheel))
    assert note == f"{wheel} was asked for, and sample-1.0-py3-none-any.whl came out: other tags"


@pytest.mark.parametrize(
    ("wheel", "what"),
    [
        ("other-1.0-py3-none-any.whl", "another module"),
        ("other-*.whl", "another module"),
        ("sample-1.1-py3-none-any.whl", "another version"),
        ("sample-1.0.post1-py3-none-any.whl", "another version"),
        ("sample-2.*.whl", "another version"),
    ],
)
def test_another_wheel_is_refused(tmp_path: Path, wheel: str, what: str) -> None:
    with pytest.raises(BuildError, match=what):
        check_wheel(make_wheel(tmp_path), asked(wheel))
