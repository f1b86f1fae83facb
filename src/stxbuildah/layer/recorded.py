# SPDX-License-Identifier: Apache-2.0
"""A file tree that remembers its answers from one run to the next.

An image never changes under its id, so whatever was answered once stays true, "nothing is there" too. The same update
asked again, or another one of the same base, is then answered from one small file and the image is not opened.

The file: a line ``stxbuildah tree record 1 CRC SIZE``, an index of SIZE bytes in JSON, then the contents of files one
after the other. CRC is zlib's crc32 of all that follows the line, so a damaged file is known as such and passed over.
"""

import json
import os
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from stxbuildah import log
from stxbuildah.errors import DiskFullError
from stxbuildah.layer.atomic import written_beside
from stxbuildah.model.tree import Entry, FileTree, Kind

MAGIC = "stxbuildah tree record 1"
MAXIMUM_FILE = 4 * 1024 * 1024
MAXIMUM_CONTENTS = 64 * 1024 * 1024
_MAXIMUM_LINE = 128
_FIELDS = 7
_KINDS = {kind.value[0]: kind for kind in Kind}

# What JSON can hold; the index is looked into with checks, since the file may have been written by anyone.
Index = dict[str, dict[str, object]]


class RecordedTree(FileTree):
    """A file tree of an immutable image which is asked each question once.

    Args:
        open_real: gives the real tree; called at the first question that the record has no answer to, or never.
        store: file of the record, named after the image's id by the caller; None to remember for this run only.
    """

    def __init__(self, open_real: Callable[[], FileTree], store: Path | None) -> None:
        self._open_real = open_real
        self._store = store
        self._real: FileTree | None = None
        self._lock = threading.Lock()
        self._changed = False
        self._entries: dict[str, Entry | None] = {}
        self._folders: dict[str, Mapping[str, Entry]] = {}
        self._files: dict[str, bytes | None] = {}
        self._starts: dict[str, tuple[int, bytes]] = {}
        self._record = _load(store) if store is not None else _Record({}, memoryview(b""))
        self._contents = self._record.size

    @property
    def is_open(self) -> bool:
        """Whether the real tree had to be opened."""
        return self._real is not None

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        if path in self._entries:
            return self._entries[path]
        folder, _, name = path.rpartition("/")
        siblings = self._known_folder(folder or "/")
        if siblings is not None and name:
            return siblings.get(name)
        known, entry = self._record.entry(path)
        if not known:
            entry = self._ask().lstat(path)
            self._changed = True
        self._entries[path] = entry
        return entry

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name; empty when it is no directory."""
        names = self._known_folder(path)
        if names is None:
            names = self._folders[path] = dict(self._ask().scandir(path))
            self._changed = True
        return names

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        if path in self._files:
            content = self._files[path]
        else:
            known, content = self._record.content("read", path)
            if known:
                self._files[path] = content
            else:
                content = self._read_real(path)
        if content is None:
            raise FileNotFoundError(path)
        return content

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        if path in self._files or self._record.content("read", path)[0]:
            return self.read(path)[:size]
        asked, content = self._starts.get(path) or self._record.start(path)
        if asked < size:
            asked, content = size, self._ask().read_start(path, size)
            self._changed = True
        self._starts[path] = (asked, content)
        return content[:size]

    def save(self) -> None:
        """Write the record when there is something new in it: beside the old one, and renamed into place.

        A record that cannot be written is only a run that takes longer, so it is logged and no error.
        """
        if self._store is None or not self._changed:
            return
        index, contents = self._encode()
        encoded = json.dumps(index, separators=(",", ":")).encode("ascii")
        crc = zlib.crc32(encoded)
        for content in contents:
            crc = zlib.crc32(content, crc)
        try:
            self._store.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with written_beside(self._store) as stream:
                stream.write(f"{MAGIC} {crc:08x} {len(encoded)}\n".encode("ascii"))
                stream.write(encoded)
                stream.writelines(contents)
        except (OSError, DiskFullError) as error:
            log.warning("inventory.record.not_written", path=str(self._store), reason=str(error))
            return
        self._changed = False

    def _ask(self) -> FileTree:
        with self._lock:
            if self._real is None:
                self._real = self._open_real()
            return self._real

    def _known_folder(self, path: str) -> Mapping[str, Entry] | None:
        names = self._folders.get(path)
        if names is None:
            names = self._record.folder(path)
            if names is not None:
                self._folders[path] = names
        return names

    def _read_real(self, path: str) -> bytes | None:
        content: bytes | None
        try:
            content = self._ask().read(path)
        except FileNotFoundError:
            content = None
        size = len(content or b"")
        if size <= MAXIMUM_FILE and self._contents + size <= MAXIMUM_CONTENTS:
            self._contents += size
            self._files[path] = content
            self._changed = True
        return content

    def _encode(self) -> tuple[Index, list[bytes]]:
        """Give the index and the contents of what was loaded and what was learnt."""
        entries = {path: _encoded(entry) for path, entry in self._entries.items()}
        folders = {
            path: {name: _encoded(entry) for name, entry in names.items()} for path, names in self._folders.items()
        }
        files: dict[str, object] = {}
        starts: dict[str, object] = {}
        contents: list[bytes] = []
        offset = 0
        for path, content in {**self._record.all("read"), **self._files}.items():
            files[path] = None if content is None else [offset, len(content)]
            contents.append(content or b"")
            offset += len(contents[-1])
        for path, (asked, start) in {**self._record.all_starts(), **self._starts}.items():
            starts[path] = [offset, len(start), asked]
            contents.append(start)
            offset += len(start)
        return {
            "lstat": {**self._record.section("lstat"), **entries},
            "scandir": {**self._record.section("scandir"), **folders},
            "read": files,
            "start": starts,
        }, contents


class _Record:
    """A loaded record; each answer is checked when it is asked for, and a malformed one is no answer."""

    def __init__(self, index: Index, contents: memoryview) -> None:
        self._index = index
        self._contents = contents

    @property
    def size(self) -> int:
        return len(self._contents)

    def section(self, name: str) -> dict[str, object]:
        return self._index.get(name, {})

    def entry(self, path: str) -> tuple[bool, Entry | None]:
        section = self.section("lstat")
        if path not in section:
            return False, None
        if section[path] is None:
            return True, None
        entry = _decoded(section[path])
        return entry is not None, entry

    def folder(self, path: str) -> Mapping[str, Entry] | None:
        written = self.section("scandir").get(path)
        if not isinstance(written, dict):
            return None
        names: dict[str, Entry] = {}
        for name, value in written.items():
            entry = _decoded(value)
            if entry is None:
                return None
            names[name] = entry
        return names

    def content(self, section: str, path: str) -> tuple[bool, bytes | None]:
        known = self.section(section)
        if path not in known:
            return False, None
        if known[path] is None:
            return True, None
        content = self._slice(known[path])
        return content is not None, content

    def start(self, path: str) -> tuple[int, bytes]:
        """Give how many bytes were asked for and what came; (-1, nothing) when that is not known."""
        place = self.section("start").get(path)
        content = self._slice(place)
        # offset, length, how much was asked for
        if content is None or not isinstance(place, list) or len(place) != 3 or not isinstance(place[2], int):  # noqa: PLR2004
            return -1, b""
        return place[2], content

    def all(self, section: str) -> dict[str, bytes | None]:
        answers = {path: self.content(section, path) for path in self.section(section)}
        return {path: content for path, (known, content) in answers.items() if known}

    def all_starts(self) -> dict[str, tuple[int, bytes]]:
        answers = {path: self.start(path) for path in self.section("start")}
        return {path: answer for path, answer in answers.items() if answer[0] >= 0}

    def _slice(self, place: object) -> bytes | None:
        match place:
            case [int(offset), int(size), *_] if 0 <= offset <= offset + size <= len(self._contents):
                return bytes(self._contents[offset : offset + size])
        return None


def _load(store: Path) -> _Record:
    """Give the record in a file; an empty one when the file is missing, damaged or another program's."""
    empty = _Record({}, memoryview(b""))
    try:
        content = memoryview(store.read_bytes())
    except OSError:
        return empty
    # When it was used last, for who removes what is not used.
    with suppress(OSError):
        os.utime(store)
    line, newline, _ = bytes(content[:_MAXIMUM_LINE]).partition(b"\n")
    words = line.decode("ascii", "replace").removeprefix(MAGIC).split()
    try:
        crc, size = (int(words[0], 16), int(words[1])) if newline and len(words) == 2 else (-1, -1)  # noqa: PLR2004
    except ValueError:
        return empty
    rest = content[len(line) + 1 :]
    if not line.startswith(MAGIC.encode()) or not 0 < size <= len(rest) or zlib.crc32(rest) != crc:
        log.info("inventory.record.ignored", path=str(store))
        return empty
    try:
        index = json.loads(bytes(rest[:size]))
    except (ValueError, RecursionError):
        return empty
    if not isinstance(index, dict) or not all(isinstance(section, dict) for section in index.values()):
        return empty
    return _Record(index, rest[size:])


def _encoded(entry: Entry | None) -> list[object] | None:
    if entry is None:
        return None
    return [entry.kind.value[0], entry.mode, entry.uid, entry.gid, entry.size, entry.mtime, entry.target]


def _decoded(value: object) -> Entry | None:
    if not isinstance(value, list) or len(value) != _FIELDS:
        return None
    match value:
        case [str(kind), int(mode), int(uid), int(gid), int(size), int(mtime), str(target)] if kind in _KINDS:
            return Entry(_KINDS[kind], mode, uid, gid, size, mtime, target)
    return None
