# SPDX-License-Identifier: Apache-2.0
"""Images that a working container can be made from without anything happening.

``buildah from`` carries out the ONBUILD triggers of the image it is given: it would run the image's programs, and copy
files of the folder it was started in. An image that has triggers is stood in for by a copy without them, which shares
all its layers and lasts as long as the container.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stxbuildah import log
from stxbuildah.job.engine import TEMPORARY_NAME, Engine, remove_temporary_image
from stxbuildah.job.workspace import TEMPORARY_IMAGES
from stxbuildah.layer.append import has_triggers, without_triggers
from stxbuildah.layer.layout import write_layout
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage


@contextmanager
def startable_image(engine: Engine, image: StoredImage, folder: Path) -> Iterator[str]:
    """Give the name of an image with the same files whose containers start with nothing done.

    Args:
        engine: programs and store.
        image: the image.
        folder: work folder; tells the next run which copy to remove when this one is killed.

    Raises:
        StxbError: the store cannot take the copy.
    """
    if not has_triggers(image.documents):
        yield str(image.reference)
        return
    log.info("image.triggers.left_out", image=str(image.reference))
    with temporary_image(engine, image.documents, folder) as name:
        yield name


@contextmanager
def temporary_image(engine: Engine, documents: ImageDocuments, folder: Path) -> Iterator[str]:
    """Put an image into the store whose layers are all there already, for as long as the block runs; give its name.

    Its ONBUILD triggers are left out.

    Args:
        engine: programs and store.
        documents: the image.
        folder: work folder; tells the next run which image to remove when this one is killed.

    Raises:
        StxbError: the store cannot take the image, or lacks one of its layers.
    """
    name = ImageReference.parse(f"{TEMPORARY_NAME}:{os.urandom(8).hex()}")
    with (folder / TEMPORARY_IMAGES).open("a", encoding="utf-8") as stream:
        stream.write(f"{name}\n")
    source = write_layout(folder / name.tag, without_triggers(documents), {})
    try:
        engine.store.import_image(source, name)
        yield str(name)
    finally:
        remove_temporary_image(engine.store, name)
