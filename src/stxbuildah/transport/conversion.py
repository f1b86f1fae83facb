# SPDX-License-Identifier: Apache-2.0
"""Docker's documents as OCI's, for layouts: there, tools as recent as skopeo 1.13 find no image of Docker's types.

The types are matched as containers/image does when it copies to a layout (internal/image/docker_schema2.go); layers
and configurations stay as they are, byte for byte.
"""

from collections.abc import Mapping

from stxbuildah.errors import InputError
from stxbuildah.layer.documents import Json, as_object, encoded, parsed
from stxbuildah.model.descriptor import Document
from stxbuildah.model.image import DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from stxbuildah.transport.documents import objects_of, text_of
from stxbuildah.transport.layerform import DOCKER_CONFIG, DOCKER_GZIP_LAYER, DOCKER_PLAIN_LAYER, OCI_PLAIN_LAYER
from stxbuildah.transport.platforms import replaced_index

_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar"
_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_TYPES = {
    DOCKER_CONFIG: OCI_CONFIG,
    DOCKER_PLAIN_LAYER: OCI_PLAIN_LAYER,
    DOCKER_GZIP_LAYER: f"{OCI_PLAIN_LAYER}+gzip",
    f"{DOCKER_PLAIN_LAYER}.zstd": f"{OCI_PLAIN_LAYER}+zstd",
    _FOREIGN: _NONDISTRIBUTABLE,
    f"{_FOREIGN}.gzip": f"{_NONDISTRIBUTABLE}+gzip",
}


def as_oci(document: Document, manifests: tuple[Document, ...] = ()) -> tuple[Document, tuple[Document, ...]]:
    """Give an image or index of Docker's types as one of OCI's; anything else stays as it is.

    Args:
        document: the manifest or index.
        manifests: those of the index's manifests that change with it.

    Raises:
        InputError: a document is damaged, or a manifest has something that no OCI manifest can have.
    """
    converted = {manifest.digest: _manifest_as_oci(manifest) for manifest in manifests}
    if any(digest != new.digest for digest, new in converted.items()):
        document = replaced_index(document, converted)
    if document.media_type == DOCKER_MANIFEST_LIST:
        document = _retyped(OCI_INDEX, parsed(document.data, "index"))
    return _manifest_as_oci(document), tuple(converted.values())


def _manifest_as_oci(manifest: Document) -> Document:
    if manifest.media_type != DOCKER_MANIFEST:
        return manifest
    content = parsed(manifest.data, "manifest")
    content["config"] = _described(as_object(content.get("config"), "config of the manifest"))
    content["layers"] = [_described(layer) for layer in objects_of(content, "layers")]
    return _retyped(OCI_MANIFEST, content)


def _described(descriptor: Mapping[str, Json]) -> dict[str, Json]:
    media_type = text_of(dict(descriptor), "mediaType")
    if media_type not in _TYPES:
        raise InputError(
            f"a layout cannot have what the image has: a part of type {media_type!r}",
            hint="copy the image to a registry instead, which keeps Docker's types",
        )
    return {**descriptor, "mediaType": _TYPES[media_type]}


def _retyped(media_type: str, content: dict[str, Json]) -> Document:
    return Document(media_type, encoded({**content, "mediaType": media_type}))
