# SPDX-License-Identifier: Apache-2.0
"""The Python installation that an interpreter belongs to: its version, its prefix, and where its library is."""

import re
from collections import Counter

import attrs

from stxbuildah.errors import InputError
from stxbuildah.layer.paths import base_name, is_directory, is_file, parent
from stxbuildah.model.tree import FileTree, Kind
from stxbuildah.model.value import Value

_PYTHON_NAME = re.compile(r"python(\d)\.(\d{1,2})(?=[a-z]{0,3}$)")
_FREE_THREADED = re.compile(r"python\d\.\d+d?td?$")
_LIBRARY_FOLDER = re.compile(r"^python(\d)\.(\d{1,2})$")
# What every build of CPython holds of itself: the name of its shared library and of its standard library's folder.
_VERSION_IN_PROGRAM = re.compile(rb"(?:libpython|lib/python|include/python)(\d)\.(\d{1,2})(?!\d)")
# `sys.platlibdir` of the systems that keep libraries apart by word size; lib first, since lib64 is often a link to it.
_LIBRARY_FOLDERS = ("lib", "lib64")
_LANDMARKS = ("os.py", "os.pyc", "os.pyo")


@attrs.frozen(kw_only=True)
class Installation(Value):
    """A Python that is not a virtual environment.

    Attributes:
        version: major and minor version.
        prefix: ``sys.prefix``, canonical.
        platlibdir: ``sys.platlibdir``: ``lib`` or ``lib64``.
    """

    version: tuple[int, int]
    prefix: str
    platlibdir: str = "lib"


def version_in_name(name: str) -> tuple[int, int] | None:
    """Give the version in a program's name, as of ``python3.11`` or ``platform-python3.6``.

    Raises:
        InputError: the name is that of a free-threaded Python.
    """
    if _FREE_THREADED.search(name):
        raise InputError(
            f"{name} is a free-threaded Python, for which no wheels can be installed here yet",
            hint="name the image's usual Python with --python",
        )
    found = _PYTHON_NAME.search(name)
    return (int(found[1]), int(found[2])) if found else None


def library_versions(tree: FileTree, folder: str) -> list[tuple[int, int]]:
    """Give the versions of the ``pythonX.Y`` folders in a folder, in order."""
    found = (_LIBRARY_FOLDER.match(name) for name in tree.scandir(folder))
    return sorted((int(match[1]), int(match[2])) for match in found if match)


def find_installation(tree: FileTree, interpreter: str) -> Installation:
    """Give the installation of an interpreter.

    Args:
        tree: the image.
        interpreter: canonical path of the interpreter's file.

    Raises:
        InputError: its version cannot be told.
    """
    version = version_in_name(base_name(interpreter))
    found = _with_landmark(tree, interpreter, version)
    if not version and len({one.version for one in found}) > 1:
        version = version_in_program(tree, interpreter)
        found = [one for one in found if one.version == version]
    if found:
        return found[0]
    version = version or version_in_program(tree, interpreter)
    if version is None:
        raise InputError(
            f"cannot tell the version of the image's Python at {interpreter}: it is not named pythonX.Y, and no "
            "lib/pythonX.Y with the standard library is near it",
            hint="name the image's Python by the path of its program with --python",
        )
    return Installation(version=version, prefix=parent(parent(interpreter)))


def _with_landmark(tree: FileTree, interpreter: str, version: tuple[int, int] | None) -> list[Installation]:
    """Give the installations in the nearest folder above an interpreter that has a standard library."""
    folder = parent(interpreter)
    while True:
        found = []
        for name in _LIBRARY_FOLDERS:
            library = f"{folder.rstrip('/')}/{name}"
            if not is_directory(tree, library):
                continue
            versions = [version] if version else library_versions(tree, library)
            for major, minor in versions:
                standard = f"{library}/python{major}.{minor}"
                if any(is_file(tree, f"{standard}/{landmark}") for landmark in _LANDMARKS):
                    found.append(Installation(version=(major, minor), prefix=folder, platlibdir=name))
        if found or folder == "/":
            return found
        folder = parent(folder)


def version_in_program(tree: FileTree, interpreter: str) -> tuple[int, int] | None:
    """Give the version that an interpreter's own bytes speak of most; None when they speak of none."""
    entry = tree.lstat(interpreter)
    if entry is None or entry.kind is not Kind.FILE:
        return None
    counted = Counter(_VERSION_IN_PROGRAM.findall(tree.read(interpreter)))
    if not counted:
        return None
    (major, minor), _ = counted.most_common(1)[0]
    return int(major), int(minor)
