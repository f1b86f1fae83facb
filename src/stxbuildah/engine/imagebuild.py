# SPDX-License-Identifier: Apache-2.0
"""``buildah build``: the building of a Containerfile, of which nothing is left but the image.

buildah chooses the names of a build's working containers itself. A build of ours is known by a secret whose id is the
name of its owner's lock: it is part of the command and of each container's settings, and no image ever sees it unless
it asks for it by that name.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from stxbuildah import log
from stxbuildah.engine.children import Children
from stxbuildah.engine.faults import FaultKind, classify, message_of, to_error
from stxbuildah.engine.leftover import end_programs
from stxbuildah.engine.locks import BUILDS, OwnerLock, adopted, lock_files
from stxbuildah.engine.process import Completed, Runner
from stxbuildah.engine.session import remove_container, store_key
from stxbuildah.errors import BuildError, StxbError
from stxbuildah.model.settings import HostChoices
from stxbuildah.model.value import Value

# Label of the containers that a script has started; its value is the name of the lock of the script's owner.
SCRIPT_LABEL = "io.stxbuildah.script"
_STEP = re.compile(r"(?:\[(?P<stage>\d+)/(?P<stages>\d+)\] )?STEP (?P<step>(?P<number>\d+)/(?P<count>\d+): .*)")
_FAILED_STEP = re.compile(r'building at STEP "(?P<step>.*)": (?P<why>.*)')
# What buildah needs to end a step and to remove the containers.
_GRACE_SECONDS = 20.0
_LONGEST_STEP = 100


@attrs.frozen(kw_only=True)
class BuildOrder(Value):
    """What ``buildah build`` is to build.

    Attributes:
        context: the build context.
        containerfile: the Containerfile, anywhere.
        name: what the image is called in the local store.
        arguments: build arguments, in order.
        proxies: variables for programs and downloads of the build; they are part of no image.
        ignore_file: what of the context is not seen; None for nothing.
        contexts: further contexts, by name.
        volumes: mounts of every program that runs.
        facts: labels of the image, and annotations of its manifest where the format has them.
        options: how registries are reached, as ``engine.registry_flags`` gives it.
        docker_format: make an image of Docker's format, which has health checks and triggers.
        cache: use the layers that builds before left, and leave some.
        timestamp: time of the image and its files, in seconds since the epoch.
    """

    context: Path
    containerfile: Path
    name: str
    arguments: tuple[tuple[str, str], ...] = ()
    proxies: Mapping[str, str] = attrs.field(factory=dict)
    ignore_file: Path | None = None
    contexts: tuple[tuple[str, Path], ...] = ()
    volumes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    docker_format: bool = False
    cache: bool = False
    timestamp: int

    def argv(self, choices: HostChoices, mark: Sequence[str] = ()) -> list[str]:
        """Give the command.

        Args:
            choices: isolation, runtime and network.
            mark: options by which the build is known.
        """
        words = ["buildah", "build", "--isolation", choices.isolation]
        if choices.runtime and choices.isolation != "chroot":
            words += ["--runtime", choices.runtime]
        # An image that the store has is taken as it is.
        words += ["--network", choices.network, "--pull=false", "--force-rm", f"--layers={str(self.cache).lower()}"]
        words += ["--format", "docker" if self.docker_format else "oci", "--timestamp", str(self.timestamp)]
        for name, value in self.arguments:
            words += ["--build-arg", f"{name}={value}"]
        for name, folder in self.contexts:
            words += ["--build-context", f"{name}={folder}"]
        for volume in self.volumes:
            words += ["--volume", volume]
        for name, value in self.facts:
            words += ["--label", f"{name}={value}"]
            words += [] if self.docker_format else ["--annotation", f"{name}={value}"]
        if self.ignore_file is not None:
            words += ["--ignorefile", str(self.ignore_file)]
        words += [*self.options, *mark, "--tag", self.name, "--file", str(self.containerfile)]
        return [*words, "--", str(self.context)]


def build(
    runner: Runner,
    choices: HostChoices,
    order: BuildOrder,
    *,
    state_folder: Path,
    timeout: float | None,
    on_step: Callable[[str], None],
    on_last_step: Callable[[], None] = lambda: None,
) -> None:
    """Build an image; whatever ends the build, no working container and no program of it is left.

    Args:
        runner: runs buildah; its lines go where the runner says.
        choices: isolation, runtime, network and store.
        order: what is built.
        state_folder: folder of lock files, which tell living owners from orphans.
        timeout: seconds that it may take; None for no limit.
        on_step: told of each step when it begins, as ``STEP 2/7: RUN make``.
        on_last_step: called when the last one begins; a label that the order adds is no work, so that nothing but the
            storing of the image is left then.

    Raises:
        DiskFullError: no space was left.
        BuildError: a step failed, or it took too long.
        InterruptedByUserError: all programs of the run were ended.
    """
    with marked(runner, choices, state_folder) as lock:
        own = telling_steps(runner, on_step, on_last_step)
        with ended_after(lock.name, timeout) as late:
            completed = own.run(
                order.argv(choices, mark_options(lock)),
                extra={**dict(choices.environment), **order.proxies},
                check=False,
                stream_stdout=True,
            )
        if late.is_set():
            raise BuildError(
                f"the build had not ended after {timeout:g} seconds and was stopped",
                hint="give it more with --timeout, or look at the last step for what hangs",
                details=completed.tail,
            )
        if completed.returncode != 0:
            raise _error(completed)


def remove_orphaned_builds(runner: Runner, choices: HostChoices, state_folder: Path) -> tuple[str, ...]:
    """End builds whose owner has gone, and remove their working containers.

    Returns:
        The ids of the containers that were removed.
    """
    removed: list[str] = []
    for path in lock_files(state_folder / BUILDS):
        with adopted(path, store_key(choices)) as lock:
            if lock is None:
                continue
            end_programs(lock.name)
            gone, left = _remove_containers(runner, choices, lock.name)
            removed += gone
            remove_script_containers(runner, choices, lock.name)
            if not left:
                path.unlink(missing_ok=True)
    return tuple(removed)


def telling_steps(
    runner: Runner, on_step: Callable[[str], None], on_last_step: Callable[[], None] = lambda: None
) -> Runner:
    """Give a runner that tells the steps of builds, and whose programs lead process groups.

    Args:
        runner: runs the same programs.
        on_step: told of each step when it begins, as ``STEP 2/7: RUN make``.
        on_last_step: called when the last step of the last stage begins.
    """
    forward = runner.on_line

    def on_line(line: str) -> None:
        match = _STEP.fullmatch(line)
        if match:
            on_step(f"STEP {match['step'][:_LONGEST_STEP]}")
            if match["number"] == match["count"] and match["stage"] == match["stages"]:
                on_last_step()
        if forward is not None:
            forward(line)

    # The group takes along what is left behind by a program that is killed.
    return attrs.evolve(runner, on_line=on_line, children=runner.children or Children())


def mark_options(lock: OwnerLock) -> list[str]:
    """Give the options of ``buildah build`` by which a build is known as that of a lock's owner."""
    return ["--secret", f"id={lock.name},src={lock.path}"]


@contextmanager
def marked(runner: Runner, choices: HostChoices, state_folder: Path) -> Iterator[OwnerLock]:
    """Hold a lock whose name marks builds, and after a block that fails remove whatever bears the mark.

    Args:
        runner: runs buildah.
        choices: names the store.
        state_folder: folder of lock files.
    """
    lock = OwnerLock.take(state_folder / BUILDS, store_key(choices))
    good = False
    try:
        yield lock
        good = True
    finally:
        left: tuple[str, ...] = ()
        if not good:
            end_programs(lock.name)
            left = _remove_containers(runner, choices, lock.name)[1]
        lock.release(container_gone=not left)


@contextmanager
def ended_after(mark: str, timeout: float | None) -> Iterator[threading.Event]:
    """End what bears a mark when the block takes too long.

    Args:
        mark: name of the owner's lock.
        timeout: seconds that the block may take; None for no limit.

    Yields:
        An event that is set when it took too long.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        end_programs(mark, grace=_GRACE_SECONDS)

    timer = threading.Timer(timeout or 0.0, end)
    timer.daemon = True
    if timeout is not None:
        timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        if late.is_set():
            # What it left is ended, too, before anything of it is removed.
            timer.join()


def remove_script_containers(runner: Runner, choices: HostChoices, mark: str) -> None:
    """Remove podman's containers that a script has started, known by their label.

    Args:
        runner: runs podman.
        choices: names the store.
        mark: name of the lock of the script's owner.
    """
    quiet, extra = attrs.evolve(runner, on_line=None, tidying=True), dict(choices.environment)
    try:
        listing = ["podman", "ps", "--all", "--quiet", "--filter", f"label={SCRIPT_LABEL}={mark}"]
        names = quiet.run(listing, extra=extra, check=False).stdout.decode().split()
        if names:
            quiet.run(["podman", "rm", "--force", "--time=0", "--volumes", *names], extra=extra)
    except StxbError as error:
        log.warning("script.containers.left", mark=mark, reason=error.message)


def _remove_containers(runner: Runner, choices: HostChoices, mark: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Remove the working containers of a build; give the ids of those removed, and of those left."""
    found = _containers(choices, mark)
    gone = tuple(container for container in found if remove_container(runner, choices, container))
    if found:
        log.info("build.containers.removed", containers=gone)
    return gone, tuple(container for container in found if container not in gone)


def _containers(choices: HostChoices, mark: str) -> tuple[str, ...]:
    """Give the ids of working containers whose settings or whose name have a mark.

    buildah shows only some of a container's settings; all of them are in a file of the store, which is the account's
    own. Where it cannot be read nothing is found.
    """
    storage = choices.storage
    if not storage.root or not storage.driver:
        return ()
    wanted = (f'"id={mark},'.encode(), f'"container-name":"{mark}-'.encode())
    found = []
    for path in sorted(Path(storage.root, f"{storage.driver}-containers").glob("*/userdata/buildah.json")):
        try:
            content = path.read_bytes()
            if any(words in content for words in wanted):
                found.append(path.parent.parent.name)
        except OSError:
            continue
    return tuple(found)


def _error(completed: Completed) -> StxbError:
    """Give the error for a build that failed: which step, and why."""
    fault = classify(completed.tail, completed.returncode)
    if fault.kind is FaultKind.DISK_FULL:
        return to_error(fault, "the build")
    texts = [message_of(line) for line in completed.tail]
    for text in reversed(texts):
        match = _FAILED_STEP.search(text)
        if match:
            sentence = f"the build failed at {match['step'][:_LONGEST_STEP]}: {match['why']}"
            return BuildError(sentence, hint="its last lines say more, its log all", details=completed.tail)
    last = next((text for text in reversed(texts) if text), f"buildah ended with status {completed.returncode}")
    return BuildError(f"the build failed: {last}", details=completed.tail)
