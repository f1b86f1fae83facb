# SPDX-License-Identifier: Apache-2.0
"""The two interfaces of every place where images lie: one to read an image from, one to write an image to."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from stxbuildah.model.descriptor import Descriptor, Document


class ImageSource(Protocol):
    """One image, or one index of images, as it lies in a registry, a layout or an archive."""

    @property
    def name(self) -> str:
        """The image as a message names it, as ``oci:folder:1.0``."""
        ...

    def document(self) -> Document:
        """Give the manifest or index that the name stands for.

        Raises:
            InputError: there is no such image, or its document is damaged.
            StxbError: it could not be asked for.
        """
        ...

    def manifest(self, descriptor: Descriptor) -> Document:
        """Give one manifest that the index lists; its digest is verified.

        Raises:
            InputError: it is not there, or not what its digest says.
        """
        ...

    def blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Stream a blob in pieces; they only come to an orderly end when its size and digest are right.

        Raises:
            InputError: it is not there, or not what its descriptor says.
            StxbError: it could not be read to the end, after all attempts.
        """
        ...


class ImageDestination(Protocol):
    """Where one image is written to. Nothing there answers to its name before ``finish``."""

    @property
    def name(self) -> str:
        """The image as a message names it."""
        ...

    def take(self, descriptor: Descriptor, source: ImageSource) -> Descriptor:
        """Make sure that a blob of another image is there: found, mounted, or streamed over without being stored here.

        Layers that may not be distributed are named only. Several threads may take blobs at the same time.

        Returns:
            What the new manifest says of it: the same, unless this place keeps blobs in another form.

        Raises:
            StxbError: the source cannot give it, or it cannot be written.
        """
        ...

    def write(self, descriptor: Descriptor, content: Path | bytes) -> None:
        """Write a new blob from a file, or from bytes; several threads may do so at the same time.

        Raises:
            InputError: the file cannot be read.
            StxbError: the blob cannot be written.
        """
        ...

    def finish(self, document: Document, manifests: tuple[Document, ...] = ()) -> str:
        """Write the manifests that an index lists, then the document itself under the image's name.

        Args:
            document: a manifest, or an index.
            manifests: those of the index's manifests that are not there yet.

        Returns:
            The document's digest as it is written: layouts turn Docker's types into OCI's, and an image in a
            docker-archive, which has no manifest, goes by its configuration's digest.

        Raises:
            StxbError: something is missing or cannot be written; the name stands for what it stood for before.
        """
        ...
