# SPDX-License-Identifier: Apache-2.0
"""An image with one more layer, as a file tree: what the new image will hold, before it exists."""

from collections.abc import Mapping

from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import Entry, FileTree, Kind

_KINDS = {
    Change.FILE: Kind.FILE,
    Change.HARDLINK: Kind.FILE,
    Change.DIRECTORY: Kind.DIRECTORY,
    Change.SYMLINK: Kind.SYMLINK,
}


class OverlaidTree:
    """A file tree seen through a layer on top of it, by the rules of the OCI image specification, "Layer".

    Args:
        base: the tree below.
        content: the layer.
    """

    def __init__(self, base: FileTree, content: LayerContent) -> None:
        self._base = base
        self._added: dict[str, LayerEntry] = {}
        self._children: dict[str, set[str]] = {}
        self._gone: set[str] = set()
        self._opaque: set[str] = set()
        for entry in content.entries:
            if entry.change is Change.WHITEOUT:
                self._gone.add(entry.path)
            elif entry.change is Change.OPAQUE:
                self._opaque.add(entry.path)
            else:
                self._added[entry.path] = entry
                parent, _, name = entry.path.rpartition("/")
                self._children.setdefault(parent or "/", set()).add(name)

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        added = self._added.get(path)
        if added is not None:
            return self._entry(added)
        return None if self._hidden(path) else self._base.lstat(path)

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name; empty when it is no directory."""
        added = self._added.get(path)
        if added is not None and added.change is not Change.DIRECTORY:
            return {}
        hidden = path in self._opaque or path in self._gone or self._hidden(path)
        below = "" if path == "/" else path
        found = {} if hidden else {
            name: entry for name, entry in self._base.scandir(path).items() if f"{below}/{name}" not in self._gone
        }  # fmt: skip
        for name in self._children.get(path, ()):
            found[name] = self._entry(self._added[f"{below}/{name}"])
        return found

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        added = self._added.get(path)
        if added is None:
            if self._hidden(path):
                raise FileNotFoundError(path)
            return self._base.read(path)
        if added.change is Change.HARDLINK:
            return self.read(added.target)
        if added.opener is None:
            raise FileNotFoundError(path)
        with added.opener() as stream:
            return stream.read()

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        if path in self._added or self._hidden(path):
            return self.read(path)[:size]
        return self._base.read_start(path, size)

    def _hidden(self, path: str) -> bool:
        """Say whether the layer takes away what the base has at a path."""
        if path in self._gone:
            return True
        parent = path.rpartition("/")[0]
        while parent:
            if parent in self._gone or parent in self._opaque:
                return True
            added = self._added.get(parent)
            if added is not None and added.change is not Change.DIRECTORY:
                return True
            parent = parent.rpartition("/")[0]
        return False

    def _entry(self, added: LayerEntry) -> Entry:
        size = added.size
        if added.change is Change.HARDLINK:
            linked = self.lstat(added.target)
            size = linked.size if linked is not None else 0
        return Entry(
            kind=_KINDS[added.change],
            mode=added.mode,
            uid=added.uid,
            gid=added.gid,
            size=size,
            target=added.target if added.change is Change.SYMLINK else "",
        )
