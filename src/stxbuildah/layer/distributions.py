# SPDX-License-Identifier: Apache-2.0
"""The Python distributions installed in an environment, as ``importlib.metadata`` finds them there."""

import json
import re
from collections.abc import Iterator, Mapping

import attrs
from packaging.utils import NormalizedName, canonicalize_name

from stxbuildah.layer.develop import link_target
from stxbuildah.layer.egg import zipped_metadata
from stxbuildah.layer.metadata import egg_requirements, read_headers
from stxbuildah.layer.paths import base_name, real_path
from stxbuildah.layer.sitepath import added_folders, path_files
from stxbuildah.model.inventory import Distribution, MetadataFormat, PythonEnvironment
from stxbuildah.model.tree import Entry, FileTree, Kind

# As packaging's core metadata. What does not match was left behind by an interrupted pip (~ip-23.0.dist-info).
_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$")
_HEADERS = frozenset({"name", "version", "requires-dist", "requires-python"})
_MAXIMUM_METADATA = 4 * 1024 * 1024


def find_distributions(tree: FileTree, environment: PythonEnvironment) -> tuple[Distribution, ...]:
    """Give the distributions that a Python environment shows, each name once: the first on the search path wins.

    Returns:
        Sorted by normalized name.
    """
    seen: dict[NormalizedName, Distribution] = {}
    for distribution in all_distributions(tree, environment):
        seen.setdefault(distribution.name, distribution)
    return tuple(seen[name] for name in sorted(seen))


def all_distributions(tree: FileTree, environment: PythonEnvironment) -> Iterator[Distribution]:
    """Give every distribution on the search path in its order, those that an earlier one hides too.

    Within one folder: ``.dist-info`` before ``.egg-info`` before ``.egg-link``, by name.
    """
    develop = _develop_links(tree, environment)
    for folder in environment.search_path:
        if folder.lower().endswith(".egg"):
            egg = _from_egg(tree, folder)
            if egg:
                yield egg
            continue
        for name, entry in sorted(tree.scandir(folder).items(), key=_rank):
            found = _from_entry(tree, folder, name, entry)
            if found is None:
                continue
            link = develop.get(folder)
            if link and found.format in {MetadataFormat.EGG_INFO, MetadataFormat.EGG_INFO_FILE}:
                yield _as_develop(found, folder, link)
            else:
                yield found


def _rank(item: tuple[str, Entry]) -> tuple[int, str]:
    name = item[0].lower()
    return next(
        (rank for rank, end in enumerate((".dist-info", ".egg-info", ".egg-link")) if name.endswith(end)), 3
    ), name


def _from_entry(tree: FileTree, folder: str, name: str, entry: Entry) -> Distribution | None:
    _, _, suffix = name.lower().rpartition(".")
    if suffix not in {"dist-info", "egg-info", "egg-link"}:
        return None
    path = real = f"{folder}/{name}"
    if entry.kind is Kind.SYMLINK:
        real = real_path(tree, path) or ""
        entry = (tree.lstat(real) if real else None) or entry
    if entry.kind is Kind.DIRECTORY and suffix != "egg-link":
        kind = MetadataFormat.DIST_INFO if suffix == "dist-info" else MetadataFormat.EGG_INFO
        return _read_folder(tree, folder, path, real, kind)
    if entry.kind is not Kind.FILE or entry.size > _MAXIMUM_METADATA or suffix == "dist-info":
        return None
    if suffix == "egg-link":
        return _from_egg_link(tree, path)
    return _make(folder, path, MetadataFormat.EGG_INFO_FILE, tree.read(real))


def _read_folder(tree: FileTree, location: str, path: str, real: str, kind: MetadataFormat) -> Distribution | None:
    names = tree.scandir(real)
    metadata = _text(tree, real, names, "METADATA" if kind is MetadataFormat.DIST_INFO else "PKG-INFO")
    if metadata is None:
        return None
    requires = None
    if kind is not MetadataFormat.DIST_INFO and (listed := _text(tree, real, names, "requires.txt")) is not None:
        requires = tuple(egg_requirements(listed))
    return _make(
        location,
        path,
        kind,
        metadata,
        requires=requires,
        installer=(_text(tree, real, names, "INSTALLER") or b"").decode("utf-8", "replace").strip(),
        direct_url=(_text(tree, real, names, "direct_url.json") or b"").decode("utf-8", "replace").strip(),
    )


def _text(tree: FileTree, folder: str, names: Mapping[str, Entry], name: str) -> bytes | None:
    """Give the content of a metadata file; None when it is missing, too big or no file."""
    entry, path = names.get(name), f"{folder}/{name}"
    if entry is not None and entry.kind is Kind.SYMLINK:
        path = real_path(tree, path) or ""
        entry = tree.lstat(path) if path else None
    if entry is None or entry.kind is not Kind.FILE or entry.size > _MAXIMUM_METADATA:
        return None
    return tree.read(path)


def _make(
    location: str,
    path: str,
    kind: MetadataFormat,
    metadata: bytes,
    *,
    requires: tuple[str, ...] | None = None,
    installer: str = "",
    direct_url: str = "",
) -> Distribution | None:
    headers = read_headers(metadata, _HEADERS)
    # Behind the first "-" of the name that the folder has; what distutils wrote has further parts, as "-py2.7".
    parts = base_name(path).rpartition(".")[0].split("-")
    name = headers.get("name", parts[:1])[0]
    if not _NAME.match(name) or not _NAME.match(parts[0]):
        return None
    fallback = parts[1] if len(parts) > 1 else ""
    return Distribution(
        name=canonicalize_name(name),
        display_name=name,
        version=headers.get("version", [fallback])[0],
        location=location,
        metadata_path=path,
        format=kind,
        requires=requires if requires is not None else tuple(headers.get("requires-dist", ())),
        requires_python=headers.get("requires-python", [""])[0],
        installer=installer,
        direct_url=direct_url,
    )


def _from_egg(tree: FileTree, path: str) -> Distribution | None:
    """Give the distribution of an egg that is on the search path, be it a folder or an archive."""
    entry = tree.lstat(path)
    folder = path.rpartition("/")[0] or "/"
    if entry is not None and entry.kind is Kind.DIRECTORY:
        return _read_folder(tree, folder, path, f"{path}/EGG-INFO", MetadataFormat.EGG)
    files = zipped_metadata(tree, path)
    if "PKG-INFO" not in files:
        return None
    requires = tuple(egg_requirements(files["requires.txt"])) if "requires.txt" in files else None
    return _make(folder, path, MetadataFormat.EGG, files["PKG-INFO"], requires=requires)


def _from_egg_link(tree: FileTree, path: str) -> Distribution | None:
    """Give the distribution an ``.egg-link`` leads to, which ``setup.py develop`` wrote."""
    target = link_target(tree, path)
    if target is None:
        return None
    for name in sorted(tree.scandir(target)):
        if name.lower().endswith(".egg-info"):
            found = _read_folder(tree, target, f"{target}/{name}", f"{target}/{name}", MetadataFormat.EGG_INFO)
            if found and found.name == canonicalize_name(base_name(path).rpartition(".")[0]):
                return _as_develop(found, target, path)
    return None


def _as_develop(found: Distribution, source: str, link: str) -> Distribution:
    """Give a distribution found in its source folder as one that a develop link installed; PEP 610 words for it."""
    from urllib.parse import quote

    origin = {"dir_info": {"editable": True}, "url": f"file://{quote(source)}"}
    return attrs.evolve(
        found,
        format=MetadataFormat.EGG_LINK,
        metadata_path=link,
        location=link.rpartition("/")[0] or "/",
        direct_url=json.dumps(origin),
    )


def _develop_links(tree: FileTree, environment: PythonEnvironment) -> dict[str, str]:
    """Give the ``.egg-link`` files by the source folder they lead to, of those that ``.pth`` files put on the path."""
    links: dict[str, str] = {}
    for folder in environment.search_path:
        found = [name for name in tree.scandir(folder) if name.endswith(".egg-link")]
        if not found:
            continue
        added = {real for file in path_files(tree, folder) for real in added_folders(tree, folder, file)}
        for name in sorted(found):
            target = link_target(tree, f"{folder}/{name}")
            if target is not None and target in added:
                links.setdefault(target, f"{folder}/{name}")
    return links
