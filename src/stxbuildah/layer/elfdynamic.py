# SPDX-License-Identifier: Apache-2.0
"""What an ELF file asks of the dynamic loader: the libraries it needs, and where they are looked for.

Source of the layouts: elf(5) and the System V ABI, "Dynamic Section". Nothing is loaded or run.
"""

import struct
from collections.abc import Iterator

import attrs

from stxbuildah.model.value import Value

_CLASS_64, _BIG_ENDIAN = 2, 2
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NULL, _NEEDED, _STRINGS, _RPATH, _RUNPATH, _FLAGS_1 = 0, 1, 5, 15, 29, 0x6FFFFFFB
_NO_DEFAULT_FOLDERS = 0x800
# Of real programs none comes near these.
_MAXIMUM_SEGMENTS, _MAXIMUM_ENTRIES, _MAXIMUM_NAME = 512, 4096, 4096


@attrs.frozen(kw_only=True)
class DynamicObject(Value):
    """A program or library as the dynamic loader sees it.

    Attributes:
        kind: its machine, size of address and order of bytes; only what agrees in these can be loaded together.
        loader: path of the loader that it asks for; empty for a library, and for a program that needs none.
        needed: names of the libraries it needs, in its order.
        rpath: folders of DT_RPATH, as written.
        runpath: folders of DT_RUNPATH, as written.
        default_folders: whether libraries may also come from the cache and the system's folders.
    """

    kind: tuple[int, bool, bool]
    loader: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    default_folders: bool = True


def kind_of(head: bytes) -> tuple[int, bool, bool] | None:
    """Give machine (``e_machine``), whether it has 64 bits, and whether it is big-endian; None for no ELF file."""
    if len(head) < 52 or not head.startswith(b"\x7fELF"):  # noqa: PLR2004 # size of the smaller ELF header
        return None
    big = head[5] == _BIG_ENDIAN
    (machine,) = struct.unpack_from(">H" if big else "<H", head, 18)
    return machine, head[4] == _CLASS_64, big


def read_dynamic(data: bytes) -> DynamicObject | None:
    """Read a whole ELF file; None when it is none, or is damaged.

    Args:
        data: the file.
    """
    kind = kind_of(data)
    if kind is None:
        return None
    try:
        return _read(data, kind)
    except (struct.error, OverflowError):
        # It points behind its own end, or where no file reaches.
        return None


def _read(data: bytes, kind: tuple[int, bool, bool]) -> DynamicObject:
    _, wide, big = kind
    order = ">" if big else "<"
    segments = list(_segments(data, order, wide=wide))
    loads = [(start, address, size) for what, start, address, size in segments if what == _LOAD]
    loader = next((_text(data, start) for what, start, _, _ in segments if what == _INTERPRETER), "")
    dynamic = next(((start, size) for what, start, _, size in segments if what == _DYNAMIC), None)
    if dynamic is None:
        return DynamicObject(kind=kind, loader=loader)
    entries = list(_entries(data, order, *dynamic, wide=wide))
    table = next((_offset(loads, value) for tag, value in entries if tag == _STRINGS), None)

    def texts(wanted: int) -> tuple[str, ...]:
        if table is None:
            return ()
        return tuple(_text(data, table + value) for tag, value in entries if tag == wanted)

    flags = next((value for tag, value in entries if tag == _FLAGS_1), 0)
    return DynamicObject(
        kind=kind,
        loader=loader,
        needed=texts(_NEEDED),
        rpath=_folders(texts(_RPATH)),
        runpath=_folders(texts(_RUNPATH)),
        default_folders=not flags & _NO_DEFAULT_FOLDERS,
    )


def _segments(data: bytes, order: str, *, wide: bool) -> Iterator[tuple[int, int, int, int]]:
    """Give type, place in the file, address and size in the file of each segment."""
    if wide:
        (table,) = struct.unpack_from(order + "Q", data, 32)
        size, count = struct.unpack_from(order + "HH", data, 54)
    else:
        (table,) = struct.unpack_from(order + "I", data, 28)
        size, count = struct.unpack_from(order + "HH", data, 42)
    for number in range(min(count, _MAXIMUM_SEGMENTS)):
        place = table + number * size
        if wide:
            what, _, start, address, _, length = struct.unpack_from(order + "IIQQQQ", data, place)
        else:
            what, start, address, _, length = struct.unpack_from(order + "IIIII", data, place)
        yield what, start, address, length


def _entries(data: bytes, order: str, start: int, size: int, *, wide: bool) -> Iterator[tuple[int, int]]:
    form = struct.Struct(order + ("QQ" if wide else "II"))
    for number in range(min(size // form.size, _MAXIMUM_ENTRIES)):
        tag, value = form.unpack_from(data, start + number * form.size)
        if tag == _NULL:
            return
        yield tag, value


def _offset(loads: list[tuple[int, int, int]], address: int) -> int | None:
    """Give the place in the file of what is loaded to an address."""
    return next((start + address - low for start, low, size in loads if low <= address < low + size), None)


def _text(data: bytes, start: int) -> str:
    text, end, _ = data[start : start + _MAXIMUM_NAME].partition(b"\0")
    return text.decode("utf-8", "surrogateescape") if end else ""


def _folders(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folder for text in texts for folder in text.split(":") if folder)
