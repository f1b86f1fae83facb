# SPDX-License-Identifier: Apache-2.0
"""Bring a new image to its place: what is there is left alone, what lies elsewhere is mounted or streamed over."""

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import TYPE_CHECKING

import attrs

from stxbuildah.errors import InputError
from stxbuildah.job.publish import NewLayer
from stxbuildah.job.remote import RemoteBase, RemoteImage
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.value import Value
from stxbuildah.transport.interface import ImageDestination
from stxbuildah.transport.places import opened_destination
from stxbuildah.transport.platforms import indexed_images, is_index, replaced_index

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient


@attrs.frozen(kw_only=True)
class Delivered(Value):
    """An image, or an index of images, at its place.

    Attributes:
        digest: digest of the manifest or of the index.
        manifests: the new manifests, by the digest of the manifest that they change.
    """

    digest: str
    manifests: Mapping[str, Document]


def deliver(
    base: RemoteBase,
    made: Mapping[str, NewLayer],
    place: ImageLocation,
    *,
    client: "Callable[[], RegistryClient]",
    pool: ThreadPoolExecutor,
    unmoved: bool = False,
) -> Delivered:
    """Write the updated image, or the index with the updated images in it, to its place; its name comes last.

    Args:
        base: the image, or the index, that was changed.
        made: the new layers and documents, by the digest of the manifest that they change.
        place: where to.
        client: gives the client of registries.
        pool: does several things at the same time.
        unmoved: the base's name must stand for the same image still when the new name is written.

    Raises:
        InputError: the base's name stands for another image by now.
        StxbError: it could not be written; nothing answers to the new name then.
    """
    with opened_destination(place, client) as destination:
        documents = {
            image.manifest.digest: _written(base, image, made[image.manifest.digest], destination, pool)
            for image in base.images
        }
        document = documents.get(base.document.digest)
        manifests: tuple[Document, ...] = ()
        if document is None:
            others = () if _in_same_repository(base.location, place) else _others(base, destination)
            document, manifests = replaced_index(base.document, documents), (*documents.values(), *others)
        if unmoved:
            _check_unmoved(base)
        return Delivered(digest=destination.finish(document, manifests), manifests=documents)


def _check_unmoved(base: RemoteBase) -> None:
    now = base.source.document().digest
    if now != base.document.digest:
        raise InputError(
            f"{base.source.name} was pushed anew during the update: it has the digest {now} by now, not "
            f"{base.document.digest}",
            hint="look at what has changed, then give the new digest to --expect-digest",
        )


def _written(
    base: RemoteBase, image: RemoteImage, new: NewLayer, destination: ImageDestination, pool: ThreadPoolExecutor
) -> Document:
    """Write the blobs of one image, and give its manifest as the destination wants it."""
    manifest = json.loads(new.documents.manifest)
    # When earlier updates are replaced, their layers are no longer among those that the manifest lists.
    kept = image.layers[: len(manifest["layers"]) - 1]
    layer = Descriptor.from_json(manifest["layers"][-1], "the new layer")
    config = Descriptor.from_json(manifest["config"], "the new configuration")
    writing: list[Future[None]] = [
        pool.submit(copy_context().run, destination.write, layer, new.file),
        pool.submit(copy_context().run, destination.write, config, new.documents.config),
    ]
    taken = [pool.submit(copy_context().run, destination.take, descriptor, base.source) for descriptor in kept]
    # Nothing of it goes on when the first fault is told.
    wait(writing)
    wait(taken)
    for task in writing:
        task.result()
    return _adapted(new, kept, [task.result() for task in taken], image.manifest.media_type)


def _adapted(new: NewLayer, kept: Sequence[Descriptor], taken: Sequence[Descriptor], media_type: str) -> Document:
    """Give the new manifest with the layers as the destination keeps them."""
    if list(kept) == list(taken):
        return Document(media_type, new.documents.manifest)
    manifest = json.loads(new.documents.manifest)
    for value, before, after in zip(manifest["layers"], kept, taken, strict=False):
        if before != after:
            value.update(mediaType=after.media_type, digest=after.digest, size=after.size)
    return Document(media_type, json.dumps(manifest, separators=(",", ":")).encode("ascii"))


def _others(base: RemoteBase, destination: ImageDestination) -> tuple[Document, ...]:
    """Bring the images of an index that stay as they are to another place."""
    changed = {image.manifest.digest for image in base.images}
    listed = indexed_images(base.document)
    stay = [descriptor for descriptor, _ in listed.images if descriptor.digest not in changed]
    stay += [one for one in (*listed.attestations, *listed.others) if not _attests(one, changed)]
    documents = []
    for descriptor in stay:
        document = base.source.manifest(descriptor)
        if is_index(document):
            raise InputError(
                f"{base.source.name} is an index that lists another index, {descriptor.digest}",
                hint="update it inside its own repository, where that one need not be copied",
            )
        value = json.loads(document.data)
        for blob in (value.get("config"), *value.get("layers", ())):
            destination.take(Descriptor.from_json(blob, f"a blob of {base.source.name}"), base.source)
        documents.append(document)
    return tuple(documents)


def _attests(descriptor: Descriptor, changed: set[str]) -> bool:
    return dict(descriptor.annotations).get("vnd.docker.reference.digest", "") in changed


def _in_same_repository(source: ImageLocation, place: ImageLocation) -> bool:
    if source.transport is not place.transport:
        return False
    if source.transport is Transport.REGISTRY:
        one, other = source.reference, place.reference
        return one is not None and other is not None and one.qualified.name == other.qualified.name
    return source.transport is Transport.OCI and source.path == place.path
