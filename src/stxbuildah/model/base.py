# SPDX-License-Identifier: Apache-2.0
"""What ``stxb base`` is asked, and what the image that it makes is called."""

from pathlib import Path

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.layer import Compression
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.target import check_owner
from stxbuildah.model.update import HostOptions, PullPolicy

# Of this system alone the images also keep the names of before systems and architectures were part of the tag.
LEGACY_SYSTEM = ("debian", "bullseye", "amd64")
# The kernel's name of a machine, Debian's name of its architecture, and what images call it: name and variant.
_ARCHITECTURES = (
    ("x86_64", "amd64", "amd64", ""),
    ("aarch64", "arm64", "arm64", "v8"),
    ("armv7l", "armhf", "arm", "v7"),
    ("i686", "i386", "386", ""),
    ("ppc64le", "ppc64el", "ppc64le", ""),
    ("riscv64", "riscv64", "riscv64", ""),
    ("s390x", "s390x", "s390x", ""),
)
KNOWN_ARCHITECTURES = tuple(debian for _, debian, _, _ in _ARCHITECTURES)


def architecture_of(machine: str) -> str:
    """Give Debian's name for a machine as the kernel calls it; empty when it is not known."""
    return next((debian for kernel, debian, _, _ in _ARCHITECTURES if kernel == machine), "")


def image_platform(architecture: str) -> tuple[str, str]:
    """Give what images call an architecture of Debian's: name and variant, which may be empty.

    Raises:
        InputError: it is not known.
    """
    for _, debian, name, variant in _ARCHITECTURES:
        if debian == architecture:
            return name, variant
    raise InputError(
        f"the architecture {architecture} is not known", hint=f"--os-arch is one of {', '.join(KNOWN_ARCHITECTURES)}"
    )


@attrs.frozen(kw_only=True)
class BuildVariables:
    """What a StarlingX build tells by environment variables; empty where it does not.

    Attributes:
        snapshot: DEBIAN_SNAPSHOT, a mirror as it was at one time.
        security_snapshot: DEBIAN_SECURITY_SNAPSHOT, the same of the security updates.
        distribution: DEBIAN_DISTRIBUTION, the suite of the build's own repositories.
        repomgr_url: REPOMGR_DEPLOY_URL, where the build's own repositories are while it runs.
        repomgr_origin: REPOMGR_ORIGIN, the origin that their release files name.
        workspace: MY_WORKSPACE, the folder that a build puts its packages below; empty when it is not set.
        checkout: MY_REPO, the folder of the source checkout; empty when it is not set.
        hostname: the host that serves both folders.
        further: other variables for templates of the user's own.
    """

    snapshot: str = ""
    security_snapshot: str = ""
    distribution: str = ""
    repomgr_url: str = ""
    repomgr_origin: str = ""
    workspace: str = ""
    checkout: str = ""
    hostname: str = ""
    further: tuple[tuple[str, str], ...] = ()


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
        from_image: image that the base is made of, as the user wrote it; empty to make it of packages alone.
        pull: when that image is fetched from its registry; None for the default.
        build_ca_bundle: certificates file given to the working container for the time of the run only.
        repositories: further package repositories: sources.list lines for apt, ``name,url`` for dnf and yum.
        local: use the build's own repositories, which the build variables name.
        templates: apt templates in place of the recipe's, or folders of such.
        build_layers: the build's layers, of which each has a repository of its own.
        publish_url: what the image's apt lists name in place of the build's own REPOMGR_DEPLOY_URL; empty for that.
        private: leave repositories and mirrors that were given out of the image.
        mirror: the distribution's mirror; empty for the snapshot of the variables, or else the public one.
        security_mirror: mirror of its security updates; empty for the snapshot of the variables, or else the public
            one, if ``mirror`` is the public one too.
        packages: packages in place of the recipe's; None for those.
        minimal: the recipe's short list of packages.
    """

    from_image: str = ""
    pull: PullPolicy | None = None
    build_ca_bundle: Path | None = None
    repositories: tuple[str, ...] = ()
    local: bool = False
    templates: tuple[Path, ...] = ()
    build_layers: tuple[str, ...] = ()
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
        roots: folders of the build's repositories, whose lists of layers are read.
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
    roots: tuple[Path, ...] = ()
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
