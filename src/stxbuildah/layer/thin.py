# SPDX-License-Identifier: Apache-2.0
"""What of a working container's changes belongs into an update's layer: what was asked for, and nothing else.

A path that is dropped stays as the base image has it, deletions too.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import attrs

from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, FileTree, Kind
from stxbuildah.model.value import Value


@attrs.frozen
class Rule(Value):
    """Paths that never belong into an update's layer.

    Attributes:
        pattern: absolute path with ``*`` inside one component; covers everything below a match too.
        reason: why.
    """

    pattern: str
    reason: str


_LIST = "package lists are out of date as soon as they are written, and fetched again when needed"
_CACHE = "a cache is made again when needed"
_LOG = "tells of the build, with its times, and not of the image"
_LOCK = "a lock file has no meaning once its owner has ended"
_BACKUP = "the state before the last change, which the base image holds anyway"
_SQLITE = "SQLite's log and its index, whose content rpm moves into the database when it closes it"
_STATE = "exists only while a container runs"

RULES: tuple[Rule, ...] = (
    Rule("/image-update", "the update's own inputs are mounted there"),
    Rule("/run", _STATE),
    Rule("/dev", _STATE),
    Rule("/proc", _STATE),
    Rule("/sys", _STATE),
    Rule("/tmp", "temporary files"),  # noqa: S108 # a path of the image
    Rule("/var/tmp", "temporary files"),  # noqa: S108 # a path of the image
    Rule("/etc/resolv.conf", "made anew for each container"),
    Rule("/etc/hosts", "made anew for each container"),
    Rule("/etc/mtab", "made anew for each container"),
    Rule("/etc/machine-id", "names one machine, and an image is none"),
    Rule("/var/lib/dbus/machine-id", "names one machine, and an image is none"),
    Rule("/etc/.pwd.lock", _LOCK),
    Rule("/etc/passwd-", _BACKUP),
    Rule("/etc/group-", _BACKUP),
    Rule("/etc/shadow-", _BACKUP),
    Rule("/etc/gshadow-", _BACKUP),
    Rule("/etc/subuid-", _BACKUP),
    Rule("/etc/subgid-", _BACKUP),
    Rule("/root/.cache", _CACHE),
    Rule("/var/lib/apt/lists/*", _LIST),
    Rule("/var/lib/apt/periodic/*", "when apt ran last"),
    Rule("/var/cache/apt/*", _CACHE),
    Rule("/var/cache/debconf/*-old", _BACKUP),
    Rule("/var/cache/debconf/tmp.ci", "where debconf unpacks the questions of packages before it asks them"),
    Rule("/var/cache/dnf", _LIST),
    Rule("/var/cache/libdnf5", _LIST),
    Rule("/var/cache/yum", _LIST),
    Rule("/var/cache/ldconfig/aux-cache", "holds inode numbers and times of the build"),
    Rule("/var/cache/man", _CACHE),
    Rule("/var/lib/dnf/history.sqlite*", "who ran which dnf command when"),
    Rule("/var/lib/yum/history", "who ran which yum command when"),
    Rule("/var/lib/dpkg/*-old", _BACKUP),
    Rule("/var/lib/dpkg/lock", _LOCK),
    Rule("/var/lib/dpkg/lock-frontend", _LOCK),
    Rule("/var/lib/dpkg/triggers/Lock", _LOCK),
    Rule("/var/lib/rpm/.rpm.lock", _LOCK),
    Rule("/var/lib/rpm/.dbenv.lock", _LOCK),
    Rule("/var/lib/rpm/rpmdb.sqlite-*", _SQLITE),
    Rule("/var/lib/rpm/__db.*", "Berkeley DB's shared memory, of no meaning on another machine"),
    Rule("/usr/lib/sysimage/rpm/.rpm.lock", _LOCK),
    Rule("/usr/lib/sysimage/rpm/rpmdb.sqlite-*", _SQLITE),
    Rule("/usr/lib/sysimage/rpm/__db.*", "Berkeley DB's shared memory, of no meaning on another machine"),
    Rule("/var/log/dpkg.log", _LOG),
    Rule("/var/log/alternatives.log", _LOG),
    Rule("/var/log/apt", _LOG),
    Rule("/var/log/dnf*", _LOG),
    Rule("/var/log/yum*", _LOG),
    Rule("/var/log/hawkey*", _LOG),
)

# Files that the engine makes, empty, where an image lacks them, to mount the host's on; RULES has the others.
_MADE_WHERE_MISSING = frozenset({"/etc/hostname", "/etc/hosts", "/etc/resolv.conf"})
_CACHE_FOLDER = "__pycache__"


def thin(
    entries: Iterable[LayerEntry], *, mount_points: Collection[str], base: FileTree, keep_bytecode: bool
) -> LayerContent:
    """Keep what belongs into an update's layer.

    Args:
        entries: everything that changed in a working container, with the parent folders.
        mount_points: paths inside the container that something was mounted on.
        base: the image it was made from.
        keep_bytecode: keep compiled Python files.

    Returns:
        The layer. Compiled files of the base whose source is replaced or removed are taken away in it.
    """
    changed = {entry.path: entry for entry in entries}
    kept = {
        path: entry
        for path, entry in changed.items()
        if not _RULES.fullmatch(path)
        and not _is_made_by_engine(entry, mount_points, base)
        and (keep_bytecode or not _is_bytecode(entry, changed, base))
    }
    kept = _without_dropped_origins(kept, changed)
    kept |= _stale_bytecode(kept, base)
    _remove_empty_parents(kept, changed, mount_points, base)
    return LayerContent(tuple(kept[path] for path in sorted(kept)))


def reason_against(path: str) -> str:
    """Give why a path never belongs into an update's layer; empty when it may."""
    for rule in RULES:
        if re.fullmatch(_expression(rule.pattern), path, re.DOTALL):
            return rule.reason
    return ""


def _expression(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "[^/]*") + "(?:/.*)?"


_RULES = re.compile("|".join(_expression(rule.pattern) for rule in RULES), re.DOTALL)


def _is_made_by_engine(entry: LayerEntry, mount_points: Collection[str], base: FileTree) -> bool:
    """Tell whether an entry is no more than a place to mount on: empty, and new."""
    if entry.path not in _MADE_WHERE_MISSING and entry.path not in mount_points:
        return False
    empty = entry.change is Change.DIRECTORY or (entry.change is Change.FILE and entry.size == 0)
    return empty and base.lstat(entry.path) is None


def _is_bytecode(entry: LayerEntry, changed: Mapping[str, LayerEntry], base: FileTree) -> bool:
    """Tell whether an entry is a compiled file that Python makes again, or the folder for such.

    A compiled file beside no source, outside of ``__pycache__``, is a module of its own. A whiteout stays: whoever
    removed the compiled file meant it.
    """
    if entry.change is Change.WHITEOUT:
        return False
    parent, _, name = entry.path.rpartition("/")
    if _CACHE_FOLDER in entry.path.split("/"):
        return entry.change is not Change.DIRECTORY or base.lstat(entry.path) is None
    if not name.endswith((".pyc", ".pyo")):
        return False
    source = f"{parent}/{name[:-1]}"
    if source in changed:
        return changed[source].change is not Change.WHITEOUT
    return base.lstat(source) is not None


def _without_dropped_origins(
    kept: Mapping[str, LayerEntry], changed: Mapping[str, LayerEntry]
) -> dict[str, LayerEntry]:
    """Make the first kept name of a file the file itself, where the name that the others link to is dropped."""
    new_origin: dict[str, str] = {}
    result = dict(kept)
    for path in sorted(kept):
        entry = kept[path]
        if entry.change is not Change.HARDLINK or entry.target in kept:
            continue
        if entry.target in new_origin:
            result[path] = attrs.evolve(entry, target=new_origin[entry.target])
        else:
            new_origin[entry.target] = path
            origin = changed[entry.target]
            result[path] = attrs.evolve(entry, change=Change.FILE, target="", size=origin.size, opener=origin.opener)
    return result


def _stale_bytecode(kept: Mapping[str, LayerEntry], base: FileTree) -> dict[str, LayerEntry]:
    """Give whiteouts for the base's compiled files whose source is replaced or removed, and their folders.

    Python compares a source's time and size with those in the compiled file; with all times of a layer alike, another
    source of the same size would go unnoticed.
    """
    added: dict[str, LayerEntry] = {}
    compiled = _Compiled(base)
    for path in sorted(kept):
        if not path.endswith(".py") or kept[path].change is Change.DIRECTORY:
            continue
        for stale in compiled.from_source(path):
            if stale in kept or any(_is_removed(parent, kept) for parent in _parents(stale)):
                continue
            added[stale] = LayerEntry(path=stale, change=Change.WHITEOUT, mode=0)
            folder = stale.rpartition("/")[0]
            found = base.lstat(folder)
            if folder not in kept and found is not None:
                added[folder] = LayerEntry(
                    path=folder, change=Change.DIRECTORY, mode=found.mode, uid=found.uid, gid=found.gid
                )
    return added


class _Compiled:
    """Finds the base's compiled files; asks once for each folder."""

    def __init__(self, base: FileTree) -> None:
        self._base = base
        self._folders: dict[str, tuple[Mapping[str, Entry], Mapping[str, Entry]]] = {}

    def from_source(self, source: str) -> Iterator[str]:
        """Give the paths of what Python made from a source file."""
        parent, _, name = source.rpartition("/")
        folder = f"{parent}/{_CACHE_FOLDER}"
        if parent not in self._folders:
            self._folders[parent] = (self._base.scandir(parent or "/"), self._base.scandir(folder))
        beside, inside = self._folders[parent]
        # PEP 3147: spam.py is compiled to __pycache__/spam.cpython-313.pyc, or spam.cpython-313.opt-1.pyc.
        stem = name.removesuffix("py")
        yield from (f"{folder}/{made}" for made in inside if made.startswith(stem) and made.endswith(".pyc"))
        yield from (f"{source}{suffix}" for suffix in ("c", "o") if f"{name}{suffix}" in beside)


def _is_removed(path: str, kept: Mapping[str, LayerEntry]) -> bool:
    return path in kept and kept[path].change is not Change.DIRECTORY


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _remove_empty_parents(
    kept: dict[str, LayerEntry],
    changed: Mapping[str, LayerEntry],
    mount_points: Collection[str],
    base: FileTree,
) -> None:
    """Remove the folders that are there only for what was dropped from them."""
    needed = {parent for path, entry in kept.items() if not _is_folder(entry) for parent in _parents(path)}
    had_content = {parent for path in changed for parent in _parents(path)}
    made_on_the_way = {parent for point in (*mount_points, *_MADE_WHERE_MISSING) for parent in _parents(point)}
    # The deepest first: a new empty folder that stays needs its parents.
    for path in sorted((path for path, entry in kept.items() if _is_folder(entry)), reverse=True):
        if path in needed or not _is_idle(kept[path], path in had_content, path in made_on_the_way, base):
            needed.update(_parents(path))
        else:
            del kept[path]


def _is_idle(folder: LayerEntry, had_content: bool, made_on_the_way: bool, base: FileTree) -> bool:  # noqa: FBT001
    """Tell whether a folder without kept content is no change by itself."""
    found = base.lstat(folder.path)
    if found is None:
        return made_on_the_way
    unchanged = (found.kind, found.mode, found.uid, found.gid) == (
        Kind.DIRECTORY, folder.mode, folder.uid, folder.gid,
    )  # fmt: skip
    # One that had no content in the list either is there for itself, as for an attribute.
    return unchanged and had_content


def _is_folder(entry: LayerEntry) -> bool:
    return entry.change is Change.DIRECTORY
