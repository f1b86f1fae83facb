# SPDX-License-Identifier: Apache-2.0
"""``openstack.cfg``: where the constraints of the OpenStack releases are, a shell-style file beside wheels.cfg."""

import difflib
import re

from stxbuildah.directive.shellvars import Assignment, read_assignments
from stxbuildah.errors import Problem, ProblemsError
from stxbuildah.model.wheelbuild import RequirementPlaces

KEYS = (
    "STABLE_OPENSTACK_REQ_URL",
    "MASTER_OPENSTACK_REQ_URL",
    "STABLE_OPENSTACK_REQ_URL_PY2",
    "MASTER_OPENSTACK_REQ_URL_PY2",
)
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_SCHEMES = frozenset({"file", "http", "https"})
_UNREADABLE = re.compile(r"[\x00-\x20\x7f]")


def parse_openstack_config(text: str, source: str) -> RequirementPlaces:
    """Read an openstack.cfg.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The places as the file writes them: a URL, or a folder relative to the file's own.

    Raises:
        ProblemsError: every mistake with its line and column.
    """
    assignments, unread = read_assignments(text, source)
    problems = list(unread)
    values: dict[str, str] = {}
    for assignment in assignments:
        if message := _mistake(assignment):
            problems.append(Problem(source, message, assignment.line, assignment.column))
        values[assignment.key] = assignment.value.strip()
    if problems:
        problems.sort(key=lambda problem: (problem.line, problem.column))
        raise ProblemsError(problems, hint=f"the keys are {', '.join(KEYS)}")
    return RequirementPlaces(
        stable=values.get(KEYS[0], ""),
        master=values.get(KEYS[1], ""),
        stable_python2=values.get(KEYS[2], ""),
        master_python2=values.get(KEYS[3], ""),
    )


def _mistake(assignment: Assignment) -> str:
    """Give what is wrong with an assignment, or nothing."""
    key, value = assignment.key, assignment.value.strip()
    if key not in KEYS:
        close = difflib.get_close_matches(key.upper(), KEYS, n=1)
        return f"{key} is not a key of openstack.cfg" + (f"; did you mean {close[0]}?" if close else "")
    if assignment.missing:
        return f"{key} uses {', '.join(assignment.missing)}, which this file does not set: write the value out"
    if _UNREADABLE.search(value):
        return f"{key}: a URL or folder without blanks is expected"
    url = _URL.fullmatch(value)
    if url and (url["scheme"].lower() not in _SCHEMES or not url["rest"].strip("/")):
        return f"{key}: {value!r} is no URL that constraints can be fetched from: http://, https:// or file://"
    return ""
