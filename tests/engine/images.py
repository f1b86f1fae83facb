# SPDX-License-Identifier: Apache-2.0
"""Small images for tests of the store and the registries."""

import io
import json
from pathlib import Path

from stxbuildah.layer.append import append_layer, empty_image
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.image import DOCKER_MANIFEST, ImageDocuments
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.stored import digest_of

CREATED = 1_750_000_000
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def image_with(folder: Path, text: str, *, base: ImageDocuments | None = None, architecture: str = "amd64") -> str:
    """Make an image that is ``base``, or nothing, and one layer with a file ``/text``; gives skopeo's name of it.

    The folder holds only the new layer.
    """
    data = text.encode()
    entry = LayerEntry(path="/text", change=Change.FILE, size=len(data), opener=lambda: io.BytesIO(data))
    folder.mkdir(parents=True, exist_ok=True)
    blob = write_layer(LayerContent((entry,)), folder / "layer.tar", timestamp=CREATED)
    base = base or empty_image(architecture=architecture)
    documents = append_layer(base, blob, timestamp=CREATED, created_by="the tests")
    return write_layout(folder / "image", documents, {blob.digest: folder / "layer.tar"})


def documents_of(source: str) -> ImageDocuments:
    """Give the documents of an image that ``image_with`` made."""
    folder = Path(source.removeprefix("dir:"))
    manifest = (folder / "manifest.json").read_bytes()
    digest = json.loads(manifest)["config"]["digest"]
    return ImageDocuments(manifest=manifest, config=(folder / digest.removeprefix("sha256:")).read_bytes())


def as_docker(source: str) -> str:
    """Turn the manifest of an image that ``image_with`` made from nothing into one of Docker's type."""
    folder = Path(source.removeprefix("dir:"))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["mediaType"] = DOCKER_MANIFEST
    manifest["config"]["mediaType"] = _DOCKER_CONFIG
    for layer in manifest["layers"]:
        layer["mediaType"] = _DOCKER_LAYER
    (folder / "manifest.json").write_bytes(json.dumps(manifest).encode())
    return source


def blobs_of(source: str) -> tuple[str, ...]:
    """Give the digests of an image's configuration and layers."""
    manifest = json.loads(documents_of(source).manifest)
    return (manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"]))


def manifest_digest(source: str) -> str:
    """Give the digest of an image's manifest."""
    return digest_of(documents_of(source).manifest)
