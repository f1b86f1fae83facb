# SPDX-License-Identifier: Apache-2.0
"""Containers that build one wheel after the other, and are made as before after each.

A container of its own costs a small wheel as much time as its build. So a few are kept while a run lasts, each with one
build at a time: nothing can be written in them but file systems in memory and two folders, whose content is exchanged;
``inside/bench.py`` ends all processes of a build and clears the rest. What fails, is killed or cannot be cleared takes
its container with it. Kernel keyrings alone stay: they belong to the account, and all its containers share them.
"""

import contextlib
import errno
import json
import os
import shutil
import socket
import stat
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.podman import PodmanService, RunningContainer, whole_lines
from stxbuildah.engine.process import TAIL_LINES
from stxbuildah.errors import BuildError, DiskFullError, StxbError
from stxbuildah.model.container import ContainerJob, Ended, Mount
from stxbuildah.wheels.buildpython import INSIDE
from stxbuildah.wheels.inside.backend import MISSING

_PROGRAM, _SOCKET = "bench.py", "orders"
# Where they are in the folder of programs; the last is imported by its whole name.
_PROGRAMS = {_PROGRAM: ".", "backend.py": ".", "clearing.py": "stxbuildah/wheels/inside"}
_READY, _BUILD, _CLEAR = b"ready", b"build", b"clear"
_LONGEST_ANSWER = 16
_CHUNK = 1 << 16
# To start Python in a container, on a machine that has a lot to do.
_PATIENCE = 120.0
_KILLED = 137
_END_SECONDS = 10.0


@attrs.frozen(kw_only=True)
class BenchJob:
    """One build.

    Attributes:
        folders: folders of this machine by the name of the folder in the container that has their content while the
            build runs; afterwards they have what the build made of it.
        request: what ``backend.py`` is asked.
        environment: variables of the build, beside those of the container.
        working_folder: absolute path in the container.
        memory: bytes of address space that each process may have; 0 for no limit.
        timeout: seconds after which the build is ended.
    """

    folders: Mapping[str, Path]
    request: Mapping[str, object]
    environment: Mapping[str, str]
    working_folder: str
    memory: int = 0
    timeout: float = 3600.0


class UnfitBenchError(Exception):
    """The image, or the machine, allows no container that could be cleared."""


@attrs.define(kw_only=True)
class Benches:
    """The containers of one run, as many as there are builds at a time.

    Attributes:
        service: runs them.
        image: the builder image.
        environment: variables of every build.
        top: folder of the build in a container.
        names: folders below it whose content is exchanged.
        work: existing folder on the file system that holds the folders of all jobs.
    """

    service: PodmanService
    image: str
    environment: Mapping[str, str]
    top: str
    names: tuple[str, ...]
    work: Path
    _idle: "list[_Bench]" = attrs.field(factory=list, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _unfit: bool = attrs.field(default=False, init=False)

    def close(self) -> None:
        """Remove the containers; no build runs any more."""
        threads = [threading.Thread(target=bench.close) for bench in self._idle]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self._idle.clear()

    def run(self, job: BenchJob, on_line: Callable[[str], None]) -> Ended | None:
        """Build in one of the containers.

        Args:
            job: the build.
            on_line: called with each line of its output, as it comes.

        Returns:
            How it ended; None when no container that can be cleared is to be had here, or the build failed because it
            may not write into the image.

        Raises:
            BuildError: podman cannot make or start a container.
            HostError: podman went away.
        """
        try:
            bench = self._taken()
        except UnfitBenchError as error:
            log.debug("wheels.bench.unfit", image=self.image, reason=str(error))
            self._unfit = True
            return None
        if bench is None:
            return None
        with contextlib.ExitStack() as stack:
            stack.callback(bench.close)
            ended = bench.build(job, on_line)
            if ended.status in {0, MISSING} and bench.clear():
                stack.pop_all()
                with self._lock:
                    self._idle.append(bench)
        return None if _is_refused(ended) else ended

    def _taken(self) -> "_Bench | None":
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return None if self._unfit else self._opened()

    def _opened(self) -> "_Bench":
        with contextlib.ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="bench-", dir=self.work))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            programs = folder / "programs"
            for name in ("programs", *self.names):
                (folder / name).mkdir(mode=0o755)
            for name, place in _PROGRAMS.items():
                (programs / place).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(INSIDE / name, programs / place / name)
            container_job = ContainerJob(
                image=self.image,
                command=("python3", "-B", f"{self.top}/programs/{_PROGRAM}"),
                mounts=(
                    Mount(source=programs, target=f"{self.top}/programs"),
                    *(Mount(source=folder / name, target=f"{self.top}/{name}", writable=True) for name in self.names),
                ),
                environment=self.environment,
                working_folder="/",
                read_only=True,
            )
            with _listening(programs) as listener:
                container = stack.enter_context(self.service.opened(container_job))
                connection = stack.enter_context(_accepted(listener, container))
            bench = _Bench(folder=folder, container=container, connection=connection)
            connection.settimeout(_PATIENCE)
            if bench.answer() != _READY:
                raise _unfit(container)
            connection.settimeout(None)
            follower = threading.Thread(target=_follow, args=(container,), daemon=True)
            follower.start()
            bench.closing.callback(follower.join, _END_SECONDS)
            bench.closing.push(stack.pop_all())
        return bench


@attrs.define(kw_only=True)
class _Bench:
    """One container, and the connection to its first process."""

    folder: Path
    container: RunningContainer
    connection: socket.socket
    closing: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)

    def close(self) -> None:
        """Remove the container, whatever is going on in it."""
        try:
            self.closing.close()
        except StxbError as error:
            log.warning("wheels.bench.left", reason=error.message)

    def answer(self) -> bytes:
        """Await what the first process says; nothing when it has ended."""
        try:
            return self.connection.recv(_LONGEST_ANSWER)
        except OSError:
            return b""

    def clear(self) -> bool:
        """Have the container made as it was before its first build; tell whether that went well."""
        try:
            self.connection.send(_CLEAR)
        except OSError:
            return False
        return self.answer() == b"0"

    def build(self, job: BenchJob, on_line: Callable[[str], None]) -> Ended:
        """Build.

        Raises:
            BuildError: the content of a folder cannot be moved.
        """
        for name, folder in job.folders.items():
            _move_content(folder, self.folder / name)
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.container.kill()

        tail: deque[str] = deque(maxlen=TAIL_LINES)
        timer = threading.Timer(job.timeout, expire)
        timer.daemon = True
        timer.start()
        try:
            for line in whole_lines(self._output(job)):
                tail.append(line)
                on_line(line)
            answer = self.answer()
        finally:
            timer.cancel()
        status = int(answer) if answer.isdigit() else _KILLED
        if expired.is_set():
            tail.append(f"no end after {job.timeout:g} seconds")
        ended = Ended(status=status, tail=tuple(tail), timed_out=expired.is_set())
        if status in {0, MISSING} or _is_refused(ended):
            for name, folder in job.folders.items():
                _move_content(self.folder / name, folder)
        return ended

    def _output(self, job: BenchJob) -> Iterator[bytes]:
        """Send the order, and give what the build writes, until nobody is left who could."""
        order = {
            "environment": dict(job.environment),
            "folder": job.working_folder,
            "memory": job.memory,
            "request": dict(job.request),
        }
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as stream:
            try:
                with os.fdopen(os.memfd_create("order"), "w+b", buffering=0) as file:
                    file.write(json.dumps(order).encode())
                    file.seek(0)
                    with contextlib.suppress(OSError):
                        # When its first process has ended, so has the output.
                        socket.send_fds(self.connection, [_BUILD], [writing, file.fileno()])
            finally:
                os.close(writing)
            while chunk := stream.read(_CHUNK):
                yield chunk


@contextlib.contextmanager
def _listening(folder: Path) -> Iterator[socket.socket]:
    """Listen on a socket in a folder, however long its path is, for the time of the block."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(f"/proc/self/fd/{handle}/{_SOCKET}")
            try:
                listener.listen(1)
                yield listener
            finally:
                (folder / _SOCKET).unlink()
    finally:
        os.close(handle)


def _follow(container: RunningContainer) -> None:
    """Read what the first process writes, to the container's end: podman's service ends when nobody is connected."""
    with contextlib.suppress(Exception):
        for line in container.lines():
            log.debug("wheels.bench.line", line=line)


def _accepted(listener: socket.socket, container: RunningContainer) -> socket.socket:
    """Await the connection of the container's first process: nothing else runs in it yet.

    Raises:
        UnfitBenchError: the container ended without.
    """
    listener.settimeout(1.0)
    for _ in range(int(_PATIENCE)):
        try:
            return listener.accept()[0]
        except TimeoutError:
            if container.has_ended():
                break
    raise _unfit(container)


def _unfit(container: RunningContainer) -> UnfitBenchError:
    container.kill()
    return UnfitBenchError(" / ".join(container.lines()) or "its first process does not answer")


def _is_refused(ended: Ended) -> bool:
    """Tell whether a build failed by itself, and says that a file system cannot be written."""
    by_itself = ended.status not in {0, MISSING, _KILLED} and not ended.timed_out
    return by_itself and any(os.strerror(errno.EROFS) in line for line in ended.tail)


def _move_content(source: Path, target: Path) -> None:
    """Move everything in a folder into another one, of the same file system.

    Raises:
        BuildError: something cannot be moved.
        DiskFullError: no space is left for its name.
    """
    try:
        for path in list(source.iterdir()):
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                # A folder that may not be written cannot be given another parent.
                path.chmod(mode | stat.S_IRWXU)
            path.rename(target / path.name)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFullError(f"no space is left in {target}", hint="make room there") from error
        raise BuildError(f"what a build left cannot be moved: {error}") from error
