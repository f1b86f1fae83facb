# SPDX-License-Identifier: Apache-2.0
"""The files of an image as they are without its topmost layers, in the local store."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from stxbuildah.engine.session import WorkingContainer
from stxbuildah.job.engine import Engine
from stxbuildah.job.startable import temporary_image
from stxbuildah.layer.recorded import RecordedTree
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.tree import FileTree


@contextmanager
def below_tree(engine: Engine, documents: ImageDocuments, *, folder: Path) -> Iterator[FileTree]:
    """Read the files of an image that is in the store as part of another one.

    What was asked is remembered under the layers, which never change, as ``job.image.image_tree`` does for an image.
    Only a question that is new gives the image a name of its own in the store, and opens a working container of it.

    Args:
        engine: programs and folders.
        documents: the image; the store has all of its layers.
        folder: work folder.

    Raises:
        StxbError: at the first question, the store cannot take the image.
    """
    diff_ids = json.loads(documents.config)["rootfs"]["diff_ids"]
    layers = hashlib.sha256(" ".join(diff_ids).encode()).hexdigest()
    with ExitStack() as stack:

        def open_real() -> FileTree:
            name = stack.enter_context(temporary_image(engine, documents, folder))
            container = WorkingContainer.create(engine.runner, engine.choices, name, state_folder=engine.folders.state)
            # The image can only be removed when the container is gone.
            stack.callback(container.close, wait=True)
            return stack.enter_context(container.tree())

        tree = RecordedTree(open_real, engine.folders.cache / "trees" / f"layers-{layers}.json")
        yield tree
        tree.save()
