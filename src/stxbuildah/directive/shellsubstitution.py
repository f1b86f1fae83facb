# SPDX-License-Identifier: Apache-2.0
"""The longer forms inside a word: ``$'...'``, an encoded here-document, and a way past what needs a shell."""

import base64
import re

from stxbuildah.directive.shelltext import ShellText

_ANSI_C_ESCAPES = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_NUMBERED_ESCAPE = re.compile(r"(?P<octal>[0-7]{1,3})|x(?P<byte>[0-9A-Fa-f]{1,2})|[uU](?P<point>[0-9A-Fa-f]{1,8})")
_SHORT_POINT_DIGITS = 4
_LAST_ASCII = 0x7F
_LAST_CODE_POINT = 0x10FFFF

# $(base64 -w0 <<'END', the one substitution that real files hold: a quoted here-document is plain data.
_ENCODED_DOCUMENT = re.compile(
    r"\([ \t]*base64[ \t]+(?:-w[ \t]*0|--wrap[= ]0)[ \t]*<<(?P<tabs>-?)[ \t]*"
    r"(?:'(?P<single>[^'\n\\]+)'|\"(?P<double>[^\"\n\\$`]+)\"|\\(?P<bare>[A-Za-z0-9_]+))[ \t]*\n"
)
_CLOSING = re.compile(r"[ \t\n]*\)")
_CLOSING_ON_LINE = re.compile(r"[ \t]*\)")


def ansi_c_text(text: ShellText) -> str | None:
    """Read ``$'...'`` from its opening quote on, after "ANSI-C Quoting" in bash's manual.

    Returns:
        The characters it stands for; None after a mistake, which is noted.
    """
    opening = text.index
    text.take_raw()
    decoded = ""
    while (character := text.take_raw()) != "'":
        if not character:
            text.problem(opening - 1, "the quote that opens here is never closed")
            return None
        decoded += _escape(text) if character == "\\" else character
    return decoded


def _escape(text: ShellText) -> str:
    start = text.index - 1
    numbered = _NUMBERED_ESCAPE.match(text.text, text.index)
    if numbered is not None:
        return _numbered_escape(text, numbered, start)
    letter = text.take_raw()
    if letter == "c":
        return _control_character(text, start)
    # bash keeps the backslash of an escape that it does not know.
    return _ANSI_C_ESCAPES.get(letter, f"\\{letter}")


def _numbered_escape(text: ShellText, match: re.Match[str], start: int) -> str:
    digits, base = match[match.lastindex or 0], 8 if match["octal"] else 16
    if match["point"] and match[0][0] == "u":
        digits = digits[:_SHORT_POINT_DIGITS]
    value = int(digits, base)
    text.index = match.start() + (0 if match["octal"] else 1) + len(digits)
    last = _LAST_CODE_POINT if match["point"] else _LAST_ASCII
    if not 0 < value <= last or 0xD800 <= value <= 0xDFFF:  # noqa: PLR2004 # surrogates are no characters
        text.problem(start, "this escape stands for no single character: write the character itself")
        return ""
    return chr(value)


def _control_character(text: ShellText, start: int) -> str:
    letter = text.take_raw()
    if not ("@" < letter.upper() <= "_") or letter == "\\":
        text.problem(start, "this control character is not understood: write it as \\x and two digits")
        return ""
    return chr(ord(letter.upper()) & 0x1F)


def take_encoded_document(text: ShellText) -> str | None:
    """Read ``(base64 -w0 <<'END'``, its lines, ``END`` and ``)``.

    Returns:
        The base64 text of the lines; None, and no move, when something else stands here or ``END`` is missing.
    """
    head = _ENCODED_DOCUMENT.match(text.text, text.index)
    if head is None:
        return None
    delimiter = head["single"] or head["double"] or head["bare"]
    lines: list[str] = []
    index = head.end()
    while index < len(text.text):
        end = text.text.find("\n", index)
        end = len(text.text) if end < 0 else end
        line = text.text[index:end]
        line = line.lstrip("\t") if head["tabs"] else line
        # bash also takes END and the closing parenthesis on one line.
        closing = _CLOSING if line == delimiter else _CLOSING_ON_LINE
        if line.startswith(delimiter) and (closed := closing.match(text.text, end - len(line) + len(delimiter))):
            text.index = closed.end()
            content = "".join(f"{line}\n" for line in lines)
            return base64.b64encode(content.encode("utf-8", "surrogateescape")).decode("ascii")
        if line == delimiter:
            return None
        lines.append(line)
        index = end + 1
    return None


def skip_balanced(text: ShellText, opening: str, closing: str) -> None:
    """Move behind the bracket that closes the one at the present place, passing over quotes; else to the end."""
    depth = 0
    while character := text.take_raw():
        if character == "\\":
            text.take_raw()
        elif character == "'":
            text.take_until("'")
        elif character == '"':
            _skip_double_quotes(text)
        elif character == opening:
            depth += 1
        elif character == closing:
            depth -= 1
            if depth == 0:
                return


def _skip_double_quotes(text: ShellText) -> None:
    while (character := text.take_raw()) and character != '"':
        if character == "\\":
            text.take_raw()
