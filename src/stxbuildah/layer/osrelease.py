# SPDX-License-Identifier: Apache-2.0
"""Reading ``os-release``, a file of shell assignments, without a shell.

The rules are those of os-release(5): values may stand in double or single quotes, and outside single quotes a
backslash stands before a character that a shell would not take as itself. Nothing is ever expanded.
"""

import re

from stxbuildah.layer.paths import read_file
from stxbuildah.model.inventory import OsRelease
from stxbuildah.model.tree import FileTree

_ASSIGNMENT = re.compile(r"^[ \t]*([A-Za-z_][A-Za-z0-9_]*)=(.*?)[ \t\r]*$")
_ESCAPED = re.compile(r"\\(.)")
# VERSION of systems without VERSION_CODENAME, as '7 (Core)' or '14.04.6 LTS, Trusty Tahr'.
_NAMED_VERSION = re.compile(r"\(([A-Za-z]+)[^)]*\)")


def read_os_release(tree: FileTree) -> OsRelease:
    """Give what ``/etc/os-release``, or else ``/usr/lib/os-release``, says; empty values when neither is there."""
    content = read_file(tree, "/etc/os-release")
    if content is None:
        content = read_file(tree, "/usr/lib/os-release") or b""
    values = parse_os_release(content.decode("utf-8", "replace"))
    codename = values.get("VERSION_CODENAME", "") or values.get("UBUNTU_CODENAME", "")
    if not codename and (named := _NAMED_VERSION.search(values.get("VERSION", ""))):
        codename = named[1].lower()
    return OsRelease(
        id=values.get("ID", "").lower(),
        id_like=tuple(values.get("ID_LIKE", "").lower().split()),
        version_id=values.get("VERSION_ID", ""),
        codename=codename,
        pretty_name=values.get("PRETTY_NAME", ""),
    )


def parse_os_release(text: str) -> dict[str, str]:
    """Give the assignments of an os-release file; lines that are none are passed over, the last of a name wins."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        if assignment := _ASSIGNMENT.match(line):
            values[assignment[1]] = _unquote(assignment[2])
    return values


def _unquote(value: str) -> str:
    # Two: the opening and the closing quote.
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":  # noqa: PLR2004
        quote, value = value[0], value[1:-1]
        return value if quote == "'" else _ESCAPED.sub(r"\1", value)
    return _ESCAPED.sub(r"\1", value)
