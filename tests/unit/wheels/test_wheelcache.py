# SPDX-License-Identifier: Apache-2.0
"""The key of a built wheel: changed by all that may change the wheel, and by nothing else."""

from pathlib import Path
from typing import Any

import attrs
import pytest

from stxbuildah.model.wheelbuild import SourceKind, WheelSource
from stxbuildah.model.wheelsrun import WheelLimits
from stxbuildah.wheels.material import Material
from stxbuildah.wheels.wheelcache import build_key, kept_wheel

SOURCE = WheelSource(
    wheel="a-1-py3-none-any.whl", kind=SourceKind.TAR, url="https://h/a.tar.gz", basedir="a-1", source="a.cfg", line=1
)


def key(source: WheelSource = SOURCE, *, digest: str = "sha256:1", builder: str = "b", requires: str = "r",
        limits: WheelLimits | None = None) -> str:  # fmt: skip
    return build_key(source, Material(digest=digest), builder, limits or WheelLimits(), requires)


@pytest.mark.parametrize(
    "changes",
    [{"wheel": "a-*.whl"}, {"kind": SourceKind.ZIP}, {"basedir": ""}, {"fix_setup": True}],
)
def test_another_line_is_another_key(changes: dict[str, Any]) -> None:
    assert key(attrs.evolve(SOURCE, **changes)) != key()


def test_another_source_builder_or_setting_is_another_key() -> None:
    others = [
        key(digest="sha256:2"), key(builder="c"), key(requires="s"), key(limits=WheelLimits(network=True)), key(),
    ]  # fmt: skip
    assert len(set(others)) == len(others)


def test_what_makes_no_difference() -> None:
    moved = attrs.evolve(SOURCE, url="https://mirror/a.tar.gz", source="b.cfg", line=9)
    assert key(moved, limits=WheelLimits(memory=1, timeout=1.0)) == key()


def test_the_kept_wheel(tmp_path: Path) -> None:
    assert kept_wheel(None) is None
    assert kept_wheel(tmp_path) is None
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.touch()
    assert kept_wheel(tmp_path) == wheel
