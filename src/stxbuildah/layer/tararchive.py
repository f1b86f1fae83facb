# SPDX-License-Identifier: Apache-2.0
"""A whole file system in a tar archive, as layer content."""

import fnmatch
import functools
import io
import posixpath
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from stxbuildah.errors import BuildError
from stxbuildah.model.layer import Change, LayerContent, LayerEntry

_XATTR = "SCHILY.xattr."
# Folders that containers are mounted over: without them each run would make them in a layer of its own.
_MOUNT_POINTS = ("/dev", "/proc", "/sys")


@contextmanager
def opened_tar(path: Path, *, leave_out: Iterable[str], files: Iterable[tuple[str, str]]) -> Iterator[LayerContent]:
    """Give a tar's content as a layer for as long as the block runs. Devices, pipes and sockets are left out.

    Args:
        path: an uncompressed tar of a file system's root.
        leave_out: paths, or wildcards that also cross slashes, that are not taken over.
        files: absolute path and text of files to add or replace; their folder is in the tar.

    Raises:
        BuildError: the archive cannot be read.
    """
    unwanted = re.compile("|".join(fnmatch.translate(pattern) for pattern in leave_out) or r"\Z.")
    try:
        with tarfile.open(path, "r:", errorlevel=2) as archive:
            entries = {
                entry.path: entry
                for member in archive
                if (entry := member_entry(member, _opener(archive, member))) is not None
                and not unwanted.match(entry.path)
            }
            for point in _MOUNT_POINTS:
                entries.setdefault(point, LayerEntry(path=point, change=Change.DIRECTORY, mode=0o755))
            for name, text in files:
                content = text.encode()
                entries[name] = LayerEntry(
                    path=name,
                    change=Change.FILE,
                    mode=0o644,
                    size=len(content),
                    opener=functools.partial(io.BytesIO, content),
                )
            yield LayerContent(tuple(entries[name] for name in sorted(entries)))
    except tarfile.TarError as error:
        raise BuildError(f"the archive {path} cannot be read: {error}") from error


def member_entry(member: tarfile.TarInfo, opener: Callable[[], BinaryIO]) -> LayerEntry | None:
    """Give a tar's member as what a layer adds; None for devices and pipes.

    Args:
        member: the header, with the pax records that belong to it.
        opener: opens the content if it is a regular file.
    """
    path = _absolute(member.name)
    kinds = (
        (Change.FILE, member.isreg()),
        (Change.DIRECTORY, member.isdir()),
        (Change.SYMLINK, member.issym()),
        (Change.HARDLINK, member.islnk()),
    )
    change = next((kind for kind, found in kinds if found), None)
    if change is None:
        return None
    target = member.linkname
    if change is Change.HARDLINK:
        target = _absolute(target)
    return LayerEntry(
        path=path,
        change=change,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size=member.size if change is Change.FILE else 0,
        target=target if change in {Change.SYMLINK, Change.HARDLINK} else "",
        opener=opener if change is Change.FILE else None,
        xattrs=tuple(
            (name.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
            for name, value in sorted(member.pax_headers.items())
            if name.startswith(_XATTR)
        ),
    )


def _absolute(name: str) -> str:
    """Give the path in the image of a member's name, which begins with ``./`` or not; the root is ``.``."""
    return posixpath.normpath(f"/{name.lstrip('/')}")


def _opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], BinaryIO]:
    return lambda: cast("BinaryIO", archive.extractfile(member))
