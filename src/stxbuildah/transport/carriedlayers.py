# SPDX-License-Identifier: Apache-2.0
"""Compressed layers made anew of their plain tars: no store keeps the bytes, and manifests name their digests.

It succeeds for layers that this program has compressed, as ``layer.tar`` writes them, where its libraries compress to
the same bytes; and it is known beforehand where it cannot, since what made a layer stands in the image's history.
"""

from stxbuildah import log
from stxbuildah.layer.deflate import compressed
from stxbuildah.layer.documents import Json, as_list, as_object, parsed
from stxbuildah.layer.updates import COMMENT
from stxbuildah.model.layer import Compression
from stxbuildah.transport.blobfolder import BlobFolder
from stxbuildah.transport.carriedunpack import UnpackedImage
from stxbuildah.transport.documents import objects_of, text_of
from stxbuildah.transport.files import opened_content
from stxbuildah.transport.layerform import DOCKER_GZIP_LAYER, OCI_PLAIN_LAYER

_COMPRESSIONS = {
    DOCKER_GZIP_LAYER: Compression.GZIP,
    f"{OCI_PLAIN_LAYER}+gzip": Compression.GZIP,
    f"{OCI_PLAIN_LAYER}+zstd": Compression.ZSTD,
}


class LayerRestorer:
    """Makes the compressed layers of images that were unpacked together, each once.

    Args:
        blobs: where the plain layers lie; the compressed ones come beside them.
    """

    def __init__(self, blobs: BlobFolder) -> None:
        self._blobs = blobs
        self._made: dict[tuple[str, Compression], str] = {}

    def restore(self, image: UnpackedImage) -> bool:
        """Make sure that all layers which an image's manifest names are among the blobs; False when one cannot be had.

        Raises:
            DiskFullError: no space is left.
        """
        wanted = self._wanted(image)
        if wanted is None:
            return False
        # Others come out small layers as surely as large ones, and sooner.
        for diff_id, compression, digest in sorted(wanted, key=lambda layer: self._blobs.size(layer[0]) or 0):
            made = self._make(diff_id, compression)
            if made != digest:
                log.info("load.layer.differs", layer=diff_id, wanted=digest, made=made)
                return False
        return True

    def _wanted(self, image: UnpackedImage) -> list[tuple[str, Compression, str]] | None:
        """Give diff ID, compression and digest of the layers to make; None when nobody here can make them all."""
        layers = objects_of(parsed(image.documents.manifest, "manifest"), "layers")
        wanted = []
        for layer, diff_id, ours in zip(layers, image.diff_ids, _made_by_us(image), strict=True):
            digest = text_of(layer, "digest")
            if digest == diff_id:
                continue
            compression = _COMPRESSIONS.get(text_of(layer, "mediaType"))
            if compression is None or not ours:
                log.info("load.layer.foreign", layer=diff_id, wanted=digest)
                return None
            wanted.append((diff_id, compression, digest))
        return wanted

    def _make(self, diff_id: str, compression: Compression) -> str:
        """Compress a plain layer and give its digest."""
        known = self._made.get((diff_id, compression))
        if known is None:
            with opened_content(self._blobs.path(diff_id)) as chunks:
                known, _ = self._blobs.put_unknown(compressed(chunks, compression))
            self._made[diff_id, compression] = known
        return known


def _made_by_us(image: UnpackedImage) -> list[bool]:
    """Say of each layer whether the image's history tells that this program made it."""
    history: Json = parsed(image.documents.config, "configuration").get("history") or []
    steps = [as_object(step, "a step of the history") for step in as_list(history, "history")]
    made = [text_of(step, "comment").startswith(COMMENT) for step in steps if not step.get("empty_layer")]
    # Without any history, which the documents may leave out, nobody knows.
    return made or [False for _ in image.diff_ids]
