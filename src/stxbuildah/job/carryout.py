# SPDX-License-Identifier: Apache-2.0
"""Carrying out the steps of an update's plan, in whichever lane."""

import time
from collections.abc import Callable, Mapping

from stxbuildah import log
from stxbuildah.model.update import Action, UpdatePlan


def carry_out(
    plan: UpdatePlan, perform: Mapping[Action, Callable[[], None]], say: Callable[[str], None]
) -> tuple[tuple[str, float], ...]:
    """Carry out every step of a plan in its order.

    Args:
        plan: the plan.
        perform: what is done for each action.
        say: told what is being done.

    Returns:
        The seconds that each step took, by its action.
    """
    seconds = []
    for step in plan.steps:
        say(" ".join((step.action.value, *step.subjects)))
        start = time.monotonic()
        with log.bound(step=step.action.value):
            perform[step.action]()
        seconds.append((step.action.value, time.monotonic() - start))
    return tuple(seconds)
