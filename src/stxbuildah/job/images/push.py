# SPDX-License-Identifier: Apache-2.0
"""Pushing images that were built: at the end of their build, or later by ``stxb images push``."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.children import Children
from stxbuildah.engine.execute import Execution
from stxbuildah.engine.store import Store
from stxbuildah.errors import InputError, InterruptedByUserError, Problem, ProblemsError, StxbError
from stxbuildah.job.engine import opened_engine
from stxbuildah.job.images.records import Records
from stxbuildah.model.imagesrun import (
    ImageOutcome,
    ImageProgress,
    ImagesPlan,
    ImagesResult,
    ImageState,
    PushRequest,
)
from stxbuildah.model.reference import ImageReference

_AGAIN = "stxb images push goes on with it"


def push_image(store: Store, outcome: ImageOutcome, earlier: ImageOutcome | None = None) -> ImageOutcome:
    """Push an image under those of its names that it does not have in the registry yet.

    Args:
        store: the local store, which has the image.
        outcome: what came of its build.
        earlier: what came of the same image in an earlier run: a name that the registry still has with the digest of
            then needs no push.

    Returns:
        The outcome with the names that it has now; with the error when one could not be pushed.

    Raises:
        InterruptedByUserError: the run was ended.
    """
    begin = time.monotonic()
    pushed = list(outcome.pushed)
    there = {name for name, _ in pushed}
    known = dict(earlier.pushed) if earlier is not None and earlier.digest == outcome.digest else {}
    state, failure = ImageState.UNCHANGED if outcome.state is ImageState.UNCHANGED else ImageState.BUILT, None
    try:
        for name in outcome.targets:
            full = name.qualified
            if full in known and store.exists_in_registry(full).digest == known[full]:
                pushed.append((full, known[full]))
            elif full not in there:
                pushed.append((full, _pushed(store, outcome, full)))
    except InterruptedByUserError:
        raise
    except StxbError as error:
        state, failure = ImageState.PUSH_FAILED, error
    outcome = attrs.evolve(
        outcome, state=state, pushed=tuple(pushed), seconds=(*outcome.seconds, ("pushing", time.monotonic() - begin))
    )
    if failure is None:
        return outcome
    return attrs.evolve(
        outcome,
        reason=failure.message,
        hint="; ".join(filter(None, (failure.hint, _AGAIN))),
        tail=failure.details,
        exit_code=failure.exit_code,
    )


def _pushed(store: Store, outcome: ImageOutcome, name: ImageReference) -> str:
    if outcome.reference is None:
        raise InputError(f"{outcome.label} was not built")
    return store.push(outcome.reference, name)


def run(request: PushRequest, follow: Callable[[ImageProgress], None]) -> ImagesResult:
    """Push the images of the records that were built and are not in the registry under all their names.

    Args:
        request: which.
        follow: told whatever happens to an image, from several threads.

    Raises:
        ProblemsError: the records tell of no image of a name, or one was never built.
        InputError: there are no records.
        StxbError: nothing could be begun.
    """
    records = Records.opened(request.records)
    chosen = {outcome.label: outcome for outcome in _chosen(request, records.outcomes)}
    with opened_engine(request.host, request.access, request.retry) as engine:
        children, stop = Children(), threading.Event()
        together = engine.with_runner(attrs.evolve(engine.runner, children=children), stop)
        pushing = _Pushing(together.store, chosen, records, follow)
        outcomes = Execution(
            parents=dict.fromkeys(chosen, frozenset[str]()),
            run=pushing.push,
            failed=lambda outcome: not outcome.state.good,
            left_out=lambda label, _: chosen[label],
            refused=lambda label, _: chosen[label],
            jobs=request.jobs or len(os.sched_getaffinity(0)),
            stop=stop,
            end_running=children.end,
        ).carry_out()
        if request.clean:
            remove_pushed(engine.store, tuple(outcomes[label] for label in sorted(outcomes)))
    return ImagesResult(
        plan=ImagesPlan(images=(), records=request.records),
        outcomes=tuple(outcomes[label] for label in sorted(outcomes)),
        started=pushing.started,
        seconds=time.time() - pushing.started,
        records=tuple(dict.fromkeys(pushing.written)),
    )


def remove_pushed(store: Store, outcomes: tuple[ImageOutcome, ...]) -> None:
    """Remove images that were pushed from the local store.

    Args:
        store: the local store.
        outcomes: what came of the images; children stand before those they are built from.
    """
    for outcome in outcomes:
        if outcome.state.good and outcome.reference is not None:
            try:
                store.remove(outcome.reference)
            except StxbError as error:
                log.warning("images.clean.left", image=str(outcome.reference), reason=error.message)


def _chosen(request: PushRequest, outcomes: tuple[ImageOutcome, ...]) -> tuple[ImageOutcome, ...]:
    known = {outcome.label for outcome in outcomes}
    built = {outcome.label for outcome in outcomes if outcome.reference is not None and outcome.digest}
    problems = [
        Problem(
            str(request.records), f"--only: {'no image was built' if name in known else 'no image'} of LABEL {name}"
        )
        for name in request.only
        if name not in built
    ]
    if problems:
        raise ProblemsError(problems)
    return tuple(
        outcome
        for outcome in outcomes
        if outcome.label in built and (not request.only or outcome.label in request.only) and _lacks_names(outcome)
    )


def _lacks_names(outcome: ImageOutcome) -> bool:
    there = {name for name, _ in outcome.pushed}
    return any(target.qualified not in there for target in outcome.targets)


@attrs.define
class _Pushing:
    """Images on their way to the registry."""

    store: Store
    outcomes: dict[str, ImageOutcome]
    records: Records
    follow: Callable[[ImageProgress], None]
    started: float = attrs.field(factory=time.time)
    written: list[Path] = attrs.field(factory=list)

    def push(self, label: str) -> ImageOutcome:
        """Push one image, and record it."""
        self._tell(label, ImageState.PUSHING)
        with log.bound(image=label):
            outcome = push_image(self.store, attrs.evolve(self.outcomes[label], state=ImageState.BUILT, seconds=()))
        self.written += self.records.note(outcome)
        self._tell(label, outcome.state, outcome.reason)
        return outcome

    def _tell(self, label: str, state: ImageState, reason: str = "") -> None:
        seconds = time.time() - self.started
        self.follow(ImageProgress(label=label, state=state, seconds=seconds, reason=reason))
