# SPDX-License-Identifier: Apache-2.0
"""What the builder of one image is given."""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.engine import TEMPORARY_NAME, Engine
from stxbuildah.job.image import KnownTrees
from stxbuildah.job.workspace import TEMPORARY_IMAGES
from stxbuildah.model.imagesrun import ImagesRequest, PlannedImage
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage


@attrs.frozen(kw_only=True)
class WheelsTarball:
    """The tarball of wheels that images are built with.

    Attributes:
        folder: its content, unpacked: wheels and constraints; read-only for whoever is given it.
        digest: what it holds, as ``sha256:<hex>``.
        text: how the user named it.
    """

    folder: Path
    digest: str
    text: str


@attrs.frozen(kw_only=True)
class RunMaterial:
    """What a run has found for all its images.

    Attributes:
        base: the base image in the local store; None when no image needs one.
        wheels: wheels of Python 3; None when no image needs them.
        wheels_python2: wheels of Python 2; None when no image needs them.
    """

    base: StoredImage | None = None
    wheels: WheelsTarball | None = None
    wheels_python2: WheelsTarball | None = None


@attrs.frozen(kw_only=True)
class ImageWork:
    """The building of one image.

    Attributes:
        engine: programs, store and folders; what its programs write goes to the image's log.
        request: what the run was asked.
        image: the image.
        material: what the run has found for all images.
        parents: the stored image of each LABEL of the run that it is built from.
        labels: LABELs of all images of the product, for builders that find out late what theirs is built from.
        finished: stored images of the product that are there by now, by LABEL.
        folder: work folder of this image alone.
        tell: told what is being done, as ``installing distribution packages``.
        built: called when all that takes long is done.
        timestamp: creation time of what is built, in seconds since the epoch.
        deadline: when building must have ended, by ``time.monotonic()``; None for no limit.
        fresh: no cache may be used, as an attempt before may have filled it with something broken.
        known: the files of what images are built on; None when nothing but this image is built.
    """

    engine: Engine
    request: ImagesRequest
    image: PlannedImage
    material: RunMaterial
    parents: Mapping[str, StoredImage] = attrs.field(factory=dict)
    labels: frozenset[str] = frozenset()
    finished: Mapping[str, StoredImage] = attrs.field(factory=dict)
    folder: Path
    tell: Callable[[str], None]
    built: Callable[[], None] = lambda: None
    timestamp: int
    deadline: float | None = None
    fresh: bool = False
    known: KnownTrees | None = None

    @property
    def base(self) -> StoredImage:
        """The base image.

        Raises:
            InputError: the run has none.
        """
        if self.material.base is None:
            raise InputError(f"{self.image.label} is built on a base image", hint="name it with --base")
        return self.material.base

    def temporary_name(self) -> ImageReference:
        """Give a new name for an image of the local store, which the run removes at its end.

        Not before: removing an image disturbs whoever reads the store's layers meanwhile. When the run is killed, the
        next one removes it.
        """
        name = ImageReference.parse(f"{TEMPORARY_NAME}:{os.urandom(8).hex()}")
        with (self.folder / TEMPORARY_IMAGES).open("a", encoding="utf-8") as stream:
            stream.write(f"{name}\n")
        return name

    @property
    def seconds_left(self) -> float | None:
        """Seconds that a program may run now; None for no limit.

        Raises:
            BuildError: none are left.
        """
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise BuildError(
                f"{self.image.label} was not built within {self.request.timeout:g} seconds",
                hint="give it more with --timeout, or look at its log for what hangs",
            )
        return left


@attrs.frozen(kw_only=True)
class RawImage:
    """An image as its builder leaves it, before what follows the build.

    Attributes:
        reference: its name in the store, a temporary one.
    """

    reference: ImageReference
