# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from stxbuildah.layer.wheelfile import read_wheel
from stxbuildah.model.wheel import Wheel
from tests.unit.layer.layer_listing import MakeWheel
from tests.unit.layer.wheel_maker import make_wheel


@pytest.fixture
def wheel(tmp_path: Path) -> MakeWheel:
    """Makes wheels of ``sample`` 2.0, or another, with the options of ``make_wheel``."""

    def make(name: str = "sample", version: str = "2.0", **options: object) -> Wheel:
        return read_wheel(make_wheel(tmp_path, name, version, **options))  # type: ignore[arg-type]

    return make
