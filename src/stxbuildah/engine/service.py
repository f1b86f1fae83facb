# SPDX-License-Identifier: Apache-2.0
"""podman's service as a child process, from its socket's first sign to its certain end."""

import os
import select
import signal
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stxbuildah import log
from stxbuildah.engine.guard import guarded
from stxbuildah.engine.process import TAIL_LINES, Child, Runner, shut_down
from stxbuildah.errors import HostError

SOCKET = "podman.sock"
# The address of a Unix socket has 108 bytes at most, the last one being zero (unix(7)).
LONGEST_ADDRESS = 107
_START_SECONDS = 30.0
# The service ends by itself so long after its last connection, should this program and its guard be killed.
_IDLE_SECONDS = 60
# Asked to end, it waits for open connections as long as it may idle; its containers are gone by then.
_END_SECONDS = 2.0


@contextmanager
def running_service(runner: Runner, folder: Path) -> Iterator[Path]:
    """Run ``podman system service`` inside the block.

    Args:
        runner: runs podman, with the environment that names store and settings.
        folder: existing, private folder for the socket.

    Yields:
        The socket, which takes connections.

    Raises:
        HostError: the service ends at once, or does not open its socket.
    """
    address = folder / SOCKET
    with ExitStack() as stack:
        command = ["podman", "system", "service", f"--time={_IDLE_SECONDS}", f"unix://{address}"]
        process = runner.start(command, merge=True, apart=True)
        said: deque[str] = deque(maxlen=TAIL_LINES)
        reader = threading.Thread(target=_read_lines, args=(process, said), daemon=True)
        reader.start()
        stack.callback(_close, process, reader)
        stack.callback(shut_down, process)
        _await_socket(process, address, said, reader)
        # Rootless podman may go on as a child of the process that was started, and outlive it.
        listener, number = _listener(address)
        stack.callback(os.close, listener)
        stack.callback(_end, listener)
        stack.enter_context(guarded(runner, number, folder))
        yield address


def _await_socket(process: Child, address: Path, said: Sequence[str], reader: threading.Thread) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not address.exists():
        if process.poll() is not None:
            reader.join(1.0)
            raise HostError(
                f"podman's service ended at once, with exit status {process.returncode}",
                hint="stxb doctor tells what podman needs on this machine",
                details=said,
            )
        if time.monotonic() > deadline:
            raise HostError(
                f"podman's service did not open its socket within {_START_SECONDS:g} seconds",
                hint="stxb doctor tells what podman needs on this machine",
                details=said,
            )
        time.sleep(0.01)


def _listener(address: Path) -> tuple[int, int]:
    """Give a pidfd of the process that listens, and its number, as the kernel tells it (SO_PEERCRED, unix(7))."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            try:
                client.connect(str(address))
                told = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
                number: int = struct.unpack("3i", told)[0]
                return os.pidfd_open(number), number
            except OSError as error:
                # Between bind and listen a connection is refused.
                if not isinstance(error, ConnectionRefusedError) or time.monotonic() > deadline:
                    raise HostError(f"podman's service cannot be reached: {error}") from error
        time.sleep(0.01)


def _end(listener: int) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(listener, number)
        # A pidfd can be read when its process has ended.
        if select.select([listener], [], [], _END_SECONDS)[0]:
            return
    log.warning("podman.service.left", hint="it ends by itself within a minute")


def _read_lines(process: Child, said: deque[str]) -> None:
    assert process.stdout is not None  # noqa: S101 # opened as a pipe by start()
    for raw in process.stdout:
        line = raw.decode("utf-8", "replace").rstrip()
        said.append(line)
        log.debug("podman.service.line", line=line)


def _close(process: Child, reader: threading.Thread) -> None:
    reader.join(_END_SECONDS)
    # While somebody still holds the pipe, closing it would wait for the reader.
    if process.stdout is not None and not reader.is_alive():
        process.stdout.close()
