# SPDX-License-Identifier: Apache-2.0
"""What is told of a build's steps."""

import pytest

from stxbuildah.engine.imagebuild import telling_steps
from stxbuildah.engine.process import Runner

STAGE = ["STEP 1/3: FROM base", "a line", "STEP 2/3: RUN make", "STEP 3/3: LABEL a=b", "COMMIT name"]
STAGES = [
    "[1/2] STEP 1/2: FROM base", "[1/2] STEP 2/2: RUN make", "[2/2] STEP 1/3: FROM base", "[2/2] STEP 2/3: COPY a b",
    "[2/2] STEP 3/3: LABEL a=b", "STEP 3/3 of what a program says", "[2/2] COMMIT name",
]  # fmt: skip


@pytest.mark.parametrize(("lines", "last"), [(STAGE, "STEP 3/3: LABEL a=b"), (STAGES, "STEP 3/3: LABEL a=b")])
def test_the_last_step_of_the_last_stage_is_told_once(lines: list[str], last: str) -> None:
    told: list[str] = []
    shown: list[str] = []
    runner = telling_steps(Runner(on_line=shown.append), told.append, lambda: told.append("the last one"))
    assert runner.on_line is not None
    for line in lines:
        runner.on_line(line)
    assert shown == lines
    assert told[-2:] == [last, "the last one"]
    assert told.count("the last one") == 1
