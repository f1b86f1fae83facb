# SPDX-License-Identifier: Apache-2.0
"""The scripts in an environment that were made from a distribution's entry points or its ``scripts``."""

import re
from collections.abc import Iterator

from stxbuildah.layer.egg import zipped_metadata
from stxbuildah.layer.paths import parent, real_path
from stxbuildah.model.inventory import Distribution, MetadataFormat, PythonEnvironment
from stxbuildah.model.tree import FileTree, Kind

_MAXIMUM_SCRIPT = 64 * 1024
_LIBRARY = re.compile(r"^(?P<prefix>.*)/lib[0-9]*/python[0-9.]*/(?:site|dist)-packages(?:/|$)")
_PYTHON_SCRIPT = re.compile(rb"^#![^\n]*python")
_SCRIPT_SOURCES = frozenset({"", "bin", "scripts"})
_SAFE_NAME = re.compile(r"^[^/\0]+$")


def script_files(tree: FileTree, environment: PythonEnvironment, distribution: Distribution) -> Iterator[str]:
    """Give the paths of scripts made from a distribution's console and GUI entry points.

    A script of the right name is only taken when it speaks of the entry point's module or of the distribution: the
    folder is shared, and another package may have put its own program there.
    """
    folder = scripts_folder(tree, environment, distribution)
    names = tree.scandir(folder)
    for name, module in entry_points(tree, distribution):
        for candidate in (name, f"{name}-script.py", f"{name}-script.pyw"):
            entry = names.get(candidate)
            if entry is None or entry.kind is not Kind.FILE or entry.size > _MAXIMUM_SCRIPT:
                continue
            path = f"{folder}/{candidate}"
            if _belongs(tree.read(path), module, distribution):
                yield path
    for name in _distutils_scripts(tree, distribution):
        entry = names.get(name)
        if entry is None or entry.kind is not Kind.FILE or entry.size > _MAXIMUM_SCRIPT:
            continue
        path = f"{folder}/{name}"
        content = tree.read(path)
        # An egg-info's scripts are copies of their sources, which need not speak of the distribution.
        copied = distribution.format is MetadataFormat.EGG_INFO and _PYTHON_SCRIPT.match(content)
        if copied or _belongs(content, "", distribution):
            yield path


def scripts_folder(tree: FileTree, environment: PythonEnvironment, distribution: Distribution) -> str:
    """Give the folder of a distribution's scripts: that of the prefix it was found in, /usr/bin for Debian's own."""
    if distribution.location in {environment.purelib, environment.platlib}:
        return environment.scripts
    found = _LIBRARY.match(distribution.location)
    folder = f"{found['prefix']}/bin" if found else environment.scripts
    return real_path(tree, folder) or folder


def entry_points(tree: FileTree, distribution: Distribution) -> Iterator[tuple[str, str]]:
    """Give name and module of each console and GUI entry point."""
    content = _metadata_file(tree, distribution, "entry_points.txt")
    section = ""
    for raw in (content or b"").decode("utf-8", "replace").splitlines():
        line = raw.strip()
        if line.startswith("["):
            section = line.strip("[]").strip()
        elif section in {"console_scripts", "gui_scripts"} and not line.startswith(("#", ";")):
            name, equals, target = (part.strip() for part in line.partition("="))
            module = target.partition(":")[0].partition("[")[0].strip()
            if equals and module and _SAFE_NAME.match(name) and name not in {".", ".."}:
                yield name, module


def _distutils_scripts(tree: FileTree, distribution: Distribution) -> list[str]:
    """Give the names that ``scripts`` of a setup.py may have: an egg keeps them, others list their sources."""
    if distribution.format is MetadataFormat.EGG:
        kept = tree.scandir(f"{distribution.metadata_path}/EGG-INFO/scripts")
        zipped = zipped_metadata(tree, distribution.metadata_path)
        packed = (name.removeprefix("scripts/") for name in zipped if name.startswith("scripts/"))
        return sorted({*(name for name, entry in kept.items() if entry.kind is Kind.FILE), *packed})
    if distribution.format not in {MetadataFormat.EGG_INFO, MetadataFormat.EGG_LINK}:
        return []
    content = _metadata_file(tree, distribution, "SOURCES.txt") or b""
    sources = (line.strip().rpartition("/") for line in content.decode("utf-8", "replace").splitlines())
    names = {name for folder, _, name in sources if folder in _SCRIPT_SOURCES and name != "setup.py"}
    return sorted(name for name in names if _SAFE_NAME.match(name))


def _belongs(content: bytes, module: str, distribution: Distribution) -> bool:
    if not content.startswith(b"#!"):
        return False
    names = {distribution.display_name, distribution.name, distribution.display_name.replace("-", "_")}
    # Scripts that setuptools wrote name the distribution with its version, pip's the module they import.
    if module and re.search(rb"^\s*(?:from|import)\s+" + re.escape(module.encode()) + rb"\b", content, re.MULTILINE):
        return True
    return any(re.search(rb"['\"]" + re.escape(name.encode()) + rb"(?:['\"]|[=<>~!])", content) for name in names)


def _metadata_file(tree: FileTree, distribution: Distribution, name: str) -> bytes | None:
    folder = distribution.metadata_path
    if distribution.format is MetadataFormat.EGG:
        folder = f"{folder}/EGG-INFO"
        if not tree.scandir(folder):
            return zipped_metadata(tree, distribution.metadata_path).get(name)
    elif distribution.format is MetadataFormat.EGG_LINK:
        folder = _develop_metadata(tree, distribution)
    real = real_path(tree, f"{folder}/{name}")
    entry = tree.lstat(real) if real else None
    return tree.read(real) if real and entry and entry.kind is Kind.FILE else None


def _develop_metadata(tree: FileTree, distribution: Distribution) -> str:
    """Give the egg-info folder that a develop link leads to; the link's own folder when it leads nowhere."""
    from packaging.utils import canonicalize_name

    from stxbuildah.layer.develop import link_target

    link = distribution.metadata_path
    target = link_target(tree, link) or parent(link)
    for name in sorted(tree.scandir(target)):
        stem = name.removesuffix(".egg-info")
        if stem != name and canonicalize_name(stem.partition("-")[0]) == distribution.name:
            return f"{target}/{name}"
    return target
