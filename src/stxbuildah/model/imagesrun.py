# SPDX-License-Identifier: Apache-2.0
"""What ``stxb images`` is asked to build, what it plans, and what came of each image."""

from enum import StrEnum
from pathlib import Path

import attrs

from stxbuildah.errors import Problem
from stxbuildah.model.imagebuild import ImageDirectives, SelectionRequest
from stxbuildah.model.layer import Compression
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.update import HostOptions

# What of an image's inputs its digest is made of, by component; a label of the image that is built.
INPUTS_LABEL = "io.stxbuildah.images.inputs"
# Folder of the records and logs, below the folder of all outputs, as the replaced tool has it.
RECORDS_FOLDER = "build-images"


@attrs.frozen(kw_only=True)
class ImageNaming:
    """What images are called.

    Attributes:
        user: account or project above the image's name; empty for this account's name.
        account: this account's name.
        registry: registry that images are pushed to; empty for Docker Hub.
        prefix: in front of each tag; may be empty.
        version: last part of the versioned tag; empty for the time at which the run began.
        arch: architecture, as ``amd64``; empty for this machine's.
        os_label: label of the system in tags; empty for ``<os>-<codename>-<arch>``.
        os_label_legacy: name images by the system's name alone, too.
        latest: also push under the tag that ends in ``latest``.
        latest_prefix: prefix of that tag; empty for ``prefix``.
    """

    user: str = ""
    account: str = ""
    registry: str = ""
    prefix: str = ""
    version: str = ""
    arch: str = ""
    os_label: str = ""
    os_label_legacy: bool = False
    latest: bool = False
    latest_prefix: str = ""


@attrs.frozen(kw_only=True)
class ImageMaterial:
    """What images are made of besides their directives.

    Attributes:
        base: the base image, as the user wrote it; empty when no image needs one.
        pull_base: fetch it from its registry, if it has one, before the build.
        wheels: tarball of wheels: a file, an http(s) URL, or an image; empty when no image needs one.
        wheels_python2: the same for Python 2.
        bindep: LOCI's list of distribution packages; None for the one that is shipped.
        pydep: LOCI's list of Python packages; None for the one that is shipped.
        build_ca_bundle: certificates file given to containers for the time of a run only.
        mirror: package index that LOCI builds ask for what the tarball lacks; empty for none.
    """

    base: str = ""
    pull_base: bool = True
    wheels: str = ""
    wheels_python2: str = ""
    bindep: Path | None = None
    pydep: Path | None = None
    build_ca_bundle: Path | None = None
    mirror: str = ""


@attrs.frozen(kw_only=True)
class ImagesRequest:
    """Everything that ``stxb images`` was asked to build.

    Attributes:
        selection: which images.
        naming: what they are called.
        material: what they are made of.
        host: what the user says of this machine.
        access: how registries are reached.
        retry: how often transient faults are tried again.
        jobs: images built at the same time; 0 for the number of processors.
        timeout: seconds that building one image may take; 0 for no limit.
        push: push what was built.
        clean: remove pushed images from the local store.
        cache: let ``buildah build`` use and fill its layer cache.
        force: build images whose inputs did not change, too.
        allow_scripts: run the scripts of BUILDER=script, on this machine.
        keep: keep working containers and work folders.
        compression: of new layers.
        output: folder above the records' folder.
        report: file of a page that shows the run; None for none.
        source_date_epoch: value of SOURCE_DATE_EPOCH, seconds since the epoch; None when it is not set.
    """

    selection: SelectionRequest
    naming: ImageNaming = attrs.field(factory=ImageNaming)
    material: ImageMaterial = attrs.field(factory=ImageMaterial)
    host: HostOptions = attrs.field(factory=HostOptions)
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
    jobs: int = 0
    timeout: float = 0.0
    push: bool = False
    clean: bool = False
    cache: bool = False
    force: bool = False
    allow_scripts: bool = False
    keep: bool = False
    compression: Compression = Compression.GZIP
    output: Path = Path("stxb-out")
    report: Path | None = None
    source_date_epoch: int | None = None


@attrs.frozen(kw_only=True)
class PushRequest:
    """Which images of the records are pushed.

    Attributes:
        records: folder of the records.
        only: labels that alone are pushed; empty for all that were built and are not in the registry.
        host: what the user says of this machine.
        access: how registries are reached.
        retry: how often transient faults are tried again.
        jobs: images pushed at the same time; 0 for the number of processors.
        clean: remove pushed images from the local store.
    """

    records: Path
    only: tuple[str, ...] = ()
    host: HostOptions = attrs.field(factory=HostOptions)
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
    jobs: int = 0
    clean: bool = False


@attrs.frozen(kw_only=True)
class ImageNames:
    """The names of one image.

    Attributes:
        build: its name in the local store.
        versioned: its names in the registry that have a version, the usual one first, then the legacy one.
        latest: its names in the registry that end in ``latest``, in the same order.
    """

    build: ImageReference
    versioned: tuple[ImageReference, ...]
    latest: tuple[ImageReference, ...] = ()


@attrs.frozen(kw_only=True)
class PlannedImage:
    """An image that a run builds.

    Attributes:
        directives: what its file says.
        names: what it is called.
        parents: LABELs of images of the product that it is built from, sorted.
    """

    directives: ImageDirectives
    names: ImageNames
    parents: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Its LABEL."""
        return self.directives.label


@attrs.frozen(kw_only=True)
class ImagesPlan:
    """What a run builds, in an order in which parents stand before their children.

    Attributes:
        images: the images.
        product: LABELs of all images of the product, those too that this run leaves out.
        earlier: images of the product that others are built from and that this run leaves out, by LABEL, with their
            names in the local store.
        base: the base image; None when no image needs one.
        wheels: the tarball of wheels as the user named it; empty when no image needs one.
        jobs: images built at the same time.
        records: folder that records and logs are written to.
        whole: whether these are all images of the product; the records then tell of this run alone.
        stream: build stream.
        os_labels: labels of the system in tags and in the records' names, the usual one first.
        remarks: what the user should know and is no mistake, as a Containerfile that does not use BASE.
        problems: what keeps the run from beginning; empty when nothing does.
    """

    images: tuple[PlannedImage, ...]
    product: tuple[str, ...] = ()
    earlier: tuple[tuple[str, ImageReference], ...] = ()
    base: ImageReference | None = None
    wheels: str = ""
    jobs: int = 1
    records: Path = Path("stxb-out/build-images")
    whole: bool = True
    stream: str = "stable"
    os_labels: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class ImageState(StrEnum):
    """How far an image of a run is."""

    WAITING = "waiting"
    BUILDING = "building"
    PUSHING = "pushing"
    BUILT = "built"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    PUSH_FAILED = "push failed"
    LEFT_OUT = "left out"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in {ImageState.WAITING, ImageState.BUILDING, ImageState.PUSHING}

    @property
    def good(self) -> bool:
        """Whether it ended as it should."""
        return self in {ImageState.BUILT, ImageState.UNCHANGED}


@attrs.frozen(kw_only=True)
class ImageProgress:
    """Something that happened to an image of a run.

    Attributes:
        label: the image.
        state: how far it is.
        step: what is being done, as ``installing distribution packages``; may be empty.
        seconds: time since the run began.
        reason: why it is built, left out or has failed; may be empty.
    """

    label: str
    state: ImageState
    step: str = ""
    seconds: float = 0.0
    reason: str = ""


@attrs.frozen(kw_only=True)
class BuiltLayer:
    """One layer of an image that was built.

    Attributes:
        digest: of the compressed blob.
        size: bytes of the compressed blob.
        created_by: what made it, as the image's history says.
    """

    digest: str
    size: int
    created_by: str


@attrs.frozen(kw_only=True)
class ImageOutcome:
    """What came of one image.

    Attributes:
        label: its LABEL.
        builder: value of BUILDER.
        file: its directives file.
        state: how it ended.
        reason: why it was built, was not, or what went wrong; one sentence.
        hint: what to do about a failure; may be empty.
        tail: last lines of the log of a failure.
        reference: its name in the local store.
        digest: digest of its manifest in the local store; empty when it was not built.
        targets: names that it gets in the registry when it is pushed.
        pushed: those of them that it has there, and the digest there.
        base: what it was made from; empty when that is not known.
        base_digest: digest of that image.
        inputs: digest of each component of its inputs, sorted by component.
        layers: its layers, the lowest first.
        packages: what is installed in it.
        log: its log file; None when there is none.
        started: seconds since the run began at which its build began.
        seconds: time of each step, in order.
        exit_code: exit status of the error's class; 0 when there is none.
    """

    label: str
    builder: str
    file: Path
    state: ImageState
    reason: str = ""
    hint: str = ""
    tail: tuple[str, ...] = ()
    reference: ImageReference | None = None
    digest: str = ""
    targets: tuple[ImageReference, ...] = ()
    pushed: tuple[tuple[ImageReference, str], ...] = ()
    base: str = ""
    base_digest: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    layers: tuple[BuiltLayer, ...] = ()
    packages: PackageLists = attrs.field(factory=PackageLists)
    log: Path | None = None
    started: float = 0.0
    seconds: tuple[tuple[str, float], ...] = ()
    exit_code: int = 0

    @property
    def size(self) -> int:
        """Bytes of its layers, compressed."""
        return sum(layer.size for layer in self.layers)


@attrs.frozen(kw_only=True)
class ImagesResult:
    """What came of a run.

    Attributes:
        plan: what it was to build.
        outcomes: what came of each image, by LABEL.
        started: when it began, in seconds since the epoch.
        seconds: how long it took.
        records: files written.
    """

    plan: ImagesPlan
    outcomes: tuple[ImageOutcome, ...]
    started: float
    seconds: float
    records: tuple[Path, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether an image is not as it should be."""
        return not all(outcome.state.good for outcome in self.outcomes)

    @property
    def exit_code(self) -> int:
        """Exit status of the run: that of the errors where all are of one class, else 1; 0 when there is none."""
        codes = {outcome.exit_code for outcome in self.outcomes if not outcome.state.good} - {0}
        return codes.pop() if len(codes) == 1 else int(self.failed)
