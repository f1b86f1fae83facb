# SPDX-License-Identifier: Apache-2.0
"""Which installed Python distributions belong to the operating system."""

from stxbuildah.layer.dpkg import files_of_package, owner_of
from stxbuildah.layer.paths import base_name, is_below
from stxbuildah.layer.rpmdb import read_rpm_database, rpm_owner_of
from stxbuildah.model.inventory import Distribution
from stxbuildah.model.tree import FileTree

# Where distributions keep what is theirs; an installer is only asked to write elsewhere (FHS 3.0, 4.9).
_SYSTEM_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/share")
# What INSTALLER says when the user, and no package, brought the distribution.
_USER_INSTALLERS = frozenset({"pip", "uv", "poetry", "pdm", "stxb", "stxbuildah", "installer"})


def package_of(tree: FileTree, distribution: Distribution) -> str:
    """Give the name of the dpkg or rpm package that a Python distribution came with; empty when it came with none.

    The databases are large, so they are only read for a distribution that may be a package's: one in a folder of the
    system, or one that no Python installer says to have brought.

    Raises:
        InputError: the image's rpm database is damaged.
    """
    in_system = any(is_below(distribution.location, folder) for folder in _SYSTEM_FOLDERS)
    if distribution.installer in _USER_INSTALLERS and not in_system:
        return ""
    path = distribution.metadata_path
    return owner_of(tree, path) or rpm_owner_of(tree, path)


def package_files(tree: FileTree, path: str) -> tuple[str, tuple[str, ...]]:
    """Give the name of the dpkg or rpm package that owns a path, and the paths it lists; nothing when none owns it.

    Raises:
        InputError: the image's rpm database is damaged.
    """
    owner = owner_of(tree, path)
    if owner:
        return owner, files_of_package(tree, owner)
    for package in read_rpm_database(tree):
        if base_name(path) in package.base_names and path in package.files():
            return package.name, tuple(package.files())
    return "", ()
