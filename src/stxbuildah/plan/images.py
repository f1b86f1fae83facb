# SPDX-License-Identifier: Apache-2.0
"""Which of the images that were found a run builds: the rules of ``--only``, ``--skip`` and of labels."""

import difflib
from collections.abc import Iterable

import attrs

from stxbuildah.errors import Problem
from stxbuildah.model.imagebuild import ImageSelection, ReadDirectives, SelectedImage
from stxbuildah.model.wheelbuild import ListedName

# Of these alone, the directives may stand in the system's folder itself.
_BULLSEYE = "bullseye"
_CENTOS = "centos"


@attrs.frozen(kw_only=True)
class FoundDirectives:
    """A directives file, and the entry of the list that led to it."""

    directives: ReadDirectives
    listed: ListedName


def directive_folders(os: str, codename: str) -> tuple[str, ...]:
    """Give where below a listed folder the directives may be, the best place first."""
    folders = [f"{os}/{codename}"] if codename else []
    folders.append(f"{os}/all")
    if codename == _BULLSEYE or os == _CENTOS:
        folders.append(os)
    return tuple(folders)


def select(
    found: Iterable[FoundDirectives], problems: Iterable[Problem], *, only: tuple[str, ...], skip: tuple[str, ...]
) -> ImageSelection:
    """Choose the images to build.

    Args:
        found: the directives files, whatever their order.
        problems: what went wrong while they were searched for.
        only: labels or projects that alone are built; empty for all.
        skip: labels or projects that are not built; this wins over ``only``.

    Returns:
        Every image with a sound file by label, and all mistakes: those of the search and of the files, labels that
        two files give, and names in ``only`` and ``skip`` that no file has.
    """
    mistakes = list(problems)
    images: dict[str, SelectedImage] = {}
    names: set[str] = set()
    # The order in which a folder is read is not ours to show.
    for one in sorted(found, key=lambda one: str(one.directives.file)):
        mistakes += one.directives.problems
        names.update(name.strip() for name in (one.directives.key("LABEL"), one.directives.key("PROJECT")))
        image = _image(one, only, skip)
        if image is None:
            continue
        earlier = images.setdefault(image.label, image)
        if earlier is not image:
            mistakes.append(Problem(str(image.file), f"the LABEL {image.label} is already that of {earlier.file}"))
    for option, given in (("--only", only), ("--skip", skip)):
        mistakes += [_unknown(option, name, names) for name in given if name not in names]
    return ImageSelection(images=tuple(image for _, image in sorted(images.items())), problems=tuple(mistakes))


def _image(found: FoundDirectives, only: tuple[str, ...], skip: tuple[str, ...]) -> SelectedImage | None:
    directives = found.directives.directives
    if directives is None:
        return None
    own = {directives.label, directives.project} - {""}
    left_out = ""
    if skipped := own.intersection(skip):
        left_out = f"--skip {', '.join(sorted(skipped))}"
    elif only and not own.intersection(only):
        left_out = "not named by --only"
    return SelectedImage(
        label=directives.label,
        project=directives.project,
        builder=directives.builder,
        file=directives.file,
        listed=f"{found.listed.source}:{found.listed.line}",
        left_out=left_out,
    )


def _unknown(option: str, name: str, names: Iterable[str]) -> Problem:
    close = difflib.get_close_matches(name, sorted(names), n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return Problem("command line", f"{option}: no image has the LABEL or PROJECT {name!r}{meant}")
