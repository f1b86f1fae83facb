# SPDX-License-Identifier: Apache-2.0
"""The building of one image on a private store, as a run of ``stxb images`` hands it to a builder."""

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs

from stxbuildah.directive.image import read_image_directives
from stxbuildah.job.engine import Engine
from stxbuildah.job.images.work import ImageWork, RunMaterial
from stxbuildah.job.workspace import Folders
from stxbuildah.model.imagebuild import ImageDirectives, SelectionRequest
from stxbuildah.model.imagesrun import ImageNames, ImagesRequest, PlannedImage
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage
from tests.engine.conftest import EngineStore

TIMESTAMP = 1_760_000_000


def read_directives(file: Path, text: str) -> ImageDirectives:
    """Write an image directives file, its lines indented alike, and read it; it must be without a mistake."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))
    found = read_image_directives(file.read_text(), file)
    assert found.directives is not None, found.problems
    return found.directives


def make_work(
    store: EngineStore,
    folder: Path,
    directives: ImageDirectives,
    *,
    base: ImageReference | None = None,
    parents: Mapping[str, StoredImage] | None = None,
    material: RunMaterial | None = None,
    request: ImagesRequest | None = None,
    on_line: Callable[[str], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> ImageWork:
    """Give what the builder of an image is given.

    Args:
        store: the private store.
        folder: of the test; caches, state and the work folder are made in it.
        directives: the image; its name in the store is ``localhost/tests/LABEL:build``.
        base: the base image in the store.
        parents: stored images of the run, by LABEL.
        material: what the run has found besides the base.
        request: what the run was asked.
        on_line: called with each line that programs write.
        tell: told what is being done.
    """
    folders = Folders(cache=folder / "cache", state=folder / "state", work=folder / "work")
    work = folders.work / directives.label
    for path in (folders.cache, folders.state, work):
        path.mkdir(parents=True, exist_ok=True)
    runner = attrs.evolve(store.runner, on_line=on_line)
    engine = Engine(
        choices=store.choices, runner=runner, store=attrs.evolve(store.store, runner=runner), folders=folders
    )
    found = None if base is None else stored(store, base)
    name = ImageReference.parse(f"localhost/tests/{directives.label}:build")
    return ImageWork(
        engine=engine,
        request=request or ImagesRequest(selection=SelectionRequest(roots=(directives.file.parent,))),
        image=PlannedImage(directives=directives, names=ImageNames(build=name, versioned=())),
        material=attrs.evolve(material or RunMaterial(), base=found),
        parents=parents or {},
        folder=work,
        tell=tell or (lambda _: None),
        timestamp=TIMESTAMP,
    )


def stored(store: EngineStore, reference: ImageReference | str) -> StoredImage:
    """Give an image that must be in a store."""
    image = store.store.read(reference if isinstance(reference, ImageReference) else ImageReference.parse(reference))
    assert image is not None, f"the store lacks {reference}"
    return image
