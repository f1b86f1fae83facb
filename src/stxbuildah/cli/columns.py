# SPDX-License-Identifier: Apache-2.0
"""Tables for people, and lists for machines."""

import json
import re
from collections.abc import Mapping, Sequence

import click

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

FORMAT = click.option(
    "--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True,
    help="How it is told.",
)  # fmt: skip

TEXT_OR_JSON = click.option(
    "--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="How it is told.",
)  # fmt: skip

# Where the result is one thing, and what is told besides goes to standard error.
RESULT_FORMAT = click.option(
    "--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="Form of the result on standard output.",
)  # fmt: skip


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write rows in columns as wide as their widest cell; the last column takes what it needs."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

    return "\n".join([click.style(line(header), bold=True), *map(line, rows)])


def printable(text: str) -> str:
    """Give a text of a file without the characters that steer a terminal; line ends and tabs stay."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def as_json(values: Sequence[Mapping[str, object]]) -> str:
    """Write a list of objects."""
    return json.dumps(list(values), indent=2, ensure_ascii=False)
