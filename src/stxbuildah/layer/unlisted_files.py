# SPDX-License-Identifier: Apache-2.0
"""The files of a distribution that has no list of them.

Distribution packages take RECORD away, and ``setup.py install --root`` never wrote a list. The package's own list of
files is asked first, then the distribution's top-level modules; never a folder that another distribution shares.
"""

from collections.abc import Iterator

from stxbuildah.errors import InputError
from stxbuildah.layer.distributions import all_distributions
from stxbuildah.layer.ownership import package_files
from stxbuildah.layer.paths import base_name, is_below, join, normalize, real_path
from stxbuildah.model.inventory import Distribution, MetadataFormat, PythonEnvironment
from stxbuildah.model.tree import FileTree, Kind

_METADATA_ENDS = (".dist-info", ".egg-info", ".egg-link", ".egg")
_MODULE_ENDS = (".py", ".so", ".pyc", ".pyo")
_SOURCE_ROOTS = ("", "src/", "lib/")


def unlisted_files(tree: FileTree, environment: PythonEnvironment, distribution: Distribution) -> Iterator[str]:
    """Give the paths of a distribution without RECORD or installed-files.txt.

    Raises:
        InputError: the files cannot be told from those of other distributions.
    """
    owner, listed = package_files(tree, distribution.metadata_path)
    if owner:
        yield from _of_package(tree, distribution, owner, listed)
        return
    names = _top_level(tree, distribution)
    if not names:
        raise _undecidable(distribution, "it has neither RECORD, installed-files.txt nor top_level.txt")
    shared = names & _names_of_others(tree, environment, distribution)
    namespaces = set(_lines(tree, distribution, "namespace_packages.txt"))
    shared |= {name for name in names if name in namespaces}
    sources = _lines(tree, distribution, "SOURCES.txt")
    if shared and not sources:
        modules = ", ".join(sorted(shared))
        raise _undecidable(distribution, f"others have modules in {modules} too, and it has no SOURCES.txt")
    for name in sorted(names - shared):
        yield from _module(tree, distribution.location, name)
    for name in sorted(shared):
        yield from _from_sources(tree, distribution.location, name, sources)


def _undecidable(distribution: Distribution, reason: str) -> InputError:
    return InputError(
        f"{distribution.display_name} {distribution.version} in {distribution.location} cannot be replaced: "
        f"which files are its own cannot be told, since {reason}",
        hint="remove it from the image with a customization script first, or base the update on an image without it",
    )


def _of_package(tree: FileTree, distribution: Distribution, owner: str, listed: tuple[str, ...]) -> Iterator[str]:
    """Give the files of the owning package that are in the distribution's folder and are not another's metadata."""
    inside = []
    others = False
    for written in listed:
        path = real_path(tree, normalize(written))
        if path is None or not is_below(path, distribution.location):
            continue
        top = path.removeprefix(distribution.location).lstrip("/").partition("/")[0]
        if top.endswith(_METADATA_ENDS) and top != base_name(distribution.metadata_path):
            others = True
            continue
        inside.append((top, path))
    names = _top_level(tree, distribution) if others else set()
    if others and not names:
        raise _undecidable(distribution, f"the package {owner} holds several Python distributions")
    for top, path in inside:
        if not others or top.partition(".")[0] in names:
            yield path


def _names_of_others(tree: FileTree, environment: PythonEnvironment, distribution: Distribution) -> set[str]:
    found: set[str] = set()
    for other in all_distributions(tree, environment):
        if other.location == distribution.location and other.metadata_path != distribution.metadata_path:
            found |= _top_level(tree, other) or _top_of_record(tree, other)
    return found


def _top_level(tree: FileTree, distribution: Distribution) -> set[str]:
    lines = _lines(tree, distribution, "top_level.txt")
    return {line for line in lines if "/" not in line and line not in {".", ".."}}


def _top_of_record(tree: FileTree, distribution: Distribution) -> set[str]:
    lines = (line.strip('"') for line in _lines(tree, distribution, "RECORD"))
    return {line.partition(",")[0].partition("/")[0].partition(".")[0] for line in lines} - {""}


def _lines(tree: FileTree, distribution: Distribution, name: str) -> list[str]:
    if distribution.format is MetadataFormat.EGG_INFO_FILE:
        return []
    real = real_path(tree, f"{distribution.metadata_path}/{name}")
    entry = tree.lstat(real) if real else None
    if real is None or entry is None or entry.kind is not Kind.FILE:
        return []
    lines = tree.read(real).decode("utf-8", "surrogateescape").splitlines()
    return [line.strip() for line in lines if line.strip() and "\0" not in line]


def _module(tree: FileTree, location: str, name: str) -> Iterator[str]:
    """Give the files of a top-level module: its folder's, or its own in one of its forms (.py, .cpython-*.so)."""
    for found, entry in sorted(tree.scandir(location).items()):
        if found == name and entry.kind is Kind.DIRECTORY:
            yield from _below(tree, f"{location}/{found}")
        elif found.partition(".")[0] == name and found.endswith(_MODULE_ENDS) and entry.kind is not Kind.DIRECTORY:
            yield f"{location}/{found}"


def _below(tree: FileTree, folder: str) -> Iterator[str]:
    for name, entry in sorted(tree.scandir(folder).items()):
        if entry.kind is Kind.DIRECTORY:
            yield from _below(tree, f"{folder}/{name}")
        else:
            yield f"{folder}/{name}"


def _from_sources(tree: FileTree, location: str, name: str, sources: list[str]) -> Iterator[str]:
    """Give what SOURCES.txt, relative to the source folder, names of a top-level module and is installed."""
    for source in sources:
        for root in _SOURCE_ROOTS:
            inside = source.removeprefix(root)
            if (root and inside == source) or not inside.startswith((f"{name}/", f"{name}.")):
                continue
            path = normalize(join(location, inside))
            entry = tree.lstat(path)
            if is_below(path, location) and entry is not None and entry.kind is Kind.FILE:
                yield path
