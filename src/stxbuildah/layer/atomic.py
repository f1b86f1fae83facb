# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stxbuildah.errors import DiskFullError


@contextmanager
def written_beside(target: Path) -> Iterator[BinaryIO]:
    """Open a new file beside ``target`` for writing and rename it into place when the block ends well.

    After an error, nothing is left behind and what was at ``target`` is unchanged.

    Args:
        target: where the file will be; its folder exists.

    Raises:
        DiskFullError: no space, or no quota, is left there.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as stream:
            yield stream
        draft.replace(target)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(
                f"no space left in {target.parent} for {target.name}",
                hint="free some space there, or name another folder with TMPDIR",
            ) from error
        raise
