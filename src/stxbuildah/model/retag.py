# SPDX-License-Identifier: Apache-2.0
"""Tags that are to be promoted: what a tag-management file lists, and what registries have of it."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import attrs

from stxbuildah.errors import StxbError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class RetagEntry(Value):
    """One image whose tag of a build is to get another tag beside it.

    Attributes:
        name: the repository, as the file writes it.
        build_tag: the tag that the build gave, ``src_build_tag``.
        origin: what the image was built from, ``src_ref``, for people; may be empty.
        tag: the new tag.
        source: the file that lists it, as the user named that.
        line: the line where the entry begins, from 1.
    """

    name: str
    build_tag: str
    origin: str = ""
    tag: str
    source: str
    line: int

    @property
    def built(self) -> ImageReference:
        """The image that is there, with its registry written out."""
        return ImageReference(self.name, self.build_tag).qualified

    @property
    def target(self) -> ImageReference:
        """The image that is to be there, with its registry written out."""
        return ImageReference(self.name, self.tag).qualified


class TagState(StrEnum):
    """How a new tag and the tag of the build stand to each other in the registry.

    CREATE: the new tag is not there yet. EXISTS: it is, and is the build's image. DRIFT: it is, and is another image.
    MISSING: neither the build's tag nor the new one is there. MOVED: the build's tag is another image than the lock
    says. UNKNOWN: the registry could not be asked.
    """

    CREATE = "create"
    EXISTS = "exists"
    DRIFT = "drift"
    MISSING = "missing"
    MOVED = "moved"
    UNKNOWN = "unknown"


@attrs.frozen(kw_only=True)
class TagCheck(Value):
    """One entry, and what its registry has.

    Attributes:
        entry: what is to be.
        state: how it stands.
        digest: of the build's image; empty when it is not there or not known.
        target_digest: of the image under the new tag, likewise.
        note: what else is to be said.
        error: why the registry could not be asked.
    """

    entry: RetagEntry
    state: TagState
    digest: str = ""
    target_digest: str = ""
    note: str = ""
    error: StxbError | None = attrs.field(default=None, eq=False)


@attrs.frozen(kw_only=True)
class RetagRequest(Value):
    """What was asked.

    Attributes:
        files: tag-management files.
        repush: repositories, by their last part or whole name, whose tag is written though it is another image.
        keep_going: write what can be written, though the source of another entry is missing or not known.
        jobs: how many entries are looked at, and written, at the same time.
        lock: file that keeps which image was promoted; None for none.
        access: how registries are reached.
        retry: how often a transient fault is tried again.
        proxies: for http and https.
    """

    files: tuple[Path, ...]
    repush: frozenset[str] = frozenset()
    keep_going: bool = False
    jobs: int = 8
    lock: Path | None = None
    access: RegistryAccess = attrs.field(factory=RegistryAccess)
    retry: Retry = attrs.field(factory=Retry)
    proxies: Proxies = attrs.field(factory=Proxies)


class TagOutcome(StrEnum):
    """What was done about an entry."""

    NOTHING = "nothing"
    CREATED = "created"
    REPLACED = "replaced"
    REFUSED = "refused"
    SKIPPED = "skipped"
    FAILED = "failed"


@attrs.frozen(kw_only=True)
class TagResult(Value):
    """One entry, and what was done about it.

    Attributes:
        check: how it stood.
        outcome: what was done. SKIPPED: nothing was written because of other entries.
        error: why it failed.
    """

    check: TagCheck
    outcome: TagOutcome
    error: StxbError | None = attrs.field(default=None, eq=False)


@attrs.frozen(kw_only=True)
class LockedTag(Value):
    """What a lock file says of an entry.

    Attributes:
        name: the repository.
        tag: the new tag.
        build_tag: the tag of the build.
        digest: of the image.
        origin: ``src_ref`` of the entry.
    """

    name: str
    tag: str
    build_tag: str
    digest: str
    origin: str = ""


LockedTags = Mapping[tuple[str, str], LockedTag]
