# SPDX-License-Identifier: Apache-2.0
"""The text of a shell-style file, read character by character with its lines and columns."""

from bisect import bisect_right

import attrs

from stxbuildah.errors import Problem

CONTINUATION = "\\\n"


@attrs.define
class ShellText:
    """A place in a file that moves forward, and the mistakes found on the way.

    Attributes:
        text: the whole file.
        source: the file as the user named it.
        index: the place reached.
        problems: the mistakes found so far, in the order they were found.
    """

    text: str
    source: str
    index: int = 0
    problems: list[Problem] = attrs.field(factory=list)
    _line_starts: list[int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._line_starts = [0, *(index + 1 for index, character in enumerate(self.text) if character == "\n")]

    def place(self, index: int) -> tuple[int, int]:
        """Give the line and column of an index, both from 1."""
        line = bisect_right(self._line_starts, index)
        return line, index - self._line_starts[line - 1] + 1

    def problem(self, index: int, message: str) -> None:
        """Note a mistake at an index."""
        line, column = self.place(index)
        self.problems.append(Problem(self.source, message, line, column))

    def peek(self) -> str:
        """Give the next character, or nothing at the end; a backslash before a line's end is passed over."""
        while self.text.startswith(CONTINUATION, self.index):
            self.index += len(CONTINUATION)
        return self.text[self.index : self.index + 1]

    def take(self) -> str:
        """Give the next character as ``peek`` does, and move behind it."""
        character = self.peek()
        self.index += len(character)
        return character

    def take_raw(self) -> str:
        """Give the next character as it stands, or nothing at the end, and move behind it."""
        character = self.text[self.index : self.index + 1]
        self.index += len(character)
        return character

    def take_until(self, mark: str) -> str | None:
        """Give the text before the next ``mark`` and move behind that; None, and the end, when there is none."""
        end = self.text.find(mark, self.index)
        if end < 0:
            self.index = len(self.text)
            return None
        taken = self.text[self.index : end]
        self.index = end + len(mark)
        return taken

    def skip_line(self) -> None:
        """Move to the end of the line, as a comment does: a backslash does not continue it."""
        end = self.text.find("\n", self.index)
        self.index = len(self.text) if end < 0 else end
