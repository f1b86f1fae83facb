# SPDX-License-Identifier: Apache-2.0
"""One image of a run: whether it is built, its attempts, its push, and what is told of it."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import classify
from stxbuildah.engine.retry import pause
from stxbuildah.errors import BuildError, InterruptedByUserError, StxbError, from_os_error
from stxbuildah.job.engine import Engine
from stxbuildah.job.image import KnownTrees
from stxbuildah.job.images.build import build_image, image_inputs
from stxbuildah.job.images.container import FinishedImage
from stxbuildah.job.images.inputs import reason_to_build
from stxbuildah.job.images.log import BuildLog
from stxbuildah.job.images.push import push_image
from stxbuildah.job.images.work import ImageWork, RunMaterial
from stxbuildah.layer.comparison import facts_of
from stxbuildah.model.imagesrun import (
    BuiltLayer,
    ImageOutcome,
    ImageProgress,
    ImagesPlan,
    ImagesRequest,
    ImageState,
    PlannedImage,
)
from stxbuildah.model.stored import StoredImage


@attrs.define(kw_only=True)
class ImageRun:
    """One image of a run.

    Attributes:
        engine: programs, store and folders.
        request: what the run was asked.
        plan: what the run does.
        image: the image.
        material: what the run has found for all images.
        begin: when the run began, by ``time.monotonic()``.
        follow: told what happens.
        timestamp: creation time of the image, in seconds since the epoch.
        folder: work folder of the run; each attempt has a new one in it.
        finished: images of the run that are there, by LABEL; this one is added.
        stop: set when the run is ended early.
        known: the files of what images are built on.
        earlier: what came of the image in an earlier run, as the records have it; None when they do not.
    """

    engine: Engine
    request: ImagesRequest
    plan: ImagesPlan
    image: PlannedImage
    material: RunMaterial
    begin: float
    follow: Callable[[ImageProgress], None]
    timestamp: int
    folder: Path
    finished: dict[str, StoredImage]
    stop: threading.Event
    known: KnownTrees
    earlier: ImageOutcome | None = None
    _attempts: int = attrs.field(default=0, init=False)

    def build(self, built: Callable[[], None]) -> ImageOutcome:
        """Build the image, unless the one that is there was built of the same.

        Args:
            built: called when all that takes long is done; perhaps more than once.

        Raises:
            Postponed: others of the run have to be built first.
        """
        started = time.monotonic() - self.begin
        label = self.image.label
        with log.bound(image=label), BuildLog(file=self.log_file, on_step=self._on_step) as written:
            outcome = attrs.evolve(self._outcome(ImageState.BUILT), log=self.log_file, started=started)
            try:
                work = self._work(written, started, built)
                inputs = image_inputs(work)
                earlier = self.engine.store.read(self.image.names.build)
                reason = reason_to_build(earlier, inputs, force=self.request.force)
                outcome = attrs.evolve(outcome, inputs=tuple(sorted(inputs.items())), reason=reason)
                if earlier is not None and not reason:
                    self.finished[label] = earlier
                    return self._told(self._unchanged(outcome, earlier))
                self._tell(ImageState.BUILDING, reason=reason)
                made = self._built(work, inputs)
                self.finished[label] = made.image
                outcome = attrs.evolve(outcome, packages=made.packages, seconds=written.seconds)
                return self._told(self._with_image(outcome, made.image))
            except InterruptedByUserError:
                raise
            except (StxbError, OSError) as error:
                failed = _failed(outcome, self._explained(error, started), written.tail)
                return self._told(attrs.evolve(failed, seconds=written.seconds))

    def push(self, outcome: ImageOutcome) -> ImageOutcome:
        """Push the image under all its names.

        Args:
            outcome: what came of its build.
        """
        self._tell(ImageState.PUSHING)
        with log.bound(image=self.image.label):
            return self._told(push_image(self.engine.store, outcome, self.earlier))

    def left_out(self, ancestor: str) -> ImageOutcome:
        """Give the outcome for an image that is built from one that failed."""
        outcome = self._outcome(ImageState.LEFT_OUT)
        return self._told(attrs.evolve(outcome, reason=f"it is built from {ancestor}, which failed"))

    def failed(self, error: StxbError) -> ImageOutcome:
        """Give the outcome for an image that cannot be begun."""
        return self._told(_failed(self._outcome(ImageState.FAILED), error, ()))

    @property
    def log_file(self) -> Path:
        """The image's log, by the replaced tool's name."""
        return self.plan.records / f"docker-{self.image.label}-{self.plan.os_labels[0]}-{self.plan.stream}.log"

    def _work(self, written: BuildLog, started: float, built: Callable[[], None]) -> ImageWork:
        def on_line(line: str) -> None:
            log.debug("program.line", line=line)
            written.line(line)

        return ImageWork(
            engine=self.engine.with_runner(attrs.evolve(self.engine.runner, on_line=on_line)),
            request=self.request,
            image=self.image,
            material=self.material,
            parents={label: self.finished[label] for label in self.image.parents},
            labels=frozenset(self.plan.product),
            finished=self.finished,
            folder=self._new_folder(),
            tell=written.step,
            built=built,
            timestamp=self.timestamp,
            known=self.known,
            deadline=self.begin + started + self.request.timeout if self.request.timeout else None,
        )

    def _built(self, work: ImageWork, inputs: dict[str, str]) -> FinishedImage:
        """Build, and build again without any cache while it fails by a transient fault."""
        failed = 0
        while True:
            try:
                return build_image(attrs.evolve(work, folder=self._new_folder(), fresh=failed > 0), inputs)
            except StxbError as error:
                failed += 1
                fault = classify(error.details, 1)
                if failed >= self.request.retry.attempts or not fault.transient:
                    raise
                wait = pause(self.request.retry, failed, fault)
                work.tell(f"waiting {wait:.0f} s, then trying again: {fault.line}")
                if self.stop.wait(wait):
                    raise InterruptedByUserError("the run was ended between two attempts") from error

    def _new_folder(self) -> Path:
        """Make a work folder: what an attempt before has left must not be in the way of the next."""
        self._attempts += 1
        folder = self.folder / f"{self.image.label}.{self._attempts}"
        folder.mkdir()
        return folder

    def _with_image(self, outcome: ImageOutcome, image: StoredImage) -> ImageOutcome:
        base = self.material.base if "base" in dict(outcome.inputs) else None
        return attrs.evolve(
            outcome,
            reference=image.reference,
            digest=image.digest,
            base="" if base is None else str(base.reference),
            base_digest="" if base is None else base.digest,
            layers=tuple(
                BuiltLayer(digest=layer.digest, size=layer.size, created_by=layer.created_by)
                for layer in facts_of(image, str(image.reference)).layers
            ),
        )

    def _unchanged(self, outcome: ImageOutcome, image: StoredImage) -> ImageOutcome:
        found = attrs.evolve(
            self._with_image(outcome, image),
            state=ImageState.UNCHANGED,
            reason="nothing that it is made of has changed",
        )
        if self.earlier is None or self.earlier.digest != found.digest:
            return found
        return attrs.evolve(found, packages=self.earlier.packages)

    def _explained(self, error: StxbError | OSError, started: float) -> StxbError:
        """Give the error to tell of: an image's time that is over, and what the system refuses, in words to read."""
        if isinstance(error, OSError):
            return from_os_error(error)
        limit = self.request.timeout
        if limit and time.monotonic() - self.begin - started >= limit:
            return BuildError(
                f"it was not built within {limit:g} seconds",
                hint="give it more with --timeout, or look at its log for what hangs",
                details=error.details,
            )
        return error

    def _outcome(self, state: ImageState) -> ImageOutcome:
        directives = self.image.directives
        return ImageOutcome(
            label=directives.label, builder=directives.builder.value, file=directives.file, state=state,
            targets=(*self.image.names.versioned, *self.image.names.latest),
            started=time.monotonic() - self.begin,
        )  # fmt: skip

    def _on_step(self, name: str) -> None:
        self._tell(ImageState.BUILDING, step=name)

    def _tell(self, state: ImageState, *, step: str = "", reason: str = "") -> None:
        seconds = time.monotonic() - self.begin
        self.follow(ImageProgress(label=self.image.label, state=state, step=step, seconds=seconds, reason=reason))

    def _told(self, outcome: ImageOutcome) -> ImageOutcome:
        self._tell(outcome.state, reason=outcome.reason)
        return outcome


def _failed(outcome: ImageOutcome, error: StxbError, tail: tuple[str, ...]) -> ImageOutcome:
    return attrs.evolve(
        outcome,
        state=ImageState.FAILED,
        reason=error.message,
        hint=error.hint,
        tail=error.details or tail,
        exit_code=error.exit_code,
    )
