# SPDX-License-Identifier: Apache-2.0
"""What two images have in common, and what not."""

from collections.abc import Mapping
from enum import StrEnum

import attrs

from stxbuildah.model.packages import PackageLists
from stxbuildah.model.settings import RegistryAccess, Retry
from stxbuildah.model.tree import Entry
from stxbuildah.model.update import HostOptions
from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class LayerFacts(Value):
    """One layer of an image, as its documents tell.

    Attributes:
        diff_id: digest of its tar.
        digest: digest of its blob.
        size: bytes of its blob.
        created: when it was made, as the history has it; may be empty.
        created_by: what made it.
        update: words of the stxb update that made it, as ``six==1.17.0``; None where something else did.
    """

    diff_id: str
    digest: str
    size: int
    created: str = ""
    created_by: str = ""
    update: tuple[str, ...] | None = None


@attrs.frozen(kw_only=True)
class ImageFacts(Value):
    """One image.

    Attributes:
        name: where it is, as a message names it.
        digest: digest of its manifest.
        image_id: digest of its configuration, without ``sha256:``.
        platform: operating system and architecture.
        layers: the lowest first.
        settings: its configuration as flat texts, as ``Env.PATH``.
        base: name of the image below all updates, where they tell.
        packages: what is installed; None where that was not asked for.
        files: its whole tree by path; None where that was not asked for.
    """

    name: str
    digest: str
    image_id: str
    platform: str
    layers: tuple[LayerFacts, ...]
    settings: Mapping[str, str]
    base: str = ""
    packages: PackageLists | None = None
    files: Mapping[str, Entry] | None = None


class Package(StrEnum):
    """A kind of package."""

    PYTHON = "python"
    DEB = "deb"
    RPM = "rpm"


@attrs.frozen(kw_only=True)
class Changed(Value):
    """One thing that differs.

    Attributes:
        name: what it is.
        before: how it is in the first image; None where it is not there.
        after: how it is in the second image, likewise.
    """

    name: str
    before: str | None
    after: str | None


@attrs.frozen(kw_only=True)
class Comparison(Value):
    """Two images side by side.

    Attributes:
        before: the first one.
        after: the second one.
        shared: how many layers they begin with in common.
        packages: what differs, by kind of package.
        settings: settings that differ.
        files: paths that differ; None where that was not asked for.
    """

    before: ImageFacts
    after: ImageFacts
    shared: int
    packages: Mapping[Package, tuple[Changed, ...]]
    settings: tuple[Changed, ...]
    files: tuple[Changed, ...] | None = None

    @property
    def same(self) -> bool:
        """Whether it is one image."""
        return self.before.image_id == self.after.image_id


@attrs.frozen(kw_only=True)
class LookRequest(Value):
    """Which images are looked at.

    Attributes:
        images: as containers-transports(5) names them; a reference alone is first one of the local store.
        packages: list what is installed.
        files: compare the files.
        host: what the user says of this machine.
        access: how registries are reached.
        retry: how often a transient fault is tried again.
    """

    images: tuple[str, ...]
    packages: bool = False
    files: bool = False
    host: HostOptions = attrs.field(factory=HostOptions)
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
