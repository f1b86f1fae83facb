# SPDX-License-Identifier: Apache-2.0
"""Read a layer that an update made back from its tar.

Only what ``layer.tar`` writes is understood: ustar headers, with pax records for one member where ustar is too narrow.
An image's history may claim of any layer that an update made it, so whatever such a layer never has is refused.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.layer.tar import OPAQUE_NAME, WHITEOUT_PREFIX
from stxbuildah.layer.tararchive import member_entry
from stxbuildah.layer.tarheader import BLOCK, padding
from stxbuildah.layer.tarmember import Limits
from stxbuildah.model.layer import Change, LayerContent, LayerEntry

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ZEROS = bytes(BLOCK)
_CHUNK = 256 * 1024
_TYPES = frozenset({
    tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE,
    tarfile.FIFOTYPE,
})  # fmt: skip
_NUMBERS = frozenset({"uid", "gid", "size", "mtime"})
_NUMBER = re.compile(r"[0-9]{1,19}")
_RECORDS = _NUMBERS | {"path", "linkpath", "hdrcharset"}
# xattr(7): a name has at most 255 bytes.
_XATTR = re.compile(r"SCHILY\.xattr\..{1,255}")
_MAXIMUM_ID = 2**32 - 2
_MAXIMUM_HEADERS = 1024 * 1024 * 1024


def read_layer(tar: Path, *, limits: Limits | None = None) -> LayerContent:
    """Give the content of a layer that an update made. Devices and pipes are left out.

    Args:
        tar: the uncompressed layer; its files are read out of it whenever they are opened, so it has to stay.
        limits: how much is accepted.

    Raises:
        InputError: the layer is damaged or beyond a limit, or no update can have written it.
    """
    entries: dict[tuple[str, bool], LayerEntry] = {}
    for entry in _Reader(tar, limits or Limits()).entries():
        key = entry.path, entry.change is Change.OPAQUE
        if key in entries:
            raise _refusal(f"it has {entry.path[:100]!r} twice")
        entries[key] = entry
    for path, opaque in entries:
        _check_folder(entries, path, opaque=opaque)
    return LayerContent(tuple(_linked(entries, entries[key]) for key in sorted(entries)))


def write_plain(chunks: Iterable[bytes], target: Path, *, diff_id: str, limit: int) -> None:
    """Write a layer's tar to a file, whole or not at all, from the layer's blob.

    Args:
        chunks: the blob, compressed or not.
        target: the file to write; its folder exists.
        diff_id: digest that the tar has to have.
        limit: bytes of the tar that are accepted.

    Raises:
        InputError: the blob is damaged, holds more than that, or another tar.
        DiskFullError: no space is left for the file.
    """
    from stxbuildah.layer.inflate import inflated

    found = hashlib.sha256()
    with written_beside(target) as stream:
        for chunk in inflated(chunks, limit=limit):
            found.update(chunk)
            stream.write(chunk)
        if f"sha256:{found.hexdigest()}" != diff_id:
            raise InputError(
                f"the image is damaged: a layer has the diff ID sha256:{found.hexdigest()} where its configuration says"
                f" {diff_id}"
            )


class _Reader:
    """Goes over a tar once.

    Args:
        tar: the file.
        limits: how much is accepted.
    """

    def __init__(self, tar: Path, limits: Limits) -> None:
        self._tar = tar
        self._limits = limits
        self._size = tar.stat().st_size
        self._members = 0
        self._headers = 0

    def entries(self) -> Iterator[LayerEntry]:
        """Give what the tar's members do, in its order, devices and pipes left out."""
        records: dict[str, str] = {}
        with self._tar.open("rb") as stream:
            while (block := stream.read(BLOCK)) != _ZEROS:
                member = _header(block)
                start = stream.tell()
                if member.type == tarfile.XHDTYPE:
                    self._count(member.size)
                    if records or member.size > self._limits.pax:
                        raise _refusal("a member of it has too many extended headers")
                    records = _records(stream.read(member.size))
                else:
                    self._count(0)
                    _apply(records, member)
                    records = {}
                    entry = self._entry(member, partial(_open_part, self._tar, start, member.size))
                    if entry is not None:
                        yield entry
                end = start + member.size + len(padding(member.size))
                if end > self._size:
                    raise _refusal("it is truncated")
                stream.seek(end)
            while data := stream.read(_CHUNK):
                if data.count(0) != len(data):
                    raise _refusal("something follows its end")

    def _count(self, extended: int) -> None:
        self._members += 1
        self._headers += BLOCK + extended
        if self._members > 2 * self._limits.entries or self._headers > _MAXIMUM_HEADERS:
            raise _refusal("it has too many members")

    def _entry(self, member: tarfile.TarInfo, opener: Callable[[], BinaryIO]) -> LayerEntry | None:
        what = f"{member.name[:100]!r}"
        if member.type not in _TYPES or (member.size and member.type != tarfile.REGTYPE):
            raise _refusal(f"{what} of it is of a type that no update writes")
        self._check_path(member.name)
        if member.islnk():
            self._check_path(member.linkname)
        if len(_bytes(member.linkname)) > self._limits.path or "\0" in member.linkname:
            raise _refusal(f"{what} of it is a link to an impossible path")
        entry = member_entry(member, opener)
        if entry is not None and entry.path == "/" and entry.change is not Change.DIRECTORY:
            raise _refusal("its root is no folder")
        return None if entry is None else _mark_or_entry(entry)

    def _check_path(self, name: str) -> None:
        """Refuse a path that Linux would not take or that leaves the root; the root's own is ``./``."""
        parts = name.rstrip("/").split("/")
        # The name that a whiteout stands for may be as long as any other.
        lengths = [len(_bytes(part)) for part in (*parts[:-1], parts[-1].removeprefix(WHITEOUT_PREFIX))]
        short = len(_bytes(name)) <= self._limits.path and max(lengths) <= self._limits.component
        plain = parts == ["."] or not {"", ".", ".."}.intersection(parts)
        marked = any(part.startswith(WHITEOUT_PREFIX) for part in parts[:-1])
        if not short or not plain or marked or "\0" in name:
            raise _refusal(f"it has the path {name[:100]!r}")


def _header(block: bytes) -> tarfile.TarInfo:
    if len(block) < BLOCK:
        raise _refusal("it is truncated")
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError) as error:
        raise _refusal("a header of it is damaged") from error
    if member.size < 0:
        raise _refusal("a header of it is damaged")
    return member


def _records(data: bytes) -> dict[str, str]:
    """Read pax records, ``LENGTH KEY=VALUE`` and a newline each (POSIX.1-2008, pax)."""
    found: dict[str, str] = {}
    while data:
        digits, _, _ = data[:20].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = data[len(digits) + 1 : length].partition(b"=")
        name = key.decode("utf-8", "surrogateescape")
        known = name in _RECORDS or (_XATTR.fullmatch(name) and name.isprintable())
        if not equals or length > len(data) or not value.endswith(b"\n") or not known or name in found:
            raise _refusal("it has extended headers that no update writes")
        found[name] = value[:-1].decode("utf-8", "surrogateescape")
        data = data[length:]
    return found


def _apply(records: dict[str, str], member: tarfile.TarInfo) -> None:
    """Let a member's pax records override its header."""
    member.name = records.get("path", member.name)
    member.linkname = records.get("linkpath", member.linkname)
    for key in _NUMBERS & records.keys():
        if not _NUMBER.fullmatch(records[key]):
            raise _refusal(f"it has a member whose {key} is {records[key][:40]!r}")
        setattr(member, key, int(records[key]))
    if not all(0 <= number <= _MAXIMUM_ID for number in (member.uid, member.gid)):
        raise _refusal(f"{member.name[:100]!r} of it belongs to no possible account")
    member.pax_headers = records


def _mark_or_entry(entry: LayerEntry) -> LayerEntry:
    folder, _, name = entry.path.rpartition("/")
    if not name.startswith(WHITEOUT_PREFIX):
        return entry
    hidden = name.removeprefix(WHITEOUT_PREFIX)
    if entry.change is Change.FILE and name == OPAQUE_NAME and folder:
        return LayerEntry(path=folder, change=Change.OPAQUE, mode=0)
    if entry.change is not Change.FILE or hidden in {"", ".", ".."} or hidden.startswith(WHITEOUT_PREFIX):
        raise _refusal(f"no update writes the mark {entry.path[:100]!r}")
    return LayerEntry(path=f"{folder}/{hidden}", change=Change.WHITEOUT, mode=0)


def _check_folder(entries: dict[tuple[str, bool], LayerEntry], path: str, *, opaque: bool) -> None:
    folder = path if opaque else path.rpartition("/")[0]
    above = entries.get((folder, False))
    if folder and path != "/" and (above is None or above.change is not Change.DIRECTORY):
        raise _refusal(f"{path[:100]!r} of it stands below no folder")


def _linked(entries: dict[tuple[str, bool], LayerEntry], entry: LayerEntry) -> LayerEntry:
    """Give a hard link the attributes of its target, since both are one file."""
    if entry.change is not Change.HARDLINK:
        return entry
    target = entries.get((entry.target, False))
    if target is None or target.change is not Change.FILE:
        raise _refusal(f"{entry.path[:100]!r} of it is a link to a file that it does not have")
    return attrs.evolve(entry, mode=target.mode, uid=target.uid, gid=target.gid, xattrs=target.xattrs)


def _open_part(path: Path, start: int, size: int) -> BinaryIO:
    return io.BufferedReader(_Part(path.open("rb", buffering=0), start, size), _CHUNK)


class _Part(io.RawIOBase):
    """A part of a file, with a position of its own."""

    def __init__(self, source: io.FileIO, start: int, size: int) -> None:
        self._source = source
        self._left = size
        source.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._source.read(min(len(view), self._left))
        view[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._source.close()
        super().close()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _refusal(reason: str) -> InputError:
    return InputError(
        f"a layer that the image's history ascribes to stxb update was not written by it: {reason}",
        hint="leave out --replace-updates, so that the layer stays as it is",
    )
