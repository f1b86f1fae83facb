# SPDX-License-Identifier: Apache-2.0
"""What ``stxb images verify`` is asked, and what it finds."""

from enum import StrEnum
from pathlib import Path

import attrs

from stxbuildah.model.imagebuild import SelectionRequest
from stxbuildah.model.imagesrun import ImageNaming
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.update import HostOptions
from stxbuildah.model.value import Value


class Check(StrEnum):
    """What is looked at in an image, in this order."""

    STARTS = "starts"
    ENTRY_POINT = "entry point"
    LIBRARIES = "libraries"
    REQUIREMENTS = "pip check"
    DIST_PACKAGES = "DIST_PACKAGES"
    PIP_PACKAGES = "PIP_PACKAGES"
    ACCOUNT = "account"
    PERMISSIONS = "permissions"
    LEFTOVERS = "leftovers"


class Verdict(StrEnum):
    """What a check says."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class CheckResult(Value):
    """What one check found in an image.

    Attributes:
        check: the check.
        verdict: what it says.
        sentence: what was found, or why nothing was looked for.
        details: each single thing that was found, when there may be several.
    """

    check: Check
    verdict: Verdict
    sentence: str
    details: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class VerifiedImage(Value):
    """What was found in one image.

    Attributes:
        image: its name.
        label: LABEL of its directives; empty when they are not known.
        file: its directives file; None when it is not known.
        digest: digest of its manifest; empty when there is no such image.
        base: the image that it is compared with; empty for none.
        results: one for each check.
    """

    image: str
    label: str = ""
    file: Path | None = None
    digest: str = ""
    base: str = ""
    results: tuple[CheckResult, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no check has failed."""
        return all(result.verdict is not Verdict.FAILED for result in self.results)


@attrs.frozen(kw_only=True)
class VerifyRequest(Value):
    """What ``stxb images verify`` was asked.

    Attributes:
        images: images of the local store; when there are none, those of ``files``, of ``selection``, or of the records.
        files: image directives files, which say what their images should hold.
        selection: a product's directives files; none are searched for when it has no roots.
        fallback: folders that are searched for a product when nothing else names an image.
        naming: what images are called.
        records: folder of the records of ``stxb images``.
        only: LABELs that alone are verified, of the records; empty for all.
        skip: LABELs that are not verified, of the records.
        base: image that the others are compared with; empty for the one that the records or its labels name.
        run: start each image; else none of its programs runs.
        seconds: how long a program that goes on is watched.
        jobs: images verified at the same time; 0 for the number of processors.
        host: what the user says of this machine.
        access: how registries are reached.
        retry: how often transient faults are tried again.
    """

    images: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    selection: SelectionRequest = attrs.field(factory=lambda: SelectionRequest(roots=()))
    fallback: tuple[Path, ...] = ()
    naming: ImageNaming = attrs.field(factory=ImageNaming)
    records: Path = Path("stxb-out/build-images")
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    base: str = ""
    run: bool = True
    seconds: float = 5.0
    jobs: int = 0
    host: HostOptions = attrs.field(factory=HostOptions)
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
