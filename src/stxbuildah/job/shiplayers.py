# SPDX-License-Identifier: Apache-2.0
"""What frames the layers of images in an archive that is put together on another machine."""

from collections.abc import Mapping, Sequence

import attrs

from stxbuildah.errors import BuildError
from stxbuildah.layer.documents import Json, encoded
from stxbuildah.layer.plainmanifest import plain_manifest
from stxbuildah.layer.tarheader import BLOCK, Member, member_header, padding
from stxbuildah.model.image import OCI_INDEX, OCI_MANIFEST
from stxbuildah.model.stored import digest_of

_MODE = 0o444
_BLOBS = "blobs/sha256/"
# As github.com/containerd/containerd/images/annotations.go has it.
_CONTAINERD_NAME = "io.containerd.image.name"


@attrs.frozen(kw_only=True)
class ArchivedImage:
    """An image as an archive has it.

    Attributes:
        names: its names.
        image_id: its ID, without ``sha256:``.
        config: its configuration, byte for byte.
        layers: digests of its layers without ``sha256:``, the lowest first.
    """

    names: tuple[str, ...]
    image_id: str
    config: bytes
    layers: tuple[str, ...]


def docker_frame(images: Sequence[ArchivedImage], layers: Sequence[tuple[str, int]]) -> bytes:
    """Give a docker-archive without the bytes of its layers: a header for each, then all the rest.

    Args:
        images: what is in the archive.
        layers: digest without ``sha256:`` and size of each layer that is in it.

    Raises:
        BuildError: a layer is too large.
    """
    parts = _headers("{}.tar", layers)
    parts += [_file(f"{image.image_id}.json", image.config) for image in images]
    listed: list[dict[str, Json]] = [
        {
            "Config": f"{image.image_id}.json",
            "RepoTags": list(image.names),
            "Layers": [f"{digest}.tar" for digest in image.layers],
        }
        for image in images
    ]
    parts.append(_file("manifest.json", b"[" + b",".join(map(encoded, listed)) + b"]"))
    return b"".join(parts) + bytes(2 * BLOCK)


def oci_frame(images: Sequence[ArchivedImage], layers: Sequence[tuple[str, int]], sizes: Mapping[str, int]) -> bytes:
    """Give an oci-archive likewise, as containerd reads it; it takes layers from its content store as well.

    Args:
        images: what is in the archive.
        layers: digest without ``sha256:`` and size of each layer that is in it.
        sizes: of all layers of the images.

    Raises:
        BuildError: a layer is too large.
    """
    parts = _headers(f"{_BLOBS}{{}}", layers)
    entries: list[Json] = []
    for image in images:
        manifest = plain_manifest(image.config, [(digest, sizes[digest]) for digest in image.layers])
        digest = digest_of(manifest)
        parts += [_file(f"{_BLOBS}{image.image_id}", image.config), _file(_BLOBS + digest.partition(":")[2], manifest)]
        entries += [
            {
                "mediaType": OCI_MANIFEST,
                "digest": digest,
                "size": len(manifest),
                "annotations": {_CONTAINERD_NAME: name},
            }
            for name in image.names
        ]
    parts += [
        _file("oci-layout", encoded({"imageLayoutVersion": "1.0.0"})),
        _file("index.json", encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})),
    ]
    return b"".join(parts) + bytes(2 * BLOCK)


def _headers(name: str, layers: Sequence[tuple[str, int]]) -> list[bytes]:
    headers = [_header(name.format(digest), size) for digest, size in layers]
    if any(len(header) != BLOCK for header in headers):
        raise BuildError("a layer has more than 8 GiB, which only podman can be sent")
    return headers


def _file(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + padding(len(content))


def _header(name: str, size: int) -> bytes:
    return member_header(Member(name=name.encode(), type=b"0", mode=_MODE, size=size))
