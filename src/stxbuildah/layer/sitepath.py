# SPDX-License-Identifier: Apache-2.0
"""The folders in which a Python of an image finds installed distributions, ``.pth`` files included.

The rules are those of the standard library's ``site``: files are taken by name, each line that is a folder or an
archive adds to the search path behind the folder the file stands in. A line that starts with ``import`` is a program,
and never runs here; one such program is known by its text: the one with which old setuptools' ``easy-install.pth``
moves its eggs to the front.
"""

from collections.abc import Iterable, Iterator

import attrs

from stxbuildah.layer.paths import is_directory, is_file, join, real_path
from stxbuildah.model.tree import FileTree, Kind
from stxbuildah.model.value import Value

_MAXIMUM_PTH = 1024 * 1024
# Found in the last line of easy-install.pth as written by setuptools up to 80.
_MOVES_TO_FRONT = "sys.__egginsert"


@attrs.frozen(kw_only=True)
class PathFile(Value):
    """One ``.pth`` file.

    Attributes:
        path: where it stands.
        lines: the lines that name folders or archives, as written, in order.
        in_front: its folders go before everything found so far.
    """

    path: str
    lines: tuple[str, ...]
    in_front: bool


def path_files(tree: FileTree, folder: str) -> Iterator[PathFile]:
    """Give the ``.pth`` files of a folder in the order in which they count.

    Names that start with a dot are passed over, as ``site`` does since its fix of 2024.
    """
    entries = tree.scandir(folder)
    for name in sorted(entries):
        if not name.endswith(".pth") or name.startswith("."):
            continue
        path = real_path(tree, f"{folder}/{name}")
        entry = tree.lstat(path) if path else None
        if path is None or entry is None or entry.kind is not Kind.FILE or entry.size > _MAXIMUM_PTH:
            continue
        text = tree.read(path).decode("utf-8-sig", "surrogateescape")
        lines = [line.rstrip() for line in text.splitlines()]
        yield PathFile(
            path=f"{folder}/{name}",
            lines=tuple(line for line in lines if line and not line.startswith(("#", "import ", "import\t"))),
            in_front=_MOVES_TO_FRONT in text,
        )


def search_path(tree: FileTree, folders: Iterable[str]) -> tuple[str, ...]:
    """Give the search path that ``site`` makes of its folders.

    Args:
        tree: the image.
        folders: the scheme's own folders in order; they are kept even when they are not there yet.

    Returns:
        Canonical paths, each once.
    """
    front: list[str] = []
    path: list[str] = []
    for folder in folders:
        real = real_path(tree, folder)
        if real is None or real in path or real in front:
            continue
        path.append(real)
        for file in path_files(tree, real):
            goal = front if file.in_front else path
            for added in added_folders(tree, real, file):
                if added not in path and added not in front:
                    goal.append(added)
    return (*front, *path)


def added_folders(tree: FileTree, folder: str, file: PathFile) -> Iterator[str]:
    """Give the canonical paths that a ``.pth`` file adds: those of its lines at which something is."""
    for line in file.lines:
        if "\0" in line:
            continue
        real = real_path(tree, join(folder, line))
        if real and real != "/" and (is_directory(tree, real) or is_file(tree, real)):
            yield real
