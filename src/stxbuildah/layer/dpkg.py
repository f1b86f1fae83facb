# SPDX-License-Identifier: Apache-2.0
"""What dpkg's database in an image says: installed packages and the paths they own; distroless images too."""

import re
from collections.abc import Iterator

from stxbuildah.layer.paths import base_name, is_below, resolve
from stxbuildah.model.tree import FileTree, Kind

_DATABASE = "/var/lib/dpkg"
_STATUS = f"{_DATABASE}/status"
_LISTS = f"{_DATABASE}/info"
# Distroless images have a file for each package here in place of one status file.
_STATUS_FOLDER = f"{_DATABASE}/status.d"
_FIELD = re.compile(rb"^(Package|Status|Version|Architecture):[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
_PREFIXES = ("python3", "python2", "python", "lib")


def dpkg_packages(tree: FileTree) -> tuple[tuple[str, str, str], ...]:
    """Give name, version and architecture of each installed package, sorted; empty when dpkg knows of none."""
    found: set[tuple[str, str, str]] = set()
    for content in _status_files(tree):
        for stanza in content.split(b"\n\n"):
            fields = {name: value.decode("utf-8", "replace") for name, value in _FIELD.findall(stanza)}
            # "install ok installed": what was asked for, whether it is sound, what it is. Distroless has no such field.
            state = fields.get(b"Status", "install ok installed").split()
            if b"Package" in fields and state[-1:] == ["installed"]:
                found.add((fields[b"Package"], fields.get(b"Version", ""), fields.get(b"Architecture", "")))
    return tuple(sorted(found))


def _status_files(tree: FileTree) -> Iterator[bytes]:
    entry = tree.lstat(_STATUS)
    if entry is not None and entry.kind is Kind.FILE:
        yield tree.read(_STATUS)
    for name, entry in sorted(tree.scandir(_STATUS_FOLDER).items()):
        if entry.kind is Kind.FILE and not name.endswith(".md5sums"):
            yield tree.read(f"{_STATUS_FOLDER}/{name}")


def owner_of(tree: FileTree, path: str) -> str:
    """Give the name of the package that owns a path; empty when dpkg knows of none.

    Args:
        tree: the image.
        path: canonical path; where /lib is a link to /usr/lib, packages that list the path under /lib own it too.
    """
    wanted = {spelling.encode("utf-8", "surrogateescape") for spelling in _spellings(tree, path)}
    for package, list_path in _by_likeness(_lists(tree), path):
        if not wanted.isdisjoint(_listed(tree, list_path)):
            return package
    return ""


def files_of_package(tree: FileTree, package: str) -> tuple[str, ...]:
    """Give the paths, folders too, that an installed package lists, as written; empty when it is not there."""
    for name, list_path in _lists(tree):
        if name == package:
            return tuple(line.decode("utf-8", "surrogateescape") for line in _listed(tree, list_path))
    return ()


def _lists(tree: FileTree) -> Iterator[tuple[str, str]]:
    """Give each package that has a list of its files, and the path of that list."""
    for folder, suffix in ((_LISTS, ".list"), (_STATUS_FOLDER, ".md5sums")):
        for name, entry in sorted(tree.scandir(folder).items()):
            if name.endswith(suffix) and entry.kind is Kind.FILE:
                # Of packages for several architectures the file is named package:architecture.list.
                yield name.removesuffix(suffix).partition(":")[0], f"{folder}/{name}"


def _listed(tree: FileTree, list_path: str) -> list[bytes]:
    lines = tree.read(list_path).split(b"\n")
    if list_path.endswith(".md5sums"):
        return [b"/" + line.partition(b"  ")[2].lstrip(b"/") for line in lines if b"  " in line]
    return [line for line in lines if line]


def _spellings(tree: FileTree, path: str) -> Iterator[str]:
    yield path
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if is_below(path, f"/usr/{name}") and resolve(tree, f"/{name}") == f"/usr/{name}":
            yield path.removeprefix("/usr")


def _by_likeness(lists: Iterator[tuple[str, str]], path: str) -> list[tuple[str, str]]:
    """Put packages first whose names look like the last part of a path, as python3-yaml for PyYAML-6.0.dist-info."""
    key = _key(base_name(path).partition("-")[0].partition(".")[0])

    def rank(item: tuple[str, str]) -> bool:
        name = item[0]
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        stem = _key(name)
        return not (stem and key and (stem in key or key in stem))

    return sorted(lists, key=rank)


def _key(name: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", name.lower())
