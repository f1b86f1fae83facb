# SPDX-License-Identifier: Apache-2.0
"""Taking Python packages out of an image, as ``pip uninstall`` would, without pip and without running anything."""

import re
from collections.abc import Collection, Sequence

import attrs
from packaging.utils import NormalizedName, canonicalize_name

from stxbuildah.errors import InputError
from stxbuildah.layer.assembly import assemble
from stxbuildah.layer.distributions import find_distributions
from stxbuildah.layer.environment import DEFAULT_PATH, find_environment
from stxbuildah.layer.merge import merged
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.ownership import package_of
from stxbuildah.layer.paths import base_name
from stxbuildah.layer.removal import own_copies, remove
from stxbuildah.layer.requirements import requiring
from stxbuildah.model.inventory import Distribution, Inventory, OsRelease, PythonEnvironment
from stxbuildah.model.layer import LayerContent
from stxbuildah.model.tree import FileTree
from stxbuildah.model.value import Value

_METADATA = re.compile(r"(?P<name>[^-]+?)(?:-.*)?\.(?:dist-info|egg-info|egg-link|egg)", re.IGNORECASE)
_NOTHING = LayerContent(())


@attrs.frozen(kw_only=True)
class Uninstalled(Value):
    """The layer that takes Python packages away.

    Attributes:
        content: the layer; empty when nothing goes.
        removed: what goes, as ``pip 24.0 in /var/lib/openstack/lib/python3.13/site-packages``.
        kept: why something that is there stays, a sentence each.
    """

    content: LayerContent = _NOTHING
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def find_environments(tree: FileTree, path_variable: str) -> tuple[PythonEnvironment, ...]:
    """Give the Python environments that an image's users meet, each once.

    They are those of the first ``python3`` and the first ``python`` on the image's PATH, and that of the system, which
    is behind a virtual environment.

    Args:
        tree: the image.
        path_variable: PATH of the image's configuration.
    """
    found: dict[str, PythonEnvironment] = {}
    for path, name in ((path_variable, "python3"), (path_variable, "python"), (DEFAULT_PATH, "python3")):
        try:
            environment = find_environment(tree, path, name)
        except InputError:
            # It is not there, or is no Python whose packages could be told.
            continue
        if environment is not None:
            found.setdefault(environment.prefix, environment)
    return tuple(found.values())


def uninstall(tree: FileTree, environments: Sequence[PythonEnvironment], names: Collection[str]) -> Uninstalled:
    """Give the layer that takes Python packages out of some environments of an image.

    A package stays when another one that stays requires it, in whatever environment, and a copy of it when a package
    of the operating system owns it. What a virtual environment sees of the system's packages is not its own.

    Args:
        tree: the image.
        environments: where to look.
        names: what is to go, in any spelling; what is not installed is passed over.

    Raises:
        InputError: the files of something that is to go cannot be told, or the image's rpm database is damaged.
    """
    wanted = {canonicalize_name(name) for name in names}
    if not any(_has_any(tree, environment, wanted) for environment in environments):
        return Uninstalled()
    inventories = [
        Inventory(os_release=OsRelease(), environment=one, distributions=find_distributions(tree, one))
        for one in environments
    ]
    found = [
        _Copy(environment=environment, distribution=copy, package=package_of(tree, copy))
        for inventory, environment in zip(inventories, environments, strict=True)
        for name in sorted(wanted)
        for copy in own_copies(tree, inventory, name)
    ]
    owned = [copy for copy in found if copy.package]
    free = [copy for copy in found if not copy.package]
    required = _required(inventories, *({copy.distribution.name for copy in copies} for copies in (free, owned)))
    going = [copy for copy in free if copy.distribution.name not in required]
    content = _NOTHING
    for environment in environments:
        leaving = [copy.distribution for copy in going if copy.environment is environment]
        if leaving:
            after = OverlaidTree(tree, content)
            layer = LayerContent(assemble(after, environment, remove(after, environment, leaving), {}))
            content = merged(content, layer, tree)
    kept = [f"{copy} stays: it belongs to the package {copy.package}" for copy in owned]
    kept += [required[name] for name in sorted(required)]
    return Uninstalled(content=content, removed=tuple(map(str, going)), kept=tuple(kept))


@attrs.frozen(kw_only=True)
class _Copy(Value):
    """An installed package that is to go.

    Attributes:
        environment: the environment whose own it is.
        distribution: the package.
        package: the operating system's package that owns it; empty when none does.
    """

    environment: PythonEnvironment
    distribution: Distribution
    package: str

    def __str__(self) -> str:
        return f"{self.distribution.display_name} {self.distribution.version} in {self.distribution.location}"


def _has_any(tree: FileTree, environment: PythonEnvironment, names: Collection[NormalizedName]) -> bool:
    """Tell whether an environment may have one of some packages, from the names in its folders alone."""
    for folder in environment.search_path:
        for entry in (base_name(folder), *tree.scandir(folder)):
            match = _METADATA.fullmatch(entry)
            if match and canonicalize_name(match["name"]) in names:
                return True
    return False


def _required(
    inventories: Sequence[Inventory], names: Collection[NormalizedName], owned: Collection[NormalizedName]
) -> dict[NormalizedName, str]:
    """Give which of some packages have to stay, and why: others that stay require them.

    Args:
        inventories: of all environments.
        names: packages that could go.
        owned: packages of which a copy stays in any case.
    """
    reasons: dict[NormalizedName, str] = {}
    while True:
        leaving = {name for name in names if name not in reasons and name not in owned}
        new = {
            name: f"{name} stays: {others[0].display_name} {others[0].version} requires it"
            for name in names
            if name not in reasons and (others := _requiring(inventories, name, leaving))
        }
        if not new:
            return reasons
        reasons |= new


def _requiring(
    inventories: Sequence[Inventory], name: NormalizedName, leaving: Collection[NormalizedName]
) -> list[Distribution]:
    return [
        other
        for inventory in inventories
        if inventory.environment is not None
        for other in requiring(inventory.distributions, inventory.environment, name)
        if other.name not in leaving
    ]
