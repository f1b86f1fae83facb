# SPDX-License-Identifier: Apache-2.0
"""What ``stxb wheels`` is asked to build, what it plans, and what came of it."""

from enum import StrEnum
from pathlib import Path

import attrs

from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.update import HostOptions
from stxbuildah.model.value import Value
from stxbuildah.model.wheelbuild import WheelSource


@attrs.frozen(kw_only=True)
class WheelsBuilder(Value):
    """The image that wheels are built in.

    Attributes:
        image: an image of the store; empty for one made by the recipe of the system.
        base: image that the recipe's image is made from; empty for one bootstrapped from the distribution's packages.
        mirror: package mirror for that; empty for the distribution's own.
    """

    image: str = ""
    base: str = ""
    mirror: str = ""


@attrs.frozen(kw_only=True)
class WheelLimits(Value):
    """What one build may take.

    Attributes:
        network: whether builds reach the network.
        memory: bytes of address space for each process; 0 for no limit.
        timeout: seconds for each build.
    """

    network: bool = False
    memory: int = 16 * 2**30
    timeout: float = 3600.0


@attrs.frozen(kw_only=True)
class BuildRequires(Value):
    """Where the wheels come from that builds need.

    Attributes:
        pins: file of requirements that settle their versions; None when any will do.
        index_url: package index; empty for PyPI.
        find_links: folders or pages with further wheels.
    """

    pins: Path | None = None
    index_url: str = ""
    find_links: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class FurtherWheels(Value):
    """Wheels that are taken as they are, besides those of the lists.

    Attributes:
        roots: folders to search for the lists of packages that hold wheels (``<os>_<stream>_wheels.inc``).
        packages: folders to search for those packages, ``.deb`` and ``.rpm``.
        folder: folder of further wheels; None for none.
        image: image whose wheels are taken where no list has the module; empty for none.
    """

    roots: tuple[Path, ...] = ()
    packages: tuple[Path, ...] = ()
    folder: Path | None = None
    image: str = ""


@attrs.frozen(kw_only=True)
class LockedSource(Value):
    """What a wheel was made of.

    Attributes:
        wheel: the wheel as the list has it.
        url: where it came from, without user and password.
        sha256: digest of the file, in hexadecimal; empty for a git repository.
        commit: the commit; empty for a file.
    """

    wheel: str
    url: str
    sha256: str = ""
    commit: str = ""


@attrs.frozen(kw_only=True)
class WheelsLock(Value):
    """The lock file of a run.

    Attributes:
        file: where it is; None for ``wheels.lock`` beside the first list.
        enforced: refuse whatever is not as the file says.
    """

    file: Path | None = None
    enforced: bool = False


@attrs.frozen(kw_only=True)
class WheelsImage(Value):
    """What the image of a tarball is called.

    Attributes:
        push: make it and push it.
        registry: registry; empty for Docker Hub.
        user: account in it.
        version: tag beside ``latest``.
    """

    push: bool = False
    registry: str = ""
    user: str = ""
    version: str = ""


@attrs.frozen(kw_only=True)
class WheelsRequest(Value):
    """Everything that ``stxb wheels build`` was asked.

    Attributes:
        configs: files as wheels.cfg; empty for the shipped list of the system and stream.
        only: the wheels to build, by module, by file name or by wildcard; empty for all.
        os_name: operating system, as ``debian``.
        codename: its release, as ``trixie``.
        stream: build stream.
        python2: the variant for Python 2.
        output: folder above the run's own.
        builder: the image that wheels are built in.
        limits: what one build may take.
        requires: where the wheels come from that builds need.
        ca_bundle: certificates for downloads; None for this machine's.
        jobs: builds at a time.
        use_cache: take wheels that an earlier run built or fetched.
        tarball: pack the wheels.
        openstack: an openstack.cfg; None for the one beside the first list, if there is one.
        further: wheels besides those of the lists.
        lock: the lock file.
        image: the image of the tarball.
        access: how registries are reached.
        host: what the user says of this machine.
        retry: how often transient faults are tried again.
    """

    configs: tuple[Path, ...] = ()
    only: tuple[str, ...] = ()
    os_name: str = "debian"
    codename: str = "trixie"
    stream: str = "stable"
    python2: bool = False
    output: Path = Path("stxb-out")
    builder: WheelsBuilder = attrs.field(factory=WheelsBuilder)
    limits: WheelLimits = attrs.field(factory=WheelLimits)
    requires: BuildRequires = attrs.field(factory=BuildRequires)
    ca_bundle: Path | None = None
    jobs: int = 1
    use_cache: bool = True
    tarball: bool = False
    openstack: Path | None = None
    further: FurtherWheels = attrs.field(factory=FurtherWheels)
    lock: WheelsLock = attrs.field(factory=WheelsLock)
    image: WheelsImage = attrs.field(factory=WheelsImage)
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    host: HostOptions = attrs.field(factory=HostOptions)
    retry: Retry = attrs.field(factory=Retry)


@attrs.frozen(kw_only=True)
class WheelStep(Value):
    """One wheel to be had.

    Attributes:
        source: where it comes from.
        action: ``download`` or ``build``.
        reason: why it has its place in the order.
        seconds: what it took the last time; None when that is not known.
    """

    source: WheelSource
    action: str
    reason: str
    seconds: float | None = None


@attrs.frozen(kw_only=True)
class WheelsPlan(Value):
    """What will be done.

    Attributes:
        steps: the wheels in the order in which they are begun.
        builder: the image that wheels are built in.
        folder: where the wheels go.
        logs: where each build's output goes.
        failed: the file that names the wheels that failed.
        tarball: what they are packed into; None when they are not.
        further: where the wheels go that are not of the lists.
        contents: the folder that shows what is in the tarball.
        references: names of the tarball's image; empty when there is none.
        lock: the lock file that has to hold; None when any source will do.
        whole: whether these are all wheels of the lists, so that others in ``folder`` are out of date.
    """

    steps: tuple[WheelStep, ...]
    builder: str
    folder: Path
    logs: Path
    failed: Path
    tarball: Path | None
    further: Path
    contents: Path
    references: tuple[ImageReference, ...] = ()
    lock: Path | None = None
    whole: bool


class WheelState(StrEnum):
    """How a wheel was come by."""

    BUILT = "built"
    DOWNLOADED = "downloaded"
    KEPT = "kept"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class WheelOutcome(Value):
    """What came of one wheel.

    Attributes:
        source: where it comes from.
        state: how it was come by.
        name: name of the wheel's file; empty when it failed.
        sha256: digest of the wheel; empty when it failed.
        material: what it was made of: ``sha256:HEX`` of a file, or ``git:COMMIT``; empty when that was not fetched.
        note: what the user should know of a wheel that differs from the one asked for; may be empty.
        error: what went wrong; empty when nothing did.
        hint: what to do about that; may be empty.
        tail: the last lines that the build wrote.
        log: where all of them are; None when nothing was built.
        seconds: what it took.
    """

    source: WheelSource
    state: WheelState
    name: str = ""
    sha256: str = ""
    material: str = ""
    note: str = ""
    error: str = ""
    hint: str = ""
    tail: tuple[str, ...] = ()
    log: Path | None = None
    seconds: float = 0.0


@attrs.frozen(kw_only=True)
class WheelsProgress(Value):
    """How far a run is.

    Attributes:
        done: wheels that are there.
        building: wheels that are built just now, as they are asked for.
        failed: wheels that failed.
        left: wheels that are being fetched, or wait.
        latest: the wheel that ended last; None at the beginning.
        seconds: since the run began.
    """

    done: int
    building: tuple[str, ...]
    failed: int
    left: int
    latest: WheelOutcome | None
    seconds: float


@attrs.frozen(kw_only=True)
class WheelsResult(Value):
    """What came of a run.

    Attributes:
        outcomes: one for each wheel, in the order of the lists.
        folder: where the wheels are.
        stale: wheels that no list names any more, and that were deleted.
        further: wheels that are not of the lists.
        notes: what the user should know of the tarball.
        images: the image of the tarball, as it was pushed: each name with the digest.
        tarball: what they were packed into; None when they were not.
        sha256: digest of that; empty without it.
        containers: containers that were run.
        seconds: what the run took.
    """

    outcomes: tuple[WheelOutcome, ...]
    folder: Path
    stale: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    tarball: Path | None = None
    sha256: str = ""
    containers: int = 0
    seconds: float = 0.0

    @property
    def failures(self) -> tuple[WheelOutcome, ...]:
        """The wheels that failed."""
        return tuple(one for one in self.outcomes if one.state is WheelState.FAILED)


@attrs.frozen(kw_only=True)
class WheelsLocked(Value):
    """What came of locking.

    Attributes:
        file: the lock file.
        outcomes: one for each wheel; when one failed, the file was not written.
    """

    file: Path
    outcomes: tuple[WheelOutcome, ...]


@attrs.frozen(kw_only=True)
class WheelsChecked(Value):
    """What a tarball lacks.

    Attributes:
        tarball: the tarball.
        unmet: its constraints that no wheel in it meets, as the lines stand there.
        missing: wheels of the lists that are not in it.
        wheels: how many wheels are in it.
    """

    tarball: Path
    unmet: tuple[str, ...]
    missing: tuple[str, ...]
    wheels: int
