# SPDX-License-Identifier: Apache-2.0
"""Following links inside an image.

An absolute link starts again at the image's root and ``..`` never leaves it, so nothing here can name a file of the
host, whatever the image holds.
"""

from stxbuildah.model.tree import Entry, FileTree, Kind

# As Linux: path_resolution(7) gives up after forty links.
MAXIMUM_LINKS = 40


def join(folder: str, *names: str) -> str:
    """Put names below a folder; a name that is absolute starts again, as in ``os.path.join``."""
    path = folder
    for name in names:
        path = name if name.startswith("/") else f"{path.rstrip('/')}/{name}"
    return path


def normalize(path: str) -> str:
    """Take ``.``, ``..`` and doubled slashes out of an absolute path by its text alone, ``..`` staying in the root."""
    kept: list[str] = []
    for name in path.split("/"):
        if name in {"", "."}:
            continue
        if name == "..":
            if kept:
                kept.pop()
        else:
            kept.append(name)
    return "/" + "/".join(kept)


def parent(path: str) -> str:
    """Give the folder of a normalized path; the root's is the root."""
    return path.rpartition("/")[0] or "/"


def base_name(path: str) -> str:
    """Give the last part of a path."""
    return path.rpartition("/")[2]


def is_below(path: str, folder: str) -> bool:
    """Tell whether a normalized path is inside a folder, at any depth; a folder is not below itself."""
    return path != folder and path.startswith(folder if folder.endswith("/") else folder + "/")


def resolve(tree: FileTree, path: str, *, follow_last: bool = True) -> str | None:
    """Give the canonical path of something that exists, following links inside the tree.

    Args:
        tree: the image.
        path: absolute path as the image's own programs would write it.
        follow_last: also follow the last part when it is a link.

    Returns:
        The path with no link before its end (nor at it, with ``follow_last``); None when nothing is there, a link
        leads nowhere, or there are more than ``MAXIMUM_LINKS`` of them.
    """
    found = _walk(tree, path, follow_last=follow_last, must_exist=True)
    return found[0] if found else None


def entry_at(tree: FileTree, path: str) -> Entry | None:
    """Give what a path leads to after following every link; None when it leads nowhere."""
    found = _walk(tree, path, follow_last=True, must_exist=True)
    return found[1] if found else None


def real_path(tree: FileTree, path: str) -> str | None:
    """Give the canonical path of something that may not be there yet.

    Links are followed as far as the path exists, the rest is kept as it is. None when a link leads round in circles,
    or when a part that should be a folder is a file.
    """
    found = _walk(tree, path, follow_last=True, must_exist=False)
    return found[0] if found else None


def real_parent(tree: FileTree, path: str) -> str | None:
    """Give a path whose folder is canonical while its own name is kept, be it a link or missing.

    This is the path under which a layer replaces or takes away ``path``. None as ``real_path``.
    """
    found = _walk(tree, path, follow_last=False, must_exist=False)
    return found[0] if found else None


def is_directory(tree: FileTree, path: str) -> bool:
    """Tell whether a path leads to a directory."""
    entry = entry_at(tree, path)
    return entry is not None and entry.kind is Kind.DIRECTORY


def is_file(tree: FileTree, path: str) -> bool:
    """Tell whether a path leads to a regular file."""
    entry = entry_at(tree, path)
    return entry is not None and entry.kind is Kind.FILE


def read_file(tree: FileTree, path: str) -> bytes | None:
    """Give the content of the file that a path leads to, or None when it leads to no regular file."""
    found = _walk(tree, path, follow_last=True, must_exist=True)
    if found is None or found[1] is None or found[1].kind is not Kind.FILE:
        return None
    return tree.read(found[0])


def _walk(tree: FileTree, path: str, *, follow_last: bool, must_exist: bool) -> tuple[str, Entry | None] | None:
    """Give a path's canonical form and its entry (None when missing); None when there is no such form."""
    waiting = [name for name in reversed(path.split("/")) if name not in {"", "."}]
    here = ""
    entry: Entry | None = None
    links = 0
    while waiting:
        name = waiting.pop()
        if name == "..":
            here = here.rpartition("/")[0]
            entry = None
            continue
        here = f"{here}/{name}"
        entry = tree.lstat(here)
        if entry is None:
            if must_exist:
                return None
            return normalize("/".join([here, *reversed(waiting)])), None
        if entry.kind is Kind.SYMLINK and (waiting or follow_last):
            links += 1
            if links > MAXIMUM_LINKS or not entry.target:
                return None
            here = "" if entry.target.startswith("/") else here.rpartition("/")[0]
            waiting.extend(part for part in reversed(entry.target.split("/")) if part not in {"", "."})
            entry = None
        elif waiting and entry.kind is not Kind.DIRECTORY:
            return None
    if entry is None:
        entry = tree.lstat(here or "/")
    return here or "/", entry
