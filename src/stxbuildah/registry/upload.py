# SPDX-License-Identifier: Apache-2.0
"""Writing a blob into a registry, gone on with after a break.

OCI distribution specification, "Pushing blobs". A small blob goes by one PUT. A larger one goes by one PATCH without a
Content-Range, as docker and podman send it, because registries differ in what they make of chunks: Artifact Registry
of Google takes none, GitHub's takes up to 4 MiB, and Amazon's tells a wrong Range after the first
(https://github.com/aws/containers-roadmap/issues/2831). Chunks follow only after a break, from where the registry
says that it stands. Where it does not know, as docker-registry 2.8 after a PATCH that broke, the upload begins anew.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import InputError, RegistryError, StxbError
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.documents import is_digest
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.fault import RegistryFault

if TYPE_CHECKING:
    from stxbuildah.registry.session import RegistrySession, Response

OpenContent = Callable[[], AbstractContextManager[Iterator[bytes]]]

# Up to here a break costs less than a further request with each blob.
SINGLE_PUT = 16 * 2**20
# The largest that all registries take which take chunks at all.
CHUNK = 4 * 2**20

_TYPE = {"Content-Type": "application/octet-stream"}
_TOO_LARGE, _RANGE_UNFIT = 413, 416
_LOST_CODES = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"})


class BlobUpload:
    """Writes one blob.

    Args:
        session: asks the registry.
        endpoint: the repository.
        reference: the image it is for, for messages.
        descriptor: what it is.
        open_content: opens its bytes; called again when bytes must be sent that were read already.
    """

    def __init__(
        self,
        session: "RegistrySession",
        endpoint: Endpoint,
        reference: ImageReference,
        descriptor: Descriptor,
        open_content: OpenContent,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._descriptor = descriptor
        self._what = f"blob {descriptor.digest} to {reference}"
        self._content = Content(open_content, descriptor.size, self._what)
        self._location = ""
        self._position = 0
        self._least_chunk = 0
        self._finishing = False
        self._begun_anew_for_digest = False

    def run(self) -> None:
        """Write it. Whatever goes wrong, the registry is told to forget the unfinished upload.

        Raises:
            StxbError: it could not be written, after all attempts; or whatever reading its content raised.
        """
        with self._content:
            try:
                self._write()
            except RegistryFault as fault:
                error = self._error(fault)
                self._cancel()
                raise error from fault
            except BaseException:
                self._cancel()
                raise

    def _write(self) -> None:
        failed = 0
        while True:
            try:
                if self._finishing and not self._location and self._exists():
                    return
                self._go_on()
            except RegistryFault as fault:
                failed += 1
                if failed >= self._session.attempts or not self._may_go_on(fault):
                    raise
                self._session.pause(f"writing {self._what}", fault, failed=failed, attempts=self._session.attempts)
                self._recover(fault)
            else:
                return

    def _go_on(self) -> None:
        if not self._location:
            self._start()
        size = self._descriptor.size
        if size > SINGLE_PUT or self._position:
            while self._position < size:
                self._patch()
        self._finish()

    def _start(self) -> None:
        self._position = 0
        path = f"{self._endpoint.repository}/blobs/uploads/"
        with self._request("POST", path, body=b"", expect={202}) as response:
            self._follow(response)
            if not self._location:
                text = "an upload was begun without a Location to send the blob to"
                raise RegistryFault(FaultKind.OTHER, text=text, registry=self._endpoint.registry)
            least = response.headers.get("OCI-Chunk-Min-Length", "")
            self._least_chunk = int(least) if least.isdecimal() else 0

    def _patch(self) -> None:
        start, end, headers = self._position, self._descriptor.size, dict(_TYPE)
        if start:
            end = min(end, start + max(CHUNK, self._least_chunk))
            headers["Content-Range"] = f"{start}-{end - 1}"
        with self._request(
            "PATCH",
            self._location,
            headers=headers,
            body=lambda: self._content.between(start, end),
            length=end - start,
            expect={200, 201, 202, 204},
        ) as response:
            self._follow(response)
        # Not what its Range says: Amazon's stays at the first chunk. The digest decides in the end.
        self._position = end

    def _finish(self) -> None:
        self._finishing = True
        start, end = self._position, self._descriptor.size
        separator = "&" if "?" in self._location else "?"
        with self._request(
            "PUT",
            f"{self._location}{separator}digest={quote(self._descriptor.digest, safe='')}",
            headers=_TYPE if start < end else {},
            body=(lambda: self._content.between(start, end)) if start < end else b"",
            length=end - start,
            expect={200, 201, 204},
        ) as response:
            self._location = ""
            told = response.headers.get("Docker-Content-Digest", "")
            if is_digest(told) and told != self._descriptor.digest:
                raise RegistryError(
                    f"writing {self._what} failed: {self._endpoint.registry} took it for {told}",
                    hint="ask who runs the registry",
                )

    def _may_go_on(self, fault: RegistryFault) -> bool:
        if fault.code == "DIGEST_INVALID":
            # Bytes can change on their way; if they do so twice it is not the way.
            again, self._begun_anew_for_digest = not self._begun_anew_for_digest, True
            return again
        return fault.transient or (self._location != "" and _lost(fault))

    def _recover(self, fault: RegistryFault) -> None:
        """Ask the registry where the upload stands; begin anew where it does not know."""
        if not self._location:
            return
        why = fault
        if not _lost(fault) and fault.code != "DIGEST_INVALID":
            try:
                with self._request("GET", self._location, expect={200, 202, 204}) as response:
                    self._follow(response)
                    self._position = _stands_at(response, self._descriptor.size)
            except RegistryFault as unknown:
                why = unknown
            else:
                return
        log.debug("registry.upload_begun_anew", what=self._what, fault=str(why))
        # Also when it is said to be unknown: behind one address there may be several registries, of which one knows it.
        self._cancel()

    def _exists(self) -> bool:
        # The blob may be there, and only the answer that said so have been lost.
        self._finishing = False
        path = f"{self._endpoint.repository}/blobs/{self._descriptor.digest}"
        with self._request("HEAD", path, expect={200, 404}) as response:
            return response.status == 200  # noqa: PLR2004 # as in the line above

    def _cancel(self) -> None:
        location, self._location = self._location, ""
        if location:
            with suppress(RegistryFault, StxbError), self._request("DELETE", location, expect={200, 202, 204, 404}):
                pass

    def _follow(self, response: "Response") -> None:
        self._location = response.location.partition("#")[0] or self._location

    def _request(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | Callable[[], Iterator[bytes]] | None = None,
        length: int | None = None,
        expect: set[int],
    ) -> "AbstractContextManager[Response]":
        return self._session.request(
            self._endpoint,
            method,
            path,
            scopes=(f"repository:{self._endpoint.repository}:pull,push",),
            headers=headers,
            body=body,
            length=length,
            expect=frozenset(expect),
            attempts=1,
        )

    def _error(self, fault: RegistryFault) -> StxbError:
        if fault.code == "DIGEST_INVALID":
            return RegistryError(
                f"writing {self._what} failed: what arrived has another digest",
                hint="try again; if it stays so, a proxy on the way or the registry's storage changes bytes",
                details=[fault.text],
            )
        if fault.code in _LOST_CODES or (self._location and _lost(fault)):
            return RegistryError(
                f"writing {self._what} failed: {self._endpoint.registry} loses uploads before their end",
                hint="try again later; several registries behind one address need a storage that they share",
                details=[fault.text],
            )
        if fault.status == _TOO_LARGE:
            return RegistryError(
                f"writing {self._what} failed: {self._endpoint.registry}, or a gateway, takes no request of that size",
                hint="ask who runs it to raise the limit, as nginx's client_max_body_size",
                details=[fault.text],
            )
        return fault.error(f"writing {self._what}")


class Content:
    """The bytes of a blob, from any place on; a context manager.

    Args:
        open_content: opens them from the first on.
        size: how many there are.
        what: what they are, for messages.
    """

    def __init__(self, open_content: OpenContent, size: int, what: str) -> None:
        self._open_content = open_content
        self._size = size
        self._what = what
        self._opened = ExitStack()
        self._pieces: Iterator[bytes] | None = None
        self._rest = b""
        self._position = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def between(self, start: int, end: int) -> Iterator[bytes]:
        """Give the bytes of a range; opened anew only to go back.

        The last byte is not given before the content's own end came: so what it checks there holds for all of it.

        Raises:
            InputError: there are fewer or more bytes than there should be.
        """
        if self._pieces is None or self._position > start:
            self._opened.close()
            self._pieces = self._opened.enter_context(self._open_content())
            self._rest, self._position = b"", 0
        for _ in self._taken(self._pieces, start):
            pass
        yield from self._taken(self._pieces, end)

    def _taken(self, pieces: Iterator[bytes], end: int) -> Iterator[bytes]:
        while self._position < end:
            piece = self._rest or next(pieces, None)
            if piece is None:
                raise self._unfit(f"only {self._position}")
            taken, self._rest = piece[: end - self._position], piece[end - self._position :]
            self._position += len(taken)
            if self._position == self._size and (self._rest or any(pieces)):
                raise self._unfit("more")
            yield taken

    def _unfit(self, found: str) -> InputError:
        return InputError(f"writing {self._what} failed: its content has {found} of {self._size} bytes")


def _lost(fault: RegistryFault) -> bool:
    return fault.kind is FaultKind.NOT_FOUND or fault.status == _RANGE_UNFIT or fault.code in _LOST_CODES


def _stands_at(response: "Response", size: int) -> int:
    """Give how many bytes a registry has of an upload.

    ``Range: 0-0`` is what docker-registry says of an empty one as well; one byte is sent again sooner than missing.
    """
    start, dash, end = response.headers.get("Range", "").removeprefix("bytes=").partition("-")
    if start != "0" or not dash or not end.isdecimal() or int(end) >= size:
        raise RegistryFault(FaultKind.OTHER, text="the registry does not tell where an upload stands")
    return int(end) + 1 if int(end) else 0
