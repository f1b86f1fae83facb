# SPDX-License-Identifier: Apache-2.0
"""Ignore files of build contexts (``.dockerignore``, ``.containerignore``): which paths a build does not see.

The rules are those of Docker's reference ("dockerignore file"): Go's ``filepath.Match`` with ``**``, a pattern holds
for everything below what it matches, and of several patterns the last one that matches counts.
"""

import posixpath
import re

import attrs

from stxbuildah.model.value import Value


@attrs.frozen(kw_only=True)
class IgnorePattern(Value):
    """One line of an ignore file.

    Attributes:
        expression: matches a whole path, or one above it.
        excepted: paths that match are seen after all (``!``).
    """

    expression: re.Pattern[str]
    excepted: bool


@attrs.frozen(kw_only=True)
class IgnoreFile(Value):
    """The patterns of an ignore file, in order."""

    patterns: tuple[IgnorePattern, ...] = ()

    @property
    def excepts(self) -> bool:
        """Whether something may be seen below what is ignored."""
        return any(pattern.excepted for pattern in self.patterns)

    def ignores(self, path: str) -> bool:
        """Tell whether a build does not see a path.

        Args:
            path: relative to the context, with slashes, without a dot in front.
        """
        if not self.patterns:
            return False
        ignored = False
        parts = path.split("/")
        prefixes = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        for pattern in self.patterns:
            if pattern.excepted is ignored and any(pattern.expression.fullmatch(prefix) for prefix in prefixes):
                ignored = not pattern.excepted
        return ignored


def read_ignore_file(text: str) -> IgnoreFile:
    """Read an ignore file; a line that is no pattern matches nothing."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        word = line.strip()
        excepted = word.startswith("!")
        cleaned = posixpath.normpath(word.removeprefix("!").strip() or ".").lstrip("/")
        try:
            expression = re.compile(_expression(cleaned))
        except re.error:
            continue
        patterns.append(IgnorePattern(expression=expression, excepted=excepted))
    return IgnoreFile(patterns=tuple(patterns))


def _expression(pattern: str) -> str:
    """Give the regular expression of a pattern, as Docker's pattern matcher makes it."""
    result, at = "", 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if pattern.startswith("**", at - 1):
            at += 1
            at += pattern.startswith("/", at)
            result += "(?:.*/)?" if at < len(pattern) else ".*"
        elif letter == "*":
            result += "[^/]*"
        elif letter == "?":
            result += "[^/]"
        elif letter == "[" and (end := pattern.find("]", at + 1)) > 0:
            inner = (
                pattern[at:end].replace("[", r"\[").replace("&&", r"&\&").replace("||", r"|\|").replace("~~", r"~\~")
            )
            result += f"[{inner}]"
            at = end + 1
        elif letter == "\\" and at < len(pattern):
            result += re.escape(pattern[at])
            at += 1
        else:
            result += re.escape(letter)
    return f"(?s:{result})"
