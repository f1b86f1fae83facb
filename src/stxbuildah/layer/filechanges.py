# SPDX-License-Identifier: Apache-2.0
"""Files to write and to remove, as a layer's content."""

import io
from collections.abc import Mapping
from functools import partial

from stxbuildah.errors import BuildError
from stxbuildah.layer.parents import folders_above, with_parents
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import FileTree, Kind


def file_changes(tree: FileTree, files: Mapping[str, bytes | None]) -> LayerContent:
    """Give the layer that writes and removes files of an image; folders are made where they are missing.

    Args:
        tree: the image's files.
        files: content by absolute path; None for what goes away, which need not be there.

    Raises:
        BuildError: a folder of a file is none in the image; a link is not followed.
    """
    entries: dict[str, LayerEntry] = {}
    for path, content in files.items():
        if content is None:
            if tree.lstat(path) is None:
                continue
            entries[path] = LayerEntry(path=path, change=Change.WHITEOUT, mode=0)
        else:
            opener = partial(io.BytesIO, content)
            entries[path] = LayerEntry(path=path, change=Change.FILE, mode=0o644, size=len(content), opener=opener)
    for folder in sorted(folders_above(entries)):
        found = tree.lstat(folder)
        if found is not None and found.kind is not Kind.DIRECTORY:
            raise BuildError(f"the image's {folder} is a {found.kind.value} and no folder")
    return with_parents(tree, entries.values())
