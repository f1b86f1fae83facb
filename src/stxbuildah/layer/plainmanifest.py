# SPDX-License-Identifier: Apache-2.0
"""Manifests that name layers as plain tars, which their diff IDs are the digests of (image-spec, config.md)."""

from collections.abc import Mapping, Sequence

from stxbuildah.layer.documents import (
    SCHEMA_VERSION,
    Json,
    as_list,
    as_object,
    check_agreement,
    encoded,
    listed_diff_ids,
    manifest_kind,
    parsed,
)
from stxbuildah.model.image import DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST, ImageDocuments
from stxbuildah.model.stored import digest_of

_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
_LAYERS = {OCI_MANIFEST: _OCI_LAYER, DOCKER_MANIFEST: "application/vnd.docker.image.rootfs.diff.tar"}


def plain_manifest(config: bytes, layers: Sequence[tuple[str, int]]) -> bytes:
    """Give the OCI manifest of an image whose layers are plain tars.

    Args:
        config: its configuration, byte for byte.
        layers: digest without ``sha256:`` and size of each, the lowest first.
    """
    document: dict[str, Json] = {
        "schemaVersion": SCHEMA_VERSION,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": _OCI_LAYER, "digest": f"sha256:{digest}", "size": size} for digest, size in layers],
    }
    return encoded(document)


def with_plain_layers(documents: ImageDocuments, sizes: Mapping[str, int]) -> ImageDocuments:
    """Give an image that differs in its manifest alone, which names plain layers; one that does already stays.

    Args:
        documents: the image.
        sizes: bytes of the layers' tars, by diff ID.

    Raises:
        InputError: the documents are damaged or contradict each other.
    """
    manifest = parsed(documents.manifest, "manifest")
    config = parsed(documents.config, "configuration")
    check_agreement(manifest, config, documents)
    layers = [as_object(layer, "a layer of the manifest") for layer in as_list(manifest["layers"], "layers")]
    diff_ids = [str(diff_id) for diff_id in listed_diff_ids(config)]
    if [layer.get("digest") for layer in layers] == diff_ids:
        return documents
    media_type = _LAYERS[manifest_kind(manifest)]
    manifest["layers"] = [{"mediaType": media_type, "digest": diff_id, "size": sizes[diff_id]} for diff_id in diff_ids]
    return ImageDocuments(manifest=encoded(manifest), config=documents.config)
