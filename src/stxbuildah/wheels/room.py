# SPDX-License-Identifier: Apache-2.0
"""Whether a program that says that no space is left says so of the disk where it works."""

import re
import shutil
from pathlib import Path

from stxbuildah.errors import DiskFullError

NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
MAKE_ROOM = "make room there, or have TMPDIR name another folder"
# A disk with less than this has no room for a build; with more, something else was full.
_ROOM = 32 * 2**20


def check_room(line: str, folder: Path) -> None:
    """Raise an error when a line says that no space is left, and it is true.

    Args:
        line: what a program wrote.
        folder: where it works; what it wrote there is still there.

    Raises:
        DiskFullError: the folder's disk is full.
    """
    if NO_SPACE.search(line) and shutil.disk_usage(folder).free < _ROOM:
        raise DiskFullError(f"no space is left in {folder.parent}", hint=MAKE_ROOM)
