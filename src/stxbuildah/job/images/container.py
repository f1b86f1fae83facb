# SPDX-License-Identifier: Apache-2.0
"""An image that another is built on or that is finished, in a working container where one is needed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from stxbuildah import __version__
from stxbuildah.engine.process import Completed, ProcessError
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.errors import BuildError
from stxbuildah.job.image import declared_volumes, image_tree, path_variable, tree_above
from stxbuildah.job.images.inputs import labels_of
from stxbuildah.job.images.work import ImageWork
from stxbuildah.job.inspect import installed
from stxbuildah.job.sessionmounts import check_mountable, find_shell, mount_point, session_variables, standard_mounts
from stxbuildah.job.startable import startable_image
from stxbuildah.layer.append import append_layer, with_settings
from stxbuildah.layer.documents import Json
from stxbuildah.layer.filechanges import file_changes
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.layout import write_layout
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.tar import write_layer
from stxbuildah.layer.thin import thin
from stxbuildah.model.image import ImageDocuments
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import StoredImage
from stxbuildah.model.tree import FileTree

TAIL_LINES = 20


@attrs.frozen(kw_only=True)
class FinishedImage:
    """An image as it lies in the local store.

    Attributes:
        image: its name and documents.
        packages: what is installed in it.
    """

    image: StoredImage
    packages: PackageLists


@attrs.define(kw_only=True)
class ImageContainer:
    """An image that is built on or finished, and what is to be said of the one that comes out of it.

    A working container of it is made when something runs, and not before: what is written until then is kept.

    Attributes:
        work: what is built.
        image: the image that all begins with.
        image_tree: that image's files, untouched.
        mount_points: paths where something is mounted, which no layer may hold; whoever mounts more adds its own.
        settings: keys of the configuration's ``config`` to set, as ``{"Env": [...]}``; None removes one.
        leftovers: paths of the image that are not to be in the new one, though a layer usually leaves such alone.
    """

    work: ImageWork
    image: StoredImage
    image_tree: FileTree
    mount_points: list[str]
    settings: dict[str, Json] = attrs.field(factory=dict)
    leftovers: list[str] = attrs.field(factory=list)
    _stack: ExitStack
    _container: WorkingContainer | None = None
    _volumes: tuple[str, ...] = ()
    _written: dict[tuple[str, bool], LayerEntry] = attrs.field(factory=dict)

    @classmethod
    @contextmanager
    def opened(
        cls, work: ImageWork, image: StoredImage, below: StoredImage | None = None
    ) -> Iterator["ImageContainer"]:
        """Open an image for the time of the block.

        Args:
            work: what is built.
            image: an image of the local store.
            below: an image that it stands on when it is a temporary one.
        """
        check_mountable(work.folder)
        with ExitStack() as stack:
            if below is None or work.known is None:
                tree = stack.enter_context(image_tree(work.engine, image, folder=work.folder, wait=True))
            else:
                tree = stack.enter_context(tree_above(work.engine, image, below, work.known, folder=work.folder))
            yield cls(work=work, image=image, image_tree=tree, mount_points=[*declared_volumes(image)], stack=stack)

    @property
    def container(self) -> WorkingContainer:
        """The working container, with all that was written.

        Raises:
            StxbError: it cannot be made.
        """
        if self._container is None:
            self._container = self._created()
            if self._written:
                with self._container.tree() as tree:
                    tree.apply(self._content(), self.work.timestamp)
        return self._container

    def _created(self) -> WorkingContainer:
        engine, work = self.work.engine, self.work
        self._volumes = standard_mounts(self.image_tree, work.folder, work.request.material.build_ca_bundle)
        self.mount_points += map(mount_point, self._volumes)
        name = self._stack.enter_context(startable_image(engine, self.image, work.folder))
        return self._stack.enter_context(
            WorkingContainer.create(
                engine.runner, engine.choices, name, state_folder=engine.folders.state, keep=work.request.keep
            )
        )

    def _content(self) -> LayerContent:
        return LayerContent(tuple(self._written[key] for key in sorted(self._written)))

    @property
    def shell(self) -> str:
        """Path of the image's bash, else of its sh; empty when it has neither."""
        return find_shell(self.image_tree)

    def run(
        self,
        argv: Sequence[str],
        *,
        what: str,
        volumes: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        user: str = "root",
        workdir: str = "/",
        check: bool = True,
    ) -> Completed:
        """Run a program in the container; what it writes goes to the image's log.

        An open tree of the container is closed first.

        Args:
            argv: program and arguments.
            what: what it is for, as ``installing distribution packages``; told, and said of a failure.
            volumes: further mounts, as of ``buildah run --volume``.
            env: further variables.
            user: account in the container.
            workdir: folder in the container to run in.
            check: raise when its exit status is not 0.

        Raises:
            BuildError: it ended with another status than 0, or took too long.
            DiskFullError: no space was left.
        """
        self.work.tell(what)
        request = self.work.request
        variables = session_variables(request.host.proxies, request.material.build_ca_bundle, self.work.timestamp)
        container = self.container
        try:
            return container.run(
                argv,
                volumes=(*self._volumes, *volumes),
                env={**variables, **(env or {})},
                user=user,
                workdir=workdir,
                timeout=self.work.seconds_left,
                check=check,
            )
        except ProcessError as error:
            raise BuildError(
                f"{self.work.image.label}: {what} failed: {error.message}", details=error.details[-TAIL_LINES:]
            ) from error

    def tree(self) -> ContainerTree:
        """Open the working container's files; the tree is closed by the next ``run``."""
        return self.container.tree()

    def apply(self, content: LayerContent) -> None:
        """Write a layer's entries; of a path that was written before, what it is now counts."""
        if self._container is not None:
            with self._container.tree() as tree:
                tree.apply(content, self.work.timestamp)
            return
        self._written |= {(entry.path, entry.change is Change.OPAQUE): entry for entry in content.entries}

    @contextmanager
    def _changes(self) -> Iterator[LayerContent]:
        """Give what belongs into the layer; its files can be read inside the block."""
        if self._container is None:
            yield self._content()
            return
        with self._container.tree(comparable=True) as tree:
            made = thin(tree.changes(), mount_points=self.mount_points, base=self.image_tree, keep_bytecode=False)
            gone = file_changes(self.image_tree, dict.fromkeys(self.leftovers))
            entries = {(entry.path, entry.change is Change.OPAQUE): entry for entry in (*gone.entries, *made.entries)}
            yield LayerContent(tuple(entries[key] for key in sorted(entries)))

    def finish(self, name: ImageReference, *, labels: Mapping[str, str], created_by: str) -> FinishedImage:
        """Make an image: one more layer on the one that all began with, none where no file changed.

        Args:
            name: its name in the local store.
            labels: labels to add or replace; annotations, too, where the image's format has them.
            created_by: the history's word for what made the layer.

        Raises:
            StxbError: the layer cannot be written, or the store not take it.
        """
        with self._changes() as content:
            documents, blobs = self._documents(content, labels, created_by)
            made = StoredImage(reference=name, documents=documents)
            files = OverlaidTree(self.image_tree, content)
            packages = installed(files, take_inventory(files, path_variable(made)))
        self.work.tell("storing the image")
        self.work.built()
        store = self.work.engine.store
        if documents == self.image.documents:
            store.tag(self.image.reference, name)
        else:
            store.import_image(write_layout(self.work.folder / "image", documents, blobs), name)
        return FinishedImage(image=made, packages=packages)

    def _documents(
        self, content: LayerContent, labels: Mapping[str, str], created_by: str
    ) -> tuple[ImageDocuments, dict[str, Path]]:
        """Give the new image's documents, and the file of its layer by digest where it has one."""
        if not content.entries:
            if not self.settings and labels.items() <= labels_of(self.image).items():
                return self.image.documents, {}
            documents = with_settings(
                self.image.documents, labels=labels, annotations=labels, config_changes=self.settings
            )
            return documents, {}
        self.work.tell("writing the layer")
        file, compression = self.work.folder / "layer", self.work.request.compression
        blob = write_layer(content, file, timestamp=self.work.timestamp, compression=compression)
        documents = append_layer(
            self.image.documents, blob, timestamp=self.work.timestamp, created_by=created_by,
            comment=f"stxbuildah {__version__}", labels=labels, annotations=labels, config_changes=self.settings,
        )  # fmt: skip
        return documents, {blob.digest: file}
