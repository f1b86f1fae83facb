# SPDX-License-Identifier: Apache-2.0
"""The repositories of a product, and the lists in them."""

from collections.abc import Iterator
from pathlib import Path

from stxbuildah.errors import InputError

# Checkouts of a product lie at most so deep below its root.
_DEPTH = 3
_NOT_BUILT = "do-not-build"


def find_lists(roots: tuple[Path, ...], names: tuple[str, ...]) -> Iterator[Path]:
    """Give the lists in the repositories of all folders, each once, in a stable order."""
    seen: set[Path] = set()
    for root in roots:
        if not root.is_dir():
            raise InputError(f"the folder {root} is not there", hint="name the folders to search with --repo-root")
        for repository in _repositories(root):
            for name in names:
                inc = repository / name
                if inc.is_file() and inc.resolve() not in seen:
                    seen.add(inc.resolve())
                    yield inc


def _repositories(root: Path) -> Iterator[Path]:
    """Give the folders below a root that may hold lists: the root, its subfolders, and every checkout further down."""
    yield root
    for folder in _subfolders(root):
        yield folder
        yield from _checkouts(folder, _DEPTH - 1)


def _checkouts(folder: Path, depth: int) -> Iterator[Path]:
    if depth:
        for inner in _subfolders(folder):
            if (inner / ".git").exists():
                yield inner
            yield from _checkouts(inner, depth - 1)


def _subfolders(folder: Path) -> Iterator[Path]:
    """Give the folders in a folder by name. Links are not followed: they lead to what is found elsewhere."""
    try:
        inner = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror}") from error
    for path in inner:
        if path.name != _NOT_BUILT and not path.name.startswith(".") and path.is_dir() and not path.is_symlink():
            yield path
