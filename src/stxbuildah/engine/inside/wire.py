# SPDX-License-Identifier: Apache-2.0
"""The messages between ``engine.tree`` and the process inside the user namespace.

A message is a status byte, a count, that many lengths (all big-endian 32 bits) and that many byte strings. A request
is an operation's name and its arguments. Answers: ``+`` more follow, ``.`` the last one, ``!`` an errno and a text.
``close``, ``put`` and ``more`` are not answered: ``finish`` tells the first fault of all since the last one.
"""

from struct import Struct

TYPE_CHECKING = False  # the module typing takes longer to load than all else here
if TYPE_CHECKING:
    from typing import BinaryIO

VERSION = b"1"
CHUNK = 1 << 20

MORE, LAST, FAULT, REQUEST = b"+", b".", b"!", b"?"

_HEAD = Struct("!cI")

Fields = list[bytes]


def send(stream: "BinaryIO", status: bytes, fields: Fields) -> None:
    """Write one message; the caller flushes."""
    lengths = Struct(f"!{len(fields)}I").pack(*map(len, fields))
    stream.write(b"".join((_HEAD.pack(status, len(fields)), lengths, *fields)))


def receive(stream: "BinaryIO") -> tuple[bytes, Fields] | None:
    """Read one message; None when the other side has gone."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    status, count = _HEAD.unpack(head)
    form = Struct(f"!{count}I")
    lengths = stream.read(form.size)
    if len(lengths) < form.size:
        return None
    fields = []
    for length in form.unpack(lengths):
        field = stream.read(length)
        if len(field) < length:
            return None
        fields.append(field)
    return status, fields
