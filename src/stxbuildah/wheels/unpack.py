# SPDX-License-Identifier: Apache-2.0
"""Archives of sources, from strangers, unpacked into a folder of ours.

Owners and special modes of an archive do not count, and nothing is written through a link that the archive brought:
every name and every link is checked here, before anything of that name is made. (The filters of PEP 706 are not in
every Python 3.11.)
"""

import errno
import lzma
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import attrs

from stxbuildah.errors import DiskFullError, InputError

MAXIMUM_MEMBERS = 200_000
MAXIMUM_UNPACKED = 4 * 2**30
MAXIMUM_RATIO = 200
_RATIO_MATTERS_FROM = 256 * 2**20
_CHUNK = 1 << 20
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\\]")


@attrs.define(kw_only=True)
class _Budget:
    """What is left of an archive's limits, and what it has brought so far."""

    archive: Path
    packed: int
    members: int = 0
    unpacked: int = 0
    newest: int = 0
    links: set[PurePosixPath] = attrs.field(factory=set)

    def spend(self, count: int) -> None:
        """Count unpacked bytes."""
        self.unpacked += count
        trap = self.unpacked > _RATIO_MATTERS_FROM and self.unpacked > MAXIMUM_RATIO * max(self.packed, 1)
        if self.unpacked > MAXIMUM_UNPACKED or trap:
            raise InputError(f"{self.archive.name} would unpack to more than a source may have: it looks like a trap")

    def admit(self, name: str) -> PurePosixPath | None:
        """Check a member's name; None for the top folder itself."""
        self.members += 1
        if self.members > MAXIMUM_MEMBERS:
            raise InputError(f"{self.archive.name} holds more than {MAXIMUM_MEMBERS} files")
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or _UNPRINTABLE.search(name):
            raise InputError(f"{self.archive.name}: the name {name!r} leads out of the archive, or is no plain one")
        if any(parent in self.links for parent in (path, *path.parents)):
            raise InputError(f"{self.archive.name}: {name!r} would be written through a link")
        return path if path.parts else None

    def link(self, path: PurePosixPath, target: str) -> None:
        """Check a symbolic link, which must stay inside by its text alone: some ``..``, then names."""
        parts = PurePosixPath(target).parts
        up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
        # A ``..`` behind a name would lead out when that name is a link itself.
        wandering = ".." in parts[up:] or up >= len(path.parts)
        if not target or target.startswith("/") or wandering or _UNPRINTABLE.search(target):
            raise InputError(f"{self.archive.name}: the link {str(path)!r} leads out of the archive, to {target!r}")
        self.links.add(path)


def unpack_tar(archive: Path, target: Path) -> int:
    """Unpack a tar archive, compressed by gzip, bzip2, xz or not at all.

    Args:
        archive: the file.
        target: existing, empty folder.

    Returns:
        The time of its newest file, in seconds since the epoch.

    Raises:
        InputError: it is no tar archive, is cut off, leads out of its folder or holds more than a source may.
        DiskFullError: no space is left.
    """
    budget = _Budget(archive=archive, packed=archive.stat().st_size)
    with _translated(archive, target), tarfile.open(archive, "r:*") as tar:
        for member in _headers(tar):
            path = budget.admit(member.name.removesuffix("/"))
            if path is not None:
                _unpack_member(tar, member, path, target, budget)
    return budget.newest


def unpack_zip(archive: Path, target: Path) -> int:
    """Unpack a zip archive; arguments, result and errors are those of ``unpack_tar``."""
    budget = _Budget(archive=archive, packed=archive.stat().st_size)
    with _translated(archive, target), zipfile.ZipFile(archive) as found:
        for entry in found.infolist():
            path = budget.admit(entry.orig_filename.removesuffix("/"))
            if path is None:
                continue
            if entry.is_dir():
                (target / path).mkdir(parents=True, exist_ok=True)
                continue
            budget.newest = max(budget.newest, _zip_time(entry))
            mode = entry.external_attr >> 16
            with found.open(entry) as content:
                if stat.S_ISLNK(mode):
                    text = content.read(4096).decode("utf-8", "replace")
                    budget.link(path, text)
                    _place(target, path).symlink_to(text)
                else:
                    _write(content, _place(target, path), budget, executable=bool(mode & 0o111))
    return budget.newest


def _headers(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := tar.next()) is not None:
        yield member


def _unpack_member(
    tar: tarfile.TarFile, member: tarfile.TarInfo, path: PurePosixPath, target: Path, budget: _Budget
) -> None:
    if member.isdir():
        (target / path).mkdir(parents=True, exist_ok=True)
    elif member.issym():
        budget.link(path, member.linkname)
        _place(target, path).symlink_to(member.linkname)
    elif member.islnk():
        first = budget.admit(member.linkname)
        if first is None or not (target / first).is_file() or (target / first).is_symlink():
            raise InputError(
                f"{budget.archive.name}: {member.name!r} is a link to {member.linkname!r}, no file before it"
            )
        budget.spend((target / first).stat().st_size)
        shutil.copyfile(target / first, _place(target, path))
    elif member.isreg():
        budget.newest = max(budget.newest, int(member.mtime))
        content = tar.extractfile(member)
        if content is not None:
            _write(content, _place(target, path), budget, executable=bool(member.mode & 0o111))
    else:
        raise InputError(f"{budget.archive.name}: {member.name!r} is neither file, folder nor link")


def _place(target: Path, path: PurePosixPath) -> Path:
    """Give the place of a file, whose folder is made; a file that is there already is replaced."""
    place = target / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.is_file():
        place.unlink()
    return place


def _write(content: IO[bytes], place: Path, budget: _Budget, *, executable: bool) -> None:
    with place.open("xb") as out:
        while chunk := content.read(_CHUNK):
            budget.spend(len(chunk))
            out.write(chunk)
    # The same for everyone: what is packed into a wheel has the modes of the source.
    place.chmod(0o755 if executable else 0o644)


def _zip_time(entry: zipfile.ZipInfo) -> int:
    import calendar

    try:
        return calendar.timegm((*entry.date_time, 0, 0, 0))
    except (ValueError, OverflowError):
        return 0


@contextmanager
def _translated(archive: Path, target: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise InputError(f"{archive.name} is no readable archive of its kind: {error}") from error
    except (RuntimeError, ValueError) as error:
        # An encrypted zip; numbers of a header that are none.
        raise InputError(f"{archive.name} cannot be unpacked: {error}") from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(f"no space is left to unpack {archive.name}", hint=f"make room in {target}") from error
        reason = error.strerror or os.path.basename(str(error))  # noqa: PTH119 # bz2 and gzip raise it without a number
        raise InputError(f"{archive.name} cannot be unpacked: {reason}") from error
