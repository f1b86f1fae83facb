# SPDX-License-Identifier: Apache-2.0
"""Files and folders that are there whole or not at all, and what a killed run left of them.

A draft stands beside its target under a hidden name of its own and is locked as long as it is written. A lock ends
with its process, however that ends; so a draft whose lock can be taken has no writer any more.
"""

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stxbuildah.errors import DiskFullError

# What stands behind a dot and the target's name in that of a draft.
_DRAFT_ENDING = re.compile(r"\.[0-9a-f]{16}\.part")


@contextmanager
def written_beside(target: Path) -> Iterator[BinaryIO]:
    """Open a new file beside ``target`` for writing and rename it into place when the block ends well.

    After an error, nothing is left behind and what was at ``target`` is unchanged. What killed runs left of the same
    target is removed.

    Args:
        target: where the file will be; its folder exists.

    Raises:
        DiskFullError: no space, or no quota, is left there.
    """
    try:
        with file_beside(target) as (draft, stream):
            yield stream
            stream.close()
            draft.replace(target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(
                f"no space left in {target.parent} for {target.name}",
                hint="free some space there, or name another folder with TMPDIR",
            ) from error
        raise


@contextmanager
def file_beside(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Make a new empty file beside ``target``; it is removed at the end, unless the block has renamed it.

    What killed runs left of the same target is removed.

    Args:
        target: what is made of the file; its folder exists.

    Returns:
        The file's path, and the file, open for writing. The block may close it.

    Raises:
        OSError: no file can be made there.
    """
    remove_orphans(target)
    draft, stream, lock = _new_file(target)
    try:
        with stream:
            yield draft, stream
    finally:
        draft.unlink(missing_ok=True)
        os.close(lock)


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Make a new empty folder beside ``target``; it is removed at the end, unless the block has renamed it.

    What killed runs left of the same target is removed.

    Args:
        target: what is made in the folder; its own folder exists.

    Raises:
        OSError: no folder can be made there.
    """
    import shutil

    remove_orphans(target)
    draft, descriptor = _new_folder(target)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        os.close(descriptor)


def remove_orphans(target: Path) -> None:
    """Remove what killed runs left beside a target; what cannot be removed stays.

    Only this account's own drafts go, by their names, and only those that no living process has locked.
    """
    beginning = f".{target.name}"
    with suppress(OSError), os.scandir(target.parent) as listing:
        drafts = [
            Path(entry.path)
            for entry in listing
            if entry.name.startswith(beginning) and _DRAFT_ENDING.fullmatch(entry.name, len(beginning))
        ]
        for found in drafts:
            with suppress(OSError):
                remove_draft(found)


def remove_draft(draft: Path) -> None:
    """Remove a draft that no living process has locked, and that is this account's own.

    Raises:
        OSError: it is locked, or cannot be removed.
    """
    import shutil

    # A pipe of that name would keep us waiting for a writer.
    descriptor = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(draft)
        elif stat.S_ISREG(status.st_mode):
            draft.unlink()
    finally:
        os.close(descriptor)


def _draft_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.urandom(8).hex()}.part")


def _new_file(target: Path) -> tuple[Path, BinaryIO, int]:
    """Make a locked draft; the lock lasts until its own descriptor is closed, so the file can be closed before."""
    while True:
        draft = _draft_of(target)
        stream = draft.open("xb")
        lock = os.dup(stream.fileno())
        if _is_ours(draft, lock):
            return draft, stream, lock
        stream.close()
        os.close(lock)


def _new_folder(target: Path) -> tuple[Path, int]:
    while True:
        draft = _draft_of(target)
        draft.mkdir(mode=0o777)
        try:
            descriptor = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        if _is_ours(draft, descriptor):
            return draft, descriptor
        os.close(descriptor)


def _is_ours(draft: Path, descriptor: int) -> bool:
    """Lock a new draft; False when another run has taken it for an orphan before it was locked."""
    # Some network file systems have no locks; there nobody else gets one either, and orphans stay.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return draft.exists()
