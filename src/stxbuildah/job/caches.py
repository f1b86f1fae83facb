# SPDX-License-Identifier: Apache-2.0
"""The caches below ``~/.cache/stxb``: what lies in them, since when it was not used, and how it goes.

Only what has the names that stxb gives is ever looked at, in folders that are this account's own and no links.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import attrs

from stxbuildah.job.workspace import Folders
from stxbuildah.layer.atomic import remove_draft
from stxbuildah.wheels.keyed import KeyedFolders

_DRAFT = re.compile(r"\..+\.[0-9a-f]{16}\.part")


@attrs.frozen(kw_only=True)
class Entry:
    """One thing in a cache.

    Attributes:
        name: by which its cache knows it.
        size: its bytes.
        used: when it was used last, in seconds since the epoch.
    """

    name: str
    size: int
    used: float


class Cache(Protocol):
    """One cache."""

    @property
    def name(self) -> str:
        """What is kept in it."""
        ...

    @property
    def folder(self) -> Path:
        """Where it is."""
        ...

    @property
    def is_used_in_place(self) -> bool:
        """Whether runs use what is in it where it lies, for as long as they last."""
        ...

    def entries(self) -> Iterator[Entry]:
        """Give what is in it."""
        ...

    def remove(self, entry: Entry) -> bool:
        """Remove an entry; False when it stays, since it is in use or cannot be removed."""
        ...


@attrs.frozen(kw_only=True)
class FileCache:
    """Files that are opened when they are needed, and may go while they are open.

    Attributes:
        name: what is kept in it.
        folder: where it is.
        pattern: the files' names.
    """

    name: str
    folder: Path
    pattern: str
    is_used_in_place: bool = False

    def entries(self) -> Iterator[Entry]:
        """Give what is in it, drafts included."""
        if not _is_own(self.folder):
            return
        with os.scandir(self.folder) as listing:
            for found in listing:
                if _DRAFT.fullmatch(found.name) or re.fullmatch(self.pattern, found.name):
                    with suppress(FileNotFoundError):
                        status = found.stat(follow_symlinks=False)
                        yield Entry(name=found.name, size=size_of(Path(found.path)), used=status.st_mtime)

    def remove(self, entry: Entry) -> bool:
        """Remove a file, or a draft that nobody writes any more."""
        path = self.folder / entry.name
        try:
            if _DRAFT.fullmatch(entry.name):
                remove_draft(path)
            else:
                path.unlink(missing_ok=True)
        except OSError:
            return False
        return True


@attrs.frozen(kw_only=True)
class KeyedCache:
    """Folders under keys.

    Attributes:
        name: what is kept in it.
        folder: where it is.
    """

    name: str
    folder: Path
    is_used_in_place: bool = True

    def entries(self) -> Iterator[Entry]:
        """Give what is in it."""
        if not _is_own(self.folder):
            return
        folders = KeyedFolders(top=self.folder)
        for key in folders.kept_keys():
            parts = folders.parts(key)
            with suppress(FileNotFoundError, ValueError):
                used = max(path.stat().st_mtime for path in parts)
                yield Entry(name=key, size=sum(map(size_of, parts)), used=used)

    def remove(self, entry: Entry) -> bool:
        """Remove a key's folder unless somebody holds it."""
        try:
            return KeyedFolders(top=self.folder).remove(entry.name)
        except OSError:
            return False


def caches_of(folders: Folders) -> tuple[Cache, ...]:
    """Give all caches; each may be empty or not be there."""
    top, wheels = folders.cache, folders.cache / "wheels"
    index = r"[A-Za-z0-9][A-Za-z0-9+._-]*\.index"
    return (
        FileCache(name="records of images", folder=top / "trees", pattern=r"[A-Za-z0-9][A-Za-z0-9_-]*\.json"),
        FileCache(name="indexes of layers", folder=top / "layers", pattern=index),
        FileCache(name="inventories beside images", folder=top / "stored-inventories", pattern=index),
        FileCache(name="notes on inventories", folder=top / "packed", pattern=index),
        FileCache(name="removals of packages", folder=top / "removals", pattern=r"[0-9a-f]{64}\.json"),
        FileCache(name="findings about this machine", folder=top, pattern=r"host-[0-9a-f]{8}\.json"),
        FileCache(name="times of builds", folder=wheels, pattern=r"times\.json"),
        KeyedCache(name="downloads", folder=wheels / "downloads"),
        KeyedCache(name="wheels that were built", folder=wheels / "built"),
        KeyedCache(name="build requirements", folder=wheels / "requirements"),
        KeyedCache(name="findings about builders", folder=wheels / "pythons"),
        KeyedCache(name="checkouts", folder=top / "checkouts"),
    )


def size_of(path: Path) -> int:
    """Give the bytes of a file, or of all files in a folder, as far as this account can see; links count as links."""
    try:
        status = path.lstat()
    except OSError:
        return 0
    if not path.is_dir() or path.is_symlink():
        return status.st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).lstat().st_size
    return total


def _is_own(folder: Path) -> bool:
    try:
        return folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
    except OSError:
        return False
