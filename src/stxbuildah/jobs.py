# SPDX-License-Identifier: Apache-2.0
"""The whole program as a list: one short function for each command. Also the library's interface.

Each function gathers facts, makes a plan from them and carries it out. None prints, and none ends the process.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stxbuildah.job import gather, names, workspace
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import HostOptions, UpdatePlan, UpdateRequest, UpdateResult

if TYPE_CHECKING:
    from stxbuildah.model import wheelsrun
    from stxbuildah.model.base import BaseRequest
    from stxbuildah.model.baseplan import BasePlan, BaseResult
    from stxbuildah.model.clean import Cleaned, CleanRequest
    from stxbuildah.model.comparison import Comparison, ImageFacts, LookRequest
    from stxbuildah.model.host import HostReport
    from stxbuildah.model.imagebuild import ImageSelection, ReadDirectives, SelectionRequest
    from stxbuildah.model.imagesrun import ImageProgress, ImagesPlan, ImagesRequest, ImagesResult, PushRequest
    from stxbuildah.model.retag import RetagEntry, RetagRequest, TagCheck, TagResult
    from stxbuildah.model.settings import Storage
    from stxbuildah.model.ship import Shipped, ShipPlan, ShipProgress, ShipRequest
    from stxbuildah.model.transfer import CarriedImage, Saved, SaveRequest
    from stxbuildah.model.verify import VerifiedImage, VerifyRequest
    from stxbuildah.model.wheelbuild import WheelSource


def _silent(news: object) -> None:
    del news


def update_target(request: UpdateRequest) -> ImageReference:
    """Give the image reference that an update would result in; nothing is looked at but the directives file.

    Raises:
        InputError: no base image is named, or the result would overwrite it.
    """
    return names.settle_names(request, gather.read_directives(request.directives_file)).target


def plan_update(request: UpdateRequest) -> UpdatePlan:
    """Give the plan that ``update`` would carry out; nothing is changed.

    Raises:
        StxbError: an input is wrong, or this machine cannot be used.
    """
    from stxbuildah.job import update as job

    return job.plan(request)


def update(request: UpdateRequest, say: Callable[[str], None] = _silent) -> UpdateResult:
    """Change an image by one thin layer.

    Args:
        request: what to do.
        say: told what is being done, a sentence at a time.

    Raises:
        StxbError: it could not be done; base, records and store are as they were.
    """
    from stxbuildah.job import update as job

    return job.run(request, say)


def clean(request: "CleanRequest") -> "Cleaned":
    """Remove what killed runs left behind, and what caches keep in vain; or say what would go.

    Raises:
        StxbError: the store cannot be used.
    """
    from stxbuildah.job import clean as job

    return job.run(request)


def examine_host(host: HostOptions, runtime: str = "") -> "HostReport":
    """Try out what this machine allows, and tell all that was found.

    Args:
        host: what the user says of this machine.
        runtime: OCI runtime's name or path; empty for what the trial finds.

    Raises:
        HostError: a settings file of our own is needed and cannot be written.
        InputError: what the user set is wrong.
    """
    from stxbuildah.job import doctor as job

    return job.examine(host, runtime)


def plan_base(request: "BaseRequest") -> "BasePlan":
    """Give the plan that ``build_base`` would carry out; nothing is changed.

    Raises:
        InputError: an option, the configuration file or the recipe is not what is needed.
    """
    from stxbuildah.job import base as job

    return job.plan(request)


def build_base(request: "BaseRequest", say: Callable[[str], None] = _silent) -> "BaseResult":
    """Make a base image from a distribution's packages, or of an image of a registry.

    Args:
        request: what to make.
        say: told what is being done, a sentence at a time.

    Raises:
        StxbError: it could not be made.
    """
    from stxbuildah.job import base as job

    return job.run(request, say)


def list_wheels(files: tuple[Path, ...]) -> "tuple[WheelSource, ...]":
    """Give the wheels that configuration files list.

    Raises:
        ProblemsError: every mistake of every file.
    """
    from stxbuildah.job import listing as job

    return job.list_wheels(files)


def plan_wheels(request: "wheelsrun.WheelsRequest") -> "wheelsrun.WheelsPlan":
    """Give the plan that ``build_wheels`` would carry out; nothing is changed.

    Raises:
        StxbError: a list is wrong, or no builder image fits.
    """
    from stxbuildah.job import wheels as job

    return job.plan(request)


def build_wheels(
    request: "wheelsrun.WheelsRequest", on_progress: "Callable[[wheelsrun.WheelsProgress], None]" = _silent
) -> "wheelsrun.WheelsResult":
    """Build the wheels of a list, and pack them when that is asked for.

    Args:
        request: what to build.
        on_progress: told how far the run is, whenever a wheel is begun or ended.

    Returns:
        What came of each wheel, failures included.

    Raises:
        StxbError: nothing could be begun, or nothing went on.
    """
    from stxbuildah.job import wheels as job

    return job.run(request, on_progress)


def lock_wheels(
    request: "wheelsrun.WheelsRequest", on_progress: "Callable[[wheelsrun.WheelsProgress], None]" = _silent
) -> "wheelsrun.WheelsLocked":
    """Write the lock file of lists of wheels: what each is made of, fetched, with digest or commit.

    Raises:
        StxbError: a list is wrong, or no space is left.
    """
    from stxbuildah.job import wheels as job

    return job.lock(request, on_progress)


def check_wheels(request: "wheelsrun.WheelsRequest", tarball: Path | None = None) -> "wheelsrun.WheelsChecked":
    """Say which wheels of the lists a tarball lacks, and which of its constraints no wheel in it meets.

    Args:
        request: lists, system and stream.
        tarball: the tarball; None for the one that ``build_wheels`` makes of the request.

    Raises:
        InputError: a list is wrong, or there is no such tarball.
    """
    from stxbuildah.job import wheelscheck as job

    return job.check(request, tarball)


def read_image_directives(files: tuple[Path, ...]) -> "tuple[ReadDirectives, ...]":
    """Give what image directives files set and say, mistakes included."""
    from stxbuildah.job import imagescan as job

    return tuple(job.read_directives_file(file) for file in files)


def select_images(request: "SelectionRequest") -> "ImageSelection":
    """Find a product's images, and tell which of them a run builds; mistakes are part of the answer.

    Raises:
        InputError: nothing can be searched: no folder, no list of images, no known system.
    """
    from stxbuildah.job import imagescan as job

    return job.select_images(request)


def plan_images(request: "ImagesRequest") -> "ImagesPlan":
    """Give the plan that ``build_images`` would carry out, with all mistakes in it; nothing is changed.

    Raises:
        InputError: nothing can be searched, or names cannot be made.
    """
    from stxbuildah.job.images import run as job

    return job.plan(request)


def build_images(request: "ImagesRequest", follow: "Callable[[ImageProgress], None]" = _silent) -> "ImagesResult":
    """Build a product's images, and push them when that is asked for.

    Args:
        request: what to build.
        follow: told whatever happens to an image, from several threads.

    Raises:
        StxbError: nothing could be begun; of a mistake in an input, all at once.
    """
    from stxbuildah.job.images import run as job

    return job.run(request, follow)


def push_images(request: "PushRequest", follow: "Callable[[ImageProgress], None]" = _silent) -> "ImagesResult":
    """Push images that the records tell of and that are not in their registry yet.

    Raises:
        StxbError: there are no records, or nothing could be begun.
    """
    from stxbuildah.job.images import push as job

    return job.run(request, follow)


def verify_images(request: "VerifyRequest", say: Callable[[str], None] = _silent) -> "tuple[VerifiedImage, ...]":
    """Verify images of the local store: that they start, and hold what their directives say and nothing else.

    Args:
        request: which images, and how.
        say: told what is being done, a sentence at a time, from several threads.

    Returns:
        What every check found in each image; what has failed is part of it.

    Raises:
        StxbError: no image is named, directives files have mistakes, or the local store cannot be used.
    """
    from stxbuildah.job.images import verify as job

    return job.verify(request, say)


def look(request: "LookRequest", say: Callable[[str], None] = _silent) -> "tuple[ImageFacts, ...]":
    """Tell of images, in the local store, in a registry or in a file, what is asked for.

    Raises:
        StxbError: one is nowhere, is damaged or cannot be read.
    """
    from stxbuildah.job import comparison as job

    return job.look(request, say)


def compare(request: "LookRequest", say: Callable[[str], None] = _silent) -> "Comparison":
    """Compare two images.

    Raises:
        StxbError: as ``look``.
    """
    from stxbuildah.job import comparison as job

    return job.compare(request, say)


def image_names(storage: "Storage") -> tuple[str, ...]:
    """Give the names of the images of the local store.

    Raises:
        StxbError: the store cannot be asked.
    """
    from stxbuildah.job import localimages as job

    return job.image_names(storage)


def save(request: "SaveRequest") -> "Saved":
    """Write images of the local store to an archive.

    Raises:
        StxbError: an image is missing or cannot be read, or the archive not be written.
    """
    from stxbuildah.job import transfer as job

    return job.save(request)


def load(file: Path, host: HostOptions) -> "tuple[CarriedImage, ...]":
    """Load the images of an archive into the local store.

    Args:
        file: a docker-archive or an oci-archive, compressed or not.
        host: what the user says of this machine.

    Raises:
        StxbError: it is no archive of images, or the store cannot take it.
    """
    from stxbuildah.job import transfer as job

    return job.load(file, host)


def plan_ship(request: "ShipRequest") -> "ShipPlan":
    """Say what ``ship`` would send; nothing is changed on either machine.

    Raises:
        StxbError: an image is missing, or the other machine cannot be asked.
    """
    from stxbuildah.job import ship as job

    return job.plan(request)


def ship(
    request: "ShipRequest", say: Callable[[str], None] = _silent, follow: "Callable[[ShipProgress], None]" = _silent
) -> "Shipped":
    """Bring images of the local store to another machine by ssh.

    Raises:
        StxbError: it could not be done; what was sent waits there, and the next run goes on.
    """
    from stxbuildah.job import ship as job

    return job.run(request, say, follow)


def check_retags(request: "RetagRequest") -> "tuple[TagCheck, ...]":
    """Say of each entry of tag-management files how it stands in its registry; nothing is written.

    Raises:
        StxbError: a file is wrong.
    """
    from stxbuildah.job import retag as job

    return job.check(request)


def retag(request: "RetagRequest") -> "tuple[TagResult, ...]":
    """Give builds' images the tags that tag-management files list, inside their registries.

    Args:
        request: what to do.

    Raises:
        StxbError: a file is wrong.
    """
    from stxbuildah.job import retag as job

    return job.run(request)


def list_retags(files: tuple[Path, ...]) -> "tuple[RetagEntry, ...]":
    """Give the entries of tag-management files.

    Raises:
        ProblemsError: every mistake of every file.
    """
    from stxbuildah.job import listing as job

    return job.list_retags(files)


def check_writable(path: Path) -> None:
    """Make sure that ``write_text`` can write there, before the work that it is to tell of.

    Raises:
        InputError: it cannot.
        DiskFullError: there is no room.
    """
    workspace.check_writable(path)


def write_text(path: Path, text: str) -> None:
    """Write a small file whole: beside its place, then renamed."""
    workspace.replace_text(path, text)
