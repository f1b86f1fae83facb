# SPDX-License-Identifier: Apache-2.0
"""A file tree that is held in memory."""

from collections.abc import Mapping

import attrs

from stxbuildah.layer.paths import base_name, normalize, parent
from stxbuildah.model.tree import Entry, FileTree, Kind

_FOLDER = Entry(Kind.DIRECTORY, mode=0o755)


def symlink(target: str) -> Entry:
    """Give the entry of a symbolic link."""
    return Entry(Kind.SYMLINK, mode=0o777, target=target)


class MemoryTree(FileTree):
    """A file tree made from values; parent folders are made with mode 755 where they are not given.

    Args:
        content: by absolute path: bytes of a file with mode 644, an entry without content (a folder, a link, an empty
            file), or an entry with a file's bytes, whose size is set to theirs.

    Raises:
        ValueError: something is given below a path that is no directory.
    """

    def __init__(self, content: Mapping[str, bytes | Entry | tuple[Entry, bytes]]) -> None:
        self._entries: dict[str, Entry] = {"/": _FOLDER}
        self._names: dict[str, dict[str, Entry]] = {"/": {}}
        self._files: dict[str, bytes] = {}
        for path in sorted(content):
            self._add(normalize(path), content[path])

    def _add(self, path: str, value: bytes | Entry | tuple[Entry, bytes]) -> None:
        if isinstance(value, bytes):
            value = (Entry(Kind.FILE), value)
        entry, data = value if isinstance(value, tuple) else (value, b"")
        if entry.kind is Kind.FILE:
            entry = attrs.evolve(entry, size=len(data))
            self._files[path] = data
        self._put(path, entry)

    def _put(self, path: str, entry: Entry) -> None:
        self._entries[path] = entry
        if entry.kind is Kind.DIRECTORY:
            self._names.setdefault(path, {})
        if path == "/":
            return
        folder = parent(path)
        known = self._entries.get(folder)
        if known is None:
            self._put(folder, _FOLDER)
        elif known.kind is not Kind.DIRECTORY:
            raise ValueError(f"{path} is below {folder}, which is no directory")
        self._names[folder][base_name(path)] = entry

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        return self._entries.get(path)

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name; empty when it is no directory."""
        return self._names.get(path, {})

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        try:
            return self._files[path]
        except KeyError:
            raise FileNotFoundError(path) from None
