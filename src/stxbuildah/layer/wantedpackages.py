# SPDX-License-Identifier: Apache-2.0
"""Whether packages that were asked for are installed in an image, asked for as package managers understand it."""

import re
from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase

from packaging.utils import canonicalize_name

from stxbuildah.layer.debdepends import read_dependencies
from stxbuildah.layer.dpkg import dpkg_packages
from stxbuildah.layer.paths import entry_at
from stxbuildah.layer.rpmdb import read_rpm_database
from stxbuildah.model.inventory import Distribution
from stxbuildah.model.tree import FileTree

# As apt-get(8): name, name:architecture, name=version, name/release.
_DEB = re.compile(r"(?P<name>[^:=/]+)(?::(?P<architecture>[^:=/]+))?(?:=(?P<version>.+)|/.+)?")
_EGG = re.compile(r"[#&]egg=(?P<name>[A-Za-z0-9._-]+)")


def lacking_os_packages(tree: FileTree, wanted: Iterable[str]) -> tuple[str, ...]:
    """Give the packages that an image lacks, a sentence each.

    Args:
        tree: the image.
        wanted: as apt-get or dnf takes them; names of virtual packages too.

    Raises:
        InputError: the image's rpm database is damaged.
    """
    words = tuple(dict.fromkeys(wanted))
    if not words:
        return ()
    lacking = _debs(tree) or _rpms(tree)
    if lacking is None:
        return tuple(f"{word} is not installed: the image has no database of packages" for word in words)
    return tuple(reason for word in words if (reason := lacking(word)))


def lacking_python_packages(installed: Collection[Distribution], wanted: Iterable[str]) -> tuple[str, ...]:
    """Give the Python packages that are not installed, or not in a version that was asked for, a sentence each.

    Args:
        installed: what is installed.
        wanted: requirements, as pip takes them. Of an address that does not say which package it is of, nothing can be
            told.
    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.version import InvalidVersion

    known = {one.name: one for one in installed}
    lacking = []
    for word in dict.fromkeys(wanted):
        try:
            requirement: Requirement | None = Requirement(word)
        except InvalidRequirement:
            egg = _EGG.search(word)
            requirement = Requirement(egg["name"]) if egg else None
        if requirement is None:
            continue
        found = known.get(canonicalize_name(requirement.name))
        if found is None:
            lacking.append(f"{word} is not installed")
            continue
        try:
            fits = requirement.specifier.contains(found.version, prereleases=True)
        except InvalidVersion:
            fits = f"=={found.version}" in word
        if not fits:
            lacking.append(f"{word} was asked for, and {found.display_name} {found.version} is installed")
    return tuple(lacking)


def _debs(tree: FileTree) -> Callable[[str], str] | None:
    packages = dpkg_packages(tree)
    if not packages:
        return None
    providers = read_dependencies(tree).providers

    def lacking(word: str) -> str:
        match = _DEB.fullmatch(word)
        if match is None:
            return f"{word} is no name of a package"
        name, architecture, version = match["name"], match["architecture"], match["version"]
        of_name = [one for one in packages if one[0] == name]
        # apt-get takes a sign behind a name that is none with it: what was to be there, or to be gone.
        if not of_name and name not in providers and name.endswith(("+", "-")):
            there = any(one[0] == name[:-1] for one in packages)
            return "" if there == name.endswith("+") else f"{word}: {name[:-1]} is {'' if there else 'not '}installed"
        found = [one for one in of_name if architecture in {None, "any", "native", one[2]} or one[2] == "all"]
        if not found:
            return "" if not of_name and name in providers else f"{word} is not installed"
        if version is None or any(fnmatchcase(one[1], version) for one in found):
            return ""
        return f"{word} was asked for, and {found[0][0]} {found[0][1]} is installed"

    return lacking


def _rpms(tree: FileTree) -> Callable[[str], str] | None:
    packages = read_rpm_database(tree)
    if not packages:
        return None
    # As dnf(8), "Specifying Packages"; a version may stand without the release, and any of it may be a pattern.
    known = {
        spelling
        for one in packages
        for plain in (one.name, f"{one.name}-{one.version}", f"{one.name}-{one.version}-{one.release}")
        for spelling in (plain, f"{plain}.{one.architecture}")
    }
    known.update(name for one in packages for name in one.provides)

    def lacking(word: str) -> str:
        if word.startswith("@"):
            return ""  # a group: which packages are in it, only its repository knows
        if word in known or (word.startswith("/") and entry_at(tree, word) is not None):
            return ""
        if any(sign in word for sign in "*?[") and any(fnmatchcase(one, word) for one in known):
            return ""
        return f"{word} is not installed"

    return lacking
