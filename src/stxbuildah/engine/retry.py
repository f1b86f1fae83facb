# SPDX-License-Identifier: Apache-2.0
"""Trying again what failed by a transient fault, and only that.

The programs' library waits for a registry's Retry-After by itself, five times at most, where the request had no body;
a limit on an upload or a manifest is ours, and the next attempt begins with a request without a body.
"""

import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from stxbuildah import log
from stxbuildah.engine.faults import Fault, classify
from stxbuildah.engine.process import ProcessError
from stxbuildah.errors import InterruptedByUserError
from stxbuildah.model.settings import Retry

if TYPE_CHECKING:
    import tenacity

# A registry may ask for any time it likes; nobody waits for a build that sleeps for hours.
LONGEST_WAIT = 300.0
_JITTER = 0.1

Result = TypeVar("Result")


def fault_of(error: ProcessError) -> Fault:
    """Tell what went wrong when a program failed."""
    return classify(error.completed.tail, error.completed.returncode)


def pause(retry: Retry, failed: int, fault: Fault) -> float:
    """Give the seconds to wait before the next attempt.

    Doubles with every failed attempt, a little more or less at random so that many builds do not come back at the
    same moment; what the registry asks for is the least. Never more than ``LONGEST_WAIT``, or the user's own delay.

    Args:
        retry: the user's setting.
        failed: how many attempts have failed, from 1.
        fault: why the last one failed.
    """
    doubled: float = retry.delay * 2.0 ** min(failed - 1, 16)
    jittered = doubled * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 # spreads load, guards nothing
    return min(max(jittered, fault.retry_after or 0.0), max(LONGEST_WAIT, retry.delay))


def retrying(retry: Retry, what: str, action: Callable[[], Result], *, stop: threading.Event | None = None) -> Result:
    """Do something, and do it again while it fails by a transient fault.

    The first attempt is plain. tenacity, which takes longer to import than a small push takes, is there only for
    those after it.

    Args:
        retry: how often and how far apart.
        what: what is done, as ``pushing 127.0.0.1:5000/stx-nova:1``; for the log.
        action: does it; raises ProcessError when the program failed.
        stop: when set, no further attempt is made and a pause ends at once. A pause in the main thread also ends
            by SIGINT, as any sleep does.

    Raises:
        ProcessError: of the last attempt; at once when its fault is not transient.
        InterruptedByUserError: ``stop`` was set during a pause.
    """
    try:
        return action()
    except ProcessError as error:
        first: ProcessError = error
        if retry.attempts <= 1 or not fault_of(error).transient:
            raise
    return _further_attempts(retry, what, action, first, stop or threading.Event())


def _further_attempts(
    retry: Retry, what: str, action: Callable[[], Result], first: ProcessError, stop: threading.Event
) -> Result:
    import tenacity

    pending = [first]

    def attempt() -> Result:
        if pending:
            raise pending.pop()
        return action()

    def wait(state: tenacity.RetryCallState) -> float:
        return pause(retry, state.attempt_number, _fault_in(state))

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise InterruptedByUserError(f"{what} was stopped between two attempts", details=first.details)

    def say(state: tenacity.RetryCallState) -> None:
        fault = _fault_in(state)
        log.warning(
            "retry.scheduled",
            what=what,
            fault=fault.kind.value,
            line=fault.line,
            attempt=state.attempt_number,
            attempts=retry.attempts,
            seconds=round(state.upcoming_sleep, 1),
        )

    retryer = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, ProcessError) and fault_of(error).transient),
        stop=tenacity.stop_after_attempt(retry.attempts),
        wait=wait,
        before_sleep=say,
        sleep=sleep,
        reraise=True,
    )
    return retryer(attempt)


def _fault_in(state: "tenacity.RetryCallState") -> Fault:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, ProcessError)  # noqa: S101 # only such are tried again
    return fault_of(error)
