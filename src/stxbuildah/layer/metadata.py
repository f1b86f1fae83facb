# SPDX-License-Identifier: Apache-2.0
"""Reading what an installed distribution says of itself, fast: only the headers that are asked for.

The metadata of a hundred distributions are read for every update, most of them long descriptions; the standard
library's ``email`` would take longer for them than the rest of an update.
"""

import re
from collections.abc import Iterator

_SECTION = re.compile(r"^\[(.*)\]$")


def read_headers(content: bytes, names: frozenset[str]) -> dict[str, list[str]]:
    """Give the values of some headers of a METADATA or PKG-INFO file.

    Args:
        content: the file.
        names: the headers to give, in lower case.

    Returns:
        By header in lower case, its values in order; folded lines are joined. Headers that are not there are missing.
    """
    found: dict[str, list[str]] = {}
    last: list[str] | None = None
    for raw in _head(content).splitlines():
        if not raw:
            break
        if raw[:1] in b" \t":
            if last is not None:
                last[-1] = f"{last[-1]} {raw.decode('utf-8', 'replace').strip()}".strip()
            continue
        last = None
        name, colon, value = raw.partition(b":")
        key = name.decode("ascii", "replace").lower()
        if colon and key in names:
            last = found.setdefault(key, [])
            last.append(value.decode("utf-8", "replace").strip())
    return found


def _head(content: bytes) -> bytes:
    """Give what stands before the first empty line, which the description follows."""
    ends = [end for end in (content.find(b"\n\n"), content.find(b"\n\r\n")) if end >= 0]
    return content[: min(ends)] if ends else content


def egg_requirements(content: bytes) -> Iterator[str]:
    """Give the lines of an egg-info's requires.txt as ``Requires-Dist`` values.

    A section ``[extra:marker]`` becomes markers, as ``importlib.metadata`` does it: ``a`` in section
    ``[tests:python_version < "3"]`` gives ``a ; (python_version < "3") and extra == "tests"``.
    """
    extra = marker = ""
    for raw in content.decode("utf-8", "replace").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if section := _SECTION.match(line):
            extra, _, marker = (part.strip() for part in section[1].partition(":"))
            continue
        conditions = []
        if marker:
            conditions.append(f"({marker})" if extra else marker)
        if extra:
            conditions.append(f'extra == "{extra}"')
        # A URL ends at a blank, without which the marker would be part of it.
        yield f"{line} ; {' and '.join(conditions)}" if conditions else line
