# SPDX-License-Identifier: Apache-2.0
"""Folders that accounts of a user namespace can reach, which those below a home often are not: mmdebstrap's room."""

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah.engine.debootstrap import empty_room
from stxbuildah.engine.process import Runner
from stxbuildah.errors import HostError
from stxbuildah.job.workspace import Folders, account_id, orphaned_work_folders, remove_work_folder, work_folder


@contextmanager
def opened_room(runner: Runner, folders: Folders) -> Iterator[Path]:
    """Make a room for the time of the block.

    Raises:
        HostError: the folder of rooms is another account's.
    """
    top = _top()
    top.mkdir(mode=0o711, exist_ok=True)
    if not _is_ours(top):
        raise HostError(f"{top} belongs to somebody else", hint="name another temporary folder with TMPDIR")
    top.chmod(0o711)
    remove_rooms(runner, orphaned_rooms(folders))
    with work_folder(attrs.evolve(folders, work=top)) as room:
        room.chmod(0o711)
        try:
            yield room
        finally:
            empty_room(runner, room)


def orphaned_rooms(folders: Folders) -> tuple[Path, ...]:
    """Give the rooms whose run has ended without removing them."""
    top = _top()
    if not top.is_dir() or not _is_ours(top):
        return ()
    return orphaned_work_folders(attrs.evolve(folders, work=top))


def remove_rooms(runner: Runner, rooms: tuple[Path, ...]) -> None:
    """Remove rooms and what a killed run left in them, which belongs to accounts of its user namespace."""
    for room in rooms:
        empty_room(runner, room)
        remove_work_folder(room)


def _top() -> Path:
    usual = Path(tempfile.gettempdir())
    places = (usual, Path("/var/tmp"), Path("/tmp"))  # noqa: S108 # a folder of this account's own is made there
    return next(filter(_open_to_all, places), usual) / f"stxb-{account_id()}-base"


def _is_ours(folder: Path) -> bool:
    return folder.stat(follow_symlinks=False).st_uid == os.getuid() and not folder.is_symlink()


def _open_to_all(folder: Path) -> bool:
    """Say whether every account can pass through a folder that this one can write to."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder.resolve(), *folder.resolve().parents))
