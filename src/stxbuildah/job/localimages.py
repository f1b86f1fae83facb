# SPDX-License-Identifier: Apache-2.0
"""What the local store has, asked quickly."""

from stxbuildah.engine.process import Runner
from stxbuildah.engine.store import Store
from stxbuildah.job.engine import set_up
from stxbuildah.model.settings import RegistryAccess, Retry, Storage
from stxbuildah.model.update import HostOptions


def image_names(storage: Storage) -> tuple[str, ...]:
    """Give the names of all images.

    Raises:
        StxbError: the store cannot be asked.
    """
    # Of the usual store, nobody need find out how this machine runs containers.
    usual = storage == Storage()
    store = Store(runner=Runner()) if usual else set_up(HostOptions(storage=storage), RegistryAccess(), Retry()).store
    return tuple(sorted(name for image in store.list() for name in image.names))
