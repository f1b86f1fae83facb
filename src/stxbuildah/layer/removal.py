# SPDX-License-Identifier: Apache-2.0
"""What has to go before a module's new version comes."""

import re
from collections.abc import Iterable

import attrs
from packaging.utils import NormalizedName, canonicalize_name

from stxbuildah.errors import InputError
from stxbuildah.layer.distributions import all_distributions
from stxbuildah.layer.dpkg import owner_of
from stxbuildah.layer.installed_files import FileEdit, edits_of, files_of
from stxbuildah.layer.ownership import package_of
from stxbuildah.layer.paths import is_below
from stxbuildah.layer.rpmdb import rpm_owner_of
from stxbuildah.model.inventory import Distribution, Inventory, PythonEnvironment, SchemeKind
from stxbuildah.model.tree import FileTree
from stxbuildah.model.value import Value

_METADATA = re.compile(r"^(?P<name>[^-]+?)(?:-.*)?\.(?:dist-info|egg-info|egg-link|egg)$", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class Removal(Value):
    """What goes with the old versions of some modules.

    Attributes:
        files: canonical paths of files and links.
        edits: changes to shared files.
    """

    files: frozenset[str] = frozenset()
    edits: tuple[FileEdit, ...] = ()


def remove(
    tree: FileTree,
    environment: PythonEnvironment,
    distributions: Iterable[Distribution],
    *,
    break_system_packages: bool = False,
) -> Removal:
    """Give what removing some installed distributions takes away.

    Args:
        tree: the image.
        environment: the Python environment they are in.
        distributions: what is to go.
        break_system_packages: also remove what belongs to a package of the operating system.

    Raises:
        InputError: one belongs to a package of the operating system, or its files cannot be told.
    """
    files: set[str] = set()
    edits: list[FileEdit] = []
    for distribution in distributions:
        package = "" if break_system_packages else package_of(tree, distribution)
        if package:
            raise InputError(
                f"{distribution.display_name} {distribution.version} belongs to the image's package {package}",
                hint="update that package instead, or replace its files all the same with --break-system-packages",
            )
        files.update(files_of(tree, environment, distribution))
        edits += edits_of(tree, environment, distribution)
    return Removal(files=frozenset(files), edits=tuple(edits))


def own_copies(tree: FileTree, inventory: Inventory, name: NormalizedName) -> tuple[Distribution, ...]:
    """Give every copy of a module that an environment has of its own, those that another one hides too.

    What a virtual environment inherits from the system's Python is not its own: a new version in the virtual
    environment hides it, and other programs may need it.
    """
    environment = inventory.environment
    if environment is None:
        return ()
    visible = [distribution for distribution in inventory.distributions if distribution.name == name]
    candidates: Iterable[Distribution] = visible
    if _is_hidden_anywhere(tree, environment, visible, name):
        candidates = (found for found in all_distributions(tree, environment) if found.name == name)
    return tuple(found for found in candidates if _is_own(environment, found))


def package_owning(tree: FileTree, path: str) -> str:
    """Give the Debian or RPM package that owns a path; empty when none does."""
    return owner_of(tree, path) or rpm_owner_of(tree, path)


def _is_own(environment: PythonEnvironment, distribution: Distribution) -> bool:
    return environment.kind is not SchemeKind.VENV or is_below(distribution.location, environment.prefix)


def _is_hidden_anywhere(
    tree: FileTree, environment: PythonEnvironment, visible: list[Distribution], name: NormalizedName
) -> bool:
    """Say whether some folder has metadata by this name that the inventory does not show.

    Names are enough to see that there is nothing, which is the rule; reading all metadata again takes long.
    """
    shown = {distribution.metadata_path for distribution in visible}
    for folder in environment.search_path:
        for entry in tree.scandir(folder):
            match = _METADATA.match(entry)
            if match and canonicalize_name(match["name"]) == name and f"{folder}/{entry}" not in shown:
                return True
    return False
