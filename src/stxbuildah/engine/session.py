# SPDX-License-Identifier: Apache-2.0
"""Working containers: made from an image, run in, read, written, and always removed."""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import Self

import attrs

from stxbuildah import log
from stxbuildah.engine.faults import FaultKind, classify, to_error
from stxbuildah.engine.locks import OwnerLock
from stxbuildah.engine.process import Completed, ProcessError, Runner, show
from stxbuildah.engine.tree import ContainerTree
from stxbuildah.errors import BuildError, InputError, StxbError
from stxbuildah.model.settings import HostChoices

_PROXIES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "no_proxy"})


def store_key(choices: HostChoices) -> str:
    """Give what tells the store of these choices from others, on one line."""
    if choices.storage.root:
        return f"{choices.storage.driver} {choices.storage.root}"
    return dict(choices.environment).get("CONTAINERS_STORAGE_CONF", "")


@attrs.define(kw_only=True, eq=False)
class WorkingContainer:
    """A working container of an image; removed at the end of its ``with`` block, whatever ends it.

    Attributes:
        name: its name in the store, ``stxb-`` and 16 hexadecimal digits.
        image: what it was made from.
        runner: runs buildah.
        choices: isolation, runtime, network and store.
        state_folder: where the lock files are.
        keep: leave it in the store at the end, and say where.
    """

    name: str
    image: str
    runner: Runner
    choices: HostChoices
    state_folder: Path
    keep: bool = False
    _lock: OwnerLock
    _created: float
    _tree: ContainerTree | None = None
    _untouched: "WorkingContainer | None" = None
    _closing: threading.Thread | None = None
    _closed: bool = False

    @classmethod
    def create(
        cls, runner: Runner, choices: HostChoices, image: str, *, state_folder: Path, keep: bool = False
    ) -> Self:
        """Make a working container from an image of the local store; nothing is pulled.

        Args:
            runner: runs buildah.
            choices: isolation, runtime, network and store.
            image: reference or id of the image in the store.
            state_folder: folder of lock files, which tell living owners from orphans.
            keep: leave the container in the store at the end.

        Raises:
            InputError: the store has no such image.
            DiskFullError: the store has no room for it.
            BuildError: buildah cannot make it.
        """
        lock = OwnerLock.take(state_folder, store_key(choices))
        try:
            argv = ["buildah", "from", "--pull-never", "--name", lock.name, "--", image]
            runner.run(argv, extra=dict(choices.environment))
            log.debug("session.container.created", container=lock.name, image=image)
            return cls(
                name=lock.name,
                image=image,
                runner=runner,
                choices=choices,
                state_folder=state_folder,
                keep=keep,
                lock=lock,
                created=time.time(),
            )
        except BaseException as error:
            # Interrupted or refused, a container of the name may be there or not.
            gone = remove_container(runner, choices, lock.name)
            lock.release(container_gone=gone)
            if isinstance(error, ProcessError):
                raise _creation_error(image, error) from error
            raise

    def run(
        self,
        argv: Sequence[str],
        *,
        volumes: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        user: str = "root",
        network: str = "",
        workdir: str = "/",
        timeout: float | None = None,
        check: bool = True,
    ) -> Completed:
        """Run a program in the container, without its entrypoint and without standard input.

        What it writes is passed on line by line through the runner, and its last lines are kept. An open tree of the
        container is closed first.

        Args:
            argv: program and arguments inside the container.
            volumes: ``SOURCE:TARGET[:OPTIONS]`` as of ``buildah run --volume``.
            env: variables for the program. Like its arguments they are seen in the host's process list; not so the
                proxies, which may hold a password.
            user: account in the container.
            network: network mode; that of the host choices when empty.
            workdir: folder in the container to run in.
            timeout: seconds after which it is ended.
            check: raise when its exit status is not 0.

        Raises:
            DiskFullError: it ended with another status than 0, and said that no space is left.
            ProcessError: it ended with another status than 0, or took too long.
        """
        self._close_tree()
        choices = self.choices
        words = ["buildah", "run", "--isolation", choices.isolation]
        if choices.runtime and choices.isolation != "chroot":
            words += ["--runtime", choices.runtime]
        words += ["--network", network or choices.network, "--user", user, "--workingdir", workdir]
        extra = dict(choices.environment)
        for name, value in (env or {}).items():
            if name.lower() in _PROXIES:
                extra[name] = value  # buildah hands on the proxies of its own environment
            else:
                words += ["--env", f"{name}={value}"]
        for volume in volumes:
            words += ["--volume", volume]
        completed = self.runner.run(
            [*words, self.name, "--", *argv], extra=extra, timeout=timeout, check=False, stream_stdout=True
        )
        if completed.returncode != 0:
            full = _full_disk(completed, f"running {argv[0]} in a container of {self.image}")
            if full is not None:
                raise full
            if check:
                raise ProcessError(completed, show(completed.argv, self.runner.secrets))
        return completed

    def tree(self, *, comparable: bool = False) -> ContainerTree:
        """Open the container's files; the tree is closed by the next ``run`` or with the container.

        Args:
            comparable: the tree's ``changes`` will be asked. With a driver that cannot tell them (vfs,
                fuse-overlayfs) an untouched container is made beside this one to compare with.

        Raises:
            HostError: the container cannot be mounted.
        """
        self._close_tree()
        self._tree = tree = ContainerTree.of_container(self.runner, self.choices, self.name, created=self._created)
        if comparable and not tree.layered:
            self._close_tree()
            if self._untouched is None:
                self._untouched = self.create(self.runner, self.choices, self.image, state_folder=self.state_folder)
            self._tree = tree = ContainerTree.of_container(
                self.runner, self.choices, self.name, base=self._untouched.name, created=self._created
            )
        return tree

    def close(self, *, wait: bool = True) -> None:
        """Remove the container; further calls do nothing but wait.

        Args:
            wait: False to remove it in the background; the interpreter's end waits for it.
        """
        if not self._closed:
            self._closed = True
            # No daemon: the removal outlives the main thread, and only a kill can leave the container behind.
            self._closing = threading.Thread(target=copy_context().run, args=(self._remove_all,))
            self._closing.start()
        if wait and self._closing is not None:
            self._closing.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _close_tree(self) -> None:
        if self._tree is not None:
            self._tree.close()
            self._tree = None

    def _remove_all(self) -> None:
        with ExitStack() as stack:
            stack.callback(self._remove_this)
            if self._untouched is not None:
                stack.callback(self._untouched.close)
            stack.callback(self._close_tree)

    def _remove_this(self) -> None:
        if self.keep:
            log.warning("session.container.kept", container=self.name, remove=f"buildah rm {self.name}")
            self._lock.release(container_gone=True)
            return
        gone = remove_container(self.runner, self.choices, self.name)
        self._lock.release(container_gone=gone)


def remove_container(runner: Runner, choices: HostChoices, name: str) -> bool:
    """Remove a container if it is there; tell whether it is gone now, and log why it is not."""
    quiet = attrs.evolve(runner, on_line=None, tidying=True)
    completed = quiet.run(["buildah", "rm", name], extra=dict(choices.environment), check=False)
    if completed.returncode == 0 or any(_is_unknown(line) for line in completed.tail):
        return True
    log.warning("session.container.left", container=name, reason=" / ".join(completed.tail))
    return False


def _is_unknown(line: str) -> bool:
    return "container not known" in line or "no such container" in line


def _creation_error(image: str, error: ProcessError) -> StxbError:
    if any("image not known" in line or "no such image" in line for line in error.details):
        return InputError(
            f"the image {image} is not in the local store", hint="pull it first, or name one of `buildah images`"
        )
    full = _full_disk(error.completed, f"making a working container of {image}")
    if full is not None:
        return full
    return BuildError(f"no working container can be made from {image}", hint=error.hint, details=error.details)


def _full_disk(completed: Completed, what: str) -> StxbError | None:
    """Give the error for a program that failed where no space is left, wherever it said so; None for other ends."""
    for line in reversed(completed.tail):
        fault = classify((line,), completed.returncode)
        if fault.kind is FaultKind.DISK_FULL:
            return to_error(fault, what)
    return None
