# SPDX-License-Identifier: Apache-2.0
"""Who owns a working container: a locked file says that its owner lives.

A lock ends with its process, however that ends. So a file whose lock can be taken belongs to nobody any more, and no
process number has to be compared, which another process may have got since.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "stxb-"
# Folders of lock files below the state folder, apart from buildah's working containers of our own naming: podman's
# ephemeral containers and its services, which another program removes, and builds, which name their containers.
EPHEMERAL = "ephemeral"
SERVICES = "services"
BUILDS = "builds"
_NAME = re.compile(rf"{PREFIX}[0-9a-f]{{16}}")
_SUFFIX = ".lock"


class OwnerLock:
    """A held lock on the file of one working container.

    Attributes:
        name: the container's name.
        path: the locked file; its content is the container's store, as given to ``take``.
    """

    def __init__(self, name: str, path: Path, descriptor: int) -> None:
        self.name = name
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def take(cls, state_folder: Path, store: str) -> "OwnerLock":
        """Choose a new container name and lock its file.

        Args:
            state_folder: folder of lock files; made when it is missing.
            store: what tells this image store from others.
        """
        state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = PREFIX + os.urandom(8).hex()
        path = state_folder / (name + _SUFFIX)
        # Locked before it has its name: whoever finds it by its name finds it locked.
        hidden = state_folder / f".{name}.new"
        descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, os.fsencode(store))
            hidden.rename(path)
        except BaseException:
            os.close(descriptor)
            hidden.unlink(missing_ok=True)
            raise
        return cls(name, path, descriptor)

    def release(self, *, container_gone: bool) -> None:
        """Give the lock up; the file stays as an orphan's mark unless the container is gone."""
        if container_gone:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)


def lock_files(state_folder: Path) -> list[Path]:
    """Give the lock files of a state folder, sorted; none when there is no such folder."""
    return sorted(state_folder.glob(f"{PREFIX}*{_SUFFIX}"))


def orphan_names(state_folder: Path, store: str) -> tuple[str, ...]:
    """Give the names of the store's containers whose owner has gone, sorted."""
    found = []
    for path in lock_files(state_folder):
        with adopted(path, store) as lock:
            if lock is not None:
                found.append(lock.name)
    return tuple(found)


@contextmanager
def adopted(path: Path, store: str) -> Iterator[OwnerLock | None]:
    """Hold an orphan's lock inside the block; None when it has an owner, is of another store, or is no lock file.

    The lock is given up at the end; the file stays unless the block removed it.
    """
    name = path.name.removesuffix(_SUFFIX)
    lock = _try_lock(path) if _NAME.fullmatch(name) else None
    if lock is None:
        yield None
        return
    try:
        written = os.fsdecode(os.pread(lock, 1 << 16, 0))
        yield OwnerLock(name, path, lock) if written == store else None
    finally:
        os.close(lock)


def _try_lock(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Its owner may have removed it between open and flock.
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None
