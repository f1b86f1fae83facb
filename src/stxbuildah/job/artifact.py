# SPDX-License-Identifier: Apache-2.0
"""The inventory of an image, stored beside it in its registry as an artifact that refers to it.

The artifact is an OCI image manifest with an ``artifactType`` and a ``subject`` (OCI image specification, manifest.md,
"Guidelines for Artifact Usage"). It has one blob for each layer of the image: the layer's index, compressed, annotated
with the layer's digest. Whoever may push to the repository may write one, so it is a hint that can be refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah import log
from stxbuildah.errors import StxbError
from stxbuildah.job.remote import RemoteImage
from stxbuildah.layer.indexcache import IndexCache
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_MANIFEST
from stxbuildah.model.reference import ImageReference

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient

ARTIFACT_TYPE = "application/vnd.stxbuildah.inventory.v1"
INDEX_TYPE = "application/vnd.stxbuildah.layer-index.v1+zstd"
LAYER_ANNOTATION = "io.stxbuildah.inventory.layer"
# Artifacts without a configuration have this one (OCI image specification, manifest.md, "Guidance for an Empty
# Descriptor").
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
_ZSTD_LEVEL = 3
_CHUNK = 1 << 20
# A layer of a million files with long names; more is somebody's joke.
_MAXIMUM_INDEX = 512 * 2**20
_MAXIMUM_BLOB = 128 * 2**20
_MAXIMUM_ARTIFACTS = 8


@attrs.frozen(kw_only=True)
class StoredInventory:
    """Reads and writes the inventories that are stored beside images.

    Attributes:
        client: of the registry.
        cache: keeps indexes that came from others apart from our own, by the digest of the layer.
    """

    client: "RegistryClient"
    cache: IndexCache

    def offered(self, reference: ImageReference, image: RemoteImage) -> Mapping[str, LayerIndex]:
        """Give the indexes of an image's layers from the artifact beside it; none when there is no good one.

        An artifact counts only when it is of exactly the image's layers.

        Args:
            reference: the image's repository.
            image: the image.
        """
        wanted = [layer.digest for layer in image.layers]
        known = {digest: index for digest in wanted if (index := self.cache.find(digest)) is not None}
        if len(known) == len(set(wanted)):
            return known
        try:
            for descriptor in self._artifacts(reference, image.manifest.digest):
                blobs = self._blobs(reference, descriptor, wanted)
                if blobs is not None:
                    return self._fetched(reference, blobs)
        except StxbError as error:
            # Without it the layers are read, which takes longer.
            log.warning("inventory.artifact.ignored", image=str(reference), reason=error.message)
        return {}

    def store(
        self, target: ImageReference, subject: Document, layers: Sequence[tuple[str, Path]], folder: Path
    ) -> None:
        """Store the inventory of an image beside it; what goes wrong is logged and no error, since the image is there.

        Args:
            target: the image's repository.
            subject: the image's manifest.
            layers: digest and index file of each layer, the lowest first.
            folder: work folder.
        """
        try:
            described = [self._uploaded(target, digest, path, folder) for digest, path in layers]
            empty = Descriptor(media_type=_EMPTY_TYPE, digest=_digest(_EMPTY), size=len(_EMPTY))
            self._ensure(target, empty, lambda: _EMPTY)
            document = Document(OCI_MANIFEST, _manifest(described, empty, subject))
            self.client.put_referrer(target, document, subject.digest)
        except (StxbError, OSError) as error:
            log.warning("inventory.artifact.not_stored", image=str(target), reason=str(error))
            return
        log.info("inventory.artifact.stored", image=str(target), digest=document.digest)

    def _artifacts(self, reference: ImageReference, digest: str) -> tuple[Descriptor, ...]:
        found = self.client.referrers(reference, digest, ARTIFACT_TYPE)
        return tuple(descriptor for descriptor in found if descriptor.artifact_type in {"", ARTIFACT_TYPE})[
            -_MAXIMUM_ARTIFACTS:
        ]

    def _blobs(
        self, reference: ImageReference, artifact: Descriptor, wanted: Sequence[str]
    ) -> dict[str, Descriptor] | None:
        document = self.client.document(reference.with_digest(artifact.digest))
        if document is None:
            return None
        value = json.loads(document.data)
        if value.get("artifactType") != ARTIFACT_TYPE or not isinstance(value.get("layers"), list):
            return None
        blobs = [Descriptor.from_json(layer, f"the inventory of {reference}") for layer in value["layers"]]
        layers = [dict(blob.annotations).get(LAYER_ANNOTATION, "") for blob in blobs]
        if layers != list(wanted):
            log.warning("inventory.artifact.ignored", image=str(reference), reason="it is of other layers")
            return None
        return dict(zip(layers, blobs, strict=True))

    def _fetched(self, reference: ImageReference, blobs: Mapping[str, Descriptor]) -> dict[str, LayerIndex]:
        found: dict[str, LayerIndex] = {}
        for layer, blob in blobs.items():
            index = self.cache.find(layer) or self._fetch(reference, layer, blob)
            if index is None:
                log.warning("inventory.artifact.ignored", image=str(reference), reason="an index in it is damaged")
                return {}
            found[layer] = index
        return found

    def _fetch(self, reference: ImageReference, layer: str, blob: Descriptor) -> LayerIndex | None:
        if blob.size > _MAXIMUM_BLOB or blob.media_type != INDEX_TYPE:
            return None
        from stxbuildah.layer.inflate import inflated

        with (
            self.cache.making(layer) as path,
            path.open("wb") as stream,
            self.client.blob(reference, blob) as chunks,
        ):
            for chunk in inflated(chunks, limit=_MAXIMUM_INDEX):
                stream.write(chunk)
        return self.cache.find(layer)

    def _uploaded(self, target: ImageReference, layer: str, path: Path, folder: Path) -> Descriptor:
        packed = folder / f"inventory-{layer.removeprefix('sha256:')}"
        size, digest = _compress(path, packed)
        descriptor = Descriptor(
            media_type=INDEX_TYPE, digest=digest, size=size, annotations=((LAYER_ANNOTATION, layer),)
        )
        self._ensure(target, descriptor, packed.read_bytes)
        packed.unlink()
        return descriptor

    def _ensure(self, target: ImageReference, descriptor: Descriptor, read: Callable[[], bytes]) -> None:
        if self.client.has_blob(target, descriptor.digest):
            return

        @contextmanager
        def content() -> Iterator[Iterator[bytes]]:
            yield iter((read(),))

        self.client.upload(target, descriptor, content)


def _compress(source: Path, target: Path) -> tuple[int, str]:
    import zstandard

    found = sha256()
    packer = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
    with source.open("rb") as stream, target.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            packed = packer.compress(chunk)
            found.update(packed)
            out.write(packed)
        packed = packer.flush()
        found.update(packed)
        out.write(packed)
    return target.stat().st_size, f"sha256:{found.hexdigest()}"


def _manifest(blobs: Sequence[Descriptor], empty: Descriptor, subject: Document) -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": ARTIFACT_TYPE,
            "config": _described(empty),
            "layers": [{**_described(blob), "annotations": dict(blob.annotations)} for blob in blobs],
            "subject": _described(subject.descriptor),
        },
        separators=(",", ":"),
    ).encode("ascii")


def _described(descriptor: Descriptor) -> dict[str, object]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"
