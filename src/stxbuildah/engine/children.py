# SPDX-License-Identifier: Apache-2.0
"""The programs that the threads of a run have started, so that one thread can end them all.

Only the main thread hears of a signal, and a terminal's interrupt would end programs before anybody knows why. So the
programs of a run are started in process groups of their own, which no terminal reaches, and are ended from here.
"""

import signal
import threading
import time
from collections.abc import Callable
from weakref import WeakSet

import attrs

from stxbuildah.engine.leftover import killed_after
from stxbuildah.engine.process import Child, ends_within, signal_group
from stxbuildah.errors import InterruptedByUserError


@attrs.define(eq=False)
class Children:
    """Programs that are ended together; each leads a process group."""

    _living: "WeakSet[Child]" = attrs.field(factory=WeakSet, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    @property
    def ended(self) -> bool:
        """Whether they were ended; no more is started then."""
        return self._ended

    def start(self, start: Callable[[], Child]) -> Child:
        """Start one more.

        Args:
            start: starts it, as the leader of a process group.

        Raises:
            InterruptedByUserError: they were ended.
        """
        with self._lock:
            self.check()
            child = start()
            self._living.add(child)
            return child

    def check(self) -> None:
        """Raise when they were ended.

        Raises:
            InterruptedByUserError: so they were.
        """
        if self._ended:
            raise InterruptedByUserError("it was ended together with the run")

    def end(self, grace: float = 20.0) -> None:
        """End all that run, with what they have started themselves; from now on no more is started.

        Only the leaders are asked to end: buildah then ends its container, which is in no group of ours. What has not
        gone by the end of their time is killed, in containers too.

        Args:
            grace: seconds that they have to go by themselves.
        """
        with self._lock:
            self._ended = True
            living = [child for child in self._living if child.poll() is None]
        with killed_after([child.pid for child in living]):
            for child in living:
                child.terminate()
            until = time.monotonic() + grace
            late = [child for child in living if not ends_within(child, max(0.0, until - time.monotonic()))]
        for child in late:
            signal_group(child, signal.SIGKILL)
