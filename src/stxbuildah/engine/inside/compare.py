# SPDX-License-Identifier: Apache-2.0
"""What differs between a container's files and those of its image, the same for every storage driver.

With native overlay only the upper folder is walked, as a list of names to look at: what counts is always the merged
tree against the layers below. Without it, the container is walked beside an untouched one.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack

from stxbuildah.engine.inside.mounts import find_layers, is_moved, is_opaque
from stxbuildah.engine.inside.walk import EINVAL, OPEN_FOLDER, describe, kept_xattrs, look, open_regular
from stxbuildah.engine.inside.wire import CHUNK, Fields


class Stack:
    """One folder as a stack of layers shows it, top first; with a single layer, just that folder."""

    def __init__(self, descriptors: list[int]) -> None:
        self.descriptors = descriptors

    def __enter__(self) -> "Stack":  # noqa: PYI034 # Self is of typing, which is not loaded here
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)

    def find(self, name: bytes) -> "Found | None":
        """Give what the stack shows under a name."""
        for descriptor in self.descriptors:
            status = look(name, descriptor)
            if status is not None:
                return None if is_whiteout(status) else Found(name, descriptor, status)
        return None

    def enter(self, name: bytes) -> "Stack":
        """Give the folder of this name, which may be in several layers."""
        inner = Stack([])
        try:
            for descriptor in self.descriptors:
                status = look(name, descriptor)
                if status is None:
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    break  # a whiteout, or a file that hides what is below
                inner.descriptors.append(os.open(name, OPEN_FOLDER, dir_fd=descriptor))
                if is_opaque(inner.descriptors[-1]):
                    break
        except OSError:
            inner.__exit__()
            raise
        return inner

    def raw_names(self) -> set[bytes]:
        """Give the names of the top layer as they are, whiteouts among them."""
        return {os.fsencode(name) for name in os.listdir(self.descriptors[0])}  # noqa: PTH208 # of a descriptor

    def tells_all(self) -> bool:
        """Tell whether the one layer's names are all that can differ: it neither hides nor moves lower ones."""
        return bool(self.descriptors) and not is_opaque(self.descriptors[0]) and not is_moved(self.descriptors[0])

    def names(self) -> set[bytes]:
        """Give all names in the folder."""
        shown: set[bytes] = set()
        hidden: set[bytes] = set()
        for descriptor in self.descriptors:
            with os.scandir(descriptor) as listing:
                for entry in listing:
                    name = os.fsencode(entry.name)
                    if name in hidden or name in shown:
                        continue
                    plain = entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                    if not plain and is_whiteout(entry.stat(follow_symlinks=False)):
                        hidden.add(name)
                    else:
                        shown.add(name)
        return shown


class Found:
    """One name in a folder."""

    def __init__(self, name: bytes, folder: int, status: os.stat_result) -> None:
        self.name = name
        self.folder = folder
        self.status = status
        self.kind = stat.S_IFMT(status.st_mode)

    def open(self) -> int:
        """Open a folder or regular file."""
        if self.kind == stat.S_IFDIR:
            return os.open(self.name, OPEN_FOLDER, dir_fd=self.folder)
        return open_regular(self.name, self.folder)

    def xattrs(self) -> list[tuple[bytes, bytes]]:
        """Give the attributes that a layer keeps."""
        if self.kind not in {stat.S_IFDIR, stat.S_IFREG}:
            return []
        descriptor = self.open()
        try:
            return kept_xattrs(descriptor)
        finally:
            os.close(descriptor)

    def same_attributes(self, other: "Found") -> bool:
        """Tell whether kind, mode, owner, group and extended attributes are equal; a link has no mode."""
        mine, theirs = self.status, other.status
        if self.kind != other.kind or (mine.st_uid, mine.st_gid) != (theirs.st_uid, theirs.st_gid):
            return False
        if self.kind == stat.S_IFLNK:
            return True
        return mine.st_mode == theirs.st_mode and self.xattrs() == other.xattrs()

    def same_content(self, other: "Found") -> bool:
        """Tell whether two of the same kind hold the same bytes, target or device."""
        if self.kind == stat.S_IFLNK:
            return os.readlink(self.name, dir_fd=self.folder) == os.readlink(other.name, dir_fd=other.folder)
        if self.kind == stat.S_IFREG:
            return self.status.st_size == other.status.st_size and same_bytes(self.open(), other.open())
        return self.kind == stat.S_IFDIR or self.status.st_rdev == other.status.st_rdev


def is_whiteout(status: os.stat_result) -> bool:
    """Tell an overlay whiteout: a character device 0/0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def same_bytes(one: int, other: int) -> bool:
    """Tell whether two open files hold the same; closes both."""
    with open(one, "rb", CHUNK) as mine, open(other, "rb", CHUNK) as theirs:
        while True:
            data = mine.read(CHUNK)
            if data != theirs.read(CHUNK):
                return False
            if not data:
                return True


class Comparison:
    """The operations that tell what changed."""

    def __init__(self, root: str, base: str | None) -> None:
        self.root = os.fsencode(root)
        self.base = None if base is None else os.fsencode(base)
        self.created = 0
        # Unchanged folders on the way down, which are told as soon as something below them is.
        self.parents: list[tuple[bytes, Found]] = []
        self.layers = None if base is not None else layers_of(self.root)

    def layered(self) -> Fields:
        """Tell whether this mount shows its layers, so that no base is needed."""
        return [b"1" if self.layers is not None else b"0"]

    def changes(self, created: bytes) -> Iterator[Fields]:
        """Give every path that differs: path, change, numbers, a link's target, identity if hard-linked, attributes.

        Args:
            created: nanoseconds since the epoch; a file that had its last change before and has the base's size and
                times is taken for unchanged without being read. 0 reads every file.
        """
        self.parents = []
        allow_many_files()
        with ExitStack() as stack:
            merged = stack.enter_context(Stack([open_root(self.root)]))
            if self.layers is not None:
                upper = stack.enter_context(Stack([open_root(self.layers[0])]))
                lower = stack.enter_context(Stack([open_root(folder) for folder in self.layers[1]]))
                yield from self._folder(b"", merged, lower, upper)
            elif self.base is not None:
                self.created = int(created)
                lower = stack.enter_context(Stack([open_root(self.base)]))
                yield from self._folder(b"", merged, lower, None)
            else:
                raise OSError(EINVAL, "nothing to compare the container with")

    def _folder(self, path: bytes, new: Stack, old: Stack, upper: Stack | None) -> Iterator[Fields]:
        """Compare one folder; ``upper`` has the names to look at when it is known that no others changed."""
        for name in sorted(upper.raw_names() if upper is not None else new.names() | old.names()):
            inner = path + b"/" + name
            now, before = new.find(name), old.find(name)
            if now is None:
                if before is not None:
                    yield from self._tell([inner, b"whiteout"])
            elif now.kind == stat.S_IFDIR:
                yield from self._directory(inner, now, before, (new, old, upper))
            elif before is None or self._differs(now, before):
                yield from self._changed(inner, now, before)

    def _directory(
        self, path: bytes, now: Found, before: Found | None, stacks: tuple[Stack, Stack, Stack | None]
    ) -> Iterator[Fields]:
        name, (new, old, upper) = now.name, stacks
        known = before is not None and before.kind == stat.S_IFDIR
        with ExitStack() as stack:
            new_inside = stack.enter_context(new.enter(name))
            old_inside = stack.enter_context(old.enter(name) if known else Stack([]))
            upper_inside = stack.enter_context(upper.enter(name)) if known and upper is not None else None
            if upper_inside is not None and not upper_inside.tells_all():
                upper_inside = None
            if before is None or not now.same_attributes(before):
                yield from self._tell(entry(path, b"directory", now))
                yield from self._folder(path, new_inside, old_inside, upper_inside)
                return
            self.parents.append((path, now))
            yield from self._folder(path, new_inside, old_inside, upper_inside)
            if self.parents and self.parents[-1][1] is now:
                self.parents.pop()

    def _differs(self, now: Found, before: Found) -> bool:
        mine, theirs = now.status, before.status
        if (
            mine.st_ctime_ns < self.created
            and (mine.st_mode, mine.st_uid, mine.st_gid) == (theirs.st_mode, theirs.st_uid, theirs.st_gid)
            and (mine.st_size, mine.st_mtime_ns) == (theirs.st_size, theirs.st_mtime_ns)
        ):
            return False
        return not (now.same_attributes(before) and now.same_content(before))

    def _changed(self, path: bytes, now: Found, before: Found | None) -> Iterator[Fields]:
        if now.kind == stat.S_IFREG:
            yield from self._tell(entry(path, b"file", now))
        elif now.kind == stat.S_IFLNK:
            yield from self._tell(entry(path, b"symlink", now))
        else:
            # A device, socket or FIFO, which no layer of ours holds; what it replaced is gone all the same.
            if before is not None:
                yield from self._tell([path, b"whiteout"])
            yield [path, b"special"]

    def _tell(self, fields: Fields) -> Iterator[Fields]:
        for path, folder in self.parents:
            yield entry(path, b"directory", folder)
        self.parents.clear()
        yield fields


def entry(path: bytes, change: bytes, found: Found) -> Fields:
    """Give the message for something that is there."""
    numbers, target = describe(found.name, found.folder, found.status)
    status = found.status
    linked = found.kind == stat.S_IFREG and status.st_nlink > 1
    identity = b"%d:%d" % (status.st_dev, status.st_ino) if linked else b""
    return [path, change, numbers, target, identity, *(field for pair in found.xattrs() for field in pair)]


def layers_of(root: bytes) -> tuple[bytes, list[bytes]] | None:
    """Give the upper and the lower folders of a mount, if it is made of such and all can be read."""
    with open("/proc/self/mountinfo", "rb") as stream:  # noqa: PTH123 # pathlib costs more than all else here
        layers = find_layers(stream.read(), os.path.realpath(root))
    if layers is None or not all(os.access(folder, os.R_OK | os.X_OK) for folder in (layers[0], *layers[1])):
        return None
    return layers


def open_root(path: bytes) -> int:
    """Open a folder that buildah named."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def allow_many_files() -> None:
    """Raise the limit of open files: a deep folder is open in each of an image's layers at once."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
