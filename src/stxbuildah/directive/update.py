# SPDX-License-Identifier: Apache-2.0
"""The directives file of ``stxb update``, as the StarlingX guide describes it."""

import difflib
import glob
import os
import re
from pathlib import Path

from stxbuildah.directive.shellvars import Assignment, read_assignments
from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.target import check_version
from stxbuildah.model.update import UpdateDirectives

KEYS = ("FROM", "IMAGE_UPDATE_VER", "CUSTOMIZATION_SCRIPT", "WHEELS", "DIST_PACKAGES", "MODULE_SRC", "EXTRA_FILES")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://|:)")
# git also takes account@host:path for ssh.
_SSH_PATH = re.compile(r"[^/@\s]+@[^/:\s]+:")
_WILDCARDS = frozenset("*?[")


def parse_update_directives(text: str, source: str, folder: Path) -> UpdateDirectives:
    """Read a directives file.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.
        folder: the file's folder; relative paths in it begin there.

    Raises:
        ProblemsError: every mistake with its line and column: what bash could not read or would have to execute,
            unknown and doubled keys, and values that are none.
    """
    values: dict[str, Assignment] = {}
    assignments, unread = read_assignments(text, source)
    problems = list(unread)
    for assignment in assignments:
        message = _mistake(assignment, doubled=assignment.key in values and not assignment.appended)
        if message:
            problems.append(Problem(source, message, assignment.line, assignment.column))
        values[assignment.key] = assignment
    if problems:
        problems.sort(key=lambda problem: (problem.line, problem.column))
        raise ProblemsError(problems, hint=f"the keys are {', '.join(KEYS)}")

    def words(key: str) -> tuple[str, ...]:
        return tuple(values[key].value.split()) if key in values else ()

    def single(key: str) -> str:
        return values[key].value.strip() if key in values else ""

    script = single("CUSTOMIZATION_SCRIPT")
    return UpdateDirectives(
        from_image=ImageReference.parse(single("FROM")) if single("FROM") else None,
        version=single("IMAGE_UPDATE_VER") or None,
        customization_script=folder / script if script else None,
        wheels=tuple(_below(folder, word) for word in words("WHEELS")),
        dist_packages=tuple(_below(folder, word) for word in words("DIST_PACKAGES")),
        module_src=tuple(_source_below(folder, word) for word in words("MODULE_SRC")),
        extra_files=tuple(_below(folder, word) for word in words("EXTRA_FILES")),
    )


def _mistake(assignment: Assignment, *, doubled: bool) -> str:
    """Give what is wrong with an assignment, or nothing."""
    key, value = assignment.key, assignment.value.strip()
    if key not in KEYS:
        close = difflib.get_close_matches(key.upper(), KEYS, n=1)
        return f"{key} is not a key of an update directives file" + (f"; did you mean {close[0]}?" if close else "")
    if doubled:
        return f"{key} is already set above"
    if assignment.missing:
        names = ", ".join(assignment.missing)
        return f"{key} uses {names}, which this file does not set: write the value out"
    try:
        if key == "FROM" and value:
            ImageReference.parse(value)
        if key == "IMAGE_UPDATE_VER" and value:
            check_version(value)
    except InputError as error:
        return f"{key}: {error.message}"
    return ""


def _below(folder: Path, text: str) -> str:
    """Give a path, wildcard or URL of the file as seen from the working folder."""
    if _URL.match(text):
        return text
    if _WILDCARDS.intersection(text):
        # Marks in the folder's own name are no wildcards of the user's.
        return os.path.join(glob.escape(str(folder)), text)  # noqa: PTH118 # a Path would change the user's wildcard
    return str(folder / text)


def _source_below(folder: Path, text: str) -> str:
    if _URL.match(text) or _SSH_PATH.match(text):
        return text
    location, bar, rest = text.partition("|")
    return f"{folder / location}{bar}{rest}"
