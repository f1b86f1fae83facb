# SPDX-License-Identifier: Apache-2.0
"""What ``dpkg --purge`` does to an image when packages' own scripts do nothing that could be seen, computed.

Whether that is all for some packages, only running it once can tell. Where it was, it is for every image that has the
same packages, the same settings of dpkg, and nothing that needs what goes; no container is needed there.
"""

import hashlib
import io
import json
import re
from collections.abc import Collection, Iterable, Iterator
from functools import partial

from stxbuildah.layer.debdepends import read_dependencies
from stxbuildah.layer.dpkg import files_of_package
from stxbuildah.layer.parents import with_parents
from stxbuildah.layer.paths import base_name, normalize, parent, real_parent
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, FileTree, Kind

# Raised when what is computed changes.
_REVISION = 1
_DATABASE = "/var/lib/dpkg"
_STATUS = f"{_DATABASE}/status"
_INFORMATION = f"{_DATABASE}/info"
# What tells dpkg, besides the packages' own files, what is there and how to go about it.
_SETTINGS = (
    f"{_DATABASE}/diversions", f"{_DATABASE}/statoverride", f"{_DATABASE}/triggers/File",
    f"{_DATABASE}/triggers/Unincorp", "/etc/dpkg/dpkg.cfg",
)  # fmt: skip
_SETTINGS_FOLDER = "/etc/dpkg/dpkg.cfg.d"
_PACKAGE = re.compile(rb"^Package:[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_CACHE = "__pycache__"


def purge_key(tree: FileTree, packages: Collection[str]) -> str:
    """Give a name for all that decides what removing packages does when nothing needs them.

    That is what dpkg knows of them, their scripts, and dpkg's own settings, triggers and diversions.

    Args:
        tree: the image.
        packages: names of installed packages, none with an architecture.
    """
    settings = [f"{_SETTINGS_FOLDER}/{name}" for name in sorted(tree.scandir(_SETTINGS_FOLDER))]
    paths = (*_SETTINGS, *settings, *_information(tree, packages))
    digests = {path: _digest(tree, path) for path in paths}
    told = [hashlib.sha256(one).hexdigest() for one in _paragraphs(tree) if _name(one) in packages]
    return hashlib.sha256(json.dumps([_REVISION, sorted(packages), told, digests]).encode()).hexdigest()


def are_needed(tree: FileTree, packages: frozenset[str]) -> bool:
    """Tell whether an installed package that stays may need one that goes, by itself or by what that stands in for."""
    dependencies = read_dependencies(tree)
    standing_in = (name for name, others in dependencies.providers.items() if not packages.isdisjoint(others))
    names = {*packages, *standing_in}
    return any(
        not names.isdisjoint(alternatives)
        for package, needs in dependencies.needs.items()
        if package not in packages
        for alternatives in needs
    )


def purge_content(tree: FileTree, packages: Collection[str]) -> LayerContent:
    """Give the layer that takes away all that installed packages have brought, and what dpkg knows of them.

    Args:
        tree: the image.
        packages: names of installed packages, none with an architecture.
    """
    listed = {normalize(path) for package in packages for path in files_of_package(tree, package)} - {"/"}
    above = {parent(path) for path in listed}
    present: dict[str, Entry] = {}
    for path in listed:
        real = real_parent(tree, path)
        entry = tree.lstat(real) if real is not None else None
        # A folder of the list may be a link in the image, as /lib is: it stays.
        if real is not None and entry is not None and not (entry.kind is Kind.SYMLINK and path in above):
            present[real] = entry
    folders = [path for path, entry in present.items() if entry.kind is Kind.DIRECTORY]
    gone = {path for path, entry in present.items() if entry.kind is not Kind.DIRECTORY}
    gone.update(_information(tree, packages))
    gone.update(_compiled(tree, gone))
    # Folders that become empty, the deepest first; compiled files lie in folders that no package lists.
    caches = {parent(path) for path in gone if base_name(parent(path)) == _CACHE}
    for folder in sorted({*folders, *caches}, key=lambda path: path.count("/"), reverse=True):
        if all(f"{folder}/{name}" in gone for name in tree.scandir(folder)):
            gone.add(folder)
    entries = {path: LayerEntry(path=path, change=Change.WHITEOUT) for path in gone if parent(path) not in gone}
    status = tree.lstat(_STATUS)
    if status is not None:
        left = [paragraph for paragraph in _paragraphs(tree) if _name(paragraph) not in packages]
        entries[_STATUS] = _file(_STATUS, status, b"\n\n".join(left))
    return with_parents(tree, entries.values())


def have_same_effect(one: LayerContent, other: LayerContent) -> bool:
    """Tell whether two layers do the same to an image; only layers without links are the same."""
    return len(one.entries) == len(other.entries) and all(map(_is_same, one.entries, other.entries))


def _is_same(one: LayerEntry, other: LayerEntry) -> bool:
    if one.path != other.path or one.change is not other.change:
        return False
    if one.change is Change.WHITEOUT:
        return True
    if (one.mode, one.uid, one.gid, one.xattrs) != (other.mode, other.uid, other.gid, other.xattrs):
        return False
    return one.change is Change.DIRECTORY or (one.change is Change.FILE and _read(one) == _read(other))


def _read(entry: LayerEntry) -> bytes:
    if entry.opener is None:
        return b""
    with entry.opener() as stream:
        return stream.read()


def _information(tree: FileTree, packages: Collection[str]) -> list[str]:
    """Give the paths of what dpkg keeps of packages, as ``NAME.list`` and ``NAME:ARCHITECTURE.list``."""
    names = sorted(tree.scandir(_INFORMATION))
    return [f"{_INFORMATION}/{name}" for name in names if name.rpartition(".")[0].partition(":")[0] in packages]


def _compiled(tree: FileTree, paths: Iterable[str]) -> Iterator[str]:
    """Give what Python has compiled from modules (PEP 3147), which py3clean removes with them."""
    modules: dict[str, set[str]] = {}
    for path in paths:
        if path.endswith(".py"):
            modules.setdefault(parent(path), set()).add(base_name(path).removesuffix(".py"))
    for folder, stems in modules.items():
        for name in tree.scandir(f"{folder}/{_CACHE}"):
            if name.endswith(".pyc") and name.partition(".")[0] in stems:
                yield f"{folder}/{_CACHE}/{name}"


def _paragraphs(tree: FileTree) -> list[bytes]:
    """Give the paragraphs of the status file, one a package; behind the last is an empty one."""
    entry = tree.lstat(_STATUS)
    return tree.read(_STATUS).split(b"\n\n") if entry is not None and entry.kind is Kind.FILE else []


def _name(paragraph: bytes) -> str:
    found = _PACKAGE.search(paragraph)
    return found[1].decode("utf-8", "replace") if found else ""


def _file(path: str, entry: Entry, data: bytes) -> LayerEntry:
    return LayerEntry(
        path=path, change=Change.FILE, mode=entry.mode, uid=entry.uid, gid=entry.gid, size=len(data),
        opener=partial(io.BytesIO, data),
    )  # fmt: skip


def _digest(tree: FileTree, path: str) -> str:
    """Give the digest of a file; empty when there is none."""
    entry = tree.lstat(path)
    if entry is None or entry.kind is not Kind.FILE:
        return ""
    return hashlib.sha256(tree.read(path)).hexdigest()
