# SPDX-License-Identifier: Apache-2.0
"""What a fault server does to requests and answers (tests/engine/faultserver.py)."""

import re
import threading
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qs, urlencode

import attrs

BEFORE = -1  # as a place in an answer: before even its status line
ENDLESS = 1 << 30  # an endless answer ends after so many bytes when a client takes them all
PIECE = 1 << 16


class BrokenOffError(Exception):
    """The connection is to be broken off here."""


@attrs.define(kw_only=True)
class Fault:
    """What is done to some requests or their answers.

    Attributes:
        method: a pattern for the whole method.
        path: a pattern that is searched in path and query.
        skip: how many that match pass unharmed before.
        times: how many are taken after that; -1 for all.
        status: answer this in the registry's place, with ``headers`` and ``body``; the request goes nowhere.
        headers: headers of the answer that are set; None takes one out. A Content-Length that is set stays as it is.
        body: body of an answer with ``status``; empty for an error document of the specification.
        code: the error code in that document.
        without: query parameters that the registry does not get to see, as ``mount`` and ``from``.
        request_headers: request headers that are set, or with None taken out, before the registry sees them.
        reset_request_at: break both connections off when so many bytes of the request's body went to the registry.
        corrupt_request_at: the byte of the request's body that is changed.
        reset_at: break the connection off after so many bytes of the answer's body, or ``BEFORE`` its status line:
            then the registry did what it was asked, and only the answer is lost.
        truncate_at: end the connection in an orderly way after so many bytes of the answer's body.
        corrupt_at: the byte of the answer's body that is changed.
        stall_at: send no more after so many bytes of the answer's body, or ``BEFORE`` its status line, until the client
            gives up.
        held: nothing is done with the request before this is set, and its body is not read.
        endless: blanks follow the answer's body without an end, and no length is told.
    """

    method: str = ".*"
    path: str = ""
    skip: int = 0
    times: int = 1
    status: int = 0
    headers: dict[str, str | None] = attrs.field(factory=dict)
    body: bytes = b""
    code: str = "UNKNOWN"
    without: tuple[str, ...] = ()
    request_headers: dict[str, str | None] = attrs.field(factory=dict)
    reset_request_at: int | None = None
    corrupt_request_at: int | None = None
    reset_at: int | None = None
    truncate_at: int | None = None
    corrupt_at: int | None = None
    stall_at: int | None = None
    endless: bool = False
    held: threading.Event | None = None

    def takes(self, method: str, path: str) -> bool:
        """Tell whether this request is spoilt, and count it."""
        if not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times == 0:
            return False
        self.times -= 1 if self.times > 0 else 0
        return True


def edited(headers: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    names = {name.lower() for name in changes}
    kept = {name: value for name, value in headers.items() if name.lower() not in names}
    return kept | {name: value for name, value in changes.items() if value is not None}


def without(target: str, names: tuple[str, ...]) -> str:
    if not names:
        return target
    path, _, query = target.partition("?")
    kept = {name: values for name, values in parse_qs(query).items() if name not in names}
    return f"{path}?{urlencode(kept, doseq=True)}"


def _cut(pieces: Iterable[bytes], places: Iterable[int | None]) -> Iterator[bytes]:
    """Cut pieces so that one ends at each of the places; the first is empty."""
    ends = sorted({place for place in places if place is not None and place > 0})
    position = 0
    yield b""
    for piece in pieces:
        rest = piece
        for end in [end - position for end in ends if position < end < position + len(piece)]:
            taken = len(piece) - len(rest)
            yield piece[taken:end]
            rest = piece[end:]
        yield rest
        position += len(piece)


def _changed(pieces: Iterable[bytes], place: int | None) -> Iterator[bytes]:
    position = 0
    for piece in pieces:
        inside = place is not None and position <= place < position + len(piece)
        index = place - position if place is not None and inside else 0
        yield piece[:index] + bytes([piece[index] ^ 0x20]) + piece[index + 1 :] if inside else piece
        position += len(piece)


def spoilt_request(body: Iterable[bytes], fault: Fault) -> Iterator[bytes]:
    position = 0
    for piece in _cut(_changed(body, fault.corrupt_request_at), [fault.reset_request_at]):
        position += len(piece)
        if piece:
            yield piece
        if position == fault.reset_request_at:
            raise BrokenOffError


def spoilt_answer(body: Iterable[bytes], fault: Fault) -> Iterator[bytes]:
    yield from _cut(_changed(body, fault.corrupt_at), [fault.reset_at, fault.truncate_at, fault.stall_at])
    if fault.endless:
        for _ in range(ENDLESS // PIECE):
            yield b" " * PIECE
