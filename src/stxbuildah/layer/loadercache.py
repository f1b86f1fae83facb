# SPDX-License-Identifier: Apache-2.0
"""The cache in which glibc's dynamic loader looks libraries up, ``/etc/ld.so.cache``.

Only the format of glibc 2.2 and later is read (``struct cache_file_new`` of its dl-cache.h), which may follow the
older one in the same file.
"""

import struct

_MAGIC = b"glibc-ld.so.cache1.1"
# Magic, number of libraries, length of the texts, flags and what is unused.
_HEADER = struct.Struct("<20sII20x")
# Flags, key, value, operating system's version, hardware capabilities; key and value are places of texts.
_ENTRY = struct.Struct("<iIIIQ")
_MAXIMUM_ENTRIES = 100_000
_MAXIMUM_TEXT = 4096


def read_cache(data: bytes) -> dict[str, tuple[str, ...]]:
    """Give the paths of each library by its name, in the cache's order; nothing of a damaged or unknown cache."""
    start = data.find(_MAGIC)
    if start < 0:
        return {}
    try:
        _, count, _ = _HEADER.unpack_from(data, start)
        entries = [
            _ENTRY.unpack_from(data, start + _HEADER.size + number * _ENTRY.size)
            for number in range(min(count, _MAXIMUM_ENTRIES))
        ]
    except struct.error:
        return {}
    found: dict[str, list[str]] = {}
    for _, key, value, _, _ in entries:
        name, path = _text(data, start + key), _text(data, start + value)
        if name and path.startswith("/"):
            found.setdefault(name, []).append(path)
    return {name: tuple(paths) for name, paths in found.items()}


def _text(data: bytes, start: int) -> str:
    text, end, _ = data[start : start + _MAXIMUM_TEXT].partition(b"\0")
    return text.decode("utf-8", "surrogateescape") if end else ""
