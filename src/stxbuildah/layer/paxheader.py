# SPDX-License-Identifier: Apache-2.0
"""Records of pax extended headers (POSIX.1-2008, pax, "pax Extended Header").

They are taken as bytes, whatever ``hdrcharset`` says, so that names that are not UTF-8 come through.
"""

import re
from collections.abc import Mapping

from stxbuildah.errors import InputError
from stxbuildah.layer.tarfields import MAXIMUM_NUMBER

SPARSE_MAP = b"GNU.sparse.map"
_SPARSE_PAIR = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_XATTR = b"SCHILY.xattr."
# What containers/storage and Docker take for text; other values may hold zero bytes, as extended attributes do.
_TEXT = frozenset({b"path", b"linkpath", b"GNU.sparse.name"})
_MAXIMUM_DIGITS = 19
_LENGTH = re.compile(rb"([1-9][0-9]{0,9}) ")
_NUMBER = re.compile(rb"[0-9]{1,%d}" % _MAXIMUM_DIGITS)
_TIME = re.compile(rb"(-?)([0-9]{1,%d})(?:\.([0-9]*))?" % _MAXIMUM_DIGITS)


def pax_records(data: bytes) -> dict[bytes, bytes]:
    """Give the records of an extended header by keyword; of several with one keyword the last.

    The pairs of GNU's sparse format 0.0 come joined as format 0.1 has them.

    Raises:
        InputError: a record is damaged.
    """
    records: dict[bytes, bytes] = {}
    pairs: list[bytes] = []
    position = 0
    while position < len(data):
        match = _LENGTH.match(data, position)
        end = position + int(match[1]) if match else 0
        if match is None or end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
            raise InputError("a pax header is damaged: a record has not the length that it says")
        keyword, equals, value = data[match.end() : end - 1].partition(b"=")
        if not equals or not keyword or b"\0" in (value if keyword in _TEXT else keyword):
            raise InputError("a pax header is damaged: a record is not KEYWORD=VALUE")
        position = end
        if keyword in _SPARSE_PAIR:
            if keyword != _SPARSE_PAIR[len(pairs) % 2] or b"," in value:
                raise InputError("a pax header is damaged: its map of a sparse file is out of order")
            pairs.append(value)
        else:
            records[keyword] = value
    if pairs:
        records[SPARSE_MAP] = b",".join(pairs)
    return records


def pax_number(records: Mapping[bytes, bytes], keyword: bytes, default: int) -> int:
    """Give a whole number that is not negative; the default when the record is missing or empty.

    Raises:
        InputError: it is none.
    """
    value = records.get(keyword)
    if not value:
        return default
    number = int(value) if _NUMBER.fullmatch(value) else -1
    if not 0 <= number <= MAXIMUM_NUMBER:
        raise InputError(f"a pax header has {_shown(value)} where the {keyword.decode()} should be")
    return number


def pax_time(records: Mapping[bytes, bytes], keyword: bytes, default: int) -> int:
    """Give a time in whole seconds, rounded down; the default when the record is missing or empty.

    Raises:
        InputError: it is none.
    """
    value = records.get(keyword)
    if not value:
        return default
    match = _TIME.fullmatch(value)
    seconds = int(match[2]) if match else MAXIMUM_NUMBER + 1
    if match is None or seconds > MAXIMUM_NUMBER:
        raise InputError(f"a pax header has {_shown(value)} where the {keyword.decode()} should be")
    if not match[1]:
        return seconds
    return -seconds - bool((match[3] or b"").strip(b"0"))


def pax_xattrs(records: Mapping[bytes, bytes]) -> tuple[tuple[str, bytes], ...]:
    """Give the extended attributes, by name, from the records of GNU tar, star and Go's archive/tar."""
    return tuple(
        sorted(
            (keyword[len(_XATTR) :].decode("utf-8", "surrogateescape"), value)
            for keyword, value in records.items()
            if keyword.startswith(_XATTR)
        )
    )


def _shown(value: bytes) -> str:
    return repr(value[:40].decode("utf-8", "replace"))
