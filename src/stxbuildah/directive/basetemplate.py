# SPDX-License-Identifier: Apache-2.0
"""Templates of package lists, with ``@NAME@`` where a value of the build goes."""

import re
from collections.abc import Iterable, Mapping

from stxbuildah.errors import Problem
from stxbuildah.model.baseplan import Template

_TOKEN = re.compile(r"@([A-Z][A-Z0-9_]*)@")
# What a file is the template of, by its name without ``.in``: the replaced script's names, and those shipped here.
_FIELDS = {
    "debian.sources.list": "debian_list",
    "debian.list": "debian_list",
    "stx.sources.list": "stx_list",
    "stx.list": "stx_list",
    "layer.sources.list": "layer_list",
    "layer.list": "layer_list",
    "stx.preferences.part": "preferences",
    "stx.preferences": "preferences",
}
KNOWN_NAMES = tuple(f"{name}.in" for name in _FIELDS)


def template_field(name: str) -> str:
    """Give the field of ``BaseTemplates`` that a file of this name is meant for; empty for an unknown name."""
    return _FIELDS.get(name.removesuffix(".in"), "")


def has_token(template: Template, name: str) -> bool:
    """Tell whether a template asks for a value."""
    return f"@{name}@" in template.text


def filled_lines(template: Template, values: Mapping[str, str], problems: list[Problem]) -> tuple[str | None, ...]:
    """Fill a template in, line by line.

    Args:
        template: the template.
        values: value by token; an empty one is none.
        problems: gets one problem for each token of a user's own template that has no value.

    Returns:
        The lines in their order, without their ends; None for each whose token has no value.
    """
    lines: list[str | None] = []
    for number, line in enumerate(template.text.splitlines(), 1):
        missing = [match for match in _TOKEN.finditer(line) if not values.get(match[1])]
        if template.given:
            known = ", ".join(sorted(name for name, value in values.items() if value))
            problems += [
                Problem(
                    template.source,
                    f"{match[0]} has no value: set {match[1]} in the environment or by --var {match[1]}=VALUE"
                    f" (known here: {known})",
                    number,
                    match.start() + 1,
                )
                for match in missing
            ]
        lines.append(None if missing else _TOKEN.sub(lambda match: values[match[1]], line))
    return tuple(lines)


def filled(template: Template, values: Mapping[str, str], problems: list[Problem]) -> str:
    """Fill a template in; a line whose token has no value is left out. See ``filled_lines``."""
    return joined(line for line in filled_lines(template, values, problems) if line is not None)


def joined(lines: Iterable[str]) -> str:
    """Give a text of lines."""
    return "".join(f"{line}\n" for line in lines)


def is_entry(line: str | None) -> bool:
    """Tell whether a line of a list says something: it is neither empty nor a comment, nor left out."""
    return bool(line and line.strip() and not line.lstrip().startswith("#"))
