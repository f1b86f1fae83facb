# SPDX-License-Identifier: Apache-2.0
"""How a run of images is followed: a table on a terminal, else a line for each change."""

import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from stxbuildah.cli.columns import printable
from stxbuildah.cli.wheelsreport import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console, ConsoleOptions, RenderResult

    from stxbuildah.model.imagesrun import ImageProgress

# The states in the order in which they are worth a row, each with its colour: when not all fit, the last ones go.
_COLOURS = {
    "building": "blue",
    "pushing": "magenta",
    "failed": "red",
    "push failed": "red",
    "left out": "yellow",
    "waiting": "white",
    "built": "green",
    "unchanged": "cyan",
}
_RANKS = {state: rank for rank, state in enumerate(_COLOURS)}
_UNDER_WAY = frozenset({"building", "pushing"})
# Lines of the table that are no image: the counts, what is not shown, and one for the cursor.
_OTHER_LINES = 3
_UPDATES_PER_SECOND = 4


@contextmanager
def shown(*, quiet: bool, verbose: bool = False) -> "Iterator[Callable[[ImageProgress], None]]":
    """Show on standard error, for the time of the block, what it tells of; from any thread.

    Args:
        quiet: show nothing.
        verbose: show lines also on a terminal, each step too, so that log events stand between them.

    Returns:
        The function to tell.
    """
    if quiet:
        yield lambda _: None
    elif verbose or not sys.stderr.isatty():
        yield _Lines(steps=verbose).tell
    else:
        from rich.console import Console
        from rich.live import Live

        table = Table()
        console = Console(stderr=True, highlight=False)
        with Live(table, console=console, refresh_per_second=_UPDATES_PER_SECOND, transient=True):
            yield table.tell


class _Lines:
    """Writes a line for each change.

    Args:
        steps: also for each step.
    """

    def __init__(self, *, steps: bool) -> None:
        self._steps = steps
        self._states: dict[str, str] = {}
        self._lock = threading.Lock()

    def tell(self, now: "ImageProgress") -> None:
        """Write what happened, unless it is nothing new."""
        state = now.state.value
        with self._lock:
            new = self._states.get(now.label) != state
            self._states[now.label] = state
            if not new and not (now.step and self._steps):
                return
            if state == "waiting" and not now.reason:
                return
            step = now.step if self._steps else ""
            said = ": ".join(_first_line(text) for text in (now.label, step, now.reason) if text)
            click.echo(f"{clock(now.seconds)} {click.style(state, fg=_COLOURS[state])} {said}", err=True)


class Table:
    """Shows all images with their states, those that something happens to first; a renderable of rich."""

    def __init__(self) -> None:
        self._images: dict[str, ImageProgress] = {}
        self._begun: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._lock = threading.Lock()
        self._begin = time.monotonic()

    def tell(self, now: "ImageProgress") -> None:
        """Take note of what happened."""
        with self._lock:
            self._images[now.label] = now
            self._ended.pop(now.label, None)
            if now.state.value in _UNDER_WAY:
                self._begun.setdefault(now.label, time.monotonic())
            elif now.label in self._begun:
                self._ended[now.label] = time.monotonic()

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """Give as many rows as fit, and say of how many there is no row."""
        from rich.text import Text

        with self._lock:
            images = sorted(self._images.values(), key=lambda now: (_RANKS[now.state.value], now.label))
            elapsed = {
                label: clock(self._ended.get(label, time.monotonic()) - begun) for label, begun in self._begun.items()
            }

        def line(*parts: tuple[str, str]) -> Text:
            return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")

        yield line((f"{clock(time.monotonic() - self._begin)}  {_counts(images) or 'looking for images'}", "bold"))
        room = max(1, (options.height or console.size.height) - _OTHER_LINES)
        rows = images[:room]
        states = max((len(now.state.value) for now in rows), default=0)
        labels = min(max((len(now.label) for now in rows), default=0), options.max_width // 3)
        for now in rows:
            state, label = now.state.value, printable(now.label)
            shortened = label if len(label) <= labels else f"{label[: labels - 1]}…"
            said = _first_line(now.step) or _first_line(now.reason)
            rest = f"  {shortened:<{labels}}  {elapsed.get(now.label, ''):>5}  {said}"
            yield line((f"{state:<{states}}", _COLOURS[state]), (rest, ""))
        if images[room:]:
            yield line((f"and {_counts(images[room:])}", "dim"))


def _counts(images: "list[ImageProgress]") -> str:
    counts = Counter(now.state.value for now in images)
    return ", ".join(f"{counts[state]} {state}" for state in _COLOURS if counts[state])


def _first_line(text: str) -> str:
    return printable(text.split("\n", 1)[0].replace("\t", " "))
