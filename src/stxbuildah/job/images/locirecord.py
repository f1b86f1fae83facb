# SPDX-License-Identifier: Apache-2.0
"""What is written into a LOCI image when all is installed: the lists of it, and nova's consoles."""

import io
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from stxbuildah.errors import BuildError
from stxbuildah.job.images.locipython import ENVIRONMENT
from stxbuildah.job.inspect import installed
from stxbuildah.layer.debdepends import APT_STATES
from stxbuildah.layer.dpkg import dpkg_packages
from stxbuildah.layer.inventory import take_inventory
from stxbuildah.layer.parents import with_parents
from stxbuildah.layer.paths import is_below, read_file
from stxbuildah.layer.requirements import freeze
from stxbuildah.model.layer import Change, LayerContent, LayerEntry
from stxbuildah.model.tree import FileTree

INFORMATION = "/etc/image_info"
_SETTINGS = f"{ENVIRONMENT}/pyvenv.cfg"
_PACKAGE = re.compile(rb"^Package:[ \t]*(\S+)", re.MULTILINE)
# What virtualenv before version 20 wrote where system packages are not to be seen.
_OLD_SETTING = "no-global-site-packages.txt"
_SYSTEM_PACKAGES = re.compile(rb"^include-system-site-packages[ \t]*=.*$", re.MULTILINE)


def final_content(tree: FileTree, path_variable: str, folders: Mapping[str, Path]) -> LayerContent:
    """Give what is still to be written into an image.

    The virtual environment sees the system's packages from now on; until here pip was not to take them for its own.

    Args:
        tree: the container, with everything installed.
        path_variable: PATH of the image.
        folders: folders of this machine to put into the image, by their paths there.

    Raises:
        BuildError: there is no virtual environment.
    """
    settings = read_file(tree, _SETTINGS)
    if settings is None:
        raise BuildError(f"the image has no virtual environment {ENVIRONMENT}: {_SETTINGS} is not there")
    inventory = take_inventory(tree, path_variable)
    lists = installed(tree, inventory)
    python: tuple[str, ...] = ()
    if inventory.environment is not None:
        own = (one for one in inventory.distributions if is_below(one.location, ENVIRONMENT))
        python = freeze(own, inventory.environment)
    entries = [
        text_entry(f"{INFORMATION}/packages.txt", _lines(lists.deb or lists.rpm or ())),
        text_entry(f"{INFORMATION}/pip.txt", _lines(python)),
        text_entry(_SETTINGS, _SYSTEM_PACKAGES.sub(b"include-system-site-packages = true", settings)),
    ]
    entries += [LayerEntry(path=path, change=Change.WHITEOUT) for path in _old_settings(tree)]
    entries += _apt_states(tree)
    for path, folder in folders.items():
        entries += folder_entries(folder, path)
    return with_parents(tree, entries)


def text_entry(path: str, content: bytes) -> LayerEntry:
    """Give the entry of a file with some content, readable for everyone."""
    return LayerEntry(path=path, change=Change.FILE, size=len(content), opener=partial(io.BytesIO, content))


def folder_entries(folder: Path, path: str) -> Iterator[LayerEntry]:
    """Give the entries of a folder of this machine, git's own left out; links stay as they are written.

    Args:
        folder: the folder.
        path: where it goes.
    """
    yield LayerEntry(path=path, change=Change.DIRECTORY, mode=0o755)
    for place in sorted(folder.iterdir()):
        target = f"{path}/{place.name}"
        status = place.lstat()
        if place.name == ".git":
            continue
        if stat.S_ISLNK(status.st_mode):
            yield LayerEntry(path=target, change=Change.SYMLINK, mode=0o777, target=str(place.readlink()))
        elif stat.S_ISDIR(status.st_mode):
            yield from folder_entries(place, target)
        elif stat.S_ISREG(status.st_mode):
            mode = 0o755 if status.st_mode & 0o100 else 0o644
            yield LayerEntry(
                path=target, change=Change.FILE, mode=mode, size=status.st_size, opener=partial(_opened, place)
            )


def _old_settings(tree: FileTree) -> list[str]:
    paths = (f"{ENVIRONMENT}/lib/{name}/{_OLD_SETTING}" for name in tree.scandir(f"{ENVIRONMENT}/lib"))
    return [path for path in paths if tree.lstat(path) is not None]


def _apt_states(tree: FileTree) -> Iterator[LayerEntry]:
    """Give apt's file of how packages came, without those that are gone again, if it has any."""
    content = read_file(tree, APT_STATES)
    if content is None:
        return
    known = {name.encode() for name, *_ in dpkg_packages(tree)}
    stanzas = [stanza for stanza in content.split(b"\n\n") if stanza.strip()]
    kept = [stanza for stanza in stanzas if (found := _PACKAGE.search(stanza)) is None or found[1] in known]
    if kept != stanzas:
        yield text_entry(APT_STATES, b"".join(stanza.strip(b"\n") + b"\n\n" for stanza in kept))


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")
