# SPDX-License-Identifier: Apache-2.0
"""Put together a layer from what goes and what comes."""

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

import attrs

from stxbuildah.layer.destination import InstalledFile
from stxbuildah.layer.installed_files import FileEdit, emptied_directories
from stxbuildah.layer.parents import folders_above, parent_entries
from stxbuildah.layer.paths import base_name, parent
from stxbuildah.layer.removal import Removal
from stxbuildah.model.inventory import PythonEnvironment
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import FileTree
from stxbuildah.model.value import Value

_COMPILED = re.compile(r"(?P<module>[^/]+?)\.(?:cpython|pypy)-?\d+(?:\.opt-\w+)?\.pyc")


@attrs.frozen(kw_only=True)
class AddedFile(Value):
    """A file of a wheel and whether the image has it already.

    Attributes:
        file: the file.
        unchanged: the image has the same content with the same mode and owner at its place.
        replaces_stranger: the image has a file there that is none of an old version.
    """

    file: InstalledFile
    unchanged: bool
    replaces_stranger: bool


def whiteouts(paths: Iterable[str]) -> LayerContent:
    """Give a layer that takes some paths away and does nothing else."""
    return LayerContent(tuple(LayerEntry(path=path, change=Change.WHITEOUT) for path in sorted(paths)))


def assemble(
    tree: FileTree, environment: PythonEnvironment, removal: Removal, added: Mapping[str, AddedFile]
) -> tuple[LayerEntry, ...]:
    """Give a layer's entries.

    Args:
        tree: the image.
        environment: the Python environment that changes.
        removal: what goes.
        added: what comes, by canonical path.

    Returns:
        Sorted by path: a whiteout for each path that goes and is not replaced, the topmost folder in place of all that
        is below it; the new files; and every folder above any of these, with the image's mode and owner if it is there
        and not a link that goes, else with mode 755 and owner 0:0.
    """
    kept = {path for path, file in added.items() if file.unchanged}
    gone = set(removal.files) - added.keys()
    gone -= {path for path in gone if _source(path) in kept}
    gone |= set(_stale_bytecode(tree, (path for path, file in added.items() if file.replaces_stranger)))
    entries = {path: _file(path, file.file) for path, file in added.items() if not file.unchanged}
    for edit in removal.edits:
        if edit.content is None and edit.path not in added:
            gone.add(edit.path)
        elif edit.content is not None and edit.path not in added and edit.path not in gone:
            entries[edit.path] = _edited(tree, edit, edit.content)
    for path in _topmost(tree, environment, gone, added.keys()):
        entries[path] = LayerEntry(path=path, change=Change.WHITEOUT)
    entries.update((folder.path, folder) for folder in parent_entries(tree, folders_above(entries)))
    return tuple(entries[path] for path in sorted(entries))


def _topmost(tree: FileTree, environment: PythonEnvironment, gone: set[str], added: Iterable[str]) -> Iterator[str]:
    """Give the paths to white out so that all of ``gone`` goes, and folders that nothing is left in."""
    coming = set(added)
    needed = folders_above(coming)
    emptied = set(emptied_directories(tree, environment, gone)) - needed
    # A file that goes may become a folder, and one that comes may take a folder's place: neither needs a whiteout.
    for path in (gone - needed) | (emptied - coming):
        if not any(folder in emptied for folder in folders_above([path])):
            yield path


def _file(path: str, file: InstalledFile) -> LayerEntry:
    return LayerEntry(path=path, change=Change.FILE, mode=file.mode, size=file.size, opener=file.opener)


def _edited(tree: FileTree, edit: FileEdit, content: bytes) -> LayerEntry:
    opener = partial(io.BytesIO, content)
    present = tree.lstat(edit.path)
    if present is None:
        return LayerEntry(path=edit.path, change=Change.FILE, size=len(content), opener=opener)
    return LayerEntry(
        path=edit.path,
        change=Change.FILE,
        mode=present.mode,
        uid=present.uid,
        gid=present.gid,
        size=len(content),
        opener=opener,
    )


def _source(path: str) -> str:
    """Give the module that a file was compiled from; empty when it is no compiled file."""
    folder, name = parent(path), base_name(path)
    compiled = _COMPILED.fullmatch(name)
    if compiled and base_name(folder) == "__pycache__":
        return f"{parent(folder)}/{compiled['module']}.py"
    return f"{folder}/{name[:-1]}" if name.endswith((".pyc", ".pyo")) else ""


def _stale_bytecode(tree: FileTree, replaced: Iterable[str]) -> Iterator[str]:
    """Give the compiled forms of modules that are replaced though no distribution's list has them."""
    modules: dict[str, set[str]] = {}
    for path in replaced:
        if path.endswith(".py"):
            modules.setdefault(parent(path), set()).add(path)
    for folder, sources in modules.items():
        for cache in (folder, f"{folder}/__pycache__"):
            for name in tree.scandir(cache):
                if _source(f"{cache}/{name}") in sources:
                    yield f"{cache}/{name}"
