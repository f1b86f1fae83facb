# SPDX-License-Identifier: Apache-2.0
"""Words of a Containerfile's instructions: quotes, escapes, and variables with their defaults.

The rules are those of "Environment replacement" in Docker's reference of Dockerfiles.
"""

from collections.abc import Mapping

import attrs

_BLANKS = " \t\r\n\f\v"


def split_words(text: str, escape: str) -> list[str]:
    """Split at blanks that are not quoted or escaped; quotes and escapes stay where they are."""
    words: list[str] = []
    word, quote, position = "", "", 0
    while position < len(text):
        letter = text[position]
        if letter == escape and quote != "'" and position + 1 < len(text):
            word += text[position : position + 2]
            position += 2
            continue
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        if letter in _BLANKS and not quote:
            if word:
                words.append(word)
            word = ""
        else:
            word += letter
        position += 1
    return [*words, word] if word else words


def unquoted(word: str, escape: str) -> str:
    """Give a word without its quotes and escapes; variables stay as they are written."""
    return _Expander(text=word, escape=escape, variables=None).expanded()


def expanded(word: str, variables: Mapping[str, str], escape: str) -> str:
    """Give a word without quotes and escapes, its variables replaced; one that is not set is empty.

    Args:
        word: as it is written.
        variables: those that are set.
        escape: the file's escape character.
    """
    return _Expander(text=word, escape=escape, variables=variables).expanded()


@attrs.define(kw_only=True)
class _Expander:
    """Goes through a text once.

    Attributes:
        variables: None to leave variables as they are written.
    """

    text: str
    escape: str
    variables: Mapping[str, str] | None
    _at: int = 0

    def expanded(self, until: str = "") -> str:
        """Give what the text means, up to a letter that is not quoted, or to the end."""
        result = ""
        while self._at < len(self.text) and not (until and self.text[self._at] == until):
            letter = self.text[self._at]
            if letter == "'":
                result += self._single()
            elif letter == '"':
                result += self._double()
            elif letter == self.escape:
                result += self.text[self._at + 1 : self._at + 2]
                self._at += 2
            elif letter == "$" and self.variables is not None:
                result += self._variable(self.variables)
            else:
                result += letter
                self._at += 1
        return result

    def _single(self) -> str:
        end = self.text.find("'", self._at + 1)
        end = len(self.text) if end < 0 else end
        inner = self.text[self._at + 1 : end]
        self._at = end + 1
        return inner

    def _double(self) -> str:
        result = ""
        self._at += 1
        while self._at < len(self.text) and self.text[self._at] != '"':
            letter = self.text[self._at]
            following = self.text[self._at + 1 : self._at + 2]
            if letter == self.escape and following and following in f'"${self.escape}':
                result += following
                self._at += 2
            elif letter == "$" and self.variables is not None:
                result += self._variable(self.variables)
            else:
                result += letter
                self._at += 1
        self._at += 1
        return result

    def _variable(self, variables: Mapping[str, str]) -> str:
        """Take ``$NAME`` or ``${NAME...}``; a dollar sign before anything else is itself."""
        self._at += 1
        if self.text[self._at : self._at + 1] != "{":
            name = self._name()
            return variables.get(name, "") if name else "$"
        self._at += 1
        name = self._name()
        operator = self._operator()
        # What may be quoted, and hold variables of its own.
        word = self.expanded(until="}")
        self._at += 1
        value = variables.get(name, "")
        counts = bool(value) if operator.startswith(":") else name in variables
        if operator.endswith("+"):
            return word if counts else ""
        return word if operator.endswith("-") and not counts else value

    def _name(self) -> str:
        begin = self._at
        while self._at < len(self.text) and _is_of_name(self.text[self._at], first=self._at == begin):
            self._at += 1
        return self.text[begin : self._at]

    def _operator(self) -> str:
        for operator in (":-", ":+", ":?", "-", "+", "?"):
            if self.text.startswith(operator, self._at):
                self._at += len(operator)
                return operator
        return ""


def _is_of_name(letter: str, *, first: bool) -> bool:
    return letter == "_" or (letter.isascii() and letter.isalpha()) or (not first and letter in "0123456789")
