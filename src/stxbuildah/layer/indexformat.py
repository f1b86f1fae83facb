# SPDX-License-Identifier: Apache-2.0
"""The bytes of a layer index.

All numbers are little-endian. The file is, in this order:

- the header (``HEADER``): magic, version, CRC-32 of the header behind this number and of the tables, sizes in bytes of
  the tables and of the contents, number of folders, number of contents, and the digest of the layer's uncompressed tar;
- the tables: a block for each folder of the layer; the offset in the tables of each block (``OFFSET``); the content
  table, for each content its offset behind the tables, its length and its CRC-32 (``CONTENT``);
- the contents.

A block: length of the folder's key, flags, number of rows (``BLOCK``), the key, the rows (``ROW``), then for each row
its name and its target. A key is the folder's path without the leading slash, its slashes written as zero bytes, so
that the order of a walk over the tree is the order of the keys. The root's block is the first; its first row, without a
name, is the root folder itself.

The tables answer every question but that for a content; they are read as a whole. Damage in a content is found when it
is asked for, and is as if it had not been kept.
"""

import struct
from enum import IntEnum

MAGIC = b"stxb layer index"
VERSION = 1
HEADER_START = struct.Struct("<16sII")
HEADER_REST = struct.Struct("<QQII160s")
HEADER_SIZE = HEADER_START.size + HEADER_REST.size
BLOCK = struct.Struct("<HBI")
# What is known of one path: kind, mode, owner, group, size, time, number of its content, and how many regular files
# stand in the tar before the one that it is.
NODE = struct.Struct("<BHIIQqII")
# A node, and the lengths of name and target.
ROW = struct.Struct("<BHIIQqIIHH")
LENGTHS = struct.Struct("<HH")
OFFSET = struct.Struct("<Q")
CONTENT = struct.Struct("<QQI")

NO_CONTENT = 0xFFFFFFFF
# Of what has no data of its own in the tar.
NO_ORIGIN = 0xFFFFFFFF
# Where in a node the number of the content stands.
CONTENT_NUMBER = struct.Struct("<I")
CONTENT_NUMBER_OFFSET = struct.calcsize("<BHIIQq")
# Flags of a block: everything of layers below goes away; the tar has no member for the folder itself.
OPAQUE, IMPLICIT = 1, 2
# 2,000,000 members with long names come to less.
MAXIMUM_TABLES = 1 << 30


class RowKind(IntEnum):
    """What a row is."""

    FILE = 0
    DIRECTORY = 1
    SYMLINK = 2
    OTHER = 3
    # A hard link to a path that only a layer below can have.
    LINK = 4
    WHITEOUT = 5


def encode(text: str) -> bytes:
    """Give the bytes of a name, a path or a target."""
    return text.encode("utf-8", "surrogateescape")


def decode(text: bytes) -> str:
    """Give a name, a path or a target of its bytes."""
    return text.decode("utf-8", "surrogateescape")


def key_of(path: str) -> bytes:
    """Give the key of an absolute, normalized path."""
    return encode(path)[1:].replace(b"/", b"\0")
