# SPDX-License-Identifier: Apache-2.0
"""What a program's ELF header and its loader say: the machine, and the C library it is for.

Source of the layouts: elf(5). Only headers are read; nothing is loaded or run.
"""

import re
import struct

import attrs

from stxbuildah.layer.paths import base_name, read_file, real_path, resolve
from stxbuildah.model.tree import FileTree, Kind
from stxbuildah.model.value import Value

# Enough for the ELF header, the program headers, and the loader's name that linkers put right behind them.
_HEAD = 4096
_INTERPRETER_SEGMENT = 3
_ARM = 40
_BIG_ENDIAN = 2
_CLASS_64 = 2

# e_machine, 64 bits, big-endian -> what `uname -m` says there, as platform tags spell it.
_MACHINES: dict[tuple[int, bool, bool], str] = {
    (3, False, False): "i686",
    (20, False, True): "ppc",
    (21, True, True): "ppc64",
    (21, True, False): "ppc64le",
    (22, True, True): "s390x",
    (_ARM, False, False): "armv7l",
    (62, True, False): "x86_64",
    (183, True, False): "aarch64",
    (243, True, False): "riscv64",
    (258, True, False): "loongarch64",
}
_LOADER_FOLDERS = ("/lib64", "/lib", "/usr/lib64", "/usr/lib")
_GLIBC_LOADER = re.compile(r"^ld(?:-linux[-\w]*|64)\.so\.\d$")
_MUSL_LOADER = re.compile(r"^ld-musl-([\w]+)\.so\.1$")
_GLIBC_NAME = re.compile(r"^(?:ld|libc)-(\d+)\.(\d+)(?:\.\d+)?\.so$")
_GLIBC_SENTENCE = re.compile(rb"(?:GNU C Library|ld\.so) [^\n\0]{0,160}?version (\d+)\.(\d+)")
_MUSL_VERSION = re.compile(rb"\0(\d+)\.(\d+)\.\d+[-.\w]*\0")


@attrs.frozen(kw_only=True)
class Program(Value):
    """What an ELF file says of itself.

    Attributes:
        machine: hardware name as in platform tags; empty when it is one that Python has no platform tag for.
        loader: path of the dynamic loader it asks for; empty when it asks for none.
    """

    machine: str
    loader: str


@attrs.frozen(kw_only=True)
class CLibrary(Value):
    """The C library that programs of an image run with; at most one of the two is set.

    Attributes:
        glibc: version when it is glibc.
        musl: version when it is musl.
    """

    glibc: tuple[int, int] | None = None
    musl: tuple[int, int] | None = None


def read_program(head: bytes) -> Program | None:
    """Give what the first bytes of a file say of it as a program; None when it is no ELF file."""
    if len(head) < 52 or not head.startswith(b"\x7fELF"):  # noqa: PLR2004 # size of the smaller ELF header
        return None
    wide, big = head[4] == _CLASS_64, head[5] == _BIG_ENDIAN
    order = ">" if big else "<"
    (machine,) = struct.unpack_from(order + "H", head, 18)
    try:
        if wide:
            (table,) = struct.unpack_from(order + "Q", head, 32)
            entry_size, count = struct.unpack_from(order + "HH", head, 54)
        else:
            (table,) = struct.unpack_from(order + "I", head, 28)
            entry_size, count = struct.unpack_from(order + "HH", head, 42)
        loader = _loader_name(head, order, wide=wide, offsets=range(table, table + entry_size * count, entry_size or 1))
    except struct.error:
        loader = ""
    return Program(machine=_MACHINES.get((machine, wide, big), ""), loader=loader)


def _loader_name(head: bytes, order: str, *, wide: bool, offsets: range) -> str:
    for offset in offsets:
        if offset + (56 if wide else 32) > len(head):
            break
        (kind,) = struct.unpack_from(order + "I", head, offset)
        if kind == _INTERPRETER_SEGMENT:
            layout, place = ("Q", offset + 8) if wide else ("I", offset + 4)
            (start,) = struct.unpack_from(order + layout, head, place)
            name, end, _ = head[start : start + 256].partition(b"\0")
            return name.decode("ascii", "replace") if end else ""
    return ""


def program_at(tree: FileTree, path: str) -> Program | None:
    """Give what the program at a canonical path says of itself; None when it is no ELF file."""
    entry = tree.lstat(path)
    if entry is None or entry.kind is not Kind.FILE:
        return None
    return read_program(tree.read_start(path, _HEAD))


def find_loader(tree: FileTree) -> str:
    """Give the path of the image's dynamic loader, 64 bits before 32, for a program that does not name one."""
    for folder in _LOADER_FOLDERS:
        for name in sorted(tree.scandir(real_path(tree, folder) or folder), reverse=True):
            if _GLIBC_LOADER.match(name) or _MUSL_LOADER.match(name):
                return f"{folder}/{name}"
    return ""


def c_library(tree: FileTree, loader: str) -> CLibrary:
    """Give the C library that belongs to a dynamic loader.

    glibc up to 2.33 has its version in the names of its files; the loader of 2.33 and later answers ``--version`` and
    so holds the sentence; ``libc.so.6`` always does. musl's loader is its C library, and holds its version as a string.

    Args:
        tree: the image.
        loader: the loader's path as programs name it; empty for none.
    """
    real = resolve(tree, loader) if loader else None
    if real is None:
        return CLibrary()
    if _MUSL_LOADER.match(base_name(loader)):
        found = _MUSL_VERSION.search(read_file(tree, real) or b"")
        return CLibrary(musl=(int(found[1]), int(found[2])) if found else None)
    folder = real.rpartition("/")[0]
    library = resolve(tree, f"{folder}/libc.so.6")
    for path in (real, library):
        if path and (named := _GLIBC_NAME.match(base_name(path))):
            return CLibrary(glibc=(int(named[1]), int(named[2])))
    for path in (real, library):
        if path and (found := _GLIBC_SENTENCE.search(read_file(tree, path) or b"")):
            return CLibrary(glibc=(int(found[1]), int(found[2])))
    return CLibrary()
