# SPDX-License-Identifier: Apache-2.0
"""The plan of a run of images: their names, the order in which they can be built, and what keeps them from it."""

from collections.abc import Iterable, Mapping, Sequence

import attrs

from stxbuildah.errors import InputError, Problem
from stxbuildah.model.base import LEGACY_SYSTEM, BaseSystem
from stxbuildah.model.graph import find_cycle, parents_first, show_cycle
from stxbuildah.model.imagebuild import Builder, ImageDirectives, LociBuild
from stxbuildah.model.imagesrun import (
    RECORDS_FOLDER,
    ImageNames,
    ImageNaming,
    ImagesPlan,
    ImagesRequest,
    PlannedImage,
)
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.target import check_owner

_COMMAND_LINE = "command line"


@attrs.frozen(kw_only=True)
class Examined:
    """What an image's builder found out before anything is built.

    Attributes:
        directives: what the image's file says.
        parents: LABELs of images of the product that it is built from.
        uses_base: whether it needs a base image.
        problems: what is missing or wrong.
        remarks: what the user should know and is no mistake.
    """

    directives: ImageDirectives
    parents: tuple[str, ...] = ()
    uses_base: bool = True
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()


def plan_images(
    request: ImagesRequest,
    examined: Sequence[Examined],
    *,
    system: BaseSystem,
    product: Iterable[str] = (),
    problems: Iterable[Problem] = (),
) -> ImagesPlan:
    """Make the plan of a run.

    Args:
        request: what was asked; its version and number of jobs are settled.
        examined: the images to build.
        system: operating system, release and architecture, complete.
        product: LABELs of all images of the product.
        problems: mistakes that were found before.

    Returns:
        The plan, with every mistake in it.

    Raises:
        InputError: a part of a name cannot stand in one, or there is no account's name.
    """
    found = {one.directives.label: one for one in examined}
    mistakes = [*problems, *(problem for one in examined for problem in one.problems)]
    namer = Namer.of(request, system)
    ordered, cycle = _ordered({label: one.parents for label, one in found.items()})
    mistakes += cycle
    mistakes += _lacking(request, examined)
    outside = sorted({parent for one in examined for parent in one.parents} - found.keys())
    return ImagesPlan(
        images=tuple(
            PlannedImage(
                directives=found[label].directives,
                names=namer.names(found[label].directives),
                parents=tuple(sorted(found[label].parents)),
            )
            for label in ordered
        ),
        product=tuple(sorted(product)),
        earlier=tuple((label, namer.build(label)) for label in outside),
        base=ImageReference.parse(request.material.base) if request.material.base else None,
        wheels=request.material.wheels,
        jobs=request.jobs,
        records=request.output / RECORDS_FOLDER,
        whole=not request.selection.only and not request.selection.skip,
        stream=request.selection.stream,
        os_labels=namer.labels,
        remarks=tuple(remark for one in examined for remark in one.remarks),
        problems=tuple(mistakes),
    )


@attrs.frozen(kw_only=True)
class Namer:
    """The names of a run's images (StarlingX's build-stx-images.sh).

    Attributes:
        owner: account or project.
        naming: what was asked.
        stream: build stream.
        labels: labels of the system in tags, the usual one first, then the legacy one where there is one.
    """

    owner: str
    naming: ImageNaming
    stream: str
    labels: tuple[str, ...]

    @classmethod
    def of(cls, request: ImagesRequest, system: BaseSystem) -> "Namer":
        """Settle what all names of a run have in common.

        Raises:
            InputError: no account's name is known, or it cannot be part of a name.
        """
        naming = request.naming
        owner = naming.user.strip("/") or naming.account
        if not owner:
            raise InputError("no account is known for the images' names", hint="name the account with --user")
        check_owner(owner)
        whole = f"{system.os}-{system.codename}-{system.arch}" if system.codename else system.os
        labels = [naming.os_label or whole]
        if naming.os_label_legacy or (system.os, system.codename, system.arch) == LEGACY_SYSTEM:
            labels.append(system.os)
        return cls(owner=owner, naming=naming, stream=request.selection.stream, labels=tuple(dict.fromkeys(labels)))

    def build(self, label: str) -> ImageReference:
        """Give the name of an image in the local store: ``<user>/<LABEL>:[<prefix>-]<label>-<stream>-build``."""
        tag = _tag(self.naming.prefix, self.labels[0], self.stream, "build")
        return ImageReference.parse(f"localhost/{self.owner}/{label}").with_tag(tag)

    def names(self, directives: ImageDirectives) -> ImageNames:
        """Give all names of an image."""
        naming = self.naming
        parts = (naming.registry.rstrip("/"), self.owner, directives.label)
        name = ImageReference.parse("/".join(part for part in parts if part))
        version = f"{naming.version}.{directives.update_version}"
        latest_prefix = naming.latest_prefix or naming.prefix
        return ImageNames(
            build=self.build(directives.label),
            versioned=tuple(name.with_tag(_tag(naming.prefix, label, self.stream, version)) for label in self.labels),
            latest=tuple(name.with_tag(_tag(latest_prefix, label, self.stream, "latest")) for label in self.labels)
            if naming.latest
            else (),
        )


def _tag(prefix: str, *parts: str) -> str:
    return "-".join(part for part in (prefix, *parts) if part)


def _ordered(parents: Mapping[str, tuple[str, ...]]) -> tuple[tuple[str, ...], list[Problem]]:
    """Give the images with parents before their children, else by LABEL; and the mistake of a cycle."""
    inside = {label: sorted(set(above) & parents.keys()) for label, above in parents.items()}
    if cycle := find_cycle(inside):
        message = f"no image of a circle can be the first: {show_cycle(cycle)}"
        return tuple(sorted(parents)), [Problem(_COMMAND_LINE, message)]
    return parents_first(inside), []


def _lacking(request: ImagesRequest, examined: Sequence[Examined]) -> list[Problem]:
    """Give what images need and the command line does not name."""
    material = request.material
    mistakes = []
    if not material.base and (needing := [one for one in examined if one.uses_base]):
        message = f"no base image is named: give it with --base, for {_some(needing)}"
        mistakes.append(Problem(_COMMAND_LINE, message))
    for wanted, option, what, python3 in (
        (material.wheels, "--wheels", "wheels", True),
        (material.wheels_python2, "--wheels-py2", "Python 2's wheels", False),
    ):
        needing = [one for one in examined if _takes_wheels(one.directives, python3=python3)]
        if needing and not wanted:
            message = f"no tarball of {what} is named: give it with {option}, for {_some(needing)}"
            mistakes.append(Problem(_COMMAND_LINE, message))
    if not request.allow_scripts:
        mistakes += [
            Problem(
                str(one.directives.file),
                "BUILDER=script runs a script on this machine, with this account's rights: allow it with "
                "--allow-scripts, or leave the image out with --skip " + one.directives.label,
            )
            for one in examined
            if one.directives.builder is Builder.SCRIPT
        ]
    return mistakes


def _takes_wheels(directives: ImageDirectives, *, python3: bool) -> bool:
    return isinstance(directives.build, LociBuild) and directives.build.python3 is python3


def _some(images: Sequence[Examined]) -> str:
    """Name the first images, and how many more there are."""
    names = [one.directives.label for one in images]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 # enough to know which
    return ", ".join(names[:3]) + more
