# SPDX-License-Identifier: Apache-2.0
"""Carrying out the plan of an update: one method for each action."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah.errors import BuildError, InputError
from stxbuildah.job.carryout import carry_out
from stxbuildah.job.engine import Engine
from stxbuildah.job.found import check_expected
from stxbuildah.job.image import image_tree, path_variable
from stxbuildah.job.outcome import InstalledLists, check_visible, image_change, installed_lists
from stxbuildah.job.publish import NewImage, NewLayer, make_image, make_layer
from stxbuildah.job.records import write_records
from stxbuildah.job.replacing import EarlierUpdates
from stxbuildah.job.sources import Sources
from stxbuildah.layer.content import wheel_content
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.updates import split_updates
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.layer import LayerContent
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree
from stxbuildah.model.update import Action, UpdatePlan, UpdateRequest, UpdateResult
from stxbuildah.plan.lane import is_delivered

if TYPE_CHECKING:
    from stxbuildah.job.session import UpdateSession

Say = Callable[[str], None]


@attrs.define(kw_only=True)
class UpdateSteps:
    """An update under way, and what its steps have found so far."""

    request: UpdateRequest
    plan: UpdatePlan
    engine: Engine
    say: Say
    folder: Path
    stack: ExitStack
    pool: ThreadPoolExecutor
    sources: Sources
    records: Path
    found: StoredImage | None
    pulled: bool = False
    opened: FileTree | None = None
    session: "UpdateSession | None" = None
    content: LayerContent = attrs.field(factory=lambda: LayerContent(()))
    replaced: int = 0
    changed: Inventory | None = None
    layer: NewLayer | None = None
    made: NewImage | None = None
    stored: "Future[str] | None" = None
    digest: str = ""
    lists: "Future[InstalledLists] | None" = None
    written: tuple[Path, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()

    def execute(self) -> UpdateResult:
        """Carry out every step of the plan in its order."""
        perform: dict[Action, Callable[[], None]] = {
            Action.PULL: self._pull,
            Action.DOWNLOAD: self.sources.download,
            Action.BUILD_MODULE: self._build_modules,
            Action.FETCH_REQUIREMENTS: self._fetch_requirements,
            Action.OPEN_CONTAINER: self._open_container,
            Action.INSTALL_PACKAGES: self._install_packages,
            Action.INSTALL_WHEELS: self._install_wheels,
            Action.CUSTOMIZE: self._customize,
            Action.WRITE_LAYER: self._write_layer,
            Action.STORE: self._store,
            Action.PUSH: self._push,
            Action.WRITE_IMAGE: self._write_image,
            Action.RECORD: self._record,
            Action.CLEAN: self._clean,
        }
        try:
            self.seconds = carry_out(self.plan, perform, self.say)
        finally:
            # The import reads the work folder and the lists the container, which go away next.
            for task in (self.stored, self.lists):
                if task is not None:
                    task.exception()
        return self._result()

    @property
    def base(self) -> StoredImage:
        """The image to change."""
        if self.found is None:
            raise InputError(f"the image {self.plan.inputs.base} is not in the local store")
        return self.found

    @property
    def tree(self) -> FileTree:
        """The base image's files."""
        if self.opened is None:
            self.opened = self.stack.enter_context(
                image_tree(self.engine, self.base, folder=self.folder, wait=self.request.clean)
            )
        return self.opened

    def inventory(self, tree: FileTree) -> Inventory:
        """Take the inventory of the base, or of the base with changes on top."""
        return take_inventory(tree, path_variable(self.base), self.request.install.python)

    def _pull(self) -> None:
        name = self.engine.store.pull(self.plan.inputs.base)
        self.found = self.engine.store.read(name)
        self.pulled = True
        check_expected(self.request.lanes.expect_digest, str(self.base.reference), self.base.digest)

    def _build_modules(self) -> None:
        self.sources.build_modules(self.inventory(self.tree))

    def _fetch_requirements(self) -> None:
        self.sources.fetch_requirements(self.inventory(self.tree))

    def _open_container(self) -> None:
        from stxbuildah.job.session import UpdateSession

        self.session = self.stack.enter_context(
            UpdateSession.opened(self.engine, self.base, self.tree, sources=self.sources, folder=self.folder)
        )

    def _session(self) -> "UpdateSession":
        if self.session is None:
            raise BuildError("no working container is open")
        return self.session

    def _install_packages(self) -> None:
        self._session().install_packages()

    def _install_wheels(self) -> None:
        wheels = self.sources.wheels
        broken = self.request.install.break_system_packages
        if self.session is not None:
            self.session.install_wheels()
        else:
            inventory = self.inventory(self.tree)
            self.content = wheel_content(self.tree, inventory, wheels, break_system_packages=broken).content

    def _customize(self) -> None:
        self._session().customize()

    def _write_layer(self) -> None:
        if self.session is not None:
            # The files are read out of the container, which stays open until the records are made.
            self.content = self.stack.enter_context(self.session.changes())
        self.changed = self.inventory(OverlaidTree(self.tree, self.content))
        check_visible(self.sources.wheels, self.changed)
        inputs, earlier, new = self.plan.inputs, self._earlier_updates(), self.content
        if earlier is not None:
            self.content = earlier.with_new(self.content)
            self.replaced = len(earlier.layers)
        self.layer = make_layer(
            self.request, inputs, self.base, self.content, wheels=self.sources.wheels, folder=self.folder,
            replaced=earlier.split if earlier else None,
        )  # fmt: skip
        self.made = make_image(self.layer, inputs, self.base, self.folder)
        # While the image is stored and pushed, this program has little else to do.
        self.lists = self.pool.submit(copy_context().run, self._take_lists, new)

    def _earlier_updates(self) -> EarlierUpdates | None:
        split = split_updates(self.base.documents) if self.request.replace_updates else None
        if split is None:
            return None
        from stxbuildah.engine.toplayers import top_layers
        from stxbuildah.job.below import below_tree

        count, documents = len(split.updates), self.base.documents
        layers = top_layers(self.engine.runner, self.base.reference, documents, count=count, folder=self.folder)
        below = self.stack.enter_context(below_tree(self.engine, split.below, folder=self.folder))
        return EarlierUpdates(split=split, layers=layers, below=below)

    def _new(self) -> NewImage:
        if self.made is None:
            raise BuildError("no layer was written")
        return self.made

    def _store(self) -> None:
        """Start the import; it goes on while the push and the records are made."""
        new = self._new()
        self.stored = self.pool.submit(copy_context().run, self.engine.store.import_image, new.source, new.name)
        if not is_delivered(self.request, self.plan.inputs):
            self.digest = self.stored.result()

    def _push(self) -> None:
        new = self._new()
        self.digest = self.engine.store.push(
            new.name, new.destination, layout=new.source, stored=self.stored.result if self.stored else None
        )

    def _write_image(self) -> None:
        from stxbuildah.job.export import export

        place = self.plan.inputs.destination
        if self.layer is None or place is None:
            raise BuildError("no layer was written")
        self.digest = export(self.engine.runner, self.base, self.layer, place, folder=self.folder, pool=self.pool)

    def _take_lists(self, content: LayerContent) -> InstalledLists:
        """List what was and what is installed; afterwards nothing reads the container any more."""
        after = self.changed
        if after is None:
            raise BuildError("no layer was written")
        lists = installed_lists(self.tree, self.inventory(self.tree), content, after)
        if self.session is not None:
            self.session.container.close()
        return lists

    def _record(self) -> None:
        """Write the records when the image is there."""
        if self.stored is not None:
            self.stored.result()
        self.written = write_records(self.records, self._new().name, self._listed().after)

    def _listed(self) -> InstalledLists:
        if self.lists is None:
            raise BuildError("no layer was written")
        return self.lists.result()

    def _clean(self) -> None:
        # An image that a container stands on cannot be removed.
        self.stack.close()
        self.engine.store.remove(self._new().name)
        if self.pulled:
            self.engine.store.remove(self.base.reference)

    def _result(self) -> UpdateResult:
        new = self._new()
        lists = self._listed()
        return UpdateResult(
            reference=new.destination if self.request.push else new.name,
            location=self.plan.inputs.destination,
            digest=self.digest,
            pushed=self.request.push,
            base=self.base.reference,
            base_digest=self.base.digest,
            lane=self.plan.lane,
            reason=self.plan.reason,
            images=(image_change(new.digest, self.base.digest, new.blob, self.content, lists, replaced=self.replaced),),
            records=self.written,
            seconds=self.seconds,
        )
