# SPDX-License-Identifier: Apache-2.0
"""What still runs in a working container after its owner was killed."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import attrs

_PROCESSES = Path("/proc")


@attrs.frozen(kw_only=True)
class _Process:
    number: int
    parent: int
    words: tuple[bytes, ...]


def end_programs(container: str) -> None:
    """Kill every ``buildah`` that runs a program in a container, and the program with all its children.

    A killed owner takes its children along only where somebody kills the whole group. Processes of other accounts
    cannot be, and need not be, ended.

    Args:
        container: the container's name, which only one owner ever had.
    """
    processes = _processes()
    ending = {process.number for process in processes if _is_buildah_of(process, container)}
    count = -1
    while len(ending) != count:
        count = len(ending)
        ending |= {process.number for process in processes if process.parent in ending}
    for number in sorted(ending):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(number, signal.SIGKILL)


def _is_buildah_of(process: _Process, container: str) -> bool:
    # Inside its user namespace it calls itself buildah-in-a-user-namespace.
    program = process.words[0].rpartition(b"/")[2]
    return program.startswith(b"buildah") and os.fsencode(container) in process.words[1:]


def _processes() -> list[_Process]:
    found = []
    for folder in _PROCESSES.glob("[0-9]*"):
        # It may end while it is looked at.
        with suppress(OSError):
            words = tuple((folder / "cmdline").read_bytes().split(b"\0"))
            # The program's name, in parentheses, may hold anything (proc(5)); its parent is the second field after it.
            parent = int((folder / "stat").read_bytes().rpartition(b")")[2].split()[1])
            found.append(_Process(number=int(folder.name), parent=parent, words=words))
    return found
