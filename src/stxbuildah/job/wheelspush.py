# SPDX-License-Identifier: Apache-2.0
"""The tarball as an image of one layer, straight into a registry: no store, no engine."""

import functools
import json
from pathlib import Path
from typing import BinaryIO

from stxbuildah import __version__, log
from stxbuildah.job.remote import opened_client
from stxbuildah.layer.append import append_layer, empty_image, rfc3339
from stxbuildah.layer.tar import write_layer
from stxbuildah.model.descriptor import Descriptor, Document
from stxbuildah.model.image import OCI_MANIFEST
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.wheelsrun import WheelsPlan, WheelsRequest
from stxbuildah.transport.places import opened_destination
from stxbuildah.transport.platforms import this_platform
from stxbuildah.wheels.tarball import MEMBER_TIME


def push_tarball(request: WheelsRequest, planned: WheelsPlan, folder: Path) -> str:
    """Push the image under all its names.

    Args:
        request: how registries are reached.
        planned: the image's names, and the folder with what it holds at its root.
        folder: work folder.

    Returns:
        The digest of its manifest.

    Raises:
        StxbError: it cannot be pushed; names that were pushed before stay.
    """
    platform = this_platform()
    content = LayerContent(tuple(_entry(path) for path in sorted(planned.contents.iterdir())))
    blob = write_layer(content, folder / "layer", timestamp=MEMBER_TIME)
    labels = {"org.opencontainers.image.created": rfc3339(MEMBER_TIME)}
    documents = append_layer(
        empty_image(architecture=platform.architecture, variant=platform.variant),
        blob,
        timestamp=MEMBER_TIME,
        created_by="stxb wheels",
        comment=f"stxbuildah {__version__}",
        labels=labels,
        annotations=labels,
    )
    manifest = json.loads(documents.manifest)
    layer = Descriptor.from_json(manifest["layers"][0], "the layer")
    config = Descriptor.from_json(manifest["config"], "the configuration")
    digest = ""
    with opened_client(request.access, request.retry, request.host.proxies) as client:
        for reference in planned.references:
            location = ImageLocation(transport=Transport.REGISTRY, reference=reference.qualified)
            with opened_destination(location, client) as destination:
                destination.write(layer, folder / "layer")
                destination.write(config, documents.config)
                digest = destination.finish(Document(OCI_MANIFEST, documents.manifest))
            log.info("wheels.image.pushed", image=str(reference), digest=digest)
    return digest


def _entry(path: Path) -> LayerEntry:
    return LayerEntry(
        path=f"/{path.name}",
        change=Change.FILE,
        mode=0o644,
        size=path.stat().st_size,
        opener=functools.partial(_opened, path),
    )


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")
