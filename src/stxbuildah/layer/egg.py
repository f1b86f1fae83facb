# SPDX-License-Identifier: Apache-2.0
"""Eggs that are one archive each, as ``setup.py install`` left them for distributions marked as safe for it."""

from collections.abc import Mapping

from stxbuildah.model.tree import FileTree, Kind

_MAXIMUM_EGG = 64 * 1024 * 1024
_MAXIMUM_METADATA = 4 * 1024 * 1024
_FOLDER = "EGG-INFO/"


def zipped_metadata(tree: FileTree, path: str) -> Mapping[str, bytes]:
    """Give the files of an archive's EGG-INFO by their names in it, as ``scripts/tool``; nothing when it has none.

    Args:
        tree: the image.
        path: canonical path of the egg.
    """
    import io
    import zipfile

    entry = tree.lstat(path)
    if entry is None or entry.kind is not Kind.FILE or entry.size > _MAXIMUM_EGG:
        return {}
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(tree.read(path))) as archive:
            for member in archive.infolist():
                name = member.filename.removeprefix(_FOLDER)
                if name != member.filename and not member.is_dir() and member.file_size <= _MAXIMUM_METADATA:
                    found[name] = archive.read(member)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, OSError, RuntimeError, ValueError):
        return {}
    return found
