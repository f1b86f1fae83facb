# SPDX-License-Identifier: Apache-2.0
"""``stxb images build``: a product's images, as many at a time as asked for, each recorded as soon as it is there."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.children import Children
from stxbuildah.engine.execute import Execution
from stxbuildah.engine.namespace import opened_namespace
from stxbuildah.engine.ociruntime import seldom_started
from stxbuildah.engine.process import parent_environment
from stxbuildah.errors import InputError, ProblemsError
from stxbuildah.job.engine import Engine, opened_engine, remove_temporary_images
from stxbuildah.job.image import KnownTrees
from stxbuildah.job.images import docker, script
from stxbuildah.job.images.imagerun import ImageRun
from stxbuildah.job.images.push import remove_pushed
from stxbuildah.job.images.records import Records
from stxbuildah.job.images.wheelstarball import resolve_wheels
from stxbuildah.job.images.work import RunMaterial, WheelsTarball
from stxbuildah.job.imagescan import read_directives_file, select_images
from stxbuildah.job.system import complete_system
from stxbuildah.job.workspace import check_writable, work_folder
from stxbuildah.model.base import BaseSystem
from stxbuildah.model.imagebuild import Builder, DockerBuild, ImageDirectives, LociBuild
from stxbuildah.model.imagesrun import (
    ImageOutcome,
    ImageProgress,
    ImagesPlan,
    ImagesRequest,
    ImagesResult,
)
from stxbuildah.model.stored import StoredImage
from stxbuildah.plan.imagesrun import Examined, plan_images

Follow = Callable[[ImageProgress], None]


def plan(request: ImagesRequest) -> ImagesPlan:
    """Find the images, look at what they are built from, and make the plan; nothing is changed.

    Returns:
        The plan, with all mistakes in it.

    Raises:
        InputError: nothing can be searched, or names cannot be made.
    """
    request = settled(request)
    chosen = request.selection
    selection = select_images(chosen)
    system = _system(request)
    labels = tuple(image.label for image in selection.images)
    found = (read_directives_file(image.file).directives for image in selection.built)
    examined = [_examined(one, labels) for one in found if one is not None]
    return plan_images(request, examined, system=system, product=labels, problems=selection.problems)


def settled(request: ImagesRequest) -> ImagesRequest:
    """Give the request with the defaults that this machine and the clock give."""
    version = request.naming.version or time.strftime("%Y.%m.%d.%H.%M", time.gmtime())
    return attrs.evolve(
        request,
        naming=attrs.evolve(request.naming, version=version),
        jobs=request.jobs or len(os.sched_getaffinity(0)),
    )


def _system(request: ImagesRequest) -> BaseSystem:
    """Give the system that images are built for; one that is not this machine's may have no release."""
    chosen = request.selection
    wanted = BaseSystem(os=chosen.os, codename=chosen.codename, arch=request.naming.arch)
    if not chosen.os or chosen.codename:
        return complete_system(wanted)
    try:
        return complete_system(wanted)
    except InputError:
        return attrs.evolve(wanted, arch=complete_system(BaseSystem(arch=wanted.arch)).arch)


def _examined(directives: ImageDirectives, labels: tuple[str, ...]) -> Examined:
    match directives.builder:
        case Builder.DOCKER:
            return Examined(
                directives=directives,
                parents=docker.parents(directives, labels),
                uses_base=docker.uses_base(directives),
                problems=tuple(docker.problems(directives)),
                remarks=tuple(docker.remarks(directives, labels)),
            )
        case Builder.SCRIPT:
            return Examined(directives=directives, uses_base=False, problems=tuple(script.problems(directives)))
        case Builder.LOCI:
            return Examined(directives=directives)


def run(request: ImagesRequest, follow: Follow) -> ImagesResult:
    """Build the images, and push them when that is asked for.

    Args:
        request: what to build.
        follow: told whatever happens to an image, from several threads.

    Raises:
        ProblemsError: everything that is wrong with directives, lists and options; nothing was built.
        StxbError: nothing could be begun.
    """
    request = settled(request)
    planned = plan(request)
    if planned.problems:
        raise ProblemsError(planned.problems)
    if request.report is not None:
        check_writable(request.report)
    for remark in planned.remarks:
        log.info("images.remark", text=remark)
    with (
        opened_engine(request.host, request.access, request.retry) as engine,
        work_folder(engine.folders, keep=request.keep) as folder,
        opened_namespace(engine.runner) as entrance,
    ):
        children, stop = Children(), threading.Event()
        runner = attrs.evolve(engine.runner, children=children, entrance=entrance, extra=_with_large_heaps(engine))
        together = attrs.evolve(engine.with_runner(runner, stop), choices=seldom_started(engine.choices, folder))
        try:
            with KnownTrees.opened(together, folder) as known:
                result = _Run(request, planned, together, folder, follow, children, stop, known).carry_out()
        finally:
            remove_temporary_images(together.store, folder)
    if request.report is None:
        return result
    from stxbuildah.job.images.page import write_page

    write_page(result, request.report)
    return attrs.evolve(result, records=(*result.records, request.report))


def _with_large_heaps(engine: Engine) -> tuple[tuple[str, str], ...]:
    """Give the variables of programs that clear their memory less often than is usual for Go, unless the user says how.

    A build takes a tenth less time so, and 10 MB more.
    """
    usual = (("GOGC", "400"),) if "GOGC" not in parent_environment() else ()
    return (*usual, *engine.runner.extra)


@attrs.define
class _Run:
    """A run under way."""

    request: ImagesRequest
    plan: ImagesPlan
    engine: Engine
    folder: Path
    follow: Follow
    children: Children
    stop: threading.Event
    known: KnownTrees
    started: float = attrs.field(factory=time.time)
    begin: float = attrs.field(factory=time.monotonic)
    finished: dict[str, StoredImage] = attrs.field(factory=dict)
    pushes: "dict[str, Future[ImageOutcome]]" = attrs.field(factory=dict)

    def carry_out(self) -> ImagesResult:
        """Build all images; each is pushed while others are built."""
        request, planned = self.request, self.plan
        material = self._material()
        self._find_earlier()
        records = Records.begin(planned)
        inside = {image.label for image in planned.images}
        images = {
            image.label: ImageRun(
                engine=self.engine, request=request, plan=planned, image=image, material=material, begin=self.begin,
                follow=self.follow, timestamp=self._timestamp(), folder=self.folder,
                finished=self.finished, stop=self.stop, known=self.known,
                earlier=records.earlier(image.label),
            )
            for image in planned.images
        }  # fmt: skip
        with ThreadPoolExecutor(planned.jobs) as pool, self._ended_by_errors():

            def push(label: str, outcome: ImageOutcome) -> ImageOutcome:
                outcome = images[label].push(outcome)
                if not self.children.ended:
                    records.note(outcome)
                return outcome

            def build(label: str) -> ImageOutcome:
                outcome = images[label].build(lambda: execution.leave_place(label))
                records.note(outcome)
                if outcome.state.good and request.push:
                    self.pushes[label] = pool.submit(copy_context().run, push, label, outcome)
                return outcome

            execution = Execution(
                parents={image.label: frozenset(image.parents) & inside for image in planned.images},
                run=build,
                failed=lambda outcome: not outcome.state.good,
                left_out=lambda label, ancestor: images[label].left_out(ancestor),
                refused=lambda label, error: images[label].failed(error),
                jobs=planned.jobs,
                stop=self.stop,
                end_running=self.children.end,
            )
            outcomes = execution.carry_out()
            for label, pushed in self.pushes.items():
                outcomes[label] = pushed.result()
        written = [path for label in sorted(outcomes) for path in records.note(outcomes[label])]
        if request.clean and request.push:
            order = [outcomes[image.label] for image in reversed(planned.images)]
            remove_pushed(self.engine.store, tuple(order))
        return ImagesResult(
            plan=planned,
            outcomes=tuple(records.complete(outcomes[label]) for label in sorted(outcomes)),
            started=self.started,
            seconds=time.monotonic() - self.begin,
            records=tuple(dict.fromkeys(written)),
        )

    @contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """End what is built and pushed when the block does not end well, as by a signal."""
        try:
            yield
        except BaseException:
            self.stop.set()
            self.children.end()
            raise

    def _timestamp(self) -> int:
        epoch = self.request.source_date_epoch
        return int(self.started) if epoch is None else epoch

    def _material(self) -> RunMaterial:
        material = self.request.material
        builds = [image.directives.build for image in self.plan.images]
        loci = [build for build in builds if isinstance(build, LociBuild)]
        wanted = any(build.python3 for build in loci)
        if material.wheels and any(isinstance(build, DockerBuild) for build in builds):
            wanted = True
        python2 = any(not build.python3 for build in loci)
        return RunMaterial(
            base=self._base(),
            wheels=self._wheels(material.wheels) if wanted else None,
            wheels_python2=self._wheels(material.wheels_python2) if python2 else None,
        )

    def _wheels(self, text: str) -> WheelsTarball:
        return resolve_wheels(self.engine, text, self.request, self.folder)

    def _base(self) -> StoredImage | None:
        reference = self.plan.base
        if reference is None:
            return None
        store = self.engine.store
        found = store.read(reference)
        local = found is not None and (not reference.registry or reference.registry == "localhost")
        if found is None or (self.request.material.pull_base and not local):
            found = store.read(store.pull(reference))
        if found is None:
            raise InputError(f"the base image {reference} is not in the local store")
        return found

    def _find_earlier(self) -> None:
        """Find the images that this run leaves out and others are built from.

        Raises:
            InputError: one was never built.
        """
        for label, name in self.plan.earlier:
            found = self.engine.store.read(name)
            if found is None:
                raise InputError(
                    f"{label}, which others are built from, is left out, and {name} is not in the local store",
                    hint=f"build it, too: --only {label}",
                )
            self.finished[label] = found
