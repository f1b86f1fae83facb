# SPDX-License-Identifier: Apache-2.0
"""The digest of a build context: of all that a build could see of it, by content."""

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import attrs

from stxbuildah.directive.ignorefile import IgnoreFile, read_ignore_file
from stxbuildah.errors import InputError

_LARGE = 1 << 20
_LARGEST_IGNORE_FILE = 1 << 20


def find_ignore_file(context: Path, containerfile: Path) -> Path | None:
    """Give the ignore file that counts: one of the Containerfile's own, else the context's; None for none."""
    own = (containerfile.with_name(f"{containerfile.name}.{kind}ignore") for kind in ("container", "docker"))
    shared = (context / f".{kind}ignore" for kind in ("container", "docker"))
    return next((path for path in (*own, *shared) if path.is_file()), None)


def read_ignored(path: Path | None) -> IgnoreFile:
    """Read an ignore file; None ignores nothing.

    Raises:
        InputError: it cannot be read.
    """
    if path is None:
        return IgnoreFile()
    try:
        with path.open("rb") as stream:
            return read_ignore_file(stream.read(_LARGEST_IGNORE_FILE).decode("utf-8", "surrogateescape"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def context_digest(context: Path, ignored: IgnoreFile) -> str:
    """Give the digest of paths, kinds, modes, contents and links of a folder; times and owners do not count.

    Args:
        context: the folder.
        ignored: what a build does not see of it.

    Returns:
        The digest, as ``sha256:<hex>``.

    Raises:
        InputError: something in it cannot be read.
    """
    try:
        members = sorted(_members(context, "", ignored), key=lambda member: member.path)
        contents = _contents(context, members)
    except OSError as error:
        raise InputError(
            f"{error.filename or context}: the build context cannot be read: {error.strerror}",
            hint="give this account the right to read it, or name it in .containerignore",
        ) from error
    total = hashlib.sha256()
    for member in members:
        content = contents.get(member.path) or os.fsencode(member.link).hex()
        for field in (os.fsencode(member.path).hex(), f"{member.mode:o}", content):
            total.update(f"{field} ".encode())
        total.update(b"\n")
    return f"sha256:{total.hexdigest()}"


@attrs.frozen(kw_only=True)
class _Member:
    path: str
    mode: int
    size: int
    link: str


def _members(context: Path, below: str, ignored: IgnoreFile) -> Iterator[_Member]:
    with os.scandir(context / below) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            hidden = ignored.ignores(path)
            folder = entry.is_dir(follow_symlinks=False)
            if not hidden:
                status = entry.stat(follow_symlinks=False)
                # Kind and rights of a link say nothing: its target does.
                link = str(Path(entry.path).readlink()) if entry.is_symlink() else ""
                yield _Member(path=path, mode=status.st_mode, size=0 if folder or link else status.st_size, link=link)
            if folder and (not hidden or ignored.excepts):
                yield from _members(context, f"{path}/", ignored)


def _contents(context: Path, members: list[_Member]) -> dict[str, str]:
    """Give the digest of each file's content; hashing large ones leaves the interpreter free for others."""
    from concurrent.futures import ThreadPoolExecutor

    files = [member for member in members if stat.S_ISREG(member.mode)]
    large = [member.path for member in files if member.size >= _LARGE]
    found = {member.path: _digest(f"{context}/{member.path}") for member in files if member.size < _LARGE}
    if large:
        with ThreadPoolExecutor(min(len(large), len(os.sched_getaffinity(0)))) as pool:
            found |= zip(large, pool.map(lambda path: _digest(f"{context}/{path}"), large), strict=True)
    return found


def _digest(path: str) -> str:
    # A link that took the file's place since must not lead out of the context.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        total = hashlib.sha256()
        # A context may have ten thousands of small files: no object is made for each.
        while chunk := os.read(descriptor, _LARGE):
            total.update(chunk)
        return total.hexdigest()
    finally:
        os.close(descriptor)
