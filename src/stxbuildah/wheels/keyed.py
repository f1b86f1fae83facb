# SPDX-License-Identifier: Apache-2.0
"""Folders kept under a key, made once and shared by runs that go on at the same time.

A folder appears by its rename, whole or not at all. Who makes it holds a lock that ends with its process, however that
ends; others wait for it and then find the folder.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs


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
        """Give what is kept under a key, without waiting for anybody."""
        folder = self._folder(key)
        return folder if folder.is_dir() else None

    @contextmanager
    def held(self, key: str) -> Iterator[Slot]:
        """Hold a key inside the block; other threads and processes that want it wait.

        Args:
            key: letters and digits of a digest.
        """
        folder = self._folder(key)
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        draft = folder.with_suffix(".part")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # What a killed run left half done.
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            yield Slot(folder=folder, draft=draft)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
            os.close(descriptor)

    def _folder(self, key: str) -> Path:
        return self.top / key[:2] / key
