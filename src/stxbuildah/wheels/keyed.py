# SPDX-License-Identifier: Apache-2.0
"""Folders kept under a key, made once and shared by runs that go on at the same time.

A folder appears by its rename, whole or not at all. Who makes it holds a lock that ends with its process, however that
ends; others wait for it and then find the folder. When a folder was used last is its modification time.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

_KEY = re.compile(r"([0-9a-f]{2})[0-9a-f]+")


@attrs.define(kw_only=True)
class Slot:
    """The place of one key, held for the time of a block.

    Attributes:
        folder: where the kept folder is, or will be.
        draft: an empty folder to fill.
    """

    folder: Path
    draft: Path

    @property
    def is_there(self) -> bool:
        """Whether the folder is kept already."""
        return self.folder.is_dir()

    def keep(self) -> None:
        """Keep what is in the draft; what was kept before goes."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.draft.rename(self.folder)

    def forget(self) -> None:
        """Remove what is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


@attrs.frozen(kw_only=True)
class KeyedFolders:
    """Folders below one, each named by its key.

    Attributes:
        top: the folder above them; made when it is missing.
    """

    top: Path

    def find(self, key: str) -> Path | None:
        """Give what is kept under a key, without waiting for anybody; it counts as used."""
        folder = self._folder(key)
        if not folder.is_dir():
            return None
        _touch(folder)
        return folder

    @contextmanager
    def held(self, key: str) -> Iterator[Slot]:
        """Hold a key inside the block; other threads and processes that want it wait.

        Args:
            key: letters and digits of a digest.
        """
        folder = self._folder(key)
        draft = folder.with_suffix(".part")
        descriptor = _locked(folder.with_suffix(".lock"), fcntl.LOCK_EX)
        try:
            # What a killed run left half done.
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            _touch(folder)
            yield Slot(folder=folder, draft=draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            os.close(descriptor)

    def kept_keys(self) -> tuple[str, ...]:
        """Give every key under which something is kept, or was begun."""
        if not self.top.is_dir() or self.top.is_symlink():
            return ()
        found = {
            path.stem
            for path in self.top.glob("??/*")
            if (key := _KEY.fullmatch(path.stem)) is not None
            and path.parent.name == key[1]
            and path.suffix in {"", ".part", ".lock"}
        }
        return tuple(sorted(found))

    def parts(self, key: str) -> tuple[Path, ...]:
        """Give all that there is of a key: its folder, what was begun, its lock."""
        folder = self._folder(key)
        return tuple(
            path for path in (folder, folder.with_suffix(".part"), folder.with_suffix(".lock")) if path.exists()
        )

    def remove(self, key: str) -> bool:
        """Remove all that there is of a key; False when somebody holds it."""
        folder = self._folder(key)
        lock = folder.with_suffix(".lock")
        try:
            descriptor = _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(folder.with_suffix(".part"), ignore_errors=True)
            # Who waits for it finds that it is gone, and makes a new one.
            lock.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
        return not folder.exists()

    def _folder(self, key: str) -> Path:
        return self.top / key[:2] / key


def _locked(path: Path, operation: int) -> int:
    """Lock a file, made when it is missing, and give its descriptor.

    Raises:
        BlockingIOError: it was not to be waited for.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, operation)
            with suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(descriptor)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # It was removed while we waited.
        os.close(descriptor)


def _touch(folder: Path) -> None:
    with suppress(OSError):
        os.utime(folder)
