# SPDX-License-Identifier: Apache-2.0
"""Compressed layers made anew of their plain tars: no store keeps the bytes, and manifests name their digests.

That succeeds for layers which this program has compressed (``layer.tar``), and for those which podman, buildah or
skopeo have compressed on the way to a registry, wherever the same libraries are at work again. What made a layer stands
in the image's history.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import attrs

from stxbuildah import log
from stxbuildah.layer.deflate import compressed
from stxbuildah.layer.documents import Json, as_list, as_object, parsed
from stxbuildah.layer.updates import COMMENT
from stxbuildah.model.layer import Compression
from stxbuildah.model.value import Value
from stxbuildah.transport.blobfolder import BlobFolder
from stxbuildah.transport.carriedunpack import UnpackedImage
from stxbuildah.transport.documents import objects_of, text_of
from stxbuildah.transport.files import opened_content
from stxbuildah.transport.layerform import DOCKER_GZIP_LAYER, OCI_PLAIN_LAYER

# Compresses the blob of a diff ID, puts what comes out among the blobs, and gives its digest.
Recompress: TypeAlias = Callable[[str, Compression], str]

_COMPRESSIONS = {
    DOCKER_GZIP_LAYER: Compression.GZIP,
    f"{OCI_PLAIN_LAYER}+gzip": Compression.GZIP,
    f"{OCI_PLAIN_LAYER}+zstd": Compression.ZSTD,
}


@attrs.frozen(kw_only=True)
class _Wanted(Value):
    """A compressed layer that a manifest names."""

    diff_id: str
    compression: Compression
    digest: str
    ours: bool


class LayerRestorer:
    """Makes the compressed layers of images that were unpacked together, each once.

    Args:
        blobs: where the plain layers lie; the compressed ones come beside them.
        theirs: compresses as podman, buildah and skopeo do when they push.
    """

    def __init__(self, blobs: BlobFolder, theirs: Recompress) -> None:
        self._blobs = blobs
        self._theirs = theirs
        self._made: dict[tuple[bool, str, Compression], str] = {}

    def restore(self, image: UnpackedImage) -> bool:
        """Make sure that all layers which an image's manifest names are among the blobs; False when one cannot be had.

        Raises:
            StxbError: no space is left, or the programs of others fail.
        """
        wanted = _wanted(image)
        if wanted is None:
            return False
        # Small layers come out different as surely as large ones, and sooner.
        for layer in sorted(wanted, key=lambda layer: self._blobs.size(layer.diff_id) or 0):
            # What this program made may have been compressed by others since, on its way to a registry.
            makers = (True, False) if layer.ours else (False,)
            if not any(self._make(layer, ours=ours) == layer.digest for ours in makers):
                log.info("load.layer.differs", layer=layer.diff_id, wanted=layer.digest)
                return False
        return True

    def _make(self, layer: _Wanted, *, ours: bool) -> str:
        """Compress a plain layer and give its digest."""
        key = (ours, layer.diff_id, layer.compression)
        if key not in self._made:
            self._made[key] = (self._ours if ours else self._theirs)(layer.diff_id, layer.compression)
        return self._made[key]

    def _ours(self, diff_id: str, compression: Compression) -> str:
        with opened_content(self._blobs.path(diff_id)) as chunks:
            digest, _ = self._blobs.put_unknown(compressed(chunks, compression))
        return digest


def _wanted(image: UnpackedImage) -> list[_Wanted] | None:
    """Give the layers that are to be made; None when nobody here knows how one of them is compressed."""
    layers = objects_of(parsed(image.documents.manifest, "manifest"), "layers")
    wanted = []
    for layer, diff_id, ours in zip(layers, image.diff_ids, _made_by_us(image), strict=True):
        digest = text_of(layer, "digest")
        if digest == diff_id:
            continue
        compression = _COMPRESSIONS.get(text_of(layer, "mediaType"))
        if compression is None:
            log.info("load.layer.unknown", layer=diff_id, wanted=digest)
            return None
        wanted.append(_Wanted(diff_id=diff_id, compression=compression, digest=digest, ours=ours))
    return wanted


def _made_by_us(image: UnpackedImage) -> Iterator[bool]:
    """Say of each layer whether the image's history tells that this program made it."""
    history: Json = parsed(image.documents.config, "configuration").get("history") or []
    steps = [as_object(step, "a step of the history") for step in as_list(history, "history")]
    comments = [text_of(step, "comment") for step in steps if not step.get("empty_layer")]
    # The documents may leave the history out.
    return (comment.startswith(COMMENT) for comment in comments or [""] * len(image.diff_ids))
