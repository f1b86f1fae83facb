# SPDX-License-Identifier: Apache-2.0
"""Write archives that ``docker load``, ``podman load`` and skopeo take: see ``dockerarchive`` for the format."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah.errors import BuildError, InputError
from stxbuildah.layer.documents import Json, encoded, listed_diff_ids, parsed
from stxbuildah.layer.inflate import inflated
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.reference import ImageReference
from stxbuildah.transport.archive import check_archive_target
from stxbuildah.transport.blobfolder import BlobFolder
from stxbuildah.transport.dockerarchive import MANIFEST_NAME
from stxbuildah.transport.documents import listed_blobs
from stxbuildah.transport.files import opened_content
from stxbuildah.transport.interface import ImageSource
from stxbuildah.transport.layerform import DOCKER_PLAIN_LAYER, is_foreign, is_layer, unpacked_limit
from stxbuildah.transport.platforms import is_index
from stxbuildah.transport.tarwriter import drafts_beside, write_archive
from stxbuildah.transport.verified import verified


class DockerArchiveDestination:
    """A docker-archive to write one image to. What is at its place is replaced when the new one is whole.

    Args:
        path: the archive.
        name: the image as a message names it.
        reference: the name that the image gets when it is loaded; None for none.
        drafts: an empty folder on the same file system.
    """

    def __init__(self, path: Path, name: str, reference: ImageReference | None, drafts: Path) -> None:
        self._path = path
        self.name = name
        self._reference = reference
        self._blobs = BlobFolder(drafts, name)
        self._lock = threading.Lock()
        self._plain: dict[str, Descriptor] = {}

    def take(self, descriptor: Descriptor, source: ImageSource) -> Descriptor:
        """Make sure that a blob of another image is there; layers are decompressed.

        Returns:
            Of a layer, its plain tar under its diff ID; of anything else, the same.

        Raises:
            InputError: the layer may not be distributed, so it cannot be had.
            StxbError: the source cannot give it, or it cannot be written.
        """
        if is_foreign(descriptor):
            raise InputError(
                f"a docker-archive cannot have the layer {descriptor.digest} of {source.name}: it may not be copied",
                hint="write the image to a registry or to an oci: layout, which name such layers only",
            )
        if (known := self._plain.get(descriptor.digest)) is not None:
            return known
        with source.blob(descriptor) as chunks:
            return self._put(descriptor, chunks)

    def write(self, descriptor: Descriptor, content: Path | bytes) -> None:
        """Write a new blob from a file, or from bytes; layers are decompressed.

        Raises:
            InputError: the content is not what the descriptor says, or cannot be read.
            DiskFullError: no space is left.
        """
        with opened_content(content) as chunks:
            self._put(descriptor, verified(chunks, descriptor, self.name))

    def finish(self, document: Document, manifests: tuple[Document, ...] = ()) -> str:
        """Write the archive.

        Args:
            document: a manifest; it may name layers as they came in, or as they are kept.
            manifests: none.

        Returns:
            The configuration's digest, by which docker and podman know the image: such an archive has no manifest.

        Raises:
            BuildError: a blob of the manifest was neither taken nor written.
            InputError: it is an index, or a layer is not what the configuration says.
            StxbError: the archive cannot be written.
        """
        if manifests or is_index(document):
            raise InputError(
                f"{self.name} can have an image of one platform only",
                hint="choose it by --platform, or write an oci-archive: of all of them",
            )
        config, *layers = (self._kept(blob) for blob in listed_blobs(document))
        self._check_diff_ids(config, layers)
        image: dict[str, Json] = {
            "Config": f"{_hexadecimal(config)}.json",
            "RepoTags": [str(self._reference.qualified)] if self._reference else None,
            "Layers": [f"{_hexadecimal(layer)}.tar" for layer in layers],
        }
        write_archive(self._path, self._members(image, config, layers), self.name)
        return config.digest

    def _members(
        self, image: dict[str, Json], config: Descriptor, layers: list[Descriptor]
    ) -> Iterator[tuple[str, Path | bytes]]:
        yield MANIFEST_NAME, b"[" + encoded(image) + b"]"
        yield f"{_hexadecimal(config)}.json", self._blobs.path(config.digest)
        # The same layer may be there twice, as a layer that changes nothing is.
        for layer in dict.fromkeys(layers):
            yield f"{_hexadecimal(layer)}.tar", self._blobs.path(layer.digest)

    def _put(self, descriptor: Descriptor, chunks: Iterator[bytes]) -> Descriptor:
        plain = descriptor
        if is_layer(descriptor.media_type):
            digest, size = self._blobs.put_unknown(inflated(chunks, limit=unpacked_limit(descriptor.size)))
            plain = attrs.evolve(descriptor, media_type=DOCKER_PLAIN_LAYER, digest=digest, size=size)
        else:
            self._blobs.put(descriptor, chunks)
        with self._lock:
            self._plain[descriptor.digest] = self._plain[plain.digest] = plain
        return plain

    def _kept(self, descriptor: Descriptor) -> Descriptor:
        found = self._plain.get(descriptor.digest)
        if found is None:
            raise BuildError(f"{self.name} lacks the blob {descriptor.digest} that its manifest lists")
        return found

    def _check_diff_ids(self, config: Descriptor, layers: list[Descriptor]) -> None:
        expected = listed_diff_ids(parsed(self._blobs.path(config.digest).read_bytes(), "configuration"))
        if len(expected) != len(layers):
            raise InputError(
                f"{self.name} is damaged: it has {len(layers)} layers, its configuration {len(expected)} diff IDs"
            )
        for number, (layer, diff_id) in enumerate(zip(layers, expected, strict=True), 1):
            if layer.digest != diff_id:
                raise InputError(
                    f"{self.name} is damaged: layer {number} unpacks to {layer.digest}, and its configuration says "
                    f"{diff_id}",
                    hint="copy or build the image again",
                )


@contextmanager
def new_docker_archive(
    path: Path, name: str, reference: ImageReference | None = None
) -> Iterator[DockerArchiveDestination]:
    """Open a docker-archive for writing.

    Args:
        path: the archive; the folders above it are made when they are missing.
        name: the image as a message names it.
        reference: the name that the image gets when it is loaded; None for none.

    Raises:
        InputError: nothing can be written there.
    """
    check_archive_target(path, name)
    with drafts_beside(path, name) as drafts:
        yield DockerArchiveDestination(path, name, reference, drafts)


def _hexadecimal(descriptor: Descriptor) -> str:
    return descriptor.digest.removeprefix("sha256:")
