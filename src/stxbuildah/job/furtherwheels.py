# SPDX-License-Identifier: Apache-2.0
"""Wheels besides those of a list: out of distribution packages, a folder, an image."""

import filecmp
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from packaging.utils import NormalizedName

from stxbuildah import log
from stxbuildah.directive.inc import parse_wheels_inc, wheels_inc_names
from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.job.remote import opened_client
from stxbuildah.job.repositories import find_lists
from stxbuildah.job.textfile import read_whole
from stxbuildah.layer.inflate import inflated
from stxbuildah.layer.tarwalk import Limits, MemberKind, walk
from stxbuildah.model.descriptor import Descriptor
from stxbuildah.model.location import ImageLocation
from stxbuildah.model.wheelbuild import ListedName
from stxbuildah.model.wheelsrun import WheelsRequest
from stxbuildah.transport.interface import ImageSource
from stxbuildah.transport.layerform import unpacked_limit
from stxbuildah.transport.places import opened_source
from stxbuildah.transport.platforms import chosen_image, indexed_images, is_index, this_platform
from stxbuildah.wheels.metadata import examine
from stxbuildah.wheels.packages import extract_wheels

# A package's file: name, version, and what comes behind, as dpkg and rpm call it.
_DEB = re.compile(r"(?P<name>[^_]+)_[^_]+_[^_]+\.deb")
_RPM = re.compile(r"(?P<name>.+)-[^-]+-[^-]+\.[^.]+\.rpm")
_LARGEST_WHEEL = 1 << 30
_WHITEOUT = ".wh."


def collect_packaged(request: WheelsRequest, folder: Path) -> tuple[Path, ...]:
    """Take the wheels out of all packages that the repositories' lists name.

    Args:
        request: which repositories, and where packages are.
        folder: where the wheels go.

    Returns:
        The wheels, sorted; empty when no repositories are named.

    Raises:
        ProblemsError: a list is wrong, or a package is missing, is there in two forms or holds no wheel; all of them
            are told.
        InputError: a package is damaged, or a folder is missing.
    """
    names = wheels_inc_names(request.os_name, request.codename, request.stream)
    problems: list[Problem] = []
    listed: dict[str, ListedName] = {}
    for inc in find_lists(request.further.roots, names):
        try:
            for entry in parse_wheels_inc(read_whole(inc, "list of packages with wheels"), str(inc)):
                listed.setdefault(entry.name, entry)
        except ProblemsError as error:
            problems += error.problems
    packages = _packages(request.further.packages, listed)
    wheels: set[Path] = set()
    for name, entry in sorted(listed.items()):
        files = packages.get(name, [])
        if not files:
            searched = ", ".join(map(str, request.further.packages)) or "no folder of packages"
            problems.append(_problem(entry, f"no package {name} is below {searched}"))
        elif any(not filecmp.cmp(files[0], other, shallow=False) for other in files[1:]):
            problems.append(_problem(entry, f"{name} is there in several forms: {', '.join(map(str, files))}"))
        else:
            found = extract_wheels(files[0], folder)
            wheels.update(found)
            if not found:
                problems.append(_problem(entry, f"{files[0]} holds no wheel"))
    if problems:
        raise ProblemsError(problems, hint="build the packages first, or name their folder by --packages")
    log.info("wheels.packages.read", packages=len(listed), wheels=len(wheels))
    return tuple(sorted(wheels))


def _problem(entry: ListedName, sentence: str) -> Problem:
    return Problem(entry.source, sentence, entry.line, entry.column)


def _packages(folders: tuple[Path, ...], wanted: Collection[str]) -> dict[str, list[Path]]:
    """Find the files of packages, by the packages' names, sorted by path."""
    found: dict[str, list[Path]] = {}
    if not wanted:
        return found
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"the folder of packages {folder} is not there")
        for path in sorted(folder.rglob("*")):
            named = (_DEB if path.suffix == ".deb" else _RPM).fullmatch(path.name)
            if named and named["name"] in wanted and path.is_file():
                found.setdefault(named["name"], []).append(path)
    return found


def copy_extra(source: Path, folder: Path) -> tuple[Path, ...]:
    """Copy the wheels of a folder of the user's.

    Raises:
        InputError: there is no such folder.
    """
    if not source.is_dir():
        raise InputError(f"the folder of extra wheels {source} is not there")
    return tuple(Path(shutil.copyfile(path, folder / path.name)) for path in sorted(source.glob("*.whl")))


def collect_of_image(request: WheelsRequest, folder: Path, known: Collection[NormalizedName]) -> tuple[Path, ...]:
    """Take the wheels out of an image; nothing else of it is unpacked, and nothing of it runs.

    Args:
        request: names the image, and says how registries are reached.
        folder: where the wheels go.
        known: modules that a list has, whose wheels are passed over.

    Returns:
        The wheels, sorted.

    Raises:
        InputError: there is no such image, or it is damaged.
        StxbError: it cannot be read.
    """
    location = ImageLocation.parse(request.further.image)
    found: dict[str, Path] = {}
    with (
        opened_client(request.access, request.retry, request.host.proxies) as client,
        opened_source(location, client) as source,
    ):
        for layer in _layers(source):
            with source.blob(layer) as chunks:
                _take_from_layer(inflated(chunks, limit=unpacked_limit(layer.size)), folder, found)
    for path, wheel in list(found.items()):
        if examine(wheel).name in known:
            wheel.unlink()
            del found[path]
    log.info("wheels.image.read", image=request.further.image, wheels=len(found))
    return tuple(sorted(found.values()))


def _layers(source: ImageSource) -> Iterator[Descriptor]:
    import json

    document = source.document()
    if is_index(document):
        document = source.manifest(chosen_image(indexed_images(document), this_platform(), source.name))
    try:
        layers = json.loads(document.data)["layers"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"the manifest of {source.name} is not one of an image with layers") from error
    for number, layer in enumerate(layers, 1):
        yield Descriptor.from_json(layer, f"layer {number} of {source.name}")


def _take_from_layer(tar: Iterator[bytes], folder: Path, found: dict[str, Path]) -> None:
    """Write a layer's wheels; those of lower layers that it replaces or deletes go."""
    limits = Limits(content=_LARGEST_WHEEL)
    for member in walk(tar, limits=limits, wanted=lambda path, size: size if path.endswith(".whl") else 0):
        parent, _, name = member.path.rpartition("/")
        if name.startswith(_WHITEOUT):
            gone = f"{parent}/{name.removeprefix(_WHITEOUT)}".lstrip("/")
            for path in [path for path in found if path == gone or path.startswith(f"{gone}/")]:
                found.pop(path).unlink(missing_ok=True)
        elif member.kind is MemberKind.REGULAR and name.endswith(".whl"):
            # Its own name has no slash, and a file of it lies nowhere but here.
            target = folder / name
            target.write_bytes(member.content)
            found[member.path] = target
