# SPDX-License-Identifier: Apache-2.0
"""The file trees of images that are never unpacked: what is known of their layers, and what is streamed to know it."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import attrs

from stxbuildah import log
from stxbuildah.errors import InputError
from stxbuildah.job.remote import RemoteBase, RemoteImage
from stxbuildah.job.workspace import Folders
from stxbuildah.layer.indexcache import IndexCache
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.stacked import StackedTree
from stxbuildah.layer.tarmember import Limits
from stxbuildah.layer.windowroom import WindowRoom
from stxbuildah.model.value import Value

# Streams at the same time: the threads share one Python, of which decompression and hashing need little.
STREAMS = 3

# Gives what somebody else found out about an image's layers, by the digest of the layer.
Offered = Callable[[RemoteImage], Mapping[str, LayerIndex]]

# A stream takes time and no room, so only what is out of all proportion is refused: a few kilobytes of zstd can give
# hundreds of gigabytes. Layers compress by 3 to 20.
_MAXIMUM_RATIO = 200
_RATIO_MATTERS_FROM = 16 * 2**30


@attrs.frozen(kw_only=True)
class LayerTrees(Value):
    """Gives file trees from layers.

    Attributes:
        base: the image, or the index of images.
        cache: what this machine has found out about layers.
        offered: asked for what the cache lacks, before layers are streamed.
        say: told what is being done.
    """

    base: RemoteBase
    cache: IndexCache
    offered: Offered
    say: Callable[[str], None]

    def indexes(self, image: RemoteImage) -> tuple[LayerIndex, ...]:
        """Give what is known of an image's layers, the lowest first; layers that nothing is known of are streamed.

        Raises:
            InputError: a layer is damaged or not what its digest says.
            StxbError: a layer could not be read.
        """
        found = {layer.digest: index for layer in image.layers if (index := self.cache.find(layer.digest))}
        if any(layer.digest not in found for layer in image.layers):
            found = {**self.offered(image), **found}
        missing = {layer.digest: number for number, layer in enumerate(image.layers) if layer.digest not in found}
        if missing:
            pool, room = ThreadPoolExecutor(STREAMS), WindowRoom()
            try:
                tasks = {
                    digest: pool.submit(copy_context().run, self._streamed, image, number, room)
                    for digest, number in missing.items()
                }
                found.update((digest, task.result()) for digest, task in tasks.items())
            finally:
                # After a fault, or when the user ends it, nobody waits for other layers: with the source they end, too.
                pool.shutdown(wait=False, cancel_futures=True)
        indexes = tuple(found[layer.digest] for layer in image.layers)
        for number, (index, diff_id) in enumerate(zip(indexes, image.diff_ids, strict=True)):
            if index.diff_id != diff_id:
                raise InputError(
                    f"{self._what(number)} is damaged: its files have the diff ID {index.diff_id}, its configuration "
                    f"says {diff_id}"
                )
        return indexes

    def tree(self, image: RemoteImage, indexes: tuple[LayerIndex, ...]) -> StackedTree:
        """Give the file tree of an image, or of its lowest layers.

        Args:
            image: the image.
            indexes: of all its layers, or of the lowest ones.
        """

        def fetch(number: int, paths: Collection[str]) -> Mapping[str, bytes]:
            from stxbuildah.layer.layerindex import read_files

            layer, index = image.layers[number], indexes[number]
            log.info("layer.files.read", layer=layer.digest, paths=sorted(paths))
            self.say(f"read {len(paths)} files out of {self._what(number)}")
            with self.base.source.blob(layer) as chunks:
                contents = read_files(chunks, index, paths, what=self._what(number), limits=stream_limits(layer.size))
            self.cache.extend(layer.digest, index, contents)
            return contents

        return StackedTree(indexes, fetch)

    def _streamed(self, image: RemoteImage, number: int, room: WindowRoom) -> LayerIndex:
        from stxbuildah.layer.layerindex import index_layer

        layer = image.layers[number]
        self.say(f"read {self._what(number)}, {layer.size:,} bytes")
        with (
            self.cache.making(layer.digest) as path,
            room.stream() as take,
            self.base.source.blob(layer) as chunks,
        ):
            index_layer(
                chunks,
                what=self._what(number),
                diff_id=image.diff_ids[number],
                target=path,
                limits=stream_limits(layer.size),
                take=take,
            )
        log.info("layer.indexed", layer=layer.digest, size=layer.size)
        index = self.cache.find(layer.digest)
        if index is None:
            raise InputError(
                f"the index of {self._what(number)} was removed from the cache while it was needed",
                hint="run it again, alone",
            )
        return index

    def _what(self, number: int) -> str:
        return f"layer {number + 1} of {self.base.source.name}"


def known_layers(folders: Folders) -> IndexCache:
    """Give what this machine has found out about layers."""
    return IndexCache(folders.cache / "layers")


def stream_limits(size: int) -> Limits:
    """Give how much of a layer's tar is accepted.

    Args:
        size: bytes of the layer's blob.
    """
    usual = Limits()
    return attrs.evolve(usual, total=min(usual.total, max(_RATIO_MATTERS_FROM, _MAXIMUM_RATIO * size)))
