# SPDX-License-Identifier: Apache-2.0
"""Fetching and building side by side."""

import threading
from typing import Any

import pytest

from stxbuildah.job.wheelpool import TwoStages


def ignore(_: int) -> None:
    """What nobody wants to hear of."""


def built(step: int, _: str) -> int:
    return step


def stages(**changes: Any) -> TwoStages[int, str, int]:
    """Odd numbers are done once they are fetched; even ones are built."""
    settings: dict[str, Any] = {
        "steps": range(10),
        "fetch": lambda step: step if step % 2 else f"source of {step}",
        "is_outcome": lambda found: isinstance(found, int),
        "build": built,
        "fetchers": 3,
        "builders": 2,
        "stop": lambda: None,
    }
    return TwoStages(**{**settings, **changes})


def test_every_step_has_one_outcome_and_what_is_built_has_begun() -> None:
    begun: list[int] = []
    ended: list[int] = []
    stages().run(begun.append, ended.append)
    assert sorted(ended) == list(range(10))
    assert sorted(begun) == [0, 2, 4, 6, 8]


def test_no_steps() -> None:
    stages(steps=()).run(ignore, ignore)


def test_of_what_is_fetched_the_first_in_the_order_is_built_first() -> None:
    order: list[int] = []
    fetched = threading.Barrier(4)
    occupied = threading.Event()

    def fetch(step: int) -> str:
        if step == 0:
            return "alone"
        occupied.wait()
        fetched.wait()
        return "late"

    def build(step: int, found: str) -> int:
        if step == 0:
            # The only builder goes on when the three others wait for it.
            occupied.set()
            fetched.wait()
            while pool._to_build.qsize() < 3:
                pass
        order.append(step)
        return step

    pool = stages(steps=range(4), fetch=fetch, build=build, fetchers=4, builders=1)
    pool.run(ignore, ignore)
    assert order == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["fetch", "build"])
def test_an_error_ends_the_run_and_stops_what_is_running(where: str) -> None:
    stopped = threading.Event()

    def broken(step: int, found: str = "") -> int:
        raise LookupError(where)

    with pytest.raises(LookupError, match=where):
        stages(**{where: broken}, stop=stopped.set).run(ignore, ignore)
    assert stopped.is_set()


def test_an_interrupt_ends_the_run() -> None:
    stopped = threading.Event()

    def interrupt(outcome: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages(stop=stopped.set).run(ignore, interrupt)
    assert stopped.is_set()
