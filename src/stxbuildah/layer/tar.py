# SPDX-License-Identifier: Apache-2.0
"""Write a layer: a tar that depends on nothing but the layer's content and one time.

Whiteouts are those of the OCI image specification (layer.md, "Whiteouts"): ``.wh.NAME`` for a path that goes away,
``.wh..wh..opq`` for a folder whose old content does. Deflate is ISA-L's, ten times as fast as zlib's level 6 for a
quarter more bytes; like any deflate it may give other bytes in another version or on another kind of processor, so the
blob's digest is only as stable as the library, while the diff ID depends on the content alone.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import attrs

from stxbuildah.errors import BuildError, InputError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.deflate import Compressor, layer_compressor
from stxbuildah.layer.tarheader import BLOCK, Member, member_header, padding
from stxbuildah.model.layer import Change, Compression, LayerBlob, LayerContent, LayerEntry

WHITEOUT_PREFIX = ".wh."
OPAQUE_NAME = ".wh..wh..opq"
# What containers/storage itself writes for a whiteout.
_WHITEOUT_MODE = 0o600
_CHUNK = 256 * 1024
_TYPES = {
    Change.FILE: b"0",
    Change.HARDLINK: b"1",
    Change.SYMLINK: b"2",
    Change.DIRECTORY: b"5",
    Change.WHITEOUT: b"0",
    Change.OPAQUE: b"0",
}


def write_layer(
    content: LayerContent, target: Path, *, timestamp: int, compression: Compression = Compression.GZIP
) -> LayerBlob:
    """Write a layer to a file, whole or not at all.

    Args:
        content: what the layer does; files are read through their openers, one after the other.
        target: the file to write; its folder exists.
        timestamp: modification time of everything in the layer, in seconds since the epoch.
        compression: how the tar is compressed.

    Returns:
        The digests and sizes of what was written.

    Raises:
        InputError: a path would be read as a whiteout that it is not.
        BuildError: a file gave more or fewer bytes than its entry says, or a hard link's target is not in the layer.
        DiskFullError: no space is left for the file.
    """
    with written_beside(target) as stream:
        sink = _Sink(stream, layer_compressor(compression))
        for entry in in_order(content.entries):
            sink.write(member_header(_member(entry, timestamp)))
            if entry.opener is not None and entry.change is Change.FILE:
                for chunk in _chunks(entry):
                    sink.write(chunk)
                sink.write(padding(entry.size))
        sink.write(bytes(2 * BLOCK))
        sink.close()
    return LayerBlob(
        diff_id=f"sha256:{sink.plain_hash.hexdigest()}",
        digest=f"sha256:{sink.packed_hash.hexdigest()}",
        size=sink.packed_size,
        uncompressed_size=sink.plain_size,
        compression=compression,
    )


class _Sink:
    """Hashes, compresses and writes what it is given, in pieces worth a call."""

    def __init__(self, stream: BinaryIO, compressor: Compressor) -> None:
        self._stream = stream
        self._compressor = compressor
        self._pending: list[bytes] = []
        self._pending_size = 0
        self.plain_hash = hashlib.sha256()
        self.packed_hash = hashlib.sha256()
        self.plain_size = 0
        self.packed_size = 0

    def write(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _CHUNK:
            self._drain()

    def close(self) -> None:
        self._drain()
        self._put(self._compressor.flush())

    def _drain(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        self.plain_hash.update(data)
        self.plain_size += len(data)
        self._put(self._compressor.compress(data))

    def _put(self, packed: bytes) -> None:
        self.packed_hash.update(packed)
        self.packed_size += len(packed)
        self._stream.write(packed)


def in_order(entries: Iterable[LayerEntry]) -> Iterator[LayerEntry]:
    """Give the entries by path, hard links last: a link can only be made to what is there.

    containers/storage sets the owner and mode that a link's own header has, so it gets those of its target.

    Raises:
        BuildError: a hard link's target is not in the layer.
    """
    files: dict[str, LayerEntry] = {}
    links: list[LayerEntry] = []
    for entry in sorted(entries, key=lambda entry: (entry.path, entry.change is Change.OPAQUE)):
        if entry.change is Change.HARDLINK:
            links.append(entry)
            continue
        if entry.change is Change.FILE:
            files[entry.path] = entry
        yield entry
    for link in links:
        target = files.get(link.target)
        if target is None:
            raise BuildError(f"{link.path} is a hard link to {link.target}, which the layer does not have")
        yield attrs.evolve(link, mode=target.mode, uid=target.uid, gid=target.gid, xattrs=target.xattrs)


def name_in_tar(entry: LayerEntry) -> str:
    """Give the name of an entry's member, which for a whiteout is a mark, and for a directory ends with a slash."""
    path = entry.path.lstrip("/")
    match entry.change:
        case Change.DIRECTORY:
            return f"{path}/" if path else "./"
        case Change.WHITEOUT:
            folder, slash, name = path.rpartition("/")
            return f"{folder}{slash}{WHITEOUT_PREFIX}{name}"
        case Change.OPAQUE:
            return f"{path}/{OPAQUE_NAME}".lstrip("/")
        case _:
            return path


def _member(entry: LayerEntry, timestamp: int) -> Member:
    size, mode, target = 0, entry.mode, ""
    match entry.change:
        case Change.FILE:
            size = entry.size if entry.opener is not None else 0
        case Change.SYMLINK:
            target, mode = entry.target, 0o777
        case Change.HARDLINK:
            target = entry.target.lstrip("/")
        case Change.WHITEOUT | Change.OPAQUE:
            mode = _WHITEOUT_MODE
        case Change.DIRECTORY:
            pass
    _refuse_false_whiteout(entry.path)
    return Member(
        name=_encoded(name_in_tar(entry)),
        type=_TYPES[entry.change],
        mode=mode,
        uid=entry.uid,
        gid=entry.gid,
        size=size,
        mtime=timestamp,
        target=_encoded(target),
        xattrs=entry.xattrs,
    )


def _encoded(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _refuse_false_whiteout(path: str) -> None:
    if "/" + WHITEOUT_PREFIX in path:
        raise InputError(
            f"{path} cannot be part of a layer: names that begin with {WHITEOUT_PREFIX} mark what a layer removes"
        )


def _chunks(entry: LayerEntry) -> Iterator[bytes]:
    assert entry.opener is not None  # noqa: S101 # asked by the caller
    left = entry.size
    with entry.opener() as source:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left:
        raise BuildError(f"{entry.path} changed while its layer was written: it no longer has {entry.size} bytes")
