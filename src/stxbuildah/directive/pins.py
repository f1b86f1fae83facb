# SPDX-License-Identifier: Apache-2.0
"""Versions that distributions must have: a file of pip's requirements format, without options."""

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from stxbuildah.errors import Problem, ProblemsError


def parse_pins(text: str, source: str) -> dict[NormalizedName, SpecifierSet]:
    """Read versions, one distribution a line, as ``setuptools==78.1.1``; ``#`` begins a comment.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The specifiers by name; several lines of one distribution count together.

    Raises:
        ProblemsError: every line that is no such requirement.
    """
    pins: dict[NormalizedName, SpecifierSet] = {}
    problems: list[Problem] = []
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        try:
            requirement = Requirement(content)
        except InvalidRequirement as error:
            problems.append(
                Problem(source, f"{content[:80]!r} is no requirement: {str(error).splitlines()[0]}", number, 1)
            )
            continue
        if requirement.url or requirement.marker or requirement.extras:
            problems.append(Problem(source, f"{content[:80]!r}: only a name and versions are expected", number, 1))
            continue
        name = canonicalize_name(requirement.name)
        pins[name] = pins.get(name, SpecifierSet()) & requirement.specifier
    if problems:
        raise ProblemsError(problems, hint="a line is NAME==VERSION, or NAME with other specifiers")
    return pins
