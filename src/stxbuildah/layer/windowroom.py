# SPDX-License-Identifier: Apache-2.0
"""Room for the windows of zstd streams that are decompressed at the same time.

A decompressor keeps as many bytes of what it gave as the frame's window says. RFC 8878 (section 3.1.1.1.2) recommends
windows of up to 8 MiB, which is what images have nearly always; ``zstd --ultra --long=27`` makes some of 128 MiB.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with the size of each frame's window before the frame is decompressed.
Take = Callable[[int], None]

USUAL_WINDOW = 8 * 2**20
# All larger windows together. One that is larger than that is decompressed when there is no other of them.
_ROOM = 64 * 2**20


class WindowRoom:
    """Lets streams with large windows wait for each other; usual windows need no room.

    Args:
        size: bytes of large windows at the same time.
    """

    def __init__(self, size: int = _ROOM) -> None:
        self._size = size
        self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def stream(self) -> Iterator[Take]:
        """Give what takes room for one stream, which is used by one thread; at the block's end the room is free again.

        For the next window of the stream the room of the last one is given back before anything is waited for, so
        streams cannot wait for each other in a circle.
        """
        held = 0

        def take(window: int) -> None:
            nonlocal held
            needed = min(window, self._size) if window > USUAL_WINDOW else 0
            if needed == held:
                return
            with self._changed:
                self._free += held
                held = 0
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._free >= needed)
                self._free -= needed
                held = needed

        try:
            yield take
        finally:
            take(0)


def take_nothing(window: int) -> None:
    """Let a stream that is alone have any window."""
    del window
