# SPDX-License-Identifier: Apache-2.0
"""Carrying out an update where the image lies, in a registry or in a file: nothing is pulled, unpacked or run."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from stxbuildah import log
from stxbuildah.errors import BuildError, StxbError
from stxbuildah.job.carryout import carry_out
from stxbuildah.job.delivery import Delivered, deliver
from stxbuildah.job.image import path_variable
from stxbuildah.job.layertrees import LayerTrees, known_layers
from stxbuildah.job.outcome import InstalledLists, check_visible, image_change, installed_lists
from stxbuildah.job.publish import NewLayer, make_layer, store_name, timestamp_of
from stxbuildah.job.records import write_records
from stxbuildah.job.remote import RemoteBase, RemoteImage
from stxbuildah.job.sources import Sources
from stxbuildah.job.workspace import Folders
from stxbuildah.layer.content import wheel_content
from stxbuildah.layer.contentindex import index_content
from stxbuildah.layer.indexcache import IndexCache
from stxbuildah.layer.indexfile import LayerIndex
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.stacked import StackedTree
from stxbuildah.model.descriptor import Document
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.layer import LayerContent
from stxbuildah.model.location import ImageLocation, Transport
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import Action, ImageChange, UpdatePlan, UpdateRequest, UpdateResult

if TYPE_CHECKING:
    from stxbuildah.job.artifact import StoredInventory
    from stxbuildah.job.artifactupload import InventoryUpload
    from stxbuildah.job.replacing import EarlierUpdates
    from stxbuildah.registry.client import RegistryClient

Say = Callable[[str], None]

# Threads for what is stored beside images: mostly questions to the registry, which wait for its answers. They are not
# those of the images themselves, which would have to wait for it.
_BESIDE = 4


@attrs.define(kw_only=True)
class ChangedImage:
    """One image of the update, and what was found and made for it so far.

    Attributes:
        remote: the image to change.
        indexes: what its layers do.
        tree: its files.
        inventory: what is in it.
        inventory_upload: stores what its layers do beside the new image; None where that is not wanted.
        content: the new layer.
        after: what will be in the new image.
        layer: the new layer and documents.
        replaced: layers of earlier updates that the new one stands for.
    """

    remote: RemoteImage
    indexes: tuple[LayerIndex, ...]
    tree: StackedTree
    inventory: Inventory
    inventory_upload: "InventoryUpload | None" = None
    content: LayerContent = attrs.field(factory=lambda: LayerContent(()))
    after: Inventory | None = None
    layer: NewLayer | None = None
    lists: "Future[InstalledLists] | None" = None
    replaced: int = 0

    @property
    def made(self) -> NewLayer:
        """The new layer."""
        if self.layer is None:
            raise BuildError("no layer was written")
        return self.layer

    @property
    def listed(self) -> InstalledLists:
        """What was and what is installed."""
        if self.lists is None:
            raise BuildError("no layer was written")
        return self.lists.result()


@attrs.define(kw_only=True)
class RegistryUpdate:
    """An update in the registry lane, and what its steps have found so far."""

    request: UpdateRequest
    plan: UpdatePlan
    base: RemoteBase
    client: "Callable[[], RegistryClient]"
    folders: Folders
    folder: Path
    sources: Sources
    records: Path
    pool: ThreadPoolExecutor
    stack: ExitStack
    say: Say
    images: list[ChangedImage] = attrs.field(factory=list)
    delivered: Delivered | None = None
    written: tuple[Path, ...] = ()
    seconds: tuple[tuple[str, float], ...] = ()
    beside: ThreadPoolExecutor = attrs.field(init=False, factory=lambda: ThreadPoolExecutor(_BESIDE))

    def execute(self) -> UpdateResult:
        """Carry out every step of the plan in its order."""
        # After a fault nobody waits for what is stored beside images: with the client it ends, too.
        self.stack.callback(self.beside.shutdown, wait=False, cancel_futures=True)
        perform: dict[Action, Callable[[], None]] = {
            Action.DOWNLOAD: self.sources.download,
            Action.READ_LAYERS: self._read_layers,
            Action.BUILD_MODULE: self._build_modules,
            Action.FETCH_REQUIREMENTS: self._fetch_requirements,
            Action.INSTALL_WHEELS: self._install_wheels,
            Action.WRITE_LAYER: self._write_layers,
            Action.PUSH: self._deliver,
            Action.WRITE_IMAGE: self._deliver,
            Action.RECORD: self._record,
        }
        self.seconds = carry_out(self.plan, perform, self.say)
        return self._result()

    @property
    def _place(self) -> ImageLocation:
        inputs = self.plan.inputs
        return inputs.destination or ImageLocation(transport=Transport.REGISTRY, reference=inputs.target.qualified)

    @property
    def name(self) -> ImageReference:
        """The result's name."""
        return store_name(self.plan.inputs.target, self.base.reference)

    def _read_layers(self) -> None:
        trees = self._trees()
        for remote in self.base.images:
            indexes = trees.indexes(remote)
            upload = self._inventory_upload(remote)
            tree = trees.tree(remote, indexes)
            inventory = take_inventory(tree, path_variable(remote.image), self.request.install.python)
            self.images.append(ChangedImage(remote=remote, indexes=indexes, tree=tree, inventory=inventory))
            self.images[-1].inventory_upload = upload

    def _trees(self) -> LayerTrees:
        return LayerTrees(base=self.base, cache=self._cache(), offered=self._offered, say=self.say)

    def _offered(self, image: RemoteImage) -> Mapping[str, LayerIndex]:
        reference = self.base.location.reference
        if reference is None or self.base.location.transport is not Transport.REGISTRY:
            return {}
        if not self.request.lanes.trust_inventory:
            return {}
        return self._stored_inventory().offered(reference, image)

    def _stored_inventory(self) -> "StoredInventory":
        from stxbuildah.job.artifact import StoredInventory

        return StoredInventory(client=self.client(), cache=self._stored_indexes())

    def _stored_indexes(self) -> IndexCache:
        return IndexCache(self.folders.cache / "stored-inventories")

    def _build_modules(self) -> None:
        self.sources.build_modules(self.images[0].inventory)

    def _fetch_requirements(self) -> None:
        for image in self.images:
            self.sources.fetch_requirements(image.inventory)

    def _install_wheels(self) -> None:
        broken = self.request.install.break_system_packages
        for image in self.images:
            made = wheel_content(image.tree, image.inventory, self.sources.wheels, break_system_packages=broken)
            image.content = made.content
            image.after = take_inventory(
                OverlaidTree(image.tree, image.content),
                path_variable(image.remote.image),
                self.request.install.python,
            )
            check_visible(self.sources.wheels, image.after)
            image.lists = self.pool.submit(
                copy_context().run, installed_lists, image.tree, image.inventory, image.content, image.after
            )

    def _write_layers(self) -> None:
        for number, image in enumerate(self.images):
            folder = self.folder / f"image-{number}"
            folder.mkdir()
            earlier = self._earlier_updates(image, folder) if self.request.replace_updates else None
            if earlier is not None:
                image.content = earlier.with_new(image.content)
                image.replaced = len(earlier.layers)
            image.layer = make_layer(
                self.request, self.plan.inputs, image.remote.image, image.content, wheels=self.sources.wheels,
                folder=folder, replaced=earlier.split if earlier else None,
            )  # fmt: skip

    def _earlier_updates(self, image: ChangedImage, folder: Path) -> "EarlierUpdates | None":
        from stxbuildah.job.replacing import EarlierUpdates
        from stxbuildah.layer.layertar import write_plain
        from stxbuildah.layer.tarmember import Limits
        from stxbuildah.layer.updates import split_updates

        split = split_updates(image.remote.image.documents)
        if split is None:
            return None
        files = []
        for number, layer in enumerate(split.updates):
            files.append(folder / f"update-{number}.tar")
            with self.base.source.blob(layer.descriptor) as chunks:
                write_plain(chunks, files[-1], diff_id=layer.diff_id, limit=Limits().total)
        below = self._trees().tree(image.remote, image.indexes[: -len(files)])
        return EarlierUpdates(split=split, layers=files, below=below)

    def _deliver(self) -> None:
        made = {image.remote.manifest.digest: image.made for image in self.images}
        keeping = [self._keep_index(image) for image in self.images]
        self.delivered = deliver(
            self.base, made, self._place, client=self.client, pool=self.pool,
            unmoved=bool(self.request.lanes.expect_digest),
        )  # fmt: skip
        log.info("update.delivered", place=str(self._place), digest=self.delivered.digest)
        for image, kept in zip(self.images, keeping, strict=True):
            if image.inventory_upload is not None:
                image.inventory_upload.finish(self._new_manifest(image))
            else:
                _wait_for(kept)

    def _keep_index(self, image: ChangedImage) -> "Future[Path]":
        """Keep what is known of the new layer, for the next update of the image: here, and beside it."""
        kept = self.beside.submit(copy_context().run, self._indexed, image)
        if image.inventory_upload is not None:
            for layer in image.remote.layers[: len(image.remote.layers) - image.replaced]:
                image.inventory_upload.add(partial(self._index_file, layer.digest))
            image.inventory_upload.add(kept.result)
        return kept

    def _inventory_upload(self, remote: RemoteImage) -> "InventoryUpload | None":
        """Give what stores the inventory beside the new image, if it is to be stored."""
        reference = self._place.reference
        if self._place.transport is not Transport.REGISTRY or not self.request.lanes.store_inventory or not reference:
            return None
        from stxbuildah.job.artifactupload import InventoryUpload

        upload = InventoryUpload(
            self.client(), reference, notes=self.folders.cache / "packed", folder=self.folder, pool=self.beside
        )
        upload.ask(self._index_file(layer.digest) for layer in remote.layers)
        return upload

    def _indexed(self, image: ChangedImage) -> Path:
        blob, timestamp = image.made.blob, timestamp_of(self.request, image.remote.image)
        with self._cache().making(blob.digest) as path:
            index_content(image.content, timestamp=timestamp, diff_id=blob.diff_id, target=path)
        return self._cache().path(blob.digest)

    def _index_file(self, digest: str) -> Path:
        """Give the file of a layer's index: our own, else the one that was stored beside the base."""
        own, reference = self._cache().path(digest), self.base.location.reference
        return own if own.exists() or reference is None else self._stored_inventory().path(reference, digest)

    def _cache(self) -> IndexCache:
        return known_layers(self.folders)

    def _new_manifest(self, image: ChangedImage) -> Document:
        if self.delivered is None:
            raise BuildError("no image was written")
        return self.delivered.manifests[image.remote.manifest.digest]

    def _record(self) -> None:
        self.written = write_records(self.records, self.name, self.images[0].listed.after)

    def _result(self) -> UpdateResult:
        inputs = self.plan.inputs
        return UpdateResult(
            reference=inputs.target.qualified if self.request.push else self.name,
            location=inputs.destination,
            digest=self.delivered.digest if self.delivered else "",
            pushed=self.request.push,
            base=self.base.reference,
            base_digest=self.base.document.digest,
            lane=self.plan.lane,
            reason=self.plan.reason,
            images=tuple(self._change(image) for image in self.images),
            records=self.written,
            seconds=self.seconds,
        )

    def _change(self, image: ChangedImage) -> ImageChange:
        new, old = self._new_manifest(image).digest, image.remote.manifest.digest
        if image.remote.platform is None and self.delivered is not None:
            # A layout may keep Docker's manifest as an OCI one.
            new = self.delivered.digest
        return image_change(
            new, old, image.made.blob, image.content, image.listed,
            platform=image.remote.platform, replaced=image.replaced,
        )  # fmt: skip


def _wait_for(index: "Future[Path]") -> None:
    """Wait for an index; without it the next update takes longer, and this one is done."""
    try:
        index.result()
    except StxbError as error:
        log.warning("layer.index.not_written", reason=error.message)
