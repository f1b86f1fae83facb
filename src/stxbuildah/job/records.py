# SPDX-License-Identifier: Apache-2.0
"""The records of an update: package lists to compare, and the list of updated images.

Folder and names are those of the replaced tool: ``update-images/<update-id>/<label>-<tag>.piplst`` and so on, and
``image-updates.lst`` with one reference a line.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from stxbuildah.errors import InputError
from stxbuildah.job.workspace import check_writable, locked, replace_text
from stxbuildah.model.packages import PackageLists
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import UpdateRequest

UPDATES_LIST = "image-updates.lst"
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*")


def records_folder(request: UpdateRequest) -> Path:
    """Give the folder of an update's records.

    Raises:
        InputError: the update id would lead out of the folder of all updates.
    """
    if _SAFE_ID.fullmatch(request.update_id) is None:
        raise InputError(
            f"{request.update_id!r} is no --update-id", hint="use letters, digits, dots, dashes and underscores"
        )
    return request.output / "update-images" / request.update_id


def check_records(folder: Path) -> None:
    """Make sure that the records can be written, before anything else is done.

    Raises:
        InputError: a folder cannot be written to, or the list of updated images is no text file.
        DiskFullError: there is no room for them.
    """
    check_writable(folder / UPDATES_LIST)
    if (folder / UPDATES_LIST).exists():
        _read_list(folder / UPDATES_LIST)


def _read_list(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the list of updated images {path} cannot be read: {error}",
            hint="move it away, or choose another --update-id",
        ) from error


def write_records(folder: Path, reference: ImageReference, lists: PackageLists) -> tuple[Path, ...]:
    """Write the package lists of a new image and put it on the list of updated images.

    Args:
        folder: the update's folder.
        reference: the new image.
        lists: what is installed in it; a list that is None is not written.
    """
    stem = f"{reference.label}-{reference.tag}"
    written = []
    for suffix, lines in (("piplst", lists.python), ("deblst", lists.deb), ("rpmlst", lists.rpm)):
        if lines is not None:
            path = folder / f"{stem}.{suffix}"
            replace_text(path, "".join(f"{line}\n" for line in lines))
            written.append(path)
    with locked(folder / f".{UPDATES_LIST}.lock"):
        path = folder / UPDATES_LIST
        old = _read_list(path) if path.exists() else []
        replace_text(path, "".join(f"{line}\n" for line in replace_reference(old, reference)))
    return (*written, path)


def replace_reference(lines: Iterable[str], reference: ImageReference) -> tuple[str, ...]:
    """Give the list of updated images with a reference in the place of the one with the same label."""
    new = str(reference)
    result: list[str] = []
    for line in lines:
        kept = line.strip()
        if not kept:
            continue
        if _label(kept) == reference.label:
            if new not in result:
                result.append(new)
        else:
            result.append(kept)
    return tuple(result) if new in result else (*result, new)


def _label(line: str) -> str:
    try:
        return ImageReference.parse(line).label
    except InputError:
        return ""
