# SPDX-License-Identifier: Apache-2.0
"""Layers on their way between places that keep them in different forms: compressed, plain, or not at all."""

from stxbuildah.model.descriptor import Descriptor

DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
# containers/image's type for the layers of a docker-archive; nobody else writes it, and registries need not know it.
DOCKER_PLAIN_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_GZIP_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_PLAIN_LAYER = "application/vnd.oci.image.layer.v1.tar"
_LAYERS = frozenset(
    {
        DOCKER_PLAIN_LAYER,
        DOCKER_GZIP_LAYER,
        f"{DOCKER_PLAIN_LAYER}.zstd",
        OCI_PLAIN_LAYER,
        f"{OCI_PLAIN_LAYER}+gzip",
        f"{OCI_PLAIN_LAYER}+zstd",
    }
)
_FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
)
# The first bytes of gzip, zstd, bzip2 and xz.
_COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0")
# Layers are text and programs, which compress by 3 to 20; more than this is a trap, unless it is small.
_MAXIMUM_RATIO = 200
_RATIO_MATTERS_FROM = 1024**3
_MAXIMUM_UNPACKED = 256 * 1024**3


def is_layer(media_type: str) -> bool:
    """Say whether a media type is one of a layer that lies in images' places like other blobs."""
    return media_type in _LAYERS


def is_foreign(descriptor: Descriptor) -> bool:
    """Say whether a blob is a layer that may not be distributed (image-spec, layer.md): it is never copied.

    Docker's and OCI's types say so; the URLs under which such a layer is had need not be given.
    """
    return descriptor.media_type.startswith(_FOREIGN)


def needs_compression(descriptor: Descriptor) -> bool:
    """Say whether a blob is a plain layer of a docker-archive, which other places keep compressed."""
    return descriptor.media_type == DOCKER_PLAIN_LAYER


def is_compressed(start: bytes) -> bool:
    """Say whether a file is compressed, by its first bytes, whatever its name says."""
    return start.startswith(_COMPRESSED)


def unpacked_limit(packed: int) -> int:
    """Give how many bytes a layer or an archive may have unpacked.

    Args:
        packed: its bytes while it is compressed.
    """
    return min(_MAXIMUM_UNPACKED, max(_RATIO_MATTERS_FROM, _MAXIMUM_RATIO * packed))
