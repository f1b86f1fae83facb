# SPDX-License-Identifier: Apache-2.0
"""Looks at images, in the local store, in a registry or in a file, and compares them."""

from collections.abc import Callable
from contextlib import ExitStack

import attrs

from stxbuildah.engine.process import parent_environment
from stxbuildah.errors import BuildError, HostError, InputError, StxbError
from stxbuildah.job.engine import Engine, opened_engine
from stxbuildah.job.image import image_tree, path_variable
from stxbuildah.job.inspect import installed
from stxbuildah.job.layertrees import LayerTrees, known_layers
from stxbuildah.job.remote import opened_base, opened_client
from stxbuildah.job.workspace import Folders, work_folder
from stxbuildah.layer.comparison import compared, facts_of, walked
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.model.comparison import Comparison, ImageFacts, LookRequest
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree
from stxbuildah.model.update import LaneOptions
from stxbuildah.registry.client import RegistryClient

Say = Callable[[str], None]


def look(request: LookRequest, say: Say) -> tuple[ImageFacts, ...]:
    """Tell of each image what is asked for.

    Raises:
        StxbError: one is nowhere, is damaged or cannot be read.
    """
    with ExitStack() as stack:
        client = stack.enter_context(opened_client(request.access, request.retry, request.host.proxies))
        looker = Looker(request=request, say=say, stack=stack, client=client)
        return tuple(looker.facts(text) for text in request.images)


def compare(request: LookRequest, say: Say) -> Comparison:
    """Compare two images.

    Raises:
        StxbError: as ``look``.
    """
    before, after = look(request, say)
    return compared(before, after)


@attrs.define(kw_only=True)
class Looker:
    """Finds images, the local store's first, and reads what is asked for."""

    request: LookRequest
    say: Say
    stack: ExitStack
    client: Callable[[], RegistryClient]
    engine: Engine | None = None
    fault: StxbError | None = None

    def facts(self, text: str) -> ImageFacts:
        """Tell of one image."""
        location = ImageLocation.parse(text)
        if location.transport is Transport.REGISTRY and not location.explicit:
            stored = self._stored(location)
            if stored is not None:
                return self._of_store(stored)
        return self._elsewhere(location)

    def _stored(self, location: ImageLocation) -> StoredImage | None:
        if self.engine is None and self.fault is None:
            try:
                self.engine = self.stack.enter_context(
                    opened_engine(self.request.host, self.request.access, self.request.retry)
                )
            except (HostError, BuildError) as error:
                # Where no engine works, registries and files can still be read.
                self.fault = error
        if self.engine is None or location.reference is None:
            return None
        return self.engine.store.read(location.reference)

    def _of_store(self, stored: StoredImage) -> ImageFacts:
        facts = facts_of(stored, str(stored.reference))
        if not self._reads_files or self.engine is None:
            return facts
        self.say(f"read {stored.reference}")
        with (
            work_folder(self.engine.folders) as folder,
            image_tree(self.engine, stored, folder=folder) as tree,
        ):
            return self._with_files(facts, tree, stored)

    def _elsewhere(self, location: ImageLocation) -> ImageFacts:
        reference = (
            location.reference.qualified if location.reference is not None else ImageReference("localhost/image")
        )
        if location.transport is Transport.REGISTRY:
            location = attrs.evolve(location, reference=reference)
        try:
            with opened_base(location, reference, LaneOptions(), self.client) as base:
                [image] = base.images
                facts = facts_of(image.image, str(location))
                if not self._reads_files:
                    return facts
                folders = Folders.from_environment(parent_environment())
                trees = LayerTrees(base=base, cache=known_layers(folders), offered=lambda _: {}, say=self.say)
                return self._with_files(facts, trees.tree(image, trees.indexes(image)), image.image)
        except InputError as error:
            if self.fault is None or location.transport is not Transport.REGISTRY:
                raise
            # It may well be in the local store, which cannot be read.
            raise type(self.fault)(
                f"{error.message}; and the local store cannot be read: {self.fault.message}", hint=self.fault.hint
            ) from error

    @property
    def _reads_files(self) -> bool:
        return self.request.packages or self.request.files

    def _with_files(self, facts: ImageFacts, tree: FileTree, image: StoredImage) -> ImageFacts:
        packages = files = None
        if self.request.packages:
            packages = installed(tree, take_inventory(tree, path_variable(image)))
        if self.request.files:
            files = walked(tree)
        return attrs.evolve(facts, packages=packages, files=files)
