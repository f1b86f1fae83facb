# SPDX-License-Identifier: Apache-2.0
"""``stxb images verify``: do images start, and hold what they should.

Everything but the start is read from their files: one working container for each image, which is read first and then
started in.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import partial
from pathlib import Path

import attrs

from stxbuildah.engine.children import Children
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.engine.startjudgement import judge_start
from stxbuildah.errors import StxbError
from stxbuildah.job.engine import Engine, opened_engine
from stxbuildah.job.image import image_tree
from stxbuildah.job.images.verifytargets import VerifyTarget, find_targets
from stxbuildah.job.sessionmounts import find_shell
from stxbuildah.job.startable import startable_image
from stxbuildah.job.workspace import work_folder
from stxbuildah.layer.comparison import walked
from stxbuildah.layer.documents import Json
from stxbuildah.layer.entrypoint import entry_argv
from stxbuildah.layer.imagechecks import (
    check_account,
    check_dist_packages,
    check_programs,
    check_python,
    compiled_modules,
    guarded,
)
from stxbuildah.layer.imageremains import BaseImage, check_leftovers, check_permissions
from stxbuildah.layer.paths import is_file
from stxbuildah.layer.recorded import RecordedTree
from stxbuildah.layer.updates import OCI_BASE_NAME
from stxbuildah.model.imagebuild import Builder
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree
from stxbuildah.model.verify import Check, CheckResult, Verdict, VerifiedImage, VerifyRequest

_TRUE = ("/bin/true", "/usr/bin/true")
_CHROOT = "chroot"

Say = Callable[[str], None]


def verify(request: VerifyRequest, say: Say) -> tuple[VerifiedImage, ...]:
    """Verify images.

    Args:
        request: which, and how.
        say: told what is being done, from several threads.

    Returns:
        What was found in each image, in the order in which they were named, else by LABEL.

    Raises:
        StxbError: no image is named, directives files have mistakes, or the local store cannot be used.
    """
    with opened_engine(request.host, request.access, request.retry) as opened, work_folder(opened.folders) as folder:
        # In process groups of their own, so that a program that goes on is ended with all that it has started.
        engine = opened.with_runner(attrs.evolve(opened.runner, children=Children()))
        targets = find_targets(request)
        with ThreadPoolExecutor(request.jobs or len(os.sched_getaffinity(0))) as pool:
            tasks = [
                pool.submit(copy_context().run, _verified, engine, request, target, folder / str(number), say)
                for number, target in enumerate(targets)
            ]
            try:
                return tuple(task.result() for task in tasks)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                if engine.runner.children is not None:
                    engine.runner.children.end()
                raise


def _verified(engine: Engine, request: VerifyRequest, target: VerifyTarget, folder: Path, say: Say) -> VerifiedImage:
    directives = target.directives
    told = VerifiedImage(
        image=str(target.reference), label=target.label, file=directives.file if directives is not None else None
    )
    if target.missing:
        return _without(told, target.missing)
    image = engine.store.read(target.reference)
    if image is None:
        return _without(told, "the local store has no image of this name")
    say(f"verify {image.reference}")
    folder.mkdir()
    told = attrs.evolve(told, image=str(image.reference), digest=image.digest)
    base = _base(engine, request.base or target.base, image)
    try:
        with _opened(engine, image, base, folder) as (container, tree, base_image):
            verifying = _Verifying(engine=engine, request=request, target=target, image=image, container=container)
            results = verifying.read(tree, base_image)
            # Reading comes first: the tree is closed by what runs, and finds no trace of it.
            results = [verifying.start(tree), *results]
    except StxbError as error:
        return _without(told, f"no container can be made of it: {error.message}")
    order = {check: number for number, check in enumerate(Check)}
    ordered = sorted(results, key=lambda one: order[one.check])
    return attrs.evolve(told, base=str(base.reference) if base is not None else "", results=tuple(ordered))


@contextmanager
def _opened(
    engine: Engine, image: StoredImage, base: StoredImage | None, folder: Path
) -> Iterator[tuple[WorkingContainer, FileTree, BaseImage | None]]:
    """Make a container of an image; give it with its files, and those of the base image."""
    with ExitStack() as stack:
        name = stack.enter_context(startable_image(engine, image, folder))
        container = stack.enter_context(
            WorkingContainer.create(engine.runner, engine.choices, name, state_folder=engine.folders.state)
        )
        compared = None
        if base is not None:
            tree = stack.enter_context(image_tree(engine, base, folder=folder, wait=True))
            compared = BaseImage(tree=tree, documents=base.documents)
        # Not kept for a later run, as everything is asked for once.
        yield container, RecordedTree(container.tree, None), compared


@attrs.frozen(kw_only=True)
class _Verifying:
    """One image, and the container that it is verified in."""

    engine: Engine
    request: VerifyRequest
    target: VerifyTarget
    image: StoredImage
    container: WorkingContainer

    def read(self, tree: FileTree, base: BaseImage | None) -> list[CheckResult]:
        """Carry out the checks that read the image's files."""
        directives = self.target.directives
        files = walked(tree)
        loci = directives is not None and directives.builder is Builder.LOCI
        modules = compiled_modules(tree, files, self._settings) if loci else ()
        return [
            *check_programs(tree, self._settings, str(self._config.get("architecture") or ""), modules),
            *check_python(tree, self._settings, directives),
            guarded(Check.DIST_PACKAGES, lambda: check_dist_packages(tree, directives)),
            check_account(tree, directives),
            guarded(Check.PERMISSIONS, lambda: check_permissions(tree, files, base)),
            check_leftovers(tree, files, self.image.documents, base, compiled=loci),
        ]

    def start(self, tree: FileTree) -> CheckResult:
        """Start what the image starts with, or a program that does nothing, and watch it."""
        result = partial(CheckResult, check=Check.STARTS)
        if not self.request.run:
            return result(verdict=Verdict.SKIPPED, sentence="no program is to be run")
        chroot = self.engine.choices.isolation == _CHROOT
        argv = entry_argv(self._settings)
        harmless = _harmless(tree)
        # With chroot a program has this machine's network, where it may be heard.
        if harmless and (chroot or not argv):
            argv = harmless
        if not argv:
            return result(verdict=Verdict.OK, sentence="a container can be made of it; it names no program to start")
        completed = self.container.run(
            argv,
            user=str(self._settings.get("User") or "0:0"),
            workdir=str(self._settings.get("WorkingDir") or "/"),
            network="" if chroot else "none",
            timeout=self.request.seconds,
            check=False,
        )
        start = judge_start(completed, self.request.seconds)
        verdict = Verdict.OK if start.good else Verdict.FAILED
        details = () if start.good else completed.tail
        return result(verdict=verdict, sentence=f"{argv[0]} {start.sentence}", details=details)

    @property
    def _config(self) -> Mapping[str, Json]:
        found: Json = json.loads(self.image.documents.config)
        return found if isinstance(found, dict) else {}

    @property
    def _settings(self) -> Mapping[str, Json]:
        found = self._config.get("config")
        return found if isinstance(found, dict) else {}


def _harmless(tree: FileTree) -> tuple[str, ...]:
    """Give a call that does nothing; empty when the image has no program for it."""
    found = next((path for path in _TRUE if is_file(tree, path)), "")
    if found:
        return (found,)
    shell = find_shell(tree)
    return (shell, "-c", ":") if shell else ()


def _without(told: VerifiedImage, reason: str) -> VerifiedImage:
    """Tell of an image in which nothing can be looked for."""
    failed = CheckResult(check=Check.STARTS, verdict=Verdict.FAILED, sentence=reason)
    others = tuple(
        CheckResult(check=check, verdict=Verdict.SKIPPED, sentence="there is nothing to look at")
        for check in Check
        if check is not Check.STARTS
    )
    return attrs.evolve(told, results=(failed, *others))


def _base(engine: Engine, text: str, image: StoredImage) -> StoredImage | None:
    """Give the image to compare with: the one that is named, else the one that an image says to be built from.

    None when there is no name, or the local store does not have it.
    """
    if text:
        return engine.store.read(ImageReference.parse(text))
    try:
        return engine.store.read(ImageReference.parse(_base_label(image)))
    except StxbError:
        # Anybody writes labels.
        return None


def _base_label(image: StoredImage) -> str:
    found: Json = json.loads(image.documents.config)
    settings = found.get("config") if isinstance(found, dict) else None
    labels = settings.get("Labels") if isinstance(settings, dict) else None
    return str(labels.get(OCI_BASE_NAME) or "") if isinstance(labels, dict) else ""
