# SPDX-License-Identifier: Apache-2.0
"""What is installed in an image, read from its files."""

from stxbuildah.layer.dpkg import dpkg_packages
from stxbuildah.layer.requirements import freeze
from stxbuildah.layer.rpmdb import rpm_packages
from stxbuildah.model.inventory import Inventory
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.tree import FileTree


def installed(tree: FileTree, inventory: Inventory) -> PackageLists:
    """Give the sorted lists of installed packages.

    Args:
        tree: the image's files.
        inventory: what was found in them.
    """
    python = None
    if inventory.environment is not None:
        python = freeze(inventory.distributions, inventory.environment)
    debs = dpkg_packages(tree)
    rpms = rpm_packages(tree)
    return PackageLists(
        python=python,
        deb=tuple(sorted(" ".join(package) for package in debs)) if debs else None,
        rpm=tuple(sorted(rpms)) if rpms else None,
    )
