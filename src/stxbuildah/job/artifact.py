# SPDX-License-Identifier: Apache-2.0
"""The inventory of an image, stored beside it in its registry as an artifact that refers to it.

The artifact is an OCI image manifest with an ``artifactType`` and a ``subject`` (OCI image specification, manifest.md,
"Guidelines for Artifact Usage"). It has one blob for each layer of the image: the layer's index, compressed, annotated
with the layer's digest. Whoever may push to the repository may write one, so it is a hint that can be refused.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah import log
from stxbuildah.errors import InputError, StxbError
from stxbuildah.job.remote import RemoteImage
from stxbuildah.layer.indexcache import IndexCache
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.value import Value

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient

ARTIFACT_TYPE = "application/vnd.stxbuildah.inventory.v1"
INDEX_TYPE = "application/vnd.stxbuildah.layer-index.v1+zstd"
LAYER_ANNOTATION = "io.stxbuildah.inventory.layer"
# All indexes of an artifact, unpacked: an image of ten million files; more is somebody's joke.
_MAXIMUM_INDEXES = 512 * 2**20
_MAXIMUM_BLOB = 128 * 2**20
_MAXIMUM_ARTIFACTS = 8


@attrs.frozen(kw_only=True)
class StoredInventory(Value):
    """Reads the inventories that are stored beside images.

    Attributes:
        client: of the registry.
        cache: keeps indexes that came from others apart from our own, by repository and layer.
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
        kept = [self._kept(reference, layer.digest, diff_id) for layer, diff_id in _layers(image)]
        known = [index for index in kept if index is not None]
        if len(known) == len(kept):
            return {layer.digest: index for layer, index in zip(image.layers, known, strict=True)}
        try:
            for descriptor in self._artifacts(reference, image.manifest.digest):
                found = self._believed(reference, image, descriptor)
                if found is not None:
                    return found
        except StxbError as error:
            _ignored(reference, error.message)
        return {}

    def _believed(
        self, reference: ImageReference, image: RemoteImage, artifact: Descriptor
    ) -> dict[str, LayerIndex] | None:
        """Give the indexes of one artifact; None when it is not believed, so that the layers are read."""
        try:
            blobs = self._blobs(reference, artifact, [layer.digest for layer in image.layers])
            return None if blobs is None else self._fetched(reference, image, blobs)
        except InputError as error:
            _ignored(reference, error.message)
            return None

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
            raise InputError("it is of other layers")
        return dict(zip(layers, blobs, strict=True))

    def _fetched(
        self, reference: ImageReference, image: RemoteImage, blobs: Mapping[str, Descriptor]
    ) -> dict[str, LayerIndex]:
        """Give all indexes of an artifact.

        Raises:
            InputError: one of them is damaged, too large, or of another layer.
        """
        found: dict[str, LayerIndex] = {}
        left = _MAXIMUM_INDEXES
        for layer, diff_id in _layers(image):
            index = self._kept(reference, layer.digest, diff_id)
            if index is None:
                left -= self._fetch(reference, layer.digest, diff_id, blobs[layer.digest], left)
                index = self._kept(reference, layer.digest, diff_id)
            if index is None:
                raise InputError("an index in it was removed from the cache while it was needed")
            found[layer.digest] = index
        return found

    def _fetch(self, reference: ImageReference, layer: str, diff_id: str, blob: Descriptor, limit: int) -> int:
        """Fetch an index into the cache, and give its size."""
        if blob.size > _MAXIMUM_BLOB or blob.media_type != INDEX_TYPE:
            raise InputError(f"an index in it has {blob.size} bytes and the type {blob.media_type!r:.80}")
        from stxbuildah.layer.inflate import inflated

        with self.cache.making(_kept_as(reference, layer)) as path:
            with path.open("wb") as stream, self.client.blob(reference, blob) as chunks:
                size = sum(stream.write(chunk) for chunk in inflated(chunks, limit=limit))
            # Before it has its place in the cache, where nobody asks again.
            index = LayerIndex.open(path)
            if index is None or index.diff_id != diff_id or not index.is_sound():
                raise InputError("an index in it is damaged, or of another layer")
        return size

    def _kept(self, reference: ImageReference, layer: str, diff_id: str) -> LayerIndex | None:
        index = self.cache.find(_kept_as(reference, layer))
        return index if index is not None and index.diff_id == diff_id else None

    def path(self, reference: ImageReference, layer: str) -> Path:
        """Give where the index of a layer is kept that came from an artifact in a repository.

        Args:
            reference: any image of the repository.
            layer: digest of the layer.
        """
        return self.cache.path(_kept_as(reference, layer))


def _kept_as(reference: ImageReference, layer: str) -> str:
    """Give the name that an index is kept by.

    Whoever writes to one repository must not be believed about another one that shares its layers.
    """
    return f"sha256:{sha256(f'{reference.qualified.name} {layer}'.encode()).hexdigest()}"


def _layers(image: RemoteImage) -> list[tuple[Descriptor, str]]:
    return list(zip(image.layers, image.diff_ids, strict=True))


def _ignored(reference: ImageReference, reason: str) -> None:
    # Without it the layers are read, which takes longer.
    log.warning("inventory.artifact.ignored", image=str(reference), reason=reason)
