# SPDX-License-Identifier: Apache-2.0
"""The engine as one job uses it: programs, store and folders, set up by what this host can do."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.orphans import find_orphans, remove_orphans
from stxbuildah.engine.probe import choose_host
from stxbuildah.engine.process import Runner, parent_environment
from stxbuildah.engine.store import Store
from stxbuildah.engine.storefiles import StoreFiles
from stxbuildah.errors import StxbError
from stxbuildah.job.workspace import Folders, lists_of_temporary_images, orphaned_work_folders, remove_work_folder
from stxbuildah.model.host import UserChoices
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices, RegistryAccess, Retry, Storage
from stxbuildah.model.update import HostOptions
from stxbuildah.model.value import Value

TEMPORARY_NAME = "localhost/stxb-temporary"


@attrs.frozen(kw_only=True)
class Engine(Value):
    """Everything a job needs to reach programs, images and folders.

    Attributes:
        choices: how programs are run on this machine.
        runner: runs them.
        store: the local store and registries.
        folders: caches, state and work folders.
    """

    choices: HostChoices
    runner: Runner
    store: Store
    folders: Folders

    def with_runner(self, runner: Runner, stop: threading.Event | None = None) -> "Engine":
        """Give the same engine whose programs are run by another runner.

        Args:
            runner: runs them.
            stop: ends pauses between attempts when it is set; None for what ended them before.
        """
        store = attrs.evolve(self.store, runner=runner, stop=stop or self.store.stop)
        return attrs.evolve(self, runner=runner, store=store)


@attrs.frozen(kw_only=True)
class Cleaned(Value):
    """What killed runs left behind.

    Attributes:
        containers: names of working containers.
        folders: work folders.
    """

    containers: tuple[str, ...]
    folders: tuple[Path, ...]


@contextmanager
def opened_engine(host: HostOptions, access: RegistryAccess, retry: Retry) -> Iterator[Engine]:
    """Choose how this host is used, and clear away what killed runs left.

    Args:
        host: what the user says of this machine.
        access: how registries are reached.
        retry: how often transient faults are tried again.
    """
    engine = set_up(host, access, retry)
    clear_away(engine)
    yield engine


def set_up(host: HostOptions, access: RegistryAccess, retry: Retry) -> Engine:
    """Choose how this host is used; nothing is changed."""
    choices = choose_host(UserChoices(isolation=host.isolation, network=host.network, storage=host.storage))
    for reason in choices.reasons:
        log.info("host.chosen", reason=reason)
    secret = access.creds.partition(":")[2]
    runner = Runner(
        extra=choices.environment,
        on_line=lambda line: log.debug("program.line", line=line),
        secrets=(secret,) if secret else (),
        options=_runroot_options(host.storage),
    )
    folders = Folders.from_environment(parent_environment())
    store = Store(runner=runner, access=access, retry=retry, files=StoreFiles.of(choices.storage))
    return Engine(choices=choices, runner=runner, store=store, folders=folders)


def _runroot_options(storage: Storage) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Name the runroot to the programs that do not read it from a settings file when they run rootless."""
    if not storage.runroot:
        return ()
    return tuple((program, ("--runroot", storage.runroot)) for program in ("buildah", "podman"))


def find_left(engine: Engine) -> Cleaned:
    """Find everything that killed runs left: containers, work folders and rooms without a living owner."""
    from stxbuildah.job.room import orphaned_rooms

    containers = find_orphans(engine.choices, engine.folders.state)
    rooms = orphaned_rooms(engine.folders)
    return Cleaned(containers=containers, folders=(*orphaned_work_folders(engine.folders), *rooms))


def clear_all_away(engine: Engine) -> Cleaned:
    """Remove everything that killed runs left."""
    from stxbuildah.job.room import orphaned_rooms, remove_rooms

    cleaned = clear_away(engine)
    rooms = orphaned_rooms(engine.folders)
    remove_rooms(engine.runner, rooms)
    return attrs.evolve(cleaned, folders=(*cleaned.folders, *rooms))


def clear_away(engine: Engine) -> Cleaned:
    """Remove what killed runs left that others could stumble over; quick when there is nothing."""
    containers = remove_orphans(engine.runner, engine.choices, engine.folders.state)
    folders = orphaned_work_folders(engine.folders)
    for folder in folders:
        remove_temporary_images(engine.store, folder)
        remove_work_folder(folder)
    if containers or folders:
        log.info("orphans.removed", containers=containers, folders=[str(folder) for folder in folders])
    return Cleaned(containers=containers, folders=folders)


def remove_temporary_images(store: Store, folder: Path) -> None:
    """Remove the images that a run has put into the store for itself, as its work folder and those in it tell."""
    texts = [noted.read_text(encoding="utf-8") for noted in lists_of_temporary_images(folder)]
    # A run that is killed while it writes may leave a piece of a name, which could be that of a user's image.
    names = [name for text in texts for name in text.split() if name.startswith(f"{TEMPORARY_NAME}:")]
    _remove_temporary(store, [ImageReference.parse(name) for name in names])


def remove_temporary_image(store: Store, name: ImageReference) -> None:
    """Remove an image that a run had put into the store for itself.

    One that is not there, or that a kept container stands on, is left alone.
    """
    _remove_temporary(store, [name])


def _remove_temporary(store: Store, names: Sequence[ImageReference]) -> None:
    tidying = attrs.evolve(store, runner=attrs.evolve(store.runner, tidying=True))
    try:
        tidying.remove(*names)
    except StxbError as error:
        log.debug("image.temporary.left", images=list(map(str, names)), reason=error.message)
