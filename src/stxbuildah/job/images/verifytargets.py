# SPDX-License-Identifier: Apache-2.0
"""Which images ``stxb images verify`` looks at, and what their directives say."""

import attrs

from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.job.images.recordfile import BUILD_FILE, read_build_file
from stxbuildah.job.imagescan import read_directives_file, select_images
from stxbuildah.job.system import complete_system
from stxbuildah.model.base import BaseSystem
from stxbuildah.model.imagebuild import ImageDirectives
from stxbuildah.model.imagesrun import ImageOutcome, ImagesRequest, ImageState
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value
from stxbuildah.model.verify import VerifyRequest
from stxbuildah.plan.imagesrun import Namer


@attrs.frozen(kw_only=True)
class VerifyTarget(Value):
    """An image to verify.

    Attributes:
        reference: its name in the local store.
        label: its LABEL; empty when its directives are not known.
        directives: what its file says; None when that is not known.
        base: image that it was built from; empty when that is not known.
        missing: why there is no such image; empty when there should be one.
    """

    reference: ImageReference
    label: str = ""
    directives: ImageDirectives | None = None
    base: str = ""
    missing: str = ""


def find_targets(request: VerifyRequest) -> tuple[VerifyTarget, ...]:
    """Find the images that a request means.

    They are those that it names; else those of its directives files, or of the product it selects; else those that the
    records have; else those of a product in the folders to fall back on. What the records tell of an image is used in
    any case.

    Raises:
        InputError: there is none, or the records are damaged.
        ProblemsError: every mistake of the directives files.
    """
    records = {label: record.outcome for label, record in read_build_file(request.records).items()}
    if not (request.images or request.files or records) and not request.selection.roots:
        request = attrs.evolve(request, selection=attrs.evolve(request.selection, roots=request.fallback))
    directives = _directives(request)
    if request.images:
        by_name = {str(one.reference): one for one in records.values() if one.reference is not None}
        return tuple(_named(text, directives, by_name) for text in request.images)
    if directives:
        return _of_directives(request, directives, records)
    unknown = [name for name in (*request.only, *request.skip) if name not in records]
    if records and unknown:
        raise InputError(f"{request.records / BUILD_FILE} has no image {', '.join(unknown)}")
    chosen = [label for label in sorted(records) if not request.only or label in request.only]
    found = [records[label] for label in chosen if label not in request.skip]
    if not found:
        raise InputError(
            f"no image is named, and {request.records} has no records of any",
            hint="name images, or directives files with --file, or repositories with --repo-root",
        )
    return tuple(_recorded(outcome) for outcome in found)


def _directives(request: VerifyRequest) -> dict[str, ImageDirectives]:
    """Give what the directives files say, by LABEL."""
    files = list(request.files)
    problems: list[Problem] = []
    if request.selection.roots:
        selection = select_images(request.selection)
        files += [image.file for image in selection.built]
        problems += selection.problems
    read = [read_directives_file(file) for file in files]
    problems += [problem for one in read for problem in one.problems if problem not in problems]
    if problems:
        raise ProblemsError(problems)
    return {one.directives.label: one.directives for one in read if one.directives is not None}


def _named(text: str, directives: dict[str, ImageDirectives], records: dict[str, ImageOutcome]) -> VerifyTarget:
    reference = ImageReference.parse(text)
    outcome = records.get(str(reference))
    label = outcome.label if outcome is not None else reference.label
    known = directives.get(label)
    if known is None and outcome is not None:
        known = read_directives_file(outcome.file).directives
    return VerifyTarget(
        reference=reference, label=known.label if known is not None else "", directives=known,
        base=outcome.base if outcome is not None else "",
    )  # fmt: skip


def _of_directives(
    request: VerifyRequest, directives: dict[str, ImageDirectives], records: dict[str, ImageOutcome]
) -> tuple[VerifyTarget, ...]:
    """Give the images of directives files: by the names that the records have, else by those that builds give."""
    chosen = request.selection
    lacking = [label for label in directives if label not in records or records[label].reference is None]
    names = {}
    if lacking:
        system = complete_system(BaseSystem(os=chosen.os, codename=chosen.codename, arch=request.naming.arch))
        namer = Namer.of(ImagesRequest(selection=chosen, naming=request.naming), system)
        names = {label: namer.build(label) for label in lacking}
    targets = []
    for label in sorted(directives):
        outcome = records.get(label)
        reference = outcome.reference if outcome is not None else None
        base = outcome.base if outcome is not None else ""
        targets.append(
            VerifyTarget(reference=reference or names[label], label=label, directives=directives[label], base=base)
        )
    return tuple(targets)


def _recorded(outcome: ImageOutcome) -> VerifyTarget:
    missing = ""
    if outcome.reference is None or outcome.state in {ImageState.FAILED, ImageState.LEFT_OUT}:
        missing = f"it was not built: {outcome.reason}" if outcome.reason else "it was not built"
    return VerifyTarget(
        reference=outcome.reference or ImageReference.parse(f"localhost/{outcome.label}"),
        label=outcome.label,
        directives=read_directives_file(outcome.file).directives if outcome.file.is_file() else None,
        base=outcome.base,
        missing=missing,
    )
