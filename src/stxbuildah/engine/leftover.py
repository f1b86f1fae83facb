# SPDX-License-Identifier: Apache-2.0
"""What still runs in working containers: of an owner that was killed, or of a build that takes too long."""

import os
import select
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import attrs

# A variable whose value is the mark of whoever started a program; all that descends from the program has it, too.
MARK_VARIABLE = "STXB_OWNER"
_PROCESSES = Path("/proc")


@attrs.frozen(kw_only=True)
class _Process:
    number: int
    parent: int
    words: tuple[bytes, ...]


def end_programs(mark: str, *, grace: float = 0.0) -> None:
    """End each ``buildah`` whose command has a mark, programs whose environment has it, and all their children.

    A killed owner takes its children along only where somebody kills the whole group, and with chroot isolation a
    buildah that is ended leaves the children of what it ran. Processes of other accounts cannot be, and need not be,
    ended.

    Args:
        mark: a word, or part of one, that only one owner ever had: the name of a container or of a lock.
        grace: seconds that they have to end by themselves and to tidy up before all are killed.
    """
    asked, family = _family(mark)
    with ExitStack() as stack:
        handles = {number: handle for number in family if (handle := _opened(number, stack)) is not None}
        groups = {number for number in asked if _leads_group(number)}
        if grace:
            _send([handles[number] for number in asked if number in handles], signal.SIGTERM)
            _await([handles[number] for number in asked if number in handles], grace)
        born = [_opened(number, stack) for number in _family(mark)[1] - handles.keys()]
        _send([*handles.values(), *(handle for handle in born if handle is not None)], signal.SIGKILL)
        for group in groups:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


@contextmanager
def killed_after(numbers: Collection[int]) -> Iterator[None]:
    """Kill, after a block that ends programs, what is left of them and of all that descended from them before or in it.

    What they have started may be in groups and namespaces of its own, and is nobody's child once they have ended.

    Args:
        numbers: the programs' process numbers.
    """
    with ExitStack() as stack:
        before = _with_descendants(set(numbers), _processes())
        handles = [handle for number in before if (handle := _opened(number, stack)) is not None]
        yield
        born = _with_descendants(before, _processes()) - before
        handles += [handle for number in born if (handle := _opened(number, stack)) is not None]
        _send(handles, signal.SIGKILL)


def _family(mark: str) -> tuple[set[int], set[int]]:
    """Give the processes that can be asked to end for a mark, and all of the mark with what descends from them.

    Of buildah, which goes on as a child of itself, the topmost is asked.
    """
    processes = _processes()
    builds = {process.number for process in processes if _is_buildah_of(process, mark)}
    others = {process.number for process in processes if _has_variable(process.number, mark)} - builds
    tops = {process.number for process in processes if process.number in builds and process.parent not in builds}
    return tops | others, _with_descendants(builds | others, processes)


def _with_descendants(numbers: set[int], processes: list[_Process]) -> set[int]:
    family, count = set(numbers), -1
    while len(family) != count:
        count = len(family)
        family |= {process.number for process in processes if process.parent in family}
    return family


def _opened(number: int, stack: ExitStack) -> int | None:
    """Give a handle of a process, which never means another one of the same number; None when it has ended."""
    try:
        handle = os.pidfd_open(number)
    except OSError:
        return None
    stack.callback(os.close, handle)
    return handle


def _leads_group(number: int) -> bool:
    try:
        return os.getpgid(number) == number
    except OSError:
        return False


def _send(handles: list[int], number: signal.Signals) -> None:
    for handle in handles:
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(handle, number)


def _await(handles: list[int], seconds: float) -> None:
    """Wait at most so long until all have ended: a handle can be read then."""
    waiting, until = list(handles), time.monotonic() + seconds
    while waiting and (left := until - time.monotonic()) > 0:
        ended = select.select(waiting, [], [], left)[0]
        waiting = [handle for handle in waiting if handle not in ended]


def _is_buildah_of(process: _Process, mark: str) -> bool:
    # Inside its user namespace it calls itself buildah-in-a-user-namespace.
    program = process.words[0].rpartition(b"/")[2]
    return program.startswith(b"buildah") and any(os.fsencode(mark) in word for word in process.words[1:])


def _has_variable(number: int, mark: str) -> bool:
    wanted = os.fsencode(f"{MARK_VARIABLE}={mark}")
    try:
        return wanted in (_PROCESSES / str(number) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


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
