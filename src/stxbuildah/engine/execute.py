# SPDX-License-Identifier: Apache-2.0
"""The ready queue over a graph: what is made from something else begins when that is there, as much as may at once."""

import heapq
import queue
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Generic, TypeVar

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.graph import find_cycle, show_cycle

Result = TypeVar("Result")


class Postponed(Exception):  # noqa: N818 # not an error: the member is begun again later
    """A member has found out that it needs others, which are not made yet.

    Attributes:
        labels: the others.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__(", ".join(labels))
        self.labels = labels


@attrs.frozen
class _Ended(Generic[Result]):
    """What a member's thread has come to."""

    label: str
    result: Result


@attrs.frozen
class _Freed:
    """A member that leaves its place to another before it has ended."""

    label: str


@attrs.frozen
class _Raised:
    """What a member's thread has raised instead."""

    label: str
    error: BaseException


@attrs.define(kw_only=True)
class Execution(Generic[Result]):
    """The members of a graph, each carried out once its parents ended well.

    The order is sorted by name where there is a choice, so that two executions begin alike. All functions but ``run``
    are called in the thread that calls ``carry_out``.

    Attributes:
        parents: the parents of each member, all of them members.
        run: carries a member out, in a thread of its own that sees the caller's context variables. It gives a result
            also when that is a failure; ``Postponed`` puts the member back behind others; anything else that it
            raises ends the whole execution.
        failed: tells a result with which nothing can be made from the member.
        left_out: gives the result of a member whose named ancestor has failed.
        refused: gives the result of a member that asks for what cannot be.
        jobs: members carried out at the same time, besides as many at most that have left their places; at least 1.
        stop: once it is set, nothing more is begun.
        end_running: called when the execution is ended early; makes what is running end soon.
    """

    parents: Mapping[str, frozenset[str]]
    run: Callable[[str], Result]
    failed: Callable[[Result], bool]
    left_out: Callable[[str, str], Result]
    refused: Callable[[str, InputError], Result]
    jobs: int
    stop: threading.Event = attrs.field(factory=threading.Event)
    end_running: Callable[[], None] = lambda: None
    _lacking: dict[str, set[str]] = attrs.field(factory=dict, init=False)
    _known: dict[str, set[str]] = attrs.field(factory=dict, init=False)
    _ready: list[str] = attrs.field(factory=list, init=False)
    _running: dict[str, threading.Thread] = attrs.field(factory=dict, init=False)
    _freed: set[str] = attrs.field(factory=set, init=False)
    _results: dict[str, Result] = attrs.field(factory=dict, init=False)
    _blamed: dict[str, str] = attrs.field(factory=dict, init=False)
    _events: "queue.SimpleQueue[_Ended[Result] | _Freed | _Raised]" = attrs.field(factory=queue.SimpleQueue, init=False)

    def carry_out(self) -> dict[str, Result]:
        """Carry all members out; once.

        Returns:
            The result of each member; when ``stop`` was set, without those that were not begun.

        Raises:
            InputError: a member is its own ancestor, or has a parent that is no member. Nothing has begun then.
            BaseException: whatever ``run`` or the caller's own functions raised, or a signal in this thread; what was
                running has ended.
        """
        self._check()
        self._known = {label: set(named) for label, named in self.parents.items()}
        self._lacking = {label: set(named) for label, named in self.parents.items()}
        self._ready = sorted(label for label, named in self._lacking.items() if not named)
        try:
            self._begin_ready()
            while self._running:
                self._follow(self._events.get())
                self._begin_ready()
        except BaseException:
            self.stop.set()
            self.end_running()
            for thread in self._running.values():
                thread.join()
            raise
        return self._results

    def leave_place(self, label: str) -> None:
        """Let another member begin before this one has ended; for ``run``, when the rest is short.

        Args:
            label: the member, in whose thread this is called.
        """
        self._events.put(_Freed(label))

    def _check(self) -> None:
        for label in sorted(self.parents):
            for parent in sorted(self.parents[label] - self.parents.keys()):
                raise InputError(f"{label} is made from {parent}, which is not among what is made")
        if cycle := find_cycle(self.parents):
            raise InputError(
                f"nothing can be made from itself: {show_cycle(cycle)}", hint="let one of them be made from another"
            )

    def _begin_ready(self) -> None:
        while self._ready and self._has_place and not self.stop.is_set():
            label = heapq.heappop(self._ready)
            # A daemon: who asks a second time to end need not wait for what does not.
            thread = threading.Thread(
                target=copy_context().run, args=(self._carry_out_one, label), name=label, daemon=True
            )
            self._running[label] = thread
            thread.start()

    @property
    def _has_place(self) -> bool:
        return len(self._running) - len(self._freed) < self.jobs and len(self._running) < 2 * self.jobs

    def _carry_out_one(self, label: str) -> None:
        try:
            event: _Ended[Result] | _Raised = _Ended(label, self.run(label))
        except BaseException as error:  # noqa: BLE001 # it is raised again where the execution is followed
            event = _Raised(label, error)
        self._events.put(event)

    def _follow(self, event: "_Ended[Result] | _Freed | _Raised") -> None:
        if isinstance(event, _Freed):
            self._freed.add(event.label)
            return
        self._freed.discard(event.label)
        self._running.pop(event.label).join()
        if isinstance(event, _Ended):
            self._settle(event.label, event.result)
        elif isinstance(event.error, Postponed):
            self._postpone(event.label, event.error.labels)
        else:
            raise event.error

    def _settle(self, label: str, result: Result) -> None:
        """Take a result, and tell those that were waiting for it."""
        self._results[label] = result
        if self.failed(result):
            self._leave_out_from(label, label)
            return
        for child, lacking in self._lacking.items():
            if label in lacking:
                lacking.remove(label)
                if not lacking:
                    heapq.heappush(self._ready, child)

    def _leave_out_from(self, label: str, failed: str) -> None:
        """Leave out everything that would be made from a member, however far down, for one that has failed."""
        self._blamed[label] = failed
        for descendant in self._descendants(label):
            if descendant not in self._results:
                self._blamed[descendant] = failed
                self._results[descendant] = self.left_out(descendant, failed)

    def _descendants(self, ancestor: str) -> list[str]:
        children = defaultdict(list)
        for label, named in self._known.items():
            for parent in named:
                children[parent].append(label)
        found: set[str] = set()
        todo = [ancestor]
        while todo:
            new = set(children[todo.pop()]) - found
            found |= new
            todo += new
        return sorted(found)

    def _postpone(self, label: str, others: tuple[str, ...]) -> None:
        """Put a member back behind others, unless that cannot be."""
        wanted = set(others)
        if unknown := wanted - self.parents.keys():
            self._refuse(label, f"{label} is made from {', '.join(sorted(unknown))}, not among what is made")
        elif wanted <= self._known[label]:
            self._refuse(label, f"{label} waits for {', '.join(sorted(wanted)) or 'nothing'}, and was begun after that")
        elif cycle := find_cycle({**self._known, label: self._known[label] | wanted}):
            self._refuse(label, f"nothing can be made from itself: {show_cycle(cycle)}")
        else:
            self._wait_for(label, wanted)

    def _wait_for(self, label: str, wanted: set[str]) -> None:
        self._known[label] |= wanted
        blamed = sorted(self._blamed[other] for other in wanted if other in self._blamed)
        if blamed:
            self._results[label] = self.left_out(label, blamed[0])
            self._leave_out_from(label, blamed[0])
            return
        self._lacking[label] = {other for other in wanted if other not in self._results}
        if not self._lacking[label]:
            heapq.heappush(self._ready, label)

    def _refuse(self, label: str, sentence: str) -> None:
        self._settle(label, self.refused(label, InputError(sentence)))
