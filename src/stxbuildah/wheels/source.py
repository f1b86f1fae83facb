# SPDX-License-Identifier: Apache-2.0
"""A module's source in a work folder of ours, where a build may write."""

import errno
import os
import shutil
import stat
from pathlib import Path
from urllib.parse import quote

import attrs

from stxbuildah import log
from stxbuildah.engine.git import Git
from stxbuildah.errors import DiskFullError, InputError
from stxbuildah.model.module import ModuleSource

# What tests and tools leave behind. setuptools packs what it finds in an old build/lib, removed modules included.
_LEFTOVERS = frozenset({".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".eggs", "__pycache__"})
_BUILD_LEFTOVERS = ("lib", "lib.", "bdist.", "temp.")
_SHOWN_REASONS = 20
_BUILD_FILES = ("pyproject.toml", "setup.py")


@attrs.frozen(kw_only=True)
class PreparedSource:
    """A copy of a module's source.

    Attributes:
        top: the folder that was copied or cloned: all that a build may look at.
        folder: the module's own folder, ``top`` or below it.
        commit: the commit that was checked out; empty for a copied folder.
        epoch: seconds since the epoch of the newest change: the commit's, or the newest file's.
    """

    top: Path
    folder: Path
    commit: str = ""
    epoch: int = 0


def check_source(source: ModuleSource) -> None:
    """Check that a source folder is there and is a Python project; nothing is asked of a server.

    Raises:
        InputError: it is not.
    """
    if source.folder is None:
        return
    if not source.folder.is_dir():
        what = "is not a folder" if source.folder.exists() else "does not exist"
        raise InputError(f"the module source {source.folder} {what}", hint="write DIR, DIR|version, or a git URL")
    if not os.access(source.folder, os.R_OK | os.X_OK):
        raise InputError(f"the module source {source.folder} is not readable by this account")
    _check_project(source.folder, str(source.folder))


def prepare(source: ModuleSource, git: Git, target: Path) -> PreparedSource:
    """Copy or clone a source into a new folder; the source itself is never written to.

    A folder's symbolic links stay links, wherever they point. The history of a folder inside a larger git work tree,
    or of one whose ``.git`` is not all in it, is cloned, since versions are counted from it.

    Args:
        source: what to copy.
        git: fetches repositories.
        target: folder to make.

    Raises:
        StxbError: it cannot be fetched, or is no Python project.
    """
    check_source(source)
    if source.folder is None:
        commit = git.checkout(source.url, source.ref, target)
        _check_project(target, source.shown)
        return PreparedSource(top=target, folder=target, commit=commit, epoch=git.commit_time(target))
    folder = source.folder.resolve()
    work_tree = git.work_tree(folder) if _is_versioned(folder) and not _is_whole(folder) else None
    if work_tree is None:
        epoch = _copy(folder, target)
        return PreparedSource(top=target, folder=target, epoch=epoch)
    inner = target / folder.relative_to(work_tree.resolve())
    try:
        # Submodules may need a network; those that the user has checked out are copied with the folder.
        git.checkout("file://" + quote(str(work_tree)), "", target, submodules=False)
    except InputError as error:
        raise InputError(
            f"the history of {folder} cannot be read: {error.message}",
            hint=f"copy the folder out of its repository, and give a version: {source.folder}|1.2.3",
            details=error.details,
        ) from error
    _empty(inner)
    epoch = _copy(folder, inner, skip_git=True)
    return PreparedSource(top=target, folder=inner, epoch=epoch)


def _check_project(folder: Path, shown: str) -> None:
    if not any((folder / name).is_file() for name in _BUILD_FILES):
        raise InputError(
            f"the module source {shown} is no Python project: it has neither {' nor '.join(_BUILD_FILES)}",
            hint="name the folder that holds one of them",
        )


def _is_versioned(folder: Path) -> bool:
    """Tell whether a folder is in a git work tree, by the names alone: git need not be installed for others."""
    return any((place / ".git").exists() for place in (folder, *folder.parents))


def _is_whole(folder: Path) -> bool:
    """Tell whether a folder's ``.git`` holds the whole repository, so that a plain copy is one."""
    git = folder / ".git"
    parts = (git, git / "objects", git / "refs")
    return all(part.is_dir() and not part.is_symlink() for part in parts) and not (
        (git / "objects/info/alternates").exists() or (git / "commondir").exists()
    )


def _copy(folder: Path, target: Path, *, skip_git: bool = False) -> int:
    """Copy a folder, and give the time of its newest file in seconds since the epoch."""
    newest = 0

    def ignored(place: str, names: list[str]) -> set[str]:
        found = {name for name in names if name in _LEFTOVERS or name.endswith(".pyc")}
        if Path(place) == folder / "build":
            found |= {name for name in names if name.startswith(_BUILD_LEFTOVERS)}
        if skip_git and Path(place) == folder:
            found.add(".git")
        return found

    def copied(source: str, copy: str) -> str:
        nonlocal newest
        status = os.lstat(source)
        if not stat.S_ISREG(status.st_mode):
            raise shutil.SpecialFileError(f"{source} is no regular file")
        # The versions' own files change when git looks at them.
        if f"{os.sep}.git{os.sep}" not in source:
            newest = max(newest, int(status.st_mtime))
        return shutil.copy2(source, copy, follow_symlinks=False)

    try:
        shutil.copytree(folder, target, symlinks=True, ignore=ignored, copy_function=copied, dirs_exist_ok=True)
    except shutil.Error as error:
        raise _copy_error(folder, [str(reason) for _, _, reason in error.args[0]]) from error
    except OSError as error:
        raise _copy_error(folder, [str(error)]) from error
    log.debug("source.copied", folder=str(folder), target=str(target))
    return newest


def _copy_error(folder: Path, reasons: list[str]) -> DiskFullError | InputError:
    full = os.strerror(errno.ENOSPC)
    if any(full in reason for reason in reasons):
        return DiskFullError(f"no space is left to copy the module source {folder}", hint="make room in TMPDIR")
    return InputError(f"the module source {folder} cannot be copied", details=reasons[:_SHOWN_REASONS])


def _empty(folder: Path) -> None:
    """Take away what the last commit has in a folder; the user's own files come in its place."""
    if folder.resolve() != folder:
        raise InputError(
            f"{folder.name} is a link in the last commit, and a folder now", hint="commit the change first"
        )
    if not folder.is_dir():
        folder.unlink(missing_ok=True)
        folder.mkdir(parents=True)
        return
    for entry in list(folder.iterdir()):
        if entry.name == ".git":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
