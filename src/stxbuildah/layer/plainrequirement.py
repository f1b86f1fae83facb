# SPDX-License-Identifier: Apache-2.0
"""Requirements whose text shows at once that they are met.

Most are a name, perhaps with bounds of plain versions, perhaps for some versions of Python only. These are decided
here; for all others, and before anything is reported, the library is asked. Its grammar takes 6 ms to load, which an
update of an image with nothing but such requirements need not wait for.
"""

import operator
import re
from collections.abc import Callable

_COMPARISONS: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
# A final release (PEP 440) with numbers of a sane length; of two of them the numbers alone decide.
_RELEASE = r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,9}"
_BOUND = rf"(?:[<>=!]=|[<>])[ \t]*{_RELEASE}"
_BOUNDS = rf"{_BOUND}(?:[ \t]*,[ \t]*{_BOUND})*"
_PYTHON = r"python_version[ \t]*(?P<python>[<>=!]=|[<>])[ \t]*(?P<quote>['\"])(?P<minor>[0-9]\.[0-9]{1,3})(?P=quote)"
# The parts of PEP 508's grammar that most lines keep to.
_PLAIN = re.compile(
    r"[ \t]*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)[ \t]*"
    rf"(?:(?P<open>\([ \t]*)?(?P<bounds>{_BOUNDS})[ \t]*(?(open)\)[ \t]*))?"
    rf"(?:;[ \t]*{_PYTHON}[ \t]*)?"
)
_ONE_BOUND = re.compile(rf"([<>=!]+)[ \t]*({_RELEASE})")
_VERSION = re.compile(_RELEASE)


def is_plainly_met(line: str, python: tuple[int, int], version_of: Callable[[str], str | None]) -> bool:
    """Say whether a requirement is met, or not meant for this Python, and its text alone shows so.

    Args:
        line: the requirement, as ``Requires-Dist`` has it.
        python: version of the Python it would have to be met for.
        version_of: gives the version of what is installed under a name, in any spelling; None when nothing is.

    Returns:
        False also when only the whole grammar of PEP 508 and PEP 440 can tell.
    """
    found = _PLAIN.fullmatch(line)
    if found is None:
        return False
    if found["python"] and not _COMPARISONS[found["python"]](
        _numbers("{}.{}".format(*python)), _numbers(found["minor"])
    ):
        return True
    version = version_of(found["name"])
    if version is None or not _VERSION.fullmatch(version):
        return False
    bounds = _ONE_BOUND.findall(found["bounds"] or "")
    return all(_COMPARISONS[sign](_numbers(version), _numbers(bound)) for sign, bound in bounds)


def _numbers(release: str) -> tuple[int, ...]:
    """Give the numbers of a release without zeros at their end, which do not count (PEP 440)."""
    numbers = [int(part) for part in release.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
