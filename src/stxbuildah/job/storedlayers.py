# SPDX-License-Identifier: Apache-2.0
"""The layers of images of the local store, one after the other as podman streams them."""

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

from stxbuildah.engine.process import Runner
from stxbuildah.engine.transfer import saved
from stxbuildah.layer.bytestream import ByteStream
from stxbuildah.layer.documents import diff_ids_of, parsed
from stxbuildah.layer.tarfiles import streamed_files
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.transfer import ArchiveForm
from stxbuildah.transport.documents import objects_of, text_of

# In a docker-archive of podman's, and in an image layout.
_LAYER_NAME = re.compile(r"([0-9a-f]{64})\.tar|blobs/sha256/([0-9a-f]{64})")
# More than any set of images.
_MOST_BYTES = 2**63
_SAVED = "what podman saves"


@contextmanager
def streamed_layers(
    runner: Runner, images: Sequence[StoredImage]
) -> Iterator[Iterator[tuple[str, int, Iterator[bytes]]]]:
    """Stream the layers of images as plain tars, each once; what is not read of one is passed over.

    Args:
        runner: runs podman, with the environment that names the store.
        images: the images, by the names that they have in the store.

    Returns:
        Of each layer its digest without ``sha256:``, its size, and its bytes.

    Raises:
        StxbError: an image cannot be read to its end; raised when the stream is used.
    """
    with closing(_layers(runner, images)) as layers:
        yield layers


def _layers(runner: Runner, images: Sequence[StoredImage]) -> Generator[tuple[str, int, Iterator[bytes]], None, None]:
    wanted = {diff_id for image in images for diff_id in diff_ids_of(image.documents.config)}
    for form, names in _archives(images):
        with saved(runner, names, form) as chunks:
            stream = ByteStream(chunks, limit=_MOST_BYTES, name=_SAVED)
            for file in streamed_files(stream, _SAVED):
                found = _LAYER_NAME.fullmatch(file.name)
                digest = (found[1] or found[2]) if found else ""
                if f"sha256:{digest}" in wanted:
                    wanted.remove(f"sha256:{digest}")
                    yield digest, file.size, file.content
            # To its end, where podman's exit status tells whether it was whole.
            for _ in stream.rest():
                pass


def _archives(images: Sequence[StoredImage]) -> Iterator[tuple[ArchiveForm, list[str]]]:
    """Give what podman is to save, and how.

    An oci-archive holds one image, and podman writes it to the disk first; but it makes no docker-archive of an image
    with layers by zstd.
    """
    by_zstd = [image for image in images if _has_zstd(image)]
    if others := [str(image.reference) for image in images if image not in by_zstd]:
        yield ArchiveForm.DOCKER, others
    for image in by_zstd:
        yield ArchiveForm.OCI, [str(image.reference)]


def _has_zstd(image: StoredImage) -> bool:
    layers = objects_of(parsed(image.documents.manifest, "manifest"), "layers")
    return any(text_of(layer, "mediaType").endswith("zstd") for layer in layers)
