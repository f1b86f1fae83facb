# SPDX-License-Identifier: Apache-2.0
"""What builds took, kept for the next run."""

from pathlib import Path

import pytest

from stxbuildah.job.wheeltimes import read_times, write_times
from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.model.wheelsrun import WheelOutcome, WheelState


def outcome(wheel: str, state: WheelState, seconds: float) -> WheelOutcome:
    source = WheelSource(wheel=wheel, kind=SourceKind.TAR, url="https://h/a", source="a.cfg", line=1)
    return WheelOutcome(source=source, state=state, seconds=seconds)


def test_only_builds_count_and_what_is_known_of_others_stays(tmp_path: Path) -> None:
    assert read_times(tmp_path) == {}
    write_times(tmp_path, [outcome("a.whl", WheelState.BUILT, 1.5), outcome("b.whl", WheelState.KEPT, 0.1)])
    write_times(tmp_path, [outcome("c.whl", WheelState.BUILT, 2.0), outcome("d.whl", WheelState.FAILED, 9.0)])
    assert read_times(tmp_path) == {"a.whl": 1.5, "c.whl": 2.0}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": "b"}'])
def test_what_is_no_such_file_counts_as_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "times.json").write_text(text)
    assert read_times(tmp_path) == {}
