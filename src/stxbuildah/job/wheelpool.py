# SPDX-License-Identifier: Apache-2.0
"""Threads that fetch and build: fetching runs ahead, and of what is fetched the most urgent is built first."""

import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs

Step = TypeVar("Step")
Fetched = TypeVar("Fetched")
Outcome = TypeVar("Outcome")


@attrs.frozen(order=True)
class _Waiting(Generic[Step, Fetched]):
    """A step that is fetched and waits for a builder; the lowest rank comes first."""

    rank: int
    work: tuple[Step, Fetched] | None = attrs.field(order=False)


@attrs.frozen
class _Failed:
    """An error that is no outcome: it ends the run."""

    error: BaseException


@attrs.frozen
class _Begun(Generic[Step]):
    """A step whose build a thread has begun."""

    step: Step


@attrs.define(kw_only=True)
class TwoStages(Generic[Step, Fetched, Outcome]):
    """Steps that are fetched, and built unless they then are done already.

    Attributes:
        steps: in the order in which they are begun.
        fetch: fetches a step; gives its outcome, or what its build needs.
        is_outcome: tells the two apart.
        build: builds a step from what was fetched.
        fetchers: threads that fetch.
        builders: threads that build.
        stop: called when the run ends early; makes what is running end soon.
    """

    steps: Sequence[Step]
    fetch: Callable[[Step], Outcome | Fetched]
    is_outcome: Callable[[Outcome | Fetched], bool]
    build: Callable[[Step, Fetched], Outcome]
    fetchers: int
    builders: int
    stop: Callable[[], None]
    _to_fetch: "queue.SimpleQueue[tuple[int, Step]]" = attrs.field(factory=queue.SimpleQueue, init=False)
    _to_build: "queue.PriorityQueue[_Waiting[Step, Fetched]]" = attrs.field(factory=queue.PriorityQueue, init=False)
    _events: "queue.SimpleQueue[object]" = attrs.field(factory=queue.SimpleQueue, init=False)
    _stopped: threading.Event = attrs.field(factory=threading.Event, init=False)

    def run(self, on_begun: Callable[[Step], None], on_outcome: Callable[[Outcome], None]) -> None:
        """Carry all steps out; both functions are called in this thread.

        Args:
            on_begun: told of a step when its build begins.
            on_outcome: told of what came of a step.

        Raises:
            BaseException: whatever ``fetch`` or ``build`` raises ends the run, once what is running has ended.
        """
        for numbered in enumerate(self.steps):
            self._to_fetch.put(numbered)
        threads = [threading.Thread(target=self._fetch_all, daemon=True) for _ in range(self.fetchers)]
        threads += [threading.Thread(target=self._build_all, daemon=True) for _ in range(self.builders)]
        try:
            for thread in threads:
                thread.start()
            self._follow(on_begun, on_outcome)
        except BaseException:
            self._stopped.set()
            self.stop()
            raise
        finally:
            for _ in range(self.builders):
                self._to_build.put(_Waiting(len(self.steps), None))
            for thread in threads:
                if thread.ident is not None:
                    thread.join()

    def _follow(self, on_begun: Callable[[Step], None], on_outcome: Callable[[Outcome], None]) -> None:
        left = len(self.steps)
        while left:
            event = self._events.get()
            if isinstance(event, _Failed):
                raise event.error
            if isinstance(event, _Begun):
                on_begun(event.step)
            else:
                left -= 1
                on_outcome(event)  # type: ignore[arg-type] # the only other thing that is put there

    def _fetch_all(self) -> None:
        while not self._stopped.is_set():
            try:
                rank, step = self._to_fetch.get_nowait()
            except queue.Empty:
                return
            try:
                found = self.fetch(step)
            except BaseException as error:  # noqa: BLE001 # it is raised again where the run is followed
                self._events.put(_Failed(error))
                return
            if self.is_outcome(found):
                self._events.put(found)
            else:
                self._to_build.put(_Waiting(rank, (step, found)))  # type: ignore[arg-type] # is_outcome told

    def _build_all(self) -> None:
        while True:
            work = self._to_build.get().work
            if work is None or self._stopped.is_set():
                return
            self._events.put(_Begun(work[0]))
            try:
                self._events.put(self.build(*work))
            except BaseException as error:  # noqa: BLE001 # it is raised again where the run is followed
                self._events.put(_Failed(error))
                return
