# SPDX-License-Identifier: Apache-2.0
import io
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stxbuildah import log
from stxbuildah.engine.faults import Fault, FaultKind
from stxbuildah.engine.process import Completed, ProcessError
from stxbuildah.engine.retry import LONGEST_WAIT, fault_of, pause, retrying
from stxbuildah.errors import InterruptedByUserError
from stxbuildah.model.settings import Retry


def failure(text: str) -> ProcessError:
    completed = Completed(argv=("skopeo",), returncode=1, stdout=b"", tail=(f"Error: {text}",))
    return ProcessError(completed, "skopeo")


class Action:
    """Fails as told, then gives ``done``."""

    def __init__(self, *failures: str) -> None:
        self.failures = [failure(text) for text in failures]
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= len(self.failures):
            raise self.failures[self.calls - 1]
        return "done"


TRANSIENT = "received unexpected HTTP status: 503 Service Unavailable"
FINAL = "unauthorized: authentication required"


def test_what_works_is_done_once() -> None:
    action = Action()
    assert retrying(Retry(attempts=5, delay=60), "doing it", action) == "done"
    assert action.calls == 1


def test_a_transient_fault_is_tried_again_until_it_works() -> None:
    action = Action(TRANSIENT, TRANSIENT)
    assert retrying(Retry(attempts=3, delay=0), "doing it", action) == "done"
    assert action.calls == 3


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_the_last_fault_is_raised_when_the_attempts_are_used_up(attempts: int) -> None:
    action = Action(*[TRANSIENT] * 9)
    with pytest.raises(ProcessError) as caught:
        retrying(Retry(attempts=attempts, delay=0), "doing it", action)
    assert caught.value is action.failures[attempts - 1]
    assert action.calls == attempts


def test_a_lasting_fault_is_raised_at_once() -> None:
    action = Action(FINAL)
    with pytest.raises(ProcessError) as caught:
        retrying(Retry(attempts=5, delay=60), "doing it", action)
    assert (caught.value is action.failures[0], action.calls) == (True, 1)


def test_a_lasting_fault_ends_the_attempts() -> None:
    action = Action(TRANSIENT, FINAL, TRANSIENT)
    with pytest.raises(ProcessError) as caught:
        retrying(Retry(attempts=5, delay=0), "doing it", action)
    assert (caught.value is action.failures[1], action.calls) == (True, 2)


def test_anything_else_is_not_tried_again() -> None:
    calls = []

    def action() -> None:
        calls.append(1)
        raise KeyboardInterrupt if len(calls) == 2 else failure(TRANSIENT)

    with pytest.raises(KeyboardInterrupt):
        retrying(Retry(attempts=5, delay=0), "doing it", action)
    assert len(calls) == 2


def test_a_set_stop_ends_the_pause_and_the_attempts() -> None:
    stop = threading.Event()
    stop.set()
    action = Action(*[TRANSIENT] * 9)
    with pytest.raises(InterruptedByUserError, match="doing it was stopped"):
        retrying(Retry(attempts=5, delay=600), "doing it", action, stop=stop)
    assert action.calls == 1


def test_every_further_attempt_is_said() -> None:
    stream = io.StringIO()
    with log.configured(log.LogSettings(stream=stream, json=True)):
        retrying(Retry(attempts=3, delay=0), "doing it", Action(TRANSIENT, "connection refused"))

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert '"attempt": 1, "attempts": 3, "event": "retry.scheduled", "fault": "server error"' in lines[0]
    assert '"attempt": 2, "attempts": 3, "event": "retry.scheduled", "fault": "connection refused"' in lines[1]


def test_the_fault_of_an_error_is_that_of_its_lines() -> None:
    assert fault_of(failure(FINAL)) == Fault(kind=FaultKind.AUTHENTICATION, line=FINAL)


@given(st.floats(0, 1000), st.integers(1, 1000), st.none() | st.floats(0, 1e9))
def test_a_pause_grows_and_stays_in_its_bounds(delay: float, failed: int, asked: float | None) -> None:
    fault = Fault(kind=FaultKind.RATE_LIMIT, retry_after=asked)
    seconds = pause(Retry(attempts=9, delay=delay), failed, fault)

    longest = max(LONGEST_WAIT, delay)
    assert min(delay * 2 ** min(failed - 1, 16) * 0.9, longest) <= seconds + 1e-9
    assert min(asked or 0, longest) <= seconds <= longest
