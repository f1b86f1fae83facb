# SPDX-License-Identifier: Apache-2.0
"""The Containerfile of an image and its context: found, read, and what can be known of it before it is built."""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import attrs

from stxbuildah.directive.containerfile import read_containerfile
from stxbuildah.directive.containerimages import declares, has_stage, image_uses
from stxbuildah.directive.containerrewrite import here_document_problems
from stxbuildah.errors import InputError, Problem
from stxbuildah.model.containerfile import Containerfile, ImageUse
from stxbuildah.model.reference import ImageReference

_NAMES = ("Dockerfile", "Containerfile")
_LARGEST = 1 << 20
_BUILD_TAG = "-build"
# Stand for the base image and the wheels where only their places count; no reference can have them.
_SOME_BASE = "<base>"
_SOME_WHEELS = "<wheels>"
# Names of build arguments (StarlingX's build-stx-images.sh).
BASE_ARGUMENT = "BASE"
WHEELS_ARGUMENT = "WHEELS"


@attrs.frozen(kw_only=True)
class ContainerRecipe:
    """A Containerfile that was read, and the context that it is built with.

    Attributes:
        context: the build context.
        path: the Containerfile.
        containerfile: what it says.
    """

    context: Path
    path: Path
    containerfile: Containerfile

    @property
    def uses(self) -> tuple[ImageUse, ...]:
        """The places that name an image; one made of BASE or WHEELS is no reference."""
        return image_uses(self.containerfile, {BASE_ARGUMENT: _SOME_BASE, WHEELS_ARGUMENT: _SOME_WHEELS})

    @property
    def uses_base(self) -> bool:
        """Whether a stage is made from the base image, or files are copied from it."""
        return any(_SOME_BASE in use.image for use in self.uses)

    @property
    def takes_wheels(self) -> bool:
        """Whether it asks for the wheels."""
        return declares(self.containerfile, WHEELS_ARGUMENT)

    def product_images(self, labels: Collection[str]) -> tuple[tuple[ImageUse, str], ...]:
        """Give the places that name an image of the product, and its LABEL."""
        found = ((use, label_of(use.image, labels)) for use in self.uses)
        return tuple((use, label) for use, label in found if label)

    def other_images(self, labels: Collection[str]) -> tuple[ImageReference, ...]:
        """Give the images from elsewhere: neither the product's nor the base."""
        found = []
        for use in self.uses:
            if not label_of(use.image, labels):
                with suppress(InputError):
                    found.append(ImageReference.parse(use.image))
        return tuple(found)

    @property
    def source(self) -> str:
        """What messages call it."""
        return str(self.path)

    def problems(self) -> Iterator[Problem]:
        """Give what would keep it from being built, as far as that can be seen."""
        yield from self.containerfile.problems
        yield from here_document_problems(self.containerfile, self.source)
        if not has_stage(self.containerfile):
            yield Problem(self.source, "there is no FROM: nothing is built")
        for use in self.uses:
            if not use.image:
                message = f"{use.written} is empty: declare it by ARG, with a value, before the first FROM"
                if BASE_ARGUMENT in use.written:
                    message = f"{use.written} is empty: write ARG {BASE_ARGUMENT} before the first FROM"
                yield Problem(self.source, message, use.line)


def read_recipe(context: Path, path: Path) -> ContainerRecipe:
    """Read the Containerfile of a context.

    Raises:
        InputError: it cannot be read, or is far too large.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"the Containerfile {path} cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST:
        raise InputError(f"the Containerfile {path} is larger than {_LARGEST} bytes")
    text = content.decode("utf-8", "surrogateescape")
    return ContainerRecipe(context=context, path=path, containerfile=read_containerfile(text, str(path)))


def find_containerfile(checkout: Path) -> Path:
    """Give the Containerfile of a checkout: that at its top, else the first one below, by depth and then by name.

    Nobody vouches for what is in a checkout: a link that leads out of it is none.

    Raises:
        InputError: there is none.
    """
    top = checkout.resolve()
    for folder, names, files in _walk(checkout):
        names.sort()
        for name in _NAMES:
            path = Path(folder, name)
            if name in files and path.is_file() and path.resolve().is_relative_to(top):
                return path
    raise InputError(
        f"the repository has no {' and no '.join(_NAMES)}", hint="name another ref with DOCKER_REF, or add a patch"
    )


def _walk(top: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walk like ``os.walk``, by depth."""
    level = [str(top)]
    while level:
        below = []
        for folder in level:
            for _, names, files in os.walk(folder):
                yield folder, names, files
                below += [os.path.join(folder, name) for name in sorted(names) if name != ".git"]  # noqa: PTH118
                break
        level = [folder for folder in below if not Path(folder).is_symlink()]


def label_of(image: str, labels: Collection[str]) -> str:
    """Give the LABEL of the product's image that a Containerfile means; empty for an image from elsewhere.

    It is named by its LABEL alone, under ``localhost/``, or by the name that it has in the local store when it was
    built, whose tag ends in ``-build``.

    Args:
        image: the name, its variables replaced.
        labels: LABELs of the product.
    """
    try:
        reference = ImageReference.parse(image)
    except InputError:
        return ""
    if reference.digest or reference.label not in labels or reference.registry not in {"", "localhost"}:
        return ""
    alone = reference.name.removeprefix("localhost/") == reference.label
    return reference.label if alone or reference.tag.endswith(_BUILD_TAG) else ""
