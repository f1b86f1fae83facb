# SPDX-License-Identifier: Apache-2.0
"""Shell-style files of ``KEY=value`` lines, read as bash would read them and never executed.

Understood: all quoting of bash, values over several lines, comments, several assignments on a line, ``export``,
``+=``, and ``$KEY`` or ``${KEY}`` of a key that the file itself assigned. The environment is not looked at.
"""

import re

import attrs

from stxbuildah.directive.shellsubstitution import skip_balanced
from stxbuildah.directive.shelltext import ShellText
from stxbuildah.directive.shellword import SHELL_VARIABLES, WORD_ENDS, WRITE_OUT, Piece, read_word
from stxbuildah.errors import Problem, ProblemsError

MAXIMUM_LENGTH = 1_000_000
_BLANKS = " \t"
_HEAD = re.compile(r"(?P<key>[A-Za-z_][A-Za-z0-9_]*)(?P<append>\+?)=", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


@attrs.frozen(kw_only=True)
class Assignment:
    """One assignment of a file.

    Attributes:
        key: the variable's name.
        value: what bash would make its value; of ``+=``, the old value and the new together.
        line: line of the key, from 1.
        column: column of the key, from 1.
        appended: whether it was written with ``+=``.
        missing: variables in the value that the file does not assign before; bash reads them as empty.
    """

    key: str
    value: str
    line: int
    column: int
    appended: bool = False
    missing: tuple[str, ...] = ()


def parse_assignments(text: str, source: str) -> tuple[Assignment, ...]:
    """Read a file of assignments.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        Every assignment in the order of the file; where a key comes twice, bash keeps the later value.

    Raises:
        ProblemsError: all the places that are wrong or would need a shell, with line and column.
    """
    assignments, problems = read_assignments(text, source)
    if problems:
        raise ProblemsError(problems)
    return assignments


def read_assignments(text: str, source: str) -> tuple[tuple[Assignment, ...], tuple[Problem, ...]]:
    """Read as much of a file of assignments as can be read, for callers that look for further mistakes.

    Args:
        text: the whole file.
        source: the file as the user named it, for messages.

    Returns:
        The assignments in the order of the file, and all that is wrong, by line and column.
    """
    reader = ShellText(text[:MAXIMUM_LENGTH], source)
    assignments: tuple[Assignment, ...] = ()
    if len(text) > MAXIMUM_LENGTH:
        reader.problem(0, f"longer than {MAXIMUM_LENGTH} characters: this is no file of assignments")
    elif "\0" in text:
        reader.problem(text.index("\0"), "a zero byte: this is no text file")
    elif text.startswith("\ufeff"):
        reader.problem(0, "a byte order mark begins the file: save it as UTF-8 without one")
    else:
        assignments = _Parser(reader).parse()
    return assignments, tuple(sorted(reader.problems, key=lambda problem: (problem.line, problem.column)))


@attrs.define
class _Parser:
    """Reads commands, which are allowed to be assignments only."""

    text: ShellText
    values: dict[str, str] = attrs.field(factory=dict)
    assignments: list[Assignment] = attrs.field(factory=list)

    def parse(self) -> tuple[Assignment, ...]:
        while character := self.text.peek():
            if character in _BLANKS or character == "\n":
                self.text.take()
            elif character == "#":
                self.text.skip_line()
            else:
                self._command()
        return tuple(self.assignments)

    def _command(self) -> None:
        words = self._words()
        if not words:
            return
        if len(words[0]) == len("export") and _plain(words[0]) == "export":
            self._export(words[1:])
            return
        for position, word in enumerate(words):
            head = _HEAD.match(_plain(word))
            if head is None:
                self._refuse(word, follows_assignment=position > 0)
                return
            self._assign(word, head, self.values)

    def _words(self) -> list[tuple[Piece, ...]]:
        """Read the words of one command, and what ends it: a line's end, a semicolon, or a comment."""
        words: list[tuple[Piece, ...]] = []
        while (character := self.text.peek()) and character != "\n":
            if character in _BLANKS:
                self.text.take()
            elif character == "#":
                self.text.skip_line()
            elif character == ";":
                self._semicolon(first=not words)
                break
            elif character in WORD_ENDS:
                self._operator(words)
                break
            else:
                words.append(read_word(self.text))
        return words

    def _semicolon(self, *, first: bool) -> None:
        start = self.text.index
        self.text.take()
        if first:
            self.text.problem(start, "nothing stands before this semicolon")
        elif self.text.peek() == ";":
            self.text.problem(start, "two semicolons end no assignment")
            self.text.take()

    def _operator(self, words: list[tuple[Piece, ...]]) -> None:
        start = self.text.index
        operator = self.text.take()
        if operator == "(" and words and _plain(words[-1]).endswith("="):
            self.text.problem(start, f"an array needs a shell; {WRITE_OUT}")
            self.text.index = start
            skip_balanced(self.text, "(", ")")
        else:
            self.text.problem(start, f"{operator!r} needs a shell; quote it if it belongs to the value")
        # What follows on this line belongs to the same mistake; quotes are still passed over as a whole.
        while (character := self.text.peek()) and character != "\n":
            if character == "#" and self.text.text[self.text.index - 1] in _BLANKS:
                self.text.skip_line()
            elif character in WORD_ENDS:
                self.text.take()
            else:
                read_word(self.text)

    def _export(self, words: list[tuple[Piece, ...]]) -> None:
        # bash expands all the words before export assigns the first of them.
        before = dict(self.values)
        for word in words:
            plain = _plain(word)
            head = _HEAD.match(plain)
            if head is not None:
                if any(piece.text == "{" and not piece.quoted for piece in word):
                    self.text.problem(word[0].index, "export expands braces: quote the value")
                self._assign(word, head, before)
            elif word and not (_NAME.fullmatch(plain) and len(plain) == len(word)):
                self.text.problem(word[0].index, "export is understood with KEY=value and KEY only")

    def _assign(self, word: tuple[Piece, ...], head: re.Match[str], known: dict[str, str]) -> None:
        key, content = head["key"], word[head.end() :]
        if key in SHELL_VARIABLES:
            self.text.problem(word[0].index, f"{key} belongs to the shell and cannot be a key")
        self._refuse_tilde(content)
        value, missing = "", []
        for piece in content:
            if not piece.variable:
                value += piece.text
            elif piece.text in known:
                value += known[piece.text]
            else:
                missing.append(piece.text)
        if head["append"]:
            value = self.values.get(key, "") + value
        self.values[key] = value
        line, column = self.text.place(word[0].index)
        self.assignments.append(
            Assignment(
                key=key,
                value=value,
                line=line,
                column=column,
                appended=bool(head["append"]),
                missing=tuple(dict.fromkeys(missing)),
            )
        )

    def _refuse_tilde(self, content: tuple[Piece, ...]) -> None:
        previous = ":"
        for piece in content:
            if piece.text == "~" and not piece.quoted and previous == ":":
                self.text.problem(piece.index, "a shell replaces this tilde by a folder; write it out, or quote it")
            previous = "" if piece.quoted or piece.variable else piece.text

    def _refuse(self, word: tuple[Piece, ...], *, follows_assignment: bool) -> None:
        if not word:
            # All of it was wrong, and has been told.
            return
        shown = "".join(piece.text for piece in word)[:40]
        if shown.startswith("="):
            message = "no blank may stand before ="
        elif follows_assignment:
            message = f"{shown!r} is not KEY=value; quote the whole value if it belongs to the one before"
        elif "=" in shown:
            message = f"{shown!r} does not begin with the name of a key"
        else:
            message = f"{shown!r} is a command; only KEY=value is allowed here, with no blank before ="
        self.text.problem(word[0].index, message)


def _plain(word: tuple[Piece, ...]) -> str:
    """Give the unquoted characters that begin a word; each is a piece of its own."""
    plain = ""
    for piece in word:
        if piece.quoted or piece.variable:
            break
        plain += piece.text
    return plain
