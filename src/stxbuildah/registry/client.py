# SPDX-License-Identifier: Apache-2.0
"""What is done with registries: the operations of the OCI distribution specification."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING, TypeVar

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind
from stxbuildah.errors import InputError, RegistryError, StxbError
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.documents import ACCEPT, MAXIMUM_DOCUMENT, is_digest, read_document, target_of
from stxbuildah.registry.download import BlobReader, Place, foreign_urls
from stxbuildah.registry.endpoint import Endpoint
from stxbuildah.registry.fault import RegistryFault
from stxbuildah.registry.referrers import add_to_fallback, list_referrers
from stxbuildah.registry.upload import BlobUpload, OpenContent

if TYPE_CHECKING:
    from stxbuildah.registry.session import RegistrySession, Response

Found = TypeVar("Found")

_OK, _CREATED, _ACCEPTED, _NOT_FOUND = 200, 201, 202, 404
# How registries, and what stands before them, refuse HEAD.
_NO_HEAD = frozenset({400, 405, 406, 501})
_NO_MOUNT = frozenset({400, 401, 403, 404, 405, 501})
_MISSING_BLOB = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})


class RegistryClient:
    """Reads images from registries and writes them there. Safe for several threads.

    Args:
        session: asks the registries; closed by who made it.
    """

    def __init__(self, session: "RegistrySession") -> None:
        self._session = session
        self._lock = threading.Lock()
        self._found: dict[str, Endpoint] = {}

    def document(self, reference: ImageReference, *, mirrors: bool = True) -> Document | None:
        """Give a manifest or an index, from the first mirror that has it or from the registry itself.

        Its digest is verified where the reference or the registry names one.

        Args:
            reference: the image.
            mirrors: whether mirrors are asked; False for what has to be true of the registry itself, now.

        Returns:
            The document; None when there is no such image.

        Raises:
            InputError: it is damaged, or no manifest and no index.
            StxbError: it could not be asked for.
        """
        return self._anywhere(
            reference, lambda endpoint, attempts: self._document(reference, endpoint, attempts), mirrors=mirrors
        )

    def digest(self, reference: ImageReference, *, mirrors: bool = True) -> str | None:
        """Give the digest of a manifest or an index without reading it, if the registry knows how.

        Args:
            reference: the image.
            mirrors: as for ``document``.

        Returns:
            The digest; None when there is no such image.

        Raises:
            StxbError: as ``document``.
        """

        def ask(endpoint: Endpoint, attempts: int | None) -> str | None:
            try:
                with self._asked(endpoint, "HEAD", reference, attempts) as response:
                    if response.status == _NOT_FOUND:
                        return None
                    told = response.headers.get("Docker-Content-Digest", "")
            except RegistryFault as fault:
                if fault.status not in _NO_HEAD:
                    raise
                told = ""
            if is_digest(told) and reference.digest in {"", told}:
                return told
            document = self._document(reference, endpoint, attempts)
            return document.digest if document is not None else None

        return self._anywhere(reference, ask, mirrors=mirrors)

    def put_document(self, reference: ImageReference, document: Document) -> str:
        """Write a manifest or an index under a tag; by its digest alone where the reference has no tag.

        Returns:
            Its digest.

        Raises:
            InputError: the reference names another digest, or the registry lacks a blob of the image.
            StxbError: it could not be written.
        """
        return self._put(reference, document, self._destination(reference))[0]

    def tag(self, reference: ImageReference, document: Document) -> str:
        """Write a document of a repository under another tag of it, where the repository is read from.

        That is another place than where images are pushed to when registries.conf(5) has a ``location`` for it:
        container programs heed that for pulls alone.

        Raises:
            StxbError: as ``put_document``.
        """
        return self._put(reference, document, self._origin(reference))[0]

    @contextmanager
    def blob(self, reference: ImageReference, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """Stream a blob of an image in pieces, first from where its document was found.

        After a break it goes on where it stood. The pieces come to an orderly end only when size and digest are right.

        Raises:
            InputError: it is nowhere, or not what its descriptor says.
            StxbError: it could not be read to the end, after all attempts.
        """
        known = self._known(reference)
        endpoints = _first(known, self._session.endpoints(reference, pull=True))
        # Where the image was found is where it is to come from; another mirror gets one chance.
        places = [
            Place(
                endpoint=endpoint,
                target=f"{endpoint.repository}/blobs/{descriptor.digest}",
                attempts=self._session.attempts if endpoint in {known, endpoints[-1]} else 1,
            )
            for endpoint in endpoints
        ]
        places += [
            Place(endpoint=endpoints[-1], target=url, attempts=self._session.attempts, foreign=True)
            for url in foreign_urls(descriptor, endpoints)
        ]
        with closing(BlobReader(self._session, places, reference, descriptor).pieces()) as pieces:
            yield pieces

    def has_blob(self, reference: ImageReference, digest: str) -> bool:
        """Tell whether the repository that is written to has a blob.

        Raises:
            StxbError: it could not be asked for.
        """
        endpoint = self._destination(reference)
        try:
            with self._session.request(
                endpoint,
                "HEAD",
                f"{endpoint.repository}/blobs/{digest}",
                scopes=(f"repository:{endpoint.repository}:pull,push",),
                expect=frozenset({_OK, _NOT_FOUND}),
            ) as response:
                return response.status == _OK
        except RegistryFault as fault:
            raise fault.error(f"looking for blob {digest} of {reference}") from fault

    def mount(self, reference: ImageReference, digest: str, source: ImageReference) -> bool:
        """Have a registry take a blob over from another of its own repositories, without a byte travelling.

        Returns:
            Whether it did; False where it cannot, may not, or does not have the blob, or is another registry.

        Raises:
            StxbError: the registry could not be asked.
        """
        endpoint, origin = self._destination(reference), self._origin(source)
        if origin.registry != endpoint.registry:
            return False
        try:
            with self._session.request(
                endpoint,
                "POST",
                f"{endpoint.repository}/blobs/uploads/?mount={digest}&from={origin.repository}",
                scopes=(f"repository:{endpoint.repository}:pull,push", f"repository:{origin.repository}:pull"),
                body=b"",
                expect=frozenset({_CREATED, _ACCEPTED}),
            ) as response:
                mounted = response.status == _CREATED
                begun = "" if mounted else response.location
        except RegistryFault as fault:
            if fault.status in _NO_MOUNT or fault.kind in {FaultKind.AUTHENTICATION, FaultKind.DENIED}:
                log.debug("registry.mount_refused", image=str(reference), source=str(source), fault=str(fault))
                return False
            raise fault.error(f"mounting blob {digest} of {source} into {reference}") from fault
        if begun:
            self._forget_upload(endpoint, begun)
        return mounted

    def upload(self, reference: ImageReference, descriptor: Descriptor, open_content: OpenContent) -> None:
        """Write a blob; after a break it goes on where the registry stands.

        Args:
            reference: the image it is for.
            descriptor: what it is.
            open_content: opens its bytes; called again when bytes must be sent that were read already.

        Raises:
            StxbError: it could not be written, after all attempts; or whatever reading its content raised.
        """
        BlobUpload(self._session, self._destination(reference), reference, descriptor, open_content).run()

    def referrers(self, reference: ImageReference, digest: str, artifact_type: str) -> tuple[Descriptor, ...]:
        """List the artifacts that refer to an image; asked of the registry itself, since mirrors know less.

        Args:
            reference: any name in the image's repository.
            digest: the image's digest.
            artifact_type: their type; empty for all.

        Raises:
            InputError: the list is damaged.
            StxbError: it could not be asked for.
        """
        endpoint = self._origin(reference)
        try:
            return list_referrers(self._session, endpoint, reference, digest, artifact_type)
        except RegistryFault as fault:
            raise fault.error(f"listing what refers to {reference}") from fault

    def put_referrer(self, reference: ImageReference, document: Document, subject: str) -> str:
        """Write a manifest that refers to an image, by its digest; and list it where the registry does not do so.

        Args:
            reference: any name in the image's repository.
            document: the manifest, whose ``subject`` is the image.
            subject: digest of the image.

        Returns:
            The manifest's digest.

        Raises:
            StxbError: it could not be written, or listed.
        """
        endpoint = self._destination(reference)
        digest, listed = self._put(reference.with_digest(document.digest), document, endpoint)
        if listed == subject:
            return digest

        def put(tag: str, index: Document) -> str:
            return self.put_document(reference.with_tag(tag), index)

        try:
            add_to_fallback(self._session, endpoint, reference, document=document, subject=subject, put=put)
        except RegistryFault as fault:
            raise fault.error(f"listing what refers to {reference}") from fault
        return digest

    def _document(self, reference: ImageReference, endpoint: Endpoint, attempts: int | None) -> Document | None:
        with self._asked(endpoint, "GET", reference, attempts) as response:
            if response.status == _NOT_FOUND:
                return None
            return read_document(response.read(MAXIMUM_DOCUMENT), response.headers, reference)

    def _asked(
        self, endpoint: Endpoint, method: str, reference: ImageReference, attempts: int | None
    ) -> "AbstractContextManager[Response]":
        return self._session.request(
            endpoint,
            method,
            f"{endpoint.repository}/manifests/{target_of(reference)}",
            headers={"Accept": ACCEPT},
            expect=frozenset({_OK, _NOT_FOUND}),
            attempts=attempts,
        )

    def _put(self, reference: ImageReference, document: Document, endpoint: Endpoint) -> tuple[str, str]:
        """Write a document; give its digest, and the subject that the registry has understood."""
        digest = document.digest
        if reference.digest not in {"", digest}:
            raise InputError(f"{reference} cannot be written: the document's digest is {digest}")
        target = reference.tag or target_of(reference)
        try:
            with self._session.request(
                endpoint,
                "PUT",
                f"{endpoint.repository}/manifests/{target}",
                headers={"Content-Type": document.media_type},
                body=document.data,
                expect=frozenset({_OK, _CREATED, _ACCEPTED}),
            ) as response:
                told = response.headers.get("Docker-Content-Digest", "")
                subject = response.headers.get("OCI-Subject", "")
        except RegistryFault as fault:
            raise _put_error(fault, reference) from fault
        if is_digest(told) and told != digest:
            raise RegistryError(
                f"writing {reference} failed: {endpoint.registry} took the manifest for {told}, and it is {digest}",
                hint="a proxy on the way or the registry changes manifests; ask who runs it",
            )
        return digest, subject

    def _anywhere(
        self, reference: ImageReference, ask: Callable[[Endpoint, int | None], Found | None], *, mirrors: bool
    ) -> Found | None:
        """Ask the mirrors, once each, and then the registry itself; what the last one says holds."""
        endpoints = self._session.endpoints(reference, pull=True)
        if not mirrors:
            endpoints = endpoints[-1:]
        if reference.digest:
            endpoints = _first(self._known(reference), endpoints)
        for endpoint in endpoints[:-1]:
            try:
                found = ask(endpoint, 1)
            except (RegistryFault, InputError) as fault:
                log.warning("registry.mirror_failed", image=str(reference), mirror=endpoint.registry, fault=str(fault))
                continue
            if found is not None:
                return self._remembered(reference, endpoint, found)
        try:
            found = ask(endpoints[-1], None)
        except RegistryFault as fault:
            raise fault.error(f"reading {reference}") from fault
        return None if found is None else self._remembered(reference, endpoints[-1], found)

    def _remembered(self, reference: ImageReference, endpoint: Endpoint, found: Found) -> Found:
        with self._lock:
            self._found[reference.name] = endpoint
        return found

    def _known(self, reference: ImageReference) -> Endpoint | None:
        with self._lock:
            return self._found.get(reference.name)

    def _destination(self, reference: ImageReference) -> Endpoint:
        return self._session.endpoints(reference, pull=False)[0]

    def _origin(self, reference: ImageReference) -> Endpoint:
        """Give where an image is read from that no mirror has."""
        return self._session.endpoints(reference, pull=True)[-1]

    def _forget_upload(self, endpoint: Endpoint, location: str) -> None:
        scopes = (f"repository:{endpoint.repository}:pull,push",)
        try:
            with self._session.request(
                endpoint, "DELETE", location, scopes=scopes, expect=frozenset({200, 202, 204, 404}), attempts=1
            ):
                pass
        except RegistryFault as fault:
            log.debug("registry.upload_not_cancelled", registry=endpoint.registry, fault=str(fault))


def _first(known: Endpoint | None, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    return tuple(sorted(endpoints, key=lambda endpoint: endpoint != known))


def _put_error(fault: RegistryFault, reference: ImageReference) -> StxbError:
    if fault.code in _MISSING_BLOB:
        return InputError(
            f"writing {reference} failed: the registry lacks a blob that the manifest names",
            hint="the registry lost or removed it meanwhile; run it again",
            details=[fault.text],
        )
    if fault.code in {"MANIFEST_INVALID", "UNSUPPORTED"}:
        return RegistryError(
            f"writing {reference} failed: the registry does not take such a manifest",
            hint="old registries know Docker's types alone, and some have a list of those they take",
            details=[fault.text],
        )
    return fault.error(f"writing {reference}")
