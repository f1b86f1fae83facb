# SPDX-License-Identifier: Apache-2.0
"""What each wheel's build took the last time: for the order alone, so nothing depends on it."""

import json
from collections.abc import Iterable
from pathlib import Path

from stxbuildah.job.workspace import locked, replace_text
from stxbuildah.model.wheelsrun import WheelOutcome, WheelState

_NAME = "times.json"


def read_times(folder: Path) -> dict[str, float]:
    """Give the seconds of builds by the wheels as they were asked for; none when nothing readable is there."""
    try:
        told = json.loads((folder / _NAME).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {str(name): float(value) for name, value in told.items() if isinstance(value, int | float)}


def write_times(folder: Path, outcomes: Iterable[WheelOutcome]) -> None:
    """Keep what the builds of this run took, beside what is known of others."""
    taken = {one.source.wheel: round(one.seconds, 2) for one in outcomes if one.state is WheelState.BUILT}
    if not taken:
        return
    with locked(folder / f"{_NAME}.lock"):
        times = {**read_times(folder), **taken}
        replace_text(folder / _NAME, json.dumps(times, indent=0, sort_keys=True) + "\n")
