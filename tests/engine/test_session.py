# SPDX-License-Identifier: Apache-2.0
"""Working containers: run in, kept, removed, and found again when their owner was killed."""

import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import attrs
import pytest

from stxbuildah.engine.children import Children
from stxbuildah.engine.orphans import find_orphans, remove_orphans
from stxbuildah.engine.process import ProcessError, Runner
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.errors import InputError, InterruptedByUserError
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.settings import HostChoices
from tests.engine.stxb import signals_as_in_a_terminal

pytestmark = pytest.mark.engine


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def make(runner: Runner, choices: HostChoices, base_image: ImageReference, state: Path) -> "Maker":
    return Maker(runner, choices, str(base_image), state)


@attrs.frozen
class Maker:
    runner: Runner
    choices: HostChoices
    image: str
    state: Path

    def __call__(self, *, keep: bool = False, runner: Runner | None = None) -> WorkingContainer:
        return WorkingContainer.create(
            runner or self.runner, self.choices, self.image, state_folder=self.state, keep=keep
        )

    def containers(self) -> set[str]:
        listed = self.runner.run(["buildah", "containers", "--format", "{{.ContainerName}}"]).stdout.decode()
        return set(listed.split())


def test_a_program_runs_as_told(make: Maker) -> None:
    lines: list[str] = []
    with make(runner=attrs.evolve(make.runner, on_line=lines.append)) as container:
        completed = container.run(
            ["sh", "-c", 'echo "$GREETING $(id -u) $PWD $(cat | wc -c)"; echo "$https_proxy" >&2'],
            env={"GREETING": "good day", "https_proxy": "http://user:word@127.0.0.1:1"},
            workdir="/srv",
        )
    assert completed.returncode == 0
    # buildah copies the two streams side by side: only the order within one of them is told.
    assert sorted(lines) == ["good day 0 /srv 0", "http://user:word@127.0.0.1:1"]
    assert sorted(completed.tail) == sorted(lines)
    assert not any("word" in argument for argument in completed.argv)


def test_a_failing_program_is_an_error_with_its_last_lines(make: Maker) -> None:
    with make() as container:
        with pytest.raises(ProcessError) as caught:
            # A program that ends at once can outrun buildah's copying of its last words (chroot isolation).
            container.run(["sh", "-c", "echo last words; sleep 0.5; exit 7"])
        assert container.run(["sh", "-c", "exit 7"], check=False).returncode == 7
    assert "last words" in caught.value.details
    assert caught.value.completed.returncode == 7


def test_a_program_that_takes_too_long_is_ended(make: Maker) -> None:
    with make() as container:
        started = time.monotonic()
        with pytest.raises(ProcessError, match="buildah") as caught:
            container.run(["sleep", "1000"], timeout=1)
    assert time.monotonic() - started < 300
    assert caught.value.details[-1] == "no end after 1 seconds"
    assert make.containers() & {container.name} == set()


def command_lines() -> Iterator[bytes]:
    """The words of every process that this account can see, containers' own included."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield file.read_bytes()


def test_a_run_that_is_ended_leaves_no_container_and_no_program(make: Maker) -> None:
    children = Children()
    begun = threading.Event()
    told: list[BaseException] = []
    runner = attrs.evolve(make.runner, children=children, on_line=lambda _: begun.set())
    seconds = f"1000.{uuid.uuid4().int}"

    def work() -> None:
        try:
            with make(runner=runner) as container:
                container.run(["sh", "-c", f"sleep {seconds} & echo begun; wait"])
        except InterruptedByUserError as error:
            told.append(error)

    before = make.containers()
    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    children.end(grace=60)
    thread.join()
    assert len(told) == 1
    assert make.containers() == before
    assert list(make.state.iterdir()) == []
    assert not [words for words in command_lines() if seconds.encode() in words]


def test_what_a_program_wrote_is_seen_by_a_tree_and_the_next_program(make: Maker) -> None:
    with make() as container:
        container.tree().lstat("/")
        container.run(["sh", "-c", "echo 1 > /srv/one"])
        assert container.tree().read("/srv/one") == b"1\n"
        container.run(["sh", "-c", "echo 2 >> /srv/one"])
        assert container.tree().read("/srv/one") == b"1\n2\n"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_container_is_removed_whatever_ends_the_block(make: Maker, error: type[BaseException]) -> None:
    container = make()

    def work() -> None:
        with container:
            container.tree()
            assert container.name in make.containers()
            raise error

    with pytest.raises(error):
        work()
    assert container.name not in make.containers()
    assert list(make.state.iterdir()) == []


def test_a_container_can_be_removed_in_the_background(make: Maker) -> None:
    container = make()
    container.close(wait=False)
    container.close()
    assert container.name not in make.containers()


def test_a_kept_container_stays_and_is_no_orphan(make: Maker) -> None:
    with make(keep=True) as container:
        pass
    try:
        assert container.name in make.containers()
        assert find_orphans(make.choices, make.state) == ()
    finally:
        make.runner.run(["buildah", "rm", container.name])


def test_an_unknown_image_is_an_input_error_and_leaves_nothing(make: Maker) -> None:
    before = make.containers()
    with pytest.raises(InputError, match="localhost/tests/no-such:1 is not in the local store"):
        WorkingContainer.create(make.runner, make.choices, "localhost/tests/no-such:1", state_folder=make.state)
    assert make.containers() == before
    assert list(make.state.iterdir()) == []


def test_an_image_name_is_no_option(make: Maker) -> None:
    with pytest.raises(Exception, match="--help"):
        WorkingContainer.create(make.runner, make.choices, "--help", state_folder=make.state)


# Makes a container and stays in it; the arguments are the image and the state folder.
OWNER = """
import sys
from pathlib import Path
from stxbuildah.engine.process import Runner
from stxbuildah.engine.session import WorkingContainer
from stxbuildah.model.settings import HostChoices, Storage
with WorkingContainer.create(Runner(), {choices!r}, sys.argv[1], state_folder=Path(sys.argv[2])) as made:
    made.tree().lstat("/")
    print(made.name, flush=True)
    made.run(["sleep", "100"])
"""


def owner(make: Maker) -> list[str]:
    """The command of a process group of its own, as a terminal gives one to each command."""
    return ["setsid", sys.executable, "-c", OWNER.format(choices=make.choices), make.image, str(make.state)]


def test_a_killed_owners_container_is_removed_and_no_other(make: Maker) -> None:
    child = make.runner.start(owner(make))
    assert child.stdout is not None
    assert child.stderr is not None
    with child, make() as living:
        orphan = child.stdout.readline().decode().strip()
        assert find_orphans(make.choices, make.state) == ()
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert find_orphans(make.choices, make.state) == (orphan,)
        assert remove_orphans(make.runner, make.choices, make.state) == (orphan,)
        assert make.containers() & {orphan, living.name} == {living.name}
        assert remove_orphans(make.runner, make.choices, make.state) == ()


def test_an_orphan_that_is_gone_already_is_forgotten(make: Maker) -> None:
    container = make()
    make.runner.run(["buildah", "rm", container.name])
    container._lock.release(container_gone=False)
    assert remove_orphans(make.runner, make.choices, make.state) == (container.name,)
    assert list(make.state.iterdir()) == []


@pytest.mark.parametrize("delay", [0.0, 1.0])
def test_an_interrupted_owner_leaves_nothing(make: Maker, delay: float) -> None:
    with signals_as_in_a_terminal():
        child = make.runner.start(owner(make))
    assert child.stdout is not None
    assert child.stderr is not None
    with child:
        name = child.stdout.readline().decode().strip()
        time.sleep(delay)  # on the way to the program's run, or into it
        os.killpg(child.pid, signal.SIGINT)
        errors = child.stderr.read().decode()
        child.wait(30)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert name not in make.containers()
    assert list(make.state.iterdir()) == []
