# SPDX-License-Identifier: Apache-2.0
"""The image that a job starts from: what its configuration says, and how its files are read."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stxbuildah.layer.paths import normalize
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree

if TYPE_CHECKING:
    from stxbuildah.job.engine import Engine

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_RECORDS_KEPT = 64


def path_variable(image: StoredImage) -> str:
    """Give PATH as an image's configuration sets it, or what engines set when it does not."""
    settings = json.loads(image.documents.config).get("config") or {}
    for variable in settings.get("Env") or ():
        name, _, value = str(variable).partition("=")
        if name == "PATH":
            return value
    return DEFAULT_PATH


def declared_volumes(image: StoredImage) -> tuple[str, ...]:
    """Give the folders that an image's configuration declares as volumes, made where they are missing when it runs."""
    settings = json.loads(image.documents.config).get("config") or {}
    return tuple(normalize(str(path)) for path in settings.get("Volumes") or ())


@contextmanager
def image_tree(engine: "Engine", image: StoredImage, *, folder: Path, wait: bool = False) -> Iterator[FileTree]:
    """Read an image's files.

    What was asked of an image is remembered under its id, since an image never changes; a working container is
    opened only for a question that is new.

    Args:
        engine: programs and folders.
        image: the image.
        folder: work folder.
        wait: wait at the end until the container is gone, as whoever removes the image must; else it goes meanwhile.
    """
    from stxbuildah.layer.recorded import RecordedTree

    record = engine.folders.cache / "trees" / f"{image.image_id}.json"
    with ExitStack() as stack:

        def open_real() -> FileTree:
            from stxbuildah.engine.session import WorkingContainer
            from stxbuildah.job.startable import startable_image

            name = stack.enter_context(startable_image(engine, image, folder))
            container = WorkingContainer.create(engine.runner, engine.choices, name, state_folder=engine.folders.state)
            stack.callback(container.close, wait=wait or name != str(image.reference))
            return stack.enter_context(container.tree())

        tree = RecordedTree(open_real, record)
        yield tree
        tree.save()
        _forget_oldest(record.parent)


def _forget_oldest(folder: Path) -> None:
    """Keep the memory of images bounded."""
    records = [(path.stat().st_mtime, path) for path in folder.glob("*.json")]
    for _, path in sorted(records)[:-_RECORDS_KEPT]:
        path.unlink(missing_ok=True)
