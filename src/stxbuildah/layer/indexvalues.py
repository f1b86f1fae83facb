# SPDX-License-Identifier: Apache-2.0
"""What the index of a layer says, as values."""

from collections.abc import Mapping
from typing import NamedTuple

import attrs

from stxbuildah.layer.indexformat import RowKind
from stxbuildah.model.tree import Entry
from stxbuildah.model.value import Value


@attrs.frozen
class Folder(Value):
    """What a layer does in one folder.

    Attributes:
        entries: what the layer has there, by name.
        whiteouts: names of layers below that go away.
        opaque: everything that layers below have in the folder goes away.
        links: by name, what the header of a hard link says, whose ``target`` is an absolute path that the layer itself
            does not have; these names are not among the entries.
    """

    entries: Mapping[str, Entry]
    whiteouts: frozenset[str] = frozenset()
    opaque: bool = False
    links: Mapping[str, Entry] = attrs.field(factory=dict)


class Row(NamedTuple):
    """One row of a block, decoded; ``position`` is the row's own place in the tables."""

    kind: RowKind
    name: str
    entry: Entry
    content: int
    origin: int
    position: int


@attrs.frozen
class DecodedFolder(Value):
    """A folder's block, decoded; contents by name, for the files that have one."""

    folder: Folder
    contents: Mapping[str, int]


@attrs.frozen(kw_only=True)
class IndexTables(Value):
    """The tables of an index, as they are in the file (``indexformat``).

    Attributes:
        blocks: one for each folder.
        offsets: of the blocks.
        contents: the content table.
        contents_size: bytes of all contents.
    """

    blocks: memoryview
    offsets: memoryview
    contents: memoryview
    contents_size: int
