# SPDX-License-Identifier: Apache-2.0
"""An image where it lies, in a registry or in a file: its documents, one for each platform that is asked for."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import attrs

from stxbuildah.errors import InputError
from stxbuildah.model.descriptor import Descriptor, Document, Platform
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import Proxies, RegistryAccess, Retry
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.update import LaneOptions, UpdateInputs
from stxbuildah.model.value import Value
from stxbuildah.transport.interface import ImageSource
from stxbuildah.transport.places import opened_source
from stxbuildah.transport.platforms import IndexedImages, chosen_image, indexed_images, is_index, this_platform

if TYPE_CHECKING:
    from stxbuildah.registry.client import RegistryClient

# The distribution specification lets registries refuse manifests of more than 4 MiB; a configuration is as modest.
_MAXIMUM_CONFIG = 8 * 2**20


@attrs.frozen(kw_only=True)
class RemoteImage(Value):
    """One image for one platform.

    Attributes:
        manifest: its manifest.
        image: its documents under the name that the user knows.
        layers: its layers, the lowest first.
        diff_ids: digests of their tars.
        platform: what it is for, when it is one of an index.
    """

    manifest: Document
    image: StoredImage
    layers: tuple[Descriptor, ...]
    diff_ids: tuple[str, ...]
    platform: Platform | None = None

    @property
    def config(self) -> Descriptor:
        """The descriptor of its configuration."""
        return Descriptor.from_json(json.loads(self.manifest.data)["config"], "the configuration")


@attrs.frozen(kw_only=True)
class RemoteBase(Value):
    """The image to change, or the index of images, where it lies.

    Attributes:
        source: reads it.
        location: where it lies.
        reference: its name.
        document: its manifest or index.
        images: the images that are asked for; one, unless it is an index.
    """

    source: ImageSource
    location: ImageLocation
    reference: ImageReference
    document: Document
    images: tuple[RemoteImage, ...]


@contextmanager
def opened_client(access: RegistryAccess, retry: Retry, proxies: Proxies) -> "Iterator[Callable[[], RegistryClient]]":
    """Give a function that gives the client of registries, which is made when it is needed first.

    Args:
        access: how registries are reached.
        retry: how often a transient fault is tried again.
        proxies: for http and https.
    """
    made: list[RegistryClient] = []
    with ExitStack() as stack:

        def client() -> "RegistryClient":
            if not made:
                from stxbuildah.engine.process import Runner, parent_environment
                from stxbuildah.registry.client import RegistryClient
                from stxbuildah.registry.session import RegistrySession

                session = RegistrySession(
                    access=access, retry=retry, proxies=proxies, runner=Runner(), environment=parent_environment()
                )  # fmt: skip
                stack.callback(session.close)
                made.append(RegistryClient(session))
            return made[0]

        yield client


def location_of(inputs: UpdateInputs) -> ImageLocation:
    """Give where the image to change lies outside the local store."""
    if inputs.source is not None:
        return inputs.source
    return ImageLocation(transport=Transport.REGISTRY, reference=inputs.base.qualified)


@contextmanager
def opened_base(
    location: ImageLocation, reference: ImageReference, lanes: LaneOptions, client: "Callable[[], RegistryClient]"
) -> Iterator[RemoteBase]:
    """Open the image to change for as long as the block runs, and read its documents.

    Args:
        location: where it lies.
        reference: its name, for labels.
        lanes: which images of an index are asked for.
        client: gives the client of registries.

    Raises:
        InputError: it is not there, is damaged, or an image asked for is missing.
        StxbError: it could not be read.
    """
    with opened_source(location, client) as source:
        document = source.document()
        chosen = _chosen(source, document, lanes)
        images = tuple(_image(source, manifest, platform, reference) for manifest, platform in chosen)
        yield RemoteBase(source=source, location=location, reference=reference, document=document, images=images)


def _chosen(source: ImageSource, document: Document, lanes: LaneOptions) -> list[tuple[Document, Platform | None]]:
    if not is_index(document):
        return [(document, None)]
    images = indexed_images(document)
    found = _platforms(images, lanes, source.name)
    return [(source.manifest(descriptor), platform) for descriptor, platform in found]


def _platforms(images: IndexedImages, lanes: LaneOptions, name: str) -> list[tuple[Descriptor, Platform]]:
    if lanes.all_platforms:
        if not images.images:
            raise InputError(f"the index {name} lists no image for a known platform")
        return list(images.images)
    known = {descriptor.digest: platform for descriptor, platform in images.images}
    wanted = lanes.platforms or (this_platform(),)
    chosen = {(found := chosen_image(images, platform, name)).digest: found for platform in wanted}
    return [(descriptor, known[digest]) for digest, descriptor in chosen.items()]


def _image(
    source: ImageSource, manifest: Document, platform: Platform | None, reference: ImageReference
) -> RemoteImage:
    try:
        value = json.loads(manifest.data)
        listed = value["layers"]
        config_value = value["config"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"the manifest of {source.name} is not one of an image with layers") from error
    if not isinstance(listed, list):
        raise InputError(f"the manifest of {source.name} is not one of an image with layers")
    described = Descriptor.from_json(config_value, f"the configuration of {source.name}")
    if described.size > _MAXIMUM_CONFIG:
        raise InputError(f"the configuration of {source.name} has {described.size} bytes, which no image needs")
    with source.blob(described) as chunks:
        config = b"".join(chunks)
    layers = tuple(
        Descriptor.from_json(layer, f"layer {number} of {source.name}") for number, layer in enumerate(listed, 1)
    )
    return RemoteImage(
        manifest=manifest,
        image=StoredImage(reference=reference, documents=ImageDocuments(manifest=manifest.data, config=config)),
        layers=layers,
        diff_ids=_diff_ids(config, len(layers), source.name),
        platform=platform,
    )


def _diff_ids(config: bytes, layers: int, name: str) -> tuple[str, ...]:
    try:
        found = json.loads(config)["rootfs"]["diff_ids"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"the configuration of {name} is damaged: it names no layers") from error
    if not isinstance(found, list) or len(found) != layers or not all(isinstance(text, str) for text in found):
        raise InputError(f"{name} is damaged: its manifest and its configuration do not list the same layers")
    return tuple(found)
