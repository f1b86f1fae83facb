# SPDX-License-Identifier: Apache-2.0
"""The layer that installs wheels into an image: files to add, and whiteouts for what they replace.

It is computed from the image's inventory and the wheels alone; nothing of the image runs. Paths are resolved inside
the image as it will be once the old versions are gone, so a file of the layer never stands below a link nor takes a
linked folder's place.
"""

from collections.abc import Mapping, Sequence

import attrs
from packaging.utils import NormalizedName

from stxbuildah import log
from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.layer.assembly import AddedFile, assemble, whiteouts
from stxbuildah.layer.compatibility import incompatibility
from stxbuildah.layer.destination import InstalledFile, installed_files
from stxbuildah.layer.installed_files import emptied_directories
from stxbuildah.layer.overlaid import OverlaidTree
from stxbuildah.layer.paths import base_name, join, parent, real_parent, real_path
from stxbuildah.layer.record import record_digest
from stxbuildah.layer.removal import own_copies, package_owning, remove
from stxbuildah.model.inventory import Inventory, PythonEnvironment
from stxbuildah.model.layer import LayerContent
from stxbuildah.model.tree import Entry, FileTree, Kind
from stxbuildah.model.value import Value
from stxbuildah.model.wheel import Wheel

_MAXIMUM_PROBLEMS = 20


@attrs.frozen(kw_only=True)
class PackageChange(Value):
    """A module before and after.

    Attributes:
        name: its normalized name.
        old: the version that the image's Python found before; empty when there was none.
        new: the version it finds after.
    """

    name: NormalizedName
    old: str
    new: str


@attrs.frozen(kw_only=True)
class WheelLayer(Value):
    """The layer that installs some wheels.

    Attributes:
        content: the layer; empty when the image has just these wheels already.
        changes: what it does to each module, by name.
    """

    content: LayerContent
    changes: tuple[PackageChange, ...]


def wheel_content(
    tree: FileTree, inventory: Inventory, wheels: Sequence[Wheel], *, break_system_packages: bool = False
) -> WheelLayer:
    """Give the layer that installs wheels and removes the versions that were there before.

    Of a module that is there in the same version already, only files that differ are written.

    Args:
        tree: the image.
        inventory: what it holds.
        wheels: the wheels to install; dependencies are not looked for.
        break_system_packages: also replace modules and files that belong to a package of the operating system.

    Raises:
        InputError: the image has no Python, a wheel does not fit it or comes twice, a file of it is also in another
            wheel, belongs to a package of the operating system, or has something of another kind in its way.
        ProblemsError: several of that.
    """
    environment = inventory.environment
    if environment is None:
        raise InputError(
            "the image has no Python to install wheels into",
            hint="name its interpreter with --python if it is not on the image's PATH",
        )
    _check_wheels(wheels, environment)
    old = {wheel.name: own_copies(tree, inventory, wheel.name) for wheel in wheels}
    copies = [copy for wheel in wheels for copy in old[wheel.name]]
    removal = remove(tree, environment, copies, break_system_packages=break_system_packages)
    emptied = emptied_directories(tree, environment, removal.files)
    after = OverlaidTree(tree, whiteouts({*removal.files, *emptied}))
    placement = _Placement(tree, after, environment, break_system_packages)
    for wheel in wheels:
        placement.add(wheel, same_version=any(copy.version == str(wheel.version) for copy in old[wheel.name]))
    placement.raise_problems()
    entries = assemble(tree, environment, removal, placement.added)
    versions = {distribution.name: distribution.version for distribution in inventory.distributions}
    changes = [
        PackageChange(name=wheel.name, old=versions.get(wheel.name, ""), new=str(wheel.version)) for wheel in wheels
    ]
    return WheelLayer(content=LayerContent(entries), changes=tuple(sorted(changes, key=lambda change: change.name)))


def _check_wheels(wheels: Sequence[Wheel], environment: PythonEnvironment) -> None:
    seen: dict[NormalizedName, Wheel] = {}
    problems: list[Problem] = []
    for wheel in wheels:
        other = seen.setdefault(wheel.name, wheel)
        if other is not wheel:
            problems.append(Problem(str(wheel.path), f"is a wheel of {wheel.name}, as {other.path} is"))
        mistake = incompatibility(wheel, environment)
        if mistake:
            problems.append(Problem(str(wheel.path), mistake))
    if problems:
        raise ProblemsError(problems, hint="give one wheel of each module, built for the image's Python")


@attrs.define
class _Placement:
    """Finds for each file of the wheels its place in the image, and what speaks against it."""

    tree: FileTree
    after: FileTree
    environment: PythonEnvironment
    break_system_packages: bool
    added: dict[str, AddedFile] = attrs.field(init=False, factory=dict)
    _roots: frozenset[str] = attrs.field(init=False)
    _sources: dict[str, Wheel] = attrs.field(init=False, factory=dict)
    _folders: dict[str, tuple[str, Mapping[str, Entry]]] = attrs.field(init=False, factory=dict)
    # As a dict for its order; a wheel can have the same said of each of its files.
    _problems: dict[Problem, None] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        environment = self.environment
        self._roots = frozenset(
            {environment.purelib, environment.platlib, environment.scripts, environment.headers, environment.data}
        )

    def add(self, wheel: Wheel, *, same_version: bool) -> None:
        """Place a wheel's files.

        Args:
            wheel: the wheel.
            same_version: the image has this version of it, so that a file may be there unchanged.
        """
        for file in installed_files(wheel, self.environment):
            folder, names = self._folder(parent(file.path))
            path = join(folder, base_name(file.path))
            mistake = self._mistake(path, names, wheel) if folder else f"{parent(file.path)} is no folder in the image"
            if mistake:
                self._problems[Problem(str(wheel.path), mistake)] = None
            elif path not in self._sources:
                self._sources[path] = wheel
                unchanged = same_version and _is_unchanged(self.tree, path, file)
                self.added[path] = AddedFile(file=file, unchanged=unchanged, replaces_stranger=base_name(path) in names)

    def raise_problems(self) -> None:
        """Raise what was found to speak against the wheels, the first twenty of it."""
        if self._problems:
            raise ProblemsError(
                [*self._problems][:_MAXIMUM_PROBLEMS], hint="podman run shows what the image has at these places"
            )

    def _folder(self, path: str) -> tuple[str, Mapping[str, Entry]]:
        """Give the canonical path of a folder to be and what is in it; empty when no folder can be there.

        Folders below one that is not there are not asked for: an image answers slowly when asked thousands of times.
        """
        if path not in self._folders:
            if path in self._roots or path == "/":
                self._folders[path] = self._followed(path)
            else:
                above, names = self._folder(parent(path))
                real = join(above, base_name(path))
                if not above:
                    self._folders[path] = ("", {})
                elif base_name(path) in names:
                    self._folders[path] = self._followed(real)
                else:
                    self._folders[path] = (real, {})
        return self._folders[path]

    def _followed(self, path: str) -> tuple[str, Mapping[str, Entry]]:
        real = real_path(self.after, path)
        entry = self.after.lstat(real) if real is not None else None
        if real is None or (entry is not None and entry.kind is not Kind.DIRECTORY):
            return "", {}
        return real, self.after.scandir(real)

    def _mistake(self, path: str, names: Mapping[str, Entry], wheel: Wheel) -> str:
        """Say what speaks against a file at a path, whose folder has these names; empty when nothing does."""
        source = self._sources.get(path, wheel)
        if source is not wheel:
            return f"{path} comes with {source.path} too"
        present = names.get(base_name(path))
        if present is None:
            return ""
        interpreter = real_parent(self.after, self.environment.interpreter)
        if path in {self.environment.real_interpreter, interpreter}:
            return f"{path} would replace the image's Python itself"
        if present.kind is Kind.DIRECTORY:
            return f"{path} is a folder in the image"
        package = "" if self.break_system_packages else package_owning(self.tree, path)
        if package:
            return f"{path} belongs to the image's package {package}; --break-system-packages replaces it all the same"
        log.warning("content.file.replaced", path=path, wheel=wheel.path.name)
        return ""


def _is_unchanged(tree: FileTree, path: str, file: InstalledFile) -> bool:
    """Say whether an image has a file just as it would be written."""
    present = tree.lstat(path)
    wanted = Entry(Kind.FILE, mode=file.mode, size=file.size)
    return (
        present is not None
        and attrs.evolve(present, mtime=wanted.mtime) == wanted
        and record_digest(tree.read(path)) == file.sha256
    )
