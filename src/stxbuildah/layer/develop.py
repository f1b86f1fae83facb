# SPDX-License-Identifier: Apache-2.0
"""``.egg-link`` files, by which ``setup.py develop`` installs a source folder where it is."""

from stxbuildah.layer.paths import join, parent, real_path
from stxbuildah.model.tree import FileTree, Kind

_MAXIMUM_LINK = 64 * 1024


def link_target(tree: FileTree, path: str) -> str | None:
    """Give the canonical source folder that an ``.egg-link`` names in its first line; None when it names none.

    Args:
        tree: the image.
        path: path of the ``.egg-link``.
    """
    real = real_path(tree, path)
    entry = tree.lstat(real) if real else None
    if real is None or entry is None or entry.kind is not Kind.FILE or entry.size > _MAXIMUM_LINK:
        return None
    line = tree.read(real).decode("utf-8", "surrogateescape").partition("\n")[0].strip()
    return real_path(tree, join(parent(path), line)) if line and "\0" not in line else None
