# SPDX-License-Identifier: Apache-2.0
"""Notes on removals of packages that did just what was computed, so that they need not run again for other images.

Images of one base have the same packages to remove, and starting a container for it takes longer than much of a build.
A note only says that running and computing came to the same: what is done to an image is always computed from its own
files, so that nothing of one image can come into another by it.
"""

import os
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.errors import DiskFullError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class PurgeNotes(Value):
    """The notes of this account.

    Attributes:
        folder: where they are; made when there is one.
    """

    folder: Path

    def has(self, key: str) -> bool:
        """Tell whether there is a note, which is used by that."""
        try:
            os.utime(self._path(key))
        except OSError:
            return False
        return True

    def add(self, key: str) -> None:
        """Write a note. One that cannot be written only costs time."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with written_beside(self._path(key)) as stream:
                stream.write(b"{}\n")
        except (OSError, DiskFullError) as error:
            log.info("images.removal.not_noted", path=str(self._path(key)), reason=str(error))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"
