# SPDX-License-Identifier: Apache-2.0
"""Two layers as one.

What an image shows at a path is decided by the topmost layer that says something of the path, or of a folder above it
(OCI image specification, layer.md, "Applying Changesets"). So the upper layer's entries all stay, the lower one's stay
where the upper one says nothing, and what either hides of the image below has to stay hidden.
"""

from collections.abc import Collection, Iterator, Mapping

import attrs

from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import FileTree, Kind
from stxbuildah.model.value import Value


def merged(lower: LayerContent, upper: LayerContent, below: FileTree) -> LayerContent:
    """Give the one layer that does to an image what two layers do, one after the other.

    A whiteout or an opaque mark is left out where the image has nothing to hide. Entries that are in the end just what
    the image has already stay: a layer says of an attribute that it is so, even if it was so before. To merge several
    layers, any order of merging neighbours gives a layer of the same effect.

    Args:
        lower: the layer that is applied first.
        upper: the layer that is applied on top of it.
        below: the image that both are for; asked only for paths that the layers hide.

    Returns:
        The layer; files are read through the openers of the two. Hard links whose target the upper layer replaces or
        removes have become files: the first of them by name, to which the others link.
    """
    first, second = _Layer.of(lower), _Layer.of(upper)
    added = dict(second.added)
    added.update({
        path: entry for path, entry in first.added.items() if path not in added and not second.hides(path)
    })  # fmt: skip
    _keep_links(added, first, second)
    merging = _Merging(first=first, second=second, added=added, below=below)
    entries = [*added.values(), *merging.marks()]
    return LayerContent(tuple(sorted(entries, key=lambda entry: (entry.path, entry.change is Change.OPAQUE))))


@attrs.frozen(kw_only=True)
class _Layer(Value):
    """A layer by what it does.

    Attributes:
        added: what is there in the end, by path.
        gone: paths whose old content goes, with all that is below them.
        opaque: folders whose old content goes.
    """

    added: Mapping[str, LayerEntry]
    gone: frozenset[str]
    opaque: frozenset[str]

    @classmethod
    def of(cls, content: LayerContent) -> "_Layer":
        gone = frozenset(entry.path for entry in content.entries if entry.change is Change.WHITEOUT)
        opaque = frozenset(entry.path for entry in content.entries if entry.change is Change.OPAQUE)
        added = {e.path: e for e in content.entries if e.change not in {Change.WHITEOUT, Change.OPAQUE}}
        return cls(added=added, gone=gone, opaque=opaque)

    def empties(self, path: str) -> bool:
        """Tell whether the layer itself hides what was in a folder, be there a new one or none."""
        entry = self.added.get(path)
        return path in self.gone or path in self.opaque or (entry is not None and entry.change is not Change.DIRECTORY)

    def hides(self, path: str) -> bool:
        """Tell whether the layer takes away what was at a path, where it puts nothing itself."""
        return path in self.gone or any(self.empties(folder) for folder in _folders(path))


@attrs.frozen(kw_only=True)
class _Merging(Value):
    """Finds the marks that the merged layer needs."""

    first: _Layer
    second: _Layer
    added: Mapping[str, LayerEntry]
    below: FileTree

    def marks(self) -> Iterator[LayerEntry]:
        """Give the whiteouts and opaque marks that hide what the layers hide of the image, and not more of them."""
        gone = {path for path in self.first.gone | self.second.gone if path not in self.added}
        folders = {path for path, entry in self.added.items() if _is_folder(entry)}
        folders |= (self.first.opaque | self.second.opaque) - self.added.keys() - gone
        emptied = {path for path in folders if self.first.empties(path) or self.second.empties(path)}
        # What stands at these paths hides all that is below them without any further mark.
        covering = gone | emptied | {path for path, entry in self.added.items() if not _is_folder(entry)}
        for path in gone:
            if not _is_below_one(path, covering) and self.below.lstat(path) is not None:
                yield LayerEntry(path=path, change=Change.WHITEOUT, mode=0)
        for path in emptied:
            if not _is_below_one(path, covering) and self._shows_through(path):
                yield LayerEntry(path=path, change=Change.OPAQUE, mode=0)

    def _shows_through(self, emptied: str) -> bool:
        """Tell whether anything that the image has in a folder would be seen without a mark."""
        folders = [emptied]
        while folders:
            folder = folders.pop()
            for name, entry in self.below.scandir(folder).items():
                path = f"{folder.rstrip('/')}/{name}"
                new = self.added.get(path)
                if new is None:
                    return True
                if entry.kind is Kind.DIRECTORY and _is_folder(new):
                    folders.append(path)
        return False


def _keep_links(added: dict[str, LayerEntry], first: _Layer, second: _Layer) -> None:
    """Make files of the lower layer's links whose target is no longer that layer's."""
    new_target: dict[str, str] = {}
    for path in sorted(first.added):
        link = first.added[path]
        if link.change is not Change.HARDLINK or added.get(path) is not link or path in second.added:
            continue
        origin = first.added.get(link.target)
        if origin is None or added.get(link.target) is origin:
            continue
        if link.target in new_target:
            added[path] = attrs.evolve(link, target=new_target[link.target])
        else:
            new_target[link.target] = path
            added[path] = attrs.evolve(origin, path=path)


def _is_folder(entry: LayerEntry) -> bool:
    return entry.change is Change.DIRECTORY


def _is_below_one(path: str, covering: Collection[str]) -> bool:
    return any(folder in covering for folder in _folders(path))


def _folders(path: str) -> Iterator[str]:
    """Give every folder above a path, the nearest first, the root last."""
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path
