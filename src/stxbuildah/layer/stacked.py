# SPDX-License-Identifier: Apache-2.0
"""The file tree of an image, put together from the indexes of its layers.

Layers are put together by the OCI image specification, "Layer", as overlay filesystems do: what a higher layer has
hides what is at the same path below, but for two directories, whose contents are merged.
"""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.paths import join, parent, real_parent
from stxbuildah.model.tree import Entry, FileTree, Kind
from stxbuildah.model.value import Value

# Gives contents of regular files of one layer: the layer's number, counted from the lowest as 0, and absolute paths.
Fetch = Callable[[int, Collection[str]], Mapping[str, bytes]]

_KIB = 1024
_MIB = 1024 * _KIB
_MAXIMUM_FOLDERS = 20_000
# Contents that were fetched and are held in memory.
_MAXIMUM_FETCHED = 64 * _MIB
# What is fetched along with a file, because it is likely asked for next: of a module all files, else its neighbours.
_LIBRARIES = frozenset({"site-packages", "dist-packages"})
_MODULE_FILE, _MODULE = _MIB, 32 * _MIB
_NEIGHBOUR_FILE, _NEIGHBOURS = 64 * _KIB, 4 * _MIB


@attrs.frozen
class _Found(Value):
    """An entry, and the layer that has it; of a hard link to something below, the path there in ``linked``."""

    entry: Entry
    layer: int
    linked: str = ""


class StackedTree(FileTree):
    """The file tree of an image that was never unpacked. It can be used from several threads.

    A parent folder that a layer's tar leaves out is there with mode 755, as on overlay. The root is as the highest
    layer has it whose tar has it at all; containers/storage gives every image a root of mode 555 instead.

    Args:
        layers: the indexes of its layers, the lowest first; to be open as long as the tree is used.
        fetch: gives contents that the indexes do not have, by reading that layer again (``layerindex.read_files``).
            It may be asked for more paths than the one that is needed now, of which each saves a later call.
    """

    def __init__(self, layers: Sequence[LayerIndex], fetch: Fetch) -> None:
        self._layers = tuple(layers)
        self._fetch = fetch
        # The layers that have a folder, the highest first.
        self._folders: dict[str, tuple[int, ...]] = {}
        self._fetched: dict[tuple[int, str], bytes] = {}
        self._lock = threading.Lock()

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        if path == "/":
            roots = (layer.root for layer in reversed(self._layers))
            return next((root for root in roots if root is not None), Entry(Kind.DIRECTORY, mode=0o755))
        found = self._find(path)
        return found.entry if found else None

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name; empty when it is no directory."""
        merged: dict[str, Entry] = {}
        hidden: set[str] = set()
        for number in self._holders(path):
            folder = self._layers[number].folder(path)
            if folder is None:
                continue
            for name, entry in folder.entries.items():
                if name not in merged and name not in hidden:
                    merged[name] = entry
            for name, header in folder.links.items():
                if name not in merged and name not in hidden:
                    found = self._linked(number, header)
                    if found is not None:
                        merged[name] = found.entry
            hidden.update(folder.links, folder.whiteouts)
        return merged

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
            InputError: the layer cannot be read again, or the file is too big.
        """
        found = self._file(path)
        if found.linked:
            return self._below(found.layer).read(found.linked)
        content = self._layers[found.layer].content(path)
        return self._fetch_file(found, path) if content is None else content

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
            InputError: as ``read``.
        """
        found = self._file(path)
        if found.linked:
            return self._below(found.layer).read_start(found.linked, size)
        content = self._layers[found.layer].content_start(path, size)
        return self._fetch_file(found, path)[:size] if content is None else content

    def _holders(self, path: str) -> tuple[int, ...]:
        """Give the layers whose folders make up the folder at a path, the highest first; none when there is none."""
        known = self._folders.get(path)
        if known is not None:
            return known
        if len(self._folders) > _MAXIMUM_FOLDERS:
            self._folders = {}
        holders = self._folders["/"] = tuple(self._to_opaque("/", range(len(self._layers) - 1, -1, -1)))
        here = ""
        for name in path.split("/")[1:] if path != "/" else ():
            above, here = here or "/", f"{here}/{name}"
            known = self._folders.get(here)
            if known is None:
                known = tuple(self._to_opaque(here, self._directories(holders, above, name)))
                self._folders[here] = known
            holders = known
            if not holders:
                break
        return holders

    def _directories(self, holders: tuple[int, ...], above: str, name: str) -> Iterator[int]:
        """Give the layers in which a name is a directory, down to where something ends what is to be seen of it."""
        for number in holders:
            folder = self._layers[number].folder(above)
            if folder is None:
                continue
            entry = folder.entries.get(name)
            if entry is not None and entry.kind is Kind.DIRECTORY:
                yield number
            elif entry is not None or name in folder.links:
                return
            if name in folder.whiteouts:
                return

    def _to_opaque(self, path: str, numbers: Iterable[int]) -> Iterator[int]:
        for number in numbers:
            yield number
            folder = self._layers[number].folder(path)
            if folder is not None and folder.opaque:
                return

    def _find(self, path: str) -> _Found | None:
        above, _, name = path.rpartition("/")
        for number in self._holders(above or "/"):
            folder = self._layers[number].folder(above or "/")
            if folder is None:
                continue
            entry = folder.entries.get(name)
            if entry is not None:
                return _Found(entry, number)
            if name in folder.links:
                return self._linked(number, folder.links[name])
            if name in folder.whiteouts:
                return None
        return None

    def _file(self, path: str) -> _Found:
        found = self._find(path) if path != "/" else None
        if found is None or found.entry.kind is not Kind.FILE:
            raise FileNotFoundError(path)
        return found

    # --- hard links to layers below ---

    def _below(self, number: int) -> "StackedTree":
        """Give the image as it was before a layer."""
        return StackedTree(self._layers[:number], self._fetch)

    def _linked(self, number: int, header: Entry) -> _Found | None:
        """Give what a hard link of a layer is: the file below, with owner, mode and time of the link's header."""
        below = self._below(number)
        path = real_parent(below, header.target)
        entry = below.lstat(path) if path is not None else None
        if path is None or entry is None or entry.kind is Kind.DIRECTORY:
            return None
        changed = attrs.evolve(entry, uid=header.uid, gid=header.gid)
        if entry.kind is not Kind.SYMLINK:
            changed = attrs.evolve(changed, mode=header.mode, mtime=header.mtime)
        return _Found(changed, number, path)

    # --- contents that are not kept ---

    def _fetch_file(self, found: _Found, path: str) -> bytes:
        with self._lock:
            known = self._fetched.get((found.layer, path))
            if known is not None:
                return known
            contents = self._fetch(found.layer, (path, *self._company(found, path)))
            content = contents.get(path)
            if content is None or len(content) != found.entry.size:
                raise InputError(
                    f"{path} cannot be found in its layer again",
                    hint="remove the cache of layer indexes; it is made again from the layers",
                )
            held = sum(map(len, self._fetched.values())) + sum(map(len, contents.values()))
            if held > _MAXIMUM_FETCHED:
                self._fetched = {}
            self._fetched.update({(found.layer, other): data for other, data in contents.items()})
            return content

    def _company(self, found: _Found, path: str) -> Iterator[str]:
        """Give files of the same layer that are likely asked for next and are not kept either, some megabytes."""
        folder = parent(path)
        parts = path.split("/")
        position = next((place for place, name in enumerate(parts[:-2]) if name in _LIBRARIES), None)
        maximum, room = _NEIGHBOUR_FILE, _NEIGHBOURS
        if position is not None:
            folder, maximum, room = "/".join(parts[: position + 2]), _MODULE_FILE, _MODULE
        index = self._layers[found.layer]
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            listed = index.folder(here)
            for name, entry in sorted(listed.entries.items()) if listed else ():
                other = join(here, name)
                if entry.kind is Kind.DIRECTORY and position is not None:
                    waiting.append(other)
                elif entry.kind is Kind.FILE and entry.size <= maximum and other != path:
                    room -= entry.size
                    if room < 0:
                        return
                    if index.content(other) is None:
                        yield other
