# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as the user is told it.

Every error says what happened (``message``), what to do about it (``hint``) and ends the command with the exit
code of its class. Only ``cli`` prints one and exits.
"""

import errno
from collections.abc import Iterable
from typing import ClassVar

import attrs


class StxbError(Exception):
    """Something the user can read and act on.

    Args:
        message: what happened, to which file, line or image; one sentence, no trailing period needed.
        hint: what to do about it; may be empty.
        details: further lines, as the last lines of a failed program; shown indented.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", details: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = tuple(details)


class BuildError(StxbError):
    """A build, an installation or a script inside an image failed."""

    exit_code = 1


class InputError(StxbError):
    """The command line, a file it names or an image it names is not what is needed."""

    exit_code = 2


class HostError(StxbError):
    """This machine cannot do it: a program is missing or the kernel refuses."""

    exit_code = 3


class AuthenticationError(StxbError):
    """A registry refused the credentials, or asked for some."""

    exit_code = 4


class RegistryError(StxbError):
    """A registry or server is unreachable, failing or limiting."""

    exit_code = 5


class DiskFullError(StxbError):
    """No space is left where something had to be written."""

    exit_code = 6


class InterruptedByUserError(StxbError):
    """The user or the system asked the command to stop."""

    exit_code = 130


def from_os_error(error: OSError) -> StxbError:
    """Give the error to tell for one that the system raised; that is its cause."""
    place = f" ({error.filename})" if error.filename else ""
    translated: StxbError
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        translated = DiskFullError(
            f"no space is left on the disk{place}", hint="free some space, or set TMPDIR elsewhere"
        )
    else:
        translated = StxbError(f"the system refused: {error.strerror or error}{place}", hint="--debug shows where")
    translated.__cause__ = error
    return translated


@attrs.frozen
class Problem:
    """One mistake in an input.

    Attributes:
        source: the file as the user named it, or ``command line``.
        message: what is wrong there and what was expected.
        line: line number from 1; 0 when the mistake has no line.
        column: column from 1; 0 when the mistake has no column.
    """

    source: str
    message: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = self.source
        if self.line:
            place += f":{self.line}"
            if self.column:
                place += f":{self.column}"
        return f"{place}: {self.message}"


class ProblemsError(InputError):
    """All the mistakes of one or several inputs, told at once."""

    def __init__(self, problems: Iterable[Problem], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        if count == 1:
            super().__init__(str(self.problems[0]), hint=hint)
        else:
            super().__init__(
                f"{count} mistakes in the input", hint=hint, details=[str(problem) for problem in self.problems]
            )
