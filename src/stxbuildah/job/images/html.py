# SPDX-License-Identifier: Apache-2.0
"""HTML that is made of elements: whatever is no element itself is text, and is escaped."""

import html
import re

# What steers a terminal, what HTML has no character for, and what would show a text in another order than it has.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """A piece of HTML, which needs no escaping any more; made by ``element`` alone."""

    __slots__ = ()


def escaped(text: str) -> Html:
    """Give a text as HTML; a terminal's colours go, and other characters that are not shown are spelled out."""
    plain = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", _COLOUR.sub("", text))
    return Html(html.escape(plain))


def element(tag: str, *content: str, **attributes: str) -> Html:
    """Make an element.

    Args:
        tag: its name.
        content: what is in it: elements, and texts, which are escaped.
        attributes: by their names; an underscore at the end is dropped, others are dashes. Values are escaped.
    """
    named = "".join(f' {name.rstrip("_").replace("_", "-")}="{escaped(value)}"' for name, value in attributes.items())
    inside = "".join(part if isinstance(part, Html) else escaped(part) for part in content)
    return Html(f"<{tag}{named}>{inside}</{tag}>")


def joined(*parts: Html) -> Html:
    """Put pieces one behind the other."""
    return Html("".join(parts))
