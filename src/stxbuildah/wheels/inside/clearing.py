# SPDX-License-Identifier: Apache-2.0
"""Makes a container that builds one wheel after the other as it was before the first of them.

What a build can leave when all its processes are dead is in a file system that can be written, is an object of System V
IPC (sysvipc of man section 7), or something that the first process was told and its children inherit (prlimit and
sched_setaffinity of section 2). What is left and cannot be cleared is told; the container then builds no more.
"""

import ctypes
import os
import re
import resource
import stat
from pathlib import Path
from typing import Any

# File systems that begin with the container, and can be told from what is in them.
_OWN = frozenset({"tmpfs", "mqueue", "devpts"})
# Of /proc, each process can write what is its own, and /proc/sys is checked apart.
_PROCESSES = "proc"
_FIXED = ("/proc/sys", "/sys")
_QUEUES = "/dev/mqueue"
_IPC = ("msg", "sem", "shm")
_IPC_RMID = 0
# RLIM_NLIMITS of Linux.
_LIMITS = 16
# What may be written for another process of the same user, and its children begin with.
_INHERITED = ("oom_score_adj", "coredump_filter")

# What is known of a file or folder, by its path; of anything else, by a word.
State = dict[str, Any]


class UnfitError(Exception):
    """Something is left, or could be, that cannot be cleared."""


def writable_folders(exchanged: tuple[str, ...]) -> tuple[list[str], set[str]]:
    """Give the folders that can be written, by the mounts of this process (proc_pid_mountinfo of man section 5).

    Args:
        exchanged: folders of the host, whose content is that of one build.

    Returns:
        The mount points that can be written, and all mount points.

    Raises:
        UnfitError: one can be written that is not of the container alone.
    """
    folders, mounts = [], set()
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields = line.split(" ")
        kind, _, settings = fields[fields.index("-") + 1 :]
        place = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        mounts.add(place)
        if "rw" not in fields[5].split(",") or "rw" not in settings.split(",") or kind == _PROCESSES:
            continue
        mode = Path(place).stat().st_mode
        if stat.S_ISCHR(mode):
            continue
        if not stat.S_ISDIR(mode) or (kind not in _OWN and place not in exchanged):
            raise UnfitError(f"{place} ({kind}) can be written")
        folders.append(place)
    for place in _FIXED:
        if not os.statvfs(place).f_flag & os.ST_RDONLY:
            raise UnfitError(f"{place} can be written")
    if _QUEUES not in folders:
        raise UnfitError("message queues cannot be listed")
    return folders, mounts


def state(exchanged: tuple[str, ...]) -> State:
    """Describe everything that a build could leave.

    Args:
        exchanged: as for ``writable_folders``.

    Raises:
        UnfitError: as ``writable_folders``.
    """
    folders, mounts = writable_folders(exchanged)
    found: State = {
        "mounts": sorted(mounts),
        "limits": [resource.getrlimit(number) for number in range(_LIMITS)],
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
        "processors": sorted(os.sched_getaffinity(0)),
        "policy": os.sched_getscheduler(0),
        **{name: Path("/proc/self", name).read_text(encoding="ascii") for name in _INHERITED},
        "ipc": [_objects(kind) for kind in _IPC],
    }
    for folder in folders:
        _describe(Path(folder), mounts, found)
    return found


def _describe(path: Path, mounts: set[str], found: State) -> None:
    told = path.lstat()
    common = (told.st_mode, told.st_uid, told.st_gid)
    if not stat.S_ISDIR(told.st_mode):
        # Whoever changes a file can set the time of that back, but not the time of the last change of its status.
        found[str(path)] = (*common, told.st_size, told.st_ctime_ns)
        return
    found[str(path)] = (*common, told.st_mtime_ns, sorted(os.listxattr(path)))
    for inner in path.iterdir():
        if str(inner) not in mounts:
            _describe(inner, mounts, found)


def clear(start: State, exchanged: tuple[str, ...]) -> None:
    """Remove what was not there at the start; whoever could change anything has ended.

    Args:
        start: what ``state`` gave before the first build.
        exchanged: as for ``writable_folders``.

    Raises:
        UnfitError: something is not as it was.
        OSError: something cannot be removed.
    """
    _remove_objects()
    folders, mounts = writable_folders(exchanged)
    for folder in folders:
        _clear_folder(Path(folder), mounts, start)
    now = state(exchanged)
    differing = [name for name in sorted({*start, *now}) if start.get(name) != now.get(name)]
    if differing:
        raise UnfitError(f"not as before: {', '.join(differing[:5])}")


def _clear_folder(folder: Path, mounts: set[str], start: State) -> None:
    for inner in list(folder.iterdir()):
        if str(inner) in mounts:
            continue
        is_folder = stat.S_ISDIR(inner.lstat().st_mode)
        if str(inner) not in start:
            _remove(inner)
        elif is_folder:
            _clear_folder(inner, mounts, start)
    *_, mtime, attributes = start[str(folder)]
    for name in set(os.listxattr(folder)) - set(attributes):
        os.removexattr(folder, name)
    if folder.stat().st_mtime_ns != mtime:
        os.utime(folder, ns=(mtime, mtime))


def _remove(path: Path) -> None:
    if not stat.S_ISDIR(path.lstat().st_mode):
        path.unlink()
        return
    # A build may have left it closed to itself.
    path.chmod(stat.S_IRWXU)
    for inner in list(path.iterdir()):
        _remove(inner)
    path.rmdir()


def _objects(kind: str) -> list[int]:
    """Give the ids of all objects of a kind of System V IPC."""
    try:
        lines = Path("/proc/sysvipc", kind).read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        # A kernel without.
        return []
    return [int(line.split()[1]) for line in lines[1:]]


def _remove_objects() -> None:
    library = ctypes.CDLL(None)
    for number in _objects("msg"):
        library.msgctl(number, _IPC_RMID, None)
    for number in _objects("sem"):
        library.semctl(number, 0, _IPC_RMID)
    for number in _objects("shm"):
        library.shmctl(number, _IPC_RMID, None)
