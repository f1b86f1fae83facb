# SPDX-License-Identifier: Apache-2.0
"""Images in registries."""

import errno
import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import attrs

from stxbuildah import log
from stxbuildah.errors import DiskFullError, InputError
from stxbuildah.layer.deflate import compressed
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.layer import Compression
from stxbuildah.model.reference import ImageReference
from stxbuildah.registry.client import RegistryClient
from stxbuildah.transport.files import file_chunks, opened_content
from stxbuildah.transport.interface import ImageSource
from stxbuildah.transport.layerform import DOCKER_GZIP_LAYER, is_foreign, needs_compression

# A new blob up to here is sent without asking whether it is there from an earlier run: the question would take longer.
_UNASKED = 2**20


class RegistrySource:
    """An image in a registry; several threads may read it at the same time.

    Args:
        client: asks registries.
        reference: the image, with its registry.
    """

    def __init__(self, client: RegistryClient, reference: ImageReference) -> None:
        self._client = client
        self.reference = reference

    @property
    def name(self) -> str:
        """The image as a message names it."""
        return str(self.reference)

    def document(self) -> Document:
        """Give the manifest or index that the name stands for.

        Raises:
            InputError: there is no such image, or its document is damaged.
            StxbError: the registry could not be asked.
        """
        document = self._client.document(self.reference)
        if document is None:
            raise InputError(f"there is no image {self.name} in its registry", hint="check its name and tag")
        return document

    def manifest(self, descriptor: Descriptor) -> Document:
        """Give one manifest of an index.

        Raises:
            InputError: it is not there, or not what its digest says.
            StxbError: the registry could not be asked.
        """
        document = self._client.document(self.reference.with_digest(descriptor.digest))
        if document is None or document.digest != descriptor.digest:
            raise InputError(
                f"{self.name} is damaged: its registry has no manifest {descriptor.digest}, which its index lists",
                hint="push the image again",
            )
        return document

    def blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Stream a blob; it only comes to an orderly end when its size and digest are right.

        Raises:
            InputError: it is not there, or not what its descriptor says.
            StxbError: it could not be read to the end, after all attempts.
        """
        return self._client.blob(self.reference, descriptor)


class RegistryDestination:
    """A name in a registry to write an image under; several threads may take and write blobs at the same time.

    Args:
        client: asks registries.
        reference: the image's new name, with its registry, and with a tag or by its digest alone.
    """

    def __init__(self, client: RegistryClient, reference: ImageReference) -> None:
        self._client = client
        self._reference = reference

    @property
    def name(self) -> str:
        """The image as a message names it."""
        return str(self._reference)

    def take(self, descriptor: Descriptor, source: ImageSource) -> Descriptor:
        """Make sure that a blob of another image is there: found, mounted, or streamed over without being stored here.

        A layer of a docker-archive is compressed by gzip, to a nameless temporary file, since a registry asks for a
        digest before it takes a byte.

        Raises:
            StxbError: the source cannot give it, or the registry does not take it.
        """
        if is_foreign(descriptor):
            return descriptor
        if needs_compression(descriptor):
            return self._take_compressed(descriptor, source)
        if not self._has(descriptor, source):
            self._client.upload(self._reference, descriptor, lambda: source.blob(descriptor))
            log.debug("transport.blob_copied", digest=descriptor.digest, size=descriptor.size, image=self.name)
        return descriptor

    def write(self, descriptor: Descriptor, content: Path | bytes) -> None:
        """Write a new blob from a file, or from bytes; a large one not when it is there from an earlier run.

        Raises:
            InputError: the file cannot be read.
            StxbError: the registry does not take it.
        """
        if descriptor.size <= _UNASKED or not self._client.has_blob(self._reference, descriptor.digest):
            self._client.upload(self._reference, descriptor, lambda: opened_content(content))

    def finish(self, document: Document, manifests: tuple[Document, ...] = ()) -> str:
        """Write the manifests that an index lists, then the document itself under the image's name.

        Returns:
            The document's digest.

        Raises:
            StxbError: the registry does not take one of them.
        """
        for manifest in manifests:
            self._client.put_document(self._reference.with_digest(manifest.digest), manifest)
        return self._client.put_document(self._reference, document)

    def _has(self, descriptor: Descriptor, source: ImageSource) -> bool:
        other = source.reference if isinstance(source, RegistrySource) else None
        if other is not None and other.name == self._reference.name:
            # A repository has the blobs of its images, and refuses a manifest of others.
            return True
        # A registry says the same of a blob that it has there already, so one question does for nearly all.
        if other is not None and self._client.mount(self._reference, descriptor.digest, other):
            return True
        return self._client.has_blob(self._reference, descriptor.digest)

    def _take_compressed(self, descriptor: Descriptor, source: ImageSource) -> Descriptor:
        with _temporary_file(self.name) as stream:
            digest, size = hashlib.sha256(), 0
            with source.blob(descriptor) as chunks:
                for piece in compressed(chunks, Compression.GZIP):
                    digest.update(piece)
                    size += len(piece)
                    stream.write(piece)
            stream.flush()
            packed = attrs.evolve(
                descriptor, media_type=DOCKER_GZIP_LAYER, digest=f"sha256:{digest.hexdigest()}", size=size
            )
            if not self._client.has_blob(self._reference, packed.digest):
                self._client.upload(self._reference, packed, lambda: _opened(stream, size))
        return packed


@contextmanager
def _temporary_file(name: str) -> Iterator[BinaryIO]:
    import tempfile

    try:
        with tempfile.TemporaryFile(prefix="stxb-layer-") as stream:
            yield stream
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise DiskFullError(
            f"no space left to compress a layer of {name}", hint="name a folder with more room by TMPDIR"
        ) from error


@contextmanager
def _opened(stream: BinaryIO, size: int) -> Iterator[Iterator[bytes]]:
    yield file_chunks(stream.fileno(), 0, size)
