# SPDX-License-Identifier: Apache-2.0
"""ELF files made of values: nothing but what a dynamic loader reads of them."""

import struct
from collections.abc import Sequence

X86_64, AARCH64 = 62, 183
_ADDRESS = 0x400000


def make_elf(
    *needed: str,
    loader: str = "",
    rpath: str = "",
    runpath: str = "",
    machine: int = X86_64,
    wide: bool = True,
    big: bool = False,
    flags: int = 0,
    static: bool = False,
) -> bytes:
    """Give a program or library.

    Args:
        needed: names of the libraries that it needs.
        loader: path of its loader; empty for a library.
        rpath: DT_RPATH.
        runpath: DT_RUNPATH.
        machine: ``e_machine``.
        wide: 64 bits.
        big: big-endian.
        flags: DT_FLAGS_1.
        static: without a dynamic section.
    """
    order, word = ">" if big else "<", "Q" if wide else "I"
    head, segment = (64, 56) if wide else (52, 32)
    texts = bytearray(b"\0")
    entries: list[tuple[int, int]] = []
    for tag, text in [*((1, name) for name in needed), (15, rpath), (29, runpath)]:
        if text:
            entries.append((tag, len(texts)))
            texts += text.encode() + b"\0"
    if flags:
        entries.append((0x6FFFFFFB, flags))
    segments = 3
    start = head + segments * segment
    table = start + len(loader) + 1
    dynamic = table + len(texts)
    entries += [(5, _ADDRESS + table), (0, 0)]
    body = loader.encode() + b"\0" + bytes(texts)
    body += b"".join(struct.pack(order + word * 2, *entry) for entry in entries)
    end = start + len(body)
    described = [
        (1, 0, end),
        (3 if loader else 0, start, len(loader) + 1),
        (0 if static else 2, dynamic, end - dynamic),
    ]
    rows = b"".join(_segment(order, one, wide=wide) for one in described)
    identification = b"\x7fELF" + bytes([2 if wide else 1, 2 if big else 1, 1]) + bytes(9)
    numbers: Sequence[int] = (3, machine, 1, 0, head, 0, 0, head, segment, segments, 0, 0, 0)
    return identification + struct.pack(f"{order}HHI{word * 3}IHHHHHH", *numbers) + rows + body


def _segment(order: str, described: tuple[int, int, int], *, wide: bool) -> bytes:
    what, start, size = described
    address = _ADDRESS + start
    if wide:
        return struct.pack(order + "IIQQQQQQ", what, 5, start, address, address, size, size, 4096)
    return struct.pack(order + "IIIIIIII", what, start, address, address, size, size, 5, 4096)


def make_cache(paths: Sequence[str], *, old_part: bytes = b"") -> bytes:
    """Give an ``ld.so.cache`` that knows these libraries by the last part of their paths."""
    texts, entries = bytearray(), b""
    first = 48 + 24 * len(paths)
    for path in paths:
        value = first + len(texts)
        key = value + path.rindex("/") + 1
        texts += path.encode() + b"\0"
        entries += struct.pack("<iIIIQ", 0x0303, key, value, 0, 0)
    return old_part + struct.pack("<20sII20x", b"glibc-ld.so.cache1.1", len(paths), len(texts)) + entries + bytes(texts)
