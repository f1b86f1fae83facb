# SPDX-License-Identifier: Apache-2.0
"""Reading the lists that a user names, all of them before the first mistake is told."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from stxbuildah.directive.tags import HINT, read_tags, repeated_targets
from stxbuildah.directive.wheelcfg import parse_wheels_config
from stxbuildah.errors import InputError, Problem, ProblemsError
from stxbuildah.job.textfile import read_whole
from stxbuildah.model.retag import RetagEntry
from stxbuildah.model.wheelbuild import WheelSource

Read = TypeVar("Read")


def list_wheels(files: Iterable[Path]) -> tuple[WheelSource, ...]:
    """Give the wheels of all files, in their order.

    Raises:
        ProblemsError: every mistake of every file.
    """
    wheels, problems, hint = _read_all(files, "wheels configuration", parse_wheels_config)
    if problems:
        raise ProblemsError(problems, hint=hint)
    return tuple(wheel for found in wheels for wheel in found)


def list_retags(files: Iterable[Path]) -> tuple[RetagEntry, ...]:
    """Give the entries of all tag-management files, in their order.

    Raises:
        ProblemsError: every mistake of every file, entries of one tag among them.
    """
    found, problems, _ = _read_all(files, "tags file", read_tags)
    entries = tuple(entry for sound, _ in found for entry in sound)
    problems += [problem for _, mistakes in found for problem in mistakes]
    problems += repeated_targets(entries)
    if problems:
        raise ProblemsError(problems, hint=HINT)
    return entries


def _read_all(
    files: Iterable[Path], what: str, parse: Callable[[str, str], Read]
) -> tuple[list[Read], list[Problem], str]:
    """Read files one after the other; give what was read, the mistakes, and a hint that goes with these."""
    read: list[Read] = []
    problems: list[Problem] = []
    hint = ""
    for file in files:
        try:
            read.append(parse(read_whole(file, what), str(file)))
        except ProblemsError as error:
            problems += error.problems
            hint = hint or error.hint
        except InputError as error:
            problems.append(Problem(str(file), error.message))
    return read, problems, hint
