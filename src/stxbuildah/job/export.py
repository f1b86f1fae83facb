# SPDX-License-Identifier: Apache-2.0
"""Write a new image to a layout or an archive, with the layers of its base out of the local store."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING

from stxbuildah import log
from stxbuildah.engine.process import Runner
from stxbuildah.engine.toplayers import top_layers
from stxbuildah.errors import InputError
from stxbuildah.job.publish import NewLayer
from stxbuildah.layer.documents import encoded, manifest_kind, parsed
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_MANIFEST
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.stored import StoredImage
from stxbuildah.transport.documents import objects_of
from stxbuildah.transport.interface import ImageDestination
from stxbuildah.transport.layerform import DOCKER_GZIP_LAYER, DOCKER_PLAIN_LAYER, OCI_PLAIN_LAYER
from stxbuildah.transport.places import opened_destination, opened_source

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient

_OCI_TYPES = {DOCKER_GZIP_LAYER: f"{OCI_PLAIN_LAYER}+gzip", DOCKER_PLAIN_LAYER: OCI_PLAIN_LAYER}


def export(
    runner: Runner, base: StoredImage, new: NewLayer, place: ImageLocation, *, folder: Path, pool: ThreadPoolExecutor
) -> str:
    """Write a new image to a layout or an archive; its layer and configuration are exactly those that were made.

    The store keeps no compressed layers, so the base's are compressed anew: their diff IDs stay, their digests do not.

    Args:
        runner: runs skopeo, with the environment that names the store.
        base: the image that the new one was made from.
        new: the new layer and documents.
        place: where to.
        folder: work folder; it takes all layers of the base, unpacked.
        pool: does several things at the same time.

    Returns:
        The digest of the image as it is written.

    Raises:
        StxbError: the store cannot be read, or the image not be written; what was at its place is unchanged then.
    """
    manifest = parsed(new.documents.manifest, "manifest")
    kind = manifest_kind(manifest)
    *kept, added = objects_of(manifest, "layers")
    with opened_destination(place, _no_registry) as destination:
        writing: list[Future[None]] = [
            pool.submit(copy_context().run, destination.write, _described(added), new.file),
            pool.submit(copy_context().run, destination.write, _described(manifest["config"]), new.documents.config),
        ]
        try:
            stored = _stored_layers(runner, base, folder)[: len(kept)]
            taken = _taken(stored, destination, pool)
        finally:
            # Nothing of it goes on when the first fault is told.
            wait(writing)
        for task in writing:
            task.result()
        for layer, found in zip(kept, taken, strict=True):
            media_type = _OCI_TYPES[found.media_type] if kind == OCI_MANIFEST else found.media_type
            layer.update(mediaType=media_type, digest=found.digest, size=found.size)
        manifest["layers"] = [*kept, added]
        digest = destination.finish(Document(kind, encoded(manifest)))
    log.info("update.exported", place=str(place), digest=digest)
    return digest


def _stored_layers(runner: Runner, base: StoredImage, folder: Path) -> tuple[Path, ...]:
    """Give all layers of an image as plain tars."""
    count = len(list(objects_of(parsed(base.documents.manifest, "manifest"), "layers")))
    return top_layers(runner, base.reference, base.documents, count=count, folder=folder / "export")


def _taken(layers: Sequence[Path], destination: ImageDestination, pool: ThreadPoolExecutor) -> list[Descriptor]:
    """Bring plain layers to their place, which keeps them in a form of its own."""
    if not layers:
        return []
    layout = ImageLocation(transport=Transport.OCI, path=layers[0].parents[2])
    with opened_source(layout, _no_registry) as source:
        tasks = [
            pool.submit(copy_context().run, destination.take, descriptor, source)
            for descriptor in (
                Descriptor(media_type=DOCKER_PLAIN_LAYER, digest=f"sha256:{path.name}", size=path.stat().st_size)
                for path in layers
            )
        ]
        wait(tasks)
    return [task.result() for task in tasks]


def _described(value: object) -> Descriptor:
    return Descriptor.from_json(value, "a part of the new image")


def _no_registry() -> "RegistryClient":
    raise InputError("an image of the local store is pushed to a registry, not exported")
