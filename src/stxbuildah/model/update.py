# SPDX-License-Identifier: Apache-2.0
"""What ``stxb update`` is asked, what it found, and what it gives back."""

from enum import StrEnum
from pathlib import Path

import attrs

from stxbuildah.model.descriptor import Platform
from stxbuildah.model.layer import Compression, LayerBlob
from stxbuildah.model.location import ImageLocation
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry, Storage
from stxbuildah.model.value import Value


class Lane(StrEnum):
    """How an update is carried out."""

    REGISTRY = "registry"
    COMPUTED = "computed"
    SESSION = "session"


class PullPolicy(StrEnum):
    """When FROM is fetched from its registry, as podman's ``--pull`` says it."""

    MISSING = "missing"
    ALWAYS = "always"
    NEVER = "never"


@attrs.frozen(kw_only=True)
class RequestedChanges(Value):
    """What is to be changed, as the user wrote it: paths, wildcards, URLs.

    Attributes:
        wheels: wheel files, wildcards or http(s) URLs.
        module_sources: ``DIR[|version]`` or ``URL[|ref][|version]``.
        packages: ``.deb`` or ``.rpm`` files, wildcards or http(s) URLs.
        customization_script: script to run in the image.
        extra_files: files for the script, wildcards or http(s) URLs.
    """

    wheels: tuple[str, ...] = ()
    module_sources: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    customization_script: str = ""
    extra_files: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class TargetOptions(Value):
    """What the result is called.

    Attributes:
        version: last part of the result's tag; empty for the number after FROM's.
        registry: registry of the result; empty for FROM's.
        user: account in that registry; empty for this account's name when only a registry is given.
        account: this account's name.
        tag: the whole tag of the result; empty for the rule.
        to: where the result is written to, as the user wrote it: a registry's image, a layout or an archive; empty
            for what follows from FROM.
    """

    version: str = ""
    registry: str = ""
    user: str = ""
    account: str = ""
    tag: str = ""
    to: str = ""


@attrs.frozen(kw_only=True)
class InstallOptions(Value):
    """How wheels and packages are installed.

    Attributes:
        python: interpreter of the image to install for; empty for the first ``python3`` on its PATH.
        break_system_packages: replace modules that the distribution owns.
        compile_bytecode: leave ``__pycache__`` in the layer.
        allow_repositories: let the image's package manager fetch missing dependencies.
        with_dependencies: fetch the wheels' missing requirements.
        index_url: package index for requirements and build back ends; empty for pip's own default.
        find_links: folders or pages with further wheels.
        builder: image that module sources are built in; empty for one made for FROM's system.
        build_ca_bundle: certificates file given to containers for the time of a run only.
    """

    python: str = ""
    break_system_packages: bool = False
    compile_bytecode: bool = False
    allow_repositories: bool = False
    with_dependencies: bool = False
    index_url: str = ""
    find_links: tuple[str, ...] = ()
    builder: str = ""
    build_ca_bundle: Path | None = None


@attrs.frozen(kw_only=True)
class HostOptions(Value):
    """What the user says of this machine.

    Attributes:
        storage: where images are kept.
        isolation: buildah's isolation; empty for what the probe finds.
        network: network of containers; empty for what the probe finds.
        proxies: for downloads in containers and by this program.
    """

    storage: Storage = attrs.field(factory=Storage)
    isolation: str = ""
    network: str = ""
    proxies: Proxies = attrs.field(factory=Proxies)


@attrs.frozen(kw_only=True)
class LaneOptions(Value):
    """How the work is done, and of which of several images.

    Attributes:
        lane: the lane to take; None to choose.
        platforms: images of an index to update; empty for this machine's.
        all_platforms: update all images of an index.
        expect_digest: digest that FROM must have; empty for any.
        store_inventory: store the inventory beside an image that is pushed.
        trust_inventory: believe an inventory that is stored beside FROM.
    """

    lane: Lane | None = None
    platforms: tuple[Platform, ...] = ()
    all_platforms: bool = False
    expect_digest: str = ""
    store_inventory: bool = True
    trust_inventory: bool = True


@attrs.frozen(kw_only=True)
class UpdateRequest(Value):
    """Everything that ``stxb update`` was asked.

    Attributes:
        from_image: the image to change, as the user wrote it; empty when the directives file names it.
        directives_file: file of directives; None when there is none.
        changes: what to change.
        target: what the result is called.
        install: how wheels and packages are installed.
        host: what the user says of this machine.
        access: how registries are reached.
        retry: how often transient faults are tried again.
        lanes: which lane is taken, and what the registry lane believes and writes.
        replace_updates: merge the layers of earlier updates with the new one into one.
        push: push the result.
        pull: when FROM is fetched.
        clean: remove the result, and a FROM that was pulled for it, from the local store after the push.
        keep: keep the working container and the work folder.
        compression: of the new layer.
        labels: labels to set, in order.
        annotations: annotations to set, in order.
        update_id: folder of the records.
        output: folder above the records' folder.
        source_date_epoch: value of SOURCE_DATE_EPOCH, seconds since the epoch; None when it is not set.
    """

    from_image: str = ""
    directives_file: Path | None = None
    changes: RequestedChanges = attrs.field(factory=RequestedChanges)
    target: TargetOptions = attrs.field(factory=TargetOptions)
    install: InstallOptions = attrs.field(factory=InstallOptions)
    host: HostOptions = attrs.field(factory=HostOptions)
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
    lanes: LaneOptions = attrs.field(factory=LaneOptions)
    replace_updates: bool = False
    push: bool = False
    pull: PullPolicy = PullPolicy.MISSING
    clean: bool = False
    keep: bool = False
    compression: Compression = Compression.GZIP
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    update_id: str = "unnamed-update"
    output: Path = Path("stxb-out")
    source_date_epoch: int | None = None


@attrs.frozen(kw_only=True)
class UpdateDirectives(Value):
    """What a directives file asks for. Relative paths are relative to the file's folder no more.

    Attributes:
        from_image: the image to change; None when the file does not say.
        version: last part of the new tag; None when the file does not say.
        customization_script: script to run in the image; None when there is none.
        wheels: wheel files, wildcards or URLs.
        dist_packages: ``.deb`` or ``.rpm`` files, wildcards or URLs.
        module_src: ``DIR[|version]`` or ``URL[|ref][|version]``.
        extra_files: files for the script, wildcards or URLs.
    """

    from_image: ImageReference | None = None
    version: str | None = None
    customization_script: Path | None = None
    wheels: tuple[str, ...] = ()
    dist_packages: tuple[str, ...] = ()
    module_src: tuple[str, ...] = ()
    extra_files: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class UpdateInputs(Value):
    """The request with its files found and its names settled; nothing of the engine was asked for it.

    Attributes:
        base: the image to change; of one in a file, the name that it has there.
        target: the resulting image; in a file, the name that it gets there.
        source: the layout or archive that holds the image to change; None when it is in a registry or the local store.
        destination: where the result is written to, when that is not the registry and store of its name.
        wheels: wheel files, existing ones or URLs to fetch.
        module_sources: module sources as written.
        packages: package files, existing ones or URLs to fetch.
        customization_script: existing file, or None.
        extra_files: existing files, or URLs to fetch.
    """

    base: ImageReference
    target: ImageReference
    source: ImageLocation | None = None
    destination: ImageLocation | None = None
    wheels: tuple[str, ...] = ()
    module_sources: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    customization_script: Path | None = None
    extra_files: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class UpdateFacts(Value):
    """What was found out about the image to change and this machine, as far as the choice of the lane needs it.

    Attributes:
        in_store: whether the local store has the image.
        in_registry: whether its registry has it, and the same one where the store has it, too; None when it was not
            asked.
        engine_fault: why images cannot be kept and opened here; empty when they can.
        registry_fault: why the registry's image is not taken although it was asked for; empty when there is no reason.
    """

    in_store: bool = False
    in_registry: bool | None = None
    engine_fault: str = ""
    registry_fault: str = ""


class Action(StrEnum):
    """What a step of an update does."""

    PULL = "pull"
    DOWNLOAD = "download"
    BUILD_MODULE = "build module"
    READ_LAYERS = "read layers"
    FETCH_REQUIREMENTS = "fetch requirements"
    OPEN_CONTAINER = "open working container"
    INSTALL_PACKAGES = "install packages"
    INSTALL_WHEELS = "install wheels"
    CUSTOMIZE = "customize"
    WRITE_LAYER = "write layer"
    STORE = "store"
    PUSH = "push"
    WRITE_IMAGE = "write image"
    RECORD = "record"
    CLEAN = "clean"


@attrs.frozen(kw_only=True)
class Step(Value):
    """One step of an update, in the order of execution.

    Attributes:
        action: what is done.
        subjects: what it is done to: files, image references, module sources.
        reason: why it is needed.
    """

    action: Action
    subjects: tuple[str, ...]
    reason: str


@attrs.frozen(kw_only=True)
class UpdatePlan(Value):
    """What will be done, and why.

    Attributes:
        inputs: what it is done with.
        lane: how the layer comes about.
        reason: why this lane.
        steps: in order.
    """

    inputs: UpdateInputs
    lane: Lane
    reason: str
    steps: tuple[Step, ...]


@attrs.frozen(kw_only=True)
class ImageChange(Value):
    """What an update did to one image.

    Attributes:
        platform: what it is for, when it is one of an index; None otherwise.
        digest: digest of its new manifest.
        base_digest: digest of the manifest of the image it was made from.
        layer: the new layer.
        paths: paths in the layer that are added or changed.
        whiteouts: paths that the layer takes away.
        replaced: layers of earlier updates that the new one stands for.
        before: what was installed in the base.
        after: what is installed in the new image.
        unmet: requirements that do not hold in the new image, one sentence each.
    """

    platform: Platform | None = None
    digest: str
    base_digest: str
    layer: LayerBlob
    paths: int
    whiteouts: int
    replaced: int = 0
    before: PackageLists
    after: PackageLists
    unmet: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class UpdateResult(Value):
    """What an update gave.

    Attributes:
        reference: the new image.
        location: the layout or archive it was written to; None when it is in a registry or the local store.
        digest: digest of its manifest, or of the index: in the registry when it was pushed, else in the local store.
        pushed: whether it was pushed.
        base: the image it was made from.
        base_digest: digest of that image's manifest, or of the index.
        lane: how the layer came about.
        reason: why this lane.
        images: what was done to each image; one, unless FROM is an index.
        records: files written.
        seconds: time of each finished step, in order.
    """

    reference: ImageReference
    location: ImageLocation | None = None
    digest: str
    pushed: bool
    base: ImageReference
    base_digest: str
    lane: Lane
    reason: str
    images: tuple[ImageChange, ...]
    records: tuple[Path, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()

    @property
    def shown(self) -> str:
        """The new image with its digest."""
        return f"{self.location or self.reference}@{self.digest}"
