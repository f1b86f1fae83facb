# SPDX-License-Identifier: Apache-2.0
"""Where wheels are built: opened when the first of them is, so that a run that finds all of them opens nothing."""

import hashlib
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs

from stxbuildah.directive.pins import parse_pins
from stxbuildah.errors import InputError, StxbError
from stxbuildah.job.workspace import Folders
from stxbuildah.model.settings import RegistryAccess
from stxbuildah.model.wheelsrun import WheelsRequest
from stxbuildah.wheels.builder import BuilderRecipe, ensure_list_builder, list_recipe
from stxbuildah.wheels.keyed import KeyedFolders

if TYPE_CHECKING:
    from stxbuildah.engine.podman import PodmanService
    from stxbuildah.job.engine import Engine
    from stxbuildah.wheels.sourcebuild import Workshop


class RunStoppedError(Exception):
    """Something that every build needs is not to be had; carries the error to tell."""

    def __init__(self, error: StxbError) -> None:
        super().__init__(error.message)
        self.error = error


@attrs.define(kw_only=True)
class WheelShop:
    """The engine, the builder image and its Python.

    Attributes:
        request: what was asked.
        recipe: of the image below the builder image.
        pins: text of the file that settles versions of build requirements.
        folders: caches and state.
        work: folder of this run.
    """

    request: WheelsRequest
    recipe: BuilderRecipe
    pins: str
    folders: Folders
    work: Path
    _stack: ExitStack = attrs.field(factory=ExitStack, init=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False)
    _service: "PodmanService | None" = attrs.field(default=None, init=False)
    _engine: "Engine | None" = attrs.field(default=None, init=False)
    _workshop: "Workshop | None" = attrs.field(default=None, init=False)
    _failed: StxbError | None = attrs.field(default=None, init=False)
    _identity: str = attrs.field(default="", init=False)
    _stopped: bool = attrs.field(default=False, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def containers(self) -> int:
        """Containers that were run so far."""
        return self._service.started if self._service is not None else 0

    @property
    def requires_digest(self) -> str:
        """Digest of what settles the build requirements, and the Python."""
        requires = self.request.requires
        index = requires.index_url.rpartition("@")[2]
        python = "python2" if self.request.python2 else "python3"
        text = "\0".join((python, self.pins, index, *requires.find_links))
        return hashlib.sha256(text.encode()).hexdigest()

    def builder_identity(self) -> str:
        """Give what tells the builder image from others: the name of ours, which tells its recipe, or an image's id.

        Raises:
            RunStoppedError: a named image is not in the store.
        """
        with self._lock:
            if not self._identity:
                named = self.request.builder.image
                try:
                    found = self._opened_service().image_id(named) if named else list_recipe(self.recipe).reference
                except StxbError as error:
                    raise RunStoppedError(error) from error
                self._identity = found
            return self._identity

    def open(self) -> "Workshop":
        """Give what builds are done with; made once.

        Raises:
            RunStoppedError: no container can be run, or the builder image cannot be made.
        """
        with self._lock:
            if self._failed is not None:
                # Whoever waited for the lock is not to try the same again.
                raise RunStoppedError(self._failed)
            if self._workshop is None:
                try:
                    self._workshop = self._made()
                except StxbError as error:
                    self._failed = error
                    raise RunStoppedError(error) from error
            return self._workshop

    def stop(self) -> None:
        """Kill the containers that run; none is started any more."""
        # Not under the lock, which whoever makes the builder image holds for a minute.
        self._stopped = True
        if self._service is not None:
            self._service.stop_all()

    def _opened_service(self) -> "PodmanService":
        from stxbuildah.engine.podman import PodmanService
        from stxbuildah.job.engine import opened_engine

        if self._service is None:
            request = self.request
            self._engine = self._stack.enter_context(opened_engine(request.host, RegistryAccess(), request.retry))
            made = PodmanService(self._engine.runner, self._engine.choices, self.folders.state)
            self._service = self._stack.enter_context(made)
            if self._stopped:
                self._service.stop_all()
        return self._service

    def _made(self) -> "Workshop":
        from stxbuildah.engine.download import Downloader
        from stxbuildah.wheels.buildpython import RequirementFolders, known_python
        from stxbuildah.wheels.index import DEFAULT_INDEX, PackageIndex
        from stxbuildah.wheels.sourcebuild import Workshop, shared_benches

        request, service = self.request, self._opened_service()
        assert self._engine is not None  # noqa: S101 # opened with the service
        proxies = request.host.proxies
        image = request.builder.image
        if request.python2:
            if not image:
                raise InputError(
                    "no builder image is shipped for Python 2",
                    hint="name one by --builder: it needs python2 with setuptools and wheel",
                )
            return Workshop(
                service=service, image=image, requirements=None, limits=request.limits, proxies=proxies,
                ca_bundle=request.ca_bundle, turns=threading.Semaphore(request.jobs),
            )  # fmt: skip
        if not image:
            image = ensure_list_builder(self._engine.runner, service, self.recipe, proxies=proxies)
        fetched = self.work / "requirements"
        fetched.mkdir()
        index = PackageIndex(
            downloader=Downloader(proxies=proxies, retry=request.retry, ca_bundle=request.ca_bundle),
            index_url=request.requires.index_url or DEFAULT_INDEX,
            find_links=request.requires.find_links,
            folder=fetched,
        )
        requirements = RequirementFolders(
            service=service,
            image=image,
            python=known_python(service, image, KeyedFolders(top=self.folders.cache / "wheels" / "pythons")),
            index=index,
            pins=parse_pins(self.pins, str(request.requires.pins)),
            kept=KeyedFolders(top=self.folders.cache / "wheels" / "requirements"),
        )
        benches = shared_benches(service, image, self.work)
        self._stack.callback(benches.close)
        return Workshop(
            service=service,
            image=image,
            requirements=requirements,
            limits=request.limits,
            proxies=proxies,
            ca_bundle=request.ca_bundle,
            turns=threading.Semaphore(request.jobs),
            benches=benches,
        )
