# SPDX-License-Identifier: Apache-2.0
"""Ephemeral containers, through podman's own service as a child of this program.

The service listens on a socket in a private folder and lives as long as the ``with`` block: nothing has to be
installed, enabled or cleaned up. podman-py ignores keywords it does not know, so only the plainest calls are used, and
an engine test reads back from podman what a container really was given.
"""

import contextlib
import errno
import os
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs

from stxbuildah import log
from stxbuildah.engine.guard import SERVICE_LABEL
from stxbuildah.engine.locks import EPHEMERAL, PREFIX, SERVICES, OwnerLock, adopted, lock_files
from stxbuildah.engine.process import TAIL_LINES, Runner
from stxbuildah.engine.service import LONGEST_ADDRESS, SOCKET, running_service
from stxbuildah.engine.session import store_key
from stxbuildah.errors import BuildError, DiskFullError, HostError, StxbError
from stxbuildah.model.container import ContainerJob, Ended
from stxbuildah.model.settings import HostChoices

if TYPE_CHECKING:
    from podman import PodmanClient
    from podman.domain.containers import Container

_MAKE_ROOM = "make room, df -h shows where"
# Where programs expect to be able to write.
_IN_MEMORY = ("/tmp", "/var/tmp", "/run")  # noqa: S108 # of the container


@attrs.frozen
class RunningContainer:
    """A container that was started."""

    container: "Container"

    def lines(self) -> Iterator[str]:
        """Give the lines it writes, as they come, to its end."""
        yield from whole_lines(self.container.logs(stream=True, follow=True, stdout=True, stderr=True))

    def has_ended(self) -> bool:
        """Tell whether its program has ended."""
        self.container.reload()
        return self.container.status not in {"created", "initialized", "running"}

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        _kill(self.container)

    def wait(self) -> int:
        """Await its end, and give the exit status of its program."""
        return int(self.container.wait())


class PodmanService:
    """``podman system service`` on a private socket, for the time of a ``with`` block.

    Several threads may run containers at once: each talks over a connection of its own.

    Args:
        runner: runs podman.
        choices: names the store, and the settings podman needs on this machine.
        state_folder: folder of the files that tell which containers have an owner.

    Attributes:
        started: containers that were run so far.
    """

    def __init__(self, runner: Runner, choices: HostChoices, state_folder: Path) -> None:
        self.runner = attrs.evolve(runner, extra=tuple({**dict(runner.extra), **dict(choices.environment)}.items()))
        self.choices = choices
        self.state_folder = state_folder
        self._stack = contextlib.ExitStack()
        self._socket: Path | None = None
        self._clients = threading.local()
        self._lock = threading.Lock()
        self._running: dict[str, Container] = {}
        self._stopped = False
        self.started = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.folder = folder = stack.enter_context(self._private_folder())
            self._socket = stack.enter_context(running_service(self.runner, folder))
            self._clients = threading.local()
            self._stopped = False
            self._clients.client = stack.enter_context(_connected(self._socket))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket = None
        self._stack.close()

    def has_image(self, reference: str) -> bool:
        """Tell whether the store has an image."""
        with _translated(f"looking for the image {reference}"):
            return self._connection.images.exists(reference)

    def image_id(self, reference: str) -> str:
        """Give the id of an image of the store.

        Raises:
            BuildError: the store has no such image.
        """
        with _translated(f"the image {reference}"):
            return str(self._connection.images.get(reference).id)

    def stop_all(self) -> None:
        """Kill every container that runs, and start no other; ``run`` then ends by itself where it was called."""
        with self._lock:
            self._stopped = True
            running = list(self._running.values())
        for container in running:
            _kill(container)

    @contextlib.contextmanager
    def _known_as_running(self, name: str, container: "Container") -> Iterator[None]:
        with self._lock:
            if self._stopped:
                raise BuildError("no container is started any more: the command was told to end")
            self._running[name] = container
            self.started += 1
        try:
            yield
        finally:
            with self._lock:
                del self._running[name]

    def run(
        self,
        job: ContainerJob,
        on_line: Callable[[str], None] | None = None,
        turn: contextlib.AbstractContextManager[object] | None = None,
    ) -> Ended:
        """Run a program in a container of its own, and remove the container whatever happened.

        The program is root of the container, which is this account outside, without any capability.

        Args:
            job: what to run.
            on_line: called with each line of its output, as it comes.
            turn: entered while the program runs; the container is made before and removed after.

        Raises:
            BuildError: podman cannot make or start the container.
            HostError: podman went away.
        """
        with contextlib.ExitStack() as stack:
            container = stack.enter_context(self.opened(job, turn))
            expired = threading.Event()
            timer = threading.Timer(job.timeout, _expire, args=(container, expired))
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
            tail: deque[str] = deque(maxlen=TAIL_LINES)
            for line in container.lines():
                tail.append(line)
                if on_line is not None:
                    on_line(line)
            status = container.wait()
        if expired.is_set():
            tail.append(f"no end after {job.timeout:g} seconds")
        return Ended(status=status, tail=tuple(tail), timed_out=expired.is_set())

    @contextlib.contextmanager
    def opened(
        self, job: ContainerJob, turn: contextlib.AbstractContextManager[object] | None = None
    ) -> "Iterator[RunningContainer]":
        """Start a container, which is gone when the block ends, whatever happens in it.

        Args:
            job: what it runs; its ``timeout`` is the caller's to see to.
            turn: entered while the program runs; the container is made before and removed after.

        Raises:
            BuildError: podman cannot make or start it.
            HostError: podman went away, also inside the block.
        """
        with _translated(f"a container of the image {job.image}"), contextlib.ExitStack() as stack:
            name = stack.enter_context(self._owned_name())
            container = self._connection.containers.create(job.image, list(job.command), **self._settings(job, name))
            stack.callback(_discard, container)
            stack.enter_context(turn or contextlib.nullcontext())
            stack.enter_context(self._known_as_running(name, container))
            container.start()
            if self._stopped:
                # Told to end between the two.
                _kill(container)
            log.debug("container.started", container=name, image=job.image)
            yield RunningContainer(container)

    def _settings(self, job: ContainerJob, name: str) -> dict[str, object]:
        labels = {**dict(job.labels), SERVICE_LABEL: self.folder.name}
        return {**_settings(job, name), "labels": labels}

    @contextlib.contextmanager
    def _private_folder(self) -> Iterator[Path]:
        """Make a folder for the socket, which the next run removes should this one be killed."""
        lock = OwnerLock.take(_services(self.state_folder), store_key(self.choices))
        usual = lock.path.with_suffix("")
        long = len(os.fsencode(usual / SOCKET)) > LONGEST_ADDRESS
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp")) if long else usual  # short, and made anew
        try:
            folder.mkdir(mode=0o700, exist_ok=long)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.release(container_gone=True)

    @contextlib.contextmanager
    def _owned_name(self) -> Iterator[str]:
        """Give a name for a container that is gone, or never was, when the block ends without an error."""
        lock = OwnerLock.take(_locks(self.state_folder), store_key(self.choices))
        try:
            yield lock.name
        except BaseException:
            lock.release(container_gone=self._is_gone(lock.name))
            raise
        lock.release(container_gone=True)

    def _is_gone(self, name: str) -> bool:
        with contextlib.suppress(StxbError), _translated(f"the container {name}"):
            return not self._connection.containers.exists(name)
        # Nobody can tell: the next run finds out.
        return False

    @property
    def _connection(self) -> "PodmanClient":
        if self._socket is None:
            raise RuntimeError("PodmanService is used outside its with block")
        client: PodmanClient | None = getattr(self._clients, "client", None)
        if client is None:
            opened = _connected(self._socket)
            client = self._clients.client = opened.__enter__()
            with self._lock:
                self._stack.push(opened.__exit__)
        return client


def remove_ephemeral_orphans(runner: Runner, choices: HostChoices, state_folder: Path) -> tuple[str, ...]:
    """Remove this store's ephemeral containers, and folders of services, whose owner was killed.

    Runs no program when there are no such containers.

    Returns:
        The names of those removed, sorted.
    """
    for path in lock_files(_services(state_folder)):
        with adopted(path, store_key(choices)) as lock:
            if lock is not None:
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
    removed = []
    for path in lock_files(_locks(state_folder)):
        with adopted(path, store_key(choices)) as lock:
            if lock is None:
                continue
            argv = ["podman", "rm", "--force", "--time=0", "--volumes", "--ignore", lock.name]
            completed = runner.run(argv, extra=dict(choices.environment), check=False)
            if completed.returncode == 0:
                path.unlink(missing_ok=True)
                removed.append(lock.name)
            else:
                log.warning("container.orphan.left", container=lock.name, reason=" / ".join(completed.tail))
    return tuple(removed)


def _locks(state_folder: Path) -> Path:
    return state_folder / EPHEMERAL


def _services(state_folder: Path) -> Path:
    return state_folder / SERVICES


def _settings(job: ContainerJob, name: str) -> dict[str, object]:
    settings: dict[str, object] = {
        "name": name,
        "network_mode": job.network,
        "environment": dict(job.environment),
        "cap_drop": ["all"],
        "no_new_privileges": True,
        "mounts": [
            {"type": "bind", "source": str(mount.source), "target": mount.target, "read_only": not mount.writable}
            for mount in job.mounts
        ]
        # By name: podman 4.3 adds them for its own command line alone.
        + [{"type": "tmpfs", "source": "tmpfs", "target": place} for place in _IN_MEMORY if job.read_only],
    }
    if job.read_only:
        settings |= {"read_only": True, "read_write_tmpfs": True}
    if job.working_folder:
        settings["working_dir"] = job.working_folder
    if job.memory:
        settings["ulimits"] = [{"Name": "as", "Soft": job.memory, "Hard": job.memory}]
    return settings


@contextlib.contextmanager
def _connected(socket: Path) -> "Iterator[PodmanClient]":
    from podman import PodmanClient

    with _translated("connecting to podman's service"), PodmanClient(base_url=f"unix://{socket}") as client:
        client.ping()
        yield client


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    from podman.errors import APIError, PodmanError
    from requests import RequestException

    try:
        yield
    except StxbError:
        raise
    except APIError as error:
        if "no space left on device" in str(error.explanation or error):
            raise DiskFullError(f"{what}: no space is left in the image store", hint=_MAKE_ROOM) from error
        raise BuildError(f"{what}: podman says: {error.explanation or error}") from error
    except (RequestException, PodmanError, OSError) as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            # What follows a container's output writes it somewhere.
            raise DiskFullError(f"{what}: no space is left for what it writes", hint=_MAKE_ROOM) from error
        raise HostError(f"{what}: podman's service does not answer: {error}") from error


def whole_lines(chunks: object) -> Iterator[str]:
    """Give whole lines of an output, which comes as an iterator of bytes in pieces of any size."""
    assert isinstance(chunks, Iterator)  # noqa: S101 # logs(stream=True) gives a generator
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")


def _expire(container: RunningContainer, expired: threading.Event) -> None:
    expired.set()
    container.kill()


def _discard(container: "Container") -> None:
    # Forced removal alone would give it ten seconds to end by itself.
    _kill(container)
    container.remove(force=True, v=True)


def _kill(container: "Container") -> None:
    from podman.errors import APIError

    with contextlib.suppress(APIError):
        # It has ended already, mostly; wait() tells how.
        container.kill(signal="KILL")
