# SPDX-License-Identifier: Apache-2.0
"""Distribution packages made byte by byte."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from collections.abc import Callable

import zstandard

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def deb(files: dict[str, bytes], suffix: str = ".xz") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    members = {
        "debian-binary": b"2.0\n",
        "control.tar": b"odd",
        f"data.tar{suffix}": COMPRESSIONS[suffix](data.getvalue()),
    }
    found = b"!<arch>\n"
    for name, content in members.items():
        found += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        found += content + b"\n" * (len(content) % 2)
    return found


def rpm(files: dict[str, bytes], suffix: str = ".zst") -> bytes:
    def header(size: int) -> bytes:
        return b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">II", 1, size) + bytes(16 + size)

    def member(name: str, content: bytes, mode: int = 0o100644) -> bytes:
        numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        start = b"070701" + "".join(f"{number:08x}" for number in numbers).encode() + name.encode() + b"\0"
        return start + bytes(-len(start) % 4) + content + bytes(-len(content) % 4)

    payload = member("./usr", b"", 0o040755)
    payload += b"".join(member(name, content) for name, content in files.items()) + member("TRAILER!!!", b"")
    signatures = header(5)
    return (
        b"\xed\xab\xee\xdb" + bytes(92) + signatures + bytes(-len(signatures) % 8) + header(3)
        + COMPRESSIONS[suffix](payload)
    )  # fmt: skip
