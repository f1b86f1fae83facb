# SPDX-License-Identifier: Apache-2.0
"""Containers whose owner was killed: buildah's working containers, and podman's ephemeral ones."""

from pathlib import Path

from stxbuildah import log
from stxbuildah.engine.leftover import end_programs
from stxbuildah.engine.locks import BUILDS, EPHEMERAL, SERVICES, adopted, lock_files, orphan_names
from stxbuildah.engine.process import Runner
from stxbuildah.engine.session import remove_container, store_key
from stxbuildah.model.settings import HostChoices


def find_orphans(choices: HostChoices, state_folder: Path) -> tuple[str, ...]:
    """Give the names of this store's containers and builds whose owner has gone; runs no program."""
    key = store_key(choices)
    folders = (state_folder, state_folder / EPHEMERAL, state_folder / BUILDS)
    return tuple(name for folder in folders for name in orphan_names(folder, key))


def remove_orphans(runner: Runner, choices: HostChoices, state_folder: Path) -> tuple[str, ...]:
    """Remove this store's containers whose owner has gone, and nothing else.

    Runs no program when there are none. One that cannot be removed is logged and left for the next time.

    Args:
        runner: runs buildah.
        choices: names the store.
        state_folder: folder of lock files, as the containers were made with.

    Returns:
        The names of those removed.
    """
    removed = []
    for path in lock_files(state_folder):
        with adopted(path, store_key(choices)) as lock:
            if lock is None:
                continue
            end_programs(lock.name)
            if remove_container(runner, choices, lock.name):
                path.unlink(missing_ok=True)
                log.info("session.orphan.removed", container=lock.name)
                removed.append(lock.name)
    if any(orphan_names(state_folder / BUILDS, store_key(choices))):
        from stxbuildah.engine.imagebuild import remove_orphaned_builds

        removed += remove_orphaned_builds(runner, choices, state_folder)
    if any(orphan_names(state_folder / folder, store_key(choices)) for folder in (EPHEMERAL, SERVICES)):
        from stxbuildah.engine.podman import remove_ephemeral_orphans

        removed += remove_ephemeral_orphans(runner, choices, state_folder)
    return tuple(removed)
