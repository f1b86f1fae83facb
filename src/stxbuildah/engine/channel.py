# SPDX-License-Identifier: Apache-2.0
"""The conversation with a process inside a user namespace: questions, answers, and its end."""

import threading
from collections import deque
from collections.abc import Generator
from contextlib import suppress

from stxbuildah.engine.inside.wire import FAULT, LAST, MORE, REQUEST, VERSION, Fields, receive, send
from stxbuildah.engine.process import TAIL_LINES, Child, describe_exit, shut_down
from stxbuildah.errors import BuildError, DiskFullError, HostError, StxbError

_GRACE = 5.0  # seconds it may take to unmount the container
_ENOSPC, _EDQUOT = 28, 122


class Refused(Exception):  # noqa: N818 # an answer, not an error of ours
    """The other side could not do it."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.text = text

    def error(self, what: str) -> StxbError:
        """Give the error for the user."""
        if self.number in {_ENOSPC, _EDQUOT}:
            return DiskFullError(f"{what}: no space is left in the image store ({self.text})")
        return BuildError(f"{what}: {self.text}")


class Channel:
    """Talks to one process; whoever sends more than one message in a row holds the lock.

    Attributes:
        child: the process.
        lock: held by whoever asks.
        closed: nothing more can be asked.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.lock = threading.RLock()
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._drain = threading.Thread(target=self._collect, daemon=True)
        self._drain.start()
        self.closed = False
        self._forgotten: deque[bytes] = deque()
        try:
            hello = self._receive()
        except BaseException:
            self.close()
            raise
        if hello != (LAST, [VERSION]):
            self.close()
            raise HostError("the process that reads containers speaks another version; reinstall stxbuildah")

    def forget(self, handle: bytes) -> None:
        """Note that an open file is no longer needed; told with the next question.

        Safe in a finalizer, which may run in the midst of another question.
        """
        self._forgotten.append(handle)

    def exchange(self, *question: bytes) -> Generator[Fields, None, None]:
        """Ask one question and give its answers as they come; the caller holds the lock.

        Raises:
            Refused: the process could not do it.
            HostError: the process has gone.
        """
        status = MORE
        try:
            while self._forgotten:
                self.send([b"close", self._forgotten.popleft()])
            self.send(list(question))
            self._flush()
            while status == MORE:
                status, fields = self._receive()
                if status == FAULT:
                    raise Refused(int(fields[0]), fields[1].decode("utf-8", "surrogateescape"))
                yield fields
        finally:
            if status == MORE:
                # Interrupted: the rest of this answer would be taken for the next one.
                self.close()

    def send(self, question: Fields) -> None:
        """Send a message without waiting for an answer; the caller holds the lock."""
        if self.closed:
            raise BuildError("the container's files are no longer open")
        assert self.child.stdin is not None  # noqa: S101 # opened as a pipe
        try:
            send(self.child.stdin, REQUEST, question)  # type: ignore[arg-type] # typeshed: IO[bytes] is a BinaryIO
        except BrokenPipeError as error:
            raise self._ended() from error

    def close(self) -> None:
        """End the process, which unmounts the container. Files of it that are still open end with it."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            assert self.child.stdin is not None  # noqa: S101 # opened as a pipe
            assert self.child.stdout is not None  # noqa: S101 # opened as a pipe
            # Both ends: it may wait for a question, or for someone to take its answer.
            with suppress(BrokenPipeError):
                self.child.stdin.close()
            self.child.stdout.close()
            self._drain.join(_GRACE)  # its error output ends when it ends
            shut_down(self.child, _GRACE)
            self._drain.join(_GRACE)

    def _collect(self) -> None:
        assert self.child.stderr is not None  # noqa: S101 # opened as a pipe
        with self.child.stderr as stream:
            for line in stream:
                self._tail.append(line.decode("utf-8", "replace").rstrip("\n"))

    def _flush(self) -> None:
        assert self.child.stdin is not None  # noqa: S101 # opened as a pipe
        try:
            self.child.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error

    def _receive(self) -> tuple[bytes, Fields]:
        assert self.child.stdout is not None  # noqa: S101 # opened as a pipe
        message = receive(self.child.stdout)  # type: ignore[arg-type] # as above
        if message is None:
            raise self._ended()
        return message

    def _ended(self) -> HostError:
        """Give the error for a process that ended while it was needed."""
        self.close()
        return HostError(
            f"the process that reads the container's files has gone: {describe_exit('it', self.child.returncode)}",
            hint="the lines below are the last it wrote; stxb doctor tells whether this host can mount containers",
            details=self._tail,
        )
