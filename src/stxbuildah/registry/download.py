# SPDX-License-Identifier: Apache-2.0
"""Reading a blob from the places where it may lie, checked on the way and gone on with after a break."""

import hashlib
import re
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import InputError, StxbError
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.fault import RegistryFault

if TYPE_CHECKING:
    from stxbuildah.registry.session import RegistrySession, Response

_OK, _PARTIAL = 200, 206
# An image may name as many addresses as it likes; nobody waits for all of them.
_MOST_URLS = 4


@attrs.frozen(kw_only=True)
class Place(Value):
    """Where a blob may be read.

    Attributes:
        endpoint: the repository.
        target: path of the blob below ``/v2/``, or the URL of a foreign layer.
        attempts: how often it is asked in all.
        foreign: it is a URL that the image names: asked without credentials, and only for what the registry lacks.
    """

    endpoint: Endpoint
    target: str
    attempts: int
    foreign: bool = False


def foreign_urls(descriptor: Descriptor, endpoints: Sequence[Endpoint]) -> tuple[str, ...]:
    """Give the URLs of a foreign layer that may be followed (OCI image specification, descriptor.md, ``urls``).

    They are http or https, without user and password, and not on the registry's own hosts: there the account's
    credentials would go along to wherever the image says.
    """
    hosts = {urlsplit(f"//{endpoint.host}").hostname for endpoint in endpoints}
    return tuple(url for url in descriptor.urls if _host(url) not in {"", *hosts})[:_MOST_URLS]


def _host(url: str) -> str:
    """Give the host of a URL that may be followed; empty for any other."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return ""
    wrong = parts.scheme not in {"http", "https"} or "@" in parts.netloc or re.search(r"[\x00-\x20\x7f]", url)
    return "" if wrong else parts.hostname or ""


class BlobReader:
    """Reads one blob, once.

    Args:
        session: asks the registries.
        places: where it may lie, the best first.
        reference: the image it is of, for messages.
        descriptor: what it must be.
    """

    def __init__(
        self, session: "RegistrySession", places: Sequence[Place], reference: ImageReference, descriptor: Descriptor
    ) -> None:
        self._session = session
        self._places = places
        self._descriptor = descriptor
        self._what = f"blob {descriptor.digest} of {reference}"
        self._position = 0

    def pieces(self) -> Generator[bytes, None, None]:
        """Give the blob in pieces; no byte after its size is read.

        Raises:
            InputError: it is nowhere, or not what its descriptor says; in the second case its end does not come.
            StxbError: it could not be read to the end.
        """
        digest = hashlib.sha256()
        for piece in self._from_anywhere():
            digest.update(piece)
            yield piece
        if f"sha256:{digest.hexdigest()}" != self._descriptor.digest:
            raise self._damaged(f"its content has the digest sha256:{digest.hexdigest()}")

    def _from_anywhere(self) -> Iterator[bytes]:
        failure: StxbError | None = None
        lacking = True
        for place in self._places:
            if place.foreign and not lacking:
                break
            try:
                yield from self._from(place)
            except RegistryFault as fault:
                lacking = lacking and fault.kind is FaultKind.NOT_FOUND
                failure = self._error(fault)
                failure.__cause__ = fault
            except InputError as error:
                lacking, failure = False, error
            else:
                return
            log.info("registry.blob_place_failed", what=self._what, place=place.target, error=failure.message)
        assert failure is not None  # noqa: S101 # there is a place at least
        raise failure

    def _from(self, place: Place) -> Iterator[bytes]:
        failed = 0
        while True:
            try:
                yield from self._attempt(place)
            except RegistryFault as fault:
                failed += 1
                if not fault.transient or failed >= place.attempts:
                    raise
                self._session.pause(f"reading {self._what}", fault, failed=failed, attempts=place.attempts)
            else:
                return

    def _attempt(self, place: Place) -> Iterator[bytes]:
        size, start = self._descriptor.size, self._position
        with self._session.request(
            place.endpoint,
            "GET",
            place.target,
            scopes=() if place.foreign else None,
            headers={"Range": f"bytes={start}-{size - 1}"} if start else {},
            expect=frozenset({_OK, _PARTIAL} if start else {_OK}),
            attempts=1,
        ) as response:
            passed_over = self._passed_over(response)
            for received in response.chunks():
                piece = received[passed_over:]
                passed_over = max(0, passed_over - len(received))
                piece = piece[: size - self._position]
                self._position += len(piece)
                if piece:
                    yield piece
                if self._position == size:
                    return
        if self._position < size:
            text = f"{self._what} ended after {self._position} of {size} bytes"
            raise RegistryFault(FaultKind.RESET, text=text, registry=place.endpoint.registry)

    def _passed_over(self, response: "Response") -> int:
        """Give how many bytes of an answer are known already."""
        if response.status == _PARTIAL:
            told = response.headers.get("Content-Range", "")
            found = re.match(r"bytes ([0-9]{1,19})-", told)
            if found is None or int(found[1]) != self._position:
                raise RegistryFault(FaultKind.OTHER, text=f"{self._what} was answered by another range: {told!r:.80}")
            return 0
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) != self._descriptor.size:
            raise self._damaged(f"it has {int(length)} bytes")
        return self._position

    def _damaged(self, found: str) -> InputError:
        return InputError(
            f"{self._what} is damaged: {found}, and should have {self._descriptor.size} bytes of that digest",
            hint="push the image again, or ask who runs the registry or its mirror",
        )

    def _error(self, fault: RegistryFault) -> StxbError:
        if fault.kind is FaultKind.NOT_FOUND:
            return InputError(
                f"{self._what} is not in its registry",
                hint="push the image again; a registry's clean-up may have removed the blob",
                details=[fault.text] if fault.text else [],
            )
        return fault.error(f"reading {self._what}")
