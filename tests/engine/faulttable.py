# SPDX-License-Identifier: Apache-2.0
"""The table of docs/faults.md: what a fault is called there, and the line that a test run makes of what it saw."""

import os
import re
from pathlib import Path

import attrs

PAGE = Path(__file__).parents[2] / "docs/faults.md"
HEAD = "| what happens | what `stxb` does | requests | exit | what it says | what to do |"
# Set it to have the page written anew; else it is compared.
WRITE = "STXB_WRITE_FAULTS"


@attrs.frozen(kw_only=True)
class Seen:
    """What became of a command.

    Attributes:
        requests: how often the request was sent that the fault strikes; 0 where the fault is none of a request's.
        status: exit status.
        said: what it wrote on standard error.
        replaced: patterns of what differs from run to run, and what stands for it in the table.
    """

    requests: int
    status: int
    said: str
    replaced: tuple[tuple[str, str], ...] = ()

    def told(self, mark: str) -> str:
        """Give what follows a mark, as ``error:``, on its line; empty when there is no such line."""
        found = re.search(rf"^{mark} (.*)$", self.said, re.MULTILINE)
        text = found[1] if found else ""
        for pattern, word in self.replaced:
            text = re.sub(pattern, word, text)
        return text


def line(happens: str, does: str, seen: Seen) -> str:
    """Give the line of the table for a fault."""
    cells = [
        happens,
        does,
        str(seen.requests or "-"),
        str(seen.status),
        seen.told("error:"),
        seen.told("hint:"),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") or "-" for cell in cells) + " |"


def check(happens: str, does: str, seen: Seen) -> None:
    """Make sure that the page has this line; or write it, when ``STXB_WRITE_FAULTS`` is set."""
    wanted = line(happens, does, seen)
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    if os.environ.get(WRITE) and wanted not in lines:
        same = [number for number, old in enumerate(lines) if old.startswith(f"| {happens} |")]
        if same:
            lines[same[0]] = wanted
        else:
            lines.insert(_end(lines), wanted)
        PAGE.write_text("\n".join([*lines, ""]), encoding="utf-8")
    assert wanted in lines, f"docs/faults.md lacks this line; {WRITE}=1 writes it:\n{wanted}"


def faults_of_the_page() -> list[str]:
    """Give the first cell of each line of the page's table."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [text.split("|")[1].strip() for text in lines[lines.index(HEAD) + 2 : _end(lines)]]


def _end(lines: list[str]) -> int:
    number = lines.index(HEAD)
    while number < len(lines) and lines[number].startswith("|"):
        number += 1
    return number
