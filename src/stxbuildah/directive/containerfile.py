# SPDX-License-Identifier: Apache-2.0
"""Containerfiles, read and never carried out.

The format is that of Docker's reference (docs.docker.com/reference/dockerfile): parser directives, comments, lines
continued by an escape character, and here-documents of RUN, COPY and ADD, as BuildKit's parser takes them.
"""

import re
from collections.abc import Iterator

import attrs

from stxbuildah.directive.containerwords import split_words, unquoted
from stxbuildah.errors import Problem
from stxbuildah.model.containerfile import Containerfile, HereDocument, Instruction

_DIRECTIVE = re.compile(r"#\s*(?P<name>[A-Za-z][A-Za-z0-9]*)\s*=\s*(?P<value>.+?)\s*")
_DIRECTIVES = frozenset({"syntax", "escape", "check"})
_ESCAPES = ("\\", "`")
_HERE_DOCUMENT = re.compile(r"[0-9]*<<(?P<strip>-?)(?P<word>[^<]+)")
_WITH_HERE_DOCUMENTS = frozenset({"RUN", "COPY", "ADD"})
_BLANKS = " \t\r\f\v"


def read_containerfile(text: str, source: str) -> Containerfile:
    """Read a Containerfile.

    Args:
        text: the whole file.
        source: what messages call it.

    Returns:
        Its instructions, and what could not be read.
    """
    lines = tuple(line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n"))
    reader = _Reader(lines=lines, source=source)
    instructions = tuple(reader.instructions())
    return Containerfile(lines=lines, escape=reader.escape, instructions=instructions, problems=tuple(reader.problems))


@attrs.define(kw_only=True)
class _Reader:
    """Takes a Containerfile's lines one after the other."""

    lines: tuple[str, ...]
    source: str
    escape: str = _ESCAPES[0]
    problems: list[Problem] = attrs.field(factory=list)
    _next: int = 0

    def instructions(self) -> Iterator[Instruction]:
        """Give the instructions in order."""
        self._parser_directives()
        while self._next < len(self.lines):
            first = self._next
            joined = self._joined().strip(_BLANKS)
            if not joined:
                continue
            name, _, rest = _partition(joined)
            arguments = rest.strip(_BLANKS)
            documents = tuple(self._here_documents(name.upper(), arguments, first + 1))
            yield Instruction(
                name=name.upper(), arguments=arguments, first=first + 1, last=self._next, here_documents=documents
            )

    def _parser_directives(self) -> None:
        """Take the lines ``# name=value`` at the very top; any other line ends them."""
        for number, line in enumerate(self.lines, 1):
            match = _DIRECTIVE.fullmatch(line.strip(_BLANKS))
            if match is None or match["name"].lower() not in _DIRECTIVES:
                return
            if match["name"].lower() == "escape":
                if match["value"] in _ESCAPES:
                    self.escape = match["value"]
                else:
                    self.problems.append(Problem(self.source, "escape is neither \\ nor `", number))

    def _joined(self) -> str:
        """Take one line with those that continue it; comments and empty lines between them are nothing."""
        continued = re.compile(rf"(?:^|[^{re.escape(self.escape)}]){re.escape(self.escape)}[ \t]*$")
        parts: list[str] = []
        while self._next < len(self.lines):
            line = self.lines[self._next]
            self._next += 1
            stripped = line.strip(_BLANKS)
            if stripped.startswith("#") or (parts and not stripped):
                if not parts:
                    break
                continue
            if continued.search(line) is None:
                parts.append(line)
                break
            parts.append(line.rstrip(" \t")[:-1])
        return "".join(parts)

    def _here_documents(self, name: str, arguments: str, line: int) -> Iterator[HereDocument]:
        if name == "ONBUILD":
            name, _, arguments = _partition(arguments)
        if name.upper() not in _WITH_HERE_DOCUMENTS:
            return
        for word in split_words(arguments, self.escape):
            match = _HERE_DOCUMENT.fullmatch(word)
            delimiter = unquoted(match["word"], self.escape) if match else ""
            if match is None or not delimiter:
                continue
            content = self._lines_until(delimiter, strip=bool(match["strip"]))
            if content is None:
                self.problems.append(Problem(self.source, f"the here-document {word} has no end", line))
                return
            yield HereDocument(delimiter=delimiter, content=content, expands=delimiter == match["word"], word=word)

    def _lines_until(self, delimiter: str, *, strip: bool) -> str | None:
        taken: list[str] = []
        while self._next < len(self.lines):
            line = self.lines[self._next].lstrip("\t") if strip else self.lines[self._next]
            self._next += 1
            if line == delimiter:
                return "".join(taken)
            taken.append(f"{line}\n")
        return None


def _partition(text: str) -> tuple[str, str, str]:
    """Give the first word, the blank after it, and the rest."""
    match = re.match(rf"[^{_BLANKS}]+", text)
    end = match.end() if match else 0
    return text[:end], text[end : end + 1], text[end + 1 :]
