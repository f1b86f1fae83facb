# SPDX-License-Identifier: Apache-2.0
"""From a layer's content to a new image, ready to be stored and pushed."""

from collections.abc import Sequence
from pathlib import Path

import attrs

from stxbuildah import __version__
from stxbuildah.layer.append import append_layer, created_time, rfc3339
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.layer import LayerBlob, LayerContent
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage, digest_of
from stxbuildah.model.update import UpdatePlan, UpdateRequest
from stxbuildah.model.wheel import Wheel

INSTALLED_LABEL = "io.stxbuildah.update.installed"


@attrs.frozen(kw_only=True)
class NewImage:
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


def make_image(
    request: UpdateRequest,
    plan: UpdatePlan,
    base: StoredImage,
    content: LayerContent,
    *,
    wheels: Sequence[Wheel],
    folder: Path,
) -> NewImage:
    """Write the layer and append it to the base's configuration and manifest.

    Args:
        request: labels, annotations, compression and time.
        plan: what was done, for the history.
        base: the image to append to.
        content: the layer.
        wheels: what was installed, for the labels.
        folder: work folder; the image is written below it.
    """
    timestamp = timestamp_of(request, base)
    layer = folder / "layer"
    blob = write_layer(content, layer, timestamp=timestamp, compression=request.compression)
    facts = {
        "org.opencontainers.image.created": rfc3339(timestamp),
        "org.opencontainers.image.base.name": str(base.reference),
        "org.opencontainers.image.base.digest": base.digest,
        INSTALLED_LABEL: " ".join(sorted(_installed(plan, wheels))),
    }
    documents = append_layer(
        base.documents,
        blob,
        timestamp=timestamp,
        created_by="stxb update " + " ".join(sorted(_installed(plan, wheels))),
        comment=f"stxbuildah {__version__}",
        labels={**facts, **dict(request.labels)},
        annotations={**facts, **dict(request.annotations)},
    )
    source = write_layout(folder / "image", documents, {blob.digest: layer})
    return NewImage(
        name=store_name(plan.inputs.target, base.reference),
        destination=plan.inputs.target.qualified,
        source=source,
        blob=blob,
        digest=digest_of(documents.manifest),
    )


def store_name(target: ImageReference, base: ImageReference) -> ImageReference:
    """Give the name of a result in the local store: a short name gets the registry that FROM was found under."""
    if target.registry:
        return target
    if base.registry == "docker.io":
        return target.qualified
    return attrs.evolve(target, name=f"localhost/{target.name}")


def _installed(plan: UpdatePlan, wheels: Sequence[Wheel]) -> list[str]:
    inputs = plan.inputs
    names = [f"{wheel.name}=={wheel.version}" for wheel in wheels]
    names += [Path(package).name for package in inputs.packages]
    if inputs.customization_script is not None:
        names.append(inputs.customization_script.name)
    return names
