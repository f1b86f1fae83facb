# SPDX-License-Identifier: Apache-2.0
"""What programs said at their end is told in one short sentence."""

import pytest

from stxbuildah.engine.trial import last_line
from stxbuildah.errors import StxbError


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], "it failed"),
        (["", "  "], "it failed"),
        (["Error: no such thing"], "no such thing"),
        (["doing this", "doing that"], "doing that"),
        (["error running container: broken", "Error: while running runtime: exit status 1"],
         "error running container: broken"),
        (["Error: real", 'time="2026-01-01T00:00:00Z" level=warning msg="not shared"'], "real"),
        (['time="2026-01-01T00:00:00Z" level=error msg="mounting \\"proc\\" failed"', "exit status 1"],
         'mounting "proc" failed'),
        (["mount: bad option", "       dmesg(1) may have more information after failed mount system call."],
         "mount: bad option"),
        (["Error: " + "x" * 300 + "the end"], "... " + "x" * 193 + "the end"),
    ],
)  # fmt: skip
def test_the_last_line_that_tells_an_error_is_told(lines: list[str], told: str) -> None:
    assert last_line(StxbError("it failed", details=lines)) == told
