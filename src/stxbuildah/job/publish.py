# SPDX-License-Identifier: Apache-2.0
"""From a layer's content to a new image, ready to be stored and pushed."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from stxbuildah import __version__
from stxbuildah.layer.append import append_layer, created_time, rfc3339
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.updates import COMMENT, CREATED_BY, BaseAndUpdates, base_labels, installed_names
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import LayerBlob, LayerContent
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage, digest_of
from stxbuildah.model.update import UpdateInputs, UpdateRequest
from stxbuildah.model.value import Value
from stxbuildah.model.wheel import Wheel

INSTALLED_LABEL = "io.stxbuildah.update.installed"


@attrs.frozen(kw_only=True)
class NewLayer(Value):
    """A new layer in a file, and the documents of the image that has it on top.

    Attributes:
        file: the layer's blob.
        blob: its digests and sizes.
        documents: the new image's manifest and configuration.
    """

    file: Path
    blob: LayerBlob
    documents: ImageDocuments


@attrs.frozen(kw_only=True)
class NewImage(Value):
    """An image that exists as its new layer, configuration and manifest.

    Attributes:
        name: its name in the local store.
        destination: its name in the registry it is pushed to.
        source: where its documents and its new layer lie, as skopeo names it.
        blob: the new layer.
        digest: digest of its manifest.
    """

    name: ImageReference
    destination: ImageReference
    source: str
    blob: LayerBlob
    digest: str


def timestamp_of(request: UpdateRequest, base: StoredImage) -> int:
    """Give the one time of everything in the layer: SOURCE_DATE_EPOCH, else when the base was created."""
    if request.source_date_epoch is not None:
        return request.source_date_epoch
    return created_time(base.documents.config)


def make_layer(
    request: UpdateRequest,
    inputs: UpdateInputs,
    base: StoredImage,
    content: LayerContent,
    *,
    wheels: Sequence[Wheel],
    folder: Path,
    replaced: BaseAndUpdates | None = None,
) -> NewLayer:
    """Write the layer and append it to the base's configuration and manifest.

    Args:
        request: labels, annotations, compression and time.
        inputs: what was installed besides wheels, for the history.
        base: the image to append to.
        content: the layer.
        wheels: what was installed, for the labels.
        folder: work folder; the layer is written into it.
        replaced: the base taken apart, when the layer stands for those of earlier updates, too.
    """
    timestamp = timestamp_of(request, base)
    layer = folder / "layer"
    blob = write_layer(content, layer, timestamp=timestamp, compression=request.compression)
    words = installed_names(replaced.updates if replaced else (), _installed(inputs, wheels))
    facts = {
        "org.opencontainers.image.created": rfc3339(timestamp),
        **base_labels(base.documents, str(base.reference), base.digest, replace=replaced is not None),
        INSTALLED_LABEL: " ".join(words),
    }
    documents = append_layer(
        replaced.below if replaced else base.documents,
        blob,
        timestamp=timestamp,
        created_by=CREATED_BY + " ".join(words),
        comment=f"{COMMENT}{__version__}",
        labels={**facts, **dict(request.labels)},
        annotations={**facts, **dict(request.annotations)},
    )
    return NewLayer(file=layer, blob=blob, documents=documents)


def make_image(layer: NewLayer, inputs: UpdateInputs, base: StoredImage, folder: Path) -> NewImage:
    """Lay a new image out for the local store.

    Args:
        layer: its layer and documents.
        inputs: what it is to be called.
        base: the image it was made from.
        folder: work folder; the image is written below it.
    """
    source = write_layout(folder / "image", layer.documents, {layer.blob.digest: layer.file})
    return NewImage(
        name=store_name(inputs.target, base.reference),
        destination=inputs.target.qualified,
        source=source,
        blob=layer.blob,
        digest=digest_of(layer.documents.manifest),
    )


def store_name(target: ImageReference, base: ImageReference) -> ImageReference:
    """Give the name of a result in the local store: a short name gets the registry that FROM was found under."""
    if target.registry:
        return target
    if base.registry == "docker.io":
        return target.qualified
    return attrs.evolve(target, name=f"localhost/{target.name}")


def _installed(inputs: UpdateInputs, wheels: Sequence[Wheel]) -> list[str]:
    names = [f"{wheel.name}=={wheel.version}" for wheel in wheels]
    names += [Path(package).name for package in inputs.packages]
    if inputs.customization_script is not None:
        names.append(inputs.customization_script.name)
    return names
