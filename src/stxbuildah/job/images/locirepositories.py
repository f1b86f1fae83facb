# SPDX-License-Identifier: Apache-2.0
"""DIST_REPOS: the package lists that are switched on, or off, while a LOCI image is built.

The image's own lists stay as they are: apt is shown a copy of their folder, and dnf is told by options. What names mean
is as in StarlingX's setup-package-repos.sh: ``OS`` the distribution's own, ``STX`` the build's, anything else one list
(apt) or one repository (dnf).
"""

import re
from collections.abc import Sequence
from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.layer.paths import read_file, resolve
from stxbuildah.model.tree import FileTree, Kind

APT_FOLDER = "/etc/apt/sources.list.d"
_APT_LIST = "/etc/apt/sources.list"
_YUM_FOLDER = "/etc/yum.repos.d"
_SUFFIXES = (".list", ".sources")
_DISABLED = ".disabled"
_OS, _STX = "OS", "STX"
_APT_GROUPS = {_OS: ("debian", "ubuntu"), _STX: ("stx",)}
_YUM_GROUPS = {_OS: ("base", "updates", "extras", "baseos", "appstream", "fedora")}
_SECTION = re.compile(rb"^\s*\[([^\]\s]+)\]\s*$", re.MULTILINE)


def apt_lists(tree: FileTree, words: Sequence[str]) -> dict[str, bytes]:
    """Give the package lists as apt shall see them, by the names of their files.

    Args:
        tree: the image.
        words: DIST_REPOS: names, with ``-`` in front of one to switch off.

    Raises:
        InputError: a list to switch on is not there.
    """
    lists = _apt_files(tree)
    shown = {name: content for name, content in lists.items() if name.endswith(_SUFFIXES)}
    for word in words:
        name = word.lstrip("+-")
        files = [f"{one}{suffix}" for one in _APT_GROUPS.get(name, (name,)) for suffix in _SUFFIXES]
        if word.startswith("-"):
            # What the image does not have is off.
            shown = {file: content for file, content in shown.items() if file not in files}
            continue
        found = {file: lists[f"{file}{_DISABLED}"] for file in files if f"{file}{_DISABLED}" in lists}
        shown |= found
        on = found or shown.keys() & set(files)
        # A distribution's own lists may have any name.
        if not on and not (name == _OS and (shown or read_file(tree, _APT_LIST))):
            raise InputError(
                f"DIST_REPOS: the image has no package list {name}",
                hint=f"{APT_FOLDER} has {', '.join(sorted(lists)) or 'no list at all'}",
            )
    return shown


def write_apt_settings(folder: Path, mounted: str, lists: dict[str, bytes] | None) -> None:
    """Write a configuration file, ``apt.conf``, for the time of a build.

    Args:
        folder: existing folder.
        mounted: where the folder is in the container.
        lists: package lists that are used in place of the image's, as ``apt_lists`` gives them; None for the image's.
    """
    # Nobody reads descriptions here, and a container that breaks off is thrown away: nothing need be flushed to disk.
    settings = ['Acquire::Languages "none";', 'DPkg::Options:: "--force-unsafe-io";']
    if lists is not None:
        target = folder / "lists"
        target.mkdir()
        for name, content in lists.items():
            (target / name).write_bytes(content)
        settings.append(f'Dir::Etc::sourceparts "{mounted}/lists";')
    # Read before the image's own configuration (apt.conf(5)), which says nothing of these.
    (folder / "apt.conf").write_text("".join(f"{line}\n" for line in settings), encoding="utf-8")


def dnf_options(tree: FileTree, words: Sequence[str]) -> tuple[str, ...]:
    """Give the options by which dnf and yum use other repositories than the image's settings say.

    Args:
        tree: the image.
        words: DIST_REPOS, as for ``apt_lists``.

    Raises:
        InputError: a repository to switch on is not there.
    """
    files = {
        name: _SECTION.findall(tree.read(f"{folder}/{name}"))
        for folder in _resolved(tree, _YUM_FOLDER)
        for name, entry in tree.scandir(folder).items()
        if entry.kind is Kind.FILE and name.endswith(".repo")
    }
    known = {section.decode("utf-8", "replace"): file for file, sections in files.items() for section in sections}
    options = []
    for word in words:
        name, off = word.lstrip("+-"), word.startswith("-")
        if name == _STX:
            found = [one for one, file in known.items() if file == "stx.repo"]
        else:
            found = [one for one in _YUM_GROUPS.get(name, (name,)) if one in known]
        if not found and not off:
            raise InputError(
                f"DIST_REPOS: the image has no repository {name}",
                hint=f"{_YUM_FOLDER} has {', '.join(sorted(known)) or 'none at all'}",
            )
        options += [f"--{'disable' if off else 'enable'}repo={one}" for one in found]
    return tuple(options)


def _apt_files(tree: FileTree) -> dict[str, bytes]:
    suffixes = (*_SUFFIXES, *(f"{suffix}{_DISABLED}" for suffix in _SUFFIXES))
    found = {}
    for folder in _resolved(tree, APT_FOLDER):
        for name in sorted(tree.scandir(folder)):
            if name.endswith(suffixes) and (content := read_file(tree, f"{folder}/{name}")) is not None:
                found[name] = content
    return found


def _resolved(tree: FileTree, folder: str) -> tuple[str, ...]:
    path = resolve(tree, folder)
    return () if path is None else (path,)
