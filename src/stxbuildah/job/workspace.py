# SPDX-License-Identifier: Apache-2.0
"""Folders of our own: caches, state, and work folders that a killed run cannot leave behind for good."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.errors import DiskFullError, HostError, InputError
from stxbuildah.model.value import Value

_WORK_PREFIX = "stxb-"
_KEPT_PREFIX = "kept-"
_LOCK_NAME = "owner.lock"
# A file of a work folder: names of images that its run put into the local store for itself, one a line.
TEMPORARY_IMAGES = "temporary-images"


@attrs.frozen(kw_only=True)
class Folders(Value):
    """Where this program keeps what is not the user's output.

    Attributes:
        cache: may be deleted at any time.
        state: locks of living working containers.
        work: work folders of running commands.
    """

    cache: Path
    state: Path
    work: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Folders":
        """Follow the XDG base directory specification; work folders go to TMPDIR when it is set."""
        home = Path(environment.get("HOME") or Path.home())
        cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache") / "stxb"
        state = Path(environment.get("XDG_STATE_HOME") or home / ".local" / "state") / "stxb"
        temporary = environment.get("TMPDIR")
        work = Path(temporary) / f"stxb-{account_id()}" if temporary else cache / "work"
        return cls(cache=cache, state=state, work=work)


def account_id() -> int:
    """Give the user id of this account as the machine knows it, for names in folders that accounts share.

    Root of a user namespace is no account of the machine: in their namespaces, all accounts are 0 (user_namespaces(7)).
    """
    own = os.getuid()
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines():
            first, outside, count = map(int, line.split())
            if first <= own < first + count:
                return outside + own - first
    return own


@contextmanager
def work_folder(folders: Folders, *, keep: bool = False) -> Iterator[Path]:
    """Make a private folder for one run; it is deleted at the end, by the next run if this one is killed.

    A lock that lasts as long as this process marks it as in use, so no other run takes it for an orphan.

    Args:
        folders: where to make it.
        keep: leave it there and say so.
    """
    folders.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folders.work.stat(follow_symlinks=False).st_uid != os.getuid() or folders.work.is_symlink():
        raise HostError(f"{folders.work} belongs to somebody else", hint="name another temporary folder with TMPDIR")
    folder = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=folders.work))
    with (folder / _LOCK_NAME).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            if keep:
                # Under another name, so that no run takes it for an orphan.
                kept = folder.rename(folder.with_name(folder.name.replace(_WORK_PREFIX, _KEPT_PREFIX, 1)))
                log.warning("work.folder.kept", folder=str(kept))
            else:
                remove_work_folder(folder)


def remove_work_folder(folder: Path) -> None:
    """Delete a work folder; what cannot be deleted now is left to the next run."""
    shutil.rmtree(folder, ignore_errors=True)


def orphaned_work_folders(folders: Folders) -> tuple[Path, ...]:
    """Give the work folders whose run has ended without removing them."""
    if not folders.work.is_dir():
        return ()
    return tuple(
        folder for folder in sorted(folders.work.glob(f"{_WORK_PREFIX}*")) if folder.is_dir() and not _in_use(folder)
    )


def lists_of_temporary_images(folder: Path) -> tuple[Path, ...]:
    """Give the files of a work folder, and of those in it, that name images which its run put into the local store."""
    places = (folder / TEMPORARY_IMAGES, *sorted(folder.glob(f"*/{TEMPORARY_IMAGES}")))
    return tuple(place for place in places if place.exists())


def living_work_folders(folders: Folders) -> tuple[Path, ...]:
    """Give the work folders of runs that go on."""
    if not folders.work.is_dir():
        return ()
    return tuple(
        folder for folder in sorted(folders.work.glob(f"{_WORK_PREFIX}*")) if folder.is_dir() and _in_use(folder)
    )


def remove_plain_orphans(folders: Folders) -> None:
    """Delete orphaned work folders where no engine is used; those whose run left images in the store stay for one."""
    for folder in orphaned_work_folders(folders):
        if not lists_of_temporary_images(folder):
            remove_work_folder(folder)
            log.info("work.folder.removed", folder=str(folder))


def _in_use(folder: Path) -> bool:
    try:
        with (folder / _LOCK_NAME).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        # Between mkdtemp and the lock: a folder this young has an owner.
        return _age_seconds(folder) < _YOUNG_SECONDS
    except BlockingIOError:
        return True
    return False


_YOUNG_SECONDS = 60.0


def _age_seconds(folder: Path) -> float:
    import time

    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file for as long as the block runs; other processes wait for it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# More than any record takes, and quick to reserve.
_ROOM_BYTES = 256 << 10


def check_writable(path: Path) -> None:
    """Make sure that a small file can be written at a path; nothing is left behind, not even its folder.

    Raises:
        InputError: it cannot: the folder belongs to somebody else, or something else is in the way.
        DiskFullError: there is no room for it.
    """
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, where a file is to be written")
        if not written_in_place(path):
            _reserve(next(parent for parent in path.absolute().parents if parent.exists()))
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(
                f"no space is left on the disk for {path}", hint="make room, df -h shows where"
            ) from error
        raise InputError(
            f"{path} cannot be written: {error.strerror}", hint="run it where this account can write"
        ) from error


def _reserve(folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder) as probe:
        os.posix_fallocate(probe.fileno(), 0, _ROOM_BYTES)


def written_in_place(path: Path) -> bool:
    """Tell a device or a pipe, as /dev/stdout, which a rename would replace."""
    return path.exists() and not path.is_file()


def replace_text(path: Path, text: str) -> None:
    """Write a file beside and rename it into place, so that a reader sees the old one or the new one whole.

    A device or a pipe is written to as it is.
    """
    if written_in_place(path):
        path.write_text(text, encoding="utf-8")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
