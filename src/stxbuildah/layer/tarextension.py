# SPDX-License-Identifier: Apache-2.0
"""Headers of a tar that say more of the member that follows: pax and GNU's long names."""

from typing import TYPE_CHECKING

from stxbuildah.errors import InputError
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.paxheader import pax_records
from stxbuildah.layer.tarfields import BLOCK, c_string

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONG_NAME = b"L"
_LONG_TARGET = b"K"
_GLOBAL = b"g"


class Extension:
    """What the headers before a member say of it.

    Args:
        limit: bytes of these headers together that are accepted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._long_name = b""
        self._long_target = b""
        self.records: Mapping[bytes, bytes] = {}

    @property
    def name(self) -> bytes:
        """The member's name; empty when its own header has it."""
        return self.records.get(b"GNU.sparse.name") or self._long_name or self.records.get(b"path", b"")

    @property
    def target(self) -> bytes:
        """The link's target; empty when its own header has it."""
        return self._long_target or self.records.get(b"linkpath", b"")

    def read(self, type_flag: bytes, size: int, stream: ByteStream) -> None:
        """Take one of these headers in.

        Args:
            type_flag: ``x``, ``g``, ``L`` or ``K``.
            size: bytes of it.
            stream: stands at its first byte.

        Raises:
            InputError: it is damaged or truncated, or the headers are longer than the limit.
        """
        self._taken += BLOCK + size
        if size < 0 or self._taken > self._limit:
            raise InputError(f"the extended headers of a member have more than {self._limit} bytes")
        data = stream.read(size)
        if len(data) < size or stream.skip(-size % BLOCK) < -size % BLOCK:
            raise InputError("the layer is truncated in an extended header")
        if type_flag == _LONG_NAME:
            self._long_name = c_string(data)
        elif type_flag == _LONG_TARGET:
            self._long_target = c_string(data)
        elif type_flag == _GLOBAL:
            pax_records(data)
        else:
            self.records = pax_records(data)
