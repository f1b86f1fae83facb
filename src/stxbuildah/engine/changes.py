# SPDX-License-Identifier: Apache-2.0
"""Layer entries from what ``engine.inside.compare`` tells."""

from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import attrs

from stxbuildah import log
from stxbuildah.engine.inside.wire import Fields
from stxbuildah.model.layer import Change, LayerEntry


class Collected:
    """Takes the messages about changed paths, and gives sorted entries.

    Args:
        open_file: opens a file of the container by its path.
    """

    def __init__(self, open_file: Callable[[str], BinaryIO]) -> None:
        self._open_file = open_file
        self._entries: list[tuple[LayerEntry, bytes]] = []

    def add(self, fields: Fields) -> None:
        """Take one message; the empty one that ends an answer says nothing."""
        if not fields:
            return
        path, kind = _decode(fields[0]), fields[1]
        if kind == b"special":
            log.warning("session.change.left_out", path=path, reason="layers hold no devices, sockets or FIFOs")
            return
        change = Change(kind.decode())
        if change is Change.WHITEOUT:
            self._entries.append((LayerEntry(path=path, change=change, mode=0), b""))
            return
        numbers, target, identity, *xattrs = fields[2:]
        _, mode, uid, gid, size, _ = numbers.split(b" ")
        entry = LayerEntry(
            path=path,
            change=change,
            mode=int(mode),
            uid=int(uid),
            gid=int(gid),
            size=int(size),
            target=_decode(target),
            opener=partial(self._open_file, path) if change is Change.FILE else None,
            xattrs=tuple((_decode(name), value) for name, value in zip(xattrs[::2], xattrs[1::2], strict=True)),
        )
        self._entries.append((entry, identity))

    def entries(self) -> tuple[LayerEntry, ...]:
        """Give the entries sorted by path; the first name of a file is the file, its other names link to that."""
        first: dict[bytes, str] = {}
        found = []
        for entry, identity in sorted(self._entries, key=lambda pair: pair[0].path):
            if identity and first.setdefault(identity, entry.path) != entry.path:
                link = attrs.evolve(entry, change=Change.HARDLINK, size=0, target=first[identity], opener=None)
                found.append(link)
            else:
                found.append(entry)
        return tuple(found)


def _decode(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
