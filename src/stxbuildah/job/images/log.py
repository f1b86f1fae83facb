# SPDX-License-Identifier: Apache-2.0
"""The building of one image, as it is followed: its log file, its steps and how long they took."""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import attrs

_TAIL = 20


@attrs.define(kw_only=True, eq=False)
class BuildLog:
    """Writes what the programs of one build say to a file, and remembers the steps.

    Attributes:
        file: the log, which is begun anew.
        on_step: told of each step when it begins.
    """

    file: Path
    on_step: Callable[[str], None]
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _stream: TextIO | None = attrs.field(default=None, init=False)
    _tail: deque[str] = attrs.field(factory=lambda: deque(maxlen=_TAIL), init=False)
    _steps: list[tuple[str, float]] = attrs.field(factory=list, init=False)

    def line(self, text: str) -> None:
        """Write a line of a program."""
        with self._lock:
            self._tail.append(text)
            if self._stream is None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self.file.open("w", encoding="utf-8", errors="replace", buffering=1)
            self._stream.write(f"{text}\n")

    def step(self, name: str) -> None:
        """Note that a step begins, which ends the one before."""
        self._steps.append((name, time.monotonic()))
        self.line(f"==> {name}")
        self.on_step(name)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines."""
        with self._lock:
            return tuple(self._tail)

    @property
    def seconds(self) -> tuple[tuple[str, float], ...]:
        """The steps in order, with the time that each has taken."""
        ends = [*(begin for _, begin in self._steps[1:]), time.monotonic()]
        return tuple((name, end - begin) for (name, begin), end in zip(self._steps, ends, strict=False))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                self._stream = None
