# SPDX-License-Identifier: Apache-2.0
"""The files that belong to an installed Python distribution, so that all of them can be taken away.

Where a list exists (RECORD, installed-files.txt), it is followed, but never out of the environment: what it names
elsewhere stays. To it come what installers leave unlisted: compiled modules, the metadata folder, scripts of entry
points. Distributions without a list are dealt with in ``unlisted_files``.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping

import attrs

from stxbuildah import log
from stxbuildah.layer.develop import link_target
from stxbuildah.layer.installed_scripts import script_files
from stxbuildah.layer.paths import base_name, is_below, join, normalize, parent, real_path
from stxbuildah.layer.sitepath import added_folders, path_files
from stxbuildah.layer.unlisted_files import unlisted_files
from stxbuildah.model.inventory import Distribution, MetadataFormat, PythonEnvironment, SchemeKind
from stxbuildah.model.tree import Entry, FileTree, Kind
from stxbuildah.model.value import Value

_MAXIMUM_LIST = 32 * 1024 * 1024
_COMPILED = re.compile(r"^(.+?)\.(?:cpython|pypy)-?\d+(?:\.opt-\w+)?\.pyc$")
# Folders below the data prefix that belong to the system however empty they are.
_SYSTEM_FOLDERS = re.compile(
    r"^(?:share/(?:man(?:/.*)?|doc|locale|info|applications|icons|bash-completion)|lib[0-9]*/.*)$"
)


@attrs.frozen(kw_only=True)
class FileEdit(Value):
    """A file that stays, changed.

    Attributes:
        path: canonical path of the file.
        content: its new content; None when nothing of it is left and it goes away.
    """

    path: str
    content: bytes | None


def files_of(tree: FileTree, environment: PythonEnvironment, distribution: Distribution) -> tuple[str, ...]:
    """Give every path that belongs to an installed distribution.

    Args:
        tree: the image.
        environment: the Python environment it is in.
        distribution: the distribution.

    Returns:
        Canonical paths of files and links that are there, sorted; no folders. Edits of shared files, which go with
        them, are given by ``edits_of``.

    Raises:
        InputError: it has no list of its files, and they cannot be told from other distributions' files.
    """
    collected = _Collected(tree, environment, distribution)
    metadata = distribution.metadata_path
    if distribution.format is MetadataFormat.EGG_LINK:
        collected.add(metadata)
    elif distribution.format is MetadataFormat.EGG:
        collected.add_below(metadata)
    else:
        listed = _listed(tree, distribution)
        collected.add_all(listed if listed is not None else unlisted_files(tree, environment, distribution))
        collected.add_below(metadata)
    for path in script_files(tree, environment, distribution):
        collected.add(path)
    collected.add_compiled()
    return tuple(sorted(collected.paths))


def edits_of(tree: FileTree, environment: PythonEnvironment, *distributions: Distribution) -> tuple[FileEdit, ...]:
    """Give the changes to ``.pth`` files that take distributions off the search path: eggs, and develop links.

    Several that go at once are given together: they may share one easy-install.pth, which is edited once for all.

    Args:
        tree: the image.
        environment: the Python environment they are in.
        distributions: what goes.

    Returns:
        One edit for each file, sorted by path.
    """
    targets: set[str] = set()
    for distribution in distributions:
        if distribution.format is MetadataFormat.EGG:
            targets.add(distribution.metadata_path)
        elif distribution.format is MetadataFormat.EGG_LINK:
            targets.add(link_target(tree, distribution.metadata_path) or "")
    targets.discard("")
    edits: dict[str, FileEdit] = {}
    for folder in environment.search_path if targets else ():
        for file in path_files(tree, folder):
            if not targets.isdisjoint(added_folders(tree, folder, file)):
                path = real_path(tree, file.path) or file.path
                edits[path] = FileEdit(path=path, content=_without(tree, folder, tree.read(path), targets))
    return tuple(edits[path] for path in sorted(edits))


def _without(tree: FileTree, folder: str, content: bytes, targets: set[str]) -> bytes | None:
    kept = [
        line
        for line in content.splitlines(keepends=True)
        if real_path(tree, join(folder, line.decode("utf-8", "surrogateescape").rstrip())) not in targets
    ]
    # What is left of easy-install.pth may be only the two programs around its lines.
    if all(not line.strip() or line.startswith((b"#", b"import sys;")) for line in kept):
        return None
    return b"".join(kept)


def emptied_directories(tree: FileTree, environment: PythonEnvironment, removed: Iterable[str]) -> tuple[str, ...]:
    """Give the folders that hold nothing any more once some paths are gone, sorted.

    Only folders that a distribution can have brought: below a folder of the search path or the headers' folder, in a
    virtual environment, or folders of the data prefix that are not the system's. The environment's own folders stay.
    """
    gone = set(removed)
    stay = {environment.prefix, environment.data, environment.scripts, environment.headers}
    stay |= {environment.purelib, environment.platlib}
    stay |= {folder for folder in environment.search_path if not folder.endswith(".egg")}
    homes = (*environment.search_path, environment.purelib, environment.platlib, environment.headers)
    emptied: set[str] = set()
    waiting = {parent(path) for path in gone}
    while waiting:
        folder = waiting.pop()
        if folder in stay or folder in emptied or not _may_go(environment, homes, folder):
            continue
        names = tree.scandir(folder)
        if names and all(f"{folder}/{name}" in gone or f"{folder}/{name}" in emptied for name in names):
            emptied.add(folder)
            waiting.add(parent(folder))
    return tuple(sorted(emptied))


def _may_go(environment: PythonEnvironment, homes: tuple[str, ...], folder: str) -> bool:
    if any(is_below(folder, home) for home in homes):
        return True
    if not is_below(folder, environment.data):
        return False
    if environment.kind is SchemeKind.VENV:
        return True
    inside = folder.removeprefix(environment.data).lstrip("/")
    return "/" in inside and not _SYSTEM_FOLDERS.match(inside)


def _listed(tree: FileTree, distribution: Distribution) -> Iterator[str] | None:
    """Give the paths that a distribution lists, made absolute; None when it has no list."""
    if distribution.format is MetadataFormat.DIST_INFO:
        content = _read(tree, f"{distribution.metadata_path}/RECORD")
        return None if content is None else _from_record(content, distribution.location)
    if distribution.format is MetadataFormat.EGG_INFO:
        content = _read(tree, f"{distribution.metadata_path}/installed-files.txt")
        if content is not None:
            # Relative to the egg-info folder itself.
            lines = content.decode("utf-8", "surrogateescape").splitlines()
            return (normalize(join(distribution.metadata_path, line)) for line in lines if line.strip())
    return None


def _read(tree: FileTree, path: str) -> bytes | None:
    real = real_path(tree, path)
    entry = tree.lstat(real) if real else None
    if real is None or entry is None or entry.kind is not Kind.FILE or entry.size > _MAXIMUM_LIST:
        return None
    return tree.read(real)


def _from_record(content: bytes, location: str) -> Iterator[str]:
    text = content.decode("utf-8", "surrogateescape")
    for line in text.splitlines():
        name = next(csv.reader([line]), [""])[0] if '"' in line else line.split(",", 1)[0]
        if name and "\0" not in name:
            yield normalize(join(location, name))


class _Collected:
    """Paths of one distribution, each folder of the image being asked for once."""

    def __init__(self, tree: FileTree, environment: PythonEnvironment, distribution: Distribution) -> None:
        self.paths: set[str] = set()
        self._tree = tree
        self._name = distribution.name
        self._folders: dict[str, tuple[str, Mapping[str, Entry]]] = {}
        self._homes = {
            environment.prefix,
            environment.data,
            environment.scripts,
            environment.purelib,
            environment.platlib,
            environment.headers,
            distribution.location,
        }
        self._never = {environment.interpreter, environment.real_interpreter}

    def add_all(self, paths: Iterable[str]) -> None:
        for path in paths:
            self.add(path)

    def add(self, path: str) -> None:
        """Take a path when it is a file or link of the environment; a folder is none of its distribution's files."""
        folder, names = self._folder(parent(path))
        entry = names.get(base_name(path))
        if entry is None or entry.kind is Kind.DIRECTORY:
            return
        real = join(folder, base_name(path))
        if real in self._never or not any(is_below(real, home) for home in self._homes):
            log.warning("inventory.file.outside", distribution=self._name, path=real)
            return
        self.paths.add(real)

    def add_below(self, path: str) -> None:
        """Take a path and, when it is a folder, everything below it; links are taken and not followed."""
        folder, names = self._folder(parent(path))
        entry = names.get(base_name(path))
        if entry is None or entry.kind is not Kind.DIRECTORY:
            self.add(path)
            return
        real = join(folder, base_name(path))
        for name in self._folder(real)[1]:
            self.add_below(f"{real}/{name}")

    def add_compiled(self) -> None:
        """Take the compiled form of every module taken so far: in ``__pycache__``, and beside it for Python 2."""
        modules: dict[str, set[str]] = {}
        for path in self.paths:
            if path.endswith(".py"):
                modules.setdefault(parent(path), set()).add(base_name(path).removesuffix(".py"))
        for folder, stems in modules.items():
            names = self._folder(folder)[1]
            self.add_all(f"{folder}/{stem}{end}" for stem in stems for end in (".pyc", ".pyo") if stem + end in names)
            if "__pycache__" not in names:
                continue
            cache = f"{folder}/__pycache__"
            for name in self._folder(cache)[1]:
                compiled = _COMPILED.match(name)
                if compiled and compiled[1] in stems:
                    self.add(f"{cache}/{name}")

    def _folder(self, path: str) -> tuple[str, Mapping[str, Entry]]:
        known = self._folders.get(path)
        if known is None:
            real = real_path(self._tree, path) or path
            known = self._folders[path] = (real, self._tree.scandir(real))
        return known
