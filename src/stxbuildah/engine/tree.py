# SPDX-License-Identifier: Apache-2.0
"""A container's files, read and written through a small process inside the user namespace that owns them.

An ordinary account cannot mount a container, nor read what belongs to the container's other users. ``buildah unshare
--mount`` can, for one child process; that child is ``engine/inside``, and this is the side that talks to it.
"""

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from stxbuildah.engine.channel import Channel, Refused
from stxbuildah.engine.inside.wire import CHUNK, Fields
from stxbuildah.engine.process import PIPE, Child, Runner
from stxbuildah.errors import InputError
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.settings import HostChoices
from stxbuildah.model.tree import Entry, Kind

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Answers to read() are held in memory; nothing an inventory reads comes near this.
MAXIMUM_READ = 256 << 20

_PROGRAM = Path(__file__).parent / "inside" / "__main__.py"
_KINDS = {b"f": Kind.FILE, b"d": Kind.DIRECTORY, b"l": Kind.SYMLINK, b"o": Kind.OTHER}
_ENOENT, _ENOTDIR, _ELOOP = 2, 20, 40


def encode(text: str) -> bytes:
    """Give a path of an image as the process inside takes it.

    Raises:
        InputError: it cannot be a path.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise InputError(f"{text!r} cannot be a path") from error


def decode(field: bytes) -> str:
    """Give a name or path that the process inside has answered."""
    return field.decode("utf-8", "surrogateescape")


def make_entry(head: bytes, target: bytes) -> Entry:
    """Give an entry as the process inside describes it.

    Args:
        head: kind, mode, owner, group, size and time.
        target: where a link points.
    """
    kind, mode, uid, gid, size, mtime = head.split(b" ")
    return Entry(
        kind=_KINDS[kind],
        mode=int(mode),
        uid=int(uid),
        gid=int(gid),
        size=int(size),
        mtime=int(mtime),
        target=decode(target),
    )


def make_entries(answers: Iterable[Fields]) -> dict[str, Entry]:
    """Give the entries of a folder by name, sorted, as the process inside tells them in parts."""
    found = {
        decode(name): make_entry(head, target)
        for fields in answers
        for name, head, target in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
    }
    return dict(sorted(found.items()))


def make_touched(answers: Iterable[Fields]) -> dict[str, bool]:
    """Give what layers have, as ``layer.above`` wants it, of what the process inside tells in parts."""
    return {decode(field[1:]): field[:1] == b"1" for fields in answers for field in fields}


class ContainerTree:
    """The file tree of one container; a FileTree, and a context manager that ends its process.

    It can be used from several threads. Programs must not run in the container as long as it is open: the kernel
    does not keep two mounts of one container consistent.
    """

    def __init__(self, child: Child, *, created: float = 0.0) -> None:
        self._channel = Channel(child)
        self._created = created

    @classmethod
    def of_container(
        cls, runner: Runner, choices: HostChoices, name: str, *, base: str = "", created: float = 0.0
    ) -> Self:
        """Open the files of a working container.

        Args:
            runner: runs buildah.
            choices: names the store.
            name: the container.
            base: an untouched container of the same image, for ``changes`` where the store's driver cannot tell them.
            created: when the container had been made, in seconds since the epoch; files that ``changes`` finds
                unchanged since are not read. 0 to read every file.

        Raises:
            HostError: buildah cannot mount it.
        """
        names = [name, *([base] if base else [])]
        extra = dict(choices.environment)
        if os.geteuid() == 0:
            # buildah unshare refuses to work for root, who needs no user namespace.
            mounted = runner.run(["buildah", "mount", *names], extra=extra).stdout.decode().splitlines()
            # One container is answered by its path alone, several by "name path" each.
            roots = mounted if len(names) == 1 else [line.partition(" ")[2] for line in mounted]
            return cls(runner.start([*_python(), *roots], stdin=PIPE, extra=extra), created=created)
        variables = ["STXB_ROOT", "STXB_BASE"][: len(names)]
        mounts = [
            word
            for variable, container in zip(variables, names, strict=True)
            for word in ("--mount", f"{variable}={container}")
        ]
        roots = [f"env:{variable}" for variable in variables]
        return cls(
            runner.start(["buildah", "unshare", *mounts, *_python(), *roots], stdin=PIPE, extra=extra), created=created
        )

    @classmethod
    def of_layers(cls, runner: Runner, choices: HostChoices, folders: Sequence[Path]) -> Self:
        """Open the files of an image of the local store, for reading.

        Args:
            runner: runs what reads them.
            choices: names the store.
            folders: the image's layers, top first, as ``engine.storefiles`` gives them.

        Raises:
            HostError: they cannot be read.
        """
        argv = [*_python(), "--layers", *map(str, folders)]
        if runner.entrance is not None:
            argv = [*runner.entrance.words, *argv]
        elif os.geteuid() != 0:
            argv = ["buildah", "unshare", *argv]
        return cls(runner.start(argv, stdin=PIPE, extra=dict(choices.environment)))

    @classmethod
    def of_folder(cls, runner: Runner, root: Path, *, base: Path | None = None, created: float = 0.0) -> Self:
        """Open a folder of our own as the root of a tree, with another one as the base of ``changes``."""
        roots = [str(root), *([str(base)] if base else [])]
        return cls(runner.start([*_python(), *roots], stdin=PIPE), created=created)

    # --- FileTree ---

    def lstat(self, path: str) -> Entry | None:
        """Give the entry at a path, or None when there is none."""
        answer = self._ask(path, b"lstat", encode(path))
        return make_entry(answer[0], answer[1]) if answer else None

    def scandir(self, path: str) -> Mapping[str, Entry]:
        """Give the entries of a directory by name, sorted; empty when it is no directory."""
        with self._channel.lock:
            return make_entries(self._answers(path, b"scandir", encode(path)))

    def read(self, path: str) -> bytes:
        """Give the content of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
            InputError: the file is too big to be held in memory; ``open_file`` reads it piece by piece.
        """
        with self.open_file(path) as stream:
            data = stream.read(MAXIMUM_READ + 1)
        if len(data) > MAXIMUM_READ:
            raise InputError(f"{path} in the image is bigger than {MAXIMUM_READ >> 20} MiB; no file of its kind is")
        return data

    # --- more than a FileTree ---

    def read_start(self, path: str, size: int) -> bytes:
        """Give at most the first ``size`` bytes of a regular file.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        with self.open_file(path) as stream:
            return stream.read(size)

    def open_file(self, path: str) -> BinaryIO:
        """Open a regular file for reading from its beginning; its bytes come as they are asked for.

        Raises:
            FileNotFoundError: no regular file is at this path.
        """
        handle, _size, first = self._ask(path, b"open", encode(path))
        if handle == b"0":
            return io.BytesIO(first)

        def more(offset: int) -> bytes:
            return self._ask(path, b"pread", handle, b"%d" % offset)[0]

        return io.BufferedReader(_Stream(first, more=more, done=partial(self._channel.forget, handle)), CHUNK)

    def xattrs(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """Give the extended attributes of a file or directory that a layer keeps, sorted by name.

        Raises:
            FileNotFoundError: nothing is at this path.
        """
        answer = self._ask(path, b"xattrs", encode(path))
        return tuple((decode(name), value) for name, value in zip(answer[::2], answer[1::2], strict=True))

    def touched(self, count: int) -> Mapping[str, bool]:
        """Tell what an image's topmost layers have, as ``layer.above`` wants it; of a tree by ``of_layers`` alone.

        Args:
            count: how many layers.
        """
        with self._channel.lock:
            return make_touched(self._answers("", b"touched", b"%d" % count))

    @property
    def layered(self) -> bool:
        """Whether the store's driver itself can tell what changed in the container."""
        return self._ask("", b"layered") == [b"1"]

    def changes(self) -> tuple[LayerEntry, ...]:
        """Give everything that differs from the container's image, the same for every storage driver.

        What counts is kind, mode, owner, group, content, a link's target, capabilities and ``user.*`` attributes; a
        new modification time alone does not. Parent folders are among the entries. The content of files is read
        through the entries' ``opener`` as long as the tree is open.

        Raises:
            BuildError: there is nothing to compare with, or a file cannot be read.
        """
        from stxbuildah.engine.changes import Collected

        collected = Collected(self.open_file)
        with self._channel.lock:
            for fields in self._answers("", b"changes", b"%d" % int(self._created * 1e9)):
                collected.add(fields)
        return collected.entries()

    def apply(self, content: LayerContent, timestamp: int) -> None:
        """Write a layer's entries into the container, as the extraction of the layer would.

        Args:
            content: the layer.
            timestamp: modification time for everything written, in seconds since the epoch.

        Raises:
            BuildError: an entry cannot be written; those before it are there.
            DiskFullError: the store is full.
        """
        with self._channel.lock:
            try:
                for entry in content.entries:
                    self._put(entry, timestamp)
            except BaseException:
                # A message may have been cut short: nothing more can be said to this process.
                self.close()
                raise
            try:
                list(self._channel.exchange(b"finish"))
            except Refused as refused:
                raise refused.error("the layer cannot be written into the container") from refused

    def _put(self, entry: LayerEntry, timestamp: int) -> None:
        numbers = b"%d %d %d %d" % (entry.mode, entry.uid, entry.gid, timestamp)
        xattrs = [field for name, value in entry.xattrs for field in (encode(name), value)]
        head = [b"put", encode(entry.path), encode(entry.change.value), numbers]
        if entry.change is not Change.FILE or entry.opener is None:
            self._channel.send([*head, encode(entry.target), *xattrs])
            return
        with entry.opener() as stream:
            self._channel.send([*head, stream.read(CHUNK), *xattrs])
            while data := stream.read(CHUNK):
                self._channel.send([b"more", data])

    # --- the process ---

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process, which unmounts the container. Files of it that are still open end with it."""
        self._channel.close()

    def _ask(self, path: str, *question: bytes) -> Fields:
        with self._channel.lock:
            return list(self._answers(path, *question))[-1]

    def _answers(self, path: str, *question: bytes) -> Iterator[Fields]:
        try:
            yield from self._channel.exchange(*question)
        except Refused as refused:
            if refused.number in {_ENOENT, _ENOTDIR, _ELOOP}:
                raise FileNotFoundError(refused.number, "no such file in the image", path) from refused
            raise refused.error("the container's files cannot be used" + (f": {path}" if path else "")) from refused


class _Stream(io.RawIOBase):
    """A file inside the container, read piece by piece.

    Args:
        first: its first bytes.
        more: gives the bytes from an offset on; none at the end.
        done: called when it is closed.
    """

    def __init__(self, first: bytes, *, more: Callable[[int], bytes], done: Callable[[], None]) -> None:
        self._waiting = memoryview(first)
        self._offset = len(first)
        self._more = more
        self._done = done

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if not self._waiting:
            self._waiting = memoryview(self._more(self._offset))
            self._offset += len(self._waiting)
        view = memoryview(buffer)
        count = min(len(view), len(self._waiting))
        view[:count] = self._waiting[:count]
        self._waiting = self._waiting[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._done()


def _python() -> list[str]:
    # -S and -I keep the start short and the user's own modules out; -X utf8 makes names the same in every locale.
    return [sys.executable, "-I", "-S", "-X", "utf8", str(_PROGRAM)]
