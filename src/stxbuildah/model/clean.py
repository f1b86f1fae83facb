# SPDX-License-Identifier: Apache-2.0
"""What stxb keeps for itself, and what of it may go."""

from pathlib import Path

import attrs

from stxbuildah.model.update import HostOptions

SECONDS_OF_A_DAY = 86400


@attrs.frozen(kw_only=True)
class CleanRequest:
    """What was asked.

    Attributes:
        unused_days: caches' entries that were not used for so many days go; 0 for all of them.
        caches: whether anything of the caches goes.
        dry_run: only say what would go.
        host: names the image store.
    """

    unused_days: float = 30.0
    caches: bool = True
    dry_run: bool = False
    host: HostOptions = attrs.field(factory=HostOptions)


@attrs.frozen(kw_only=True)
class SizedFolder:
    """A folder that a killed run left.

    Attributes:
        path: where it is.
        size: bytes of the files in it, as far as this account can see.
    """

    path: Path
    size: int


@attrs.frozen(kw_only=True)
class CleanedCache:
    """What goes of one cache.

    Attributes:
        name: what is kept there.
        folder: where.
        entries: how many go.
        size: their bytes.
        kept_entries: how many stay.
        kept_size: their bytes.
    """

    name: str
    folder: Path
    entries: int
    size: int
    kept_entries: int
    kept_size: int


@attrs.frozen(kw_only=True)
class Cleaned:
    """What went, or would go.

    Attributes:
        containers: names of working containers.
        folders: work folders.
        caches: each cache that has anything.
        busy: caches that were left alone, since another run may use what is in them.
    """

    containers: tuple[str, ...] = ()
    folders: tuple[SizedFolder, ...] = ()
    caches: tuple[CleanedCache, ...] = ()
    busy: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(folder.size for folder in self.folders) + sum(cache.size for cache in self.caches)
