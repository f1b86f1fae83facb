# SPDX-License-Identifier: Apache-2.0
"""The image that a job starts from: what its configuration says, and how its files are read."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah.layer.documents import diff_ids_of
from stxbuildah.layer.paths import normalize
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree

if TYPE_CHECKING:
    from stxbuildah.engine.layerstree import LayersTree
    from stxbuildah.engine.tree import ContainerTree
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

    What was asked of an image is remembered under its id, since an image never changes; its layers are opened only for
    a question that is new, and a working container of it only where the layers cannot be read by themselves.

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
            layers = layers_tree(engine, image, stack)
            return layers if layers is not None else _container_tree(engine, image, folder, stack, wait=wait)

        tree = RecordedTree(open_real, record)
        yield tree
        tree.save()
        _forget_oldest(record.parent)


@attrs.define(kw_only=True)
class KnownTrees:
    """The files of images that several others stand on; each is opened once, by whichever thread asks first."""

    _engine: "Engine"
    _folder: Path
    _stack: ExitStack
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _trees: dict[str, FileTree] = attrs.field(factory=dict, init=False)

    @classmethod
    @contextmanager
    def opened(cls, engine: "Engine", folder: Path) -> Iterator["KnownTrees"]:
        """Keep them for the time of the block.

        Args:
            engine: programs and folders.
            folder: work folder.
        """
        with ExitStack() as stack:
            yield cls(engine=engine, folder=folder, stack=stack)

    def of(self, image: StoredImage) -> FileTree:
        """Give the files of an image; what was asked of them is remembered."""
        with self._lock:
            if image.image_id not in self._trees:
                tree = self._stack.enter_context(image_tree(self._engine, image, folder=self._folder))
                self._trees[image.image_id] = tree
            return self._trees[image.image_id]


@contextmanager
def tree_above(
    engine: "Engine", image: StoredImage, below: StoredImage, known: KnownTrees, *, folder: Path
) -> Iterator[FileTree]:
    """Read the files of an image that lasts no longer than the block, most of them from the image it stands on.

    Args:
        engine: programs and folders.
        image: the image.
        below: one whose layers the image has, and then more.
        known: gives the files of that one.
        folder: work folder.
    """
    from stxbuildah.layer.above import AboveTree
    from stxbuildah.layer.recorded import RecordedTree

    with ExitStack() as stack:
        layers = layers_tree(engine, image, stack)
        if layers is None:
            yield RecordedTree(lambda: _container_tree(engine, image, folder, stack, wait=True), None)
            return
        touched = layers.touched(layers_above(image, below))
        yield RecordedTree(lambda: AboveTree(known.of(below), layers, touched), None)


def layers_above(image: StoredImage, below: StoredImage) -> int:
    """Give how many layers an image has on top of another one; 0 when it does not stand on it."""
    upper, lower = (diff_ids_of(one.documents.config) for one in (image, below))
    return len(upper) - len(lower) if upper[: len(lower)] == lower else 0


def layers_tree(engine: "Engine", image: StoredImage, stack: ExitStack) -> "LayersTree | None":
    """Open an image's layers for reading until a stack ends; None where they cannot be read by themselves."""
    from stxbuildah.engine.layerstree import LayersTree
    from stxbuildah.engine.tree import ContainerTree

    files = engine.store.files
    folders = files.layer_folders(image.documents) if files is not None else ()
    if not folders:
        return None

    def open_inside() -> ContainerTree:
        return stack.enter_context(ContainerTree.of_layers(engine.runner, engine.choices, folders))

    return stack.enter_context(LayersTree(folders, open_inside))


def _container_tree(
    engine: "Engine", image: StoredImage, folder: Path, stack: ExitStack, *, wait: bool
) -> "ContainerTree":
    from stxbuildah.engine.session import WorkingContainer
    from stxbuildah.job.startable import startable_image

    name = stack.enter_context(startable_image(engine, image, folder))
    container = WorkingContainer.create(engine.runner, engine.choices, name, state_folder=engine.folders.state)
    stack.callback(container.close, wait=wait or name != str(image.reference))
    return stack.enter_context(container.tree())


def _forget_oldest(folder: Path) -> None:
    """Keep the memory of images bounded."""
    records = [(path.stat().st_mtime, path) for path in folder.glob("*.json")]
    for _, path in sorted(records)[:-_RECORDS_KEPT]:
        path.unlink(missing_ok=True)
