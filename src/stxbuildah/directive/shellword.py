# SPDX-License-Identifier: Apache-2.0
"""One word of a shell-style file: quotes, backslashes and variables, after the Quoting chapter of bash's manual.

A word becomes pieces. Nothing is executed: what would need a shell is a mistake, told with its place.
"""

import re

import attrs

from stxbuildah.directive.shellsubstitution import ansi_c_text, skip_balanced, take_encoded_document
from stxbuildah.directive.shelltext import ShellText

WORD_ENDS = frozenset(" \t\n;&|()<>")
WRITE_OUT = "this file is read, not executed: write the value out"
_ESCAPED_IN_DOUBLE_QUOTES = frozenset('$`"\\')
_PLAIN_IN_DOUBLE_QUOTES = re.compile(r'[^"\\$`]+')
_NAME_START = re.compile(r"[A-Za-z_]", re.ASCII)
_NAME_PART = re.compile(r"[A-Za-z0-9_]", re.ASCII)
_SPECIAL_PARAMETERS = frozenset("0123456789@*#?-$!")

# Variables that bash sets by itself ("Shell Variables" in its manual): a file that uses them needs that shell.
SHELL_VARIABLES = frozenset(
    {
        "_", "BASH", "BASHOPTS", "BASHPID", "BASH_ALIASES", "BASH_ARGC", "BASH_ARGV", "BASH_ARGV0", "BASH_CMDS",
        "BASH_COMMAND", "BASH_COMPAT", "BASH_EXECUTION_STRING", "BASH_LINENO", "BASH_LOADABLES_PATH",
        "BASH_MONOSECONDS", "BASH_REMATCH", "BASH_SOURCE", "BASH_SUBSHELL", "BASH_TRAPSIG", "BASH_VERSINFO",
        "BASH_VERSION", "COMP_WORDBREAKS", "DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME",
        "GLOBSORT", "GROUPS", "HISTCMD", "HOME", "HOSTNAME", "HOSTTYPE", "IFS", "LINENO", "MACHTYPE", "OLDPWD",
        "OPTARG", "OPTERR", "OPTIND", "OSTYPE", "PATH", "PIPESTATUS", "POSIXLY_CORRECT", "PPID", "PS1", "PS2", "PS4",
        "PWD", "RANDOM", "SECONDS", "SHELL", "SHELLOPTS", "SHLVL", "SRANDOM", "TERM", "UID",
    }
)  # fmt: skip


@attrs.frozen
class Piece:
    """A part of a word.

    Attributes:
        text: the characters, or a variable's name.
        index: where it begins in the file.
        quoted: whether quotes or a backslash make it literal.
        variable: whether ``text`` names a variable.
    """

    text: str
    index: int
    quoted: bool = False
    variable: bool = False


def read_word(text: ShellText) -> tuple[Piece, ...]:
    """Read a word up to the blank or operator that ends it; the mistakes in it are noted in ``text``."""
    pieces: list[Piece] = []
    while (character := text.peek()) and character not in WORD_ENDS:
        start = text.index
        if character == "\\":
            pieces.append(_backslash(text))
        elif character == "'":
            pieces.append(_single_quotes(text))
        elif character == '"':
            pieces.extend(_double_quotes(text))
        elif character == "$":
            pieces.extend(_dollar(text, in_quotes=False))
        elif character == "`":
            _backquotes(text)
        else:
            if character == "\r":
                text.problem(start, "a carriage return: save the file with Unix line ends")
            pieces.append(Piece(text.take(), start))
    return tuple(pieces)


def _backslash(text: ShellText) -> Piece:
    start = text.index
    text.take_raw()
    escaped = text.take_raw()
    if not escaped:
        text.problem(start, "a backslash ends the file")
    return Piece(escaped, start, quoted=True)


def _single_quotes(text: ShellText) -> Piece:
    start = text.index
    text.take_raw()
    content = text.take_until("'")
    if content is None:
        text.problem(start, "the single quote that opens here is never closed")
    return Piece(content or "", start, quoted=True)


def _double_quotes(text: ShellText) -> tuple[Piece, ...]:
    opening = text.index
    text.take_raw()
    pieces = [Piece("", opening, quoted=True)]
    while (character := text.peek()) != '"':
        start = text.index
        if not character:
            text.problem(opening, "the double quote that opens here is never closed")
            break
        if character == "$":
            pieces.extend(attrs.evolve(piece, quoted=True) for piece in _dollar(text, in_quotes=True))
        elif character == "`":
            _backquotes(text)
        elif character == "\\":
            text.take_raw()
            escaped = text.take_raw()
            kept = "" if escaped in _ESCAPED_IN_DOUBLE_QUOTES else "\\"
            pieces.append(Piece(kept + escaped, start, quoted=True))
        else:
            plain = _PLAIN_IN_DOUBLE_QUOTES.match(text.text, start)
            pieces.append(Piece(plain[0] if plain else character, start, quoted=True))
            text.index += len(pieces[-1].text)
    text.take_raw()
    return tuple(pieces)


def _dollar(text: ShellText, *, in_quotes: bool) -> tuple[Piece, ...]:
    start = text.index
    text.take_raw()
    following = text.peek()
    pieces: tuple[Piece, ...] = ()
    if _NAME_START.fullmatch(following):
        pieces = _variable(text, start, _take_name(text))
    elif following == "{":
        pieces = _braces(text, start)
    elif following == "(":
        pieces = _parentheses(text, start)
    elif following == "[":
        text.problem(start, f"arithmetic needs a shell; {WRITE_OUT}")
        skip_balanced(text, "[", "]")
    elif following == "'" and not in_quotes:
        pieces = _ansi_c(text, start)
    elif following == '"' and not in_quotes:
        # Text to be translated: without a catalogue bash leaves it as it is.
        pieces = _double_quotes(text)
    elif following and following in _SPECIAL_PARAMETERS:
        text.problem(start, f"${text.take()} needs a shell; {WRITE_OUT}")
    else:
        pieces = (Piece("$", start),)
    return pieces


def _variable(text: ShellText, start: int, name: str) -> tuple[Piece, ...]:
    if name in SHELL_VARIABLES:
        text.problem(start, f"${name} is set by a shell; {WRITE_OUT}")
        return ()
    return (Piece(name, start, variable=True),)


def _take_name(text: ShellText) -> str:
    name = ""
    while _NAME_PART.fullmatch(text.peek()):
        name += text.take()
    return name


def _braces(text: ShellText, start: int) -> tuple[Piece, ...]:
    opening = text.index
    text.take()
    if _NAME_START.fullmatch(text.peek()):
        name = _take_name(text)
        if text.peek() == "}":
            text.take()
            return _variable(text, start, name)
    text.problem(start, f"only ${{NAME}} is understood here; {WRITE_OUT}")
    text.index = opening
    skip_balanced(text, "{", "}")
    return ()


def _parentheses(text: ShellText, start: int) -> tuple[Piece, ...]:
    document = take_encoded_document(text)
    if document is not None:
        return (Piece(document, start, quoted=True),)
    opening = text.index
    what = "arithmetic" if text.text.startswith("((", opening) else "a command substitution"
    text.problem(start, f"{what} needs a shell; {WRITE_OUT}")
    skip_balanced(text, "(", ")")
    return ()


def _ansi_c(text: ShellText, start: int) -> tuple[Piece, ...]:
    decoded = ansi_c_text(text)
    return () if decoded is None else (Piece(decoded, start, quoted=True),)


def _backquotes(text: ShellText) -> None:
    start = text.index
    text.problem(start, f"a command substitution needs a shell; {WRITE_OUT}")
    text.take_raw()
    while (character := text.take_raw()) != "`":
        if character == "\\":
            text.take_raw()
        elif not character:
            text.problem(start, "the backquote that opens here is never closed")
            return
