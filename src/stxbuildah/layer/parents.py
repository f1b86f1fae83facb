# SPDX-License-Identifier: Apache-2.0
"""The folders above a layer's entries, which a layer has with the modes that the image has.

A layer that leaves one out, or has it with another mode, changes that of the image.
"""

from collections.abc import Collection, Iterable, Iterator

from stxbuildah.layer.paths import parent
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import FileTree, Kind

_NEW_MODE = 0o755


def with_parents(tree: FileTree, entries: Iterable[LayerEntry]) -> LayerContent:
    """Give a layer of some entries and of the folders above them that are not among them.

    Args:
        tree: the image.
        entries: one a path.
    """
    found = {entry.path: entry for entry in entries}
    found |= {entry.path: entry for entry in parent_entries(tree, folders_above(found) - found.keys())}
    return LayerContent(tuple(found[path] for path in sorted(found)))


def folders_above(paths: Iterable[str]) -> set[str]:
    """Give every folder above some paths, the root left out."""
    found: set[str] = set()
    for path in paths:
        folder = parent(path)
        while folder != "/" and folder not in found:
            found.add(folder)
            folder = parent(folder)
    return found


def parent_entries(tree: FileTree, folders: Collection[str]) -> Iterator[LayerEntry]:
    """Give the entries of folders, as the image has them; of those that it lacks, with mode 755 and owner 0:0.

    Args:
        tree: the image; what is no folder in it counts as lacking.
        folders: with those that are above each of them and may be lacking.
    """
    new: set[str] = set()
    for path in sorted(folders):
        present = None if parent(path) in new else tree.lstat(path)
        if present is None or present.kind is not Kind.DIRECTORY:
            new.add(path)
            yield LayerEntry(path=path, change=Change.DIRECTORY, mode=_NEW_MODE)
        else:
            yield LayerEntry(path=path, change=Change.DIRECTORY, mode=present.mode, uid=present.uid, gid=present.gid)
