# SPDX-License-Identifier: Apache-2.0
"""Removing packages in a working container, by the image's own dpkg or rpm."""

import re
from collections.abc import Sequence

from stxbuildah.engine.process import Completed
from stxbuildah.errors import BuildError

# Nobody is there to answer, and messages are to be understood.
_QUIETLY = ("env", "DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "LC_ALL=C")
# dpkg says " stx-tool depends on python3-pip." or, with more to say, " stx-tool depends on python3-pip; however:".
_DPKG_NEEDED = re.compile(r"^\s*(?P<name>\S+) depends on (?P<need>.+?)(?:; however:|\.)$")
# rpm says "	python3-pip is needed by (installed) stx-tool-1-1.noarch".
_RPM_NEEDED = re.compile(r"^\s*(?P<need>\S.*?) is needed by \(installed\) (?P<name>\S+)$")
_TAIL = 20


def removal_command(manager: str, names: Sequence[str]) -> tuple[str, ...]:
    """Give the command that removes installed packages with their settings, unless others need them.

    Args:
        manager: ``dpkg`` or ``rpm``.
        names: packages that are installed.
    """
    option = {"dpkg": "--purge", "rpm": "--erase"}[manager]
    return (*_QUIETLY, manager, option, *names)


def removal_refusal(names: Sequence[str], completed: Completed) -> BuildError:
    """Give the error of a manager that did not remove packages; those that need them are named."""
    lines = [*completed.stdout.decode("utf-8", "replace").splitlines(), *completed.tail]
    needed: dict[str, None] = {}
    for line in lines:
        match = _DPKG_NEEDED.match(line) or _RPM_NEEDED.match(line)
        if match:
            needed[f"{match['name']} needs {match['need']}"] = None
    reason = "; ".join(needed) or f"exit status {completed.returncode}"
    return BuildError(f"{', '.join(names)} could not be removed: {reason}", details=lines[-_TAIL:])
