# SPDX-License-Identifier: Apache-2.0
"""Taking stock of an image."""

from stxbuildah.layer.distributions import find_distributions
from stxbuildah.layer.environment import find_environment
from stxbuildah.layer.osrelease import read_os_release
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.tree import FileTree


def take_inventory(tree: FileTree, path_variable: str, python: str = "") -> Inventory:
    """Give what an update must know of an image; nothing of the image runs.

    Args:
        tree: the image.
        path_variable: PATH of the image's configuration; the usual default when empty.
        python: interpreter to take, as of ``find_environment``.

    Raises:
        InputError: the interpreter asked for is not there, or its version cannot be told.
    """
    environment = find_environment(tree, path_variable, python)
    return Inventory(
        os_release=read_os_release(tree),
        environment=environment,
        distributions=find_distributions(tree, environment) if environment else (),
    )
