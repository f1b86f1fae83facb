# SPDX-License-Identifier: Apache-2.0
"""A process that is killed inside a block."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAM = """
import sys
from pathlib import Path
from stxbuildah.layer.atomic import file_beside, folder_beside, written_beside
from stxbuildah.layer.indexcache import IndexCache

folder = Path(sys.argv[1])
with {block} as made:
    print("inside", flush=True)
    sys.stdin.read()
"""


@contextmanager
def process_inside(block: str, folder: Path) -> Iterator[None]:
    """Run a process that stays inside a block until this one ends; then it is killed.

    Args:
        block: makes the context manager, from what the program imports, and ``folder``.
        folder: a folder for it.
    """
    argv = [sys.executable, "-c", _PROGRAM.format(block=block), str(folder)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        try:
            assert program.stdout.readline() == "inside\n"
            yield
        finally:
            program.kill()
