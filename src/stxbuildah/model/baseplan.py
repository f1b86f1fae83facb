# SPDX-License-Identifier: Apache-2.0
"""How a base image is made: the recipe, the plan, and what comes of it."""

from enum import StrEnum

import attrs

from stxbuildah.model.base import BaseSystem
from stxbuildah.model.layer import LayerBlob
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import PullPolicy


class PackageFamily(StrEnum):
    """What a system's packages are made for."""

    DEB = "deb"
    RPM = "rpm"


@attrs.frozen(kw_only=True)
class Template:
    """A text with ``@TOKENS@`` in it.

    Attributes:
        text: the text.
        source: the file, as a message names it.
        given: the user's own: a token without a value is a mistake. In a shipped one, its line is left out.
    """

    text: str = ""
    source: str = ""
    given: bool = False


@attrs.frozen(kw_only=True)
class BaseTemplates:
    """The templates of one system; those of apt are empty for dnf and yum, and the other way round.

    Attributes:
        debian_list: the distribution's apt list.
        public_list: the same as shipped, which names nothing but what it is filled in with.
        stx_list: the apt list of a build's own repositories.
        layer_list: the apt list of one of the build's layers.
        preferences: the apt preferences for the build's repositories.
        repository: one repository's section of a ``.repo`` file.
        local: the build's own repositories, a ``name,url`` a line.
    """

    debian_list: Template = attrs.field(factory=Template)
    public_list: Template = attrs.field(factory=Template)
    stx_list: Template = attrs.field(factory=Template)
    layer_list: Template = attrs.field(factory=Template)
    preferences: Template = attrs.field(factory=Template)
    repository: Template = attrs.field(factory=Template)
    local: Template = attrs.field(factory=Template)


@attrs.frozen(kw_only=True)
class BaseRecipe:
    """How the base image of one release is made, as the shipped recipe says it.

    Attributes:
        family: what its packages are made for. Only a system of ``.deb`` packages can be made of packages alone.
        os_version: the release, as ``13``; empty in a recipe for every release of a system.
        components: components of the distribution's repositories.
        mirror: the distribution's public mirror.
        security_mirror: the public mirror of its security updates.
        keyring_package: package that holds the keys which sign the distribution's lists.
        keyring_files: where that package puts them, the first that exists is used.
        packages: what is installed on top of the essential packages and apt, or on top of FROM.
        minimal_packages: the same, in the short.
        dev_packages: what is installed first in the build stream ``dev``: it brings upstream's repositories.
        leave_out: paths, or wildcards that also cross slashes, that are no part of an image made of packages.
        environment: ``NAME=value`` of the image's configuration.
        command: the image's default command.
        templates: the texts of lists and preferences.
    """

    family: PackageFamily = PackageFamily.DEB
    os_version: str
    components: tuple[str, ...] = ()
    mirror: str = ""
    security_mirror: str = ""
    keyring_package: str = ""
    keyring_files: tuple[str, ...] = ()
    packages: tuple[str, ...]
    minimal_packages: tuple[str, ...]
    dev_packages: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    environment: tuple[str, ...]
    command: tuple[str, ...]
    templates: BaseTemplates = attrs.field(factory=BaseTemplates)


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
class PackageSources:
    """Where packages come from while an image is made, and what the image says of it.

    Attributes:
        sources: sources.list lines of the distribution; none for dnf and yum. May hold passwords.
        repositories: further repositories, as sources.list lines or ``name,url``. May hold passwords.
        preferences: apt preferences while installing; may be empty.
        repository_file: ``.repo`` file while installing; may be empty, and may hold passwords.
        only_given: packages come from ``repositories`` alone, not from what FROM itself is set up for.
        files: files put into the image: absolute path and text.
        secrets: passwords in ``sources`` and ``repositories``.
    """

    sources: tuple[str, ...] = attrs.field(default=(), repr=False)
    repositories: tuple[str, ...] = attrs.field(default=(), repr=False)
    preferences: str = ""
    repository_file: str = attrs.field(default="", repr=False)
    only_given: bool = False
    files: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)


@attrs.frozen(kw_only=True)
class BasePlan:
    """How a base image will be made.

    Attributes:
        system: the operating system, complete.
        family: what its packages are made for.
        references: the image's names, the main one first.
        from_image: the image it is made of; None when it is made of packages alone.
        pull: when that image is fetched from its registry.
        first_packages: what is installed before everything else.
        packages: what is installed on top of the essential packages and apt, or on top of FROM.
        origin: where packages come from.
        leave_out: paths, or wildcards that also cross slashes, that are no part of an image made of packages.
        environment: ``NAME=value`` of the image's configuration.
        command: the image's default command.
        labels: labels of the image; its creation time is added.
        steps: what will be done, in order.
    """

    system: BaseSystem
    family: PackageFamily
    references: tuple[ImageReference, ...]
    from_image: ImageReference | None = None
    pull: PullPolicy = PullPolicy.MISSING
    first_packages: tuple[str, ...] = ()
    packages: tuple[str, ...]
    origin: PackageSources
    leave_out: tuple[str, ...]
    environment: tuple[str, ...]
    command: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    steps: tuple[BaseStep, ...] = ()


@attrs.frozen(kw_only=True)
class BaseResult:
    """What making a base image gave.

    Attributes:
        references: the image's names: in the registry when it was pushed, else in the local store.
        digest: digest of its manifest there.
        pushed: whether it was pushed.
        base: the image it was made of, as the local store has it; None when it was made of packages alone.
        base_digest: digest of that image's manifest; empty for none.
        layer: its one layer, or the one on top of the base's.
        paths: paths in the layer.
        seconds: time of each finished step, in order.
    """

    references: tuple[ImageReference, ...]
    digest: str
    pushed: bool
    base: ImageReference | None = None
    base_digest: str = ""
    layer: LayerBlob
    paths: int
    seconds: tuple[tuple[str, float], ...] = ()
