# SPDX-License-Identifier: Apache-2.0
"""Log events: lines for people, or JSON lines for machines, on standard error.

Events have stable dotted names (``update.layer.written``) and keywords. structlog costs about a fifth of a second to
import, so it is imported with the first event that is really shown; a command that shows none never pays for it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from typing import TextIO

import attrs


class Level(IntEnum):
    """How much is shown: each level shows its own events and all above it."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


@attrs.frozen(kw_only=True)
class LogSettings:
    """What is shown, and how.

    Attributes:
        level: the least important level that is shown.
        json: JSON lines in place of lines for people.
        colour: whether lines for people are coloured; None for terminals only.
        stream: where to write; standard error when None.
    """

    level: Level = Level.WARNING
    json: bool = False
    colour: bool | None = None
    stream: TextIO | None = attrs.field(default=None, eq=False)


_DEFAULT = LogSettings()
_settings: ContextVar[LogSettings] = ContextVar("stxbuildah_log_settings", default=_DEFAULT)
_bound: ContextVar[tuple[tuple[str, object], ...]] = ContextVar("stxbuildah_log_bound", default=())


@contextmanager
def configured(settings: LogSettings) -> Iterator[None]:
    """Show events by these settings inside the block. A thread started there needs a copy of the context."""
    token = _settings.set(settings)
    try:
        yield
    finally:
        _settings.reset(token)


@contextmanager
def bound(**keywords: object) -> Iterator[None]:
    """Add keywords to every event inside the block, as ``image=...``."""
    token = _bound.set((*_bound.get(), *keywords.items()))
    try:
        yield
    finally:
        _bound.reset(token)


def debug(event: str, **keywords: object) -> None:
    """Log what only someone who looks for a fault wants to see."""
    _emit(Level.DEBUG, event, keywords)


def info(event: str, **keywords: object) -> None:
    """Log what was decided or done; shown with ``-v``."""
    _emit(Level.INFO, event, keywords)


def warning(event: str, **keywords: object) -> None:
    """Log what the user should know though the work goes on."""
    _emit(Level.WARNING, event, keywords)


def _emit(level: Level, event: str, keywords: dict[str, object]) -> None:
    settings = _settings.get()
    if level < settings.level:
        return
    import structlog

    stream = settings.stream or sys.stderr
    renderer: structlog.typing.Processor
    if settings.json:
        renderer = structlog.processors.JSONRenderer(sort_keys=True, default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty() if settings.colour is None else settings.colour)
    logger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.BoundLogger,
    )
    logger.bind(**dict(_bound.get())).__getattr__(level.name.lower())(event, **keywords)
