# SPDX-License-Identifier: Apache-2.0
"""What ``stxb base`` is asked, what it plans, and what it gives back."""

from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.layer import Compression, LayerBlob
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.target import check_owner
from stxbuildah.model.update import HostOptions

# Of this system alone the images also keep the names of before systems and architectures were part of the tag.
LEGACY_SYSTEM = ("debian", "bullseye", "amd64")


@attrs.frozen(kw_only=True)
class BuildVariables:
    """What a StarlingX build tells by environment variables; empty where it does not.

    Attributes:
        snapshot: DEBIAN_SNAPSHOT, a mirror as it was at one time.
        security_snapshot: DEBIAN_SECURITY_SNAPSHOT, the same of the security updates.
        distribution: DEBIAN_DISTRIBUTION, the suite of the build's own repositories.
        repomgr_url: REPOMGR_DEPLOY_URL, where the build's own repositories are while it runs.
        repomgr_origin: REPOMGR_ORIGIN, the origin that their release files name.
    """

    snapshot: str = ""
    security_snapshot: str = ""
    distribution: str = ""
    repomgr_url: str = ""
    repomgr_origin: str = ""


@attrs.frozen(kw_only=True)
class BaseSystem:
    """The operating system of a base image; an empty field is this machine's.

    Attributes:
        os: as ``debian``.
        codename: as ``trixie``.
        arch: the distribution's name for the architecture, as ``amd64``.
        version: release, as ``13``; empty for the recipe's.
    """

    os: str = ""
    codename: str = ""
    arch: str = ""
    version: str = ""


@attrs.frozen(kw_only=True)
class BaseNaming:
    """What the image is called.

    Attributes:
        version: last part of the tag; empty for the system's release.
        stream: build stream, as ``stable`` or ``dev``.
        prefix: first part of the tag; may be empty.
        latest: also give the name that ends in ``latest_tag``.
        latest_tag: the end of that name.
        registry: registry; empty for the local store alone.
        user: account in it; empty for ``account``.
        account: this account's name.
    """

    version: str = ""
    stream: str = "stable"
    prefix: str = ""
    latest: bool = False
    latest_tag: str = "latest"
    registry: str = ""
    user: str = ""
    account: str = ""


@attrs.frozen(kw_only=True)
class BaseContent:
    """What goes into the image and where it comes from.

    Attributes:
        repositories: further package repositories, as sources.list lines.
        local: use the build's own repositories, which the build variables name.
        publish_url: what the image's apt lists name in place of the build's own REPOMGR_DEPLOY_URL; empty for that.
        private: leave repositories and mirrors that were given out of the image's apt lists.
        mirror: the distribution's mirror; empty for the snapshot of the variables, or else the public one.
        security_mirror: mirror of its security updates; empty for the snapshot of the variables, or else the public
            one, if ``mirror`` is the public one too.
        packages: packages in place of the recipe's; None for those.
        minimal: the recipe's short list of packages.
    """

    repositories: tuple[str, ...] = ()
    local: bool = False
    publish_url: str = ""
    private: bool = False
    mirror: str = ""
    security_mirror: str = ""
    packages: tuple[str, ...] | None = None
    minimal: bool = False


@attrs.frozen(kw_only=True)
class BaseRequest:
    """Everything that ``stxb base`` was asked.

    Attributes:
        system: the operating system.
        naming: what the image is called.
        content: what goes into it.
        config_file: file with more settings; None for the default one, if it is there.
        config_folder: where the default one is looked for.
        proxy: proxy for downloads; empty for the environment's.
        variables: what the environment of a StarlingX build says.
        host: what the user says of this machine.
        access: how registries are reached.
        retry: how often transient faults are tried again.
        push: push to the registry.
        clean: keep nothing in the local store after the push.
        keep: keep the work folder.
        compression: of the layer.
        labels: labels to set, in order.
        source_date_epoch: value of SOURCE_DATE_EPOCH, seconds since the epoch; None when it is not set.
    """

    system: BaseSystem = attrs.field(factory=BaseSystem)
    naming: BaseNaming = attrs.field(factory=BaseNaming)
    content: BaseContent = attrs.field(factory=BaseContent)
    config_file: Path | None = None
    config_folder: Path = Path()
    proxy: str = ""
    variables: BuildVariables = attrs.field(factory=BuildVariables)
    host: HostOptions = attrs.field(factory=HostOptions)
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
    push: bool = False
    clean: bool = False
    keep: bool = False
    compression: Compression = Compression.GZIP
    labels: tuple[tuple[str, str], ...] = ()
    source_date_epoch: int | None = None


@attrs.frozen(kw_only=True)
class BaseRecipe:
    """How the base image of one release is made, as the shipped recipe says it.

    Attributes:
        os_version: the release, as ``13``.
        components: components of the distribution's repositories.
        mirror: the distribution's public mirror.
        security_mirror: the public mirror of its security updates.
        keyring_package: package that holds the keys which sign the distribution's lists.
        keyring_files: where that package puts them, the first that exists is used.
        packages: what is installed on top of the essential packages and apt.
        minimal_packages: the same, in the short.
        leave_out: paths, or wildcards that also cross slashes, that are no part of the image.
        environment: ``NAME=value`` of the image's configuration.
        command: the image's default command.
        debian_list: template of the distribution's apt list.
        stx_list: template of the apt list of a build's own repositories.
        preferences: template of the apt preferences for them.
    """

    os_version: str
    components: tuple[str, ...]
    mirror: str
    security_mirror: str
    keyring_package: str
    keyring_files: tuple[str, ...]
    packages: tuple[str, ...]
    minimal_packages: tuple[str, ...]
    leave_out: tuple[str, ...]
    environment: tuple[str, ...]
    command: tuple[str, ...]
    debian_list: str
    stx_list: str
    preferences: str


@attrs.frozen(kw_only=True)
class BaseStep:
    """One step of making a base image.

    Attributes:
        action: what is done.
        subjects: what it is done to.
        reason: why.
    """

    action: str
    subjects: tuple[str, ...]
    reason: str


@attrs.frozen(kw_only=True)
class BasePlan:
    """How a base image will be made.

    Attributes:
        system: the operating system, complete.
        references: the image's names, the main one first.
        packages: what is installed on top of the essential packages and apt.
        sources: sources.list lines of the distribution to install from; may hold passwords.
        repositories: sources.list lines of further repositories to install from; may hold passwords.
        preferences: apt preferences while installing; may be empty.
        files: files put into the image: absolute path and text.
        leave_out: paths, or wildcards that also cross slashes, that are no part of the image.
        environment: ``NAME=value`` of the image's configuration.
        command: the image's default command.
        labels: labels of the image; its creation time is added.
        secrets: passwords in ``sources`` and ``repositories``.
        steps: what will be done, in order.
    """

    system: BaseSystem
    references: tuple[ImageReference, ...]
    packages: tuple[str, ...]
    sources: tuple[str, ...] = attrs.field(repr=False)
    repositories: tuple[str, ...] = attrs.field(repr=False)
    preferences: str
    files: tuple[tuple[str, str], ...]
    leave_out: tuple[str, ...]
    environment: tuple[str, ...]
    command: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    steps: tuple[BaseStep, ...] = ()


@attrs.frozen(kw_only=True)
class BaseResult:
    """What making a base image gave.

    Attributes:
        references: the image's names: in the registry when it was pushed, else in the local store.
        digest: digest of its manifest there.
        pushed: whether it was pushed.
        layer: its one layer.
        paths: paths in the layer.
        seconds: time of each finished step, in order.
    """

    references: tuple[ImageReference, ...]
    digest: str
    pushed: bool
    layer: LayerBlob
    paths: int
    seconds: tuple[tuple[str, float], ...] = ()


def base_references(system: BaseSystem, naming: BaseNaming) -> tuple[ImageReference, ...]:
    """Give the names of a base image, the main one first.

    ``<registry>/<user>/stx-<os>:[<prefix>-]<codename>-<arch>-<stream>-<version>``, with ``latest`` also the one that
    ends in the latest tag. Images of Debian bullseye for amd64 also keep the older names without codename and
    architecture.

    Args:
        system: complete.
        naming: an empty version means the system's.

    Raises:
        InputError: a part cannot stand in a name, or there is no account's name.
    """
    owner = naming.user.strip("/") or naming.account
    if not owner:
        raise InputError("no account is known for the image's name", hint="name the account or project with --user")
    check_owner(owner)
    name = ImageReference.parse(
        "/".join(part for part in (naming.registry.rstrip("/"), owner, f"stx-{system.os}") if part)
    )
    endings = [naming.version or system.version]
    if naming.latest:
        endings.append(naming.latest_tag)
    middles = [f"{system.codename}-{system.arch}-{naming.stream}"]
    if (system.os, system.codename, system.arch) == LEGACY_SYSTEM:
        middles.append(naming.stream)
    start = f"{naming.prefix}-" if naming.prefix else ""
    return tuple(name.with_tag(f"{start}{middle}-{ending}") for middle in middles for ending in endings)
