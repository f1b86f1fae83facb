# SPDX-License-Identifier: Apache-2.0
"""The ``.inc`` lists of StarlingX's repositories: packages that hold wheels, and folders of image directives.

build-stx-images.sh and get-stx-wheels.sh read them alike: ``#`` begins a comment anywhere, the words that are left are
the entries (one a line by custom), and an entry that comes twice counts once.
"""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from stxbuildah.errors import Problem, ProblemsError
from stxbuildah.model.wheelbuild import ListedName

_WORD = re.compile(r"\S+")
# Debian's policy 5.6.1 and rpm's manual, taken together.
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_WILDCARDS = re.compile(r"[*?\[\]]")


def wheels_inc_names(os: str, codename: str, stream: str) -> tuple[str, ...]:
    """Give the names that a repository's lists of wheel packages may have."""
    return _names(os, codename, stream, "wheels.inc")


def images_inc_names(os: str, codename: str, stream: str) -> tuple[str, ...]:
    """Give the names that a repository's lists of image folders may have."""
    return _names(os, codename, stream, "docker_images.inc")


def _names(os: str, codename: str, stream: str, end: str) -> tuple[str, ...]:
    general = f"{os}_{stream}_{end}"
    return (general, f"{os}_{codename}_{stream}_{end}") if codename else (general,)


def parse_wheels_inc(text: str, source: str) -> tuple[ListedName, ...]:
    """Read a list of packages that hold wheels.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The packages in the order of the file, each once.

    Raises:
        ProblemsError: every entry that is no package's name, with line and column.
    """
    return _parse(text, source, _package)


def parse_images_inc(text: str, source: str) -> tuple[ListedName, ...]:
    """Read a list of folders that hold image directives.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The folders in the order of the file, each once, ``./`` and doubled slashes taken out.

    Raises:
        ProblemsError: every entry that is no folder below the list's own, with line and column.
    """
    return _parse(text, source, _folder)


def _parse(text: str, source: str, read: Callable[[str], tuple[str, str]]) -> tuple[ListedName, ...]:
    entries: dict[str, ListedName] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), 1):
        for word in _WORD.finditer(line.partition("#")[0]):
            name, mistake = read(word[0])
            if mistake:
                problems.append(Problem(source, mistake, number, word.start() + 1))
            else:
                entry = ListedName(name=name, source=source, line=number, column=word.start() + 1)
                entries.setdefault(name, entry)
    if problems:
        raise ProblemsError(problems)
    return tuple(entries.values())


def _package(word: str) -> tuple[str, str]:
    return word, "" if _PACKAGE.fullmatch(word) else f"{word!r} is not the name of a package"


def _folder(word: str) -> tuple[str, str]:
    path = PurePosixPath(word)
    if _UNPRINTABLE.search(word):
        return word, f"{word!r} is not the name of a folder"
    if _WILDCARDS.search(word):
        return word, f"{word!r} has a wildcard: list every folder by its name"
    if path.is_absolute() or ".." in path.parts:
        return word, f"{word!r} leads out of the repository: name a folder below the one of this file"
    return str(path), ""
