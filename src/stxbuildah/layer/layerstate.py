# SPDX-License-Identifier: Apache-2.0
"""What the members of a layer's tar, in their order, make of an empty folder.

The rules are those by which containers/storage's overlay driver unpacks a layer (pkg/archive, ``Unpack``): parents
that are missing are made with mode 755 for root; a parent that is a link of the same layer is followed, inside the
layer; a member takes the place of what is there, only a directory over a directory changes nothing but its metadata;
a hard link's header is applied to the file that it shares. Whiteouts follow the OCI image specification, "Layer":
they hide what layers below have and nothing of their own layer, wherever in it they stand.

Where that driver refuses a layer, this one is mild where others (containerd, the vfs driver) are: a parent below a
link that leads nowhere is made, a whiteout may follow what it would hide, a hard link may name a path below.
"""

import struct
from collections.abc import Iterator

from stxbuildah.errors import InputError
from stxbuildah.layer.indexformat import NO_CONTENT, NO_ORIGIN, NODE, RowKind, decode, encode
from stxbuildah.layer.paths import MAXIMUM_LINKS
from stxbuildah.layer.tarmember import Member, MemberKind, relative_path

# A path of PATH_MAX has no more; links could make deeper ones, without end.
MAXIMUM_DEPTH = 2048
# Bytes of names, of targets and of folders with their whole paths: ten times what two million files need, and the end
# of a layer of a few kilobytes that makes two thousand folders with each member.
MAXIMUM_NAMES = 256 * 2**20
_FOLDER_BYTES = 256
# Members of one folder stand together, but for those of the folders in it.
_KNOWN_FOLDERS = 512
_PREFIX = ".wh."
_OPAQUE = ".wh..wh..opq"
# What aufs keeps for itself, as .wh..wh.plnk.
_META_PREFIX = ".wh..wh."
_KINDS = {
    MemberKind.REGULAR: RowKind.FILE,
    MemberKind.DIRECTORY: RowKind.DIRECTORY,
    MemberKind.SYMLINK: RowKind.SYMLINK,
    MemberKind.CHARACTER_DEVICE: RowKind.OTHER,
    MemberKind.BLOCK_DEVICE: RowKind.OTHER,
    MemberKind.FIFO: RowKind.OTHER,
}
_LINK_MODE = 0o777
_IMPLICIT = NODE.pack(RowKind.DIRECTORY, 0o755, 0, 0, 0, 0, NO_CONTENT, NO_ORIGIN)
# Linux hands the bit down from folder to folder, inode(7).
_SETGID = 0o2000
_IMPLICIT_SETGID = NODE.pack(RowKind.DIRECTORY, 0o755 | _SETGID, 0, 0, 0, 0, NO_CONTENT, NO_ORIGIN)


class SharedNode:
    """What several hard links share.

    Attributes:
        node: as of ``LayerFolder.entries``.
    """

    __slots__ = ("node",)

    def __init__(self, node: bytes) -> None:
        self.node = node


class LayerFolder:
    """A folder of a layer.

    Attributes:
        node: the folder itself, packed by ``NODE``.
        implicit: it has no member of its own.
        entries: by name: a folder, or a packed node with the target of a link behind it, shared or not. Packed, since
            a layer can have millions.
        whiteouts: names of layers below that go away.
        opaque: everything of layers below goes away.
        length: letters of its path.
    """

    __slots__ = ("entries", "implicit", "length", "node", "opaque", "whiteouts")

    def __init__(self, node: bytes, *, implicit: bool = False, length: int = 0) -> None:
        self.node = node
        self.length = length
        self.implicit = implicit
        self.entries: dict[str, Node] = {}
        self.whiteouts: set[str] = set()
        self.opaque = False

    def children(self) -> list[tuple[bytes, "Node"]]:
        """Give the entries that count, by name as bytes, sorted.

        A folder that is there for whiteouts alone and is whited out itself does not count: some tools write ``.wh.a``
        and ``a/.wh.b`` for ``rm -r a``.
        """
        hollow = {name for name in self.whiteouts if _is_hollow(self.entries.get(name))}
        found = [(encode(name), node) for name, node in self.entries.items() if name not in hollow]
        return sorted(found, key=lambda child: child[0])

    def whiteout_names(self) -> list[bytes]:
        """Give the names of layers below that go away, as bytes, sorted."""
        return sorted(map(encode, self.whiteouts))


Node = bytes | SharedNode | LayerFolder


class LayerState:
    """A layer's tree as far as its members have been added.

    Attributes:
        root: the root folder.
    """

    def __init__(self) -> None:
        self.root = LayerFolder(_IMPLICIT, implicit=True)
        # Folders by the paths that members named them by, until something that was there gives way to something else.
        self._known = {"": self.root}
        self._names = 0

    def add(self, member: Member, *, content: int = NO_CONTENT, origin: int = NO_ORIGIN) -> None:
        """Add the next member.

        Args:
            member: the member.
            content: number of what is kept of its content.
            origin: how many regular files stand before it in the tar.

        Raises:
            InputError: it stands below something that is no directory, or links to a directory; or there are too many
                names and folders by now.
        """
        if "\0" in member.path:
            raise InputError(f"the path {member.path!r} has a zero byte")
        folder_path, _, name = member.path.rpartition("/")
        self._count(len(name) + len(member.target))
        if not name:
            if member.kind is MemberKind.DIRECTORY:
                self.root.node = _packed(member)
                self.root.implicit = False
            return
        folder = self._known.get(folder_path) or self._folder(folder_path, make=True)
        if folder is None:
            if name.startswith(_PREFIX):
                return  # of something that is no folder any more
            raise InputError(f"{member.path} is below something that is no directory")
        self._remember(folder_path, folder)
        if name.startswith(_PREFIX):
            _add_whiteout(folder, name)
        elif member.kind is MemberKind.HARDLINK:
            self._add_link(folder, name, member)
        elif member.kind is MemberKind.DIRECTORY and isinstance(present := folder.entries.get(name), LayerFolder):
            present.node = _packed(member)
            present.implicit = False
        elif member.kind is MemberKind.DIRECTORY:
            made = self._counted(LayerFolder(_packed(member), length=folder.length + len(name) + 1))
            self._put(folder, name, made)
            self._remember(member.path, made)
        else:
            self._put(folder, name, _packed(member, content=content, origin=origin))

    def _remember(self, path: str, folder: LayerFolder) -> None:
        if len(self._known) >= _KNOWN_FOLDERS:
            self._known.clear()
        self._known[path] = folder

    def _count(self, size: int) -> None:
        self._names += size
        if self._names > MAXIMUM_NAMES:
            raise InputError(f"its names and folders need more than {MAXIMUM_NAMES >> 20} MiB")

    def _counted(self, folder: LayerFolder) -> LayerFolder:
        self._count(_FOLDER_BYTES + folder.length)
        return folder

    def _put(self, folder: LayerFolder, name: str, node: Node) -> None:
        if name in folder.entries:
            self._known.clear()  # known paths may lead through what goes
        folder.entries[name] = node

    def _add_link(self, folder: LayerFolder, name: str, member: Member) -> None:
        target = relative_path(member.target)
        target_folder, _, target_name = target.rpartition("/")
        found_in = self._folder(target_folder, make=False)
        found = found_in.entries.get(target_name) if found_in is not None else None
        if isinstance(found, LayerFolder) or not target_name:
            raise InputError(f"{member.path} is a hard link to the directory {target}")
        if found_in is None or found is None:
            self._put(folder, name, _packed(member, target=f"/{target}"))
            return
        shared = found if isinstance(found, SharedNode) else SharedNode(found)
        found_in.entries[target_name] = shared
        shared.node = _with_metadata(shared.node, member)
        if folder.entries.get(name) is not shared:
            self._put(folder, name, shared)

    def _folder(self, path: str, *, make: bool) -> LayerFolder | None:
        """Give the folder at a path, links of this layer followed as inside a chroot.

        Returns:
            None when something on the way is no directory, or missing and not to be made.

        Raises:
            InputError: there are too many links, or the folders are too deep.
        """
        above = [self.root]
        waiting = path.split("/")[::-1] if path else []
        links = 0
        while waiting:
            name = waiting.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                if len(above) > 1:
                    above.pop()
                continue
            found = above[-1].entries.get(name)
            if found is None:
                if not make:
                    return None
                found = above[-1].entries[name] = self._counted(_implicit_below(above[-1], name))
            if isinstance(found, LayerFolder):
                above.append(found)
                if len(above) > MAXIMUM_DEPTH:
                    raise InputError(f"{path} leads through more than {MAXIMUM_DEPTH} folders")
                continue
            node = found.node if isinstance(found, SharedNode) else found
            if node[0] != RowKind.SYMLINK:
                return None
            links += 1
            if links > MAXIMUM_LINKS:
                raise InputError(f"{path} leads through more than {MAXIMUM_LINKS} links")
            target = decode(node[NODE.size :])
            if target.startswith("/"):
                del above[1:]
            waiting.extend(target.split("/")[::-1])
        return above[-1]

    def folders(self) -> Iterator[tuple[bytes, LayerFolder, list[tuple[bytes, Node]]]]:
        """Give the key (``indexformat``) of each folder, the folder and what counts in it, in the order of the keys."""
        waiting = [(b"", self.root)]
        while waiting:
            key, folder = waiting.pop()
            children = folder.children()
            yield key, folder, children
            below = key + b"\0" if key else b""
            waiting.extend((below + name, node) for name, node in reversed(children) if isinstance(node, LayerFolder))


def _implicit_below(folder: LayerFolder, name: str) -> LayerFolder:
    mode: int = NODE.unpack_from(folder.node)[1]
    node = _IMPLICIT_SETGID if mode & _SETGID else _IMPLICIT
    return LayerFolder(node, implicit=True, length=folder.length + len(name) + 1)


def _add_whiteout(folder: LayerFolder, name: str) -> None:
    hidden = name.removeprefix(_PREFIX)
    if name == _OPAQUE:
        folder.opaque = True
    elif not name.startswith(_META_PREFIX) and hidden not in {"", ".", ".."}:
        folder.whiteouts.add(hidden)


def _packed(member: Member, *, content: int = NO_CONTENT, origin: int = NO_ORIGIN, target: str | None = None) -> bytes:
    kind = RowKind.LINK if target is not None else _KINDS[member.kind]
    mode = _LINK_MODE if kind is RowKind.SYMLINK else member.mode
    # Only links have a target; one of a hard link is told by the caller.
    written = member.target if kind is RowKind.SYMLINK else target or ""
    size = member.size if kind is RowKind.FILE else 0
    try:
        packed = NODE.pack(kind, mode & 0o7777, member.uid, member.gid, size, member.mtime, content, origin)
    except struct.error as error:
        raise InputError(f"{member.path} has an owner, a group or a time that Linux does not know") from error
    return packed + encode(written) if written else packed


def _with_metadata(node: bytes, member: Member) -> bytes:
    """Give a node with mode, owner, group and time of a hard link's header; a link keeps mode and time."""
    kind, mode, _, _, size, mtime, content, origin = NODE.unpack_from(node)
    if kind != RowKind.SYMLINK:
        mode, mtime = member.mode & 0o7777, member.mtime
    try:
        packed = NODE.pack(kind, mode, member.uid, member.gid, size, mtime, content, origin)
    except struct.error as error:
        raise InputError(f"{member.path} has an owner, a group or a time that Linux does not know") from error
    return packed + node[NODE.size :]


def _is_hollow(node: Node | None) -> bool:
    """Say whether a node is a folder without a member of its own, and nothing but such folders are below it."""
    waiting: list[Node | None] = [node]
    while waiting:
        found = waiting.pop()
        if not isinstance(found, LayerFolder) or not found.implicit:
            return False
        waiting.extend(found.entries.values())
    return True
